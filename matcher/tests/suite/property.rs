//! Generated expressions on generated messages: the set against the plain evaluator.
//!
//! Owns:    generators whose words overlap, so that tests often hold.
//! Runs on: tests.            Plane: control.
//! Bounds:  a few hundred sets of up to 70 expressions.
//! Never:   generates what the parser refuses: every expression counts.

use matcher::{Consumer, Plain, Set};
use proptest::prelude::*;
use proptest::sample::select;

use crate::message::{Description, FieldDescription};
use crate::variants::variants;

const WORDS: [&str; 9] = [
    "",
    "a",
    "ab",
    "abc",
    "b",
    "TRUE",
    "FALSE",
    "é",
    "12345678901234567890",
];
const NUMBERS: [&str; 11] = [
    "0",
    "1",
    "2",
    "2.5",
    ".5",
    "7",
    "1e3",
    "4294967296",
    "1500000000000000000",
    "1500000000000001024",
    "1600000000000000000",
];
const PATTERNS: [&str; 30] = [
    "abc",
    "bcd|abc",
    "(?i)ABC",
    "ab+c",
    "45678",
    "z?abc$",
    "^(abc|a|b)$",
    "^a(b|c)",
    "(ab|b)$",
    "[^a]b.?",
    "[0-9]{4}",
    "^..$",
    "(a|ab)(c|bcd)?$",
    "^(?:[a-z]+|TRUE)$",
    "",
    "a",
    "^a",
    "b$",
    "^ab$",
    "^",
    "$",
    "a|b",
    "[a-b]+$",
    "(?i)A",
    "^.$",
    "\\\\w",
    "^[^a]*$",
    "TRUE",
    "\\\\bab\\\\b",
    "é",
];
const NAMES: [&str; 3] = ["f", "g", "long name"];

fn quoted() -> impl Strategy<Value = String> {
    (select(&WORDS[..]), any::<bool>()).prop_map(|(word, single)| {
        if single {
            format!("'{word}'")
        } else {
            format!("\"{word}\"")
        }
    })
}

fn relation() -> impl Strategy<Value = &'static str> {
    select(&["==", "!=", "<", "<=", ">", ">="][..])
}

fn pattern_test() -> impl Strategy<Value = String> {
    (select(&["=~", "!~"][..]), select(&PATTERNS[..]))
        .prop_map(|(relation, pattern)| format!("{relation} /{}/", pattern.replace("\\\\", "\\")))
}

fn uuid() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("00000000000000000000000000000000".to_owned()),
        "[0-9a-f]{32}",
        Just("0a".to_owned())
    ]
}

fn uuid_test() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        Just("00000000-0000-0000-0000-000000000000".to_owned()),
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        Just(String::new()),
        "[0-9a-f]{1,8}",
    ];
    (relation(), text).prop_map(|(relation, text)| format!("Uuid {relation} '{text}'"))
}

fn selector() -> impl Strategy<Value = String> {
    (select(&NAMES[..]), 0..3u8, 0..3u8).prop_map(|(name, index, array_index)| {
        match (index, array_index) {
            (0, 0) => format!("Fields[{name}]"),
            (_, 0) => format!("Fields[{name}][{index}]"),
            _ => format!("Fields[{name}][{index}][{array_index}]"),
        }
    })
}

fn test() -> impl Strategy<Value = String> {
    let text = || select(&["Type", "Logger", "Payload", "EnvVersion", "Hostname"][..]);
    prop_oneof![
        3 => (text(), relation(), quoted()).prop_map(|(variable, relation, word)| format!("{variable} {relation} {word}")),
        2 => (text(), pattern_test()).prop_map(|(variable, test)| format!("{variable} {test}")),
        1 => uuid_test(),
        1 => pattern_test().prop_map(|test| format!("Uuid {test}")),
        2 => (select(&["Severity", "Pid", "Timestamp"][..]), relation(), select(&NUMBERS[..]))
            .prop_map(|(variable, relation, number)| format!("{variable} {relation} {number}")),
        2 => (selector(), relation(), quoted()).prop_map(|(field, relation, word)| format!("{field} {relation} {word}")),
        2 => (selector(), relation(), select(&NUMBERS[..])).prop_map(|(field, relation, number)| format!("{field} {relation} {number}")),
        1 => (selector(), select(&["== TRUE", "== FALSE", "== NIL", "!= NIL"][..])).prop_map(|(field, rest)| format!("{field} {rest}")),
        2 => (selector(), pattern_test()).prop_map(|(field, test)| format!("{field} {test}")),
        1 => select(&["TRUE", "FALSE"][..]).prop_map(str::to_owned),
    ]
}

fn expression() -> impl Strategy<Value = String> {
    test().prop_recursive(5, 24, 4, |inner| {
        let joint = select(&[" && ", " || ", "&&"][..]);
        prop_oneof![
            inner.clone().prop_map(|inner| format!("({inner})")),
            (prop::collection::vec(inner.clone(), 2..4), joint)
                .prop_map(|(parts, joint)| parts.join(joint)),
            (
                prop::collection::vec(inner, 2..4),
                select(&[") && (", ") || ("][..])
            )
                .prop_map(|(parts, joint)| format!("({})", parts.join(joint))),
        ]
    })
}

