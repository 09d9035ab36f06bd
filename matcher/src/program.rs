//! Expressions as flat rows of steps, and the loop that runs them.
//!
//! Owns:    `Program`: steps, literals, selectors and patterns of all consumers of a set; the lowering of tests to steps.
//! Runs on: build time (building) and every shard (running).            Plane: data.
//! Bounds:  a step only jumps forward, so a run visits each step of one consumer at most once.
//! Never:   allocates while running, but for the scratch that a regular expression takes at its first uses.
//!
//! A step is one test with the place to go on for either outcome: `&&`, `||` and negation are in the jumps, not in the
//! tests. `Type == "a" && Severity < 4` is
//!
//! ```text
//! 0: Type == "a"    yes -> 1         no -> REJECT
//! 1: Severity < 4   yes -> ACCEPT    no -> REJECT
//! ```

use std::cmp::Ordering;
use std::collections::HashMap;

use codecs::field::Value;
use codecs::message::{Header, MessageRef};
use memchr::memmem;
use regex_automata::{Input, meta};

use crate::ast::{
    Children, Expression, Literal, Node, NodeId, NumberHeader, Relation, Selector, Test, Variable,
};
use crate::pattern::{Pattern, PlainText, TooLarge};

/// The expression holds.
pub(crate) const ACCEPT: u32 = u32::MAX;
/// The expression does not hold.
pub(crate) const REJECT: u32 = u32::MAX - 1;

/// Text in the program's byte pool.
#[derive(Clone, Copy, Debug)]
struct Text {
    start: u32,
    len: u32,
}

/// A test in the form in which it runs.
#[derive(Clone, Copy, Debug)]
enum Check {
    /// The message was signed by this signer.
    Signer(u32),
    /// A header, not the uuid, is this text.
    HeaderIs(Header, Text),
    /// A header, not the uuid, sorts before this text.
    HeaderBefore(Header, Text),
    /// A header, not the uuid, sorts after this text.
    HeaderAfter(Header, Text),
    /// A header, not the uuid, matches this pattern.
    HeaderMatches(Header, u32),
    /// The uuid is these bytes.
    UuidIs(Text),
    /// The uuid has 16 bytes.
    UuidPresent,
    /// The uuid's text sorts before this text.
    UuidBefore(Text),
    /// The uuid's text sorts after this text.
    UuidAfter(Text),
    /// The uuid's text matches this pattern.
    UuidMatches(u32),
    /// A number header compares so.
    Number(NumberHeader, Relation, f64),
    /// The value that a selector names exists.
    FieldPresent(u32),
    /// A field compares so with this text.
    FieldText(u32, Relation, Text),
    /// A field compares so with this number.
    FieldNumber(u32, Relation, f64),
    /// A field is this truth value, or its name.
    FieldBool(u32, bool),
    /// A field matches this pattern, or with `false` does not.
    FieldMatches(u32, u32, bool),
}

/// A test and where its outcomes lead: a step, `ACCEPT` or `REJECT`.
#[derive(Clone, Copy, Debug)]
struct Step {
    check: Check,
    yes: u32,
    no: u32,
}

const _: () = assert!(size_of::<Step>() <= 32, "two steps share a cache line");

/// A value of a field: name in the byte pool, and the two indexes.
#[derive(Clone, Copy, Debug)]
struct Place {
    name: Text,
    index: u32,
    array_index: u32,
}

/// A pattern in the form in which it runs.
#[derive(Debug)]
enum Engine {
    Everything,
    Exact(Text),
    Starts(Text),
    Ends(Text),
    Contains(Box<memmem::Finder<'static>>),
    Regex(meta::Regex),
}

/// Scratch of a program's regular expressions, each taken at first use.
#[derive(Debug)]
pub(crate) struct Caches(Vec<Option<Box<meta::Cache>>>);

/// The steps of all expressions.
#[derive(Debug, Default)]
pub(crate) struct Program {
    steps: Vec<Step>,
    bytes: Vec<u8>,
    places: Vec<Place>,
    engines: Vec<Engine>,
}

/// A test, lowered.
enum Lowered {
    Constant(bool),
    Check(Check),
    Negated(Check),
}

/// Where a node's walk continues while steps are laid out from the last to the first.
enum Walk {
    Node {
        node: NodeId,
        yes: u32,
        no: u32,
    },
    AllBefore {
        children: Children,
        left: u32,
        no: u32,
    },
    AnyBefore {
        children: Children,
        left: u32,
        yes: u32,
    },
}

/// Builds a program.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    program: Program,
    texts: HashMap<Vec<u8>, (u32, u32)>,
    selectors: HashMap<Selector, u32>,
    patterns: HashMap<String, u32>,
}

