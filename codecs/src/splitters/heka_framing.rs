//! HekaFramingSplitter: finds frames in a stream, checks signatures, and recovers from damage.
//!
//! Owns:    what it knows of a damaged stretch.
//! Runs on: every shard, one a stream.            Plane: data.
//! Bounds:  a frame is at most `record_bytes_max`; a damaged stretch is searched once, with a bounded number of hashes.
//! Never:   waits for more than one frame's bytes, or loses a whole frame because the one before was damaged.
//!
//! A frame's header is covered by no checksum, so its length may lie. A frame is confirmed when the next
//! byte begins another frame or has not come yet. Confirmed unsigned frames and frames with a right signature are
//! delivered. In any other case the splitter looks for whole frames inside of what the header claims, and gives up
//! only the one byte that makes the damaged frame a frame if there are any.

use std::sync::Arc;

use memchr::memchr;

use crate::field::Span;
use crate::framing::{FrameStart, RECORD_SEPARATOR, Signature, frame_start};
use crate::limits::{FRAME_HEADER_BYTES_MAX, FRAME_OVERHEAD_BYTES, RESYNC_SIGNATURES_MAX};
use crate::signing::{Keys, Verdict};
use crate::splitter::{Record, SkipCause, Split, Splitter, SplitterOptions};

/// Finds framed records.
#[derive(Clone, Debug)]
pub struct HekaFramingSplitter {
    options: SplitterOptions,
    message_bytes_max: usize,
    /// `None` where signatures are not to be checked.
    keys: Option<Arc<Keys>>,
    /// Unconsumed bytes that the last answer `More` waits for.
    needed: usize,
    /// Where a confirmed frame begins in the stretch that is being searched; 0 for none known.
    confirmed_at: usize,
    /// Where the frame would end whose loss was counted last: what turns out to be no record before that was never one. 0
    /// once a record was found.
    lost_until: usize,
    /// Where the stretch ends that signatures were computed for in vain, and how many; 0 for none.
    failed_until: usize,
    failed: u32,
}

/// A complete frame at the start of the unconsumed bytes.
#[derive(Clone, Copy)]
struct Frame {
    message_start: usize,
    end: usize,
}

/// What stands inside of a frame that is in doubt.
enum Inside {
    /// A confirmed frame begins here.
    Frame(usize),
    /// There may be a frame; that many bytes would tell.
    Unknown(usize),
    Nothing,
}

impl HekaFramingSplitter {
    /// A splitter that accepts unsigned records, and signed ones that fit `keys`.
    ///
    /// With `skip_authentication` signatures are not looked at, and records carry no signer.
    pub fn new(options: SplitterOptions, keys: Arc<Keys>, skip_authentication: bool) -> Self {
        let frame_bytes = FRAME_HEADER_BYTES_MAX + FRAME_OVERHEAD_BYTES;
        HekaFramingSplitter {
            options,
            message_bytes_max: options.record_bytes_max.saturating_sub(frame_bytes),
            keys: (!skip_authentication).then_some(keys),
            needed: 0,
            confirmed_at: 0,
            lost_until: 0,
            failed_until: 0,
            failed: 0,
        }
    }

    /// Moves what is remembered by offset.
    #[inline(always)]
    fn consume(&mut self, consumed: usize) {
        self.confirmed_at = self.confirmed_at.saturating_sub(consumed);
        self.lost_until = self.lost_until.saturating_sub(consumed);
        self.failed_until = self.failed_until.saturating_sub(consumed);
    }

    #[inline(always)]
    fn deliver(&mut self, frame: Frame, signer: u8) -> Split {
        self.lost_until = 0;
        self.consume(frame.end);
        Split::Record(Record {
            whole: Span::new(0, frame.end),
            signer,
            ..Record::plain(frame.end, Span::new(frame.message_start, frame.end))
        })
    }

    /// Passes over `consumed` bytes of a frame that is lost and that would end at `end`.
    ///
    /// Counted once: within a frame whose length may be a lie, other frames seem to begin that never were.
    fn lose(&mut self, consumed: usize, cause: SkipCause, end: usize) -> Split {
        let cause = if self.lost_until == 0 {
            cause
        } else {
            SkipCause::Garbage
        };
        self.lost_until = self.lost_until.max(end);
        self.consume(consumed);
        Split::Skip { consumed, cause }
    }

