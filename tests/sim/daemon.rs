//! The daemon under simulation, and what its control plane does, played by the test.
//!
//! Owns:    `Daemon`: start, questions, orders, the phases of a stop.
//! Runs on: the test's thread, which runs the world while it waits.            Plane: both.
//! Bounds:  every wait ends after `PATIENCE` of virtual time.
//! Never:   waits in earnest.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use engine::control::config::{Document, Surroundings};
use engine::control::placement;
use engine::control::plan::Plan;
use engine::control::queues;
use engine::event::InputCounters;
use engine::io::sim::world;
use engine::io::{ShardThread, mesh_channel, start_shard};
use engine::limits;
use engine::pack::ShardId;
use engine::shard::run::{self, Launch, QueueEnds, Snapshot, ToControl, ToShard};
use engine::shard::topology::Topology;

use crate::source::Sources;

/// Shards of the daemon.
pub(crate) const SHARDS: u16 = 4;

/// Virtual time that anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

/// How long a disk queue is drained in a stop while things fail.
const QUEUES: Duration = Duration::from_secs(1);

/// Runs the world until `condition` holds.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = world::now() + PATIENCE;
    while !condition() {
        assert!(world::step(), "stuck, no {what}: {}", world::dump());
        assert!(world::now() < deadline, "no {what}: {}", world::dump());
    }
}

/// Runs the world for a time.
pub(crate) fn during(time: Duration, mut each: impl FnMut() -> bool) {
    let end = world::now() + time;
    while world::now() < end && world::step() && each() {}
}

/// Running shards.
pub(crate) struct Daemon {
    topology: Arc<Topology>,
    threads: Vec<ShardThread<Snapshot>>,
    orders: Vec<flume::Sender<ToShard>>,
    news: flume::Receiver<ToControl>,
    failed: Cell<bool>,
    tells: bool,
}

impl Daemon {
    /// Starts the shards; what keeps them from starting is told.
    pub(crate) fn start(sections: &str, sources: &Sources, tells: bool) -> Result<Daemon, String> {
        let topology = Arc::new(topology(sections, sources));
        let opened = queues::open(&topology);
        if tells {
            opened
                .notices
                .iter()
                .for_each(|notice| eprintln!("{:?} {notice:?}", world::now()));
        }
        if let Some((plugin, error)) = opened.errors.first() {
            return Err(format!("{plugin}: {error}"));
        }
        let daemon = Daemon::launch(topology, opened.ends, tells);
        match daemon.faults().pop() {
            Some(fault) => {
                world::crash();
                Err(fault)
            }
            None => {
                daemon.tell(|| ToShard::Start);
                Ok(daemon)
            }
        }
    }

    fn launch(topology: Arc<Topology>, ends: Vec<Vec<QueueEnds>>, tells: bool) -> Daemon {
        let count = usize::from(SHARDS);
        let none = |count| (0..count).map(|_| None).collect::<Vec<_>>();
        let mut senders: Vec<Vec<_>> = (0..count).map(|_| none(count)).collect();
        let mut receivers: Vec<Vec<_>> = (0..count)
            .map(|_| (0..count).map(|_| None).collect())
            .collect();
        for from in 0..count {
            for to in (0..count).filter(|&to| to != from) {
                let ends = mesh_channel(limits::mesh_capacity(topology.consumers.len()));
                senders[from][to] = Some(ends.sender);
                receivers[to][from] = Some(ends.receiver);
            }
        }
        let (news_sender, news) = flume::bounded(limits::NEWS);
        let (mut threads, mut orders) = (Vec::new(), Vec::new());
        let ends = senders.into_iter().zip(receivers).zip(ends);
        for (id, ((senders, receivers), queues)) in ends.enumerate() {
            let (order_sender, order_receiver) = flume::bounded(64);
            let launch = Launch {
                id: ShardId(id as u16),
                topology: Arc::clone(&topology),
                senders,
                receivers,
                queues,
                orders: order_receiver,
                news: news_sender.clone(),
            };
            threads.push(start_shard("shard", None, move || run::main(launch)).expect("a task"));
            orders.push(order_sender);
        }
        Daemon {
            topology,
            threads,
            orders,
            news,
            failed: Cell::new(false),
            tells,
        }
    }

