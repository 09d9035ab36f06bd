//! What scripts change: `write_message`.
//!
//! Owns:    headers and fields of the decoder's message, and of the copy that is changed in place of an encoder's, or of one without room.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  the arena of the message's table.
//! Never:   changes the message that an encoder was given.

use std::borrow::Cow;
use std::ffi::CStr;

use codecs::error::Full;
use codecs::field::{Field, Span, Value as FieldValue, ValueType};
use codecs::message::{Draft, Header, MessageTable, NewValue, TableLimits, Text};
use codecs::protobuf;
use codecs::time::TimestampParser;

use crate::call::{Call, Subject};
use crate::lua::{Arguments, Function, Refused, Returns, Value};
use crate::read::{Name, index_argument, text_argument};
use crate::state::State;

pub(crate) struct WriteMessage;

/// Why nothing was written.
enum Fault {
    /// What the host is told; the script hears `write_message() failed`.
    Why(Cow<'static, str>),
    /// The table has no room.
    Full,
}

impl From<Full> for Fault {
    fn from(_: Full) -> Fault {
        Fault::Full
    }
}

impl From<&'static str> for Fault {
    fn from(why: &'static str) -> Fault {
        Fault::Why(why.into())
    }
}

/// A value to write.
#[derive(Clone, Copy)]
enum New<'a> {
    Text(&'a [u8]),
    Number(f64),
    Boolean(bool),
}

/// Which value of which field.
struct Place<'a> {
    name: &'a [u8],
    field: usize,
    item: usize,
    /// Whether `item` was given: a deletion without it takes the whole field.
    has_item: bool,
    representation: &'a [u8],
}

impl Function for WriteMessage {
    const NAME: &'static CStr = c"write_message";

    fn call<'s>(
        arguments: Arguments<'s>,
        state: &'s State,
        call: Option<&'s mut Call<'_, '_>>,
    ) -> Result<Returns<'s>, Refused> {
        const FUNCTION: &str = "write_message";
        if !(2..=5).contains(&arguments.len()) {
            return Err(state.refuse(format_args!(
                "write_message() incorrect number of arguments"
            )));
        }
        let name = text_argument(arguments, state, FUNCTION, 1)?;
        let representation = match arguments.get(3).is_nil() {
            true => Cow::Borrowed(&b""[..]),
            false => text_argument(arguments, state, FUNCTION, 3)?,
        };
        let field = index_argument(arguments, state, FUNCTION, 4, "field index must be >= 0")?;
        let item = index_argument(arguments, state, FUNCTION, 5, "array index must be >= 0")?;
        let value = match arguments.get(2) {
            Value::Text(text) => Some(New::Text(text)),
            Value::Number(number) => Some(New::Number(number)),
            Value::Boolean(truth) => Some(New::Boolean(truth)),
            Value::Nil => None,
            _ => {
                return Err(state.refuse(format_args!(
                    "write_message() only accepts numeric, string, or boolean field values, or nil to delete"
                )));
            }
        };
        let Some(call) = call else {
            return Err(state.refuse(format_args!("write_message() failed")));
        };
        let place = Place {
            name: b"",
            field,
            item,
            has_item: !arguments.get(5).is_nil(),
            representation: until_zero(&representation),
        };
        let now = call.host.now();
        let written = with_draft(call, state, |draft| {
            let name = Name::of(until_zero(&name));
            write(
                draft,
                name,
                value,
                &place,
                now,
                &mut state.encoded.borrow_mut(),
            )
        });
        match written {
            Ok(()) => Ok(Returns::Nothing),
            Err(fault) => {
                match fault {
                    Fault::Why(why) => call.host.explain(&why),
                    Fault::Full => {
                        state.full.set(true);
                        call.host.explain("the message table is full");
                    }
                }
                Err(state.refuse(format_args!("write_message() failed")))
            }
        }
    }
}

/// Texts come from C in Heka, and end at their first zero byte.
fn until_zero(text: &[u8]) -> &[u8] {
    &text[..memchr::memchr(0, text).unwrap_or(text.len())]
}

