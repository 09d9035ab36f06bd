//! Numbers as scripts and preserved files have them, printed and read as C does it.
//!
//! Owns:    the forms `%.Ng` and that of `add_to_payload`; the numbers that a text begins with.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  a number prints at most 32 bytes.
//! Never:   reads the locale.

use std::io::Write;

/// Digits behind the point that `add_to_payload` prints at most, and their number.
const DECIMALS: usize = 8;
const DECIMALS_UNIT: f64 = 1e8;

/// The unit of numbers with few decimals.
const SIX_DECIMALS: f64 = 1e6;

/// Appends a number in the form of `add_to_payload`: at most eight decimals without zeros at the end, half to even; above 2147483647 with 17
/// significant digits.
pub(crate) fn print_number(number: f64, out: &mut Vec<u8>) {
    let size = number.abs();
    if number.is_nan() {
        out.extend_from_slice(b"nan");
        return;
    }
    if size > f64::from(i32::MAX) {
        print_significant(number, 17, out);
        return;
    }
    let mut whole = size.trunc();
    let scaled = (size - whole) * DECIMALS_UNIT;
    let mut decimals = scaled.trunc();
    let rest = scaled - decimals;
    // Heka rounds the half of the very last digit up from nothing, too.
    if rest > 0.5 || (rest == 0.5 && (decimals == 0.0 || decimals % 2.0 == 1.0)) {
        decimals += 1.0;
        if decimals >= DECIMALS_UNIT {
            decimals = 0.0;
            whole += 1.0;
        }
    }
    if number < 0.0 {
        out.push(b'-');
    }
    print_whole(whole as u64, out);
    if decimals > 0.0 {
        print_decimals(decimals as u32, out);
    }
}

fn print_decimals(mut decimals: u32, out: &mut Vec<u8>) {
    let mut digits = [b'0'; DECIMALS];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (decimals % 10) as u8;
        decimals /= 10;
    }
    let last = digits.iter().rposition(|&digit| digit != b'0').unwrap_or(0);
    out.push(b'.');
    out.extend_from_slice(&digits[..=last]);
}

/// Appends a whole number.
pub(crate) fn print_whole(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a number with so many significant digits, 17 at most, as C's `%.*g` prints it.
pub(crate) fn print_significant(number: f64, digits: usize, out: &mut Vec<u8>) {
    if number.is_nan() {
        out.extend_from_slice(b"nan");
        return;
    }
    if number.is_sign_negative() {
        out.push(b'-');
    }
    let size = number.abs();
    if size.is_infinite() {
        out.extend_from_slice(b"inf");
        return;
    }
    const POWERS: [f64; 18] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
        1e17,
    ];
    let digits = digits.clamp(1, 17);
    if size < POWERS[digits] && size < 9e15 && size.trunc() == size {
        print_whole(size as u64, out);
        return;
    }
    // Six decimals or fewer are the number itself, exactly as far as it goes, where they make the same number again: up to fifteen digits
    // no other number has them.
    let scaled = size * SIX_DECIMALS;
    if digits <= 15
        && size >= 1e-4
        && scaled < POWERS[digits]
        && scaled.trunc() == scaled
        && scaled / SIX_DECIMALS == size
    {
        print_whole(size as u64, out);
        print_decimals((scaled % SIX_DECIMALS) as u32 * 100, out);
        return;
    }
    let mut form = Form::of(size, digits);
    form.trim();
    form.print(digits, out);
}

/// A number in the form `%.14g`, as Lua makes a text of it.
pub(crate) fn format(number: f64) -> String {
    let mut text = Vec::new();
    print_significant(number, 14, &mut text);
    text.into_iter().map(char::from).collect()
}

/// The number that a text spells as a whole: decimal or, with `0x`, hexadecimal, with white space around it.
pub(crate) fn parse(text: &[u8]) -> Option<f64> {
    let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    let first = text.iter().position(|byte| !is_space(byte))?;
    let last = text.iter().rposition(|byte| !is_space(byte))?;
    let text = &text[first..=last];
    let is_named = text.iter().any(|byte| matches!(byte, b'n' | b'N'));
    let (number, bytes) = read_number(text)?;
    (bytes == text.len() && !is_named).then_some(number)
}

