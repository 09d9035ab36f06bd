//! `match-scaling`: what a message costs beside 10, 100, 1,000 and 10,000 consumers, each message wanted by one of them.
//!
//! Owns:    the workloads: their expressions, a message for each consumer, and the check that it alone accepts.
//! Runs on: one pinned thread.            Plane: data.
//! Bounds:  batches of 64 messages of 1 KiB, as one read of a socket gives; at most `MESSAGES` messages.
//! Never:   counts the time that indexing takes: a batch is indexed, then its matching is timed.

use std::time::Instant;

use codecs::field::Span;
use codecs::message::{Draft, Header, MessageTable, NewValue, TableLimits};
use codecs::protobuf;
use matcher::{Consumer, Options, Plain, Set};
use serde::Serialize;

use crate::cli::RunArgs;
use crate::clock::pin;
use crate::record::{Circumstances, median};

/// Name of the scenario.
pub(crate) const NAME: &str = "match-scaling";

/// What it shows.
pub(crate) const ABOUT: &str = "matching alone: 10 to 10,000 consumers of five kinds, each message of 1,024 bytes wanted by one";

/// Messages that are gone through, fewer where there are fewer consumers to tell apart.
const MESSAGES: usize = 2048;

/// Messages of a batch.
const BATCH: usize = 64;

/// The plain evaluator is asked about one message in so many.
const ORACLE_EVERY: i64 = 32;

/// Bytes of an encoded message.
const MESSAGE_BYTES: usize = 1024;

/// Bytes of the tail of a message that its headers and fields need at most.
const HEADER_BYTES: usize = 200;

/// Patterns of the workload that is compared with trying them one after another.
const PATTERNS: usize = 200;

/// Patterns without a text that every match has.
const BARE_PATTERNS: usize = 40;

