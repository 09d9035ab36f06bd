//! Time: what scripts are told, and what their calls use.
//!
//! Owns:    every look at a clock of this crate.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  one look for each call that is timed, none for the others.
//! Never:   decides anything: a host that lives in simulated time answers `Host::now` itself.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

/// The time of the system's clock, nanoseconds since the Unix epoch.
pub(crate) fn system() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    })
}

/// Now, to count from.
pub(crate) fn moment() -> Instant {
    Instant::now()
}

/// Processor time of this thread.
pub(crate) fn of_thread() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// Processor time of the process.
pub(crate) fn of_process() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}
