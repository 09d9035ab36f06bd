//! The message protobuf, read by spans and written from them.
//!
//! Owns:    the numbers of the format, and the index of an encoded message.
//! Runs on: every shard.            Plane: data.
//! Bounds:  one pass, no recursion; the caller's field limit.
//! Never:   copies values when reading, or panics on damaged input.
//!
//! Reading has two speeds. Fields as every known sender writes them (name, type, representation, one value, nothing
//! else) are recognised in a few comparisons; any other order, arrays and unknown tags take the general
//! scan. Both give the same answer, and tests hold both against prost.

mod encode;
#[cfg(test)]
mod tests;
mod values;

pub(crate) use encode::values_len;
pub use encode::write_values;
pub use encode::{encode, encoded_len};
pub use values::FieldValues;

use crate::error::{Damage, Full};
use crate::field::{Field, Span, ValueType};
use crate::message::{Head, Header, IndexError};
use crate::wire::{Reader, WireType, exact_varint, word};

/// Keys of the message: field number and wire type in one byte.
pub mod key {
    /// Header uuid.
    pub const UUID: u8 = 0x0a;
    /// Header timestamp.
    pub const TIMESTAMP: u8 = 0x10;
    /// Header type.
    pub const TYPE: u8 = 0x1a;
    /// Header logger.
    pub const LOGGER: u8 = 0x22;
    /// Header severity.
    pub const SEVERITY: u8 = 0x28;
    /// Header payload.
    pub const PAYLOAD: u8 = 0x32;
    /// Header env_version.
    pub const ENV_VERSION: u8 = 0x3a;
    /// Header pid.
    pub const PID: u8 = 0x40;
    /// Header hostname.
    pub const HOSTNAME: u8 = 0x4a;
    /// A field.
    pub const FIELDS: u8 = 0x52;

    /// A field's name.
    pub const NAME: u8 = 0x0a;
    /// A field's type of values.
    pub const VALUE_TYPE: u8 = 0x10;
    /// A field's representation.
    pub const REPRESENTATION: u8 = 0x1a;
    /// A text of a field.
    pub const STRING: u8 = 0x22;
    /// Bytes of a field.
    pub const BYTES: u8 = 0x2a;
    /// An integer of a field.
    pub const INTEGER: u8 = 0x30;
    /// Integers of a field, packed.
    pub const INTEGERS: u8 = 0x32;
    /// A double of a field.
    pub const DOUBLE: u8 = 0x39;
    /// Doubles of a field, packed.
    pub const DOUBLES: u8 = 0x3a;
    /// A truth value of a field.
    pub const BOOL: u8 = 0x40;
    /// Truth values of a field, packed.
    pub const BOOLS: u8 = 0x42;
}

/// Indexes the encoded message at `at` into `head` and `fields`, whose spans count from the start of `bytes`.
///
/// Of a header that comes more than once the last one counts. At most `fields_max` fields stand in
/// `fields` afterwards. The head comes empty; on `Err` it and the appended fields are meaningless.
///
/// 32 bit numbers travel as 64 bit ones, whose upper half says nothing.
#[inline]
pub(crate) fn index(
    bytes: &[u8],
    at: Span,
    head: &mut Head,
    fields: &mut Vec<Field>,
    fields_max: usize,
) -> Result<(), IndexError> {
    let message = &bytes[..at.end()];
    let mut reader = Reader::new(message, at.start);
    // Senders write in the order of the numbers, so every test below is one that the processor foresees.
    if let Some(span) = reader.take_delimited(key::UUID)? {
        head.set_text(Header::Uuid, span);
    }
    if let Some(number) = reader.take_varint(key::TIMESTAMP)? {
        head.set_timestamp(number as i64);
    }
    if let Some(span) = reader.take_delimited(key::TYPE)? {
        head.set_text(Header::Type, span);
    }
    if let Some(span) = reader.take_delimited(key::LOGGER)? {
        head.set_text(Header::Logger, span);
    }
    if let Some(number) = reader.take_varint(key::SEVERITY)? {
        head.set_severity(number as i32);
    }
    if let Some(span) = reader.take_delimited(key::PAYLOAD)? {
        head.set_text(Header::Payload, span);
    }
    if let Some(span) = reader.take_delimited(key::ENV_VERSION)? {
        head.set_text(Header::EnvVersion, span);
    }
    if let Some(number) = reader.take_varint(key::PID)? {
        head.set_pid(number as i32);
    }
    if let Some(span) = reader.take_delimited(key::HOSTNAME)? {
        head.set_text(Header::Hostname, span);
    }
    while !reader.is_done() {
        let reached = index_fields(
            bytes,
            reader.position() as u32,
            at.end() as u32,
            fields,
            fields_max,
        )?;
        reader = Reader::new(message, reached);
        if !reader.is_done() {
            reader = read_out_of_order(reader, head, fields, fields_max)?;
        }
    }
    if !head.has_required() {
        return Err(Damage::MissingRequired.into());
    }
    Ok(())
}

