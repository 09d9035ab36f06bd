//! Disk queues under real shards: acknowledged when durable, delivered in order, kept over restarts, bounded.
//!
//! Owns:    the claims about `use_buffering`, `memory_first`, `full_action` and dead letters.
//! Runs on: tests.            Plane: data.
//! Bounds:  one daemon at a time, one folder a test.
//! Never:   uses a socket.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::control::queues;
use engine::control::report::Report;
use engine::event::{DropCause, InputCounters, QueueCounters};
use engine::io::disk::SystemDisk;
use engine::limits;
use engine::pack::{ConsumerId, ShardId};
use engine::plugin::Placement;
use engine::plugin::options::FullAction;
use engine::queue::{Entry, Queue, Settings};
use engine::shard::run::{Snapshot, ToControl, ToShard};
use engine::shard::topology::{LettersUnit, QueueSize, QueueUnit};

use crate::delivery::{by_line, lines, replay};
use crate::harness::{Count, Daemon, Keep, PATIENCE, Plan, ReplayInput};

pub(crate) fn queue(folder: &Path, shards: u16) -> QueueUnit {
    QueueUnit {
        folder: folder.join("queue"),
        segment_bytes_max: 200_000,
        bytes_max: None,
        full_action: FullAction::Block,
        cursor_update_count: 1,
        fsync_interval: None,
        fsync_bytes: 1 << 20,
        memory_first: false,
        start_looks: 0,
        size: QueueSize::new(shards),
    }
}

fn on_every_shard(bytes: Vec<u8>) -> ReplayInput {
    ReplayInput {
        placement: Placement::EveryShard,
        ..replay(bytes, usize::MAX)
    }
}

/// What was put into the queue of the only consumer, and what became of it.
fn counts(snapshots: &[Snapshot], inputs: usize) -> (QueueCounters, InputCounters) {
    let mut drawn = InputCounters::default();
    for snapshot in snapshots {
        drawn.merge(&snapshot.ledgers[inputs + 1]);
    }
    (counters(snapshots, 0), drawn)
}

/// What was put into the queue of a consumer.
pub(crate) fn counters(snapshots: &[Snapshot], consumer: usize) -> QueueCounters {
    let mut sum = QueueCounters::default();
    for snapshot in snapshots {
        sum.merge(&snapshot.disk_queues[consumer]);
    }
    sum
}

pub(crate) fn wait_until_drained(daemon: &Daemon) -> Vec<Snapshot> {
    daemon.wait_until_idle();
    daemon.wait_for("end of the queue", |snapshots| {
        let idle = snapshots.iter().all(|snapshot| snapshot.disk_queues_idle);
        let (queue, drawn) = counts(snapshots, 1);
        idle && drawn.in_flight() == 0 && drawn.received == queue.recovered + queue.queued
    })
}

/// The lines that came, by the number of their shard's replay: with one replay on every shard each line comes as often.
fn sorted(keep: &Keep) -> Vec<String> {
    let kept = keep.kept.lock().expect("no panic");
    let mut lines: Vec<String> = String::from_utf8_lossy(&kept)
        .lines()
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines
}

#[test]
fn everything_goes_through_the_disk_and_arrives_in_order() {
    for home in [0, 1] {
        let folder = tempfile::tempdir().expect("a folder");
        let sent = lines(50_000);
        let keep = Keep::default();
        let daemon = Plan::new(2)
            .input(replay(sent.clone(), usize::MAX), by_line(), None)
            .output(keep.clone(), "TRUE", home)
            .queued(queue(folder.path(), 2))
            .start();
        let snapshots = wait_until_drained(&daemon);
        let ledger = daemon.ledger(0);
        assert_eq!((ledger.received, ledger.delivered), (50_000, 50_000));
        let (queue, drawn) = counts(&snapshots, 1);
        assert_eq!((queue.queued, drawn.delivered), (50_000, 50_000));
        daemon.stop();
        assert!(*keep.kept.lock().expect("no panic") == sent, "home {home}");
    }
}

#[test]
fn a_filter_with_a_queue_sees_everything() {
    for memory_first in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let count = Count::default();
        let daemon = Plan::new(2)
            .input(on_every_shard(lines(20_000)), by_line(), None)
            .filter(count.clone(), "TRUE", 1)
            .queued(QueueUnit {
                memory_first,
                ..queue(folder.path(), 2)
            })
            .start();
        wait_until_drained(&daemon);
        assert_eq!(daemon.ledger(0).delivered, 40_000);
        daemon.stop();
        assert_eq!(count.seen.load(Ordering::Relaxed), 40_000);
    }
}

