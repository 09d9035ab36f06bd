//! From bytes to routed messages: what inputs read into.
//!
//! Owns:    `InputContext` (an input's view of its shard) and `Intake` (one stream: splitter, decoder, unfinished rest).
//! Runs on: every shard.            Plane: data.
//! Bounds:  reads `limits::READ_BYTES` at a time into a batch of the pool; without a free batch, or while a consumer of the stream has no
//!          credit, it does not read, and the sender feels it. The unfinished rest of a stream is at most one record.
//! Never:   holds a batch while the stream is idle, copies a received byte other than the unfinished rest, or drops without a count.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use codecs::error::Full;
use codecs::field::Span;
use codecs::message::{Draft, Header, MessageTable};
use codecs::splitter::{Record, Split, Splitter};

use super::Shard;
use super::connections::Source;
use super::headers::{Shared, StreamHeaders, StreamOptions};
use super::nested::Nested;
use super::pulse::Running;
use super::recovery::{Trouble, Work};
use super::stop::Stop;
use super::tasks::Tasks;
use crate::event::{DropCause, Drops, InputCounters};
use crate::io::clock;
use crate::io::{Accepted, ByteStream};
use crate::limits;
use crate::pack::{Batch, InputId, Origin, StreamId};
use crate::plugin::{DecodeError, DecodeFailure, DecodeInput, Decoded, Decoder, Remark};

/// An input's view of its shard.
#[derive(Clone, Debug)]
pub struct InputContext {
    pub(super) shard: Rc<Shard>,
    pub(super) input: InputId,
    /// If another input runs this one.
    pub(super) nested: Option<Rc<Nested>>,
    /// Of an instance of the input; a connection has none.
    pub(super) tasks: Option<Rc<Tasks>>,
}

impl InputContext {
    pub(super) fn new(shard: Rc<Shard>, input: InputId, tasks: Option<Rc<Tasks>>) -> InputContext {
        InputContext {
            shard,
            input,
            nested: None,
            tasks,
        }
    }

    /// Section name of the input.
    pub fn name(&self) -> &str {
        match &self.nested {
            Some(nested) => &nested.input.name,
            None => &self.shard.topology.input(self.input).name,
        }
    }

    /// Largest message that the daemon takes, bytes.
    pub fn message_bytes_max(&self) -> usize {
        self.shard.topology.message_bytes_max
    }

    /// This host's name.
    pub fn hostname(&self) -> &str {
        &self.shard.topology.hostname
    }

    /// This process's number.
    pub fn pid(&self) -> i32 {
        self.shard.topology.pid
    }

    /// Number of shards.
    pub fn shards(&self) -> u16 {
        self.shard.topology.shards
    }

    /// Whether the input is to stop.
    pub fn stopping(&self) -> bool {
        let nested = self.nested.as_ref();
        self.shard.stopping() || nested.is_some_and(|nested| nested.is_stopping.get())
    }

    /// Polls `next`, or answers `None` when the input is to stop.
    pub async fn until_stop<T>(
        &self,
        mut next: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Option<T> {
        let mut wait = self.shard.stop_wait();
        poll_fn(|cx| {
            if self.stopping() {
                return Poll::Ready(None);
            }
            wait.register(cx);
            next(cx).map(Some)
        })
        .await
    }

    /// Opens a stream. `hostname` becomes the Hostname of messages that are made of payloads. `None`: too many streams.
    pub fn open_stream(&self, hostname: &str) -> Option<Intake> {
        self.open_stream_with(StreamOptions {
            headers: StreamHeaders::with_hostname(hostname),
            ..StreamOptions::default()
        })
    }

    /// Opens a stream. `None`: too many streams.
    pub fn open_stream_with(&self, options: StreamOptions) -> Option<Intake> {
        let Some(stream) = self.shard.streams.borrow_mut().open(self.input) else {
            self.count(|counters| counters.streams_refused += 1);
            return None;
        };
        self.count(|counters| counters.streams_opened += 1);
        Some(Intake {
            stream,
            splitter: self.make_splitter(options.whole),
            decoder: self.decoder().map(|make| make()),
            message_bytes: self.splitter().use_message_bytes(),
            whole: options.whole,
            headers: options.headers,
            rest: Vec::new(),
            taken: 0,
            pending: None,
            trouble: None,
            stop: None,
            datagrams: None,
            resume: 0,
            remarks_at: 0,
            refusal: String::new(),
            random: fastrand::Rng::new(),
            context: self.clone(),
        })
    }

    /// Has a connection served on the least-loaded shard.
    pub fn place(&self, connection: Accepted) {
        self.shard.place(self.input, Source::Connection(connection));
    }

    /// Has a stream that the input has found served on the least-loaded shard: `InputFactory::serve_stream` is called there.
    pub fn place_stream(&self, number: u64) {
        self.shard.place(self.input, Source::Stream(number));
    }

    /// Runs a task of this input beside the others. If it panics, the instance of the input has failed; if the instance fails, it is dropped.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        Tasks::of(self).spawn(task);
    }

