//! Tests in the form in which they run, and what they refer to.
//!
//! Owns:    `Check` (one test), `Terms` (texts, fields, patterns and checks of a set, each distinct one once), `Interner`.
//! Runs on: build time (interning, deciding); every shard reads the terms.            Plane: data.
//! Bounds:  `u32` numbers: a set's expressions are far smaller than 4 GiB together.
//! Never:   looks at a message: that is `search`.

use std::cmp::Ordering;
use std::collections::HashMap;

use codecs::field::Value;
use codecs::message::Header;

use crate::ast::{NumberHeader, Relation, Selector};
use crate::engine::PatternForm;
use crate::pattern::Pattern;

/// Text in the byte pool of the terms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Text {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

/// A number of an expression, by its bits so that it can be a key: finite, and not negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Number(u64);

impl Number {
    pub(crate) fn new(value: f64) -> Number {
        Number(value.to_bits())
    }

    #[inline]
    pub(crate) fn value(self) -> f64 {
        f64::from_bits(self.0)
    }
}

/// What a check looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// Who signed the message.
    Signer,
    /// A header of text.
    Text(Header),
    /// A header of a number.
    Number(NumberHeader),
    /// A value of a field, by the number of its place.
    Field(u32),
}

/// One test. Patterns carry the number of the memory that keeps their answer for the message at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Check {
    /// The message was signed by this signer.
    Signer(u32),
    /// A header is this text; of the uuid, its 16 bytes.
    HeaderIs(Header, Text),
    /// A header, not the uuid, sorts before this text.
    HeaderBefore(Header, Text),
    /// A header, not the uuid, sorts after this text.
    HeaderAfter(Header, Text),
    /// A header matches this pattern; of the uuid, its text.
    HeaderMatches(Header, u32, u32),
    /// The uuid has 16 bytes.
    UuidPresent,
    /// The uuid's text sorts before this text.
    UuidBefore(Text),
    /// The uuid's text sorts after this text.
    UuidAfter(Text),
    /// A number header compares so.
    Number(NumberHeader, Relation, Number),
    /// The value that a place names exists.
    FieldPresent(u32),
    /// A field compares so with this text.
    FieldText(u32, Relation, Text),
    /// A field compares so with this number.
    FieldNumber(u32, Relation, Number),
    /// A field is this truth value, or its name.
    FieldBool(u32, bool),
    /// A field matches this pattern, or with `false` does not.
    FieldMatches(u32, u32, bool, u32),
}

const _: () = assert!(size_of::<Check>() <= 16, "a step of a program is 24 bytes");

impl Check {
    /// What it looks at.
    pub(crate) fn subject(&self) -> Subject {
        match *self {
            Check::Signer(_) => Subject::Signer,
            Check::HeaderIs(header, _)
            | Check::HeaderBefore(header, _)
            | Check::HeaderAfter(header, _)
            | Check::HeaderMatches(header, ..) => Subject::Text(header),
            Check::UuidPresent | Check::UuidBefore(_) | Check::UuidAfter(_) => {
                Subject::Text(Header::Uuid)
            }
            Check::Number(header, ..) => Subject::Number(header),
            Check::FieldPresent(place)
            | Check::FieldText(place, ..)
            | Check::FieldNumber(place, ..)
            | Check::FieldBool(place, _)
            | Check::FieldMatches(place, ..) => Subject::Field(place),
        }
    }

    /// Its pattern.
    pub(crate) fn pattern(&self) -> Option<u32> {
        match *self {
            Check::HeaderMatches(_, pattern, _) | Check::FieldMatches(_, pattern, ..) => {
                Some(pattern)
            }
            _ => None,
        }
    }
}

/// A value of a field: name in the byte pool, and the two indexes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) name: Text,
    pub(crate) index: u32,
    pub(crate) array_index: u32,
}

/// Everything that checks refer to, and all distinct checks.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    pub(crate) bytes: Vec<u8>,
    pub(crate) places: Vec<Place>,
    pub(crate) patterns: Vec<PatternForm>,
    pub(crate) checks: Vec<Check>,
    /// Memories of patterns' answers: one for each pair of a subject and a pattern.
    pub(crate) memories: u32,
    /// The names of the truth values, `FALSE` first.
    pub(crate) truth_names: [Text; 2],
}