/// Significant digits, and the power of ten of the first.
struct Form {
    digits: [u8; 17],
    len: usize,
    exponent: i32,
}

impl Form {
    fn of(size: f64, digits: usize) -> Form {
        let mut text = [0; 32];
        let mut rest = &mut text[..];
        // Seventeen digits, point and exponent are at most 24 bytes.
        let _ = write!(rest, "{size:.*e}", digits - 1);
        let len = 32 - rest.len();
        Form::parse(&text[..len])
    }

    fn parse(text: &[u8]) -> Form {
        let mut form = Form {
            digits: [b'0'; 17],
            len: 0,
            exponent: 0,
        };
        let end = text
            .iter()
            .position(|&byte| byte == b'e')
            .unwrap_or(text.len());
        for &digit in text[..end].iter().filter(|&&byte| byte != b'.').take(17) {
            form.digits[form.len] = digit;
            form.len += 1;
        }
        let exponent = text.get(end + 1..).unwrap_or_default();
        let exponent = std::str::from_utf8(exponent).unwrap_or_default();
        form.exponent = exponent.parse().unwrap_or(0);
        form
    }

    /// Drops zeros at the end.
    fn trim(&mut self) {
        while self.len > 1 && self.digits[self.len - 1] == b'0' {
            self.len -= 1;
        }
    }

    fn print(&self, precision: usize, out: &mut Vec<u8>) {
        let digits = &self.digits[..self.len];
        if self.exponent < -4 || self.exponent >= precision as i32 {
            out.extend_from_slice(&digits[..1]);
            if digits.len() > 1 {
                out.push(b'.');
                out.extend_from_slice(&digits[1..]);
            }
            out.push(b'e');
            out.push(if self.exponent < 0 { b'-' } else { b'+' });
            let power = self.exponent.unsigned_abs();
            if power < 10 {
                out.push(b'0');
            }
            print_whole(power.into(), out);
        } else if self.exponent < 0 {
            out.extend_from_slice(b"0.");
            out.extend((1..self.exponent.unsigned_abs()).map(|_| b'0'));
            out.extend_from_slice(digits);
        } else {
            let whole = self.exponent as usize + 1;
            out.extend_from_slice(&digits[..whole.min(digits.len())]);
            out.extend((digits.len()..whole).map(|_| b'0'));
            if digits.len() > whole {
                out.push(b'.');
                out.extend_from_slice(&digits[whole..]);
            }
        }
    }
}

/// The number that a text begins with, and how many bytes spell it, as C's `strtod` reads it; no white space in front.
pub(crate) fn read_number(text: &[u8]) -> Option<(f64, usize)> {
    let (negative, sign) = match text.first()? {
        b'-' => (true, 1),
        b'+' => (false, 1),
        _ => (false, 0),
    };
    let (size, bytes) = read_size(&text[sign..])?;
    Some((if negative { -size } else { size }, sign + bytes))
}

fn read_size(text: &[u8]) -> Option<(f64, usize)> {
    let first = *text.first()?;
    match first {
        b'0' if matches!(text.get(1), Some(b'x' | b'X')) => {
            // Where no digit follows, it is the zero in front.
            Some(read_hexadecimal(&text[2..]).map_or((0.0, 1), |(size, bytes)| (size, bytes + 2)))
        }
        b'0'..=b'9' | b'.' => read_decimal(text),
        b'i' | b'I' => {
            let begins = |word: &[u8]| {
                text.get(..word.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(word))
            };
            match (begins(b"infinity"), begins(b"inf")) {
                (true, _) => Some((f64::INFINITY, 8)),
                (_, true) => Some((f64::INFINITY, 3)),
                _ => None,
            }
        }
        b'n' | b'N' => {
            let nan = text.get(..3)?.eq_ignore_ascii_case(b"nan");
            nan.then(|| (f64::NAN, 3 + in_brackets(&text[3..])))
        }
        _ => None,
    }
}

