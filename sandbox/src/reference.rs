//! What scripts can call, as one table: the reference page is made of it, and a test holds the sandbox against it.
//!
//! Owns:    `FUNCTIONS`, `ENTRIES`, `page`.
//! Runs on: tools and tests.            Plane: control.
//! Bounds:  one line a function.
//! Never:   used while a script runs.

use std::fmt::Write;

use crate::config::Kind;
use crate::library;
use crate::modules;

/// All kinds, in the order of a message's way.
const ALL: &[Kind] = &[
    Kind::Input,
    Kind::Decoder,
    Kind::Filter,
    Kind::Encoder,
    Kind::Output,
];

/// Kinds whose scripts are given messages.
const READERS: &[Kind] = &[Kind::Decoder, Kind::Filter, Kind::Encoder, Kind::Output];

/// Kinds that the host limits, and whose payloads it takes.
const INNER: &[Kind] = &[Kind::Decoder, Kind::Filter, Kind::Encoder];

/// Something that a script defines, or that it can call.
#[derive(Clone, Copy, Debug)]
pub struct Described {
    /// Its name.
    pub name: &'static str,
    /// How it is called.
    pub forms: &'static [&'static str],
    /// In scripts of these kinds.
    pub kinds: &'static [Kind],
    /// What it answers.
    pub returns: &'static str,
    /// What it does.
    pub about: &'static str,
}

/// What the host calls.
pub const ENTRIES: &[Described] = &[
    Described {
        name: "process_message",
        forms: &["process_message()"],
        kinds: ALL,
        returns: "a status, and a text or nil: 0 is success, below 0 a failure that is counted and told, above 0 ends the script; -2 of an encoder sends nothing",
        about: "Called for each message; of an input once, or at every `ticker_interval`.",
    },
    Described {
        name: "process_messages",
        forms: &["process_messages(n)"],
        kinds: &[Kind::Filter],
        returns: "as `process_message`, for all of them",
        about: "If it is defined it is called once for a batch of n messages, and `process_message` is not.",
    },
    Described {
        name: "timer_event",
        forms: &["timer_event(ns)"],
        kinds: &[Kind::Filter, Kind::Output],
        returns: "nothing",
        about: "Called at every `ticker_interval` with the time in nanoseconds, and once more at the end with `timer_event_on_shutdown`.",
    },
];

/// What the host offers beside the base library.
pub const FUNCTIONS: &[Described] = &[
    Described {
        name: "read_config",
        forms: &["read_config(name)"],
        kinds: ALL,
        returns: "a string, number, boolean or nil",
        about: "A value of the plugin's subsection `config`. Can be called while the script loads.",
    },
    Described {
        name: "read_message",
        forms: &[
            "read_message(name)",
            "read_message(name, field_index)",
            "read_message(name, field_index, array_index)",
        ],
        kinds: READERS,
        returns: "a string, number, boolean or nil",
        about: "A part of the message: Type, Logger, Payload, EnvVersion, Hostname, Uuid, Timestamp, Severity, Pid, raw (the message in protobuf) or `Fields[name]`. Indexes begin at 0: which of the fields of that name, and which of its values. nil while the timer runs.",
    },
    Described {
        name: "read_next_field",
        forms: &["read_next_field()"],
        kinds: READERS,
        returns: "value type, name, value, representation, count; five nils after the last",
        about: "The message's fields, one after the other. Types are 0 string, 1 bytes, 2 integer, 3 double, 4 bool.",
    },
    Described {
        name: "select_message",
        forms: &["select_message(i)"],
        kinds: &[Kind::Filter],
        returns: "nothing",
        about: "In `process_messages`: which message, from 1, the two functions above read.",
    },
    Described {
        name: "write_message",
        forms: &[
            "write_message(name, value)",
            "write_message(name, value, representation)",
            "write_message(name, value, representation, field_index, array_index)",
        ],
        kinds: &[Kind::Decoder, Kind::Encoder],
        returns: "nothing",
        about: "Changes a part of the message, or adds a field; nil removes one. An encoder's goes to a copy.",
    },
    Described {
        name: "inject_message",
        forms: &["inject_message(table)", "inject_message(protobuf_string)"],
        kinds: &[Kind::Input, Kind::Decoder, Kind::Filter, Kind::Encoder],
        returns: "nothing",
        about: "Makes a message of a table (Uuid, Timestamp, Type, Logger, Severity, Payload, EnvVersion, Pid, Hostname, Fields), or of its bytes. What becomes of it says the page of the plugin.",
    },
    Described {
        name: "inject_payload",
        forms: &[
            "inject_payload()",
            "inject_payload(type)",
            "inject_payload(type, name)",
            "inject_payload(type, name, ...)",
        ],
        kinds: INNER,
        returns: "nothing",
        about: "Makes a message, or an encoder's output, of what `add_to_payload` has gathered and of the further arguments. The type is `txt` unless it is said.",
    },
    Described {
        name: "add_to_payload",
        forms: &["add_to_payload(value, ...)"],
        kinds: INNER,
        returns: "nothing",
        about: "Gathers strings, numbers, booleans, nil and objects that can be printed.",
    },
    Described {
        name: "decode_message",
        forms: &["decode_message(protobuf_string)"],
        kinds: ALL,
        returns: "a table",
        about: "A message in protobuf as a table; Fields is an array of tables with name, value_type, representation and value.",
    },
    Described {
        name: "require",
        forms: &["require(name)"],
        kinds: ALL,
        returns: "the module",
        about: "A base library, a module that comes with hekad, or a file of `module_directory`.",
    },
];

