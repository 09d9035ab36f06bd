//! The two forms in which tools and encoders print a timestamp.
//!
//! Owns:    RFC 3339 with nanoseconds, and the form that Go prints a time in by default.
//! Runs on: every shard.            Plane: data.
//! Bounds:  at most 64 bytes a timestamp.
//! Never:   allocates beyond the buffer's own growth.

use jiff::civil::DateTime;

use super::split;
use super::zone::Zone;
use crate::digits::{Pad, push, push_trimmed_fraction, push2};

/// Appends a time in UTC as `2006-01-02T15:04:05.999999999Z`, without the zeros at a fraction's end.
///
/// `ns`: nanoseconds since 1970-01-01 00:00:00 UTC.
pub fn format_rfc3339(ns: i64, out: &mut Vec<u8>) {
    let (seconds, nanos) = split(ns);
    let civil = Zone::utc().civil(seconds);
    push_date(civil, out);
    out.push(b'T');
    push_time(civil, out);
    push_trimmed_fraction(out, b'.', nanos);
    out.push(b'Z');
}

/// Appends a time as `2006-01-02 15:04:05.999999999 -0700 MST`, without the zeros at a fraction's end.
///
/// `ns`: nanoseconds since 1970-01-01 00:00:00 UTC.
pub fn format_go(ns: i64, zone: &Zone, out: &mut Vec<u8>) {
    let (seconds, nanos) = split(ns);
    let civil = zone.civil(seconds);
    push_date(civil, out);
    out.push(b' ');
    push_time(civil, out);
    push_trimmed_fraction(out, b'.', nanos);
    out.push(b' ');
    zone.with_abbreviation(seconds, |offset, abbreviation| {
        push_offset(out, offset, OffsetParts::Minutes, false);
        out.push(b' ');
        out.extend_from_slice(abbreviation.as_bytes());
    });
}

/// How much of an offset is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OffsetParts {
    /// Hours and minutes; seconds are cut off.
    Minutes,
    /// Hours, minutes and seconds.
    Seconds,
    /// As many as are not zero, hours always.
    Needed,
}

/// Appends an offset with its sign.
pub(crate) fn push_offset(out: &mut Vec<u8>, offset: i32, parts: OffsetParts, colons: bool) {
    let (minutes, seconds) = (
        offset.unsigned_abs() / 60,
        (offset.unsigned_abs() % 60) as u8,
    );
    let whole = parts == OffsetParts::Minutes;
    let negative = if whole { offset <= -60 } else { offset < 0 };
    out.push(if negative { b'-' } else { b'+' });
    push2(out, (minutes / 60) as u8);
    if parts == OffsetParts::Needed && offset % 3600 == 0 {
        return;
    }
    if colons {
        out.push(b':');
    }
    push2(out, (minutes % 60) as u8);
    if whole || (parts == OffsetParts::Needed && seconds == 0) {
        return;
    }
    if colons {
        out.push(b':');
    }
    push2(out, seconds);
}

fn push_date(civil: DateTime, out: &mut Vec<u8>) {
    push(out, i64::from(civil.year()), 4, Pad::Zero);
    out.push(b'-');
    push2(out, civil.month() as u8);
    out.push(b'-');
    push2(out, civil.day() as u8);
}

fn push_time(civil: DateTime, out: &mut Vec<u8>) {
    push2(out, civil.hour() as u8);
    out.push(b':');
    push2(out, civil.minute() as u8);
    out.push(b':');
    push2(out, civil.second() as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc3339(ns: i64) -> String {
        let mut out = Vec::new();
        format_rfc3339(ns, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn go(ns: i64, zone: &str) -> String {
        let mut out = Vec::new();
        format_go(ns, &Zone::named(zone).unwrap(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rfc3339_with_nanoseconds() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(
            rfc3339(1_414_448_234_638_500_000),
            "2014-10-27T22:17:14.6385Z"
        );
        assert_eq!(rfc3339(i64::MIN), "1677-09-21T00:12:43.145224192Z");
        assert_eq!(rfc3339(i64::MAX), "2262-04-11T23:47:16.854775807Z");
    }

    #[test]
    fn as_go_prints_a_time() {
        assert_eq!(
            go(1_416_840_893_000_000_000, "UTC"),
            "2014-11-24 14:54:53 +0000 UTC"
        );
        assert_eq!(
            go(1_416_840_893_120_000_000, "America/Chicago"),
            "2014-11-24 08:54:53.12 -0600 CST"
        );
        assert_eq!(
            go(1_720_493_204_000_000_001, "Asia/Kolkata"),
            "2024-07-09 08:16:44.000000001 +0530 IST"
        );
        // Seconds of an old offset are cut off, towards zero: London was 75 seconds behind Greenwich.
        assert_eq!(
            go(-5_000_000_000_000_000_000, "Europe/London"),
            "1811-07-23 15:05:25 -0001 LMT"
        );
    }

    #[test]
    fn offsets() {
        let text = |offset, parts, colons| {
            let mut out = Vec::new();
            push_offset(&mut out, offset, parts, colons);
            String::from_utf8(out).unwrap()
        };
        use OffsetParts::{Minutes, Needed, Seconds};
        assert_eq!(text(-12_600, Minutes, false), "-0330");
        assert_eq!(text(-30, Minutes, false), "+0000");
        assert_eq!(text(-30, Seconds, true), "-00:00:30");
        assert_eq!(text(19_800, Minutes, true), "+05:30");
        assert_eq!(text(19_800, Needed, true), "+05:30");
        assert_eq!(text(7200, Needed, true), "+02");
        assert_eq!(text(7201, Needed, true), "+02:00:01");
    }
}
