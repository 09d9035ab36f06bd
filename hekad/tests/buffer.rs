//! `hekad buffer`, as a person runs it.
//!
//! Owns:    exit statuses, what is printed, and what is in the folder afterwards.
//! Runs on: tests.            Plane: control.
//! Bounds:  one process a command; a few messages.
//! Never:   starts the daemon.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use codecs::message::{Header, MessageTable, TableLimits};
use codecs::protobuf;
use engine::io::disk::OsDisk;
use engine::queue::{Entry, Meta, Queue, Settings};

/// 2023-11-14, in nanoseconds.
const NOW: i64 = 1_700_000_000_000_000_000;

fn hekad(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hekad"))
        .arg("buffer")
        .args(arguments)
        .env("NO_COLOR", "1")
        .env("TZ", "UTC")
        .output()
        .expect("hekad runs")
}

/// Exit status, standard output, standard error.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = hekad(arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().expect("it was not killed"),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no `{word}` in: {text}");
    }
}

fn message(number: usize) -> Vec<u8> {
    let mut table = MessageTable::new(TableLimits {
        received_bytes: 0,
        arena_bytes: 1024,
        messages: 1,
        fields: 0,
    });
    let mut draft = table.begin().expect("room");
    draft.set(Header::Uuid, &[1u8; 16][..]).expect("room");
    draft.set_timestamp(NOW);
    let kind = if number.is_multiple_of(2) {
        "even"
    } else {
        "odd"
    };
    draft.set(Header::Type, kind).expect("room");
    draft
        .set(Header::Payload, format!("message {number}").as_str())
        .expect("room");
    let mut bytes = Vec::new();
    protobuf::encode(table.get(0), &mut bytes);
    bytes
}

/// A folder, and a queue in it with messages in two lanes.
struct Place {
    base: tempfile::TempDir,
}

impl Place {
    fn new(messages: usize, meta: Option<Meta<'_>>) -> Place {
        let place = Place {
            base: tempfile::tempdir().expect("a folder"),
        };
        let mut queue = place.open();
        for number in 0..messages {
            let lane = queue.lanes[number % 2].writer.as_mut().expect("a writer");
            let bytes = message(number);
            let entry = Entry {
                message: &bytes,
                loops: 0,
                meta,
            };
            lane.append([entry], NOW).expect("room");
            assert_eq!(lane.commit().expect("a disk").records(), 1);
        }
        place
    }

    fn open(&self) -> Queue {
        let settings = Settings {
            owner: "relay".to_owned(),
            lanes: 2,
            max_file_size: 0,
            message_bytes_max: 65_536,
        };
        Queue::open(OsDisk, &self.folder(), &settings).expect("it opens")
    }

    fn folder(&self) -> PathBuf {
        self.base.path().join("relay")
    }

    fn dir(&self) -> String {
        self.folder().to_str().expect("a plain path").to_owned()
    }

    fn pending(&self) -> u64 {
        self.open().recovery.total.pending_records
    }

    /// Flips a bit in the first lane's file.
    fn damage(&self, at: usize) {
        let path = self.folder().join("lane-0/000000000001.seg");
        let mut bytes = fs::read(&path).expect("a file");
        bytes[at] ^= 1;
        fs::write(&path, bytes).expect("a file");
    }
}

/// Every file below a folder, with its bytes.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            let bytes = fs::read(&path).expect("a file");
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}

#[test]
fn ls_says_what_waits_for_one_queue_or_all() {
    let place = Place::new(7, None);
    let base = place.base.path().to_str().expect("a plain path").to_owned();
    for dir in [place.dir(), base.clone()] {
        let (status, text, _) = run(&["ls", &dir]);
        assert_eq!(status, 0);
        says(
            &text,
            &[
                "queue of 'relay' in",
                "lane 0: 4 records pending",
                "lane 1: 3 records pending",
                "2023-11-14",
                "nothing is known to be delivered",
                "000000000001.seg",
                "from record 0 on",
            ],
        );
    }
    let other = place.base.path().join("other");
    fs::create_dir(&other).expect("a folder");
    fs::write(other.join("owner.toml"), "format = 7").expect("a file");
    let (status, text, said) = run(&["ls", &base]);
    assert_eq!(status, 2);
    says(&text, &["queue of 'relay' in"]);
    says(&said, &["other has format 7"]);
    fs::remove_dir_all(other).expect("a folder");
    let (status, text, _) = run(&["ls", "--json", &base]);
    assert_eq!(status, 0);
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json[0]["owner"], "relay");
    assert_eq!(json[0]["pending_records"], 7);
    assert_eq!(json[0]["oldest"], NOW);
    assert_eq!(json[0]["lanes"][1]["segments"][0]["first_record"], 0);
}

