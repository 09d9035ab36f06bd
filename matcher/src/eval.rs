//! The plain evaluator: one expression, read off the tree as the grammar defines it.
//!
//! Owns:    `Plain`, the oracle that every faster form is compared with.
//! Runs on: tests and tools.            Plane: control.
//! Bounds:  one value per node of the expression; regular expressions run in linear time.
//! Never:   on the data path; it allocates per message and takes no short cut.

use std::cmp::Ordering;

use codecs::field::Value;
use codecs::message::{Header, MessageRef};
use regex_automata::nfa::thompson::pikevm::PikeVM;

use crate::ast::{Expression, Literal, Node, NumberHeader, Relation, Selector, Test, Variable};
use crate::error::{Error, ErrorKind};

/// One expression, evaluated as written.
#[derive(Debug)]
pub struct Plain {
    expression: Expression,
    /// For each test its regular expression, where it has one.
    engines: Vec<Option<PikeVM>>,
}

impl Plain {
    /// Reads an expression and compiles its regular expressions.
    pub fn new(text: &str) -> Result<Plain, Error> {
        let expression = Expression::parse(text)?;
        let mut engines = Vec::with_capacity(expression.tests().len());
        for (number, test) in expression.tests().iter().enumerate() {
            engines.push(match &test.literal {
                Literal::Regex(pattern) => Some(pattern.simulate().map_err(|error| {
                    let span = expression.span(number as u32);
                    Error::new(ErrorKind::RegexSize, text, span, error.message())
                })?),
                _ => None,
            });
        }
        Ok(Plain {
            expression,
            engines,
        })
    }

    /// The expression.
    pub fn expression(&self) -> &Expression {
        &self.expression
    }

    /// Whether it accepts the message.
    pub fn matches(&self, message: MessageRef<'_>) -> bool {
        let mut values: Vec<bool> = Vec::with_capacity(self.expression.nodes().len());
        for node in self.expression.nodes() {
            let value = match *node {
                Node::Constant(value) => value,
                Node::Test(test) => self.test(test as usize, message),
                Node::All(children) => self
                    .expression
                    .children(children)
                    .iter()
                    .all(|child| values[*child as usize]),
                Node::Any(children) => self
                    .expression
                    .children(children)
                    .iter()
                    .any(|child| values[*child as usize]),
            };
            values.push(value);
        }
        values[self.expression.root() as usize]
    }

    fn test(&self, number: usize, message: MessageRef<'_>) -> bool {
        let test = &self.expression.tests()[number];
        let engine = self.engines[number].as_ref();
        match &test.variable {
            Variable::Text(Header::Uuid) => {
                text_test(uuid_text(message.uuid()).as_bytes(), test, engine)
            }
            Variable::Text(header) => text_test(message.header(*header), test, engine),
            Variable::Number(header) => number_test(number_header(*header, message), test),
            Variable::Field(selector) => match value(selector, message) {
                None => test.relation == Relation::Equal && test.literal == Literal::Nil,
                Some(_) if test.literal == Literal::Nil => test.relation == Relation::NotEqual,
                Some(Value::String(text) | Value::Bytes(text)) => text_test(text, test, engine),
                Some(Value::Integer(number)) => number_test(number as f64, test),
                Some(Value::Double(number)) => number_test(number, test),
                Some(Value::Bool(value)) => value == (test.literal == Literal::Bool(true)),
            },
        }
    }
}

/// The value that a selector names; `None` where field, index or array index is missing.
fn value<'m>(selector: &Selector, message: MessageRef<'m>) -> Option<Value<'m>> {
    let mut named = message
        .fields()
        .filter(|field| field.name() == selector.name.as_bytes());
    let field = named.nth(usize::try_from(selector.index).ok()?)?;
    field
        .values()
        .nth(usize::try_from(selector.array_index).ok()?)
}

fn number_header(header: NumberHeader, message: MessageRef<'_>) -> f64 {
    match header {
        NumberHeader::Timestamp => message.timestamp() as f64,
        NumberHeader::Severity => f64::from(message.severity()),
        NumberHeader::Pid => f64::from(message.pid()),
    }
}

/// Lower-case 8-4-4-4-12 form; empty where the bytes are no uuid.
fn uuid_text(bytes: &[u8]) -> String {
    if bytes.len() != 16 {
        return String::new();
    }
    let hexadecimal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32];
    groups.map(|group| hexadecimal[group].to_owned()).join("-")
}

fn text_test(text: &[u8], test: &Test, engine: Option<&PikeVM>) -> bool {
    match (&test.literal, engine) {
        (Literal::Text(literal), _) => ordered(Some(text.cmp(literal.as_bytes())), test.relation),
        (Literal::Bool(literal), _) => text == if *literal { &b"TRUE"[..] } else { b"FALSE" },
        (Literal::Regex(_), Some(engine)) => {
            engine.is_match(&mut engine.create_cache(), text)
                == (test.relation == Relation::Matches)
        }
        _ => false,
    }
}

fn number_test(number: f64, test: &Test) -> bool {
    match &test.literal {
        Literal::Number(literal) => ordered(number.partial_cmp(literal), test.relation),
        _ => false,
    }
}

/// Whether a relation holds between operands that compare so; `None` for a double that is no number.
fn ordered(order: Option<Ordering>, relation: Relation) -> bool {
    match relation {
        Relation::Equal => order == Some(Ordering::Equal),
        Relation::NotEqual => order != Some(Ordering::Equal),
        Relation::Less => order == Some(Ordering::Less),
        Relation::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Relation::Greater => order == Some(Ordering::Greater),
        Relation::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        Relation::Matches | Relation::NotMatches => false,
    }
}
