//! Sets of many consumers: rows, signers, constants, errors.
//!
//! Owns:    what the corpus cannot say because it tries one expression at a time.
//! Runs on: tests.            Plane: control.
//! Bounds:  a few hundred consumers.
//! Never:   looks inside a set.

use codecs::message::{Header, MessageTable, TableLimits};
use matcher::{Consumer, ErrorKind, Set};

use crate::message::Description;

fn message(of_type: &str) -> MessageTable {
    let description = Description {
        r#type: Some(of_type.to_owned()),
        payload: Some("some payload".to_owned()),
        ..Description::default()
    };
    description.table()
}

fn consumer(expression: &str) -> Consumer<'_> {
    Consumer {
        expression,
        signer: None,
    }
}

fn signed<'a>(expression: &'a str, signer: &'a str) -> Consumer<'a> {
    Consumer {
        expression,
        signer: Some(signer),
    }
}

/// The set's answer as consumer numbers, over a row that was full before.
fn search(set: &Set, table: &MessageTable, signer: Option<&str>) -> Vec<usize> {
    let mut row = set.row();
    (0..set.consumers()).for_each(|consumer| row.insert(consumer));
    let signer = signer.and_then(|name| set.signer_id(name));
    set.search(&mut set.scratch(), table.get(0), signer, &mut row);
    row.iter().collect()
}

#[test]
fn an_empty_set_answers_with_an_empty_row() {
    let set = Set::build(&[]).expect("nothing to be wrong");
    assert_eq!((set.consumers(), set.row().room()), (0, 0));
    assert!(search(&set, &message("a"), None).is_empty());
}

#[test]
fn rows_of_many_words() {
    let expressions: Vec<String> = (0..300)
        .map(|number| format!("Type == 't{}'", number % 100))
        .collect();
    let consumers: Vec<_> = expressions
        .iter()
        .map(|expression| consumer(expression))
        .collect();
    let set = Set::build(&consumers).expect("valid expressions");
    assert_eq!((set.consumers(), set.row().room()), (300, 320));
    assert_eq!(search(&set, &message("t63"), None), [63, 163, 263]);
    assert_eq!(search(&set, &message("t64"), None), [64, 164, 264]);
    assert!(search(&set, &message("t100"), None).is_empty());
}

#[test]
fn constants_need_no_run_but_keep_their_bits() {
    let set = Set::build(&[
        consumer("FALSE"),
        consumer("TRUE"),
        consumer("Type == 'a' && FALSE"),
        consumer("Type == 'a' || TRUE"),
        consumer("Type =~ //"),
        consumer("Uuid == 'no uuid'"),
    ])
    .expect("valid expressions");
    assert_eq!(search(&set, &message("b"), None), [1, 3, 4]);
}

#[test]
fn signers_guard_their_consumers() {
    let set = Set::build(&[
        signed("TRUE", "alice"),
        signed("Type == 'a'", "bob"),
        signed("Type == 'a'", ""),
        consumer("Type == 'a'"),
        signed("FALSE", "alice"),
        signed("TRUE || Type == 'a'", "bob"),
    ])
    .expect("valid expressions");
    let a = message("a");
    assert_eq!(search(&set, &a, None), [2, 3]);
    assert_eq!(search(&set, &a, Some("alice")), [0, 2, 3]);
    assert_eq!(search(&set, &a, Some("bob")), [1, 2, 3, 5]);
    assert_eq!(search(&set, &a, Some("eve")), [2, 3]);
    assert_eq!(search(&set, &message("b"), Some("bob")), [5]);
    assert!(set.signer_id("eve").is_none());
    assert!(set.signer_id("").is_none());
    assert_ne!(set.signer_id("alice"), set.signer_id("bob"));
}

