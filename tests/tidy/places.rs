//! Prose that names files and folders: it names what is there.
//!
//! Owns:    the rules about the README's folder table, links, and the reading order.
//! Runs on: tests.            Plane: control.
//! Bounds:  Markdown files.
//! Never:   follows a link to another host.

use crate::Rule;
use crate::tree::{File, Finding, Tree};

/// Decisions are history, and may name what has gone.
const HISTORY: &str = "docs/adr/";

pub(crate) const FOLDER_TABLE: Rule = Rule {
    name: "The README's table has every folder, and only these.",
    why: "a table that is kept by hand rots.",
    instead: "add or remove the row.",
    find: folder_table,
    canary: &[
        (
            "README.md",
            "| folder | owns |\n| --- | --- |\n| `codecs` | x |\n",
        ),
        ("engine/x", "x"),
    ],
};

pub(crate) const LINKS: Rule = Rule {
    name: "What documentation names exists.",
    why: "a reader who follows a dead path trusts none of the others.",
    instead: "correct the path. It may start at the root of the project or at the document's folder.",
    find: links,
    canary: &[("docs/README.md", "[Testing](TESTING.md)\n")],
};

pub(crate) const READING_ORDER: Rule = Rule {
    name: "Every page is in the reading order.",
    why: "what is not linked from docs/README.md is not found.",
    instead: "link it there, in its place.",
    find: reading_order,
    canary: &[("docs/README.md", "x\n"), ("docs/operating.md", "x\n")],
};

fn folder_table(tree: &Tree) -> Vec<Finding> {
    let Some(readme) = tree.get("README.md") else {
        return vec![Finding::about("README.md", "is missing")];
    };
    let rows: Vec<(usize, &str)> = readme
        .text_lines()
        .skip_while(|(_, line)| !line.starts_with("| folder |"))
        .skip(2)
        .take_while(|(_, line)| line.starts_with('|'))
        .filter_map(|(at, line)| Some((at, line.split('`').nth(1)?)))
        .collect();
    let folders = tree.top_folders();
    let stale = rows
        .iter()
        .filter(|(_, row)| !folders.contains(row))
        .map(|(at, row)| Finding::at(readme, *at, format!("`{row}` is not a folder")));
    let missing = folders
        .iter()
        .filter(|folder| !rows.iter().any(|(_, row)| row == *folder))
        .map(|folder| Finding::at(readme, 0, format!("`{folder}` is not in the table")));
    stale.chain(missing).collect()
}

fn links(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    let tops = tree.top_folders();
    let pages = tree
        .files
        .iter()
        .filter(|file| file.path.ends_with(".md") && !file.path.starts_with(HISTORY));
    for file in pages {
        for (at, line) in file.text_lines() {
            let named = line
                .split("](")
                .skip(1)
                .filter_map(|rest| rest.split_once(')'))
                .map(|(link, _)| link.split('#').next().unwrap_or_default())
                .filter(|link| {
                    !link.is_empty() && !link.contains("://") && !link.starts_with("mailto:")
                });
            let quoted = line
                .split('`')
                .skip(1)
                .step_by(2)
                .filter(|quoted| {
                    quoted
                        .split_once('/')
                        .is_some_and(|(top, _)| tops.contains(top))
                })
                .filter(|quoted| !quoted.contains(['*', '<', '{', ' ', ':']));
            for path in named.chain(quoted).filter(|path| !stands(tree, file, path)) {
                found.push(Finding::at(file, at, format!("`{path}` is not there")));
            }
        }
    }
    found
}

fn stands(tree: &Tree, from: &File, path: &str) -> bool {
    let mut parts: Vec<&str> = from
        .folder()
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    tree.has(&parts.join("/")) || tree.has(path)
}

fn reading_order(tree: &Tree) -> Vec<Finding> {
    let Some(order) = tree.get("docs/README.md") else {
        return vec![Finding::about("docs/README.md", "is missing")];
    };
    tree.files
        .iter()
        .filter(|file| file.path.ends_with(".md") && matches!(file.folder(), "docs" | "docs/specs"))
        .filter(|file| file.path != order.path)
        .filter(|file| {
            !order
                .text
                .contains(&format!("({})", &file.path["docs/".len()..]))
        })
        .map(|file| Finding::at(file, 0, "is not linked from docs/README.md"))
        .collect()
}
