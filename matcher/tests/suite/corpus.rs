//! The corpus: every case against the plain evaluator and against the set.
//!
//! Owns:    reading `tests/corpus/*.toml`.
//! Runs on: tests.            Plane: control.
//! Bounds:  a few hundred cases.
//! Never:   skips a case: an unknown key or message is a failure.

use std::collections::HashMap;

use matcher::{Consumer, Expression, Plain, Set};
use serde::Deserialize;

use crate::message::Description;
use crate::variants::variants;

/// A file of accepted or refused messages.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answers {
    group: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    about: String,
    #[serde(default = "full")]
    message: String,
    expressions: Vec<String>,
}

fn full() -> String {
    "full".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Malformed {
    group: Vec<MalformedGroup>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MalformedGroup {
    about: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    expression: String,
    kind: String,
    column: usize,
    #[serde(default)]
    says: String,
}

const POSITIVE: &str = include_str!("../corpus/positive.toml");
const NEGATIVE: &str = include_str!("../corpus/negative.toml");
const MALFORMED: &str = include_str!("../corpus/malformed.toml");
const MESSAGES: &str = include_str!("../corpus/messages.toml");

/// Tries every expression of a file; what went wrong, one line each.
fn try_all(file: &str, expected: bool) -> (usize, Vec<String>) {
    let messages: HashMap<String, Description> =
        toml::from_str(MESSAGES).expect("readable messages");
    let answers: Answers = toml::from_str(file).expect("a readable corpus");
    let (mut tried, mut wrong) = (0, Vec::new());
    for group in &answers.group {
        let table = messages[&group.message].table();
        for text in &group.expressions {
            tried += 1;
            let mut complain = |what: &str| wrong.push(format!("{}: {text}: {what}", group.about));
            let plain = match Plain::new(text) {
                Ok(plain) => plain,
                Err(error) => {
                    complain(&error.to_string());
                    continue;
                }
            };
            if plain.matches(table.get(0)) != expected {
                complain("the plain evaluator disagrees");
            }
            let printed = plain.expression().to_string();
            match Expression::parse(&printed) {
                Ok(again) if again == *plain.expression() => {}
                _ => complain(&format!(
                    "printed as {printed}, which reads back differently"
                )),
            }
            let consumers = [text.trim_end(), &printed].map(|expression| Consumer {
                expression,
                signer: None,
            });
            for options in variants() {
                let set = Set::build_with(&consumers, options)
                    .expect("what the evaluator reads, the set reads");
                let mut row = set.row();
                set.search(&mut set.scratch(), table.get(0), None, &mut row);
                if row.len() != if expected { 2 } else { 0 } {
                    complain(&format!("the set disagrees with {options:?}"));
                }
            }
        }
    }
    (tried, wrong)
}

/// All expressions of the corpus as the consumers of one set, against every message of the corpus.
#[test]
fn all_cases_in_one_set() {
    let messages: HashMap<String, Description> =
        toml::from_str(MESSAGES).expect("readable messages");
    let groups = [POSITIVE, NEGATIVE].map(|file| {
        let answers: Answers = toml::from_str(file).expect("a readable corpus");
        answers.group
    });
    let texts: Vec<String> = groups
        .into_iter()
        .flatten()
        .flat_map(|group| group.expressions)
        .collect();
    let consumers: Vec<_> = texts
        .iter()
        .map(|expression| Consumer {
            expression,
            signer: None,
        })
        .collect();
    let oracles: Vec<_> = texts
        .iter()
        .map(|text| Plain::new(text).expect("a valid expression"))
        .collect();
    for options in variants() {
        let set = Set::build_with(&consumers, options).expect("valid expressions");
        let (mut scratch, mut row) = (set.scratch(), set.row());
        for (name, description) in &messages {
            let table = description.table();
            set.search(&mut scratch, table.get(0), None, &mut row);
            for (number, oracle) in oracles.iter().enumerate() {
                assert_eq!(
                    row.contains(number),
                    oracle.matches(table.get(0)),
                    "{} on {name} with {options:?}",
                    texts[number]
                );
            }
        }
    }
}

#[test]
fn positive_cases_accept() {
    let (tried, wrong) = try_all(POSITIVE, true);
    assert!(
        wrong.is_empty(),
        "{} of {tried}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(tried >= 150, "only {tried} cases read");
}

#[test]
fn negative_cases_do_not_accept() {
    let (tried, wrong) = try_all(NEGATIVE, false);
    assert!(
        wrong.is_empty(),
        "{} of {tried}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(tried >= 100, "only {tried} cases read");
}

#[test]
fn malformed_cases_are_refused_with_a_caret() {
    let malformed: Malformed = toml::from_str(MALFORMED).expect("a readable corpus");
    let (mut tried, mut wrong) = (0, Vec::new());
    for group in &malformed.group {
        for case in &group.cases {
            tried += 1;
            let consumer = Consumer {
                expression: &case.expression,
                signer: None,
            };
            let error = match Set::build(&[consumer]) {
                Ok(_) => {
                    wrong.push(format!("{}: {}: accepted", group.about, case.expression));
                    continue;
                }
                Err(mut errors) => errors.remove(0).1,
            };
            let plain = Plain::new(&case.expression)
                .expect_err("what the set refuses, the evaluator refuses");
            let text = error.to_string();
            let caret = text.lines().any(|line| line.contains('^'));
            let right = format!("{:?}", error.kind()) == case.kind
                && error.column() == case.column
                && caret;
            if !right
                || !text.contains(&case.says)
                || plain.kind() != error.kind()
                || plain.span() != error.span()
            {
                wrong.push(format!(
                    "{}: {}: expected {} at {}: {}, got {:?} at {}:\n{text}",
                    group.about,
                    case.expression,
                    case.kind,
                    case.column,
                    case.says,
                    error.kind(),
                    error.column()
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {tried}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(tried >= 100, "only {tried} cases read");
}