impl Terms {
    #[inline]
    pub(crate) fn text(&self, text: Text) -> &[u8] {
        &self.bytes[text.start as usize..][..text.len as usize]
    }
}

/// A value that a subject may have, for deciding checks without a message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Sample {
    /// This text.
    Text(Vec<u8>),
    /// Some text directly after this one, before any that an expression names: only its order is known.
    After(Vec<u8>),
    /// This number.
    Number(f64),
    /// This truth value.
    Bool(bool),
    /// No value.
    Absent,
}

impl Terms {
    /// Whether a check holds for a value of its subject; `None` where that takes a regular expression, or is not known.
    pub(crate) fn decide(&self, check: &Check, sample: &Sample) -> Option<bool> {
        match (*check, sample) {
            (Check::HeaderIs(_, text), Sample::Text(value)) => Some(self.text(text) == value),
            // What lies between the texts that are compared is none of them.
            (Check::HeaderIs(..), Sample::After(_)) => Some(false),
            (Check::HeaderBefore(_, text), Sample::Text(value) | Sample::After(value)) => {
                Some(value.as_slice() < self.text(text))
            }
            (Check::HeaderAfter(_, text), Sample::Text(value)) => {
                Some(value.as_slice() > self.text(text))
            }
            (Check::HeaderAfter(_, text), Sample::After(value)) => {
                Some(value.as_slice() >= self.text(text))
            }
            (Check::HeaderMatches(header, pattern, _), Sample::Text(value))
                if header != Header::Uuid =>
            {
                self.patterns[pattern as usize].decide(self, value)
            }
            (Check::UuidPresent, Sample::Text(value)) => Some(value.len() == 16),
            (Check::Number(_, relation, number), Sample::Number(value)) => {
                Some(compare(*value, relation, number.value()))
            }
            (
                Check::FieldPresent(_)
                | Check::FieldText(..)
                | Check::FieldNumber(..)
                | Check::FieldBool(..)
                | Check::FieldMatches(..),
                sample,
            ) => self.decide_field(check, sample),
            _ => None,
        }
    }

    fn decide_field(&self, check: &Check, sample: &Sample) -> Option<bool> {
        let value = match sample {
            Sample::Absent => return Some(false),
            Sample::Text(text) => Value::String(text),
            Sample::Number(number) => Value::Double(*number),
            Sample::Bool(value) => Value::Bool(*value),
            Sample::After(text) => {
                return match *check {
                    Check::FieldPresent(_) => Some(true),
                    Check::FieldText(_, relation, literal) => {
                        let order = text.as_slice().cmp(self.text(literal));
                        Some(holds(order.then(Ordering::Greater), relation))
                    }
                    Check::FieldMatches(..) => None,
                    _ => Some(false),
                };
            }
        };
        self.field_holds(check, value, |pattern, _, text| {
            self.patterns[pattern as usize].decide(self, text)
        })
    }

    /// Whether a check of a field holds for a value that is there. `matches` is asked about a pattern, its memory and a text; it may not know.
    #[inline]
    pub(crate) fn field_holds(
        &self,
        check: &Check,
        value: Value<'_>,
        matches: impl FnOnce(u32, u32, &[u8]) -> Option<bool>,
    ) -> Option<bool> {
        Some(match (*check, value) {
            (Check::FieldPresent(_), _) => true,
            (Check::FieldBool(_, wanted), Value::Bool(value)) => value == wanted,
            (_, Value::Bool(value)) => !value,
            (Check::FieldText(_, relation, text), Value::String(value) | Value::Bytes(value)) => {
                match relation {
                    Relation::Equal => value == self.text(text),
                    Relation::NotEqual => value != self.text(text),
                    _ => holds(value.cmp(self.text(text)), relation),
                }
            }
            (Check::FieldNumber(_, relation, number), Value::Integer(value)) => {
                compare(value as f64, relation, number.value())
            }
            (Check::FieldNumber(_, relation, number), Value::Double(value)) => {
                compare(value, relation, number.value())
            }
            (Check::FieldBool(_, wanted), Value::String(value) | Value::Bytes(value)) => {
                value == truth_name(wanted)
            }
            (
                Check::FieldMatches(_, pattern, wanted, memory),
                Value::String(value) | Value::Bytes(value),
            ) => return matches(pattern, memory, value).map(|found| found == wanted),
            _ => false,
        })
    }
}

