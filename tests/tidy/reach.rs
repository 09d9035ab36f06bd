//! Files that nothing reaches.
//!
//! Owns:    the walk from each crate's roots along `mod`.
//! Runs on: tests.            Plane: control.
//! Bounds:  one visit a file.
//! Never:   counts a mention in a comment.

use std::collections::BTreeSet;

use toml::Value;

use crate::code::{name_of, words_at};
use crate::tree::{File, Finding, Tree};
use crate::{Rule, manifest};

pub(crate) const DEAD_SOURCES: Rule = Rule {
    name: "Every source is compiled.",
    why: "a file that no `mod` reaches looks alive, and is neither built nor tested.",
    instead: "declare it, or delete it.",
    find: dead_sources,
    canary: &[
        ("codecs/Cargo.toml", "[package]\nname = \"codecs\"\n"),
        ("codecs/src/lib.rs", "mod wire;\n"),
        ("codecs/src/wire.rs", ""),
        ("codecs/src/old.rs", ""),
    ],
};

pub(crate) const EMPTY_FILES: Rule = Rule {
    name: "No file is empty.",
    why: "it says nothing, and somebody will wonder why it is there.",
    instead: "delete it. Only a fuzzer's corpus may hold the empty input.",
    find: empty_files,
    canary: &[("docs/notes.md", "")],
};

fn dead_sources(tree: &Tree) -> Vec<Finding> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<(String, bool)> = Vec::new();
    for file in tree
        .files
        .iter()
        .filter(|file| file.path.ends_with("Cargo.toml"))
    {
        next.extend(roots(tree, file).into_iter().map(|path| (path, true)));
    }
    while let Some((path, is_root)) = next.pop() {
        let Some(file) = tree.get(&path) else {
            continue;
        };
        if reached.insert(path) {
            next.extend(
                declared(tree, file, is_root)
                    .into_iter()
                    .map(|path| (path, false)),
            );
        }
    }
    tree.rust()
        .filter(|file| !reached.contains(&file.path))
        .map(|file| Finding::at(file, 0, "no `mod` leads here"))
        .collect()
}

fn empty_files(tree: &Tree) -> Vec<Finding> {
    tree.files
        .iter()
        .filter(|file| file.empty && !file.folder().contains("/corpus/"))
        .map(|file| Finding::at(file, 0, "no bytes"))
        .collect()
}

/// The sources that cargo compiles by itself for a manifest.
fn roots(tree: &Tree, manifest: &File) -> Vec<String> {
    let folder = manifest.folder();
    let at = |path: &str| match folder {
        "" => path.to_owned(),
        folder => format!("{folder}/{path}"),
    };
    let table = manifest::parse(manifest);
    let mut found = vec![at("src/lib.rs"), at("src/main.rs"), at("build.rs")];
    for kind in ["lib", "bin", "test", "bench", "example"] {
        let targets = match table.get(kind) {
            Some(Value::Array(targets)) => targets.iter().collect(),
            Some(target) => vec![target],
            None => Vec::new(),
        };
        let paths = targets
            .into_iter()
            .filter_map(|target| target.get("path")?.as_str());
        found.extend(paths.map(at));
    }
    let package = table.get("package");
    for (kind, automatic) in [
        ("tests", "autotests"),
        ("benches", "autobenches"),
        ("examples", "autoexamples"),
        ("src/bin", "autobins"),
    ] {
        let off =
            package.and_then(|package| package.get(automatic)) == Some(&Value::Boolean(false));
        if package.is_none() || off {
            continue;
        }
        let folder = at(kind);
        let alone = tree.rust().filter(|file| file.folder() == folder);
        let main = tree.rust().filter(|file| {
            let inner = file.folder().rsplit_once('/').map(|(outer, _)| outer);
            inner == Some(folder.as_str()) && file.path.ends_with("/main.rs")
        });
        found.extend(alone.chain(main).map(|file| file.path.clone()));
    }
    found
}

/// The files that a source declares as modules, or includes.
fn declared(tree: &Tree, file: &File, is_root: bool) -> Vec<String> {
    let folder = file.folder();
    let inner = if is_root || file.stem() == "mod" {
        folder.to_owned()
    } else {
        format!("{folder}/{}", file.stem())
    };
    let lines: Vec<&str> = file.text.lines().collect();
    let mut found = Vec::new();
    for (line, code) in file.code_lines() {
        for at in words_at(code, "mod") {
            let rest = code[at + 3..].trim_start();
            let name = name_of(rest);
            if name.is_empty() || !rest[name.len()..].trim_start().starts_with(';') {
                continue;
            }
            match named_path(&lines[..line - 1]) {
                Some(path) => found.push(joined(folder, path)),
                None => found.extend([
                    format!("{inner}/{name}.rs"),
                    format!("{inner}/{name}/mod.rs"),
                ]),
            }
        }
    }
    found.retain(|path| tree.get(path).is_some());
    found
}

/// A path that starts in a folder.
fn joined(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').collect();
    for part in path.split('/') {
        match part {
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// What a `#[path]` among the attributes at the end of these lines names.
fn named_path<'a>(lines: &[&'a str]) -> Option<&'a str> {
    lines
        .iter()
        .rev()
        .take_while(|line| line.trim_start().starts_with('#'))
        .find_map(|line| line.trim().strip_prefix("#[path = \"")?.strip_suffix("\"]"))
}
