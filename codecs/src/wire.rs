//! The bits of protobuf: varints, keys and length-delimited values.
//!
//! Owns:    `Reader`, a cursor that yields spans, and the varint writers.
//! Runs on: every shard.            Plane: data.
//! Bounds:  a varint has at most ten bytes, a key 32 bits.
//! Never:   panics on damaged input, allocates when reading, or knows what a message is.

use crate::error::Damage;
use crate::field::Span;

/// The continuation bit of each of eight bytes.
const CONTINUES: u64 = 0x8080_8080_8080_8080;

/// How the value behind a key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireType {
    /// A varint.
    Varint,
    /// Eight bytes, little-endian.
    Fixed64,
    /// A length and as many bytes.
    Delimited,
    /// Four bytes, little-endian.
    Fixed32,
}

/// A cursor over encoded bytes. It counts positions instead of shortening a slice: one number to keep instead of two,
/// and positions in a table are spans already.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: u32,
}

impl<'a> Reader<'a> {
    /// A reader of `bytes` from `at` to their end. Spans count from the start of `bytes`.
    #[inline(always)]
    pub fn new(bytes: &'a [u8], at: u32) -> Self {
        debug_assert!(at as usize <= bytes.len() && bytes.len() <= u32::MAX as usize);
        Reader { bytes, at }
    }

    /// Position of the next byte.
    #[inline(always)]
    pub fn position(&self) -> usize {
        self.at as usize
    }

    /// What it reads.
    #[inline(always)]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether all is read.
    #[inline(always)]
    pub fn is_done(&self) -> bool {
        self.at as usize >= self.bytes.len()
    }

    /// Takes the length-delimited value behind `key`, if that is what comes next.
    #[inline(always)]
    pub fn take_delimited(&mut self, key: u8) -> Result<Option<Span>, Damage> {
        let Some(&[next, len]) = word(self.bytes, self.at) else {
            return Ok(None);
        };
        if next != key {
            return Ok(None);
        }
        self.at += 1;
        if len >= 0x80 {
            return self.delimited().map(Some);
        }
        let span = Span {
            start: self.at + 1,
            len: u32::from(len),
        };
        self.at = span.end() as u32;
        if span.end() > self.bytes.len() {
            return Err(Damage::Truncated);
        }
        Ok(Some(span))
    }

    /// Takes the varint behind `key`, if that is what comes next.
    #[inline(always)]
    pub fn take_varint(&mut self, key: u8) -> Result<Option<u64>, Damage> {
        let Some(&[next, low]) = word(self.bytes, self.at) else {
            return Ok(None);
        };
        if next != key {
            return Ok(None);
        }
        self.at += 1;
        if low >= 0x80 {
            return self.varint().map(Some);
        }
        self.at += 1;
        Ok(Some(u64::from(low)))
    }

    /// The next varint.
    #[inline(always)]
    pub fn varint(&mut self) -> Result<u64, Damage> {
        let rest = self.bytes.get(self.at as usize..).unwrap_or_default();
        let (value, len) = read_varint(rest)?;
        self.at += len as u32;
        Ok(value)
    }

    /// The next key, as field number and wire type. Groups are refused.
    #[inline]
    pub fn key(&mut self) -> Result<(u32, WireType), Damage> {
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

    /// Where the next length-delimited value stands.
    #[inline(always)]
    pub fn delimited(&mut self) -> Result<Span, Damage> {
        let at = self.at as usize;
        let (len, start) = match (self.bytes.get(at), self.bytes.get(at + 1)) {
            (Some(&a), _) if a < 0x80 => (u64::from(a), at + 1),
            (Some(&a), Some(&b)) if b < 0x80 => (u64::from(a & 0x7f) | u64::from(b) << 7, at + 2),
            _ => {
                let len = self.varint()?;
                (len, self.at as usize)
            }
        };
        if len > (self.bytes.len() - start) as u64 {
            return Err(Damage::Truncated);
        }
        let end = start + len as usize;
        self.at = end as u32;
        Ok(Span::new(start, end))
    }

    /// The bytes of the next length-delimited value.
    #[inline]
    pub fn text(&mut self) -> Result<&'a [u8], Damage> {
        Ok(self.delimited()?.of(self.bytes))
    }

    /// The next eight bytes as a little-endian word.
    #[inline]
    pub fn fixed64(&mut self) -> Result<u64, Damage> {
        let rest = self.bytes.get(self.at as usize..).unwrap_or_default();
        let word = rest.first_chunk::<8>().ok_or(Damage::Truncated)?;
        self.at += 8;
        Ok(u64::from_le_bytes(*word))
    }

