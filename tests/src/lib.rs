//! Harness of the end-to-end tests: the daemon as a process, its tools, what it sends to, and the bytes that it is sent.
//!
//! Owns:    the module map.
//! Runs on: tests.            Plane: both.
//! Bounds:  every wait has a deadline, `PATIENCE`, that only a broken program reaches.
//! Never:   depends on speed, shares a port between tests, or leaves a process behind.
#![forbid(unsafe_code)]

mod binary;
pub mod daemon;
pub mod sink;
pub mod tools;
pub mod wire;

use std::time::{Duration, Instant};

pub use daemon::{Daemon, Ended, Place};
pub use sink::Sink;

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Between two looks at what cannot be waited for.
const LOOK: Duration = Duration::from_millis(5);

/// Looks until there is an answer. Panics, naming what was waited for, when it does not come.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(LOOK);
    }
}
