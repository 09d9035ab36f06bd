//! Plugins that panic or fail in every place, so often, and then work: what is delivered, what is dropped, and that the ledger balances.
//!
//! Owns:    the claims of docs/specs/delivery.md about restarts and panics.
//! Runs on: tests.            Plane: data.
//! Bounds:  one daemon at a time; one socket of loopback.
//! Never:   depends on how long a restart takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use engine::event::{ConsumerCounters, DropCause, InputCounters};
use engine::plugin::{Encoder, EncoderFactory};
use engine::shard::run::{Snapshot, ToControl};
use engine::shard::topology::{MakeDecoder, Role};

use crate::delivery::{by_line, lines, replay};
use crate::flaky::{
    Call, FlakyDecoder, FlakyEncoder, FlakyFilter, FlakyInput, FlakyOutput, FlakySplitter, Fuse,
    How, Moment, POISON, Part, TwoParts, encoded_by_a_flaky_one, is_poison,
};
use crate::harness::{Count, Daemon, Keep, PATIENCE, Payload, Plan, RECEIVED, Replay, SplitBy};

const FAILURES: u32 = 3;

pub(crate) fn sum(snapshots: &[Snapshot], consumer: usize) -> ConsumerCounters {
    let mut sum = ConsumerCounters::default();
    for snapshot in snapshots {
        sum.merge(&snapshot.consumers[consumer]);
    }
    sum
}

/// What a consumer matched it has taken, or dropped, or has still.
fn assert_settled(snapshots: &[Snapshot], consumer: usize) {
    let counters = sum(snapshots, consumer);
    let dropped = counters.dropped.total();
    assert_eq!(
        counters.matched,
        counters.processed + dropped,
        "{counters:?}"
    );
}

pub(crate) fn assert_balanced(ledger: &InputCounters) {
    let ends = ledger.delivered + ledger.unmatched + ledger.dropped.total();
    assert_eq!(ledger.received, ends, "{ledger:?}");
}

/// Waits until a plugin has said something with this in it.
pub(crate) fn wait_said(daemon: &Daemon, text: &str) -> String {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let said = match daemon.news.recv_deadline(deadline) {
            Ok(ToControl::Notice(notice)) => format!("{}: {}", notice.plugin, notice.text),
            Ok(ToControl::Ended(ended)) => {
                format!(
                    "{} ended: {}",
                    ended.plugin,
                    ended.error.unwrap_or_default()
                )
            }
            Ok(_) => continue,
            Err(_) => panic!("nobody said {text:?}"),
        };
        if said.contains(text) {
            return said;
        }
    }
}

pub(crate) fn flaky(output: FlakyOutput) -> Role {
    Role::Output {
        factory: Box::new(output),
        encoder: Some(Arc::new(Payload)),
        framing: false,
    }
}

#[test]
fn an_output_that_fails_anywhere_loses_nothing_and_keeps_the_order() {
    use Moment::{Begin, End, Make, Many, One, Run};
    for (moment, how) in [
        (Make, How::Panic),
        (Run, How::Panic),
        (Begin, How::Panic),
        (Begin, How::Fault),
        (One, How::Panic),
        (One, How::Fault),
        (Many, How::Panic),
        (Many, How::Fault),
    ] {
        for home in [0, 1] {
            let sent = lines(50_000);
            let fuse = Fuse::new(FAILURES, how);
            let output = FlakyOutput::new(moment, &fuse);
            let plan = Plan::new(2)
                .input(replay(sent.clone(), usize::MAX), by_line(), None)
                .consumer(flaky(output.clone()), "TRUE", home);
            let daemon = plan.start();
            daemon.wait_until_idle();
            let ledger = daemon.ledger(0);
            let snapshots = daemon.stop();
            assert_eq!(fuse.left(), 0, "{moment:?} was never reached");
            assert!(
                *output.kept.lock().expect("no panic") == sent,
                "{moment:?} {how:?} {home}"
            );
            assert_eq!(
                (ledger.received, ledger.delivered),
                (50_000, 50_000),
                "{moment:?}"
            );
            assert_settled(&snapshots, 0);
        }
    }
    // At the end there is one more attempt, and no more.
    let fuse = Fuse::new(1, How::Panic);
    let daemon = Plan::new(1)
        .input(replay(lines(10), usize::MAX), by_line(), None)
        .consumer(flaky(FlakyOutput::new(End, &fuse)), "TRUE", 0)
        .start();
    daemon.wait_until_idle();
    assert_eq!(daemon.ledger(0).delivered, 10);
    daemon.stop();
}

