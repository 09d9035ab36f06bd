//! Text to nanoseconds since the epoch.
//!
//! Owns:    `TimestampParser`, its errors, and what stands in for the parts that a text leaves out.
//! Runs on: compiled at build time, used on every shard.            Plane: data.
//! Bounds:  `LAYOUT_BYTES_MAX`; sixteen layouts are tried for a text that fits none.
//! Never:   allocates while parsing, reads a clock, or panics on any text.
//!
//! Where it is not Heka: named layouts are tried in one fixed order, and not twice; a layout that is a name of
//! Go's is that layout; `now` is taken on the clocks of the parser's zone, not of the host's; 1 January
//! without a year is 1 January, not today; a zone such as `-03` that its location does not know is that offset.

use std::fmt;

use jiff::civil::{Date, DateTime, Time};

use super::epoch::EpochLayout;
use super::go_layout::GoLayout;
use super::go_read::{Parts, offset_in_name};
use super::named_layouts::NAMED_LAYOUTS;
use super::zone::{Abbreviations, UnknownZone, Zone, utc_instant};
use super::{NANOSECONDS, split};

/// Longest layout, bytes.
pub const LAYOUT_BYTES_MAX: usize = 1024;

/// Years in which there are nanoseconds that fit an i64.
const YEARS: std::ops::RangeInclusive<i32> = 1677..=2262;

/// Why a text is no timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimestampFault {
    /// The text does not follow the layout.
    Mismatch,
    /// The text goes on where the layout ends.
    TextAfterLayout,
    /// An `Epoch` text is not digits with an optional fraction.
    Digits,
    /// Month not 1 to 12.
    Month,
    /// The month does not have this day.
    DayOfMonth,
    /// The year does not have this day.
    DayOfYear,
    /// Day of the year and month or day contradict each other.
    DayOfYearClash,
    /// Hour above 23, or 12 where halves of the day are counted.
    Hour,
    /// Minute above 59.
    Minute,
    /// Second above 59.
    Second,
    /// Offset of more than 24 hours, or 60 minutes or seconds.
    Offset,
    /// Before 1677-09-21 or after 2262-04-11: nanoseconds do not fit.
    Range,
}

impl TimestampFault {
    /// A short lower-case text for reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            TimestampFault::Mismatch => "does not follow the layout",
            TimestampFault::TextAfterLayout => "goes on where the layout ends",
            TimestampFault::Digits => "not a number with an optional fraction",
            TimestampFault::Month => "month out of range",
            TimestampFault::DayOfMonth => "day out of range",
            TimestampFault::DayOfYear => "day of the year out of range",
            TimestampFault::DayOfYearClash => "day of the year contradicts the month or day",
            TimestampFault::Hour => "hour out of range",
            TimestampFault::Minute => "minute out of range",
            TimestampFault::Second => "second out of range",
            TimestampFault::Offset => "offset of the time zone out of range",
            TimestampFault::Range => "not between the years 1677 and 2262",
        }
    }
}

/// A text that is no timestamp: why, and where in the text the fault was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampError {
    /// Why.
    pub fault: TimestampFault,
    /// Offset in bytes of the part that is at fault; 0 where it is the whole.
    pub at: u32,
}

impl TimestampError {
    #[inline]
    pub(crate) const fn new(fault: TimestampFault, at: usize) -> TimestampError {
        TimestampError {
            fault,
            at: at as u32,
        }
    }
}

impl fmt::Display for TimestampError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "timestamp at byte {}: {}", self.at, self.fault.as_str())
    }
}

impl std::error::Error for TimestampError {}

/// Why a layout or its location cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// Begins with `Epoch` and is none of the four.
    Epoch(String),
    /// Longer than `LAYOUT_BYTES_MAX`.
    TooLong(usize),
    /// No such time zone.
    Location(UnknownZone),
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LayoutError::Epoch(layout) => write!(
                f,
                "unknown timestamp layout `{layout}`: write `Epoch`, `EpochMilli`, `EpochMicro` or `EpochNano`"
            ),
            LayoutError::TooLong(len) => write!(
                f,
                "timestamp layout of {len} bytes: the longest allowed has {LAYOUT_BYTES_MAX}"
            ),
            LayoutError::Location(zone) => zone.fmt(f),
        }
    }
}

impl std::error::Error for LayoutError {}

#[derive(Clone, Debug)]
enum Layout {
    Epoch(EpochLayout),
    /// The configured layout, then Go's named ones.
    Go(Box<[GoLayout]>),
}

/// Reads the timestamps of one layout in one location.
#[derive(Clone, Debug)]
pub struct TimestampParser {
    layout: Layout,
    zone: Zone,
    abbreviations: Abbreviations,
}

impl TimestampParser {
    /// A parser for `timestamp_layout` and `timestamp_location`.
    ///
    /// The layout is one of Go's (see <https://pkg.go.dev/time#pkg-constants>), the name of one such as `RFC1123`,
    /// `Epoch`, `EpochMilli`, `EpochMicro`, `EpochNano`, or empty for Go's named layouts alone.
    /// The location says what zone is meant where the text has none: see `Zone::named`.
    pub fn new(layout: &str, location: &str) -> Result<TimestampParser, LayoutError> {
        if layout.len() > LAYOUT_BYTES_MAX {
            return Err(LayoutError::TooLong(layout.len()));
        }
        let zone = Zone::named(location).map_err(LayoutError::Location)?;
        let abbreviations = zone.abbreviations();
        let layout = if layout.starts_with("Epoch") {
            let epoch = EpochLayout::named(layout);
            Layout::Epoch(epoch.ok_or_else(|| LayoutError::Epoch(layout.into()))?)
        } else {
            Layout::Go(go_layouts(layout))
        };
        Ok(TimestampParser {
            layout,
            zone,
            abbreviations,
        })
    }

