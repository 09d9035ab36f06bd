//! Repairing a queue that nobody works on: every record is checked, and what lies between records is replaced by something whole.
//!
//! Owns:    `Repaired`, and `Queue::repair`.
//! Runs on: the main thread of a tool.            Plane: control.
//! Bounds:  one buffer; reads every segment once.
//! Never:   moves a record, or changes a byte of one; loses damaged bytes that can be kept.
//!
//! In the place of damaged bytes comes the head of a record that says how far they go: positions stay what they are, and a crash in between leaves either.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::Path;

use super::QueueError;
use super::home::Place;
use super::record::{HEADER_BYTES, Header, salted};
use super::recovery::{OpenLane, Queue};
use super::scan::{Step, Stretch, Walker};
use super::segment::{Listing, SEGMENT_HEADER_BYTES, SegmentHeader, lane_folder, segment_name};
use super::slots::write_all;
use crate::io::disk::{Disk, DiskFile};
use crate::words::{agrees, counted};

/// Buffer that records are checked in; longer ones are checked in pieces.
const BUFFER_BYTES: usize = 1024 * 1024;

/// Most bytes that one filler stands for.
const FILLER_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// What a repair has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Segments that were read.
    pub segments: u64,
    /// Whole records in them.
    pub records: u64,
    /// Places where something else stood.
    pub places: u64,
    /// Bytes of them.
    pub damaged_bytes: u64,
    /// Records that are lost there, or with segments that have gone.
    pub lost_records: u64,
    /// Bytes that were cut off at ends.
    pub cut_bytes: u64,
    /// What was done, as sentences.
    pub notices: Vec<String>,
}

impl<D: Disk> Queue<D> {
    /// Checks and repairs all lanes. `now` is nanoseconds since the Unix epoch.
    pub fn repair(&mut self, now: i64) -> Result<Repaired, QueueError> {
        let mut repaired = Repaired {
            cut_bytes: self.recovery.total.cut_bytes,
            notices: std::mem::take(&mut self.recovery.notices),
            ..Repaired::default()
        };
        let mut buffer = vec![0; BUFFER_BYTES];
        for lane in &self.lanes {
            let mut mending = Mending {
                queue: self,
                lane,
                expected: None,
                now,
                repaired: &mut repaired,
                buffer: &mut buffer,
            };
            mending.lane()?;
        }
        Ok(repaired)
    }
}

struct Mending<'a, D: Disk> {
    queue: &'a Queue<D>,
    lane: &'a OpenLane<D>,
    /// Sequence of the next record, once one was met.
    expected: Option<u64>,
    now: i64,
    repaired: &'a mut Repaired,
    buffer: &'a mut [u8],
}

/// A segment that counts.
struct Piece<F> {
    number: u64,
    file: F,
    header: Option<SegmentHeader>,
    salted: u32,
    /// Sequence of its first record; without one, of the first one behind it.
    first: u64,
}

