//! How long to wait before the next attempt: the `retries` options at work.
//!
//! Owns:    `Backoff`: the failures of a plugin in a row, whoever found them.
//! Runs on: the plugin's shard.            Plane: data.
//! Bounds:  a wait is at least `DELAY_MIN` and at most `max_delay` plus `max_jitter`.
//! Never:   waits by itself.

use std::time::Duration;

use super::options::Retries;

/// Least wait, whatever the options say: a peer that fails at once must not keep a core busy.
const DELAY_MIN: Duration = Duration::from_millis(10);

/// Least time after which an instance counts as one that works: a `max_delay` of nothing must not make every failure a first one.
const STEADY_MIN: Duration = Duration::from_secs(1);

/// Longest wait while the daemon stops, so that attempts still fit into `shutdown_timeout`.
const DELAY_STOPPING: Duration = Duration::from_secs(1);

/// Failures in a row, and what follows from them.
#[derive(Clone, Debug)]
pub struct Backoff {
    retries: Retries,
    failures: u32,
    random: fastrand::Rng,
}

impl Backoff {
    /// No failure yet.
    pub fn new(retries: Retries) -> Backoff {
        Backoff {
            retries,
            failures: 0,
            random: fastrand::Rng::new(),
        }
    }

    /// An attempt succeeded: the next failure is a first one.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether `max_retries` attempts have been made, and failed.
    pub fn is_exhausted(&self) -> bool {
        self.retries.max_retries >= 0 && i64::from(self.failures) > self.retries.max_retries
    }

    /// How long an instance must have run for its failure to count as the first of a new row.
    pub fn steady(&self) -> Duration {
        self.retries.max_delay.get().max(STEADY_MIN)
    }

    /// An attempt failed. Answers how long to wait before the next; `None` when `max_retries` have been made.
    pub fn failed(&mut self, stopping: bool) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        if self.is_exhausted() {
            return None;
        }
        let doublings = (self.failures - 1).min(31);
        let delay = self.retries.delay.get().saturating_mul(1 << doublings);
        let jitter = self.retries.max_jitter.get().mul_f64(self.random.f64());
        let wait = delay
            .min(self.retries.max_delay.get())
            .saturating_add(jitter)
            .max(DELAY_MIN);
        Some(if stopping {
            wait.min(DELAY_STOPPING)
        } else {
            wait
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::options;
    use proptest::prelude::*;

    fn retries(delay: u64, max_delay: u64, max_jitter: u64, max_retries: i64) -> Retries {
        Retries {
            delay: options::Duration::milliseconds(delay),
            max_delay: options::Duration::milliseconds(max_delay),
            max_jitter: options::Duration::milliseconds(max_jitter),
            max_retries,
        }
    }

    #[test]
    fn the_wait_doubles_up_to_the_limit_and_begins_again_after_a_success() {
        let mut backoff = Backoff::new(retries(250, 3000, 0, -1));
        let mut waits = |n: usize| -> Vec<u128> {
            (0..n)
                .map(|_| backoff.failed(false).expect("for ever").as_millis())
                .collect()
        };
        assert_eq!(waits(6), [250, 500, 1000, 2000, 3000, 3000]);
        backoff.succeeded();
        assert_eq!(backoff.failed(false), Some(Duration::from_millis(250)));
    }

    #[test]
    fn attempts_run_out_only_when_they_are_counted() {
        let mut backoff = Backoff::new(retries(250, 3000, 0, 2));
        assert!(backoff.failed(false).is_some() && backoff.failed(false).is_some());
        assert!(!backoff.is_exhausted());
        assert_eq!(backoff.failed(false), None);
        assert!(backoff.is_exhausted());
        backoff.succeeded();
        assert!(!backoff.is_exhausted() && backoff.failed(false).is_some());
        let mut never = Backoff::new(retries(250, 3000, 0, 0));
        assert_eq!(never.failed(false), None);
    }

    proptest! {
        #[test]
        fn waits_keep_their_bounds(
            delay in 0_u64..100_000, max_delay in 0_u64..100_000, jitter in 0_u64..100_000, failures in 1_usize..80,
        ) {
            let mut backoff = Backoff::new(retries(delay, max_delay, jitter, -1));
            for _ in 0..failures {
                let wait = backoff.failed(false).expect("for ever");
                prop_assert!(wait >= DELAY_MIN);
                let longest = Duration::from_millis(max_delay.min(delay.saturating_mul(1 << 40)) + jitter);
                prop_assert!(wait <= longest.max(DELAY_MIN));
            }
            prop_assert!(backoff.failed(true).expect("for ever") <= DELAY_STOPPING);
        }
    }
}
