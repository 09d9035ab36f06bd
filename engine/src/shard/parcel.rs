//! Encoded messages on their way to one output.
//!
//! Owns:    `Parcel`: a share of the batch, the bytes that had to be made, and one piece per record; the way back of one that is let go of.
//! Runs on: filled on the messages' home shard, delivered on the output's, emptied and reused on the first.            Plane: data.
//! Bounds:  `ConsumerUnit::parcels_max` with each output; one piece per message of a batch.
//! Never:   copies bytes that stand in the batch already.

use std::borrow::Cow;
use std::sync::Arc;

use codecs::field::Span;
use codecs::message::MessageRef;
use codecs::plain_header::PlainHeader;

use crate::event::DropCause;
use crate::pack::Batch;
use crate::plugin::{EncodeContext, Encoded, Encoder};
use crate::queue::Synced;

/// Made bytes above which a parcel's buffer is given back to the allocator when it is emptied.
const MADE_BYTES_KEPT: usize = 1024 * 1024;

/// Room for a frame header in front of a message that is encoded in place: 0x1E, length, two varints, 0x1F.
const FRAME_ROOM: usize = 16;

/// Parcels that an output let go of unsettled, on their way back to the output's shard.
pub(super) type Strays = flume::Sender<Box<Parcel>>;

#[derive(Clone, Copy, Debug)]
struct Piece {
    span: Span,
    made: bool,
    /// It is among the dropped.
    dropped: bool,
    message: u16,
}

/// A message that will not be delivered.
#[derive(Clone, Copy, Debug)]
struct Dropped {
    message: u16,
    cause: DropCause,
    /// It is a dead letter, on the disk.
    kept: bool,
}

impl Dropped {
    fn new(message: u16, cause: DropCause) -> Dropped {
        Dropped {
            message,
            cause,
            kept: false,
        }
    }
}

/// Encoded messages for one output. One that is dropped unsettled, on whatever thread, goes back to the output's shard.
#[derive(Debug, Default)]
pub struct Parcel {
    batch: Option<Arc<Batch>>,
    delivery: u16,
    made: Vec<u8>,
    pieces: Vec<Piece>,
    /// Records behind them that its output is to be given later.
    later: Vec<Piece>,
    /// Each message once.
    dropped: Vec<Dropped>,
    /// Why messages were refused, where more than the cause is known, and how often they were tried; in the order of `dropped`.
    reasons: Vec<Reason>,
    /// Bytes of records that `took` has taken out.
    took_bytes: usize,
    /// While an output has it: the number that it was lent under, and where it goes when it is let go of.
    lent: Option<(u64, Arc<Strays>)>,
}

#[derive(Debug)]
struct Reason {
    message: u16,
    text: Cow<'static, str>,
    attempts: u32,
}

impl Drop for Parcel {
    fn drop(&mut self) {
        if let Some((_, strays)) = &self.lent {
            let strays = Arc::clone(strays);
            let stray = Box::new(std::mem::take(self));
            if let Err(unsent) = strays.try_send(stray) {
                // There is room for all that an output may have: its shard has ended, and nobody is left to deliver it.
                debug_assert!(matches!(unsent, flume::TrySendError::Disconnected(_)));
                unsent.into_inner().lent = None;
            }
        }
    }
}

impl Parcel {
    pub(crate) fn empty() -> Box<Parcel> {
        Box::default()
    }

    /// Notes that an output has it from now on.
    pub(super) fn lend(&mut self, number: u64, strays: &Arc<Strays>) {
        self.lent = Some((number, Arc::clone(strays)));
    }

    /// Notes that it is with the engine again; answers the number that it was lent under.
    pub(super) fn recall(&mut self) -> Option<u64> {
        self.lent.take().map(|(number, _)| number)
    }

    /// Takes a share of a batch, for its delivery.
    pub(crate) fn carry(&mut self, batch: Arc<Batch>, delivery: u16) {
        self.batch = Some(batch);
        self.delivery = delivery;
    }

    /// Gives each message a record without bytes.
    pub(crate) fn list(&mut self, picks: &[u16]) {
        self.pieces.extend(picks.iter().map(|&message| Piece {
            span: Span::EMPTY,
            made: false,
            dropped: false,
            message,
        }));
    }

    /// Encodes messages of `batch`, counting in `next` those that are done. If the encoder panics, the message there is the one.
    pub(crate) fn fill(
        &mut self,
        batch: &Batch,
        picks: &[u16],
        next: &mut usize,
        encoder: &mut dyn Encoder,
        framing: bool,
        context: EncodeContext,
    ) {
        while let Some(&message) = picks.get(*next) {
            let view = batch.table.get(message as usize);
            self.encode(view, message, encoder, framing, context);
            *next += 1;
        }
    }

    /// Drops messages behind those that are encoded, with what an encoder that panicked had made of the first.
    #[cold]
    pub(crate) fn skip(&mut self, messages: &[u16], cause: DropCause) {
        let made = self.pieces.iter().rev().find(|piece| piece.made);
        self.made.truncate(made.map_or(0, |piece| piece.span.end()));
        let dropped = messages.iter().map(|&message| Dropped::new(message, cause));
        self.dropped.extend(dropped);
    }

