//! Tests of timestamp parsing: a table for every element, what stands in for missing parts, and properties.
//!
//! Owns:    nothing.
//! Runs on: tests.            Plane: data.
//! Bounds:  a second or two.
//! Never:   depends on the host's zone or clock.

use jiff::civil::datetime;
use proptest::prelude::*;

use super::super::Strftime;
use super::*;

/// 2015-08-20 13:14:15 UTC.
const NOW: i64 = 1_440_076_455 * NANOSECONDS;

fn parse_at(layout: &str, location: &str, text: &str, now: i64) -> Result<i64, TimestampError> {
    TimestampParser::new(layout, location)
        .unwrap()
        .parse(text.as_bytes(), now)
}

/// The text's time as RFC 3339, or the fault.
fn read(layout: &str, location: &str, text: &str) -> Result<String, TimestampFault> {
    let ns = parse_at(layout, location, text, NOW).map_err(|error| error.fault)?;
    let mut out = Vec::new();
    super::super::format_rfc3339(ns, &mut out);
    Ok(String::from_utf8(out).unwrap())
}

fn utc(text: &str) -> Result<String, TimestampFault> {
    Ok(text.into())
}

#[test]
fn every_element_of_date_and_time() {
    for (layout, text, want) in [
        ("2006-01-02", "2009-02-03", "2009-02-03T00:00:00Z"),
        ("06-1-2", "09-2-3", "2009-02-03T00:00:00Z"),
        ("06-1-2", "69-12-31", "1969-12-31T00:00:00Z"),
        ("06-1-2", "68-12-31", "2068-12-31T00:00:00Z"),
        ("Jan 2 2006", "feb 3 2009", "2009-02-03T00:00:00Z"),
        (
            "January 2 2006",
            "SEPTEMBER 30 2009",
            "2009-09-30T00:00:00Z",
        ),
        ("Jan _2 2006", "Feb  3 2009", "2009-02-03T00:00:00Z"),
        ("Jan _2 2006", "Feb 13 2009", "2009-02-13T00:00:00Z"),
        ("2006_02_01", "2009_03_02", "2009-02-03T00:00:00Z"),
        ("2006 002", "2009 034", "2009-02-03T00:00:00Z"),
        ("2006.__2", "2009. 34", "2009-02-03T00:00:00Z"),
        ("2006.__2", "2009.  4", "2009-01-04T00:00:00Z"),
        ("2006.__2", "2009.365", "2009-12-31T00:00:00Z"),
        ("2006-002", "2012-366", "2012-12-31T00:00:00Z"),
        ("2006-002 01", "2012-061 03", "2012-03-01T00:00:00Z"),
        ("Mon 2006-01-02", "Sun 2009-02-03", "2009-02-03T00:00:00Z"),
        (
            "Monday 2006-01-02",
            "wednesday 2009-02-03",
            "2009-02-03T00:00:00Z",
        ),
        (
            "2006-01-02 15:04:05",
            "2009-02-03 04:05:06",
            "2009-02-03T04:05:06Z",
        ),
        (
            "2006-01-02 15:4:5",
            "2009-02-03 4:5:6",
            "2009-02-03T04:05:06Z",
        ),
        (
            "2006-01-02 3:04PM",
            "2009-02-03 4:05PM",
            "2009-02-03T16:05:00Z",
        ),
        (
            "2006-01-02 03:04 pm",
            "2009-02-03 12:05 am",
            "2009-02-03T00:05:00Z",
        ),
        (
            "2006-01-02 03:04 PM",
            "2009-02-03 12:05 PM",
            "2009-02-03T12:05:00Z",
        ),
        (
            "2006-01-02 15 PM",
            "2009-02-03 04 PM",
            "2009-02-03T16:00:00Z",
        ),
        (
            "2006-01-02 15 PM",
            "2009-02-03 16 PM",
            "2009-02-03T16:00:00Z",
        ),
    ] {
        assert_eq!(read(layout, "", text), utc(want), "{layout} {text}");
    }
}

