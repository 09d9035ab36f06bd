//! What only tests of files and commands ask: messages in their order, failures, an output that takes nothing.
//!
//! Owns:    further questions to the `Daemon`.
//! Runs on: the test's thread.            Plane: both.
//! Bounds:  every wait has a deadline and fails the test.
//! Never:   depends on speed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use engine::event::InputCounters;
use engine::shard::run::ToControl;

use crate::daemon::{Daemon, PATIENCE};

impl Daemon {
    /// The messages that have been delivered, in their order.
    pub(crate) fn messages_so_far(&self) -> Vec<String> {
        self.kept.messages.lock().expect("no panic").clone()
    }

    /// Stops the inputs; what was delivered until then, in its order.
    pub(crate) fn stop_with_messages(self) -> (InputCounters, Vec<String>) {
        let messages = Arc::clone(&self.kept.messages);
        let ledger = self.stop();
        let messages = messages.lock().expect("no panic").clone();
        (ledger, messages)
    }

    /// Has the output take nothing, or take what comes.
    pub(crate) fn close_output(&self, is_closed: bool) {
        self.kept.closed.store(is_closed, Ordering::Release);
    }

    /// Waits until a plugin has failed for good.
    pub(crate) fn wait_for_failure(&self) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.news.recv_deadline(deadline).expect("a failure") {
                ToControl::Ended(ended) => return ended.error.expect("a failure"),
                ToControl::Notice(notice) => {
                    self.notices.lock().expect("no panic").push(notice.text);
                }
                _ => {}
            }
        }
    }
}
