//! RegexSplitter: a regular expression stands between records.
//!
//! Owns:    one stream's search, and the captured part that begins its next record.
//! Runs on: every shard, one a stream.            Plane: data.
//! Bounds:  looks at every byte once; an over-long record is passed over up to its delimiter without being kept.
//! Never:   decides on a delimiter that further bytes could change.

use crate::field::Span;
use crate::splitter::{Record, SkipCause, Split, Splitter, SplitterOptions};
use crate::splitters::RegexError;
use crate::splitters::delimiter::{Delimiter, Match, Rest};

/// Ends records by a regular expression with at most one capture group.
///
/// The delimiter is dropped, except for what the group captured: that ends the record before it, or begins
/// the record after it. A record without any byte is passed over.
#[derive(Clone, Debug)]
pub struct RegexSplitter {
    delimiter: Delimiter,
    delimiter_eol: bool,
    options: SplitterOptions,
    /// Bytes at the start that the last delimiter captured, and bytes of it behind those.
    captured: usize,
    dropped: usize,
    /// Whether the start of the record was over-long and is gone.
    skipping: bool,
}

impl RegexSplitter {
    /// A splitter for the pattern `delimiter`; with `delimiter_eol` a captured part belongs to the record before it.
    pub fn new(
        delimiter: &str,
        delimiter_eol: bool,
        options: SplitterOptions,
    ) -> Result<Self, RegexError> {
        let delimiter = Delimiter::new(delimiter, options.record_bytes_max)?;
        Ok(RegexSplitter {
            delimiter,
            delimiter_eol,
            options,
            captured: 0,
            dropped: 0,
            skipping: false,
        })
    }

    /// Bytes at the start that the last delimiter left there.
    fn prefix(&self) -> usize {
        self.captured + self.dropped
    }

    /// A record up to `end`, with the captured part of the delimiter before it.
    fn record(&self, consumed: usize, end: usize) -> Record {
        let (before, content) = match (self.captured, self.dropped) {
            (0, dropped) => (Span::EMPTY, Span::new(dropped, end)),
            (_, 0) => (Span::EMPTY, Span::new(0, end)),
            (captured, _) => (Span::new(0, captured), Span::new(self.prefix(), end)),
        };
        let first = if before.is_empty() {
            content.start as usize
        } else {
            0
        };
        Record {
            whole: Span::new(first, end),
            before,
            ..Record::plain(consumed, content)
        }
    }

    /// The record before the delimiter `found`, and what is kept of the delimiter for the record after it.
    fn finish(&mut self, found: Match) -> Record {
        let mut record = self.record(found.end, found.start);
        (self.captured, self.dropped) = (0, 0);
        self.delimiter.restart();
        match found.capture {
            Some((start, end)) if self.delimiter_eol => {
                let first = record.whole.start as usize;
                record.whole = Span::new(first, end);
                if start == found.start {
                    record.content = Span::new(record.content.start as usize, end);
                } else {
                    record.after = Span::new(start, end);
                }
            }
            Some((start, end)) => {
                record.consumed = start;
                (self.captured, self.dropped) = (end - start, found.end - end);
            }
            None => {}
        }
        record
    }

    /// The record fills the limit without an end.
    #[cold]
    fn too_long(&mut self, max: usize) -> Split {
        let searched_from = self.prefix();
        let record = self.record(max, max);
        // The search goes on, over what is left of the bytes that it has seen.
        let consumed = max - self.delimiter.keep_back().min((max - searched_from) / 2);
        self.delimiter.forget(consumed - searched_from);
        (self.captured, self.dropped, self.skipping) = (0, 0, true);
        if self.options.keep_truncated {
            return Split::Record(Record {
                consumed,
                truncated: true,
                ..record
            });
        }
        Split::Skip {
            consumed,
            cause: SkipCause::TooLong,
        }
    }

    /// Passes over what follows of an over-long record. `None` where nothing does.
    #[cold]
    fn skip_rest(&mut self, unconsumed: &[u8], max: usize, end: bool) -> Option<Split> {
        let full = unconsumed.len() >= max;
        let consumed = match self.delimiter.find_rest(unconsumed, end, full) {
            Rest::Gone(_) if end => unconsumed.len(),
            Rest::Gone(0) => return Some(Split::More),
            Rest::Gone(gone) => gone,
            Rest::End(end) => {
                let from = end.saturating_sub(self.delimiter.keep_back());
                let found = self.delimiter.locate(unconsumed, from, end);
                self.reset();
                match found.capture {
                    Some((start, capture_end)) if !self.delimiter_eol => {
                        (self.captured, self.dropped) = (capture_end - start, end - capture_end);
                        start
                    }
                    _ => end,
                }
            }
        };
        match (consumed, unconsumed.len()) {
            (0, 0) => Some(Split::More),
            (0, _) => None,
            _ => Some(Split::Skip {
                consumed,
                cause: SkipCause::Rest,
            }),
        }
    }

    /// The stream ends within a record.
    fn finish_stream(&mut self, len: usize) -> Split {
        let record = self.record(len, len);
        self.reset();
        match self.options.deliver_incomplete_final {
            _ if len == 0 => Split::More,
            _ if is_empty(&record) => Split::Skip {
                consumed: len,
                cause: SkipCause::Empty,
            },
            true => Split::Record(record),
            false => Split::Skip {
                consumed: len,
                cause: SkipCause::Incomplete,
            },
        }
    }
}

fn is_empty(record: &Record) -> bool {
    record.content.is_empty() && record.before.is_empty() && record.after.is_empty()
}

impl Splitter for RegexSplitter {
    fn split(&mut self, unconsumed: &[u8], end: bool) -> Split {
        let max = self.options.record_bytes_max.max(1);
        if self.skipping
            && let Some(split) = self.skip_rest(unconsumed, max, end)
        {
            return split;
        }
        let window = &unconsumed[..unconsumed.len().min(max)];
        let full = window.len() == max;
        // The second round is for a delimiter at the very start: its captured part begins the record.
        for _ in 0..2 {
            let prefix = self.prefix();
            let searched = window.get(prefix..).unwrap_or_default();
            let Some(at) = self.delimiter.find_end(searched, end || full) else {
                break;
            };
            let found = self.delimiter.locate(searched, 0, at).moved(prefix);
            let record = self.finish(found);
            match (is_empty(&record), record.consumed) {
                (false, _) => return Split::Record(record),
                (true, 0) => {}
                (true, consumed) => {
                    return Split::Skip {
                        consumed,
                        cause: SkipCause::Empty,
                    };
                }
            }
        }
        if full {
            return self.too_long(max);
        }
        if end {
            self.finish_stream(window.len())
        } else {
            Split::More
        }
    }

    fn reset(&mut self) {
        self.delimiter.restart();
        (self.captured, self.dropped, self.skipping) = (0, 0, false);
    }
}