#[test]
fn what_a_failing_output_says_is_delivered_is_not_delivered_again() {
    let sent = lines(10_000);
    let fuse = Fuse::new(FAILURES, How::Fault);
    let output = FlakyOutput {
        first: true,
        ..FlakyOutput::new(Moment::One, &fuse)
    };
    let daemon = Plan::new(1)
        .input(replay(sent.clone(), usize::MAX), by_line(), None)
        .consumer(flaky(output.clone()), "TRUE", 0)
        .start();
    daemon.wait_until_idle();
    let snapshots = daemon.stop();
    assert_eq!(fuse.left(), 0);
    assert!(*output.kept.lock().expect("no panic") == sent);
    let counters = sum(&snapshots, 0);
    assert_eq!(counters.processed, 10_000);
    assert_eq!(counters.bytes, sent.len() as u64);
}

#[test]
fn a_parcel_that_a_thread_still_has_is_waited_for() {
    for home in [0, 1] {
        let sent = lines(20_000);
        let fuse = Fuse::new(1, How::Panic);
        let output = FlakyOutput::new(Moment::Thread, &fuse);
        let daemon = Plan::new(2)
            .input(replay(sent.clone(), usize::MAX), by_line(), None)
            .consumer(flaky(output.clone()), "TRUE", home)
            .start();
        let said = wait_said(&daemon, "a thread");
        assert!(said.contains("consumer0: waiting until"), "{said}");
        assert!(daemon.ledger(0).in_flight() > 0);
        output.release.store(true, Ordering::Release);
        daemon.wait_until_idle();
        let ledger = daemon.ledger(0);
        daemon.stop();
        assert!(*output.kept.lock().expect("no panic") == sent);
        assert_eq!(ledger.delivered, 20_000);
    }
}

#[test]
fn an_output_that_fails_too_often_ends_and_stalls_nobody() {
    for (how, retries) in [(How::Panic, 0), (How::Panic, 2), (How::Fault, 2)] {
        let sent = lines(100_000);
        let (fuse, healthy) = (Fuse::new(u32::MAX, how), Keep::default());
        let plan = Plan::new(2)
            .input(replay(sent.clone(), usize::MAX), by_line(), None)
            .consumer(flaky(FlakyOutput::new(Moment::Many, &fuse)), "TRUE", 1)
            .max_retries(retries)
            .output(healthy.clone(), RECEIVED, 0);
        let daemon = plan.start();
        let said = wait_said(&daemon, "consumer0 ended");
        let attempts = u32::MAX - fuse.left();
        assert_eq!(i64::from(attempts), retries + 1, "{said}");
        assert!(said.contains("max_retries"), "{said}");
        daemon.wait_until_idle();
        let ledger = daemon.ledger(0);
        let snapshots = daemon.stop();
        assert!(*healthy.kept.lock().expect("no panic") == sent);
        assert_eq!(ledger.dropped.get(DropCause::DestinationEnded), 100_000);
        assert_balanced(&ledger);
        assert_settled(&snapshots, 0);
    }
}

