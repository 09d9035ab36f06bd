//! Consumers that nothing is sent to for a while, or ever again: what waits for them, and how it goes on.
//!
//! Owns:    `Standing`, a shard's terms with one consumer; the choice of a delivery's way.
//! Runs on: every shard.            Plane: data.
//! Bounds:  what waits is bounded as ever: by credits, then by the batches of the streams, which are not read.
//! Never:   reorders deliveries, or sends to a shard that is lost.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::mesh::Frame;
use super::topology::{ConsumerUnit, Role};
use super::{Consumer, Shard};
use crate::event::DropCause;
use crate::io::clock::Monotonic;
use crate::limits;
use crate::pack::{Batch, ConsumerId, Origin, ShardId};
use crate::plugin::Backoff;
use crate::plugin::options::Retries;

/// A shard's terms with one consumer.
pub(super) struct Standing {
    /// Failures in a row: of a filter's instances on its home, of an output's encoders on this shard.
    pub(super) backoff: Backoff,
    /// Filters on their home: the instance has failed, and until the next one has caught up, what comes is held.
    pub(super) down: bool,
    /// Since when the filter's instance runs.
    pub(super) since: Monotonic,
    /// How long the filter is to be down; taken by the task that restarts it.
    pub(super) wait: Option<Duration>,
    /// Deliveries that wait for the filter's next instance.
    pub(super) held: VecDeque<(Arc<Batch>, u16)>,
    /// Outputs: this shard's encoder has failed and is given time.
    pub(super) paused: bool,
    /// Nothing is sent any more: the consumer's shard is lost, or its encoder here has failed for good.
    pub(super) gone: bool,
    /// It has ended, the daemon goes on without it, and its disk queue takes nothing more.
    pub(super) closed: bool,
    /// When to look at the remarks of this shard's encoder at the earliest.
    pub(super) remarks_at: i64,
}

impl Standing {
    pub(super) fn new(unit: &ConsumerUnit) -> Standing {
        Standing {
            backoff: Backoff::new(unit.retries.clone()),
            down: false,
            since: Monotonic::now(),
            wait: None,
            held: VecDeque::new(),
            paused: false,
            gone: false,
            closed: false,
            remarks_at: 0,
        }
    }

    /// Another filter stands in the place of the one before.
    pub(super) fn restart(&mut self, retries: &Retries) {
        self.backoff = Backoff::new(retries.clone());
        self.since = Monotonic::now();
    }
}

/// The way of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The filter is called.
    Call,
    /// It is sent, for a credit.
    Send,
    /// It waits for a credit, or for a consumer that is given time.
    Wait,
    /// Nobody will take it.
    Refuse,
}

impl Consumer {
    /// The way of the next delivery.
    #[inline]
    pub(super) fn way(&self, unit: &ConsumerUnit, here: ShardId) -> Way {
        let is_queued = unit.queue.is_some();
        let filter_here = matches!(unit.role, Role::Filter(_)) && unit.home == here && !is_queued;
        if self.standing.closed || self.standing.gone && !is_queued {
            Way::Refuse
        } else if filter_here && !self.standing.down {
            Way::Call
        } else if self.credits == 0 || self.standing.paused || !self.blocked.is_empty() {
            Way::Wait
        } else {
            Way::Send
        }
    }

    /// The oldest delivery that waits, if it may go.
    fn next_waiting(&mut self) -> Option<(Arc<Batch>, u16)> {
        if self.credits == 0 || self.standing.paused {
            return None;
        }
        self.blocked.pop_front()
    }
}

impl Shard {
    /// Sends what waits for a consumer and may go now.
    pub(super) fn send_waiting(&self, consumer: ConsumerId) {
        loop {
            let next = self.consumers.borrow_mut()[consumer.0 as usize].next_waiting();
            let Some((batch, delivery)) = next else {
                return;
            };
            let origin = batch.origin;
            self.send(consumer, batch, delivery);
            self.unblock(origin);
        }
    }

