//! Sets of bytes.
//!
//! Owns:    `Set`.
//! Runs on: the shard of the plugin, while patterns are made and compiled.            Plane: control.
//! Bounds:  256 bits.
//! Never:   knows what a set is for.

/// A set of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Set([u64; 4]);

impl Set {
    pub(crate) const EMPTY: Set = Set([0; 4]);
    pub(crate) const FULL: Set = Set([u64::MAX; 4]);

    /// The set of one byte.
    pub(crate) fn of(byte: u8) -> Set {
        let mut set = Set::EMPTY;
        set.add(byte);
        set
    }

    /// The set of the bytes from `first` to `last`, both included; empty where `first` is the greater.
    pub(crate) fn range(first: u8, last: u8) -> Set {
        let mut set = Set::EMPTY;
        (first..=last).for_each(|byte| set.add(byte));
        set
    }

    pub(crate) fn add(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    pub(crate) fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    pub(crate) fn or(&self, other: &Set) -> Set {
        self.zip(other, |a, b| a | b)
    }

    pub(crate) fn and(&self, other: &Set) -> Set {
        self.zip(other, |a, b| a & b)
    }

    pub(crate) fn minus(&self, other: &Set) -> Set {
        self.zip(other, |a, b| a & !b)
    }

    pub(crate) fn not(&self) -> Set {
        Set::FULL.minus(self)
    }

    pub(crate) fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Set::EMPTY
    }

    pub(crate) fn disjoint(&self, other: &Set) -> bool {
        self.and(other).is_empty()
    }

    /// Whether every byte of this set is in the other.
    pub(crate) fn within(&self, other: &Set) -> bool {
        self.minus(other).is_empty()
    }

    pub(crate) fn bytes(&self) -> impl Iterator<Item = u8> + '_ {
        (0..=u8::MAX).filter(|byte| self.has(*byte))
    }

    fn zip(&self, other: &Set, join: impl Fn(u64, u64) -> u64) -> Set {
        Set(std::array::from_fn(|at| join(self.0[at], other.0[at])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_sets() {
        let digits = Set::range(b'0', b'9');
        assert_eq!(digits.len(), 10);
        assert!(digits.has(b'5') && !digits.has(b'a'));
        assert!(Set::range(2, 1).is_empty());
        assert!(Set::of(b'7').within(&digits) && !digits.within(&Set::of(b'7')));
        assert!(digits.disjoint(&digits.not()));
        assert_eq!(digits.or(&digits.not()), Set::FULL);
        assert_eq!(
            digits
                .minus(&Set::range(b'1', b'9'))
                .bytes()
                .collect::<Vec<_>>(),
            [b'0']
        );
        assert_eq!(Set::range(0, 255), Set::FULL);
    }
}
