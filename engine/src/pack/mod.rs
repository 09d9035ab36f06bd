//! The unit of work: a batch of messages that came from one read of one stream.
//!
//! Owns:    `Batch`, `Origin`, `Delivery`, the identifiers of shards, inputs, streams and consumers.
//! Runs on: made and freed on its home shard; read on any.            Plane: data.
//! Bounds:  `limits::batch_limits`.
//! Never:   changes once it is shared.
//!
//! A batch is filled and routed by its home shard while nobody else has it, then shared read-only by `Arc`: crossing a core
//! costs a few atomic operations per batch, not per message. Every consumer gives its share back to the home shard,
//! which frees the batch when all shares have come back.

pub mod pool;

use codecs::message::{MessageTable, TableLimits};

/// Number of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u16);

/// Number of an input in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InputId(pub u16);

/// Number of a filter or output in the plan; the same as in the matcher's set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConsumerId(pub u16);

/// Number of a stream on its shard; reused when the stream has ended and nothing of it is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u32);

/// Where a batch came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere yet.
    Free,
    /// Read from a stream; batches of a stream are numbered without gaps.
    Stream {
        /// The input.
        input: InputId,
        /// The stream.
        stream: StreamId,
        /// Number of this batch in the stream.
        sequence: u64,
    },
    /// Injected by a filter, which never receives it.
    Injected {
        /// The filter.
        by: ConsumerId,
    },
    /// Come out of a consumer's disk queue, for it alone; batches of a lane are numbered without gaps.
    Queued {
        /// The filter or output.
        consumer: ConsumerId,
        /// Number of the lane among those that its home reads.
        lane: u16,
        /// Number of this batch in the lane.
        sequence: u64,
    },
}

/// Which of a shard's pools a batch belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolKind {
    /// What inputs read.
    Received,
    /// What filters inject.
    Injected,
    /// What is read from disk queues.
    Queued,
    /// What has gone through a disk queue without being read.
    Handed,
}

/// The messages of a batch for one consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Who.
    pub consumer: ConsumerId,
    start: u32,
    len: u32,
}

/// Messages that came from one read, and who asked for which.
#[derive(Debug)]
pub struct Batch {
    /// The messages.
    pub table: MessageTable,
    /// Where they came from.
    pub origin: Origin,
    pub(crate) home: ShardId,
    pub(crate) slot: u32,
    pub(crate) pool: PoolKind,
    deliveries: Vec<Delivery>,
    picks: Vec<u16>,
}

impl Batch {
    fn new(limits: TableLimits, home: ShardId, slot: u32, pool: PoolKind) -> Batch {
        Batch {
            table: MessageTable::new(limits),
            origin: Origin::Free,
            home,
            slot,
            pool,
            deliveries: Vec::new(),
            picks: Vec::new(),
        }
    }

    fn clear(&mut self) {
        self.table.clear();
        self.origin = Origin::Free;
        self.deliveries.clear();
        self.picks.clear();
    }

    /// Who gets messages of it.
    #[inline]
    pub fn deliveries(&self) -> &[Delivery] {
        &self.deliveries
    }

    /// Whether a disk queue has what it has.
    pub(crate) fn is_from_queue(&self) -> bool {
        matches!(self.pool, PoolKind::Queued | PoolKind::Handed)
    }

    /// Moves the messages into an empty batch, which has the given delivery as its only one afterwards.
    pub(crate) fn move_into(&mut self, other: &mut Batch, delivery: usize) {
        debug_assert!(other.table.is_empty() && other.deliveries.is_empty());
        std::mem::swap(&mut self.table, &mut other.table);
        let Delivery { consumer, len, .. } = self.deliveries[delivery];
        other.picks.extend_from_slice(self.picks(delivery));
        other.deliveries.push(Delivery {
            consumer,
            start: 0,
            len,
        });
    }

    /// The indices of a delivery's messages, ascending.
    #[inline]
    pub fn picks(&self, delivery: usize) -> &[u16] {
        let Delivery { start, len, .. } = self.deliveries[delivery];
        &self.picks[start as usize..][..len as usize]
    }

    /// Room for a delivery of `len` messages; answers where its picks start.
    pub(crate) fn reserve_delivery(&mut self, consumer: ConsumerId, len: u32) -> u32 {
        let start = self.picks.len() as u32;
        self.picks.resize(self.picks.len() + len as usize, 0);
        self.deliveries.push(Delivery {
            consumer,
            start,
            len,
        });
        start
    }

    /// Sets picks of a reserved delivery to messages that follow each other.
    #[inline]
    pub(crate) fn set_picks(&mut self, at: u32, first: u16, len: u16) {
        let picks = &mut self.picks[at as usize..][..len as usize];
        for (pick, message) in picks.iter_mut().zip(first..) {
            *pick = message;
        }
    }
}