#[test]
fn fractions_of_a_second() {
    for (layout, text, want) in [
        ("05.000", "06.789", "06.789"),
        ("05.000", "06,789", "06.789"),
        ("05,000", "06.789", "06.789"),
        ("05.000000000", "06.000000001", "06.000000001"),
        ("05.000000000000", "06.000000001999", "06.000000001"),
        ("05.999", "06.7", "06.7"),
        ("05.999", "06.123456789123", "06.123456789"),
        ("05.999", "06", "06"),
        // The layout shows no fraction, the text has one.
        ("05", "06.5", "06.5"),
        ("5", "6,25", "06.25"),
        ("05 ", "06.5 ", "06.5"),
    ] {
        let layout = format!("2006-01-02 15:04:{layout}");
        let want = format!("2009-02-03T04:05:{want}Z");
        assert_eq!(
            read(&layout, "", &format!("2009-02-03 04:05:{text}")),
            utc(&want),
            "{layout}"
        );
    }
    let mismatch = Err(TimestampFault::Mismatch);
    assert_eq!(read("2006 05.000", "", "2009 06.78"), mismatch);
    assert_eq!(read("2006 05.000", "", "2009 06"), mismatch);
    assert_eq!(read("2006 05.000", "", "2009 06:789"), mismatch);
    assert_eq!(
        read("2006 05.000", "", "2009 06.7899"),
        Err(TimestampFault::TextAfterLayout)
    );
    assert_eq!(
        read("2006 05", "", "2009 06."),
        Err(TimestampFault::TextAfterLayout)
    );
}

#[test]
fn every_form_of_offset() {
    for (layout, text, want) in [
        ("-07", "+02", "02:00:00Z"),
        ("-0700", "+0230", "01:30:00Z"),
        ("-07:00", "-02:30", "06:30:00Z"),
        ("-070000", "+023015", "01:29:45Z"),
        ("-07:00:00", "-02:30:15", "06:30:15Z"),
        ("Z07", "Z", "04:00:00Z"),
        ("Z07", "-01", "05:00:00Z"),
        ("Z0700", "Z", "04:00:00Z"),
        ("Z0700", "+0100", "03:00:00Z"),
        ("Z07:00", "Z", "04:00:00Z"),
        ("Z07:00", "+01:00", "03:00:00Z"),
        ("Z070000", "+010000", "03:00:00Z"),
        ("Z07:00:00", "+01:00:00", "03:00:00Z"),
        ("Z07:00:00", "Z", "04:00:00Z"),
    ] {
        let text = format!("2009-02-03 04:00 {text}");
        let layout = format!("2006-01-02 15:04 {layout}");
        // An offset in the text counts, whatever the location.
        assert_eq!(
            read(&layout, "Asia/Tokyo", &text),
            utc(&format!("2009-02-03T{want}")),
            "{layout}"
        );
    }
    for (layout, text, fault) in [
        ("-0700", "0200", TimestampFault::Mismatch),
        ("-0700", "+02:00", TimestampFault::Mismatch),
        ("-0700", "Z", TimestampFault::Mismatch),
        ("-07:00", "+0200", TimestampFault::Mismatch),
        ("-07", "+2", TimestampFault::Mismatch),
        ("-0700", "+2500", TimestampFault::Offset),
        ("-0700", "+0061", TimestampFault::Offset),
        ("Z07", "z", TimestampFault::Mismatch),
    ] {
        assert_eq!(
            read(&format!("2006 {layout}"), "", &format!("2009 {text}")),
            Err(fault),
            "{layout} {text}"
        );
    }
}

