//! Messages to protobuf.
//!
//! Owns:    encoded lengths and encoding of messages, fields and arrays.
//! Runs on: every shard.            Plane: data.
//! Bounds:  what is written is exactly `encoded_len`; the caller compares that with its limit first.
//! Never:   allocates beyond the growth of `out`, or writes a header that the message does not have.

use super::key;
use crate::field::{FieldRef, Value, ValueType};
use crate::message::{Header, MessageRef};
use crate::wire::{delimited_len, varint_len, write_delimited, write_varint};

/// Encoded length of a message, bytes.
pub fn encoded_len(message: MessageRef<'_>) -> usize {
    if let Some(encoded) = message.encoded() {
        return encoded.len();
    }
    let mut len = number_len(message.timestamp());
    for (_, header) in TEXTS {
        len += message
            .header_opt(header)
            .map_or(0, |text| delimited_len(text.len()));
    }
    len += message
        .severity_opt()
        .map_or(0, |severity| number_len(severity.into()));
    len += message.pid_opt().map_or(0, |pid| number_len(pid.into()));
    len + message
        .fields()
        .map(|field| delimited_len(field_len(field)))
        .sum::<usize>()
}

/// Appends the encoded message: the received bytes where nothing was changed, otherwise in the order of the numbers.
///
/// STRING leaves the value type out, a single number is not packed, two or more are. Headers that the message
/// does not have are left out, the required uuid too: who makes messages sets it.
pub fn encode(message: MessageRef<'_>, out: &mut Vec<u8>) {
    if let Some(encoded) = message.encoded() {
        out.extend_from_slice(encoded);
        return;
    }
    let text = |key: u8, header: Header, out: &mut Vec<u8>| {
        if let Some(text) = message.header_opt(header) {
            write_delimited(key, text, out);
        }
    };
    text(key::UUID, Header::Uuid, out);
    write_number(key::TIMESTAMP, message.timestamp(), out);
    text(key::TYPE, Header::Type, out);
    text(key::LOGGER, Header::Logger, out);
    if let Some(severity) = message.severity_opt() {
        write_number(key::SEVERITY, severity.into(), out);
    }
    text(key::PAYLOAD, Header::Payload, out);
    text(key::ENV_VERSION, Header::EnvVersion, out);
    if let Some(pid) = message.pid_opt() {
        write_number(key::PID, pid.into(), out);
    }
    text(key::HOSTNAME, Header::Hostname, out);
    for field in message.fields() {
        out.push(key::FIELDS);
        write_varint(field_len(field) as u64, out);
        write_field(field, out);
    }
}

const TEXTS: [(u8, Header); 6] = [
    (key::UUID, Header::Uuid),
    (key::TYPE, Header::Type),
    (key::LOGGER, Header::Logger),
    (key::PAYLOAD, Header::Payload),
    (key::ENV_VERSION, Header::EnvVersion),
    (key::HOSTNAME, Header::Hostname),
];

/// Bytes of a number with its key; a negative one takes ten bytes.
fn number_len(value: i64) -> usize {
    1 + varint_len(value as u64)
}

#[inline]
fn write_number(key: u8, value: i64, out: &mut Vec<u8>) {
    out.push(key);
    write_varint(value as u64, out);
}

fn field_len(field: FieldRef<'_>) -> usize {
    let mut len = delimited_len(field.name().len());
    if field.value_type() != ValueType::String {
        len += 2;
    }
    len += field
        .representation()
        .map_or(0, |text| delimited_len(text.len()));
    match (field.len(), field.first()) {
        (1, Some(value)) => len + single_len(value),
        _ => len + sequence_len(field.value_type(), field.values()),
    }
}

fn write_field(field: FieldRef<'_>, out: &mut Vec<u8>) {
    write_delimited(key::NAME, field.name(), out);
    if field.value_type() != ValueType::String {
        out.push(key::VALUE_TYPE);
        out.push(field.value_type() as u8);
    }
    if let Some(representation) = field.representation() {
        write_delimited(key::REPRESENTATION, representation, out);
    }
    match (field.len(), field.first()) {
        (1, Some(value)) => write_single(value, out),
        _ => write_sequence(field.value_type(), field.len(), field.values(), out),
    }
}

/// Bytes of the only value of a field.
#[inline]
fn single_len(value: Value<'_>) -> usize {
    match value {
        Value::String(text) | Value::Bytes(text) => delimited_len(text.len()),
        _ => 1 + bare_len(value),
    }
}

/// Appends the only value of a field.
#[inline]
fn write_single(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::String(text) => write_delimited(key::STRING, text, out),
        Value::Bytes(text) => write_delimited(key::BYTES, text, out),
        Value::Integer(number) => write_number(key::INTEGER, number, out),
        Value::Double(number) => {
            out.push(key::DOUBLE);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Value::Bool(truth) => out.extend_from_slice(&[key::BOOL, truth.into()]),
    }
}

/// Encoded length of an array's values.
pub(crate) fn values_len(value_type: ValueType, values: &[Value<'_>]) -> usize {
    sequence_len(value_type, values.iter().copied())
}

/// Appends an array's values in encoded form.
///
/// Panics if a value is not of `value_type`: that is an error of the caller.
pub fn write_values(value_type: ValueType, values: &[Value<'_>], out: &mut Vec<u8>) {
    assert!(
        values.iter().all(|value| value.value_type() == value_type),
        "values of an array must all be of its type"
    );
    write_sequence(value_type, values.len(), values.iter().copied(), out);
}

/// Bytes of one value without key and length.
#[inline]
fn bare_len(value: Value<'_>) -> usize {
    match value {
        Value::String(text) | Value::Bytes(text) => text.len(),
        Value::Integer(number) => varint_len(number as u64),
        Value::Double(_) => 8,
        Value::Bool(_) => 1,
    }
}

fn sequence_len<'a>(value_type: ValueType, values: impl Iterator<Item = Value<'a>>) -> usize {
    let (mut count, mut bare, mut delimited) = (0usize, 0usize, 0usize);
    for value in values {
        let len = bare_len(value);
        count += 1;
        bare += len;
        delimited += delimited_len(len);
    }
    match (value_type, count) {
        (_, 0) => 0,
        (ValueType::String | ValueType::Bytes, _) => delimited,
        (_, 1) => 1 + bare,
        _ => delimited_len(bare),
    }
}

fn write_sequence<'a>(
    value_type: ValueType,
    count: usize,
    values: impl Iterator<Item = Value<'a>> + Clone,
    out: &mut Vec<u8>,
) {
    let packed = match value_type {
        ValueType::String | ValueType::Bytes => {
            return values.for_each(|value| write_single(value, out));
        }
        ValueType::Integer => key::INTEGERS,
        ValueType::Double => key::DOUBLES,
        ValueType::Bool => key::BOOLS,
    };
    match (count, values.clone().next()) {
        (1, Some(value)) => return write_single(value, out),
        (0, _) | (_, None) => return,
        _ => {}
    }
    out.push(packed);
    write_varint(values.clone().map(bare_len).sum::<usize>() as u64, out);
    for value in values {
        match value {
            Value::Integer(number) => write_varint(number as u64, out),
            Value::Double(number) => out.extend_from_slice(&number.to_le_bytes()),
            Value::Bool(truth) => out.push(truth.into()),
            Value::String(_) | Value::Bytes(_) => {}
        }
    }
}
