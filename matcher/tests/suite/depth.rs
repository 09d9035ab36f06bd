//! Depth, length, pathological patterns and arbitrary text.
//!
//! Owns:    the claim that no expression overflows a stack, panics, or takes more than linear time.
//! Runs on: tests, on threads with a small stack.            Plane: control.
//! Bounds:  one mebibyte of expression.
//! Never:   measures time: what is not linear would not end.

use codecs::message::MessageTable;
use matcher::{Consumer, EXPRESSION_BYTES_MAX, ErrorKind, Expression, Plain, Set};
use proptest::prelude::*;

use crate::checks::read_or_refuse;
use crate::message::Description;

const STACK_BYTES: usize = 64 * 1024;

fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(work)
        .expect("a thread");
    thread.join().expect("no overflow and no panic");
}

fn message() -> MessageTable {
    Description {
        r#type: Some("x".to_owned()),
        payload: Some("a".repeat(5_000)),
        ..Description::default()
    }
    .table()
}

/// Whether evaluator and set accept `message()`; they must agree.
fn accepts(expression: &str) -> bool {
    let table = message();
    let plain = Plain::new(expression).expect("a valid expression");
    let consumer = Consumer {
        expression,
        signer: None,
    };
    let set = Set::build(&[consumer]).expect("a valid expression");
    let mut row = set.row();
    set.search(&mut set.scratch(), table.get(0), None, &mut row);
    assert_eq!(
        row.contains(0),
        plain.matches(table.get(0)),
        "{expression:.80}"
    );
    plain.matches(table.get(0))
}

#[test]
fn a_hundred_thousand_parentheses_parse() {
    on_a_small_stack(|| {
        let deep = format!("{}TRUE{}", "(".repeat(100_000), ")".repeat(100_000));
        assert!(accepts(&deep));
        assert_eq!(Expression::parse(&deep).expect("valid").to_string(), "TRUE");
    });
}

#[test]
fn unclosed_and_unopened_parentheses_are_errors_at_any_depth() {
    on_a_small_stack(|| {
        for text in [
            "(".repeat(100_000),
            format!("{}TRUE", "(".repeat(100_000)),
            format!("TRUE{}", ")".repeat(100_000)),
        ] {
            let error = Expression::parse(&text).expect_err("unbalanced");
            assert!(
                matches!(error.kind(), ErrorKind::Parenthesis | ErrorKind::Syntax),
                "{error}"
            );
            assert!(error.to_string().len() < 1000);
        }
    });
}

#[test]
fn deep_alternation_of_and_and_or_is_evaluated_and_printed() {
    on_a_small_stack(|| {
        let levels = 20_000;
        let open = "(Type == 'y' || Type == 'x' && ".repeat(levels);
        for (last, expected) in [("Type == 'x'", true), ("Type == 'z'", false)] {
            let deep = format!("{open}{last}{}", ")".repeat(levels));
            assert_eq!(accepts(&deep), expected);
            let expression = Expression::parse(&deep).expect("valid");
            let again =
                Expression::parse(&expression.to_string()).expect("it prints what it reads");
            assert!(again == expression);
        }
    });
}

#[test]
fn long_chains_stay_flat() {
    on_a_small_stack(|| {
        let any = vec!["Type == 'y'"; 50_000].join(" || ");
        assert!(!accepts(&any));
        assert!(accepts(&format!("{any} || Type == 'x'")));
        let all = vec!["Type == 'x'"; 50_000].join(" && ");
        assert!(accepts(&all));
        assert!(!accepts(&format!("{all} && Type == 'y'")));
    });
}

#[test]
fn an_expression_too_long_says_so() {
    let longest = format!("TRUE{}", " ".repeat(EXPRESSION_BYTES_MAX - 4));
    assert!(Expression::parse(&longest).is_ok());
    let error = Expression::parse(&format!("{longest} ")).expect_err("one byte too many");
    assert_eq!(error.kind(), ErrorKind::TooLong);
    assert!(error.message().contains(&EXPRESSION_BYTES_MAX.to_string()));
}

