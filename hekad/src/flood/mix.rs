//! Which messages of a flood are signed, corrupt, oversized, and of which variant.
//!
//! Owns:    the choice, a pure function of the seed and the sequence number.
//! Runs on: every sending thread.            Plane: data.
//! Bounds:  a few operations a message, no memory.
//! Never:   draws from a generator with state: any number can be asked for, in any order.
//!
//! Of N messages exactly round(N * percent / 100) are chosen, spread over the whole run. The sequence number is
//! mapped one to one onto 0..N by multiplication with a number that has no divisor in common with N; those that land
//! below the count are chosen. Damage (oversized, then corrupt) takes neighbouring ranges of one such mapping, so no
//! message is both; the choice of signed ones has a mapping of its own.

use crate::flood::settings::Settings;

/// Period of the choice in a run without end, messages.
const ENDLESS_PERIOD: u64 = 1_000_000;

/// Variants of a variable-size flood, as in Heka's tool.
pub(crate) const VARIANTS: usize = 64;

/// What one message shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// Over the receiver's limit.
    pub(crate) oversized: bool,
    /// One byte changed.
    pub(crate) corrupt: bool,
    /// Signed.
    pub(crate) signed: bool,
    /// Which of the variants; 0 in a flood of one fixed message.
    pub(crate) variant: u8,
}

/// The choice for a whole run.
#[derive(Clone, Debug)]
pub(crate) struct Mix {
    damage: Spread,
    signing: Spread,
    oversized: u64,
    corrupt: u64,
    signed: u64,
    variable: bool,
    seed: u64,
}

impl Mix {
    /// The choice that the settings ask for.
    pub(crate) fn new(settings: &Settings) -> Mix {
        let period = settings.messages.unwrap_or(ENDLESS_PERIOD);
        let share = |percent: f64| ((period as f64 * percent / 100.0).round() as u64).min(period);
        let oversized = share(settings.oversized_percent);
        Mix {
            damage: Spread::new(period, settings.seed),
            signing: Spread::new(period, settings.seed ^ 0x9e37_79b9_7f4a_7c15),
            oversized,
            corrupt: share(settings.corrupt_percent).min(period - oversized),
            signed: share(settings.signed_percent),
            variable: settings.variable,
            seed: settings.seed,
        }
    }

    /// What message `sequence` shall be.
    #[inline]
    pub(crate) fn kind(&self, sequence: u64) -> Kind {
        let (mut oversized, mut corrupt) = (false, false);
        if self.oversized + self.corrupt > 0 {
            let place = self.damage.place(sequence);
            oversized = place < self.oversized;
            corrupt = !oversized && place < self.oversized + self.corrupt;
        }
        let signed = self.signed > 0
            && (self.signed == self.signing.period || self.signing.place(sequence) < self.signed);
        let variant = if self.variable {
            (scramble(sequence ^ self.seed) % VARIANTS as u64) as u8
        } else {
            0
        };
        Kind {
            oversized,
            corrupt,
            signed,
            variant,
        }
    }
}

/// A one-to-one mapping of 0..period onto itself that sends neighbours far apart.
#[derive(Clone, Debug)]
struct Spread {
    period: u64,
    step: u64,
    offset: u64,
}

impl Spread {
    fn new(period: u64, seed: u64) -> Spread {
        let period = period.max(1);
        // Near the golden section every prefix of the run gets about its share; the seed moves it a little.
        let golden = (period as f64 * 0.618_033_988_749_895) as u64 + scramble(seed) % 97;
        let step = (golden..)
            .find(|&step| step > 0 && common_divisor(step, period) == 1)
            .unwrap_or(1);
        Spread {
            period,
            step: step % period,
            offset: scramble(seed.wrapping_add(1)) % period,
        }
    }

    #[inline]
    fn place(&self, sequence: u64) -> u64 {
        let product =
            u128::from(sequence % self.period) * u128::from(self.step) + u128::from(self.offset);
        match u64::try_from(product) {
            Ok(small) => small % self.period,
            Err(_) => (product % u128::from(self.period)) as u64,
        }
    }
}

fn common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Mixes the bits of a number (the finishing step of splitmix64).
#[inline]
pub(crate) fn scramble(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flood::settings::tests::plain;

    fn mix(messages: u64, corrupt: f64, signed: f64, oversized: f64, seed: u64) -> Mix {
        Mix::new(&Settings {
            messages: Some(messages),
            corrupt_percent: corrupt,
            signed_percent: signed,
            oversized_percent: oversized,
            seed,
            ..plain("x:1")
        })
    }

    #[test]
    fn shares_are_exact_and_damage_is_disjoint() {
        for messages in [1, 2, 3, 7, 10, 100, 999, 1000, 4096, 10_007] {
            for (corrupt, signed, oversized) in [
                (0.0, 0.0, 0.0),
                (1.0, 50.0, 2.0),
                (33.3, 100.0, 66.7),
                (100.0, 0.1, 0.0),
            ] {
                for seed in [0, 1, 77] {
                    let mix = mix(messages, corrupt, signed, oversized, seed);
                    let kinds: Vec<Kind> =
                        (0..messages).map(|sequence| mix.kind(sequence)).collect();
                    let share = |percent: f64| (messages as f64 * percent / 100.0).round() as usize;
                    let count =
                        |test: fn(&Kind) -> bool| kinds.iter().filter(|kind| test(kind)).count();
                    assert_eq!(count(|kind| kind.oversized), share(oversized));
                    let room = messages as usize - share(oversized);
                    assert_eq!(
                        count(|kind| kind.corrupt),
                        share(corrupt).min(room),
                        "{messages} {corrupt} {seed}"
                    );
                    assert_eq!(count(|kind| kind.signed), share(signed));
                    assert_eq!(count(|kind| kind.oversized && kind.corrupt), 0);
                }
            }
        }
    }

    #[test]
    fn the_chosen_ones_are_spread_over_the_run() {
        let mix = mix(100_000, 1.0, 0.0, 0.0, 0);
        for part in 0..10 {
            let chosen = (part * 10_000..(part + 1) * 10_000)
                .filter(|&sequence| mix.kind(sequence).corrupt)
                .count();
            assert!((90..=110).contains(&chosen), "part {part} has {chosen}");
        }
    }

    #[test]
    fn an_endless_run_repeats_its_period() {
        let mix = Mix::new(&Settings {
            messages: None,
            corrupt_percent: 1.0,
            ..plain("x:1")
        });
        let chosen = (5 * ENDLESS_PERIOD..6 * ENDLESS_PERIOD)
            .filter(|&sequence| mix.kind(sequence).corrupt)
            .count();
        assert_eq!(chosen, 10_000);
    }
}
