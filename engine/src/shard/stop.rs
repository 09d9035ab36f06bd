//! The order to stop: how long a stream is read on, and how tasks that have nothing else to wait for learn of it.
//!
//! Owns:    `Stop`, what a stream has seen since the order; `StopWakers`, the tasks that wait for it.
//! Runs on: every shard.            Plane: data.
//! Bounds:  `limits::STOP_GRACE`, `STOP_QUIET` and `STOP_BYTES`; a place for each task that waits, given up when it waits no more.
//! Never:   decides what becomes of what was read.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::Shard;
use super::intake::Intake;
use crate::io::clock::Monotonic;
use crate::io::remember;
use crate::limits;
use crate::plugin::LocalFuture;

/// What a stream has seen since the order to stop. What its sender had sent by then is still read, however long a slow destination
/// holds that up: a part of it may wait on the sender's side of the connection.
#[derive(Default)]
pub(super) struct Stop {
    /// Bytes read.
    pub(super) read: usize,
    /// How long nothing was there to be read, all waits but the present one together.
    waited: Duration,
    /// The present wait: since when, and its end.
    wait: Option<(Monotonic, LocalFuture<'static, ()>)>,
}

impl Stop {
    pub(super) fn received(&mut self, bytes: usize) {
        self.read += bytes;
        if let Some((since, _)) = self.wait.take() {
            self.waited += since.elapsed();
        }
    }

    /// Ready when nothing has come for so long that nothing more is expected. Only waiting counts, not the time that a slow destination
    /// takes: what waits meanwhile on the sender's side comes in parts, each of which may be short.
    pub(super) fn poll_quiet(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let left = limits::STOP_GRACE.saturating_sub(self.waited);
        if left.is_zero() {
            return Poll::Ready(());
        }
        let (_, quiet) = self.wait.get_or_insert_with(|| {
            let quiet = crate::io::sleep(limits::STOP_QUIET.min(left));
            (Monotonic::now(), Box::pin(quiet))
        });
        quiet.as_mut().poll(cx)
    }
}

/// Tasks that are to look again when the daemon begins to stop, or ends.
#[derive(Debug, Default)]
pub(super) struct StopWakers {
    places: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl StopWakers {
    pub(super) fn wake(&self) {
        self.places.iter().flatten().for_each(Waker::wake_by_ref);
    }
}

/// The place of a task among them, while it waits.
pub(super) struct StopWait<'a> {
    shard: &'a Shard,
    place: Option<usize>,
}

impl StopWait<'_> {
    /// Has the task woken.
    pub(super) fn register(&mut self, cx: &Context<'_>) {
        let mut wakers = self.shard.stop_wakers.borrow_mut();
        let place = *self.place.get_or_insert_with(|| {
            wakers.free.pop().unwrap_or_else(|| {
                wakers.places.push(None);
                wakers.places.len() - 1
            })
        });
        remember(&mut wakers.places[place], cx);
    }
}

impl Drop for StopWait<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            let mut wakers = self.shard.stop_wakers.borrow_mut();
            wakers.places[place] = None;
            wakers.free.push(place);
        }
    }
}

impl Shard {
    /// For a task that waits, among other things, for the order to stop.
    pub(super) fn stop_wait(&self) -> StopWait<'_> {
        StopWait {
            shard: self,
            place: None,
        }
    }
}

impl Intake {
    /// Ready once the input is to stop. For streams that lose nothing by that, because their source keeps what was not read.
    pub fn poll_stop(&self, cx: &Context<'_>) -> Poll<()> {
        let shard = &self.context.shard;
        if shard.stopping() {
            return Poll::Ready(());
        }
        shard.streams.borrow_mut().register(self.stream, cx);
        Poll::Pending
    }
}