    /// Changes the input's counters.
    pub fn count(&self, change: impl FnOnce(&mut InputCounters)) {
        change(&mut self.shard.ledgers.borrow_mut()[self.input.0 as usize]);
    }

    /// Tells the operator. Repeated notices of one input are merged by the control plane.
    pub fn notice(&self, text: impl FnOnce() -> String) {
        self.shard.notice(self.name(), text);
    }
}

/// What became of a fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// So many bytes were read and went their way.
    Received(usize),
    /// The stream has ended; the rest has been dealt with. What comes next, if anything does, begins a new one.
    End,
    /// The daemon is stopping, and nothing was waiting to be read (or the sender does not pause).
    Stopped,
}

/// One stream of an input: a connection, a file, a socket.
pub struct Intake {
    pub(super) context: InputContext,
    pub(super) stream: StreamId,
    pub(super) splitter: Box<dyn Splitter>,
    pub(super) decoder: Option<Box<dyn Decoder>>,
    message_bytes: bool,
    /// As it was opened.
    pub(super) whole: bool,
    pub(super) headers: StreamHeaders,
    /// Bytes read but not consumed: the beginning of a record, or what a full batch left over.
    pub(super) rest: Vec<u8>,
    /// Bytes of the stream that the splitter has consumed.
    pub(super) taken: u64,
    /// A record at the start of `rest` that did not fit the last batch.
    pub(super) pending: Option<Record>,
    /// Once the splitter or the decoder has panicked, until it is certain that they work again.
    pub(super) trouble: Option<Box<Trouble>>,
    /// Once the daemon is stopping.
    stop: Option<Stop>,
    /// The batch that datagrams are being gathered in, and how far it is filled.
    pub(super) datagrams: Option<(Arc<Batch>, usize)>,
    /// Where in the datagram at hand the next batch goes on, if one was not enough for it.
    pub(super) resume: usize,
    /// When to look at the decoder's remarks at the earliest.
    remarks_at: i64,
    pub(super) random: fastrand::Rng,
    /// What the decoder said of the last record that it refused; empty where that is its reason.
    pub(super) refusal: String,
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake")
            .field("context", &self.context)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

/// What a step found.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) messages: u64,
    pub(super) garbage_bytes: u64,
    pub(super) drops: Drops,
    /// Records that the decoder refused, and why the last one.
    refused: u64,
    refusal: Option<DecodeFailure>,
}

impl Tally {
    fn refuse(&mut self, failure: DecodeFailure) {
        self.refused += 1;
        self.refusal = Some(failure);
    }
}

/// The end of a step, and what it found.
pub(super) struct Cut {
    pub(super) end: StepEnd,
    pub(super) tally: Tally,
}

/// Why a step ended.
pub(super) enum StepEnd {
    /// Every whole record was taken; the rest begins there.
    Rest(usize),
    /// The batch is full; the record that did not fit begins there.
    Overflow(usize, Record),
}

impl Intake {
    /// Waits for bytes, then reads, splits, decodes, routes and delivers them.
    pub async fn fill(&mut self, source: &mut dyn ByteStream) -> io::Result<Fill> {
        poll_fn(|cx| self.poll_fill(cx, source)).await
    }

