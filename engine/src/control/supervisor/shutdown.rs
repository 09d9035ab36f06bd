//! The end of a run: its phases, their deadlines, and what is said of what remained.
//!
//! Owns:    the order of a shutdown.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  each phase by `shutdown_timeout`, the shards' last answers by `ANSWER`.
//! Never:   waits for a shard that is lost, or cuts a phase short for the others because one does not answer.

mod waiting;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use signal_hook::consts::SIGUSR1;

use super::{ANSWER, Outcome, Supervisor};
use crate::control::report::{self, Report};
use crate::limits;
use crate::shard::run::{Snapshot, ToControl, ToShard};
use crate::shard::topology::Topology;
use crate::words::counted;

/// How long shards may take to end after a second signal.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How long outputs may take to end, at most, when one of them has not delivered in its time: it will not end either.
const OTHER_OUTPUTS: Duration = Duration::from_secs(5);

/// Between two looks at what is in flight while stopping.
const DRAIN_LOOK: Duration = Duration::from_millis(10);

/// How a phase of the shutdown went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Done,
    TimedOut,
    Aborted,
}

impl Supervisor {
    /// The phases of a shutdown. One that exceeds its time does not keep the next from its own; a second signal ends all.
    pub(super) fn stop(mut self) -> Outcome {
        self.log.line("stopping");
        self.look();
        let before = self.last.clone();
        let timeout = match self.kept_back {
            // Both phases that wait for inputs and deliveries will run out: together they may take as long as one.
            true => self.options.shutdown_timeout / 2,
            false => self.options.shutdown_timeout,
        };
        self.tell(|| ToShard::StopInputs);
        let mut phase = self.wait_until("inputs", timeout, inputs_have_stopped);
        let mut outputs = timeout;
        self.loading = None;
        if phase != Phase::Aborted {
            let deadline = Instant::now() + timeout;
            self.tell(|| ToShard::Spill);
            phase = self.wait_for_deliveries(timeout);
            // Orders are taken in turn: what is asked behind this one is asked when filters have said their last.
            self.tell(|| ToShard::StopFilters);
            if phase == Phase::Done {
                phase =
                    self.wait_for_deliveries(deadline.saturating_duration_since(Instant::now()));
            }
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
        // From here on each shard has a deadline of its own.
        self.watchdog = None;
        self.tell(|| ToShard::Quit);
        let at_once = phase == Phase::Aborted;
        let complete = self.join(if at_once { AT_ONCE } else { ANSWER });
        self.finish(&before, complete)
    }

    /// Waits until everything that was made is delivered.
    fn wait_for_deliveries(&mut self, timeout: Duration) -> Phase {
        // Shards do not answer at the same moment: only two looks between which nothing moved say that nothing moves.
        let mut earlier = None;
        let mut moved = Instant::now();
        self.wait_until("deliveries", timeout, |_, report, snapshots| {
            let idle = snapshots.iter().all(|shard| shard.idle);
            let unmoved = earlier.replace(report.activity()) == Some(report.activity());
            if !unmoved {
                moved = Instant::now();
            }
            // What is in a disk queue is safe: it is delivered now as long as that gets on, otherwise after the next start.
            let drained = snapshots.iter().all(|shard| shard.disk_queues_idle);
            idle && unmoved && (drained || moved.elapsed() >= limits::QUEUES_STAND)
        })
    }

    /// Waits until `done`, at most for `timeout`. Only shards that are not lost are asked.
    fn wait_until(
        &mut self,
        what: &str,
        timeout: Duration,
        mut done: impl FnMut(&Topology, &Report, &[&Snapshot]) -> bool,
    ) -> Phase {
        let deadline = Instant::now() + timeout;
        loop {
            let phase = match self.look_while_stopping(deadline) {
                Ok(all_answered) => {
                    self.last = self.known();
                    let alive = self.shards.iter().filter(|shard| !shard.lost);
                    let alive: Vec<&Snapshot> =
                        alive.filter_map(|shard| shard.known.as_ref()).collect();
                    if all_answered && done(&self.topology, &self.last, &alive) {
                        return Phase::Done;
                    }
                    self.hear(DRAIN_LOOK, deadline)
                }
                Err(phase) => Some(phase),
            };
            if let Some(phase) = phase {
                self.cut_short = true;
                if phase == Phase::TimedOut {
                    let missing = waiting::missing(what, &self.shards, &self.last, &self.topology);
                    self.log.line(&format!(
                        "{what} did not finish within {timeout:?}{missing}"
                    ));
                }
                return phase;
            }
        }
    }

    /// Asks for the counters of all shards that are not lost. Answers whether all have told them, unless the phase ends before that.
    fn look_while_stopping(&mut self, deadline: Instant) -> Result<bool, Phase> {
        let patience = Instant::now() + ANSWER;
        let answers = self.ask();
        let mut answered = vec![false; self.shards.len()];
        loop {
            let waited_for = self.shards.iter().zip(&answered);
            if waited_for
                .clone()
                .all(|(shard, answered)| *answered || shard.lost)
            {
                return Ok(true);
            }
            match answers.recv_timeout(DRAIN_LOOK) {
                Ok(snapshot) => {
                    answered[usize::from(snapshot.shard.0)] = true;
                    self.learn(snapshot);
                }
                Err(_) if Instant::now() < patience => {
                    if let Some(phase) = self.hear(Duration::ZERO, deadline) {
                        return Err(phase);
                    }
                }
                // Whether it will, the watchdog knows.
                Err(_) => return Ok(false),
            }
        }
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
            Ok(ToControl::Stalled { shard, running }) => self.stalled(shard, running),
            Ok(ToControl::Panicked(sentence)) => self.log.line(&sentence),
            Ok(ToControl::LoadedEnded { name, error, .. }) => {
                self.log
                    .line(&format!("Plugin '{name}' terminated. Error: {error}"));
            }
            Ok(_) | Err(_) => {}
        }
        (Instant::now() >= deadline).then_some(Phase::TimedOut)
    }

