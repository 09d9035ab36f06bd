//! Runs a plan: starts the shards, listens to them and to signals, stops everything in order.
//!
//! Owns:    the shards' threads, the phases of start and shutdown, their deadlines, the exit status.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  every wait has a deadline; a shutdown takes at most three times `shutdown_timeout`, and `ANSWER` for the shards to end.
//! Never:   touches a message.
//!
//! Start: all inputs open, or nothing starts. Shutdown: inputs stop once nothing is waiting to be read; then what is in flight is
//! delivered; then outputs flush and end; then shards end. Each of the first three may take `shutdown_timeout`. One that exceeds it is
//! cut short, and the exit status says so. A second signal ends everything at once.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use super::log::Log;
use super::queues;
use super::report::{self, Report};
use crate::io::{ShardThread, mesh_channel, preflight, start_shard};
use crate::limits;
use crate::pack::ShardId;
use crate::shard::Ended;
use crate::shard::run::{self, Launch, QueueEnds, Snapshot, ToControl, ToShard};
use crate::shard::topology::Topology;

/// Between two looks at what was dropped, and the least time between two lines about it.
const INTERVAL: Duration = Duration::from_secs(10);

/// How long a shard may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// How long inputs may take to open.
const OPEN: Duration = Duration::from_secs(60);

/// How long shards may take to end after a second signal.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How long outputs may take to end, at most, when one of them has not delivered in its time: it will not end either.
const OTHER_OUTPUTS: Duration = Duration::from_secs(5);

/// How long nothing of the disk queues is delivered, while stopping, until they are left for the next start.
const QUEUES_STAND: Duration = Duration::from_secs(1);

/// Between two looks at what is in flight while stopping.
const DRAIN_LOOK: Duration = Duration::from_millis(10);

/// How the daemon is run beyond what the plan says.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Each phase of a shutdown.
    pub shutdown_timeout: Duration,
    /// Heka's `log_flags`.
    pub log_flags: i64,
    /// Where to write the last report as JSON.
    pub report_json: Option<PathBuf>,
    /// Cores for the shards, one each.
    pub cpus: Vec<usize>,
}

/// How the daemon ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// In order, nothing left undelivered.
    Clean,
    /// In order, but so many messages had not been delivered at the deadline.
    Undelivered(u64),
    /// All that was read has been delivered, but a phase was cut short: a connection was not read to its end, or an output did not end.
    CutShort,
    /// A plugin that may not end has ended, or a shard has.
    Failed,
    /// It did not start.
    NotStarted,
}

impl Outcome {
    /// Exit status: 0 clean, 1 otherwise, as Heka.
    pub const fn exit_status(self) -> u8 {
        match self {
            Outcome::Clean => 0,
            Outcome::Undelivered(_) | Outcome::CutShort | Outcome::Failed | Outcome::NotStarted => {
                1
            }
        }
    }
}

struct Running {
    orders: flume::Sender<ToShard>,
    last: flume::Receiver<Snapshot>,
    died: bool,
}

/// How a phase of the shutdown went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Done,
    TimedOut,
    Aborted,
}

/// The daemon while it runs.
struct Supervisor {
    topology: Arc<Topology>,
    options: RunOptions,
    shards: Vec<Running>,
    news: flume::Receiver<ToControl>,
    log: Log,
    last: Report,
    failed: bool,
    /// A phase of the shutdown did not come to its end.
    cut_short: bool,
}