#[test]
fn a_folder_without_a_queue_is_an_error_that_says_which_folder_to_name() {
    let base = tempfile::tempdir().expect("a folder");
    let dir = base.path().to_str().expect("a plain path");
    for command in ["ls", "cat", "verify", "repair", "export", "replay"] {
        let output = match command {
            "replay" => run(&[command, "--remove", dir]),
            _ => run(&[command, dir]),
        };
        assert_eq!(output.0, 2, "{command}: {}", output.2);
        says(&output.2, &["no disk queue", "output_queue"]);
    }
    let missing = format!("{dir}/missing");
    let (status, _, text) = run(&["cat", &missing]);
    assert_eq!(status, 2);
    says(&text, &[&missing, "No such file"]);
    assert!(contents(base.path()).is_empty());
}

#[test]
fn cat_prints_what_matches_and_no_more_than_asked_for() {
    let place = Place::new(10, None);
    let dir = place.dir();
    let (status, text, said) = run(&["cat", "--match", "Type == 'even'", &dir]);
    assert_eq!(status, 0);
    assert_eq!(text.matches("Type: even").count(), 5);
    says(&said, &["5 messages"]);
    let (_, text, _) = run(&["cat", "--format", "count", &dir]);
    assert_eq!(text, "10\n");
    let (_, text, _) = run(&["cat", "--format", "json", "--limit", "3", &dir]);
    assert_eq!(text.lines().count(), 3);
    let (_, text, _) = run(&["cat", "--lane", "1", "--format", "count", &dir]);
    assert_eq!(text, "5\n");
    let (status, _, said) = run(&["cat", "--lane", "7", &dir]);
    assert_eq!(status, 2);
    says(&said, &["--lane 7", "there are 0, 1"]);
    assert_eq!(run(&["cat", "--match", "Type == 'none'", &dir]).0, 1);
    assert_eq!(run(&["cat", "--match", "Type ==", &dir]).0, 2);
}

#[test]
fn what_is_delivered_is_shown_only_if_asked_for() {
    let place = Place::new(10, None);
    let mut queue = place.open();
    let lane = &mut queue.lanes[0];
    let mut items = Vec::new();
    let mut buffer = vec![0; 100_000];
    lane.reader
        .read(&mut buffer, lane.published, 2, &mut items)
        .expect("a disk");
    assert!(lane.cursor.advance(lane.reader.position()));
    lane.cursor.save().expect("a disk");
    // It is looked at while it is in use.
    let (_, text, _) = run(&["cat", "--format", "count", &place.dir()]);
    assert_eq!(text, "8\n");
    let (_, text, _) = run(&["cat", "--all", "--format", "count", &place.dir()]);
    assert_eq!(text, "10\n");
    let (_, text, _) = run(&["ls", &place.dir()]);
    says(&text, &["delivered up to record 2"]);
}

#[test]
fn of_dead_letters_the_cause_is_shown() {
    let meta = Meta {
        cause: "413 \"too large\"",
        attempts: 3,
    };
    let place = Place::new(2, Some(meta));
    let (_, text, _) = run(&["ls", &place.dir()]);
    says(
        &text,
        &[
            "dead letters of 'relay' in",
            ": 2 records pending",
            "lane 0: 1 record pending",
        ],
    );
    let (_, text, _) = run(&["cat", &place.dir()]);
    assert_eq!(
        text.matches("Cause: 413 \"too large\"\nAttempts: 3\nTimestamp:")
            .count(),
        2
    );
    says(&text, &["Dead since: 2023-11-14 22:13:20 +0000 UTC"]);
    let (_, text, _) = run(&["cat", "--format", "json", &place.dir()]);
    let first = text.lines().next().expect("a line");
    let json: serde_json::Value = serde_json::from_str(first).expect("JSON");
    assert_eq!(json["dead_letter"]["cause"], meta.cause);
    assert_eq!(json["dead_letter"]["attempts"], 3);
    assert_eq!(json["payload"], "message 0");
}

#[test]
fn damage_is_found_and_mended() {
    let place = Place::new(10, None);
    let dir = place.dir();
    let (status, text, _) = run(&["verify", &dir]);
    assert_eq!(status, 0);
    says(&text, &["lane 0: 5 records in 1 file are whole\n"]);
    place.damage(64 + 36 + 5);
    let before = contents(&place.folder());
    let (status, text, said) = run(&["verify", &dir]);
    assert_eq!(status, 1);
    says(&text, &["lane 0: 4 records", "1 record is lost"]);
    says(
        &said,
        &["lane 0, segment 1, byte 64", "stay where they are"],
    );
    let (status, _, said) = run(&["cat", "--format", "count", &dir]);
    assert_eq!(status, 0);
    says(&said, &["9 messages; 1 record "]);
    assert_eq!(contents(&place.folder()), before, "looking changes nothing");
    let (status, text, said) = run(&["repair", &dir]);
    assert_eq!(status, 0, "{said}");
    says(
        &text,
        &[
            "9 records in 2 files are whole",
            "1 damaged place ",
            "1 record there is lost",
            "kept in",
        ],
    );
    let (status, text, said) = run(&["verify", &dir]);
    assert_eq!((status, said.as_str()), (0, ""), "{text}");
    says(&text, &["lane 0: 4 records"]);
    let (_, text, _) = run(&["ls", &dir]);
    says(&text, &["1 damaged place "]);
}

