//! Reports: the counters of all shards as Heka's text report, as JSON, and as lines about what was dropped.
//!
//! Owns:    `Report`, the sum of all shards' snapshots.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  one entry per plugin.
//! Never:   touches a shard; it works on snapshots.
//!
//! The form of the text report (SIGUSR1 and exit) is Heka's: `docs/parity/wire.md`, section 7.

mod figures;

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::event::{ConsumerCounters, DropCause, Drops, InputCounters, QueueCounters};
use crate::limits;
use crate::pack::ConsumerId;
use crate::plugin::{Figure, Kind};
use crate::shard::probe::{LastRefusal, Sampled};
use crate::shard::run::Snapshot;
use crate::shard::topology::{QueueUnit, Role, Topology};
use crate::words::{agrees, counted};

/// The counters of the whole daemon at one moment.
#[derive(Clone, Debug)]
pub struct Report {
    inputs: Vec<InputCounters>,
    injections: Vec<InputCounters>,
    /// What was read from disk queues.
    drawn: Vec<InputCounters>,
    disk_queues: Vec<QueueCounters>,
    consumers: Vec<ConsumerCounters>,
    queues: Vec<u32>,
    processing: Vec<Sampled>,
    matching: Sampled,
    decode_failures: Vec<LastRefusal>,
    batches: usize,
    batches_in_use: usize,
    injections_in_use: usize,
    streams: usize,
    notices_lost: u64,
    shards: usize,
}

