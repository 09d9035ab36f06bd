//! Rows of bits, one bit per consumer: the answers of a search.
//!
//! Owns:    `Row`, which knows its words that are not zero.
//! Runs on: every shard.            Plane: data.
//! Bounds:  one bit a consumer, and one number for each 64 of them.
//! Never:   looks at words that hold no consumer: a row of ten thousand with one member costs what a row of ten costs.

/// A set of consumers: consumer `c` is bit `c % 64` of word `c / 64`.
#[derive(Clone, Debug, Default)]
pub struct Row {
    words: Vec<u64>,
    /// Words that are not zero.
    used: Vec<u32>,
}

impl Row {
    /// An empty row for that many consumers.
    pub fn new(consumers: usize) -> Row {
        let words = consumers.div_ceil(64);
        Row {
            words: vec![0; words],
            used: Vec::with_capacity(words),
        }
    }

    /// Consumers that it has room for, rounded up to a multiple of 64.
    pub fn room(&self) -> usize {
        self.words.len() * 64
    }

    /// Takes all consumers out.
    #[inline]
    pub fn clear(&mut self) {
        for word in self.used.drain(..) {
            self.words[word as usize] = 0;
        }
    }

    /// Adds a consumer.
    ///
    /// Panics if the row has no room for it.
    #[inline]
    pub fn insert(&mut self, consumer: usize) {
        let word = &mut self.words[consumer / 64];
        if *word == 0 {
            self.used.push((consumer / 64) as u32);
        }
        *word |= 1 << (consumer % 64);
    }

    /// Adds the consumers of a word.
    #[inline]
    pub(crate) fn insert_word(&mut self, number: u32, bits: u64) {
        let word = &mut self.words[number as usize];
        if *word == 0 {
            self.used.push(number);
        }
        *word |= bits;
    }

    /// Puts the members in ascending order for `iter`.
    #[inline]
    pub(crate) fn sort(&mut self) {
        if self.used.len() > 1 {
            self.used.sort_unstable();
        }
    }

    /// Whether a consumer is in the row; one beyond its end is not.
    #[inline]
    pub fn contains(&self, consumer: usize) -> bool {
        self.words
            .get(consumer / 64)
            .is_some_and(|word| word >> (consumer % 64) & 1 == 1)
    }

    /// How many consumers are in the row.
    #[inline]
    pub fn len(&self) -> usize {
        let counts = self
            .used
            .iter()
            .map(|word| self.words[*word as usize].count_ones());
        counts.sum::<u32>() as usize
    }

    /// Whether no consumer is in the row.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.used.is_empty()
    }

    /// The consumers in the row; in ascending order after a search.
    #[inline]
    pub fn iter(&self) -> Members<'_> {
        Members {
            row: self,
            next: 0,
            number: 0,
            word: 0,
        }
    }
}

impl<'r> IntoIterator for &'r Row {
    type Item = usize;
    type IntoIter = Members<'r>;

    fn into_iter(self) -> Members<'r> {
        self.iter()
    }
}

/// Iterator over the consumers in a row.
#[derive(Clone, Debug)]
pub struct Members<'r> {
    row: &'r Row,
    /// Used words already taken.
    next: usize,
    /// The last of them.
    number: u32,
    /// What is left of it.
    word: u64,
}

impl Iterator for Members<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.word == 0 {
            self.number = *self.row.used.get(self.next)?;
            self.word = self.row.words[self.number as usize];
            self.next += 1;
        }
        let bit = self.word.trailing_zeros() as usize;
        self.word &= self.word - 1;
        Some(self.number as usize * 64 + bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_hold_what_was_inserted() {
        let members = [0, 1, 63, 64, 127, 128, 199];
        let mut row = Row::new(200);
        assert_eq!(row.room(), 256);
        assert!(row.is_empty());
        for member in members.iter().rev() {
            row.insert(*member);
        }
        row.sort();
        assert_eq!(row.iter().collect::<Vec<_>>(), members);
        assert_eq!(row.len(), members.len());
        assert!(row.contains(199) && !row.contains(198) && !row.contains(100_000));
        row.clear();
        assert!(row.is_empty() && row.iter().next().is_none() && !row.contains(64));
        row.insert_word(1, 0b101);
        assert_eq!(row.iter().collect::<Vec<_>>(), [64, 66]);
        assert_eq!(Row::new(0).iter().next(), None);
    }
}
