//! When a message is due.
//!
//! Owns:    the schedule of one connection.
//! Runs on: one sending thread.            Plane: data.
//! Bounds:  sleeps are at most `NAP_MAX`, so that a stop is seen.
//! Never:   slides: after a stall what is late is due at once (the load is an open loop).

use std::time::{Duration, Instant};

/// Longest sleep.
const NAP_MAX: Duration = Duration::from_millis(50);

/// A rate, counted from a start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    start: Instant,
    per_second: Option<f64>,
}

impl Pace {
    /// `per_second` messages from `start` on; as many as one likes with `None`.
    pub(crate) fn new(start: Instant, per_second: Option<f64>) -> Pace {
        Pace { start, per_second }
    }

    /// How many messages may have been sent by `now`; the first is due at the start.
    pub(crate) fn due(&self, now: Instant) -> u64 {
        match self.per_second {
            Some(rate) => ((now - self.start).as_secs_f64() * rate) as u64 + 1,
            None => u64::MAX,
        }
    }

    /// How long to sleep until message number `sent` (from 0) is due, at most `NAP_MAX`.
    pub(crate) fn nap(&self, now: Instant, sent: u64) -> Duration {
        let Some(rate) = self.per_second else {
            return Duration::ZERO;
        };
        let due = sent as f64 / rate;
        let elapsed = (now - self.start).as_secs_f64();
        Duration::try_from_secs_f64(due - elapsed)
            .unwrap_or_default()
            .min(NAP_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_made_up_for() {
        let start = Instant::now();
        let pace = Pace::new(start, Some(100.0));
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(pace.due(at(0)), 1);
        assert_eq!(pace.due(at(95)), 10);
        assert_eq!(pace.due(at(10_005)), 1001);
        assert_eq!(pace.nap(at(5), 1), Duration::from_millis(5));
        assert_eq!(pace.nap(at(5000), 1), Duration::ZERO);
        assert_eq!(pace.nap(at(0), 1000), NAP_MAX);
        assert_eq!(Pace::new(start, None).due(at(0)), u64::MAX);
    }
}