#[test]
fn every_bad_expression_is_reported_at_once() {
    let errors = Set::build(&[
        consumer("TRUE"),
        consumer("Type = 'a'"),
        consumer("Type == 'a'"),
        consumer(""),
        consumer("Type =~ /(/"),
        consumer("Payload =~ /(.{900}){900}/"),
    ])
    .expect_err("four are wrong");
    let found: Vec<_> = errors
        .iter()
        .map(|(number, error)| (*number, error.kind()))
        .collect();
    let expected = [
        (1, ErrorKind::Character),
        (3, ErrorKind::Empty),
        (4, ErrorKind::Regex),
        (5, ErrorKind::RegexSize),
    ];
    assert_eq!(found, expected);
}

#[test]
fn one_scratch_serves_message_after_message() {
    let set = Set::build(&[
        consumer("Payload =~ /(some|any) (pay)?load/"),
        consumer("Type =~ /^[a-c]+x?$/"),
    ])
    .expect("valid");
    let mut scratch = set.scratch();
    let mut row = set.row();
    for (of_type, expected) in [
        ("abc", vec![0, 1]),
        ("d", vec![0]),
        ("cx", vec![0, 1]),
        ("cxx", vec![0]),
    ] {
        let table = message(of_type);
        set.search(&mut scratch, table.get(0), None, &mut row);
        assert_eq!(row.iter().collect::<Vec<_>>(), expected, "{of_type}");
    }
}

#[test]
#[should_panic(expected = "another set")]
fn a_foreign_scratch_is_refused() {
    let [one, other] = [(); 2].map(|()| Set::build(&[consumer("TRUE")]).expect("valid"));
    one.search(
        &mut other.scratch(),
        message("a").get(0),
        None,
        &mut one.row(),
    );
}

#[test]
fn sets_are_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&Set::build(&[consumer("Payload =~ /a+b/")]).expect("valid"));
}

#[test]
fn an_error_shows_line_caret_and_help() {
    let errors =
        Set::build(&[consumer("Type == 'A' AND Severity == 6")]).expect_err("AND is no operator");
    let expected = "unknown word `AND`
  |
1 | Type == 'A' AND Severity == 6
  |             ^^^
  = help: write `&&` for and";
    assert_eq!(errors[0].1.to_string(), expected);
    assert_eq!(errors[0].1.span(), 12..15);
    assert_eq!(errors[0].1.message(), "unknown word `AND`");
    assert_eq!(errors[0].1.suggestion(), Some("write `&&` for and"));
}

#[test]
fn a_long_line_is_shown_around_its_error() {
    let long = format!(
        "{} & TRUE{}",
        vec!["Type == 'x'"; 50].join(" || "),
        " && TRUE".repeat(50)
    );
    let errors = Set::build(&[consumer(&long)]).expect_err("& is no operator");
    let text = errors[0].1.to_string();
    let lines: Vec<&str> = text.lines().collect();
    let caret = lines[3].find('^').expect("a caret");
    assert_eq!(&lines[2][caret..caret + 6], "& TRUE");
    assert!(lines[2].len() < 120, "{} characters", lines[2].len());
    assert_eq!(
        errors[0].1.column(),
        long.find(" & ").expect("it is there") + 2
    );
}

#[test]
fn the_errors_in_the_readme_are_the_real_ones() {
    let readme = include_str!("../../README.md");
    let (_, section) = readme.split_once("## Errors").expect("the section");
    let mut shown = 0;
    for block in section.split("```text\n").skip(1) {
        let (block, _) = block.split_once("\n```").expect("a closed block");
        let line = block.lines().find_map(|line| line.strip_prefix("1 | "));
        let errors = Set::build(&[consumer(line.expect("the expression"))]).expect_err("an error");
        assert_eq!(errors[0].1.to_string(), block);
        shown += 1;
    }
    assert_eq!(shown, 4);
}

