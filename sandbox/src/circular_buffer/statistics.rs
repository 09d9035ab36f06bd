//! What `compute` computes over a range of rows of one column.
//!
//! Owns:    the five results and the variance.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  reads every row twice at most.
//! Never:   counts a row without a number.

/// What can be computed, in the order of `NAMES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Statistic {
    Sum,
    Average,
    Deviation,
    Min,
    Max,
    Variance,
}

/// Their names.
pub(super) const NAMES: [&str; 6] = ["sum", "avg", "sd", "min", "max", "variance"];

impl Statistic {
    pub(super) fn at(index: usize) -> Statistic {
        match index {
            0 => Statistic::Sum,
            1 => Statistic::Average,
            2 => Statistic::Deviation,
            3 => Statistic::Min,
            4 => Statistic::Max,
            _ => Statistic::Variance,
        }
    }

    /// The result, and how many rows have a number.
    pub(super) fn of(self, rows: impl Iterator<Item = f64> + Clone) -> (f64, u32) {
        let numbers = rows.filter(|number| !number.is_nan());
        let active = numbers.clone().count() as u32;
        let sum = || numbers.clone().fold(0.0, |sum, number| sum + number);
        let best = |better: fn(f64, f64) -> f64| numbers.clone().reduce(better).unwrap_or(f64::NAN);
        let variance = || {
            let average = sum() / f64::from(active);
            let squares = numbers
                .clone()
                .fold(0.0, |sum, number| sum + (number - average).powi(2));
            squares / f64::from(active)
        };
        let result = match self {
            Statistic::Sum => sum(),
            Statistic::Average => sum() / f64::from(active),
            Statistic::Deviation => variance().sqrt(),
            Statistic::Min => best(f64::min),
            Statistic::Max => best(f64::max),
            Statistic::Variance => variance(),
        };
        (result, active)
    }
}
