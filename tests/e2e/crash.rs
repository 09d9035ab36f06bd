//! The daemon is killed at random, again and again, while a log is written and rotated: every line arrives.
//!
//! Owns:    the schedule of kills, and the account after each: what may come again is what had not been acknowledged.
//! Runs on: tests; the writer and the receiver on threads of their own.            Plane: both.
//! Bounds:  `HEKAD_CRASH_KILLS` kills, 5 unless said otherwise; the writer waits while `OUTSTANDING_MAX` lines are under way.
//! Never:   fails without saying the seed; `HEKAD_CRASH_SEED` takes the same decisions again.
//!
//! File -> LogstreamerInput -> disk queue -> TcpOutput -> receiver, which is never killed. The same seed writes the same lines, rotates behind the same
//! ones and chooses the same moments; what the daemon has done by then depends on the machine.

mod receiver;
mod writer;

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::{Daemon, PATIENCE, Place, tools, until};

use receiver::{Receiver, Round};
use writer::Writer;

const CONFIG: &str = r#"
[hekad]
shards = {shards}
log_flags = 0
base_dir = "{dir}"

[App]
type = "LogstreamerInput"
log_directory = "{dir}/logs"
file_match = 'app\.log(\.(?P<Seq>\d+))?'
priority = ["^Seq"]
rescan_interval = "50ms"
check_data_interval = "5ms"

[Central]
type = "TcpOutput"
message_matcher = "TRUE"
address = "{host}:5565"
encoder = "AsItStands"
[Central.retries]
delay = "5ms"
max_delay = "20ms"
max_jitter = "1ms"
# Small files, so that many are begun and removed.
[Central.buffering]
max_file_size = 262144

[AsItStands]
type = "PayloadEncoder"
append_newlines = false
"#;

/// Lines that are written and have not arrived, at most.
const OUTSTANDING_MAX: u64 = 20_000;

/// Longest time from the start of a daemon to its kill, where that does not wait for lines.
const EARLY_MAX: u64 = 80;

/// Most lines that a kill waits for.
const LATE_MAX: u64 = 3_000;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

/// What was on the disk when a daemon was killed.
#[derive(Clone, Copy, Debug, Default)]
struct Left {
    /// Lines before this one had been acknowledged.
    journalled: u64,
    /// Messages in the queue that were not known to be delivered.
    waiting: u64,
    /// Lines written, more or less whole.
    written: u64,
}

impl Left {
    fn look(place: &Place, writer: &Writer) -> Left {
        Left {
            journalled: journalled(&place.path("logstreamer/App"), writer),
            waiting: waiting(&place.path("output_queue/Central")),
            written: writer.written(),
        }
    }

    /// What the next daemon has sent out, against what this one has left.
    fn check(&self, round: &Round) {
        assert!(
            round.lines_before(self.journalled) <= self.waiting,
            "lines that had been acknowledged came from elsewhere than the queue: {self:?}, {round:?}"
        );
        let unknown = self.written.saturating_sub(self.journalled);
        assert!(
            round.again() <= self.waiting + unknown,
            "more came again than was under way: {self:?}, {round:?}"
        );
    }
}

/// Up to which line the journal has noted that everything is acknowledged; the first one if there is none.
fn journalled(journal: &Path, writer: &Writer) -> u64 {
    let Ok(text) = std::fs::read_to_string(journal) else {
        return 0;
    };
    let journal: Value = text.parse().expect("a journal is whole or not there");
    let part = |name: &str| journal[name].as_u64().expect("a number in the journal");
    writer.line_at(part("inode"), part("seek"))
}

/// Messages that a queue has and has not noted as delivered.
fn waiting(folder: &Path) -> u64 {
    // A daemon that was killed before it had begun.
    if !folder.join("owner.toml").exists() {
        return 0;
    }
    let folder = folder.to_str().expect("text");
    let queues: Value = tools::succeed(&["buffer", "ls", "--json", folder])
        .parse()
        .expect("it is JSON");
    assert_eq!(queues[0]["damaged_places"], 0, "{queues:#}");
    queues[0]["pending_records"].as_u64().expect("a number")
}

