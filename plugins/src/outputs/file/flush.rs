//! When a file is flushed: `flush_interval`, `flush_count` and how they are combined.
//!
//! Owns:    `Flush`: messages written since the last flush, and when that was.
//! Runs on: the output's home shard.            Plane: data.
//! Bounds:  a few words.
//! Never:   reads a clock.

use std::time::Duration;

use engine::io::clock::Monotonic;

/// The options.
#[derive(Clone, Copy, Debug)]
pub(super) struct FlushPolicy {
    /// Between flushes; `None` when only the count matters.
    pub(super) interval: Option<Duration>,
    /// Messages before a flush.
    pub(super) count: u64,
    /// Whether both must be reached, not one of them.
    pub(super) both: bool,
}

impl FlushPolicy {
    /// Whether every message asks for a flush of its own.
    pub(super) fn every_message(&self) -> bool {
        self.count <= 1 && (self.interval.is_none() || !self.both)
    }
}

/// What has happened since the last flush.
#[derive(Debug)]
pub(super) struct Flush {
    policy: FlushPolicy,
    written: u64,
    last: Monotonic,
}

impl Flush {
    pub(super) fn new(policy: FlushPolicy, now: Monotonic) -> Flush {
        Flush {
            policy,
            written: 0,
            last: now,
        }
    }

    /// Messages were written.
    pub(super) fn wrote(&mut self, messages: u64) {
        self.written += messages;
    }

    /// Messages written since the last flush.
    pub(super) fn unflushed(&self) -> u64 {
        self.written
    }

    /// A flush began: it covers all that was written until now.
    pub(super) fn begin(&mut self, now: Monotonic) {
        self.written = 0;
        self.last = now;
    }

    /// The earliest time at which a flush is due without anything more being written; `None` if only more messages can bring it.
    pub(super) fn due(&self) -> Option<Monotonic> {
        let counted = self.written >= self.policy.count;
        match self.policy.interval {
            _ if self.written == 0 => None,
            None => counted.then_some(self.last),
            Some(interval) if self.policy.both => counted.then(|| self.last.after(interval)),
            Some(_) if counted => Some(self.last),
            Some(interval) => Some(self.last.after(interval)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn flush(interval: u64, count: u64, both: bool, now: Monotonic) -> Flush {
        let interval = (interval > 0).then(|| Duration::from_millis(interval));
        let policy = FlushPolicy {
            interval,
            count,
            both,
        };
        Flush::new(policy, now)
    }

    #[test]
    fn both_or_one_of_them() {
        let start = Monotonic::now();
        let second = start.after(Duration::from_secs(1));
        let mut both = flush(1000, 2, true, start);
        assert_eq!(both.due(), None);
        both.wrote(1);
        assert_eq!(both.due(), None);
        both.wrote(1);
        assert_eq!(both.due(), Some(second));
        let mut one = flush(1000, 2, false, start);
        assert_eq!(one.due(), None);
        one.wrote(1);
        assert_eq!(one.due(), Some(second));
        one.wrote(1);
        assert_eq!(one.due(), Some(start));
        one.begin(second);
        assert_eq!((one.due(), one.unflushed()), (None, 0));
    }

    #[test]
    fn without_an_interval_the_count_decides() {
        let start = Monotonic::now();
        for both in [true, false] {
            let mut counted = flush(0, 3, both, start);
            counted.wrote(2);
            assert_eq!(counted.due(), None);
            counted.wrote(1);
            assert_eq!(counted.due(), Some(start));
        }
    }

    #[test]
    fn every_message() {
        let now = Monotonic::now();
        let every =
            |interval, count, both| flush(interval, count, both, now).policy.every_message();
        assert!(every(0, 1, true) && every(0, 1, false) && every(1000, 1, false));
        assert!(!every(1000, 1, true) && !every(0, 2, true) && !every(1000, 2, false));
    }

    proptest! {
        /// Against Heka's loop, as an oracle: a message counter, a timer that starts again at each flush, and a note that it has run out.
        #[test]
        fn flushes_when_the_plain_loop_does(
            interval in prop_oneof![Just(0_u64), 1_u64..50], count in 1_u64..5, both: bool,
            steps in proptest::collection::vec((0_u64..40, 0_u64..3), 1..60),
        ) {
            let start = Monotonic::now();
            let at = |ms: u64| start.after(Duration::from_millis(ms));
            let mut flush = flush(interval, count, both, start);
            let (mut now, mut written, mut last) = (0, 0, 0);
            for (wait, messages) in steps {
                now += wait;
                written += messages;
                flush.wrote(messages);
                let elapsed = interval > 0 && now - last >= interval;
                let counted = written >= count;
                let expected = written > 0 && if both { counted && (elapsed || interval == 0) } else { counted || elapsed };
                let due = flush.due().is_some_and(|due| due <= at(now));
                prop_assert_eq!(due, expected);
                if due {
                    flush.begin(at(now));
                    (written, last) = (0, now);
                }
            }
        }
    }
}
