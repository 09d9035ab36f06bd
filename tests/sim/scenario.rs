//! One seed's story: a daemon between sources, clients and sinks, with faults for a while and then without.
//!
//! Owns:    what is drawn from a seed, and the order of events.
//! Runs on: tests.            Plane: both.
//! Bounds:  a few hundred records, a few crashes.
//! Never:   ends before everything has drained.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use engine::io::disk::model::Faults;
use engine::io::sim::world::{self, NetFaults};

use crate::daemon::{Daemon, SHARDS, during, until};
use crate::oracle::{self, Delivered, Order};
use crate::peers::{self, Clients, Sink};
use crate::source::Sources;

/// Where the daemon listens.
pub(crate) const INPUT: u16 = 5565;
/// Where its outputs send to: the one without a queue, the one with, and the counts.
pub(crate) const DIRECT: u16 = 9001;
pub(crate) const QUEUED: u16 = 9002;
pub(crate) const COUNTS: u16 = 9003;

/// The shard that the output with a queue lives on.
pub(crate) const QUEUED_HOME: u64 = 2;

/// How long each phase of a stop may take while things fail.
const STOP: Duration = Duration::from_secs(5);

/// How the daemon is configured.
pub(crate) fn sections(buffering: &str) -> String {
    let output = |name: &str, port: u16, matcher: &str, rest: &str| {
        format!(
            "[{name}]\ntype = 'TcpOutput'\naddress = '127.0.0.1:{port}'\nmessage_matcher = \"{matcher}\"\nencoder = 'plain'\n\
             {rest}\n"
        )
    };
    let all = "Type != 'heka.counter-output'";
    [
        "[hekad]\nbase_dir = '/base'\nmax_message_size = 6000\n".to_owned(),
        "[source]\ntype = 'TcpInput'\naddress = '127.0.0.1:1'\nsplitter = 'TokenSplitter'\ndecoder = ''\n".to_owned(),
        format!("[tcp]\ntype = 'TcpInput'\naddress = '127.0.0.1:{INPUT}'\nsplitter = 'TokenSplitter'\ndecoder = ''\n"),
        "[plain]\ntype = 'PayloadEncoder'\nappend_newlines = false\n".to_owned(),
        "[lines]\ntype = 'PayloadEncoder'\n".to_owned(),
        "[counter]\ntype = 'CounterFilter'\nticker_interval = 1\n".to_owned(),
        output("direct", DIRECT, all, "use_buffering = false"),
        output("queued", QUEUED, all, &format!("[queued.buffering]\n{buffering}")),
        output("counts", COUNTS, "Type == 'heka.counter-output'", "use_buffering = false").replace("'plain'", "'lines'"),
    ]
    .concat()
}

/// What one seed has drawn.
pub(crate) struct Story {
    random: fastrand::Rng,
    sections: String,
    sources: Sources,
    clients: Rc<Clients>,
    sinks: Vec<Rc<Sink>>,
    /// What the output with a queue owes.
    memory_first: bool,
    power_failures: Cell<u32>,
    tells: bool,
}

/// Runs the story of a seed. Answers the number that stands for all that happened in it.
pub(crate) fn run(seed: u64, tells: bool) -> u64 {
    let _world = world::enter(seed);
    let mut random = fastrand::Rng::with_seed(!seed);
    let memory_first = random.u8(..4) == 0;
    let buffering = format!(
        "max_file_size = {}\ncursor_update_count = {}\nfsync_interval = '{}ms'\nmemory_first = {memory_first}\nfull_action = '{}'\n",
        [8000, 20_000, 1_000_000][random.usize(..3)],
        [1, 5, 50][random.usize(..3)],
        [0, 0, 3, 50][random.usize(..4)],
        ["block", "shutdown"][random.usize(..2)],
    );
    if tells {
        eprintln!("{buffering}");
    }
    let clients = Rc::new(Clients::default());
    let story = Story {
        sections: sections(&buffering),
        sources: Sources::new(u64::from(SHARDS), random.u64(10..150)),
        sinks: [DIRECT, QUEUED, COUNTS]
            .into_iter()
            .map(peers::sink)
            .collect(),
        clients: Rc::clone(&clients),
        random,
        memory_first,
        power_failures: Cell::new(0),
        tells,
    };
    story.play();
    world::trace()
}

