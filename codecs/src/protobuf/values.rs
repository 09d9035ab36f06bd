//! Iteration over the values of an encoded field.
//!
//! Owns:    `FieldValues`.
//! Runs on: every shard.            Plane: data.
//! Bounds:  one pass over the field's bytes.
//! Never:   copies, allocates, or panics on damaged input: damage ends the iteration.

use super::key;
use crate::error::Damage;
use crate::field::{Value, ValueType};
use crate::wire::{Reader, read_varint};

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
        let (number, rest) = read_varint(self.packed).ok()?;
        self.packed = rest;
        Some(match self.value_type {
            ValueType::Bool => Value::Bool(number != 0),
            _ => Value::Integer(number as i64),
        })
    }

    /// Reads up to the next value outside of a packed array, or to the start of the next packed array.
    fn next_unpacked(&mut self) -> Result<Option<Value<'a>>, Damage> {
        let mut reader = Reader::new(self.rest, self.rest.len() as u32);
        let mut found = None;
        while found.is_none() && self.packed.is_empty() {
            let [key, ref rest @ ..] = *reader.rest else {
                break;
            };
            let value_reader = Reader::new(rest, rest.len() as u32);
            match (self.value_type, key) {
                (ValueType::String, key::STRING) => {
                    reader = value_reader;
                    found = Some(Value::String(reader.delimited()?.0));
                }
                (ValueType::Bytes, key::BYTES) => {
                    reader = value_reader;
                    found = Some(Value::Bytes(reader.delimited()?.0));
                }
                (ValueType::Integer, key::INTEGER) => {
                    reader = value_reader;
                    found = Some(Value::Integer(reader.varint()? as i64));
                }
                (ValueType::Double, key::DOUBLE) => {
                    reader = value_reader;
                    found = Some(Value::Double(f64::from_bits(reader.fixed64()?)));
                }
                (ValueType::Bool, key::BOOL) => {
                    reader = value_reader;
                    found = Some(Value::Bool(reader.varint()? != 0));
                }
                (ValueType::Integer, key::INTEGERS)
                | (ValueType::Double, key::DOUBLES)
                | (ValueType::Bool, key::BOOLS) => {
                    reader = value_reader;
                    self.packed = reader.delimited()?.0;
                }
                _ => {
                    let (_, wire_type) = reader.key()?;
                    reader.skip(wire_type)?;
                }
            }
        }
        self.rest = reader.rest;
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