#[test]
fn filters_with_queues_that_feed_each_other_come_to_an_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let unit = |name: &str| QueueUnit {
        folder: folder.path().join(name),
        ..queue(folder.path(), 1)
    };
    let injecting = || Count {
        inject: true,
        ..Count::default()
    };
    let daemon = Plan::new(1)
        .input(replay(lines(300), 7), by_line(), None)
        .filter(injecting(), "TRUE", 0)
        .queued(unit("one"))
        .filter(injecting(), "TRUE", 0)
        .queued(unit("other"))
        .start();
    let made = |snapshots: &[Snapshot]| -> u64 {
        let ledgers = snapshots.iter().map(|it| &it.ledgers[1..3]);
        ledgers.flatten().map(|ledger| ledger.received).sum()
    };
    let mut before = u64::MAX;
    let snapshots = daemon.wait_for("an end", |snapshots| {
        let idle = snapshots
            .iter()
            .all(|it| it.disk_queues_idle && it.inputs_running == 0 && it.batches_in_use == 0);
        // Each message leads to four injections from each side, and one each that is one too many.
        let made = made(snapshots);
        assert!(
            made <= 300 * 10,
            "more than any message may lead to: {made}"
        );
        std::mem::replace(&mut before, made) == made && idle && made > 0
    });
    assert!(made(&snapshots) > 300 * 2);
    daemon.stop();
}

#[test]
fn a_dead_output_holds_up_nobody_and_the_next_start_delivers() {
    for memory_first in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let sent = lines(300_000);
        let (dead, other) = (Keep::default(), Keep::default());
        dead.closed.store(true, Ordering::Release);
        let daemon = Plan::new(2)
            .input(replay(sent.clone(), usize::MAX), by_line(), None)
            .output(dead, "TRUE", 1)
            .queued(QueueUnit {
                memory_first,
                ..queue(folder.path(), 2)
            })
            .output(other.clone(), "TRUE", 0)
            .start();
        daemon.wait_for("all at the other output", |_| {
            other.kept.lock().expect("no panic").len() == sent.len()
        });
        if memory_first {
            // What the dead output has is in no queue and not acknowledged: its source has it still. How much that is depends on when the
            // reader said that nothing is left of earlier times; but exactly what is durable counts as delivered, and the rest is in flight.
            daemon.wait_for("all that spilled on the disk", |snapshots| {
                let ledger = &snapshots[0].ledgers[0];
                let durable = snapshots[0].disk_queues[0].queued;
                durable > 0
                    && ledger.delivered == durable
                    && ledger.delivered + ledger.in_flight() == 300_000
            });
            daemon.quit();
            continue;
        }
        daemon.wait_until_idle();
        assert_eq!(daemon.ledger(0).delivered, 300_000);
        daemon.quit();
        let after = tempfile::tempdir().expect("a folder");
        copy_folder(&folder.path().join("queue"), &after.path().join("queue"));
        let alive = Keep::default();
        let daemon = Plan::new(2)
            .input(replay(Vec::new(), 1), by_line(), None)
            .output(alive.clone(), "TRUE", 0)
            .queued(queue(after.path(), 2))
            .start();
        let snapshots = wait_until_drained(&daemon);
        assert_eq!(counts(&snapshots, 1).0.recovered, 300_000);
        daemon.stop();
        assert!(*alive.kept.lock().expect("no panic") == sent);
    }
}

/// What a crash would have left on the disk.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("room");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("room");
        }
    }
}

#[test]
fn what_was_delivered_is_not_delivered_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let keep = Keep::default();
    for _ in 0..3 {
        let daemon = Plan::new(1)
            .input(replay(lines(1000), 100), by_line(), None)
            .output(keep.clone(), "TRUE", 0)
            .queued(queue(folder.path(), 1))
            .start();
        wait_until_drained(&daemon);
        daemon.stop();
    }
    assert!(*keep.kept.lock().expect("no panic") == lines(1000).repeat(3));
}