#[test]
fn every_line_arrives_however_often_the_daemon_is_killed() {
    let seed = number("HEKAD_CRASH_SEED").unwrap_or_else(|| fastrand::u64(..));
    let kills = number("HEKAD_CRASH_KILLS").unwrap_or(5);
    println!("HEKAD_CRASH_SEED={seed} takes the same decisions again");
    let mut random = fastrand::Rng::with_seed(seed);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let shards = random.usize(1..=2).min(cores);
    let config = CONFIG.replace("{shards}", &shards.to_string());

    let place = Place::new();
    let mut receiver = Receiver::new(place.at(5565), seed);
    let writer = Writer::start(
        &place.path("logs"),
        seed,
        receiver.arrived(),
        OUTSTANDING_MAX,
    );
    let mut left = Left::default();
    let mut rounds = Vec::new();
    for _ in 0..kills {
        choose_peer(&mut receiver, &writer, &mut random);
        kill_one(&place, &config, &receiver, &mut random);
        let round = receiver.end_round();
        left.check(&round);
        rounds.push(round);
        left = Left::look(&place, &writer);
    }

    receiver.open();
    let daemon = Daemon::start(&place, &config);
    let written = writer.stop();
    wait_for_all(&receiver, written.lines);
    let ended = daemon.stop();
    assert!(ended.dropped("App").is_empty(), "{}", ended.said);
    let round = receiver.end_round();
    left.check(&round);
    rounds.push(round);

    receiver.assert_all(written.lines, shards == 1);
    let again: Vec<u64> = rounds.iter().map(Round::again).collect();
    println!(
        "{kills} kills, {shards} shards, {} lines, {} rotations: {} lines came again, at most {} after one kill and {} times one line",
        written.lines,
        written.rotations,
        again.iter().sum::<u64>(),
        again.iter().max().copied().unwrap_or(0),
        receiver.most_often(),
    );
}

/// Waits until so many different lines have come, or no more come. A slow machine may take long, but it does not stand still.
fn wait_for_all(receiver: &Receiver, lines: u64) {
    let (mut arrived, mut moved) = (0, Instant::now());
    while arrived < lines && moved.elapsed() < PATIENCE {
        if receiver.lines() > arrived {
            (arrived, moved) = (receiver.lines(), Instant::now());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Has the peer be there or not. While it is not, lines that are acknowledged wait in the queue; it is there when hardly more may be written.
fn choose_peer(receiver: &mut Receiver, writer: &Writer, random: &mut fastrand::Rng) {
    let is_away = random.u8(..3) == 0;
    if is_away && writer.written() - receiver.lines() < OUTSTANDING_MAX / 2 {
        receiver.close();
    } else {
        receiver.open();
    }
}

/// Starts a daemon, and kills it at once, or when some lines have come, or when it has noted how far it is.
fn kill_one(place: &Place, config: &str, receiver: &Receiver, random: &mut fastrand::Rng) {
    let journal = place.path("logstreamer/App");
    let noted = || std::fs::read(&journal).ok();
    let before = noted();
    let mut daemon = Daemon::launch(place, config);
    let mut wait = |what: &str, condition: &dyn Fn() -> bool| {
        until(what, || {
            assert!(daemon.runs(), "it ended by itself:\n{}", daemon.said());
            condition().then_some(())
        });
    };
    let (kind, early, lines) = (
        random.u8(..4),
        random.u64(0..EARLY_MAX),
        random.u64(1..LATE_MAX),
    );
    match kind {
        0 => std::thread::sleep(Duration::from_millis(early)),
        1 => wait("a journal", &|| noted() != before),
        _ if !receiver.is_open() => wait("a journal", &|| noted() != before),
        _ => {
            let enough = receiver.received() + lines;
            wait("some lines", &|| receiver.received() >= enough);
        }
    }
    assert!(daemon.runs(), "it ended by itself:\n{}", daemon.said());
    daemon.kill();
}
