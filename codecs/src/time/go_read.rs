//! Text against a compiled layout.
//!
//! Owns:    `Parts`, what a text said, and the reading of every element.
//! Runs on: every shard.            Plane: data.
//! Bounds:  one pass over the text, no going back.
//! Never:   allocates, or decides what missing parts mean (`timestamp` does).

use super::go_layout::{GoLayout, ImplicitFraction, OffsetForm, Step, Width};
use super::names::{MONTHS, WEEKDAYS, starts_with};
use super::timestamp::{TimestampError, TimestampFault};

/// What a text said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    /// 0 to 9999.
    pub(crate) year: Option<u16>,
    /// 1 to 12.
    pub(crate) month: Option<u8>,
    /// 0 to 99: checked when month and year are known.
    pub(crate) day: Option<u8>,
    /// 0 to 999: checked when the year is known.
    pub(crate) day_of_year: Option<u16>,
    /// 0 to 23, after `finish`.
    pub(crate) hour: u8,
    pub(crate) minute: u8,
    pub(crate) second: u8,
    pub(crate) nanos: u32,
    /// Whether the zone is UTC by name or by `Z`.
    pub(crate) utc: bool,
    /// Seconds east of Greenwich.
    pub(crate) offset: Option<i32>,
    /// Abbreviation of a zone.
    pub(crate) zone: Option<&'a [u8]>,
    /// Before (false) or after (true) noon.
    afternoon: Option<bool>,
}

impl GoLayout {
    /// Reads a text of this layout.
    pub(crate) fn read<'t>(&self, text: &'t [u8]) -> Result<Parts<'t>, TimestampError> {
        let mut reader = Reader { text, at: 0 };
        let mut parts = Parts::default();
        for step in &self.steps {
            let start = reader.at;
            reader
                .step(*step, &self.text, &mut parts)
                .map_err(|fault| TimestampError::new(fault, start))?;
        }
        if reader.at != text.len() {
            return Err(TimestampError::new(
                TimestampFault::TextAfterLayout,
                reader.at,
            ));
        }
        parts.hour = match parts.afternoon {
            Some(true) if parts.hour < 12 => parts.hour + 12,
            Some(false) if parts.hour == 12 => 0,
            _ => parts.hour,
        };
        Ok(parts)
    }
}

use TimestampFault::Mismatch;