    /// Bytes up to the next one that may begin a frame, the first byte in any case.
    fn to_separator(unconsumed: &[u8]) -> usize {
        let rest = &unconsumed[1..];
        1 + memchr(RECORD_SEPARATOR, rest).unwrap_or(rest.len())
    }

    /// Passes over bytes that begin no frame.
    fn skip_garbage(&mut self, unconsumed: &[u8]) -> Split {
        let consumed = Self::to_separator(unconsumed);
        self.consume(consumed);
        Split::Skip {
            consumed,
            cause: SkipCause::Garbage,
        }
    }

    /// Waits for `needed` bytes in all, if there is room for them.
    fn wait(&mut self, needed: usize) -> Split {
        self.needed = needed.min(self.options.record_bytes_max);
        Split::More
    }

    /// Whether a decision may still wait for more bytes.
    fn may_wait(&self, unconsumed: &[u8], end: bool) -> bool {
        !end && unconsumed.len() < self.options.record_bytes_max
    }

    /// Decides about a complete frame that is signed, or that other bytes than a frame follow.
    #[inline(never)]
    fn decide(
        &mut self,
        unconsumed: &[u8],
        frame: Frame,
        signature: Option<Signature<'_>>,
        end: bool,
    ) -> Split {
        let (Some(signature), Some(keys)) = (signature, &self.keys) else {
            return self.decide_unsigned(unconsumed, frame, end);
        };
        if self.failed_until == 0 {
            self.failed = 0;
        } else if self.failed >= RESYNC_SIGNATURES_MAX {
            let consumed = self.failed_until.min(unconsumed.len());
            return self.lose(consumed, SkipCause::WrongSignature, consumed);
        }
        let cause = match verify(keys, signature, &unconsumed[frame.message_start..frame.end]) {
            Verdict::Right(number) => return self.deliver(frame, number + 1),
            Verdict::Wrong => SkipCause::WrongSignature,
            Verdict::Unknown => SkipCause::UnknownSigner,
        };
        self.refuse(unconsumed, frame, cause, end)
    }

    /// Decides about a frame that nothing speaks against but what follows it.
    fn decide_unsigned(&mut self, unconsumed: &[u8], frame: Frame, end: bool) -> Split {
        if unconsumed
            .get(frame.end)
            .is_none_or(|byte| *byte == RECORD_SEPARATOR)
        {
            return self.deliver(frame, 0);
        }
        if self.confirmed_at > 0 && self.confirmed_at < frame.end {
            return self.lose(1, SkipCause::BadFrame, frame.end);
        }
        match self.look_inside(unconsumed, frame.message_start, frame.end, end) {
            Inside::Frame(at) => {
                self.confirmed_at = at;
                self.lose(1, SkipCause::BadFrame, frame.end)
            }
            Inside::Unknown(needed) if self.may_wait(unconsumed, end) => self.wait(needed),
            Inside::Unknown(_) | Inside::Nothing => self.deliver(frame, 0),
        }
    }

    /// Passes over a frame with a signature that is not accepted: the whole of it if its length can be trusted.
    fn refuse(&mut self, unconsumed: &[u8], frame: Frame, cause: SkipCause, end: bool) -> Split {
        if unconsumed.len() == frame.end && self.may_wait(unconsumed, end) {
            return self.wait(frame.end + 1);
        }
        self.failed_until = self.failed_until.max(frame.end);
        self.failed += 1;
        let confirmed = unconsumed
            .get(frame.end)
            .is_none_or(|byte| *byte == RECORD_SEPARATOR);
        if confirmed && !self.signed_frame_inside(&unconsumed[..frame.end], frame.message_start) {
            self.lost_until = 0;
            return self.lose(frame.end, cause, frame.end);
        }
        self.lose(1, cause, frame.end)
    }

