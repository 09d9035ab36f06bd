//! Filters at work: running one over a delivery, routing what filters injected, and the next instance of one that failed.
//!
//! Owns:    calls of filters, the queue of injected batches, the task that restarts a filter.
//! Runs on: the filter's home shard.            Plane: data.
//! Bounds:  one call at a time per filter; injected batches come from a pool of their own; what a filter that is down has to be held for
//!          is bounded by credits.
//! Never:   routes inside a filter's call, or calls one again with messages over which it failed.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_lite::future::or;

use super::Shard;
use super::injection::Injection;
use super::mesh::Frame;
use super::pulse::Running;
use super::restarts::{Failure, decide};
use super::topology::Role;
use crate::event::DropCause;
use crate::io::clock::Monotonic;
use crate::io::remember;
use crate::pack::{Batch, ConsumerId};
use crate::plugin::{Fault, Filter, Selection};

impl Shard {
    /// A delivery for a filter of this shard, of a batch of any shard.
    pub(super) fn filter(&self, batch: Arc<Batch>, delivery: u16) {
        let consumer = batch.deliveries()[delivery as usize].consumer;
        {
            let mut consumers = self.consumers.borrow_mut();
            let standing = &mut consumers[consumer.0 as usize].standing;
            if standing.down {
                standing.held.push_back((batch, delivery));
                return;
            }
        }
        self.filter_now(consumer, batch, delivery);
    }

    fn filter_now(&self, consumer: ConsumerId, batch: Arc<Batch>, delivery: u16) {
        let dropped = self.run_filter(consumer, &batch, delivery);
        self.return_filtered(batch, delivery, dropped);
        self.pump_injected();
    }

    /// A filter of this shard is done with a delivery that a credit was spent for.
    pub(super) fn return_filtered(
        &self,
        batch: Arc<Batch>,
        delivery: u16,
        dropped: Option<DropCause>,
    ) {
        let home = batch.home;
        if home == self.id {
            self.released(batch, delivery, dropped);
        } else {
            let frame = Frame::Release {
                batch,
                delivery,
                dropped,
            };
            self.send_frame(home, frame);
        }
    }

    /// Runs a filter over a delivery. Answers why its messages are dropped, if they are.
    pub(super) fn run_filter(
        &self,
        consumer: ConsumerId,
        batch: &Batch,
        delivery: u16,
    ) -> Option<DropCause> {
        let picks = batch.picks(delivery as usize);
        let loops = picks
            .first()
            .map_or(0, |&first| batch.table.get(first as usize).head().loops);
        let taken = self.with_filter(consumer, loops, picks.len(), |filter, context| {
            filter.process(Selection::new(&batch.table, picks), context)
        });
        let messages = picks.len() as u64;
        self.count_consumer(consumer, |counters| match taken {
            Ok(()) => counters.processed += messages,
            Err(cause) => counters.dropped.add(cause, messages),
        });
        taken.err()
    }

