//! WholeSplitter: all of a stream is one record.
//!
//! Owns:    whether the stream has become too long.
//! Runs on: every shard, one a stream.            Plane: data.
//! Bounds:  a record is shorter than `record_bytes_max`; of a longer stream nothing is kept beyond that.
//! Never:   ends a record before the stream ends.

use crate::field::Span;
use crate::splitter::{Record, SkipCause, Split, Splitter, SplitterOptions};

/// Takes a stream to its end. What NullSplitter is for streams whose reads mean nothing.
#[derive(Clone, Debug)]
pub struct WholeSplitter {
    options: SplitterOptions,
    /// Whether the start of the stream was over-long and is gone.
    skipping: bool,
}

impl WholeSplitter {
    /// A splitter with the common options; `deliver_incomplete_final` says nothing to it.
    pub fn new(options: SplitterOptions) -> Self {
        WholeSplitter {
            options,
            skipping: false,
        }
    }

    #[cold]
    fn too_long(&mut self, max: usize) -> Split {
        self.skipping = true;
        if self.options.keep_truncated {
            let record = Record::plain(max, Span::new(0, max));
            return Split::Record(Record {
                truncated: true,
                ..record
            });
        }
        Split::Skip {
            consumed: max,
            cause: SkipCause::TooLong,
        }
    }
}

impl Splitter for WholeSplitter {
    fn split(&mut self, unconsumed: &[u8], end: bool) -> Split {
        let len = unconsumed.len();
        let max = self.options.record_bytes_max.max(1);
        if len == 0 {
            Split::More
        } else if self.skipping {
            Split::Skip {
                consumed: len,
                cause: SkipCause::Rest,
            }
        } else if len >= max {
            self.too_long(max)
        } else if end {
            Split::Record(Record::plain(len, Span::new(0, len)))
        } else {
            Split::More
        }
    }

    fn reset(&mut self) {
        self.skipping = false;
    }
}