impl Report {
    /// The sum of snapshots.
    pub fn new<'a>(
        topology: &Topology,
        snapshots: impl IntoIterator<Item = &'a Snapshot>,
    ) -> Report {
        let (inputs, consumers) = (topology.inputs.len(), topology.consumers.len());
        let mut report = Report {
            inputs: vec![InputCounters::default(); inputs],
            injections: vec![InputCounters::default(); consumers],
            drawn: vec![InputCounters::default(); consumers],
            disk_queues: vec![QueueCounters::default(); consumers],
            consumers: vec![ConsumerCounters::default(); consumers],
            queues: vec![0; consumers],
            processing: vec![Sampled::default(); consumers],
            matching: Sampled::default(),
            decode_failures: vec![LastRefusal::default(); inputs],
            batches: 0,
            batches_in_use: 0,
            injections_in_use: 0,
            streams: 0,
            notices_lost: 0,
            shards: 0,
        };
        for snapshot in snapshots {
            report.shards += 1;
            let (of_inputs, others) = snapshot.ledgers.split_at(inputs);
            let (of_injections, of_queues) = others.split_at(consumers);
            merge(&mut report.inputs, of_inputs, InputCounters::merge);
            merge(&mut report.injections, of_injections, InputCounters::merge);
            merge(&mut report.drawn, of_queues, InputCounters::merge);
            merge(
                &mut report.disk_queues,
                &snapshot.disk_queues,
                QueueCounters::merge,
            );
            merge(
                &mut report.consumers,
                &snapshot.consumers,
                ConsumerCounters::merge,
            );
            merge(&mut report.queues, &snapshot.queues, |sum, more| {
                *sum += more
            });
            merge(
                &mut report.processing,
                &snapshot.probe.processing,
                Sampled::merge,
            );
            merge(
                &mut report.decode_failures,
                &snapshot.probe.decode_failures,
                LastRefusal::merge,
            );
            report.matching.merge(&snapshot.probe.matching);
            report.batches += snapshot.batches;
            report.batches_in_use += snapshot.batches_in_use;
            report.injections_in_use += snapshot.injections_in_use;
            report.streams += snapshot.streams;
            report.notices_lost += snapshot.probe.notices_lost;
        }
        report
    }

    /// A number that changes whenever a message is made, routed or settled.
    pub fn activity(&self) -> u64 {
        let made: u64 = self
            .inputs
            .iter()
            .chain(&self.injections)
            .map(|ledger| ledger.received)
            .sum();
        let settled: u64 = self
            .consumers
            .iter()
            .map(|consumer| consumer.matched + consumer.processed)
            .sum();
        made + settled
    }

    /// Messages that a consumer's disk queue keeps: put in or found at start, and not delivered, dropped or given up since.
    pub fn kept(&self, consumer: usize) -> u64 {
        let (queue, drawn) = (&self.disk_queues[consumer], &self.drawn[consumer]);
        let gone = drawn.delivered + drawn.dropped.total() + drawn.dead_lettered + queue.damaged;
        (queue.recovered + queue.queued).saturating_sub(gone)
    }

    /// Messages that a consumer with a disk queue should have got, and that are neither in the queue nor dealt with: they wait for room, or for the disk.
    pub fn untaken(&self, consumer: usize) -> u64 {
        let (all, drawn) = (&self.consumers[consumer], &self.drawn[consumer]);
        // What came out of the queue is counted twice, when it was put in and when it was dealt with.
        let came = all.matched + drawn.delivered + drawn.dropped.total() + drawn.dead_lettered;
        let gone = all.processed + all.dropped.total() + all.dead_lettered;
        came.saturating_sub(gone + self.disk_queues[consumer].queued)
    }

    /// Open streams of an input.
    pub fn streams_of(&self, input: usize) -> u64 {
        let ledger = &self.inputs[input];
        ledger.streams_opened.saturating_sub(ledger.streams_closed)
    }

    /// Messages that wait for a consumer and are in no disk queue.
    pub fn waiting_for(&self, consumer: usize, topology: &Topology) -> u64 {
        match topology.consumers[consumer].queue {
            Some(_) => self.untaken(consumer),
            None => self.consumers[consumer].in_flight(),
        }
    }

    /// What filters and outputs have not taken: how many messages wait for each of them, or were dropped since an earlier report because it had
    /// ended, unless it is excused. A line for each; and how many were dropped, altogether.
    pub fn undelivered_since(
        &self,
        earlier: &Report,
        topology: &Topology,
        excused: impl Fn(&str) -> bool,
    ) -> (Vec<String>, u64) {
        let (mut lines, mut lost) = (Vec::new(), 0);
        let consumers = topology.consumers.iter().enumerate();
        // What a disk queue has is kept, and `kept_lines` tells of it.
        for (index, unit) in consumers.filter(|(_, unit)| unit.queue.is_none()) {
            let ended = |report: &Report| {
                let dropped = &report.consumers[index].dropped;
                dropped.get(DropCause::DestinationEnded)
            };
            let dropped = match excused(&unit.name) {
                true => 0,
                false => ended(self).saturating_sub(ended(earlier)),
            };
            let count = self.consumers[index].in_flight() + dropped;
            if count > 0 {
                lines.push(format!(
                    "Plugin '{}': {} {} not delivered to it, and nothing keeps {}",
                    unit.name,
                    counted(count, "message"),
                    agrees(count, "was", "were"),
                    agrees(count, "it", "them")
                ));
            }
            lost += dropped;
        }
        for (index, unit) in topology.consumers.iter().enumerate() {
            let count = self.untaken(index);
            if unit.queue.is_some() && count > 0 {
                lines.push(format!(
                    "Plugin '{}': {} had not come into its disk queue and {} not acknowledged: inputs whose source keeps such messages, as log files do, read them again, those of others are lost",
                    unit.name,
                    counted(count, "message"),
                    agrees(count, "was", "were")
                ));
            }
        }
        (lines, lost)
    }

    /// Messages that some destination still holds.
    pub fn in_flight(&self) -> u64 {
        self.inputs
            .iter()
            .chain(&self.injections)
            .map(InputCounters::in_flight)
            .sum()
    }

    /// One line for each input that has logged decoder failures since an earlier report.
    pub fn decode_failures_since<'a>(
        &'a self,
        earlier: &'a Report,
        topology: &'a Topology,
    ) -> impl Iterator<Item = String> + 'a {
        topology
            .inputs
            .iter()
            .enumerate()
            .filter_map(|(index, unit)| {
                let count =
                    self.inputs[index].decode_failures - earlier.inputs[index].decode_failures;
                let last = self.decode_failures[index].text()?;
                (count > 0 && unit.log_decode_failures).then(|| {
                    format!(
                        "Plugin '{}': its decoder refused {}, last: {last}",
                        unit.name,
                        counted(count, "record")
                    )
                })
            })
    }

    /// What was dropped since an earlier report of what inputs read, filters injected, and disk queues gave: a line for each of them and each cause.
    pub fn drops_since<'a>(
        &'a self,
        earlier: &'a Report,
        topology: &'a Topology,
    ) -> impl Iterator<Item = String> + 'a {
        let names = topology.inputs.iter().map(|unit| unit.name.as_str());
        let consumers = topology.consumers.iter().map(|unit| unit.name.as_str());
        let ledgers = |report: &'a Report| {
            let made = report.inputs.iter().chain(&report.injections);
            made.chain(&report.drawn)
        };
        let (now, then) = (ledgers(self), ledgers(earlier));
        names
            .chain(consumers.clone())
            .chain(consumers)
            .zip(now.zip(then))
            .flat_map(|(name, (now, then))| dropped_lines(name, now, then))
    }

    /// The text report in Heka's form.
    pub fn text(&self, topology: &Topology) -> String {
        let mut out = String::from("========[heka.all-report]========\n");
        self.text_globals(&mut out);
        section(&mut out, "Inputs", topology.inputs.len(), |out, index| {
            let _ = writeln!(out, "{}:", topology.inputs[index].name);
            ledger_lines(out, &self.inputs[index]);
            figures::lines(out, &figures::of_input(&topology.inputs[index]));
        });
        let decoders = figures::of_codecs(topology, Kind::Decoder);
        figures::section(&mut out, "Decoders", &decoders);
        let mut filters = consumers(topology, |role| matches!(role, Role::Filter(_)));
        filters.retain(|&index| self.is_shown(topology, index));
        section(&mut out, "Filters", filters.len(), |out, index| {
            self.text_consumer(out, topology, filters[index]);
        });
        let outputs = consumers(topology, |role| matches!(role, Role::Output { .. }));
        section(&mut out, "Outputs", outputs.len(), |out, index| {
            self.text_consumer(out, topology, outputs[index]);
        });
        let encoders = figures::of_codecs(topology, Kind::Encoder);
        figures::section(&mut out, "Encoders", &encoders);
        out.push_str("========\n");
        out
    }

    /// Whether a consumer has something to report: a place that nobody was ever in has not.
    fn is_shown(&self, topology: &Topology, index: usize) -> bool {
        let place = topology.consumers[index].place.as_ref();
        place.is_none_or(|place| place.loaded.get().is_some() || self.consumers[index].matched > 0)
    }

    fn text_globals(&self, out: &mut String) {
        out.push_str("====Globals====\n");
        let capacity = |per_shard: usize| per_shard * self.shards;
        let _ = write!(
            out,
            "inputRecycleChan:\n    InChanCapacity: {}\n    InChanLength: {}\n",
            self.batches,
            self.batches - self.batches_in_use
        );
        let _ = write!(
            out,
            "injectRecycleChan:\n    InChanCapacity: {}\n    InChanLength: {}\n",
            capacity(limits::INJECTION_BATCHES),
            capacity(limits::INJECTION_BATCHES) - self.injections_in_use
        );
        let processed: u64 = self
            .inputs
            .iter()
            .chain(&self.injections)
            .map(|ledger| ledger.received)
            .sum();
        let _ = write!(
            out,
            "Router:\n    MatchAvgDuration: {}\n    ProcessMessageCount: {processed}\n",
            nanoseconds(&self.matching)
        );
    }

    fn text_consumer(&self, out: &mut String, topology: &Topology, index: usize) {
        let unit = &topology.consumers[index];
        let counters = &self.consumers[index];
        let capacity = match unit.queue {
            // Those that wait for the disk, and those that come from it.
            Some(_) => {
                limits::QUEUE_CREDITS as usize * self.shards
                    + limits::QUEUE_READS
                    + topology.handed_batches(ConsumerId(index as u16))
            }
            None => limits::CONSUMER_CREDITS as usize * self.shards,
        };
        let name = figures::name(topology, index);
        let _ = writeln!(out, "{name}:");
        let _ = writeln!(out, "    InChanCapacity: {capacity}");
        let _ = writeln!(out, "    InChanLength: {}", self.queues[index]);
        let _ = writeln!(out, "    MatchedMessageCount: {}", counters.matched);
        let _ = writeln!(out, "    ProcessMessageCount: {}", counters.processed);
        let drops = counters.dropped.total();
        let _ = writeln!(out, "    DropMessageCount: {drops}");
        drop_lines(out, &counters.dropped);
        if let Some(letters) = &unit.letters {
            let _ = writeln!(
                out,
                "    DeadLetters: {} ({} bytes in {})",
                counters.dead_lettered,
                letters.size.bytes(),
                letters.folder.display()
            );
        }
        if let Some(queue) = &unit.queue {
            self.text_disk_queue(out, index, queue);
        }
        if unit.queue.is_none() {
            let _ = writeln!(out, "    InFlight: {}", counters.in_flight());
        }
        if counters.retries > 0 {
            let _ = writeln!(out, "    Retries: {}", counters.retries);
        }
        match unit.role {
            Role::Filter(_) => {
                let _ = writeln!(out, "    InjectMessageCount: {}", counters.injected);
                let _ = writeln!(
                    out,
                    "    ProcessMessageAvgDuration: {}",
                    nanoseconds(&self.processing[index])
                );
                if let Some(count) = figures::running(topology, index) {
                    let _ = writeln!(out, "    RunningFilters: {count}");
                }
                figures::lines(out, &figures::of_consumer(unit));
                if self.injections[index].received > 0 {
                    let _ = writeln!(out, "  Injected by {name}:");
                    ledger_lines(out, &self.injections[index]);
                }
            }
            Role::Output { .. } => {
                let _ = writeln!(out, "    Bytes: {}", counters.bytes);
                figures::lines(out, &figures::of_consumer(unit));
            }
        }
    }

    fn text_disk_queue(&self, out: &mut String, index: usize, queue: &QueueUnit) {
        let counters = &self.disk_queues[index];
        let _ = writeln!(out, "    DiskQueue: {}", queue.folder.display());
        let lines = [
            ("QueueMessagesWaiting", self.kept(index)),
            ("QueueMessagesFound", counters.recovered),
            ("QueueMessagesTaken", counters.queued),
            ("QueueBytesTaken", counters.bytes),
            ("QueueBytesOnDisk", queue.size.bytes()),
            ("QueueSyncs", counters.syncs),
            ("QueueMessagesHandedOver", counters.handed_over),
            ("QueueMessagesDamaged", counters.damaged),
        ];
        for (name, value) in lines {
            let _ = writeln!(out, "    {name}: {value}");
        }
        let drawn = &self.drawn[index];
        if drawn.dropped.total() > 0 {
            out.push_str("  From the queue:\n");
            drop_lines(out, &drawn.dropped);
        }
    }

    fn disk_queue_json(&self, index: usize, queue: &QueueUnit) -> Value {
        let counters = &self.disk_queues[index];
        json!({
            "folder": queue.folder.display().to_string(),
            "waiting": self.kept(index),
            "found": counters.recovered,
            "taken": counters.queued,
            "bytes_taken": counters.bytes,
            "bytes_on_disk": queue.size.bytes(),
            "syncs": counters.syncs,
            "handed_over": counters.handed_over,
            "damaged": counters.damaged,
            "read": ledger_json(&self.drawn[index]),
        })
    }

    /// The same as JSON: objects `inputs`, `filters` and `outputs`, by plugin name, and `globals`.
    pub fn json(&self, topology: &Topology) -> Value {
        let mut inputs = Map::new();
        for (unit, ledger) in topology.inputs.iter().zip(&self.inputs) {
            let mut entry = ledger_json(ledger);
            add_figures(&mut entry, &figures::of_input(unit));
            inputs.insert(unit.name.clone(), entry);
        }
        let (mut filters, mut outputs) = (Map::new(), Map::new());
        let consumers = topology.consumers.iter().enumerate();
        for (index, unit) in consumers.filter(|(index, _)| self.is_shown(topology, *index)) {
            let counters = &self.consumers[index];
            let name = figures::name(topology, index);
            let mut entry = json!({
                "matched": counters.matched,
                "delivered": counters.processed,
                "dropped": drops_json(&counters.dropped),
                "dead_lettered": counters.dead_lettered,
                "queued": self.queues[index],
            });
            match &unit.queue {
                Some(queue) => entry["disk_queue"] = self.disk_queue_json(index, queue),
                None => entry["in_flight"] = counters.in_flight().into(),
            }
            add_figures(&mut entry, &figures::of_consumer(unit));
            match unit.role {
                Role::Filter(_) => {
                    entry["injected"] = ledger_json(&self.injections[index]);
                    entry["process_ns"] = self.processing[index].mean().into();
                    filters.insert(name, entry);
                }
                Role::Output { .. } => {
                    entry["bytes"] = counters.bytes.into();
                    entry["retries"] = counters.retries.into();
                    outputs.insert(name, entry);
                }
            }
        }
        json!({
            "globals": {
                "shards": self.shards,
                "match_ns": self.matching.mean(),
                "streams": self.streams,
                "notices_lost": self.notices_lost,
            },
            "inputs": inputs,
            "decoders": figures::codecs_json(&figures::of_codecs(topology, Kind::Decoder)),
            "filters": filters,
            "outputs": outputs,
            "encoders": figures::codecs_json(&figures::of_codecs(topology, Kind::Encoder)),
        })
    }
}

