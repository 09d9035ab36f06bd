//! Consumers with a disk queue: what waits to be written, and what was read and is not settled yet.
//!
//! Owns:    `Lane`, the parcels that a shard has for a queue; `Draw`, the batches that a consumer's home has read from one.
//! Runs on: every shard (lanes), the consumer's home (draws).            Plane: data.
//! Bounds:  a lane holds `limits::QUEUE_CREDITS` parcels, a draw `limits::QUEUE_READS` batches that were read and `limits::handed_batches` that need not be.
//! Never:   acknowledges a message before the queue has synced it, or moves a queue's cursor past what its consumer has not taken.
//!
//! A message for such a consumer goes: batch -> parcel of encoded messages -> lane -> disk (here its source is acknowledged), then
//! disk -> batch of the home's own pool -> parcel of encoded records (or the filter's call) -> consumer -> cursor. If the consumer has
//! everything else, the messages go from the one batch to the other without being read (`handing`).

mod handing;
mod reading;
mod writing;

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use codecs::message::MessageRef;

use super::Shard;
use super::mesh::Frame;
use super::parcel::Parcel;
use super::topology::ConsumerUnit;
use crate::io::remember;
use crate::limits;
use crate::pack::{Batch, ConsumerId, PoolKind};
use crate::plugin::{EncodeContext, EncodeFailure, Encoded, Encoder, encode_protobuf};
use crate::queue::Position;

use self::handing::Handed;
pub(crate) use self::reading::{begin, keep_cursors, read_queue};
pub(crate) use self::writing::write_lane;

/// Looks at a consumer within `limits::QUEUES_STAND`.
const STANDING_LOOKS: u32 = 10;

/// What a shard keeps for the queue of one consumer.
#[derive(Debug, Default)]
pub(super) struct Lane {
    waiting: VecDeque<Box<Parcel>>,
    bytes: usize,
    waker: Option<Waker>,
    /// How far the lane may be read, if its reader has not been told yet.
    news: Option<Position>,
    /// The reader has been told something and has not answered yet.
    told: bool,
    /// Deliveries that went to the consumer directly and have not come back (`memory_first`).
    direct: u16,
    /// What comes goes to the disk, until the reader has handed over all that is there.
    spills: bool,
    /// How far the lane was written, and whether a group is under way.
    written: Option<Position>,
    writes: bool,
}

impl Lane {
    pub(super) fn new(unit: &ConsumerUnit) -> Lane {
        Lane {
            // Until the reader says that nothing is left of earlier times.
            spills: unit.queue.is_some(),
            ..Lane::default()
        }
    }

    /// Deliveries that wait to be written.
    pub(super) fn waiting_count(&self) -> usize {
        self.waiting.len()
    }

    fn take(&mut self, group: &mut VecDeque<Box<Parcel>>) {
        group.extend(self.waiting.drain(..));
        self.bytes = 0;
        self.writes = true;
    }
}

/// A batch that came out of a lane.
#[derive(Clone, Copy, Debug)]
struct Drawn {
    settled: bool,
    messages: u32,
    /// Where the lane goes on behind it.
    end: Position,
}

/// What came out of one lane of a queue at the home of its consumer.
#[derive(Debug)]
struct Drawing {
    /// The lane's number.
    number: u16,
    /// How far it may be read, and how far it was, or need not be.
    published: Position,
    read: Position,
    /// The segment that the reader is in.
    reader_segment: u64,
    /// How far it was settled.
    at: Position,
    first: u64,
    under_way: VecDeque<Drawn>,
    /// Where the cursor may stand, if it has not been told yet.
    passed: Option<Position>,
}

/// What settling a batch means for the cursor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    /// Messages that it may pass in addition.
    messages: u64,
    /// It may leave a segment behind, which can then be removed.
    leaves_segment: bool,
}

impl Drawing {
    fn new(number: u16, from: Position, published: Position) -> Drawing {
        Drawing {
            number,
            published,
            read: from,
            reader_segment: from.segment,
            at: from,
            first: 0,
            under_way: VecDeque::new(),
            passed: None,
        }
    }

    /// Nothing need be read, and the end is in a segment that the reader has not come to: it still has an older one open.
    fn has_left_reader(&self) -> bool {
        self.read == self.published && self.read.segment != self.reader_segment
    }

    /// How far it was given out.
    fn given_out(&self) -> Position {
        self.under_way.back().map_or(self.at, |last| last.end)
    }

    fn issue(&mut self, messages: u32, end: Position) -> u64 {
        self.under_way.push_back(Drawn {
            settled: false,
            messages,
            end,
        });
        self.first + self.under_way.len() as u64 - 1
    }

