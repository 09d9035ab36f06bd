//! What sets say to people: normal forms, remarks, trees, reasons; and what named groups capture.
//!
//! Owns:    the texts that users see.
//! Runs on: tests.            Plane: control.
//! Bounds:  a few consumers.
//! Never:   looks inside a set.

use matcher::{Capturing, Consumer, Set};

use crate::message::{Description, FieldDescription};

fn set(expressions: &[&str]) -> Set {
    let consumers: Vec<_> = expressions
        .iter()
        .map(|expression| Consumer {
            expression,
            signer: None,
        })
        .collect();
    Set::build(&consumers).expect("valid expressions")
}

fn message() -> Description {
    Description {
        r#type: Some("nginx.access".to_owned()),
        payload: Some("GET /a?user=bob HTTP/1.1".to_owned()),
        severity: Some(3),
        fields: vec![FieldDescription {
            name: "status".to_owned(),
            integer: Some(vec![502]),
            ..FieldDescription::default()
        }],
        ..Description::default()
    }
}

#[test]
fn normal_forms() {
    let cases = [
        (
            "Type == 'a' && Severity < 4",
            "Severity < 4 && Type == \"a\"",
        ),
        ("(Type == 'a' && TRUE) || FALSE", "Type == \"a\""),
        (
            "Type == 'b' && (Severity < 4 && Type == 'b')",
            "Severity < 4 && Type == \"b\"",
        ),
        ("Type =~ /^(a|b)$/", "Type == \"a\" || Type == \"b\""),
        ("Type !~ /^abc/", "Type !~ /^abc/"),
        ("Payload =~ /error|timeout/", "Payload =~ /error|timeout/"),
        ("Severity < 4 && Severity < 6", "Severity < 4"),
        ("Severity < 4 || Severity < 6", "Severity < 6"),
        ("Type == 'a' && Type =~ /^b/", "FALSE"),
        ("Severity > 3 && Severity < 4", "FALSE"),
        ("Pid >= 0 || Pid < 5", "TRUE"),
        (
            "Timestamp > 1500000000000000000 && Timestamp < 1600000000000000000",
            "Timestamp > 1500000000000000000 && Timestamp < 1600000000000000000",
        ),
        ("Type != 'a' || Type != 'b'", "TRUE"),
        // A BOOL that is false satisfies both: no contradiction.
        (
            "Fields[x] == 'a' && Fields[x] == 'b'",
            "Fields[x] == \"a\" && Fields[x] == \"b\"",
        ),
        ("Fields[x] == NIL && Fields[x] == 'b'", "FALSE"),
        ("Fields[x] == NIL || Fields[x] != NIL", "TRUE"),
        ("Uuid == 'no uuid'", "FALSE"),
        (
            "(Type == 'a' || Type == 'b') && Logger == 'l'",
            "Logger == \"l\" && (Type == \"a\" || Type == \"b\")",
        ),
    ];
    for (written, expected) in cases {
        assert_eq!(set(&[written]).normal_form(0), expected, "{written}");
    }
}

#[test]
fn remarks_name_what_makes_no_difference() {
    let cases: [(&str, &[(&str, &str)]); 6] = [
        (
            "Type == 'a' && Type == 'b'",
            &[("Type == 'a' && Type == 'b'", "no message can match")],
        ),
        (
            "Type == 'a' || Type != 'a'",
            &[("Type == 'a' || Type != 'a'", "every message matches")],
        ),
        (
            "Severity < 4 && Severity < 6",
            &[("Severity < 6", "beside `Severity < 4`")],
        ),
        (
            "Logger == 'l' || Severity < 2 && Severity > 5",
            &[("Severity < 2 && Severity > 5", "never hold together")],
        ),
        ("TRUE", &[]),
        ("Type == 'a' && Severity < 4", &[]),
    ];
    for (written, expected) in cases {
        let set = set(&[written]);
        let found: Vec<_> = set
            .remarks()
            .iter()
            .map(|(_, remark)| (&written[remark.span.clone()], remark.message.as_str()))
            .collect();
        assert_eq!(found.len(), expected.len(), "{written}: {found:?}");
        for ((span, message), (expected_span, says)) in found.iter().zip(expected) {
            assert_eq!(span, expected_span, "{written}");
            assert!(message.contains(says), "{written}: {message}");
        }
    }
}

#[test]
fn a_reason_names_the_tests_that_decided() {
    let set = set(&[
        "Type == 'nginx.access' && Severity < 4 && Fields[status] >= 500",
        "Type == 'nginx.access' && Severity > 4",
        "Type == 'x' || Logger == 'y'",
        "Type == 'nginx.access' || Logger == 'y'",
    ]);
    let table = message().table();
    let mut scratch = set.scratch();
    let mut why = |consumer| {
        let why = set.why(&mut scratch, table.get(0), None, consumer);
        let decided: Vec<String> = why
            .decided
            .iter()
            .map(|one| format!("{}: {}", one.test, one.holds))
            .collect();
        (why.accepts, decided.join(", "))
    };
    let accepts = |text: &str| (true, text.to_owned());
    let refuses = |text: &str| (false, text.to_owned());
    assert_eq!(
        why(0),
        accepts("Severity < 4: true, Type == \"nginx.access\": true, Fields[status] >= 500: true")
    );
    assert_eq!(why(1), refuses("Severity > 4: false"));
    assert_eq!(
        why(2),
        refuses("Type == \"x\": false, Logger == \"y\": false")
    );
    assert_eq!(why(3), accepts("Type == \"nginx.access\": true"));
}

