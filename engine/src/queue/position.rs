//! A place in a lane.
//!
//! Owns:    `Position`.
//! Runs on: wherever positions travel.            Plane: data.
//! Bounds:  three numbers.
//! Never:   made up by a caller: lanes, readers and cursors hand them out, or the places of records lie behind each other.

/// A place between two records of a lane. Of two positions the later one is the greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Number of the segment; 0 is before the first one.
    pub segment: u64,
    /// Byte of the segment where the next record starts.
    pub offset: u64,
    /// Sequence of the next record: how many were ever put into the lane before it.
    pub sequence: u64,
}

impl Position {
    /// The place behind so many records, which take so many bytes, of the same segment.
    pub(crate) fn behind(self, records: u64, bytes: u64) -> Position {
        Position {
            segment: self.segment,
            offset: self.offset + bytes,
            sequence: self.sequence + records,
        }
    }
}