#[test]
fn an_input_that_fails_anywhere_is_started_again() {
    use Part::{Make, Open, Read, Run, Task};
    for (part, how) in [
        (Make, How::Panic),
        (Open, How::Panic),
        (Open, How::Fault),
        (Run, How::Panic),
        (Run, How::Fault),
        (Task, How::Panic),
        (Read, How::Panic),
    ] {
        let pieces: Vec<Vec<u8>> = (0..8).map(|_| lines(1000)).collect();
        let keep = Keep::default();
        let input = FlakyInput {
            pieces: Arc::new(pieces.clone()),
            next: Arc::default(),
            part,
            fuse: Fuse::new(FAILURES, how),
            dropped: Arc::new(AtomicUsize::new(0)),
        };
        let daemon = Plan::new(2)
            .input(input.clone(), by_line(), None)
            .output(keep.clone(), "TRUE", 1)
            .start();
        daemon.wait_until_idle();
        let ledger = daemon.ledger(0);
        daemon.stop();
        assert_eq!(input.fuse.left(), 0, "{part:?}");
        assert_eq!(ledger.delivered, 8_000, "{part:?} {how:?}");
        assert_balanced(&ledger);
        assert!(*keep.kept.lock().expect("no panic") == pieces.concat());
        assert_eq!(ledger.streams_opened, ledger.streams_closed);
        // Nothing goes on of an instance that failed.
        let dropped = input.dropped.load(Ordering::Acquire);
        assert!(dropped > 0, "{part:?}");
    }
}

#[test]
fn an_input_that_fails_too_often_ends_and_its_messages_are_delivered() {
    let keep = Keep::default();
    let input = FlakyInput {
        pieces: Arc::new((0..8).map(|_| lines(1000)).collect()),
        next: Arc::default(),
        part: Part::Run,
        fuse: Fuse::new(u32::MAX, How::Panic),
        dropped: Arc::default(),
    };
    let mut plan = Plan::new(1)
        .input(input, by_line(), None)
        .output(keep, "TRUE", 0);
    plan.inputs[0].retries.max_retries = 2;
    let daemon = plan.start();
    let said = wait_said(&daemon, "input0 ended");
    assert!(
        said.contains("3 failures in a row (`max_retries`)"),
        "{said}"
    );
    daemon.wait_until_idle();
    let ledger = daemon.ledger(0);
    daemon.stop();
    assert_eq!(ledger.delivered, 3_000);
    assert_balanced(&ledger);
}

/// Lines of what a filter or output kept, which has no newlines.
pub(crate) fn kept_lines(kept: &[u8]) -> usize {
    String::from_utf8_lossy(kept).matches("line ").count()
}

#[test]
fn a_filter_that_fails_drops_what_it_was_given_and_sees_the_rest_in_order() {
    for (call, how) in [
        (Call::Process, How::Panic),
        (Call::Process, How::Fault),
        (Call::Make, How::Panic),
        (Call::Inject, How::Panic),
    ] {
        for home in [0, 1] {
            let sent = lines(50_000);
            let fuse = Fuse::new(FAILURES, how);
            let (filter, keep) = (FlakyFilter::new(call, &fuse), Keep::default());
            let plan = Plan::new(2)
                .input(replay(sent.clone(), 10_000), by_line(), None)
                .consumer(Role::Filter(Box::new(filter.clone())), "TRUE", home)
                .output(keep.clone(), "Type != 'injected' && Type != 'half'", 1);
            let daemon = plan.start();
            daemon.wait_until_idle();
            let (ledger, injected) = (daemon.ledger(0), daemon.ledger(1));
            let snapshots = daemon.stop();
            assert_eq!(fuse.left(), 0, "{call:?}");
            let failed = ledger.dropped.get(DropCause::PluginFailed);
            assert!(failed > 0 && failed < 50_000, "{call:?} {home}: {ledger:?}");
            assert_eq!(ledger.dropped.total(), failed);
            assert_balanced(&ledger);
            assert_settled(&snapshots, 0);
            let seen = filter.seen.lock().expect("no panic");
            assert_eq!(kept_lines(&seen) as u64, 50_000 - failed, "{call:?} {home}");
            assert!(is_subsequence(&seen, &sent), "{call:?} {home}: order");
            // Others do not lose what it lost.
            assert!(*keep.kept.lock().expect("no panic") == sent);
            // What it had injected whole goes its way; what it was filling in does not.
            assert_eq!(injected.received, injected.unmatched, "{injected:?}");
            if call == Call::Inject {
                let whole = injected.received - u64::from(FAILURES);
                assert!(whole > 0 && whole.is_multiple_of(2), "{injected:?}");
            }
        }
    }
}