/// Bytes that a short field can make the reader look at: 128 with the name, 128 with the representation, a key and a
/// word. Where as many follow, no position needs to be compared with an end: lengths of seven bits cannot leave them.
const WINDOW_BYTES: usize = 4 + 127 + VALUE_BYTES;

/// The same for what follows the name.
const VALUE_BYTES: usize = 4 + 127 + LAST_BYTES;

/// The same for what follows the representation: a key, a length, the longest varint.
const LAST_BYTES: usize = 12;

/// Indexes fields that follow each other from `at` up to at most `end`: where the first thing stands that is none.
///
/// A function of its own, so that its loop has the registers for itself.
#[inline(never)]
fn index_fields(
    bytes: &[u8],
    mut at: u32,
    end: u32,
    fields: &mut Vec<Field>,
    fields_max: usize,
) -> Result<u32, IndexError> {
    for _ in fields.len()..fields_max {
        if at >= end {
            return Ok(at);
        }
        if let Some(window) = word(bytes, at)
            && let Some(behind) = push_short_field(window, at, end, fields)
        {
            at = behind;
        } else if bytes[at as usize] == key::FIELDS {
            at = index_any_field(&bytes[..end as usize], at, fields)?;
        } else {
            return Ok(at);
        }
    }
    match bytes[..end as usize].get(at as usize) {
        Some(&key::FIELDS) => Err(IndexError::from(Full)),
        _ => Ok(at),
    }
}

/// Indexes a field whose lengths all take one byte: where it ends. `None` for any other, or for what is no field.
///
/// Bytes are read without regard to where the field or the message ends: the value must end where the field ends, which
/// no wrong turn can reach.
#[inline(always)]
fn push_short_field(
    window: &[u8; WINDOW_BYTES],
    at: u32,
    end: u32,
    fields: &mut Vec<Field>,
) -> Option<u32> {
    /// Key of a field and of its name, and the top bits of both lengths, which must be clear.
    const START: u32 = key::FIELDS as u32 | (key::NAME as u32) << 16;
    const START_MASK: u32 = 0x80ff_80ff;
    let start = u32::from_le_bytes(*window.first_chunk()?);
    if start & START_MASK != START {
        return None;
    }
    let body = Span {
        start: at + 2,
        len: start >> 8 & 0x7f,
    };
    let name = Span {
        start: at + 4,
        len: start >> 24 & 0x7f,
    };
    let behind = body.start + body.len;
    if behind > end {
        return None;
    }
    let value: &[u8; VALUE_BYTES] = window[4 + name.len as usize..].first_chunk()?;
    let start = u32::from_le_bytes(*value.first_chunk()?);
    let value_at = name.start + name.len;
    if start & 0xff == u32::from(key::STRING) {
        let text = Span {
            start: value_at + 2,
            len: start >> 8 & 0xff,
        };
        if text.start + text.len != behind {
            return None;
        }
        fields.push(short_field(
            name,
            None,
            ValueType::String,
            Field::pack_span(text),
        ));
        return Some(behind);
    }
    // What is left: type and representation, of which either may be missing, and the value with its key.
    let [first_key, a, second_key, b] = start.to_le_bytes();
    let (value_type, representation, at) = match (first_key, second_key) {
        (key::VALUE_TYPE, key::REPRESENTATION) => (
            a,
            Some(short_span(value_at + 4, b)?),
            4 + u32::from(b & 0x7f),
        ),
        (key::VALUE_TYPE, _) => (a, None, 2),
        (key::REPRESENTATION, _) => (
            0,
            Some(short_span(value_at + 2, a)?),
            2 + u32::from(a & 0x7f),
        ),
        _ => return None,
    };
    let rest: &[u8; LAST_BYTES] = value[at as usize..].first_chunk()?;
    let len = behind.wrapping_sub(value_at + at);
    let (value_type, first) = last_value(rest, value_type, value_at + at, len)?;
    fields.push(short_field(name, representation, value_type, first));
    Some(behind)
}

/// A field with one value, which needs no body.
#[inline(always)]
fn short_field(
    name: Span,
    representation: Option<Span>,
    value_type: ValueType,
    first: u64,
) -> Field {
    Field {
        name,
        representation,
        body: Span::EMPTY,
        first,
        count: 1,
        value_type,
    }
}

/// A span whose length took one byte.
#[inline(always)]
fn short_span(start: u32, len: u8) -> Option<Span> {
    (len < 0x80).then_some(Span {
        start,
        len: u32::from(len),
    })
}

