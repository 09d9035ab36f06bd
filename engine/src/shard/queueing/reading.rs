//! From the disk to the consumer: records are read into batches of the home's own pool, and cursors follow what was taken.
//!
//! Owns:    the reader's loop and the keeper's loop of one queue.
//! Runs on: the consumer's home shard; reads and syncs on threads of the queue's own.            Plane: data.
//! Bounds:  `limits::QUEUE_READS` batches under way; lanes are read in turn, one batch each.
//! Never:   copies a message: it is indexed where it was read to.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use codecs::message::{IndexError, MessageTable};
use futures_lite::future::{or, yield_now};

use super::super::Shard;
use super::super::disk_wait::DiskWait;
use super::super::mesh::Frame;
use super::super::topology::{QueueUnit, Role};
use super::Drawing;
use crate::event::DropCause;
use crate::io::clock::Monotonic;
use crate::io::{Worker, remember};
use crate::pack::{Batch, ConsumerId, Origin, ShardId};
use crate::queue::{Cursor, Item, OpenLane, Passed, Position, QueueError, Reader};

/// Least time between two writes of a cursor: each one keeps the disk from something else.
const KEEP_INTERVAL: Duration = Duration::from_millis(100);

/// Calls that may fail before what cannot be read is taken for damage: some two minutes. A disk that is away for a while is no damage.
const READ_ATTEMPTS: u32 = 128;

/// A lane as its reader has it. It travels to the thread that reads and back.
struct Source {
    reader: Reader,
    items: Vec<Item>,
    /// After a failure: not before then, and how long after the next one.
    again: Option<Monotonic>,
    wait: DiskWait,
}

impl Source {
    fn new(reader: Reader) -> Source {
        Source {
            reader,
            items: Vec::new(),
            again: None,
            wait: DiskWait::new(),
        }
    }

    fn failed(&mut self) {
        self.again = Some(Monotonic::now().after(self.wait.length()));
        self.wait = self.wait.longer();
    }

    fn succeeded(&mut self) {
        self.again = None;
        self.wait = DiskWait::new();
    }
}

/// The next lane that has something to read and has not failed just now; `None` when nothing is to be read any more.
async fn next_lane(
    shard: &Shard,
    consumer: ConsumerId,
    last: usize,
    sources: &[Option<Source>],
) -> Option<usize> {
    let waits = |source: &Source| source.again.filter(|at| !at.remaining().is_zero());
    let is_due = |lane: usize| sources[lane].as_ref().is_some_and(|it| waits(it).is_none());
    loop {
        let soonest = sources.iter().flatten().filter_map(waits).min();
        let timer = async {
            match soonest {
                Some(at) => crate::io::sleep(at.remaining()).await,
                None => std::future::pending().await,
            }
            None
        };
        let readable = poll_fn(|cx| shard.poll_readable(consumer, last, is_due, cx));
        if let Some(found) = or(async { Some(readable.await) }, timer).await {
            return found;
        }
    }
}

/// Tells the shard which lanes there are; answers their readers and cursors.
pub(crate) fn begin(
    shard: &Shard,
    consumer: ConsumerId,
    lanes: Vec<OpenLane>,
) -> (Vec<Reader>, Vec<Cursor>) {
    let mut draws = shard.draws.borrow_mut();
    let draw = &mut draws[consumer.0 as usize];
    draw.handed
        .reserve_exact(shard.topology.handed_batches(consumer));
    let (mut readers, mut cursors) = (Vec::new(), Vec::new());
    for mut lane in lanes {
        lane.reader.set_patience(READ_ATTEMPTS);
        let from = lane.reader.position();
        draw.lanes
            .push(Drawing::new(lane.number, from, lane.published));
        readers.push(lane.reader);
        cursors.push(lane.cursor);
        shard.count_queue(consumer, |counters| {
            counters.recovered += lane.recovery.pending_records;
        });
    }
    // Other shards may have started earlier, and have written already.
    for (lane, upto) in std::mem::take(&mut draw.early) {
        draw.publish(lane, upto);
    }
    (readers, cursors)
}

