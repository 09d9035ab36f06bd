//! Filters at work: running one over a delivery, and gathering what it injects.
//!
//! Owns:    `Injection`, a filter's view of its shard during one call.
//! Runs on: the filter's home shard.            Plane: data.
//! Bounds:  a call may fill one injection batch; when no batch is free, injection is refused and the filter told so.
//! Never:   routes inside the call: injected batches are queued and routed after it.

use std::sync::Arc;

use codecs::error::Full;
use codecs::message::{Draft, Header, Mark, MessageRef};

use super::Shard;
use super::intake::random_uuid;
use crate::event::DropCause;
use crate::io::clock;
use crate::pack::{Batch, ConsumerId, Origin};
use crate::plugin::FilterContext;

/// A filter's view of its shard during one call.
pub(super) struct Injection<'a> {
    shard: &'a Shard,
    by: ConsumerId,
    /// Injections behind the messages that the filter is looking at.
    loops: u8,
    batch: Option<Arc<Batch>>,
    /// Where the message begins that is being filled in; left behind by a panic.
    unfinished: Option<Mark>,
    now: i64,
}

impl<'a> Injection<'a> {
    pub(super) fn new(shard: &'a Shard, by: ConsumerId, loops: u8) -> Self {
        Injection {
            shard,
            by,
            loops,
            batch: None,
            unfinished: None,
            now: clock::wall(),
        }
    }

    /// Queues what was injected for routing.
    pub(super) fn finish(self) {
        if let Some(mut batch) = self.batch {
            if let Some(mark) = self.unfinished {
                let unique = Arc::get_mut(&mut batch).expect("a batch being filled is not shared");
                unique.table.rollback(mark);
            }
            self.shard.queue_injected(batch);
        }
    }

    /// The batch to fill, and where to note what is unfinished in it.
    fn filling(&mut self) -> Option<(&mut Batch, &mut Option<Mark>)> {
        if self.batch.is_none() {
            let mut batch = self.shard.injections.borrow_mut().take()?;
            Arc::get_mut(&mut batch)
                .expect("a taken batch is not shared")
                .origin = Origin::Injected { by: self.by };
            self.batch = Some(batch);
        }
        let batch = self.batch.as_mut()?;
        let batch = Arc::get_mut(batch).expect("a batch being filled is not shared");
        Some((batch, &mut self.unfinished))
    }

    fn draft_headers(
        shard: &Shard,
        by: ConsumerId,
        now: i64,
        draft: &mut Draft<'_>,
    ) -> Result<(), Full> {
        let topology = &shard.topology;
        let uuid = random_uuid(&mut shard.random.borrow_mut());
        draft.set(Header::Uuid, &uuid[..])?;
        draft.set(Header::Logger, topology.consumer(by).name.as_str())?;
        draft.set(Header::Hostname, topology.hostname.as_str())?;
        draft.set_pid(topology.pid);
        draft.set_timestamp(now);
        Ok(())
    }
}

impl FilterContext for Injection<'_> {
    fn now(&self) -> i64 {
        self.now
    }

    fn captures(&mut self, message: MessageRef<'_>, each: &mut dyn FnMut(&str, &[u8])) {
        self.shard.captures(self.by, message, each);
    }

    fn inject(&mut self, fill: &mut dyn FnMut(&mut Draft<'_>) -> Result<(), Full>) -> bool {
        let (shard, by, now) = (self.shard, self.by, self.now);
        if self.loops >= shard.topology.loops_max {
            shard.drop_injection(by, DropCause::LoopLimit);
            return true;
        }
        let loops = self.loops + 1;
        let Some((batch, unfinished)) = self.filling() else {
            return false;
        };
        let mark = batch.table.mark();
        *unfinished = Some(mark);
        let filled = batch.table.begin().and_then(|mut draft| {
            draft.set_loops(loops);
            Self::draft_headers(shard, by, now, &mut draft)?;
            fill(&mut draft)
        });
        *unfinished = None;
        if filled.is_err() {
            batch.table.rollback(mark);
            return false;
        }
        shard.count_consumer(by, |counters| counters.injected += 1);
        true
    }
}
