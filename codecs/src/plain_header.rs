//! The frame header of an unsigned message, made without a buffer.
//!
//! Owns:    `PlainHeader`.
//! Runs on: every shard.            Plane: data.
//! Bounds:  at most 9 bytes.
//! Never:   allocates.
//!
//! Format: 0x1E, length of the header protobuf, `08 <message length as varint>`, 0x1F (see `framing`).

use crate::limits::MESSAGE_BYTES_MAX;

/// Bytes that stand before an unsigned message in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainHeader {
    bytes: [u8; PlainHeader::BYTES_MAX],
    len: u8,
}

impl PlainHeader {
    /// Longest header: the length of the longest message takes five bytes.
    pub const BYTES_MAX: usize = 9;

    /// The header of a message of `message_len` bytes; `None` above `MESSAGE_BYTES_MAX`.
    #[inline]
    pub fn new(message_len: usize) -> Option<PlainHeader> {
        if message_len > MESSAGE_BYTES_MAX {
            return None;
        }
        let mut bytes = [0; PlainHeader::BYTES_MAX];
        bytes[0] = 0x1e;
        bytes[2] = 0x08;
        let mut at = 3;
        let mut rest = message_len;
        while rest >= 0x80 {
            bytes[at] = rest as u8 | 0x80;
            rest >>= 7;
            at += 1;
        }
        bytes[at] = rest as u8;
        bytes[1] = (at - 1) as u8;
        bytes[at + 1] = 0x1f;
        Some(PlainHeader {
            bytes,
            len: at as u8 + 2,
        })
    }

    /// The bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_of_the_worked_example() {
        assert_eq!(
            PlainHeader::new(16).expect("small").as_bytes(),
            [0x1e, 0x02, 0x08, 0x10, 0x1f]
        );
    }

    #[test]
    fn long_messages_take_more_length_bytes() {
        let header = PlainHeader::new(300).expect("small");
        assert_eq!(header.as_bytes(), [0x1e, 0x03, 0x08, 0xac, 0x02, 0x1f]);
        let longest = PlainHeader::new(MESSAGE_BYTES_MAX).expect("the limit itself");
        assert!(longest.as_bytes().len() <= PlainHeader::BYTES_MAX);
        assert!(PlainHeader::new(MESSAGE_BYTES_MAX + 1).is_none());
    }
}