/// Whether the lines of one text stand in another in the same order.
fn is_subsequence(some: &[u8], all: &[u8]) -> bool {
    let mut all = all.split(|byte| *byte == b'\n');
    let some = some.split(|byte| *byte == b'\n');
    some.filter(|line| !line.is_empty())
        .all(|line| all.any(|other| other == line))
}

#[test]
fn a_filter_whose_timer_fails_is_started_again_and_loses_nothing() {
    let fuse = Fuse::new(FAILURES, How::Panic);
    let filter = FlakyFilter::new(Call::Tick, &fuse);
    let mut plan = Plan::new(1)
        .input(replay(lines(100), usize::MAX), by_line(), None)
        .consumer(Role::Filter(Box::new(filter.clone())), "TRUE", 0);
    plan.consumers[0].ticker_interval = Some(std::time::Duration::from_millis(1));
    let daemon = plan.start();
    daemon.wait_for("failures", |_| fuse.left() == 0);
    daemon.wait_until_idle();
    let ledger = daemon.ledger(0);
    daemon.stop();
    assert_eq!(ledger.delivered, 100);
    assert!(filter.made.load(Ordering::Acquire) >= FAILURES);
}

#[test]
fn a_filter_that_fails_too_often_ends_and_holds_nothing_up() {
    for home in [0, 1] {
        let fuse = Fuse::new(u32::MAX, How::Panic);
        let (filter, keep) = (FlakyFilter::new(Call::Process, &fuse), Keep::default());
        let sent = lines(100_000);
        let plan = Plan::new(2)
            .input(replay(sent.clone(), usize::MAX), by_line(), None)
            .consumer(Role::Filter(Box::new(filter)), "TRUE", home)
            .max_retries(2)
            .output(keep.clone(), RECEIVED, 0);
        let daemon = plan.start();
        wait_said(&daemon, "consumer0 ended");
        daemon.wait_until_idle();
        let ledger = daemon.ledger(0);
        let snapshots = daemon.stop();
        assert!(*keep.kept.lock().expect("no panic") == sent);
        let dropped = [DropCause::PluginFailed, DropCause::DestinationEnded];
        let dropped = dropped.map(|cause| ledger.dropped.get(cause));
        assert!(dropped.iter().all(|count| *count > 0), "{dropped:?}");
        assert_eq!(dropped.iter().sum::<u64>(), 100_000);
        assert_balanced(&ledger);
        assert_settled(&snapshots, 0);
    }
}

/// Lines of which every so many is poison.
pub(crate) fn poisoned(count: usize, every: usize) -> (Vec<u8>, Vec<u8>) {
    let (mut all, mut good) = (Vec::new(), Vec::new());
    for number in 0..count {
        if number % every == every / 2 {
            all.extend_from_slice(POISON);
            all.push(b'\n');
        } else {
            let line = format!("line {number}\n");
            all.extend_from_slice(line.as_bytes());
            good.extend_from_slice(line.as_bytes());
        }
    }
    (all, good)
}

#[test]
fn a_part_of_an_input_that_panics_fails_alone() {
    let parts = TwoParts {
        replay: Replay {
            bytes: Arc::new(lines(20_000)),
            piece: 1000,
            repeat: 1,
        },
        faults: Arc::default(),
    };
    let faults = Arc::clone(&parts.faults);
    let keep = Keep::default();
    let daemon = Plan::new(1)
        .input(parts, by_line(), None)
        .output(keep.clone(), "TRUE", 0)
        .start();
    daemon.wait_until_idle();
    daemon.wait_for("all faults", |_| {
        faults.lock().expect("no panic").len() == 3
    });
    let ledger = daemon.ledger(0);
    daemon.stop();
    assert_eq!(ledger.streams_opened, 1, "it was not started again");
    assert!(*keep.kept.lock().expect("no panic") == lines(20_000));
    for fault in faults.lock().expect("no panic").iter() {
        assert!(fault.starts_with("panicked: told to panic"), "{fault}");
    }
}

