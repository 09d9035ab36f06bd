//! What was synced goes to its consumer from memory: in order, the same as from the disk, and leaving nothing open behind it.
//!
//! Owns:    the claims about `shard::queueing::handing`.
//! Runs on: tests.            Plane: data.
//! Bounds:  one daemon at a time, one folder a test. What is handed over and what is read depends on the moment: tests repeat until they have seen it.
//! Never:   uses a socket.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use engine::plugin::Placement;
use engine::shard::topology::QueueUnit;

use crate::delivery::{by_line, lines, replay};
use crate::harness::{Count, Keep, PATIENCE, Plan, ReplayInput};
use crate::queueing::{copy_folder, counters, queue, wait_until_drained};

/// Makes attempts until one answers that it has seen what it is about.
fn until_seen(mut attempt: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !attempt() {
        assert!(Instant::now() < deadline, "it was never seen");
    }
}

#[test]
fn what_is_handed_over_comes_in_order_and_once() {
    let sent = lines(50_000);
    until_seen(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let keep = Keep::default();
        let daemon = Plan::new(1)
            .input(replay(sent.clone(), 5000), by_line(), None)
            .output(keep.clone(), "TRUE", 0)
            .queued(queue(folder.path(), 1))
            .start();
        let snapshots = wait_until_drained(&daemon);
        let seen = counters(&snapshots, 0);
        assert_eq!(seen.queued, 50_000);
        daemon.stop();
        assert!(*keep.kept.lock().expect("no panic") == sent);
        seen.handed_over > 0
    });
}

#[test]
fn a_filter_is_handed_what_was_synced() {
    until_seen(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let count = Count::default();
        let daemon = Plan::new(1)
            .input(replay(lines(20_000), 5000), by_line(), None)
            .filter(count.clone(), "TRUE", 0)
            .queued(queue(folder.path(), 1))
            .start();
        let snapshots = wait_until_drained(&daemon);
        daemon.stop();
        assert_eq!(count.seen.load(Ordering::Relaxed), 20_000);
        counters(&snapshots, 0).handed_over > 0
    });
}

#[test]
fn of_consumers_that_share_a_batch_each_gets_its_own_messages() {
    until_seen(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let unit = |name: &str| QueueUnit {
            folder: folder.path().join(name),
            ..queue(folder.path(), 1)
        };
        let sent = lines(20_000);
        let (all, some) = (Keep::default(), Keep::default());
        let daemon = Plan::new(1)
            .input(replay(sent.clone(), 5000), by_line(), None)
            .output(all.clone(), "TRUE", 0)
            .queued(unit("all"))
            .output(some.clone(), "Payload =~ /7\\n/", 0)
            .queued(unit("some"))
            .start();
        daemon.wait_until_idle();
        let snapshots = daemon.wait_for("end of the queues", |snapshots| {
            snapshots.iter().all(|snapshot| snapshot.disk_queues_idle)
        });
        daemon.stop();
        assert!(*all.kept.lock().expect("no panic") == sent);
        let sevens: Vec<u8> = sent
            .split_inclusive(|&byte| byte == b'\n')
            .filter(|line| line.ends_with(b"7\n"))
            .flatten()
            .copied()
            .collect();
        assert!(*some.kept.lock().expect("no panic") == sevens);
        counters(&snapshots, 0).handed_over > 0 || counters(&snapshots, 1).handed_over > 0
    });
}

#[test]
fn what_a_dead_output_was_handed_stays_in_its_queue() {
    until_seen(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let sent = lines(100_000);
        let dead = Keep::default();
        dead.closed.store(true, Ordering::Release);
        let daemon = Plan::new(1)
            .input(replay(sent.clone(), 5000), by_line(), None)
            .output(dead, "TRUE", 0)
            .queued(queue(folder.path(), 1))
            .start();
        let snapshots = daemon.wait_until_idle();
        assert_eq!(daemon.ledger(0).delivered, 100_000);
        daemon.quit();
        let after = tempfile::tempdir().expect("a folder");
        copy_folder(&folder.path().join("queue"), &after.path().join("queue"));
        let alive = Keep::default();
        let daemon = Plan::new(1)
            .input(replay(Vec::new(), 1), by_line(), None)
            .output(alive.clone(), "TRUE", 0)
            .queued(queue(after.path(), 1))
            .start();
        wait_until_drained(&daemon);
        daemon.stop();
        assert!(*alive.kept.lock().expect("no panic") == sent);
        counters(&snapshots, 0).handed_over > 0
    });
}

