//! Iteration over the values of an encoded field.
//!
//! Owns:    `FieldValues`.
//! Runs on: every shard.            Plane: data.
//! Bounds:  one pass over the field's bytes.
//! Never:   copies, allocates, or panics on damaged input: damage ends the iteration.

use crate::error::Damage;
use crate::field::{Value, ValueType};
use crate::wire::{Reader, WireType, read_varint};

/// Iterator over the values in an encoded `Field`.
#[derive(Clone, Debug)]
pub struct FieldValues<'a> {
    rest: &'a [u8],
    /// What is left of the packed array that is being read.
    packed: &'a [u8],
    value_type: ValueType,
}

impl<'a> FieldValues<'a> {
    /// Values of `value_type` in the encoded `Field` message `body`; those of other types are passed over.
    pub(crate) fn new(body: &'a [u8], value_type: ValueType) -> Self {
        FieldValues {
            rest: body,
            packed: &[],
            value_type,
        }
    }

    /// The next value of the packed array.
    fn next_packed(&mut self) -> Option<Value<'a>> {
        if self.value_type == ValueType::Double {
            let (word, rest) = self.packed.split_first_chunk::<8>()?;
            self.packed = rest;
            return Some(Value::Double(f64::from_le_bytes(*word)));
        }
        let (number, len) = read_varint(self.packed).ok()?;
        self.packed = &self.packed[len..];
        Some(match self.value_type {
            ValueType::Bool => Value::Bool(number != 0),
            _ => Value::Integer(number as i64),
        })
    }

    /// Reads up to the next value outside of a packed array, or to the start of the next packed array.
    fn next_unpacked(&mut self) -> Result<Option<Value<'a>>, Damage> {
        use ValueType::{Bool, Bytes, Double, Integer, String};
        use WireType::{Delimited, Fixed64, Varint};
        let mut reader = Reader::new(self.rest, 0);
        let mut found = None;
        while found.is_none() && self.packed.is_empty() && !reader.is_done() {
            let (number, wire_type) = reader.key()?;
            match (self.value_type, number, wire_type) {
                (String, 4, Delimited) => found = Some(Value::String(reader.text()?)),
                (Bytes, 5, Delimited) => found = Some(Value::Bytes(reader.text()?)),
                (Integer, 6, Varint) => found = Some(Value::Integer(reader.varint()? as i64)),
                (Double, 7, Fixed64) => {
                    found = Some(Value::Double(f64::from_bits(reader.fixed64()?)));
                }
                (Bool, 8, Varint) => found = Some(Value::Bool(reader.varint()? != 0)),
                (Integer, 6, Delimited) | (Double, 7, Delimited) | (Bool, 8, Delimited) => {
                    self.packed = reader.text()?;
                }
                _ => reader.skip(wire_type)?,
            }
        }
        self.rest = &self.rest[reader.position()..];
        Ok(found)
    }
}

impl<'a> Iterator for FieldValues<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        loop {
            if !self.packed.is_empty() {
                return self.next_packed();
            }
            match self.next_unpacked() {
                Ok(None) if !self.packed.is_empty() => {}
                Ok(found) => return found,
                Err(_) => {
                    self.rest = &[];
                    return None;
                }
            }
        }
    }
}
