//! Manifests: what they depend on, and what they share.
//!
//! Owns:    reading of `Cargo.toml` for other rules, and the rules of its form.
//! Runs on: tests.            Plane: control.
//! Bounds:  one table a manifest.
//! Never:   asks cargo.

use toml::{Table, Value};

use crate::Rule;
use crate::tree::{File, Finding, Tree};

pub(crate) const INHERIT: Rule = Rule {
    name: "Every crate takes versions, lints and package facts from the workspace.",
    why: "two versions of one crate, or a crate with weaker lints, come in unseen.",
    instead: "`name.workspace = true`, with the version in the root's `[workspace.dependencies]`; `[lints] workspace = true`.",
    find: inherit,
    canary: &[(
        "codecs/Cargo.toml",
        "[package]\nname = \"codecs\"\n[lints]\nworkspace = true\n[dependencies]\nmemchr = \"2\"\n",
    )],
};

pub(crate) const PINNED: Rule = Rule {
    name: "The root lists its members and what they may depend on, and nothing else.",
    why: "the list of dependencies is a decision of its own (docs/adr/0002-dependencies.md).",
    instead: "list each folder with a manifest in `members`; take crates from the registry, by version.",
    find: pinned,
    canary: &[(
        "Cargo.toml",
        "[workspace]\nmembers = []\n[workspace.dependencies]\nmemchr = { git = \"x\" }\n",
    )],
};

/// One dependency as a manifest states it.
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) inherited: bool,
    /// Of tests only.
    pub(crate) dev: bool,
}

/// The manifests of crates in the root's folders.
pub(crate) fn members(tree: &Tree) -> Vec<(&File, Table)> {
    tree.files
        .iter()
        .filter(|file| file.path.ends_with("/Cargo.toml") && file.path.matches('/').count() == 1)
        .map(|file| (file, parse(file)))
        .collect()
}

pub(crate) fn parse(file: &File) -> Table {
    file.text
        .parse()
        .unwrap_or_else(|error| panic!("{}: {error}", file.path))
}

/// The dependencies of every kind and target.
pub(crate) fn dependencies(table: &Table) -> Vec<Dependency> {
    let mut found = Vec::new();
    for (key, value) in table {
        let Value::Table(inner) = value else { continue };
        if key.ends_with("dependencies") {
            found.extend(inner.iter().map(|(name, spec)| Dependency {
                name: name.clone(),
                dev: key.starts_with("dev"),
                inherited: spec.get("workspace") == Some(&Value::Boolean(true)),
            }));
        } else if key == "target" {
            for target in inner.values().filter_map(Value::as_table) {
                found.extend(dependencies(target));
            }
        }
    }
    found
}

fn inherit(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, table) in members(tree) {
        for used in dependencies(&table).iter().filter(|used| !used.inherited) {
            found.push(Finding::at(
                file,
                0,
                format!("`{}` is not taken from the workspace", used.name),
            ));
        }
        let lints = table.get("lints").and_then(|lints| lints.get("workspace"));
        if lints != Some(&Value::Boolean(true)) {
            found.push(Finding::at(
                file,
                0,
                "`[lints] workspace = true` is missing",
            ));
        }
        let package = table.get("package");
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            let value = package.and_then(|package| package.get(key));
            if value.and_then(|value| value.get("workspace")) != Some(&Value::Boolean(true)) {
                found.push(Finding::at(
                    file,
                    0,
                    format!("`{key}.workspace = true` is missing"),
                ));
            }
        }
    }
    found
}

fn pinned(tree: &Tree) -> Vec<Finding> {
    let Some(file) = tree.get("Cargo.toml") else {
        return Vec::new();
    };
    let root = parse(file);
    let mut found = Vec::new();
    let workspace = root
        .get("workspace")
        .and_then(Value::as_table)
        .expect("a workspace");
    let listed: Vec<&str> = workspace
        .get("members")
        .and_then(Value::as_array)
        .map(|members| members.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let members = members(tree);
    for (member, _) in &members {
        if !listed.contains(&member.folder()) {
            found.push(Finding::at(
                member,
                0,
                "is not among the members of the workspace",
            ));
        }
    }
    let declared = workspace.get("dependencies").and_then(Value::as_table);
    for (name, spec) in declared.into_iter().flatten() {
        let versioned = spec.is_str() || spec.get("version").is_some();
        let member = spec.get("path").and_then(Value::as_str) == Some(name);
        if spec.get("git").is_some() || !(versioned || member) {
            found.push(Finding::at(
                file,
                0,
                format!("`{name}` is neither a member nor a version of the registry"),
            ));
        }
    }
    found
}