/// Runs a plan until a signal or a failure ends it.
pub fn run(topology: Topology, options: RunOptions) -> Outcome {
    let mut log = Log::new(options.log_flags);
    if let Err(refusal) = preflight::check(options.cpus.len()) {
        log.line(&refusal.to_string());
        return Outcome::NotStarted;
    }
    let topology = Arc::new(topology);
    let (news_sender, news) = flume::bounded(limits::NEWS);
    let signals = match forward_signals(news_sender.clone()) {
        Ok(signals) => signals,
        Err(error) => {
            log.line(&format!("signals cannot be handled: {error}"));
            return Outcome::NotStarted;
        }
    };
    let queues = queues::open(&topology);
    for (plugin, text) in &queues.notices {
        log.line(&format!("Plugin '{plugin}': {text}"));
    }
    for (plugin, error) in &queues.errors {
        log.line(&format!("Plugin '{plugin}' cannot start: {error}"));
    }
    if !queues.errors.is_empty() {
        return Outcome::NotStarted;
    }
    let shards = match start_shards(&topology, queues.ends, &options.cpus, &news_sender) {
        Ok(shards) => shards,
        Err(error) => {
            log.line(&format!("a shard could not be started: {error}"));
            return Outcome::NotStarted;
        }
    };
    let last = Report::new(&topology, &[]);
    let mut supervisor = Supervisor {
        topology,
        options,
        shards,
        news,
        log,
        last,
        failed: false,
        cut_short: false,
    };
    let outcome = if supervisor.open_inputs() {
        supervisor.serve()
    } else {
        supervisor.give_up()
    };
    signals.close();
    outcome
}

/// Handles signals on a thread of their own, as items among the shards' news.
fn forward_signals(news: flume::Sender<ToControl>) -> io::Result<signal_hook::iterator::Handle> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2])?;
    let handle = signals.handle();
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                if news.send(ToControl::Signal(signal)).is_err() {
                    break;
                }
            }
        })?;
    Ok(handle)
}

fn start_shards(
    topology: &Arc<Topology>,
    queues: Vec<Vec<QueueEnds>>,
    cpus: &[usize],
    news: &flume::Sender<ToControl>,
) -> io::Result<Vec<Running>> {
    let count = cpus.len();
    let mut senders: Vec<Vec<_>> = (0..count)
        .map(|_| (0..count).map(|_| None).collect())
        .collect();
    let mut receivers: Vec<Vec<_>> = (0..count)
        .map(|_| (0..count).map(|_| None).collect())
        .collect();
    let capacity = limits::mesh_capacity(topology.consumers.len());
    for from in 0..count {
        for to in (0..count).filter(|&to| to != from) {
            let ends = mesh_channel(capacity);
            senders[from][to] = Some(ends.sender);
            receivers[to][from] = Some(ends.receiver);
        }
    }
    let mut running = Vec::with_capacity(count);
    let ends = senders.into_iter().zip(receivers).zip(queues);
    for (id, ((senders, receivers), queues)) in ends.enumerate() {
        let (orders, orders_receiver) = flume::bounded(limits::NEWS);
        let launch = Launch {
            id: ShardId(id as u16),
            topology: Arc::clone(topology),
            senders,
            receivers,
            queues,
            orders: orders_receiver,
            news: news.clone(),
        };
        let (last_sender, last) = flume::bounded(1);
        let thread = start_shard(&format!("shard-{id}"), Some(cpus[id]), move || async move {
            let snapshot = run::main(launch).await?;
            let _ = last_sender.send(snapshot);
            Ok(())
        })?;
        watch(ShardId(id as u16), thread, news.clone())?;
        running.push(Running {
            orders,
            last,
            died: false,
        });
    }
    Ok(running)
}

/// Waits for a shard's end on a thread of its own: what a panic leaves behind in a shard is never dropped, so nothing in it could tell.
fn watch(
    shard: ShardId,
    thread: ShardThread<()>,
    news: flume::Sender<ToControl>,
) -> io::Result<()> {
    std::thread::Builder::new()
        .name(format!("watch-{}", shard.0))
        .spawn(move || {
            if let Err(error) = thread.join() {
                // After the end of the main thread nobody asks any more.
                let _ = news.send(ToControl::Died { shard, error });
            }
        })
        .map(drop)
}

