//! Lines of an access log, cut into their values.
//!
//! Owns:    `Values`, and how each value is recognised: as the grammars of the module `common_log_format` do it.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  one line; nothing is allocated.
//! Never:   takes a line that the grammar might see otherwise.

use std::net::Ipv6Addr;
use std::ops::Range;

use super::format::{FIELDS_MAX, Part, What, is_blank};

/// Digits of a number that is surely the same double.
const DIGITS_MAX: usize = 15;

/// Bytes of a time.
const TIME_BYTES: usize = 26;

/// A value of a field.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Value {
    /// It is not there.
    #[default]
    None,
    Text(Range<usize>),
    Number(f64),
    /// A number of bytes.
    Bytes(f64),
    /// A host, and the representation that says which kind.
    Host(Range<usize>, &'static str),
}

/// The values of a line.
#[derive(Debug, Default)]
pub(super) struct Values {
    /// By the numbers of the format's fields.
    pub(super) fields: [Value; FIELDS_MAX],
    /// Nanoseconds since the Unix epoch.
    pub(super) time: i64,
}

/// The last time that was read: lines of one second share it.
#[derive(Debug, Default)]
pub(super) struct Clock {
    text: [u8; TIME_BYTES],
    time: i64,
}

/// Cuts a line. `None` where the script has to look at it.
pub(super) fn cut(
    line: &[u8],
    parts: &[Part],
    clock: &mut Clock,
    values: &mut Values,
) -> Option<()> {
    let mut at = 0;
    for part in parts {
        let rest = &line[at..];
        at += match *part {
            Part::Byte(byte) if rest.first() == Some(&byte) => 1,
            Part::Byte(_) => return None,
            Part::Blank => match rest.iter().take_while(|&&one| is_blank(one)).count() {
                0 => return None,
                blanks => blanks,
            },
            Part::Time => {
                values.time = clock.read(rest.first_chunk()?)?;
                TIME_BYTES
            }
            Part::Value(what, field) => {
                let (len, value) = value(what, rest, at)?;
                if let Some(field) = field {
                    values.fields[usize::from(field)] = value;
                }
                len
            }
        };
    }
    Some(())
}

/// The value that begins a text, and its length. `at` is where the text begins.
fn value(what: What, text: &[u8], at: usize) -> Option<(usize, Value)> {
    let (len, value) = match what {
        What::Host => return host(text, at),
        What::Word => {
            let len = text.iter().position(|&one| is_blank(one));
            let len = len.unwrap_or(text.len());
            (len, Value::Text(at..at + len))
        }
        What::Quoted => {
            let len = quoted(text);
            (len, Value::Text(at..at + len))
        }
        What::Number => number(text).map(|(len, number)| (len, Value::Number(number)))?,
        What::BytesOrNone if text.first() == Some(&b'-') => (1, Value::Bytes(0.0)),
        What::Bytes | What::BytesOrNone => {
            number(text).map(|(len, number)| (len, Value::Bytes(number)))?
        }
        What::Status => {
            let (_, number) = number(text.get(..3)?).filter(|(len, _)| *len == 3)?;
            (3, Value::Number(number))
        }
    };
    Some((len, value))
}

/// Length of a text up to its closing quote, or to a backslash with nothing behind it.
fn quoted(text: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match memchr::memchr2(b'"', b'\\', &text[at..]) {
            None => return text.len(),
            Some(found) if text[at + found] == b'\\' && at + found + 1 < text.len() => {
                at += found + 2;
            }
            Some(found) => return at + found,
        }
    }
}

fn number(text: &[u8]) -> Option<(usize, f64)> {
    let mut number = 0_u64;
    let mut len = 0;
    while let Some(digit @ b'0'..=b'9') = text.get(len) {
        if len == DIGITS_MAX {
            return None;
        }
        number = number * 10 + u64::from(digit - b'0');
        len += 1;
    }
    (len > 0).then_some((len, number as f64))
}

