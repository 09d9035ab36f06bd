//! Mean and deviation of a series, of all its values at once or as a window moves over it.
//!
//! Owns:    `Moments`.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  one step a value.
//! Never:   counts what is not finite.

/// What is smaller than this is no deviation, only rounding.
const DEVIATION_MIN: f64 = 1e-2;

/// Count, mean and sum of squared differences from the mean, of the finite values.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moments {
    count: u32,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn deviation(&self) -> f64 {
        match self.count {
            0 => 0.0,
            count => (self.squares / f64::from(count)).sqrt(),
        }
    }

    /// After `value` has come, Welford's step.
    fn with(self, value: f64) -> Moments {
        let before = f64::from(self.count);
        let after = before + 1.0;
        let difference = value - self.mean;
        Moments {
            count: self.count + 1,
            mean: self.mean + difference / after,
            squares: self.squares + difference * difference * before / after,
        }
    }

    /// After `value` has gone, the same step backwards.
    fn without(self, value: f64) -> Moments {
        let before = f64::from(self.count);
        let after = before - 1.0;
        if self.count <= 1 {
            return Moments::default();
        }
        let mean = (self.mean * before - value) / after;
        let (old, new) = (self.mean - value, mean - value);
        Moments {
            count: self.count - 1,
            mean,
            squares: self.squares + old * old * before / (after * after) - new * new,
        }
    }

    /// After `new` has taken the place of `old`.
    pub(super) fn moved(self, old: f64, new: f64) -> Moments {
        let mut moments = match (old.is_finite(), new.is_finite()) {
            (true, true) => self.replaced(old, new),
            (true, false) => self.without(old),
            (false, true) => self.with(new),
            (false, false) => self,
        };
        // Rounding must not make the root of it no number.
        if moments.squares < 0.0 && moments.squares > -DEVIATION_MIN {
            moments.squares = 0.0;
        }
        moments
    }

    fn replaced(self, old: f64, new: f64) -> Moments {
        let count = f64::from(self.count);
        let difference = new - old;
        let mean = self.mean + difference / count;
        let (above, below) = (new - mean, old - mean);
        Moments {
            count: self.count,
            mean,
            squares: self.squares + difference * difference / count + above * above - below * below,
        }
    }
}

/// Those of a whole series.
pub(super) fn moments_of(series: &[f64]) -> Moments {
    series
        .iter()
        .filter(|value| value.is_finite())
        .fold(Moments::default(), |moments, &value| moments.with(value))
}

/// The average of a part of a series, in deviations from the mean; no number where the part has none.
pub(super) fn average_of(part: impl Iterator<Item = f64>, moments: Moments) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in part.filter(|value| !value.is_nan()) {
        sum += value;
        count += 1.0;
    }
    if count == 0.0 || !sum.is_finite() {
        return match count == 0.0 {
            true => f64::NAN,
            false => sum,
        };
    }
    let deviation = moments.deviation();
    match deviation < DEVIATION_MIN {
        true => 0.0,
        false => (sum - count * moments.mean) / (count * deviation),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            8 => -1000.0..1000.0_f64,
            1 => Just(f64::NAN),
            1 => Just(f64::INFINITY),
        ]
    }

    proptest! {
        #[test]
        fn a_moving_window_has_the_moments_of_what_is_in_it(values in prop::collection::vec(value(), 8..60)) {
            let mut window = [f64::NAN; 8];
            let mut moments = Moments::default();
            for (index, &value) in values.iter().enumerate() {
                moments = moments.moved(window[index % 8], value);
                window[index % 8] = value;
                let all = moments_of(&window);
                prop_assert_eq!(moments.count, all.count);
                prop_assert!((moments.mean - all.mean).abs() < 1e-6);
                prop_assert!((moments.deviation() - all.deviation()).abs() < 1e-2);
            }
        }
    }
}
