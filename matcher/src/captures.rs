//! Named groups of matchers' regular expressions: what they captured of a message that a consumer got.
//!
//! Owns:    `Capturing`, one user's automatons and their scratch.
//! Runs on: the shard of a filter or output that asks.            Plane: data, where it is asked for.
//! Bounds:  as regular expressions elsewhere; nothing is compiled or run for a consumer that never asks.
//! Never:   runs while messages are routed.

use codecs::field::Value;
use codecs::message::{Header, MessageRef};
use regex_automata::meta;
use regex_automata::nfa::thompson::WhichCaptures;
use regex_automata::util::captures::Captures;

use crate::ast::{Expression, Literal, Relation, Selector, Variable};
use crate::lower::uuid_text;
use crate::pattern::{self, Pattern};

/// A test `=~` whose pattern has named groups.
#[derive(Debug)]
pub(crate) struct Captured {
    variable: Variable,
    pattern: Pattern,
    /// Its number in the set.
    number: u32,
}

/// The tests of an expression that capture.
pub(crate) fn of_expression(expression: &Expression, next: &mut u32) -> Vec<Captured> {
    let mut found = Vec::new();
    for test in expression.tests() {
        if test.relation == Relation::Matches
            && let Literal::Regex(pattern) = &test.literal
            && pattern.has_names()
        {
            found.push(Captured {
                variable: test.variable.clone(),
                pattern: pattern.clone(),
                number: *next,
            });
            *next += 1;
        }
    }
    found
}

/// A compiled pattern with its scratch.
#[derive(Debug)]
struct Compiled {
    regex: meta::Regex,
    cache: meta::Cache,
    captures: Captures,
}

/// What somebody needs who asks for captures of a set.
#[derive(Debug, Default)]
pub struct Capturing(Vec<Option<Box<Compiled>>>);

impl Capturing {
    /// Calls `each` with every name and text that a consumer's tests captured of a message, in the order in which they were written.
    pub(crate) fn run(
        &mut self,
        tests: &[Captured],
        message: MessageRef<'_>,
        each: &mut dyn FnMut(&str, &[u8]),
    ) {
        for test in tests {
            let mut room = [0; 36];
            let Some(text) = text_of(&test.variable, message, &mut room) else {
                continue;
            };
            let number = test.number as usize;
            if self.0.len() <= number {
                self.0.resize_with(number + 1, || None);
            }
            let compiled = self.0[number].get_or_insert_with(|| compile(&test.pattern));
            let Compiled {
                regex,
                cache,
                captures,
            } = &mut **compiled;
            regex.search_captures_with(cache, &text.into(), captures);
            let Some(pattern) = captures.pattern() else {
                continue;
            };
            for (index, name) in regex.group_info().pattern_names(pattern).enumerate() {
                if let (Some(name), Some(span)) = (name, captures.get_group(index)) {
                    each(name, &text[span.range()]);
                }
            }
        }
    }
}

#[cold]
fn compile(pattern: &Pattern) -> Box<Compiled> {
    let regex = pattern::compile_measured(pattern.hir(), WhichCaptures::All);
    Box::new(Compiled {
        cache: regex.create_cache(),
        captures: regex.create_captures(),
        regex,
    })
}

/// The text that a variable is, if it is one.
fn text_of<'m>(
    variable: &Variable,
    message: MessageRef<'m>,
    room: &'m mut [u8; 36],
) -> Option<&'m [u8]> {
    match variable {
        Variable::Text(Header::Uuid) => Some(uuid_text(message.uuid(), room)),
        Variable::Text(header) => Some(message.header(*header)),
        Variable::Number(_) => None,
        Variable::Field(selector) => field_text(selector, message),
    }
}

fn field_text<'m>(selector: &Selector, message: MessageRef<'m>) -> Option<&'m [u8]> {
    let field = message.field(
        selector.name.as_bytes(),
        usize::try_from(selector.index).ok()?,
    )?;
    match field.value(usize::try_from(selector.array_index).ok()?)? {
        Value::String(text) | Value::Bytes(text) => Some(text),
        _ => None,
    }
}
