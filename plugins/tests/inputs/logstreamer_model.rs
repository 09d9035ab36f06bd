//! LogstreamerInput against a model: random appends, rotations of every kind, restarts and crashes, in a real folder.
//!
//! Owns:    the model: which lines were written, and which must have been delivered.
//! Runs on: tests.            Plane: both.
//! Bounds:  a few dozen steps a case.
//! Never:   loses a line itself: what is copied and truncated is not written to meanwhile.
//!
//! Without a crash every line arrives exactly once and in order. After a crash lines may come again, but none is missing. A seed that fails
//! is printed; what the daemon did meanwhile depends on the machine as well.

use std::fmt::Write;

use crate::daemon::Daemon;
use crate::logs::{Logs, payloads};

/// How a stream's files are rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `log` becomes `log.1`, which becomes `log.2`; a new `log` is made.
    Rename,
    /// The same, and `log.1` is compressed.
    RenameAndCompress,
    /// The program begins files with higher numbers.
    Create,
    /// `log` is copied to `log.1` and truncated.
    CopyAndTruncate,
}

const KINDS: [Kind; 4] = [
    Kind::Rename,
    Kind::RenameAndCompress,
    Kind::Create,
    Kind::CopyAndTruncate,
];

impl Kind {
    fn options(self) -> &'static str {
        match self {
            Kind::Create => {
                "file_match = '(?P<Site>[a-z]+)/(?P<Number>\\d+)\\.log'\npriority = ['Number']\ndifferentiator = ['Site']"
            }
            _ => {
                "file_match = '(?P<Site>[a-z]+)/log\\.?(?P<Number>\\d*)(\\.gz)?'\npriority = ['^Number']\ndifferentiator = ['Site']"
            }
        }
    }
}

/// One stream of the model.
struct Stream {
    name: &'static str,
    kind: Kind,
    /// Rotations so far.
    rotations: usize,
    /// Lines that were written whole.
    lines: Vec<String>,
    /// A line that has begun.
    begun: String,
}

impl Stream {
    fn new(name: &'static str, kind: Kind) -> Stream {
        Stream {
            name,
            kind,
            rotations: 0,
            lines: Vec::new(),
            begun: String::new(),
        }
    }

    /// The file that is written to.
    fn file(&self) -> String {
        match self.kind {
            Kind::Create => format!("{}/{}.log", self.name, self.rotations),
            _ => format!("{}/log", self.name),
        }
    }

    fn append(&mut self, logs: &Logs, random: &mut fastrand::Rng) {
        let mut text = String::new();
        for _ in 0..random.usize(0..30) {
            let number = self.lines.len();
            let rest = if self.begun.is_empty() {
                format!(
                    "{} {number} {}\n",
                    self.name,
                    "x".repeat(random.usize(0..200))
                )
            } else {
                "end\n".to_owned()
            };
            text.push_str(&rest);
            self.lines.push(std::mem::take(&mut self.begun) + &rest);
        }
        if self.begun.is_empty() && random.u8(..) < 80 {
            let number = self.lines.len();
            let _ = write!(self.begun, "{} {number} begun ", self.name);
            text.push_str(&self.begun);
        }
        logs.append(&self.file(), text);
    }

    /// Ends a line that has begun: what follows stands in another file. Answers whether it did.
    fn end_line(&mut self, logs: &Logs, random: &mut fastrand::Rng) -> bool {
        if self.begun.is_empty() {
            return true;
        }
        // A program that was killed leaves half a line; after a copy its rest would be in the other file.
        if self.kind != Kind::CopyAndTruncate && random.bool() {
            self.begun.clear();
            return false;
        }
        logs.append(&self.file(), "end\n");
        self.lines.push(std::mem::take(&mut self.begun) + "end\n");
        true
    }

    fn rotate(&mut self, logs: &Logs, random: &mut fastrand::Rng) {
        let whole = self.end_line(logs, random);
        if !logs.path(&self.file()).exists() {
            return;
        }
        let numbered = |number: usize| format!("{}/log.{number}", self.name);
        if self.kind != Kind::Create {
            for number in (1..=self.rotations).rev() {
                for end in ["", ".gz"] {
                    let (from, to) = (numbered(number) + end, numbered(number + 1) + end);
                    if logs.path(&from).exists() {
                        logs.rename(&from, &to);
                    }
                }
            }
        }
        match self.kind {
            Kind::Create => {}
            Kind::CopyAndTruncate => logs.copy_and_truncate(&self.file(), &numbered(1)),
            Kind::Rename | Kind::RenameAndCompress => {
                logs.rename(&self.file(), &numbered(1));
                if random.bool() {
                    logs.append(&self.file(), "");
                }
                // A program goes on writing to the renamed file until it opens the new one.
                if whole && random.bool() {
                    let number = self.lines.len();
                    let late = format!("{} {number} late\n", self.name);
                    logs.append(&numbered(1), &late);
                    self.lines.push(late);
                }
                if self.kind == Kind::RenameAndCompress && random.bool() {
                    logs.compress(&numbered(1));
                }
            }
        }
        self.rotations += 1;
        if random.bool() {
            self.append(logs, random);
        }
    }
}

