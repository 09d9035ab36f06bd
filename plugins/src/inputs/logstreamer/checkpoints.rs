//! Positions that were reached, until what was read before them is acknowledged.
//!
//! Owns:    `Checkpoints`, and the mapping from bytes of the stream to bytes of its files.
//! Runs on: the shard of the stream.            Plane: data.
//! Bounds:  `CHECKPOINTS_MAX` positions wait; further ones replace the newest.
//! Never:   gives out a position before every message that stands before it is acknowledged.

use std::collections::VecDeque;

use super::journal::Journal;

/// Positions that may wait to be acknowledged.
const CHECKPOINTS_MAX: usize = 32;

#[derive(Debug)]
struct Checkpoint {
    /// Bytes of the stream before it.
    taken: u64,
    position: Journal,
}

/// The positions of one stream.
#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    waiting: VecDeque<Checkpoint>,
    /// Bytes of the stream before the file that is read now.
    file_taken: u64,
    /// Bytes of that file before what is read first of it.
    file_seek: u64,
}

impl Checkpoints {
    /// Another file begins, at `seek`, when `taken` bytes of the stream have been used.
    pub(super) fn begin_file(&mut self, taken: u64, seek: u64) {
        (self.file_taken, self.file_seek) = (taken, seek);
    }

    /// Where in the file the byte `taken` of the stream stands.
    pub(super) fn seek(&self, taken: u64) -> u64 {
        self.file_seek + (taken - self.file_taken)
    }

    /// The same as a position, if it is a new one: the beginning of a file is the end of the one before.
    pub(super) fn new_seek(&self, taken: u64) -> Option<u64> {
        let newest = self.waiting.back().map_or(0, |checkpoint| checkpoint.taken);
        (taken > self.file_taken && taken > newest).then(|| self.seek(taken))
    }

    /// Notes a position, behind byte `taken` of the stream.
    pub(super) fn add(&mut self, taken: u64, position: Journal) {
        if self.waiting.len() == CHECKPOINTS_MAX {
            self.waiting.pop_back();
        }
        self.waiting.push_back(Checkpoint { taken, position });
    }

    /// The last position that is acknowledged, once; earlier ones are forgotten.
    pub(super) fn acknowledge(&mut self, acknowledged: u64) -> Option<Journal> {
        let mut last = None;
        while self
            .waiting
            .front()
            .is_some_and(|first| first.taken <= acknowledged)
        {
            last = self.waiting.pop_front().map(|first| first.position);
        }
        last
    }

    /// The next byte of the stream whose acknowledgement would make a difference.
    pub(super) fn next(&self) -> Option<u64> {
        self.waiting.front().map(|first| first.taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn position(seek: u64) -> Journal {
        Journal {
            seek,
            ..Journal::default()
        }
    }

    #[test]
    fn positions_are_those_of_the_file() {
        let mut checkpoints = Checkpoints::default();
        checkpoints.begin_file(0, 1000);
        assert_eq!(checkpoints.new_seek(0), None);
        assert_eq!(checkpoints.new_seek(10), Some(1010));
        checkpoints.add(10, position(1010));
        assert_eq!(checkpoints.new_seek(10), None);
        checkpoints.begin_file(10, 0);
        assert_eq!(checkpoints.new_seek(10), None, "the end of the file before");
        assert_eq!(checkpoints.new_seek(25), Some(15));
    }

    proptest! {
        #[test]
        fn nothing_is_given_out_too_early_and_the_newest_not_too_late(
            steps in proptest::collection::vec((1u64..50, 0u64..60), 1..200),
        ) {
            let (mut checkpoints, mut taken, mut acknowledged) = (Checkpoints::default(), 0, 0);
            let mut given = 0;
            for (more, acknowledge) in steps {
                taken += more;
                checkpoints.add(taken, position(taken));
                acknowledged = (acknowledged + acknowledge).min(taken);
                let all = acknowledged == taken;
                if let Some(position) = checkpoints.acknowledge(acknowledged) {
                    prop_assert!(position.seek <= acknowledged && position.seek > given);
                    given = position.seek;
                }
                prop_assert!(!all || given == taken);
                prop_assert!(checkpoints.waiting.len() <= CHECKPOINTS_MAX);
                prop_assert!(checkpoints.next().is_none_or(|next| next > acknowledged));
            }
        }
    }
}
