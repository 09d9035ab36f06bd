//! The `message_fields` table of ScribbleDecoder and PayloadRegexDecoder: what to write into a message.
//!
//! Owns:    `Template`, and which keys mean a header.
//! Runs on: compiled at build time, filled in on every shard.            Plane: data.
//! Bounds:  as many entries as the table has; what is written together goes into the message table's arena.
//! Never:   allocates per message, or copies a capture that is a value by itself.

use codecs::error::Full;
use codecs::field::Span;
use codecs::message::{Draft, Header, NewValue, Text};
use engine::plugin::options::{CodecOptions, Table};
use engine::plugin::{DecodeError, Section};

/// Bytes of a UUID.
const UUID_BYTES: usize = 16;

/// A compiled `message_fields` table.
#[derive(Debug)]
pub(super) struct Template {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    target: Target,
    value: Value,
}

/// What an entry sets.
#[derive(Debug)]
enum Target {
    Text(Header),
    Pid,
    Severity,
    Uuid,
    Field {
        name: Box<[u8]>,
        representation: Option<Box<[u8]>>,
    },
}

/// What it is set to.
#[derive(Debug)]
enum Value {
    Constant(Box<[u8]>),
    /// A group's text by itself.
    Group(usize),
    Parts(Box<[Part]>),
}

#[derive(Debug)]
enum Part {
    Constant(Box<[u8]>),
    Group(usize),
}

impl Target {
    fn of(key: &str) -> Target {
        match key {
            "Logger" => Target::Text(Header::Logger),
            "Type" => Target::Text(Header::Type),
            "Payload" => Target::Text(Header::Payload),
            "Hostname" => Target::Text(Header::Hostname),
            "Pid" => Target::Pid,
            "Severity" => Target::Severity,
            "Uuid" => Target::Uuid,
            _ => {
                let (name, representation) = key.split_once('|').unwrap_or((key, ""));
                Target::Field {
                    name: name.as_bytes().into(),
                    representation: (!representation.is_empty())
                        .then(|| representation.as_bytes().into()),
                }
            }
        }
    }

    /// Why a text cannot be the value.
    fn refuses(&self, text: &[u8]) -> Option<&'static str> {
        match self {
            Target::Pid if pid(text).is_none() => Some(NOT_A_PID),
            Target::Severity if integer(text).is_none() => Some(NOT_A_SEVERITY),
            Target::Uuid if uuid(text).is_none() => Some(NOT_A_UUID),
            _ => None,
        }
    }
}

const NOT_A_PID: &str = "the value for Pid is not an integer";
const NOT_A_SEVERITY: &str = "the value for Severity is not an integer";
const NOT_A_UUID: &str = "the value for Uuid is neither 16 bytes nor the text of a UUID";

impl Template {
    /// A table of constants.
    pub(super) fn constant(
        table: &Table<String>,
        section: &mut Section<'_, CodecOptions>,
    ) -> Template {
        Template::compile(table, section, |text| {
            Value::Constant(text.as_bytes().into())
        })
    }

    /// A table whose values may name groups: `%Name%` stands for the text of the group of that name, or of that number where
    /// it has none. A name that no group has comes out as `<Name>`.
    pub(super) fn with_groups(
        table: &Table<String>,
        groups: &[Option<&str>],
        section: &mut Section<'_, CodecOptions>,
    ) -> Template {
        let template = Template::compile(table, section, |text| value(text, groups));
        for (key, text) in table.iter() {
            for name in names(text).filter(|name| group(name, groups).is_none()) {
                section.warning(
                    &["message_fields", key],
                    format!("no group is called `{name}`: it comes out as `<{name}>`"),
                );
            }
        }
        template
    }

    fn compile(
        table: &Table<String>,
        section: &mut Section<'_, CodecOptions>,
        value: impl Fn(&str) -> Value,
    ) -> Template {
        let mut entries = Vec::new();
        for (key, text) in table.iter() {
            let entry = Entry {
                target: Target::of(key),
                value: value(text),
            };
            if let Value::Constant(text) = &entry.value
                && let Some(reason) = entry.target.refuses(text)
            {
                section.problem(&["message_fields", key], reason);
            }
            entries.push(entry);
        }
        Template { entries }
    }