/// What would take minutes or gigabytes where something grows with the square of an expression.
#[test]
fn large_expressions_are_compiled() {
    let mut deep = "Type == 'a'".to_owned();
    for number in 0..2000 {
        deep = format!("(({deep} || Type == 'x{number}') && Logger != 'y')");
    }
    let wide: Vec<String> = (0..10_000)
        .map(|number| format!("Type == 't{number}'"))
        .collect();
    let wide = format!("({}) && Payload =~ /q+k[0-9]z/", wide.join(" || "));
    let variants: Vec<String> = (0..4)
        .flat_map(|number| {
            [
                format!("{deep} && Pid == {number}"),
                format!("{wide} && Pid == {number}"),
            ]
        })
        .collect();
    let consumers: Vec<_> = variants.iter().map(|text| consumer(text)).collect();
    let set = Set::build(&consumers).expect("valid expressions");
    let description = Description {
        r#type: Some("x77".to_owned()),
        pid: Some(2),
        ..Description::default()
    };
    assert_eq!(search(&set, &description.table(), None), [4]);
}

/// A field that is false satisfies every test against text, so that all consumers behind it have to be looked at: by what else they ask.
#[test]
fn a_false_field_leads_to_what_else_is_asked() {
    let expressions: Vec<String> = (0..300)
        .map(|number| {
            format!("Fields[app] == 'app{number}' && Payload =~ /id{number:03}=[0-9]+ q/")
        })
        .collect();
    let consumers: Vec<_> = expressions.iter().map(|text| consumer(text)).collect();
    let set = Set::build(&consumers).expect("valid expressions");
    let description = Description {
        payload: Some("id123=5 q and id200=6 r".to_owned()),
        fields: vec![crate::message::FieldDescription {
            name: "app".to_owned(),
            bool: Some(vec![false]),
            ..crate::message::FieldDescription::default()
        }],
        ..Description::default()
    };
    assert_eq!(search(&set, &description.table(), None), [123]);
}

/// Four messages of one type, the last two with another severity, and one of another type: of lines, as an input makes them.
fn lines() -> MessageTable {
    let mut table = MessageTable::new(TableLimits {
        received_bytes: 0,
        arena_bytes: 256,
        messages: 5,
        fields: 0,
    });
    let types = [b"a", b"b"].map(|text| table.store(text).expect("room"));
    for number in 0..5_u8 {
        let mut draft = table.begin().expect("room");
        let of_type = types[usize::from(number == 4)];
        draft.set(Header::Type, of_type).expect("room");
        draft.set(Header::Uuid, &[number; 16][..]).expect("room");
        let payload = [b"x", b"y"][usize::from(number % 2)];
        draft.set(Header::Payload, &payload[..]).expect("room");
        draft.set_severity(if number < 2 { 6 } else { 3 });
        draft.set_pid(7);
    }
    table
}

#[test]
fn an_answer_repeats_while_what_is_looked_at_does() {
    let table = lines();
    for (expression, first, repeats) in [
        ("TRUE", 0, 5),
        ("TRUE", 3, 2),
        ("Type == 'a'", 0, 4),
        ("Type == 'a'", 4, 1),
        ("Type == 'a' && Severity < 5", 0, 2),
        ("Severity < 5", 2, 3),
        ("Pid == 7 || Hostname == 'h'", 0, 5),
        ("Payload == 'x'", 0, 1),
        ("Payload =~ /x/ || Type == 'a'", 2, 1),
        ("Fields[name] == NIL", 0, 1),
        ("Timestamp > 5", 0, 1),
        ("Uuid == ''", 0, 1),
    ] {
        let set = Set::build(&[consumer(expression)]).expect("a right expression");
        assert_eq!(
            set.looks().repeats(&table, first),
            repeats,
            "{expression} from {first} on"
        );
        let mut scratch = set.scratch();
        let mut row = set.row();
        let mut answer = |index| {
            set.search(&mut scratch, table.get(index), None, &mut row);
            row.contains(0)
        };
        for index in first..first + repeats {
            assert_eq!(answer(index), answer(first), "{expression} of {index}");
        }
    }
}