impl<D: Disk> Mending<'_, D> {
    fn lane(&mut self) -> Result<(), QueueError> {
        let folder = lane_folder(&self.queue.home.folder, self.lane.number);
        let failed = |error: io::Error, name: &str| {
            let next = "what was repaired before it stays so; repair it again";
            QueueError::disk("repair", &folder.join(name), &error, next)
        };
        let pieces = self.pieces(&folder).map_err(|error| failed(error, ""))?;
        for (at, piece) in pieces.iter().enumerate() {
            let before = at.checked_sub(1).map(|at| &pieces[at]);
            self.piece(piece, pieces.get(at + 1))
                .and_then(|()| match piece.header {
                    Some(_) => Ok(()),
                    None => self.write_header(piece, before),
                })
                .and_then(|()| piece.file.sync_data())
                .map_err(|error| failed(error, &segment_name(piece.number)))?;
            self.repaired.segments += 1;
        }
        Ok(())
    }

    /// The segments that count: one that another one behind it does not come behind holds the rest of something that failed.
    fn pieces(&mut self, folder: &Path) -> io::Result<Vec<Piece<D::File>>> {
        let disk = &self.queue.home.disk;
        let listing = Listing::read(disk, folder)?;
        let mut pieces: Vec<Piece<D::File>> = Vec::new();
        let mut last = u64::MAX;
        let mut first = self.lane.published.sequence;
        for &number in listing.segments.keys().rev() {
            if number > last {
                continue;
            }
            let file = disk.open(&folder.join(segment_name(number)), true)?;
            let header = SegmentHeader::read(&file)?;
            let salted = header.map_or_else(
                || salted(self.queue.home.salt, self.lane.number, number),
                |header| header.salted(),
            );
            match header {
                Some(header) => {
                    last = header.previous;
                    first = header.first_sequence;
                }
                None => first = first_record(&file, salted, first, self.buffer)?,
            }
            pieces.push(Piece {
                number,
                file,
                header,
                salted,
                first,
            });
        }
        pieces.reverse();
        Ok(pieces)
    }

    /// Mends the records of a segment, with another one behind it or none.
    fn piece(&mut self, piece: &Piece<D::File>, next: Option<&Piece<D::File>>) -> io::Result<()> {
        let end = self.end(piece, next)?;
        let below = next.map_or(self.lane.published.sequence, |next| next.first);
        self.meet(piece);
        let stretch = Stretch {
            file: &piece.file,
            salted: piece.salted,
            end,
            tolerant: true,
            unreadable: false,
        };
        let mut open = None;
        let mut holes = Vec::new();
        let buffer = std::mem::take(&mut self.buffer);
        let mut walker = Walker::new(stretch, buffer, SEGMENT_HEADER_BYTES as u64, below);
        loop {
            match walker.next()? {
                Step::Record { header, .. } => {
                    holes.extend(open.take().map(|hole| (hole, header.sequence)));
                    self.record(&header);
                }
                Step::Hole { from, to } => open = Some(from..to),
                Step::Full | Step::End => break,
            }
        }
        self.buffer = walker.into_buffer();
        holes.extend(open.map(|hole| (hole, below)));
        for (hole, sequence) in holes {
            self.fill(piece, hole, end, sequence)?;
        }
        Ok(())
    }

    /// Where a segment ends. What stands behind, the rest of something that failed, is cut off.
    fn end(&mut self, piece: &Piece<D::File>, next: Option<&Piece<D::File>>) -> io::Result<u64> {
        let bytes = piece.file.len()?;
        let end = match next.and_then(|next| next.header) {
            Some(next) if next.previous == piece.number => next.previous_bytes,
            _ if piece.number == self.lane.published.segment => self.lane.published.offset,
            _ => bytes,
        };
        if end < bytes {
            piece.file.truncate(end)?;
            self.repaired.cut_bytes += bytes - end;
        }
        Ok(end.min(bytes))
    }

    fn record(&mut self, header: &Header) {
        if header.is_filler() {
            // What it stands for was counted when it was put there.
            self.expect(header.sequence);
        } else {
            self.repaired.lost_records += self.lost(header.sequence);
            self.expect(header.sequence + 1);
            self.repaired.records += 1;
        }
    }

    /// What is missing before a segment's first record has gone with other segments.
    fn meet(&mut self, piece: &Piece<D::File>) {
        if piece.header.is_none() {
            return;
        }
        let lost = self.lost(piece.first);
        if lost > 0 {
            self.repaired.notices.push(format!(
                "lane {}: {} before segment {} {} missing",
                self.lane.number,
                counted(lost, "record"),
                piece.number,
                agrees(lost, "is", "are")
            ));
        }
        self.repaired.lost_records += lost;
        self.expect(piece.first);
    }

    fn expect(&mut self, sequence: u64) {
        self.expected = Some(self.expected.unwrap_or(0).max(sequence));
    }

    fn lost(&self, sequence: u64) -> u64 {
        sequence.saturating_sub(self.expected.unwrap_or(sequence))
    }

    /// Puts fillers over damaged bytes, or cuts them off at the end of a segment where they are too few.
    fn fill(
        &mut self,
        piece: &Piece<D::File>,
        hole: Range<u64>,
        end: u64,
        sequence: u64,
    ) -> io::Result<()> {
        let (segment, file) = (piece.number, &piece.file);
        let place = Place {
            lane: self.lane.number,
            segment,
            from: hole.start,
            to: hole.end,
        };
        let bytes = hole.end - hole.start;
        let note = format!(
            "lane {}, segment {segment}, byte {}: {bytes} bytes were no records; a repair has put a filler in their place",
            place.lane, place.from
        );
        let kept = self.queue.home.set_aside(file, &place, &note);
        let mut text = format!(
            "lane {}, segment {segment}, byte {}: {bytes} bytes are damaged; {kept}",
            place.lane, place.from
        );
        if bytes >= HEADER_BYTES as u64 {
            put_fillers(piece, hole, sequence, self.now)?;
        } else if hole.end == end {
            file.truncate(hole.start)?;
        } else {
            text += "; they are too few for a filler and stay, readers pass over them";
            self.repaired.notices.push(text);
            return Ok(());
        }
        self.repaired.notices.push(text);
        self.repaired.places += 1;
        self.repaired.damaged_bytes += bytes;
        Ok(())
    }

    /// Writes the header of a segment again.
    fn write_header(
        &mut self,
        piece: &Piece<D::File>,
        before: Option<&Piece<D::File>>,
    ) -> io::Result<()> {
        let (previous, previous_bytes) = match before {
            Some(before) => (before.number, before.file.len()?),
            None => (0, 0),
        };
        let header = SegmentHeader {
            lane: self.lane.number,
            number: piece.number,
            first_sequence: piece.first,
            previous,
            previous_bytes,
            salt: self.queue.home.salt,
            created: self.now,
        };
        write_all(&piece.file, &mut [IoSlice::new(&header.encode())], 0)?;
        self.repaired.places += 1;
        self.repaired.damaged_bytes += SEGMENT_HEADER_BYTES as u64;
        self.repaired.notices.push(format!(
            "lane {}, segment {}: its header was damaged and is written again",
            self.lane.number, piece.number
        ));
        Ok(())
    }
}

/// Puts fillers in place of bytes of which there are enough for one.
fn put_fillers<F: DiskFile>(
    piece: &Piece<F>,
    hole: Range<u64>,
    sequence: u64,
    now: i64,
) -> io::Result<()> {
    let mut at = hole.start;
    while at < hole.end {
        let left = hole.end - at;
        // What would be left must have room for a filler of its own.
        let len = if left <= FILLER_BYTES_MAX {
            left
        } else {
            FILLER_BYTES_MAX / 2
        };
        let header = Header::filler(len as u32, sequence, now).encode(piece.salted);
        write_all(&piece.file, &mut [IoSlice::new(&header)], at)?;
        at += len;
    }
    Ok(())
}

/// Sequence of the first record of a segment whose header is damaged; `next` if there is none.
fn first_record<F: DiskFile>(
    file: &F,
    salted: u32,
    next: u64,
    buffer: &mut [u8],
) -> io::Result<u64> {
    let stretch = Stretch {
        file,
        salted,
        end: file.len()?,
        tolerant: true,
        unreadable: false,
    };
    let mut walker = Walker::new(stretch, buffer, SEGMENT_HEADER_BYTES as u64, next);
    loop {
        match walker.next()? {
            Step::Record { header, .. } => return Ok(header.sequence),
            Step::Hole { .. } => {}
            Step::Full | Step::End => return Ok(next),
        }
    }
}