#[test]
fn abbreviations_of_zones() {
    for (location, text, want) in [
        ("", "UTC", "12:00:00Z"),
        ("America/New_York", "UTC", "12:00:00Z"),
        ("America/New_York", "EST", "17:00:00Z"),
        ("America/New_York", "EDT", "16:00:00Z"),
        ("Europe/Paris", "CET", "11:00:00Z"),
        ("Europe/London", "GMT", "12:00:00Z"),
        // Nothing is known of these in this location: as in Go they count as UTC.
        ("", "EST", "12:00:00Z"),
        ("", "ABCDT", "12:00:00Z"),
        ("", "ChST", "12:00:00Z"),
        ("", "WITA", "12:00:00Z"),
        // But these say it themselves.
        ("", "GMT+3", "09:00:00Z"),
        ("", "GMT-10", "22:00:00Z"),
        ("", "-03", "15:00:00Z"),
        ("America/Sao_Paulo", "-03", "15:00:00Z"),
    ] {
        let text = format!("2009-02-03 12:00 {text}");
        assert_eq!(
            read("2006-01-02 15:04 MST", location, &text),
            utc(&format!("2009-02-03T{want}")),
            "{text}"
        );
    }
    for text in ["", "ES", "est", "ABCD", "ABCDE", "ABCDEF", "+x", "+24", "Z"] {
        let text = format!("2009-02-03 12:00 {text}");
        assert!(read("2006-01-02 15:04 MST", "", &text).is_err(), "{text}");
    }
    // Of an offset and an abbreviation the offset counts.
    assert_eq!(
        read("2006 -0700 MST", "", "2009 -0500 EST"),
        utc("2009-01-01T05:00:00Z")
    );
    assert_eq!(
        read("2006 MST -0700", "", "2009 UTC -0500"),
        utc("2009-01-01T00:00:00Z")
    );
}

#[test]
fn out_of_range_or_not_of_the_layout() {
    for (layout, text, fault, at) in [
        ("2006-01-02", "2009-13-03", TimestampFault::Month, 5),
        ("2006-01-02", "2009-00-03", TimestampFault::Month, 5),
        ("2006-01-02", "2009-02-29", TimestampFault::DayOfMonth, 0),
        ("2006-01-02", "2009-02-00", TimestampFault::DayOfMonth, 0),
        ("2006-01-02", "1900-02-29", TimestampFault::DayOfMonth, 0),
        ("2006 002", "2009 366", TimestampFault::DayOfYear, 0),
        ("2006 002", "2009 000", TimestampFault::DayOfYear, 0),
        (
            "2006 002 01",
            "2009 034 03",
            TimestampFault::DayOfYearClash,
            0,
        ),
        (
            "2006 002 02",
            "2009 034 04",
            TimestampFault::DayOfYearClash,
            0,
        ),
        ("2006 15", "2009 24", TimestampFault::Hour, 5),
        ("2006 3", "2009 13", TimestampFault::Hour, 5),
        ("2006 15:04", "2009 00:60", TimestampFault::Minute, 8),
        ("2006 15:04:05", "2009 00:00:60", TimestampFault::Second, 11),
        ("2006-01-02", "1600-01-01", TimestampFault::Range, 0),
        ("2006-01-02", "2263-01-01", TimestampFault::Range, 0),
        ("2006-01-02", "1677-09-21", TimestampFault::Range, 0),
        ("2006-01-02", "2009-02", TimestampFault::Mismatch, 7),
        ("2006-01-02", "2009-2-03", TimestampFault::Mismatch, 5),
        ("2006-01-02", "200x-02-03", TimestampFault::Mismatch, 0),
        (
            "2006-01-02",
            "2009-02-03T",
            TimestampFault::TextAfterLayout,
            10,
        ),
        ("Jan 2006", "Jen 2009", TimestampFault::Mismatch, 0),
        ("Mon 2006", "Mun 2009", TimestampFault::Mismatch, 0),
        ("2006 PM", "2009 pm", TimestampFault::Mismatch, 5),
        ("2006 pm", "2009 PM", TimestampFault::Mismatch, 5),
        ("2006 PM", "2009 P", TimestampFault::Mismatch, 5),
        ("2006\u{e9}", "2009e", TimestampFault::Mismatch, 4),
        ("Mon", "", TimestampFault::Mismatch, 0),
        ("", "", TimestampFault::Mismatch, 0),
    ] {
        let want = Err(TimestampError { fault, at });
        assert_eq!(parse_at(layout, "", text, NOW), want, "{layout} {text}");
    }
    // The first nanosecond there is.
    let first = "1677-09-21T00:12:43.145224192Z";
    assert_eq!(parse_at("RFC3339Nano", "", first, NOW), Ok(i64::MIN));
}

