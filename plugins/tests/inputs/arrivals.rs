//! What a test of inputs asks a daemon about what has arrived, and how it withholds settlements.
//!
//! Owns:    those questions.
//! Runs on: the test's thread.            Plane: both.
//! Bounds:  every wait has a deadline and fails the test.
//! Never:   depends on speed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use engine::shard::run::ToControl;

use crate::daemon::{Daemon, PATIENCE};

impl Daemon {
    /// A way to ask, even after the daemon's end, what has arrived, in the order in which it did.
    pub(crate) fn arrivals(&self) -> impl Fn() -> Vec<String> + use<> {
        let messages = Arc::clone(&self.kept.messages);
        move || messages.lock().expect("no panic").clone()
    }

    /// Waits until what has arrived is as asked for.
    /// `None` says that it is, a text what is amiss.
    pub(crate) fn wait_for_arrival(&self, amiss: impl Fn(&[String]) -> Option<String>) {
        let deadline = Instant::now() + PATIENCE;
        while let Some(amiss) = amiss(&self.kept.messages.lock().expect("no panic")) {
            if Instant::now() >= deadline {
                let notices: Vec<ToControl> = self.news.drain().collect();
                panic!("{amiss}\n{:?}\n{notices:?}", self.ledger());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Has the output settle nothing from now on, or all that it has and what comes.
    pub(crate) fn withhold(&self, withhold: bool) {
        self.kept.withholding.store(withhold, Ordering::Release);
    }

    /// Ends the shards at once, as a crash would.
    pub(crate) fn abandon(self) {
        self.quit();
    }
}
