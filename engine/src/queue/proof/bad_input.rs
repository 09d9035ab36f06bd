//! What may stand in a queue's folder, or go wrong with its disk: each has a clear message that says what happens to the data.
//!
//! Owns:    a test for each.
//! Runs on: tests.            Plane: data.
//! Bounds:  a few messages each.
//! Never:   relies on permissions: tests may run as root.

use std::path::Path;

use super::fixture::{
    FOLDER, Fixture, MESSAGE_BYTES_MAX, NOW, entry, lane_file, put, read, segment, text, texts,
};
use crate::io::disk::model::{Faults, ModelDisk};
use crate::io::disk::{Disk, OsDisk};
use crate::queue::recovery::Queue;
use crate::queue::{Kind, Meta, Passed, folder_name};

fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no `{word}` in: {text}");
    }
}

fn passed(records: u64, bytes: u64) -> Passed {
    Passed {
        damaged_records: records,
        damaged_bytes: bytes,
        ..Passed::default()
    }
}

#[test]
fn a_full_disk_takes_nothing_and_later_everything() {
    let fixture = Fixture::new();
    let mut queue = fixture.open();
    put(&mut queue, &["first"]);
    fixture.disk.set_room(500);
    let lane = queue.lanes[0].writer.as_mut().expect("a writer");
    let messages = texts(0..5);
    let entries = || messages.iter().map(|message| entry(message));
    let error = lane.append(entries(), NOW).expect_err("full");
    assert_eq!(error.kind(), Kind::Full);
    says(
        &error.to_string(),
        &[
            "lane-0/000000000001.seg",
            "No space left",
            "not acknowledged",
        ],
    );
    assert_eq!(lane.uncommitted_bytes(), 0);
    fixture.disk.set_room(u64::MAX);
    lane.append(entries(), NOW).expect("room");
    assert_eq!(lane.commit().expect("a good disk").records(), 5);
    let found = read(&mut queue.lanes[0]);
    assert_eq!(found.messages.len(), 6);
    assert_eq!(found.passed, Passed::default());
    assert_eq!(found.messages[1..], messages);
}

#[test]
fn a_disk_that_is_full_at_the_start_is_said_to_be_full() {
    let fixture = Fixture::new();
    fixture.disk.set_room(0);
    let error = fixture.try_open().expect_err("no room for the owner");
    assert_eq!(error.kind(), Kind::Full);
    says(
        &error.to_string(),
        &[FOLDER, "No space left", "cannot be used"],
    );
}

#[test]
fn a_read_only_folder_is_an_error_that_names_it() {
    let fixture = Fixture::filled(0, 3);
    fixture.disk.set_read_only(true);
    let error = fixture.try_open().expect_err("read-only");
    says(
        &error.to_string(),
        &["/base/queue/lock", "Read-only", "cannot be used"],
    );
    fixture.disk.set_read_only(false);
    assert_eq!(fixture.read().messages, texts(0..3));
}

#[test]
fn a_second_daemon_is_kept_out() {
    let fixture = Fixture::new();
    let queue = fixture.open();
    let error = fixture.try_open().expect_err("it is taken");
    assert_eq!(error.kind(), Kind::Locked);
    says(
        &error.to_string(),
        &[FOLDER, "another process", "nothing was touched"],
    );
    drop(queue);
    fixture.open();
}

#[test]
fn the_queue_of_another_plugin_is_not_taken() {
    let mut fixture = Fixture::filled(0, 3);
    fixture.settings.owner = "Other".to_owned();
    let error = fixture.try_open().expect_err("it is another's");
    assert_eq!(error.kind(), Kind::OtherOwner);
    says(
        &error.to_string(),
        &["'Queue'", "'Other'", "hekad buffer replay"],
    );
}

#[test]
fn a_folder_of_another_format_is_not_touched() {
    let fixture = Fixture::filled(0, 3);
    let path = Path::new(FOLDER).join("owner.toml");
    fixture.disk.put(&path, b"format = 2\nlanes = [1, 2]\n");
    let error = fixture.try_open().expect_err("another format");
    assert_eq!(error.kind(), Kind::OtherVersion);
    says(
        &error.to_string(),
        &["format 2", "knows 1", "hekad buffer replay"],
    );
}

