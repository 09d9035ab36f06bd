//! Time, wall and monotonic.
//!
//! Owns:    the only readings of clocks in the daemon.
//! Runs on: every shard.            Plane: data.
//! Bounds:  one vDSO call each, about 20 ns: callers read once a step, not once a message.
//! Never:   waits.

use std::time::{Duration, Instant};
#[cfg(not(sim))]
use std::time::{SystemTime, UNIX_EPOCH};

#[cfg(sim)]
use super::sim::instant;
#[cfg(sim)]
pub use super::sim::wall;

/// Wall clock, nanoseconds since the Unix epoch, UTC.
#[cfg(not(sim))]
#[inline]
pub fn wall() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_nanos() as i64,
        Err(before) => -(before.duration().as_nanos() as i64),
    }
}

#[cfg(not(sim))]
#[inline]
fn instant() -> Instant {
    Instant::now()
}

/// What the simulated clock counts from: any point will do.
#[cfg(sim)]
pub(super) fn real() -> Instant {
    Instant::now()
}

/// A point of monotonic time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Monotonic(Instant);

impl Monotonic {
    /// Now.
    #[inline]
    pub fn now() -> Monotonic {
        Monotonic(instant())
    }

    /// Time since then.
    pub fn elapsed(self) -> Duration {
        instant().saturating_duration_since(self.0)
    }

    /// This point, later by `duration`.
    pub fn after(self, duration: Duration) -> Monotonic {
        Monotonic(self.0 + duration)
    }

    /// The first point at whole `interval`s after this one that has not passed: what was missed is not made up for.
    pub fn next_after(self, interval: Duration) -> Monotonic {
        let missed = self.elapsed().as_nanos() / interval.as_nanos().max(1);
        let intervals = u32::try_from(missed + 1).unwrap_or(u32::MAX);
        Monotonic(self.0 + interval.saturating_mul(intervals))
    }

    /// Time from now until then; zero if it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(instant())
    }
}