/// The text that stands for a truth value.
#[inline]
pub(crate) const fn truth_name(value: bool) -> &'static [u8] {
    if value { b"TRUE" } else { b"FALSE" }
}

/// Whether a relation holds between two texts that compare so.
#[inline]
pub(crate) fn holds(order: Ordering, relation: Relation) -> bool {
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

/// Whether a relation holds between two numbers; a double that is no number is only unequal.
#[inline]
pub(crate) fn compare(number: f64, relation: Relation, literal: f64) -> bool {
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

/// What a pattern is known by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PatternKey {
    Everything,
    Starts(Vec<u8>),
    Ends(Vec<u8>),
    Contains(Vec<Vec<u8>>),
    /// None of these.
    Regex(String),
}

/// Makes terms, each distinct one once.
#[derive(Debug)]
pub(crate) struct Interner {
    pub(crate) terms: Terms,
    texts: HashMap<Vec<u8>, Text>,
    selectors: HashMap<Selector, u32>,
    patterns: HashMap<PatternKey, u32>,
    memories: HashMap<(Subject, u32), u32>,
    checks: HashMap<Check, u32>,
}

impl Interner {
    pub(crate) fn new() -> Interner {
        let mut interner = Interner {
            terms: Terms::default(),
            texts: HashMap::new(),
            selectors: HashMap::new(),
            patterns: HashMap::new(),
            memories: HashMap::new(),
            checks: HashMap::new(),
        };
        interner.terms.truth_names = [false, true].map(|value| interner.text(truth_name(value)));
        interner
    }

    /// Text in the pool.
    pub(crate) fn text(&mut self, bytes: &[u8]) -> Text {
        if let Some(text) = self.texts.get(bytes) {
            return *text;
        }
        let text = Text {
            start: self.terms.bytes.len() as u32,
            len: bytes.len() as u32,
        };
        self.terms.bytes.extend_from_slice(bytes);
        self.texts.insert(bytes.to_vec(), text);
        text
    }

    /// The place that a selector names. Indexes that no message can have are cut off.
    pub(crate) fn place(&mut self, selector: &Selector) -> u32 {
        if let Some(place) = self.selectors.get(selector) {
            return *place;
        }
        let place = Place {
            name: self.text(selector.name.as_bytes()),
            index: u32::try_from(selector.index).unwrap_or(u32::MAX),
            array_index: u32::try_from(selector.array_index).unwrap_or(u32::MAX),
        };
        self.terms.places.push(place);
        let number = self.terms.places.len() as u32 - 1;
        self.selectors.insert(selector.clone(), number);
        number
    }

    /// The number of a pattern; what it was written as is known by the first.
    pub(crate) fn pattern(&mut self, key: PatternKey, written: &Pattern) -> u32 {
        if let Some(number) = self.patterns.get(&key) {
            return *number;
        }
        let form = PatternForm::new(self, &key, written);
        self.terms.patterns.push(form);
        let number = self.terms.patterns.len() as u32 - 1;
        self.patterns.insert(key, number);
        number
    }

    /// The memory of a pattern's answer for a subject.
    pub(crate) fn memory(&mut self, subject: Subject, pattern: u32) -> u32 {
        let memories = &mut self.terms.memories;
        *self.memories.entry((subject, pattern)).or_insert_with(|| {
            *memories += 1;
            *memories - 1
        })
    }

    /// The number of a check.
    pub(crate) fn check(&mut self, check: Check) -> u32 {
        let checks = &mut self.terms.checks;
        *self.checks.entry(check).or_insert_with(|| {
            checks.push(check);
            checks.len() as u32 - 1
        })
    }
}
