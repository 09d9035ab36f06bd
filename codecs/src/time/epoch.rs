//! Timestamps that count from the Unix epoch.
//!
//! Owns:    the four `Epoch` layouts.
//! Runs on: every shard.            Plane: data.
//! Bounds:  what does not fit an i64 of nanoseconds is refused.
//! Never:   goes through floating point, which would lose the nanoseconds.

use super::timestamp::{TimestampError, TimestampFault};

/// Unit of a number that counts from 1970-01-01 00:00:00 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpochLayout {
    /// `Epoch`: seconds.
    Seconds,
    /// `EpochMilli`.
    Milliseconds,
    /// `EpochMicro`.
    Microseconds,
    /// `EpochNano`.
    Nanoseconds,
}

impl EpochLayout {
    /// The layout of that name, which is one of `Epoch`, `EpochMilli`, `EpochMicro` and `EpochNano`.
    pub fn named(name: &str) -> Option<EpochLayout> {
        Some(match name {
            "Epoch" => EpochLayout::Seconds,
            "EpochMilli" => EpochLayout::Milliseconds,
            "EpochMicro" => EpochLayout::Microseconds,
            "EpochNano" => EpochLayout::Nanoseconds,
            _ => return None,
        })
    }

    /// Decimal places from the unit down to nanoseconds.
    const fn places(self) -> u32 {
        match self {
            EpochLayout::Seconds => 9,
            EpochLayout::Milliseconds => 6,
            EpochLayout::Microseconds => 3,
            EpochLayout::Nanoseconds => 0,
        }
    }

    /// Reads digits with an optional fraction, as nanoseconds. What lies below a nanosecond is cut off.
    ///
    /// There is no sign: Heka has none either.
    pub fn parse(self, text: &[u8]) -> Result<i64, TimestampError> {
        let whole_len = text.iter().take_while(|b| b.is_ascii_digit()).count();
        let (whole, rest) = text.split_at(whole_len);
        let fraction = match rest.split_first() {
            None => rest,
            Some((b'.', fraction)) => fraction,
            Some(_) => return Err(TimestampError::new(TimestampFault::Digits, whole_len)),
        };
        let fraction_len = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
        if fraction_len != fraction.len() {
            let at = whole_len + 1 + fraction_len;
            return Err(TimestampError::new(TimestampFault::Digits, at));
        }
        if whole_len + fraction_len == 0 {
            return Err(TimestampError::new(TimestampFault::Digits, 0));
        }
        let places = self.places() as usize;
        let kept = &fraction[..fraction_len.min(places)];
        let zeros = std::iter::repeat_n(&b'0', places - kept.len());
        whole
            .iter()
            .chain(kept)
            .chain(zeros)
            .try_fold(0i64, |sum, digit| {
                sum.checked_mul(10)?.checked_add(i64::from(digit - b'0'))
            })
            .ok_or(TimestampError::new(TimestampFault::Range, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::EpochLayout::{Microseconds, Milliseconds, Nanoseconds, Seconds};
    use super::*;

    #[test]
    fn every_unit_with_and_without_fraction() {
        for (layout, text, want) in [
            (Seconds, "1414448234", 1_414_448_234_000_000_000),
            (Seconds, "1414448234.638504391", 1_414_448_234_638_504_391),
            (Seconds, "0", 0),
            (Seconds, "0.000000001", 1),
            (Seconds, "0.0000000019", 1),
            (Seconds, "5.", 5_000_000_000),
            (Seconds, ".5", 500_000_000),
            (Seconds, "000000000000000000000000000001", 1_000_000_000),
            (Milliseconds, "1414448234638", 1_414_448_234_638_000_000),
            (
                Milliseconds,
                "1414448234638.504391",
                1_414_448_234_638_504_391,
            ),
            (
                Milliseconds,
                "1414448234638.5043911232",
                1_414_448_234_638_504_391,
            ),
            (Microseconds, "1414448234638504", 1_414_448_234_638_504_000),
            (
                Microseconds,
                "1414448234638504.391",
                1_414_448_234_638_504_391,
            ),
            (
                Nanoseconds,
                "1414448234638504391",
                1_414_448_234_638_504_391,
            ),
            (
                Nanoseconds,
                "1414448234638504391.99999",
                1_414_448_234_638_504_391,
            ),
            (Nanoseconds, "9223372036854775807", i64::MAX),
        ] {
            assert_eq!(layout.parse(text.as_bytes()), Ok(want), "{layout:?} {text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused_with_its_place() {
        for (text, fault, at) in [
            ("", TimestampFault::Digits, 0),
            (".", TimestampFault::Digits, 0),
            ("-1", TimestampFault::Digits, 0),
            ("12x", TimestampFault::Digits, 2),
            ("12.3.4", TimestampFault::Digits, 4),
            ("1 ", TimestampFault::Digits, 1),
            ("9223372037", TimestampFault::Range, 0),
            ("99999999999999999999999", TimestampFault::Range, 0),
        ] {
            let want = Err(TimestampError::new(fault, at));
            assert_eq!(Seconds.parse(text.as_bytes()), want, "{text}");
        }
        assert_eq!(
            Nanoseconds.parse(b"9223372036854775808"),
            Err(TimestampError::new(TimestampFault::Range, 0))
        );
    }
}
