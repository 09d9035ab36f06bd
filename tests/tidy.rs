//! The code's own rules, as a test: arrows, headers, sizes, banned names and words, dead files, stale folder tables.
//!
//! Owns:    `RULES`, the list of rules, each with its reason and what to do instead.
//! Runs on: tests.            Plane: control.
//! Bounds:  reads every text file of the tree once.
//! Never:   calls another program, or changes a file.
//!
//! Each rule has a canary, a small tree that breaks it. A rule that does not find its canary fails, so that none can rot.

#[path = "tidy/arrows.rs"]
mod arrows;
#[path = "tidy/code.rs"]
mod code;
#[path = "tidy/form.rs"]
mod form;
#[path = "tidy/manifest.rs"]
mod manifest;
#[path = "tidy/places.rs"]
mod places;
#[path = "tidy/reach.rs"]
mod reach;
#[path = "tidy/tree.rs"]
mod tree;
#[path = "tidy/words.rs"]
mod words;

use std::fmt::Write;

use tree::{Finding, Tree};

/// One rule.
struct Rule {
    name: &'static str,
    why: &'static str,
    instead: &'static str,
    find: fn(&Tree) -> Vec<Finding>,
    /// Paths and texts of a tree that breaks the rule.
    canary: &'static [(&'static str, &'static str)],
}

/// Every rule.
const RULES: &[Rule] = &[
    arrows::CRATES,
    arrows::MODULES,
    manifest::INHERIT,
    manifest::PINNED,
    form::HEADER,
    form::FILE_LINES,
    form::FUNCTION_LINES,
    form::NO_ALLOW,
    form::EXPECT_REASON,
    words::OWNED,
    words::UNFINISHED,
    words::MACHINE_PATHS,
    words::NAMES,
    places::FOLDER_TABLE,
    places::LINKS,
    places::READING_ORDER,
    reach::DEAD_SOURCES,
    reach::EMPTY_FILES,
];

#[test]
fn the_tree_is_tidy() {
    let tree = Tree::read();
    assert!(
        tree.rust().count() > 50,
        "the tree was not found: {} files",
        tree.files.len()
    );
    let mut said = String::new();
    for rule in RULES {
        let found = (rule.find)(&tree);
        if found.is_empty() {
            continue;
        }
        let _ = writeln!(said, "\n{}", rule.name);
        for finding in &found {
            let _ = writeln!(said, "  {finding}");
        }
        let _ = writeln!(said, "  Why: {}\n  Instead: {}", rule.why, rule.instead);
    }
    assert!(said.is_empty(), "{said}");
}

#[test]
fn every_rule_finds_its_canary() {
    for rule in RULES {
        let tree = Tree::of(rule.canary);
        assert!(
            !(rule.find)(&tree).is_empty(),
            "the rule `{}` does not see a tree that breaks it",
            rule.name
        );
    }
}
