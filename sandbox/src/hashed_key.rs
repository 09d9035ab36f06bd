//! What filters and sketches are asked about: a text, or a number by its eight bytes.
//!
//! Owns:    `HashedKey`.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  none of its own.
//! Never:   takes the text of a number for the number.

use crate::lua::frame::{Frame, Is};

/// The bytes that are hashed.
pub(crate) enum HashedKey<'s> {
    Text(&'s [u8]),
    Number([u8; 8]),
}

impl<'s> HashedKey<'s> {
    /// An argument as key.
    pub(crate) fn of(frame: &Frame<'s>, argument: i32) -> Result<HashedKey<'s>, String> {
        match frame.is(argument) {
            Is::Text => Ok(HashedKey::Text(frame.text(argument)?)),
            Is::Number => Ok(HashedKey::Number(frame.number(argument)?.to_le_bytes())),
            _ => Err(frame.refuse(argument, "must be a string or number")),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            HashedKey::Text(text) => text,
            HashedKey::Number(bytes) => bytes,
        }
    }
}
