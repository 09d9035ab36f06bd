//! A small file that is always whole: two slots that are written in turn, the newest whole one counts.
//!
//! Owns:    `Slots`.
//! Runs on: a `Worker`'s thread.            Plane: data.
//! Bounds:  `CONTENT_BYTES_MAX` of content.
//! Never:   writes to the slot that counts.

use std::io::{self, IoSlice};
use std::path::PathBuf;

use rkyv::util::AlignedVec;

use crate::io::disk::{Disk, DiskFile};

/// Distance of the slots: no device writes both when it writes one.
const SLOT_BYTES: usize = 4096;

/// Checksum, length, generation.
const SLOT_HEADER_BYTES: usize = 16;

/// Longest content.
pub(super) const CONTENT_BYTES_MAX: usize = SLOT_BYTES - SLOT_HEADER_BYTES;

/// A file of two slots.
#[derive(Debug)]
pub(super) struct Slots<D: Disk> {
    disk: D,
    path: PathBuf,
    file: Option<D::File>,
    /// Of the slot that counts; it is that generation's parity which slot it is.
    generation: u64,
}

/// What the file said.
#[derive(Debug)]
pub(super) struct Loaded {
    /// The newest whole content.
    pub(super) content: Option<AlignedVec>,
    /// A slot holds something that is not whole.
    pub(super) damaged: bool,
}

impl<D: Disk> Slots<D> {
    /// Reads a file; one that is missing has no content, and is made when something is stored.
    pub(super) fn load(disk: &D, path: PathBuf, write: bool) -> io::Result<(Slots<D>, Loaded)> {
        let mut slots = Slots {
            disk: disk.clone(),
            file: None,
            generation: 0,
            path,
        };
        let mut loaded = Loaded {
            content: None,
            damaged: false,
        };
        match disk.open(&slots.path, write) {
            Ok(file) => slots.file = Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((slots, loaded)),
            Err(error) => return Err(error),
        }
        for slot in 0..2 {
            match slots.read_slot(slot)? {
                Slot::Whole(generation, content) if generation >= slots.generation => {
                    slots.generation = generation;
                    loaded.content = Some(content);
                }
                Slot::Whole(..) | Slot::Empty => {}
                Slot::Damaged => loaded.damaged = true,
            }
        }
        Ok((slots, loaded))
    }

    /// Whether there is a file.
    pub(super) fn exist(&self) -> bool {
        self.file.is_some()
    }

    /// Takes the room that the file needs, so that storing changes nothing but bytes and works on a full disk too.
    pub(super) fn reserve(&mut self) -> io::Result<()> {
        let Some(file) = &self.file else {
            self.file = Some(self.create(true)?);
            return Ok(());
        };
        // An attempt that found no room may have left a part of it.
        let missing = (2 * SLOT_BYTES as u64).saturating_sub(file.len()?) as usize;
        if missing > 0 {
            let zeros = [0; 2 * SLOT_BYTES];
            let at = 2 * SLOT_BYTES - missing;
            write_all(file, &mut [IoSlice::new(&zeros[at..])], at as u64)?;
            file.sync_data()?;
        }
        Ok(())
    }

    fn read_slot(&self, slot: u64) -> io::Result<Slot> {
        let file = self.file.as_ref().expect("an open file");
        let mut bytes = [0; SLOT_BYTES];
        let mut read = 0;
        while read < SLOT_BYTES {
            let at = slot * SLOT_BYTES as u64 + read as u64;
            match file.read_at(&mut bytes[read..], at)? {
                0 => break,
                more => read += more,
            }
        }
        if bytes == [0; SLOT_BYTES] {
            return Ok(Slot::Empty);
        }
        let number = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| bytes[at + byte]));
        let generation = u64::from(number(8)) | u64::from(number(12)) << 32;
        let len = number(4) as usize;
        let whole = len <= CONTENT_BYTES_MAX
            && generation % 2 == slot
            && number(0) == crc32c::crc32c(&bytes[4..SLOT_HEADER_BYTES + len]);
        if !whole {
            return Ok(Slot::Damaged);
        }
        let mut content = AlignedVec::new();
        content.extend_from_slice(&bytes[SLOT_HEADER_BYTES..][..len]);
        Ok(Slot::Whole(generation, content))
    }

    /// Writes content that counts from now on, and waits for the disk if asked. After an error either counts, the content before or this one.
    pub(super) fn store(&mut self, content: &[u8], sync: bool) -> io::Result<()> {
        assert!(content.len() <= CONTENT_BYTES_MAX, "a small content");
        if self.file.is_none() {
            self.file = Some(self.create(sync)?);
        }
        let file = self.file.as_ref().expect("it was made");
        let generation = self.generation + 1;
        let mut head = [0; SLOT_HEADER_BYTES];
        head[4..8].copy_from_slice(&(content.len() as u32).to_le_bytes());
        head[8..].copy_from_slice(&generation.to_le_bytes());
        let sum = crc32c::crc32c_append(crc32c::crc32c(&head[4..]), content);
        head[..4].copy_from_slice(&sum.to_le_bytes());
        write_all(
            file,
            &mut [IoSlice::new(&head), IoSlice::new(content)],
            (generation % 2) * SLOT_BYTES as u64,
        )?;
        if sync {
            file.sync_data()?;
        }
        self.generation = generation;
        Ok(())
    }

    /// Makes the file at its full length, so that later writes change nothing but bytes.
    fn create(&self, sync: bool) -> io::Result<D::File> {
        let file = match self.disk.create_new(&self.path) {
            // An attempt before this one has come so far.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.disk.open(&self.path, true)?
            }
            made => made?,
        };
        let zeros = [0; SLOT_BYTES];
        write_all(&file, &mut [IoSlice::new(&zeros), IoSlice::new(&zeros)], 0)?;
        if sync {
            file.sync_data()?;
            let folder = self.path.parent().expect("a file in a folder");
            self.disk.sync_folder(folder)?;
        }
        Ok(file)
    }
}

enum Slot {
    Empty,
    Whole(u64, AlignedVec),
    Damaged,
}

/// Writes all parts from `at` on.
pub(super) fn write_all(
    file: &impl DiskFile,
    mut parts: &mut [IoSlice<'_>],
    mut at: u64,
) -> io::Result<()> {
    // Parts without bytes at the front would look like a write of nothing.
    IoSlice::advance_slices(&mut parts, 0);
    while !parts.is_empty() {
        match file.write_at(parts, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                at += written as u64;
                IoSlice::advance_slices(&mut parts, written);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
