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

pub use encode::{encode, encoded_len};
pub(crate) use encode::{values_len, write_values};
pub use values::FieldValues;

use crate::error::{Damage, Full};
use crate::field::{Field, Span, ValueType};
use crate::message::{Head, Header, IndexError};
use crate::wire::{Reader, WireType, read_varint};

/// Keys of the message: field number and wire type in one byte.
pub(crate) mod key {
    pub(crate) const UUID: u8 = 0x0a;
    pub(crate) const TIMESTAMP: u8 = 0x10;
    pub(crate) const TYPE: u8 = 0x1a;
    pub(crate) const LOGGER: u8 = 0x22;
    pub(crate) const SEVERITY: u8 = 0x28;
    pub(crate) const PAYLOAD: u8 = 0x32;
    pub(crate) const ENV_VERSION: u8 = 0x3a;
    pub(crate) const PID: u8 = 0x40;
    pub(crate) const HOSTNAME: u8 = 0x4a;
    pub(crate) const FIELDS: u8 = 0x52;
    /// Largest field number of the message.
    pub(crate) const MESSAGE_NUMBER_MAX: u32 = 10;

    pub(crate) const NAME: u8 = 0x0a;
    pub(crate) const VALUE_TYPE: u8 = 0x10;
    pub(crate) const REPRESENTATION: u8 = 0x1a;
    pub(crate) const STRING: u8 = 0x22;
    pub(crate) const BYTES: u8 = 0x2a;
    pub(crate) const INTEGER: u8 = 0x30;
    pub(crate) const INTEGERS: u8 = 0x32;
    pub(crate) const DOUBLE: u8 = 0x39;
    pub(crate) const DOUBLES: u8 = 0x3a;
    pub(crate) const BOOL: u8 = 0x40;
    pub(crate) const BOOLS: u8 = 0x42;
    /// Largest field number of a field.
    pub(crate) const FIELD_NUMBER_MAX: u32 = 8;
}

/// Indexes the encoded message at `at` into `head` and `fields`, whose spans count from the start of `bytes`.
///
/// Of a header that comes more than once the last one counts. At most `fields_max` fields stand in
/// `fields` afterwards. On `Err` the head and the appended fields are meaningless.
#[inline]
pub(crate) fn index(
    bytes: &[u8],
    at: Span,
    head: &mut Head,
    fields: &mut Vec<Field>,
    fields_max: usize,
) -> Result<(), IndexError> {
    let mut reader = Reader::new(at.of(bytes), at.end() as u32);
    let mut timestamp = None;
    while let [key, ref rest @ ..] = *reader.rest {
        let header = match key {
            key::FIELDS => {
                reader.rest = rest;
                let (body, span) = reader.delimited()?;
                if fields.len() >= fields_max {
                    return Err(IndexError::from(Full));
                }
                fields.push(index_field(body, span)?);
                continue;
            }
            key::UUID => Header::Uuid,
            key::TYPE => Header::Type,
            key::LOGGER => Header::Logger,
            key::PAYLOAD => Header::Payload,
            key::ENV_VERSION => Header::EnvVersion,
            key::HOSTNAME => Header::Hostname,
            key::TIMESTAMP => {
                reader.rest = rest;
                timestamp = Some(reader.varint()? as i64);
                continue;
            }
            // 32 bit numbers travel as 64 bit ones; the upper half says nothing.
            key::SEVERITY => {
                reader.rest = rest;
                head.set_severity(reader.varint()? as i32);
                continue;
            }
            key::PID => {
                reader.rest = rest;
                head.set_pid(reader.varint()? as i32);
                continue;
            }
            _ => {
                skip_unknown(&mut reader, key::MESSAGE_NUMBER_MAX)?;
                continue;
            }
        };
        reader.rest = rest;
        head.set_text(header, reader.delimited()?.1);
    }
    head.timestamp = timestamp.ok_or(Damage::MissingRequired)?;
    if head.text(Header::Uuid).is_none() {
        return Err(Damage::MissingRequired.into());
    }
    Ok(())
}

/// Passes over a field that the message does not have; one that it has came with a wire type it may not have.
#[cold]
fn skip_unknown(reader: &mut Reader<'_>, number_max: u32) -> Result<(), Damage> {
    let (number, wire_type) = reader.key()?;
    if number <= number_max {
        return Err(Damage::WireType);
    }
    reader.skip(wire_type)
}

/// Indexes one encoded field.
#[inline(always)]
fn index_field(body: &[u8], span: Span) -> Result<Field, Damage> {
    match index_plain_field(body, span) {
        Some(field) => Ok(field),
        None => scan_field(body, span)?.into_field(span),
    }
}

