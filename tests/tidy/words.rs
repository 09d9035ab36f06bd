//! Words that belong to some files only, or to none.
//!
//! Owns:    the table of words with owners, and the lists of words and names that stand nowhere.
//! Runs on: tests.            Plane: control.
//! Bounds:  words in code, not in comments or strings, unless said otherwise.
//! Never:   guesses: a word is found or it is not.

use crate::Rule;
use crate::code::{name_of, words_at};
use crate::tree::{Finding, Tree};

/// Words that may stand in some places only.
struct Owned {
    words: &'static [&'static str],
    /// Where the rule holds: beginnings of paths. Nothing means everywhere.
    within: &'static [&'static str],
    /// Files that may have the word, and do.
    owners: &'static [&'static str],
    instead: &'static str,
}

/// What runs for every message.
const DATA_PLANE: &[&str] = &[
    "codecs/src/",
    "matcher/src/",
    "engine/src/pack/",
    "engine/src/plugin/",
    "engine/src/shard/",
];

const TABLE: &[Owned] = &[
    Owned {
        words: &["glommio"],
        within: &[],
        owners: &["engine/src/io/ring.rs"],
        instead: "use `engine::io`: the executor is replaced as one module",
    },
    Owned {
        words: &["unsafe"],
        within: &[],
        owners: &[
            "engine/src/io/ring.rs",
            "engine/tests/shard/allocation.rs",
            "sandbox/src/lua.rs",
            "sandbox/src/lua/frame.rs",
            "sandbox/src/lua/guard.rs",
            "sandbox/src/lua/userdata.rs",
        ],
        instead: "find the safe way; a new owner is a decision (docs/adr/0004-unsafe-in-the-ring.md, docs/adr/0013-the-lua-host.md, docs/adr/0014-lpeg.md)",
    },
    Owned {
        words: &["Instant::now", "SystemTime::now"],
        within: &[
            "codecs/src/",
            "matcher/src/",
            "sandbox/src/",
            "engine/src/",
            "plugins/src/",
        ],
        owners: &[
            "engine/src/io/clock.rs",
            "engine/src/control/log.rs",
            "engine/src/control/supervisor.rs",
            "engine/src/control/supervisor/shutdown.rs",
            // A script may ask for the time; a host in simulated time answers it.
            "sandbox/src/clock.rs",
        ],
        instead: "use `engine::io::clock`, or take the time as an argument: simulated time replaces it",
    },
    Owned {
        words: &[
            "std::fs",
            "std::thread",
            "TcpStream",
            "TcpListener",
            "UdpSocket",
        ],
        within: DATA_PLANE,
        // It asks whether its thread panics, and names it.
        owners: &["engine/src/shard/containment.rs"],
        instead: "use `engine::io`: it does not block the shard, and can be replaced",
    },
    Owned {
        words: &["Mutex", "RwLock", "Condvar"],
        within: &[
            "codecs/src/",
            "matcher/src/",
            "engine/src/io/",
            "engine/src/pack/",
            "engine/src/shard/",
        ],
        // The models stand in for the kernel, which has locks of its own.
        owners: &[
            "engine/src/io/disk/model.rs",
            "engine/src/io/pacer.rs",
            // Taken once a stream, for a look at a map.
            "engine/src/shard/claims.rs",
            // Where a shard is started, which is the control plane's.
            "engine/src/io/ring.rs",
            "engine/src/io/sim.rs",
            "engine/src/io/sim/mesh.rs",
            "engine/src/io/sim/tasks.rs",
        ],
        instead: "let one shard own it; others send it a frame",
    },
    Owned {
        words: &["println!", "eprintln!", "print!", "eprint!", "dbg!"],
        within: &["engine/src/pack/", "engine/src/shard/"],
        owners: &[],
        instead: "count it, or send a notice; control prints it",
    },
    Owned {
        words: &["process::exit", "process::abort"],
        within: &[],
        owners: &[],
        instead: "return an error; `main` makes it an exit status",
    },
];

/// Marks of work that was put off. Split, so that this file does not hold them.
const MARKS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
];