/// A line for each consumer whose disk queue keeps something, for the end.
pub(in crate::control) fn kept_lines<'a>(
    report: &'a Report,
    topology: &'a Topology,
) -> impl Iterator<Item = String> + 'a {
    let queues = topology.consumers.iter().enumerate();
    queues.filter_map(|(index, unit)| {
        let folder = unit.queue.as_ref()?.folder.display();
        let kept = report.kept(index);
        (kept > 0).then(|| {
            format!(
                "Plugin '{}': {} {} in its disk queue {folder}; the next start delivers {}",
                unit.name,
                counted(kept, "message"),
                agrees(kept, "stays", "stay"),
                agrees(kept, "it", "them")
            )
        })
    })
}

fn merge<T>(sums: &mut [T], more: &[T], add: impl Fn(&mut T, &T)) {
    for (sum, more) in sums.iter_mut().zip(more) {
        add(sum, more);
    }
}

fn add_figures(entry: &mut Value, counted: &[Figure]) {
    if !counted.is_empty() {
        entry["figures"] = figures::json(counted);
    }
}

fn consumers(topology: &Topology, wanted: impl Fn(&Role) -> bool) -> Vec<usize> {
    (0..topology.consumers.len())
        .filter(|&index| wanted(&topology.consumers[index].role))
        .collect()
}

