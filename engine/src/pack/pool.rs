//! The batches of one shard: all made at start, taken for a read, held in flight, cleared and reused.
//!
//! Owns:    every batch of the shard, and how many destinations still hold each one in flight.
//! Runs on: every shard.            Plane: data.
//! Bounds:  the number of batches is fixed; an empty pool makes inputs wait (see `shard::streams`).
//! Never:   allocates after start.

use std::sync::Arc;

use codecs::limits::TABLE_MESSAGES_MAX;
use codecs::message::TableLimits;

use super::{Batch, PoolKind, ShardId};

const WORDS: usize = TABLE_MESSAGES_MAX.div_ceil(64);

/// A batch that destinations hold.
#[derive(Debug)]
struct Flight {
    batch: Option<Arc<Batch>>,
    holds: u32,
    /// Messages that at least one destination asked for.
    routed: u32,
    /// A destination that had to take them did not.
    withheld: bool,
    /// Messages that some destination dropped, so that each counts once.
    dropped: [u64; WORDS],
}

/// A batch whose last hold is gone.
#[derive(Debug)]
pub struct Landed {
    /// The batch, to be given back to the pool.
    pub batch: Arc<Batch>,
    /// Messages that every destination which asked for them has taken.
    pub delivered: u64,
    /// A destination that had to take its messages did not: the batch must not be acknowledged.
    pub withheld: bool,
}

/// The batches of one shard.
#[derive(Debug)]
pub struct Pool {
    free: Vec<Arc<Batch>>,
    flights: Vec<Flight>,
}

impl Pool {
    /// A pool of `count` batches.
    pub fn new(count: usize, limits: TableLimits, home: ShardId, kind: PoolKind) -> Pool {
        let free = (0..count)
            .map(|slot| Arc::new(Batch::new(limits, home, slot as u32, kind)))
            .rev()
            .collect();
        let flights = (0..count)
            .map(|_| Flight {
                batch: None,
                holds: 0,
                routed: 0,
                withheld: false,
                dropped: [0; WORDS],
            })
            .collect();
        Pool { free, flights }
    }

    /// A free batch, if there is one. Only the caller has it.
    #[inline]
    pub fn take(&mut self) -> Option<Arc<Batch>> {
        self.free.pop()
    }

    /// Gives an unshared batch back; it is cleared.
    pub fn give_back(&mut self, mut batch: Arc<Batch>) {
        Arc::get_mut(&mut batch)
            .expect("a batch given back is not shared")
            .clear();
        self.free.push(batch);
    }

    /// Notes that `holds` destinations hold the batch, and keeps a share for when they are done.
    pub fn launch(&mut self, batch: &Arc<Batch>, holds: u32, routed: u32) {
        let flight = &mut self.flights[batch.slot as usize];
        debug_assert!(flight.batch.is_none() && holds > 0);
        flight.batch = Some(Arc::clone(batch));
        flight.holds = holds;
        flight.routed = routed;
        flight.withheld = false;
        flight.dropped = [0; WORDS];
    }

    /// Notes that a destination dropped a message. Answers whether it is the first to do so.
    pub fn note_drop(&mut self, slot: u32, message: u16) -> bool {
        let word = &mut self.flights[slot as usize].dropped[message as usize / 64];
        let bit = 1 << (message % 64);
        let first = *word & bit == 0;
        *word |= bit;
        first
    }

    /// How many destinations hold a batch.
    pub fn holds(&self, slot: u32) -> u32 {
        self.flights[slot as usize].holds
    }

    /// Takes one hold off, `withheld` if its messages were not taken by somebody who had to. When it was the last, answers the batch;
    /// the caller counts it and gives it back.
    ///
    /// Every share but the caller's own must have been dropped before.
    pub fn release(&mut self, slot: u32, withheld: bool) -> Option<Landed> {
        let flight = &mut self.flights[slot as usize];
        flight.withheld |= withheld;
        flight.holds -= 1;
        if flight.holds > 0 {
            return None;
        }
        let dropped: u32 = flight.dropped.iter().map(|word| word.count_ones()).sum();
        let batch = flight.batch.take().expect("a held batch is in flight");
        Some(Landed {
            batch,
            delivered: u64::from(flight.routed - dropped),
            withheld: flight.withheld,
        })
    }

    /// Whether all batches in use here and in `other` are under way, and together held `holds` times.
    pub fn is_held_by(&self, holds: u32, other: &Pool) -> bool {
        let flights = || self.flights.iter().chain(&other.flights);
        let under_way = flights().filter(|flight| flight.batch.is_some()).count();
        let held: u32 = flights()
            .filter(|flight| flight.batch.is_some())
            .map(|flight| flight.holds)
            .sum();
        under_way == self.in_use() + other.in_use() && held == holds
    }

    /// Batches, free or not.
    pub fn size(&self) -> usize {
        self.flights.len()
    }

    /// Batches that are not free.
    pub fn in_use(&self) -> usize {
        self.flights.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> Pool {
        let limits = TableLimits {
            received_bytes: 64,
            arena_bytes: 64,
            messages: 8,
            fields: 8,
        };
        Pool::new(2, limits, ShardId(0), PoolKind::Received)
    }

    #[test]
    fn a_batch_lands_with_its_last_hold() {
        let mut pool = pool();
        let batch = pool.take().expect("free");
        pool.launch(&batch, 2, 3);
        let slot = batch.slot;
        drop(batch);
        assert!(pool.note_drop(slot, 1));
        assert!(!pool.note_drop(slot, 1), "a message is dropped once");
        assert!(pool.release(slot, true).is_none());
        let landed = pool.release(slot, false).expect("last hold");
        assert_eq!((landed.delivered, landed.withheld), (2, true));
        assert_eq!(pool.in_use(), 1);
        pool.give_back(landed.batch);
        assert_eq!(pool.in_use(), 0);
    }
}
