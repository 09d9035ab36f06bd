//! Names, types and defaults of every plugin against Heka's, as `docs/parity` has them.
//!
//! Owns:    the list of what differs, each with its reason.
//! Runs on: tests.            Plane: control.
//! Bounds:  what the table holds; what is missing from it is printed (`--nocapture`), not refused.
//! Never:   changes a table to fit the code.

use std::collections::BTreeMap;
use std::path::Path;

use engine::control::reference::{self, OptionRow};
use engine::plugin::options::Duration;
use engine::plugin::{Kind, PluginSpec};
use toml::{Table, Value};

/// Owner, option, reason.
type Different = (&'static str, &'static str, &'static str);

/// Stands for every plugin that has the option.
const ANY: &str = "*";

/// Options that differ from Heka's, or that Heka did not have.
const DIFFERENT: &[Different] = &[
    (
        ANY,
        "buffering.fsync_interval",
        "ours: how long messages may gather before a sync",
    ),
    (ANY, "buffering.fsync_bytes", "ours: what ends that early"),
    (
        ANY,
        "buffering.memory_first",
        "ours: the disk only for what a consumer cannot take",
    ),
    (
        ANY,
        "dead_letters",
        "ours: what is refused for good is kept",
    ),
    (ANY, "max_dead_letter_size", "ours: as far as there is room"),
    (
        ANY,
        "native",
        "ours: scripts are compiled unless this is off",
    ),
    (
        "SandboxDecoder",
        "instances",
        "ours: one machine for each core, or for each stream",
    ),
    (
        "SandboxDecoder",
        "fast_path",
        "ours: Rust decodes what the shipped script would decode alike",
    ),
    (
        "SandboxInput",
        "splitter",
        "Heka has none: its script's messages went by another way",
    ),
    ("SandboxInput", "decoder", "as `splitter`"),
    (
        "TcpInput",
        "tls.prefer_server_ciphers",
        "Heka's own default for this input",
    ),
    ("[hekad]", "shards", "ours: cores to work on"),
    (
        "[hekad]",
        "shutdown_timeout",
        "ours: an orderly shutdown has a deadline",
    ),
    (
        "[hekad]",
        "stall_timeout",
        "ours: a shard that stands still is found out",
    ),
    (
        "TcpOutput",
        "congestion_control",
        "ours: pacing costs a relay more than all its work",
    ),
    (
        "TcpOutput",
        "buffering.cursor_update_count",
        "Heka's own default of this output, as the note of its buffering says",
    ),
    (
        "TcpOutput",
        "buffering.max_file_size",
        "Heka's own default of this output, as the note of its buffering says",
    ),
];

fn parity(file: &str) -> Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs/parity")
        .join(file);
    let text = std::fs::read_to_string(path).expect("the parity table");
    text.parse().expect("it is TOML")
}

fn text<'a>(table: &'a Table, key: &str) -> &'a str {
    table.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn tables<'a>(table: &'a Table, key: &str) -> Vec<&'a Table> {
    let values = table
        .get(key)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    values.iter().filter_map(Value::as_table).collect()
}

/// What Heka has under a name.
#[derive(Clone, Debug)]
struct Wanted {
    kind: String,
    default: String,
    required: bool,
    may_be_required: bool,
}

fn wanted(options: &[&Table]) -> BTreeMap<String, Wanted> {
    let mut wanted = BTreeMap::new();
    for option in options {
        let name = text(option, "name")
            .replace("<name>_<version>", "<name>")
            .replace("<N>", "<name>");
        let default = text(option, "default");
        let required = default == "required";
        let note = text(option, "note");
        wanted.insert(
            name,
            Wanted {
                kind: text(option, "type").to_owned(),
                default: if required {
                    String::new()
                } else {
                    default.to_owned()
                },
                required,
                may_be_required: note.contains("required"),
            },
        );
    }
    wanted
}

fn same_default(wanted: &Wanted, row: &OptionRow) -> bool {
    let duration = |text: &str| text.parse::<Duration>().ok();
    if wanted.kind == "duration" && duration(&wanted.default) == duration(&row.default) {
        return true;
    }
    // A required list has no elements until it is given.
    let none = if wanted.required { "[]" } else { "" };
    wanted.default == row.default.trim_start_matches(none)
}

/// Where the code and the parity table differ.
struct Difference {
    owner: String,
    option: String,
    text: String,
}

impl Difference {
    fn is(&self, (owner, option, _): &Different) -> bool {
        (*owner == ANY || self.owner == *owner) && self.option == *option
    }
}

/// The differences of one owner's options.
fn differences(
    owner: &str,
    wanted: &BTreeMap<String, Wanted>,
    rows: &[OptionRow],
) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut differ = |option: &str, text: String| {
        let (owner, option) = (owner.to_owned(), option.to_owned());
        found.push(Difference {
            owner,
            option,
            text,
        });
    };
    for (name, wanted) in wanted {
        let Some(row) = rows
            .iter()
            .find(|row| row.name == *name || row.also.contains(name))
        else {
            differ(name, "is missing".to_owned());
            continue;
        };
        if row.kind != wanted.kind && (row.kind.as_str(), wanted.kind.as_str()) != ("uint", "int") {
            differ(name, format!("is {}, Heka's is {}", row.kind, wanted.kind));
        }
        if !same_default(wanted, row) {
            differ(
                name,
                format!(
                    "has the default {:?}, Heka's is {:?}",
                    row.default, wanted.default
                ),
            );
        }
        let required = row.required && matches!(row.default.as_str(), "" | "[]");
        if required != wanted.required && !(required && wanted.may_be_required) {
            differ(
                name,
                format!("required: {required}, Heka's: {}", wanted.required),
            );
        }
    }
    for row in rows {
        if !wanted.contains_key(&row.name) && !row.also.iter().any(|name| wanted.contains_key(name))
        {
            differ(&row.name, "is not Heka's".to_owned());
        }
    }
    found
}

