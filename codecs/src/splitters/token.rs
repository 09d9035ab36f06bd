//! TokenSplitter: one byte ends a record.
//!
//! Owns:    how far it has looked, and how many delimiters it has seen there.
//! Runs on: every shard, one a stream.            Plane: data.
//! Bounds:  looks at every byte once; an over-long record is passed over up to its end without being kept.
//! Never:   drops the delimiter: it is part of its record.

use std::fmt;

use memchr::{memchr, memchr_iter};

use crate::field::Span;
use crate::splitter::{Record, SkipCause, Split, Splitter, SplitterOptions};

/// Ends a record after `count` delimiters.
#[derive(Clone, Debug)]
pub struct TokenSplitter {
    delimiter: u8,
    count: u32,
    options: SplitterOptions,
    /// Bytes of the record that were looked at.
    looked: usize,
    /// Delimiters among them.
    seen: u32,
    /// Whether the start of the record was over-long and is gone.
    skipping: bool,
}

/// Why a TokenSplitter cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// The delimiter is not one byte long.
    Delimiter(String),
    /// A record of no delimiters.
    Count,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenError::Delimiter(text) => {
                write!(
                    f,
                    "delimiter must be a single byte, {text:?} has {}",
                    text.len()
                )?;
                f.write_str("; use RegexSplitter for longer ones")
            }
            TokenError::Count => f.write_str("count must be at least 1"),
        }
    }
}

impl std::error::Error for TokenError {}

impl TokenSplitter {
    /// A splitter that ends a record after `count` times the one byte of `delimiter`.
    pub fn new(delimiter: &str, count: u32, options: SplitterOptions) -> Result<Self, TokenError> {
        let &[delimiter] = delimiter.as_bytes() else {
            return Err(TokenError::Delimiter(delimiter.to_owned()));
        };
        if count == 0 {
            return Err(TokenError::Count);
        }
        Ok(TokenSplitter {
            delimiter,
            count,
            options,
            looked: 0,
            seen: 0,
            skipping: false,
        })
    }

    /// Looks on in `bytes`: where the record ends, if it does.
    #[inline]
    fn record_end(&mut self, bytes: &[u8]) -> Option<usize> {
        // What `split_plain` has looked at may be longer than a record may be.
        while let Some(at) = memchr(self.delimiter, bytes.get(self.looked..)?) {
            self.looked += at + 1;
            self.seen += 1;
            if self.seen == self.count {
                return Some(self.looked);
            }
        }
        self.looked = bytes.len();
        None
    }

    /// Passes over what follows of an over-long record.
    #[cold]
    fn skip_rest(&mut self, unconsumed: &[u8]) -> Split {
        let consumed = match self.record_end(unconsumed) {
            Some(end) => {
                self.reset();
                end
            }
            None => unconsumed.len(),
        };
        self.looked = 0;
        match consumed {
            0 => Split::More,
            _ => Split::Skip {
                consumed,
                cause: SkipCause::Rest,
            },
        }
    }

    /// The record fills the limit without an end.
    #[cold]
    fn too_long(&mut self, max: usize) -> Split {
        self.skipping = true;
        self.looked = 0;
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

impl Splitter for TokenSplitter {
    #[inline]
    fn split(&mut self, unconsumed: &[u8], end: bool) -> Split {
        if self.skipping {
            return self.skip_rest(unconsumed);
        }
        let max = self.options.record_bytes_max.max(1);
        let window = &unconsumed[..unconsumed.len().min(max)];
        if let Some(len) = self.record_end(window) {
            (self.looked, self.seen) = (0, 0);
            return Split::Record(Record::plain(len, Span::new(0, len)));
        }
        if window.len() == max {
            return self.too_long(max);
        }
        if !end || window.is_empty() {
            return Split::More;
        }
        self.reset();
        Split::incomplete_final(window.len(), &self.options)
    }

    #[inline]
    fn split_plain(&mut self, unconsumed: &[u8], ends: &mut Vec<u32>) {
        let max = self.options.record_bytes_max.max(1);
        if self.skipping || self.count != 1 || unconsumed.len() > u32::MAX as usize {
            return;
        }
        let first = self.looked.min(unconsumed.len());
        let mut start = 0;
        for at in memchr_iter(self.delimiter, &unconsumed[first..]) {
            let end = first + at + 1;
            if end - start > max || ends.len() == ends.capacity() {
                self.looked = 0;
                return;
            }
            ends.push(end as u32);
            start = end;
        }
        self.looked = unconsumed.len() - start;
    }

    fn reset(&mut self) {
        (self.looked, self.seen, self.skipping) = (0, 0, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_make_no_sense_are_refused() {
        let options = SplitterOptions::default();
        assert!(matches!(
            TokenSplitter::new("", 1, options),
            Err(TokenError::Delimiter(_))
        ));
        let error = TokenSplitter::new("ab", 1, options).unwrap_err();
        assert_eq!(
            error.to_string(),
            "delimiter must be a single byte, \"ab\" has 2; use RegexSplitter for longer ones"
        );
        assert_eq!(
            TokenSplitter::new("\n", 0, options).unwrap_err(),
            TokenError::Count
        );
    }

    #[test]
    fn a_record_of_exactly_the_limit_is_whole() {
        let options = SplitterOptions {
            record_bytes_max: 4,
            ..SplitterOptions::default()
        };
        let mut splitter = TokenSplitter::new("\n", 1, options).unwrap();
        let record = Record::plain(4, Span::new(0, 4));
        assert_eq!(splitter.split(b"abc\nd", false), Split::Record(record));
        let too_long = Split::Skip {
            consumed: 4,
            cause: SkipCause::TooLong,
        };
        assert_eq!(splitter.split(b"abcd\ne", false), too_long);
        let rest = Split::Skip {
            consumed: 1,
            cause: SkipCause::Rest,
        };
        assert_eq!(splitter.split(b"\ne", false), rest);
        assert_eq!(splitter.split(b"e", false), Split::More);
    }
}
