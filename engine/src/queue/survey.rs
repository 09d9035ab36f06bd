//! What is in a lane, found out without changing anything.
//!
//! Owns:    `Survey`, `Newest`.
//! Runs on: the main thread at start, or a `Worker`'s thread.            Plane: data.
//! Bounds:  scans what was written since the last index of the newest segment, through one buffer.
//! Never:   writes.

use std::io;
use std::path::{Path, PathBuf};

use super::home::Home;
use super::record::{Header, salted};
use super::scan::{Step, Stretch, Walker};
use super::segment::{
    CURSOR_NAME, Index, Listing, SEGMENT_HEADER_BYTES, SegmentHeader, segment_name,
};
use super::slots::{Loaded, Slots};
use super::{Position, QueueError, cursor};
use crate::io::disk::Disk;

/// Attempts to read a place before it is taken for damage.
const ATTEMPTS: u32 = 8;

/// Buffer of a scan; records that are longer are checked in pieces.
const SCAN_BYTES: usize = 256 * 1024;

const UNUSABLE: &str = "the queue cannot be used, and nothing in it was touched";

/// What is in a lane.
#[derive(Debug)]
pub(super) struct Survey<D: Disk> {
    pub(super) folder: PathBuf,
    pub(super) listing: Listing,
    /// The cursor's file, and what stood in it.
    pub(super) slots: Slots<D>,
    pub(super) saved: Option<Position>,
    /// Some of what stood there is not whole.
    pub(super) cursor_is_damaged: bool,
    /// The newest segment with something in it.
    pub(super) newest: Option<Newest>,
    /// Segments behind it without even a header: they were begun, and nothing in them was synced.
    pub(super) empty: Vec<u64>,
    /// The last of those that were removed: their numbers are not used again.
    pub(super) last_begun: u64,
    /// Where reading begins.
    pub(super) start: Position,
    /// Records before this sequence are delivered, wherever they stand: where the cursor's place is of no use.
    pub(super) floor: u64,
    /// Where it ends. Its sequence is the next record's.
    pub(super) published: Position,
    pub(super) notices: Vec<String>,
}

/// The newest segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Newest {
    pub(super) number: u64,
    pub(super) header: Option<SegmentHeader>,
    /// Bytes of the file.
    pub(super) bytes: u64,
    /// Behind its last whole record.
    pub(super) end: u64,
    /// Sequence behind its last whole record.
    pub(super) sequence: u64,
    /// Sequence behind the last record that an index knows of.
    indexed: u64,
    /// Bytes between records, of what was scanned.
    pub(super) damaged_bytes: u64,
    /// Something of it could not be read: what it is is not known.
    pub(super) unreadable: bool,
    /// It has a header, an index or a record.
    known: bool,
}

impl<D: Disk> Survey<D> {
    pub(super) fn take(
        home: &Home<D>,
        lane: u16,
        folder: PathBuf,
    ) -> Result<Survey<D>, QueueError> {
        if !home.is_taken() {
            // A daemon may work on it meanwhile; what remains as strange as that is looked at as it is.
            for _ in 1..ATTEMPTS {
                match Survey::look(home, lane, folder.clone()) {
                    Ok(survey) if survey.was_changed() => {}
                    Ok(survey) => return Ok(survey),
                    Err(_) => {}
                }
            }
        }
        Survey::look(home, lane, folder)
    }

    /// Whether it looks as if files had come and gone since they were listed.
    fn was_changed(&self) -> bool {
        let last = self.listing.segments.keys().next_back();
        let saved = self.saved.map_or(0, |saved| saved.segment);
        self.cursor_is_damaged || last.is_some_and(|&last| saved > last)
    }

    fn look(home: &Home<D>, lane: u16, folder: PathBuf) -> Result<Survey<D>, QueueError> {
        let unusable =
            |error: io::Error| QueueError::disk("read the folder", &folder, &error, UNUSABLE);
        let listing = Listing::read(&home.disk, &folder).map_err(unusable)?;
        let mut notices = strange(&listing, &folder);
        let (slots, loaded) = load_cursor(home, &folder)?;
        let saved = loaded.content.as_ref().and_then(cursor::read_saved);
        let mut newest = None;
        let mut empty = Vec::new();
        for (&number, &bytes) in listing.segments.iter().rev() {
            let found = look_at(home, lane, &folder, number, bytes, saved)
                .map_err(|error| cannot_read(&folder, number, &error))?;
            if found.known {
                newest = Some(found);
                break;
            }
            empty.push(number);
        }
        let damaged = loaded.damaged || (loaded.content.is_some() && saved.is_none());
        let mut survey = Survey {
            folder,
            cursor_is_damaged: damaged,
            listing,
            slots,
            saved,
            newest,
            empty,
            last_begun: 0,
            start: Position::default(),
            floor: 0,
            published: Position::default(),
            notices: Vec::new(),
        };
        survey.place(home, lane, &mut notices)?;
        survey.notices = notices;
        Ok(survey)
    }

