//! Streams and the order to stop: how long one is read on, and how one that has nothing to wait for learns of it.
//!
//! Owns:    `Stop`, what a stream has seen since the order.
//! Runs on: every shard.            Plane: data.
//! Bounds:  `limits::STOP_GRACE`, `STOP_QUIET` and `STOP_BYTES`.
//! Never:   decides what becomes of what was read.

use std::task::{Context, Poll};
use std::time::Duration;

use super::intake::Intake;
use crate::io::clock::Monotonic;
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
