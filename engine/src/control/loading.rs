//! Loads filters into their places while the daemon runs, and ends them.
//!
//! Owns:    `Loading`, a thread that does one thing after the other; what stands in which place; the matchers in force.
//! Runs on: a thread of its own.            Plane: control.
//! Bounds:  `JOBS` wait; every wait for a shard has a deadline.
//! Never:   stops the flow of messages: matchers are compiled here and exchanged on each shard between two batches (`shard::matchers`).
//!
//! A filter is ended in three steps: no shard routes to it any more; what is on its way to it has arrived; it is dropped. So no message that
//! its matcher accepted is kept from it, and none that was meant for it reaches the next one in its place.

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::placement::{NOTHING, wanted};
use crate::event::ConsumerCounters;
use crate::io::clock::Monotonic;
use crate::pack::ConsumerId;
use crate::plugin::{FilterLoader, LoadJob, LoadedFilter, ReadFilter, Said, WantedFilter};
use crate::shard::Notice;
use crate::shard::matchers::{Exchange, Matchers};
use crate::shard::run::{ToControl, ToShard};
use crate::shard::topology::{ConsumerUnit, Role, Topology};

/// Things to do that may wait.
const JOBS: usize = 256;

/// How long a shard may take to answer.
const ANSWER: Duration = Duration::from_secs(30);

/// How long what is on its way to a filter is waited for before it is ended.
const DRAIN: Duration = Duration::from_secs(5);

/// Between two looks at what is on its way.
const LOOK: Duration = Duration::from_millis(5);

/// Between two looks at filters that have ended by themselves, at the most.
const SWEEP: Duration = Duration::from_secs(1);

/// Something to do.
enum Task {
    /// A filter asks for it.
    Job(LoadJob),
    /// A filter has ended by itself.
    Sweep,
}

/// The thread that loads filters.
pub(super) struct Loading {
    tasks: flume::Sender<Task>,
    stopping: Arc<AtomicBool>,
    /// Nothing comes; it is closed when the thread has ended.
    ended: flume::Receiver<()>,
}

impl Loading {
    /// Starts the thread if the plan keeps places for filters.
    pub(super) fn start(
        topology: &Arc<Topology>,
        orders: Vec<flume::Sender<ToShard>>,
        news: flume::Sender<ToControl>,
    ) -> io::Result<Option<Loading>> {
        if topology.reader.is_none() {
            return Ok(None);
        }
        let (tasks, waiting) = flume::bounded(JOBS);
        let (running, ended) = flume::bounded(1);
        let loader = Loader::new(topology, orders, news);
        let stopping = Arc::clone(&loader.stopping);
        std::thread::Builder::new()
            .name("load".into())
            .spawn(move || {
                loader.run(&waiting);
                drop(running);
            })?;
        Ok(Some(Loading {
            tasks,
            stopping,
            ended,
        }))
    }

    /// Ends the thread when it has done what it is doing; what waits is given up. What answers is closed when that has happened.
    pub(super) fn stop(self) -> flume::Receiver<()> {
        self.stopping.store(true, Ordering::Release);
        self.ended
    }

    /// Has something done. What finds no room is given up, and whoever asked for it is told.
    pub(super) fn job(&self, job: LoadJob) -> Result<(), &'static str> {
        let sent = self.tasks.try_send(Task::Job(job));
        sent.map_err(|_| "too much is waiting to be loaded; an order to load or unload is dropped")
    }

    /// A filter has ended by itself.
    pub(super) fn ended(&self) {
        // Where that finds no room there is something to do, and before that the thread looks anyway.
        let _ = self.tasks.try_send(Task::Sweep);
    }
}

/// What the thread works with.
struct Loader {
    topology: Arc<Topology>,
    orders: Vec<flume::Sender<ToShard>>,
    news: flume::Sender<ToControl>,
    current: RefCell<Arc<Matchers>>,
    /// Filters that were put into places so far.
    serial: Cell<u64>,
    stopping: Arc<AtomicBool>,
}

impl Loader {
    fn new(
        topology: &Arc<Topology>,
        orders: Vec<flume::Sender<ToShard>>,
        news: flume::Sender<ToControl>,
    ) -> Loader {
        Loader {
            current: RefCell::new(Arc::clone(&topology.matchers)),
            topology: Arc::clone(topology),
            orders,
            news,
            serial: Cell::new(0),
            stopping: Arc::default(),
        }
    }