#[test]
fn a_damaged_owner_is_no_reason_not_to_start() {
    for bit in 0..8 {
        let fixture = Fixture::filled(0, 3);
        let path = Path::new(FOLDER).join("owner.toml");
        let text = fixture.disk.bytes(&path).expect("there");
        let text = String::from_utf8(text).expect("text");
        for word in ["format = ", "owner = \"", "salt = \"", "checksum = "] {
            let at = text.find(word).expect("a key") + word.len();
            fixture.disk.flip(&path, at as u64, 1 << bit);
            let mut queue = fixture.open();
            says(&queue.recovery.notices[0], &["owner.toml was damaged"]);
            assert_eq!(read(&mut queue.lanes[0]).messages, texts(0..3), "{word}");
            drop(queue);
            fixture.disk.put(&path, text.as_bytes());
        }
    }
}

#[test]
fn without_a_whole_cursor_everything_is_delivered_again() {
    let fixture = Fixture::filled(600, 6);
    let mut queue = fixture.open();
    let lane = &mut queue.lanes[0];
    let mut buffer = vec![0; 4096];
    let mut items = Vec::new();
    lane.reader
        .read(&mut buffer, lane.published, 1, &mut items)
        .expect("a good disk");
    assert!(lane.cursor.advance(items[0].after));
    lane.cursor.save().expect("a good disk");
    drop(queue);
    assert_eq!(fixture.read().messages, texts(1..6));
    let cursor = lane_file("cursor");
    for slot in [0, 4096] {
        let whole = fixture.disk.bytes(&cursor).expect("saved");
        let used = whole[slot..][..16] != [0; 16];
        if used {
            fixture.disk.flip(&cursor, slot as u64 + 20, 4);
        }
    }
    let mut queue = fixture.open();
    says(
        &queue.recovery.notices[0],
        &["lane-0/cursor", "damaged", "perhaps again"],
    );
    assert_eq!(queue.recovery.total.pending_records, 6);
    assert_eq!(read(&mut queue.lanes[0]).messages, texts(0..6));
}

#[test]
fn one_damaged_slot_of_two_costs_nothing_but_repeats() {
    let fixture = Fixture::filled(600, 8);
    let mut queue = fixture.open();
    let lane = &mut queue.lanes[0];
    let mut buffer = vec![0; 4096];
    let mut items = Vec::new();
    for _ in 0..3 {
        lane.reader
            .read(&mut buffer, lane.published, 2, &mut items)
            .expect("a good disk");
        assert!(lane.cursor.advance(items.last().expect("some").after));
        lane.cursor.save().expect("a good disk");
    }
    drop(queue);
    // The third time wrote the second slot.
    fixture.disk.flip(&lane_file("cursor"), 4096 + 24, 1);
    let found = fixture.read();
    assert_eq!(found.messages, texts(4..8), "the segments before have gone");
    assert_eq!(found.passed, Passed::default());
}

#[test]
fn a_torn_tail_is_cut_and_the_lane_goes_on() {
    let fixture = Fixture::filled(0, 3);
    let path = segment(1);
    let whole = fixture.disk.bytes(&path).expect("there");
    for cut in 1..236 {
        let bytes = &whole[..whole.len() - cut];
        fixture.disk.put(&path, bytes);
        fixture.disk.put(&lane_file("000000000001.idx"), b"");
        let mut queue = fixture.open();
        assert_eq!(queue.recovery.total.cut_bytes, 236 - cut as u64, "{cut}");
        says(&queue.recovery.notices[0], &["half written", "cut off"]);
        put(&mut queue, &["next"]);
        let found = read(&mut queue.lanes[0]);
        assert_eq!(found.messages, [text(0), text(1), "next".to_owned()]);
        assert_eq!(found.passed, Passed::default());
    }
}

#[test]
fn what_an_index_knows_of_is_missed_when_it_has_gone() {
    let fixture = Fixture::filled(0, 3);
    let path = segment(1);
    let whole = fixture.disk.bytes(&path).expect("there");
    fixture.disk.put(&path, &whole[..whole.len() - 10]);
    let mut queue = fixture.open();
    assert_eq!(queue.recovery.total.pending_records, 3);
    put(&mut queue, &["next"]);
    let found = read(&mut queue.lanes[0]);
    assert_eq!(found.messages, [text(0), text(1), "next".to_owned()]);
    assert_eq!(found.passed.damaged_records, 1);
    says(&found.notices[0], &["1 record, from number 2 on"]);
}