/// Paths of somebody's machine.
const MACHINE: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/tmp/ta", "rget"),
];

/// Names that say nothing.
const BANNED_NAMES: &[&str] = &[
    "util", "utils", "common", "helper", "helpers", "core", "misc", "manager", "stuff", "shared",
];

/// Files whose name is not ours to choose: scripts written for Heka ask for it.
const NAMED_BY_HEKA: &[&str] = &["sandbox/lua/modules/util.lua"];

pub(crate) const OWNED: Rule = Rule {
    name: "Some words stand only where they belong.",
    why: "what is fenced can be replaced, proved and simulated (docs/ARCHITECTURE.md).",
    instead: "as each finding says. The table is in tests/tidy/words.rs.",
    find: owned,
    canary: &[("engine/src/shard/router.rs", "use std::sync::Mutex;\n")],
};

pub(crate) const UNFINISHED: Rule = Rule {
    name: "Nothing is marked as unfinished.",
    why: "a mark in the code is a plan that nobody reads.",
    instead: "do it, refuse the case with an error, or open an issue.",
    find: unfinished,
    canary: &[("docs/README.md", concat!("TO", "DO: more\n"))],
};

pub(crate) const MACHINE_PATHS: Rule = Rule {
    name: "No path of somebody's machine.",
    why: "it works nowhere else.",
    instead: "a path from the root of the project, a temporary folder, or one that every system has.",
    find: machine_paths,
    canary: &[("docs/README.md", concat!("see /ho", "me/me/notes\n"))],
};

pub(crate) const NAMES: Rule = Rule {
    name: "Files and modules are named after what they hold.",
    why: "everything fits under a name that says nothing, and soon everything is there.",
    instead: "name the thing: `backoff`, `address`, `printed`.",
    find: names,
    canary: &[("engine/src/shard/router.rs", "mod helpers;\n")],
};

fn owned(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for rule in TABLE {
        for file in tree.rust() {
            let within = rule.within.is_empty()
                || rule.within.iter().any(|start| file.path.starts_with(start));
            if !within {
                continue;
            }
            let uses = file.code_lines().flat_map(|(line, code)| {
                rule.words
                    .iter()
                    .filter(move |word| words_at(code, word).next().is_some())
                    .map(move |word| (line, *word))
            });
            let mut uses = uses.peekable();
            if rule.owners.contains(&file.path.as_str()) {
                if uses.peek().is_none() {
                    found.push(Finding::at(
                        file,
                        0,
                        format!(
                            "no longer has `{}`: remove it from the owners",
                            rule.words[0]
                        ),
                    ));
                }
                continue;
            }
            found.extend(uses.map(|(line, word)| {
                Finding::at(file, line, format!("`{word}`: {}", rule.instead))
            }));
        }
    }
    found
}

fn anywhere(tree: &Tree, words: &[&str]) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.files.iter().filter(|file| file.path != "Cargo.lock") {
        for (line, text) in file.text_lines() {
            for word in words
                .iter()
                .filter(|word| words_at(text, word).next().is_some())
            {
                found.push(Finding::at(file, line, format!("`{word}`")));
            }
        }
    }
    found
}

fn unfinished(tree: &Tree) -> Vec<Finding> {
    anywhere(tree, MARKS)
}

fn machine_paths(tree: &Tree) -> Vec<Finding> {
    anywhere(tree, MACHINE)
}

fn names(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in &tree.files {
        if NAMED_BY_HEKA.contains(&file.path.as_str()) {
            continue;
        }
        let folder_names = file.folder().split('/');
        for name in folder_names.chain([file.stem()]) {
            if BANNED_NAMES.contains(&name) {
                found.push(Finding::at(file, 0, format!("named `{name}`")));
            }
        }
        for (line, code) in file.code_lines() {
            for at in words_at(code, "mod") {
                let name = name_of(code[at + 3..].trim_start());
                if BANNED_NAMES.contains(&name) {
                    found.push(Finding::at(file, line, format!("`mod {name}`")));
                }
            }
        }
    }
    found
}