    fn run(&self, waiting: &flume::Receiver<Task>) {
        for unit in &self.topology.consumers {
            if let Role::Filter(factory) = &unit.role
                && let Some(job) = factory.first_load()
            {
                job(self);
            }
        }
        loop {
            let task = waiting.recv_timeout(SWEEP);
            if self.is_stopping() {
                return;
            }
            // Before anything else: a place whose filter has ended is free.
            self.sweep();
            match task {
                Ok(Task::Job(job)) => job(self),
                Ok(Task::Sweep) | Err(flume::RecvTimeoutError::Timeout) => {}
                Err(flume::RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn unit(&self, place: ConsumerId) -> &ConsumerUnit {
        self.topology.consumer(place)
    }

    /// The places of a filter, and what stands there.
    fn places<'a>(
        &'a self,
        manager: &'a str,
    ) -> impl Iterator<Item = (ConsumerId, Option<ReadFilter>)> + 'a {
        let consumers = self.topology.consumers.iter().enumerate();
        consumers.filter_map(move |(index, unit)| {
            let place = unit.place.as_ref()?;
            let owner = &self.unit(place.manager).name;
            (owner == manager).then(|| (ConsumerId(index as u16), place.loaded.get()))
        })
    }

    /// The name of what stands in a place, or of whom the place is.
    fn name(&self, place: ConsumerId) -> String {
        let unit = self.unit(place);
        let standing = unit.place.as_ref().and_then(|place| place.loaded.get());
        standing.map_or_else(|| unit.name.clone(), |it| it.loaded.name)
    }

    fn set(&self, place: ConsumerId, what: Option<ReadFilter>) {
        let place = self.unit(place).place.as_ref();
        let place = place.expect("only places are filled");
        place.loaded.set(what);
    }

    /// Whether something of that name runs that the manager has not loaded.
    fn is_foreign(&self, manager: &str, name: &str) -> bool {
        let loaded_elsewhere = |unit: &ConsumerUnit| match &unit.place {
            None => unit.name == name,
            Some(place) => {
                self.unit(place.manager).name != manager
                    && place.loaded.get().is_some_and(|it| it.loaded.name == name)
            }
        };
        self.topology.consumers.iter().any(loaded_elsewhere)
    }

    fn order(&self, place: ConsumerId, order: ToShard) -> Result<(), String> {
        let home = self.unit(place).home;
        let sent = self.orders[usize::from(home.0)].send_timeout(order, ANSWER);
        sent.map_err(|_| format!("shard {} takes no orders", home.0))
    }

    /// Fills a place. An error says why the filter cannot work.
    fn fill(&self, place: ConsumerId, loaded: LoadedFilter) -> Result<(), String> {
        let (reply, answer) = flume::bounded(1);
        self.order(place, ToShard::Fill(place, loaded, reply))?;
        let answer = answer.recv_timeout(ANSWER);
        answer.unwrap_or_else(|_| Err("its shard does not answer".to_owned()))
    }

    /// Routes by what stands in the places now, on every shard.
    fn route(&self) -> Result<(), String> {
        let consumers: Vec<(String, String)> = self
            .topology
            .consumers
            .iter()
            .map(|unit| match &unit.place {
                None => (unit.matcher.clone(), unit.signer.clone()),
                Some(place) => match place.loaded.get() {
                    Some(loaded) => (loaded.matcher, loaded.signer),
                    None => (NOTHING.to_owned(), String::new()),
                },
            })
            .collect();
        let consumers: Vec<_> = consumers
            .iter()
            .map(|(expression, signer)| wanted(expression, signer))
            .collect();
        let set = matcher::Set::build(&consumers).map_err(|errors| {
            let texts: Vec<String> = errors.iter().map(|(_, error)| error.to_string()).collect();
            texts.join("; ")
        })?;
        let next = Arc::new(Matchers::new(set, &self.topology.inputs));
        let (done, retired) = flume::bounded(self.orders.len());
        let mut expected = 0;
        for orders in &self.orders {
            let exchange = Exchange::prepare(&self.current.borrow(), &next, done.clone());
            // A shard that has ended routes nothing any more.
            let sent = orders.send_timeout(ToShard::Matchers(Box::new(exchange)), ANSWER);
            expected += usize::from(sent.is_ok());
        }
        let deadline = Monotonic::now().after(ANSWER);
        for _ in 0..expected {
            if retired.recv_timeout(deadline.remaining()).is_err() {
                break;
            }
        }
        *self.current.borrow_mut() = next;
        Ok(())
    }

    /// Messages that are on their way to a filter; `None` if a shard does not answer.
    fn under_way(&self, place: ConsumerId) -> Option<u64> {
        let (reply, answers) = flume::bounded(self.orders.len());
        for orders in &self.orders {
            orders
                .send_timeout(ToShard::Snapshot(reply.clone()), ANSWER)
                .ok()?;
        }
        let deadline = Monotonic::now().after(ANSWER);
        let mut sum = ConsumerCounters::default();
        for _ in &self.orders {
            let snapshot = answers.recv_timeout(deadline.remaining()).ok()?;
            sum.merge(&snapshot.consumers[usize::from(place.0)]);
        }
        Some(sum.in_flight())
    }

    fn drain(&self, place: ConsumerId) {
        let deadline = Monotonic::now().after(DRAIN);
        while self.under_way(place).is_some_and(|messages| messages > 0)
            && !deadline.remaining().is_zero()
        {
            std::thread::sleep(LOOK);
        }
    }

    /// Ends the filter of a place, and leaves the place as if nobody had been there.
    fn clear(&self, place: ConsumerId) -> Result<(), String> {
        let name = self.name(place);
        self.set(place, None);
        self.route()?;
        self.drain(place);
        let (reply, answer) = flume::bounded(1);
        self.order(place, ToShard::Vacate(place, reply))?;
        let last = answer
            .recv_timeout(ANSWER)
            .map_err(|_| "its shard does not answer".to_owned())?;
        // Before the next one stands there, which may want to read what this writes.
        if let Some(Err(fault)) = last.map(|last| last()) {
            self.notice(&name, fault.to_string());
        }
        self.drain(place);
        Ok(())
    }

    /// Forgets filters that have ended by themselves. One that stands in the place of such a filter since is another.
    fn sweep(&self) {
        for (index, unit) in self.topology.consumers.iter().enumerate() {
            let Some(place) = &unit.place else {
                continue;
            };
            let ended = place.ended.load(Ordering::Acquire);
            if (place.loaded.get()).is_some_and(|standing| standing.loaded.serial == ended) {
                self.forget(ConsumerId(index as u16));
            }
        }
    }

    /// A filter has ended by itself: nothing is routed to its place any more.
    fn forget(&self, place: ConsumerId) {
        self.set(place, None);
        if let Err(error) = self.route() {
            self.notice(&self.unit(place).name, error);
        }
        self.drain(place);
    }

    /// Says in a message that a filter has ended because it was told to.
    fn say_unloaded(&self, manager: &str, filter: &ReadFilter) {
        if !self.is_stopping() {
            let LoadedFilter {
                name, type_name, ..
            } = &filter.loaded;
            self.say(
                manager,
                Said::terminated(name, type_name, "Filter unloaded."),
            );
        }
    }

    /// Puts a filter into an empty place and routes to it. After an error the place is empty.
    fn put(&self, place: ConsumerId, mut filter: ReadFilter) -> Result<(), String> {
        self.serial.set(self.serial.get() + 1);
        filter.loaded.serial = self.serial.get();
        self.fill(place, filter.loaded.clone())?;
        self.set(place, Some(filter));
        self.route().map_err(|error| match self.clear(place) {
            Ok(()) => error,
            Err(again) => format!("{error}; it stays in its place without messages: {again}"),
        })
    }
}

impl FilterLoader for Loader {
    fn sections(&self, file: &str, text: &str) -> Result<Vec<String>, String> {
        let reader = self.topology.reader.as_ref();
        reader.expect("places have one").sections(file, text)
    }

    fn load(&self, wanted: &WantedFilter<'_>) -> Result<(), String> {
        let (manager, name) = (wanted.manager, wanted.name);
        if self.is_foreign(manager, name) {
            return Err(format!(
                "a filter or output named '{name}' is running already"
            ));
        }
        let reader = self.topology.reader.as_ref();
        let filter = reader.expect("places have one").read(wanted)?;
        if !filter.warnings.is_empty() {
            self.notice(manager, filter.warnings.clone());
        }
        let places: Vec<_> = self.places(manager).collect();
        let is_it =
            |standing: &Option<ReadFilter>| matches!(standing, Some(it) if it.loaded.name == name);
        let same = places.iter().find(|(_, standing)| is_it(standing));
        let Some((place, before)) = same.or_else(|| places.iter().find(|(_, it)| it.is_none()))
        else {
            let max = places.len();
            return Err(format!(
                "{max} filters are loaded, and more are not allowed (`max_filters`)"
            ));
        };
        let Some(before) = before else {
            return self.put(*place, filter);
        };
        self.clear(*place)?;
        self.say_unloaded(manager, before);
        self.put(*place, filter)
            .map_err(|error| match self.put(*place, before.clone()) {
                Ok(()) => format!("{error}; the filter of that name goes on as it was"),
                Err(again) => format!("{error}; the filter of that name has ended: {again}"),
            })
    }

    fn unload(&self, manager: &str, name: &str) -> Result<bool, String> {
        let mut places = self.places(manager);
        let found =
            places.find(|(_, standing)| matches!(standing, Some(it) if it.loaded.name == name));
        match found {
            Some((place, standing)) => {
                self.clear(place)?;
                if let Some(standing) = standing {
                    self.say_unloaded(manager, &standing);
                }
                Ok(true)
            }
            None => Ok(false),
        }
    }

    fn loaded(&self, manager: &str) -> Vec<String> {
        let standing = self.places(manager).filter_map(|(_, standing)| standing);
        standing.map(|it| it.loaded.name).collect()
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    fn say(&self, manager: &str, message: Said) {
        let mut consumers = self.topology.consumers.iter();
        let id = consumers.position(|unit| unit.name == manager && unit.place.is_none());
        if let Some(id) = id {
            let by = ConsumerId(id as u16);
            // Where the shard has ended nobody listens any more.
            let _ = self.order(by, ToShard::Say(by, message));
        }
    }

    fn notice(&self, plugin: &str, text: String) {
        let plugin = plugin.to_owned();
        let notice = ToControl::Order(Notice { plugin, text });
        // After the end of the main thread nobody listens.
        let _ = self.news.send_timeout(notice, ANSWER);
    }
}