/// Bytes of `(...)` behind `nan`.
fn in_brackets(text: &[u8]) -> usize {
    if text.first() != Some(&b'(') {
        return 0;
    }
    let inside = text[1..]
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
        .count();
    match text.get(inside + 1) {
        Some(b')') => inside + 2,
        _ => 0,
    }
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn read_decimal(text: &[u8]) -> Option<(f64, usize)> {
    let whole = digits(text);
    let mut end = whole;
    if text.get(end) == Some(&b'.') {
        let decimals = digits(&text[end + 1..]);
        if whole + decimals == 0 {
            return None;
        }
        end += 1 + decimals;
    } else if whole < 16 && !matches!(text.get(end), Some(b'e' | b'E')) {
        let number = text[..whole]
            .iter()
            .fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        return Some((number as f64, whole));
    }
    end += exponent(&text[end..], [b'e', b'E']).1;
    let number = std::str::from_utf8(&text[..end]).ok()?.parse().ok()?;
    Some((number, end))
}

/// An exponent behind one of two letters: its value, held within a million, and its bytes; nothing where it has no digit.
fn exponent(text: &[u8], letters: [u8; 2]) -> (i32, usize) {
    if !text.first().is_some_and(|letter| letters.contains(letter)) {
        return (0, 0);
    }
    let (negative, sign) = match text.get(1) {
        Some(b'-') => (true, 1),
        Some(b'+') => (false, 1),
        _ => (false, 0),
    };
    let start = 1 + sign;
    let count = digits(&text[start..]);
    if count == 0 {
        return (0, 0);
    }
    let value = text[start..start + count].iter().fold(0_i32, |sum, digit| {
        (sum * 10 + i32::from(digit - b'0')).min(1_000_000)
    });
    (if negative { -value } else { value }, start + count)
}

fn read_hexadecimal(text: &[u8]) -> Option<(f64, usize)> {
    let mut value = 0_u64;
    let mut power = 0_i32;
    let mut any = false;
    let mut point = false;
    let mut end = 0;
    for &byte in text {
        match (char::from(byte).to_digit(16), byte) {
            (Some(digit), _) => {
                any = true;
                if value >> 60 == 0 {
                    value = value << 4 | u64::from(digit);
                    power = power.saturating_sub(if point { 4 } else { 0 });
                } else {
                    // A bit below those that are kept says that the number is not the one between two.
                    value |= u64::from(digit != 0);
                    power = power.saturating_add(if point { 0 } else { 4 });
                }
            }
            (None, b'.') if !point => point = true,
            _ => break,
        }
        end += 1;
    }
    if !any {
        return None;
    }
    let (shift, bytes) = exponent(&text[end..], [b'p', b'P']);
    Some((
        libm::scalbn(value as f64, power.saturating_add(shift)),
        end + bytes,
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_of_numbers() {
        for (number, text) in [
            (0.1 + 0.2, "0.3"),
            (1.0 / 3.0, "0.33333333333333"),
            (1e15, "1e+15"),
            (123456789012345.0, "1.2345678901234e+14"),
            (12345678901234.0, "12345678901234"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-2.5, "-2.5"),
            (100.0, "100"),
            (-0.0, "-0"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(format(number), text);
        }
    }

    #[test]
    fn texts_spell_numbers() {
        for (text, number) in [
            ("12", Some(12.0)),
            (" -1.5e2 ", Some(-150.0)),
            ("0x10", Some(16.0)),
            ("-0xff", Some(-255.0)),
            ("", None),
            ("-", None),
            ("inf", None),
            ("nan", None),
            ("1 2", None),
            ("0x", None),
            ("--1", None),
        ] {
            assert_eq!(parse(text.as_bytes()), number, "{text}");
        }
    }

    fn printed(number: f64) -> String {
        let mut out = Vec::new();
        print_number(number, &mut out);
        String::from_utf8(out).expect("ascii")
    }

    fn significant(number: f64, digits: usize) -> String {
        let mut out = Vec::new();
        print_significant(number, digits, &mut out);
        String::from_utf8(out).expect("ascii")
    }

    #[test]
    fn numbers_print_as_heka_prints_them() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.2, "1.2"),
            (-1.5, "-1.5"),
            (99.1, "99.1"),
            (92.002, "92.002"),
            (91.10001, "91.10001"),
            (0.12345678, "0.12345678"),
            (0.123456789, "0.12345679"),
            (0.999999999, "1"),
            (1.999999996, "2"),
            (1e-9, "0"),
            (-1e-9, "-0"),
            (2147483647.0, "2147483647"),
            (2147483647.5, "2147483647.5"),
            (2147483648.0, "2147483648"),
            (-2147483648.0, "-2147483648"),
            (1e18, "1e+18"),
            (1401218713000000000.0, "1.401218713e+18"),
            (12345678901234.5, "12345678901234.5"),
            (f64::NAN, "nan"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(printed(number), text);
        }
        // Halves of the last digit go to the even one; those of nothing go up.
        assert_eq!(printed(0.5 / DECIMALS_UNIT), "0.00000001");
        assert_eq!(printed(1.0 + 1.0 / 512.0), "1.00195312");
        assert_eq!(printed(1.0 + 3.0 / 512.0), "1.00585938");
    }

    fn c_significant(number: f64, digits: usize) -> String {
        // The standard library prints the digits; this puts them together as the C standard says, another way.
        let text = format!("{:.*e}", digits - 1, number);
        let (mantissa, exponent) = text.split_once('e').expect("an exponent");
        let exponent: i32 = exponent.parse().expect("a number");
        let trim = |text: &str| match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => text.to_owned(),
        };
        match exponent < -4 || exponent >= digits as i32 {
            true => {
                let sign = if exponent < 0 { '-' } else { '+' };
                format!("{}e{sign}{:02}", trim(mantissa), exponent.abs())
            }
            false => trim(&format!(
                "{number:.*}",
                (digits as i32 - 1 - exponent).max(0) as usize
            )),
        }
    }

    fn c_strtod(text: &str) -> Option<(f64, usize)> {
        // Cut at what the longest number in front is, by trying every prefix.
        (1..=text.len())
            .rev()
            .find_map(|end| Some((text[..end].parse().ok()?, end)))
    }

    proptest! {
        #[test]
        fn any_number_prints_with_any_precision(bits: u64, digits in 1_usize..=17) {
            let number = f64::from_bits(bits);
            prop_assume!(number.is_finite());
            prop_assert_eq!(significant(number, digits), c_significant(number, digits));
        }

        #[test]
        fn plain_numbers_print_with_any_precision(whole in -1_000_000_000_i64..1_000_000_000, shift in 0_i32..12, digits in 1_usize..=17) {
            let number = whole as f64 / 10_f64.powi(shift);
            prop_assert_eq!(significant(number, digits), c_significant(number, digits));
            let back: f64 = printed(number).parse().expect("a number");
            prop_assert!((back - number).abs() <= 0.5000001e-8, "{number} {back}");
        }

        #[test]
        fn numbers_are_read_as_far_as_they_go(text in "[-+]?[0-9]{0,18}\\.?[0-9]{0,5}([eE][-+]?[0-9]{0,3})?[ ,a]?") {
            let text = text.as_str();
            prop_assume!(!text.is_empty());
            let read = read_number(text.as_bytes());
            prop_assert_eq!(read, c_strtod(text));
        }

        #[test]
        fn any_bytes_are_read_or_not(text: Vec<u8>) {
            if let Some((_, bytes)) = read_number(&text) {
                prop_assert!(bytes > 0 && bytes <= text.len());
            }
        }
    }

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        for (text, number, bytes) in [
            ("0x10", 16.0, 4),
            ("-0x1p4", -16.0, 6),
            ("0x1.8", 1.5, 5),
            ("0x.8p+1z", 1.0, 7),
            ("0xg", 0.0, 1),
            ("0x1p", 1.0, 3),
            ("0x1fffffffffffffffff", 590295810358705651711.0, 20),
            ("infinity", f64::INFINITY, 8),
            ("-INF ", f64::NEG_INFINITY, 4),
            ("infin", f64::INFINITY, 3),
            ("1e999999999999", f64::INFINITY, 14),
            ("007", 7.0, 3),
            ("1..2", 1.0, 2),
        ] {
            assert_eq!(
                read_number(text.as_bytes()),
                Some((number, bytes)),
                "{text}"
            );
        }
        for (text, bytes) in [("nan", 3), ("NaN(12_a)x", 9), ("nan(1", 3)] {
            let read = read_number(text.as_bytes()).expect("a number");
            assert!(read.0.is_nan() && read.1 == bytes, "{text}");
        }
        for text in ["", "-", "+", ".", "e5", "in", "na", "--1", " 1"] {
            assert_eq!(read_number(text.as_bytes()), None, "{text}");
        }
    }
}
