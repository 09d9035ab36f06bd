//! Nanoseconds to text by a strftime format.
//!
//! Owns:    `Strftime` and what each conversion prints.
//! Runs on: every shard.            Plane: data.
//! Bounds:  a format of n bytes prints at most 64 n bytes.
//! Never:   allocates beyond the buffer's own growth, or prints in another language than English.
//!
//! Conversions, of which those of Heka print what Heka printed: `%A %a %B %b %C %c %D %d %e %F %f %G %g %H %h %I %j
//! %k %L %l %M %m %N %n %P %p %R %r %S %s %T %t %U %u %V %v %W %w %X %x %Y %y %Z %z %%`. `%f`, `%L` and `%N` are micro-, milli-
//! and nanoseconds. Numbers take the flags `-`, `_` and `0` and a width, names `^`, `#` and a width, fractions
//! a width, `%z` up to three colons. Mended: `%C` is the century (Heka printed the year), and `%z` west of
//! Greenwich is right where an offset is no whole hour.

use jiff::civil::DateTime;

use super::names::{MONTHS, SHORT, WEEKDAYS};
use super::split;
use super::stamp::{OffsetParts, push_offset};
use super::strftime_compile::{Case, FormatError, Name, Number, Piece, Pieces};
use super::zone::Zone;
use crate::digits::{push, push_fraction};

/// A compiled strftime format.
#[derive(Clone, Debug)]
pub struct Strftime {
    pieces: Box<[Piece]>,
    text: Box<[u8]>,
}

impl Strftime {
    /// Compiles a format, as in `ts_format` of PayloadEncoder or `path` of FileOutput.
    pub fn new(format: &str) -> Result<Strftime, FormatError> {
        let Pieces { pieces, text } = Pieces::compile(format)?;
        Ok(Strftime {
            pieces: pieces.into(),
            text: text.into(),
        })
    }

    /// Whether every time prints the same text.
    pub fn is_constant(&self) -> bool {
        self.pieces
            .iter()
            .all(|piece| matches!(piece, Piece::Literal { .. }))
    }

    /// Appends a time as the clocks of `zone` show it.
    ///
    /// `ns`: nanoseconds since 1970-01-01 00:00:00 UTC.
    pub fn write(&self, ns: i64, zone: &Zone, out: &mut Vec<u8>) {
        let (instant, nanos) = split(ns);
        let civil = zone.civil(instant);
        for piece in &self.pieces {
            match *piece {
                Piece::Literal { start, end } => {
                    out.extend_from_slice(&self.text[usize::from(start)..usize::from(end)]);
                }
                Piece::Number(number, width, pad) => {
                    push(
                        out,
                        value_of(number, civil, instant),
                        usize::from(width),
                        pad,
                    );
                }
                Piece::Name(Name::Zone, case, width) => {
                    zone.with_abbreviation(instant, |_, name| push_name(out, name, case, width));
                }
                Piece::Name(name, case, width) => push_name(out, name_of(name, civil), case, width),
                Piece::Fraction(digits) => push_fraction(out, nanos, usize::from(digits)),
                Piece::Offset(colons) => {
                    let parts = match colons {
                        0 | 1 => OffsetParts::Minutes,
                        2 => OffsetParts::Seconds,
                        _ => OffsetParts::Needed,
                    };
                    push_offset(out, zone.offset(instant), parts, colons > 0);
                }
            }
        }
    }
}

fn push_name(out: &mut Vec<u8>, name: &str, case: Case, width: u8) {
    let missing = usize::from(width).saturating_sub(name.len());
    out.resize(out.len() + missing, b' ');
    let start = out.len();
    out.extend_from_slice(name.as_bytes());
    match case {
        Case::Own => {}
        Case::Upper => out[start..].make_ascii_uppercase(),
        Case::Lower => out[start..].make_ascii_lowercase(),
    }
}

fn name_of(name: Name, civil: DateTime) -> &'static str {
    let weekday = WEEKDAYS[civil.weekday().to_sunday_zero_offset() as usize];
    let month = MONTHS[civil.month() as usize - 1];
    match (name, civil.hour() < 12) {
        (Name::Weekday, _) => weekday,
        (Name::WeekdayShort, _) => &weekday[..SHORT],
        (Name::Month, _) => month,
        (Name::MonthShort, _) => &month[..SHORT],
        (Name::Half, true) => "AM",
        (Name::Half, false) => "PM",
        (Name::LowerHalf, true) => "am",
        (Name::LowerHalf, false) => "pm",
        (Name::Zone, _) => "",
    }
}

fn value_of(number: Number, civil: DateTime, instant: i64) -> i64 {
    let weekday = civil.weekday();
    // The day's number in its year, from 0, moved on to the end of its week.
    let week = |days_since_start: i8| {
        (i64::from(civil.day_of_year()) + 6 - i64::from(days_since_start)) / 7
    };
    match number {
        Number::Year => i64::from(civil.year()),
        Number::Century => i64::from(civil.year()) / 100,
        Number::YearOfCentury => i64::from(civil.year()) % 100,
        Number::Month => i64::from(civil.month()),
        Number::Day => i64::from(civil.day()),
        Number::DayOfYear => i64::from(civil.day_of_year()),
        Number::Hour => i64::from(civil.hour()),
        Number::Hour12 => i64::from((civil.hour() + 11) % 12 + 1),
        Number::Minute => i64::from(civil.minute()),
        Number::Second => i64::from(civil.second()),
        Number::EpochSeconds => instant,
        Number::WeekdayFromMonday => i64::from(weekday.to_monday_one_offset()),
        Number::WeekdayFromSunday => i64::from(weekday.to_sunday_zero_offset()),
        Number::WeekFromSunday => week(weekday.to_sunday_zero_offset()),
        Number::WeekFromMonday => week(weekday.to_monday_zero_offset()),
        Number::IsoWeek => i64::from(civil.iso_week_date().week()),
        Number::IsoYear => i64::from(civil.iso_week_date().year()),
        Number::IsoYearOfCentury => i64::from(civil.iso_week_date().year()) % 100,
    }
}

#[cfg(test)]
#[path = "strftime_tests.rs"]
mod tests;
