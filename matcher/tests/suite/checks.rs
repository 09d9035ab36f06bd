//! What must hold for any text at all: the body of the fuzz target `expressions`.
//!
//! Owns:    the check, and the messages that it tries.
//! Runs on: the fuzz target, the replay of its corpus, and property tests.            Plane: control.
//! Bounds:  the input.
//! Never:   accepts a set that answers otherwise than the plain evaluator.

use codecs::message::{Header, MessageTable, NewValue, TableLimits};
use matcher::{Consumer, Expression, Plain, Set};

use crate::variants::variants;

/// Each line is an expression that is read or refused; those that are read are one set.
pub fn expressions(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut right = Vec::new();
    for line in text.split('\n') {
        read_or_refuse(line);
        // Some patterns are too large to be compiled; the set refuses them, too.
        if let Ok(plain) = Plain::new(line) {
            right.push((line, plain));
        }
    }
    answer_alike(&right);
}

/// What parses prints as something that parses to the same; what does not has an error inside the text.
pub fn read_or_refuse(text: &str) {
    match Expression::parse(text) {
        Ok(expression) => {
            let printed = expression.to_string();
            let again = Expression::parse(&printed).ok();
            assert_eq!(again, Some(expression), "{text} printed as {printed}");
        }
        Err(error) => {
            let span = error.span();
            assert!(
                span.start <= span.end && span.end <= text.len(),
                "{error:?}"
            );
            assert!(text.get(span).is_some(), "{error:?}");
            assert!(error.to_string().contains('^'));
        }
    }
}

fn answer_alike(expressions: &[(&str, Plain)]) {
    let consumers: Vec<_> = expressions
        .iter()
        .map(|(expression, _)| Consumer {
            expression,
            signer: None,
        })
        .collect();
    let messages = messages();
    for options in variants() {
        let Ok(set) = Set::build_with(&consumers, options) else {
            return;
        };
        let (mut scratch, mut row) = (set.scratch(), set.row());
        for message in messages.iter() {
            set.search(&mut scratch, message, None, &mut row);
            for (number, (expression, plain)) in expressions.iter().enumerate() {
                assert_eq!(
                    row.contains(number),
                    plain.matches(message),
                    "{expression} with {options:?}"
                );
            }
        }
    }
}

/// A few messages with values that expressions like to name.
fn messages() -> MessageTable {
    let mut table = MessageTable::new(TableLimits {
        received_bytes: 0,
        arena_bytes: 8 * 1024,
        messages: 8,
        fields: 64,
    });
    for number in 0..6 {
        let mut draft = table.begin().expect("room for six");
        let texts = [
            "",
            "a",
            "TRUE",
            "nginx.access",
            "x error y",
            "\u{e9}\u{17f}K",
        ];
        let text = texts[number];
        let mut fill = || {
            if number % 2 == 0 {
                draft.set(Header::Uuid, &[number as u8; 16][..])?;
            }
            draft.set(Header::Type, text)?;
            draft.set(Header::Payload, texts[(number + 1) % texts.len()])?;
            draft.set_severity(number as i32);
            draft.set_pid(number as i32 * 100 - 1);
            draft.set_timestamp(number as i64 * 1_000_000_007);
            draft.add_field("a", NewValue::String(text.into()), None)?;
            draft.add_field("a", NewValue::Bool(number % 2 == 0), None)?;
            draft.add_field("b", NewValue::Bytes(b"\xff a \x00"[..].into()), None)?;
            draft.add_field("n", NewValue::Integer(number as i64 - 2), None)?;
            let doubles = [0.0, -0.0, 2.5, f64::NAN, f64::INFINITY, -1.0];
            draft.add_field("d", NewValue::Double(doubles[number]), None)
        };
        fill().expect("room for small messages");
    }
    table
}

/// Replays the corpus of the fuzz target.
#[cfg(test)]
#[test]
fn the_corpus_holds() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/expressions");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    assert!(files.len() >= 10, "only {} files", files.len());
    for file in files {
        let input = std::fs::read(&file).expect("a readable file");
        println!("{}", file.display());
        expressions(&input);
    }
}
