//! NullSplitter: what a read returned is a record.
//!
//! Owns:    nothing.
//! Runs on: every shard, one a stream.            Plane: data.
//! Bounds:  a record is at most `record_bytes_max`; a longer read becomes several.
//! Never:   keeps bytes back.

use crate::field::Span;
use crate::splitter::{Record, Split, Splitter, SplitterOptions};

/// Passes on whatever it is given. The caller must not hold bytes back for it.
#[derive(Clone, Debug)]
pub struct NullSplitter {
    record_bytes_max: usize,
}

impl NullSplitter {
    /// A splitter with the common options, of which only the record limit says anything to it.
    pub fn new(options: SplitterOptions) -> Self {
        NullSplitter {
            record_bytes_max: options.record_bytes_max.max(1),
        }
    }
}

impl Splitter for NullSplitter {
    #[inline]
    fn split(&mut self, unconsumed: &[u8], _end: bool) -> Split {
        if unconsumed.is_empty() {
            return Split::More;
        }
        let len = unconsumed.len().min(self.record_bytes_max);
        Split::Record(Record::plain(len, Span::new(0, len)))
    }

    fn reset(&mut self) {}
}
