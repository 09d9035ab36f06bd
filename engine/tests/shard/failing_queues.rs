//! Plugins with disk queues that panic or fail: the queue has what they have not taken.
//!
//! Owns:    the claims of docs/specs/delivery.md about restarts where a queue stands between.
//! Runs on: tests.            Plane: data.
//! Bounds:  one daemon at a time, one folder a test.
//! Never:   depends on how long a restart takes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use engine::event::DropCause;
use engine::io::disk::SystemDisk;
use engine::queue::{Meta, View};
use engine::shard::topology::{LettersUnit, QueueSize, QueueUnit, Role};

use crate::delivery::{by_line, lines, replay};
use crate::failing::{assert_balanced, flaky, kept_lines, poisoned, sum, wait_said};
use crate::flaky::{
    Call, FlakyFilter, FlakyOutput, Fuse, How, Moment, POISON, encoded_by_a_flaky_one,
};
use crate::harness::{Keep, Many, Plan, Replay};
use crate::queueing::{copy_folder, queue, wait_until_drained};

#[test]
fn an_output_with_a_queue_that_fails_loses_nothing_and_keeps_the_order() {
    for (moment, how) in [
        (Moment::One, How::Panic),
        (Moment::Many, How::Panic),
        (Moment::Many, How::Fault),
    ] {
        let one_shard = [(1, 0, false), (1, 0, true)];
        let two_shards = [(2, 0, false), (2, 1, false), (2, 0, true), (2, 1, true)];
        for (shards, home, memory_first) in one_shard.into_iter().chain(two_shards) {
            let folder = tempfile::tempdir().expect("a folder");
            let sent = lines(50_000);
            let fuse = Fuse::new(3, how);
            let output = FlakyOutput::new(moment, &fuse);
            let daemon = Plan::new(shards)
                .input(replay(sent.clone(), usize::MAX), by_line(), None)
                .consumer(flaky(output.clone()), "TRUE", home)
                .queued(QueueUnit {
                    memory_first,
                    ..queue(folder.path(), shards)
                })
                .start();
            wait_until_drained(&daemon);
            let ledger = daemon.ledger(0);
            daemon.stop();
            assert_eq!(fuse.left(), 0);
            assert_eq!(ledger.delivered, 50_000, "{moment:?} {memory_first}");
            assert_balanced(&ledger);
            assert!(
                *output.kept.lock().expect("no panic") == sent,
                "{moment:?} {how:?} {home} {memory_first}"
            );
        }
    }
}

#[test]
fn what_an_output_that_ends_has_not_taken_stays_in_its_queue() {
    let folder = tempfile::tempdir().expect("a folder");
    let sent = lines(20_000);
    let fuse = Fuse::new(u32::MAX, How::Panic);
    let daemon = Plan::new(2)
        .input(replay(sent.clone(), usize::MAX), by_line(), None)
        .consumer(flaky(FlakyOutput::new(Moment::Many, &fuse)), "TRUE", 1)
        .max_retries(2)
        .needed()
        .queued(queue(folder.path(), 2))
        .start();
    wait_said(&daemon, "consumer0 ended");
    daemon.wait_until_idle();
    let ledger = daemon.ledger(0);
    assert_eq!(ledger.delivered, 20_000, "the queue has them");
    assert_balanced(&ledger);
    daemon.quit();
    let after = tempfile::tempdir().expect("a folder");
    copy_folder(&folder.path().join("queue"), &after.path().join("queue"));
    let keep = Keep::default();
    let daemon = Plan::new(2)
        .input(replay(Vec::new(), 1), by_line(), None)
        .output(keep.clone(), "TRUE", 0)
        .queued(queue(after.path(), 2))
        .start();
    daemon.wait_for("what was left", |_| {
        keep.kept.lock().expect("no panic").len() >= sent.len()
    });
    daemon.stop();
    assert!(*keep.kept.lock().expect("no panic") == sent);
}