    /// Writes all entries into a message. `group` says where a group's text stands; a group without one is empty.
    #[inline]
    pub(super) fn fill(
        &self,
        draft: &mut Draft<'_>,
        group: impl Fn(usize) -> Span,
    ) -> Result<(), DecodeError> {
        for entry in &self.entries {
            let text = match &entry.value {
                Value::Constant(text) => Text::Copy(text),
                Value::Group(number) => Text::At(group(*number)),
                Value::Parts(parts) => Text::At(join(draft, parts, &group)?),
            };
            set(draft, &entry.target, text)?;
        }
        Ok(())
    }
}

/// Puts parts one behind the other into the arena.
fn join(
    draft: &mut Draft<'_>,
    parts: &[Part],
    group: &impl Fn(usize) -> Span,
) -> Result<Span, Full> {
    let start = draft.bytes().len();
    for part in parts {
        match part {
            Part::Constant(text) => draft.store(text)?,
            Part::Group(number) => draft.gather(&[group(*number)])?,
        };
    }
    Ok(Span::new(start, draft.bytes().len()))
}

fn set(draft: &mut Draft<'_>, target: &Target, text: Text<'_>) -> Result<(), DecodeError> {
    let bytes = match text {
        Text::At(span) => span.of(draft.bytes()),
        Text::Copy(bytes) => bytes,
    };
    match target {
        Target::Text(header) => draft.set(*header, text)?,
        Target::Pid => {
            let pid = pid(bytes).ok_or(DecodeError::failed(NOT_A_PID))?;
            draft.set_pid(pid);
        }
        Target::Severity => {
            let severity = integer(bytes).ok_or(DecodeError::failed(NOT_A_SEVERITY))?;
            draft.set_severity(severity);
        }
        Target::Uuid => {
            let uuid = uuid(bytes).ok_or(DecodeError::failed(NOT_A_UUID))?;
            draft.set(Header::Uuid, &uuid[..])?;
        }
        Target::Field {
            name,
            representation,
        } => {
            let representation = representation.as_deref().map(Text::Copy);
            draft.add_field(&name[..], NewValue::String(text), representation)?;
        }
    }
    Ok(())
}

/// A decimal integer with an optional sign, as Go reads one of 32 bits.
pub(super) fn integer(text: &[u8]) -> Option<i32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// An integer; a fraction is cut off.
fn pid(text: &[u8]) -> Option<i32> {
    integer(text.split(|byte| *byte == b'.').next()?)
}

/// Sixteen bytes as they are, or the usual text form, optionally behind `urn:uuid:`.
fn uuid(text: &[u8]) -> Option<[u8; UUID_BYTES]> {
    if let Ok(bytes) = text.try_into() {
        return Some(bytes);
    }
    let text = match text.split_at_checked(9) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(b"urn:uuid:") => rest,
        _ => text,
    };
    let text: &[u8; 36] = text.try_into().ok()?;
    let mut uuid = [0; UUID_BYTES];
    let mut at = 0;
    for (number, byte) in uuid.iter_mut().enumerate() {
        if matches!(number, 4 | 6 | 8 | 10) {
            if text[at] != b'-' {
                return None;
            }
            at += 1;
        }
        let digit = |at: usize| char::from(text[at]).to_digit(16);
        *byte = (digit(at)? << 4 | digit(at + 1)?) as u8;
        at += 2;
    }
    Some(uuid)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Where the next `%name%` stands in a text: offsets of both signs.
fn next_name(text: &str, from: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut at = from;
    loop {
        let start = at + bytes.get(at..)?.iter().position(|byte| *byte == b'%')?;
        let len = bytes[start + 1..]
            .iter()
            .take_while(|byte| is_word(**byte))
            .count();
        let end = start + 1 + len;
        if len > 0 && bytes.get(end) == Some(&b'%') {
            return Some((start, end));
        }
        at = start + 1;
    }
}

/// Names between percent signs.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (start, end) = next_name(text, at)?;
        at = end + 1;
        Some(&text[start + 1..end])
    })
}