#[test]
fn what_a_dead_output_has_no_room_for_is_read_later_in_order() {
    until_seen(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let sent = lines(100_000);
        let keep = Keep::default();
        keep.closed.store(true, Ordering::Release);
        let daemon = Plan::new(1)
            .input(replay(sent.clone(), 5000), by_line(), None)
            .output(keep.clone(), "TRUE", 0)
            .queued(queue(folder.path(), 1))
            .start();
        daemon.wait_until_idle();
        keep.closed.store(false, Ordering::Release);
        let snapshots = wait_until_drained(&daemon);
        daemon.stop();
        assert!(*keep.kept.lock().expect("no panic") == sent);
        let seen = counters(&snapshots, 0);
        seen.handed_over > 0 && seen.handed_over < seen.queued
    });
}

/// Files below a folder that this process has open although they were removed.
fn removed_and_open(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else {
        return 0;
    };
    entries
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter(|target| {
            let target = target.to_string_lossy();
            target.starts_with(&*folder.to_string_lossy()) && target.ends_with("(deleted)")
        })
        .count()
}

/// Segments that a queue still has.
fn segments(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder.join("queue/lane-0")) else {
        return 0;
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().extension() == Some("seg".as_ref()))
        .count()
}

#[test]
fn the_reader_keeps_no_segment_that_it_was_not_needed_for() {
    let before = tempfile::tempdir().expect("a folder");
    let dead = Keep::default();
    dead.closed.store(true, Ordering::Release);
    let daemon = Plan::new(1)
        .input(replay(lines(1000), 5000), by_line(), None)
        .output(dead, "TRUE", 0)
        .queued(queue(before.path(), 1))
        .start();
    daemon.wait_until_idle();
    daemon.quit();
    until_seen(|| {
        // The reader opens what is there.
        let folder = tempfile::tempdir().expect("a folder");
        copy_folder(&before.path().join("queue"), &folder.path().join("queue"));
        let daemon = Plan::new(1)
            .input(replay(lines(50_000), 5000), by_line(), None)
            .output(Keep::default(), "TRUE", 0)
            .queued(queue(folder.path(), 1))
            .start();
        let snapshots = wait_until_drained(&daemon);
        daemon.wait_for("only what is in use", |_| {
            segments(folder.path()) <= 1 && removed_and_open(folder.path()) == 0
        });
        daemon.stop();
        let seen = counters(&snapshots, 0);
        assert_eq!(seen.recovered, 1000);
        seen.handed_over > 0
    });
}

#[test]
fn what_a_filter_injects_is_dealt_with_before_it_is_given_more() {
    until_seen(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let injecting = Count {
            inject: true,
            ..Count::default()
        };
        // Many batches in a group: more than there are for injections.
        let daemon = Plan::new(1)
            .input(replay(lines(20_000), 2000), by_line(), None)
            .filter(injecting, "Type != 'injected'", 0)
            .queued(QueueUnit {
                fsync_interval: Some(Duration::from_millis(50)),
                ..queue(folder.path(), 1)
            })
            .output(Keep::default(), "Type == 'injected'", 0)
            .start();
        let snapshots = daemon.wait_for("the injected messages", |snapshots| {
            let ledger = &snapshots[0].ledgers[1];
            ledger.received == 20_000 && ledger.in_flight() == 0
        });
        let ledger = daemon.ledger(1);
        daemon.stop();
        assert_eq!(ledger.dropped.total(), 0, "{ledger:?}");
        counters(&snapshots, 0).handed_over > 0
    });
}

#[test]
fn lanes_that_are_read_and_one_that_is_handed_over_leave_each_other_room() {
    for (interval, is_filter) in [(None, true), (Some(50), true), (None, false)] {
        let mut rounds = 0;
        until_seen(|| {
            let folder = tempfile::tempdir().expect("a folder");
            let input = ReplayInput {
                placement: Placement::EveryShard,
                ..replay(lines(20_000), 2000)
            };
            let plan = Plan::new(2).input(input, by_line(), None);
            let plan = if is_filter {
                plan.filter(Count::default(), "TRUE", 0)
            } else {
                plan.output(Keep::default(), "TRUE", 0)
            };
            let daemon = plan
                .queued(QueueUnit {
                    fsync_interval: interval.map(Duration::from_millis),
                    ..queue(folder.path(), 2)
                })
                .start();
            let snapshots = wait_until_drained(&daemon);
            daemon.stop();
            let seen = counters(&snapshots, 0);
            assert_eq!(seen.queued, 40_000);
            rounds += 1;
            rounds >= 8 && seen.handed_over > 0 && seen.handed_over < seen.queued
        });
    }
}