#[test]
fn the_queue_of_an_output_that_ended_for_good_takes_nothing_more() {
    for home in [0, 1] {
        let folder = tempfile::tempdir().expect("a folder");
        let fuse = Fuse::new(u32::MAX, How::Panic);
        let later = Many {
            replay: Replay {
                bytes: Arc::new(lines(50_000)),
                piece: usize::MAX,
                repeat: 1,
            },
            streams: 1,
            stay: false,
            begin: Arc::default(),
        };
        let begin = Arc::clone(&later.begin);
        let daemon = Plan::new(2)
            .input(replay(lines(1000), usize::MAX), by_line(), None)
            .input(later, by_line(), None)
            .consumer(flaky(FlakyOutput::new(Moment::One, &fuse)), "TRUE", home)
            .max_retries(0)
            .queued(queue(folder.path(), 2))
            .start();
        wait_said(&daemon, "consumer0 ended");
        begin.store(true, Ordering::Release);
        let snapshots = daemon.wait_until_idle();
        let (before, after) = (daemon.ledger(0), daemon.ledger(1));
        let queued: u64 = snapshots.iter().map(|it| it.disk_queues[0].queued).sum();
        daemon.quit();
        assert_balanced(&before);
        assert_balanced(&after);
        assert_eq!(
            before.delivered + after.delivered,
            queued,
            "the queue has them"
        );
        let dropped = after.dropped.get(DropCause::DestinationEnded);
        assert_eq!(after.delivered + dropped, 50_000);
        // Another shard may hear of it a little later.
        assert!(dropped == 50_000 || home == 1 && dropped > 0, "{dropped}");
    }
}

#[test]
fn a_full_queue_whose_output_ends_holds_nobody_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let fuse = Fuse::new(u32::MAX, How::Panic);
    let output = FlakyOutput::new(Moment::Thread, &fuse);
    let release = Arc::clone(&output.release);
    let daemon = Plan::new(1)
        .input(replay(lines(200_000), usize::MAX), by_line(), None)
        .consumer(flaky(output), "TRUE", 0)
        .max_retries(0)
        .queued(QueueUnit {
            bytes_max: Some(1_000_000),
            ..queue(folder.path(), 1)
        })
        .start();
    wait_said(&daemon, "its disk queue is full");
    release.store(true, Ordering::Release);
    wait_said(&daemon, "consumer0 ended");
    daemon.wait_until_idle();
    let ledger = daemon.ledger(0);
    daemon.quit();
    assert_balanced(&ledger);
    let dropped = ledger.dropped.get(DropCause::DestinationEnded);
    assert!(ledger.delivered > 0 && dropped > 0);
    assert_eq!(ledger.delivered + dropped, 200_000);
}

#[test]
fn a_filter_with_a_queue_that_fails_drops_what_it_was_given_and_sees_the_rest() {
    for (home, memory_first) in [(0, false), (1, false), (0, true), (1, true)] {
        let folder = tempfile::tempdir().expect("a folder");
        let fuse = Fuse::new(3, How::Panic);
        let filter = FlakyFilter::new(Call::Process, &fuse);
        let daemon = Plan::new(2)
            .input(replay(lines(50_000), 10_000), by_line(), None)
            .consumer(Role::Filter(Box::new(filter.clone())), "TRUE", home)
            .queued(QueueUnit {
                memory_first,
                ..queue(folder.path(), 2)
            })
            .start();
        wait_until_drained(&daemon);
        let (direct, drawn) = (daemon.ledger(0), daemon.ledger(2));
        daemon.stop();
        assert_eq!(fuse.left(), 0);
        assert_balanced(&direct);
        assert_balanced(&drawn);
        let failed = [&direct, &drawn].map(|ledger| ledger.dropped.get(DropCause::PluginFailed));
        let failed: u64 = failed.iter().sum();
        assert!(failed > 0 && failed < 50_000, "{failed}");
        let seen = kept_lines(&filter.seen.lock().expect("no panic")) as u64;
        assert_eq!(seen, 50_000 - failed, "{home} {memory_first}");
    }
}

