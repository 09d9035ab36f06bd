//! From a lane to its consumer without reading the disk: what was just synced still stands in memory.
//!
//! Owns:    the way of messages from a batch of what inputs receive to a batch of what goes through queues without being read.
//! Runs on: the consumer's home shard, for the lane of that shard.            Plane: data.
//! Bounds:  `Topology::handed_batches` batches; what exceeds them is read from the disk later.
//! Never:   copies a message, hands over what is not synced, overtakes what is still to be read, or calls a consumer while a group is settled.
//!
//! The messages move from one batch to the other, with their index: for everybody else they are a batch that was read from the queue, and the one that
//! they came in is free for the next read of an input. Until the lane's reader gives them out they wait. What it would have read instead
//! (`shard::queueing::reading`) must be the same.

use std::sync::Arc;
use std::task::Waker;

use super::super::Shard;
use super::super::parcel::Parcel;
use super::super::topology::Role;
use super::writing::bytes_on_disk;
use crate::pack::{Batch, ConsumerId, PoolKind};
use crate::queue::{Position, Synced};

/// A batch that waits in memory to be given out.
#[derive(Debug)]
pub(super) struct Handed {
    batch: Arc<Batch>,
    /// Number of the lane among those that its home reads.
    lane: usize,
    /// Where the lane goes on behind it.
    end: Position,
}

impl Handed {
    pub(super) fn lane(&self) -> usize {
        self.lane
    }
}

/// A group on its way from the disk's writer to the consumer.
pub(super) struct Handing {
    consumer: ConsumerId,
    /// Number of the lane among those that its home reads.
    lane: usize,
    /// Behind what was handed over.
    at: Position,
}

/// Where the messages of one parcel go.
pub(super) struct Target {
    consumer: ConsumerId,
    delivery: u16,
    handed: Handed,
}

impl Handing {
    /// A target for the messages of the next parcel of the group, if they can go on as they are.
    pub(super) fn target(&mut self, shard: &Shard, parcel: &Parcel) -> Option<Target> {
        let (batch, delivery) = (parcel.batch(), parcel.delivery());
        let picks = batch.picks(delivery as usize);
        let is_whole = !parcel.is_empty() && parcel.len() == picks.len();
        let is_last =
            batch.pool == PoolKind::Received && shard.pool.borrow().holds(batch.slot) == 1;
        if !is_whole || !is_last || !shard.are_alike(self.consumer, batch, picks) {
            return None;
        }
        let batch = shard.take_handed_batch(self.consumer)?;
        let bytes = bytes_on_disk(parcel);
        self.at = self.at.behind(parcel.len() as u64, bytes);
        Some(Target {
            consumer: self.consumer,
            delivery,
            handed: Handed {
                batch,
                lane: self.lane,
                end: self.at,
            },
        })
    }
}

impl Shard {
    /// Whether a group that was synced need not be read: the consumer lives here, is to be given something, and nothing that was in the lane before
    /// has to be read.
    pub(super) fn begin_handing(&self, consumer: ConsumerId, synced: &Synced) -> Option<Handing> {
        let unit = self.topology.consumer(consumer);
        if unit.home != self.id || self.ending() || self.has_ended(consumer) {
            return None;
        }
        let draws = self.draws.borrow();
        let mut lanes = draws[consumer.0 as usize].lanes.iter().enumerate();
        let (lane, drawing) = lanes.find(|(_, lane)| lane.number == self.id.0)?;
        let at = synced.from();
        let follows = drawing.read == drawing.published && drawing.read.sequence == at.sequence;
        follows.then_some(Handing { consumer, lane, at })
    }

    /// A batch for messages that need not be read, if there may be another.
    fn take_handed_batch(&self, consumer: ConsumerId) -> Option<Arc<Batch>> {
        let draw = &self.draws.borrow()[consumer.0 as usize];
        if draw.given + draw.handed.len() >= self.topology.handed_batches(consumer) {
            return None;
        }
        self.handed.borrow_mut().take()
    }

    /// Whether a filter may have these messages in one batch: what it injects counts from what it was given, as a whole.
    fn are_alike(&self, consumer: ConsumerId, batch: &Batch, picks: &[u16]) -> bool {
        let loops = |&message: &u16| batch.table.get(message as usize).head().loops;
        match self.topology.consumer(consumer).role {
            Role::Output { .. } => true,
            Role::Filter(_) => picks.iter().all(|it| loops(it) == loops(&picks[0])),
        }
    }

    /// Moves the messages of a batch that nobody has any more to where they go.
    pub(super) fn hand_over(&self, mut batch: Arc<Batch>, target: Target) {
        let Target {
            consumer,
            delivery,
            mut handed,
        } = target;
        let from = Arc::get_mut(&mut batch).expect("nobody has it any more");
        let to = Arc::get_mut(&mut handed.batch).expect("a taken batch is not shared");
        from.move_into(to, delivery as usize);
        self.give_back(batch);
        let draw = &mut self.draws.borrow_mut()[consumer.0 as usize];
        draw.lanes[handed.lane].read = handed.end;
        // The reader was woken when the group was published.
        draw.handed.push_back(handed);
    }

    /// Gives the consumer the oldest batch that waits in memory, if it is of this lane. Answers whether it was.
    pub(super) fn give_out_handed(&self, consumer: ConsumerId, lane: usize) -> bool {
        let handed = {
            let draw = &mut self.draws.borrow_mut()[consumer.0 as usize];
            let handed = draw.handed.pop_front_if(|handed| handed.lane == lane);
            draw.given += usize::from(handed.is_some());
            handed
        };
        let Some(Handed { batch, end, .. }) = handed else {
            return false;
        };
        let messages = batch.picks(0).len() as u64;
        self.count_queue(consumer, |counters| counters.handed_over += messages);
        self.give_out(consumer, lane, batch, end);
        true
    }

    /// Nothing is given out any more: what waits in memory is on the disk, as if it had never been anywhere else.
    pub(super) fn keep_handed(&self, consumer: ConsumerId) {
        let kept = {
            let draw = &mut self.draws.borrow_mut()[consumer.0 as usize];
            let kept = std::mem::take(&mut draw.handed);
            for handed in &kept {
                let drawing = &mut draw.lanes[handed.lane];
                drawing.read = drawing.given_out();
            }
            draw.keeper.iter().for_each(Waker::wake_by_ref);
            kept
        };
        for Handed { batch, .. } in kept {
            self.give_back(batch);
        }
    }
}