#[test]
fn a_flipped_bit_costs_its_record_and_no_other() {
    let fixture = Fixture::filled(0, 5);
    let path = segment(1);
    let whole = fixture.disk.bytes(&path).expect("there");
    for at in (64 + 236..64 + 2 * 236).step_by(7) {
        fixture.disk.put(&path, &whole);
        fixture.disk.flip(&path, at, 0x10);
        let mut queue = fixture.open();
        let found = read(&mut queue.lanes[0]);
        assert_eq!(found.messages, texts([0, 2, 3, 4]), "byte {at}");
        assert_eq!(found.passed, passed(1, 236));
        says(
            &found.notices[0],
            &["lane 0, segment 1, byte 300: 236 bytes", "kept in"],
        );
        says(&found.notices[1], &["1 record, from number 1 on, is lost"]);
        // A second look finds the same and counts it no more.
        let start = queue.lanes[0].cursor.position();
        queue.lanes[0].reader.rewind(start);
        let again = read(&mut queue.lanes[0]);
        assert_eq!(again.messages, found.messages);
        assert_eq!(again.passed, Passed::default());
        put(&mut queue, &["next"]);
        assert_eq!(read(&mut queue.lanes[0]).messages, ["next"]);
    }
    let aside = Path::new(FOLDER).join("damaged/lane-0-000000000001-300.bytes");
    let kept = fixture.disk.bytes(&aside).expect("set aside");
    assert_eq!(kept.len(), 236);
}

#[test]
fn a_damaged_header_of_a_segment_costs_nothing() {
    for number in 1..=3 {
        for at in [0, 9, 20, 50] {
            let fixture = Fixture::filled(600, 6);
            fixture.disk.flip(&segment(number), at, 2);
            let mut queue = fixture.open();
            put(&mut queue, &["next"]);
            let found = read(&mut queue.lanes[0]);
            assert_eq!(
                found.messages[..6],
                texts(0..6),
                "segment {number}, byte {at}"
            );
            assert_eq!(found.messages[6], "next");
            assert_eq!(found.passed, Passed::default());
        }
    }
}

#[test]
fn a_cursor_past_the_end_goes_to_the_end() {
    for (segment_of_cursor, words) in [(7, "past the end"), (1, "past the end")] {
        let fixture = Fixture::filled(0, 2);
        let mut queue = fixture.open();
        let mut far = queue.lanes[0].published;
        far.segment = segment_of_cursor;
        far.offset += 5000;
        far.sequence += 10;
        let bytes = fixture.disk.bytes(&segment(1)).expect("there");
        assert!(queue.lanes[0].cursor.advance(far));
        queue.lanes[0].cursor.save().expect("a good disk");
        drop(queue);
        fixture.disk.put(&segment(1), &bytes);
        let mut queue = fixture.open();
        says(&queue.recovery.notices[0], &[words, "delivered"]);
        assert_eq!(queue.recovery.total.pending_records, 0);
        put(&mut queue, &["next"]);
        let found = read(&mut queue.lanes[0]);
        assert_eq!(found.messages, ["next"]);
        assert_eq!(found.passed, Passed::default());
        drop(queue);
        assert_eq!(fixture.read().messages, ["next"]);
    }
}

#[test]
fn a_lane_that_somebody_has_emptied_goes_on() {
    let fixture = Fixture::filled(0, 2);
    let mut queue = fixture.open();
    let lane = &mut queue.lanes[0];
    assert!(lane.cursor.advance(lane.published));
    lane.cursor.save().expect("a good disk");
    drop(queue);
    fixture.disk.remove(&segment(1)).expect("there");
    let mut queue = fixture.open();
    says(
        &queue.recovery.notices[0],
        &["lane-0", "no files", "record 2"],
    );
    put(&mut queue, &["next"]);
    drop(queue);
    let found = fixture.read();
    assert_eq!(found.messages, ["next"]);
    assert_eq!(found.passed, Passed::default());
}

