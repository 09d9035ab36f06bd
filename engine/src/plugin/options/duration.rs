//! Durations as Heka's configuration writes them: "1h30m", "250ms".
//!
//! Owns:    `Duration`, its reading and its printing.
//! Runs on: build time.            Plane: control.
//! Bounds:  0 to about 292 years (nanoseconds in 63 bits), as in Go.
//! Never:   negative.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};

/// A span of time, written in Go's form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(std::time::Duration);

const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

const NANOSECONDS_MAX: u128 = i64::MAX as u128;

/// Digits of a fraction that count; further ones are below a nanosecond for every unit.
const FRACTION_DIGITS_MAX: usize = 18;

impl Duration {
    /// This many seconds.
    pub const fn seconds(seconds: u64) -> Duration {
        Duration(std::time::Duration::from_secs(seconds))
    }

    /// This many milliseconds.
    pub const fn milliseconds(milliseconds: u64) -> Duration {
        Duration(std::time::Duration::from_millis(milliseconds))
    }

    /// As the standard library's type.
    pub const fn get(self) -> std::time::Duration {
        self.0
    }
}

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DurationError {
    /// Negative.
    Negative,
    /// A number without a unit.
    NoUnit,
    /// Beyond 292 years.
    TooLong,
    /// Something else than numbers with units.
    Malformed,
}

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DurationError::Negative => "a duration cannot be negative",
            DurationError::NoUnit => {
                "a duration needs a unit: ns, us, ms, s, m or h (\"30s\", \"1h30m\")"
            }
            DurationError::TooLong => "a duration of more than 292 years",
            DurationError::Malformed => {
                "not a duration; write it as \"250ms\", \"30s\" or \"1h30m\""
            }
        })
    }
}

impl std::error::Error for DurationError {}

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let rest = text.strip_prefix('+').unwrap_or(text);
        if rest.starts_with('-') {
            return Err(DurationError::Negative);
        }
        if rest == "0" {
            return Ok(Duration::default());
        }
        if rest.is_empty() {
            return Err(DurationError::Malformed);
        }
        let mut rest = rest;
        let mut total: u128 = 0;
        while !rest.is_empty() {
            let (nanoseconds, after) = one_part(rest)?;
            total += nanoseconds;
            if total > NANOSECONDS_MAX {
                return Err(DurationError::TooLong);
            }
            rest = after;
        }
        let total = u64::try_from(total).map_err(|_| DurationError::TooLong)?;
        Ok(Duration(std::time::Duration::from_nanos(total)))
    }
}

/// Reads a number and its unit; returns nanoseconds and what follows.
fn one_part(text: &str) -> Result<(u128, &str), DurationError> {
    let number_end = text
        .find(|c: char| c != '.' && !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(number_end);
    let unit_end = rest
        .find(|c: char| c == '.' || c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (unit, after) = rest.split_at(unit_end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(DurationError::Malformed);
    }
    if unit.is_empty() {
        return Err(DurationError::NoUnit);
    }
    let scale = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or(DurationError::Malformed)?
        .1;
    let whole: u64 = match whole {
        "" => 0,
        digits => digits.parse().map_err(|_| DurationError::TooLong)?,
    };
    let mut nanoseconds = u128::from(whole) * u128::from(scale);
    if !fraction.is_empty() {
        let fraction = &fraction[..fraction.len().min(FRACTION_DIGITS_MAX)];
        let value: u64 = fraction.parse().map_err(|_| DurationError::Malformed)?;
        nanoseconds += u128::from(value) * u128::from(scale) / 10u128.pow(fraction.len() as u32);
    }
    Ok((nanoseconds, after))
}

impl fmt::Display for Duration {
    /// The shortest sum of units: "2m", "1h30m", "250ms", "1s500ms".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_nanos();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, scale) in UNITS.iter().rev().filter(|(name, _)| name.is_ascii()) {
            let count = rest / u128::from(*scale);
            rest %= u128::from(*scale);
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "go-duration", "examples": ["250ms", "30s", "1h30m"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nanoseconds(text: &str) -> Result<u128, DurationError> {
        text.parse::<Duration>()
            .map(|duration| duration.get().as_nanos())
    }

    #[test]
    fn reads_what_go_reads() {
        for (text, expected) in [
            ("0", 0),
            ("5s", 5_000_000_000),
            ("+5s", 5_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("250ms", 250_000_000),
            ("1.5h", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("5.s", 5_000_000_000),
            ("10.5s4m", 250_500_000_000),
            ("12\u{b5}s", 12_000),
            ("12\u{3bc}s", 12_000),
            ("0.9223372036854775807h", 3_320_413_933_267),
            ("2562047h47m16.854775807s", i64::MAX as u128),
        ] {
            assert_eq!(nanoseconds(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest_with_a_reason() {
        for (text, expected) in [
            ("", DurationError::Malformed),
            ("-1s", DurationError::Negative),
            ("3", DurationError::NoUnit),
            ("3s5", DurationError::NoUnit),
            ("s", DurationError::Malformed),
            (".", DurationError::Malformed),
            (".s", DurationError::Malformed),
            ("1.2.3s", DurationError::Malformed),
            ("3d", DurationError::Malformed),
            ("3 s", DurationError::Malformed),
            ("2562048h", DurationError::TooLong),
            ("99999999999999999999s", DurationError::TooLong),
        ] {
            assert_eq!(nanoseconds(text), Err(expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(nanoseconds in 0..=i64::MAX as u64) {
            let duration = Duration(std::time::Duration::from_nanos(nanoseconds));
            prop_assert_eq!(duration.to_string().parse::<Duration>(), Ok(duration));
        }

        #[test]
        fn never_panics(text in "[0-9a-z.+\u{b5}-]{0,24}") {
            let _ = text.parse::<Duration>();
        }
    }
}