    /// Waits until all shards have opened their inputs; answers why some could not.
    fn faults(&self) -> Vec<String> {
        let (mut opening, mut faults) = (self.orders.len(), Vec::new());
        until("start of all shards", || {
            while let Ok(news) = self.news.try_recv() {
                match news {
                    ToControl::Ready { errors, .. } => {
                        opening -= 1;
                        faults.extend(errors.into_iter().map(|(_, fault)| fault.message));
                    }
                    other => self.heard(&other),
                }
            }
            opening == 0
        });
        faults
    }

    fn heard(&self, news: &ToControl) {
        if self.tells {
            eprintln!("{:?} {news:?}", world::now());
        }
        if let ToControl::Ended(ended) = news
            && ended.error.is_some()
        {
            self.failed.set(true);
        }
    }

    /// Hears what the shards have to say. Answers whether the daemon goes on, or a plugin has ended that may not.
    pub(crate) fn hear(&self) -> bool {
        while let Ok(news) = self.news.try_recv() {
            self.heard(&news);
        }
        !self.failed.get()
    }

    pub(crate) fn tell(&self, order: impl Fn() -> ToShard) {
        for shard in &self.orders {
            shard.try_send(order()).expect("a shard takes orders");
        }
    }

    /// The counters of all shards; ledgers that do not balance are a failure.
    pub(crate) fn snapshots(&mut self) -> Vec<Snapshot> {
        let (reply, answers) = flume::bounded(self.orders.len());
        self.tell(|| ToShard::Snapshot(reply.clone()));
        let mut snapshots = Vec::new();
        until("answer of all shards", || {
            self.hear();
            snapshots.extend(answers.try_iter());
            snapshots.len() == self.orders.len()
        });
        for ledger in snapshots.iter().flat_map(|shard| &shard.ledgers) {
            check(ledger);
        }
        snapshots
    }

    /// Asks again and again, with some time between, until the answers are as they should be. Answers whether they came to that in time.
    fn wait(&mut self, patience: Duration, mut condition: impl FnMut(&[Snapshot]) -> bool) -> bool {
        let deadline = world::now() + patience;
        loop {
            let snapshots = self.snapshots();
            if condition(&snapshots) {
                return true;
            }
            if world::now() >= deadline {
                if self.tells {
                    eprintln!("{}; {snapshots:?}", world::dump());
                }
                return false;
            }
            during(Duration::from_millis(10), || true);
        }
    }

    /// Stops in order: inputs, what is in flight, outputs, shards, and all of it delivered. Answers the last counters.
    pub(crate) fn stop(mut self) -> Vec<Snapshot> {
        let stopped = self.phases(PATIENCE, PATIENCE);
        assert!(stopped, "it does not stop: {}", world::dump());
        self.quit(true)
    }

    /// Stops in order, each phase in its time; what is in a disk queue may stay there. Answers whether it came to its end, or was ended.
    pub(crate) fn stop_within(mut self, patience: Duration) -> bool {
        let stopped = self.phases(patience, QUEUES);
        if stopped {
            self.quit(false);
        } else {
            self.crash();
        }
        stopped
    }

    fn phases(&mut self, patience: Duration, queues: Duration) -> bool {
        self.tell(|| ToShard::StopInputs);
        let inputs = self.wait(patience, |snapshots| {
            let mut all = snapshots.iter();
            all.all(|shard| shard.inputs_running == 0 && shard.streams == 0)
        });
        let mut before = 0;
        let leave = world::now() + queues;
        let rest = inputs
            && self.wait(patience, |snapshots| {
                let ledgers = snapshots.iter().flat_map(|shard| &shard.ledgers);
                let activity = ledgers.map(|ledger| ledger.received + ledger.delivered);
                let activity = activity.sum();
                let unmoved = std::mem::replace(&mut before, activity) == activity;
                let mut all = snapshots.iter();
                unmoved
                    && all.all(|shard| {
                        shard.batches_in_use == 0
                            && shard.injections_in_use == 0
                            && (shard.disk_queues_idle || world::now() >= leave)
                    })
            });
        self.tell(|| ToShard::EndOutputs);
        rest && self.wait(patience, |snapshots| {
            let mut all = snapshots.iter();
            all.all(|shard| shard.plugins_running + shard.streams_left == 0)
        })
    }

