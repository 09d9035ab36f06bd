//! A queue of one lane on a modelled disk, and short ways to fill, empty and break it.
//!
//! Owns:    `Fixture`.
//! Runs on: tests.            Plane: data.
//! Bounds:  messages of up to `MESSAGE_BYTES_MAX`.
//! Never:   hides an error.

use std::path::{Path, PathBuf};

use crate::io::disk::model::ModelDisk;
use crate::queue::recovery::{OpenLane, Queue};
use crate::queue::{Entry, Item, Passed, QueueError, Settings, record_bytes_max};

pub(super) const FOLDER: &str = "/base/queue";
pub(super) const MESSAGE_BYTES_MAX: usize = 1000;

/// Time of everything that is done.
pub(super) const NOW: i64 = 1_700_000_000_000_000_000;

/// A disk, and what queues on it are opened with.
pub(super) struct Fixture {
    pub(super) disk: ModelDisk,
    pub(super) settings: Settings,
}

/// What was read of a lane.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) messages: Vec<String>,
    pub(super) passed: Passed,
    pub(super) notices: Vec<String>,
}

impl Fixture {
    pub(super) fn new() -> Fixture {
        Fixture {
            disk: ModelDisk::new(0),
            settings: Settings {
                owner: "Queue".to_owned(),
                lanes: 1,
                max_file_size: 0,
                message_bytes_max: MESSAGE_BYTES_MAX,
            },
        }
    }

    /// One with `messages` in segments of at most `max_file_size`, which was stopped in order.
    pub(super) fn filled(max_file_size: u64, messages: usize) -> Fixture {
        let mut fixture = Fixture::new();
        fixture.settings.max_file_size = max_file_size;
        let mut queue = fixture.open();
        for number in 0..messages {
            put(&mut queue, &[&text(number)]);
        }
        let lane = queue.lanes.remove(0);
        let synced = lane.writer.expect("a writer").close().expect("a good disk");
        assert_eq!(synced.upto().sequence, messages as u64);
        fixture
    }

    pub(super) fn open(&self) -> Queue<ModelDisk> {
        self.try_open().expect("it opens")
    }

    pub(super) fn try_open(&self) -> Result<Queue<ModelDisk>, QueueError> {
        Queue::open(self.disk.clone(), Path::new(FOLDER), &self.settings)
    }

    /// Opens it and reads what is in its first lane, without delivering it.
    pub(super) fn read(&self) -> Read {
        read(&mut self.open().lanes[0])
    }
}

/// A message of 200 bytes.
pub(super) fn text(number: usize) -> String {
    format!("{number:0200}")
}

pub(super) fn texts(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(text).collect()
}

pub(super) fn segment(number: u64) -> PathBuf {
    lane_file(&crate::queue::segment::segment_name(number))
}

pub(super) fn lane_file(name: &str) -> PathBuf {
    Path::new(FOLDER).join("lane-0").join(name)
}

pub(super) fn entry(message: &str) -> Entry<'_> {
    Entry {
        message: message.as_bytes(),
        loops: 0,
        meta: None,
    }
}

/// Puts messages into the first lane and syncs them.
pub(super) fn put(queue: &mut Queue<ModelDisk>, messages: &[&str]) {
    let lane = queue.lanes[0].writer.as_mut().expect("a writer");
    lane.append(messages.iter().map(|message| entry(message)), NOW)
        .expect("a good disk");
    let synced = lane.commit().expect("a good disk");
    assert_eq!(synced.records(), messages.len() as u64);
}

/// Reads all that a lane has published.
pub(super) fn read(lane: &mut OpenLane<ModelDisk>) -> Read {
    let mut found = Read::default();
    let published = match &lane.writer {
        Some(writer) => writer.published(),
        None => lane.published,
    };
    let mut buffer = vec![0; record_bytes_max(MESSAGE_BYTES_MAX)];
    let mut items: Vec<Item> = Vec::new();
    loop {
        let passed = lane.reader.read(&mut buffer, published, 100, &mut items);
        found.passed.add(passed.expect("a disk that can be read"));
        found.notices.extend(lane.reader.take_notices());
        if items.is_empty() {
            return found;
        }
        let messages = items.iter().map(|item| item.message.of(&buffer));
        found
            .messages
            .extend(messages.map(|message| String::from_utf8_lossy(message).into_owned()));
    }
}
