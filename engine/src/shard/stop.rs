//! A stream after the order to stop: what it has still read, and how long it is waited for.
//!
//! Owns:    `Stop`.
//! Runs on: every shard.            Plane: data.
//! Bounds:  `limits::STOP_QUIET` of quiet, `limits::STOP_GRACE` of waiting altogether.
//! Never:   counts the time that a slow destination takes.

use std::task::{Context, Poll};
use std::time::Duration;

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
