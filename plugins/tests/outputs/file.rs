//! FileOutput on files that are moved, removed, refused, or have no room.
//!
//! Owns:    what is in the files afterwards: every line once, whole, in order.
//! Runs on: the test's thread, and one thread for the shard.            Plane: both.
//! Bounds:  every wait has a deadline and fails its test.
//! Never:   depends on speed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use engine::shard::run::ToShard;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::harness::{Payload, Rig, build, lines, numbers};

const WIDTH: usize = 100;

fn quick() -> Value {
    json!({ "retries": { "delay": "20ms", "max_delay": "50ms", "max_jitter": "1ms", "max_retries": -1 } })
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn start(path: &Path, more: &Value, encoder: Payload) -> Rig {
    let mut own = json!({ "path": path });
    for (key, value) in more.as_object().expect("options") {
        own[key] = value.clone();
    }
    Rig::start("FileOutput", &own, &quick(), encoder)
}

fn read(path: &Path) -> Vec<usize> {
    numbers(&fs::read(path).expect("the file is there"), WIDTH)
}

#[test]
fn everything_is_written_in_order_however_it_is_flushed() {
    let folder = folder();
    let flushes = [
        json!({}),
        json!({ "flush_operator": "OR" }),
        json!({ "flush_interval": 0, "flush_count": 1000 }),
        json!({ "flush_interval": 1, "flush_count": 7, "flush_operator": "OR" }),
    ];
    for (number, flush) in flushes.into_iter().enumerate() {
        for (name, encoder) in [("in_place", Payload::InPlace), ("copied", Payload::Copied)] {
            let path = folder.path().join(format!("new/{number}/{name}"));
            let mut rig = start(&path, &flush, encoder);
            rig.feed(&lines(0, 20_000, WIDTH));
            let snapshot = rig.stop();
            assert_eq!(read(&path), Vec::from_iter(0..20_000));
            assert_eq!(snapshot.ledgers[0].delivered, 20_000);
            assert_eq!(snapshot.consumers[0].bytes, 20_000 * WIDTH as u64);
        }
    }
}

#[test]
fn modes_are_those_of_the_options_and_old_content_stays() {
    let folder = folder();
    let path = folder.path().join("logs/file");
    let modes = json!({ "perm": "600", "folder_perm": "750" });
    for round in 0..2 {
        let mut rig = start(&path, &modes, Payload::InPlace);
        rig.feed(&lines(round, round + 1, WIDTH));
        rig.stop();
    }
    assert_eq!(read(&path), [0, 1]);
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&folder.path().join("logs")), 0o750);
}

#[test]
fn a_reopened_file_begins_with_a_whole_record_and_none_is_missing() {
    let folder = folder();
    let path = folder.path().join("file");
    let mut rig = start(&path, &json!({}), Payload::InPlace);
    rig.wait_for("file", |_| path.exists());
    let mut moved = Vec::new();
    for round in 0..5 {
        rig.feed(&lines(round * 1000, (round + 1) * 1000, WIDTH));
        let aside = folder.path().join(format!("file.{round}"));
        fs::rename(&path, &aside).expect("there");
        moved.push(aside);
        rig.tell(ToShard::Reopen);
        rig.wait_for("new file", |_| path.exists());
    }
    rig.stop();
    moved.push(path);
    let all: Vec<usize> = moved.iter().flat_map(|path| read(path)).collect();
    assert_eq!(all, Vec::from_iter(0..5000));
}

#[test]
fn a_removed_file_is_made_again_and_has_what_the_old_one_lost() {
    for flush in [
        json!({ "flush_interval": 1 }),
        json!({ "flush_operator": "OR" }),
    ] {
        let folder = folder();
        let path = folder.path().join("below/file");
        let mut rig = start(&path, &flush, Payload::InPlace);
        rig.wait_for("file", |_| path.exists());
        fs::remove_dir_all(folder.path().join("below")).expect("there");
        rig.feed(&lines(0, 1, WIDTH));
        rig.wait_notice("was removed");
        rig.wait_for("new file", |_| path.exists());
        rig.feed(&lines(1, 2, WIDTH));
        rig.stop();
        assert_eq!(read(&path), [0, 1]);
    }
}

#[test]
fn a_file_that_takes_nothing_holds_messages_up_until_there_is_another() {
    let folder = folder();
    let path = folder.path().join("file");
    symlink("/dev/full", &path).expect("a link");
    let mut rig = start(&path, &json!({}), Payload::InPlace);
    rig.feed(&lines(0, 5000, WIDTH));
    let notice = rig.wait_notice("cannot write");
    assert!(
        notice.contains("No space left") && notice.contains("trying again"),
        "{notice}"
    );
    assert_eq!(rig.ledger().delivered, 0);
    fs::remove_file(&path).expect("there");
    rig.tell(ToShard::Reopen);
    rig.wait_notice("writing to");
    let snapshot = rig.stop();
    assert_eq!(read(&path), Vec::from_iter(0..5000));
    assert!(snapshot.consumers[0].retries > 0);
}

/// Runs a test whose limits are the whole process's in a process of its own.
fn run_alone(name: &str) {
    let outcome = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", name, "--ignored"])
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&outcome.stdout);
    assert!(
        outcome.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

#[test]
fn a_start_without_a_free_descriptor_is_waited_out() {
    run_alone("file::without_descriptors");
}

#[test]
#[ignore = "run by a_start_without_a_free_descriptor_is_waited_out, in a process of its own"]
fn without_descriptors() {
    let folder = folder();
    let path = folder.path().join("file");
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, 200.min(most), most).expect("below the most");
    let mut taken = Vec::new();
    let take_all = || {
        while let Ok(file) = fs::File::open("/dev/null") {
            taken.push(file);
        }
    };
    let own = json!({ "path": path });
    let mut rig = Rig::start_after("FileOutput", &own, &quick(), Payload::InPlace, take_all);
    let notice = rig.wait_notice("cannot open");
    assert!(
        notice.contains("`LimitNOFILE=`") && notice.contains("trying again"),
        "{notice}"
    );
    rig.feed(&lines(0, 3, WIDTH));
    drop(taken);
    let snapshot = rig.stop();
    assert_eq!(read(&path), [0, 1, 2]);
    assert_eq!(snapshot.ledgers[0].delivered, 3);
}