    /// Waits for the shards' last counters. A shard that does not give them in time is left behind: the process ends anyway. Answers
    /// whether all have given them.
    pub(super) fn join(&mut self, patience: Duration) -> bool {
        let mut deadline = Instant::now() + patience;
        let mut complete = true;
        for id in 0..self.shards.len() {
            let last = loop {
                if self.shards[id].lost {
                    break None;
                }
                match self.shards[id].last.recv_timeout(DRAIN_LOOK) {
                    Ok(snapshot) => break Some(snapshot),
                    Err(flume::RecvTimeoutError::Timeout) if Instant::now() < deadline => {
                        if self.hear(Duration::ZERO, deadline) == Some(Phase::Aborted) {
                            deadline = Instant::now();
                        }
                    }
                    Err(_) => {
                        let running = self.topology.loads[id].pulse.running();
                        let name = running.name(&self.topology);
                        self.log.line(&format!(
                            "shard {id} does not end, it runs {name}; it is left behind"
                        ));
                        break None;
                    }
                }
            };
            match last {
                Some(snapshot) => self.learn(snapshot),
                None => complete = false,
            }
        }
        complete
    }

    /// Says what there is to say at the end.
    fn finish(mut self, before: &Report, complete: bool) -> Outcome {
        let report = self.known();
        self.log.end_interval();
        self.log.line(&report.text(&self.topology));
        for line in report::kept_lines(&report, &self.topology) {
            self.log.line(&line);
        }
        let excused = |name: &str| self.excused.contains(name);
        let (lines, lost) = report.undelivered_since(before, &self.topology, excused);
        for line in lines {
            self.log.line(&line);
        }
        let remaining = report.in_flight() + lost;
        if remaining > 0 {
            self.log.line(&format!(
                "stopped with {} undelivered",
                counted(remaining, "message")
            ));
        }
        if let Some(path) = &self.options.report_json {
            let text = format!("{:#}\n", report.json(&self.topology));
            if let Err(error) = std::fs::write(path, text) {
                let path = path.display();
                self.log
                    .line(&format!("the report cannot be written to {path}: {error}"));
                return Outcome::Failed;
            }
        }
        if self.failed || !complete {
            return Outcome::Failed;
        }
        if remaining > 0 {
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

fn inputs_have_stopped(topology: &Topology, _: &Report, alive: &[&Snapshot]) -> bool {
    let connections: u32 = alive
        .iter()
        .map(|shard| &topology.loads[usize::from(shard.shard.0)])
        .map(|load| load.connections.load(Ordering::Relaxed))
        .sum();
    let running = |shard: &&Snapshot| shard.inputs_running + shard.streams;
    connections == 0 && alive.iter().map(running).sum::<usize>() == 0
}