/// Indexes a field of the usual shape: name, type, representation, one value. `None` for anything else.
#[inline(always)]
fn index_plain_field(body: &[u8], span: Span) -> Option<Field> {
    let [key::NAME, name_len, ref rest @ ..] = *body else {
        return None;
    };
    if name_len >= 0x80 {
        return None;
    }
    let mut rest = rest.get(usize::from(name_len)..)?;
    let name = Span {
        start: span.start + 2,
        len: u32::from(name_len),
    };
    let mut value_type = 0;
    if let [key::VALUE_TYPE, number, ref tail @ ..] = *rest {
        value_type = number;
        rest = tail;
    }
    let mut representation = None;
    if let [key::REPRESENTATION, len, ref tail @ ..] = *rest {
        if len >= 0x80 {
            return None;
        }
        let start = span.end() as u32 - tail.len() as u32;
        representation = Some(Span {
            start,
            len: u32::from(len),
        });
        rest = tail.get(usize::from(len)..)?;
    }
    let [value_key, ref rest @ ..] = *rest else {
        return None;
    };
    let (value_type, first) = match (value_type, value_key) {
        (0, key::STRING) => (ValueType::String, last_span(rest, span)?),
        (1, key::BYTES) => (ValueType::Bytes, last_span(rest, span)?),
        (2, key::INTEGER) => (ValueType::Integer, last_varint(rest)?),
        (2, key::INTEGERS) => (ValueType::Integer, last_varint(packed_rest(rest)?)?),
        (3, key::DOUBLE) => (ValueType::Double, last_word(rest)?),
        (3, key::DOUBLES) => (ValueType::Double, last_word(packed_rest(rest)?)?),
        (4, key::BOOL) => (ValueType::Bool, u64::from(last_varint(rest)? != 0)),
        (4, key::BOOLS) => (
            ValueType::Bool,
            u64::from(last_varint(packed_rest(rest)?)? != 0),
        ),
        _ => return None,
    };
    Some(Field {
        name,
        representation,
        body: span,
        first,
        count: 1,
        value_type,
    })
}

/// A length-delimited value that ends where its field ends.
#[inline(always)]
fn last_span(rest: &[u8], field: Span) -> Option<u64> {
    let (len, value) = match *rest {
        [a, ref value @ ..] if a < 0x80 => (usize::from(a), value),
        [a, b, ref value @ ..] if b < 0x80 => (usize::from(a & 0x7f) | usize::from(b) << 7, value),
        _ => return None,
    };
    let span = Span {
        start: field.end() as u32 - len as u32,
        len: len as u32,
    };
    (value.len() == len).then_some(Field::pack_span(span))
}

/// The content of a packed array that ends where its field ends.
#[inline(always)]
fn packed_rest(rest: &[u8]) -> Option<&[u8]> {
    match *rest {
        [len, ref packed @ ..] if usize::from(len) == packed.len() && len < 0x80 => Some(packed),
        _ => None,
    }
}

/// A varint that ends where its field ends.
#[inline(always)]
fn last_varint(rest: &[u8]) -> Option<u64> {
    match read_varint(rest) {
        Ok((value, [])) => Some(value),
        _ => None,
    }
}

/// A double that ends where its field ends.
#[inline(always)]
fn last_word(rest: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(*rest.as_array::<8>()?))
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
            body,
            first,
            count,
            value_type,
        })
    }
}

/// Reads a field in any order with any values. The type may come after the values, so those of every type are noted.
#[inline(never)]
fn scan_field(body: &[u8], span: Span) -> Result<Scan, Damage> {
    use WireType::{Delimited, Fixed64, Varint};
    let mut reader = Reader::new(body, span.end() as u32);
    let mut scan = Scan {
        name: None,
        representation: None,
        value_type: 0,
        values: [(0, 0); 5],
    };
    while !reader.rest.is_empty() {
        match reader.key()? {
            (1, Delimited) => scan.name = Some(reader.delimited()?.1),
            (2, Varint) => scan.value_type = reader.varint()? as i32,
            (3, Delimited) => scan.representation = Some(reader.delimited()?.1),
            (4, Delimited) => {
                let value = Field::pack_span(reader.delimited()?.1);
                scan.add(ValueType::String, value);
            }
            (5, Delimited) => {
                let value = Field::pack_span(reader.delimited()?.1);
                scan.add(ValueType::Bytes, value);
            }
            (6, Varint) => scan.add(ValueType::Integer, reader.varint()?),
            (7, Fixed64) => scan.add(ValueType::Double, reader.fixed64()?),
            (8, Varint) => scan.add(ValueType::Bool, u64::from(reader.varint()? != 0)),
            (number @ 6..=8, Delimited) => scan_packed(number, reader.delimited()?.0, &mut scan)?,
            (number, _) if number <= key::FIELD_NUMBER_MAX => return Err(Damage::WireType),
            (_, wire_type) => reader.skip(wire_type)?,
        }
    }
    Ok(scan)
}

/// Reads a packed array.
fn scan_packed(number: u32, packed: &[u8], scan: &mut Scan) -> Result<(), Damage> {
    let mut reader = Reader::new(packed, packed.len() as u32);
    if number == 7 && !packed.len().is_multiple_of(8) {
        return Err(Damage::PackedLength);
    }
    while !reader.rest.is_empty() {
        match number {
            6 => scan.add(ValueType::Integer, reader.varint()?),
            7 => scan.add(ValueType::Double, reader.fixed64()?),
            _ => scan.add(ValueType::Bool, u64::from(reader.varint()? != 0)),
        }
    }
    Ok(())
}

/// A field whose values of `value_type` are the encoded ones at `body`.
pub(crate) fn array_field(
    bytes: &[u8],
    body: Span,
    name: Span,
    representation: Option<Span>,
    value_type: ValueType,
) -> Field {
    let (count, first) = match scan_field(body.of(bytes), body) {
        Ok(scan) => scan.values[value_type as usize],
        Err(_) => (0, 0),
    };
    Field {
        name,
        representation,
        body,
        first,
        count,
        value_type,
    }
}