impl Builder {
    /// Adds an expression, guarded by a signer if there is one; its first step, `ACCEPT` or `REJECT`.
    ///
    /// Errors: the number of the test whose regular expression is too large. Then the program must not be used.
    pub(crate) fn add(
        &mut self,
        expression: &Expression,
        signer: Option<u32>,
    ) -> Result<u32, (u32, TooLarge)> {
        let lowered = self.lower_all(expression)?;
        let first = self.program.steps.len();
        let mut entry = self.lay_out(expression, &lowered, first);
        if let Some(signer) = signer.filter(|_| entry != REJECT) {
            entry = self.step(first, Check::Signer(signer), entry, REJECT);
        }
        // Steps were laid out from the last to the first, counting backwards; turn them round.
        let steps = &mut self.program.steps[first..];
        steps.reverse();
        let last = (first + steps.len()) as u32;
        let forward = |target: u32| {
            if target >= REJECT {
                target
            } else {
                last - 1 - target
            }
        };
        for step in steps {
            step.yes = forward(step.yes);
            step.no = forward(step.no);
        }
        Ok(forward(entry))
    }

    /// The program, complete.
    pub(crate) fn finish(mut self) -> Program {
        self.program.steps.shrink_to_fit();
        self.program.bytes.shrink_to_fit();
        self.program
    }

    /// Appends a step while laying out backwards from `first`; its number in that order.
    fn step(&mut self, first: usize, check: Check, yes: u32, no: u32) -> u32 {
        self.program.steps.push(Step { check, yes, no });
        (self.program.steps.len() - 1 - first) as u32
    }

    /// Lays out an expression from its last test to its first, so that the targets of every jump are known.
    fn lay_out(&mut self, expression: &Expression, lowered: &[Lowered], first: usize) -> u32 {
        let mut walk = vec![Walk::Node {
            node: expression.root(),
            yes: ACCEPT,
            no: REJECT,
        }];
        let mut entry = ACCEPT;
        while let Some(next) = walk.pop() {
            match next {
                Walk::Node { node, yes, no } => match expression.nodes()[node as usize] {
                    Node::Constant(value) => entry = if value { yes } else { no },
                    Node::Test(test) => {
                        entry = self.lay_out_test(first, &lowered[test as usize], yes, no)
                    }
                    Node::All(children) => {
                        entry = yes;
                        let left = expression.children(children).len() as u32;
                        walk.push(Walk::AllBefore { children, left, no });
                    }
                    Node::Any(children) => {
                        entry = no;
                        let left = expression.children(children).len() as u32;
                        walk.push(Walk::AnyBefore {
                            children,
                            left,
                            yes,
                        });
                    }
                },
                Walk::AllBefore { left: 0, .. } | Walk::AnyBefore { left: 0, .. } => {}
                Walk::AllBefore { children, left, no } => {
                    let node = expression.children(children)[left as usize - 1];
                    walk.push(Walk::AllBefore {
                        children,
                        left: left - 1,
                        no,
                    });
                    walk.push(Walk::Node {
                        node,
                        yes: entry,
                        no,
                    });
                }
                Walk::AnyBefore {
                    children,
                    left,
                    yes,
                } => {
                    let node = expression.children(children)[left as usize - 1];
                    walk.push(Walk::AnyBefore {
                        children,
                        left: left - 1,
                        yes,
                    });
                    walk.push(Walk::Node {
                        node,
                        yes,
                        no: entry,
                    });
                }
            }
        }
        entry
    }

    fn lay_out_test(&mut self, first: usize, lowered: &Lowered, yes: u32, no: u32) -> u32 {
        if yes == no {
            return yes;
        }
        match *lowered {
            Lowered::Constant(true) => yes,
            Lowered::Constant(false) => no,
            Lowered::Check(check) => self.step(first, check, yes, no),
            Lowered::Negated(check) => self.step(first, check, no, yes),
        }
    }