#[test]
fn what_a_start_has_removed_takes_no_room() {
    let folder = tempfile::tempdir().expect("a folder");
    let unit = queue(folder.path(), 1);
    let settings = Settings {
        owner: "consumer0".to_owned(),
        lanes: 1,
        max_file_size: unit.segment_bytes_max,
        message_bytes_max: codecs::limits::MESSAGE_BYTES_DEFAULT,
    };
    let mut open =
        Queue::open(SystemDisk::default(), &unit.folder, &settings).expect("a new queue");
    let lane = open.lanes[0].writer.as_mut().expect("a writer");
    let message = Entry {
        message: &[b'x'; 50_000],
        loops: 0,
        meta: None,
    };
    for _ in 0..20 {
        lane.append([message], 0).expect("room");
        let _ = lane.commit().expect("a good disk");
    }
    let end = lane.published();
    let segments = unit.folder.join("lane-0");
    let kept = tempfile::tempdir().expect("a folder");
    copy_folder(&segments, kept.path());
    // The cursor is saved, and the daemon is killed before what lies behind it is removed.
    assert!(open.lanes[0].cursor.advance(end));
    open.lanes[0].cursor.save().expect("a good disk");
    drop(open);
    for entry in fs::read_dir(kept.path()).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some() {
            fs::copy(&path, segments.join(path.file_name().expect("a name"))).expect("room");
        }
    }
    let topology = Plan::new(1)
        .output(Keep::default(), "TRUE", 0)
        .queued(unit)
        .topology();
    let opened = queues::open(&topology);
    assert!(opened.errors.is_empty(), "{:?}", opened.errors);
    let there: u64 = fs::read_dir(&segments)
        .expect("a folder")
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.path().extension() == Some("seg".as_ref()))
        .map(|entry| entry.metadata().expect("there").len())
        .sum();
    let queue = topology.consumers[0].queue.as_ref().expect("a queue");
    assert_eq!(queue.size.bytes(), there);
}

#[test]
fn memory_first_spills_in_order_and_comes_back() {
    for home in [0, 1] {
        let folder = tempfile::tempdir().expect("a folder");
        let sent = lines(400_000);
        let keep = Keep::default();
        keep.closed.store(true, Ordering::Release);
        let daemon = Plan::new(2)
            .input(replay(sent.clone(), usize::MAX), by_line(), None)
            .output(keep.clone(), "TRUE", home)
            .queued(QueueUnit {
                memory_first: true,
                ..queue(folder.path(), 2)
            })
            .start();
        daemon.wait_for("something on the disk", |snapshots| {
            counts(snapshots, 1).0.queued > 10_000
        });
        keep.closed.store(false, Ordering::Release);
        wait_until_drained(&daemon);
        assert_eq!(daemon.ledger(0).delivered, 400_000);
        daemon.stop();
        assert!(*keep.kept.lock().expect("no panic") == sent, "home {home}");
    }
}

#[test]
fn what_a_dead_output_holds_in_memory_goes_to_its_queue_at_a_stop() {
    // Few stay in memory; of many, the most have spilled.
    for (home, count) in [(0, 1000), (1, 1000), (0, 300_000), (1, 300_000)] {
        let folder = tempfile::tempdir().expect("a folder");
        let sent = lines(count);
        let unit = || QueueUnit {
            memory_first: true,
            ..queue(folder.path(), 2)
        };
        let dead = Keep::default();
        dead.closed.store(true, Ordering::Release);
        let daemon = Plan::new(2)
            .input(replay(sent.clone(), usize::MAX), by_line(), None)
            .output(dead, "TRUE", home)
            .queued(unit())
            .start();
        daemon.wait_for("all that was sent", |snapshots| {
            let running: usize = snapshots.iter().map(|it| it.inputs_running).sum();
            running == 0 && snapshots[0].ledgers[0].received == count as u64
        });
        daemon.tell(|| ToShard::StopInputs);
        daemon.tell(|| ToShard::Spill);
        daemon.wait_until_idle();
        let ledger = daemon.ledger(0);
        assert_eq!(
            (ledger.delivered, ledger.dropped.total()),
            (count as u64, 0)
        );
        let last = daemon.stop();
        assert_eq!(counts(&last, 1).0.queued, count as u64);
        let alive = Keep::default();
        let daemon = Plan::new(2)
            .input(replay(Vec::new(), 1), by_line(), None)
            .output(alive.clone(), "TRUE", home)
            .queued(unit())
            .start();
        let snapshots = wait_until_drained(&daemon);
        assert_eq!(counts(&snapshots, 1).0.recovered, count as u64);
        daemon.stop();
        if count == 1000 {
            assert!(*alive.kept.lock().expect("no panic") == sent, "home {home}");
        }
        let mut expected: Vec<&[u8]> = sent[..sent.len() - 1]
            .split(|&byte| byte == b'\n')
            .collect();
        expected.sort();
        let got = sorted(&alive);
        assert!(
            got.iter().map(|line| line.as_bytes()).eq(expected),
            "home {home}"
        );
    }
}