#[test]
fn a_decoder_that_panics_costs_the_record_that_caused_it() {
    let decoder = || -> Option<MakeDecoder> { Some(Box::new(|| Box::new(FlakyDecoder))) };
    for (count, every, piece) in [(5000, 50, 10_000), (40, 2, 7), (30, 1, usize::MAX)] {
        let (sent, good) = poisoned(count, every);
        let keep = Keep::default();
        let daemon = Plan::new(1)
            .input(replay(sent, piece), by_line(), decoder())
            .output(keep.clone(), "Type == 'decoded'", 0)
            .start();
        daemon.wait_until_idle();
        let ledger = daemon.ledger(0);
        let said = wait_said(&daemon, "decoder 'decoder' panicked: told to panic");
        assert!(said.starts_with("input0: "), "{said}");
        daemon.stop();
        assert!(*keep.kept.lock().expect("no panic") == good);
        let poison = (count / every) as u64;
        assert_eq!(ledger.dropped.get(DropCause::PluginFailed), poison);
        assert_eq!(ledger.received, count as u64);
        assert_balanced(&ledger);
    }
}

#[test]
fn a_stream_whose_decoder_panics_without_end_is_given_up_where_retries_are_counted() {
    let decoder: MakeDecoder = Box::new(|| Box::new(FlakyDecoder));
    let (sent, _) = poisoned(100, 1);
    let keep = Keep::default();
    let mut plan = Plan::new(1)
        .input(replay(sent, 20), by_line(), Some(decoder))
        .output(keep, "TRUE", 0);
    plan.inputs[0].retries.max_retries = 2;
    let daemon = plan.start();
    let said = wait_said(&daemon, "input0 ended");
    assert!(said.contains("panicked in 3 reads in a row"), "{said}");
    let ledger = daemon.ledger(0);
    daemon.stop();
    // Each instance of the input reads from the beginning.
    assert!(ledger.received < 100, "{ledger:?}");
    assert_balanced(&ledger);
}

#[test]
fn a_splitter_that_panics_costs_what_was_read_and_no_more() {
    let flaky = || SplitBy {
        make: FlakySplitter::make,
        message_bytes: false,
    };
    // Each read ends with a line, so that what goes on behind the panic begins with one.
    let text = b"line 000001\nline 000002\nline 000003\npoison00000\nline 000005\n";
    let keep = Keep::default();
    let daemon = Plan::new(1)
        .input(replay(text.repeat(50), 24), flaky(), None)
        .output(keep.clone(), "TRUE", 0)
        .start();
    daemon.wait_until_idle();
    let ledger = daemon.ledger(0);
    wait_said(&daemon, "splitter 'splitter' panicked");
    daemon.stop();
    assert_eq!(ledger.dropped.get(DropCause::PluginFailed), 50);
    assert_balanced(&ledger);
    let kept = keep.kept.lock().expect("no panic");
    assert_eq!(kept_lines(&kept) as u64, ledger.delivered);
    // With two lines a read, a panic costs itself and at most the line behind it.
    assert!(ledger.delivered >= 150, "{ledger:?}");
    assert!(!is_poison(&kept));
}

#[test]
fn an_encoder_that_panics_costs_the_message_that_caused_it() {
    for home in [0, 1] {
        let (sent, good) = poisoned(20_000, 1000);
        let (keep, other) = (Keep::default(), Keep::default());
        let role = encoded_by_a_flaky_one(&keep);
        let daemon = Plan::new(2)
            .input(replay(sent.clone(), 20_000), by_line(), None)
            .consumer(role, "TRUE", home)
            .output(other.clone(), "TRUE", 0)
            .start();
        daemon.wait_until_idle();
        let ledger = daemon.ledger(0);
        let said = wait_said(&daemon, "encoder 'encoder' panicked: told to panic");
        assert!(said.starts_with("consumer0: "), "{said}");
        let snapshots = daemon.stop();
        assert!(*keep.kept.lock().expect("no panic") == good);
        assert!(*other.kept.lock().expect("no panic") == sent);
        assert_eq!(ledger.dropped.get(DropCause::PluginFailed), 20);
        assert_balanced(&ledger);
        assert_settled(&snapshots, 0);
    }
}