    fn unblock(&self, origin: Origin) {
        if let Origin::Stream { stream, .. } = origin {
            let waker = self.streams.borrow_mut().unblock(stream);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Gives a consumer's encoder on this shard time.
    pub(super) fn pause_consumer(&self, consumer: ConsumerId, wait: Duration) {
        self.consumers.borrow_mut()[consumer.0 as usize]
            .standing
            .paused = true;
        let shard = self.me.upgrade().expect("the shard is running");
        crate::io::spawn(async move {
            crate::io::sleep(wait).await;
            shard.resume(consumer);
        });
    }

    /// Goes on with a consumer that was paused.
    fn resume(&self, consumer: ConsumerId) {
        let paused = {
            let mut consumers = self.consumers.borrow_mut();
            std::mem::take(&mut consumers[consumer.0 as usize].standing.paused)
        };
        if paused {
            self.wake_queues();
            self.send_waiting(consumer);
            self.pump_injected();
        }
    }

    /// Whether a consumer's encoder on this shard is given time.
    pub(super) fn is_paused(&self, consumer: ConsumerId) -> bool {
        let consumers = self.consumers.borrow();
        consumers[consumer.0 as usize].standing.paused
    }

    /// Goes on with all consumers: a stop has no time for pauses.
    pub(super) fn resume_all(&self) {
        for index in 0..self.topology.consumers.len() {
            self.resume(ConsumerId(index as u16));
        }
    }

    /// Sends a consumer nothing any more. What waits for it is dropped and counted, unless it has a disk queue, which takes it.
    pub(super) fn forsake(&self, consumer: ConsumerId) {
        let is_queued = self.topology.consumer(consumer).queue.is_some();
        self.consumers.borrow_mut()[consumer.0 as usize]
            .standing
            .gone = true;
        if !is_queued {
            self.refuse_waiting(consumer);
        }
    }

    fn refuse_waiting(&self, consumer: ConsumerId) {
        let waiting = {
            let mut consumers = self.consumers.borrow_mut();
            std::mem::take(&mut consumers[consumer.0 as usize].blocked)
        };
        for (batch, delivery) in waiting {
            let origin = batch.origin;
            self.refuse(consumer, batch, delivery);
            self.unblock(origin);
        }
    }

    /// A consumer of this shard has ended. If the daemon goes on without it, nobody empties its disk queue before the next start: the queue
    /// keeps what it has, and takes nothing more.
    pub(super) fn close_queue(&self, consumer: ConsumerId) {
        let unit = self.topology.consumer(consumer);
        if unit.queue.is_none() || !unit.can_exit || self.spilling() || self.ending() {
            return;
        }
        for shard in (0..self.topology.shards).map(ShardId) {
            if shard == self.id {
                self.close_lane(consumer);
            } else {
                self.send_frame(shard, Frame::Closed { consumer });
            }
        }
    }

    /// This shard's lane of a disk queue takes nothing more.
    pub(super) fn close_lane(&self, consumer: ConsumerId) {
        self.consumers.borrow_mut()[consumer.0 as usize]
            .standing
            .closed = true;
        self.refuse_waiting(consumer);
        self.pump_injected();
    }

    /// Whether this shard's lane of a disk queue takes nothing more.
    pub(super) fn is_closed(&self, consumer: ConsumerId) -> bool {
        self.consumers.borrow()[consumer.0 as usize].standing.closed
    }

    /// Drops a delivery of a batch of this shard that nobody will take.
    pub(super) fn refuse(&self, consumer: ConsumerId, batch: Arc<Batch>, delivery: u16) {
        let cause = DropCause::DestinationEnded;
        debug_assert_eq!(batch.deliveries()[delivery as usize].consumer, consumer);
        self.count_refused(&batch, delivery, cause);
        self.settle(batch, delivery, Some(cause));
    }

    /// Counts the messages of a delivery as dropped for its consumer.
    pub(super) fn count_refused(&self, batch: &Batch, delivery: u16, cause: DropCause) {
        let consumer = batch.deliveries()[delivery as usize].consumer;
        let messages = batch.picks(delivery as usize).len() as u64;
        self.count_consumer(consumer, |counters| counters.dropped.add(cause, messages));
    }

    /// Another shard is gone for good: nothing is sent to it any more. What it holds of this shard's will not come back.
    pub(crate) fn lose(&self, other: ShardId) {
        if self.is_lost(other) {
            return;
        }
        self.lost.borrow_mut().push(other);
        for (index, unit) in self.topology.consumers.iter().enumerate() {
            if unit.home == other {
                self.forsake(ConsumerId(index as u16));
            }
        }
        self.pump_injected();
    }

    /// Whether another shard is gone for good.
    #[inline]
    pub(super) fn is_lost(&self, other: ShardId) -> bool {
        self.lost.borrow().contains(&other)
    }

    /// Whether no batch is under way, but for those that only lost shards hold.
    pub(super) fn is_idle(&self) -> bool {
        if self.filters_keep() {
            return false;
        }
        let (pool, injections) = (self.pool.borrow(), self.injections.borrow());
        if pool.in_use() == 0 && injections.in_use() == 0 {
            return true;
        }
        let consumers = self.consumers.borrow();
        let stranded: u32 = self
            .topology
            .consumers
            .iter()
            .zip(consumers.iter())
            .filter(|(unit, _)| self.is_lost(unit.home) && unit.queue.is_none())
            .map(|(_, state)| u32::from(limits::CONSUMER_CREDITS - state.credits))
            .sum();
        pool.is_held_by(stranded, &injections)
    }

    /// Waits between two attempts; ends early when the daemon begins to stop, or ends, so that a last attempt still fits.
    pub(super) async fn pause(&self, duration: Duration) {
        let mut timer = pin!(crate::io::sleep(duration));
        let before = (self.stopping(), self.ending());
        let mut wait = self.stop_wait();
        poll_fn(|cx| {
            if (self.stopping(), self.ending()) != before {
                return Poll::Ready(());
            }
            if before != (true, true) {
                wait.register(cx);
            }
            timer.as_mut().poll(cx)
        })
        .await;
    }
}
