//! PatternGroupingSplitter: lines, of which neighbours that match a pattern make one record.
//!
//! Owns:    one stream's search, and the group that is being gathered.
//! Runs on: every shard, one a stream.            Plane: data.
//! Bounds:  a record is at most `record_bytes_max` and `max_lines` lines.
//! Never:   drops a delimiter, or lets the way the stream was read change a record.
//!
//! A group ends when a line that does not match, the last line allowed or the end of the stream is seen. Until
//! then its lines wait. Heka does not wait: there a group that arrives in two reads becomes two records.

use crate::field::Span;
use crate::splitter::{Record, SkipCause, Split, Splitter, SplitterOptions};
use crate::splitters::RegexError;
use crate::splitters::delimiter::{Delimiter, Rest, Test};

/// Groups consecutive lines that match a pattern.
#[derive(Clone, Debug)]
pub struct PatternGroupingSplitter {
    delimiter: Delimiter,
    grouping: Test,
    lines_max: u32,
    options: SplitterOptions,
    /// Lines of the group so far, and where the next line begins.
    lines: u32,
    line_start: usize,
    /// Whether the start of the record was over-long and is gone.
    skipping: bool,
}

impl PatternGroupingSplitter {
    /// A splitter for lines that end with `delimiter`; those that match `grouping` (without their
    /// delimiter) and follow each other make one record of at most `lines_max` lines.
    pub fn new(
        delimiter: &str,
        grouping: &str,
        lines_max: u32,
        options: SplitterOptions,
    ) -> Result<Self, RegexError> {
        if lines_max == 0 {
            return Err(RegexError::MaxLines);
        }
        Ok(PatternGroupingSplitter {
            delimiter: Delimiter::new(delimiter, options.record_bytes_max)?,
            grouping: Test::new(grouping)?,
            lines_max,
            options,
            lines: 0,
            line_start: 0,
            skipping: false,
        })
    }

    /// A record of everything up to `end`.
    fn deliver(&mut self, end: usize) -> Split {
        self.delimiter.restart();
        (self.lines, self.line_start) = (0, 0);
        Split::Record(Record::plain(end, Span::new(0, end)))
    }

    /// One line fills the limit without an end.
    #[cold]
    fn too_long(&mut self, max: usize) -> Split {
        self.delimiter.forget(max);
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

    /// Passes over what follows of an over-long line. `None` where nothing does.
    #[cold]
    fn skip_rest(&mut self, unconsumed: &[u8], max: usize, end: bool) -> Option<Split> {
        let full = unconsumed.len() >= max;
        let consumed = match self.delimiter.find_rest(unconsumed, end, full) {
            Rest::End(end) => {
                self.reset();
                end
            }
            Rest::Gone(_) if end => unconsumed.len(),
            Rest::Gone(0) => return Some(Split::More),
            Rest::Gone(gone) => gone,
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
}

impl Splitter for PatternGroupingSplitter {
    fn split(&mut self, unconsumed: &[u8], end: bool) -> Split {
        let max = self.options.record_bytes_max.max(1);
        if self.skipping
            && let Some(split) = self.skip_rest(unconsumed, max, end)
        {
            return split;
        }
        let window = &unconsumed[..unconsumed.len().min(max)];
        let full = window.len() == max;
        while let Some(rest) = window.get(self.line_start..)
            && let Some(at) = self.delimiter.find_end(rest, end || full)
        {
            let found = self.delimiter.locate(rest, 0, at);
            if !self.grouping.matches(&rest[..found.start]) {
                // A group ends before this line, which is then looked at again.
                let line_end = self.line_start + found.end;
                let end = if self.lines > 0 {
                    self.line_start
                } else {
                    line_end
                };
                return self.deliver(end);
            }
            self.delimiter.restart();
            self.lines += 1;
            self.line_start += found.end;
            if self.lines == self.lines_max {
                return self.deliver(self.line_start);
            }
        }
        if self.lines > 0 && (end || full) {
            return self.deliver(self.line_start);
        }
        if full {
            return self.too_long(max);
        }
        if !end || window.is_empty() {
            return Split::More;
        }
        self.reset();
        Split::incomplete_final(window.len(), &self.options)
    }

    fn reset(&mut self) {
        self.delimiter.restart();
        (self.lines, self.line_start, self.skipping) = (0, 0, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All records of a stream that is there at once.
    fn records(splitter: &mut PatternGroupingSplitter, stream: &str) -> Vec<String> {
        let mut rest = stream;
        let mut records = Vec::new();
        loop {
            match splitter.split(rest.as_bytes(), true) {
                Split::Record(record) => {
                    records.push(rest[..record.content.end()].to_owned());
                    rest = &rest[record.consumed..];
                }
                Split::Skip { consumed, .. } => rest = &rest[consumed..],
                Split::More => return records,
            }
        }
    }

    #[test]
    fn a_trace_is_one_record_among_plain_lines() {
        let options = SplitterOptions::default();
        let grouping = r"(\A\s*.+Exception: .)|(\A\s+at \S+)";
        let mut splitter = PatternGroupingSplitter::new("\n", grouping, 99, options).unwrap();
        let stream = "one\nx.Exception: y\n\tat a.b\n\tat c.d\n\ntwo\nunfinished";
        let expected = [
            "one\n",
            "x.Exception: y\n\tat a.b\n\tat c.d\n",
            "\n",
            "two\n",
        ];
        assert_eq!(records(&mut splitter, stream), expected);
    }

    #[test]
    fn a_group_waits_for_the_line_that_ends_it() {
        let options = SplitterOptions::default();
        let mut splitter = PatternGroupingSplitter::new("\n", "^g", 3, options).unwrap();
        assert_eq!(splitter.split(b"g1\n", false), Split::More);
        assert_eq!(splitter.split(b"g1\ng2\n", false), Split::More);
        let two = Split::Record(Record::plain(6, Span::new(0, 6)));
        assert_eq!(splitter.split(b"g1\ng2\np\n", false), two);
        assert_eq!(
            records(&mut splitter, "g1\ng2\ng3\ng4\n"),
            ["g1\ng2\ng3\n", "g4\n"]
        );
    }

    #[test]
    fn a_group_of_no_lines_is_refused() {
        let refused = PatternGroupingSplitter::new("\n", "", 0, SplitterOptions::default());
        assert_eq!(refused.unwrap_err(), RegexError::MaxLines);
    }
}
