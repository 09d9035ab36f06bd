//! When a file's name changes: every so many hours, counted from midnight.
//!
//! Owns:    `Rotation`: the format of the path, the time zone, the next change.
//! Runs on: the output's home shard.            Plane: data.
//! Bounds:  one look at the zone per change.
//! Never:   reads a clock.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use codecs::time::{Strftime, Zone};

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3600;

/// A path that depends on the time.
#[derive(Debug)]
pub(super) struct Rotation {
    format: Strftime,
    zone: Zone,
    hours: i64,
    /// Seconds since the Unix epoch.
    next: i64,
}

impl Rotation {
    /// A path that changes every `hours` hours (a divisor of 24). `now`: nanoseconds since the Unix epoch.
    pub(super) fn new(format: Strftime, zone: Zone, hours: u8, now: i64) -> Rotation {
        let mut rotation = Rotation {
            format,
            zone,
            hours: i64::from(hours),
            next: 0,
        };
        rotation.next = rotation.after(now.div_euclid(SECOND));
        rotation
    }

    /// The path at a time.
    pub(super) fn path(&self, now: i64) -> PathBuf {
        let mut path = Vec::new();
        self.format.write(now, &self.zone, &mut path);
        PathBuf::from(OsString::from_vec(path))
    }

    /// When the path changes next, nanoseconds since the Unix epoch.
    pub(super) fn next(&self) -> i64 {
        self.next.saturating_mul(SECOND)
    }

    /// The new path if it has changed: that of the last change, not of `now`, as Heka names it.
    pub(super) fn changed(&mut self, now: i64) -> Option<PathBuf> {
        let now = now.div_euclid(SECOND);
        let mut last = None;
        while self.next <= now {
            last = Some(self.next);
            // After a long sleep of the host only the last change counts.
            let skip = (now - self.next - 2 * 24 * HOUR).max(0);
            self.next = self.after(self.next + skip);
        }
        last.map(|last| self.path(last.saturating_mul(SECOND)))
    }

    /// The first change after a time, both in seconds.
    fn after(&self, now: i64) -> i64 {
        let step = self.hours * HOUR;
        let offset = i64::from(self.zone.offset(now));
        let clock = ((now + offset).div_euclid(step) + 1) * step;
        let guess = clock - offset;
        // Where clocks are set between now and then, the change comes by the clocks as they are then.
        let corrected = clock - i64::from(self.zone.offset(guess));
        if corrected > now { corrected } else { guess }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rotation(zone: &str, hours: u8, now: i64) -> Rotation {
        let format = Strftime::new("/logs/%Y-%m-%d_%H%M.log").expect("valid");
        let zone = Zone::named(zone).expect("known");
        Rotation::new(format, zone, hours, now * SECOND)
    }

    /// 2014-11-24 14:54:53 UTC.
    const NOW: i64 = 1_416_840_893;

    #[test]
    fn the_first_name_is_of_now_and_the_next_of_the_change() {
        let mut rotation = rotation("UTC", 4, NOW);
        let path = |text: &str| PathBuf::from(text);
        assert_eq!(
            rotation.path(NOW * SECOND),
            path("/logs/2014-11-24_1454.log")
        );
        assert_eq!(rotation.changed(NOW * SECOND), None);
        let next = rotation.next();
        assert_eq!(rotation.changed(next - 1), None);
        assert_eq!(
            rotation.changed(next + 5 * SECOND),
            Some(path("/logs/2014-11-24_1600.log"))
        );
        assert_eq!(rotation.changed(next + 6 * SECOND), None);
        // The host slept for a year and a bit.
        let later = next + 366 * 24 * HOUR * SECOND + 17 * SECOND;
        assert_eq!(
            rotation.changed(later),
            Some(path("/logs/2015-11-25_1600.log"))
        );
        assert_eq!(rotation.changed(later), None);
    }

    #[test]
    fn days_begin_at_the_zones_midnight() {
        let mut berlin = rotation("Europe/Berlin", 24, NOW);
        let next = berlin.next();
        assert_eq!(
            berlin.changed(next),
            Some(PathBuf::from("/logs/2014-11-25_0000.log"))
        );
    }

    #[test]
    fn clocks_that_are_set_forth_and_back() {
        // Berlin: 2024-03-31 has 23 hours, 2024-10-27 has 25.
        for (start, day) in [(1_711_792_800, "2024-03-31"), (1_729_936_800, "2024-10-27")] {
            let mut berlin = rotation("Europe/Berlin", 24, start);
            for _ in 0..2 {
                let next = berlin.next();
                let path = berlin.changed(next).expect("due").display().to_string();
                assert!(path.ends_with("_0000.log"), "{day}: {path}");
            }
        }
    }

    proptest! {
        #[test]
        fn changes_come_in_time_and_never_stand_still(
            zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]),
            hours in prop::sample::select(vec![1_u8, 4, 12, 24]),
            now in 0_i64..4_000_000_000,
        ) {
            let mut rotation = rotation(zone, hours, now);
            let mut at = now;
            for _ in 0..10 {
                let next = rotation.next() / SECOND;
                prop_assert!(next > at);
                prop_assert!(next - at <= (i64::from(hours) + 24) * HOUR);
                at = next;
                prop_assert!(rotation.changed(at * SECOND).is_some());
            }
        }
    }
}