    fn encode(
        &mut self,
        view: MessageRef<'_>,
        message: u16,
        encoder: &mut dyn Encoder,
        framing: bool,
        context: EncodeContext,
    ) {
        let start = self.made.len();
        if framing {
            self.made.resize(start + FRAME_ROOM, 0);
        }
        let body = self.made.len();
        let encoded = encoder.encode(view, context, &mut self.made);
        let piece = match encoded {
            Ok(Encoded::Appended) if framing => self.frame_made(start, body),
            Ok(Encoded::Appended) => Some((Span::new(body, self.made.len()), true)),
            Ok(Encoded::InPlace(span)) if framing => self.frame_in_place(view, span, start),
            Ok(Encoded::InPlace(span)) => {
                self.made.truncate(start);
                Some((span, false))
            }
            Ok(Encoded::Nothing) => {
                self.made.truncate(start);
                return;
            }
            Err(failure) => {
                let said = encoder.failure().map(str::to_owned);
                let reason = said.map_or(failure.reason.into(), Cow::Owned);
                self.note_reason(message, reason, 0);
                None
            }
        };
        match piece {
            Some((span, made)) => self.pieces.push(Piece {
                span,
                made,
                dropped: false,
                message,
            }),
            None => {
                self.made.truncate(start);
                self.dropped
                    .push(Dropped::new(message, DropCause::EncodeFailed));
            }
        }
    }

    /// Puts a frame header directly before the message that was made at `body..`.
    fn frame_made(&mut self, start: usize, body: usize) -> Option<(Span, bool)> {
        let end = self.made.len();
        let header = PlainHeader::new(end - body)?;
        let header = header.as_bytes();
        let at = body - header.len();
        debug_assert!(at >= start);
        self.made[at..body].copy_from_slice(header);
        Some((Span::new(at, end), true))
    }

    /// The frame that the message was received in if it is a plain one; otherwise a frame made of the message's bytes.
    fn frame_in_place(
        &mut self,
        view: MessageRef<'_>,
        span: Span,
        start: usize,
    ) -> Option<(Span, bool)> {
        let header = PlainHeader::new(span.len as usize)?;
        let header = header.as_bytes();
        let record = view.head().record;
        self.made.truncate(start);
        let framed = record.end() == span.end()
            && record.len as usize == header.len() + span.len as usize
            && record.of(view.bytes()).starts_with(header);
        if framed {
            return Some((record, false));
        }
        self.made.extend_from_slice(header);
        self.made.extend_from_slice(span.of(view.bytes()));
        Some((Span::new(start, self.made.len()), true))
    }

    /// The batch that the messages stand in.
    pub(crate) fn batch(&self) -> &Arc<Batch> {
        self.batch
            .as_ref()
            .expect("a parcel under way has its batch")
    }

    pub(crate) fn delivery(&self) -> u16 {
        self.delivery
    }

    /// Empties it for reuse; answers the share of the batch and what was dropped, with `None` for what is kept as a dead letter instead.
    pub(crate) fn open(&mut self, mut dropped: impl FnMut(u16, Option<DropCause>)) -> Arc<Batch> {
        for drop in self.dropped.drain(..) {
            dropped(drop.message, (!drop.kept).then_some(drop.cause));
        }
        self.reasons.clear();
        self.pieces.clear();
        self.took_bytes = 0;
        self.made.clear();
        self.made.shrink_to(MADE_BYTES_KEPT);
        self.batch.take().expect("a parcel under way has its batch")
    }

    /// Records to deliver.
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Messages that the encoder or the output dropped.
    pub fn dropped(&self) -> usize {
        self.dropped.len()
    }

    /// Messages that were dropped, with their causes.
    pub(crate) fn drops(&self) -> impl Iterator<Item = (u16, DropCause)> {
        self.dropped.iter().map(|drop| (drop.message, drop.cause))
    }

    /// The same with what is known of why each was refused, and how often it was tried.
    pub(crate) fn reasons(&self) -> impl Iterator<Item = (u16, DropCause, Option<&str>, u32)> {
        let mut reasons = self.reasons.iter().peekable();
        self.dropped.iter().map(move |drop| {
            let known = reasons.next_if(|known| known.message == drop.message);
            let (text, attempts) =
                known.map_or((None, 1), |known| (Some(&*known.text), known.attempts));
            (drop.message, drop.cause, text, attempts)
        })
    }

    /// Dropped messages, in the order of `drops`, are kept as dead letters, which are on the disk.
    pub(crate) fn mark_kept(&mut self, messages: impl Iterator<Item = u16>, _synced: &Synced) {
        let mut messages = messages.peekable();
        for drop in &mut self.dropped {
            drop.kept = messages
                .next_if(|message| *message == drop.message)
                .is_some();
        }
    }

