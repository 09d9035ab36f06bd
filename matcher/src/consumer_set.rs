//! Rows of bits, one bit per consumer: the answers of a search.
//!
//! Owns:    the layout: consumer `c` is bit `c % 64` of word `c / 64`.
//! Runs on: every shard.            Plane: data.
//! Bounds:  `words(consumers)` words; bits beyond the last consumer are zero.
//! Never:   owns the row: callers keep rows wherever they keep packs.

/// Words of a row for that many consumers.
#[inline]
pub const fn words(consumers: usize) -> usize {
    consumers.div_ceil(64)
}

/// Adds a consumer.
#[inline]
pub fn insert(row: &mut [u64], consumer: usize) {
    row[consumer / 64] |= 1 << (consumer % 64);
}

/// Takes a consumer out.
#[inline]
pub fn remove(row: &mut [u64], consumer: usize) {
    row[consumer / 64] &= !(1 << (consumer % 64));
}

/// Whether a consumer is in the row; one beyond its end is not.
#[inline]
pub fn contains(row: &[u64], consumer: usize) -> bool {
    row.get(consumer / 64)
        .is_some_and(|word| word >> (consumer % 64) & 1 == 1)
}

/// How many consumers are in the row.
#[inline]
pub fn count(row: &[u64]) -> usize {
    row.iter().map(|word| word.count_ones() as usize).sum()
}

/// Whether no consumer is in the row.
#[inline]
pub fn is_empty(row: &[u64]) -> bool {
    row.iter().all(|word| *word == 0)
}

/// The consumers in the row, in ascending order.
#[inline]
pub fn iter(row: &[u64]) -> Members<'_> {
    Members {
        row,
        next: 0,
        word: 0,
    }
}

/// Iterator over the consumers in a row.
#[derive(Clone, Debug)]
pub struct Members<'r> {
    row: &'r [u64],
    /// Words already taken from the row.
    next: usize,
    /// What is left of the last of them.
    word: u64,
}

impl Iterator for Members<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.word == 0 {
            self.word = *self.row.get(self.next)?;
            self.next += 1;
        }
        let bit = self.word.trailing_zeros() as usize;
        self.word &= self.word - 1;
        Some((self.next - 1) * 64 + bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_hold_what_was_inserted() {
        let members = [0, 1, 63, 64, 127, 128, 199];
        let mut row = vec![0; words(200)];
        assert_eq!(row.len(), 4);
        assert!(is_empty(&row));
        for member in members {
            insert(&mut row, member);
        }
        assert_eq!(iter(&row).collect::<Vec<_>>(), members);
        assert_eq!(count(&row), members.len());
        assert!(contains(&row, 199) && !contains(&row, 198) && !contains(&row, 100_000));
        for member in members {
            remove(&mut row, member);
        }
        assert!(is_empty(&row));
        assert_eq!(words(0), 0);
        assert_eq!(iter(&[]).next(), None);
    }
}
