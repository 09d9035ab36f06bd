//! Who may use whom: crates by their manifests, modules of the engine by their paths.
//!
//! Owns:    the two tables of arrows, and the exceptions with their reasons.
//! Runs on: tests.            Plane: control.
//! Bounds:  manifests and `engine/src`.
//! Never:   knows what a use is for.

use crate::code::{name_of, words_at};
use crate::tree::{File, Finding, Tree};
use crate::{Rule, manifest};

/// A crate, and the crates of the workspace that it may use; its tests may use what is below those as well.
/// A crate that is not here has no place yet.
const MAY_USE: &[(&str, &[&str])] = &[
    ("codecs", &[]),
    ("matcher", &["codecs"]),
    ("sandbox", &["codecs"]),
    ("engine", &["codecs", "matcher"]),
    ("plugins", &["codecs", "engine", "sandbox"]),
    ("hekad", &["codecs", "matcher", "engine", "plugins"]),
    ("benches", BELOW),
    ("perf", BELOW),
    ("tests", BELOW),
];

const BELOW: &[&str] = &["codecs", "matcher", "sandbox", "engine", "plugins", "hekad"];

/// Crates that the design gives to one crate of the workspace.
const OWNED: &[(&str, &str)] = &[("glommio", "engine"), ("mlua", "sandbox")];

/// The modules of the engine, lowest first; those of one line do not use each other.
const LAYERS: &[&[&str]] = &[
    &["limits", "event", "error", "words"],
    &["io"],
    &["pack"],
    &["plugin"],
    &["queue"],
    &["shard"],
    &["control"],
];

/// A file, what it may use against the arrows, and why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "engine/src/plugin/input.rs",
        "crate::shard::intake::InputContext",
        "an input is handed its shard's context; a trait between the two would be a virtual call for every read and have one implementation",
    ),
    (
        "engine/src/plugin/consumer.rs",
        "crate::shard::delivery::OutputContext",
        "an output is handed its shard's context, likewise",
    ),
];

pub(crate) const CRATES: Rule = Rule {
    name: "Crates use each other only downwards.",
    why: "a part can be understood, tested and replaced knowing only what is below it (docs/ARCHITECTURE.md).",
    instead: "move what is needed down, or hand it in from above. A new crate gets a line in tests/tidy/arrows.rs.",
    find: crates,
    canary: &[(
        "codecs/Cargo.toml",
        "[package]\nname = \"codecs\"\n[dev-dependencies]\nengine.workspace = true\n",
    )],
};

pub(crate) const MODULES: Rule = Rule {
    name: "Modules of the engine use each other only downwards.",
    why: "the data plane never reads configuration or waits for control, because it cannot name it.",
    instead: "let control hand it in at start, or tell it by `shard::run::ToShard`. An exception needs its reason in tests/tidy/arrows.rs.",
    find: modules,
    canary: &[(
        "engine/src/shard/mesh.rs",
        "use crate::{event::Drops, control::plan::Plan};\n",
    )],
};

fn crates(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, table) in manifest::members(tree) {
        let name = file.folder();
        let Some((_, allowed)) = MAY_USE.iter().find(|(member, _)| *member == name) else {
            found.push(Finding::at(
                file,
                0,
                "a crate that has no place among the arrows",
            ));
            continue;
        };
        for used in manifest::dependencies(&table) {
            let of_workspace = MAY_USE.iter().any(|(member, _)| *member == used.name);
            let further = used.dev && below(allowed).contains(&used.name.as_str());
            if of_workspace && !further && !allowed.contains(&used.name.as_str()) {
                found.push(Finding::at(
                    file,
                    0,
                    format!("`{name}` uses `{}`", used.name),
                ));
            }
            if OWNED
                .iter()
                .any(|(owned, owner)| *owned == used.name && *owner != name)
            {
                found.push(Finding::at(
                    file,
                    0,
                    format!("`{name}` uses `{}`, which is another crate's", used.name),
                ));
            }
        }
    }
    found
}