#[test]
fn trees_are_drawn() {
    let expressions: Vec<String> = (0..40)
        .map(|number| match number % 4 {
            0 => format!("Type == 't{number}'"),
            1 => format!("Pid >= {number} && Pid < {}", number + 4),
            2 => format!("Payload =~ /user{number}[0-9]/"),
            _ => format!("Fields[f{number}] =~ /^a\"b/"),
        })
        .collect();
    let expressions: Vec<&str> = expressions.iter().map(String::as_str).collect();
    let set = set(&expressions);
    let text = set.tree_text(&|consumer| format!("c{consumer}"));
    for line in [
        "by Type",
        "\"t4\" -> c4",
        "by Pid",
        "10 patterns found by a text that they need",
        "matches /user2[0-9]/ -> c2",
        "by Fields[f3]",
        "begins with",
    ] {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
    let dot = set.tree_dot(&|consumer| format!("c{consumer}"));
    assert!(dot.starts_with("digraph") && dot.ends_with("}\n"));
    assert_eq!(dot.matches('{').count(), dot.matches('}').count(), "{dot}");
}

#[test]
fn named_groups_capture() {
    let set = set(&[
        r"Payload =~ /user=(?P<user>\w+)/ && Type =~ /(?P<service>[a-z]+)\./",
        "Payload =~ /user=(bob)/",
        "Payload =~ /(?P<absent>nothing of it)|GET/",
        "Fields[status] =~ /(?P<number>5)/ || Severity < 4",
    ]);
    assert!(set.has_captures(0) && !set.has_captures(1));
    let table = message().table();
    let mut capturing = Capturing::default();
    let mut captured = |consumer| {
        let mut found = Vec::new();
        set.captures(&mut capturing, consumer, table.get(0), &mut |name, text| {
            found.push(format!("{name}={}", String::from_utf8_lossy(text)));
        });
        found
    };
    for _ in 0..2 {
        assert_eq!(captured(0), ["user=bob", "service=nginx"]);
        assert!(captured(1).is_empty() && captured(2).is_empty() && captured(3).is_empty());
    }
}

#[test]
fn patterns_that_may_be_slow_are_remarked_upon() {
    let set = set(&["Payload =~ /a[ab]{1000}c/", "Payload =~ /a[ab]{10}c/"]);
    let about: Vec<usize> = set.remarks().iter().map(|(number, _)| *number).collect();
    assert_eq!(about, [0]);
}

#[test]
fn a_tree_is_written_once_however_many_ways_lead_there() {
    let one_of = |variable: &str| {
        let tests: Vec<String> = (0..12).map(|at| format!("{variable} == 'x{at}'")).collect();
        format!("({})", tests.join(" || "))
    };
    let variables = [
        "Type",
        "Logger",
        "Hostname",
        "EnvVersion",
        "Payload",
        "Fields[a]",
    ];
    let expression = variables.map(one_of).join(" && ");
    let expressions: Vec<String> = (0..3)
        .map(|number| format!("{expression} && Pid == {number}"))
        .collect();
    let expressions: Vec<&str> = expressions.iter().map(String::as_str).collect();
    let text = set(&expressions).tree_text(&|consumer| format!("c{consumer}"));
    assert!(text.len() < 20_000, "{} bytes", text.len());
    assert!(text.contains("as at #"), "{text}");
}

#[test]
fn compiled_patterns_of_a_third_set_are_left_alone() {
    let first = set(&[r"Payload =~ /user=\w+/", r"Type =~ /[a-z]+\.access/"]);
    let second = set(&[r"Payload =~ /user=\w+/", "TRUE"]);
    let third = set(&[r"Type =~ /[a-z]+\.access/", "TRUE"]);
    let (mut scratch, mut row) = (third.scratch(), third.row());
    third.take_over(&mut scratch, &mut second.scratch(), &third.origins(&first));
    third.search(&mut scratch, message().table().get(0), None, &mut row);
    assert_eq!(row.len(), 2);
}

#[test]
fn what_was_compiled_moves_to_the_next_set() {
    let old = set(&[r"Payload =~ /user=\w+/", r"Type =~ /[a-z]+\.access/"]);
    let new = set(&[
        "TRUE",
        r"Type =~ /[a-z]+\.access/",
        r"Payload =~ /us.r=\w+/",
    ]);
    let table = message().table();
    let (mut old_scratch, mut row) = (old.scratch(), old.row());
    old.search(&mut old_scratch, table.get(0), None, &mut row);
    assert_eq!(row.len(), 2);
    let mut scratch = new.scratch();
    new.take_over(&mut scratch, &mut old_scratch, &new.origins(&old));
    let mut row = new.row();
    for _ in 0..2 {
        new.search(&mut scratch, table.get(0), None, &mut row);
        assert_eq!(row.iter().collect::<Vec<_>>(), [0, 1, 2]);
        // The old one goes on, with what was moved compiled again.
        let mut row = old.row();
        old.search(&mut old_scratch, table.get(0), None, &mut row);
        assert_eq!(row.len(), 2);
    }
}