    fn lower_all(&mut self, expression: &Expression) -> Result<Vec<Lowered>, (u32, TooLarge)> {
        let mut lowered = Vec::with_capacity(expression.tests().len());
        for (number, test) in expression.tests().iter().enumerate() {
            lowered.push(self.lower(test).map_err(|error| (number as u32, error))?);
        }
        Ok(lowered)
    }

    fn lower(&mut self, test: &Test) -> Result<Lowered, TooLarge> {
        let relation = test.relation;
        Ok(match (&test.variable, &test.literal) {
            (Variable::Text(Header::Uuid), Literal::Text(text)) => self.lower_uuid(relation, text),
            (Variable::Text(header), Literal::Text(text)) => {
                let text = self.text(text.as_bytes());
                let header = *header;
                order(
                    relation,
                    Check::HeaderIs(header, text),
                    Check::HeaderBefore(header, text),
                    Check::HeaderAfter(header, text),
                )
            }
            (Variable::Text(header), Literal::Regex(pattern)) => {
                let pattern = self.pattern(pattern)?;
                let check = match (&self.program.engines[pattern as usize], *header) {
                    (Engine::Everything, _) => {
                        return Ok(Lowered::Constant(relation == Relation::Matches));
                    }
                    (_, Header::Uuid) => Check::UuidMatches(pattern),
                    (Engine::Exact(text), header) => Check::HeaderIs(header, *text),
                    (_, header) => Check::HeaderMatches(header, pattern),
                };
                if relation == Relation::Matches {
                    Lowered::Check(check)
                } else {
                    Lowered::Negated(check)
                }
            }
            (Variable::Number(header), Literal::Number(number)) => {
                Lowered::Check(Check::Number(*header, relation, *number))
            }
            (Variable::Field(selector), literal) => {
                let place = self.place(selector);
                match literal {
                    Literal::Text(text) => Lowered::Check(Check::FieldText(
                        place,
                        relation,
                        self.text(text.as_bytes()),
                    )),
                    Literal::Number(number) => {
                        Lowered::Check(Check::FieldNumber(place, relation, *number))
                    }
                    Literal::Bool(value) => Lowered::Check(Check::FieldBool(place, *value)),
                    Literal::Nil if relation == Relation::Equal => {
                        Lowered::Negated(Check::FieldPresent(place))
                    }
                    Literal::Nil => Lowered::Check(Check::FieldPresent(place)),
                    Literal::Regex(pattern) => {
                        let pattern = self.pattern(pattern)?;
                        Lowered::Check(Check::FieldMatches(
                            place,
                            pattern,
                            relation == Relation::Matches,
                        ))
                    }
                }
            }
            // The parser makes no other test.
            _ => Lowered::Constant(false),
        })
    }

    fn lower_uuid(&mut self, relation: Relation, text: &str) -> Lowered {
        let equality = matches!(relation, Relation::Equal | Relation::NotEqual);
        let equal = relation == Relation::Equal;
        if equality && text.is_empty() {
            return if equal {
                Lowered::Negated(Check::UuidPresent)
            } else {
                Lowered::Check(Check::UuidPresent)
            };
        }
        if equality {
            return match uuid_bytes(text) {
                None => Lowered::Constant(!equal),
                Some(bytes) if equal => Lowered::Check(Check::UuidIs(self.text(&bytes))),
                Some(bytes) => Lowered::Negated(Check::UuidIs(self.text(&bytes))),
            };
        }
        let text = self.text(text.as_bytes());
        order(
            relation,
            Check::UuidPresent,
            Check::UuidBefore(text),
            Check::UuidAfter(text),
        )
    }

    fn text(&mut self, bytes: &[u8]) -> Text {
        if let Some((start, len)) = self.texts.get(bytes) {
            return Text {
                start: *start,
                len: *len,
            };
        }
        let text = Text {
            start: self.program.bytes.len() as u32,
            len: bytes.len() as u32,
        };
        self.program.bytes.extend_from_slice(bytes);
        self.texts.insert(bytes.to_vec(), (text.start, text.len));
        text
    }

    fn place(&mut self, selector: &Selector) -> u32 {
        if let Some(place) = self.selectors.get(selector) {
            return *place;
        }
        let place = Place {
            name: self.text(selector.name.as_bytes()),
            index: u32::try_from(selector.index).unwrap_or(u32::MAX),
            array_index: u32::try_from(selector.array_index).unwrap_or(u32::MAX),
        };
        self.program.places.push(place);
        let number = self.program.places.len() as u32 - 1;
        self.selectors.insert(selector.clone(), number);
        number
    }

