//! The machines of one instance of a plugin, one after the other.
//!
//! Owns:    `Lives`: the present machine, and when there may be a next one.
//! Runs on: where the plugin lives.            Plane: data.
//! Bounds:  one machine at a time; the pause before the next one grows up to `PAUSE_MAX_SECONDS`.
//! Never:   runs a script again that has just ended, without a pause.

use std::sync::Arc;

use engine::plugin::Backoff;
use engine::plugin::options::{Duration, Retries};
use sandbox::Terminated;

use super::{Running, Script};

/// Between two machines whose script ends at once, at most.
const PAUSE_MAX_SECONDS: u64 = 30;

/// The machines of one instance.
pub(crate) struct Lives {
    script: Arc<Script>,
    running: Option<Running>,
    backoff: Backoff,
    /// When the present machine was made, and when the next one may be, nanoseconds since the Unix epoch.
    since: i64,
    due: i64,
}

impl Lives {
    /// No machine yet.
    pub(crate) fn new(script: &Arc<Script>) -> Lives {
        Lives {
            script: Arc::clone(script),
            running: None,
            backoff: Backoff::new(Retries {
                max_delay: Duration::seconds(PAUSE_MAX_SECONDS),
                max_jitter: Duration::seconds(0),
                ..Retries::default()
            }),
            since: 0,
            due: 0,
        }
    }

    /// The script.
    pub(crate) fn script(&self) -> &Arc<Script> {
        &self.script
    }

    /// The present machine.
    pub(crate) fn running(&mut self) -> Option<&mut Running> {
        self.running.as_mut()
    }

    /// Makes a machine if there is none and the pause is over. An error says why it ended at once.
    #[inline]
    pub(crate) fn renew(&mut self, now: i64) -> Result<(), Terminated> {
        if self.running.is_some() || now < self.due {
            return Ok(());
        }
        match self.script.start() {
            Ok(running) => {
                self.running = Some(running);
                self.since = now;
                Ok(())
            }
            Err(ended) => {
                self.end(now);
                Err(ended)
            }
        }
    }

    /// The present machine has ended.
    #[cold]
    pub(crate) fn end(&mut self, now: i64) {
        self.running = None;
        let ran = u64::try_from(now.saturating_sub(self.since)).unwrap_or(0);
        if std::time::Duration::from_nanos(ran) >= self.backoff.steady() {
            self.backoff.succeeded();
        }
        let pause = self.backoff.failed(false).unwrap_or_default();
        let pause = i64::try_from(pause.as_nanos()).unwrap_or(i64::MAX);
        self.due = now.saturating_add(pause);
    }
}