/// Plugins that run a script.
const SCRIPTS: [&str; 5] = [
    "SandboxInput",
    "SandboxDecoder",
    "SandboxFilter",
    "SandboxEncoder",
    "SandboxOutput",
];

/// Subsections that have a list of their own in the parity table.
const SUBSECTIONS: [&str; 3] = ["retries", "buffering", "tls"];

fn common<'a>(parity: &'a Table, kind: &str) -> Vec<&'a Table> {
    let of_kind = tables(parity, "common")
        .into_iter()
        .filter(|table| text(table, "kind") == kind);
    of_kind.flat_map(|table| tables(table, "option")).collect()
}

fn plugin_differences(parity: &Table, spec: &PluginSpec) -> Vec<Difference> {
    let kind = spec.kind.name().to_lowercase();
    let plugins = tables(parity, "plugin");
    let is_it =
        |plugin: &&&Table| text(plugin, "name") == spec.name && text(plugin, "kind") == kind;
    let Some(plugin) = plugins.iter().find(is_it) else {
        let (owner, text) = (spec.name.to_owned(), format!("Heka has no such {kind}"));
        return vec![Difference {
            owner,
            option: "type".to_owned(),
            text,
        }];
    };
    let mut rows = reference::rows(&spec.own);
    rows.extend(reference::rows(&spec.common));
    let mut options = common(parity, &kind);
    options.extend(tables(plugin, "option"));
    if SCRIPTS.contains(&spec.name) {
        options.extend(common(parity, "sandbox"));
        // A key of the free table `config`.
        options.retain(|option| text(option, "name") != "config.tz");
        if spec.kind == Kind::Encoder {
            let others = ["can_exit", "timer_event_on_shutdown"];
            options.retain(|option| !others.contains(&text(option, "name")));
        }
    }
    let mut wanted_here = wanted(&options);
    for subsection in SUBSECTIONS {
        if rows.iter().any(|row| row.name == subsection) {
            let below = wanted(&common(parity, subsection)).into_iter();
            wanted_here
                .extend(below.map(|(name, wanted)| (format!("{subsection}.{name}"), wanted)));
        }
    }
    for row in &mut rows {
        let above = row.name.rsplit_once('.').map(|(above, _)| above.to_owned());
        for name in row.also.iter_mut() {
            *name = above
                .as_ref()
                .map_or_else(|| name.clone(), |above| format!("{above}.{name}"));
        }
    }
    differences(spec.name, &wanted_here, &rows)
}

fn all_differences() -> Vec<Difference> {
    let hekad = parity("hekad.toml");
    let hekad = hekad
        .get("hekad")
        .and_then(Value::as_table)
        .expect("[hekad]");
    let mut found = differences(
        "[hekad]",
        &wanted(&tables(hekad, "option")),
        &reference::hekad_rows(),
    );
    let parity = parity("plugins.toml");
    found.extend(
        plugins::ALL
            .iter()
            .flat_map(|spec| plugin_differences(&parity, spec)),
    );
    found
}

#[test]
fn names_types_and_defaults_are_hekas() {
    let found = all_differences();
    let unexplained = found
        .iter()
        .filter(|difference| !DIFFERENT.iter().any(|known| difference.is(known)));
    let lines: Vec<_> = unexplained
        .map(|it| format!("{}: `{}` {}", it.owner, it.option, it.text))
        .collect();
    assert!(
        lines.is_empty(),
        "mend these, or add a line with its reason to DIFFERENT:\n{}",
        lines.join("\n")
    );
    for known in DIFFERENT {
        assert!(
            found.iter().any(|difference| difference.is(known)),
            "does not differ any more: {known:?}"
        );
    }
}

#[test]
fn what_is_missing_is_listed() {
    let parity = parity("plugins.toml");
    let plugins = tables(&parity, "plugin");
    let (there, missing): (Vec<&Table>, Vec<&Table>) = plugins.into_iter().partition(|plugin| {
        plugins::ALL
            .iter()
            .any(|spec| spec.name == text(plugin, "name"))
    });
    let missing: Vec<_> = missing
        .iter()
        .map(|plugin| format!("{} ({})", text(plugin, "name"), text(plugin, "impl")))
        .collect();
    println!(
        "{} of Heka's plugins are there, {} are not yet:\n{}",
        there.len(),
        missing.len(),
        missing.join("\n")
    );
    assert!(!there.is_empty());
}

#[test]
fn the_table_is_consistent() {
    for (index, spec) in plugins::ALL.iter().enumerate() {
        assert_eq!(
            Kind::of_type(spec.name),
            Some(spec.kind),
            "{} ends in its kind",
            spec.name
        );
        assert!(
            plugins::ALL[..index]
                .iter()
                .all(|other| other.name != spec.name),
            "{} is there twice",
            spec.name
        );
        assert!(
            !spec.about.is_empty() && !spec.about.contains('\n'),
            "{} says what it is in a line",
            spec.name
        );
        let common = reference::rows(&spec.common);
        for row in reference::rows(&spec.own) {
            assert!(
                common.iter().all(|other| other.name != row.name),
                "{}: `{}` is a common option",
                spec.name,
                row.name
            );
            assert!(
                !row.about.is_empty(),
                "{}: `{}` has no description",
                spec.name,
                row.name
            );
        }
        let mut kinds = plugins::ALL[..index].iter().map(|other| other.kind);
        assert!(
            kinds.all(|kind| kind <= spec.kind),
            "{}: the table is ordered by kind",
            spec.name
        );
    }
}