impl Supervisor {
    /// Waits until every shard has opened its inputs. Answers whether all succeeded.
    fn open_inputs(&mut self) -> bool {
        let deadline = Instant::now() + OPEN;
        let mut waiting = self.shards.len();
        let mut opened = true;
        while waiting > 0 {
            match self.news.recv_deadline(deadline) {
                Ok(ToControl::Ready { errors, .. }) => {
                    waiting -= 1;
                    for (plugin, fault) in errors {
                        opened = false;
                        self.log
                            .line(&format!("Plugin '{plugin}' cannot start: {fault}"));
                    }
                }
                Ok(ToControl::Notice(notice)) => self.log.notice(&notice.plugin, &notice.text),
                Ok(ToControl::Signal(SIGINT | SIGTERM)) => return false,
                Ok(ToControl::Died { shard, error }) => {
                    self.died(shard, &error);
                    return false;
                }
                Ok(ToControl::Signal(_) | ToControl::Ended(_)) => {}
                Err(_) => {
                    self.log.line("a shard did not start in time");
                    return false;
                }
            }
        }
        opened
    }

    /// Ends what was started after a failed start.
    fn give_up(mut self) -> Outcome {
        self.tell(|| ToShard::Quit);
        self.join(ANSWER);
        Outcome::NotStarted
    }

    /// Runs until it is time to stop, then stops.
    fn serve(mut self) -> Outcome {
        self.tell(|| ToShard::Start);
        self.log.line("hekad is running");
        let mut next_look = Instant::now() + INTERVAL;
        loop {
            match self.news.recv_deadline(next_look) {
                Ok(ToControl::Signal(signal)) => {
                    if self.signalled(signal) {
                        break;
                    }
                }
                Ok(ToControl::Ended(ended)) => {
                    if self.ended(&ended) {
                        self.failed = true;
                        break;
                    }
                }
                Ok(ToControl::Notice(notice)) => self.log.notice(&notice.plugin, &notice.text),
                Ok(ToControl::Died { shard, error }) => {
                    self.died(shard, &error);
                    break;
                }
                Ok(ToControl::Ready { .. }) => {}
                Err(_) => {
                    next_look = Instant::now() + INTERVAL;
                    if !self.look() {
                        self.failed = true;
                        break;
                    }
                }
            }
        }
        self.stop()
    }

    /// Answers whether the signal asks for the end.
    fn signalled(&mut self, signal: i32) -> bool {
        match signal {
            SIGINT | SIGTERM => return true,
            SIGHUP => {
                self.log.line("reopening files (SIGHUP)");
                self.tell(|| ToShard::Reopen);
            }
            SIGUSR1 => {
                if let Some(report) = self.report() {
                    self.log.line(&report.text(&self.topology));
                }
            }
            _ => self
                .log
                .line("SIGUSR2: no sandbox is running that could be aborted"),
        }
        false
    }

    /// Answers whether the end of this plugin ends the daemon.
    fn ended(&mut self, ended: &Ended) -> bool {
        match &ended.error {
            Some(error) => self.log.line(&format!(
                "Plugin '{}' terminated. Error: {error}",
                ended.plugin
            )),
            None => self.log.line(&format!("Plugin '{}' ended", ended.plugin)),
        }
        ended.error.is_some() && !ended.can_exit
    }

    fn died(&mut self, shard: ShardId, error: &io::Error) {
        self.shards[usize::from(shard.0)].died = true;
        self.failed = true;
        self.log.line(&format!(
            "shard {} failed: {error}; what it held is lost",
            shard.0
        ));
    }

    /// Says what was dropped since the last look. Answers whether all shards are alive.
    fn look(&mut self) -> bool {
        self.log.end_interval();
        let Some(report) = self.report() else {
            self.log.line("a shard does not answer");
            return false;
        };
        let drops = report.drops_since(&self.last, &self.topology);
        let failures = report.decode_failures_since(&self.last, &self.topology);
        let lines: Vec<String> = drops.chain(failures).collect();
        for line in lines {
            self.log.line(&line);
        }
        self.last = report;
        true
    }

    fn tell(&self, order: impl Fn() -> ToShard) {
        for shard in &self.shards {
            // A shard that is gone is found out by its missing answer.
            let _ = shard.orders.try_send(order());
        }
    }