fn section(out: &mut String, title: &str, count: usize, mut entry: impl FnMut(&mut String, usize)) {
    let _ = writeln!(out, "===={title}====");
    if count == 0 {
        out.push_str("NONE\n");
    }
    for index in 0..count {
        entry(out, index);
    }
}

fn ledger_lines(out: &mut String, ledger: &InputCounters) {
    let lines = [
        ("ProcessMessageCount", ledger.received),
        ("Delivered", ledger.delivered),
        ("Unmatched", ledger.unmatched),
        ("InFlight", ledger.in_flight()),
        ("DropMessageCount", ledger.dropped.total()),
    ];
    for (name, value) in lines {
        let _ = writeln!(out, "    {name}: {value}");
    }
    drop_lines(out, &ledger.dropped);
    let seldom = [
        ("DeadLetters", ledger.dead_lettered),
        ("ProcessMessageFailures", ledger.decode_failures),
        ("GarbageBytes", ledger.garbage_bytes),
        ("StreamErrors", ledger.stream_errors),
        ("StreamsRefused", ledger.streams_refused),
        ("AcceptFailures", ledger.accept_failures),
    ];
    for (name, value) in seldom.into_iter().filter(|(_, value)| *value > 0) {
        let _ = writeln!(out, "    {name}: {value}");
    }
    let _ = writeln!(out, "    Bytes: {}", ledger.bytes);
    let _ = writeln!(
        out,
        "    Streams: {}",
        ledger.streams_opened - ledger.streams_closed
    );
}