#[test]
fn what_needs_the_daemon_stopped_says_so() {
    let place = Place::new(2, None);
    let queue = place.open();
    for arguments in [&["repair"][..], &["replay", "--remove"]] {
        let dir = place.dir();
        let (status, _, said) = run(&[arguments, &[&dir]].concat());
        assert_eq!(status, 2);
        says(
            &said,
            &["another process", "stop it first", "nothing was touched"],
        );
    }
    assert_eq!(run(&["verify", &place.dir()]).0, 0);
    drop(queue);
    assert_eq!(run(&["repair", &place.dir()]).0, 0);
}

#[test]
fn an_export_is_read_by_hekad_cat() {
    let place = Place::new(10, None);
    let file = place.base.path().join("saved.log");
    let file = file.to_str().expect("a plain path");
    let arguments = [
        "export",
        "--match",
        "Type == 'odd'",
        "--output",
        file,
        &place.dir(),
    ];
    let (status, _, said) = run(&arguments);
    assert_eq!(status, 0, "{said}");
    says(&said, &["5 messages"]);
    let output = Command::new(env!("CARGO_BIN_EXE_hekad"))
        .args(["cat", "--format", "count", file])
        .output()
        .expect("hekad runs");
    assert_eq!(output.stdout, b"5\n");
    let (status, _, said) = run(&arguments);
    assert_eq!(status, 2);
    says(&said, &["exists", "not there yet"]);
    let output = hekad(&["export", &place.dir()]);
    assert_eq!(
        output.stdout.iter().filter(|&&byte| byte == 0x1e).count(),
        10
    );
}

/// A receiver of one connection: answers what came over it. It ends its side where `orderly`, and breaks the connection otherwise.
fn receive(orderly: bool) -> (String, std::thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("a port").to_string();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut bytes = Vec::new();
        if orderly {
            stream.read_to_end(&mut bytes).expect("a stream");
        } else {
            // What is unread when a socket is closed makes it a reset.
            stream.read_exact(&mut [0; 1]).expect("a byte");
        }
        bytes
    });
    (address, thread)
}

#[test]
fn a_replay_removes_only_what_arrived() {
    let place = Place::new(10, None);
    let dir = place.dir();
    let (address, receiver) = receive(true);
    let (status, _, said) = run(&["replay", "--heka", &address, &dir]);
    assert_eq!(status, 0, "{said}");
    let bytes = receiver.join().expect("a stream");
    let payloads = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.matches("message ").count()
    };
    assert_eq!((payloads(&bytes), place.pending()), (10, 10));
    let (address, receiver) = receive(false);
    let (status, _, said) = run(&["replay", "--heka", &address, "--remove", &dir]);
    receiver.join().expect("a stream");
    assert_eq!(status, 1);
    says(&said, &["cannot send to", "nothing was removed"]);
    assert_eq!(place.pending(), 10);
    let (address, receiver) = receive(true);
    let (status, _, said) = run(&["replay", "--heka", &address, "--remove", &dir]);
    assert_eq!(status, 0, "{said}");
    says(&said, &["sent 10 messages and removed them"]);
    assert_eq!(
        (
            payloads(&receiver.join().expect("a stream")),
            place.pending()
        ),
        (10, 0)
    );
    let (status, _, said) = run(&["replay", "--heka", "127.0.0.1:1", &dir]);
    assert_eq!(status, 1);
    says(&said, &["is hekad running"]);
}

#[test]
fn hekas_own_queue_is_read_and_left() {
    let base = tempfile::tempdir().expect("a folder");
    let dir = base.path().to_str().expect("a plain path");
    let mut frames = Vec::new();
    let mut starts = Vec::new();
    for number in 0..4 {
        starts.push(frames.len());
        codecs::framing::write_frame(&message(number), None, 65_536, &mut frames).expect("it fits");
    }
    let file = |name: &str, bytes: &[u8]| {
        let mut file = fs::File::create(base.path().join(name)).expect("a file");
        file.write_all(bytes).expect("room");
    };
    file("3.log", &frames);
    file("4.log", &frames[..starts[1]]);
    file("checkpoint.txt", format!("3 {}", starts[2]).as_bytes());
    let before = contents(base.path());
    let (_, text, _) = run(&["cat", "--format", "json", dir]);
    let payloads: Vec<String> = text
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).expect("JSON")["payload"].to_string()
        })
        .collect();
    assert_eq!(
        payloads,
        ["\"message 2\"", "\"message 3\"", "\"message 0\""]
    );
    let (_, text, _) = run(&["ls", dir]);
    says(&text, &["2 files of Heka's own queue"]);
    let (address, receiver) = receive(true);
    assert_eq!(run(&["replay", "--heka", &address, dir]).0, 0);
    let bytes = receiver.join().expect("a stream");
    assert_eq!(bytes.len(), frames.len() - starts[2] + starts[1]);
    assert_eq!(contents(base.path()), before);
}
