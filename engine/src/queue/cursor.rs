//! The durable position of a lane's consumer.
//!
//! Owns:    `Cursor`.
//! Runs on: a `Worker`'s thread.            Plane: data.
//! Bounds:  one file of two slots.
//! Never:   goes back; removes a segment before the position behind it is on the disk.

use crate::io::disk::Disk;

use super::{Position, QueueError};

/// How far a lane was delivered.
#[derive(Debug)]
pub struct Cursor<D: Disk> {
    #[expect(dead_code, reason = "comes with the implementation")]
    disk: D,
}

impl<D: Disk> Cursor<D> {
    /// The position, saved or not.
    pub fn position(&self) -> Position {
        unimplemented!()
    }

    /// Everything before `to` is delivered. Answers whether it was taken: a position before the present one is not. Nothing is written.
    pub fn advance(&mut self, to: Position) -> bool {
        let _ = to;
        unimplemented!()
    }

    /// Whether the position has moved to another segment since it was saved: saving it would give room back.
    pub fn has_left_segment(&self) -> bool {
        unimplemented!()
    }

    /// Writes the position down, waits until it is on the disk, then removes the segments before it. After an error the position on the disk is the one
    /// before, or this one; the call may be repeated. Without a move it does nothing.
    pub fn save(&mut self) -> Result<(), QueueError> {
        unimplemented!()
    }

    /// Bytes of segments that it has ever removed since the start: see [`super::Lane::bytes_taken`].
    pub fn bytes_removed(&self) -> u64 {
        unimplemented!()
    }
}