    fn note_reason(&mut self, message: u16, text: Cow<'static, str>, attempts: u32) {
        self.reasons.push(Reason {
            message,
            text,
            attempts,
        });
    }

    /// Messages that are taken for good when the parcel is settled as it stands: delivered, or without an encoded form.
    pub fn taken(&self) -> usize {
        self.batch().picks(self.delivery as usize).len() - self.dropped.len()
    }

    /// Bytes of the records that are taken for good when the parcel is settled as it stands.
    pub fn taken_bytes(&self) -> usize {
        self.took_bytes + self.kept_bytes(self.len())
    }

    /// Bytes of the first `records` records, without those that were dropped.
    fn kept_bytes(&self, records: usize) -> usize {
        let pieces = &self.pieces[..records];
        if self.dropped.is_empty() {
            return pieces.iter().map(|piece| piece.span.len as usize).sum();
        }
        pieces
            .iter()
            .filter(|piece| !piece.dropped)
            .map(|piece| piece.span.len as usize)
            .sum()
    }

    /// Says that the first `records` records are delivered for good: whoever gets the parcel next must not deliver them again. For an output
    /// that fails with the rest undelivered.
    pub fn took(&mut self, records: usize) {
        self.took_bytes += self.kept_bytes(records);
        self.pieces.drain(..records);
    }

    /// Keeps all records but the first for later.
    #[cold]
    pub(super) fn show_first(&mut self) {
        if self.pieces.len() > 1 {
            debug_assert!(self.later.is_empty());
            self.later.extend(self.pieces.drain(1..));
        }
    }

    /// Has all records again.
    pub(super) fn show_all(&mut self) {
        self.pieces.append(&mut self.later);
    }

    /// The records that were shown are done with. Answers whether there are others, which are all that it has from now on.
    #[cold]
    pub(super) fn next_part(&mut self) -> bool {
        if self.later.is_empty() {
            return false;
        }
        self.took(self.len());
        self.show_all();
        true
    }

    /// Bytes of all records.
    pub fn bytes(&self) -> usize {
        self.pieces
            .iter()
            .map(|piece| piece.span.len as usize)
            .sum()
    }

    /// The bytes of one record.
    #[inline]
    pub fn record(&self, index: usize) -> &[u8] {
        let piece = self.pieces[index];
        piece.span.of(self.source(piece.made))
    }

    /// The message that a record was made of.
    pub fn message(&self, index: usize) -> MessageRef<'_> {
        self.batch().table.get(self.pieces[index].message as usize)
    }

    /// All records in order.
    pub fn records(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.record(index))
    }

    /// All bytes in order, in as few contiguous runs as they stand in.
    pub fn runs(&self) -> Runs<'_> {
        Runs {
            parcel: self,
            next: 0,
            end: self.len(),
        }
    }

    /// The bytes of the records `from..to` in runs.
    pub fn runs_of(&self, from: usize, to: usize) -> Runs<'_> {
        Runs {
            parcel: self,
            next: from,
            end: to,
        }
    }

    /// Says that a record is given up. It must not be delivered afterwards.
    pub fn drop_record(&mut self, index: usize, cause: DropCause) {
        let piece = &mut self.pieces[index];
        if !std::mem::replace(&mut piece.dropped, true) {
            self.dropped.push(Dropped::new(piece.message, cause));
        }
    }

    /// Says that the far side refuses a record for good, and why. It becomes a dead letter if the output keeps them.
    pub fn refuse_record(
        &mut self,
        index: usize,
        why: impl Into<Cow<'static, str>>,
        attempts: u32,
    ) {
        self.give_up_record(index, DropCause::Refused, why.into(), attempts);
    }

    /// Says that a record is given up, and why.
    pub(super) fn give_up_record(
        &mut self,
        index: usize,
        cause: DropCause,
        why: impl Into<Cow<'static, str>>,
        attempts: u32,
    ) {
        let piece = self.pieces[index];
        if !piece.dropped {
            self.note_reason(piece.message, why.into(), attempts);
            self.drop_record(index, cause);
        }
    }

    /// Says that all records from `index` on are given up.
    pub fn drop_from(&mut self, index: usize, cause: DropCause) {
        for index in index..self.len() {
            self.drop_record(index, cause);
        }
    }

    fn source(&self, made: bool) -> &[u8] {
        if made {
            &self.made
        } else {
            self.batch().table.bytes()
        }
    }
}

/// Iterator over contiguous runs of a parcel's bytes.
#[derive(Debug)]
pub struct Runs<'a> {
    parcel: &'a Parcel,
    next: usize,
    end: usize,
}

impl<'a> Iterator for Runs<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.next >= self.end {
            return None;
        }
        let first = self.parcel.pieces[self.next];
        let mut span = first.span;
        self.next += 1;
        while self.next < self.end {
            let piece = self.parcel.pieces[self.next];
            if piece.made != first.made || piece.span.start as usize != span.end() {
                break;
            }
            span.len += piece.span.len;
            self.next += 1;
        }
        Some(span.of(self.parcel.source(first.made)))
    }
}