#[test]
fn runs_of_blanks_are_alike() {
    let layout = "2006  Jan 2";
    assert_eq!(
        read(layout, "", "2009 Feb   3"),
        utc("2009-02-03T00:00:00Z")
    );
    assert_eq!(read(layout, "", "2009Feb 3"), Err(TimestampFault::Mismatch));
    assert_eq!(read("2006 ", "", "2009"), utc("2009-01-01T00:00:00Z"));
}

#[test]
fn named_layouts_stand_in_for_the_configured_one() {
    let same = "2009-02-03T04:05:06Z";
    for (text, want) in [
        ("Tue Feb  3 04:05:06 2009", same),
        ("Tue Feb  3 04:05:06 UTC 2009", same),
        ("Tue Feb 03 04:05:06 +0000 2009", same),
        ("03 Feb 09 04:05 UTC", "2009-02-03T04:05:00Z"),
        ("03 Feb 09 04:05 -0100", "2009-02-03T05:05:00Z"),
        ("Tuesday, 03-Feb-09 04:05:06 UTC", same),
        ("Tue, 03 Feb 2009 04:05:06 UTC", same),
        ("Tue, 03 Feb 2009 05:05:06 +0100", same),
        ("2009-02-03T04:05:06Z", same),
        (
            "2009-02-03T04:05:06.000000001+01:00",
            "2009-02-03T03:05:06.000000001Z",
        ),
        ("4:05PM", "2015-08-20T16:05:00Z"),
        ("Feb  3 04:05:06", "2015-02-03T04:05:06Z"),
        ("Feb  3 04:05:06.007", "2015-02-03T04:05:06.007Z"),
    ] {
        // The second is the default of PayloadXmlDecoder, which is no layout at all.
        for layout in ["", "2012-04-23T18:25:43.511Z", "2006/01/02"] {
            assert_eq!(read(layout, "UTC", text), utc(want), "{layout} {text}");
        }
    }
    // The error is the configured layout's.
    let error = parse_at("2006/01/02", "", "2009-02-03", NOW).unwrap_err();
    assert_eq!((error.fault, error.at), (TimestampFault::Mismatch, 4));
}

#[test]
fn names_of_layouts_are_layouts() {
    assert_eq!(
        read("ANSIC", "", "Tue Feb  3 04:05:06 2009"),
        utc("2009-02-03T04:05:06Z")
    );
    // As a layout of its own `RFC3339` would be letters and three hours.
    assert_eq!(
        read("RFC3339", "", "2009-02-03T04:05:06Z"),
        utc("2009-02-03T04:05:06Z")
    );
    let error = parse_at("RFC3339", "", "2009-02-03 04:05:06Z", NOW).unwrap_err();
    assert_eq!(error.at, 10);
    for (name, layout) in NAMED_LAYOUTS {
        // A layout shows a time of its own form, but for `Z07:00` and `_2`.
        let text = layout.replace("Z07:00", "Z").replace('_', " ");
        assert!(parse_at(name, "", &text, NOW).is_ok(), "{name}");
    }
}

#[test]
fn missing_date_is_today_and_missing_year_is_this_year() {
    assert_eq!(read("15:04", "", "04:05"), utc("2015-08-20T04:05:00Z"));
    assert_eq!(
        read("Jan _2 15:04", "", "Feb 13 04:05"),
        utc("2015-02-13T04:05:00Z")
    );
    assert_eq!(
        read("Jan _2 15:04", "", "Jan  1 04:05"),
        utc("2015-01-01T04:05:00Z")
    );
    assert_eq!(read("002", "", "060"), utc("2015-03-01T00:00:00Z"));
    assert_eq!(read("2 15:04", "", "7 04:05"), utc("2015-01-07T04:05:00Z"));
    assert_eq!(
        read("2006-01-02", "", "0000-05-06"),
        utc("2015-05-06T00:00:00Z")
    );
    assert_eq!(read("Monday", "", "Friday"), utc("2015-08-20T00:00:00Z"));
    // 2015 has no 29 February.
    assert_eq!(read("Jan 2", "", "Feb 29"), utc("2015-03-01T00:00:00Z"));
    assert_eq!(read("Jan 2", "", "Feb 30"), Err(TimestampFault::DayOfMonth));
    assert_eq!(
        read("2006 Jan 2", "", "2015 Feb 29"),
        Err(TimestampFault::DayOfMonth)
    );
    let leap = 1_709_164_800 * NANOSECONDS; // 2024-02-29 00:00 UTC
    assert_eq!(parse_at("Jan 2", "", "Feb 29", leap), Ok(leap));
}

