//! How Go prints doubles, bytes and uuids.
//!
//! Owns:    the forms that `rst`, `text` and `json` share.
//! Runs on: every shard.            Plane: data.
//! Bounds:  a number prints at most 24 bytes.
//! Never:   allocates beyond the buffer's own growth.

use std::io::Write;

/// Appends a double with the fewest digits that read back as the same value, in the way of Go's `%g`: with an
/// exponent of at least two digits where it is below -4 or above 5.
///
/// `NaN`, `+Inf` and `-Inf` are spelled by `odd`, in this order.
pub(crate) fn push_double(out: &mut Vec<u8>, value: f64, odd: [&str; 3]) {
    if !value.is_finite() {
        let which = match (value.is_nan(), value > 0.0) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 2,
        };
        out.extend_from_slice(odd[which].as_bytes());
        return;
    }
    // `{:e}` gives the shortest digits: `-d.ddde-ddd`. The longest double takes 24 bytes.
    let mut scratch = [0u8; 32];
    let mut left = &mut scratch[..];
    if write!(left, "{value:e}").is_err() {
        return;
    }
    let unused = left.len();
    let printed = &scratch[..scratch.len() - unused];
    let Some(e) = printed.iter().position(|b| *b == b'e') else {
        return;
    };
    let exponent = read_exponent(&printed[e + 1..]);
    let (mantissa, negative) = match printed[..e].split_first() {
        Some((b'-', rest)) => (rest, true),
        _ => (&printed[..e], false),
    };
    if negative {
        out.push(b'-');
    }
    if (-4..6).contains(&exponent) {
        push_plain(out, mantissa, exponent);
    } else {
        out.extend_from_slice(mantissa);
        let sign = if exponent < 0 { '-' } else { '+' };
        // Writing to a vector does not fail.
        let _ = write!(out, "e{sign}{:02}", exponent.unsigned_abs());
    }
}

fn read_exponent(text: &[u8]) -> i32 {
    let (digits, sign) = match text.split_first() {
        Some((b'-', digits)) => (digits, -1),
        _ => (text, 1),
    };
    digits
        .iter()
        .fold(0, |sum, b| sum * 10 + i32::from(b - b'0'))
        * sign
}

/// Appends `d.ddd` times a power of ten without an exponent.
fn push_plain(out: &mut Vec<u8>, mantissa: &[u8], exponent: i32) {
    let mut digits = mantissa.iter().filter(|b| **b != b'.').copied();
    if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(
            b'0',
            exponent.unsigned_abs() as usize - 1,
        ));
    } else {
        for _ in 0..=exponent {
            out.push(digits.next().unwrap_or(b'0'));
        }
        if let Some(first) = digits.next() {
            out.extend_from_slice(&[b'.', first]);
        }
    }
    out.extend(digits);
}

/// Appends bytes in base64 with padding.
pub(crate) fn push_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            out.push(if place <= group.len() {
                ALPHABET[(bits >> (18 - 6 * place)) as usize & 63]
            } else {
                b'='
            });
        }
    }
}

/// Appends a uuid of 16 bytes as 8-4-4-4-12 lower-case digits; nothing for another length.
pub(crate) fn push_uuid(out: &mut Vec<u8>, uuid: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    if uuid.len() != 16 {
        return;
    }
    for (position, byte) in uuid.iter().enumerate() {
        if matches!(position, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(f: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        f(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn double(value: f64) -> String {
        text(|out| push_double(out, value, ["NaN", "+Inf", "-Inf"]))
    }

    #[test]
    fn doubles_as_go_prints_them() {
        for (value, want) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (345.6789, "345.6789"),
            (123_456.0, "123456"),
            (100_000.0, "100000"),
            (123_456.75, "123456.75"),
            (1_000_000.0, "1e+06"),
            (1_234_567.5, "1.2345675e+06"),
            (139_847_987_987_987.88, "1.3984798798798788e+14"),
            (0.1, "0.1"),
            (0.00012, "0.00012"),
            (0.000012, "1.2e-05"),
            (1e100, "1e+100"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (-f64::MIN_POSITIVE, "-2.2250738585072014e-308"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(double(value), want);
        }
    }

    #[test]
    fn base64_of_every_length() {
        for (bytes, want) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(text(|out| push_base64(out, bytes.as_bytes())), want);
        }
        assert_eq!(text(|out| push_base64(out, &[0xfb, 0xff, 0xbe])), "+/++");
    }

    #[test]
    fn uuids_have_sixteen_bytes() {
        let uuid: Vec<u8> = (0..16).map(|n| n * 17).collect();
        let want = "00112233-4455-6677-8899-aabbccddeeff";
        assert_eq!(text(|out| push_uuid(out, &uuid)), want);
        assert_eq!(text(|out| push_uuid(out, &uuid[..15])), "");
    }

    proptest! {
        #[test]
        fn doubles_read_back(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            prop_assert_eq!(double(value).parse::<f64>().unwrap().to_bits(), bits);
        }
    }
}
