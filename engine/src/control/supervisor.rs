//! Runs a plan: starts the shards, listens to them and to signals, stops everything in order.
//!
//! Owns:    the shards' threads, the phases of start and shutdown, their deadlines, the exit status.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  every wait has a deadline; a shutdown takes at most three times `shutdown_timeout`, and `ANSWER` for the shards to end.
//! Never:   touches a message.
//!
//! Start: all inputs open, or nothing starts. Shutdown: inputs stop once nothing is waiting to be read; then what is in flight is
//! delivered; then outputs flush and end; then shards end. Each of the first three may take `shutdown_timeout`. One that exceeds it is
//! cut short, and the exit status says so. A second signal ends everything at once. A shard that is lost, dead or standing still, ends the
//! daemon as well: the others are stopped in the same order, as far as they do not depend on it.

mod shutdown;

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use super::loading::Loading;
use super::log::Log;
use super::panics::PanicHook;
use super::queues;
use super::report::Report;
use super::watchdog::Watchdog;
use crate::io::{ShardThread, mesh_channel, preflight, start_shard};
use crate::limits;
use crate::pack::ShardId;
use crate::shard::Ended;
use crate::shard::pulse;
use crate::shard::run::{self, Launch, QueueEnds, Snapshot, ToControl, ToShard};
use crate::shard::topology::{Role, Topology};

/// Between two looks at what was dropped, and the least time between two lines about it.
const INTERVAL: Duration = Duration::from_secs(10);

/// How long a shard may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// How long a shard may take to answer before SIGUSR2 aborts scripts, as Heka's router.
const STUCK: Duration = Duration::from_secs(3);

/// How long inputs may take to open.
const OPEN: Duration = Duration::from_secs(60);

/// How the daemon is run beyond what the plan says.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Each phase of a shutdown.
    pub shutdown_timeout: Duration,
    /// How long a shard may stand still.
    pub stall_timeout: Duration,
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
    /// Its counters as it told them last.
    known: Option<Snapshot>,
    /// It is dead, or stands still.
    lost: bool,
}