/// A place in the text.
struct Reader<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Reader<'t> {
    #[inline]
    fn rest(&self) -> &'t [u8] {
        &self.text[self.at..]
    }

    /// Reads what one step expects.
    #[inline]
    fn step(
        &mut self,
        step: Step,
        layout: &[u8],
        parts: &mut Parts<'t>,
    ) -> Result<(), TimestampFault> {
        match step {
            Step::Literal { start, end } => {
                let want = &layout[usize::from(start)..usize::from(end)];
                if !self.rest().starts_with(want) {
                    return Err(Mismatch);
                }
                self.at += want.len();
            }
            Step::Byte(byte) => {
                if self.rest().first() != Some(&byte) {
                    return Err(Mismatch);
                }
                self.at += 1;
            }
            Step::Blanks => self.blanks()?,
            Step::Year => parts.year = Some(self.fixed(4)?),
            Step::YearOfCentury => {
                let year = self.fixed(2)?;
                parts.year = Some(if year >= 69 { 1900 + year } else { 2000 + year });
            }
            Step::MonthName => parts.month = Some(self.name(&MONTHS, false)? + 1),
            Step::MonthShortName => parts.month = Some(self.name(&MONTHS, true)? + 1),
            Step::Month(width) => parts.month = Some(self.month(width)?),
            Step::WeekdayName | Step::WeekdayShortName => {
                self.name(&WEEKDAYS, step == Step::WeekdayShortName)?;
            }
            Step::Day(width) => parts.day = Some(self.number(width, 99, Mismatch)?),
            Step::BlankDay => {
                self.one_blank();
                parts.day = Some(self.number(Width::Any, 99, Mismatch)?);
            }
            Step::DayOfYear => parts.day_of_year = Some(self.fixed(3)?),
            Step::BlankDayOfYear => {
                self.one_blank();
                self.one_blank();
                parts.day_of_year = Some(self.up_to_three()?);
            }
            Step::Hour => parts.hour = self.number(Width::Any, 23, TimestampFault::Hour)?,
            Step::Hour12(width) => parts.hour = self.number(width, 12, TimestampFault::Hour)?,
            Step::Minute(width) => parts.minute = self.number(width, 59, TimestampFault::Minute)?,
            Step::Second(width, fraction) => {
                parts.second = self.number(width, 59, TimestampFault::Second)?;
                if fraction == ImplicitFraction::Taken {
                    self.optional_fraction(parts);
                }
            }
            Step::UpperHalf => parts.afternoon = Some(self.half(b"AM", b"PM")?),
            Step::LowerHalf => parts.afternoon = Some(self.half(b"am", b"pm")?),
            Step::Fraction(digits) => parts.nanos = self.fraction(usize::from(digits))?,
            Step::OptionalFraction => self.optional_fraction(parts),
            Step::ZoneName => self.zone(parts)?,
            Step::OffsetOrZ(_) if self.rest().first() == Some(&b'Z') => {
                self.at += 1;
                parts.utc = true;
            }
            Step::Offset(form) | Step::OffsetOrZ(form) => parts.offset = Some(self.offset(form)?),
        }
        Ok(())
    }

    /// Blanks of the layout stand for any number of blanks but none; at the end of the text also for none.
    fn blanks(&mut self) -> Result<(), TimestampFault> {
        let blanks = self.rest().iter().take_while(|b| **b == b' ').count();
        if blanks == 0 && !self.rest().is_empty() {
            return Err(Mismatch);
        }
        self.at += blanks;
        Ok(())
    }

    #[inline]
    fn one_blank(&mut self) {
        if self.rest().first() == Some(&b' ') {
            self.at += 1;
        }
    }

    /// A number of exactly `digits` digits, at most four.
    #[inline]
    fn fixed(&mut self, digits: usize) -> Result<u16, TimestampFault> {
        let text = self.rest().get(..digits).ok_or(Mismatch)?;
        let mut value = 0;
        for byte in text {
            if !byte.is_ascii_digit() {
                return Err(Mismatch);
            }
            value = value * 10 + u16::from(byte - b'0');
        }
        self.at += digits;
        Ok(value)
    }

    fn up_to_three(&mut self) -> Result<u16, TimestampFault> {
        let digits = self
            .rest()
            .iter()
            .take(3)
            .take_while(|b| b.is_ascii_digit())
            .count();
        if digits == 0 {
            return Err(Mismatch);
        }
        self.fixed(digits)
    }

    /// A number of one or two digits, at most `max`.
    #[inline]
    fn number(
        &mut self,
        width: Width,
        max: u8,
        fault: TimestampFault,
    ) -> Result<u8, TimestampFault> {
        let rest = self.rest();
        let digit = |at: usize| {
            rest.get(at)
                .filter(|b| b.is_ascii_digit())
                .map(|b| b - b'0')
        };
        let first = digit(0).ok_or(Mismatch)?;
        let value = match digit(1) {
            Some(second) => {
                self.at += 2;
                first * 10 + second
            }
            None if width == Width::Any => {
                self.at += 1;
                first
            }
            None => return Err(Mismatch),
        };
        if value > max { Err(fault) } else { Ok(value) }
    }

    #[inline]
    fn month(&mut self, width: Width) -> Result<u8, TimestampFault> {
        match self.number(width, 12, TimestampFault::Month)? {
            0 => Err(TimestampFault::Month),
            month => Ok(month),
        }
    }

    #[inline]
    fn name(&mut self, names: &[&str], short: bool) -> Result<u8, TimestampFault> {
        let (index, len) = starts_with(names, self.rest(), short).ok_or(Mismatch)?;
        self.at += len;
        Ok(index)
    }

    fn half(&mut self, before: &[u8], after: &[u8]) -> Result<bool, TimestampFault> {
        let afternoon = match self.rest().get(..2) {
            Some(text) if text == before => false,
            Some(text) if text == after => true,
            _ => return Err(Mismatch),
        };
        self.at += 2;
        Ok(afternoon)
    }

    /// A separator and exactly `digits` digits, as nanoseconds; digits after the ninth are cut off.
    fn fraction(&mut self, digits: usize) -> Result<u32, TimestampFault> {
        let text = self.rest().get(..1 + digits).ok_or(Mismatch)?;
        if !matches!(text[0], b'.' | b',') || !text[1..].iter().all(u8::is_ascii_digit) {
            return Err(Mismatch);
        }
        self.at += text.len();
        let padded = text[1..].iter().chain(std::iter::repeat(&b'0'));
        Ok(padded
            .take(9)
            .fold(0, |sum, b| sum * 10 + u32::from(b - b'0')))
    }

    /// A separator and digits, if they stand here.
    #[inline]
    fn optional_fraction(&mut self, parts: &mut Parts<'_>) {
        let Some((b'.' | b',', after)) = self.rest().split_first() else {
            return;
        };
        let digits = after.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits > 0
            && let Ok(nanos) = self.fraction(digits)
        {
            parts.nanos = nanos;
        }
    }

    /// A sign and an offset. 24 hours and 60 minutes or seconds are let through: some do write them.
    fn offset(&mut self, form: OffsetForm) -> Result<i32, TimestampFault> {
        let negative = match self.rest().first() {
            Some(b'+') => false,
            Some(b'-') => true,
            _ => return Err(Mismatch),
        };
        self.at += 1;
        let (colon, numbers) = match form {
            OffsetForm::Hours => (false, 1),
            OffsetForm::Minutes => (false, 2),
            OffsetForm::ColonMinutes => (true, 2),
            OffsetForm::Seconds => (false, 3),
            OffsetForm::ColonSeconds => (true, 3),
        };
        let mut seconds = 0;
        for (position, (unit, max)) in [(3600, 24), (60, 60), (1, 60)]
            .into_iter()
            .take(numbers)
            .enumerate()
        {
            if colon && position > 0 {
                if self.rest().first() != Some(&b':') {
                    return Err(Mismatch);
                }
                self.at += 1;
            }
            seconds += unit * i32::from(self.number(Width::Two, max, TimestampFault::Offset)?);
        }
        Ok(if negative { -seconds } else { seconds })
    }

    /// An abbreviation of a zone, or a short offset in its place.
    fn zone(&mut self, parts: &mut Parts<'t>) -> Result<(), TimestampFault> {
        let rest = self.rest();
        if rest.starts_with(b"UTC") {
            self.at += 3;
            parts.utc = true;
            return Ok(());
        }
        let len = zone_len(rest).ok_or(Mismatch)?;
        parts.zone = Some(&rest[..len]);
        self.at += len;
        Ok(())
    }
}

