//! `route-memory`: splitter, decoder and router on frames that are in memory already; no socket, no daemon.
//!
//! Owns:    the loop, and the check of what it routed.
//! Runs on: one pinned thread.            Plane: data.
//! Bounds:  a megabyte of distinct frames, gone through again and again.
//! Never:   allocates in the loop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use codecs::field::Span;
use codecs::message::{MessageTable, TableLimits};
use codecs::signing::Keys;
use codecs::splitter::{Split, Splitter, SplitterOptions};
use codecs::splitters::HekaFramingSplitter;
use matcher::{Consumer, Scratch, Set};

use crate::check;
use crate::cli::{Format, RunArgs};
use crate::clock::pin;
use crate::record::{self, Circumstances, Row, median};
use crate::scenario::Matchers;
use crate::traffic::Traffic;

/// Name of the scenario.
pub(crate) const NAME: &str = "route-memory";

/// What it shows.
pub(crate) const ABOUT: &str =
    "splitter, decoder and router in memory, frames of 1,024 and 256 bytes, 1, 10, 100 matchers";

/// Bytes of one table: what a shard receives at once.
const CHUNK_BYTES: usize = 64 * 1024;

const CASES: [Matchers; 4] = [
    Matchers::ByType(1),
    Matchers::ByType(10),
    Matchers::ByType(100),
    Matchers::Mixed,
];

/// Measures all cases.
pub(crate) fn run(args: &RunArgs, cpu: usize) -> Result<Vec<Row>, String> {
    pin(cpu).map_err(|error| format!("cannot pin to processor {cpu}: {error}"))?;
    let (seconds, rounds) = if args.smoke {
        (0.05, 1)
    } else {
        (args.seconds / 3.0, args.rounds.max(1))
    };
    let circumstances = Circumstances::now(format!(
        "in memory, one thread on processor {cpu}, chunks of 64 KiB of a megabyte of distinct frames, elapsed time, \
         {rounds} rounds of {seconds:.2} s, medians"
    ));
    let mut rows = Vec::new();
    for message_bytes in [1024, 256] {
        for case in CASES
            .into_iter()
            .filter(|case| args.wants(case.kind(), case.count()))
        {
            let row = measure(message_bytes, case, seconds, rounds, &circumstances)?;
            record::print(&row);
            rows.push(row);
        }
    }
    Ok(rows)
}

fn measure(
    message_bytes: usize,
    case: Matchers,
    seconds: f64,
    rounds: usize,
    circumstances: &Circumstances,
) -> Result<Row, String> {
    let traffic = Traffic::new(Format::Frames, message_bytes, case.types())?;
    let expected = check::expected(&traffic, Format::Frames, case)?;
    let mut router = Router::new(&traffic, case)?;
    let mut times = Vec::new();
    let mut passes = 0;
    for _ in 0..rounds {
        let start = Instant::now();
        let mut here = 0u64;
        while here == 0 || start.elapsed() < Duration::from_secs_f64(seconds) {
            router.pass()?;
            here += 1;
        }
        times.push(start.elapsed().as_nanos() as f64 / (here * traffic.messages() as u64) as f64);
        passes += here;
    }
    for (number, (seen, per_pass)) in router.counts.iter().zip(&expected).enumerate() {
        if *seen != per_pass * passes {
            return Err(format!(
                "matcher {number} accepted {seen} messages, {} were expected",
                per_pass * passes
            ));
        }
    }
    let nanoseconds = median(times);
    let gibibyte = f64::from(1 << 30);
    Ok(Row {
        scenario: NAME.to_owned(),
        program: "in-process".to_owned(),
        matchers: case.count(),
        matcher_kind: case.kind(),
        message_bytes,
        connections: 0,
        ratio: None,
        ratios: Vec::new(),
        gbit_per_second: message_bytes as f64 * 8.0 / nanoseconds,
        raw_gbit_per_second: None,
        messages_per_second: 1e9 / nanoseconds,
        cpu_seconds: nanoseconds * 1e-9 * (passes * traffic.messages() as u64) as f64,
        cpu_seconds_per_gib: nanoseconds * 1e-9 * gibibyte / message_bytes as f64,
        raw_cpu_seconds_per_gib: None,
        cpu_ratio: None,
        ns_per_message: nanoseconds,
        peak_rss_bytes: 0,
        messages: passes * traffic.messages() as u64,
        lost: 0,
        circumstances: circumstances.clone(),
    })
}

/// The path of a message from received bytes to the row of its consumers.
struct Router {
    tables: Vec<MessageTable>,
    splitter: HekaFramingSplitter,
    set: Set,
    scratch: Scratch,
    accepted: matcher::Row,
    /// Messages that each matcher accepted so far.
    counts: Vec<u64>,
}

impl Router {
    fn new(traffic: &Traffic, case: Matchers) -> Result<Router, String> {
        let expressions = case.expressions();
        let consumers: Vec<Consumer<'_>> = expressions
            .iter()
            .map(|expression| Consumer {
                expression,
                signer: None,
            })
            .collect();
        let set = Set::build(&consumers).map_err(|errors| format!("{errors:?}"))?;
        let frames = CHUNK_BYTES / traffic.bytes().len().min(CHUNK_BYTES) * traffic.messages();
        let tables = traffic.bytes().chunks(CHUNK_BYTES).map(|chunk| {
            let mut table = MessageTable::new(TableLimits {
                received_bytes: chunk.len(),
                arena_bytes: 0,
                messages: frames,
                fields: 8 * frames,
            });
            table.received_mut().copy_from_slice(chunk);
            table
        });
        Ok(Router {
            tables: tables.collect(),
            splitter: HekaFramingSplitter::new(
                SplitterOptions::default(),
                Arc::new(Keys::new()),
                false,
            ),
            scratch: set.scratch(),
            accepted: set.row(),
            counts: vec![0; case.count()],
            set,
        })
    }

    /// Splits, decodes and routes everything once.
    fn pass(&mut self) -> Result<(), String> {
        for table in &mut self.tables {
            table.clear();
            decode(&mut self.splitter, table)?;
            for message in table.iter() {
                self.set
                    .search(&mut self.scratch, message, None, &mut self.accepted);
                for consumer in &self.accepted {
                    self.counts[consumer] += 1;
                }
            }
        }
        Ok(())
    }
}

/// Splits the received bytes and indexes every record as a message of the table.
fn decode(splitter: &mut HekaFramingSplitter, table: &mut MessageTable) -> Result<(), String> {
    let mut at = 0;
    let end = table.limits().received_bytes;
    loop {
        match splitter.split(&table.bytes()[at..end], false) {
            Split::Record(record) => {
                let content = Span::new(
                    at + record.content.start as usize,
                    at + record.content.end(),
                );
                let mut draft = table.begin().map_err(|error| error.to_string())?;
                draft
                    .index_protobuf(content)
                    .map_err(|error| format!("{error:?}"))?;
                at += record.consumed;
            }
            Split::Skip { cause, .. } => return Err(format!("the splitter skips: {cause:?}")),
            Split::More if at == end => return Ok(()),
            Split::More => return Err("a frame goes over the end of its chunk".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_routed_is_what_the_plain_evaluator_accepts() {
        let circumstances = Circumstances::now(String::new());
        for case in CASES {
            let row = measure(256, case, 0.0, 2, &circumstances).unwrap();
            assert_eq!(row.messages, 2 * 4096);
        }
    }
}
