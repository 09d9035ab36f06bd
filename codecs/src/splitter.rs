//! What a splitter is: a cutter of byte streams into records, without I/O.
//!
//! Owns:    the `Splitter` trait, its answer `Split`, and the reasons for which bytes are skipped.
//! Runs on: every shard, one splitter a stream.            Plane: data.
//! Bounds:  a record is at most `record_bytes_max`; what is longer is skipped or cut, and counted.
//! Never:   copies, allocates per record, or reads.
//!
//! Contract. The caller holds the unconsumed bytes of one stream in one slice and calls `split` until it answers
//! `More`. Each other answer consumes a prefix. After `More` the caller may call again only with the same bytes
//! followed by new ones (or with `end` set); so a splitter may remember how far it has looked.

use crate::field::Span;
use crate::limits;

/// What a splitter found at the start of the unconsumed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// A record.
    Record(Record),
    /// Bytes that are no record, and why.
    Skip {
        /// How many bytes from the start to forget.
        consumed: usize,
        /// Why.
        cause: SkipCause,
    },
    /// No whole record yet (or, at the end of the stream, nothing more to give).
    More,
}

impl Split {
    /// What becomes of `len` bytes (more than none) that the end of the stream left without an end.
    pub(crate) const fn incomplete_final(len: usize, options: &SplitterOptions) -> Split {
        if options.deliver_incomplete_final {
            return Split::Record(Record::plain(len, Span::new(0, len)));
        }
        Split::Skip {
            consumed: len,
            cause: SkipCause::Incomplete,
        }
    }
}

/// A record, in offsets from the first unconsumed byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// How many bytes from the start it uses up, delimiters and skipped prefix included.
    pub consumed: usize,
    /// All of its bytes: for a frame, from 0x1E to the last byte of the message.
    pub whole: Span,
    /// Its content: for a frame the encoded message, for a line what becomes the payload.
    pub content: Span,
    /// Bytes that belong before the content but do not stand there (RegexSplitter's captured delimiter).
    pub before: Span,
    /// Bytes that belong after the content but do not stand there.
    pub after: Span,
    /// Number of the signer whose signature was checked and right, plus one; 0 for none.
    pub signer: u8,
    /// Whether it is over-long and was cut off at the limit.
    pub truncated: bool,
}

impl Record {
    /// A record that is a plain range.
    #[inline]
    pub const fn plain(consumed: usize, content: Span) -> Record {
        Record {
            consumed,
            whole: content,
            content,
            before: Span::EMPTY,
            after: Span::EMPTY,
            signer: 0,
            truncated: false,
        }
    }
}

/// Why bytes were skipped. Each is counted under its own name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SkipCause {
    /// Bytes between frames that begin no frame: counted in bytes, no record is lost.
    Garbage,
    /// A record longer than the limit: one record is lost.
    TooLong,
    /// A frame whose announced message swallows the start of the next frame: one record is lost.
    BadFrame,
    /// A signature by a known signer that does not fit the message: one record is lost.
    WrongSignature,
    /// A signature by a signer and version that no key is configured for: one record is lost.
    UnknownSigner,
    /// The unfinished rest at the end of a stream: one record is lost.
    Incomplete,
    /// What follows of a record that was counted as too long or delivered cut off: no further record is lost.
    Rest,
    /// Delimiters with nothing between them: no record is lost.
    Empty,
}

impl SkipCause {
    /// Whether a record was lost, as opposed to bytes that never were one.
    pub const fn loses_record(self) -> bool {
        !matches!(
            self,
            SkipCause::Garbage | SkipCause::Rest | SkipCause::Empty
        )
    }
}

/// Options that all splitters share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitterOptions {
    /// Longest record, bytes.
    pub record_bytes_max: usize,
    /// Deliver over-long records cut off at the limit instead of skipping them.
    pub keep_truncated: bool,
    /// Deliver what is left when the stream ends.
    pub deliver_incomplete_final: bool,
}

impl Default for SplitterOptions {
    fn default() -> Self {
        SplitterOptions {
            record_bytes_max: limits::record_bytes_max(limits::MESSAGE_BYTES_DEFAULT),
            keep_truncated: false,
            deliver_incomplete_final: false,
        }
    }
}

/// Cuts one byte stream into records.
pub trait Splitter {
    /// Looks at `unconsumed`, the bytes of the stream from the first one not yet consumed.
    ///
    /// `end` says that no further byte will come. The caller gives the splitter at least
    /// `record_bytes_max` bytes before it expects progress on a stream that goes on.
    fn split(&mut self, unconsumed: &[u8], end: bool) -> Split;

    /// Consumes plain records, whose content is all of them, as long as one follows the other: where they end goes into `ends`, without allocating. What
    /// it stops at, `split` deals with. Who uses only some of the records calls `reset`: the others are then looked for again.
    fn split_plain(&mut self, _unconsumed: &[u8], _ends: &mut Vec<u32>) {}

    /// Forgets what it remembers of the stream: the next bytes begin a new one.
    fn reset(&mut self);
}

impl<S: Splitter + ?Sized> Splitter for Box<S> {
    #[inline]
    fn split(&mut self, unconsumed: &[u8], end: bool) -> Split {
        (**self).split(unconsumed, end)
    }

    #[inline]
    fn split_plain(&mut self, unconsumed: &[u8], ends: &mut Vec<u32>) {
        (**self).split_plain(unconsumed, ends);
    }

    fn reset(&mut self) {
        (**self).reset();
    }
}