/// Reads a queue and hands it to its consumer, until the outputs are to end or the consumer has ended.
pub(crate) async fn read_queue(
    shard: Rc<Shard>,
    consumer: ConsumerId,
    worker: Worker,
    readers: Vec<Reader>,
) {
    let mut sources: Vec<Option<Source>> = readers
        .into_iter()
        .map(|reader| Some(Source::new(reader)))
        .collect();
    for lane in 0..sources.len() {
        shard.tell_drained(consumer, lane);
    }
    let mut lane = 0;
    while let Some(next) = next_lane(&shard, consumer, lane, &sources).await {
        lane = next;
        let source = &mut sources[lane];
        if shard.has_left_reader(consumer, lane) {
            leave_segment(&shard, consumer, &worker, lane, source).await;
        } else if shard.give_out_handed(consumer, lane) {
            let_others_run(&shard, consumer).await;
        } else {
            read_lane(&shard, consumer, &worker, lane, source).await;
        }
    }
    shard.keep_handed(consumer);
}

/// Reads on in a lane and hands what was read to the consumer.
async fn read_lane(
    shard: &Shard,
    consumer: ConsumerId,
    worker: &Worker,
    lane: usize,
    source: &mut Option<Source>,
) {
    let batch = shard.take_read_batch(consumer);
    let taken = source.take().expect("one read at a time");
    let (from, published) = shard.stretch(consumer, lane);
    let job = worker.run(move || read(taken, batch, from, published));
    let (mut back, batch, read) = job.await;
    match read {
        Ok(passed) => {
            back.succeeded();
            shard.passed_over(consumer, &passed, back.reader.take_notices());
            shard.draw(consumer, lane, &mut back, published, batch);
            *source = Some(back);
            crate::io::yield_if_needed().await;
        }
        Err(error) => {
            shard.return_read_batch(consumer, batch);
            let name = &shard.topology.consumer(consumer).name;
            let wait = back.wait;
            shard.notice(name, || {
                format!("its disk queue cannot be read: {error}; trying again in {wait}")
            });
            // Other lanes go on meanwhile.
            back.failed();
            *source = Some(back);
        }
    }
}

/// Has the reader of a lane leave a segment that nothing need be read of any more: it keeps the file, and its room on the disk.
async fn leave_segment(
    shard: &Shard,
    consumer: ConsumerId,
    worker: &Worker,
    lane: usize,
    source: &mut Option<Source>,
) {
    let mut leaving = source.take().expect("one read at a time");
    let (to, _) = shard.stretch(consumer, lane);
    let left = worker.run(move || {
        leaving.reader.advance(to);
        leaving
    });
    *source = Some(left.await);
    shard.reader_is_in(consumer, lane, to.segment);
}

/// Between two batches that were handed over. Whoever gets what a filter has injected is to have a turn before the filter injects more.
async fn let_others_run(shard: &Shard, consumer: ConsumerId) {
    match shard.topology.consumer(consumer).role {
        Role::Filter(_) => yield_now().await,
        Role::Output { .. } => crate::io::yield_if_needed().await,
    }
}

/// Reads as much as one read of an input takes, from a place at or behind where the reader is.
fn read(
    mut source: Source,
    mut batch: Arc<Batch>,
    from: Position,
    published: Position,
) -> (Source, Arc<Batch>, Result<Passed, QueueError>) {
    let unique = Arc::get_mut(&mut batch).expect("a taken batch is not shared");
    let buffer = unique.table.received_mut();
    source.reader.advance(from);
    let read = source.reader.read(
        buffer,
        published,
        codecs::limits::TABLE_MESSAGES_MAX,
        &mut source.items,
    );
    (source, batch, read)
}

/// Those of the first records that lie behind as many injections: what a filter injects counts from what it was given, as a whole.
fn alike(items: &[Item]) -> &[Item] {
    let other = |item: &Item| item.loops != items[0].loops;
    &items[..items.iter().position(other).unwrap_or(items.len())]
}