/// The causes of all dead letters.
fn causes(folder: &Path) -> Vec<String> {
    let view = View::look(SystemDisk::default(), folder).expect("dead letters");
    let (mut causes, mut buffer, mut items) = (Vec::new(), vec![0; 1 << 20], Vec::new());
    for lane in &view.lanes {
        let mut reader = lane.reader();
        loop {
            reader
                .read(&mut buffer, lane.published, 100, &mut items)
                .expect("a good disk");
            if items.is_empty() {
                break;
            }
            causes.extend(items.iter().map(|item| {
                let meta = Meta::read(item.meta.of(&buffer)).expect("a dead letter");
                format!("{} after {}", meta.cause, meta.attempts)
            }));
        }
    }
    causes
}

#[test]
fn a_message_over_which_an_output_panics_becomes_a_dead_letter_and_the_rest_goes_on_in_order() {
    for (home, queued, memory_first) in [
        (0, false, false),
        (1, false, false),
        (0, true, false),
        (1, true, false),
        (1, true, true),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut sent, mut good) = poisoned(9000, 3000);
        // Several in a row.
        sent.extend_from_slice(&[POISON, b"\n"].concat().repeat(3));
        sent.extend(lines(5000));
        good.extend(lines(5000));
        let fuse = Fuse::new(u32::MAX, How::Panic);
        let output = FlakyOutput::new(Moment::Poison, &fuse);
        let letters = folder.path().join("letters");
        let mut plan = Plan::new(2)
            .input(replay(sent, 20_000), by_line(), None)
            .consumer(flaky(output.clone()), "TRUE", home)
            .letters(LettersUnit {
                folder: letters.clone(),
                bytes_max: 1 << 30,
                size: QueueSize::new(2),
            });
        if queued {
            plan = plan.queued(QueueUnit {
                memory_first,
                ..queue(folder.path(), 2)
            });
        }
        let daemon = plan.start();
        let snapshots = daemon.wait_for("all", |snapshots| {
            let kept = output.kept.lock().expect("no panic").len();
            kept == good.len() && sum(snapshots, 0).dead_lettered == 6
        });
        assert_eq!(sum(&snapshots, 0).dropped.total(), 0);
        daemon.stop();
        assert!(
            *output.kept.lock().expect("no panic") == good,
            "{home} {queued}"
        );
        let causes = causes(&letters);
        assert_eq!(causes.len(), 6);
        for cause in causes {
            assert!(
                cause.starts_with(
                    "plugin_failed: the output panicked over it 3 times: told to panic"
                ),
                "{cause}"
            );
            assert!(cause.ends_with("after 3"), "{cause}");
        }
    }
}

#[test]
fn without_dead_letters_an_output_is_given_all_again_however_often_it_panics() {
    let (sent, _) = poisoned(9000, 3000);
    let fuse = Fuse::new(20, How::Panic);
    let output = FlakyOutput::new(Moment::Poison, &fuse);
    let daemon = Plan::new(1)
        .input(replay(sent.clone(), 20_000), by_line(), None)
        .consumer(flaky(output.clone()), "TRUE", 0)
        .start();
    daemon.wait_until_idle();
    let ledger = daemon.ledger(0);
    daemon.stop();
    assert_eq!((fuse.left(), ledger.dropped.total()), (0, 0));
    assert!(*output.kept.lock().expect("no panic") == sent);
}

#[test]
fn an_encoder_that_panics_over_what_a_queue_has_costs_the_message_that_caused_it() {
    for home in [0, 1] {
        let folder = tempfile::tempdir().expect("a folder");
        let (sent, good) = poisoned(20_000, 1000);
        let keep = Keep::default();
        let role = encoded_by_a_flaky_one(&keep);
        let daemon = Plan::new(2)
            .input(replay(sent, 20_000), by_line(), None)
            .consumer(role, "TRUE", home)
            .queued(queue(folder.path(), 2))
            .start();
        wait_until_drained(&daemon);
        let drawn = daemon.ledger(2);
        let snapshots = daemon.stop();
        assert!(*keep.kept.lock().expect("no panic") == good);
        assert_eq!(drawn.dropped.get(DropCause::PluginFailed), 20);
        assert_balanced(&drawn);
        assert_eq!(sum(&snapshots, 0).dropped.total(), 20);
    }
}
