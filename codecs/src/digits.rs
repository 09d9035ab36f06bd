//! Decimal numbers, some of fixed or least width, appended to a buffer.
//!
//! Owns:    padding.
//! Runs on: every shard.            Plane: data.
//! Bounds:  at most `width` or 20 bytes a number, whichever is more.
//! Never:   allocates beyond the buffer's own growth.

/// What fills a number up to its width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pad {
    /// Zeros, after the sign.
    Zero,
    /// Blanks, before the sign.
    Space,
}

/// Appends an integer.
#[inline]
pub(crate) fn push_integer(out: &mut Vec<u8>, value: i64) {
    push(out, value, 0, Pad::Zero);
}

/// Appends `value`, filled up to `width` bytes.
pub(crate) fn push(out: &mut Vec<u8>, value: i64, width: usize, pad: Pad) {
    let mut reversed = [0u8; 20];
    let mut len = 0;
    let mut rest = value.unsigned_abs();
    loop {
        reversed[len] = b'0' + (rest % 10) as u8;
        len += 1;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let sign = usize::from(value < 0);
    let missing = width.saturating_sub(len + sign);
    let end = out.len() + missing;
    if pad == Pad::Space {
        out.resize(end, b' ');
    }
    if value < 0 {
        out.push(b'-');
    }
    if pad == Pad::Zero {
        out.resize(end + sign, b'0');
    }
    out.extend(reversed[..len].iter().rev());
}

/// Appends two digits of a value below 100.
#[inline]
pub(crate) fn push2(out: &mut Vec<u8>, value: u8) {
    out.extend_from_slice(&[b'0' + value / 10, b'0' + value % 10]);
}

/// Appends the first `digits` (1 to 9) digits of a fraction of a second.
pub(crate) fn push_fraction(out: &mut Vec<u8>, nanos: u32, digits: usize) {
    let mut all = [0u8; 9];
    let mut rest = nanos;
    for digit in all.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&all[..digits]);
}

/// Appends `separator` and a fraction without its trailing zeros; nothing for 0.
pub(crate) fn push_trimmed_fraction(out: &mut Vec<u8>, separator: u8, nanos: u32) {
    if nanos == 0 {
        return;
    }
    let (mut digits, mut rest) = (9, nanos);
    while rest % 10 == 0 {
        rest /= 10;
        digits -= 1;
    }
    out.push(separator);
    push_fraction(out, nanos, digits);
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn integers_print_as_rust_prints_them(value: i64) {
            proptest::prop_assert_eq!(text(value, 0, Pad::Zero), format!("x{value}"));
        }
    }

    fn text(value: i64, width: usize, pad: Pad) -> String {
        let mut out = b"x".to_vec();
        push(&mut out, value, width, pad);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_filled_up_to_their_width() {
        assert_eq!(text(0, 0, Pad::Zero), "x0");
        assert_eq!(text(7, 2, Pad::Zero), "x07");
        assert_eq!(text(7, 2, Pad::Space), "x 7");
        assert_eq!(text(-7, 4, Pad::Zero), "x-007");
        assert_eq!(text(-7, 4, Pad::Space), "x  -7");
        assert_eq!(text(12345, 2, Pad::Zero), "x12345");
        assert_eq!(text(i64::MIN, 0, Pad::Zero), "x-9223372036854775808");
    }

    #[test]
    fn fractions_keep_leading_and_lose_trailing_zeros() {
        let mut out = Vec::new();
        push_fraction(&mut out, 1_002_000, 3);
        push_fraction(&mut out, 1_002_000, 9);
        push_trimmed_fraction(&mut out, b'.', 1_002_000);
        push_trimmed_fraction(&mut out, b'.', 0);
        push_trimmed_fraction(&mut out, b',', 999_999_999);
        assert_eq!(out, b"001001002000.001002,999999999");
    }
}
