//! Places for filters that are loaded while the daemon runs.
//!
//! Owns:    `Vacant`, what stands in a place that nobody fills; the exchange of what stands there.
//! Runs on: the place's home shard.            Plane: data; the orders come from `control::loading`.
//! Bounds:  as many places as the plan keeps.
//! Never:   drops what is on its way to a filter that is gone: `Vacant` takes it, as the filter would have.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use codecs::message::{Header, NewValue};

use super::pulse::Running;
use super::restarts::Failure;
use super::run::ToControl;
use super::{Shard, run};
use crate::event::DropCause;
use crate::pack::ConsumerId;
use crate::plugin::{
    CodecEnd, Fault, Filter, FilterContext, FilterFactory, LastWork, LoadJob, LoadedFilter, Said,
    Selection,
};

/// Logger of the daemon's own messages.
const DAEMON: &str = "hekad";

/// Stands in a place that nobody fills. What was on its way to the filter before it has been asked for by nobody else.
struct Vacant;

impl Filter for Vacant {
    fn process(&mut self, _: Selection<'_>, _: &mut dyn FilterContext) -> Result<(), Fault> {
        Ok(())
    }
}

/// Makes `Vacant`.
pub(crate) struct Vacancy;

impl FilterFactory for Vacancy {
    fn make(&self) -> Box<dyn Filter> {
        Box::new(Vacant)
    }
}

impl Shard {
    /// The filter that was loaded into a place.
    #[inline]
    pub(super) fn loaded(&self, consumer: ConsumerId) -> Option<Rc<LoadedFilter>> {
        self.consumers.borrow()[consumer.0 as usize].loaded.clone()
    }

    /// The name of a filter or output.
    pub(super) fn name_of(&self, consumer: ConsumerId) -> String {
        match self.loaded(consumer) {
            Some(loaded) => loaded.name.clone(),
            None => self.topology.consumer(consumer).name.clone(),
        }
    }

    /// Puts a filter into a place of this shard. An error says why it cannot work; the place is as it was then.
    pub(super) fn fill_place(
        &self,
        consumer: ConsumerId,
        loaded: LoadedFilter,
    ) -> Result<(), String> {
        let loaded = Rc::new(loaded);
        let made = self.make_filter(consumer, &*loaded.factory);
        let filter = made.map_err(|failure| failure.to_string())?;
        let (before, _) = {
            let mut consumers = self.consumers.borrow_mut();
            let state = &mut consumers[consumer.0 as usize];
            state.standing.restart(&loaded.retries);
            state.loaded = Some(Rc::clone(&loaded));
            (state.filter.replace(filter), state.ticker.take())
        };
        drop(self.end_filter(consumer, before));
        if let Some(interval) = loaded.ticker_interval {
            let shard = self.me.upgrade().expect("the shard is running");
            let (stays, leaves) = flume::bounded(1);
            self.consumers.borrow_mut()[consumer.0 as usize].ticker = Some(stays);
            crate::io::spawn(run::tick_loaded(shard, consumer, leaves, interval));
        }
        Ok(())
    }

    /// Ends the filter in a place of this shard. Answers what is left to be done.
    pub(super) fn vacate(&self, consumer: ConsumerId) -> Option<LastWork> {
        let name = self.name_of(consumer);
        let (before, loaded, held) = {
            let mut consumers = self.consumers.borrow_mut();
            let state = &mut consumers[consumer.0 as usize];
            let held = std::mem::take(&mut state.standing.held);
            state.standing.down = false;
            state.ticker = None;
            let before = state.filter.replace(Box::new(Vacant));
            (before, state.loaded.take(), held)
        };
        let last = self.end_named(consumer, &name, before);
        drop(loaded);
        for (batch, delivery) in held {
            self.filter(batch, delivery);
        }
        last
    }

    /// The filter in a place has failed for good.
    pub(super) fn loaded_ended(&self, consumer: ConsumerId, error: String, is_told: bool) {
        let loaded = self.loaded(consumer);
        let name = self.name_of(consumer);
        let serial = loaded.as_ref().map_or(0, |loaded| loaded.serial);
        // Nothing is left of one that has failed.
        drop(self.vacate(consumer));
        if let Some(place) = &self.topology.consumer(consumer).place {
            place.ended.store(serial, Ordering::Release);
        }
        if let Some(loaded) = loaded.filter(|_| !is_told) {
            self.say_terminated(consumer, (&name, loaded.type_name), &error);
        }
        let ended = ToControl::LoadedEnded { name, error };
        if self.notices.try_send(ended).is_err() {
            self.probe.borrow_mut().notices_lost += 1;
        }
    }

    /// Makes an instance of a filter that is ready for messages.
    pub(super) fn make_filter(
        &self,
        consumer: ConsumerId,
        factory: &dyn FilterFactory,
    ) -> Result<Box<dyn Filter>, Failure> {
        let who = Running::Filter(consumer);
        let mut filter = self.contain(who, || factory.make())?;
        match Failure::of(self.contain(who, || filter.open())) {
            Ok(()) => Ok(filter),
            Err(failure) => {
                self.drop_filter(consumer, filter);
                Err(failure)
            }
        }
    }