impl Story {
    /// A short one, in which nothing happens by itself.
    pub(crate) fn short(records: u64, memory_first: bool) -> Story {
        let buffering = format!(
            "max_file_size = 8000\ncursor_update_count = 3\nmemory_first = {memory_first}\n"
        );
        let story = Story {
            sections: sections(&buffering),
            sources: Sources::new(u64::from(SHARDS), records),
            sinks: [DIRECT, QUEUED, COUNTS].map(peers::sink).into(),
            clients: Rc::default(),
            random: fastrand::Rng::with_seed(0),
            memory_first,
            power_failures: Cell::new(0),
            tells: false,
        };
        story.clients.add(INPUT, records);
        story
    }

    fn play(mut self) {
        for _ in 0..self.random.usize(..5) {
            self.clients.add(INPUT, self.random.u64(5..60));
        }
        self.set_faults();
        let mut daemon = self.start();
        for _ in 0..self.random.usize(1..6) {
            daemon = self.event(daemon);
            self.check();
        }
        self.finish(daemon);
    }

    /// Nothing fails any more: everything drains, and the daemon stops.
    pub(crate) fn finish(&self, mut daemon: Daemon) {
        if self.tells {
            eprintln!("{:?} no more faults", world::now());
        }
        world::set_net_faults(NetFaults {
            delay_max: 1000,
            ..NetFaults::default()
        });
        world::disk().set_faults(Faults::default());
        world::disk().set_room(u64::MAX);
        world::set_stalls(0);
        for sink in &self.sinks {
            sink.leaves.set(0);
            sink.is_slow.set(false);
        }
        let is_done = || self.sources.are_done() && self.clients.unfinished.get() == 0;
        while !is_done() {
            until("end of what is to be sent", || !daemon.hear() || is_done());
            daemon = self.restarted(daemon);
        }
        daemon.snapshots();
        let damaged: u64 = daemon
            .stop()
            .iter()
            .flat_map(|shard| &shard.disk_queues)
            .map(|queue| queue.damaged)
            .sum();
        assert!(
            damaged == 0 || self.power_failures.get() > 0,
            "{damaged} records are damaged"
        );
        self.check();
        self.check_end();
    }

    /// Draws what fails from now on.
    fn set_faults(&mut self) {
        let random = &mut self.random;
        let mut of = |choices: &[u16]| choices[random.usize(..choices.len())];
        let net = NetFaults {
            refuse: of(&[0, 0, 100, 500]),
            cut: of(&[0, 0, 5, 30]),
            short: of(&[0, 100, 500]),
            slow: of(&[0, 0, 20]),
            delay_max: u64::from(of(&[10, 200, 1000])),
        };
        let disk = Faults {
            write: of(&[0, 0, 0, 10, 50]),
            short_write: of(&[0, 20, 200]),
            full: of(&[0, 0, 0, 10, 50]),
            sync: of(&[0, 0, 0, 10, 50]),
            read: of(&[0, 0, 0, 10, 50]),
            short_read: of(&[0, 20, 200]),
            other: of(&[0, 0, 0, 10, 50]),
        };
        for sink in &self.sinks {
            sink.leaves.set(of(&[0, 0, 10, 100]));
            sink.is_slow.set(of(&[0, 1]) == 1);
        }
        let stalls = of(&[0, 0, 1, 5]);
        world::set_stalls(stalls);
        world::set_net_faults(net);
        world::disk().set_faults(disk);
        if self.tells {
            eprintln!("{:?} {net:?} {disk:?} stalls: {stalls}", world::now());
        }
    }