#[test]
fn a_disk_that_fills_up_and_is_freed() {
    run_alone("file::with_little_room");
}

#[test]
#[ignore = "run by a_disk_that_fills_up_and_is_freed, in a process of its own"]
fn with_little_room() {
    // With the signal handled, a write beyond the limit takes what fits and then fails, as on a full disk.
    let seen = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(nix::libc::SIGXFSZ, seen).expect("a handler");
    let (_, most) = getrlimit(Resource::RLIMIT_FSIZE).expect("a limit");
    let folder = folder();
    for (name, encoder) in [("in_place", Payload::InPlace), ("copied", Payload::Copied)] {
        let path = folder.path().join(name);
        let count = 50_000;
        let mut room = WIDTH as u64 * 1000 + 37;
        setrlimit(Resource::RLIMIT_FSIZE, room, most).expect("below the most");
        let mut rig = start(&path, &json!({}), encoder);
        let mut feed = rig.feed.take().expect("the feed is open");
        let feeder = std::thread::spawn(move || {
            std::io::Write::write_all(&mut feed, &lines(0, count, WIDTH)).expect("the input reads");
        });
        rig.wait_notice("cannot write");
        for _ in 0..5 {
            // Full: all lines that fit, whole, each once; half ones come and go with each attempt.
            let fit = (room / WIDTH as u64) as usize;
            rig.wait_for("full file", |_| {
                fs::read(&path).is_ok_and(|bytes| bytes == lines(0, fit, WIDTH))
            });
            room += WIDTH as u64 * 3000 + 11;
            setrlimit(Resource::RLIMIT_FSIZE, room, most).expect("below the most");
        }
        setrlimit(Resource::RLIMIT_FSIZE, most, most).expect("the most");
        rig.wait_notice("writing to");
        feeder.join().expect("no panic");
        let snapshot = rig.stop();
        assert_eq!(read(&path), Vec::from_iter(0..count));
        assert_eq!(snapshot.ledgers[0].delivered, count as u64);
    }
}

#[test]
fn a_path_that_cannot_be_opened_ends_the_output_and_says_why() {
    let folder = folder();
    let file = folder.path().join("file");
    fs::write(&file, "").expect("room");
    for (path, why) in [
        (folder.path().to_owned(), "must name a file"),
        (file.join("below"), "not a folder"),
    ] {
        let mut rig = start(&path, &json!({}), Payload::InPlace);
        let end = rig.wait_notice("cannot open");
        assert!(
            end.contains(&*path.to_string_lossy()) && end.contains(why),
            "{end}"
        );
        rig.feed(&lines(0, 3, WIDTH));
        let ledger = rig.stop().ledgers[0];
        assert_eq!((ledger.delivered, ledger.dropped.total()), (0, 3));
    }
}

#[test]
fn attempts_can_be_limited() {
    let folder = folder();
    let path = folder.path().join("file");
    symlink("/dev/full", &path).expect("a link");
    let common = json!({ "retries": { "delay": "10ms", "max_delay": "10ms", "max_jitter": "0s", "max_retries": 1 } });
    let mut rig = Rig::start(
        "FileOutput",
        &json!({ "path": path }),
        &common,
        Payload::InPlace,
    );
    rig.feed(&lines(0, 3, WIDTH));
    rig.wait_notice("gave up");
    let ledger = rig.stop().ledgers[0];
    assert_eq!((ledger.delivered, ledger.dropped.total()), (0, 3));
}

#[test]
fn a_rotated_path_is_made_of_the_time() {
    let folder = folder();
    let path = folder.path().join("%Y/file-%m");
    let mut rig = start(&path, &json!({ "rotation_interval": 24 }), Payload::InPlace);
    rig.feed(&lines(0, 1, WIDTH));
    rig.stop();
    let years = fs::read_dir(folder.path()).expect("there");
    let years: Vec<_> = years
        .map(|entry| entry.expect("readable").file_name())
        .collect();
    let year: u32 = years[0]
        .to_str()
        .and_then(|year| year.parse().ok())
        .expect("a year");
    assert!(
        (2024..3000).contains(&year) && years.len() == 1,
        "{years:?}"
    );
}

#[test]
fn wrong_options_are_told() {
    let complaints = |own: Value| match build("FileOutput", &own, &json!({})) {
        Ok(built) => built.warnings,
        Err(errors) => errors,
    };
    assert!(complaints(json!({ "path": "a" })).is_empty());
    for wrong in [
        json!({ "path": "" }),
        json!({ "path": "a", "perm": "9" }),
        json!({ "path": "a", "folder_perm": "77777" }),
        json!({ "path": "a", "rotation_interval": 2 }),
        json!({ "path": "a-%Q", "rotation_interval": 4 }),
        json!({ "path": "a-%Y" }),
    ] {
        assert_eq!(complaints(wrong.clone()).len(), 1, "{wrong}");
    }
    let built = build("FileOutput", &json!({ "path": "a" }), &json!({})).expect("fine");
    assert_eq!(
        (built.common.use_framing, built.common.use_buffering),
        (None, false)
    );
}
