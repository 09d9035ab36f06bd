//! What must hold whatever happened.
//!
//! Owns:    the comparison of what was sent, acknowledged and delivered.
//! Runs on: tests.            Plane: both.
//! Bounds:  everything that one run has delivered.
//! Never:   believes a counter: it reads what connections have taken.

use std::collections::BTreeMap;

use engine::io::sim::world;

use crate::records::{self, Stream};

/// What an output has delivered of each stream, and how often.
#[derive(Debug, Default)]
pub(crate) struct Delivered {
    port: u16,
    times: BTreeMap<Stream, Vec<u32>>,
}

/// Whether what a stream has delivered may have gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Of each stream nothing comes before what stands before it.
    Kept,
    /// What was in memory when the daemon crashed comes later than what was on the disk, or never if its source does not repeat it.
    LostInCrash,
}

/// Reads all that connections to a port have taken. Each begins with a record, each record is one that was sent.
pub(crate) fn delivered(port: u16, order: Order) -> Delivered {
    let mut delivered = Delivered {
        port,
        ..Delivered::default()
    };
    for wire in world::wires(port) {
        for record in wire.taken.split_inclusive(|byte| *byte == b'\n') {
            // Its connection may have broken in the middle of the last one.
            if record.ends_with(b"\n") {
                let (stream, number) = records::place(record);
                delivered.add(stream, number as usize, order);
            }
        }
    }
    delivered
}

impl Delivered {
    fn add(&mut self, stream: Stream, number: usize, order: Order) {
        let times = self.times.entry(stream).or_default();
        let due = times.len();
        assert!(
            number <= due || order == Order::LostInCrash,
            "port {}: record {number} of stream {stream} came when {due} was due",
            self.port
        );
        times.resize(due.max(number + 1), 0);
        times[number] += 1;
    }

    /// How many records of a stream have come, if there is none behind them or before them that has not.
    pub(crate) fn whole(&self, stream: Stream) -> u64 {
        let times = self.times.get(&stream).map_or(&[][..], Vec::as_slice);
        times.iter().take_while(|times| **times > 0).count() as u64
    }

    /// Every record that was acknowledged has been delivered.
    pub(crate) fn covers(&self, acknowledged: &[u64]) {
        for (stream, &count) in acknowledged.iter().enumerate() {
            let reached = self.whole(stream as Stream);
            assert!(
                reached >= count,
                "port {}: {count} records of stream {stream} were acknowledged, but {reached} was not delivered",
                self.port
            );
        }
    }
}