/// Length of the zone abbreviation that a text begins with: three capitals, or four or five of which the last is
/// a T, or one of a few others.
fn zone_len(text: &[u8]) -> Option<usize> {
    if text.starts_with(b"ChST") || text.starts_with(b"MeST") {
        return Some(4);
    }
    if text.starts_with(b"GMT") {
        return Some(3 + signed_hours(&text[3..]).map_or(0, |(_, len)| len));
    }
    if matches!(text.first(), Some(b'+' | b'-')) {
        return signed_hours(text).map(|(_, len)| len);
    }
    let capitals = text
        .iter()
        .take(6)
        .take_while(|b| b.is_ascii_uppercase())
        .count();
    match capitals {
        3 => Some(3),
        4 if text[3] == b'T' || text.starts_with(b"WITA") => Some(4),
        5 if text[4] == b'T' => Some(5),
        _ => None,
    }
}

/// A sign and hours from 0 to 23: the hours, and how many bytes they took.
fn signed_hours(text: &[u8]) -> Option<(i32, usize)> {
    let (sign, rest) = match text.split_first()? {
        (b'+', rest) => (1, rest),
        (b'-', rest) => (-1, rest),
        _ => return None,
    };
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 {
        return None;
    }
    let hours = rest[..digits]
        .iter()
        .try_fold(0i32, |sum, b| {
            (sum < 24).then(|| sum * 10 + i32::from(b - b'0'))
        })
        .filter(|hours| *hours < 24)?;
    Some((sign * hours, 1 + digits))
}

/// Seconds east of Greenwich that an abbreviation itself names, as `GMT+3` and `-03` do.
pub(crate) fn offset_in_name(zone: &[u8]) -> Option<i32> {
    let hours = zone.strip_prefix(b"GMT").unwrap_or(zone);
    signed_hours(hours).map(|(hours, _)| hours * 3600)
}