    /// As `fill`.
    pub fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut dyn ByteStream,
    ) -> Poll<io::Result<Fill>> {
        let shard = Rc::clone(&self.context.shard);
        let _step = shard.engine_step();
        std::task::ready!(self.poll_recovered(cx))?;
        if self.context.stopping() {
            let stop = self.stop.get_or_insert_with(|| {
                // A peer that listens learns that it is to send to somebody else; nobody waits for that.
                let who = Running::Input(self.context.input);
                let _ = shard.contain(who, || source.poll_close(cx));
                Stop::default()
            });
            if stop.read >= limits::STOP_BYTES {
                return Poll::Ready(Ok(Fill::Stopped));
            }
        }
        if shard.streams.borrow().is_evicted(self.stream) {
            return Poll::Ready(Err(io::Error::other(
                "unfinished records of all connections take too much memory, and this one's is the longest",
            )));
        }
        loop {
            let Poll::Ready(mut batch) = self.poll_batch(cx) else {
                return Poll::Pending;
            };
            if self.pending.is_some() {
                self.step(batch, 0, false);
                continue;
            }
            return match self.poll_source(cx, source, &mut batch) {
                Poll::Ready(Ok(0)) => {
                    self.step(batch, 0, true);
                    if self.pending.is_some() {
                        continue;
                    }
                    self.splitter.reset();
                    Poll::Ready(Ok(Fill::End))
                }
                Poll::Ready(Ok(read)) => Poll::Ready(Ok(self.received(batch, read))),
                Poll::Ready(Err(error)) => {
                    shard.give_back(batch);
                    Poll::Ready(Err(error))
                }
                Poll::Pending => {
                    shard.give_back(batch);
                    if let Some(stop) = &mut self.stop {
                        return stop.poll_quiet(cx).map(|()| Ok(Fill::Stopped));
                    }
                    if self.rest.is_empty() {
                        self.rest.shrink_to(limits::REST_BYTES_KEPT);
                    }
                    Poll::Pending
                }
            };
        }
    }

    /// Reads into a batch behind the place of the rest.
    #[inline]
    fn poll_source(
        &self,
        cx: &mut Context<'_>,
        source: &mut dyn ByteStream,
        batch: &mut Arc<Batch>,
    ) -> Poll<io::Result<usize>> {
        let unique = Arc::get_mut(batch).expect("a taken batch is not shared");
        let kept = self.rest.len();
        let space = &mut unique.table.received_mut()[kept..kept + limits::READ_BYTES];
        let stopping = self.context.stopping();
        let who = Running::Input(self.context.input);
        let read = self.context.shard.contain(who, || {
            match source.poll_read(cx, space) {
                // Readiness may not have been reported yet: ask the source itself.
                Poll::Pending if stopping => match source.read_now(space) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
                    now => Poll::Ready(now),
                },
                read => read,
            }
        });
        read.unwrap_or_else(|panicked| Poll::Ready(Err(panicked.into())))
    }

    /// Splits, decodes, routes and delivers what was read.
    fn received(&mut self, batch: Arc<Batch>, read: usize) -> Fill {
        self.context.count(|counters| counters.bytes += read as u64);
        if let Some(stop) = &mut self.stop {
            stop.received(read);
        }
        self.step(batch, read, false);
        Fill::Received(read)
    }

    /// A batch to fill, once no delivery of this stream waits for a consumer.
    pub(super) fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Arc<Batch>> {
        let shard = &self.context.shard;
        let mut streams = shard.streams.borrow_mut();
        streams.register(self.stream, cx);
        if streams.is_blocked(self.stream) {
            return Poll::Pending;
        }
        let input = self.context.input;
        let may_take = shard.input_shares.borrow().may_take(input);
        let taken = if may_take {
            shard.pool.borrow_mut().take()
        } else {
            None
        };
        match taken {
            Some(batch) => {
                streams.has_batch(self.stream);
                Poll::Ready(batch)
            }
            None => {
                streams.wait_for_batch(self.stream);
                Poll::Pending
            }
        }
    }

    /// Deals with the rest of a stream that ends without saying so (a stop, a reset), or of a part of it behind which another one begins.
    pub async fn finish(&mut self) {
        while !self.rest.is_empty() {
            let batch = poll_fn(|cx| self.poll_batch(cx)).await;
            self.step(batch, 0, true);
            if self.pending.is_none() {
                break;
            }
        }
        self.splitter.reset();
    }

    /// What the messages say that are made from now on.
    pub fn headers(&mut self) -> &mut StreamHeaders {
        &mut self.headers
    }

    /// Whether a delivery of this stream waits for a consumer.
    pub fn is_blocked(&self) -> bool {
        self.context.shard.streams.borrow().is_blocked(self.stream)
    }

    /// One step: `read` new bytes stand in the batch behind the place of the rest.
    fn step(&mut self, mut batch: Arc<Batch>, read: usize, end: bool) {
        let unique = Arc::get_mut(&mut batch).expect("a taken batch is not shared");
        let kept = self.rest.len();
        let filled = kept + read;
        unique.table.received_mut()[..kept].copy_from_slice(&self.rest);
        self.context.shard.change_rest(-(kept as isize));
        self.rest.clear();
        let shared = self
            .shared(&mut unique.table, None)
            .expect("names fit an empty table");
        let cut = self.cut(&mut unique.table, 0, filled, end, &shared);
        self.count_tally(&cut.tally);
        let rest = match cut.end {
            StepEnd::Rest(at) => at,
            StepEnd::Overflow(at, record) => {
                self.pending = Some(record);
                at
            }
        };
        self.taken += rest as u64;
        self.rest
            .extend_from_slice(&unique.table.bytes()[rest..filled]);
        self.context.shard.keep_rest(self.stream, self.rest.len());
        self.send(batch);
        self.tell_remarks(shared.now);
    }

    /// Tells the operator what the decoder remarked, not more often than once a `limits::REMARKS_INTERVAL`.
    #[inline]
    pub(super) fn tell_remarks(&mut self, now: i64) {
        if now >= self.remarks_at {
            self.remarks_at = now + limits::REMARKS_INTERVAL;
            self.tell_remarks_now();
        }
    }

    #[cold]
    fn tell_remarks_now(&mut self) {
        let context = &self.context;
        let who = Running::Stream(context.input);
        if let Some(decoder) = &mut self.decoder {
            let remarks = &mut |remark: Remark<'_>| context.notice(|| remark.to_string());
            // One that panics here will do so over a record, or is harmless.
            let _ = context.shard.contain(who, || {
                decoder.take_remarks(remarks);
                decoder.take_end(&mut |end| context.shard.codec_ended(end));
            });
        }
    }

    /// Cuts what is there into records and makes messages of them, from where `work` says on.
    pub(super) fn split(
        &mut self,
        table: &mut MessageTable,
        filled: usize,
        end: bool,
        shared: &Shared,
        work: &mut Work,
    ) -> StepEnd {
        let mut plain = self.template(table, shared);
        loop {
            if let Some(template) = &plain
                && self.pending.is_none()
                && !self.split_plain(table, filled, template, work)
            {
                plain = None;
            }
            // By reference: copying what was just written in small pieces stalls.
            let (pending, split);
            work.consumed = 0;
            let record = if let Some(record) = self.pending.take() {
                pending = record;
                &pending
            } else {
                split = self.splitter.split(&table.bytes()[work.at..filled], end);
                match &split {
                    Split::Record(record) => record,
                    &Split::Skip { consumed, cause } => {
                        match DropCause::of_skip(cause) {
                            Some(cause) => work.tally.drops.add(cause, 1),
                            None => work.tally.garbage_bytes += consumed as u64,
                        }
                        work.at += consumed;
                        continue;
                    }
                    Split::More => return StepEnd::Rest(work.at),
                }
            };
            work.consumed = record.consumed;
            let tally = &mut work.tally;
            match self.make(table, work.at, record, shared) {
                Ok(Made::Messages(count)) => tally.messages += count as u64,
                Ok(Made::Marked(failure)) => {
                    tally.messages += 1;
                    tally.refuse(failure);
                }
                Ok(Made::Refused(failure)) => {
                    tally.drops.add(DropCause::DecodeFailed, 1);
                    tally.refuse(failure);
                }
                Ok(Made::Dropped(cause)) => tally.drops.add(cause, 1),
                Err(Full) if table.is_empty() => tally.drops.add(DropCause::DoesNotFit, 1),
                Err(Full) => return StepEnd::Overflow(work.at, *record),
            }
            work.at += record.consumed;
        }
    }

    pub(super) fn count_tally(&self, tally: &Tally) {
        self.context.count(|counters| {
            counters.received += tally.messages + tally.drops.total();
            counters.dropped.merge(&tally.drops);
            counters.garbage_bytes += tally.garbage_bytes;
            counters.decode_failures += tally.refused;
        });
        if let Some(failure) = tally.refusal {
            let mut probe = self.context.shard.probe.borrow_mut();
            probe.note_decode_failure(self.context.input, failure, &self.refusal);
        }
    }

    /// Places what all messages of a step share.
    pub(super) fn shared(
        &self,
        table: &mut MessageTable,
        hostname: Option<&[u8]>,
    ) -> Result<Shared, Full> {
        let now = clock::wall();
        if self.message_bytes && self.decoder.is_some() {
            return Ok(Shared::nothing(now));
        }
        let name = self.context.name();
        self.headers.place(table, name, hostname, now)
    }

    /// Makes the messages of one record.
    #[inline]
    fn make(
        &mut self,
        table: &mut MessageTable,
        at: usize,
        record: &Record,
        shared: &Shared,
    ) -> Result<Made, Full> {
        let mark = table.mark();
        let before = table.len();
        let made = self.decode(table, at, record, shared);
        match made {
            Ok(Decoded::Message) => Ok(Made::Messages(table.len() - before)),
            Ok(Decoded::Nothing) => {
                table.rollback(mark);
                Ok(Made::Dropped(DropCause::DecodedToNothing))
            }
            Err(DecodeError::Full) => {
                table.rollback(mark);
                Err(Full)
            }
            Err(DecodeError::Failed(failure)) => {
                table.rollback(mark);
                self.hear_refusal();
                if !self.context.sends_decode_failures() {
                    return Ok(Made::Refused(failure));
                }
                let said = std::mem::take(&mut self.refusal);
                let reason = if said.is_empty() {
                    failure.reason
                } else {
                    &said
                };
                let marked = self.make_marked(table, at, record, shared, reason);
                self.refusal = said;
                if marked.is_err() {
                    table.rollback(mark);
                }
                marked.map(|()| Made::Marked(failure))
            }
        }
    }

    #[inline]
    fn decode(
        &mut self,
        table: &mut MessageTable,
        at: usize,
        record: &Record,
        shared: &Shared,
    ) -> Result<Decoded, DecodeError> {
        let mut draft = table.begin()?;
        draft.set_record(shift(record.whole, at));
        draft.set_signer(record.signer);
        let content = place_content(&mut draft, at, record)?;
        if !self.message_bytes || self.decoder.is_none() {
            self.fill_headers(&mut draft, content, shared)?;
        }
        match &mut self.decoder {
            Some(decoder) => decoder.decode(
                &mut draft,
                DecodeInput {
                    content,
                    now: shared.now,
                },
            ),
            None => Ok(Decoded::Message),
        }
    }

    /// Headers of a message that is made of a payload: uuid, time, payload, and what all of the stream have.
    #[inline]
    pub(super) fn fill_headers(
        &mut self,
        draft: &mut Draft<'_>,
        content: Span,
        shared: &Shared,
    ) -> Result<(), Full> {
        let uuid = random_uuid(&mut self.random);
        draft.set(Header::Uuid, &uuid[..])?;
        draft.set(Header::Payload, content)?;
        draft.set_timestamp(shared.now);
        shared.fill(draft)
    }

    /// Routes and delivers a filled batch.
    pub(super) fn send(&self, mut batch: Arc<Batch>) {
        let shard = &self.context.shard;
        let unique = Arc::get_mut(&mut batch).expect("a filled batch is not shared");
        if unique.table.is_empty() {
            shard.streams.borrow_mut().reach(self.stream, self.taken);
            shard.give_back(batch);
            return;
        }
        shard.input_shares.borrow_mut().take(self.context.input);
        let mut streams = shard.streams.borrow_mut();
        let sequence = streams.issue(self.stream, self.taken);
        drop(streams);
        unique.origin = Origin::Stream {
            input: self.context.input,
            stream: self.stream,
            sequence,
        };
        shard.route_and_deliver(batch);
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.tell_remarks_now();
        let shard = &self.context.shard;
        let mut lost = u64::from(!self.rest.is_empty());
        let mut unsent = 0;
        if let Some((batch, _)) = self.datagrams.take() {
            unsent = batch.table.len() as u64;
            lost += unsent;
            shard.give_back(batch);
        }
        if lost > 0 {
            self.context.count(|counters| {
                counters.received += lost - unsent;
                counters.dropped.add(DropCause::Incomplete, lost);
            });
        }
        shard.change_rest(-(self.rest.len() as isize));
        shard.streams.borrow_mut().close(self.stream);
        self.context.count(|counters| counters.streams_closed += 1);
        shard.wake_next_waiting();
    }
}

/// What a record became.
enum Made {
    Messages(usize),
    /// The decoder refused it, and it goes on marked.
    Marked(DecodeFailure),
    /// The decoder refused it.
    Refused(DecodeFailure),
    Dropped(DropCause),
}

pub(super) fn shift(span: Span, by: usize) -> Span {
    Span::new(span.start as usize + by, span.end() + by)
}

/// The record's content as one range: where it stands, or in the arena if a captured delimiter belongs to it.
#[inline]
pub(super) fn place_content(
    draft: &mut Draft<'_>,
    at: usize,
    record: &Record,
) -> Result<Span, Full> {
    if record.before.is_empty() && record.after.is_empty() {
        return Ok(shift(record.content, at));
    }
    draft.gather(&[
        shift(record.before, at),
        shift(record.content, at),
        shift(record.after, at),
    ])
}

/// A random (version 4) UUID.
#[inline]
pub(super) fn random_uuid(random: &mut fastrand::Rng) -> [u8; 16] {
    let mut uuid = random.u128(..).to_le_bytes();
    uuid[6] = uuid[6] & 0x0f | 0x40;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    uuid
}
