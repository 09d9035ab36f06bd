//! When an input does its work again.
//!
//! Owns:    `Timer`.
//! Runs on: the input's home shard.            Plane: data.
//! Bounds:  one wait at a time.
//! Never:   makes up for what was missed.

use std::pin::pin;
use std::time::Duration;

use engine::io::clock::Monotonic;
use engine::io::sleep;
use engine::shard::intake::InputContext;

/// Times at whole intervals after a first one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timer {
    due: Monotonic,
    interval: Duration,
}

impl Timer {
    /// A timer whose first time is now, or an interval from now.
    pub(super) fn new(interval: Duration, starts_now: bool) -> Timer {
        let now = Monotonic::now();
        Timer {
            due: if starts_now { now } else { now.after(interval) },
            interval,
        }
    }

    /// Waits for the next time. `false`: the input is to stop.
    pub(super) async fn tick(&mut self, context: &InputContext) -> bool {
        let is_due = wait(context, self.due.remaining()).await;
        self.due = self.due.next_after(self.interval);
        is_due
    }
}

/// Waits. `false`: the input is to stop.
pub(super) async fn wait(context: &InputContext, time: Duration) -> bool {
    let mut wait = pin!(sleep(time));
    context
        .until_stop(|cx| wait.as_mut().poll(cx))
        .await
        .is_some()
}
