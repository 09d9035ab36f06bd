//! Filters at work: running one over a delivery, and routing what filters injected.
//!
//! Owns:    calls of filters, the queue of injected batches.
//! Runs on: the filter's home shard.            Plane: data.
//! Bounds:  one call at a time per filter; injected batches come from a pool of their own.
//! Never:   routes inside a filter's call.

use std::sync::Arc;

use super::Shard;
use super::injection::Injection;
use crate::event::DropCause;
use crate::pack::{Batch, ConsumerId};
use crate::plugin::{Fault, Filter, Selection};

impl Shard {
    /// Runs a filter over a delivery. Answers `false` if it has ended.
    pub(super) fn run_filter(&self, consumer: ConsumerId, batch: &Batch, delivery: u16) -> bool {
        let picks = batch.picks(delivery as usize);
        let loops = picks
            .first()
            .map_or(0, |&first| batch.table.get(first as usize).head().loops);
        let taken = self.with_filter(consumer, loops, picks.len(), |filter, context| {
            filter.process(Selection::new(&batch.table, picks), context)
        });
        let messages = picks.len() as u64;
        self.count_consumer(consumer, |counters| {
            if taken {
                counters.processed += messages;
            } else {
                counters.dropped.add(DropCause::DestinationEnded, messages);
            }
        });
        taken
    }

    /// Calls a filter of this shard; what it injects is queued. Answers `false` if it has ended, now or before.
    pub(super) fn with_filter(
        &self,
        consumer: ConsumerId,
        loops: u8,
        messages: usize,
        call: impl FnOnce(&mut dyn Filter, &mut Injection<'_>) -> Result<(), Fault>,
    ) -> bool {
        let Some(mut filter) = self.consumers.borrow_mut()[consumer.0 as usize]
            .filter
            .take()
        else {
            return false;
        };
        let mut injection = Injection::new(self, consumer, loops);
        let sample = self.probe.borrow_mut().begin_process(messages);
        let result = call(filter.as_mut(), &mut injection);
        self.probe.borrow_mut().end_process(consumer, sample);
        injection.finish();
        match result {
            Ok(()) => {
                self.consumers.borrow_mut()[consumer.0 as usize].filter = Some(filter);
                true
            }
            Err(fault) => {
                self.consumer_ended(consumer, Some(fault.message));
                false
            }
        }
    }

    /// A filter's ticker has come round.
    pub(crate) fn tick_filter(&self, consumer: ConsumerId) -> bool {
        let running = self.with_filter(consumer, 0, 1, |filter, context| filter.tick(context));
        self.pump_injected();
        running
    }

    pub(crate) fn queue_injected(&self, batch: Arc<Batch>) {
        if batch.table.is_empty() {
            self.give_back(batch);
        } else {
            let ledger = self.ledger_of(batch.origin);
            self.ledgers.borrow_mut()[ledger].received += batch.table.len() as u64;
            self.injected.borrow_mut().push_back(batch);
        }
    }

    /// Routes what filters have injected, one batch after the other and never inside another call.
    pub(super) fn pump_injected(&self) {
        if self.injecting.replace(true) {
            return;
        }
        loop {
            let next = self.injected.borrow_mut().pop_front();
            match next {
                Some(batch) => self.route_and_deliver(batch),
                None => break,
            }
        }
        self.injecting.set(false);
    }
}