/// An encoder's factory that works once and then panics.
struct OnlyOnce(FlakyEncoder, Fuse);

impl EncoderFactory for OnlyOnce {
    fn make(&self) -> Box<dyn Encoder> {
        // One for each shard is made at the start.
        if self.0.fuse.left() < u32::MAX {
            self.1.blow();
        }
        self.0.make()
    }
}

#[test]
fn an_encoder_that_cannot_be_made_again_costs_no_more_than_it_must() {
    let (sent, _) = poisoned(20_000, 10_000);
    let keep = Keep::default();
    let again = Fuse::new(FAILURES, How::Panic);
    let flaky = FlakyEncoder {
        fuse: Fuse::new(u32::MAX, How::Panic),
    };
    let role = Role::Output {
        factory: Box::new(keep),
        encoder: Some(Arc::new(OnlyOnce(flaky, again.clone()))),
        framing: false,
    };
    let daemon = Plan::new(1)
        .input(replay(sent, 20_000), by_line(), None)
        .consumer(role, "TRUE", 0)
        .start();
    daemon.wait_until_idle();
    let ledger = daemon.ledger(0);
    let snapshots = daemon.stop();
    assert_eq!(again.left(), 0);
    let failed = ledger.dropped.get(DropCause::PluginFailed);
    assert_eq!(ledger.delivered, 20_000 - failed);
    assert!(failed < 10_000, "{ledger:?}");
    assert_balanced(&ledger);
    assert_settled(&snapshots, 0);
}

#[test]
fn an_output_whose_encoder_fails_too_often_is_given_up() {
    for home in [0, 1] {
        let (sent, _) = poisoned(20_000, 1);
        let (keep, healthy) = (Keep::default(), Keep::default());
        let role = encoded_by_a_flaky_one(&keep);
        let daemon = Plan::new(2)
            .input(replay(sent.clone(), 1000), by_line(), None)
            .consumer(role, "TRUE", home)
            .max_retries(2)
            .output(healthy.clone(), RECEIVED, 0)
            .start();
        let said = wait_said(&daemon, "consumer0 ended");
        assert!(said.contains("encoder"), "{said}");
        daemon.wait_until_idle();
        let ledger = daemon.ledger(0);
        let snapshots = daemon.stop();
        assert!(*healthy.kept.lock().expect("no panic") == sent);
        assert!(keep.kept.lock().expect("no panic").is_empty());
        assert!(ledger.dropped.get(DropCause::DestinationEnded) > 0);
        assert_eq!(ledger.dropped.total(), 20_000);
        assert_balanced(&ledger);
        assert_settled(&snapshots, 0);
    }
}

#[test]
fn a_filter_that_is_down_does_not_hold_up_those_who_do_not_depend_on_it() {
    // It fails at each call, for longer than the test lasts.
    let fuse = Fuse::new(u32::MAX, How::Panic);
    let filter = FlakyFilter::new(Call::Process, &fuse);
    let (keep, seen) = (Keep::default(), Count::default());
    let sent = lines(100_000);
    let mut plan = Plan::new(1)
        .input(replay(sent, usize::MAX), by_line(), None)
        .input(replay(b"other\n".repeat(1000), usize::MAX), by_line(), None)
        .consumer(Role::Filter(Box::new(filter)), "Type == 'input0'", 0)
        .output(keep.clone(), "Type == 'input1'", 0)
        .filter(seen.clone(), "Type == 'input1'", 0);
    let hour = engine::plugin::options::Duration::seconds(3600);
    plan.consumers[0].retries.delay = hour;
    plan.consumers[0].retries.max_delay = hour;
    let daemon = plan.start();
    daemon.wait_for("the other input's messages", |_| {
        seen.seen.load(Ordering::Acquire) == 1000
            && keep.kept.lock().expect("no panic").len() == 6000
    });
    let held = daemon.ledger(0);
    assert!(held.in_flight() > 0, "{held:?}");
    daemon.quit();
}
