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
use crate::pack::{Batch, ConsumerId, Origin};

impl Shard {
    /// A filter elsewhere is done with a delivery.
    pub(super) fn released(&self, batch: Arc<Batch>, delivery: u16, dropped: Option<DropCause>) {
        let consumer = batch.deliveries()[delivery as usize].consumer;
        self.settle(batch, delivery, dropped);
        self.credit_back(consumer);
    }

    /// An output is done with a parcel.
    pub(super) fn parcel_came_back(&self, mut parcel: Box<Parcel>) {
        let slot = parcel.batch().slot;
        let (origin, consumer) = {
            let batch = parcel.batch();
            (
                batch.origin,
                batch.deliveries()[parcel.delivery() as usize].consumer,
            )
        };
        let pool = self.pool_of(parcel.batch());
        let taken = Taken::by_output(&parcel, self.topology.consumer(consumer).can_exit);
        let ledger = self.ledger_of(origin);
        let batch = parcel.open(|message, cause| {
            self.count_consumer(consumer, |counters| counters.dropped.add(cause, 1));
            if pool.borrow_mut().note_drop(slot, message) {
                self.ledgers.borrow_mut()[ledger].dropped.add(cause, 1);
            }
        });
        self.parcels.borrow_mut().push(parcel);
        self.release(batch, taken);
        self.credit_back(consumer);
    }

    /// A filter is done with a delivery of a batch of this shard, or nobody will be.
    pub(super) fn settle(&self, batch: Arc<Batch>, delivery: u16, dropped: Option<DropCause>) {
        if let Some(cause) = dropped {
            let ledger = self.ledger_of(batch.origin);
            let pool = self.pool_of(&batch);
            for &message in batch.picks(delivery as usize) {
                if pool.borrow_mut().note_drop(batch.slot, message) {
                    self.ledgers.borrow_mut()[ledger].dropped.add(cause, 1);
                }
            }
        }
        let consumer = batch.deliveries()[delivery as usize].consumer;
        let taken = Taken::by_filter(dropped, self.topology.consumer(consumer).can_exit);
        self.release(batch, taken);
    }

    /// Gives one share of a batch of this shard back. Without proof that it was taken its stream is not acknowledged any further.
    pub(super) fn release(&self, batch: Arc<Batch>, taken: Option<Taken>) {
        let slot = batch.slot;
        let pool = self.pool_of(&batch);
        drop(batch);
        let landed = pool
            .borrow_mut()
            .release(slot, taken.map(Taken::spend).is_none());
        if let Some(landed) = landed {
            self.land(landed);
        }
    }

    /// The last share of a batch has come back: its messages are accounted for, its stream's watermark moves, its memory is free.
    pub(super) fn land(&self, landed: Landed) {
        let Landed {
            batch,
            delivered,
            withheld,
        } = landed;
        let ledger = self.ledger_of(batch.origin);
        self.ledgers.borrow_mut()[ledger].delivered += delivered;
        if let Origin::Stream {
            input,
            stream,
            sequence,
        } = batch.origin
        {
            self.streams
                .borrow_mut()
                .settle(stream, sequence, !withheld);
            self.input_shares.borrow_mut().give_back(input);
        }
        self.give_back(batch);
    }

    /// Gives an unshared batch back to its pool and wakes who waits for one.
    pub(crate) fn give_back(&self, batch: Arc<Batch>) {
        let injected = batch.injected;
        self.pool_of(&batch).borrow_mut().give_back(batch);
        if !injected {
            self.wake_next_waiting();
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
        if batch.injected {
            &self.injections
        } else {
            &self.pool
        }
    }

    pub(super) fn ledger_of(&self, origin: Origin) -> usize {
        match origin {
            Origin::Stream { input, .. } => input.0 as usize,
            Origin::Injected { by } => self.topology.inputs.len() + by.0 as usize,
            Origin::Free => unreachable!("a batch under way has an origin"),
        }
    }
}
