//! Tests of strftime: a table of every conversion, errors, and jiff's own printing as the oracle.
//!
//! Owns:    nothing.
//! Runs on: tests.            Plane: data.
//! Bounds:  a second or two.
//! Never:   depends on the host's zone or clock.

use proptest::prelude::*;

use super::super::strftime_compile::FormatFault;
use super::*;

/// 2009-02-03 04:05:06.007008009 UTC, a Tuesday: nearly every number has one digit.
const EARLY: i64 = 1_233_633_906_007_008_009;
/// 2012-12-30 23:58:59.999999999 UTC, a Sunday at the end of a leap year.
const LATE: i64 = 1_356_911_939_999_999_999;

fn text(format: &str, ns: i64, zone: &str) -> String {
    let zone = Zone::named(zone).unwrap();
    let mut out = b">".to_vec();
    Strftime::new(format).unwrap().write(ns, &zone, &mut out);
    String::from_utf8(out).unwrap().split_off(1)
}

#[test]
fn every_conversion() {
    for (format, early, late) in [
        ("%A", "Tuesday", "Sunday"),
        ("%a", "Tue", "Sun"),
        ("%B", "February", "December"),
        ("%b", "Feb", "Dec"),
        ("%C", "20", "20"),
        ("%c", "Tue Feb  3 04:05:06 2009", "Sun Dec 30 23:58:59 2012"),
        ("%D", "02/03/09", "12/30/12"),
        ("%d", "03", "30"),
        ("%e", " 3", "30"),
        ("%F", "2009-02-03", "2012-12-30"),
        ("%f", "007008", "999999"),
        ("%G", "2009", "2012"),
        ("%g", "09", "12"),
        ("%H", "04", "23"),
        ("%h", "Feb", "Dec"),
        ("%I", "04", "11"),
        ("%j", "034", "365"),
        ("%k", " 4", "23"),
        ("%L", "007", "999"),
        ("%l", " 4", "11"),
        ("%M", "05", "58"),
        ("%m", "02", "12"),
        ("%N", "007008009", "999999999"),
        ("%n", "\n", "\n"),
        ("%P", "am", "pm"),
        ("%p", "AM", "PM"),
        ("%R", "04:05", "23:58"),
        ("%r", "04:05:06 AM", "11:58:59 PM"),
        ("%S", "06", "59"),
        ("%s", "1233633906", "1356911939"),
        ("%T", "04:05:06", "23:58:59"),
        ("%t", "\t", "\t"),
        ("%U", "05", "53"),
        ("%u", "2", "7"),
        ("%V", "06", "52"),
        ("%v", " 3-Feb-2009", "30-Dec-2012"),
        ("%W", "05", "52"),
        ("%w", "2", "0"),
        ("%X", "04:05:06", "23:58:59"),
        ("%x", "02/03/09", "12/30/12"),
        ("%Y", "2009", "2012"),
        ("%y", "09", "12"),
        ("%Z", "UTC", "UTC"),
        ("%z", "+0000", "+0000"),
        ("%%", "%", "%"),
    ] {
        assert_eq!(text(format, EARLY, "UTC"), early, "{format}");
        assert_eq!(text(format, LATE, "UTC"), late, "{format}");
    }
}

#[test]
fn flags_widths_and_modifiers() {
    for (format, want) in [
        ("%-d/%-m", "3/2"),
        ("%_H|%0e", " 4|03"),
        ("%6Y|%_6Y|%010s", "002009|  2009|1233633906"),
        ("%3N|%6N|%9N|%1L|%4f", "007|007008|007008009|0|0070"),
        ("%^a|%^B|%#Z|%#p|%#b|%^P", "TUE|FEBRUARY|utc|am|FEB|AM"),
        ("%5a|", "  Tue|"),
        ("%Ey|%Od|%EX", "09|03|04:05:06"),
        ("%:z|%::z|%:::z", "+00:00|+00:00:00|+00"),
    ] {
        assert_eq!(text(format, EARLY, "UTC"), want, "{format}");
    }
}

