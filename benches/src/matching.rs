//! Matchers: which of many accept a message.
//!
//! Owns:    the expressions.
//! Runs on: the calling thread.            Plane: data.
//! Bounds:  1,000 expressions.
//! Never:   matches a message that is not indexed yet.

use matcher::{Consumer, Set};

use crate::decoding::table_of;
use crate::measure::{Digest, Pass, Size};
use crate::messages;

pub(crate) fn ten(size: Size) -> Box<dyn FnMut() -> Pass> {
    pass(size, &expressions(10))
}

pub(crate) fn hundred(size: Size) -> Box<dyn FnMut() -> Pass> {
    pass(size, &expressions(100))
}

pub(crate) fn thousand(size: Size) -> Box<dyn FnMut() -> Pass> {
    pass(size, &expressions(1000))
}

/// Expressions as they stand in configurations: mostly a type, some with fields, text and regular expressions.
pub(crate) fn expressions(count: usize) -> Vec<String> {
    let one = |number: usize| match number % 10 {
        3 => format!("Type == 't{number}' && Fields[status] >= 500"),
        5 => format!("Logger == 'nginx' && Severity < {}", number % 8),
        7 => "Payload =~ /timeout$/".to_owned(),
        9 => format!(
            "Hostname =~ /^web[{}-9]/ && Type != 't{number}'",
            number % 5
        ),
        _ => format!("Type == 't{number}'"),
    };
    (0..count).map(one).collect()
}

fn pass(size: Size, expressions: &[String]) -> Box<dyn FnMut() -> Pass> {
    let consumers: Vec<Consumer<'_>> = expressions
        .iter()
        .map(|expression| Consumer {
            expression,
            signer: None,
        })
        .collect();
    let set = Set::build(&consumers).expect("right expressions");
    let (mut scratch, mut row) = (set.scratch(), set.row());
    let (mut table, spans) = table_of(&messages::encoded(size.items(), 256));
    for &span in &spans {
        let mut draft = table.begin().expect("room for all");
        draft.index_protobuf(span).expect("a whole message");
    }
    Box::new(move || {
        let mut digest = Digest::default();
        for message in table.iter() {
            set.search(&mut scratch, message, None, &mut row);
            row.iter().for_each(|consumer| digest.add(consumer as u64));
        }
        Pass {
            items: table.len() as u64,
            bytes: spans.iter().map(|span| u64::from(span.len)).sum(),
            digest: digest.value(),
        }
    })
}