#[test]
fn deep_and_large_regular_expressions_say_so() {
    on_a_small_stack(|| {
        let deep = format!("Type =~ /{}a{}/", "(".repeat(100_000), ")".repeat(100_000));
        let error = Expression::parse(&deep).expect_err("too deep");
        assert_eq!(error.kind(), ErrorKind::Regex);
        assert!(error.message().contains("nest"), "{error}");
    });
    for source in [
        "((((a{100}){100}){100}){100})",
        "\\pL{1000}{1}",
        "(?i)(\\pL|\\pN){900}",
    ] {
        let expression = format!("Type =~ /{source}/");
        let error = Plain::new(&expression).expect_err("too large");
        assert!(
            matches!(error.kind(), ErrorKind::RegexSize | ErrorKind::Regex),
            "{error}"
        );
    }
}

#[test]
fn pathological_patterns_end() {
    // The payload is 5,000 times `a`: a backtracking engine would not live to see the end of these.
    for (pattern, expected) in [
        ("(a*)*b", false),
        ("(a+)+$", true),
        ("(a|aa)+b", false),
        ("(a|a?)+b$", false),
        ("(.*)(.*)(.*)(.*)(.*)b", false),
        ("^(([a-z])+.)+[A-Z]([a-z])+$", false),
        ("a{1,300}b", false),
        ("(?:a?){200}a{200}$", true),
    ] {
        assert_eq!(
            accepts(&format!("Payload =~ /{pattern}/")),
            expected,
            "{pattern}"
        );
    }
}

/// Pieces that expressions are made of, so that random sequences of them come close to the grammar.
const PIECES: [&str; 46] = [
    "Type",
    "Uuid",
    "Severity",
    "Fields[a]",
    "Fields[",
    "]",
    "[0]",
    "Fields",
    "TRUE",
    "FALSE",
    "NIL",
    "AND",
    "==",
    "!=",
    "<",
    ">=",
    "=~",
    "!~",
    "=",
    "&&",
    "||",
    "&",
    "(",
    ")",
    "'x'",
    "\"x\"",
    "'",
    "\"",
    "/x/",
    "/",
    "\\",
    "/(a|b)+/",
    "/[a/",
    "/\\pL{9}/",
    "1",
    "4.5e1",
    "1e",
    ".",
    "-",
    " ",
    "\t",
    "\n",
    "é",
    "\u{0}",
    "x",
    "_",
];

/// Pieces that regular expressions are made of.
const PATTERN_PIECES: [&str; 48] = [
    "a",
    "b",
    "é",
    "\u{ffff}",
    ".",
    "^",
    "$",
    "|",
    "(",
    ")",
    "(?:",
    "(?i)",
    "(?i:",
    "(?s-m:",
    "(?P<n>",
    "(?<m>",
    "(?",
    "*",
    "+",
    "?",
    "{2}",
    "{2,}",
    "{,3}",
    "{1,3}",
    "{",
    "}",
    "[",
    "]",
    "[^",
    "[a-c]",
    "[[:alpha:]]",
    "[:digit:]",
    "-",
    "&&",
    "~~",
    "--",
    "\\d",
    "\\W",
    "\\b",
    "\\B",
    "\\pL",
    "\\p{^Greek}",
    "\\Q",
    "\\E",
    "\\x{e9}",
    "\\101",
    "\\",
    ",",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_or_refuse(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn arbitrary_pieces_are_read_or_refused(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..20)) {
        read_or_refuse(&pieces.concat());
    }

    #[test]
    fn arbitrary_patterns_are_read_or_refused(pieces in prop::collection::vec(prop::sample::select(&PATTERN_PIECES[..]), 0..12)) {
        read_or_refuse(&format!("Payload =~ /{}/", pieces.concat()));
    }
}
