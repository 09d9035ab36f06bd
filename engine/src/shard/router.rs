//! Routes a batch to the consumers whose matcher accepts its messages.
//!
//! Owns:    the shard's matcher scratch, one row of the answer, and the lists that group answers by consumer.
//! Runs on: every shard.            Plane: data.
//! Bounds:  one batch at a time; lists grow to messages times the consumers that match and keep that size.
//! Never:   awaits, logs, reads config, or touches another shard's memory.
//!
//! The set answers with a row of bits per message. Its members are turned at once into the batch's deliveries, grouped by consumer:
//! the cost of what follows grows with the matches, not with the consumers.

use std::sync::Arc;

use codecs::message::MessageRef;
use matcher::{Capturing, Row, Scratch, SignerId};

use super::matchers::{Exchange, Matchers};
use super::topology::Topology;
use crate::pack::{Batch, ConsumerId, Origin};

/// What routing a batch found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Routed {
    /// Messages that somebody asked for.
    pub matched: u32,
    /// Messages that nobody asked for.
    pub unmatched: u32,
}

/// Messages with one answer, and a consumer that asked for them.
#[derive(Clone, Copy, Debug)]
struct Hit {
    consumer: u16,
    first: u16,
    len: u16,
}

/// Per-shard state of routing.
#[derive(Debug)]
pub struct Router {
    matchers: Arc<Matchers>,
    scratch: Scratch,
    row: Row,
    hits: Vec<Hit>,
    counts: Vec<u32>,
    touched: Vec<u16>,
}

impl Router {
    /// A router over the plan's matchers.
    pub fn new(topology: &Topology) -> Router {
        let matchers = Arc::clone(&topology.matchers);
        let set = matchers.set();
        Router {
            scratch: set.scratch(),
            row: set.row(),
            hits: Vec::new(),
            counts: vec![0; topology.consumers.len()],
            touched: Vec::new(),
            matchers,
        }
    }

    /// The matchers in force.
    pub(crate) fn matchers(&self) -> &Arc<Matchers> {
        &self.matchers
    }

    /// Routes by other matchers from now on.
    pub(crate) fn exchange(&mut self, exchange: Exchange, capturing: &mut Capturing) {
        let Router {
            matchers,
            scratch,
            row,
            ..
        } = self;
        exchange.apply(matchers, scratch, row, capturing);
    }

    /// Whether a consumer would be given a message that no signer vouches for.
    pub(crate) fn accepts(&mut self, consumer: ConsumerId, message: MessageRef<'_>) -> bool {
        let Router {
            matchers,
            scratch,
            row,
            ..
        } = self;
        matchers.set().search(scratch, message, None, row);
        row.contains(consumer.0.into())
    }

    /// Finds who asked for which messages and writes it into the batch.
    pub fn route(&mut self, batch: &mut Batch) -> Routed {
        let matchers = Arc::clone(&self.matchers);
        let signers: &[Option<SignerId>] = match batch.origin {
            Origin::Stream { input, .. } => matchers.signers(input),
            Origin::Injected { .. } | Origin::Queued { .. } | Origin::Free => &[],
        };
        let excluded = match batch.origin {
            Origin::Injected { by } => Some(by.0),
            Origin::Stream { .. } | Origin::Queued { .. } | Origin::Free => None,
        };
        self.hits.clear();
        let mut routed = Routed::default();
        let looks = matchers.set().looks();
        let mut first = 0;
        while first < batch.table.len() {
            let message = batch.table.get(first);
            let signer = match message.head().signer {
                0 => None,
                number => signers.get(number as usize - 1).copied().flatten(),
            };
            matchers
                .set()
                .search(&mut self.scratch, message, signer, &mut self.row);
            // Lines of one stream often differ in nothing that anybody asks for.
            let len = looks.repeats(&batch.table, first);
            if self.collect(first as u16, len as u16, excluded) {
                routed.matched += len as u32;
            } else {
                routed.unmatched += len as u32;
            }
            first += len;
        }
        self.group(batch);
        routed
    }

    /// Turns the row into hits of as many messages. Answers whether there was one.
    #[inline]
    fn collect(&mut self, first: u16, len: u16, excluded: Option<u16>) -> bool {
        let before = self.hits.len();
        for consumer in &self.row {
            let consumer = consumer as u16;
            if Some(consumer) == excluded {
                continue;
            }
            let count = &mut self.counts[consumer as usize];
            if *count == 0 {
                self.touched.push(consumer);
            }
            *count += u32::from(len);
            self.hits.push(Hit {
                consumer,
                first,
                len,
            });
        }
        self.hits.len() > before
    }

    /// Writes the hits into the batch, grouped by consumer, messages ascending; leaves the counts at zero.
    fn group(&mut self, batch: &mut Batch) {
        for &consumer in &self.touched {
            let count = &mut self.counts[consumer as usize];
            // From here on the count is where the consumer's next pick goes.
            *count = batch.reserve_delivery(ConsumerId(consumer), *count);
        }
        for &Hit {
            consumer,
            first,
            len,
        } in &self.hits
        {
            let next = &mut self.counts[consumer as usize];
            batch.set_picks(*next, first, len);
            *next += u32::from(len);
        }
        for consumer in self.touched.drain(..) {
            self.counts[consumer as usize] = 0;
        }
    }
}
