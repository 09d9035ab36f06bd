//! Outputs at work: what an output plugin sees of its shard.
//!
//! Owns:    `OutputContext`: the queue of parcels of one output, its ticks, its counters.
//! Runs on: the output's home shard.            Plane: data.
//! Bounds:  the queue holds at most `limits::CONSUMER_CREDITS` parcels per source shard.
//! Never:   loses a parcel: each is settled once, delivered or dropped with a cause, or reported as in flight.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use codecs::message::MessageRef;

use super::Shard;
use super::parcel::Parcel;
use crate::event::ConsumerCounters;
use crate::io::clock::Monotonic;
use crate::pack::ConsumerId;
use crate::plugin::LocalFuture;

/// What an output is asked to do next.
#[derive(Debug)]
pub enum OutputEvent {
    /// Deliver these records, then `settle` the parcel.
    Parcel(Box<Parcel>),
    /// The deadline that `next` was given has come.
    Deadline,
    /// `ticker_interval` has passed.
    Tick,
    /// SIGHUP: close and reopen what can be.
    Reopen,
    /// Nothing more will come: flush, close, return.
    End,
}

/// An output's view of its shard.
pub struct OutputContext {
    shard: Rc<Shard>,
    consumer: ConsumerId,
    next_tick: Option<Monotonic>,
    reopened: u32,
    timer: Option<(Monotonic, LocalFuture<'static, ()>)>,
}

impl std::fmt::Debug for OutputContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutputContext")
            .field("consumer", &self.consumer)
            .finish_non_exhaustive()
    }
}

impl OutputContext {
    pub(crate) fn new(shard: Rc<Shard>, consumer: ConsumerId) -> OutputContext {
        let interval = shard.topology.consumer(consumer).ticker_interval;
        OutputContext {
            next_tick: interval.map(|interval| Monotonic::now().after(interval)),
            reopened: shard.reopens(),
            timer: None,
            shard,
            consumer,
        }
    }

    /// Section name of the output.
    pub fn name(&self) -> &str {
        &self.shard.topology.consumer(self.consumer).name
    }

    /// Whether the daemon is stopping: an output that cannot reach its peer should then give up after its time-outs.
    pub fn stopping(&self) -> bool {
        self.shard.stopping()
    }

    /// The next thing to do, at the latest when `deadline` has come.
    pub async fn next(&mut self, deadline: Option<Monotonic>) -> OutputEvent {
        poll_fn(|cx| {
            if self.reopened() {
                return Poll::Ready(OutputEvent::Reopen);
            }
            // What is due comes first: an output that always has a parcel waiting must still flush, rotate and tick.
            let due = self.due(deadline);
            if due.is_some_and(|due| due.remaining().is_zero()) {
                return self.poll_timer(cx, deadline);
            }
            if let Poll::Ready(parcel) = self.shard.poll_parcel(self.consumer, cx) {
                return Poll::Ready(parcel.map_or(OutputEvent::End, OutputEvent::Parcel));
            }
            self.poll_timer(cx, deadline)
        })
        .await
    }

    /// The next parcel if one is waiting already: for outputs that deliver several at once.
    pub fn next_ready(&mut self) -> Option<Box<Parcel>> {
        self.shard.ready_parcel(self.consumer)
    }

    fn due(&self, deadline: Option<Monotonic>) -> Option<Monotonic> {
        deadline.into_iter().chain(self.next_tick).min()
    }

    /// Whether SIGHUP has come since this or `Reopen` last said so: for outputs that try for long to deliver what they have.
    pub fn reopened(&mut self) -> bool {
        let reopens = self.shard.reopens();
        std::mem::replace(&mut self.reopened, reopens) != reopens
    }

    fn poll_timer(
        &mut self,
        cx: &mut std::task::Context<'_>,
        deadline: Option<Monotonic>,
    ) -> Poll<OutputEvent> {
        let Some(due) = self.due(deadline) else {
            return Poll::Pending;
        };
        if !due.remaining().is_zero() && self.poll_sleep(cx, due).is_pending() {
            return Poll::Pending;
        }
        self.timer = None;
        if self.next_tick == Some(due) {
            let interval = self.shard.topology.consumer(self.consumer).ticker_interval;
            self.next_tick = interval.map(|interval| due.next_after(interval));
            return Poll::Ready(OutputEvent::Tick);
        }
        Poll::Ready(OutputEvent::Deadline)
    }

    fn poll_sleep(&mut self, cx: &mut std::task::Context<'_>, due: Monotonic) -> Poll<()> {
        if self.timer.as_ref().is_none_or(|(at, _)| *at != due) {
            self.timer = Some((due, Box::pin(crate::io::sleep(due.remaining()))));
        }
        let (_, timer) = self.timer.as_mut().expect("set above");
        timer.as_mut().poll(cx)
    }

    /// Waits between two attempts; ends early when the daemon begins to stop, so that a last attempt still fits.
    pub async fn pause(&self, duration: Duration) {
        let mut timer = pin!(crate::io::sleep(duration));
        let stopping_before = self.stopping();
        poll_fn(|cx| {
            if self.stopping() && !stopping_before {
                return Poll::Ready(());
            }
            if !stopping_before {
                self.shard.register_for_stop(cx);
            }
            timer.as_mut().poll(cx)
        })
        .await;
    }

    /// Gives a parcel back: every record that was not dropped by `Parcel::drop_record` has been delivered for good.
    pub fn settle(&mut self, parcel: Box<Parcel>) {
        let (taken, bytes) = (parcel.taken(), parcel.taken_bytes());
        self.count(|counters| {
            counters.processed += taken as u64;
            counters.bytes += bytes as u64;
        });
        self.shard.settle_parcel(parcel);
    }

    /// Calls `each` with what the named groups of the output's matcher captured of a message. An output that never asks pays nothing.
    pub fn captures(&self, message: MessageRef<'_>, each: &mut dyn FnMut(&str, &[u8])) {
        self.shard.captures(self.consumer, message, each);
    }

    /// Changes the output's counters.
    pub fn count(&self, change: impl FnOnce(&mut ConsumerCounters)) {
        self.shard.count_consumer(self.consumer, change);
    }

    /// Tells the operator. Repeated notices of one output are merged by the control plane.
    pub fn notice(&self, text: impl FnOnce() -> String) {
        self.shard.notice(self.name(), text);
    }
}