/// Hands over the message to write to. An encoder's is copied first; a decoder's where its table has no room for what is written, so that the
/// script need not run again.
fn with_draft(
    call: &mut Call<'_, '_>,
    state: &State,
    mut work: impl FnMut(&mut Draft<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    if let Subject::Draft(draft) = &mut call.subject {
        match work(draft) {
            Err(Fault::Full) => {}
            other => return other,
        }
    }
    if let Some(message) = call.subject.original() {
        let table = call.copy.take().ok_or("there is no message to write to")?;
        let bytes = 2 * state.message_bytes_max + codecs::limits::TABLE_ARENA_BYTES;
        let table = table.get_or_insert_with(|| {
            MessageTable::new(TableLimits {
                received_bytes: 0,
                arena_bytes: bytes,
                messages: 1,
                fields: codecs::limits::TABLE_FIELDS_MAX,
            })
        });
        call.subject = Subject::Copy(table.copy(message)?);
    }
    match &mut call.subject {
        Subject::Copy(draft) => work(draft),
        _ => Err("there is no message to write to".into()),
    }
}

fn write(
    draft: &mut Draft<'_>,
    name: Name<'_>,
    value: Option<New<'_>>,
    place: &Place<'_>,
    now: i64,
    scratch: &mut Vec<u8>,
) -> Result<(), Fault> {
    if let Name::Field(name) = name {
        let place = Place { name, ..*place };
        return match value {
            Some(value) => write_field(draft, &place, value, scratch),
            None => delete(draft, &place, scratch),
        };
    }
    match (name, value) {
        (Name::Header(Header::Uuid), Some(New::Text(text))) => {
            let uuid = read_uuid(until_zero(text)).ok_or("Bad UUID string.")?;
            draft.set(Header::Uuid, &uuid[..])?;
        }
        (Name::Header(header), Some(New::Text(text))) => draft.set(header, until_zero(text))?,
        (Name::Timestamp, Some(New::Text(text))) => {
            draft.set_timestamp(read_timestamp(until_zero(text), now)?);
        }
        (Name::Timestamp, Some(New::Number(number))) => draft.set_timestamp(number as i64),
        (Name::Severity, Some(value)) => draft.set_severity(small(value, "severity")?),
        (Name::Pid, Some(value)) => draft.set_pid(small(value, "PID")?),
        _ => return Err("Bad field name.".into()),
    }
    Ok(())
}

/// A number of 32 bits.
fn small(value: New<'_>, what: &'static str) -> Result<i32, Fault> {
    match value {
        New::Number(number) => Ok(number as i32),
        New::Text(text) => read_integer(until_zero(text))
            .and_then(|number| i32::try_from(number).ok())
            .ok_or_else(|| Fault::Why(format!("Can't parse {what} value.").into())),
        New::Boolean(_) => Err("Bad field name.".into()),
    }
}

/// An integer as Go reads one of any base: with `0x`, `0o`, `0b` or `0` in front.
fn read_integer(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_str() {
        "0" => (10, "0"),
        other => match other.as_bytes() {
            [b'0', b'x', ..] => (16, &other[2..]),
            [b'0', b'o', ..] => (8, &other[2..]),
            [b'0', b'b', ..] => (2, &other[2..]),
            [b'0', ..] => (8, &other[1..]),
            _ => (10, other),
        },
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}

fn read_timestamp(text: &[u8], now: i64) -> Result<i64, Fault> {
    if text.is_empty() {
        return Err("Empty timestamp string.".into());
    }
    if let Some(number) = read_integer(text) {
        return Ok(number);
    }
    let parsed = TimestampParser::new("", "UTC").map(|parser| parser.parse(text, now));
    match parsed {
        Ok(Ok(timestamp)) => Ok(timestamp),
        _ => Err("Can't parse timestamp string.".into()),
    }
}

/// The form with dashes, with or without `urn:uuid:` in front.
fn read_uuid(text: &[u8]) -> Option<[u8; 16]> {
    let text = match text.get(..9) {
        Some(urn) if text.len() == 45 && urn.eq_ignore_ascii_case(b"urn:uuid:") => &text[9..],
        _ => text,
    };
    if text.len() != 36 || ![8, 13, 18, 23].iter().all(|&at| text[at] == b'-') {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let mut digits = text.iter().enumerate();
    let mut next = || {
        digits
            .find(|(at, _)| ![8, 13, 18, 23].contains(at))
            .and_then(|(_, &byte)| digit(byte))
    };
    let mut uuid = [0; 16];
    for byte in &mut uuid {
        *byte = next()? << 4 | next()?;
    }
    Some(uuid)
}

/// Where the field stands, or how many there are of its name.
fn find(draft: &Draft<'_>, place: &Place<'_>) -> Result<usize, usize> {
    let mut seen = 0;
    for (at, field) in draft.view().fields().enumerate() {
        if field.name() == place.name {
            if seen == place.field {
                return Ok(at);
            }
            seen += 1;
        }
    }
    Err(seen)
}

fn write_field(
    draft: &mut Draft<'_>,
    place: &Place<'_>,
    value: New<'_>,
    scratch: &mut Vec<u8>,
) -> Result<(), Fault> {
    let at = match find(draft, place) {
        Ok(at) => at,
        Err(count) if place.field > count => return Err("bad field index".into()),
        Err(_) if place.item != 0 => return Err("bad array index".into()),
        Err(_) => return add_field(draft, place, value),
    };
    let stored = stored(draft, at);
    let value = converted(value, stored.value_type, place.name)?;
    let count = stored.count as usize;
    if place.item > count {
        return Err("bad array index".into());
    }
    let representation = Some(draft.store(place.representation)?);
    let field = if place.item == 0 && count <= 1 {
        Field {
            representation,
            body: Span::EMPTY,
            first: first_of(draft, value)?,
            count: 1,
            ..stored
        }
    } else {
        encode_values(draft, at, scratch, |values| {
            match values.get_mut(place.item) {
                Some(old) => *old = value,
                None => values.push(value),
            }
        });
        let body = draft.store(scratch)?;
        protobuf::array_field(
            draft.bytes(),
            body,
            stored.name,
            representation,
            stored.value_type,
        )
    };
    draft.replace_field(at, field);
    Ok(())
}

fn add_field(draft: &mut Draft<'_>, place: &Place<'_>, value: New<'_>) -> Result<(), Fault> {
    let value = match value {
        New::Text(text) => NewValue::String(Text::Copy(until_zero(text))),
        New::Number(number) => NewValue::Double(number),
        New::Boolean(truth) => NewValue::Bool(truth),
    };
    let representation = Some(Text::Copy(place.representation));
    draft.add_field(place.name, value, representation)?;
    Ok(())
}

fn stored(draft: &Draft<'_>, at: usize) -> Field {
    let view = draft.view();
    let field = view.fields().nth(at);
    *field.expect("found before").stored()
}

/// The value in the type of the field, if it fits.
fn converted<'a>(
    value: New<'a>,
    value_type: ValueType,
    name: &[u8],
) -> Result<FieldValue<'a>, Fault> {
    let wanted = match (value_type, value) {
        (ValueType::String, New::Text(text)) => return Ok(FieldValue::String(until_zero(text))),
        (ValueType::Bytes, New::Text(text)) => return Ok(FieldValue::Bytes(text)),
        (ValueType::Double, New::Number(number)) => return Ok(FieldValue::Double(number)),
        (ValueType::Integer, New::Number(number)) if is_integer(number) => {
            return Ok(FieldValue::Integer(number as i64));
        }
        (ValueType::Bool, New::Boolean(truth)) => return Ok(FieldValue::Bool(truth)),
        (ValueType::String, _) => "a string",
        (ValueType::Bytes, _) => "a bytes",
        (ValueType::Integer, _) => "an integer",
        (ValueType::Double, _) => "a double",
        (ValueType::Bool, _) => "a boolean",
    };
    let name = String::from_utf8_lossy(name);
    Err(Fault::Why(
        format!("type error, '{name}' is {wanted} field").into(),
    ))
}

/// Whether a double is an integer of 64 bits.
fn is_integer(number: f64) -> bool {
    const END: f64 = 9_223_372_036_854_775_808.0;
    number.trunc() == number && (-END..END).contains(&number)
}

fn first_of(draft: &mut Draft<'_>, value: FieldValue<'_>) -> Result<u64, Full> {
    Ok(match value {
        FieldValue::String(text) | FieldValue::Bytes(text) => Field::pack_span(draft.store(text)?),
        FieldValue::Integer(number) => number as u64,
        FieldValue::Double(number) => number.to_bits(),
        FieldValue::Bool(truth) => truth.into(),
    })
}

/// Writes the values of a field, changed, to `scratch` in encoded form.
fn encode_values<'a>(
    draft: &'a Draft<'_>,
    at: usize,
    scratch: &mut Vec<u8>,
    change: impl FnOnce(&mut Vec<FieldValue<'a>>),
) {
    scratch.clear();
    if let Some(field) = draft.view().fields().nth(at) {
        let mut values: Vec<_> = field.values().collect();
        change(&mut values);
        protobuf::write_values(field.value_type(), &values, scratch);
    }
}

fn delete(draft: &mut Draft<'_>, place: &Place<'_>, scratch: &mut Vec<u8>) -> Result<(), Fault> {
    let at = match find(draft, place) {
        Ok(at) => at,
        Err(0) => return Ok(()),
        Err(_) => return Err("bad field index".into()),
    };
    if !place.has_item {
        draft.remove_field(at);
        return Ok(());
    }
    let stored = stored(draft, at);
    if place.item >= stored.count as usize {
        return Err("bad array index".into());
    }
    encode_values(draft, at, scratch, |values| {
        values.remove(place.item);
    });
    let body = draft.store(scratch)?;
    let field = protobuf::array_field(
        draft.bytes(),
        body,
        stored.name,
        stored.representation,
        stored.value_type,
    );
    draft.replace_field(at, field);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_in_any_base() {
        for (text, number) in [
            ("12", Some(12)),
            ("-0x1F", Some(-31)),
            ("010", Some(8)),
            ("0b11", Some(3)),
            ("0", Some(0)),
            ("+5", Some(5)),
            ("", None),
            ("--5", None),
            ("0x-5", None),
            ("9223372036854775808", None),
            ("-9223372036854775808", Some(i64::MIN)),
            ("1.0", None),
        ] {
            assert_eq!(read_integer(text.as_bytes()), number, "{text}");
        }
    }

    #[test]
    fn uuids_are_read_in_their_text_form_only() {
        let text = b"00010203-0405-0607-0809-0a0b0c0d0e0F";
        let expected: Vec<u8> = (0..16).collect();
        assert_eq!(read_uuid(text).map(Vec::from), Some(expected.clone()));
        let urn = [b"urn:uuid:", &text[..]].concat();
        assert_eq!(read_uuid(&urn).map(Vec::from), Some(expected.clone()));
        assert_eq!(read_uuid(&expected), None);
        assert_eq!(read_uuid(b"00010203-0405-0607-0809-0a0b0c0d0e0g"), None);
    }
}