/// The one value, with its key, that begins at `at` and is `len` bytes long: its type, and what `Field::first` holds.
///
/// `None` if it is of another type, of another length or not alone.
#[inline(always)]
fn last_value(
    rest: &[u8; LAST_BYTES],
    value_type: u8,
    at: u32,
    len: u32,
) -> Option<(ValueType, u64)> {
    /// Key of the value and type of the field, for one comparison.
    const fn shape(value_type: ValueType, key: u8) -> u16 {
        (value_type as u16) << 8 | key as u16
    }
    const STRING: u16 = shape(ValueType::String, key::STRING);
    const BYTES: u16 = shape(ValueType::Bytes, key::BYTES);
    const INTEGER: u16 = shape(ValueType::Integer, key::INTEGER);
    const INTEGERS: u16 = shape(ValueType::Integer, key::INTEGERS);
    const DOUBLE: u16 = shape(ValueType::Double, key::DOUBLE);
    const DOUBLES: u16 = shape(ValueType::Double, key::DOUBLES);
    const BOOL: u16 = shape(ValueType::Bool, key::BOOL);
    const BOOLS: u16 = shape(ValueType::Bool, key::BOOLS);
    let [value_key, a, b, ..] = *rest;
    // A packed array of one number is the number behind a length.
    let packed = |bare: u32| len == bare + 2 && u32::from(a) == bare;
    match u16::from(value_type) << 8 | u16::from(value_key) {
        INTEGER => Some((
            ValueType::Integer,
            exact_varint(rest[1..].first_chunk()?, len.wrapping_sub(1))?,
        )),
        DOUBLE if len == 9 => Some((
            ValueType::Double,
            u64::from_le_bytes(*rest[1..].first_chunk()?),
        )),
        BOOL if len == 2 && a < 0x80 => Some((ValueType::Bool, u64::from(a != 0))),
        INTEGERS if packed(u32::from(a)) => Some((
            ValueType::Integer,
            exact_varint(rest[2..].first_chunk()?, len - 2)?,
        )),
        DOUBLES if packed(8) => Some((
            ValueType::Double,
            u64::from_le_bytes(*rest[2..].first_chunk()?),
        )),
        BOOLS if packed(1) && b < 0x80 => Some((ValueType::Bool, u64::from(b != 0))),
        shape @ (STRING | BYTES) => {
            let text = Span {
                start: at + 2,
                len: u32::from(a),
            };
            let value_type = if shape == STRING {
                ValueType::String
            } else {
                ValueType::Bytes
            };
            (text.len + 2 == len).then_some((value_type, Field::pack_span(text)))
        }
        _ => None,
    }
}

/// Reads one header or field wherever it stands, or passes over what the message does not have.
///
/// Takes and gives the reader by value, so that the caller can keep it in registers.
#[cold]
#[inline(never)]
fn read_out_of_order<'a>(
    mut reader: Reader<'a>,
    head: &mut Head,
    fields: &mut Vec<Field>,
    fields_max: usize,
) -> Result<Reader<'a>, IndexError> {
    use WireType::{Delimited, Varint};
    let mut text = |header: Header, reader: &mut Reader<'_>| -> Result<(), Damage> {
        head.set_text(header, reader.delimited()?);
        Ok(())
    };
    match reader.key()? {
        (1, Delimited) => text(Header::Uuid, &mut reader)?,
        (2, Varint) => head.set_timestamp(reader.varint()? as i64),
        (3, Delimited) => text(Header::Type, &mut reader)?,
        (4, Delimited) => text(Header::Logger, &mut reader)?,
        (5, Varint) => head.set_severity(reader.varint()? as i32),
        (6, Delimited) => text(Header::Payload, &mut reader)?,
        (7, Delimited) => text(Header::EnvVersion, &mut reader)?,
        (8, Varint) => head.set_pid(reader.varint()? as i32),
        (9, Delimited) => text(Header::Hostname, &mut reader)?,
        (10, Delimited) => {
            let body = reader.delimited()?;
            if fields.len() >= fields_max {
                return Err(IndexError::from(Full));
            }
            fields.push(scan_field(reader.bytes(), body)?.into_field(body)?);
        }
        (1..=10, _) => return Err(Damage::WireType.into()),
        (_, wire_type) => reader.skip(wire_type)?,
    }
    Ok(reader)
}

/// Indexes the field whose key stands at `at`, whatever its shape: where it ends.
#[inline(never)]
fn index_any_field(bytes: &[u8], at: u32, fields: &mut Vec<Field>) -> Result<u32, Damage> {
    let body = Reader::new(bytes, at + 1).delimited()?;
    let field = match index_text_field(bytes, body)? {
        Some(field) => field,
        None => scan_field(bytes, body)?.into_field(body)?,
    };
    fields.push(field);
    Ok(body.end() as u32)
}