#[test]
fn who_gets_on_delivers_from_memory_at_a_stop_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let sent = lines(300_000);
    let keep = Keep::default();
    let daemon = Plan::new(2)
        .input(replay(sent.clone(), usize::MAX), by_line(), None)
        .output(keep.clone(), "TRUE", 1)
        .queued(QueueUnit {
            memory_first: true,
            ..queue(folder.path(), 2)
        })
        .start();
    daemon.tell(|| ToShard::Spill);
    wait_until_drained(&daemon);
    daemon.stop();
    assert!(*keep.kept.lock().expect("no panic") == sent);
}

#[test]
fn a_full_queue_blocks_until_there_is_room() {
    let folder = tempfile::tempdir().expect("a folder");
    let sent = lines(200_000);
    let keep = Keep::default();
    keep.closed.store(true, Ordering::Release);
    let daemon = Plan::new(1)
        .input(replay(sent.clone(), usize::MAX), by_line(), None)
        .output(keep.clone(), "TRUE", 0)
        .queued(QueueUnit {
            bytes_max: Some(1_000_000),
            ..queue(folder.path(), 1)
        })
        .start();
    wait_notice(&daemon, "its disk queue is full");
    assert!(daemon.ledger(0).in_flight() > 0);
    keep.closed.store(false, Ordering::Release);
    wait_until_drained(&daemon);
    daemon.stop();
    assert!(*keep.kept.lock().expect("no panic") == sent);
}

#[test]
fn a_full_queue_drops_if_told_to_and_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let keep = Keep::default();
    keep.closed.store(true, Ordering::Release);
    let daemon = Plan::new(1)
        .input(replay(lines(200_000), usize::MAX), by_line(), None)
        .output(keep.clone(), "TRUE", 0)
        .queued(QueueUnit {
            bytes_max: Some(1_000_000),
            full_action: FullAction::Drop,
            ..queue(folder.path(), 1)
        })
        .start();
    daemon.wait_until_idle();
    let ledger = daemon.ledger(0);
    assert!(ledger.dropped.get(DropCause::QueueFull) > 0);
    assert_eq!(
        ledger.delivered + ledger.dropped.get(DropCause::QueueFull),
        200_000
    );
    keep.closed.store(false, Ordering::Release);
    wait_until_drained(&daemon);
    daemon.stop();
    assert_eq!(sorted(&keep).len() as u64, ledger.delivered);
}

#[test]
fn a_full_queue_ends_the_daemon_if_told_to_and_drops_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let keep = Keep::default();
    keep.closed.store(true, Ordering::Release);
    let daemon = Plan::new(1)
        .input(replay(lines(200_000), usize::MAX), by_line(), None)
        .output(keep, "TRUE", 0)
        .queued(QueueUnit {
            bytes_max: Some(1_000_000),
            full_action: FullAction::Shutdown,
            ..queue(folder.path(), 1)
        })
        .start();
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        match daemon.news.recv_deadline(deadline).expect("an end") {
            ToControl::Ended(ended) => {
                if let Some(error) = ended.error {
                    assert!(error.contains("its disk queue is full"), "{error}");
                    assert!(!ended.can_exit);
                    break;
                }
            }
            _ => continue,
        }
    }
    let ledger = daemon.ledger(0);
    assert_eq!(ledger.dropped.total(), 0);
    assert!(ledger.in_flight() > 0);
    daemon.quit();
}

#[test]
fn what_is_refused_for_good_becomes_a_dead_letter() {
    for queued in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let keep = Keep {
            drop_every: Some(10),
            ..Keep::default()
        };
        let mut plan = Plan::new(2)
            .input(replay(lines(10_000), 5000), by_line(), None)
            .output(keep.clone(), "TRUE", 1)
            .letters(LettersUnit {
                folder: folder.path().join("letters"),
                bytes_max: 1 << 30,
                size: QueueSize::new(2),
            });
        if queued {
            plan = plan.queued(queue(folder.path(), 2));
        }
        let daemon = plan.start();
        let snapshots = daemon.wait_for("all", |snapshots| {
            let letters: u64 = snapshots
                .iter()
                .map(|snapshot| snapshot.consumers[0].dead_lettered)
                .sum();
            let kept = sorted(&keep).len() as u64;
            kept + letters == 10_000
        });
        let mut ledger = InputCounters::default();
        for snapshot in &snapshots {
            ledger.merge(&snapshot.ledgers[if queued { 2 } else { 0 }]);
        }
        assert!(ledger.dead_lettered > 0);
        assert_eq!(ledger.dropped.total(), 0);
        assert_eq!(ledger.in_flight(), 0, "{ledger:?}");
        daemon.stop();
    }
}

