//! Symbols: which part of the normal distribution a number is in, and how far two parts are from each other.
//!
//! Owns:    the borders of the parts, calculated once.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  `CARDINALITY_MAX` parts.
//! Never:   tells neighbours apart by distance: theirs is 0.

use std::f64::consts::{PI, SQRT_2};
use std::sync::LazyLock;

/// Parts of the distribution.
pub(super) const CARDINALITY_MAX: u8 = 16;

/// Digits behind the point of the published tables.
const TABLE_UNIT: f64 = 1000.0;

/// For each cardinality the borders between its parts.
static BORDERS: LazyLock<Vec<Vec<f64>>> = LazyLock::new(|| {
    let borders = |parts: u8| {
        let border = |part| quantile(f64::from(part) / f64::from(parts));
        (1..parts).map(border).collect()
    };
    (0..=CARDINALITY_MAX).map(borders).collect()
});

fn borders(cardinality: u8) -> &'static [f64] {
    BORDERS
        .get(usize::from(cardinality))
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// Where the normal distribution reaches a probability, by Newton's method.
fn quantile(probability: f64) -> f64 {
    let mut at = 0.0_f64;
    for _ in 0..32 {
        let reached = libm::erfc(-at / SQRT_2) / 2.0;
        let slope = (-at * at / 2.0).exp() / (2.0 * PI).sqrt();
        at -= (reached - probability) / slope;
    }
    at
}

/// The symbol of a number, the highest part's is 0; that of no number is the cardinality itself.
pub(super) fn symbol(number: f64, cardinality: u8) -> u8 {
    if number.is_nan() {
        return cardinality;
    }
    // The tables have three digits, cut off; the library has them as single floats.
    let below =
        |border: &f64| number < f64::from(((border * TABLE_UNIT).trunc() / TABLE_UNIT) as f32);
    let borders = borders(cardinality);
    let part = borders.iter().position(below).unwrap_or(borders.len());
    cardinality - 1 - part as u8
}

/// The least distance of numbers of two symbols.
pub(super) fn distance(one: u8, other: u8, cardinality: u8) -> f32 {
    let (low, high) = (one.min(other), one.max(other));
    let borders = borders(cardinality);
    match (borders.get(usize::from(low)), high.checked_sub(1)) {
        (Some(low_border), Some(before)) if high - low > 1 => {
            let high_border = borders.get(usize::from(before)).unwrap_or(low_border);
            ((high_border - low_border) * TABLE_UNIT).round() as f32 / TABLE_UNIT as f32
        }
        _ => 0.0,
    }
}

/// Puts what is furthest from the other in the place of a symbol that stands for no number.
pub(super) fn far_apart(one: u8, other: u8, cardinality: u8) -> (u8, u8) {
    let last = cardinality - 1;
    let furthest = |from: u8| if from > last - from { 0 } else { last };
    match (one == cardinality, other == cardinality) {
        (true, false) => (furthest(other), other),
        (false, true) => (one, furthest(one)),
        _ => (one, other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_published_tables() {
        for (one, other, cardinality, table) in [
            (0, 2, 3, 0.861),
            (3, 0, 4, 1.349),
            (1, 3, 5, 0.507),
            (0, 15, 16, 3.068),
            (4, 7, 11, 0.463),
            (2, 12, 13, 2.162),
            (5, 5, 9, 0.0),
            (5, 6, 9, 0.0),
        ] {
            assert_eq!(distance(one, other, cardinality), table);
        }
    }

    #[test]
    fn borders_are_cut_not_rounded() {
        // 0.43073 is 0.430 in the table.
        assert_eq!(symbol(0.4301, 3), 0);
        assert_eq!(symbol(0.4299, 3), 1);
        assert_eq!(symbol(-0.4301, 3), 2);
        assert_eq!(symbol(f64::INFINITY, 16), 0);
        assert_eq!(symbol(f64::NEG_INFINITY, 16), 15);
        assert_eq!(symbol(f64::NAN, 16), 16);
        assert_eq!(symbol(0.0, 2), 0);
    }
}