/// The group of that name; one without a name goes by its number.
fn group(name: &str, groups: &[Option<&str>]) -> Option<usize> {
    groups
        .iter()
        .enumerate()
        .skip(1)
        .find(|(number, group)| match group {
            Some(group) => *group == name,
            None => number.to_string() == name,
        })
        .map(|(number, _)| number)
}

fn value(text: &str, groups: &[Option<&str>]) -> Value {
    let mut parts = Vec::new();
    let mut constant = String::new();
    let mut at = 0;
    while let Some((start, end)) = next_name(text, at) {
        let name = &text[start + 1..end];
        constant.push_str(&text[at..start]);
        match group(name, groups) {
            Some(number) => {
                push_constant(&mut parts, &mut constant);
                parts.push(Part::Group(number));
            }
            None => constant.extend(["<", name, ">"]),
        }
        at = end + 1;
    }
    constant.push_str(&text[at..]);
    match parts[..] {
        [] => return Value::Constant(constant.into_bytes().into()),
        [Part::Group(number)] if constant.is_empty() => return Value::Group(number),
        _ => push_constant(&mut parts, &mut constant),
    }
    Value::Parts(parts.into())
}

fn push_constant(parts: &mut Vec<Part>, constant: &mut String) {
    if !constant.is_empty() {
        parts.push(Part::Constant(constant.as_bytes().into()));
        constant.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> String {
        let groups = [None, Some("Verb"), None];
        let texts = ["", "GET", "two"];
        let part = |part: &Part| match part {
            Part::Constant(text) => String::from_utf8(text.to_vec()).unwrap(),
            Part::Group(number) => texts[*number].to_owned(),
        };
        match value(text, &groups) {
            Value::Constant(text) => String::from_utf8(text.to_vec()).unwrap(),
            Value::Group(number) => texts[number].to_owned(),
            Value::Parts(parts) => parts.iter().map(part).collect(),
        }
    }

    #[test]
    fn names_between_percent_signs() {
        assert_eq!(expanded("%Verb%"), "GET");
        assert_eq!(expanded("a %Verb% b %2%%Verb%"), "a GET b twoGET");
        assert_eq!(expanded("%Nobody% %1%"), "<Nobody> <1>");
        assert_eq!(expanded("100 % of %Verb%, 50%"), "100 % of GET, 50%");
        assert_eq!(
            expanded("%% %a b% %\u{e4}% %Verb"),
            "%% %a b% %\u{e4}% %Verb"
        );
        // The second sign belongs to the first name.
        assert_eq!(expanded("%x%Verb%"), "<x>Verb%");
    }

    #[test]
    fn a_group_by_itself_is_not_copied() {
        assert!(matches!(value("%1%", &[None, None]), Value::Group(1)));
        assert!(matches!(value("<%1%>", &[None, None]), Value::Parts(_)));
        assert!(matches!(value("%2%", &[None, None]), Value::Constant(_)));
    }

    #[test]
    fn numbers_as_text() {
        assert_eq!(pid(b"12.75"), Some(12));
        assert_eq!(pid(b"-3"), Some(-3));
        assert_eq!(pid(b""), None);
        assert_eq!(pid(b"4294967296"), None);
        assert_eq!(integer(b"7.5"), None);
    }

    #[test]
    fn uuids_as_text_or_bytes() {
        let expected = [
            0x8e, 0x41, 0x4f, 0x01, 0x9d, 0x7f, 0x4a, 0x48, 0xa5, 0xe1, 0xae, 0x92, 0xe5, 0x95,
            0x4d, 0xf5,
        ];
        assert_eq!(
            uuid(b"8e414f01-9d7f-4a48-a5e1-ae92e5954df5"),
            Some(expected)
        );
        assert_eq!(
            uuid(b"URN:UUID:8E414F01-9D7F-4A48-A5E1-AE92E5954DF5"),
            Some(expected)
        );
        assert_eq!(uuid(b"0123456789abcdef"), Some(*b"0123456789abcdef"));
        assert_eq!(uuid(b"8e414f01-9d7f-4a48-a5e1-ae92e5954df"), None);
        assert_eq!(uuid(b"8e414f0119d7f-4a48-a5e1-ae92e5954df5"), None);
        assert_eq!(uuid(b"8e414f01-9d7f-4a48-a5e1-ae92e5954dg5"), None);
    }
}
