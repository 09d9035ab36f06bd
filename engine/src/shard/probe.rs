//! Sampled timings of one shard, and what is remembered for reports.
//!
//! Owns:    `Probe`.
//! Runs on: every shard.            Plane: data.
//! Bounds:  one batch in `SAMPLE_BATCHES` and one call in `SAMPLE_CALLS` is timed: two clock readings for some thousands of messages.
//! Never:   formats.

use std::time::Duration;

use crate::io::clock::Monotonic;
use crate::pack::{ConsumerId, InputId};
use crate::plugin::DecodeFailure;

/// One batch in this many is timed while it is matched.
const SAMPLE_BATCHES: u32 = 64;

/// One filter call in this many is timed. Prime, so that a plan's filters take turns at being the one.
const SAMPLE_CALLS: u32 = 67;

/// Sum of sampled durations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sampled {
    /// Messages or calls sampled.
    pub samples: u64,
    /// Their time together.
    pub total: Duration,
}

impl Sampled {
    /// Mean, nanoseconds.
    pub fn mean(&self) -> u64 {
        (self.total.as_nanos() as u64)
            .checked_div(self.samples)
            .unwrap_or(0)
    }

    /// Adds another shard's samples.
    pub fn merge(&mut self, other: &Sampled) {
        self.samples += other.samples;
        self.total += other.total;
    }
}

/// A timing that has begun.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    begun: Monotonic,
    count: u64,
}

impl Sample {
    #[inline]
    fn due(countdown: &mut u32, period: u32, messages: usize) -> Option<Sample> {
        *countdown -= 1;
        if *countdown > 0 {
            return None;
        }
        *countdown = period;
        Some(Sample {
            begun: Monotonic::now(),
            count: messages as u64,
        })
    }
}

/// Why a decoder refused a record last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastRefusal {
    failure: Option<DecodeFailure>,
    said: String,
}

impl LastRefusal {
    /// For the log; `None` if it never refused one.
    pub fn text(&self) -> Option<&str> {
        let reason = self.failure?.reason;
        Some(if self.said.is_empty() {
            reason
        } else {
            &self.said
        })
    }

    /// Takes another shard's, if that has one.
    pub fn merge(&mut self, other: &LastRefusal) {
        if other.failure.is_some() {
            self.clone_from(other);
        }
    }
}

/// Sampled timings of one shard.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Matching, per message, all consumers together.
    pub matching: Sampled,
    /// Filters' calls, by consumer.
    pub processing: Vec<Sampled>,
    /// By input: why its decoder refused a record last.
    pub decode_failures: Vec<LastRefusal>,
    /// Notices that found no room.
    pub notices_lost: u64,
    batches: u32,
    calls: u32,
}

impl Probe {
    /// A probe for a plan with so many inputs and consumers.
    pub fn new(inputs: usize, consumers: usize) -> Probe {
        Probe {
            matching: Sampled::default(),
            processing: vec![Sampled::default(); consumers],
            decode_failures: vec![LastRefusal::default(); inputs],
            notices_lost: 0,
            batches: 1,
            calls: 1,
        }
    }

    /// Before routing a batch of so many messages.
    #[inline]
    pub fn begin_match(&mut self, messages: usize) -> Option<Sample> {
        Sample::due(&mut self.batches, SAMPLE_BATCHES, messages)
    }

    /// After it.
    #[inline]
    pub fn end_match(&mut self, sample: Option<Sample>) {
        if let Some(sample) = sample {
            self.matching.samples += sample.count;
            self.matching.total += sample.begun.elapsed();
        }
    }

    /// Before a filter's call.
    #[inline]
    pub fn begin_process(&mut self, messages: usize) -> Option<Sample> {
        Sample::due(&mut self.calls, SAMPLE_CALLS, messages)
    }

    /// After it.
    #[inline]
    pub fn end_process(&mut self, consumer: ConsumerId, sample: Option<Sample>) {
        if let Some(sample) = sample {
            let sampled = &mut self.processing[consumer.0 as usize];
            sampled.samples += sample.count;
            sampled.total += sample.begun.elapsed();
        }
    }

    /// Remembers why a decoder refused a record; `said` is what it says beyond the reason.
    pub fn note_decode_failure(&mut self, input: InputId, failure: DecodeFailure, said: &str) {
        let last = &mut self.decode_failures[input.0 as usize];
        last.failure = Some(failure);
        last.said.clear();
        last.said.push_str(said);
    }
}
