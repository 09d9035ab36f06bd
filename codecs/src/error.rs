//! What can be wrong with received bytes.
//!
//! Owns:    `Damage`, the closed list of reasons for which a record is not a message.
//! Runs on: every shard.            Plane: data.
//! Bounds:  `Copy`, 8 bytes or less, no text.
//! Never:   formats on the data path; `Display` is for reports and tools.

use std::fmt;

/// Why bytes are not a message. The record is dropped and counted; the stream goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Damage {
    /// A varint of more than ten bytes, or one cut off by the end of the record.
    Varint,
    /// A length that points past the end of what contains it.
    Truncated,
    /// A wire type that the tag may not have, or a group.
    WireType,
    /// `uuid` or `timestamp` is missing from a message, or `name` from a field.
    MissingRequired,
    /// A field's `value_type` is none of the five.
    ValueType,
    /// A packed double array whose length is no multiple of eight.
    PackedLength,
    /// Field number zero, or one above 2^29 - 1.
    FieldNumber,
}

impl Damage {
    /// A short lower-case text for reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Damage::Varint => "varint too long or cut off",
            Damage::Truncated => "length points past the end",
            Damage::WireType => "wrong wire type",
            Damage::MissingRequired => "required field missing",
            Damage::ValueType => "unknown value type",
            Damage::PackedLength => "packed array of a broken length",
            Damage::FieldNumber => "invalid field number",
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for Damage {}

/// A message table has no room left for this message: close it and begin another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("message table is full")
    }
}

impl std::error::Error for Full {}
