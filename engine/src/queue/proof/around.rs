//! What happens around a queue while it works: the room that it takes, somebody who looks, a disk that is away for a while.
//!
//! Owns:    a test for each.
//! Runs on: tests.            Plane: data.
//! Bounds:  a few messages each.
//! Never:   waits for time to pass.

use std::path::Path;

use super::fixture::{FOLDER, Fixture, NOW, entry, lane_file, put, read, segment, text};
use crate::io::disk::Disk;
use crate::queue::Passed;
use crate::queue::view::View;

#[test]
fn what_a_failed_write_leaves_behind_is_counted_until_it_is_removed() {
    let fixture = Fixture::new();
    let mut queue = fixture.open();
    put(&mut queue, &["first"]);
    let path = segment(1);
    let before = fixture.disk.bytes(&path).expect("there").len() as u64;
    let used: u64 = used_bytes(&fixture);
    // A part of the record fits, the rest does not, and what is there cannot be cut off.
    fixture.disk.set_room(used + 100);
    fixture.disk.fail_operation(3);
    let lane = queue.lanes[0].writer.as_mut().expect("a writer");
    lane.append([entry(&text(0))], NOW).expect_err("full");
    fixture.disk.fail_operation(0);
    fixture.disk.set_room(u64::MAX);
    let after = fixture.disk.bytes(&path).expect("there").len() as u64;
    assert_eq!(after, before + 100, "the half of it is there");
    put(&mut queue, &["second"]);
    assert_eq!(read(&mut queue.lanes[0]).messages, ["first", "second"]);
    let open = &mut queue.lanes[0];
    let lane = open.writer.as_mut().expect("a writer");
    let end = lane.roll(NOW).expect("a good disk").upto();
    assert!(open.cursor.advance(end));
    open.cursor.save().expect("a good disk");
    let left = lane.bytes_taken() - open.cursor.bytes_removed();
    assert_eq!(
        left,
        fixture.disk.bytes(&segment(3)).expect("there").len() as u64
    );
}

#[test]
fn what_a_start_removes_is_not_taken_any_more() {
    let fixture = Fixture::filled(600, 6);
    let mut queue = fixture.open();
    let open = &mut queue.lanes[0];
    // The cursor is on the disk, and then the power fails before what it has passed is removed.
    let kept: Vec<_> = (1..3)
        .map(|number| {
            (
                segment(number),
                fixture.disk.bytes(&segment(number)).expect("there"),
            )
        })
        .collect();
    let mut buffer = vec![0; 4096];
    let mut items = Vec::new();
    while open.reader.position().segment < 3 {
        open.reader
            .read(&mut buffer, open.published, 1, &mut items)
            .expect("a good disk");
    }
    assert!(open.cursor.advance(open.reader.position()));
    open.cursor.save().expect("a good disk");
    drop(queue);
    for (path, bytes) in kept {
        fixture.disk.put(&path, &bytes);
    }
    let queue = fixture.open();
    let open = &queue.lanes[0];
    let lane = open.writer.as_ref().expect("a writer");
    assert!(open.cursor.bytes_removed() > 0, "it has tidied up");
    let there: u64 = (3..10)
        .filter_map(|number| fixture.disk.bytes(&segment(number)))
        .map(|bytes| bytes.len() as u64)
        .sum();
    assert_eq!(lane.bytes_taken() - open.cursor.bytes_removed(), there);
}

/// Bytes of all files.
fn used_bytes(fixture: &Fixture) -> u64 {
    let lane = lane_file("");
    [Path::new(FOLDER), lane.as_path()]
        .iter()
        .flat_map(|folder| fixture.disk.list(folder).expect("there"))
        .map(|entry| entry.bytes)
        .sum()
}

#[test]
fn what_is_delivered_and_removed_is_no_damage_to_an_onlooker() {
    for (all, begun) in [(true, false), (true, true), (false, false), (false, true)] {
        let fixture = Fixture::filled(600, 20);
        let mut queue = fixture.open();
        let view = View::look(fixture.disk.clone(), Path::new(FOLDER)).expect("a queue");
        let lane = &view.lanes[0];
        let mut reader = if all {
            lane.reader_of_all()
        } else {
            lane.reader()
        };
        let (mut buffer, mut items) = (vec![0; 4096], Vec::new());
        let mut seen = 0;
        if begun {
            reader
                .read(&mut buffer, lane.published, 1, &mut items)
                .expect("a good disk");
            seen += items.len();
        }
        // Meanwhile the daemon delivers, and removes what it has left behind.
        let open = &mut queue.lanes[0];
        let mut daemons = Vec::new();
        while open.reader.position().sequence < 11 {
            open.reader
                .read(&mut buffer, open.published, 1, &mut daemons)
                .expect("a good disk");
        }
        assert!(open.cursor.advance(open.reader.position()));
        open.cursor.save().expect("a good disk");
        assert!(open.cursor.bytes_removed() > 0);
        loop {
            let passed = reader
                .read(&mut buffer, lane.published, 100, &mut items)
                .expect("a good disk");
            assert_eq!(passed, Passed::default(), "{all} {begun}");
            if items.is_empty() {
                break;
            }
            seen += items.len();
        }
        assert_eq!(reader.take_notices(), [""; 0]);
        assert!((9..20).contains(&seen), "{seen}");
    }
}

#[test]
fn a_disk_that_cannot_be_read_for_a_while_costs_nothing() {
    let fixture = Fixture::filled(0, 5);
    let mut queue = fixture.open();
    let open = &mut queue.lanes[0];
    open.reader.set_patience(100);
    let path = segment(1);
    fixture.disk.set_bad(&path, 300, true);
    let (mut buffer, mut items) = (vec![0; 4096], Vec::new());
    let mut numbers = Vec::new();
    for _ in 0..99 {
        match open.reader.read(&mut buffer, open.published, 1, &mut items) {
            Ok(passed) => {
                assert_eq!(passed, Passed::default());
                numbers.extend(items.iter().map(|item| item.sequence));
            }
            Err(error) => assert!(error.to_string().contains("nothing is lost"), "{error}"),
        }
    }
    fixture.disk.set_bad(&path, 300, false);
    while open.reader.position() < open.published {
        let passed = open.reader.read(&mut buffer, open.published, 1, &mut items);
        assert_eq!(passed.expect("a good disk"), Passed::default());
        numbers.extend(items.iter().map(|item| item.sequence));
    }
    assert_eq!(numbers, [0, 1, 2, 3, 4]);
}
