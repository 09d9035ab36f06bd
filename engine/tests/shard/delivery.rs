//! Routing and delivery: everything arrives once, in order, and the ledger balances.
//!
//! Owns:    the claims about homes, credits, drops and order.
//! Runs on: tests.            Plane: data.
//! Bounds:  one daemon a test.
//! Never:   uses a socket.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use codecs::splitter::SplitterOptions;
use codecs::splitters::TokenSplitter;
use engine::event::DropCause;
use engine::plugin::Placement;
use engine::shard::run::ToShard;

use crate::harness::{Count, Keep, Plan, RECEIVED, Replay, ReplayInput, SplitBy};

pub(crate) fn lines(count: usize) -> Vec<u8> {
    (0..count)
        .flat_map(|number| format!("line {number}\n").into_bytes())
        .collect()
}

pub(crate) fn by_line() -> SplitBy {
    SplitBy {
        make: || Box::new(TokenSplitter::new("\n", 1, SplitterOptions::default()).expect("valid")),
        message_bytes: false,
    }
}

pub(crate) fn replay(bytes: Vec<u8>, piece: usize) -> ReplayInput {
    ReplayInput {
        replay: Replay {
            bytes: Arc::new(bytes),
            piece,
            repeat: 1,
        },
        placement: Placement::OneShard,
    }
}

#[test]
fn one_shard_delivers_everything_in_order() {
    let sent = lines(20_000);
    for piece in [7, 1000, usize::MAX] {
        let (keep, count) = (Keep::default(), Count::default());
        let plan = Plan::new(1)
            .input(replay(sent.clone(), piece), by_line(), None)
            .output(keep.clone(), "TRUE", 0)
            .filter(count.clone(), "Payload =~ /7/", 0);
        let daemon = plan.start();
        daemon.wait_until_idle();
        let ledger = daemon.ledger(0);
        daemon.stop();
        assert!(
            *keep.kept.lock().expect("no panic") == sent,
            "bytes differ at piece {piece}"
        );
        assert_eq!(
            (ledger.received, ledger.delivered, ledger.unmatched),
            (20_000, 20_000, 0)
        );
        let sevens = (0..20_000)
            .filter(|number: &u32| number.to_string().contains('7'))
            .count() as u64;
        assert_eq!(count.seen.load(Ordering::Relaxed), sevens);
    }
}

#[test]
fn consumers_on_another_shard_get_everything_in_order() {
    let sent = lines(50_000);
    let (keep, count) = (Keep::default(), Count::default());
    let plan = Plan::new(2)
        .input(replay(sent.clone(), usize::MAX), by_line(), None)
        .output(keep.clone(), "TRUE", 1)
        .filter(count.clone(), "TRUE", 1);
    let daemon = plan.start();
    daemon.wait_until_idle();
    let ledger = daemon.ledger(0);
    daemon.stop();
    assert!(*keep.kept.lock().expect("no panic") == sent);
    assert_eq!(ledger.delivered, 50_000);
    assert_eq!(count.seen.load(Ordering::Relaxed), 50_000);
}

#[test]
fn a_stopped_output_stops_the_input_and_loses_nothing() {
    for home in [0, 1] {
        let sent = lines(2_000_000);
        let keep = Keep::default();
        keep.closed.store(true, Ordering::Release);
        let plan = Plan::new(2)
            .input(replay(sent.clone(), usize::MAX), by_line(), None)
            .output(keep.clone(), "TRUE", home);
        let daemon = plan.start();
        let credits = usize::from(engine::limits::CONSUMER_CREDITS);
        daemon.wait_for("back-pressure", |snapshots| {
            snapshots[0].batches_in_use > credits
        });
        let before = daemon.ledger(0);
        std::thread::sleep(std::time::Duration::from_millis(50));
        let after = daemon.ledger(0);
        assert_eq!(
            before.received, after.received,
            "a blocked stream is not read"
        );
        assert!(after.in_flight() > 0 && after.received < 2_000_000);
        keep.closed.store(false, Ordering::Release);
        daemon.wait_until_idle();
        assert_eq!(daemon.ledger(0).delivered, 2_000_000);
        daemon.stop();
        assert!(
            *keep.kept.lock().expect("no panic") == sent,
            "order and bytes, home {home}"
        );
    }
}