    /// Finds out where reading begins and ends.
    fn place(
        &mut self,
        home: &Home<D>,
        lane: u16,
        notices: &mut Vec<String>,
    ) -> Result<(), QueueError> {
        let Some(newest) = self.newest else {
            let position = self.saved.unwrap_or_default();
            if position.segment > 0 {
                notices.push(format!(
                    "{} has no files, although it was delivered up to record {}: what came behind that is gone; the lane goes on there",
                    self.folder.display(),
                    position.sequence
                ));
            }
            (self.start, self.published) = (position, position);
            return Ok(());
        };
        let saved_sequence = self.saved.map_or(0, |saved| saved.sequence);
        self.published = Position {
            segment: newest.number,
            offset: newest.end,
            sequence: newest.sequence.max(newest.indexed).max(saved_sequence),
        };
        let oldest = self.listing.segments.keys().next().copied().unwrap_or(0);
        let damaged = self.cursor_is_damaged;
        match self
            .saved
            .filter(|saved| !damaged || saved.segment >= oldest)
        {
            Some(saved) => notices.extend(self.start_at(saved, &newest)),
            None => {
                self.start = self.first_position(home, lane)?;
                if damaged {
                    notices.push(format!(
                        "{} is damaged: what is in the lane is delivered from its beginning, some of it perhaps again",
                        self.folder.join(CURSOR_NAME).display()
                    ));
                }
            }
        }
        Ok(())
    }

    /// Begins at the place that the cursor names, if there is such a place. Answers what there is to say about it.
    fn start_at(&mut self, saved: Position, newest: &Newest) -> Option<String> {
        let path = self.folder.join(CURSOR_NAME);
        let end = self.published;
        if (saved.segment, saved.offset) <= (end.segment, end.offset) {
            self.start = saved;
            return None;
        }
        if saved.sequence < newest.sequence {
            self.floor = saved.sequence;
            self.start = Position {
                sequence: saved.sequence,
                ..Position::default()
            };
            return Some(format!(
                "{} points past the end of the lane, to record {}: it is looked for by its number",
                path.display(),
                saved.sequence
            ));
        }
        self.start = if saved.segment == end.segment {
            Position {
                offset: end.offset,
                ..saved
            }
        } else {
            saved
        };
        self.published = self.start;
        Some(format!(
            "{} points past the end of the lane, behind record {}: what is there was delivered, the lane goes on at its end",
            path.display(),
            newest.sequence
        ))
    }

    /// The place before the oldest record that there is.
    pub(super) fn first_position(&self, home: &Home<D>, lane: u16) -> Result<Position, QueueError> {
        let mut buffer = Vec::new();
        for (&number, &bytes) in &self.listing.segments {
            let first = first_sequence(home, lane, &self.folder, number, bytes, &mut buffer)
                .map_err(|error| cannot_read(&self.folder, number, &error))?;
            if let Some(sequence) = first {
                return Ok(Position {
                    sequence,
                    ..Position::default()
                });
            }
        }
        Ok(self.published)
    }

    /// The greatest number that a segment has or had, as far as is known.
    pub(super) fn last_number(&self) -> u64 {
        let segments = self.listing.segments.keys().copied();
        segments
            .chain(self.listing.indexes.iter().copied())
            .chain(self.saved.map(|saved| saved.segment))
            .chain([self.published.segment, self.last_begun])
            .max()
            .unwrap_or(0)
    }

    /// Records that are not delivered yet.
    pub(super) fn pending_records(&self) -> u64 {
        self.published.sequence - self.start.sequence.min(self.published.sequence)
    }

    /// Their bytes.
    pub(super) fn pending_bytes(&self) -> u64 {
        let behind = self.listing.segments.range(self.start.segment..);
        let bytes: u64 = behind
            .map(|(&number, &bytes)| match self.newest {
                Some(newest) if newest.number == number => newest.end,
                _ => bytes,
            })
            .sum();
        let passed = if self.listing.segments.contains_key(&self.start.segment) {
            self.start.offset
        } else {
            0
        };
        bytes.saturating_sub(passed)
    }
}

fn cannot_read(folder: &Path, number: u64, error: &io::Error) -> QueueError {
    QueueError::disk("read", &folder.join(segment_name(number)), error, UNUSABLE)
}

fn strange(listing: &Listing, folder: &Path) -> Vec<String> {
    listing
        .strange
        .iter()
        .map(|name| {
            format!(
                "{} is no file of a queue and is left alone",
                folder.join(name).display()
            )
        })
        .collect()
}

/// Calls what may fail for a moment until it does not, so many times.
fn patiently<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut attempt = 1;
    loop {
        match call() {
            Err(error) if attempt < ATTEMPTS && error.kind() != io::ErrorKind::NotFound => {
                attempt += 1;
            }
            result => return result,
        }
    }
}