const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Input => "input",
        Kind::Decoder => "decoder",
        Kind::Filter => "filter",
        Kind::Encoder => "encoder",
        Kind::Output => "output",
    }
}

fn table(out: &mut String, rows: &[Described]) {
    out.push_str("| function | in | answers | |\n| --- | --- | --- | --- |\n");
    for row in rows {
        let forms: Vec<String> = row.forms.iter().map(|form| format!("`{form}`")).collect();
        let kinds: Vec<&str> = row.kinds.iter().map(|kind| name(*kind)).collect();
        let (forms, kinds) = (forms.join("<br>"), kinds.join(", "));
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "| {forms} | {kinds} | {} | {} |",
            row.returns, row.about
        );
    }
}

/// The page about all of it, in Markdown.
pub fn page() -> String {
    let mut out = String::from(
        "# What Lua scripts define and call\n\nMade of the table in `sandbox/src/reference.rs`; [Lua sandboxes](../sandbox.md) has limits and differences, [Lua plugins](../lua.md) the way to a first script.\n\n## Defined by the script\n\n",
    );
    table(&mut out, ENTRIES);
    out.push_str("\n## Offered to the script\n\n");
    table(&mut out, FUNCTIONS);
    let list = |out: &mut String, title: &str, names: Vec<String>| {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(out, "\n## {title}\n\n{}.", names.join(", "));
    };
    let libraries = ["string", "table", "math", "os"]
        .map(str::to_owned)
        .to_vec();
    list(
        &mut out,
        "Base libraries, after `require`; inputs and outputs have `io` and `coroutine` too",
        libraries,
    );
    list(
        &mut out,
        "Modules in Rust",
        modules::names(false).map(str::to_owned).collect(),
    );
    let module = |shipped: &library::Shipped| {
        let (_, name) = shipped.name.split_once('/').unwrap_or_default();
        name.strip_suffix(".lua").unwrap_or(name).replace('/', ".")
    };
    list(
        &mut out,
        "Modules in Lua",
        library::MODULES.iter().map(module).collect(),
    );
    let io_modules = library::IO_MODULES.iter().chain(library::SOCKET_MODULES);
    list(
        &mut out,
        "LuaSocket, for inputs and outputs",
        io_modules
            .map(module)
            .chain(modules::names(true).map(str::to_owned))
            .collect(),
    );
    list(
        &mut out,
        "Scripts that come with hekad, as `filename`",
        library::scripts().map(str::to_owned).collect(),
    );
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{NoHost, Program, Sandbox, Settings, Subject};

    #[test]
    fn every_kind_has_what_is_described_and_nothing_else_of_it() {
        for kind in ALL {
            for function in FUNCTIONS {
                let source = format!(
                    "function process_message() return {} and 0 or -1 end",
                    function.name
                );
                let program = Program::compile(function.name, source.as_bytes()).expect("Lua");
                let settings = Settings::new(*kind, "described");
                let mut sandbox = Sandbox::new(&Arc::new(program), settings).expect("it loads");
                let returned = sandbox.process_message(Subject::Nothing, &mut NoHost);
                let has = returned.expect("it runs").status == 0;
                let said = function.kinds.contains(kind);
                assert_eq!(has, said, "{} in {kind:?}", function.name);
            }
        }
    }
}
