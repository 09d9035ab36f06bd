//! The Mann-Whitney U test of two series.
//!
//! Owns:    ranks with ties, the statistic, its probability.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  sorts both series once.
//! Never:   takes a missing number for one that is not comparable: all of them rank alike, below every number.

use std::cmp::Ordering;
use std::f64::consts::SQRT_2;

/// U of the first series and the one-sided probability, by the normal distribution; `None` where all numbers are the same.
pub(super) fn mann_whitney(
    first: impl Iterator<Item = f64>,
    second: impl Iterator<Item = f64>,
    continuity: bool,
) -> Option<(f64, f64)> {
    let mut all: Vec<(f64, bool)> = first.map(|number| (number, true)).collect();
    let n1 = all.len() as f64;
    all.extend(second.map(|number| (number, false)));
    let n = all.len() as f64;
    let n2 = n - n1;
    all.sort_unstable_by(|one, other| order(one.0, other.0));
    let mut sum = 0.0;
    let mut ties = 0.0;
    let mut before = 0;
    for equal in all.chunk_by(|one, other| order(one.0, other.0) == Ordering::Equal) {
        let count = equal.len() as f64;
        // Equal numbers share the middle of their ranks.
        let rank = before as f64 + (count + 1.0) / 2.0;
        sum += rank * equal.iter().filter(|(_, is_first)| *is_first).count() as f64;
        ties += count.powi(3) - count;
        before += equal.len();
    }
    let correction = 1.0 - ties / (n.powi(3) - n);
    if correction == 0.0 {
        return None;
    }
    let u = sum - n1 * (n1 + 1.0) / 2.0;
    let larger = u.max(n1 * n2 - u);
    let deviation = (correction * n1 * n2 * (n + 1.0) / 12.0).sqrt();
    let half = if continuity { 0.5 } else { 0.0 };
    let z = ((larger - half - n1 * n2 / 2.0) / deviation).abs();
    Some((u, libm::erfc(z / SQRT_2) / 2.0))
}

fn order(one: f64, other: f64) -> Ordering {
    match (one.is_nan(), other.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        // Zero is zero, whatever its sign.
        (false, false) => one.partial_cmp(&other).unwrap_or(Ordering::Equal),
    }
}