/// The daemon while it runs.
struct Supervisor {
    topology: Arc<Topology>,
    options: RunOptions,
    shards: Vec<Running>,
    news: flume::Receiver<ToControl>,
    log: Log,
    last: Report,
    watchdog: Option<Watchdog>,
    loading: Option<Loading>,
    failed: bool,
    /// Plugins that have ended before the daemon began to stop, and might.
    excused: BTreeSet<String>,
    /// A plugin has ended and keeps what it was given: what holds that up will not get on.
    kept_back: bool,
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
    let _hook = PanicHook::install(news_sender.clone());
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
    let mut unfit = false;
    for codec in &topology.codecs {
        if let Err(fault) = (codec.probe)() {
            unfit = true;
            log.line(&format!("Plugin '{}' cannot start: {fault}", codec.name));
        }
    }
    if unfit {
        return Outcome::NotStarted;
    }
    let shards = match start_shards(&topology, queues.ends, &options.cpus, &news_sender) {
        Ok(shards) => shards,
        Err(error) => {
            log.line(&format!("a shard could not be started: {error}"));
            return Outcome::NotStarted;
        }
    };
    let last = Report::new(&topology, std::iter::empty());
    let mut supervisor = Supervisor {
        topology,
        options,
        shards,
        news,
        log,
        last,
        watchdog: None,
        loading: None,
        failed: false,
        excused: BTreeSet::new(),
        kept_back: false,
        cut_short: false,
    };
    let started = supervisor.open_inputs()
        && supervisor.watch(news_sender.clone())
        && supervisor.load(news_sender);
    let outcome = if started {
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
            known: None,
            lost: false,
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
                Ok(ToControl::Panicked(sentence)) => self.log.line(&sentence),
                Ok(
                    ToControl::Signal(_)
                    | ToControl::Ended(_)
                    | ToControl::Stalled { .. }
                    | ToControl::Load(_)
                    | ToControl::LoadedEnded { .. },
                ) => {}
                Err(_) => {
                    self.log.line("a shard did not start in time");
                    return false;
                }
            }
        }
        opened
    }

    /// Begins to watch the shards. Answers whether that is possible.
    fn watch(&mut self, news: flume::Sender<ToControl>) -> bool {
        let stall = self.options.stall_timeout;
        if stall.is_zero() {
            return true;
        }
        match Watchdog::start(Arc::clone(&self.topology), stall, news) {
            Ok(watchdog) => self.watchdog = Some(watchdog),
            Err(error) => self
                .log
                .line(&format!("the shards cannot be watched: {error}")),
        }
        self.watchdog.is_some()
    }

    /// Begins to load filters, if one wants to. Answers whether that is possible.
    fn load(&mut self, news: flume::Sender<ToControl>) -> bool {
        let orders = self.shards.iter().map(|shard| shard.orders.clone());
        match Loading::start(&self.topology, orders.collect(), news) {
            Ok(loading) => {
                self.loading = loading;
                true
            }
            Err(error) => {
                self.log
                    .line(&format!("the thread that loads filters: {error}"));
                false
            }
        }
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
                    self.excused.insert(ended.plugin);
                }
                Ok(ToControl::Notice(notice)) => self.log.notice(&notice.plugin, &notice.text),
                Ok(ToControl::Panicked(sentence)) => self.log.line(&sentence),
                Ok(ToControl::Died { shard, error }) => {
                    self.died(shard, &error);
                    break;
                }
                Ok(ToControl::Stalled { shard, running }) => {
                    self.stalled(shard, running);
                    break;
                }
                Ok(ToControl::Ready { .. }) => {}
                Ok(ToControl::Load(run::Load(job))) => {
                    let asked = self.loading.as_ref().map(|loading| loading.job(job));
                    if let Some(Err(error)) = asked {
                        self.log.line(error);
                    }
                }
                Ok(ToControl::LoadedEnded {
                    consumer,
                    name,
                    error,
                }) => {
                    self.log.line(&format!(
                        "Plugin '{name}' terminated. Error: {error}; it is unloaded, the daemon goes on without it"
                    ));
                    if let Some(loading) = &self.loading {
                        loading.ended(consumer);
                    }
                }
                Err(_) => {
                    next_look = Instant::now() + INTERVAL;
                    self.look();
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
            _ => return self.abort(),
        }
        false
    }

    /// SIGUSR2: if a shard does not answer, ends the scripts that shards are in. Answers whether that ends the daemon.
    fn abort(&mut self) -> bool {
        let answers = self.ask();
        let deadline = Instant::now() + STUCK;
        let alive = self.shards.iter().filter(|shard| !shard.lost).count();
        if (0..alive).all(|_| answers.recv_deadline(deadline).is_ok()) {
            self.log
                .line("SIGUSR2: all shards take messages, nothing is aborted");
            return false;
        }
        self.log
            .line("SIGUSR2: a shard takes no messages; scripts are aborted, the daemon stops");
        for codec in &self.topology.codecs {
            (codec.abort)();
        }
        for unit in &self.topology.consumers {
            match (&unit.place, &unit.role) {
                (Some(place), _) => {
                    if let Some(standing) = place.loaded.get() {
                        standing.loaded.factory.abort();
                    }
                }
                (None, Role::Filter(factory)) => factory.abort(),
                (None, Role::Output { .. }) => {}
            }
        }
        self.failed = true;
        if let Some(report) = self.report() {
            self.log.line(&report.text(&self.topology));
        }
        true
    }

    /// Answers whether the end of this plugin ends the daemon.
    fn ended(&mut self, ended: &Ended) -> bool {
        let Ended {
            plugin,
            error,
            can_exit,
            keeps,
        } = ended;
        self.kept_back |= keeps;
        let inputs = &self.topology.inputs;
        if let Some(error) = error
            && *can_exit
            && inputs.iter().any(|unit| unit.name == *plugin)
        {
            self.log.line(&format!(
                "Plugin '{plugin}' terminated. Error: {error}; the daemon goes on without it (`can_exit`), it reads nothing more"
            ));
            return false;
        }
        let Some(error) = error else {
            self.log.line(&format!("Plugin '{plugin}' ended"));
            return false;
        };
        let consumers = &self.topology.consumers;
        let queue = consumers
            .iter()
            .find(|unit| unit.name == *plugin)
            .and_then(|unit| unit.queue.as_ref());
        let then = match queue {
            _ if !can_exit => String::new(),
            Some(queue) => format!(
                "; the daemon goes on without it (`can_exit`), what is in its disk queue {} stays there for the next start, what it should have got from now on is dropped (destination_ended)",
                queue.folder.display()
            ),
            None => "; the daemon goes on without it (`can_exit`), what it should have got is dropped (destination_ended)".to_owned(),
        };
        self.log.line(&format!(
            "Plugin '{plugin}' terminated. Error: {error}{then}"
        ));
        !can_exit
    }

    fn died(&mut self, shard: ShardId, error: &io::Error) {
        if !self.shards[usize::from(shard.0)].lost {
            let number = shard.0;
            self.log.line(&format!(
                "shard {number} failed: {error}; what it held is lost"
            ));
        }
        self.lose(shard);
    }

    fn stalled(&mut self, shard: ShardId, running: pulse::Running) {
        if !self.shards[usize::from(shard.0)].lost {
            let (number, stall) = (shard.0, self.options.stall_timeout);
            let name = running.name(&self.topology);
            self.log.line(&format!(
                "shard {number} has stood still for {stall:?}: it runs {name}, which does not come back; what the shard holds is lost"
            ));
        }
        self.lose(shard);
    }

    /// A shard is lost; the others do without it.
    fn lose(&mut self, shard: ShardId) {
        self.failed = true;
        self.shards[usize::from(shard.0)].lost = true;
        self.tell(|| ToShard::Lost(shard));
    }

    /// Says what was dropped since the last look.
    fn look(&mut self) {
        self.log.end_interval();
        let Some(report) = self.report() else {
            return;
        };
        let drops = report.drops_since(&self.last, &self.topology);
        let failures = report.decode_failures_since(&self.last, &self.topology);
        let lines: Vec<String> = drops.chain(failures).collect();
        for line in lines {
            self.log.line(&line);
        }
        self.last = report;
    }

    fn tell(&self, order: impl Fn() -> ToShard) {
        for shard in self.shards.iter().filter(|shard| !shard.lost) {
            // A shard that is gone is found out by the thread that waits for its end.
            let _ = shard.orders.try_send(order());
        }
    }

    /// Asks all shards that are not lost for their counters.
    fn ask(&self) -> flume::Receiver<Snapshot> {
        let (reply, answers) = flume::bounded(self.shards.len());
        self.tell(|| ToShard::Snapshot(reply.clone()));
        answers
    }

    fn learn(&mut self, snapshot: Snapshot) {
        let shard = usize::from(snapshot.shard.0);
        self.shards[shard].known = Some(snapshot);
    }

    /// The counters of all shards now; `None` if one does not answer: it is not lost yet, but hardly well.
    fn report(&mut self) -> Option<Report> {
        let answers = self.ask();
        let deadline = Instant::now() + ANSWER;
        let mut missing: Vec<usize> = (0..self.shards.len())
            .filter(|shard| !self.shards[*shard].lost)
            .collect();
        while !missing.is_empty() {
            let Ok(snapshot) = answers.recv_deadline(deadline) else {
                let names: Vec<String> = missing.iter().map(usize::to_string).collect();
                let names = names.join(", ");
                self.log
                    .line(&format!("shard {names} does not answer within {ANSWER:?}"));
                return None;
            };
            missing.retain(|shard| *shard != usize::from(snapshot.shard.0));
            self.learn(snapshot);
        }
        Some(self.known())
    }

    /// The counters as the shards told them last.
    fn known(&self) -> Report {
        let known = self.shards.iter().filter_map(|shard| shard.known.as_ref());
        Report::new(&self.topology, known)
    }
}
