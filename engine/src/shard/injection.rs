//! Filters at work: running one over a delivery, and gathering what it injects.
//!
//! Owns:    `Injection`, a filter's view of its shard during one call.
//! Runs on: the filter's home shard.            Plane: data.
//! Bounds:  a call may fill one injection batch; when no batch is free, injection is refused and the filter told so.
//! Never:   routes inside the call: injected batches are queued and routed after it.

use std::rc::Rc;
use std::sync::Arc;

use codecs::error::Full;
use codecs::message::{Draft, Header, Mark, MessageRef};

use super::Shard;
use super::intake::random_uuid;
use crate::event::DropCause;
use crate::io::clock;
use crate::pack::{Batch, ConsumerId, Origin};
use crate::plugin::{FilterContext, LoadJob, LoadedFilter, Refusal};

/// A filter's view of its shard during one call.
pub(super) struct Injection<'a> {
    shard: &'a Shard,
    by: ConsumerId,
    /// If it stands in a place.
    loaded: Option<Rc<LoadedFilter>>,
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
            loaded: shard.loaded(by),
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

    /// Adds a message to the batch.
    fn draft(
        &mut self,
        loops: u8,
        is_strict: bool,
        fill: &mut dyn FnMut(&mut Draft<'_>) -> Result<(), Full>,
    ) -> Result<(), Refusal> {
        let (shard, by, now) = (self.shard, self.by, self.now);
        if loops >= shard.topology.loops_max {
            return Err(Refusal::Loops);
        }
        let loaded = self.loaded.clone();
        let name = match &loaded {
            Some(loaded) => &loaded.name,
            None => &shard.topology.consumer(by).name,
        };
        let Some((batch, unfinished)) = self.filling() else {
            return Err(Refusal::NoCredit);
        };
        let mark = batch.table.mark();
        *unfinished = Some(mark);
        let filled = batch.table.begin().and_then(|mut draft| {
            draft.set_loops(loops + 1);
            Self::draft_headers(shard, name, now, &mut draft)?;
            fill(&mut draft)
        });
        *unfinished = None;
        let last = batch.table.len().wrapping_sub(1);
        let refusal = match filled {
            Err(Full) => Some(Refusal::NoCredit),
            Ok(()) if is_strict && shard.would_take(by, batch.table.get(last)) => {
                Some(Refusal::Circular)
            }
            Ok(()) => None,
        };
        if let Some(refusal) = refusal {
            batch.table.rollback(mark);
            return Err(refusal);
        }
        shard.count_consumer(by, |counters| counters.injected += 1);
        Ok(())
    }

    /// Queues the batch at hand for routing.
    fn send(&mut self) {
        if let Some(batch) = self.batch.take() {
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

    pub(super) fn draft_headers(
        shard: &Shard,
        name: &str,
        now: i64,
        draft: &mut Draft<'_>,
    ) -> Result<(), Full> {
        let topology = &shard.topology;
        let uuid = random_uuid(&mut shard.random.borrow_mut());
        draft.set(Header::Uuid, &uuid[..])?;
        draft.set(Header::Logger, name)?;
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
        match self.draft(self.loops, false, fill) {
            Ok(()) => true,
            Err(Refusal::Loops) => {
                self.shard.drop_injection(self.by, DropCause::LoopLimit);
                true
            }
            Err(_) => false,
        }
    }

    fn loops(&self) -> u8 {
        self.loops
    }

    fn inject_as(
        &mut self,
        loops: u8,
        fill: &mut dyn FnMut(&mut Draft<'_>) -> Result<(), Full>,
    ) -> Result<(), Refusal> {
        let refusal = match self.draft(loops, true, fill) {
            Err(Refusal::NoCredit) if self.batch.is_some() => {
                // The batch is full: another one may have room.
                self.send();
                self.draft(loops, true, fill)
            }
            other => other,
        };
        if refusal == Err(Refusal::NoCredit) {
            match &self.batch {
                // An empty one has no room for it.
                Some(batch) if batch.table.is_empty() => return Err(Refusal::DoesNotFit),
                _ => self.shard.wants_credit(self.by),
            }
        }
        refusal
    }

    fn is_loaded(&self) -> bool {
        self.loaded.is_some()
    }

    fn give_up(&mut self, cause: DropCause) {
        self.shard.drop_injection(self.by, cause);
    }

    fn notice(&mut self, text: &mut dyn FnMut() -> String) {
        let name = match &self.loaded {
            Some(loaded) => &loaded.name,
            None => &self.shard.topology.consumer(self.by).name,
        };
        self.shard.notice(name, text);
    }

    fn load(&mut self, job: LoadJob) -> bool {
        self.shard.ask_to_load(job)
    }
}