#[test]
fn a_cursor_of_another_time_is_found_by_its_number() {
    let fixture = Fixture::filled(600, 6);
    let mut queue = fixture.open();
    let mut far = queue.lanes[0].published;
    far.segment = 90;
    far.sequence = 4;
    assert!(queue.lanes[0].cursor.advance(far));
    // Nothing is removed: the folder was put back from a copy after this.
    let files: Vec<_> = (1..=3)
        .map(|number| (number, fixture.disk.bytes(&segment(number)).expect("there")))
        .collect();
    queue.lanes[0].cursor.save().expect("a good disk");
    drop(queue);
    for (number, bytes) in files {
        fixture.disk.put(&segment(number), &bytes);
    }
    let mut queue = fixture.open();
    says(&queue.recovery.notices[0], &["looked for by its number"]);
    assert_eq!(queue.recovery.total.pending_records, 2);
    let found = read(&mut queue.lanes[0]);
    assert_eq!(found.messages, texts(4..6));
    assert_eq!(found.passed, Passed::default());
}

#[test]
fn a_missing_segment_is_counted_and_passed() {
    let fixture = Fixture::filled(600, 8);
    fixture.disk.remove(&segment(2)).expect("there");
    let found = fixture.read();
    assert_eq!(found.messages, texts([0, 1, 4, 5, 6, 7]));
    assert_eq!(found.passed, passed(2, 0));
    says(
        &found.notices[0],
        &["2 records, from number 2 on, are lost"],
    );
    fixture.disk.remove(&segment(1)).expect("there");
    let found = fixture.read();
    assert_eq!(found.messages, texts(4..8));
    fixture.disk.remove(&segment(4)).expect("there");
    assert_eq!(fixture.read().messages, texts(4..6));
}

#[test]
fn what_is_no_file_of_a_queue_is_left_alone() {
    let fixture = Fixture::filled(600, 2);
    fixture.disk.make_folder(&segment(2)).expect("room");
    fixture.disk.put(&lane_file("notes.txt"), b"mine");
    let mut queue = fixture.open();
    let notices = queue.recovery.notices.join("\n");
    says(
        &notices,
        &[
            "000000000002.seg is no file",
            "notes.txt is no file",
            "left alone",
        ],
    );
    for number in 0..4 {
        put(&mut queue, &[&text(number)]);
    }
    assert_eq!(
        read(&mut queue.lanes[0]).messages,
        texts([0, 1, 0, 1, 2, 3])
    );
    assert_eq!(
        fixture.disk.bytes(&lane_file("notes.txt")).expect("there"),
        b"mine"
    );
}

#[test]
fn a_segment_without_bytes_is_removed_or_passed() {
    let fixture = Fixture::filled(600, 4);
    fixture.disk.put(&segment(3), b"");
    let mut queue = fixture.open();
    says(
        &queue.recovery.notices[0],
        &["000000000003.seg", "never written", "removed"],
    );
    put(&mut queue, &[&text(4)]);
    assert_eq!(read(&mut queue.lanes[0]).messages.len(), 5);
    drop(queue);
    // In the middle it was emptied by somebody.
    fixture.disk.put(&segment(2), b"");
    let found = fixture.read();
    assert_eq!(found.messages, texts([0, 1, 4]));
    assert_eq!(found.passed, passed(2, 0));
}

#[test]
fn a_longer_message_than_now_is_allowed_is_set_aside() {
    let mut fixture = Fixture::new();
    let mut queue = fixture.open();
    let long = "x".repeat(MESSAGE_BYTES_MAX);
    put(&mut queue, &["before", &long, "behind"]);
    let lane = queue.lanes[0].writer.as_mut().expect("a writer");
    assert!(lane.takes(MESSAGE_BYTES_MAX) && !lane.takes(MESSAGE_BYTES_MAX + 1));
    let longer = format!("{long}x");
    let error = lane
        .append([entry("fits"), entry(&longer)], NOW)
        .expect_err("too long");
    assert_eq!(error.kind(), Kind::TooLong);
    says(&error.to_string(), &["1001 bytes", "(1000)"]);
    assert_eq!(lane.commit().expect("a good disk").records(), 0);
    drop(queue);
    fixture.settings.message_bytes_max = 100;
    let mut queue = fixture.open();
    let lane = &mut queue.lanes[0];
    let mut buffer = [0; 600];
    let mut items = Vec::new();
    let mut read = || {
        let passed = lane.reader.read(&mut buffer, lane.published, 9, &mut items);
        (passed.expect("a good disk"), items.len())
    };
    assert_eq!(read().1, 1);
    let (passed, read) = read();
    assert_eq!((passed.too_long_records, read), (1, 1));
    says(
        &lane.reader.take_notices()[0],
        &["max_message_size", "kept in"],
    );
}