    /// Nothing up to there was a message; what is under way before it has to be settled first.
    fn skip(&mut self, end: Position) -> Progress {
        match self.under_way.back_mut() {
            Some(last) => {
                last.end = end;
                Progress::default()
            }
            None => self.pass(0, end),
        }
    }

    fn pass(&mut self, messages: u64, end: Position) -> Progress {
        let before = self.passed.replace(end).unwrap_or(self.at);
        self.at = end;
        Progress {
            messages,
            leaves_segment: before.segment != end.segment,
        }
    }

    fn settle(&mut self, sequence: u64, taken: bool) -> Progress {
        let index = (sequence - self.first) as usize;
        // One that was not taken is never passed, nor is anything behind it: the next start reads it again.
        self.under_way[index].settled = taken;
        let mut progress = Progress::default();
        while let Some(first) = self.under_way.pop_front_if(|first| first.settled) {
            self.first += 1;
            let step = self.pass(u64::from(first.messages), first.end);
            progress.messages += step.messages;
            progress.leaves_segment |= step.leaves_segment;
        }
        progress
    }
}

/// What came out of a queue at the home of its consumer.
#[derive(Debug, Default)]
pub(super) struct Draw {
    lanes: Vec<Drawing>,
    /// What other shards have said of their lanes before this one has begun to read them.
    early: Vec<(u16, Position)>,
    /// Batches that were read, or are read into.
    reads: usize,
    /// Batches that the consumer has and that need not be read.
    given: usize,
    /// What waits in memory to be given out, before anything that has to be read of its lane.
    handed: VecDeque<Handed>,
    /// Messages that the cursors may pass and have not been told of.
    passed: u64,
    /// A cursor may leave a segment behind.
    leaves_segment: bool,
    reader: Option<Waker>,
    keeper: Option<Waker>,
}

impl Draw {
    /// A lane may be read up to there.
    fn publish(&mut self, lane: u16, upto: Position) {
        match self.lanes.iter_mut().find(|known| known.number == lane) {
            Some(drawing) => drawing.published = upto,
            None => self.early.push((lane, upto)),
        }
    }

    /// Batches that are not settled.
    fn in_flight(&self) -> usize {
        self.reads + self.given + self.handed.len()
    }

    /// Batches that wait to be given out.
    pub(super) fn waiting_count(&self) -> usize {
        self.handed.len()
    }

    /// Whether all of a lane was given out that may be.
    fn is_given_out(&self, lane: usize) -> bool {
        let drawing = &self.lanes[lane];
        drawing.read == drawing.published && self.handed.iter().all(|handed| handed.lane() != lane)
    }

    /// Whether the reader of a lane has something to do.
    fn wants_reader(&self, lane: usize) -> bool {
        let drawing = &self.lanes[lane];
        if drawing.has_left_reader() {
            return true;
        }
        if self.handed.front().map(Handed::lane) == Some(lane) {
            return self.given < limits::CONSUMER_CREDITS as usize;
        }
        drawing.read < drawing.published && self.reads < limits::QUEUE_READS
    }

    fn note(&mut self, progress: Progress) {
        self.passed += progress.messages;
        self.leaves_segment |= progress.leaves_segment;
    }
}

/// Encodes messages as they stand in a queue: in protobuf, as received where nothing has changed.
pub(super) struct QueueEncoder {
    message_bytes_max: usize,
}

impl QueueEncoder {
    pub(super) fn new(message_bytes_max: usize) -> QueueEncoder {
        QueueEncoder { message_bytes_max }
    }
}

impl Encoder for QueueEncoder {
    #[inline]
    fn encode(
        &mut self,
        message: MessageRef<'_>,
        _context: EncodeContext,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeFailure> {
        encode_protobuf(message, self.message_bytes_max, out)
    }
}

impl Shard {
    /// Puts a delivery into the consumer's lane; the caller has spent a credit.
    pub(super) fn enqueue(&self, consumer: ConsumerId, batch: Arc<Batch>, delivery: u16) {
        let mut parcel = self.empty_parcel();
        let context = EncodeContext {
            now: crate::io::clock::wall(),
        };
        let mut encoder = QueueEncoder::new(self.topology.message_bytes_max);
        let (picks, mut next) = (batch.picks(delivery as usize), 0);
        parcel.fill(&batch, picks, &mut next, &mut encoder, false, context);
        parcel.carry(batch, delivery);
        let mut lanes = self.lanes.borrow_mut();
        let lane = &mut lanes[consumer.0 as usize];
        lane.bytes += parcel.bytes();
        lane.waiting.push_back(parcel);
        if let Some(waker) = &lane.waker {
            waker.wake_by_ref();
        }
    }

