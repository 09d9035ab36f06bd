//! Outputs at work: what an output plugin sees of its shard.
//!
//! Owns:    `OutputContext`: the queue of parcels of one output, what it has of them, its ticks, its counters, its failures in a row.
//! Runs on: the output's home shard.            Plane: data.
//! Bounds:  `ConsumerUnit::parcels_max` parcels in the queue and with the output together.
//! Never:   loses a parcel: each is settled once, delivered or dropped with a cause, or reported as in flight. What an instance that fails has
//!          not settled comes back (`shard::parcel`), and the next one gets it first.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use codecs::message::MessageRef;

use super::Shard;
use super::parcel::{Parcel, Strays};
use super::poison::Suspicion;
use crate::event::ConsumerCounters;
use crate::io::clock::Monotonic;
use crate::pack::ConsumerId;
use crate::plugin::{Backoff, Fault, LocalFuture};
use crate::words::counted;

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
    /// Failures in a row: of its attempts, and of its instances.
    pub(super) backoff: Backoff,
    /// Instances before the present one.
    pub(super) restarts: u32,
    /// The number of the next parcel that the output is given.
    next_number: u64,
    strays: Arc<Strays>,
    returned: flume::Receiver<Box<Parcel>>,
    /// Of messages over which it panics.
    pub(super) suspicion: Suspicion,
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
        let unit = shard.topology.consumer(consumer);
        let (strays, returned) = flume::bounded(unit.parcels_max(shard.topology.shards));
        OutputContext {
            next_tick: (unit.ticker_interval).map(|interval| Monotonic::now().after(interval)),
            reopened: shard.reopens(),
            timer: None,
            backoff: Backoff::new(unit.retries.clone()),
            restarts: 0,
            next_number: 0,
            strays: Arc::new(strays),
            returned,
            suspicion: Suspicion::default(),
            shard,
            consumer,
        }
    }

    /// Before another instance begins.
    pub(super) fn begin(&mut self) {
        let interval = self.shard.topology.consumer(self.consumer).ticker_interval;
        self.next_tick = interval.map(|interval| Monotonic::now().after(interval));
        self.reopened = self.shard.reopens();
        self.timer = None;
    }

    /// Whether this instance replaces one that failed: what is wrong now was right once, and is worth waiting for.
    pub fn is_restart(&self) -> bool {
        self.restarts > 0
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
            // Who is given one record at a time gets no other before it is settled.
            let may_have = self.lent() == 0 || !self.suspicion.is_careful();
            if may_have && let Poll::Ready(parcel) = self.shard.poll_parcel(self.consumer, cx) {
                let event = match parcel {
                    Some(parcel) => OutputEvent::Parcel(self.lend(parcel)),
                    None => OutputEvent::End,
                };
                return Poll::Ready(event);
            }
            self.poll_timer(cx, deadline)
        })
        .await
    }

    /// The next parcel if one is waiting already: for outputs that deliver several at once.
    pub fn next_ready(&mut self) -> Option<Box<Parcel>> {
        if self.suspicion.is_careful() {
            return None;
        }
        let parcel = self.shard.ready_parcel(self.consumer)?;
        Some(self.lend(parcel))
    }

    fn lend(&mut self, mut parcel: Box<Parcel>) -> Box<Parcel> {
        if self.suspicion.is_careful() {
            parcel.show_first();
        }
        parcel.lend(self.next_number, &self.strays);
        self.next_number += 1;
        self.shard.lend(self.consumer);
        parcel
    }

    /// Waits until every parcel that the output had and has not settled is back: one may be with a thread that is still at work on it.
    /// Answers them in their order.
    pub(super) async fn take_back(&mut self) -> Vec<Box<Parcel>> {
        let mut back = Vec::with_capacity(self.lent());
        while self.lent() > 0 {
            let stray = self.returned.recv_async().await;
            let mut stray = stray.expect("this context has a sender");
            self.shard.lent_back(self.consumer);
            back.push((stray.recall(), stray));
        }
        back.sort_by_key(|(number, _)| *number);
        back.into_iter().map(|(_, parcel)| parcel).collect()
    }

    /// Parcels that the output has.
    pub(super) fn lent(&self) -> usize {
        self.shard.lent(self.consumer)
    }

    /// Notes that what the output tries has failed, and tells the operator. Answers how long to wait before the next attempt; a fault when
    /// `max_retries` have been made.
    pub fn failed(&mut self, what: &str) -> Result<Duration, Fault> {
        self.count(|counters| counters.retries += 1);
        let Some(wait) = self.backoff.failed(self.stopping()) else {
            return Err(Fault::new(format!(
                "{what}; gave up after {} (`max_retries`)",
                counted(self.backoff.failures(), "attempt")
            )));
        };
        self.notice(|| format!("{what}; trying again in {wait:.1?}, messages wait"));
        Ok(wait)
    }

    /// Notes that an attempt has succeeded: the next failure is a first one.
    pub fn succeeded(&mut self) {
        self.backoff.succeeded();
    }

    /// Failures since the last success.
    pub fn failures(&self) -> u32 {
        self.backoff.failures()
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
        self.shard.pause(duration).await;
    }

    /// Gives a parcel back: every record that was not dropped by `Parcel::drop_record` has been delivered for good.
    pub fn settle(&mut self, mut parcel: Box<Parcel>) {
        let _step = self.shard.engine_step();
        if parcel.recall().is_some() {
            self.shard.lent_back(self.consumer);
        }
        if self.suspicion.settled(&mut parcel) {
            self.shard.put_back(self.consumer, [parcel]);
            return;
        }
        self.shard.finish_parcel(self.consumer, parcel);
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
