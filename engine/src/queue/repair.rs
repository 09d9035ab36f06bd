//! Repairing a queue that nobody works on: every record is checked, and what lies between records is replaced by something whole.
//!
//! Owns:    `Repaired`, and `Queue::repair`.
//! Runs on: the main thread of a tool.            Plane: control.
//! Bounds:  one buffer; reads every segment once.
//! Never:   moves a record, or changes a byte of one; loses damaged bytes that can be kept.
//!
//! In the place of damaged bytes comes the head of a record that says how far they go: positions stay what they are, and a crash in between leaves either.

use std::io::{self, IoSlice};

use super::QueueError;
use super::home::Place;
use super::record::{HEADER_BYTES, Header, salted};
use super::recovery::{OpenLane, Queue};
use super::scan::{Step, Stretch, Walker};
use super::segment::{Listing, SEGMENT_HEADER_BYTES, SegmentHeader, lane_folder, segment_name};
use super::slots::write_all;
use crate::io::disk::{Disk, DiskFile};

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

impl<D: Disk> Mending<'_, D> {
    fn lane(&mut self) -> Result<(), QueueError> {
        let home = &self.queue.home;
        let folder = lane_folder(&home.folder, self.lane.number);
        let failed = |error: io::Error, name: String| {
            let next = "what was repaired before it stays so; repair it again";
            QueueError::disk("repair", &folder.join(name), &error, next)
        };
        let listing =
            Listing::read(&home.disk, &folder).map_err(|error| failed(error, String::new()))?;
        let mut segments = Vec::new();
        for (number, _) in listing.segments {
            let name = segment_name(number);
            let opened = home.disk.open(&folder.join(&name), true).and_then(|file| {
                let header = SegmentHeader::read(&file)?;
                Ok((number, file, header))
            });
            segments.push(opened.map_err(|error| failed(error, name))?);
        }
        // One that another one behind it does not come behind holds nothing that counts.
        let mut before = u64::MAX;
        for at in (0..segments.len()).rev() {
            let (number, _, header) = &segments[at];
            if *number > before {
                segments.remove(at);
            } else if let Some(header) = header {
                before = header.previous;
            }
        }
        for (at, (number, file, header)) in segments.iter().enumerate() {
            let next = segments.get(at + 1).and_then(|next| next.2);
            let previous = at.checked_sub(1).map(|at| &segments[at]);
            self.segment(*number, file, *header, next)
                .and_then(|first| match header {
                    Some(_) => Ok(()),
                    None => self.write_header(*number, file, first, previous),
                })
                .and_then(|()| file.sync_data())
                .map_err(|error| failed(error, segment_name(*number)))?;
            self.repaired.segments += 1;
        }
        Ok(())
    }

    /// Mends the records of a segment; `next` is the header of the one behind it. Answers the sequence of its first record.
    fn segment(
        &mut self,
        number: u64,
        file: &D::File,
        header: Option<SegmentHeader>,
        next: Option<SegmentHeader>,
    ) -> io::Result<u64> {
        let published = self.lane.published;
        let bytes = self.end(number, file, next)?;
        let below = next.map_or(published.sequence, |next| next.first_sequence);
        if let Some(header) = header {
            self.meet(number, header.first_sequence);
        }
        let salted = header.map_or_else(
            || salted(self.queue.home.salt, self.lane.number, number),
            |header| header.salted(),
        );
        let stretch = Stretch {
            file,
            salted,
            end: bytes,
            tolerant: true,
            unreadable: false,
        };
        let mut first = None;
        let mut open = None;
        let mut holes = Vec::new();
        let buffer = std::mem::take(&mut self.buffer);
        let mut walker = Walker::new(stretch, buffer, SEGMENT_HEADER_BYTES as u64, below);
        loop {
            match walker.next()? {
                Step::Record { header, .. } => {
                    first = first.or(Some(header.sequence));
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
            self.fill(number, file, salted, hole, sequence)?;
        }
        Ok(first.or(self.expected).unwrap_or(below))
    }

    /// Where a segment ends. What stands behind, the rest of something that failed, is cut off.
    fn end(&mut self, number: u64, file: &D::File, next: Option<SegmentHeader>) -> io::Result<u64> {
        let bytes = file.len()?;
        let end = match next {
            Some(next) if next.previous == number => next.previous_bytes,
            _ if number == self.lane.published.segment => self.lane.published.offset,
            _ => bytes,
        };
        if end < bytes {
            file.truncate(end)?;
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

    /// The first record of a segment has this sequence: what is missing before it has gone with segments.
    fn meet(&mut self, number: u64, sequence: u64) {
        let lost = self.lost(sequence);
        if lost > 0 {
            self.repaired.notices.push(format!(
                "lane {}: {lost} records before segment {number} are missing",
                self.lane.number
            ));
        }
        self.repaired.lost_records += lost;
        self.expect(sequence);
    }

    fn expect(&mut self, sequence: u64) {
        self.expected = Some(self.expected.unwrap_or(0).max(sequence));
    }

    fn lost(&self, sequence: u64) -> u64 {
        sequence.saturating_sub(self.expected.unwrap_or(sequence))
    }

    /// Puts fillers over damaged bytes.
    fn fill(
        &mut self,
        segment: u64,
        file: &D::File,
        salted: u32,
        hole: std::ops::Range<u64>,
        sequence: u64,
    ) -> io::Result<()> {
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
        self.repaired.places += 1;
        self.repaired.damaged_bytes += bytes;
        self.repaired.notices.push(format!(
            "lane {}, segment {segment}, byte {}: {bytes} bytes are damaged; {kept}",
            place.lane, place.from
        ));
        let mut at = hole.start;
        while hole.end - at >= HEADER_BYTES as u64 {
            let left = hole.end - at;
            // What would be left must have room for a filler of its own.
            let len = if left <= FILLER_BYTES_MAX {
                left
            } else {
                FILLER_BYTES_MAX / 2
            };
            let header = Header::filler(len as u32, sequence, self.now).encode(salted);
            write_all(file, &mut [IoSlice::new(&header)], at)?;
            at += len;
        }
        if at < hole.end {
            self.repaired.notices.push(format!(
                "lane {}, segment {segment}, byte {at}: {} bytes are too few for a filler and stay as they are; readers pass over them",
                place.lane,
                hole.end - at
            ));
        }
        Ok(())
    }

    /// Writes the header of a segment again.
    fn write_header(
        &mut self,
        number: u64,
        file: &D::File,
        first_sequence: u64,
        previous: Option<&(u64, D::File, Option<SegmentHeader>)>,
    ) -> io::Result<()> {
        let (previous, previous_bytes) = match previous {
            Some((number, file, _)) => (*number, file.len()?),
            None => (0, 0),
        };
        let header = SegmentHeader {
            lane: self.lane.number,
            number,
            first_sequence,
            previous,
            previous_bytes,
            salt: self.queue.home.salt,
            created: self.now,
        };
        write_all(file, &mut [IoSlice::new(&header.encode())], 0)?;
        self.repaired.places += 1;
        self.repaired.damaged_bytes += SEGMENT_HEADER_BYTES as u64;
        self.repaired.notices.push(format!(
            "lane {}, segment {number}: its header was damaged and is written again",
            self.lane.number
        ));
        Ok(())
    }
}
