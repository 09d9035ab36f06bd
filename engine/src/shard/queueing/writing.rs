//! From a lane to the disk: what has gathered is written and synced as one group, then its sources are acknowledged.
//!
//! Owns:    the loop of one lane: gather, make room, write, settle.
//! Runs on: the shard that the messages are on; writes and syncs on a thread of the lane's own.            Plane: data.
//! Bounds:  one group under way, at most `limits::QUEUE_CREDITS` deliveries; while it is, the next one gathers.
//! Never:   settles a delivery that the disk does not have for good, or drops one that does not fit unless `full_action` says so.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::super::disk_wait::DiskWait;
use super::super::parcel::Parcel;
use super::super::topology::QueueUnit;
use super::super::{Ended, Shard};
use crate::event::DropCause;
use crate::io::clock::Monotonic;
use crate::io::{Worker, clock};
use crate::limits;
use crate::pack::ConsumerId;
use crate::plugin::options::FullAction;
use crate::queue::{Entry, HEADER_BYTES, Kind, Lane, QueueError, Synced};

/// Between two looks at a queue that was full at start.
const START_LOOK: Duration = Duration::from_secs(1);

/// Between two lines of the log that say that a queue is full: with an output that is just slower than its inputs it is so again and again.
const FULL_TOLD_AGAIN: Duration = Duration::from_secs(10);

/// A lane on its way between the shard and its thread, with what is to be written.
struct Job {
    lane: Lane,
    group: VecDeque<Box<Parcel>>,
}

impl Job {
    /// Bytes on the disk of each parcel of the group.
    fn sizes(&self) -> impl Iterator<Item = u64> {
        self.group.iter().map(|parcel| bytes_on_disk(parcel))
    }

    /// How many parcels of the group, from the first on, fit into so many bytes.
    fn fit(&self, mut room: u64) -> usize {
        self.sizes()
            .take_while(|bytes| {
                let fits = *bytes <= room;
                room = room.saturating_sub(*bytes);
                fits
            })
            .count()
    }

    /// Writes the first parcels of the group and waits until the disk has them.
    fn write(&mut self, count: usize, now: i64) -> Result<Synced, QueueError> {
        let records = self.group.iter().take(count).flat_map(|parcel| {
            (0..parcel.len()).map(|index| Entry {
                message: parcel.record(index),
                loops: parcel.message(index).head().loops,
                meta: None,
            })
        });
        self.lane.append(records, now)?;
        self.lane.commit()
    }
}

/// Bytes that a parcel takes on the disk.
pub(super) fn bytes_on_disk(parcel: &Parcel) -> u64 {
    (parcel.bytes() + parcel.len() * HEADER_BYTES) as u64
}

/// Writes what comes into a lane, until nothing more will come.
pub(crate) async fn write_lane(shard: Rc<Shard>, consumer: ConsumerId, worker: Worker, lane: Lane) {
    let topology = Arc::clone(&shard.topology);
    let unit = topology
        .consumer(consumer)
        .queue
        .as_ref()
        .expect("a consumer with a lane has a queue");
    let mut writing = Writing {
        name: &topology.consumer(consumer).name,
        start_looks: unit.start_looks,
        has_rolled: false,
        full_told_until: None,
        shard,
        consumer,
        worker,
        unit,
    };
    let group = VecDeque::with_capacity(limits::QUEUE_CREDITS as usize);
    let mut job = Job { lane, group };
    while writing.gather(&mut job.group).await {
        match writing.deal_with(job).await {
            Some(back) => job = back,
            None => return,
        }
    }
    let closed = writing.worker.run(move || job.lane.close()).await;
    if let Err(error) = closed {
        let shard = &writing.shard;
        shard.notice(writing.name, || {
            format!("its disk queue cannot be closed: {error}; the next start looks for its end")
        });
    }
}

struct Writing<'a> {
    shard: Rc<Shard>,
    name: &'a str,
    consumer: ConsumerId,
    worker: Worker,
    unit: &'a QueueUnit,
    /// How often a queue that was full at start is still looked at before `full_action` `shutdown` ends the daemon.
    start_looks: u32,
    /// A new segment was begun because the queue is full: the present one may be all that takes room.
    has_rolled: bool,
    /// Not before then it is told again that the queue is full.
    full_told_until: Option<Monotonic>,
}