/// What happened to the daemon in a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Restarts {
    None,
    InOrder,
    Crashes,
}

/// A case: streams of one kind, and a daemon.
struct World {
    logs: Logs,
    kind: Kind,
    streams: Vec<Stream>,
    daemon: Option<Daemon>,
    /// What arrived in earlier runs.
    arrived: Vec<String>,
    random: fastrand::Rng,
}

impl World {
    fn new(kind: Kind, seed: u64) -> World {
        let logs = Logs::new();
        let daemon = logs.daemon(kind.options());
        World {
            kind,
            streams: ["a", "b", "c"].map(|name| Stream::new(name, kind)).into(),
            daemon: Some(daemon),
            arrived: Vec::new(),
            random: fastrand::Rng::with_seed(seed),
            logs,
        }
    }

    fn step(&mut self, restarts: Restarts) {
        let stream = self.random.usize(0..self.streams.len());
        let stream = &mut self.streams[stream];
        match self.random.u8(0..20) {
            0..=9 => stream.append(&self.logs, &mut self.random),
            10..=14 => stream.rotate(&self.logs, &mut self.random),
            15..=16 => self.wait(),
            17 if restarts != Restarts::None => self.restart(restarts),
            // Rotations while nobody reads.
            18 if restarts != Restarts::None => {
                self.end(restarts);
                for stream in &mut self.streams {
                    stream.append(&self.logs, &mut self.random);
                    stream.rotate(&self.logs, &mut self.random);
                }
                self.daemon = Some(self.logs.daemon(self.kind.options()));
            }
            _ => {
                let daemon = self.daemon.as_ref().expect("it runs");
                daemon.withhold(self.random.bool());
            }
        }
    }

    fn restart(&mut self, restarts: Restarts) {
        self.end(restarts);
        self.daemon = Some(self.logs.daemon(self.kind.options()));
    }

    fn end(&mut self, restarts: Restarts) {
        let daemon = self.daemon.take().expect("it runs");
        let arrived = daemon.arrivals();
        if restarts == Restarts::Crashes {
            daemon.abandon();
        } else {
            daemon.withhold(false);
            assert_eq!(daemon.stop().in_flight(), 0);
        }
        self.arrived.extend(arrived());
    }

    /// Waits until all lines that are whole have arrived.
    fn wait(&self) {
        let daemon = self.daemon.as_ref().expect("it runs");
        daemon.withhold(false);
        daemon.wait_for_arrival(|now| {
            self.streams.iter().find_map(|stream| {
                let mut got = payloads(&self.arrived, stream.name);
                got.extend(payloads(now, stream.name));
                let missing = stream.lines.iter().find(|line| !got.contains(line))?;
                let files = self.logs.listing(stream.name);
                Some(format!("missing {missing:?} in {files:#?}"))
            })
        });
    }

    fn check(mut self, restarts: Restarts) {
        for stream in &mut self.streams {
            stream.append(&self.logs, &mut self.random);
        }
        self.daemon.as_ref().expect("it runs").withhold(false);
        self.wait();
        self.end(Restarts::InOrder);
        for stream in &self.streams {
            let mut got = payloads(&self.arrived, stream.name);
            if restarts == Restarts::Crashes {
                got.sort();
                got.dedup();
                let mut expected = stream.lines.clone();
                expected.sort();
                assert_eq!(got, expected, "{}", stream.name);
            } else {
                assert_eq!(got, stream.lines, "{}", stream.name);
            }
        }
    }
}

fn run(restarts: Restarts) {
    let seed = std::env::var("HEKAD_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seeds = seed.map_or_else(
        || (0..3).map(|_| fastrand::u64(..)).collect(),
        |seed| vec![seed],
    );
    for seed in seeds {
        for kind in KINDS {
            println!("{restarts:?}, {kind:?}, HEKAD_SEED={seed}");
            let mut world = World::new(kind, seed);
            for _ in 0..40 {
                world.step(restarts);
            }
            world.check(restarts);
        }
    }
}

#[test]
fn every_line_arrives_once_and_in_order() {
    run(Restarts::None);
}

#[test]
fn every_line_arrives_once_over_restarts() {
    run(Restarts::InOrder);
}

#[test]
fn no_line_is_missing_after_crashes() {
    run(Restarts::Crashes);
}