    /// Calls a filter of this shard; what it injects is queued. Answers why it did not take what it was given.
    fn with_filter(
        &self,
        consumer: ConsumerId,
        loops: u8,
        messages: usize,
        call: impl FnOnce(&mut dyn Filter, &mut Injection<'_>) -> Result<(), Fault>,
    ) -> Result<(), DropCause> {
        let Some(mut filter) = self.consumers.borrow_mut()[consumer.0 as usize]
            .filter
            .take()
        else {
            return Err(DropCause::DestinationEnded);
        };
        let mut injection = Injection::new(self, consumer, loops);
        let sample = self.probe.borrow_mut().begin_process(messages);
        let result = self.contain(Running::Filter(consumer), || {
            call(filter.as_mut(), &mut injection)
        });
        self.probe.borrow_mut().end_process(consumer, sample);
        injection.finish();
        match Failure::of(result) {
            Ok(()) => {
                self.consumers.borrow_mut()[consumer.0 as usize].filter = Some(filter);
                Ok(())
            }
            Err(failure) => {
                self.drop_filter(consumer, filter);
                Err(self.filter_failed(consumer, &failure))
            }
        }
    }

    /// A filter's ticker has come round. Answers `false` when it has ended.
    pub(crate) fn tick_filter(&self, consumer: ConsumerId) -> bool {
        let is_down = |shard: &Shard| {
            let consumers = shard.consumers.borrow();
            consumers[consumer.0 as usize].standing.down
        };
        if is_down(self) {
            return true;
        }
        let ticked = self.with_filter(consumer, 0, 1, |filter, context| filter.tick(context));
        self.pump_injected();
        ticked.is_ok() || is_down(self)
    }

    /// A filter that waited for injection credit goes on.
    pub(super) fn resume_filter(&self, consumer: ConsumerId) {
        // One that has failed meanwhile, or ended, wants nothing any more.
        let _ = self.with_filter(consumer, 0, 1, |filter, context| filter.resume(context));
        self.pump_injected();
    }

    /// The daemon is stopping: a filter says its last.
    pub(super) fn stop_filter(&self, consumer: ConsumerId) {
        let _ = self.with_filter(consumer, 0, 1, |filter, context| filter.stop(context));
    }

    /// A filter has failed: its next instance comes later, or never. Answers why what it was given is dropped.
    #[cold]
    fn filter_failed(&self, consumer: ConsumerId, failure: &Failure) -> DropCause {
        let name = self.name_of(consumer);
        let decision = {
            let mut consumers = self.consumers.borrow_mut();
            let standing = &mut consumers[consumer.0 as usize].standing;
            let ran = standing.since.elapsed();
            decide(&mut standing.backoff, failure, ran, self)
        };
        match decision {
            Ok(wait) => {
                self.notice(&name, || {
                    format!(
                        "{failure}; what it was given is dropped (plugin_failed), the next messages wait {wait:.1?} until it is started again"
                    )
                });
                let mut consumers = self.consumers.borrow_mut();
                let state = &mut consumers[consumer.0 as usize];
                state.standing.down = true;
                state.standing.wait = Some(wait);
                if let Some(waker) = &state.waker {
                    waker.wake_by_ref();
                }
                DropCause::PluginFailed
            }
            Err(error) if self.loaded(consumer).is_some() => {
                self.loaded_ended(consumer, error, failure.is_told());
                DropCause::DestinationEnded
            }
            Err(error) => {
                self.consumer_ended(consumer, Some(error), failure.is_told());
                DropCause::DestinationEnded
            }
        }
    }

    /// Makes the next instance of a filter that has failed, and gives it what has come meanwhile.
    async fn restart_filter(&self, consumer: ConsumerId) {
        let Role::Filter(factory) = &self.topology.consumer(consumer).role else {
            unreachable!("only filters are restarted here");
        };
        if !self.consumers.borrow()[consumer.0 as usize].standing.down {
            // It was taken out of its place while it was down.
            return;
        }
        let made = match self.loaded(consumer) {
            Some(loaded) => self.make_filter(consumer, &*loaded.factory),
            None => self.make_filter(consumer, &**factory),
        };
        match made {
            Ok(filter) => {
                let mut consumers = self.consumers.borrow_mut();
                let state = &mut consumers[consumer.0 as usize];
                state.filter = Some(filter);
                state.standing.since = Monotonic::now();
            }
            Err(failure) => {
                self.filter_failed(consumer, &failure);
                return;
            }
        }
        while let Some((batch, delivery)) = self.next_held(consumer) {
            self.filter_now(consumer, batch, delivery);
            crate::io::yield_if_needed().await;
        }
    }

    /// The oldest delivery that is held for a filter which has an instance again; with the last one gone, it is up.
    fn next_held(&self, consumer: ConsumerId) -> Option<(Arc<Batch>, u16)> {
        let mut consumers = self.consumers.borrow_mut();
        let state = &mut consumers[consumer.0 as usize];
        state.filter.as_ref()?;
        let next = state.standing.held.pop_front();
        state.standing.down = next.is_some();
        next
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

/// Restarts a filter whenever it has failed, until it has ended.
pub(super) async fn keep_filter(shard: Rc<Shard>, consumer: ConsumerId) {
    let mut leaves = pin!(shard.leaves_rest_to_queue(consumer));
    while let Some(wait) = next_restart(&shard, consumer).await {
        let left = async {
            leaves.as_mut().await;
            true
        };
        let pause = async {
            shard.pause(wait).await;
            false
        };
        if or(left, pause).await {
            shard.consumer_ended(consumer, None, false);
            return;
        }
        shard.restart_filter(consumer).await;
    }
}

/// Waits until the filter has failed; answers how long it is to be down. `None` when it has ended.
async fn next_restart(shard: &Shard, consumer: ConsumerId) -> Option<Duration> {
    poll_fn(|cx| {
        let mut consumers = shard.consumers.borrow_mut();
        let state = &mut consumers[consumer.0 as usize];
        if state.ended {
            return Poll::Ready(None);
        }
        if let Some(wait) = state.standing.wait.take() {
            return Poll::Ready(Some(wait));
        }
        remember(&mut state.waker, cx);
        Poll::Pending
    })
    .await
}
