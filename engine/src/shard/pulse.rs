//! The sign of life of one shard, and what it runs now: for whoever watches it from outside.
//!
//! Owns:    `Pulse`, `Running`.
//! Runs on: written by its shard, read by the control plane.            Plane: data.
//! Bounds:  two words a shard, in a cache line of their own; two plain stores a call of a plugin.
//! Never:   waits for a reader, or orders anything: a reader may see a store late, never a wrong one.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::topology::Topology;
use crate::pack::{ConsumerId, InputId};

/// What a shard runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Running {
    /// Nothing of a plugin.
    Engine,
    /// An input, or one of its connections.
    Input(InputId),
    /// The splitter or decoder of a stream of an input.
    Stream(InputId),
    /// A filter.
    Filter(ConsumerId),
    /// The encoder of an output.
    Encoder(ConsumerId),
    /// An output.
    Output(ConsumerId),
}

impl Running {
    const fn pack(self) -> u32 {
        let (kind, number) = match self {
            Running::Engine => (0, 0),
            Running::Input(id) => (1, id.0),
            Running::Stream(id) => (2, id.0),
            Running::Filter(id) => (3, id.0),
            Running::Encoder(id) => (4, id.0),
            Running::Output(id) => (5, id.0),
        };
        kind << 16 | number as u32
    }

    const fn unpack(packed: u32) -> Running {
        let number = packed as u16;
        match packed >> 16 {
            1 => Running::Input(InputId(number)),
            2 => Running::Stream(InputId(number)),
            3 => Running::Filter(ConsumerId(number)),
            4 => Running::Encoder(ConsumerId(number)),
            5 => Running::Output(ConsumerId(number)),
            _ => Running::Engine,
        }
    }

    /// Who that is, for a sentence.
    pub fn name(self, topology: &Topology) -> String {
        match self {
            Running::Engine => "nothing of a plugin".to_owned(),
            Running::Input(id) => format!("the input '{}'", topology.input(id).name),
            Running::Stream(id) => {
                let unit = topology.input(id);
                let splitter = &unit.splitter_name;
                match unit.decoder_name.as_str() {
                    "" => format!("the splitter '{splitter}' of '{}'", unit.name),
                    decoder => format!(
                        "the splitter '{splitter}' or the decoder '{decoder}' of '{}'",
                        unit.name
                    ),
                }
            }
            Running::Filter(id) => format!("the filter '{}'", topology.consumer(id).name),
            Running::Encoder(id) => {
                let unit = topology.consumer(id);
                format!("the encoder '{}' of '{}'", unit.encoder_name, unit.name)
            }
            Running::Output(id) => format!("the output '{}'", topology.consumer(id).name),
        }
    }
}

/// The sign of life of one shard.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Pulse {
    beats: AtomicU64,
    running: AtomicU32,
}

impl Pulse {
    /// The shard's main future runs: nothing keeps its core.
    pub(crate) fn beat(&self) {
        // Its only writer is the shard.
        let next = self.beats.load(Ordering::Relaxed).wrapping_add(1);
        self.beats.store(next, Ordering::Relaxed);
    }

    /// How often it has run.
    pub fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }

    /// What runs now.
    pub fn running(&self) -> Running {
        Running::unpack(self.running.load(Ordering::Relaxed))
    }

    /// Notes what is called; answers what `leave` is to be given.
    #[inline]
    pub(super) fn enter(&self, who: Running) -> u32 {
        let before = self.running.load(Ordering::Relaxed);
        self.running.store(who.pack(), Ordering::Relaxed);
        before
    }

    /// The call has returned.
    #[inline]
    pub(super) fn leave(&self, before: u32) {
        self.running.store(before, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_is_known_by_kind_and_number_through_nested_calls() {
        let pulse = Pulse::default();
        let calls = [
            Running::Input(InputId(0)),
            Running::Stream(InputId(u16::MAX)),
            Running::Filter(ConsumerId(300)),
            Running::Encoder(ConsumerId(1)),
            Running::Output(ConsumerId(2)),
        ];
        let mut outer = Vec::new();
        for call in calls {
            outer.push((pulse.running(), pulse.enter(call)));
            assert_eq!(pulse.running(), call);
        }
        while let Some((before, packed)) = outer.pop() {
            pulse.leave(packed);
            assert_eq!(pulse.running(), before);
        }
        assert_eq!(pulse.running(), Running::Engine);
    }
}
