//! The bits of protobuf: varints, keys and length-delimited values.
//!
//! Owns:    `Reader`, a cursor that yields spans, and the varint writers.
//! Runs on: every shard.            Plane: data.
//! Bounds:  a varint has at most ten bytes, a key 32 bits.
//! Never:   panics on damaged input, allocates when reading, or knows what a message is.

use crate::error::Damage;
use crate::field::Span;

/// Bytes of the longest varint: a 64 bit value in groups of seven.
const VARINT_BYTES_MAX: usize = 10;

/// The continuation bit of each of eight bytes.
const CONTINUES: u64 = 0x8080_8080_8080_8080;

/// How the value behind a key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WireType {
    Varint,
    Fixed64,
    Delimited,
    Fixed32,
}

/// A cursor over one encoded message that knows where in the table it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) rest: &'a [u8],
    /// Table position of the end of `rest`.
    end: u32,
}

impl<'a> Reader<'a> {
    /// A reader over `bytes`, whose last byte stands just before table position `end`.
    #[inline(always)]
    pub(crate) fn new(bytes: &'a [u8], end: u32) -> Self {
        Reader { rest: bytes, end }
    }

    /// Table position of the next byte.
    #[inline(always)]
    pub(crate) fn position(&self) -> u32 {
        self.end - self.rest.len() as u32
    }

    /// The next varint.
    #[inline(always)]
    pub(crate) fn varint(&mut self) -> Result<u64, Damage> {
        let (value, rest) = read_varint(self.rest)?;
        self.rest = rest;
        Ok(value)
    }

    /// The next key, as field number and wire type. Groups are refused.
    #[inline]
    pub(crate) fn key(&mut self) -> Result<(u32, WireType), Damage> {
        let key = u32::try_from(self.varint()?).map_err(|_| Damage::FieldNumber)?;
        if key >> 3 == 0 {
            return Err(Damage::FieldNumber);
        }
        let wire_type = match key & 7 {
            0 => WireType::Varint,
            1 => WireType::Fixed64,
            2 => WireType::Delimited,
            5 => WireType::Fixed32,
            _ => return Err(Damage::WireType),
        };
        Ok((key >> 3, wire_type))
    }

    /// The next length-delimited value: its bytes and where they stand.
    #[inline(always)]
    pub(crate) fn delimited(&mut self) -> Result<(&'a [u8], Span), Damage> {
        let len = match *self.rest {
            [a, ref rest @ ..] if a < 0x80 => {
                self.rest = rest;
                usize::from(a)
            }
            [a, b, ref rest @ ..] if b < 0x80 => {
                self.rest = rest;
                usize::from(a & 0x7f) | usize::from(b) << 7
            }
            _ => usize::try_from(self.varint()?).map_err(|_| Damage::Truncated)?,
        };
        let start = self.position();
        let (value, rest) = self.rest.split_at_checked(len).ok_or(Damage::Truncated)?;
        self.rest = rest;
        let len = len as u32;
        Ok((value, Span { start, len }))
    }

    /// The next eight bytes as a little-endian word.
    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<u64, Damage> {
        let (word, rest) = self
            .rest
            .split_first_chunk::<8>()
            .ok_or(Damage::Truncated)?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*word))
    }

    /// Passes over a value that nobody asked for.
    pub(crate) fn skip(&mut self, wire_type: WireType) -> Result<(), Damage> {
        match wire_type {
            WireType::Varint => self.varint().map(drop),
            WireType::Delimited => self.delimited().map(drop),
            WireType::Fixed64 => self.fixed64().map(drop),
            WireType::Fixed32 => {
                self.rest = self.rest.get(4..).ok_or(Damage::Truncated)?;
                Ok(())
            }
        }
    }
}

/// Reads a varint: its value and the bytes after it.
#[inline(always)]
pub(crate) fn read_varint(bytes: &[u8]) -> Result<(u64, &[u8]), Damage> {
    match *bytes {
        [a, ref rest @ ..] if a < 0x80 => Ok((u64::from(a), rest)),
        [a, b, ref rest @ ..] if b < 0x80 => Ok((u64::from(a & 0x7f) | u64::from(b) << 7, rest)),
        _ => read_long_varint(bytes),
    }
}

/// Reads a varint of any length, eight bytes at a time where there are as many.
#[inline]
fn read_long_varint(bytes: &[u8]) -> Result<(u64, &[u8]), Damage> {
    let Some((word, rest)) = bytes.split_first_chunk::<8>() else {
        return read_varint_bytewise(bytes);
    };
    let word = u64::from_le_bytes(*word);
    let ends = !word & CONTINUES;
    if ends != 0 {
        let len = (ends.trailing_zeros() as usize >> 3) + 1;
        // Keeps the bits up to and with the first byte that ends a varint.
        return Ok((join_groups(word & (ends ^ (ends - 1))), &bytes[len..]));
    }
    let low = join_groups(word);
    match *rest {
        [a, ref rest @ ..] if a < 0x80 => Ok((low | u64::from(a) << 56, rest)),
        [a, b, ref rest @ ..] if b < 2 => {
            Ok((low | u64::from(a & 0x7f) << 56 | u64::from(b) << 63, rest))
        }
        _ => Err(Damage::Varint),
    }
}

/// Joins eight groups of seven bits to 56 bits.
#[inline(always)]
fn join_groups(word: u64) -> u64 {
    let word = word & !CONTINUES;
    let word = (word & 0x007f_007f_007f_007f) | (word & 0x7f00_7f00_7f00_7f00) >> 1;
    let word = (word & 0x0000_3fff_0000_3fff) | (word & 0x3fff_0000_3fff_0000) >> 2;
    (word & 0x0000_0000_0fff_ffff) | (word & 0x0fff_ffff_0000_0000) >> 4
}

/// Reads a varint near the end of the bytes.
#[inline(never)]
fn read_varint_bytewise(bytes: &[u8]) -> Result<(u64, &[u8]), Damage> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().enumerate().take(VARINT_BYTES_MAX) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Ok((value, &bytes[index + 1..]));
        }
    }
    Err(Damage::Varint)
}

/// Bytes of a varint.
#[inline]
pub(crate) const fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Appends a varint.
#[inline]
pub(crate) fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bytes of a length-delimited value with a one-byte key.
#[inline]
pub(crate) const fn delimited_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

/// Appends a length-delimited value with a one-byte key.
#[inline]
pub(crate) fn write_delimited(key: u8, value: &[u8], out: &mut Vec<u8>) {
    out.push(key);
    write_varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_of_every_width_come_back() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1u64 << shift) - 1, u64::MAX >> shift] {
                let mut bytes = Vec::new();
                write_varint(value, &mut bytes);
                assert_eq!(bytes.len(), varint_len(value));
                assert_eq!(read_varint(&bytes), Ok((value, &[][..])));
                for cut in 0..bytes.len() {
                    assert_eq!(read_varint(&bytes[..cut]), Err(Damage::Varint));
                }
                bytes.extend_from_slice(&[0xff; 12]);
                let len = varint_len(value);
                assert_eq!(read_varint(&bytes), Ok((value, &bytes[len..])));
            }
        }
    }

    #[test]
    fn a_varint_that_needs_more_than_64_bits_is_damage() {
        let eleven = [0xff; 11];
        assert_eq!(read_varint(&eleven), Err(Damage::Varint));
        let mut ten = [0xff; 10];
        ten[9] = 2;
        assert_eq!(read_varint(&ten), Err(Damage::Varint));
        ten[9] = 1;
        assert_eq!(read_varint(&ten), Ok((u64::MAX, &[][..])));
    }
}