/// Reads the cursor. One that cannot be read is put out of the way, by who may.
fn load_cursor<D: Disk>(home: &Home<D>, folder: &Path) -> Result<(Slots<D>, Loaded), QueueError> {
    let path = folder.join(CURSOR_NAME);
    let load = || patiently(|| Slots::load(&home.disk, path.clone(), home.is_taken()));
    let refused = |error: &io::Error| {
        let next = "the queue cannot be used; without this file it is delivered from its beginning, some of it perhaps again";
        QueueError::disk("read", &path, error, next)
    };
    match load() {
        Err(_) if home.is_taken() => {
            let aside = folder.join(format!("{CURSOR_NAME}.unreadable"));
            home.disk
                .rename(&path, &aside)
                .and_then(|()| load())
                .map(|(slots, loaded)| {
                    let damaged = true;
                    (slots, Loaded { damaged, ..loaded })
                })
                .map_err(|error| refused(&error))
        }
        loaded => loaded.map_err(|error| refused(&error)),
    }
}

/// Finds out what is in a segment that may be the newest.
fn look_at<D: Disk>(
    home: &Home<D>,
    lane: u16,
    folder: &Path,
    number: u64,
    bytes: u64,
    saved: Option<Position>,
) -> io::Result<Newest> {
    let file = patiently(|| home.disk.open(&folder.join(segment_name(number)), false))?;
    let (header, unreadable) = match patiently(|| SegmentHeader::read(&file)) {
        Ok(header) => (header, false),
        Err(_) => (None, true),
    };
    let index = Index::load(&home.disk, folder, number)
        .filter(|index| header.is_none_or(|header| header.created == index.created));
    let here = saved.filter(|saved| saved.segment == number);
    let first = header
        .map(|header| header.first_sequence)
        .or(index.map(|index| index.first_sequence))
        .or(here.map(|here| here.sequence));
    // Up to an index everything was synced once, up to the cursor everything was delivered: it is scanned from there.
    let from = [
        index.map(|index| (index.bytes, index.sequence)),
        here.map(|here| (here.offset, here.sequence)),
    ]
    .into_iter()
    .flatten()
    .filter(|&(offset, _)| offset <= bytes)
    .max()
    .unwrap_or((SEGMENT_HEADER_BYTES as u64, first.unwrap_or(0)));
    let mut newest = Newest {
        number,
        header,
        bytes,
        end: from.0.min(bytes),
        sequence: from.1,
        indexed: index.map_or(0, |index| index.sequence),
        damaged_bytes: 0,
        unreadable,
        known: header.is_some() || index.is_some() || unreadable,
    };
    let stretch = Stretch {
        file: &file,
        salted: header.map_or_else(|| salted(home.salt, lane, number), |header| header.salted()),
        end: bytes,
        tolerant: false,
        unreadable: false,
    };
    scan(&mut newest, stretch, from.0);
    Ok(newest)
}

/// Walks to the end of a segment.
fn scan<F: crate::io::disk::DiskFile>(newest: &mut Newest, stretch: Stretch<'_, F>, from: u64) {
    if from >= stretch.end {
        return;
    }
    let mut buffer = vec![0; SCAN_BYTES];
    let mut walker = Walker::new(stretch, &mut buffer, from, u64::MAX);
    let mut hole = 0;
    loop {
        let step = match patiently(|| walker.next()) {
            Ok(step) => step,
            Err(_) => {
                walker.stretch.tolerant = true;
                continue;
            }
        };
        match step {
            Step::Record { header, .. } => {
                newest.end = walker.at;
                newest.sequence = newest.sequence.max(behind(&header));
                newest.damaged_bytes += std::mem::take(&mut hole);
                newest.known = true;
            }
            Step::Hole { from, to } => hole = to - from,
            Step::Full | Step::End => break,
        }
    }
    if walker.stretch.unreadable {
        newest.unreadable = true;
        // It may hold records that are read another time: none of their numbers is given away.
        let records_max = (newest.bytes - newest.end) / super::record::HEADER_BYTES as u64;
        newest.end = newest.bytes;
        newest.sequence += records_max;
    }
}

/// Sequence of what comes behind a record.
fn behind(header: &Header) -> u64 {
    header.sequence + u64::from(!header.is_filler())
}

/// Sequence of a segment's first record, if there is any way to know it.
fn first_sequence<D: Disk>(
    home: &Home<D>,
    lane: u16,
    folder: &Path,
    number: u64,
    bytes: u64,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<u64>> {
    let file = match patiently(|| home.disk.open(&folder.join(segment_name(number)), false)) {
        // A daemon that runs has removed it since it was listed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    if let Ok(Some(header)) = patiently(|| SegmentHeader::read(&file)) {
        return Ok(Some(header.first_sequence));
    }
    if let Some(index) = Index::load(&home.disk, folder, number) {
        return Ok(Some(index.first_sequence));
    }
    buffer.resize(SCAN_BYTES, 0);
    let stretch = Stretch {
        file: &file,
        salted: salted(home.salt, lane, number),
        end: bytes,
        tolerant: true,
        unreadable: false,
    };
    let mut walker = Walker::new(stretch, buffer, SEGMENT_HEADER_BYTES as u64, u64::MAX);
    loop {
        match walker.next()? {
            Step::Record { header, .. } => return Ok(Some(header.sequence)),
            Step::Hole { .. } => {}
            Step::Full | Step::End => return Ok(None),
        }
    }
}