fn words() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(select(&WORDS[..]).prop_map(str::to_owned), 0..4)
}

fn field() -> impl Strategy<Value = FieldDescription> {
    let numbers = select(&[0.0, 1.0, 2.5, -1.0, f64::NAN, f64::INFINITY, 4294967296.0][..]);
    let blobs = select(&["", "61", "ff", "6162", "54525545"][..]).prop_map(str::to_owned);
    let some = || 0..4usize;
    let values = prop_oneof![
        words().prop_map(|string| FieldDescription {
            string: Some(string),
            ..FieldDescription::default()
        }),
        prop::collection::vec(blobs, some()).prop_map(|bytes| FieldDescription {
            bytes: Some(bytes),
            ..FieldDescription::default()
        }),
        prop::collection::vec(-2i64..8, some()).prop_map(|integer| FieldDescription {
            integer: Some(integer),
            ..FieldDescription::default()
        }),
        prop::collection::vec(numbers, some()).prop_map(|double| FieldDescription {
            double: Some(double),
            ..FieldDescription::default()
        }),
        prop::collection::vec(any::<bool>(), some()).prop_map(|bool| FieldDescription {
            bool: Some(bool),
            ..FieldDescription::default()
        }),
    ];
    (select(&NAMES[..]), values).prop_map(|(name, values)| FieldDescription {
        name: name.to_owned(),
        ..values
    })
}

fn message() -> impl Strategy<Value = Description> {
    let word = || prop::option::of(select(&WORDS[..]).prop_map(str::to_owned));
    let texts = (word(), word(), word(), word(), word());
    let numbers = (
        prop::option::of(prop_oneof![
            -1i64..9,
            select(
                &[
                    1_500_000_000_000_000_000,
                    1_500_000_000_000_000_512,
                    1_550_000_000_000_000_000,
                    i64::MAX,
                ][..]
            ),
        ]),
        prop::option::of(0..9i32),
        prop::option::of(-1..9i32),
    );
    (
        prop::option::of(uuid()),
        texts,
        numbers,
        prop::collection::vec(field(), 0..6),
    )
        .prop_map(
            |(
                uuid,
                (r#type, logger, payload, env_version, hostname),
                (timestamp, severity, pid),
                fields,
            )| Description {
                uuid,
                r#type,
                logger,
                payload,
                env_version,
                hostname,
                timestamp,
                severity,
                pid,
                fields,
                ..Description::default()
            },
        )
}

/// Expressions as configurations have them: a few tests, most of them `&&`.
fn guarded() -> impl Strategy<Value = String> {
    let some = prop::collection::vec(test(), 1..4);
    (some, select(&[" && ", " && ", " && ", " || "][..]))
        .prop_map(|(tests, joint)| tests.join(joint))
}

/// Every variant of the set against the plain evaluator.
fn compare(expressions: &[String], messages: &[Description]) -> Result<(), TestCaseError> {
    let consumers: Vec<_> = expressions
        .iter()
        .map(|expression| Consumer {
            expression,
            signer: None,
        })
        .collect();
    let tables: Vec<_> = messages.iter().map(Description::table).collect();
    let oracles: Vec<_> = expressions
        .iter()
        .map(|expression| Plain::new(expression).expect("valid"))
        .collect();
    let expected: Vec<Vec<usize>> = tables
        .iter()
        .map(|table| {
            let accepting = oracles.iter().enumerate();
            accepting
                .filter(|(_, oracle)| oracle.matches(table.get(0)))
                .map(|(number, _)| number)
                .collect()
        })
        .collect();
    for options in variants() {
        let set = Set::build_with(&consumers, options).expect("generated expressions are valid");
        let (mut scratch, mut row) = (set.scratch(), set.row());
        for ((table, expected), description) in tables.iter().zip(&expected).zip(messages) {
            set.search(&mut scratch, table.get(0), None, &mut row);
            let found: Vec<_> = row.iter().collect();
            let differing: Vec<_> = (0..expressions.len())
                .filter(|number| found.contains(number) != expected.contains(number))
                .map(|number| &expressions[number])
                .collect();
            prop_assert_eq!(
                &found,
                expected,
                "{:?}: {:?} on {:?}",
                options,
                differing,
                description
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_set_answers_as_the_evaluator(
        expressions in prop::collection::vec(expression(), 1..70),
        messages in prop::collection::vec(message(), 1..12),
    ) {
        compare(&expressions, &messages)?;
    }

    #[test]
    fn many_short_expressions(
        expressions in prop::collection::vec(guarded(), 100..300),
        messages in prop::collection::vec(message(), 1..12),
    ) {
        compare(&expressions, &messages)?;
    }

    #[test]
    fn expressions_print_as_they_read(expression in expression()) {
        let oracle = Plain::new(&expression).expect("valid");
        let printed = oracle.expression().to_string();
        let again = Plain::new(&printed).expect("what is printed is valid");
        prop_assert_eq!(again.expression(), oracle.expression());
        prop_assert_eq!(again.expression().to_string(), printed, "printing is stable");
    }
}
