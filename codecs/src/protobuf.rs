//! The message protobuf, read by spans and written from them.
//!
//! Owns:    indexing of encoded messages, encoding, iteration over arrays.
//! Runs on: every shard.            Plane: data.
//! Bounds:  one pass, no recursion; the caller's field limit.
//! Never:   copies values when reading, or panics on damaged input.

use crate::field::{Field, Span, Value, ValueType};
use crate::message::{Head, IndexError};

/// Indexes the encoded message at `at` into `head` and `fields`.
pub(crate) fn index(
    _bytes: &[u8],
    _at: Span,
    _head: &mut Head,
    _fields: &mut Vec<Field>,
    _fields_max: usize,
) -> Result<(), IndexError> {
    todo!()
}

/// Encoded length of an array's values.
pub(crate) fn values_len(_value_type: ValueType, _values: &[Value<'_>]) -> usize {
    todo!()
}

/// Appends an array's values in encoded form.
pub(crate) fn write_values(_value_type: ValueType, _values: &[Value<'_>], _out: &mut Vec<u8>) {
    todo!()
}

/// A field whose values are the encoded ones at `body`.
pub(crate) fn array_field(
    _bytes: &[u8],
    _body: Span,
    _name: Span,
    _representation: Option<Span>,
    _value_type: ValueType,
) -> Field {
    todo!()
}

/// Iterator over the values in an encoded `Field`.
#[derive(Debug)]
pub struct FieldValues<'a> {
    _rest: &'a [u8],
}

impl<'a> FieldValues<'a> {
    /// Values of `value_type` in the encoded `Field` message `body`.
    pub(crate) fn new(body: &'a [u8], _value_type: ValueType) -> Self {
        FieldValues { _rest: body }
    }
}

impl<'a> Iterator for FieldValues<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        todo!()
    }
}