fn host(text: &[u8], at: usize) -> Option<(usize, Value)> {
    let found = |len, kind| Some((len, Value::Host(at..at + len, kind)));
    if let Some(len) = v4(text)
        && !name_goes_on(&text[len..])
    {
        return found(len, "ipv4");
    }
    let colon = text.iter().take(5).position(|&one| one == b':');
    if let Some(colon) = colon
        && text[..colon].iter().all(u8::is_ascii_hexdigit)
    {
        let is_part = |one: &&u8| one.is_ascii_hexdigit() || matches!(**one, b':' | b'.');
        let len = text.iter().take_while(is_part).count();
        let address = std::str::from_utf8(&text[..len]).ok()?;
        address.parse::<Ipv6Addr>().ok()?;
        return found(len, "ipv6");
    }
    match name(text) {
        0 => None,
        len => found(len, "hostname"),
    }
}

/// Length of an address of four numbers.
fn v4(text: &[u8]) -> Option<usize> {
    let mut at = octet(text)?;
    for _ in 0..3 {
        if text.get(at) != Some(&b'.') {
            return None;
        }
        at += 1;
        at += octet(&text[at..])?;
    }
    Some(at)
}

/// Length of the longest number up to 255 that begins the text; a zero stands alone.
fn octet(text: &[u8]) -> Option<usize> {
    let digit = |at: usize| text.get(at).filter(|one| one.is_ascii_digit());
    let first = digit(0)?;
    let (Some(second), true) = (digit(1), *first != b'0') else {
        return Some(1);
    };
    match (first, second, digit(2)) {
        (b'1', _, Some(_)) | (b'2', b'0'..=b'4', Some(_)) => Some(3),
        (b'2', b'5', Some(b'0'..=b'5')) => Some(3),
        _ => Some(2),
    }
}

/// Whether what looks like an address is the beginning of a name.
fn name_goes_on(rest: &[u8]) -> bool {
    let rest = rest.strip_prefix(b".").unwrap_or(rest);
    rest.first().is_some_and(u8::is_ascii_alphanumeric)
}

/// Length of a host's name.
fn name(text: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match text.get(at) {
            Some(one) if one.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(one) => at += 1,
            Some(b'%')
                if text.len() > at + 2
                    && text[at + 1..at + 3].iter().all(u8::is_ascii_hexdigit) =>
            {
                at += 3;
            }
            _ => return at,
        }
    }
}

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// Days before each month of a year that is not a leap year.
const DAYS_BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

impl Clock {
    fn read(&mut self, text: &[u8; TIME_BYTES]) -> Option<i64> {
        if *text != self.text {
            self.time = time(text)?;
            self.text = *text;
        }
        Some(self.time)
    }
}

/// Nanoseconds of a time from 1970 to 2099: others might lose digits as a double.
fn time(text: &[u8; TIME_BYTES]) -> Option<i64> {
    let marks = [
        (2, b'/'),
        (6, b'/'),
        (11, b':'),
        (14, b':'),
        (17, b':'),
        (20, b' '),
    ];
    if !marks.iter().all(|&(at, mark)| text[at] == mark) {
        return None;
    }
    let two = |at: usize| {
        let digit = |at: usize| Some(text[at]).filter(u8::is_ascii_digit);
        Some(i64::from(digit(at)? - b'0') * 10 + i64::from(digit(at + 1)? - b'0'))
    };
    let within = |at: usize, range: std::ops::RangeInclusive<i64>| {
        two(at).filter(|number| range.contains(number))
    };
    let day = within(0, 1..=31)?;
    let month = MONTHS.iter().position(|name| name[..] == text[3..6])?;
    let year = within(7, 19..=20)? * 100 + two(9)?;
    if year < 1970 {
        return None;
    }
    let (hour, minute, second) = (
        within(12, 0..=23)?,
        within(15, 0..=59)?,
        within(18, 0..=60)?,
    );
    let offset = within(22, 0..=23)? * 3600 + within(24, 0..=59)? * 60;
    let offset = match text[21] {
        b'+' => -offset,
        b'-' => offset,
        _ => return None,
    };
    // 2000 is a leap year, and no other year of these is an exception.
    let leap_days = (year - 1969) / 4 + i64::from(month > 1 && year % 4 == 0);
    let days = (year - 1970) * 365 + leap_days + DAYS_BEFORE[month] + day - 1;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second + offset;
    (seconds >= 0).then_some(seconds * 1_000_000_000)
}
