//! From a lane to its consumer without reading the disk: what was just synced still stands in memory.
//!
//! Owns:    the way of a batch from the pool of what inputs receive to the one of what is read from queues.
//! Runs on: the consumer's home shard, for the lane of that shard.            Plane: data.
//! Bounds:  as for what is read: `limits::queue_reads` batches under way; what exceeds them is read from the disk later.
//! Never:   copies a message, hands over what is not synced, or overtakes what is still to be read.
//!
//! The messages move from one batch to the other, with their index: for everybody else they are a batch that was read from the queue, and
//! the one that they came in is free for the next read of an input. `shard::queueing::reading` is what this saves, and what it must not differ from.

use std::sync::Arc;
use std::task::Waker;

use super::super::Shard;
use super::super::parcel::Parcel;
use super::super::topology::Role;
use super::writing::bytes_on_disk;
use crate::pack::{Batch, ConsumerId, PoolKind};
use crate::queue::{Position, Synced};

/// A group on its way from the disk's writer to the consumer.
pub(super) struct Handing {
    consumer: ConsumerId,
    /// Number of the lane among those that its home reads.
    lane: usize,
    /// Behind what was handed over.
    at: Position,
}

/// Where the messages of one parcel go.
pub(super) struct Place {
    consumer: ConsumerId,
    lane: usize,
    target: Arc<Batch>,
    delivery: u16,
    end: Position,
}

impl Handing {
    /// A place for the messages of the next parcel of the group, if they can go on as they are.
    pub(super) fn place(&mut self, shard: &Shard, parcel: &Parcel) -> Option<Place> {
        let (batch, delivery) = (parcel.batch(), parcel.delivery());
        let picks = batch.picks(delivery as usize);
        let is_whole = !parcel.is_empty() && parcel.len() == picks.len();
        let is_last =
            batch.pool == PoolKind::Received && shard.pool.borrow().holds(batch.slot) == 1;
        if !is_whole || !is_last || !shard.takes_together(self.consumer, batch, picks) {
            return None;
        }
        let target = shard.take_queue_batch(self.consumer)?;
        self.at.offset += bytes_on_disk(parcel);
        self.at.sequence += parcel.len() as u64;
        Some(Place {
            consumer: self.consumer,
            lane: self.lane,
            target,
            delivery,
            end: self.at,
        })
    }
}

impl Shard {
    /// Whether a group that was synced may go to its consumer at once: the consumer lives here, is to be given something, and has everything
    /// that was in the lane before.
    pub(super) fn begin_handing<'a>(
        &self,
        consumer: ConsumerId,
        group: impl Iterator<Item = &'a Parcel>,
        synced: &Synced,
    ) -> Option<Handing> {
        let unit = self.topology.consumer(consumer);
        // With `memory_first` the disk is for what the consumer has no room for.
        let is_direct = unit.queue.as_ref().is_none_or(|queue| queue.memory_first);
        if unit.home != self.id || is_direct || self.ending() || self.has_ended(consumer) {
            return None;
        }
        let draws = self.draws.borrow();
        let mut lanes = draws[consumer.0 as usize].lanes.iter().enumerate();
        let (lane, drawing) = lanes.find(|(_, lane)| lane.number == self.id.0)?;
        if drawing.read != drawing.published || self.is_paused(consumer) {
            return None;
        }
        let mut at = synced.upto();
        for parcel in group {
            at.offset -= bytes_on_disk(parcel);
            at.sequence -= parcel.len() as u64;
        }
        (at.sequence == drawing.read.sequence).then_some(Handing { consumer, lane, at })
    }

    /// Whether the consumer may have these messages in one batch: what a filter injects counts from what it was given, as a whole.
    fn takes_together(&self, consumer: ConsumerId, batch: &Batch, picks: &[u16]) -> bool {
        let loops = |&message: &u16| batch.table.get(message as usize).head().loops;
        match self.topology.consumer(consumer).role {
            Role::Output { .. } => true,
            Role::Filter(_) => picks.iter().map(loops).all(|it| it == loops(&picks[0])),
        }
    }

    /// Gives the consumer the messages of a batch that nobody else has.
    pub(super) fn hand_over(&self, mut batch: Arc<Batch>, place: Place) {
        let Place {
            consumer,
            lane,
            mut target,
            delivery,
            end,
        } = place;
        let (Some(from), Some(to)) = (Arc::get_mut(&mut batch), Arc::get_mut(&mut target)) else {
            unreachable!("neither batch is shared");
        };
        from.move_into(to, delivery as usize);
        self.give_back(batch);
        let messages = target.picks(0).len() as u32;
        self.count_queue(consumer, |counters| {
            counters.handed_over += u64::from(messages);
        });
        {
            let mut draws = self.draws.borrow_mut();
            let draw = &mut draws[consumer.0 as usize];
            draw.lanes[lane].read = end;
            if draw.lanes[lane].has_left_reader() {
                draw.reader.iter().for_each(Waker::wake_by_ref);
            }
        }
        self.set_out(consumer, lane, target, messages);
    }
}