/// What consumers ask for, and what a message for one of them says.
struct Workload {
    name: &'static str,
    sizes: &'static [usize],
    expression: fn(usize) -> String,
    fill: fn(&mut Draft<'_>, usize, usize) -> Result<(), codecs::error::Full>,
}

const SIZES: &[usize] = &[10, 100, 1_000, 10_000];

const WORKLOADS: &[Workload] = &[
    Workload {
        name: "type",
        sizes: SIZES,
        expression: |number| format!("Type == \"t{number}\""),
        fill: of_type,
    },
    Workload {
        name: "type-and-severity",
        sizes: SIZES,
        expression: |number| format!("Type == \"t{number}\" && Severity < 4"),
        fill: of_type,
    },
    Workload {
        name: "field-and-pattern",
        sizes: SIZES,
        expression: |number| format!("Fields[app] == \"a{number}\" && Payload =~ /error|timeout/"),
        fill: |draft, number, salt| {
            let app = format!("a{number}");
            draft.set(Header::Type, "app.log")?;
            draft.add_field("host", NewValue::String("web1".into()), None)?;
            draft.add_field("app", NewValue::String(app.as_str().into()), None)?;
            draft.set(
                Header::Payload,
                filler(salt, "upstream timeout while reading").as_str(),
            )
        },
    },
    Workload {
        name: "patterns",
        sizes: &[PATTERNS],
        expression: pattern,
        fill: |draft, number, salt| {
            draft.set(Header::Type, "text")?;
            let (text, number) = (number % 5, number / 5);
            let said = match text {
                0 => format!("session opened for user u{number}."),
                1 => format!("E-{number:03}: disk"),
                2 => format!("kernel svc{number:03}: up"),
                3 => format!("latency={number}ms route=r{number};"),
                _ => format!("7xq{number:02x}9"),
            };
            let payload = if text == 2 {
                said + &filler(salt, "")
            } else {
                filler(salt, &said)
            };
            draft.set(Header::Payload, payload.as_str())
        },
    },
    Workload {
        name: "bare-patterns",
        sizes: &[BARE_PATTERNS],
        expression: |number| format!("Payload =~ /[0-9]x[a-z]{number:02x}\\d/"),
        fill: |draft, number, salt| {
            draft.set(Header::Type, "text")?;
            let said = format!("7xq{number:02x}9");
            draft.set(Header::Payload, filler(salt, &said).as_str())
        },
    },
    Workload {
        name: "mixed",
        sizes: SIZES,
        expression: mixed,
        fill: mixed_message,
    },
];

fn of_type(draft: &mut Draft<'_>, number: usize, salt: usize) -> Result<(), codecs::error::Full> {
    draft.set(Header::Type, format!("t{number}").as_str())?;
    draft.set_severity(3);
    draft.set(Header::Payload, filler(salt, "").as_str())
}

/// Patterns as people write them: with some text in them.
fn pattern(number: usize) -> String {
    let (text, number) = (number % 5, number / 5);
    let pattern = match text {
        0 => format!("opened for user u{number}\\b"),
        1 => format!("(?i)e-{number:03}"),
        2 => format!("^\\w+ svc{number:03}: "),
        3 => format!("latency=\\d+ms route=r{number};"),
        _ => format!("[0-9]x[q-t]{number:02x}\\d"),
    };
    format!("Payload =~ /{pattern}/")
}

fn mixed(number: usize) -> String {
    let (low, high) = (100 * number, 100 * number + 100);
    match number % 5 {
        0 => format!("Type == \"t{number}\" || Logger == \"l{number}\""),
        1 => format!("Pid >= {low} && Pid < {high} && Fields[trace] == NIL"),
        2 => format!("Fields[status] >= {low} && Fields[status] < {high}"),
        3 => format!("(Hostname =~ /^h{number}\\./ || Type == \"x{number}\") && Severity <= 6"),
        _ => format!("Fields[tag{number}] != NIL && Type != \"t0\""),
    }
}

fn mixed_message(
    draft: &mut Draft<'_>,
    number: usize,
    salt: usize,
) -> Result<(), codecs::error::Full> {
    draft.set_severity((salt % 7) as i32);
    draft.set_pid(i32::MAX);
    draft.set(Header::Type, "other")?;
    draft.add_field("seconds", NewValue::Double(0.25), None)?;
    match number % 5 {
        0 if salt.is_multiple_of(2) => draft.set(Header::Type, format!("t{number}").as_str())?,
        0 => draft.set(Header::Logger, format!("l{number}").as_str())?,
        1 => draft.set_pid((100 * number + salt % 100) as i32),
        2 => {
            let status = (100 * number + salt % 100) as i64;
            draft.add_field("status", NewValue::Integer(status), None)?;
        }
        3 => draft.set(Header::Hostname, format!("h{number}.example").as_str())?,
        _ => {
            let name = format!("tag{number}");
            draft.add_field(name.as_str(), NewValue::Bool(true), None)?;
        }
    }
    draft.set(Header::Payload, filler(salt, "").as_str())
}

/// Text of the length that makes a message as long as it has to be, with something said in its middle.
fn filler(salt: usize, said: &str) -> String {
    let mut random = fastrand::Rng::with_seed(salt as u64);
    let words = [
        "request", "served", "in", "turn", "from", "cache", "of", "node",
    ];
    let mut text = String::with_capacity(MESSAGE_BYTES);
    let whole = MESSAGE_BYTES - HEADER_BYTES;
    let mut fill = |text: &mut String, len: usize| {
        while text.len() < len {
            text.push_str(words[random.usize(..words.len())]);
            text.push(' ');
        }
    };
    fill(&mut text, whole / 2);
    text.push_str(said);
    text.push(' ');
    fill(&mut text, whole);
    text
}

/// One size of one workload.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Scaled {
    scenario: &'static str,
    workload: String,
    consumers: usize,
    ns_per_message: f64,
    /// As a multiple of the time beside 10 consumers.
    ratio_to_10: Option<f64>,
    /// Of trying every consumer in turn, where that was measured.
    ns_one_after_another: Option<f64>,
    build_ms: f64,
    /// How long a shard stands still when a set with one consumer more takes the place of this one.
    exchange_us: f64,
    tree_bytes: usize,
    #[serde(flatten)]
    circumstances: Circumstances,
}