    /// The time that a text names, nanoseconds since 1970-01-01 00:00:00 UTC.
    ///
    /// `now` (the same unit) gives the date to a text without one, and the year to a date without one. The error is
    /// that of the configured layout, after every layout has failed.
    pub fn parse(&self, text: &[u8], now: i64) -> Result<i64, TimestampError> {
        let layouts = match &self.layout {
            Layout::Epoch(epoch) => return epoch.parse(text),
            Layout::Go(layouts) => layouts,
        };
        let mut first_error = None;
        for layout in layouts {
            match layout
                .read(text)
                .and_then(|parts| self.resolve(&parts, now))
            {
                Ok(ns) => return Ok(ns),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.unwrap_or(TimestampError::new(TimestampFault::Mismatch, 0)))
    }

    /// The instant that parts name.
    fn resolve(&self, parts: &Parts<'_>, now: i64) -> Result<i64, TimestampError> {
        let date = self
            .date(parts, now)
            .map_err(|fault| TimestampError::new(fault, 0))?;
        let out_of_range = TimestampError::new(TimestampFault::Range, 0);
        let (hour, minute, second) = (parts.hour as i8, parts.minute as i8, parts.second as i8);
        let time = Time::new(hour, minute, second, 0).map_err(|_| out_of_range)?;
        let civil = date.to_datetime(time);
        let instant = self.instant(parts, civil);
        let ns = i128::from(instant) * i128::from(NANOSECONDS) + i128::from(parts.nanos);
        i64::try_from(ns).map_err(|_| out_of_range)
    }

    /// The date that parts name, with what is missing taken from `now`.
    fn date(&self, parts: &Parts<'_>, now: i64) -> Result<Date, TimestampFault> {
        // Year 0 counts as missing, as in Heka: devices without a calendar send it.
        let given = parts.year.filter(|year| *year != 0).map(i32::from);
        let today = || self.zone.civil(split(now).0).date();
        let dated = parts.month.is_some() || parts.day.is_some() || parts.day_of_year.is_some();
        if given.is_none() && !dated {
            return Ok(today());
        }
        let year = given.unwrap_or_else(|| i32::from(today().year()));
        if !YEARS.contains(&year) {
            return Err(TimestampFault::Range);
        }
        let (month, day) = month_and_day(parts, year)?;
        if day == 0 || day > days_in_month(year, month) {
            // 29 February without a year, in a year that has none: the day after the 28th, as in Heka.
            if given.is_none() && month == 2 && day == 29 {
                return civil_date(year, 3, 1);
            }
            return Err(TimestampFault::DayOfMonth);
        }
        civil_date(year, month, day)
    }

    /// The instant, in seconds, at which the clocks of the text's zone show a time.
    fn instant(&self, parts: &Parts<'_>, civil: DateTime) -> i64 {
        if parts.utc {
            return utc_instant(civil);
        }
        if let Some(offset) = parts.offset {
            return utc_instant(civil) - i64::from(offset);
        }
        if let Some(name) = parts.zone {
            let clock = utc_instant(civil);
            let offset = self
                .zone
                .abbreviated(&self.abbreviations, name, clock)
                .or_else(|| offset_in_name(name));
            // An abbreviation that the location never used tells nothing: UTC, as in Go.
            return clock - i64::from(offset.unwrap_or(0));
        }
        self.zone.instant(civil)
    }
}

/// The layouts to try for a configured one.
fn go_layouts(layout: &str) -> Box<[GoLayout]> {
    let configured = NAMED_LAYOUTS
        .iter()
        .find(|(name, _)| *name == layout)
        .map_or(layout, |(_, named)| named);
    let named = NAMED_LAYOUTS
        .iter()
        .map(|(_, named)| *named)
        .filter(|named| *named != configured);
    (!configured.is_empty())
        .then_some(configured)
        .into_iter()
        .chain(named)
        .map(GoLayout::new)
        .collect()
}

fn civil_date(year: i32, month: u8, day: u8) -> Result<Date, TimestampFault> {
    Date::new(year as i16, month as i8, day as i8).map_err(|_| TimestampFault::DayOfMonth)
}

/// Month and day, from the day of the year where that was given. What is missing is the first.
fn month_and_day(parts: &Parts<'_>, year: i32) -> Result<(u8, u8), TimestampFault> {
    let Some(ordinal) = parts.day_of_year else {
        return Ok((parts.month.unwrap_or(1), parts.day.unwrap_or(1)));
    };
    let mut left = ordinal;
    let mut month = 1;
    while month <= 12 && left > u16::from(days_in_month(year, month)) {
        left -= u16::from(days_in_month(year, month));
        month += 1;
    }
    if ordinal == 0 || month > 12 {
        return Err(TimestampFault::DayOfYear);
    }
    let day = left as u8;
    if parts.month.is_some_and(|m| m != month) || parts.day.is_some_and(|d| d != day) {
        return Err(TimestampFault::DayOfYearClash);
    }
    Ok((month, day))
}

const fn days_in_month(year: i32, month: u8) -> u8 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
#[path = "timestamp_tests.rs"]
mod tests;