    /// Starts the daemon, as often as it takes.
    pub(crate) fn start(&self) -> Daemon {
        let mut tries = 0;
        loop {
            match Daemon::start(&self.sections, &self.sources, self.tells) {
                Ok(daemon) => return daemon,
                Err(error) => {
                    tries += 1;
                    if world::disk().is_off() {
                        self.disk_loses_power();
                    }
                    assert!(tries < 1000, "it does not start: {error}");
                    if self.tells {
                        eprintln!("{:?} not started: {error}", world::now());
                    }
                    during(Duration::from_millis(100), || true);
                }
            }
        }
    }

    /// Something happens to the daemon, or nothing.
    fn event(&mut self, mut daemon: Daemon) -> Daemon {
        let time = Duration::from_micros(self.random.u64(..2_000_000));
        let number = self.random.u8(..9);
        if self.tells {
            eprintln!("{:?} event {number}, in {time:?}", world::now());
        }
        let disk = world::disk();
        match number {
            0 | 1 => {
                // The process is killed: what the system was given stays.
                self.run(&daemon, time);
                self.clients.crashes.update(|crashes| crashes + 1);
                daemon.crash();
            }
            2 | 3 => {
                // The host fails, most likely in the middle of an operation.
                disk.cut_power_after(self.random.u64(1..100));
                self.run(&daemon, time);
                self.lose_power(daemon);
            }
            4 => {
                self.run(&daemon, time);
                disk.set_room(self.random.u64(..20_000));
                self.run(&daemon, time);
                disk.set_room(u64::MAX);
                return self.restarted(daemon);
            }
            5 => {
                // It is stopped in order; what it does not deliver in its time is left to the next one, in its queue.
                self.run(&daemon, time);
                if disk.is_off() || !daemon.hear() {
                    daemon.crash();
                    self.clients.crashes.update(|crashes| crashes + 1);
                } else if !daemon.stop_within(STOP) {
                    self.clients.crashes.update(|crashes| crashes + 1);
                }
            }
            6 => {
                self.run(&daemon, time);
                self.set_faults();
                return self.restarted(daemon);
            }
            _ => {
                self.run(&daemon, time);
                daemon.snapshots();
                return self.restarted(daemon);
            }
        }
        self.check();
        self.start()
    }

    /// The host fails.
    pub(crate) fn lose_power(&self, daemon: Daemon) {
        self.clients.crashes.update(|crashes| crashes + 1);
        daemon.crash();
        self.disk_loses_power();
    }

    fn disk_loses_power(&self) {
        world::disk().crash();
        self.power_failures.update(|failures| failures + 1);
    }

    /// The daemon, or another one if it had to end: then what it could not deliver is left to the next one, as after a kill.
    pub(crate) fn restarted(&self, daemon: Daemon) -> Daemon {
        if daemon.hear() {
            return daemon;
        }
        self.clients.crashes.update(|crashes| crashes + 1);
        daemon.crash();
        self.start()
    }

    pub(crate) fn run(&self, daemon: &Daemon, time: Duration) {
        let disk = world::disk();
        during(time, || daemon.hear() && !disk.is_off());
    }

    fn delivered(&self) -> [Delivered; 2] {
        let forgets = self.memory_first && self.clients.crashes.get() > 0;
        let order = match forgets || self.power_failures.get() > 0 {
            true => Order::LostInCrash,
            false => Order::Kept,
        };
        [
            oracle::delivered(DIRECT, Order::Kept),
            oracle::delivered(QUEUED, order),
        ]
    }

    /// What must hold at every moment.
    fn check(&self) {
        let [direct, _] = self.delivered();
        direct.covers(&self.sources.acknowledged());
    }

    /// What must hold when all is done.
    fn check_end(&self) {
        let acknowledged = self.sources.acknowledged();
        for delivered in self.delivered() {
            delivered.covers(&acknowledged);
            for attempt in self.clients.attempts.borrow().iter() {
                let is_whole = attempt.in_order && attempt.crashes == self.clients.crashes.get();
                let reached = delivered.whole(attempt.stream);
                assert!(
                    !is_whole || reached == attempt.written,
                    "{attempt:?}, but {reached} were delivered"
                );
            }
        }
    }
}