/// Crates, and all that they may use: what a test may use to drive them.
fn below(crates: &[&'static str]) -> Vec<&'static str> {
    let mut all = crates.to_vec();
    let mut at = 0;
    while at < all.len() {
        let used = MAY_USE.iter().find(|(member, _)| *member == all[at]);
        all.extend(used.map(|(_, used)| *used).into_iter().flatten());
        at += 1;
    }
    all
}

fn modules(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut excused = Vec::new();
    for file in tree.rust() {
        let Some(path) = file.path.strip_prefix("engine/src/") else {
            continue;
        };
        let Some(mine) = rank(path.split(['/', '.']).next().unwrap_or_default()) else {
            if path != "lib.rs" {
                found.push(Finding::at(
                    file,
                    0,
                    "a module that has no place among the layers",
                ));
            }
            continue;
        };
        for (line, used) in paths(file) {
            let module = name_of(used.trim_start_matches("crate::"));
            let Some(theirs) = rank(module) else { continue };
            let own = path.split(['/', '.']).next() == Some(module);
            if own || theirs < mine {
                continue;
            }
            match EXCEPTIONS
                .iter()
                .find(|(at, what, _)| *at == file.path && used == *what)
            {
                Some(exception) => excused.push(exception),
                None => found.push(Finding::at(file, line, format!("uses `{used}`"))),
            }
        }
    }
    for exception in EXCEPTIONS.iter().filter(|(path, _, _)| tree.has(path)) {
        if !excused.contains(&exception) {
            found.push(Finding::about(
                exception.0,
                format!("no longer uses `{}`: remove the exception", exception.1),
            ));
        }
    }
    found
}

fn rank(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The paths from the crate's root that a file names, with their lines.
fn paths(file: &File) -> Vec<(usize, String)> {
    let code = &file.code;
    let mut found = Vec::new();
    for start in words_at(code, "crate::") {
        let line = line_of(code, start);
        let rest = &code[start + "crate::".len()..];
        if rest.starts_with('{') {
            found.extend(names_in_braces(rest).map(|name| (line, format!("crate::{name}"))));
        } else {
            found.push((line, format!("crate::{}", path_of(rest))));
        }
    }
    let depth = depth_of(&file.path);
    let up = "super::".repeat(depth);
    for start in words_at(code, &up) {
        let before = code[..start].ends_with("super::");
        let rest = &code[start + up.len()..];
        if !before && rank(name_of(rest)).is_some() {
            found.push((line_of(code, start), format!("crate::{}", path_of(rest))));
        }
    }
    found
}

/// How many `super` lead from a file of the engine to its root.
fn depth_of(path: &str) -> usize {
    let inner = path.trim_start_matches("engine/src/");
    inner.trim_end_matches("/mod.rs").split('/').count()
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].bytes().filter(|&byte| byte == b'\n').count() + 1
}

fn path_of(text: &str) -> &str {
    let len = text
        .bytes()
        .take_while(|&byte| byte == b':' || byte == b'_' || byte.is_ascii_alphanumeric())
        .count();
    text[..len].trim_end_matches(':')
}

/// The first names of the members of a `{...}`.
fn names_in_braces(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    let mut starts = Vec::new();
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => {
                depth += 1;
                if depth == 1 {
                    starts.push(at + 1);
                }
            }
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            b',' if depth == 1 => starts.push(at + 1),
            _ => {}
        }
    }
    starts
        .into_iter()
        .map(|start| path_of(text[start..].trim_start()))
        .filter(|name| !name.is_empty())
}

#[test]
fn ways_up_are_seen() {
    for (path, text) in [
        ("engine/src/io/ring.rs", "use crate::shard::Ended;"),
        (
            "engine/src/io/ring.rs",
            "fn f() { super::super::pack::x() }",
        ),
        ("engine/src/io/mod.rs", "use super::pack;"),
        ("engine/src/event.rs", "use super::limits::A;"),
        (
            "engine/src/pack/mod.rs",
            "use crate::{\n    io::X,\n    plugin::{Y, Z},\n};",
        ),
        (
            "engine/src/plugin/input.rs",
            "use crate::shard::intake::Fill;",
        ),
    ] {
        assert!(
            !modules(&Tree::of(&[(path, text)])).is_empty(),
            "{path}: {text}"
        );
    }
    for (path, text) in [
        (
            "engine/src/control/plan/tests.rs",
            "use super::super::plan;",
        ),
        (
            "engine/src/shard/mod.rs",
            "use crate::shard::run; use crate::pack;",
        ),
        ("engine/src/pack/mod.rs", "// crate::control::plan"),
    ] {
        assert!(
            modules(&Tree::of(&[(path, text)])).is_empty(),
            "{path}: {text}"
        );
    }
}
