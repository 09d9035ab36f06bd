//! Settling: what happens when a consumer is done with messages.
//!
//! Owns:    the way back of shares, credits, parcels and batches, and what it counts.
//! Runs on: every shard, for the batches that it made.            Plane: data.
//! Bounds:  each delivery is settled once.
//! Never:   frees a batch that anybody still holds.

use std::cell::RefCell;
use std::sync::Arc;

use super::Shard;
use super::acknowledgement::Taken;
use super::parcel::Parcel;
use crate::event::DropCause;
use crate::pack::pool::{Landed, Pool};
use crate::pack::{Batch, ConsumerId, Origin, PoolKind};
use crate::queue::Synced;

impl Shard {
    /// A filter elsewhere is done with a delivery.
    pub(super) fn released(&self, batch: Arc<Batch>, delivery: u16, dropped: Option<DropCause>) {
        let consumer = batch.deliveries()[delivery as usize].consumer;
        if batch.is_from_queue() {
            self.settle(batch, delivery, dropped);
            return;
        }
        let is_lost = dropped == Some(DropCause::DestinationEnded);
        if self.goes_to_disk_after_all(consumer, is_lost) {
            self.enqueue(consumer, batch, delivery);
            return;
        }
        self.settle(batch, delivery, dropped);
        self.credit_back(consumer);
    }

    /// Whether a delivery that came back from its consumer has to go to the consumer's queue instead, which was passed by.
    fn goes_to_disk_after_all(&self, consumer: ConsumerId, is_lost: bool) -> bool {
        self.topology.consumer(consumer).queue.is_some() && self.direct_came_back(consumer, is_lost)
    }

    /// An output is done with a parcel.
    pub(super) fn parcel_came_back(&self, parcel: Box<Parcel>) {
        let (batch, delivery) = (parcel.batch(), parcel.delivery());
        let consumer = batch.deliveries()[delivery as usize].consumer;
        let mut drops = parcel.drops();
        let is_lost = drops.any(|(_, cause)| cause == DropCause::DestinationEnded);
        drop(drops);
        if !batch.is_from_queue() && self.goes_to_disk_after_all(consumer, is_lost) {
            let mut parcel = parcel;
            let batch = parcel.open(|_, _| ());
            self.parcels.borrow_mut().push(parcel);
            self.enqueue(consumer, batch, delivery);
            return;
        }
        if let Some(parcel) = self.post(consumer, parcel) {
            self.parcel_settled(parcel);
        }
    }

    /// An output is done with a parcel, and what it refused is kept or given up.
    pub(super) fn parcel_settled(&self, parcel: Box<Parcel>) {
        let batch = parcel.batch();
        let consumer = batch.deliveries()[parcel.delivery() as usize].consumer;
        let taken = Taken::by_output(&parcel, self.may_lose(batch, consumer));
        if let Some(batch) = self.empty_out(parcel, taken) {
            self.give_back(batch);
        }
    }

    /// A disk queue has a parcel for good. Answers the parcel's batch if nobody has it any more: the caller gives it back.
    pub(super) fn parcel_queued(&self, parcel: Box<Parcel>, synced: &Synced) -> Option<Arc<Batch>> {
        self.empty_out(parcel, Some(Taken::by_queue(synced)))
    }

    /// Counts what was dropped of a parcel, gives its share of the batch back, and keeps it for the next delivery. Answers the batch if that was
    /// the last share.
    #[must_use]
    fn empty_out(&self, mut parcel: Box<Parcel>, taken: Option<Taken>) -> Option<Arc<Batch>> {
        let slot = parcel.batch().slot;
        let (origin, consumer) = {
            let batch = parcel.batch();
            (
                batch.origin,
                batch.deliveries()[parcel.delivery() as usize].consumer,
            )
        };
        let pool = self.pool_of(parcel.batch());
        let ledger = self.ledger_of(origin);
        let is_queued = matches!(origin, Origin::Queued { .. });
        let batch = parcel.open(|message, cause| {
            let first = pool.borrow_mut().note_drop(slot, message);
            let Some(cause) = cause else {
                self.count_consumer(consumer, |counters| counters.dead_lettered += 1);
                self.ledgers.borrow_mut()[ledger].dead_lettered += u64::from(first);
                return;
            };
            if is_queued && cause == DropCause::DestinationEnded {
                // Its queue keeps it.
                return;
            }
            self.count_consumer(consumer, |counters| counters.dropped.add(cause, 1));
            if first {
                self.ledgers.borrow_mut()[ledger].dropped.add(cause, 1);
            }
        });
        self.parcels.borrow_mut().push(parcel);
        let landed = self.take_share(batch, taken);
        if !is_queued {
            self.credit_back(consumer);
        }
        landed
    }

