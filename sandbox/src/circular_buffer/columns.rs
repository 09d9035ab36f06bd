//! Headers of columns: name, unit, aggregation.
//!
//! Owns:    how a header stands in three words.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  a name of `NAME_BYTES_MAX`, a unit of `UNIT_BYTES_MAX`; more is cut off.
//! Never:   holds what JSON or Lua would have to escape.

use std::cell::Cell;

use super::Word;

/// Words of a header.
pub(super) const HEADER_WORDS: usize = 3;

const NAME_BYTES_MAX: usize = 15;
const UNIT_BYTES_MAX: usize = 7;

/// Where a unit begins, and where the aggregation is.
const UNIT_AT: usize = 16;
const AGGREGATION_AT: usize = 23;

/// How columns of several buffers become one; in the order of `AGGREGATIONS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aggregation {
    Sum,
    Min,
    Max,
    None,
}

/// Their names.
pub(super) const AGGREGATIONS: [&str; 4] = ["sum", "min", "max", "none"];

impl Aggregation {
    pub(super) fn at(index: usize) -> Aggregation {
        match index {
            0 => Aggregation::Sum,
            1 => Aggregation::Min,
            2 => Aggregation::Max,
            _ => Aggregation::None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        AGGREGATIONS[self as usize]
    }
}

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header([u8; HEADER_WORDS * 8]);

impl Header {
    /// Cuts name and unit, and puts underscores where they have other characters than letters and digits, in units also `/` and `*`.
    pub(super) fn new(name: &[u8], unit: &[u8], aggregation: Aggregation) -> Header {
        let mut bytes = [0; HEADER_WORDS * 8];
        let copy = |to: &mut [u8], from: &[u8], also: &[u8]| {
            for (to, &from) in to
                .iter_mut()
                .zip(from.iter().take_while(|&&byte| byte != 0))
            {
                *to = match from.is_ascii_alphanumeric() || also.contains(&from) {
                    true => from,
                    false => b'_',
                };
            }
        };
        copy(&mut bytes[..NAME_BYTES_MAX], name, b"");
        copy(&mut bytes[UNIT_AT..UNIT_AT + UNIT_BYTES_MAX], unit, b"/*");
        bytes[AGGREGATION_AT] = aggregation as u8;
        Header(bytes)
    }

    pub(super) fn read(words: &[Cell<Word>]) -> Header {
        let mut bytes = [0; HEADER_WORDS * 8];
        for (bytes, word) in bytes.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.get().0.to_le_bytes());
        }
        Header(bytes)
    }

    pub(super) fn write(&self, words: &[Cell<Word>]) {
        for (bytes, word) in self.0.chunks_exact(8).zip(words) {
            let mut eight = [0; 8];
            eight.copy_from_slice(bytes);
            word.set(Word(u64::from_le_bytes(eight)));
        }
    }

    pub(super) fn name(&self) -> &[u8] {
        until_zero(&self.0[..NAME_BYTES_MAX])
    }

    pub(super) fn unit(&self) -> &[u8] {
        until_zero(&self.0[UNIT_AT..UNIT_AT + UNIT_BYTES_MAX])
    }

    pub(super) fn aggregation(&self) -> Aggregation {
        Aggregation::at(self.0[AGGREGATION_AT].into())
    }
}

fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_units_are_cut_and_made_plain() {
        let header = Header::new(b"Add column, long", b"m/s*\"\\ab", Aggregation::Max);
        assert_eq!(header.name(), b"Add_column__lon");
        assert_eq!(header.unit(), b"m/s*__a");
        assert_eq!(header.aggregation().name(), "max");
        let words = [const { Cell::new(Word(0)) }; HEADER_WORDS];
        header.write(&words);
        assert_eq!(Header::read(&words), header);
        assert_eq!(Header::new(b"a\0b", b"", Aggregation::Sum).name(), b"a");
    }
}