#[test]
fn a_block_that_cannot_be_read_is_tried_again_and_then_passed() {
    let fixture = Fixture::filled(0, 100);
    fixture.disk.set_bad(&segment(1), 7000, true);
    let mut queue = fixture.open();
    let lane = &mut queue.lanes[0];
    let mut buffer = vec![0; 4096];
    let mut items = Vec::new();
    let mut failures = 0;
    let mut passed = Passed::default();
    let mut read = 0;
    while lane.reader.position() != lane.published {
        match lane.reader.read(&mut buffer, lane.published, 9, &mut items) {
            Ok(more) => passed.add(more),
            Err(error) => {
                says(&error.to_string(), &["000000000001.seg", "tried again"]);
                failures += 1;
                assert!(failures < 100, "it goes on for ever");
            }
        }
        read += items.len() as u64;
    }
    assert!(failures >= 8);
    assert_eq!(read + passed.damaged_records, 100);
    // A block of 4,096 bytes.
    assert!((1..=19).contains(&passed.damaged_records), "{passed:?}");
}

#[test]
fn an_unreadable_newest_segment_is_not_cut_but_left_behind() {
    let fixture = Fixture::filled(0, 8);
    fixture.disk.put(&lane_file("000000000001.idx"), b"");
    fixture.disk.set_bad(&segment(1), 64 + 6 * 236, true);
    let bytes = fixture.disk.bytes(&segment(1));
    let mut queue = fixture.open();
    says(
        &queue.recovery.notices[0],
        &["cannot be read in places", "new file"],
    );
    put(&mut queue, &["next"]);
    drop(queue);
    assert_eq!(fixture.disk.bytes(&segment(1)), bytes);
    fixture.disk.set_bad(&segment(1), 64 + 6 * 236, false);
    let found = fixture.read();
    assert_eq!(found.messages[..8], texts(0..8));
    assert_eq!(found.messages[8..], ["next"]);
}

#[test]
fn a_failed_sync_goes_on_in_a_new_file() {
    let fixture = Fixture::new();
    let mut queue = fixture.open();
    put(&mut queue, &["safe"]);
    let lane = queue.lanes[0].writer.as_mut().expect("a writer");
    lane.append([entry("again")], NOW).expect("room");
    fixture.disk.set_faults(Faults {
        sync: 1000,
        ..Faults::default()
    });
    let error = lane.commit().expect_err("it fails");
    says(
        &error.to_string(),
        &[
            "cannot sync",
            "000000000001.seg",
            "not acknowledged",
            "new file",
        ],
    );
    fixture.disk.set_faults(Faults::default());
    assert_eq!(lane.published().sequence, 1);
    put(&mut queue, &["again"]);
    drop(queue);
    fixture.disk.crash();
    let mut queue = fixture.open();
    assert!(fixture.disk.bytes(&segment(2)).is_some());
    assert_eq!(read(&mut queue.lanes[0]).messages, ["safe", "again"]);
}

#[test]
fn what_is_given_up_is_not_in_the_lane() {
    let fixture = Fixture::new();
    let mut queue = fixture.open();
    for message in ["safe", "too"] {
        let lane = queue.lanes[0].writer.as_mut().expect("a writer");
        lane.append([entry("given up")], NOW).expect("room");
        lane.give_up();
        assert_eq!(lane.uncommitted_bytes(), 0);
        put(&mut queue, &[message]);
    }
    assert_eq!(read(&mut queue.lanes[0]).messages, ["safe", "too"]);
}