    /// Searches `from..to` for the start of a confirmed frame.
    fn look_inside(&self, unconsumed: &[u8], from: usize, to: usize, end: bool) -> Inside {
        let mut unknown = None;
        let mut at = from;
        while let Some(found) = memchr(RECORD_SEPARATOR, &unconsumed[at..to]) {
            at += found;
            let needed = match frame_start(&unconsumed[at..]) {
                FrameStart::Header {
                    message_start,
                    header,
                } if header.message_len as usize <= self.message_bytes_max => {
                    let frame_end = at + message_start + header.message_len as usize;
                    match unconsumed.get(frame_end) {
                        Some(&RECORD_SEPARATOR) => return Inside::Frame(at),
                        None if frame_end == unconsumed.len() => return Inside::Frame(at),
                        None => Some(frame_end),
                        Some(_) => None,
                    }
                }
                FrameStart::Partial { needed } => Some(at + needed),
                FrameStart::Header { .. } | FrameStart::Invalid => None,
            };
            if !end && unknown.is_none() {
                unknown = needed;
            }
            at += 1;
        }
        unknown.map_or(Inside::Nothing, Inside::Unknown)
    }

    /// Whether a frame with a right signature stands inside of a refused one: then the refused one's length is a lie.
    fn signed_frame_inside(&mut self, refused: &[u8], message_start: usize) -> bool {
        let Some(keys) = &self.keys else {
            return false;
        };
        let mut at = message_start;
        while let Some(found) = memchr(RECORD_SEPARATOR, &refused[at..]) {
            at += found;
            if let FrameStart::Header {
                message_start,
                header,
            } = frame_start(&refused[at..])
                && let Some(signature) = header.signature
                && let Some(message) =
                    refused[at + message_start..].get(..header.message_len as usize)
            {
                match verify(keys, signature, message) {
                    Verdict::Right(_) => return true,
                    Verdict::Wrong => self.failed += 1,
                    Verdict::Unknown => {}
                }
                if self.failed >= RESYNC_SIGNATURES_MAX {
                    return false;
                }
            }
            at += 1;
        }
        false
    }

    /// Waits for the rest of a frame; at the end of the stream looks for whole frames inside of it first.
    #[cold]
    fn partial(&mut self, unconsumed: &[u8], needed: usize, end: bool) -> Split {
        if !end {
            return self.wait(needed);
        }
        if let Inside::Frame(at) = self.look_inside(unconsumed, 1, unconsumed.len(), true) {
            return self.lose(at, SkipCause::Incomplete, needed);
        }
        if self.options.deliver_incomplete_final
            && let FrameStart::Header {
                message_start,
                header,
            } = frame_start(unconsumed)
            && (header.signature.is_none() || self.keys.is_none())
        {
            return self.deliver(
                Frame {
                    message_start,
                    end: unconsumed.len(),
                },
                0,
            );
        }
        self.lose(unconsumed.len(), SkipCause::Incomplete, needed)
    }
}

#[inline]
fn verify(keys: &Keys, signature: Signature<'_>, message: &[u8]) -> Verdict {
    let Signature {
        hash,
        signer,
        key_version,
        digest,
    } = signature;
    keys.verify(signer, key_version, hash, digest, message)
}

impl Splitter for HekaFramingSplitter {
    #[inline]
    fn split(&mut self, unconsumed: &[u8], end: bool) -> Split {
        if unconsumed.is_empty() || (unconsumed.len() < self.needed && !end) {
            return Split::More;
        }
        self.needed = 0;
        if unconsumed[0] != RECORD_SEPARATOR {
            return self.skip_garbage(unconsumed);
        }
        match frame_start(unconsumed) {
            FrameStart::Header {
                message_start,
                header,
            } => {
                let message_len = header.message_len as usize;
                if message_len > self.message_bytes_max {
                    let consumed = Self::to_separator(unconsumed);
                    return self.lose(consumed, SkipCause::TooLong, message_start + message_len);
                }
                let frame = Frame {
                    message_start,
                    end: message_start + message_len,
                };
                if frame.end > unconsumed.len() {
                    return self.partial(unconsumed, frame.end, end);
                }
                let next = unconsumed.get(frame.end);
                if header.signature.is_none() && next.is_none_or(|byte| *byte == RECORD_SEPARATOR) {
                    return self.deliver(frame, 0);
                }
                self.decide(unconsumed, frame, header.signature, end)
            }
            FrameStart::Partial { needed } => self.partial(unconsumed, needed, end),
            FrameStart::Invalid => self.skip_garbage(unconsumed),
        }
    }

    fn reset(&mut self) {
        (self.needed, self.confirmed_at, self.lost_until) = (0, 0, 0);
        (self.failed_until, self.failed) = (0, 0);
    }
}