/// Makes messages of the records; answers those that are no message, and where the first one stands that had no room.
fn index(table: &mut MessageTable, items: &[Item]) -> (u64, Option<usize>) {
    let mut refused = 0;
    for (number, item) in items.iter().enumerate() {
        let mark = table.mark();
        let indexed = table
            .begin()
            .map_err(IndexError::from)
            .and_then(|mut draft| {
                draft.set_record(item.message);
                draft.index_protobuf(item.message)?;
                draft.set_loops(item.loops);
                Ok(())
            });
        match indexed {
            Ok(()) => {}
            Err(IndexError::Full) if number > 0 => {
                table.rollback(mark);
                return (refused, Some(number));
            }
            // What does not fit an empty table will not fit the next one either.
            Err(IndexError::Full | IndexError::Damage(_)) => {
                table.rollback(mark);
                refused += 1;
            }
        }
    }
    (refused, None)
}

impl Shard {
    /// Hands what was read from a lane to its consumer.
    fn draw(
        &self,
        consumer: ConsumerId,
        lane: usize,
        source: &mut Source,
        published: Position,
        mut batch: Arc<Batch>,
    ) {
        let unique = Arc::get_mut(&mut batch).expect("a batch that was read is not shared");
        let items = match self.topology.consumer(consumer).role {
            Role::Filter(_) => alike(&source.items),
            Role::Output { .. } => &source.items,
        };
        let (refused, rest) = index(&mut unique.table, items);
        let taken = rest.unwrap_or(items.len());
        let is_part = taken < source.items.len();
        if let Some(last) = taken.checked_sub(1).filter(|_| is_part) {
            source.reader.rewind(source.items[last].after);
        }
        let messages = unique.table.len() as u32;
        {
            let mut draws = self.draws.borrow_mut();
            let draw = &mut draws[consumer.0 as usize];
            let drawing = &mut draw.lanes[lane];
            let reached = source.reader.position();
            // Nothing in the buffer means that there is nothing up to where it was asked to read.
            drawing.read = if taken == 0 {
                published.max(reached)
            } else {
                reached
            };
            drawing.reader_segment = reached.segment;
            if messages == 0 {
                let progress = drawing.skip(drawing.read);
                draw.note(progress);
                draw.keeper.iter().for_each(Waker::wake_by_ref);
            }
        }
        if refused > 0 {
            let ledger = self.ledger_of_queue(consumer);
            let ledger = &mut self.ledgers.borrow_mut()[ledger];
            ledger.received += refused;
            ledger.dropped.add(DropCause::DecodeFailed, refused);
        }
        if messages == 0 {
            self.return_read_batch(consumer, batch);
            self.tell_drained(consumer, lane);
            return;
        }
        let end = self.stretch(consumer, lane).0;
        let start = unique.reserve_delivery(consumer, messages);
        unique.set_picks(start, 0, messages as u16);
        self.give_out(consumer, lane, batch, end);
    }

    /// Gives a consumer a batch that has only messages for it, from a lane up to `end`.
    pub(super) fn give_out(
        &self,
        consumer: ConsumerId,
        lane: usize,
        mut batch: Arc<Batch>,
        end: Position,
    ) {
        let messages = batch.picks(0).len() as u32;
        let sequence = {
            let mut draws = self.draws.borrow_mut();
            draws[consumer.0 as usize].lanes[lane].issue(messages, end)
        };
        let unique = Arc::get_mut(&mut batch).expect("a batch that is given out is not shared");
        unique.origin = Origin::Queued {
            consumer,
            lane: lane as u16,
            sequence,
        };
        let ledger = self.ledger_of_queue(consumer);
        self.ledgers.borrow_mut()[ledger].received += u64::from(messages);
        self.pool_of(&batch)
            .borrow_mut()
            .launch(&batch, 1, messages);
        self.hand_to_consumer(consumer, batch);
        self.tell_drained(consumer, lane);
        self.pump_injected();
    }

    /// How far a lane was read, or need not be, and how far it may be.
    fn stretch(&self, consumer: ConsumerId, lane: usize) -> (Position, Position) {
        let drawing = &self.draws.borrow()[consumer.0 as usize].lanes[lane];
        (drawing.read, drawing.published)
    }

    fn has_left_reader(&self, consumer: ConsumerId, lane: usize) -> bool {
        self.draws.borrow()[consumer.0 as usize].lanes[lane].has_left_reader()
    }