    /// Asks all shards for their counters; `None` if one is gone.
    fn ask(&self) -> Option<flume::Receiver<Snapshot>> {
        let (reply, answers) = flume::bounded(self.shards.len());
        for shard in &self.shards {
            let order = ToShard::Snapshot(reply.clone());
            let sent = !shard.died && shard.orders.try_send(order).is_ok();
            sent.then_some(())?;
        }
        Some(answers)
    }

    fn snapshots(&self) -> Option<Vec<Snapshot>> {
        let answers = self.ask()?;
        let deadline = Instant::now() + ANSWER;
        (0..self.shards.len())
            .map(|_| answers.recv_deadline(deadline).ok())
            .collect()
    }

    fn report(&self) -> Option<Report> {
        Some(Report::new(&self.topology, &self.snapshots()?))
    }

    /// The phases of a shutdown. One that exceeds its time does not keep the next from its own; a second signal ends all.
    fn stop(mut self) -> Outcome {
        self.log.line("stopping");
        let timeout = self.options.shutdown_timeout;
        let ended_before = self.last.lost_to_the_end();
        self.tell(|| ToShard::StopInputs);
        let mut phase = self.wait_until("inputs", timeout, |topology, report, snapshots| {
            let connections: u32 = topology
                .loads
                .iter()
                .map(|load| load.connections.load(Ordering::Relaxed))
                .sum();
            let inputs: usize = snapshots.iter().map(|shard| shard.inputs_running).sum();
            connections == 0 && inputs == 0 && report.streams() == 0
        });
        let mut outputs = timeout;
        if phase != Phase::Aborted {
            // Shards do not answer at the same moment: only two looks between which nothing moved say that nothing moves.
            let mut before = None;
            let mut moved = Instant::now();
            phase = self.wait_until("deliveries", timeout, |_, report, snapshots| {
                let idle = snapshots
                    .iter()
                    .all(|shard| shard.batches_in_use == 0 && shard.injections_in_use == 0);
                let unmoved = before.replace(report.activity()) == Some(report.activity());
                if !unmoved {
                    moved = Instant::now();
                }
                // What is in a disk queue is safe: it is delivered now as long as that gets on, otherwise after the next start.
                let drained = snapshots.iter().all(|shard| shard.disk_queues_idle);
                idle && unmoved && (drained || moved.elapsed() >= QUEUES_STAND)
            });
            if phase == Phase::TimedOut {
                outputs = timeout.min(OTHER_OUTPUTS);
            }
        }
        self.tell(|| ToShard::EndOutputs);
        if phase != Phase::Aborted {
            phase = self.wait_until("outputs", outputs, |_, _, snapshots| {
                // The last acknowledgements come with the end of outputs, and inputs write them down.
                let all = snapshots.iter();
                all.map(|shard| shard.plugins_running + shard.streams_left)
                    .all(|left| left == 0)
            });
        }
        self.tell(|| ToShard::Quit);
        let at_once = phase == Phase::Aborted;
        let snapshots = self.join(if at_once { AT_ONCE } else { ANSWER });
        let complete = snapshots.len() == self.topology.shards as usize;
        let report = Report::new(&self.topology, &snapshots);
        let lost = report.lost_to_the_end().saturating_sub(ended_before);
        self.finish(&report, complete, lost)
    }

    /// Waits until `done`, at most for `timeout`.
    fn wait_until(
        &mut self,
        what: &str,
        timeout: Duration,
        mut done: impl FnMut(&Topology, &Report, &[Snapshot]) -> bool,
    ) -> Phase {
        let deadline = Instant::now() + timeout;
        loop {
            let phase = match self.look_while_stopping(deadline) {
                Ok(snapshots) => {
                    self.last = Report::new(&self.topology, &snapshots);
                    if done(&self.topology, &self.last, &snapshots) {
                        return Phase::Done;
                    }
                    self.hear(DRAIN_LOOK, deadline)
                }
                Err(phase) => Some(phase),
            };
            if let Some(phase) = phase {
                self.cut_short = true;
                if phase == Phase::TimedOut {
                    self.log
                        .line(&format!("{what} did not finish within {timeout:?}"));
                }
                return phase;
            }
        }
    }