    fn pattern(&mut self, pattern: &Pattern) -> Result<u32, TooLarge> {
        if let Some(number) = self.patterns.get(pattern.source()) {
            return Ok(*number);
        }
        let engine = match pattern.plain() {
            Some(PlainText::Everything) => Engine::Everything,
            Some(PlainText::Exact(text)) => Engine::Exact(self.text(&text)),
            Some(PlainText::Starts(text)) => Engine::Starts(self.text(&text)),
            Some(PlainText::Ends(text)) => Engine::Ends(self.text(&text)),
            Some(PlainText::Contains(text)) => {
                Engine::Contains(Box::new(memmem::Finder::new(&text).into_owned()))
            }
            None => Engine::Regex(pattern.compile()?),
        };
        self.program.engines.push(engine);
        let number = self.program.engines.len() as u32 - 1;
        self.patterns.insert(pattern.source().to_owned(), number);
        Ok(number)
    }
}

/// A relation between texts by three tests and their negations: texts are totally ordered.
fn order(relation: Relation, is: Check, before: Check, after: Check) -> Lowered {
    match relation {
        Relation::Equal => Lowered::Check(is),
        Relation::NotEqual => Lowered::Negated(is),
        Relation::Less => Lowered::Check(before),
        Relation::GreaterOrEqual => Lowered::Negated(before),
        Relation::Greater => Lowered::Check(after),
        Relation::LessOrEqual => Lowered::Negated(after),
        // The parser joins these with regular expressions only.
        Relation::Matches | Relation::NotMatches => Lowered::Constant(false),
    }
}

/// The bytes whose text form is exactly `text`.
fn uuid_bytes(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    let mut digits = 0;
    for c in text.bytes() {
        let value = match c {
            b'0'..=b'9' => c - b'0',
            b'a'..=b'f' => c - b'a' + 10,
            _ => continue,
        };
        *bytes.get_mut(digits / 2)? |= if digits % 2 == 0 { value << 4 } else { value };
        digits += 1;
    }
    (uuid_text(&bytes, &mut [0; 36]) == text.as_bytes()).then_some(bytes)
}

/// Writes the text form of a uuid; empty where the bytes are no uuid.
fn uuid_text<'b>(bytes: &[u8], out: &'b mut [u8; 36]) -> &'b [u8] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    if bytes.len() != 16 {
        return &[];
    }
    let mut at = 0;
    for (position, byte) in bytes.iter().enumerate() {
        if matches!(position, 4 | 6 | 8 | 10) {
            out[at] = b'-';
            at += 1;
        }
        out[at] = DIGITS[(byte >> 4) as usize];
        out[at + 1] = DIGITS[(byte & 15) as usize];
        at += 2;
    }
    out
}

/// Whether a relation holds between two ordered operands, neither a double that is no number.
#[inline]
fn holds(order: Ordering, relation: Relation) -> bool {
    match relation {
        Relation::Equal => order.is_eq(),
        Relation::NotEqual => order.is_ne(),
        Relation::Less => order.is_lt(),
        Relation::LessOrEqual => order.is_le(),
        Relation::Greater => order.is_gt(),
        Relation::GreaterOrEqual => order.is_ge(),
        Relation::Matches | Relation::NotMatches => false,
    }
}

#[inline]
fn compare(number: f64, relation: Relation, literal: f64) -> bool {
    match relation {
        Relation::Equal => number == literal,
        Relation::NotEqual => number != literal,
        Relation::Less => number < literal,
        Relation::LessOrEqual => number <= literal,
        Relation::Greater => number > literal,
        Relation::GreaterOrEqual => number >= literal,
        Relation::Matches | Relation::NotMatches => false,
    }
}

impl Program {
    /// Scratch for running it.
    pub(crate) fn caches(&self) -> Caches {
        Caches(self.engines.iter().map(|_| None).collect())
    }

    /// Runs from a step on; whether the expression holds.
    #[inline]
    pub(crate) fn run(
        &self,
        entry: u32,
        caches: &mut Caches,
        message: MessageRef<'_>,
        signer: Option<u32>,
    ) -> bool {
        let mut at = entry;
        while at < REJECT {
            let step = &self.steps[at as usize];
            at = if self.check(&step.check, caches, message, signer) {
                step.yes
            } else {
                step.no
            };
        }
        at == ACCEPT
    }

