//! Writing: a lane takes groups of records, and says when they are safe.
//!
//! Owns:    `Lane`, `Synced`.
//! Runs on: a `Worker`'s thread.            Plane: data.
//! Bounds:  one open segment; the heads of `RECORDS_A_WRITE` records.
//! Never:   copies a message; leaves it unsure, after a failure, where the next record goes.
//!
//! What was written since the last commit is one group, and all of it is in one segment. When a write fails the segment is cut back to where it was synced; where that
//! fails too, and always after a failed sync, whose pages may be gone, the segment ends there: the next one says so in its header, and the group goes into that one.

use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Arc;

use super::home::Home;
use super::record::{HEADER_BYTES, salted};
use super::segment::{Index, SEGMENT_HEADER_BYTES, SegmentHeader, index_name, segment_name};
use super::slots::write_all;
use super::{Entry, Kind, Position, QueueError};
use crate::io::disk::{Disk, DiskFile, PARTS_MAX};

/// Records that one write may have: each is a head and a message.
const RECORDS_A_WRITE: usize = PARTS_MAX / 2;

/// Synced bytes after which an index is written. Recovery scans what comes behind it.
pub(super) const INDEX_EVERY_BYTES: u64 = 64 * 1024 * 1024;

/// Numbers that are tried for a new segment, where something else has taken the name.
const NUMBERS_TRIED: u64 = 1000;

/// Bytes of a group that the disk may begin to write while the rest is still put together.
const BEGIN_SYNC_BYTES: u64 = 512 * 1024;

const AGAIN: &str =
    "what was not synced is not acknowledged, and goes into a new file when it is tried again";

/// The writing part of a lane.
///
/// What was appended since the last `Synced` is one group. **After any error of `append` or `commit` nothing of that group is in the lane**: append all of it
/// again, or give it up as `full_action` says. What was synced before is not touched.
#[derive(Debug)]
pub struct Lane<D: Disk> {
    home: Arc<Home<D>>,
    number: u16,
    folder: PathBuf,
    max_file_bytes: u64,
    message_bytes_max: usize,
    /// The segment that is written to; without one, the next append begins it.
    current: Option<Current<D::File>>,
    next_number: u64,
    synced: Position,
    /// Where the next record goes. In the segment of `synced`, unless the current one was begun since.
    written: Position,
    bytes_taken: u64,
    heads: Vec<u8>,
}

/// The open segment.
#[derive(Debug)]
pub(super) struct Current<F> {
    pub(super) file: F,
    pub(super) header: SegmentHeader,
    /// Where the last index says that it ends.
    pub(super) indexed: u64,
    /// Its name is not synced yet.
    pub(super) fresh: bool,
}

/// Says that all records up to a position are on the disk, names included. Only `Lane::commit` makes one.
#[must_use = "it is what acknowledgements are made of"]
#[derive(Debug, PartialEq, Eq)]
pub struct Synced {
    from: Position,
    upto: Position,
    records: u64,
}

impl Synced {
    /// Where the group begins.
    pub fn from(&self) -> Position {
        self.from
    }

    /// What a reader may read from now on.
    pub fn upto(&self) -> Position {
        self.upto
    }

    /// Records of the group.
    pub fn records(&self) -> u64 {
        self.records
    }
}

/// What a lane begins with.
#[derive(Debug)]
pub(super) struct Start<F> {
    pub(super) number: u16,
    pub(super) max_file_bytes: u64,
    pub(super) message_bytes_max: usize,
    pub(super) current: Option<Current<F>>,
    pub(super) next_number: u64,
    pub(super) synced: Position,
    pub(super) bytes_taken: u64,
}

impl<D: Disk> Lane<D> {
    pub(super) fn new(home: Arc<Home<D>>, start: Start<D::File>) -> Lane<D> {
        Lane {
            folder: super::segment::lane_folder(&home.folder, start.number),
            home,
            number: start.number,
            max_file_bytes: start.max_file_bytes,
            message_bytes_max: start.message_bytes_max,
            current: start.current,
            next_number: start.next_number,
            synced: start.synced,
            written: start.synced,
            bytes_taken: start.bytes_taken,
            heads: Vec::new(),
        }
    }

    /// Number of the lane, which is that of the shard that writes to it.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Whether a message of this length may be appended.
    pub fn takes(&self, message_bytes: usize) -> bool {
        message_bytes <= self.message_bytes_max
    }