/// Measures all workloads; prints and answers a row for each size.
pub(crate) fn run(args: &RunArgs, cpu: usize) -> Result<Vec<Scaled>, String> {
    pin(cpu).map_err(|error| format!("cannot pin to processor {cpu}: {error}"))?;
    let (seconds, rounds) = if args.smoke {
        (0.01, 1)
    } else {
        (args.seconds / 6.0, args.rounds.max(1))
    };
    let circumstances = Circumstances::now(format!(
        "in memory, one thread on processor {cpu}; batches of {BATCH} indexed messages of {MESSAGE_BYTES} bytes, \
         matching timed without indexing; median over the batches of a round, {rounds} rounds of {seconds:.2} s"
    ));
    let mut rows: Vec<Scaled> = Vec::new();
    for workload in WORKLOADS
        .iter()
        .filter(|workload| args.wants(workload.name, 0))
    {
        let mut ten = None;
        for &consumers in workload.sizes {
            if args.smoke && consumers > 1_000 {
                continue;
            }
            let mut row = measure(workload, consumers, seconds, rounds, &circumstances)?;
            let ten = *ten.get_or_insert(row.ns_per_message);
            row.ratio_to_10 = (workload.sizes.len() > 1).then(|| row.ns_per_message / ten);
            print(&row);
            rows.push(row);
        }
    }
    Ok(rows)
}

fn print(row: &Scaled) {
    let against = match (row.ratio_to_10, row.ns_one_after_another) {
        (_, Some(slow)) => format!(
            "{:.1} times as fast as one after another ({slow:.0} ns)",
            slow / row.ns_per_message
        ),
        (Some(ratio), None) => format!("{ratio:.2} times the time of 10"),
        (None, None) => String::new(),
    };
    println!(
        "{:<14} {:<18} {:>6} consumers  {:>8.1} ns/msg  built in {:>7.1} ms, exchanged in {:>6.1} us, {:>8.1} KiB  {against}",
        row.scenario,
        row.workload,
        row.consumers,
        row.ns_per_message,
        row.build_ms,
        row.exchange_us,
        row.tree_bytes as f64 / 1024.0,
    );
}

fn measure(
    workload: &Workload,
    consumers: usize,
    seconds: f64,
    rounds: usize,
    circumstances: &Circumstances,
) -> Result<Scaled, String> {
    let expressions: Vec<String> = (0..consumers).map(workload.expression).collect();
    let wanted: Vec<Consumer<'_>> = expressions
        .iter()
        .map(|expression| Consumer {
            expression,
            signer: None,
        })
        .collect();
    let start = Instant::now();
    let set = Set::build(&wanted).map_err(|errors| format!("{errors:?}"))?;
    let build_ms = start.elapsed().as_secs_f64() * 1e3;
    let mut traffic = Traffic::new(workload, consumers)?;
    traffic.check(&set, &expressions)?;
    let ns_per_message = traffic.time(&set, seconds, rounds)?;
    let exchange_us = traffic.exchange(&set, &wanted)?;
    let compared = workload.sizes.len() == 1;
    let ns_one_after_another = if compared {
        let slow = Options {
            tree: false,
            ..Options::default()
        };
        let set = Set::build_with(&wanted, slow).map_err(|errors| format!("{errors:?}"))?;
        Some(traffic.time(&set, seconds, rounds)?)
    } else {
        None
    };
    Ok(Scaled {
        scenario: NAME,
        workload: workload.name.to_owned(),
        consumers,
        ns_per_message,
        ratio_to_10: None,
        ns_one_after_another,
        build_ms,
        exchange_us,
        tree_bytes: set.memory(),
        circumstances: circumstances.clone(),
    })
}

/// Encoded messages, each with the consumer that it is for.
struct Traffic {
    batches: Vec<Vec<(Vec<u8>, usize)>>,
    table: MessageTable,
}

impl Traffic {
    fn new(workload: &Workload, consumers: usize) -> Result<Traffic, String> {
        let mut made = MessageTable::new(TableLimits {
            received_bytes: 0,
            arena_bytes: 8 * MESSAGE_BYTES,
            messages: 1,
            fields: 16,
        });
        let mut random = fastrand::Rng::with_seed(consumers as u64);
        let mut messages = Vec::with_capacity(MESSAGES);
        for salt in 0..MESSAGES {
            let target = random.usize(..consumers);
            made.clear();
            let mut draft = made.begin().map_err(|error| error.to_string())?;
            let filled = draft
                .set(Header::Uuid, &random.u128(..).to_le_bytes()[..])
                .and_then(|()| {
                    draft.set_timestamp(salt as i64);
                    (workload.fill)(&mut draft, target, salt)
                });
            filled.map_err(|error| error.to_string())?;
            let mut bytes = Vec::new();
            protobuf::encode(made.get(0), &mut bytes);
            messages.push((bytes, target));
        }
        let batches: Vec<_> = messages.chunks(BATCH).map(<[_]>::to_vec).collect();
        Ok(Traffic {
            batches,
            table: MessageTable::new(TableLimits {
                received_bytes: BATCH * 2 * MESSAGE_BYTES,
                arena_bytes: 0,
                messages: BATCH,
                fields: 16 * BATCH,
            }),
        })
    }