#[test]
fn today_and_this_year_are_those_of_the_location() {
    // 2014-12-31 23:30 UTC is 2015-01-01 08:30 in Tokyo.
    let now = utc_instant(datetime(2014, 12, 31, 23, 30, 0, 0)) * NANOSECONDS;
    let at = |y, m, d, h, min| utc_instant(datetime(y, m, d, h, min, 0, 0)) * NANOSECONDS;
    assert_eq!(
        parse_at("15:04", "", "23:15", now),
        Ok(at(2014, 12, 31, 23, 15))
    );
    assert_eq!(
        parse_at("15:04", "Asia/Tokyo", "08:15", now),
        Ok(at(2014, 12, 31, 23, 15))
    );
    assert_eq!(
        parse_at("Jan 2 15:04", "Asia/Tokyo", "Jan 1 00:00", now),
        Ok(at(2014, 12, 31, 15, 0))
    );
    assert_eq!(
        parse_at("Jan 2 15:04", "", "Jan 1 00:00", now),
        Ok(at(2014, 1, 1, 0, 0))
    );
}

#[test]
fn clocks_that_skip_and_repeat() {
    let layout = "2006-01-02 15:04:05";
    let read = |text| read(layout, "America/New_York", text);
    // 02:30 does not exist: read with the offset from before, -5.
    assert_eq!(read("2024-03-10 02:30:00"), utc("2024-03-10T07:30:00Z"));
    assert_eq!(read("2024-03-10 01:59:59"), utc("2024-03-10T06:59:59Z"));
    assert_eq!(read("2024-03-10 03:00:00"), utc("2024-03-10T07:00:00Z"));
    // 01:30 exists twice: the first, -4, is taken.
    assert_eq!(read("2024-11-03 01:30:00"), utc("2024-11-03T05:30:00Z"));
    assert_eq!(read("2024-11-03 02:00:00"), utc("2024-11-03T07:00:00Z"));
    // With the abbreviation the text says which.
    let named = |text| super::tests::read("2006-01-02 15:04 MST", "America/New_York", text);
    assert_eq!(named("2024-11-03 01:30 EDT"), utc("2024-11-03T05:30:00Z"));
    assert_eq!(named("2024-11-03 01:30 EST"), utc("2024-11-03T06:30:00Z"));
}

#[test]
fn layouts_that_cannot_be_used() {
    let error = |layout: &str, location: &str| TimestampParser::new(layout, location).unwrap_err();
    assert_eq!(
        error("EpochSeconds", ""),
        LayoutError::Epoch("EpochSeconds".into())
    );
    assert!(error("Epochal", "").to_string().contains("`EpochNano`"));
    assert_eq!(error(&"x".repeat(1025), ""), LayoutError::TooLong(1025));
    assert!(matches!(error("2006", "Nowhere"), LayoutError::Location(_)));
    assert_eq!(parse_at("EpochMilli", "", "1.5", 0), Ok(1_500_000));
    // An Epoch layout has no others to fall back to.
    assert_eq!(
        parse_at("Epoch", "", "4:05PM", 0).unwrap_err().fault,
        TimestampFault::Digits
    );
}