    /// Takes what waits in a lane, oldest first, when there is something. Answers `false` when nothing more will come.
    fn poll_lane(
        &self,
        consumer: ConsumerId,
        group: &mut VecDeque<Box<Parcel>>,
        cx: &Context<'_>,
    ) -> Poll<bool> {
        let mut lanes = self.lanes.borrow_mut();
        let lane = &mut lanes[consumer.0 as usize];
        lane.writes = false;
        if lane.waiting.is_empty() {
            if self.ending() && lane.direct == 0 {
                return Poll::Ready(false);
            }
            remember(&mut lane.waker, cx);
            return Poll::Pending;
        }
        lane.take(group);
        Poll::Ready(true)
    }

    /// Takes what waits in a lane, oldest first.
    fn take_lane(&self, consumer: ConsumerId, group: &mut VecDeque<Box<Parcel>>) {
        self.lanes.borrow_mut()[consumer.0 as usize].take(group);
    }

    /// Waits until what waits in a lane, in deliveries and bytes, is enough, the daemon stops, or `interval` has passed.
    async fn wait_for_lane(
        &self,
        consumer: ConsumerId,
        interval: Duration,
        enough: impl Fn(usize, usize) -> bool,
    ) {
        let mut timer = pin!(crate::io::sleep(interval));
        let mut wait = self.stop_wait();
        poll_fn(|cx| {
            let mut lanes = self.lanes.borrow_mut();
            let lane = &mut lanes[consumer.0 as usize];
            if self.stopping() || enough(lane.waiting.len(), lane.bytes) {
                return Poll::Ready(());
            }
            remember(&mut lane.waker, cx);
            wait.register(cx);
            timer.as_mut().poll(cx)
        })
        .await;
    }

    /// Whether a delivery may go to the consumer without the disk (`memory_first`): it keeps up, and nothing older is on the disk.
    pub(super) fn goes_directly(&self, consumer: ConsumerId) -> bool {
        // An encoder that has failed for good here may do at the consumer's home.
        let gone = self.consumers.borrow()[consumer.0 as usize].standing.gone;
        let mut lanes = self.lanes.borrow_mut();
        let lane = &mut lanes[consumer.0 as usize];
        lane.spills |= gone || lane.direct >= limits::CONSUMER_CREDITS;
        if !lane.spills {
            lane.direct += 1;
        }
        !lane.spills
    }

    /// A delivery that went to the consumer directly has come back. Answers whether its messages have to go to the disk after all.
    pub(super) fn direct_came_back(&self, consumer: ConsumerId, is_lost: bool) -> bool {
        let mut lanes = self.lanes.borrow_mut();
        let lane = &mut lanes[consumer.0 as usize];
        lane.direct -= 1;
        lane.spills |= is_lost;
        if self.ending() {
            lane.waker.iter().for_each(Waker::wake_by_ref);
        }
        is_lost
    }

    /// The reader has handed over all that the lane had up to there: if nothing has been added, what comes may go directly again.
    pub(super) fn lane_drained(&self, consumer: ConsumerId, upto: Position) {
        let mut lanes = self.lanes.borrow_mut();
        let lane = &mut lanes[consumer.0 as usize];
        let is_empty = lane.waiting.is_empty() && !lane.writes;
        if is_empty && lane.written.is_none_or(|written| written <= upto) {
            lane.spills = false;
        }
    }

    /// This shard's lane may be read up to there: its reader is told, or will be as soon as it has answered to what it was told last.
    fn lane_written(&self, consumer: ConsumerId, upto: Position) {
        let mut lanes = self.lanes.borrow_mut();
        let lane = &mut lanes[consumer.0 as usize];
        lane.news = Some(upto);
        lane.written = Some(upto);
        drop(lanes);
        self.tell_reader(consumer);
    }

    /// The reader of a queue has answered.
    pub(super) fn written_seen(&self, consumer: ConsumerId) {
        self.lanes.borrow_mut()[consumer.0 as usize].told = false;
        self.tell_reader(consumer);
    }

    fn tell_reader(&self, consumer: ConsumerId) {
        let home = self.topology.consumer(consumer).home;
        let mut lanes = self.lanes.borrow_mut();
        let lane = &mut lanes[consumer.0 as usize];
        if lane.told {
            return;
        }
        let Some(upto) = lane.news.take() else {
            return;
        };
        if home == self.id {
            self.written(consumer, self.id.0, upto);
            return;
        }
        lane.told = true;
        drop(lanes);
        self.send_frame(
            home,
            Frame::Written {
                consumer,
                lane: self.id.0,
                upto,
            },
        );
    }

    /// A lane of a consumer that lives here may be read up to there.
    pub(super) fn written(&self, consumer: ConsumerId, lane: u16, upto: Position) {
        let mut draws = self.draws.borrow_mut();
        let draw = &mut draws[consumer.0 as usize];
        draw.publish(lane, upto);
        draw.reader.iter().for_each(Waker::wake_by_ref);
    }