    /// Indexes one batch.
    fn fill(&mut self, number: usize) -> Result<(), String> {
        self.table.clear();
        let mut at = 0;
        for (bytes, _) in &self.batches[number] {
            let end = at + bytes.len();
            self.table.received_mut()[at..end].copy_from_slice(bytes);
            let mut draft = self.table.begin().map_err(|error| error.to_string())?;
            draft
                .index_protobuf(Span::new(at, end))
                .map_err(|error| format!("{error:?}"))?;
            at = end;
        }
        Ok(())
    }

    /// Each message is accepted by the consumer that it is for and by no other; of some the plain evaluator is asked as well.
    fn check(&mut self, set: &Set, expressions: &[String]) -> Result<(), String> {
        let (mut scratch, mut row) = (set.scratch(), set.row());
        for number in 0..self.batches.len() {
            self.fill(number)?;
            for (message, (_, target)) in self.table.iter().zip(&self.batches[number]) {
                set.search(&mut scratch, message, None, &mut row);
                let found: Vec<usize> = row.iter().collect();
                if found != [*target] {
                    return Err(format!(
                        "a message for consumer {target} is accepted by {found:?}"
                    ));
                }
                if message.timestamp() % ORACLE_EVERY != 0 {
                    continue;
                }
                for other in [*target, (target + 1) % expressions.len()] {
                    let plain =
                        Plain::new(&expressions[other]).map_err(|error| error.to_string())?;
                    if plain.matches(message) != (other == *target) {
                        return Err(format!("`{}` is not what was meant", expressions[other]));
                    }
                }
            }
        }
        Ok(())
    }

    /// Microseconds of the part of an exchange that a shard does: what it has compiled moves to the new set's scratch. Everything else is
    /// made ready elsewhere.
    fn exchange(&mut self, set: &Set, wanted: &[Consumer<'_>]) -> Result<f64, String> {
        let one_more = Consumer {
            expression: "Type == 'one more'",
            signer: None,
        };
        let more: Vec<Consumer<'_>> = wanted.iter().copied().chain([one_more]).collect();
        let next = Set::build(&more).map_err(|errors| format!("{errors:?}"))?;
        let origins = next.origins(set);
        let mut times = Vec::new();
        for _ in 0..5 {
            let (mut old, mut new, mut row) = (set.scratch(), next.scratch(), set.row());
            self.fill(0)?;
            for message in self.table.iter() {
                set.search(&mut old, message, None, &mut row);
            }
            let start = Instant::now();
            next.take_over(&mut new, &mut old, &origins);
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
        Ok(median(times))
    }

    /// Nanoseconds of matching a message: the median over all batches of a round, so that what interrupts a batch does not count,
    /// then over the rounds.
    fn time(&mut self, set: &Set, seconds: f64, rounds: usize) -> Result<f64, String> {
        let (mut scratch, mut row) = (set.scratch(), set.row());
        let mut medians = Vec::with_capacity(rounds);
        // The first round compiles what is compiled at first use.
        for round in 0..=rounds {
            let (start, mut times) = (Instant::now(), Vec::new());
            let (mut messages, mut accepted) = (0, 0);
            while messages == 0 || round > 0 && start.elapsed().as_secs_f64() < seconds {
                for number in 0..self.batches.len() {
                    self.fill(number)?;
                    let start = Instant::now();
                    for message in self.table.iter() {
                        set.search(&mut scratch, message, None, &mut row);
                        accepted += row.iter().count();
                    }
                    times.push(start.elapsed().as_nanos() as f64 / self.table.len() as f64);
                    messages += self.table.len();
                }
            }
            if accepted != messages {
                return Err(format!("{messages} messages, {accepted} acceptances"));
            }
            if round > 0 {
                medians.push(median(times));
            }
        }
        Ok(median(medians))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_for_one_consumer() {
        for workload in WORKLOADS {
            let consumers = workload.sizes[0].max(50);
            let circumstances = Circumstances::now(String::new());
            let row = measure(workload, consumers, 0.0, 1, &circumstances).unwrap();
            assert!(row.tree_bytes > 0, "{}", workload.name);
        }
    }
}
