//! What must hold whatever happened.
//!
//! Owns:    the comparison of what was sent, acknowledged and delivered.
//! Runs on: tests.            Plane: both.
//! Bounds:  everything that one run has delivered.
//! Never:   believes a counter: it reads what connections have taken.

use std::collections::BTreeMap;

use engine::io::sim::world;

use crate::records::{self, Stream};

/// What an output has delivered: of each stream how many records, from the first on.
pub(crate) type Delivered = BTreeMap<Stream, u64>;

/// Reads all that connections to a port have taken. Each begins with a record, each record is one that was sent, and of each stream nothing
/// comes before what stands before it.
pub(crate) fn delivered(port: u16) -> Delivered {
    let mut delivered = Delivered::new();
    for wire in world::wires(port) {
        for record in wire.taken.split_inclusive(|byte| *byte == b'\n') {
            if !record.ends_with(b"\n") {
                // Its connection broke in the middle of it.
                continue;
            }
            let (stream, number) = records::place(record);
            let next = delivered.entry(stream).or_default();
            assert!(
                number <= *next,
                "port {port}: record {number} of stream {stream} came when {next} was due"
            );
            *next = (*next).max(number + 1);
        }
    }
    delivered
}

/// Every record that was acknowledged has been delivered.
pub(crate) fn covers(port: u16, delivered: &Delivered, acknowledged: &[u64]) {
    for (stream, &count) in acknowledged.iter().enumerate() {
        let reached = delivered.get(&(stream as Stream)).copied().unwrap_or(0);
        assert!(
            reached >= count,
            "port {port}: {count} records of stream {stream} were acknowledged, {reached} delivered"
        );
    }
}
