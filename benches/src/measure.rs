//! How a benchmark is timed: median and median deviation over runs, each result checked.
//!
//! Owns:    `Size`, `Pass`, `Digest`, `Timing`.
//! Runs on: the calling thread.            Plane: data, by itself.
//! Bounds:  `RUN_AT_LEAST` a run.
//! Never:   reports a time for a result that differs.

use std::time::{Duration, Instant};

use crate::Benchmark;

/// Shorter runs say more about the clock than about the code.
const RUN_AT_LEAST: Duration = Duration::from_millis(20);

/// How much input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Enough to see that it works.
    Small,
    /// Enough to measure.
    Full,
}

impl Size {
    /// Items of input.
    pub fn items(self) -> usize {
        match self {
            Size::Small => 256,
            Size::Full => 4096,
        }
    }
}

/// What one pass did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Messages, lines, timestamps.
    pub items: u64,
    /// Bytes gone through.
    pub bytes: u64,
    /// Digest of the result.
    pub digest: u64,
}

/// A digest that costs next to nothing beside what it is a digest of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Digest(u64);

impl Digest {
    /// Takes a number in.
    #[inline]
    pub fn add(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    /// Takes bytes in: their length and, of longer ones, some of them.
    #[inline]
    pub fn add_bytes(&mut self, bytes: &[u8]) {
        self.add(bytes.len() as u64);
        let mut word = 0;
        for &byte in bytes.iter().take(8) {
            word = word << 8 | u64::from(byte);
        }
        self.add(word);
        self.add(bytes.last().copied().unwrap_or(0).into());
    }

    /// All that was taken in.
    pub fn value(self) -> u64 {
        self.0
    }
}

/// Times of an item over the runs.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Median, nanoseconds.
    pub nanoseconds: f64,
    /// Median distance from it, nanoseconds.
    pub deviation: f64,
    /// Bytes of an item.
    pub bytes: f64,
    /// Items of a pass.
    pub items: u64,
}

/// Runs a benchmark so many times.
///
/// Error: the digest of a result that is not the one expected.
pub fn measure(benchmark: &Benchmark, size: Size, runs: usize) -> Result<Timing, u64> {
    let mut pass = (benchmark.prepare)(size);
    // The first pass warms caches and compiles what is compiled on first use.
    let first = pass();
    if first.digest != benchmark.digest(size) {
        return Err(first.digest);
    }
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs.max(1) {
        let start = Instant::now();
        let mut items = 0;
        while items == 0 || size == Size::Full && start.elapsed() < RUN_AT_LEAST {
            let done = pass();
            if done.digest != first.digest {
                return Err(done.digest);
            }
            items += done.items;
        }
        times.push(start.elapsed().as_nanos() as f64 / items as f64);
    }
    let middle = median(&mut times);
    let mut distances: Vec<f64> = times.iter().map(|time| (time - middle).abs()).collect();
    Ok(Timing {
        nanoseconds: middle,
        deviation: median(&mut distances),
        bytes: first.bytes as f64 / first.items as f64,
        items: first.items,
    })
}

/// The middle one of at least one number; of two in the middle the upper.
fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_that_differs_has_no_time() {
        let mut benchmark = crate::ALL[0];
        assert!(measure(&benchmark, Size::Small, 3).is_ok());
        benchmark.digests[0] ^= 1;
        let right = crate::ALL[0].digest(Size::Small);
        assert_eq!(measure(&benchmark, Size::Small, 3).err(), Some(right));
    }

    #[test]
    fn medians_and_digests() {
        assert_eq!(median(&mut [5.0, 1.0, 9.0]), 5.0);
        let digest = |texts: &[&str]| {
            let mut digest = Digest::default();
            texts
                .iter()
                .for_each(|text| digest.add_bytes(text.as_bytes()));
            digest.value()
        };
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_ne!(digest(&["a", "b"]), digest(&["b", "a"]));
    }
}