#[test]
fn lanes_of_shards_that_are_no_more_are_drained_and_removed() {
    let mut fixture = Fixture::new();
    fixture.settings.lanes = 2;
    let mut queue = fixture.open();
    let lane = queue.lanes[1].writer.as_mut().expect("a writer");
    lane.append([entry("orphan")], NOW).expect("room");
    assert_eq!(lane.commit().expect("a good disk").records(), 1);
    drop(queue);
    fixture.settings.lanes = 1;
    let mut queue = fixture.open();
    assert_eq!(queue.lanes.len(), 2);
    let lane = &mut queue.lanes[1];
    assert!(lane.writer.is_none());
    assert_eq!(read(lane).messages, ["orphan"]);
    assert!(lane.cursor.advance(lane.published));
    lane.cursor.save().expect("a good disk");
    drop(queue);
    let queue = fixture.open();
    assert_eq!(queue.lanes.len(), 1);
    says(
        &queue.recovery.notices[0],
        &["lane-1", "drained", "removed"],
    );
    drop(queue);
    assert_eq!(fixture.open().recovery.notices, [""; 0]);
}

#[test]
fn room_comes_back_when_a_drained_lane_rolls() {
    let fixture = Fixture::new();
    let mut queue = fixture.open();
    put(&mut queue, &[&text(0), &text(1)]);
    let open = &mut queue.lanes[0];
    let lane = open.writer.as_mut().expect("a writer");
    let taken = lane.bytes_taken();
    assert_eq!(taken, 64 + 2 * 236);
    assert!(open.cursor.advance(lane.published()));
    open.cursor.save().expect("a good disk");
    assert_eq!(open.cursor.bytes_removed(), 0);
    let upto = lane.roll(NOW).expect("a good disk").upto();
    assert!(open.cursor.advance(upto));
    assert!(open.cursor.has_left_segment());
    open.cursor.save().expect("a good disk");
    assert_eq!(lane.bytes_taken() - open.cursor.bytes_removed(), 64);
    assert!(fixture.disk.bytes(&segment(1)).is_none());
}

#[test]
fn a_start_does_not_take_longer_for_a_longer_backlog() {
    let operations = |messages| {
        let fixture = Fixture::filled(0, messages);
        fixture.disk.allow_operations(60);
        assert_eq!(
            fixture.open().recovery.total.pending_records,
            messages as u64
        );
    };
    operations(1);
    operations(2000);
}

#[test]
fn a_repair_leaves_nothing_to_complain_of() {
    let fixture = Fixture::filled(1500, 20);
    fixture.disk.flip(&segment(1), 64 + 236 + 50, 1);
    fixture.disk.flip(&segment(2), 30, 1);
    let third = fixture.disk.bytes(&segment(3)).expect("there");
    fixture.disk.put(&segment(3), &third[..third.len() - 5]);
    let open = || Queue::<ModelDisk>::open_found(fixture.disk.clone(), Path::new(FOLDER));
    let mut queue = open().expect("it is there");
    let repaired = queue.repair(NOW).expect("a good disk");
    assert_eq!(
        (repaired.records, repaired.lost_records),
        (18, 2),
        "{repaired:?}"
    );
    assert_eq!(repaired.places, 3);
    says(
        &repaired.notices.join("\n"),
        &["kept in", "header was damaged"],
    );
    drop(queue);
    let mut queue = open().expect("it is there");
    let again = queue.repair(NOW).expect("a good disk");
    assert_eq!(
        (again.records, again.lost_records, again.places),
        (18, 0, 0),
        "{again:?}"
    );
    drop(queue);
    let mut queue = fixture.open();
    put(&mut queue, &["next"]);
    let found = read(&mut queue.lanes[0]);
    assert_eq!(found.messages.len(), 19);
    let repaired = Passed {
        repaired_records: 2,
        ..Passed::default()
    };
    assert_eq!(
        found.passed, repaired,
        "the two that are lost are missed once"
    );
}

#[test]
fn dead_letters_keep_their_cause() {
    let fixture = Fixture::new();
    let mut queue = fixture.open();
    let open = &mut queue.lanes[0];
    let lane = open.writer.as_mut().expect("a writer");
    let meta = Some(Meta {
        cause: "413 Payload Too Large",
        attempts: 4,
    });
    let entries = [
        entry("plain"),
        crate::queue::Entry {
            meta,
            loops: 2,
            ..entry("dead")
        },
    ];
    lane.append(entries, NOW).expect("room");
    let upto = lane.commit().expect("a good disk").upto();
    let mut buffer = vec![0; 4096];
    let mut items = Vec::new();
    open.reader
        .read(&mut buffer, upto, 9, &mut items)
        .expect("a good disk");
    assert_eq!(items.len(), 2);
    assert_eq!(Meta::read(items[0].meta.of(&buffer)), None);
    assert_eq!(Meta::read(items[1].meta.of(&buffer)), meta);
    assert_eq!((items[1].loops, items[1].time), (2, NOW));
}