    /// The counters of all shards, unless the phase ends before they are there.
    fn look_while_stopping(&mut self, deadline: Instant) -> Result<Vec<Snapshot>, Phase> {
        let patience = Instant::now() + ANSWER;
        let mut snapshots = Vec::with_capacity(self.shards.len());
        let answers = self.ask();
        while snapshots.len() < self.shards.len() {
            let answer = answers
                .as_ref()
                .map(|answers| answers.recv_timeout(DRAIN_LOOK));
            match answer {
                Some(Ok(snapshot)) => snapshots.push(snapshot),
                Some(Err(flume::RecvTimeoutError::Timeout)) if Instant::now() < patience => {
                    if let Some(phase) = self.hear(Duration::ZERO, deadline) {
                        return Err(phase);
                    }
                }
                _ => {
                    self.log.line("a shard does not answer");
                    return Err(Phase::Aborted);
                }
            }
        }
        Ok(snapshots)
    }

    /// Hears what comes within `wait` while the daemon stops. Answers how the phase ends, if it does now.
    fn hear(&mut self, wait: Duration, deadline: Instant) -> Option<Phase> {
        match self.news.recv_timeout(wait) {
            // The counters of this moment may be hard to come by.
            Ok(ToControl::Signal(SIGUSR1)) => self.log.line(&self.last.text(&self.topology)),
            Ok(ToControl::Signal(signal)) => {
                if self.signalled(signal) {
                    self.log.line("second signal: stopping at once");
                    return Some(Phase::Aborted);
                }
            }
            Ok(ToControl::Notice(notice)) => self.log.notice(&notice.plugin, &notice.text),
            Ok(ToControl::Ended(ended)) if ended.error.is_some() => {
                self.failed |= self.ended(&ended);
            }
            Ok(ToControl::Died { shard, error }) => self.died(shard, &error),
            Ok(_) | Err(_) => {}
        }
        (Instant::now() >= deadline).then_some(Phase::TimedOut)
    }

    /// Waits for the shards' last counters. A shard that does not give them in time is left behind: the process ends anyway.
    fn join(&mut self, patience: Duration) -> Vec<Snapshot> {
        let mut deadline = Instant::now() + patience;
        let mut snapshots = Vec::new();
        for id in 0..self.shards.len() {
            while !self.shards[id].died {
                match self.shards[id].last.recv_timeout(DRAIN_LOOK) {
                    Ok(snapshot) => snapshots.push(snapshot),
                    Err(flume::RecvTimeoutError::Timeout) if Instant::now() < deadline => {
                        if self.hear(Duration::ZERO, deadline) == Some(Phase::Aborted) {
                            deadline = Instant::now();
                        }
                        continue;
                    }
                    Err(_) => {
                        self.log
                            .line(&format!("shard {id} does not end; it is left behind"));
                    }
                }
                break;
            }
        }
        snapshots
    }

    fn finish(mut self, report: &Report, complete: bool, lost: u64) -> Outcome {
        self.log.end_interval();
        self.log.line(&report.text(&self.topology));
        if let Some(path) = &self.options.report_json {
            let text = format!("{:#}\n", report.json(&self.topology));
            if let Err(error) = std::fs::write(path, text) {
                let path = path.display();
                self.log
                    .line(&format!("the report cannot be written to {path}: {error}"));
                return Outcome::Failed;
            }
        }
        for line in report::kept_lines(report, &self.topology) {
            self.log.line(&line);
        }
        let remaining = report.in_flight() + lost;
        if self.failed || !complete {
            return Outcome::Failed;
        }
        if remaining > 0 {
            self.log
                .line(&format!("stopped with {remaining} messages undelivered"));
            return Outcome::Undelivered(remaining);
        }
        if self.cut_short {
            self.log
                .line("stopped before all connections were read and all outputs had ended");
            return Outcome::CutShort;
        }
        self.log.line("stopped");
        Outcome::Clean
    }
}