#[test]
fn a_stop_reads_what_waits_however_long_the_output_takes() {
    let sent = lines(500_000);
    let keep = Keep::default();
    keep.closed.store(true, Ordering::Release);
    // Short reads, as of a sender that sends what it holds back little by little.
    let plan = Plan::new(1)
        .input(replay(sent.clone(), 8 * 1024), by_line(), None)
        .output(keep.clone(), "TRUE", 0);
    let daemon = plan.start();
    let credits = usize::from(engine::limits::CONSUMER_CREDITS);
    daemon.wait_for("back-pressure", |snapshots| {
        snapshots[0].batches_in_use > credits
    });
    daemon.tell(|| ToShard::StopInputs);
    std::thread::sleep(engine::limits::STOP_GRACE + engine::limits::STOP_QUIET);
    keep.closed.store(false, Ordering::Release);
    daemon.wait_until_idle();
    assert_eq!(daemon.ledger(0).delivered, 500_000);
    daemon.stop();
    assert!(*keep.kept.lock().expect("no panic") == sent);
}

#[test]
fn unmatched_and_refused_messages_are_counted_once() {
    let keep = Keep {
        drop_every: Some(2),
        ..Keep::default()
    };
    let twin = keep.clone();
    let plan = Plan::new(2)
        .input(replay(lines(1000), usize::MAX), by_line(), None)
        .output(keep, "Payload =~ /^line [0-4]/", 1)
        .output(twin, "Payload =~ /^line [0-4]/", 0);
    let daemon = plan.start();
    daemon.wait_until_idle();
    let ledger = daemon.ledger(0);
    let snapshots = daemon.stop();
    let matched = (0..1000)
        .filter(|number: &u32| number.to_string().as_bytes()[0] < b'5')
        .count() as u64;
    assert_eq!(ledger.received, 1000);
    assert_eq!(ledger.unmatched, 1000 - matched);
    let refused = ledger.dropped.get(DropCause::Refused);
    assert_eq!(ledger.delivered + refused, matched);
    let by_outputs: u64 = snapshots
        .iter()
        .flat_map(|snapshot| &snapshot.consumers)
        .map(|consumer| consumer.dropped.get(DropCause::Refused))
        .sum();
    assert_eq!(
        by_outputs,
        refused * 2,
        "both outputs dropped the same messages"
    );
    assert_eq!(ledger.in_flight(), 0);
}

#[test]
fn injections_have_a_ledger_and_a_limit_of_their_own() {
    let first = Count {
        inject: true,
        ..Count::default()
    };
    let second = Count {
        inject: true,
        ..Count::default()
    };
    let plan = Plan::new(2)
        .input(replay(lines(100), usize::MAX), by_line(), None)
        .filter(first.clone(), "TRUE", 0)
        .filter(second.clone(), "Type == 'injected'", 1);
    let daemon = plan.start();
    daemon.wait_until_idle();
    let (of_first, of_second) = (daemon.ledger(1), daemon.ledger(2));
    daemon.stop();
    // 100 lines; each injection goes to the other filter until four injections lie behind it.
    assert_eq!(first.seen.load(Ordering::Relaxed), 300);
    assert_eq!(second.seen.load(Ordering::Relaxed), 200);
    // A refused injection is in the filter's ledger as well.
    assert_eq!((of_first.received, of_first.delivered), (300, 200));
    assert_eq!(of_first.dropped.get(DropCause::LoopLimit), 100);
    assert_eq!((of_second.received, of_second.delivered), (200, 200));
    assert_eq!(of_first.in_flight() + of_second.in_flight(), 0);
}

#[test]
fn an_output_that_ends_drops_with_a_count_and_stalls_nobody() {
    for home in [0, 1] {
        let (failing, healthy) = (
            Keep {
                fail: true,
                ..Keep::default()
            },
            Keep::default(),
        );
        let sent = lines(300_000);
        let plan = Plan::new(2)
            .input(replay(sent.clone(), usize::MAX), by_line(), None)
            .output(failing, "TRUE", home)
            .output(healthy.clone(), RECEIVED, 0);
        let daemon = plan.start();
        daemon.wait_until_idle();
        let ledger = daemon.ledger(0);
        daemon.tell(|| ToShard::EndOutputs);
        daemon.stop();
        assert!(*healthy.kept.lock().expect("no panic") == sent);
        assert_eq!(ledger.dropped.get(DropCause::DestinationEnded), 300_000);
        assert_eq!(ledger.in_flight(), 0);
    }
}
