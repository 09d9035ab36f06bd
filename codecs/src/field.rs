//! A field of a message: name, representation and values, by spans.
//!
//! Owns:    `Span`, `ValueType`, `Value`, `Field` and `FieldRef`, the borrowed view of one field.
//! Runs on: every shard.            Plane: data.
//! Bounds:  a field is 48 bytes whatever its values; arrays are read from their encoded form.
//! Never:   copies a value, allocates, or trusts text to be UTF-8.

/// A range of a message table's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// Bytes.
    pub len: u32,
}

impl Span {
    /// The empty span.
    pub const EMPTY: Span = Span { start: 0, len: 0 };

    /// The span of `start..end`, which must lie within 4 GiB.
    #[inline]
    pub const fn new(start: usize, end: usize) -> Span {
        debug_assert!(start <= end && end <= u32::MAX as usize);
        Span {
            start: start as u32,
            len: (end - start) as u32,
        }
    }

    /// One past the last byte.
    #[inline]
    pub const fn end(self) -> usize {
        self.start as usize + self.len as usize
    }

    /// Whether it has no bytes.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The span of as many bytes, `by` further ahead.
    #[inline]
    pub const fn moved(self, by: u32) -> Span {
        Span {
            start: self.start + by,
            len: self.len,
        }
    }

    /// The bytes it names.
    #[inline]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..self.end()]
    }
}

/// Type of a field's values, with its number on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ValueType {
    /// UTF-8 text by convention; not checked.
    #[default]
    String = 0,
    /// Any bytes.
    Bytes = 1,
    /// Signed 64 bit.
    Integer = 2,
    /// IEEE 754 binary64.
    Double = 3,
    /// Truth value.
    Bool = 4,
}

impl ValueType {
    /// The type with that number on the wire.
    #[inline]
    pub const fn from_wire(number: i32) -> Option<ValueType> {
        Some(match number {
            0 => ValueType::String,
            1 => ValueType::Bytes,
            2 => ValueType::Integer,
            3 => ValueType::Double,
            4 => ValueType::Bool,
            _ => return None,
        })
    }
}

/// One value, borrowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Text, not checked to be UTF-8.
    String(&'a [u8]),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Integer.
    Integer(i64),
    /// Double.
    Double(f64),
    /// Truth value.
    Bool(bool),
}

impl Value<'_> {
    /// Its type.
    #[inline]
    pub const fn value_type(&self) -> ValueType {
        match self {
            Value::String(_) => ValueType::String,
            Value::Bytes(_) => ValueType::Bytes,
            Value::Integer(_) => ValueType::Integer,
            Value::Double(_) => ValueType::Double,
            Value::Bool(_) => ValueType::Bool,
        }
    }
}

/// A field as a message table stores it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field {
    /// Name.
    pub name: Span,
    /// Free text such as `count` or `ms`; `None` where it was absent.
    pub representation: Option<Span>,
    /// Encoded `Field` protobuf that holds all values, if they are two or more; empty otherwise.
    pub body: Span,
    /// The first value: a span (start in the low, length in the high 32 bits), an integer, the bits of a double, 0 or 1.
    pub first: u64,
    /// How many values of the field's type it has.
    pub count: u32,
    /// Type of the values.
    pub value_type: ValueType,
}

impl Field {
    /// `first` for a span.
    #[inline]
    pub const fn pack_span(span: Span) -> u64 {
        span.start as u64 | (span.len as u64) << 32
    }

    /// The span in `first`.
    #[inline]
    pub const fn first_span(&self) -> Span {
        Span {
            start: self.first as u32,
            len: (self.first >> 32) as u32,
        }
    }
}

/// A field together with the bytes that its spans point into.
#[derive(Clone, Copy, Debug)]
pub struct FieldRef<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) field: &'a Field,
}

impl<'a> FieldRef<'a> {
    /// Name.
    #[inline]
    pub fn name(self) -> &'a [u8] {
        self.field.name.of(self.bytes)
    }

    /// Representation; `None` where it was absent.
    #[inline]
    pub fn representation(self) -> Option<&'a [u8]> {
        self.field.representation.map(|span| span.of(self.bytes))
    }

    /// Type of its values.
    #[inline]
    pub fn value_type(self) -> ValueType {
        self.field.value_type
    }

    /// How many values it has; may be 0.
    #[inline]
    pub fn len(self) -> usize {
        self.field.count as usize
    }

    /// Whether it has no value.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.field.count == 0
    }

    /// The first value.
    #[inline]
    pub fn first(self) -> Option<Value<'a>> {
        if self.field.count == 0 {
            return None;
        }
        Some(match self.field.value_type {
            ValueType::String => Value::String(self.field.first_span().of(self.bytes)),
            ValueType::Bytes => Value::Bytes(self.field.first_span().of(self.bytes)),
            ValueType::Integer => Value::Integer(self.field.first as i64),
            ValueType::Double => Value::Double(f64::from_bits(self.field.first)),
            ValueType::Bool => Value::Bool(self.field.first != 0),
        })
    }

    /// The value at `index`. The first costs nothing; others walk the encoded array.
    pub fn value(self, index: usize) -> Option<Value<'a>> {
        if index == 0 {
            return self.first();
        }
        self.values().nth(index)
    }

    /// All values in order.
    pub fn values(self) -> Values<'a> {
        let encoded = (self.field.count > 1).then(|| {
            crate::protobuf::FieldValues::new(self.field.body.of(self.bytes), self.field.value_type)
        });
        Values {
            single: if self.field.count == 1 {
                self.first()
            } else {
                None
            },
            encoded,
        }
    }

    /// The encoded `Field` message that holds its values, if they are two or more; empty otherwise.
    pub fn body(self) -> &'a [u8] {
        self.field.body.of(self.bytes)
    }

    /// The field as stored.
    #[inline]
    pub fn stored(self) -> &'a Field {
        self.field
    }
}

/// Iterator over the values of a field.
#[derive(Clone, Debug)]
pub struct Values<'a> {
    single: Option<Value<'a>>,
    encoded: Option<crate::protobuf::FieldValues<'a>>,
}

impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        match &mut self.encoded {
            Some(values) => values.next(),
            None => self.single.take(),
        }
    }
}