/// A sampled duration with its unit.
fn nanoseconds(sampled: &Sampled) -> String {
    format!("{} ns", sampled.mean())
}

fn drop_lines(out: &mut String, drops: &Drops) {
    for (cause, count) in drops.iter() {
        let (name, advice) = (cause.name(), cause.advice());
        let _ = writeln!(out, "    Dropped {name}: {count} ({advice})");
    }
}

fn drops_json(drops: &Drops) -> Value {
    Value::Object(
        drops
            .iter()
            .map(|(cause, count)| (cause.name().to_owned(), count.into()))
            .collect(),
    )
}

fn ledger_json(ledger: &InputCounters) -> Value {
    json!({
        "received": ledger.received,
        "delivered": ledger.delivered,
        "unmatched": ledger.unmatched,
        "in_flight": ledger.in_flight(),
        "dropped": drops_json(&ledger.dropped),
        "dead_lettered": ledger.dead_lettered,
        "decode_failures": ledger.decode_failures,
        "garbage_bytes": ledger.garbage_bytes,
        "bytes": ledger.bytes,
        "streams_opened": ledger.streams_opened,
        "streams_closed": ledger.streams_closed,
        "stream_errors": ledger.stream_errors,
        "streams_refused": ledger.streams_refused,
        "accept_failures": ledger.accept_failures,
    })
}