    #[inline]
    fn bytes(&self, text: Text) -> &[u8] {
        &self.bytes[text.start as usize..][..text.len as usize]
    }

    #[inline]
    fn check(
        &self,
        check: &Check,
        caches: &mut Caches,
        message: MessageRef<'_>,
        signer: Option<u32>,
    ) -> bool {
        match *check {
            Check::Signer(wanted) => signer == Some(wanted),
            Check::HeaderIs(header, text) => {
                let value = message.header(header);
                value.len() == text.len as usize && value == self.bytes(text)
            }
            Check::HeaderBefore(header, text) => message.header(header) < self.bytes(text),
            Check::HeaderAfter(header, text) => message.header(header) > self.bytes(text),
            Check::HeaderMatches(header, pattern) => {
                self.is_match(pattern, caches, message.header(header))
            }
            Check::UuidIs(text) => message.uuid() == self.bytes(text),
            Check::UuidPresent => message.uuid().len() == 16,
            Check::UuidBefore(text) => uuid_text(message.uuid(), &mut [0; 36]) < self.bytes(text),
            Check::UuidAfter(text) => uuid_text(message.uuid(), &mut [0; 36]) > self.bytes(text),
            Check::UuidMatches(pattern) => {
                self.is_match(pattern, caches, uuid_text(message.uuid(), &mut [0; 36]))
            }
            Check::Number(NumberHeader::Severity, relation, number) => {
                compare(f64::from(message.severity()), relation, number)
            }
            Check::Number(NumberHeader::Pid, relation, number) => {
                compare(f64::from(message.pid()), relation, number)
            }
            Check::Number(NumberHeader::Timestamp, relation, number) => {
                compare(message.timestamp() as f64, relation, number)
            }
            Check::FieldPresent(place) => self.value(place, message).is_some(),
            Check::FieldText(place, relation, text) => match self.value(place, message) {
                Some(Value::String(value) | Value::Bytes(value)) => match relation {
                    Relation::Equal => value == self.bytes(text),
                    Relation::NotEqual => value != self.bytes(text),
                    _ => holds(value.cmp(self.bytes(text)), relation),
                },
                Some(Value::Bool(value)) => !value,
                Some(Value::Integer(_) | Value::Double(_)) | None => false,
            },
            Check::FieldNumber(place, relation, number) => match self.value(place, message) {
                Some(Value::Integer(value)) => compare(value as f64, relation, number),
                Some(Value::Double(value)) => compare(value, relation, number),
                Some(Value::Bool(value)) => !value,
                Some(Value::String(_) | Value::Bytes(_)) | None => false,
            },
            Check::FieldBool(place, wanted) => match self.value(place, message) {
                Some(Value::Bool(value)) => value == wanted,
                Some(Value::String(value) | Value::Bytes(value)) => {
                    value == if wanted { &b"TRUE"[..] } else { b"FALSE" }
                }
                Some(Value::Integer(_) | Value::Double(_)) | None => false,
            },
            Check::FieldMatches(place, pattern, wanted) => match self.value(place, message) {
                Some(Value::String(value) | Value::Bytes(value)) => {
                    self.is_match(pattern, caches, value) == wanted
                }
                Some(Value::Bool(value)) => !value,
                Some(Value::Integer(_) | Value::Double(_)) | None => false,
            },
        }
    }

    #[inline]
    fn value<'m>(&self, place: u32, message: MessageRef<'m>) -> Option<Value<'m>> {
        let place = &self.places[place as usize];
        message
            .field(self.bytes(place.name), place.index as usize)?
            .value(place.array_index as usize)
    }

    fn is_match(&self, pattern: u32, caches: &mut Caches, text: &[u8]) -> bool {
        match &self.engines[pattern as usize] {
            Engine::Everything => true,
            Engine::Exact(literal) => text == self.bytes(*literal),
            Engine::Starts(literal) => text.starts_with(self.bytes(*literal)),
            Engine::Ends(literal) => text.ends_with(self.bytes(*literal)),
            Engine::Contains(finder) => finder.find(text).is_some(),
            Engine::Regex(regex) => {
                let cache = caches.0[pattern as usize]
                    .get_or_insert_with(|| Box::new(regex.create_cache()));
                regex
                    .search_half_with(cache, &Input::new(text).earliest(true))
                    .is_some()
            }
        }
    }
}