#[test]
fn formats_of_configs() {
    let default = "[%Y/%b/%d:%H:%M:%S %z] ";
    assert_eq!(text(default, EARLY, "UTC"), "[2009/Feb/03:04:05:06 +0000] ");
    assert_eq!(
        text(default, EARLY, "America/St_Johns"),
        "[2009/Feb/03:00:35:06 -0330] "
    );
    assert_eq!(
        text("/var/log/%Y-%m-%d\u{e9}.log", LATE, "UTC"),
        "/var/log/2012-12-30\u{e9}.log"
    );
    assert_eq!(text("", LATE, "UTC"), "");
    assert_eq!(
        text("%Z", 1_720_493_204 * 1_000_000_000, "America/New_York"),
        "EDT"
    );
    assert!(Strftime::new("/tmp/plain%n").unwrap().is_constant());
    assert!(!Strftime::new("/tmp/%Y").unwrap().is_constant());
}

#[test]
fn errors_name_the_fault_and_its_place() {
    for (format, fault, at) in [
        ("%Q", FormatFault::Unknown('Q'), 0),
        ("%Y-%q", FormatFault::Unknown('q'), 3),
        ("caf\u{e9} %\u{e9}", FormatFault::Unknown('\u{e9}'), 6),
        ("100%", FormatFault::Unfinished, 3),
        ("%-", FormatFault::Unfinished, 0),
        ("%12", FormatFault::Unfinished, 0),
        ("%E", FormatFault::Unfinished, 0),
        ("%65Y", FormatFault::Width, 0),
        ("%99999999999999999999Y", FormatFault::Width, 0),
        ("%10N", FormatFault::Width, 0),
        ("%-F", FormatFault::Option('F'), 0),
        ("%^d", FormatFault::Option('d'), 0),
        ("%-a", FormatFault::Option('a'), 0),
        ("%:Y", FormatFault::Option('Y'), 0),
        ("%5z", FormatFault::Option('z'), 0),
        ("%5%", FormatFault::Option('%'), 0),
        ("%Ed", FormatFault::Option('d'), 0),
    ] {
        let error = Strftime::new(format).unwrap_err();
        assert_eq!(error, FormatError { fault, at }, "{format}");
        assert!(error.to_string().contains(&at.to_string()), "{error}");
    }
    let long = "x".repeat(super::super::FORMAT_BYTES_MAX + 1);
    assert_eq!(
        Strftime::new(&long).unwrap_err().fault,
        FormatFault::TooLong
    );
}

proptest! {
    #[test]
    fn agrees_with_jiff(ns: i64, zone in prop::sample::select(vec!["UTC", "America/St_Johns", "Australia/Lord_Howe"])) {
        // jiff prints the seconds of an old offset, which strftime has no place for.
        const FORMAT: &str = "%A %a %B %b %C %D %d %e %F %G %g %H %h %I %j %k %l %M %m %N %P %p %R %S %s %T %U \
                              %u %V %W %w %Y %y %Z %-d %_m %04e %6Y %^a %3N";
        let stamp = jiff::Timestamp::from_nanosecond(i128::from(ns)).unwrap();
        let rules = jiff::tz::TimeZone::get(zone).unwrap();
        let zoned = stamp.to_zoned(rules);
        prop_assume!(ns >= 0 || ns % NANOSECONDS == 0);
        prop_assert_eq!(text(FORMAT, ns, zone), zoned.strftime(FORMAT).to_string());
        if zoned.offset().seconds() % 60 == 0 {
            prop_assert_eq!(text("%z %:z", ns, zone), zoned.strftime("%z %:z").to_string());
        }
    }

    #[test]
    fn any_format_is_written_or_refused(format in "(%?[-_0^#:EO]{0,2}[0-9]{0,2}[ -~\u{e9}]){0,6}", ns: i64) {
        if let Ok(compiled) = Strftime::new(&format) {
            let mut out = Vec::new();
            compiled.write(ns, &Zone::utc(), &mut out);
            prop_assert!(out.len() <= 64 * format.len());
        }
    }
}

use super::super::NANOSECONDS;