    /// Drops an instance, and counts what it has made and nobody has taken. What it says in doing so is of no interest any more.
    pub(super) fn drop_filter(&self, consumer: ConsumerId, filter: Box<dyn Filter>) {
        let who = Running::Filter(consumer);
        let kept = self.contain(who, || filter.kept()).unwrap_or(0);
        for _ in 0..kept {
            self.drop_injection(consumer, DropCause::NoCredit);
        }
        let _ = self.contain(who, || drop(filter));
    }

    /// Whether filters of this shard have made messages that nobody has taken yet.
    pub(super) fn filters_keep(&self) -> bool {
        let consumers = self.consumers.borrow();
        let mut filters = consumers.iter().filter_map(|state| state.filter.as_ref());
        filters.any(|filter| filter.kept() > 0)
    }

    /// Says in a message that a filter or output has ended, unless the daemon stops.
    #[cold]
    pub(super) fn say_terminated(&self, by: ConsumerId, (name, kind): (&str, &str), why: &str) {
        if !self.stopping() && !self.ending() {
            self.say(by, &Said::terminated(name, kind, why));
        }
    }

    /// Injects a message of the daemon in the name of a filter or output of this shard, which does not get it.
    pub(super) fn say(&self, by: ConsumerId, said: &Said) {
        let Some(mut batch) = self.injections.borrow_mut().take() else {
            self.drop_injection(by, DropCause::NoCredit);
            return;
        };
        let unique = Arc::get_mut(&mut batch).expect("a taken batch is not shared");
        unique.origin = crate::pack::Origin::Injected { by };
        let now = crate::io::clock::wall();
        let filled = unique.table.begin().and_then(|mut draft| {
            super::injection::Injection::draft_headers(self, DAEMON, now, &mut draft)?;
            draft.set_loops(1);
            draft.set(Header::Type, said.message_type)?;
            draft.set(Header::Payload, said.payload.as_str())?;
            for (name, value) in &said.fields {
                let value = NewValue::String(value.as_str().into());
                draft.add_field(*name, value, None)?;
            }
            Ok(())
        });
        if filled.is_err() {
            unique.table.clear();
            self.drop_injection(by, DropCause::DoesNotFit);
        } else {
            self.count_consumer(by, |counters| counters.injected += 1);
        }
        self.queue_injected(batch);
        self.pump_injected();
    }

    /// Has a job done on the thread that loads filters.
    pub(super) fn ask_to_load(&self, job: LoadJob) -> bool {
        let has_room = self.notices.len() < crate::limits::NOTICES;
        has_room && self.notices.try_send(ToControl::Load(job.into())).is_ok()
    }

    /// A decoder or encoder has ended that the daemon must not go on without.
    pub(super) fn codec_ended(&self, end: CodecEnd<'_>) {
        self.tell_ended(end.codec, Some(end.error.to_owned()), false);
    }

    /// Notes that a filter waits for injection credit.
    pub(super) fn wants_credit(&self, by: ConsumerId) {
        let mut waiting = self.wanting.borrow_mut();
        if !waiting.contains(&by) {
            waiting.push_back(by);
        }
    }

    /// Injection credit has come back: the filter that waited longest goes on.
    pub(super) fn credit_for_injection(&self) {
        if !self.wanting.borrow().is_empty() {
            // Never inside another call.
            let shard = self.me.upgrade().expect("the shard is running");
            crate::io::spawn(async move { shard.resume_filters() });
        }
    }

    /// Filters that wait for injection credit go on in their turn, as long as there is some: one may want none any more.
    fn resume_filters(&self) {
        let has_credit = || {
            let pool = self.injections.borrow();
            pool.in_use() < pool.size()
        };
        while has_credit() {
            let next = self.wanting.borrow_mut().pop_front();
            let Some(consumer) = next else {
                return;
            };
            self.resume_filter(consumer);
        }
    }

    /// Has all filters of this shard inject what they want to before the end.
    pub(super) fn stop_filters(&self) {
        for consumer in self.filters_here() {
            self.stop_filter(consumer);
        }
        self.pump_injected();
    }

    /// Drops all filters of this shard, in order. Answers what is left to be done, and by whom.
    pub(super) fn end_filters(&self) -> Vec<(ConsumerId, LastWork)> {
        let mut left = Vec::new();
        for consumer in self.filters_here() {
            let filter = self.consumers.borrow_mut()[consumer.0 as usize]
                .filter
                .take();
            let last = self.end_filter(consumer, filter);
            left.extend(last.map(|last| (consumer, last)));
        }
        left
    }

    /// Ends an instance in order. Answers what is left to be done.
    fn end_filter(
        &self,
        consumer: ConsumerId,
        filter: Option<Box<dyn Filter>>,
    ) -> Option<LastWork> {
        self.end_named(consumer, &self.name_of(consumer), filter)
    }

    fn end_named(
        &self,
        consumer: ConsumerId,
        name: &str,
        filter: Option<Box<dyn Filter>>,
    ) -> Option<LastWork> {
        let mut filter = filter?;
        let ended = match self.contain(Running::Filter(consumer), || filter.end()) {
            Ok(ended) => ended.map_err(Failure::from),
            Err(panicked) => Err(panicked.into()),
        };
        self.drop_filter(consumer, filter);
        ended.unwrap_or_else(|failure| {
            self.notice(name, || failure.to_string());
            None
        })
    }

    fn filters_here(&self) -> Vec<ConsumerId> {
        let consumers = self.consumers.borrow();
        (0..consumers.len())
            .filter(|&index| consumers[index].filter.is_some())
            .map(|index| ConsumerId(index as u16))
            .collect()
    }
}