/// Indexes a field of one text in the usual order: what a long field is as a rule. `None` for anything else.
fn index_text_field(bytes: &[u8], body: Span) -> Result<Option<Field>, Damage> {
    let mut reader = Reader::new(&bytes[..body.end()], body.start);
    let Some(name) = reader.take_delimited(key::NAME)? else {
        return Ok(None);
    };
    let (value_type, value_key) = match reader.take_varint(key::VALUE_TYPE)? {
        None | Some(0) => (ValueType::String, key::STRING),
        Some(1) => (ValueType::Bytes, key::BYTES),
        Some(_) => return Ok(None),
    };
    let representation = reader.take_delimited(key::REPRESENTATION)?;
    let Some(value) = reader.take_delimited(value_key)? else {
        return Ok(None);
    };
    let field = short_field(name, representation, value_type, Field::pack_span(value));
    Ok(reader.is_done().then_some(field))
}

/// What a field says, gathered in any order.
struct Scan {
    name: Option<Span>,
    representation: Option<Span>,
    value_type: i32,
    /// Per value type: how many values, and the first as `Field::first` holds it.
    values: [(u32, u64); 5],
}

impl Scan {
    fn add(&mut self, value_type: ValueType, value: u64) {
        let (count, first) = &mut self.values[value_type as usize];
        if *count == 0 {
            *first = value;
        }
        *count += 1;
    }

    /// The field, with the values of its own type; those of other types say nothing.
    fn into_field(self, body: Span) -> Result<Field, Damage> {
        let value_type = ValueType::from_wire(self.value_type).ok_or(Damage::ValueType)?;
        let (count, first) = self.values[value_type as usize];
        Ok(Field {
            name: self.name.ok_or(Damage::MissingRequired)?,
            representation: self.representation,
            body: if count > 1 { body } else { Span::EMPTY },
            first,
            count,
            value_type,
        })
    }
}

/// Reads a field in any order with any values. The type may come after the values, so those of every type are noted.
#[inline(never)]
fn scan_field(bytes: &[u8], body: Span) -> Result<Scan, Damage> {
    use WireType::{Delimited, Fixed64, Varint};
    let mut reader = Reader::new(&bytes[..body.end()], body.start);
    let mut scan = Scan {
        name: None,
        representation: None,
        value_type: 0,
        values: [(0, 0); 5],
    };
    while !reader.is_done() {
        match reader.key()? {
            (1, Delimited) => scan.name = Some(reader.delimited()?),
            (2, Varint) => scan.value_type = reader.varint()? as i32,
            (3, Delimited) => scan.representation = Some(reader.delimited()?),
            (4, Delimited) => scan.add(ValueType::String, Field::pack_span(reader.delimited()?)),
            (5, Delimited) => scan.add(ValueType::Bytes, Field::pack_span(reader.delimited()?)),
            (6, Varint) => scan.add(ValueType::Integer, reader.varint()?),
            (7, Fixed64) => scan.add(ValueType::Double, reader.fixed64()?),
            (8, Varint) => scan.add(ValueType::Bool, u64::from(reader.varint()? != 0)),
            (number @ 6..=8, Delimited) => scan_packed(number, reader.text()?, &mut scan)?,
            (1..=8, _) => return Err(Damage::WireType),
            (_, wire_type) => reader.skip(wire_type)?,
        }
    }
    Ok(scan)
}

/// Reads a packed array.
fn scan_packed(number: u32, packed: &[u8], scan: &mut Scan) -> Result<(), Damage> {
    let mut reader = Reader::new(packed, 0);
    if number == 7 && !packed.len().is_multiple_of(8) {
        return Err(Damage::PackedLength);
    }
    while !reader.is_done() {
        match number {
            6 => scan.add(ValueType::Integer, reader.varint()?),
            7 => scan.add(ValueType::Double, reader.fixed64()?),
            _ => scan.add(ValueType::Bool, u64::from(reader.varint()? != 0)),
        }
    }
    Ok(())
}

/// A field whose values of `value_type` are the encoded ones at `body`.
pub fn array_field(
    bytes: &[u8],
    body: Span,
    name: Span,
    representation: Option<Span>,
    value_type: ValueType,
) -> Field {
    let (count, first) = match scan_field(bytes, body) {
        Ok(scan) => scan.values[value_type as usize],
        Err(_) => (0, 0),
    };
    let body = if count > 1 { body } else { Span::EMPTY };
    Field {
        name,
        representation,
        body,
        first,
        count,
        value_type,
    }
}
