//! The form of sources: header, length, silenced lints.
//!
//! Owns:    the limits on lines, and the facts that a header states.
//! Runs on: tests.            Plane: control.
//! Bounds:  Rust sources.
//! Never:   judges what a header says.

use crate::Rule;
use crate::code::{functions, words_at};
use crate::tree::{Finding, Tree};

const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;

/// What a header states, in this order, behind a first line that says what the file is.
const FACTS: &[&str] = &["Owns:", "Runs on:", "Plane:", "Bounds:", "Never:"];

pub(crate) const HEADER: Rule = Rule {
    name: "Every source begins with the same five facts.",
    why: "a reader learns what a file owns, where it runs and what it never does before reading it.",
    instead: "begin with `//!`: what it is, then Owns, Runs on, Plane, Bounds, Never. codecs/src/message.rs shows the form.",
    find: header,
    canary: &[(
        "codecs/src/wire.rs",
        "//! Varints.\n//!\n//! Owns:    nothing.\n",
    )],
};

pub(crate) const FILE_LINES: Rule = Rule {
    name: "A source has at most 800 lines.",
    why: "a file that must be scrolled is two files.",
    instead: "split `x.rs` into `x.rs` and `x/`, by what the parts are.",
    find: file_lines,
    canary: &[("codecs/src/wire.rs", TOO_MANY_LINES)],
};

pub(crate) const FUNCTION_LINES: Rule = Rule {
    name: "A function has at most 70 lines.",
    why: "its whole shape fits a screen.",
    instead: "keep the branching in one function and move the steps into others.",
    find: function_lines,
    canary: &[("codecs/src/wire.rs", TOO_MANY_LINES)],
};

pub(crate) const NO_ALLOW: Rule = Rule {
    name: "No lint is silenced by `allow`.",
    why: "it stays when what it excused has gone.",
    instead: "do what the lint asks for, or `#[expect(lint, reason = \"...\")]`, which complains when it is no longer needed.",
    find: no_allow,
    canary: &[("codecs/src/wire.rs", "#[allow(dead_code)]\nfn f() {}\n")],
};

pub(crate) const EXPECT_REASON: Rule = Rule {
    name: "An expected lint has its reason.",
    why: "the next reader has to judge whether it still holds.",
    instead: "`#[expect(lint, reason = \"...\")]`.",
    find: expect_reason,
    canary: &[("codecs/src/wire.rs", "#[expect(dead_code)]\nfn f() {}\n")],
};

/// A function of 801 lines.
const TOO_MANY_LINES: &str = {
    const LINES: usize = FILE_LINES_MAX + 1;
    const BYTES: [u8; LINES + 10] = {
        let mut bytes = [b'\n'; LINES + 10];
        let (head, mut at) = (b"fn f() {", 0);
        while at < head.len() {
            bytes[at] = head[at];
            at += 1;
        }
        bytes[LINES + 8] = b'}';
        bytes
    };
    match std::str::from_utf8(&BYTES) {
        Ok(text) => text,
        Err(_) => panic!("ASCII is text"),
    }
};

fn header(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.rust() {
        let mut lines = file.text.lines();
        let first = lines.next().unwrap_or_default();
        if first
            .strip_prefix("//! ")
            .is_none_or(|said| said.trim().is_empty())
        {
            found.push(Finding::at(
                file,
                1,
                "the first line does not say what the file is",
            ));
            continue;
        }
        let head: String = lines
            .take_while(|line| line.starts_with("//!"))
            .map(|line| format!("{line}\n"))
            .collect();
        let mut rest = head.as_str();
        for fact in FACTS {
            match rest.find(fact) {
                Some(at) => rest = &rest[at + fact.len()..],
                None => {
                    found.push(Finding::at(
                        file,
                        1,
                        format!("`{fact}` is missing, or not in its place"),
                    ));
                    break;
                }
            }
        }
    }
    found
}

fn file_lines(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .map(|file| (file, file.text.lines().count()))
        .filter(|(_, lines)| *lines > FILE_LINES_MAX)
        .map(|(file, lines)| Finding::at(file, 0, format!("{lines} lines")))
        .collect()
}

fn function_lines(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.rust() {
        for function in functions(&file.code) {
            if function.lines > FUNCTION_LINES_MAX {
                let what = format!("`{}` has {} lines", function.name, function.lines);
                found.push(Finding::at(file, function.line, what));
            }
        }
    }
    found
}

fn no_allow(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.rust() {
        for (line, code) in file.code_lines() {
            let silenced = words_at(code, "allow(")
                .any(|at| !code[..at].ends_with(['.', ':']) && !code[..at].ends_with("fn "));
            if silenced {
                found.push(Finding::at(file, line, code.trim().to_owned()));
            }
        }
    }
    found
}

fn expect_reason(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.rust() {
        for opening in ["#[expect(", "#![expect("] {
            for (at, _) in file.code.match_indices(opening) {
                let end = file.code[at..]
                    .find(']')
                    .map_or(file.code.len(), |end| at + end);
                if words_at(&file.code[at..end], "reason").next().is_none() {
                    let line = file.code[..at].matches('\n').count() + 1;
                    found.push(Finding::at(file, line, "no reason"));
                }
            }
        }
    }
    found
}