#[test]
fn a_real_folder_works_as_the_modelled_one() {
    let base = tempfile::tempdir().expect("a folder");
    let folder = base
        .path()
        .join("output_queue")
        .join(folder_name("my output/1"));
    assert!(folder.ends_with("my_output_1"));
    let settings = Fixture::new().settings;
    let mut queue = Queue::open(OsDisk, &folder, &settings).expect("it opens");
    let locked = Queue::open(OsDisk, &folder, &settings).expect_err("locked");
    assert_eq!(locked.kind(), Kind::Locked);
    let lane = queue.lanes[0].writer.as_mut().expect("a writer");
    let messages = texts(0..2000);
    lane.append(messages.iter().map(|message| entry(message)), NOW)
        .expect("room");
    assert_eq!(lane.commit().expect("a disk").records(), 2000);
    drop(queue);
    let mut queue = Queue::open(OsDisk, &folder, &settings).expect("it opens");
    let lane = &mut queue.lanes[0];
    assert_eq!(queue.recovery.total.pending_records, 2000);
    let mut buffer = vec![0; 64 * 1024];
    let mut items = Vec::new();
    let mut read = Vec::new();
    while lane.reader.position() != lane.published {
        lane.reader
            .read(&mut buffer, lane.published, 100, &mut items)
            .expect("a disk");
        read.extend(items.iter().map(|item| item.message.of(&buffer).to_vec()));
        assert!(lane.cursor.advance(lane.reader.position()));
        lane.cursor.save().expect("a disk");
    }
    assert!(
        read.iter()
            .eq(messages.iter().map(|message| message.as_bytes()))
    );
}

#[test]
fn hekas_own_files_are_noticed_and_left_alone() {
    let fixture = Fixture::new();
    drop(fixture.open());
    let file = |name: &str| Path::new(FOLDER).join(name);
    fixture.disk.put(&file("0.log"), b"delivered");
    fixture.disk.put(&file("1.log"), b"0123456789");
    fixture.disk.put(&file("2.log"), b"abc");
    fixture.disk.put(&file("checkpoint.txt"), b"1 4");
    let queue = fixture.open();
    says(
        &queue.recovery.notices[0],
        &[
            "2 files of Heka's own queue with 9 bytes",
            "left alone",
            "hekad buffer replay",
        ],
    );
    let view =
        crate::queue::view::View::look(fixture.disk.clone(), Path::new(FOLDER)).expect("a queue");
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut view.heka_stream().expect("files"), &mut bytes)
        .expect("a disk");
    assert_eq!(bytes, b"456789abc");
    assert_eq!(
        fixture.disk.bytes(&file("0.log")).expect("there"),
        b"delivered"
    );
}

#[test]
fn looking_changes_nothing() {
    let fixture = Fixture::filled(600, 6);
    fixture.disk.flip(&segment(2), 64 + 40, 1);
    let mut queue = fixture.open();
    put(&mut queue, &["now"]);
    let lane = queue.lanes[0].writer.as_mut().expect("a writer");
    lane.append([entry("not synced")], NOW).expect("room");
    fixture.disk.set_read_only(true);
    let view = crate::queue::view::View::look(fixture.disk, Path::new(FOLDER)).expect("a queue");
    assert_eq!(view.owner, "Queue");
    let lane = &view.lanes[0];
    assert_eq!((lane.segments.len(), lane.pending_records), (4, 8));
    let mut buffer = vec![0; 4096];
    let mut items = Vec::new();
    let mut reader = lane.reader_of_all();
    let (mut passed, mut read) = (Passed::default(), 0);
    while reader.position() != lane.published {
        passed.add(
            reader
                .read(&mut buffer, lane.published, 9, &mut items)
                .expect("a disk"),
        );
        read += items.len();
    }
    assert_eq!((passed.damaged_records, read), (1, 7));
    says(&reader.take_notices()[0], &["stay where they are"]);
}
