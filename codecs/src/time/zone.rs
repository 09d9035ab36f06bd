//! Time zones: UTC, the host's own, or one by name.
//!
//! Owns:    `Zone`, and the abbreviations that a zone has used.
//! Runs on: made at build time, used on every shard.            Plane: data.
//! Bounds:  abbreviations are gathered over `TRANSITIONS_MAX` changes of a zone's offset.
//! Never:   looks up zone data after it was made.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

/// Changes of offset that are looked at for abbreviations. The busiest zones have under 300 until
/// `ABBREVIATIONS_UNTIL`.
const TRANSITIONS_MAX: usize = 1024;

/// Start of 2040, seconds: rules known today repeat themselves from then on.
const ABBREVIATIONS_UNTIL: i64 = 2_208_988_800;

/// A time zone.
#[derive(Clone, Debug)]
pub struct Zone {
    rules: TimeZone,
    utc: bool,
}

impl Zone {
    /// Universal time.
    pub fn utc() -> Zone {
        Zone {
            rules: TimeZone::UTC,
            utc: true,
        }
    }

    /// The host's own zone: `TZ` in the environment, else the system's setting, else UTC.
    pub fn local() -> Zone {
        TimeZone::try_system().map_or_else(|_| Zone::utc(), |rules| Zone { rules, utc: false })
    }

    /// A zone by the name that a config gives: empty or `UTC`, `Local`, or an IANA name such as `Europe/Berlin`.
    pub fn named(name: &str) -> Result<Zone, UnknownZone> {
        match name {
            "" | "UTC" => Ok(Zone::utc()),
            "Local" => Ok(Zone::local()),
            _ => match TimeZone::get(name) {
                Ok(rules) => Ok(Zone { rules, utc: false }),
                Err(_) => Err(UnknownZone(name.into())),
            },
        }
    }

    /// Seconds east of Greenwich at an instant, which is seconds since 1970.
    #[inline]
    pub fn offset(&self, instant: i64) -> i32 {
        if self.utc {
            return 0;
        }
        self.rules.to_offset(jiff_instant(instant)).seconds()
    }

    /// The moment at which the zone's clocks show what those of UTC show at `nanoseconds`: for a time that was read without its zone.
    pub fn of_utc_clock(&self, nanoseconds: i64) -> i64 {
        let (seconds, rest) = (
            nanoseconds.div_euclid(1_000_000_000),
            nanoseconds.rem_euclid(1_000_000_000),
        );
        let shown = Zone::utc().civil(seconds);
        let instant = self.instant(shown).saturating_mul(1_000_000_000);
        instant.saturating_add(rest)
    }

    /// Calls `f` with the offset in seconds and the abbreviation at an instant.
    #[inline]
    pub(crate) fn with_abbreviation<R>(&self, instant: i64, f: impl FnOnce(i32, &str) -> R) -> R {
        let info = self.rules.to_offset_info(jiff_instant(instant));
        f(info.offset().seconds(), info.abbreviation())
    }

    /// Date and time on the zone's clocks at an instant.
    #[inline]
    pub(crate) fn civil(&self, instant: i64) -> DateTime {
        self.rules.to_datetime(jiff_instant(instant))
    }

    /// The instant at which the zone's clocks show a date and time within `YEARS`.
    ///
    /// A time that the clocks skip is read with the offset from before the gap, so it comes out after it; of a
    /// time that they show twice the first one is taken.
    #[inline]
    pub(crate) fn instant(&self, civil: DateTime) -> i64 {
        if self.utc {
            return utc_instant(civil);
        }
        self.rules
            .to_ambiguous_timestamp(civil)
            .compatible()
            .map_or_else(|_| utc_instant(civil), Timestamp::as_second)
    }

    /// Abbreviations that the zone has used, with their offsets in seconds, in order of first use.
    pub(crate) fn abbreviations(&self) -> Abbreviations {
        let mut known = Vec::new();
        let mut add = |name: &str, seconds: i32| {
            let name: Box<[u8]> = name.as_bytes().into();
            if !known.iter().any(|(n, s)| *n == name && *s == seconds) {
                known.push((name, seconds));
            }
        };
        self.with_abbreviation(i64::MIN, |seconds, name| add(name, seconds));
        for change in self
            .rules
            .following(Timestamp::MIN)
            .take(TRANSITIONS_MAX)
            .take_while(|change| change.timestamp().as_second() < ABBREVIATIONS_UNTIL)
        {
            add(change.abbreviation(), change.offset().seconds());
        }
        Abbreviations(known.into())
    }

