//! Writing: a lane takes groups of records, and says when they are safe.
//!
//! Owns:    `Lane`, `Synced`.
//! Runs on: a `Worker`'s thread.            Plane: data.
//! Bounds:  one open segment; headers of `PARTS_MAX / 2` records.
//! Never:   copies a message; leaves it unsure, after a failure, where the next record goes.

use crate::io::disk::Disk;

use super::{Entry, Position, QueueError};

/// The writing part of a lane.
///
/// What was appended since the last `Synced` is one group. **After any error of `append` or `commit` nothing of that group is in the lane**: append all of it
/// again, or give it up as `full_action` says. What was synced before is not touched.
#[derive(Debug)]
pub struct Lane<D: Disk> {
    #[expect(dead_code, reason = "comes with the implementation")]
    disk: D,
}

/// Says that all records up to a position are on the disk, names included. Only [`Lane::commit`] makes one.
#[must_use = "it is what acknowledgements are made of"]
#[derive(Debug, PartialEq, Eq)]
pub struct Synced {
    upto: Position,
    records: u64,
}

impl Synced {
    /// What a reader may read from now on.
    pub fn upto(&self) -> Position {
        self.upto
    }

    /// Records of the group.
    pub fn records(&self) -> u64 {
        self.records
    }
}

impl<D: Disk> Lane<D> {
    /// Number of the lane, which is that of the shard that writes to it.
    pub fn number(&self) -> u16 {
        unimplemented!()
    }

    /// Whether a message of this length may be appended.
    pub fn takes(&self, message_bytes: usize) -> bool {
        let _ = message_bytes;
        unimplemented!()
    }

    /// Writes records at the end, without waiting for the disk. `now` is nanoseconds since the Unix epoch. Answers the bytes they take.
    ///
    /// A new segment is begun here when the present one has reached `max_file_size` and nothing waits for a commit: a group never spans two
    /// segments, so one may become larger by a group.
    pub fn append<'a>(
        &mut self,
        entries: impl IntoIterator<Item = Entry<'a>>,
        now: i64,
    ) -> Result<u64, QueueError> {
        let _ = (entries.into_iter(), now);
        unimplemented!()
    }

    /// Waits until the group is on the disk, and publishes it. Without a group it answers at once.
    pub fn commit(&mut self) -> Result<Synced, QueueError> {
        unimplemented!()
    }

    /// Begins a new segment and publishes it empty, so that a cursor can leave the present one behind and it can be removed. To be called when the
    /// queue is full although the cursor has reached `published`, with nothing uncommitted.
    pub fn roll(&mut self, now: i64) -> Result<Synced, QueueError> {
        let _ = now;
        unimplemented!()
    }

    /// What readers may read: the end of the last group that was committed.
    pub fn published(&self) -> Position {
        unimplemented!()
    }

    /// Bytes that wait for a commit.
    pub fn uncommitted_bytes(&self) -> u64 {
        unimplemented!()
    }

    /// Bytes that the lane has ever taken on the disk, those found at start included. Less [`super::Cursor::bytes_removed`], it is what it takes now:
    /// two counters that only grow, with one writer each, to be compared with `max_buffer_size` over all lanes.
    pub fn bytes_taken(&self) -> u64 {
        unimplemented!()
    }

    /// Commits what is left and notes where the lane ends, so that the next start scans nothing.
    pub fn close(self) -> Result<Synced, QueueError> {
        unimplemented!()
    }
}