    /// Writes records at the end, without waiting for the disk. `now` is nanoseconds since the Unix epoch. Answers the bytes they take.
    ///
    /// A new segment is begun here when the present one has no room below `max_file_size` and nothing waits for a commit: a group never spans two
    /// segments, so one may become larger by a group.
    pub fn append<'a>(
        &mut self,
        entries: impl IntoIterator<Item = Entry<'a>>,
        now: i64,
    ) -> Result<u64, QueueError> {
        let before = self.uncommitted_bytes();
        match self.write(&mut entries.into_iter(), now) {
            Ok(()) => Ok(self.uncommitted_bytes() - before),
            Err(error) => {
                self.undo(true);
                Err(error)
            }
        }
    }

    /// Waits until the group is on the disk, and publishes it. Without a group it answers at once.
    pub fn commit(&mut self) -> Result<Synced, QueueError> {
        if self.written == self.synced {
            return Ok(Synced {
                from: self.synced,
                upto: self.synced,
                records: 0,
            });
        }
        let result = self.sync();
        if result.is_err() {
            self.undo(false);
        }
        result
    }

    /// Takes back what was appended since the last commit.
    pub fn give_up(&mut self) {
        if self.written != self.synced {
            self.undo(true);
        }
    }

    /// Commits, then begins a new segment and publishes it empty, so that a cursor can leave the present one behind and it can be removed. To be called when the
    /// queue is full although the cursor has reached `published`.
    pub fn roll(&mut self, now: i64) -> Result<Synced, QueueError> {
        let Synced { from, records, .. } = self.commit()?;
        self.seal();
        let begun = self.begin(now).and_then(|()| self.sync());
        match begun {
            Ok(synced) => Ok(Synced {
                from,
                records,
                ..synced
            }),
            Err(error) => {
                self.undo(false);
                // The group is safe all the same.
                if records > 0 {
                    return Ok(Synced {
                        from,
                        upto: self.synced,
                        records,
                    });
                }
                Err(error)
            }
        }
    }

    /// What readers may read: the end of the last group that was committed.
    pub fn published(&self) -> Position {
        self.synced
    }

    /// Bytes that wait for a commit.
    pub fn uncommitted_bytes(&self) -> u64 {
        if self.written.segment == self.synced.segment {
            self.written.offset - self.synced.offset
        } else {
            self.written.offset
        }
    }

    /// Bytes that the lane has ever taken on the disk, those found at start included. Less `Cursor::bytes_removed`, it is what it takes now:
    /// two counters that only grow, with one writer each, to be compared with `max_buffer_size` over all lanes. What waits for a commit is not in it.
    pub fn bytes_taken(&self) -> u64 {
        self.bytes_taken
    }

    /// Commits what is left and notes where the lane ends, so that the next start scans nothing.
    pub fn close(mut self) -> Result<Synced, QueueError> {
        let synced = self.commit()?;
        self.index(0);
        Ok(synced)
    }

    fn write<'a>(
        &mut self,
        entries: &mut dyn Iterator<Item = Entry<'a>>,
        now: i64,
    ) -> Result<(), QueueError> {
        let mut messages: Vec<&[u8]> = Vec::new();
        let mut ends = Vec::new();
        // Written, and not on its way to the disk yet.
        let mut idle = 0;
        loop {
            messages.clear();
            ends.clear();
            self.heads.clear();
            let mut bytes = 0;
            let mut sequence = self.written.sequence;
            while messages.len() < RECORDS_A_WRITE {
                let Some(entry) = entries.next() else { break };
                self.check(&entry)?;
                if messages.is_empty() {
                    self.make_room(entry.record_bytes(), now)?;
                }
                let current = self.current.as_ref().expect("there is room now");
                let salted = current.header.salted();
                entry.write_head(salted, sequence, now, &mut self.heads);
                messages.push(entry.message);
                ends.push(self.heads.len());
                bytes += entry.record_bytes();
                sequence += 1;
            }
            if messages.is_empty() {
                return Ok(());
            }
            self.write_group(&messages, &ends)?;
            self.written.offset += bytes;
            self.written.sequence = sequence;
            idle += bytes;
            if idle >= BEGIN_SYNC_BYTES {
                let current = self.current.as_ref().expect("there is room");
                current.file.begin_sync(self.written.offset - idle, idle);
                idle = 0;
            }
        }
    }

    fn check(&self, entry: &Entry<'_>) -> Result<(), QueueError> {
        if self.takes(entry.message.len()) {
            return Ok(());
        }
        Err(QueueError::new(
            Kind::TooLong,
            format!(
                "a message of {} bytes is longer than the queue in {} takes ({}): nothing of its group was taken",
                entry.message.len(),
                self.home.folder.display(),
                self.message_bytes_max
            ),
        ))
    }

    fn write_group(&self, messages: &[&[u8]], ends: &[usize]) -> Result<(), QueueError> {
        let current = self.current.as_ref().expect("there is room");
        let mut parts = [IoSlice::new(&[]); PARTS_MAX];
        let mut start = 0;
        for (at, (message, &end)) in messages.iter().zip(ends).enumerate() {
            parts[2 * at] = IoSlice::new(&self.heads[start..end]);
            parts[2 * at + 1] = IoSlice::new(message);
            start = end;
        }
        let parts = &mut parts[..2 * messages.len()];
        write_all(&current.file, parts, self.written.offset)
            .map_err(|error| self.failed("write", &error))
    }

    /// Sees to it that a segment is open, and has room unless a group has been begun in it.
    fn make_room(&mut self, record_bytes: u64, now: i64) -> Result<(), QueueError> {
        let used = self.written.offset > SEGMENT_HEADER_BYTES as u64;
        let full = used && self.written.offset + record_bytes > self.max_file_bytes;
        if full && self.written == self.synced {
            self.seal();
        }
        match self.current {
            Some(_) => Ok(()),
            None => self.begin(now),
        }
    }

    /// Nothing more goes into the current segment.
    fn seal(&mut self) {
        self.index(0);
        self.current = None;
    }

    /// Writes an index, if the last one lies so far back.
    fn index(&mut self, every: u64) {
        let Some(current) = &mut self.current else {
            return;
        };
        let behind = self.synced.offset.saturating_sub(current.indexed);
        if current.header.number != self.synced.segment || behind <= every {
            return;
        }
        current.indexed = self.synced.offset;
        let index = Index {
            number: current.header.number,
            created: current.header.created,
            first_sequence: current.header.first_sequence,
            sequence: self.synced.sequence,
            bytes: self.synced.offset,
        };
        index.store(&self.home.disk, &self.folder);
    }

    /// Begins a segment behind what is synced.
    fn begin(&mut self, now: i64) -> Result<(), QueueError> {
        let (number, file) = self.create()?;
        let header = SegmentHeader {
            lane: self.number,
            number,
            first_sequence: self.synced.sequence,
            previous: self.synced.segment,
            previous_bytes: self.synced.offset,
            salt: self.home.salt,
            created: now,
        };
        debug_assert_eq!(header.salted(), salted(self.home.salt, self.number, number));
        self.written = Position {
            segment: number,
            offset: SEGMENT_HEADER_BYTES as u64,
            sequence: self.synced.sequence,
        };
        let bytes = header.encode();
        let written = write_all(&file, &mut [IoSlice::new(&bytes)], 0);
        self.current = Some(Current {
            file,
            header,
            indexed: self.written.offset,
            fresh: true,
        });
        written.map_err(|error| self.failed("write", &error))
    }

    fn create(&mut self) -> Result<(u64, D::File), QueueError> {
        let last = self.next_number + NUMBERS_TRIED;
        loop {
            let number = self.next_number;
            let path = self.folder.join(segment_name(number));
            match self.home.disk.create_new(&path) {
                Ok(file) => {
                    self.next_number += 1;
                    return Ok((number, file));
                }
                Err(error)
                    if error.kind() == std::io::ErrorKind::AlreadyExists && number < last =>
                {
                    self.next_number += 1;
                }
                Err(error) => return Err(QueueError::disk("make", &path, &error, AGAIN)),
            }
        }
    }

    /// Syncs the current segment, and its name if it is new.
    fn sync(&mut self) -> Result<Synced, QueueError> {
        let current = self.current.as_mut().expect("a group is in a segment");
        let result = current.file.sync_data();
        if let Err(error) = result {
            return Err(self.failed("sync", &error));
        }
        if current.fresh {
            self.home
                .disk
                .sync_folder(&self.folder)
                .map_err(|error| QueueError::disk("sync", &self.folder, &error, AGAIN))?;
            current.fresh = false;
        }
        let records = self.written.sequence - self.synced.sequence;
        self.bytes_taken += self.uncommitted_bytes();
        let mut from = self.synced;
        if from.segment != self.written.segment {
            from.segment = self.written.segment;
            from.offset = SEGMENT_HEADER_BYTES as u64;
        }
        self.synced = self.written;
        self.index(INDEX_EVERY_BYTES);
        Ok(Synced {
            from,
            upto: self.synced,
            records,
        })
    }

    /// Goes back to what is synced. A segment that could be cut is written to again, if its pages are `sound`.
    fn undo(&mut self, sound: bool) {
        let unsynced = self.uncommitted_bytes();
        let cut = match &self.current {
            Some(current) if current.header.number == self.synced.segment => {
                current.file.truncate(self.synced.offset).is_ok()
            }
            Some(current) => {
                let number = current.header.number;
                // Without its file an index would not be believed, and there is none yet.
                let _ = self.home.disk.remove(&self.folder.join(index_name(number)));
                let path = self.folder.join(segment_name(number));
                self.home.disk.remove(&path).is_ok()
            }
            None => true,
        };
        if !cut {
            // It takes room until the cursor has passed it, what was half written included.
            self.bytes_taken += self.left_behind().unwrap_or(unsynced);
        }
        let stays = |current: &Current<D::File>| {
            sound && cut && current.header.number == self.synced.segment
        };
        self.current = self.current.take().filter(stays);
        self.written = self.synced;
    }

    /// Bytes of the open segment behind what is synced.
    fn left_behind(&self) -> Option<u64> {
        let current = self.current.as_ref()?;
        let counted = match current.header.number == self.synced.segment {
            true => self.synced.offset,
            false => 0,
        };
        Some(current.file.len().ok()?.saturating_sub(counted))
    }

    fn failed(&self, doing: &str, error: &std::io::Error) -> QueueError {
        let path = self.folder.join(segment_name(self.written.segment));
        QueueError::disk(doing, &path, error, AGAIN)
    }
}

const _: () = assert!(HEADER_BYTES < SEGMENT_HEADER_BYTES);