impl Writing<'_> {
    /// Waits for deliveries, and for more of them as long as the options want a larger group. Answers `false` when none will come.
    async fn gather(&self, group: &mut VecDeque<Box<Parcel>>) -> bool {
        let (shard, consumer) = (&self.shard, self.consumer);
        if !poll_fn(|cx| shard.poll_lane(consumer, group, cx)).await {
            return false;
        }
        if let Some(interval) = self.unit.fsync_interval {
            let bytes: usize = group.iter().map(|parcel| parcel.bytes()).sum();
            let taken = group.len();
            // Whoever waits for credit would wait for the whole interval.
            let enough = |deliveries: usize, waiting: usize| {
                bytes + waiting >= self.unit.fsync_bytes
                    || taken + deliveries >= limits::QUEUE_CREDITS as usize / 2
            };
            shard.wait_for_lane(consumer, interval, enough).await;
            shard.take_lane(consumer, group);
        }
        true
    }

    /// Brings a group onto the disk, whatever that takes. `None`: the queue is full, and that ends the daemon.
    async fn deal_with(&mut self, mut job: Job) -> Option<Job> {
        let mut wait = DiskWait::new();
        while !job.group.is_empty() {
            let taken = self.unit.size.bytes();
            let count = match self.unit.bytes_max {
                Some(most) => job.fit(most.saturating_sub(taken)),
                None => job.group.len(),
            };
            if count > 0 && !self.reserve(&job, count) {
                // Another lane has taken the room since.
                continue;
            }
            let problem = if count == 0 {
                let most = self.unit.bytes_max.unwrap_or(taken);
                format!("it takes {taken} of at most {most} bytes (`max_buffer_size`)")
            } else {
                let (back, written) = self.write(job, count).await;
                job = back;
                match written {
                    Ok(synced) => {
                        self.start_looks = 0;
                        self.has_rolled = false;
                        wait = DiskWait::new();
                        self.settle(&mut job, count, &synced);
                        continue;
                    }
                    Err(error) if error.kind() == Kind::Full => error.to_string(),
                    Err(error) => {
                        self.failed(&error, wait);
                        wait.pause().await;
                        continue;
                    }
                }
            };
            (job, wait) = self.full(job, &problem, wait).await?;
        }
        Some(job)
    }

    /// Takes the room for the first parcels of the group; writing them, or failing to, puts what they have really taken in its place.
    fn reserve(&self, job: &Job, count: usize) -> bool {
        self.unit.bytes_max.is_none_or(|most| {
            let more = job.sizes().take(count).sum();
            let taken = job.lane.bytes_taken();
            self.unit.size.reserve(self.shard.id, taken, more, most)
        })
    }

    async fn write(&self, mut job: Job, count: usize) -> (Job, Result<Synced, QueueError>) {
        let now = clock::wall();
        let done = self.worker.run(move || {
            let written = job.write(count, now);
            (job, written)
        });
        let (job, written) = done.await;
        self.count_bytes(&job.lane);
        (job, written)
    }

    fn count_bytes(&self, lane: &Lane) {
        self.unit.size.took(self.shard.id, lane.bytes_taken());
    }

    fn failed(&self, error: &QueueError, wait: DiskWait) {
        let (shard, consumer) = (&self.shard, self.consumer);
        shard.count_consumer(consumer, |counters| counters.retries += 1);
        shard.notice(self.name, || {
            format!("its disk queue cannot be written: {error}; trying again in {wait}, inputs are held back")
        });
    }

    /// There is no room for the group: does what `full_action` says. `None` if that is the end.
    async fn full(
        &mut self,
        mut job: Job,
        problem: &str,
        wait: DiskWait,
    ) -> Option<(Job, DiskWait)> {
        if self.shard.is_closed(self.consumer) {
            // Nobody will make room.
            self.give_up(&mut job, DropCause::DestinationEnded);
            return Some((job, wait));
        }
        let pause = match self.unit.full_action {
            FullAction::Drop => {
                self.give_up(&mut job, DropCause::QueueFull);
                return Some((job, wait));
            }
            FullAction::Shutdown if self.start_looks == 0 => {
                let error = format!(
                    "its disk queue is full: {problem}; `full_action` is \"shutdown\". What it has not taken is not acknowledged"
                );
                self.shard.tell_of_end(Ended {
                    plugin: self.name.to_owned(),
                    error: Some(error),
                    can_exit: false,
                    keeps: true,
                });
                return None;
            }
            FullAction::Shutdown => {
                self.start_looks -= 1;
                START_LOOK
            }
            FullAction::Block => wait.length(),
        };
        let now = Monotonic::now();
        if wait.is_first() && self.full_told_until.is_none_or(|until| until <= now) {
            self.full_told_until = Some(now.after(FULL_TOLD_AGAIN));
            self.shard.notice(self.name, || {
                format!(
                    "its disk queue is full: {problem}; inputs are held back until there is room"
                )
            });
        }
        if !self.has_rolled {
            self.has_rolled = true;
            job = self.roll(job).await;
        }
        crate::io::sleep(pause).await;
        Some((job, wait.longer()))
    }

    fn give_up(&self, job: &mut Job, cause: DropCause) {
        for mut parcel in job.group.drain(..) {
            parcel.drop_from(0, cause);
            self.shard.parcel_settled(parcel);
        }
        self.shard.pump_injected();
    }

    /// Leaves the present segment to the reader, so that it can be removed as soon as it was delivered.
    async fn roll(&self, mut job: Job) -> Job {
        let now = clock::wall();
        let done = self.worker.run(move || {
            let rolled = job.lane.roll(now);
            (job, rolled)
        });
        let (job, rolled) = done.await;
        self.count_bytes(&job.lane);
        // If there is no room even for that, the next look comes to the same place.
        if let Ok(synced) = rolled {
            self.shard.lane_written(self.consumer, synced.upto());
        }
        job
    }

    /// The disk has the group: whoever reads the queue may have it, and its sources are acknowledged.
    fn settle(&self, job: &mut Job, count: usize, synced: &Synced) {
        let (shard, consumer) = (&self.shard, self.consumer);
        let mut handing = shard.begin_handing(consumer, synced);
        shard.lane_written(consumer, synced.upto());
        for parcel in job.group.drain(..count) {
            shard.count_queue(consumer, |counters| {
                counters.queued += parcel.len() as u64;
                counters.bytes += parcel.bytes() as u64;
            });
            let target = handing.as_mut().and_then(|to| to.target(shard, &parcel));
            if target.is_none() && !parcel.is_empty() {
                // What comes behind it must not come before it.
                handing = None;
            }
            match (shard.parcel_queued(parcel, synced), target) {
                (Some(batch), Some(target)) => shard.hand_over(batch, target),
                (Some(batch), None) => shard.give_back(batch),
                (None, None) => {}
                (None, Some(_)) => unreachable!("only what nobody else has goes on"),
            }
        }
        shard.count_queue(consumer, |counters| counters.syncs += 1);
        shard.pump_injected();
    }
}
