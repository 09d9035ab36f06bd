//! The room that a queue takes before it needs it: on a disk that has run full, what is delivered must still go away.
//!
//! Owns:    a test for each way to come to a full disk.
//! Runs on: tests.            Plane: data.
//! Bounds:  a few messages each.
//! Never:   frees room by anything but the queue.

use super::fixture::{Fixture, lane_file, put, segment, text};
use crate::queue::segment::CURSOR_NAME;

/// Delivers all that is in the first lane of a queue whose disk runs full before anything was delivered.
fn deliver_on_a_full_disk(fixture: &Fixture) {
    let mut queue = fixture.open();
    for number in 0..8 {
        put(&mut queue, &[&text(number)]);
    }
    fixture.disk.set_room(0);
    let open = &mut queue.lanes[0];
    let lane = open.writer.as_mut().expect("a writer");
    let upto = lane.published();
    assert!(upto.segment > 1, "{upto:?}");
    assert!(open.cursor.advance(upto));
    open.cursor
        .save()
        .expect("its place was there before the disk was full");
    assert!(open.cursor.bytes_removed() > 0);
    assert!(fixture.disk.bytes(&segment(1)).is_none());
}

fn small_segments() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.settings.max_file_size = 1500;
    fixture
}

#[test]
fn what_is_delivered_goes_away_although_the_disk_is_full() {
    deliver_on_a_full_disk(&small_segments());
}

#[test]
fn a_cursor_for_which_there_was_not_all_the_room_is_completed_at_the_next_start() {
    let fixture = small_segments();
    drop(fixture.open());
    let path = lane_file(CURSOR_NAME);
    fixture.disk.put(&path, &[0; 100]);
    deliver_on_a_full_disk(&fixture);
    assert_eq!(fixture.disk.bytes(&path).expect("there").len(), 8192);
}

#[test]
fn a_full_disk_at_the_start_keeps_no_queue_from_being_opened() {
    let fixture = small_segments();
    drop(fixture.open());
    let path = lane_file(CURSOR_NAME);
    fixture.disk.put(&path, &[]);
    fixture.disk.set_room(0);
    drop(fixture.open());
    fixture.disk.set_room(u64::MAX);
    deliver_on_a_full_disk(&fixture);
}