#[test]
fn the_report_tells_of_a_queue_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let keep = Keep {
        drop_every: Some(10),
        ..Keep::default()
    };
    let daemon = Plan::new(2)
        .input(replay(lines(10_000), 5000), by_line(), None)
        .output(keep, "TRUE", 1)
        .queued(queue(folder.path(), 2))
        .start();
    let snapshots = wait_until_drained(&daemon);
    let earlier = Report::new(&daemon.topology, std::iter::empty());
    let report = Report::new(&daemon.topology, snapshots.iter());
    let said: Vec<String> = report.drops_since(&earlier, &daemon.topology).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("Plugin 'consumer0': dropped 1"),
        "{said:?}"
    );
    assert!(said[0].contains("(refused)"), "{said:?}");
    let capacity = 2 * usize::from(limits::QUEUE_CREDITS)
        + limits::QUEUE_READS
        + daemon.topology.handed_batches(ConsumerId(0));
    let text = report.text(&daemon.topology);
    let wanted = format!("consumer0:\n    InChanCapacity: {capacity}\n    InChanLength: 0\n");
    assert!(text.contains(&wanted), "{text}");
    daemon.stop();
}

#[test]
fn a_refused_message_that_is_too_long_for_a_dead_letter_costs_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let keep = Keep {
        drop_every: Some(1),
        ..Keep::default()
    };
    let mut sent = lines(10);
    // As a protobuf message it is longer than a message may be.
    sent.extend_from_slice(&[b'x'; 3990]);
    sent.push(b'\n');
    sent.extend(lines(10));
    let mut plan = Plan::new(1)
        .input(replay(sent, usize::MAX), by_line(), None)
        .output(keep, "TRUE", 0)
        .letters(LettersUnit {
            folder: folder.path().join("letters"),
            bytes_max: 1 << 30,
            size: QueueSize::new(1),
        });
    plan.message_bytes_max = 4000;
    let daemon = plan.start();
    daemon.wait_until_idle();
    let ledger = daemon.ledger(0);
    daemon.stop();
    assert_eq!(
        (ledger.received, ledger.dead_lettered),
        (21, 20),
        "{ledger:?}"
    );
    assert_eq!(ledger.dropped.get(DropCause::Refused), 1);
}

#[test]
fn dead_letters_beyond_their_limit_are_drops() {
    let folder = tempfile::tempdir().expect("a folder");
    let keep = Keep {
        drop_every: Some(1),
        ..Keep::default()
    };
    let daemon = Plan::new(1)
        .input(replay(lines(10_000), 5000), by_line(), None)
        .output(keep, "TRUE", 0)
        .letters(LettersUnit {
            folder: folder.path().join("letters"),
            bytes_max: 100_000,
            size: QueueSize::new(1),
        })
        .start();
    daemon.wait_until_idle();
    let ledger = daemon.ledger(0);
    assert!(ledger.dead_lettered > 0 && ledger.dropped.get(DropCause::Refused) > 0);
    assert_eq!(ledger.in_flight(), 0);
    daemon.stop();
}

fn wait_notice(daemon: &Daemon, text: &str) {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        if let ToControl::Notice(notice) = daemon.news.recv_deadline(deadline).expect("a notice")
            && notice.text.contains(text)
        {
            return;
        }
    }
}

#[test]
fn lanes_that_write_at_the_same_moment_do_not_take_the_same_room() {
    let size = QueueSize::new(2);
    assert!(size.reserve(ShardId(0), 100, 100, 200));
    assert!(!size.reserve(ShardId(1), 0, 100, 200));
    assert_eq!(size.bytes(), 200, "what was refused takes nothing");
    size.took(ShardId(0), 100);
    let busy = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (shard, taken) in [(0, 100), (1, 0)] {
            let (size, busy) = (&size, &busy);
            scope.spawn(move || {
                for _ in 0..20_000 {
                    if size.reserve(ShardId(shard), taken, 100, 200) {
                        assert!(!busy.swap(true, Ordering::SeqCst), "both have it");
                        busy.store(false, Ordering::SeqCst);
                        size.took(ShardId(shard), taken);
                    }
                }
            });
        }
    });
    assert_eq!(size.bytes(), 100);
}