    /// The next lane of a queue that has something for its reader and `may` be, from the one after `last` on; `None` when nothing is to be read any more.
    fn poll_readable(
        &self,
        consumer: ConsumerId,
        last: usize,
        may: impl Fn(usize) -> bool,
        cx: &Context<'_>,
    ) -> Poll<Option<usize>> {
        if self.ending() || self.has_ended(consumer) {
            return Poll::Ready(None);
        }
        let is_paused = self.is_paused(consumer);
        let mut draws = self.draws.borrow_mut();
        let draw = &mut draws[consumer.0 as usize];
        let count = draw.lanes.len();
        let readable = (1..=count)
            .map(|step| (last + step) % count)
            .find(|&lane| draw.wants_reader(lane) && may(lane));
        if readable.is_some() && !is_paused {
            return Poll::Ready(readable);
        }
        remember(&mut draw.reader, cx);
        Poll::Pending
    }

    /// Whether there is something to read, or to be taken, in the queues of consumers that live here.
    pub(crate) fn queues_idle(&self) -> bool {
        let draws = self.draws.borrow();
        draws.iter().all(|draw| {
            let mut lanes = 0..draw.lanes.len();
            draw.in_flight() == 0 && lanes.all(|lane| draw.is_given_out(lane))
        })
    }

    /// Waits until a consumer of this shard with a disk queue does not get on and is to leave what it has to it: once outputs are to end, or, where
    /// something has passed the queue by (`memory_first`), once inputs have stopped. Never ready without a queue.
    pub(super) async fn leaves_rest_to_queue(&self, consumer: ConsumerId) {
        let Some(unit) = &self.topology.consumer(consumer).queue else {
            return std::future::pending().await;
        };
        let mut wait = self.stop_wait();
        poll_fn(|cx| {
            if self.ending() || unit.memory_first && self.spilling() {
                return Poll::Ready(());
            }
            wait.register(cx);
            Poll::Pending
        })
        .await;
        drop(wait);
        // One that has nothing may yet be given something, unless outputs are to end.
        let look = || {
            let consumers = self.consumers.borrow();
            let state = &consumers[consumer.0 as usize];
            let done = state.counters.processed + state.counters.dropped.total();
            let has_some = state.lent + state.queue.len() + state.standing.held.len() > 0;
            (done, has_some || self.ending())
        };
        // Many looks: a core that was kept from everything for long counts as one of them.
        let (mut before, mut alike) = (look(), 0);
        while alike < STANDING_LOOKS {
            crate::io::sleep(limits::QUEUES_STAND / STANDING_LOOKS).await;
            let now = look();
            alike = if now == before && now.1 { alike + 1 } else { 0 };
            before = now;
        }
    }

    /// A batch to read a queue into.
    fn take_read_batch(&self, consumer: ConsumerId) -> Arc<Batch> {
        self.draws.borrow_mut()[consumer.0 as usize].reads += 1;
        let batch = self.queued.borrow_mut().take();
        batch.expect("a lane is read only while there is a batch")
    }

    /// Gives an unused batch back.
    fn return_read_batch(&self, consumer: ConsumerId, batch: Arc<Batch>) {
        {
            let draw = &mut self.draws.borrow_mut()[consumer.0 as usize];
            draw.reads -= 1;
            // At the end it waits for the last one.
            draw.keeper.iter().for_each(Waker::wake_by_ref);
        }
        self.give_back(batch);
    }

    /// A batch that came out of a queue has been settled.
    pub(super) fn drawn_settled(
        &self,
        consumer: ConsumerId,
        pool: PoolKind,
        lane: u16,
        sequence: u64,
        taken: bool,
    ) {
        let mut draws = self.draws.borrow_mut();
        let draw = &mut draws[consumer.0 as usize];
        match pool {
            PoolKind::Handed => draw.given -= 1,
            PoolKind::Queued => draw.reads -= 1,
            PoolKind::Received | PoolKind::Injected => unreachable!("no queue has such batches"),
        }
        let progress = draw.lanes[lane as usize].settle(sequence, taken);
        draw.note(progress);
        for waker in [draw.keeper.as_ref(), draw.reader.as_ref()] {
            waker.into_iter().for_each(Waker::wake_by_ref);
        }
    }

    /// Those who work for queues look whether they are to end.
    pub(super) fn wake_queues(&self) {
        let lanes = self.lanes.borrow();
        let writers = lanes.iter().filter_map(|lane| lane.waker.as_ref());
        writers.for_each(Waker::wake_by_ref);
        for draw in self.draws.borrow().iter() {
            let wakers = draw.reader.iter().chain(&draw.keeper);
            wakers.for_each(Waker::wake_by_ref);
        }
    }
}