    fn quit(self, is_drained: bool) -> Vec<Snapshot> {
        self.tell(|| ToShard::Quit);
        let snapshots: Vec<Snapshot> = self
            .threads
            .into_iter()
            .map(|thread| thread.join().expect("a shard ends in order"))
            .collect();
        // What the process had is gone with it.
        world::crash();
        settled(&self.topology, &snapshots, is_drained);
        snapshots
    }

    /// The process is gone.
    pub(crate) fn crash(self) {
        world::crash();
    }
}

/// No part of a ledger may be more than the whole.
fn check(ledger: &InputCounters) {
    let settled =
        ledger.delivered + ledger.unmatched + ledger.dropped.total() + ledger.dead_lettered;
    assert!(settled <= ledger.received, "{ledger:?}");
}

/// After a stop in order nothing is under way anywhere but in disk queues that were not drained, and every number has its counterpart.
fn settled(topology: &Topology, snapshots: &[Snapshot], is_drained: bool) {
    let sum = |index: usize| {
        let mut sum = InputCounters::default();
        snapshots
            .iter()
            .for_each(|shard| sum.merge(&shard.ledgers[index]));
        sum
    };
    let (inputs, consumers) = (topology.inputs.len(), topology.consumers.len());
    let all = snapshots[0].ledgers.len();
    let of_memory = inputs + consumers;
    for index in 0..if is_drained { all } else { of_memory } {
        let ledger = sum(index);
        assert_eq!(ledger.in_flight(), 0, "{ledger:?}");
    }
    for shard in snapshots {
        assert_eq!((shard.batches_in_use, shard.injections_in_use), (0, 0));
    }
    for (index, unit) in topology.consumers.iter().enumerate() {
        let all = || snapshots.iter().map(|shard| &shard.consumers[index]);
        let processed: u64 = all().map(|counters| counters.processed).sum();
        let dropped: u64 = all().map(|counters| counters.dropped.total()).sum();
        let matched: u64 = all().map(|counters| counters.matched).sum();
        let queues = || snapshots.iter().map(|shard| &shard.disk_queues[index]);
        let queued: u64 = queues().map(|queue| queue.queued).sum();
        let recovered: u64 = queues().map(|queue| queue.recovered).sum();
        let damaged: u64 = queues().map(|queue| queue.damaged).sum();
        let drawn = sum(inputs + consumers + index);
        if unit.queue.is_none() {
            assert_eq!(matched, processed + dropped, "{}", unit.name);
        } else {
            let (read, there) = (drawn.received + damaged, queued + recovered);
            assert!(
                read == there || read < there && !is_drained,
                "{}: {read} read of {there}; {:?}; {drawn:?}",
                unit.name,
                queues().collect::<Vec<_>>()
            );
        }
    }
}

fn topology(sections: &str, sources: &Sources) -> Topology {
    let surroundings = Surroundings {
        variable: Box::new(|_| None),
        hostname: "here".to_owned(),
    };
    let texts = vec![("hekad.toml".to_owned(), sections.to_owned())];
    let plan = Document::parse(texts, &surroundings)
        .and_then(|document| Plan::build(&document, plugins::ALL));
    let mut plan = plan.unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    for input in &mut plan.inputs {
        if input.name == "source" {
            input.factory = Box::new(sources.clone());
        }
    }
    placement::topology(plan, SHARDS, "here".to_owned()).expect("few consumers")
}