    /// Seconds east of Greenwich for a date and time (as seconds of a UTC clock) that is followed by an abbreviation.
    ///
    /// The offset is the one that the abbreviation stood for at that time, else the one it last stood for.
    pub(crate) fn abbreviated(
        &self,
        known: &Abbreviations,
        name: &[u8],
        clock: i64,
    ) -> Option<i32> {
        let mut last = None;
        for (_, seconds) in known.0.iter().filter(|(n, _)| **n == *name) {
            let fits = self
                .with_abbreviation(clock - i64::from(*seconds), |offset, abbreviation| {
                    offset == *seconds && abbreviation.as_bytes() == name
                });
            if fits {
                return Some(*seconds);
            }
            last = Some(*seconds);
        }
        last
    }
}

/// What a zone's abbreviations stand for.
#[derive(Clone, Debug)]
pub(crate) struct Abbreviations(Box<[(Box<[u8]>, i32)]>);

/// The instant of a date and time in UTC, seconds since 1970.
#[inline]
pub(crate) fn utc_instant(civil: DateTime) -> i64 {
    Offset::UTC
        .to_timestamp(civil)
        .map_or(i64::MAX, Timestamp::as_second)
}

/// An instant, clamped to what jiff knows (years -9999 to 9999).
#[inline]
fn jiff_instant(seconds: i64) -> Timestamp {
    let (min, max) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    Timestamp::from_second(seconds.clamp(min, max)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// No time zone has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownZone(pub String);

impl fmt::Display for UnknownZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "unknown time zone `{}`: give an IANA name such as `Europe/Berlin`, or `UTC` or `Local`",
            self.0
        )
    }
}

impl std::error::Error for UnknownZone {}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::datetime;

    #[test]
    fn names_of_zones() {
        assert!(Zone::named("").unwrap().utc);
        assert!(Zone::named("UTC").unwrap().utc);
        assert_eq!(Zone::named("Asia/Kolkata").unwrap().offset(0), 19_800);
        let error = Zone::named("Mars/Olympus").unwrap_err();
        assert!(error.to_string().contains("`Mars/Olympus`"));
        Zone::named("Local").unwrap();
    }

    #[test]
    fn clocks_that_skip_and_repeat() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        // 2024-03-31 02:30 does not exist: it is read as 03:30 summer time.
        let gap = berlin.instant(datetime(2024, 3, 31, 2, 30, 0, 0));
        assert_eq!(gap, 1_711_848_600);
        assert_eq!(berlin.civil(gap), datetime(2024, 3, 31, 3, 30, 0, 0));
        // 2024-10-27 02:30 exists twice: the first is meant.
        let fold = berlin.instant(datetime(2024, 10, 27, 2, 30, 0, 0));
        assert_eq!(fold, 1_729_989_000);
        assert_eq!(berlin.offset(fold), 7200);
    }

    #[test]
    fn abbreviations_stand_for_what_they_stood_for_then() {
        let london = Zone::named("Europe/London").unwrap();
        let known = london.abbreviations();
        let clock = |dt| utc_instant(dt);
        // British Standard Time, all of 1969, and British Summer Time have one abbreviation and one offset.
        let summer = clock(datetime(2024, 7, 1, 12, 0, 0, 0));
        assert_eq!(london.abbreviated(&known, b"BST", summer), Some(3600));
        assert_eq!(london.abbreviated(&known, b"GMT", summer), Some(0));
        assert_eq!(london.abbreviated(&known, b"PST", summer), None);
        let moscow = Zone::named("Europe/Moscow").unwrap();
        let known = moscow.abbreviations();
        // MSK was four hours from 2011 to 2014, three before and after.
        let then = clock(datetime(2012, 7, 1, 12, 0, 0, 0));
        assert_eq!(moscow.abbreviated(&known, b"MSK", then), Some(14_400));
        let now = clock(datetime(2024, 7, 1, 12, 0, 0, 0));
        assert_eq!(moscow.abbreviated(&known, b"MSK", now), Some(10_800));
    }
}
