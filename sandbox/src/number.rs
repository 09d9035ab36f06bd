//! Numbers as Lua 5.1 reads and prints them where the host does it itself.
//!
//! Owns:    the form `%.14g`, and the numbers that a text may spell.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  a number prints at most 24 bytes.
//! Never:   reads the locale.

/// A number in the form `%.14g`.
pub(crate) fn format(number: f64) -> String {
    significant(number, 14)
}

/// A number with so many significant digits, as C's `%.*g` prints it.
pub(crate) fn significant(number: f64, digits: usize) -> String {
    if number.is_nan() {
        return if number.is_sign_negative() {
            "-nan"
        } else {
            "nan"
        }
        .into();
    }
    if number.is_infinite() {
        return if number < 0.0 { "-inf" } else { "inf" }.into();
    }
    if number == 0.0 {
        return if number.is_sign_negative() { "-0" } else { "0" }.into();
    }
    let printed = format!("{:.*e}", digits - 1, number);
    let (mantissa, exponent) = printed.split_once('e').unwrap_or((&printed, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!(
            "{}e{sign}{:02}",
            without_zeros(mantissa),
            exponent.unsigned_abs()
        );
    }
    let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
    without_zeros(&format!("{number:.decimals$}")).into()
}

fn without_zeros(text: &str) -> &str {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    }
}

/// The number that a text spells: decimal or, with `0x`, hexadecimal, with white space around it.
pub(crate) fn parse(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let text = text.trim_matches(|one: char| one.is_ascii_whitespace() || one == '\x0b');
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let size = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(hex) => hexadecimal(hex)?,
        None => {
            let plain = digits
                .bytes()
                .all(|one| matches!(one, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
            if !plain || digits.starts_with(['+', '-', 'e', 'E']) {
                return None;
            }
            digits.parse().ok()?
        }
    };
    Some(if negative { -size } else { size })
}

fn hexadecimal(digits: &str) -> Option<f64> {
    if digits.is_empty() {
        return None;
    }
    digits.bytes().try_fold(0.0, |sum: f64, one| {
        char::from(one)
            .to_digit(16)
            .map(|digit| sum * 16.0 + f64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_as_c_prints_them() {
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
        assert_eq!(significant(2147483648.5, 17), "2147483648.5");
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
}
