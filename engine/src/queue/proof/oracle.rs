//! What a queue must give back: everything that was acknowledged, nothing that was made up, in order.
//!
//! Owns:    `Oracle`, and the messages that it can tell apart.
//! Runs on: tests.            Plane: data.
//! Bounds:  a few hundred messages.
//! Never:   asks the queue.

use std::collections::{BTreeMap, BTreeSet};

/// What is known of the messages of a case.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    /// Every message that was ever handed to a lane: its length.
    appended: BTreeMap<u64, usize>,
    acknowledged: BTreeSet<u64>,
    delivered: BTreeSet<u64>,
    next: u64,
}

impl Oracle {
    /// A new message. Later ones have greater numbers.
    pub(super) fn message(&mut self, len: usize) -> (u64, Vec<u8>) {
        let number = self.next;
        self.next += 1;
        let bytes = bytes_of(number, len);
        self.appended.insert(number, bytes.len());
        (number, bytes)
    }

    /// A sync covers them.
    pub(super) fn acknowledge(&mut self, numbers: impl IntoIterator<Item = u64>) {
        self.acknowledged.extend(numbers);
    }

    /// A cursor has passed them.
    pub(super) fn deliver(&mut self, numbers: impl IntoIterator<Item = u64>) {
        self.delivered.extend(numbers);
    }

    /// The number of a message that was read.
    ///
    /// # Panics
    /// If nobody has ever written it.
    pub(super) fn recognise(&self, bytes: &[u8]) -> u64 {
        let number = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"));
        let len = self.appended.get(&number).copied();
        assert_eq!(len, Some(bytes.len()), "message {number} is made up");
        assert_eq!(
            bytes,
            bytes_of(number, bytes.len()),
            "message {number} is another one"
        );
        number
    }

    pub(super) fn is_acknowledged(&self, number: u64) -> bool {
        self.acknowledged.contains(&number)
    }

    /// Acknowledged messages that were neither delivered nor are among those that were `found`.
    pub(super) fn lost(&self, found: &BTreeSet<u64>) -> Vec<u64> {
        self.acknowledged
            .iter()
            .filter(|number| !self.delivered.contains(number) && !found.contains(number))
            .copied()
            .collect()
    }
}

/// Bytes that follow from a number. Some of them look like the beginning of a record.
fn bytes_of(number: u64, len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(number);
    let mut bytes = vec![0; len];
    random.fill(&mut bytes);
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    if let Some(last) = len.checked_sub(12) {
        for _ in 0..len / 64 {
            let at = 8 + random.usize(..=last);
            bytes[at..at + 4].copy_from_slice(&crate::queue::record::MARKER);
        }
    }
    bytes
}