    /// Passes over a value that nobody asked for.
    pub fn skip(&mut self, wire_type: WireType) -> Result<(), Damage> {
        match wire_type {
            WireType::Varint => self.varint().map(drop),
            WireType::Delimited => self.delimited().map(drop),
            WireType::Fixed64 => self.fixed64().map(drop),
            WireType::Fixed32 if self.bytes.len() - self.position() < 4 => Err(Damage::Truncated),
            WireType::Fixed32 => {
                self.at += 4;
                Ok(())
            }
        }
    }
}

/// The `N` bytes at `at`, if there are as many.
#[inline(always)]
pub fn word<const N: usize>(bytes: &[u8], at: u32) -> Option<&[u8; N]> {
    let at = at as usize;
    bytes.get(at..at + N)?.as_array()
}

/// Reads a varint at the start of `bytes`: its value and how many bytes it takes.
#[inline(always)]
pub fn read_varint(bytes: &[u8]) -> Result<(u64, usize), Damage> {
    match *bytes {
        [a, ..] if a < 0x80 => Ok((u64::from(a), 1)),
        [a, b, ..] if b < 0x80 => Ok((u64::from(a & 0x7f) | u64::from(b) << 7, 2)),
        _ => read_long_varint(bytes),
    }
}

/// Reads a varint of any length, eight bytes at a time where there are as many.
#[inline(never)]
fn read_long_varint(bytes: &[u8]) -> Result<(u64, usize), Damage> {
    let Some((word, rest)) = bytes.split_first_chunk::<8>() else {
        return read_varint_bytewise(bytes);
    };
    let word = u64::from_le_bytes(*word);
    let ends = !word & CONTINUES;
    if ends != 0 {
        let len = (ends.trailing_zeros() as usize >> 3) + 1;
        // Keeps the bits up to and with the first byte that ends a varint.
        return Ok((join_groups(word & (ends ^ (ends - 1))), len));
    }
    let low = join_groups(word);
    match *rest {
        [a, ..] if a < 0x80 => Ok((low | u64::from(a) << 56, 9)),
        [a, b, ..] if b < 2 => Ok((low | u64::from(a & 0x7f) << 56 | u64::from(b) << 63, 10)),
        _ => Err(Damage::Varint),
    }
}

/// The varint that takes exactly `len` bytes, at most eight. `None` where it ends elsewhere.
#[inline(always)]
pub fn exact_varint(bytes: &[u8; 8], len: u32) -> Option<u64> {
    let [a, b, ..] = *bytes;
    if a < 0x80 {
        return (len == 1).then_some(u64::from(a));
    }
    if b < 0x80 {
        return (len == 2).then_some(u64::from(a & 0x7f) | u64::from(b) << 7);
    }
    let word = u64::from_le_bytes(*bytes);
    let ends = !word & CONTINUES;
    // Keeps the bits up to and with the first byte that ends a varint; there may be none.
    let number = join_groups(word & (ends ^ ends.wrapping_sub(1)));
    (len <= 8 && ends.trailing_zeros() + 1 == 8 * len).then_some(number)
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
fn read_varint_bytewise(bytes: &[u8]) -> Result<(u64, usize), Damage> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Ok((value, index + 1));
        }
    }
    Err(Damage::Varint)
}

/// Bytes of a varint.
#[inline]
pub const fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Appends a varint.
#[inline]
pub fn write_varint(value: u64, out: &mut Vec<u8>) {
    match value {
        0..0x80 => out.push(value as u8),
        0x80..0x4000 => out.extend_from_slice(&[value as u8 | 0x80, (value >> 7) as u8]),
        _ => write_long_varint(value, out),
    }
}

#[inline(never)]
fn write_long_varint(mut value: u64, out: &mut Vec<u8>) {
    let mut bytes = [0; 10];
    let mut len = 0;
    while value >= 0x80 {
        bytes[len] = value as u8 | 0x80;
        value >>= 7;
        len += 1;
    }
    bytes[len] = value as u8;
    out.extend_from_slice(&bytes[..=len]);
}

/// Bytes of a length-delimited value with a one-byte key.
#[inline]
pub const fn delimited_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

/// Appends a length-delimited value with a one-byte key.
#[inline]
pub fn write_delimited(key: u8, value: &[u8], out: &mut Vec<u8>) {
    if value.len() < 0x80 {
        out.extend_from_slice(&[key, value.len() as u8]);
    } else {
        out.push(key);
        write_varint(value.len() as u64, out);
    }
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
                let len = bytes.len();
                assert_eq!(len, varint_len(value));
                assert_eq!(read_varint(&bytes), Ok((value, len)));
                for cut in 0..len {
                    assert_eq!(read_varint(&bytes[..cut]), Err(Damage::Varint));
                }
                bytes.extend_from_slice(&[0xff; 12]);
                assert_eq!(read_varint(&bytes), Ok((value, len)));
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
        assert_eq!(read_varint(&ten), Ok((u64::MAX, 10)));
    }
}
