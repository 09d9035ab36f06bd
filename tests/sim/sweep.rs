//! The n-th failure: a short story in which every operation fails once, one after the other.
//!
//! Owns:    the count of operations, and one run for each.
//! Runs on: tests.            Plane: both.
//! Bounds:  the operations of a story without faults, and a few more that a failure brings about.
//! Never:   skips an operation.

use std::time::Duration;

use engine::io::sim::world;

use crate::scenario::{QUEUED_HOME, Story};

/// Virtual time in which the story without faults has ended.
const LONG: Duration = Duration::from_secs(3);

/// Records of each stream.
const RECORDS: u64 = 8;

/// Tells the story with whatever `begin` has fail, until all has drained; answers how many operations of the disk and the network it took.
fn tell(memory_first: bool, begin: impl FnOnce()) -> (u64, u64) {
    let _world = world::enter(7);
    let story = Story::short(RECORDS, memory_first);
    world::disk().fail_operation(0);
    world::fail_net_operation(0);
    begin();
    let daemon = story.start();
    story.run(&daemon, LONG);
    let operations = (world::disk().operations(), world::net_operations());
    let daemon = story.restarted(daemon);
    story.finish(daemon);
    operations
}

/// Says which operation it was if the test fails.
struct Telling(&'static str, bool, u64);

impl Drop for Telling {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Telling(what, memory_first, number) = self;
            eprintln!("{what} {number} (memory_first = {memory_first})");
        }
    }
}

#[test]
fn every_operation_fails_once_and_nothing_acknowledged_is_lost() {
    for memory_first in [false, true] {
        let (disk, net) = tell(memory_first, || ());
        eprintln!("{disk} operations of the disk, {net} of the network");
        assert!(disk > 50 && net > 50);
        for number in 1..=disk {
            let _telling = Telling("operation of the disk", memory_first, number);
            tell(memory_first, || world::disk().fail_operation(number));
        }
        for number in 1..=net {
            let _telling = Telling("operation of the network", memory_first, number);
            tell(memory_first, || world::fail_net_operation(number));
        }
    }
}

#[test]
fn the_power_fails_at_every_operation_of_the_disk_and_nothing_acknowledged_is_lost() {
    let (disk, _) = tell(false, || ());
    for number in 1..=disk {
        let _telling = Telling("power failure behind operation", false, number);
        let _world = world::enter(number);
        let story = Story::short(RECORDS, false);
        world::disk().cut_power_after(number);
        let daemon = story.start();
        story.run(&daemon, LONG);
        story.lose_power(daemon);
        let daemon = story.start();
        story.finish(daemon);
    }
}

/// What is written before its reader has begun to read: the shard that the reader lives on is late.
#[test]
fn a_shard_that_starts_late_delivers_what_others_have_queued() {
    for seed in 0..10 {
        let _telling = Telling("a late start, seed", false, seed);
        let _world = world::enter(seed);
        let story = Story::short(1, false);
        let daemon = story.start();
        world::stall(QUEUED_HOME, LONG / 2);
        story.run(&daemon, LONG);
        story.finish(daemon);
    }
}