    /// A filter is done with a delivery of a batch of this shard, or nobody will be.
    pub(super) fn settle(&self, batch: Arc<Batch>, delivery: u16, dropped: Option<DropCause>) {
        if let Some(cause) = dropped {
            let ledger = self.ledger_of(batch.origin);
            let pool = self.pool_of(&batch);
            let is_kept = batch.is_from_queue() && cause == DropCause::DestinationEnded;
            for &message in batch.picks(delivery as usize) {
                if pool.borrow_mut().note_drop(batch.slot, message) && !is_kept {
                    self.ledgers.borrow_mut()[ledger].dropped.add(cause, 1);
                }
            }
        }
        let consumer = batch.deliveries()[delivery as usize].consumer;
        let taken = Taken::by_filter(dropped, self.may_lose(&batch, consumer));
        self.release(batch, taken);
    }

    /// Whether what a consumer leaves behind when it ends may be forgotten: it is not needed, and no queue can keep it.
    fn may_lose(&self, batch: &Batch, consumer: ConsumerId) -> bool {
        !batch.is_from_queue() && self.topology.consumer(consumer).can_exit
    }

    /// Gives one share of a batch of this shard back. Without proof that it was taken its stream is not acknowledged any further.
    pub(super) fn release(&self, batch: Arc<Batch>, taken: Option<Taken>) {
        if let Some(batch) = self.take_share(batch, taken) {
            self.give_back(batch);
        }
    }

    /// As `release`, but answers the batch if nobody has it any more.
    fn take_share(&self, batch: Arc<Batch>, taken: Option<Taken>) -> Option<Arc<Batch>> {
        let slot = batch.slot;
        let pool = self.pool_of(&batch);
        drop(batch);
        let landed = pool
            .borrow_mut()
            .release(slot, taken.map(Taken::spend).is_none());
        landed.map(|landed| self.land(landed))
    }

    /// The last share of a batch has come back: its messages are accounted for, its stream's watermark moves. Answers the batch, whose memory is
    /// free.
    #[must_use]
    pub(super) fn land(&self, landed: Landed) -> Arc<Batch> {
        let Landed {
            batch,
            delivered,
            withheld,
        } = landed;
        let ledger = self.ledger_of(batch.origin);
        self.ledgers.borrow_mut()[ledger].delivered += delivered;
        match batch.origin {
            Origin::Stream {
                input,
                stream,
                sequence,
            } => {
                self.streams
                    .borrow_mut()
                    .settle(stream, sequence, !withheld);
                self.input_shares.borrow_mut().give_back(input);
            }
            Origin::Queued {
                consumer,
                lane,
                sequence,
            } => self.drawn_settled(consumer, batch.pool, lane, sequence, !withheld),
            Origin::Injected { .. } | Origin::Free => {}
        }
        batch
    }

    /// Gives an unshared batch back to its pool and wakes who waits for one.
    pub(crate) fn give_back(&self, batch: Arc<Batch>) {
        let kind = batch.pool;
        self.pool_of(&batch).borrow_mut().give_back(batch);
        match kind {
            PoolKind::Received => self.wake_next_waiting(),
            // Who had it wakes the reader that may have it now.
            PoolKind::Queued | PoolKind::Handed => {}
            PoolKind::Injected => self.credit_for_injection(),
        }
    }

    pub(crate) fn wake_next_waiting(&self) {
        let waker = {
            let shares = self.input_shares.borrow();
            self.streams
                .borrow_mut()
                .next_waiting(|input| shares.may_take(input))
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// A credit of a consumer has come back: its oldest waiting delivery may go.
    pub(super) fn credit_back(&self, consumer: ConsumerId) {
        self.consumers.borrow_mut()[consumer.0 as usize].credits += 1;
        self.send_waiting(consumer);
    }

    pub(super) fn pool_of(&self, batch: &Batch) -> &RefCell<Pool> {
        match batch.pool {
            PoolKind::Received => &self.pool,
            PoolKind::Injected => &self.injections,
            PoolKind::Queued => &self.queued,
            PoolKind::Handed => &self.handed,
        }
    }

    pub(super) fn ledger_of(&self, origin: Origin) -> usize {
        match origin {
            Origin::Stream { input, .. } => input.0 as usize,
            Origin::Injected { by } => self.topology.inputs.len() + by.0 as usize,
            Origin::Queued { consumer, .. } => self.ledger_of_queue(consumer),
            Origin::Free => unreachable!("a batch under way has an origin"),
        }
    }

    pub(super) fn ledger_of_queue(&self, consumer: ConsumerId) -> usize {
        self.topology.inputs.len() + self.topology.consumers.len() + consumer.0 as usize
    }
}
