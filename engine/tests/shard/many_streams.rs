//! Inputs of many streams: what they may hold together, and what that leaves for others.
//!
//! Owns:    the claims about shares of the pool and about unfinished records.
//! Runs on: tests.            Plane: data.
//! Bounds:  one daemon a test; one of them keeps `limits::TAIL_BYTES_MAX`.
//! Never:   uses a socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use codecs::splitter::SplitterOptions;
use codecs::splitters::TokenSplitter;
use engine::event::DropCause;
use engine::limits;
use engine::shard::run::ToShard;

use crate::harness::{Keep, Many, Plan, Replay, SplitBy};

const LONG: usize = 1024 * 1024;

fn by_line() -> SplitBy {
    SplitBy {
        make: || {
            let options = SplitterOptions {
                record_bytes_max: LONG,
                ..SplitterOptions::default()
            };
            Box::new(TokenSplitter::new("\n", 1, options).expect("valid"))
        },
        message_bytes: false,
    }
}

fn many(bytes: Vec<u8>, streams: usize, stay: bool) -> Many {
    Many {
        replay: Replay {
            bytes: Arc::new(bytes),
            piece: usize::MAX,
            repeat: 1,
        },
        streams,
        stay,
        begin: Arc::new(AtomicBool::new(false)),
    }
}

#[test]
fn an_input_whose_output_has_stopped_leaves_batches_for_others() {
    let (stopped, moving) = (Keep::default(), Keep::default());
    stopped.closed.store(true, Ordering::Release);
    let lines = b"a line\n".repeat(20_000);
    // More streams than the pool has batches: each may hold one that waits for the output.
    let first = many(lines.clone(), 2 * limits::BATCHES, false);
    let second = many(lines, 4, false);
    let daemon = Plan::new(1)
        .input(first.clone(), by_line(), None)
        .input(second.clone(), by_line(), None)
        .output(stopped.clone(), "Type == 'input0'", 0)
        .output(moving, "Type == 'input1'", 0)
        .start();
    first.begin.store(true, Ordering::Release);
    let mut before = None;
    daemon.wait_for("stall", |snapshots| {
        let ledger = snapshots[0].ledgers[0];
        ledger.received > 0 && before.replace(ledger) == Some(ledger)
    });
    second.begin.store(true, Ordering::Release);
    daemon.wait_for("the other input", |snapshots| {
        snapshots[0].ledgers[1].delivered == 80_000
    });
    assert!(daemon.ledger(0).in_flight() > 0);
    stopped.closed.store(false, Ordering::Release);
    daemon.wait_until_idle();
    let streams = 2 * limits::BATCHES as u64;
    assert_eq!(daemon.ledger(0).delivered, streams * 20_000);
    daemon.stop();
}

#[test]
fn of_too_many_unfinished_records_the_longest_goes() {
    const BYSTANDER: usize = 440 * 1024;
    let longest = many(vec![b'x'; LONG - 1], 1, true);
    // Together with the longest a little too much, without it not.
    let count = (limits::TAIL_BYTES_MAX - LONG) / BYSTANDER + 1;
    let bystanders = many(vec![b'y'; BYSTANDER], count, true);
    let mut plan = Plan::new(1)
        .input(longest.clone(), by_line(), None)
        .input(bystanders.clone(), by_line(), None)
        .output(Keep::default(), "TRUE", 0);
    plan.message_bytes_max = LONG;
    let daemon = plan.start();
    longest.begin.store(true, Ordering::Release);
    daemon.wait_for("the longest", |snapshots| {
        snapshots[0].ledgers[0].bytes == LONG as u64 - 1
    });
    bystanders.begin.store(true, Ordering::Release);
    let snapshots = daemon.wait_for("all bytes", |snapshots| {
        snapshots[0].ledgers[1].bytes >= (count * BYSTANDER) as u64
            && snapshots[0].ledgers[0].streams_closed == 1
    });
    let [longest, bystanders, ..] = snapshots[0].ledgers[..] else {
        panic!("two inputs");
    };
    assert_eq!(longest.stream_errors, 1);
    assert_eq!(longest.dropped.get(DropCause::Incomplete), 1);
    assert_eq!(
        (bystanders.stream_errors, bystanders.streams_closed),
        (0, 0)
    );
    assert_eq!(snapshots[0].streams, count);
    daemon.tell(|| ToShard::StopInputs);
    daemon.wait_until_idle();
    let ledger = daemon.ledger(1);
    assert_eq!(ledger.dropped.get(DropCause::Incomplete), count as u64);
    daemon.stop();
}