/// Go layouts and the strftime formats that write them, with all that a time has.
const TWINS: [(&str, &str); 8] = [
    (
        "2006-01-02T15:04:05.000000000Z07:00",
        "%Y-%m-%dT%H:%M:%S.%N%:z",
    ),
    (
        "2006-01-02 15:04:05 -0700 MST",
        "%Y-%m-%d %H:%M:%S.%N %z %Z",
    ),
    (
        "Mon Jan _2 15:04:05.999 2006 -07:00",
        "%a %b %e %H:%M:%S.%N %Y %:z",
    ),
    (
        "Monday, January 2 2006 03:04:05,000000000 PM -07:00:00",
        "%A, %B %-d %Y %I:%M:%S,%N %p %::z",
    ),
    ("2006 002 3h4m5 pm -070000", "%Y %j %-Ih%-Mm%-S.%N %P %z00"),
    ("06/1/2 15.04.05 MST", "%y/%-m/%-d %H.%M.%S.%N UTC"),
    (
        "2006 __2 15:04:05.999999999 Z0700",
        "%Y %_3j %H:%M:%S.%N %z",
    ),
    ("02 Jan 2006 15:04:05Z07:00:00", "%d %b %Y %H:%M:%S.%NZ"),
];

proptest! {
    #[test]
    fn what_was_written_is_read_back(ns: i64, twin in 0..TWINS.len(), zone in 0..3usize) {
        let (layout, format) = TWINS[twin];
        let name = ["UTC", "Asia/Kathmandu", "America/St_Johns"][zone];
        let literal_utc = format.ends_with('Z') || format.ends_with("UTC");
        let name = if literal_utc { "UTC" } else { name };
        // Two digits of a year tell it between 1969 and 2068 only; and old offsets have seconds, which %z has not.
        let span = 2_000_000_000 * NANOSECONDS;
        let ns = if format.starts_with("%y") { ns.rem_euclid(span) } else { ns };
        let zone = Zone::named(name).unwrap();
        prop_assume!(zone.offset(split(ns).0) % 60 == 0);
        let mut text = Vec::new();
        Strftime::new(format).unwrap().write(ns, &zone, &mut text);
        let parser = TimestampParser::new(layout, name).unwrap();
        prop_assert_eq!(parser.parse(&text, 0), Ok(ns), "{}", String::from_utf8_lossy(&text));
    }

    #[test]
    fn agrees_with_jiff(seconds in -4_000_000_000i64..6_000_000_000, zone in 0..4usize) {
        let name = ["UTC", "Europe/Berlin", "America/Santiago", "Australia/Lord_Howe"][zone];
        let civil = jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::from_second(seconds).unwrap());
        let text = civil.strftime("%d/%b/%Y:%H:%M:%S").to_string();
        let want = civil.to_zoned(jiff::tz::TimeZone::get(name).unwrap()).unwrap().timestamp();
        let parser = TimestampParser::new("02/Jan/2006:15:04:05", name).unwrap();
        prop_assert_eq!(parser.parse(text.as_bytes(), 0).map(i128::from), Ok(want.as_nanosecond()));
    }

    #[test]
    fn epoch_numbers_are_read_back(ns in 0..=i64::MAX) {
        let text = format!("{}.{:09}", ns / NANOSECONDS, ns % NANOSECONDS);
        prop_assert_eq!(parse_at("Epoch", "", &text, 0), Ok(ns));
    }

    #[test]
    fn any_text_is_read_or_refused(text: Vec<u8>, layout in "[ -~\u{e9}]{0,20}", now: i64) {
        if let Ok(parser) = TimestampParser::new(&layout, "") {
            let _ = parser.parse(&text, now);
        }
    }

    #[test]
    fn nearly_right_text_is_read_or_refused(
        text in "[A-Z][a-z]{2},? [ 0-9][0-9][ -][A-Za-z0-9]{1,4}[ -][0-9]{2,5}[T ][0-9]{2}:[0-9]{2}(:[0-9.,]{2,13})? ?[-+A-Z0-9:]{0,9}",
        layout in 0..NAMED_LAYOUTS.len(),
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "Pacific/Apia"]),
        now: i64,
    ) {
        let parser = TimestampParser::new(NAMED_LAYOUTS[layout].0, zone).unwrap();
        let whole = parser.parse(text.as_bytes(), now);
        if let Err(error) = whole {
            prop_assert!(error.at as usize <= text.len());
        }
    }
}
