//! How long whoever works for a queue waits for a disk that fails, or for room on it.
//!
//! Owns:    `DiskWait`: 50 ms, doubled up to a second, as Heka's.
//! Runs on: every shard.            Plane: data.
//! Bounds:  `LONGEST`.
//! Never:   gives up: what waits is not acknowledged, so its source has it as long as that takes.

use std::fmt;
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(1);

/// The next wait of a row of failures.
#[derive(Clone, Copy, Debug)]
pub(super) struct DiskWait(Duration);

impl DiskWait {
    /// Nothing has failed.
    pub(super) fn new() -> DiskWait {
        DiskWait(FIRST)
    }

    /// How long the next wait is.
    pub(super) fn length(self) -> Duration {
        self.0
    }

    /// Whether nothing was waited for since the last success.
    pub(super) fn is_first(self) -> bool {
        self.0 == FIRST
    }

    /// The wait after this one.
    pub(super) fn longer(self) -> DiskWait {
        DiskWait((self.0 * 2).min(LONGEST))
    }

    /// Waits, and makes the next wait longer.
    pub(super) async fn pause(&mut self) {
        crate::io::sleep(self.0).await;
        *self = self.longer();
    }
}

impl fmt::Display for DiskWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