/// What one input dropped between two reports: a line for each cause, with what to do about that one.
fn dropped_lines(name: &str, now: &InputCounters, then: &InputCounters) -> Vec<String> {
    let newly = |(cause, count): (DropCause, u64)| (cause, count - then.dropped.get(cause));
    let dropped = now
        .dropped
        .iter()
        .map(newly)
        .filter(|(_, count)| *count > 0);
    let mut lines: Vec<String> = dropped
        .map(|(cause, count)| {
            let (cause, advice) = (cause.name(), cause.advice());
            format!("Plugin '{name}': dropped {count} ({cause}): {advice}")
        })
        .collect();
    let garbage = now.garbage_bytes - then.garbage_bytes;
    if garbage > 0 {
        // What is left of a record that was given up at its beginning is skipped like what never was one.
        let given_up = [
            DropCause::TooLong,
            DropCause::BadFrame,
            DropCause::PluginFailed,
        ];
        let is_rest = given_up
            .iter()
            .any(|cause| now.dropped.get(*cause) > then.dropped.get(*cause));
        let advice = if is_rest {
            "the rest of the records that were too long or damaged, or that the splitter failed over, is among them"
        } else {
            "the sender does not send what the splitter expects"
        };
        lines.push(format!(
            "Plugin '{name}': skipped {} that {} no record: {advice}",
            counted(garbage, "byte"),
            agrees(garbage, "begins", "begin")
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_has_its_own_advice() {
        let mut then = InputCounters::default();
        then.dropped.add(DropCause::BadFrame, 7);
        then.dropped.add(DropCause::Incomplete, 1);
        let mut now = then;
        now.dropped.add(DropCause::TooLong, 2);
        now.dropped.add(DropCause::BadFrame, 3);
        now.garbage_bytes = 9;
        let lines = dropped_lines("In", &now, &then);
        assert_eq!(lines.len(), 3, "{lines:?}");
        for (line, count, cause) in [
            (&lines[0], 2, DropCause::TooLong),
            (&lines[1], 3, DropCause::BadFrame),
        ] {
            let (name, advice) = (cause.name(), cause.advice());
            assert_eq!(
                *line,
                format!("Plugin 'In': dropped {count} ({name}): {advice}")
            );
        }
        assert!(lines[2].contains("9 bytes"), "{lines:?}");
        assert!(lines[2].contains("the rest of the records"), "{lines:?}");
        now.dropped = then.dropped;
        let lines = dropped_lines("In", &now, &then);
        assert!(lines[0].contains("what the splitter expects"), "{lines:?}");
    }

    #[test]
    fn the_report_says_why_and_in_which_unit() {
        let mut ledger = InputCounters::default();
        ledger.dropped.add(DropCause::UnknownSigner, 4);
        let mut text = String::new();
        drop_lines(&mut text, &ledger.dropped);
        let advice = DropCause::UnknownSigner.advice();
        assert_eq!(text, format!("    Dropped unknown_signer: 4 ({advice})\n"));
        let sampled = Sampled {
            samples: 2,
            total: std::time::Duration::from_nanos(700),
        };
        assert_eq!(nanoseconds(&sampled), "350 ns");
    }
}
