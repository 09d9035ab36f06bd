//! Opening a queue: what is there, what of it is whole, and where to go on.
//!
//! Owns:    `Queue`, `OpenLane`, `Settings`, `Recovery`.
//! Runs on: the main thread at start, or a `Worker`'s thread.            Plane: data.
//! Bounds:  of each lane, what was written since the last index of its newest segment is scanned.
//! Never:   refuses to start because of damage, or takes a folder that is not its own.

use std::path::Path;

use crate::io::disk::Disk;

use super::cursor::Cursor;
use super::lane::Lane;
use super::reader::Reader;
use super::{Position, QueueError};

/// What a queue is opened with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of the plugin whose queue it is, as in its section.
    pub owner: String,
    /// Lanes to write to: the shards.
    pub lanes: u16,
    /// Bytes after which a lane begins a new segment; zero means 512 MiB.
    pub max_file_size: u64,
    /// Longest message.
    pub message_bytes_max: usize,
}

/// An open queue. The folder is locked as long as any part of it lives.
#[derive(Debug)]
pub struct Queue<D: Disk> {
    /// Its lanes, in order: first those to write to, then those of shards that are no more.
    pub lanes: Vec<OpenLane<D>>,
    /// What was found.
    pub recovery: Recovery,
}

/// A lane, taken apart.
#[derive(Debug)]
pub struct OpenLane<D: Disk> {
    /// Its number.
    pub number: u16,
    /// To write; `None` for a lane of a shard that is no more, which is only drained, and removed at the next start.
    pub writer: Option<Lane<D>>,
    /// To read.
    pub reader: Reader<D>,
    /// To remember what was delivered.
    pub cursor: Cursor<D>,
    /// What the reader may read at first.
    pub published: Position,
    /// What was found.
    pub recovery: LaneRecovery,
}

/// What opening a lane has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneRecovery {
    /// Records that are not delivered yet. Those that turn out to be damaged are among them.
    pub pending_records: u64,
    /// Bytes of them.
    pub pending_bytes: u64,
    /// Bytes that the lane takes on the disk.
    pub bytes: u64,
    /// Bytes of a half-written end that were cut off.
    pub cut_bytes: u64,
    /// Records that are known to be lost to damage already. They are not pending.
    pub damaged_records: u64,
}

/// What opening a queue has found, over all lanes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The sums.
    pub total: LaneRecovery,
    /// What people should know, as sentences.
    pub notices: Vec<String>,
}

impl<D: Disk> Queue<D> {
    /// Opens the queue in `folder`, making it where it is missing. `now` is nanoseconds since the Unix epoch.
    pub fn open(
        disk: D,
        folder: &Path,
        settings: &Settings,
        now: i64,
    ) -> Result<Queue<D>, QueueError> {
        let _ = (disk, folder, settings, now);
        unimplemented!()
    }
}

/// The name of a plugin's folder: what is no letter, digit or underscore of ASCII becomes an underscore.
pub fn folder_name(plugin: &str) -> String {
    plugin
        .chars()
        .map(|letter| match letter {
            '0'..='9' | 'A'..='Z' | 'a'..='z' => letter,
            _ => '_',
        })
        .collect()
}
