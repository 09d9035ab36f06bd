//! How slow a script is while it holds up everything else on its shard.
//!
//! Owns:    `Pace`, one window of calls after the other.
//! Runs on: the filter's home shard.            Plane: data.
//! Bounds:  a few numbers.
//! Never:   reads a clock itself, or blames a script for one slow call.

use std::time::Duration;

/// Least length of a window: who holds up others for less does not hold them up.
const WINDOW: Duration = Duration::from_secs(1);

/// Least messages of a window: as many as may wait for a filter in Heka.
const MESSAGES_MIN: u64 = 30;

/// The calls of a filter.
///
/// A filter is called where its messages are routed, so there is no queue that could be full: it holds up the others where its calls take more
/// than half of the time.
#[derive(Debug)]
pub(super) struct Pace {
    /// What a message may take on average.
    average_max: u64,
    /// Since when the window is open.
    since: Duration,
    busy: Duration,
    messages: u64,
}

/// A script that is too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slow {
    /// Messages that were timed.
    pub(super) samples: u64,
    /// Nanoseconds that one took on average.
    pub(super) average: u64,
}

impl Pace {
    /// For a script that may take so many nanoseconds for a message on average.
    pub(super) fn new(average_max: u64) -> Pace {
        Pace {
            average_max,
            since: Duration::ZERO,
            busy: Duration::ZERO,
            messages: 0,
        }
    }

    /// A call over so many messages has begun and ended at these times. Answers whether the script is too slow.
    pub(super) fn call(
        &mut self,
        begun: Duration,
        ended: Duration,
        messages: usize,
    ) -> Option<Slow> {
        self.busy += ended.saturating_sub(begun);
        self.messages += messages as u64;
        let open = ended.saturating_sub(self.since);
        if open < WINDOW || self.messages < MESSAGES_MIN {
            return None;
        }
        let (busy, samples) = (self.busy, self.messages);
        *self = Pace {
            since: ended,
            ..Pace::new(self.average_max)
        };
        let average = u64::try_from(busy.as_nanos() / u128::from(samples)).unwrap_or(u64::MAX);
        let holds_up = busy > open / 2;
        (holds_up && average > self.average_max).then_some(Slow { samples, average })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Calls of one message each, that take `busy` and come `idle` after the one before, until the script is too slow.
    fn slow_after(average_max: u64, busy: Duration, idle: Duration) -> Option<(u32, Slow)> {
        let mut pace = Pace::new(average_max);
        let mut now = Duration::ZERO;
        (1..=100_000).find_map(|call| {
            let begun = now + idle;
            now = begun + busy;
            pace.call(begun, now, 1).map(|slow| (call, slow))
        })
    }

    #[test]
    fn a_script_is_too_slow_when_it_holds_up_others_and_takes_more_than_it_may() {
        let slow = |samples, average| Slow { samples, average };
        // It takes twice of what it may, and nearly all of the time.
        let found = slow_after(500_000, MS, MS / 10);
        assert_eq!(found, Some((910, slow(910, 1_000_000))));
        // A second is not enough for so few messages.
        let found = slow_after(500_000, 200 * MS, Duration::ZERO);
        assert_eq!(found, Some((30, slow(30, 200_000_000))));
    }

    #[test]
    fn a_script_that_is_quick_or_has_time_goes_on() {
        assert_eq!(slow_after(1_000_000, MS, Duration::ZERO), None);
        assert_eq!(slow_after(500_000, MS, MS), None);
        assert_eq!(slow_after(500_000, MS, 10 * MS), None);
    }

    #[test]
    fn one_slow_call_among_many_is_forgiven() {
        let mut pace = Pace::new(500_000);
        let mut now = Duration::ZERO;
        for _ in 0..20 {
            let begun = now;
            now += 600 * MS;
            assert_eq!(pace.call(begun, now, 1), None);
            for _ in 0..20_000 {
                let begun = now;
                now += MS / 10;
                assert_eq!(pace.call(begun, now, 1), None);
            }
        }
    }

    #[test]
    fn a_long_pause_does_not_hide_what_comes_after_it() {
        let mut pace = Pace::new(500_000);
        let mut now = Duration::from_secs(600);
        let found = (0..3000).find_map(|_| {
            let begun = now;
            now += MS;
            pace.call(begun, now, 1)
        });
        assert!(found.is_some());
    }
}