    /// The reader of a lane has come to a segment without having read anything there.
    fn reader_is_in(&self, consumer: ConsumerId, lane: usize, segment: u64) {
        self.draws.borrow_mut()[consumer.0 as usize].lanes[lane].reader_segment = segment;
    }

    /// Tells the shard that writes to a lane, if its consumer has got all that is there.
    fn tell_drained(&self, consumer: ConsumerId, lane: usize) {
        let (shard, upto) = {
            let draws = self.draws.borrow();
            let draw = &draws[consumer.0 as usize];
            if !draw.is_given_out(lane) {
                return;
            }
            let drawing = &draw.lanes[lane];
            (ShardId(drawing.number), drawing.read)
        };
        if shard == self.id {
            self.lane_drained(consumer, upto);
        } else if shard.0 < self.topology.shards {
            self.send_frame(shard, Frame::Drained { consumer, upto });
        }
    }

    fn hand_to_consumer(&self, consumer: ConsumerId, batch: Arc<Batch>) {
        match &self.topology.consumer(consumer).role {
            Role::Filter(_) => self.filter(batch, 0),
            Role::Output { framing, .. } => {
                let parcel = self.encode(consumer, batch, 0, *framing);
                self.queue_parcel(parcel);
            }
        }
    }

    /// Notes what a reader could not read.
    fn passed_over(&self, consumer: ConsumerId, passed: &Passed, notices: Vec<String>) {
        self.count_queue(consumer, |counters| {
            counters.damaged +=
                passed.damaged_records + passed.too_long_records + passed.repaired_records;
        });
        let name = &self.topology.consumer(consumer).name;
        for notice in notices {
            self.notice(name, || notice);
        }
    }

    /// Waits until a cursor is worth a write; answers whether it is the last one.
    fn poll_passed(&self, consumer: ConsumerId, least: u64, cx: &Context<'_>) -> Poll<bool> {
        let mut draws = self.draws.borrow_mut();
        let draw = &mut draws[consumer.0 as usize];
        if self.ending() && draw.in_flight() == 0 {
            return Poll::Ready(true);
        }
        if draw.passed >= least || draw.leaves_segment {
            return Poll::Ready(false);
        }
        remember(&mut draw.keeper, cx);
        Poll::Pending
    }
}

/// Writes down how far a queue was delivered, until the outputs have ended.
pub(crate) async fn keep_cursors(
    shard: Rc<Shard>,
    consumer: ConsumerId,
    worker: Worker,
    mut cursors: Vec<Cursor>,
) {
    let topology = Arc::clone(&shard.topology);
    let unit = topology
        .consumer(consumer)
        .queue
        .as_ref()
        .expect("what is read has a queue");
    loop {
        let least = unit.cursor_update_count;
        let last = poll_fn(|cx| shard.poll_passed(consumer, least, cx)).await;
        {
            let mut draws = shard.draws.borrow_mut();
            let draw = &mut draws[consumer.0 as usize];
            draw.passed = 0;
            draw.leaves_segment = false;
            for (cursor, lane) in cursors.iter_mut().zip(&mut draw.lanes) {
                lane.passed.take().map(|to| cursor.advance(to));
            }
        }
        cursors = save(&shard, consumer, unit, &worker, cursors).await;
        if last {
            return;
        }
        crate::io::sleep(KEEP_INTERVAL).await;
    }
}

/// Saves cursors until the disk has them.
async fn save(
    shard: &Shard,
    consumer: ConsumerId,
    unit: &QueueUnit,
    worker: &Worker,
    mut cursors: Vec<Cursor>,
) -> Vec<Cursor> {
    let mut wait = DiskWait::new();
    loop {
        let (back, saved) = worker
            .run(move || {
                let saved = cursors.iter_mut().try_for_each(Cursor::save);
                (cursors, saved)
            })
            .await;
        cursors = back;
        let removed = cursors.iter().map(Cursor::bytes_removed).sum();
        unit.size.removed.store(removed, Ordering::Release);
        let Err(error) = saved else {
            return cursors;
        };
        let name = &shard.topology.consumer(consumer).name;
        shard.notice(name, || {
            format!(
                "the position in its disk queue cannot be saved: {error}; trying again in {wait}"
            )
        });
        if shard.ending() {
            return cursors;
        }
        wait.pause().await;
    }
}
