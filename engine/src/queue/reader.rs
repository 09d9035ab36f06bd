//! Reading: whole records into the caller's buffer, whatever has happened to what lies between them.
//!
//! Owns:    `Reader`, `Item`, `Passed`.
//! Runs on: a `Worker`'s thread.            Plane: data.
//! Bounds:  the caller's buffer; one open segment; `damaged/` takes up to a limit.
//! Never:   reads beyond what was published; answers a record whose checksum is wrong; stays at the same place.

use codecs::field::Span;

use crate::io::disk::Disk;

use super::{Position, QueueError};

/// One record in the buffer that was read into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// The message's protobuf.
    pub message: Span,
    /// What a dead letter says about itself: see [`super::Meta::read`]. Empty for others.
    pub meta: Span,
    /// Its number in the lane.
    pub sequence: u64,
    /// When it was appended, nanoseconds since the Unix epoch.
    pub time: i64,
    /// How many injections lie behind it.
    pub loops: u8,
    /// The place behind it: where a cursor goes once it is delivered, and a reader to read on behind it.
    pub after: Position,
}

/// What was passed over on the way, in one call. The counts are of records that were put into the lane and will not come out of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Records in damaged places, and those of segments that have gone.
    pub damaged_records: u64,
    /// Bytes of damaged places.
    pub damaged_bytes: u64,
    /// Whole records that are longer than the buffer: `max_message_size` has been lowered.
    pub too_long_records: u64,
}

/// The reading part of a lane.
#[derive(Debug)]
pub struct Reader<D: Disk> {
    #[expect(dead_code, reason = "comes with the implementation")]
    disk: D,
}

impl<D: Disk> Reader<D> {
    /// Reads on from `position`, as far as `published`, at most `items_max` records and what fits into `buffer`, which must have room for at least
    /// `record_bytes_max`. `items` is emptied first; all of them stand in `buffer`, in order. No items: everything up to `published` was read.
    ///
    /// Damage is passed over, counted, copied to the folder `damaged` beside the lanes, and told of by a notice. An error is the disk's: the position
    /// has not moved, and the call may be repeated after a while; a place that cannot be read again and again is taken for damage.
    pub fn read(
        &mut self,
        buffer: &mut [u8],
        published: Position,
        items_max: usize,
        items: &mut Vec<Item>,
    ) -> Result<Passed, QueueError> {
        let _ = (buffer, published, items_max, items);
        unimplemented!()
    }

    /// Where it reads next.
    pub fn position(&self) -> Position {
        unimplemented!()
    }

    /// Goes back to an earlier place, not before the cursor's: what was read behind it is read again.
    pub fn rewind(&mut self, to: Position) {
        let _ = to;
        unimplemented!()
    }

    /// Sentences about what was found since the last call.
    pub fn take_notices(&mut self) -> Vec<String> {
        unimplemented!()
    }
}
