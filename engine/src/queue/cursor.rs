//! The durable position of a lane's consumer.
//!
//! Owns:    `Cursor`.
//! Runs on: a `Worker`'s thread.            Plane: data.
//! Bounds:  one file of two slots.
//! Never:   goes back; removes a segment before the position behind it is on the disk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rkyv::util::AlignedVec;
use rkyv::{Archive, Deserialize, Serialize};

use super::home::Home;
use super::record::NUMBERS_END;
use super::segment::{CURSOR_NAME, Listing, index_name, segment_name};
use super::slots::Slots;
use super::{Position, QueueError};
use crate::io::disk::Disk;

/// What stands in the file.
#[derive(Archive, Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Saved {
    segment: u64,
    offset: u64,
    sequence: u64,
}

/// How far a lane was delivered.
#[derive(Debug)]
pub struct Cursor<D: Disk> {
    home: Arc<Home<D>>,
    folder: PathBuf,
    slots: Slots<D>,
    position: Position,
    saved: Option<Position>,
    /// Segments before the saved position are still there.
    untidy: bool,
    bytes_removed: u64,
}

impl<D: Disk> Cursor<D> {
    pub(super) fn new(
        home: Arc<Home<D>>,
        folder: PathBuf,
        slots: Slots<D>,
        position: Position,
        saved: Option<Position>,
    ) -> Cursor<D> {
        Cursor {
            home,
            folder,
            slots,
            position,
            saved,
            untidy: false,
            bytes_removed: 0,
        }
    }

    /// Takes the room that the file needs: on a disk that has run full since, what is delivered can only be removed once that is written down.
    pub(super) fn reserve(&mut self) {
        // Without room it is tried again by the first save, which tells of it.
        let _ = self.slots.reserve();
    }

    /// The position, saved or not.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Everything before `to` is delivered. Answers whether it was taken: a position before the present one is not. Nothing is written.
    pub fn advance(&mut self, to: Position) -> bool {
        let forward = (to.segment, to.offset) >= (self.position.segment, self.position.offset);
        if forward {
            self.position = to;
        }
        forward
    }

    /// Whether the position has moved to another segment since it was saved: saving it gives room back.
    pub fn has_left_segment(&self) -> bool {
        self.untidy
            || self
                .saved
                .is_none_or(|saved| saved.segment < self.position.segment)
    }

    /// Writes the position down, waits until it is on the disk, then removes the segments before it. After an error the position on the disk is the one
    /// before, or this one; the call may be repeated. Without a move it does nothing.
    pub fn save(&mut self) -> Result<(), QueueError> {
        if self.saved != Some(self.position) {
            let saved = Saved {
                segment: self.position.segment,
                offset: self.position.offset,
                sequence: self.position.sequence,
            };
            let content = rkyv::to_bytes::<rkyv::rancor::Error>(&saved).expect("three numbers");
            self.slots.store(&content, true).map_err(|error| {
                let path = self.folder.join(CURSOR_NAME);
                let next =
                    "what was delivered since the last time would be delivered again after a crash";
                QueueError::disk("write", &path, &error, next)
            })?;
            self.untidy |= self
                .saved
                .is_none_or(|saved| saved.segment < self.position.segment);
            self.saved = Some(self.position);
        }
        if self.untidy {
            self.remove_passed().map_err(|error| {
                let next = "files whose records are all delivered take room until it succeeds";
                QueueError::disk("remove passed files in", &self.folder, &error, next)
            })?;
            self.untidy = false;
        }
        Ok(())
    }

    /// Bytes of segments that it has ever removed since the start: see `Lane::bytes_taken`.
    pub fn bytes_removed(&self) -> u64 {
        self.bytes_removed
    }

    /// Has the position written down and passed segments removed even if it has not moved.
    pub(super) fn tidy(&mut self) -> Result<(), QueueError> {
        self.saved = None;
        self.save()
    }

    fn remove_passed(&mut self) -> io::Result<()> {
        let listing = Listing::read(&self.home.disk, &self.folder)?;
        let passed = |number: u64| number < self.position.segment;
        for number in listing.indexes.into_iter().filter(|&number| passed(number)) {
            remove(&self.home.disk, &self.folder.join(index_name(number)))?;
        }
        for (number, bytes) in listing.segments {
            if passed(number) {
                remove(&self.home.disk, &self.folder.join(segment_name(number)))?;
                self.bytes_removed += bytes;
            }
        }
        self.home.disk.sync_folder(&self.folder)
    }
}

fn remove<D: Disk>(disk: &D, path: &Path) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The position that a lane's cursor has on the disk now.
pub(super) fn load<D: Disk>(disk: &D, folder: &Path) -> Option<Position> {
    let (_, loaded) = Slots::load(disk, folder.join(CURSOR_NAME), false).ok()?;
    read_saved(&loaded.content?)
}

/// The position in a cursor's file.
pub(super) fn read_saved(content: &AlignedVec) -> Option<Position> {
    let saved = rkyv::access::<ArchivedSaved, rkyv::rancor::Error>(content).ok()?;
    let position = Position {
        segment: saved.segment.to_native(),
        offset: saved.offset.to_native(),
        sequence: saved.sequence.to_native(),
    };
    let sane = [position.segment, position.offset, position.sequence]
        .iter()
        .all(|&number| number < NUMBERS_END);
    sane.then_some(position)
}
