//! Reading: whole records into the caller's buffer, whatever has happened to what lies between them.
//!
//! Owns:    `Reader`, `Item`, `Passed`.
//! Runs on: a `Worker`'s thread.            Plane: data.
//! Bounds:  the caller's buffer; one open segment; `NOTICES_MAX` notices that nobody has taken.
//! Never:   reads beyond what was published; answers a record whose checksum is wrong; stays at the same place.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use codecs::field::Span;

use super::home::{Home, Place};
use super::record::{Header, salted};
use super::scan::{Step, Stretch, Walker};
use super::segment::{Listing, SEGMENT_HEADER_BYTES, SegmentHeader, segment_name};
use super::{Position, QueueError, cursor};
use crate::io::disk::{Disk, DiskFile};
use crate::words::{agrees, counted};

/// Attempts to read a place before it is taken for damage, unless more patience is asked for.
const ATTEMPTS: u32 = 8;

/// Notices that wait to be taken; of more only their number is kept.
const NOTICES_MAX: usize = 64;

/// One record in the buffer that was read into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// The message's protobuf.
    pub message: Span,
    /// What a dead letter says about itself: see `Meta::read`. Empty for others.
    pub meta: Span,
    /// Its number in the lane.
    pub sequence: u64,
    /// When it was appended, nanoseconds since the Unix epoch.
    pub time: i64,
    /// How many injections lie behind it.
    pub loops: u8,
    /// The place behind it: where a cursor goes once it is delivered, and a reader to read on behind it.
    pub after: Position,
}

/// What was passed over on the way, in one call. The counts are of records that were put into the lane and will not come out of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Records in damaged places, and those of segments that have gone.
    pub damaged_records: u64,
    /// Bytes of damaged places.
    pub damaged_bytes: u64,
    /// Whole records that are longer than the buffer: `max_message_size` has been lowered.
    pub too_long_records: u64,
    /// Records in places that were damaged and have been repaired: who repaired them was told.
    pub repaired_records: u64,
}

impl Passed {
    /// Adds another count.
    pub fn add(&mut self, other: Passed) {
        self.damaged_records += other.damaged_records;
        self.damaged_bytes += other.damaged_bytes;
        self.too_long_records += other.too_long_records;
        self.repaired_records += other.repaired_records;
    }
}

/// The reading part of a lane.
#[derive(Debug)]
pub struct Reader<D: Disk> {
    home: Arc<Home<D>>,
    lane: u16,
    folder: PathBuf,
    position: Position,
    /// The segment of the position, once it was needed.
    open: Option<Open<D::File>>,
    /// Losses before this sequence were counted.
    counted: u64,
    /// Records before this sequence are delivered, wherever they stand.
    floor: u64,
    /// The header of the segment did not say which record comes first: the next one does.
    unsure: bool,
    /// Calls that have failed since the last one that did not.
    failures: u32,
    /// So many before a place that cannot be read is taken for damage.
    patience: u32,
    /// What was passed over in calls that have failed afterwards.
    unreported: Passed,
    notices: Vec<String>,
    notices_dropped: u64,
}

/// An open segment.
#[derive(Debug)]
struct Open<F> {
    number: u64,
    /// `None` for one that has gone, and for the place before the first one.
    file: Option<F>,
    salted: u32,
    /// What comes behind it, once something does.
    next: Option<Next>,
}

/// The segment behind another one.
#[derive(Clone, Copy, Debug)]
struct Next {
    number: u64,
    /// Sequence of its first record; unknown if its header is damaged.
    first_sequence: Option<u64>,
    /// Sequences of the segment before it are below: its own first one, or that of the next segment whose header is whole.
    below: Option<u64>,
    /// Where the one before it ends.
    end: u64,
    /// Its header says that the present one is the one before it.
    adjoins: bool,
}

impl<D: Disk> Reader<D> {
    pub(super) fn new(
        home: Arc<Home<D>>,
        lane: u16,
        folder: PathBuf,
        position: Position,
        floor: u64,
    ) -> Reader<D> {
        Reader {
            home,
            lane,
            folder,
            position,
            open: None,
            counted: position.sequence,
            floor,
            unsure: false,
            failures: 0,
            patience: ATTEMPTS,
            unreported: Passed::default(),
            notices: Vec::new(),
            notices_dropped: 0,
        }
    }

    /// Reads on from `position`, as far as `published`, at most `items_max` records and what fits into `buffer`, which must have room for at least
    /// `record_bytes_max`. `items` is emptied first; all of them stand in `buffer`, in order. No items: everything up to `published` was read.
    ///
    /// Damage is passed over, counted, copied to the folder `damaged` beside the lanes, and told of by a notice. An error is the disk's: the
    /// call may be repeated after a while; what was passed over before it is counted then. A place that cannot be read again and again is taken for damage.
    pub fn read(
        &mut self,
        buffer: &mut [u8],
        published: Position,
        items_max: usize,
        items: &mut Vec<Item>,
    ) -> Result<Passed, QueueError> {
        items.clear();
        let mut passed = std::mem::take(&mut self.unreported);
        while items.is_empty() && items_max > 0 && self.position < published {
            let result = self.step(buffer, published, items_max, items, &mut passed);
            if let Err(error) = result {
                self.failures += 1;
                self.open = None;
                self.unreported = passed;
                let path = self.folder.join(segment_name(self.position.segment));
                let next = "it is tried again, nothing is lost";
                return Err(QueueError::disk("read", &path, &error, next));
            }
            self.failures = 0;
        }
        Ok(passed)
    }

    /// How many calls may fail at a place before it is taken for damage. A disk that is away for a while must not look like one.
    pub fn set_patience(&mut self, attempts: u32) {
        self.patience = attempts;
    }

    fn is_tolerant(&self) -> bool {
        self.failures >= self.patience
    }

    /// Where it reads next.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Goes back to an earlier place, not before the cursor's: what was read behind it is read again. Losses are not counted twice.
    pub fn rewind(&mut self, to: Position) {
        if to.segment != self.position.segment {
            self.open = None;
        }
        self.position = to;
    }

    /// Goes on at a later place: what lies before it is delivered, and need not be read.
    pub fn advance(&mut self, to: Position) {
        if to <= self.position {
            return;
        }
        if to.segment != self.position.segment {
            self.open = None;
        }
        self.position = to;
        self.counted = self.counted.max(to.sequence);
        self.unsure = false;
        self.failures = 0;
    }

    /// Sentences about what was found since the last call.
    pub fn take_notices(&mut self) -> Vec<String> {
        let mut notices = std::mem::take(&mut self.notices);
        let dropped = std::mem::take(&mut self.notices_dropped);
        if dropped > 0 {
            notices.push(format!("{dropped} more places were damaged"));
        }
        notices
    }

    /// Reads within a segment, or goes on to the next one.
    fn step(
        &mut self,
        buffer: &mut [u8],
        published: Position,
        items_max: usize,
        items: &mut Vec<Item>,
        passed: &mut Passed,
    ) -> io::Result<()> {
        let number = self.position.segment;
        if self.open.as_ref().is_none_or(|open| open.number != number) {
            self.open = Some(self.open_segment()?);
        }
        let last = number == published.segment;
        let open = self.open.as_ref().expect("it was opened");
        let (end, below) = if last {
            (published.offset, published.sequence)
        } else {
            let next = match open.next {
                Some(next) => next,
                None => self.find_next(published)?,
            };
            let below = next.below.unwrap_or(published.sequence);
            if self.position.offset >= next.end || open.file.is_none() {
                self.cross(next, passed);
                return Ok(());
            }
            self.open.as_mut().expect("open").next = Some(next);
            (next.end, below)
        };
        let result = self.walk(buffer, end, below, items_max, items, passed);
        if last && items.is_empty() && self.position.offset >= end {
            self.count_lost(published.sequence, passed);
            self.position = published;
        }
        result
    }

    fn walk(
        &mut self,
        buffer: &mut [u8],
        end: u64,
        below: u64,
        items_max: usize,
        items: &mut Vec<Item>,
        passed: &mut Passed,
    ) -> io::Result<()> {
        let open = self.open.take().expect("an open segment");
        let Some(file) = &open.file else {
            self.position.offset = end;
            self.open = Some(open);
            return Ok(());
        };
        let stretch = Stretch {
            file,
            salted: open.salted,
            end,
            tolerant: self.is_tolerant(),
            unreadable: false,
        };
        let mut walker = Walker::new(stretch, buffer, self.position.offset, below);
        let result = loop {
            if items.len() == items_max {
                break Ok(());
            }
            match walker.next() {
                Ok(Step::Record { header, at, body }) => {
                    self.record(file, header, at, body, items, passed);
                    if !items.is_empty() {
                        walker.hold();
                    }
                }
                Ok(Step::Hole { from, to }) => self.hole(file, from, to, passed),
                Ok(Step::Full | Step::End) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.open = Some(open);
        result
    }

    fn record(
        &mut self,
        file: &D::File,
        header: Header,
        at: u64,
        body: Option<usize>,
        items: &mut Vec<Item>,
        passed: &mut Passed,
    ) {
        self.position.offset = at + header.record_bytes();
        if header.is_filler() {
            // What it stands for was told when it was put there, but is still expected of the lane.
            let known = self.counted.max(self.position.sequence).max(self.floor);
            passed.repaired_records += header.sequence.saturating_sub(known);
            self.expect(header.sequence);
            self.counted = self.counted.max(header.sequence);
            return;
        }
        let unsure = std::mem::take(&mut self.unsure);
        if header.sequence < self.floor || header.sequence < self.position.sequence && !unsure {
            // It was delivered, or read from another place.
            return;
        }
        self.count_lost(header.sequence, passed);
        self.position.sequence = header.sequence + 1;
        let Some(body) = body else {
            if header.sequence >= self.counted {
                passed.too_long_records += 1;
                self.counted = header.sequence + 1;
                let place = self.place(at, self.position.offset);
                let note = format!(
                    "{}: a whole record, longer than the largest message may be now",
                    place_text(&place)
                );
                let kept = self.home.set_aside(file, &place, &note);
                self.notice(format!(
                    "{}: a record of {} bytes is longer than the largest message may be now (max_message_size) and is passed over; {kept}",
                    place_text(&place),
                    header.record_bytes()
                ));
            }
            return;
        };
        let message = body + usize::from(header.meta_bytes);
        items.push(Item {
            meta: Span::new(body, message),
            message: Span::new(message, message + header.message_bytes as usize),
            sequence: header.sequence,
            time: header.time,
            loops: header.loops,
            after: self.position,
        });
    }

    fn hole(&mut self, file: &D::File, from: u64, to: u64, passed: &mut Passed) {
        self.position.offset = to;
        // A second look at the same place, after going back, finds what was counted.
        if self.position.sequence < self.counted {
            return;
        }
        passed.damaged_bytes += to - from;
        let place = self.place(from, to);
        let note = format!("{}: {} bytes are no records", place_text(&place), to - from);
        let kept = self.home.set_aside(file, &place, &note);
        self.notice(format!(
            "{}: {} bytes are damaged and are passed over; {kept}",
            place_text(&place),
            to - from
        ));
    }

    fn place(&self, from: u64, to: u64) -> Place {
        Place {
            lane: self.lane,
            segment: self.position.segment,
            from,
            to,
        }
    }

    /// Records between the expected one and that of `sequence` will not come.
    fn count_lost(&mut self, sequence: u64, passed: &mut Passed) {
        let known = self.counted.max(self.position.sequence);
        if sequence > known {
            let lost = sequence - known;
            passed.damaged_records += lost;
            let segment = self.position.segment;
            self.notice(format!(
                "lane {}, segment {segment}: {}, from number {known} on, {} lost to damage",
                self.lane,
                counted(lost, "record"),
                agrees(lost, "is", "are")
            ));
        }
        self.counted = self.counted.max(sequence);
    }

    fn expect(&mut self, sequence: u64) {
        self.position.sequence = self.position.sequence.max(sequence);
    }

    /// Goes on to the next segment. Its header knows best which record comes first: what was read with the same number or a later one, after a double failure, was the
    /// rest of something that failed.
    fn cross(&mut self, next: Next, passed: &mut Passed) {
        self.unsure = next.first_sequence.is_none();
        if let Some(first) = next.first_sequence {
            if !next.adjoins && !self.home.is_taken() {
                // What stood between may have been delivered and removed since the listing.
                let delivered = cursor::load(&self.home.disk, &self.folder);
                let delivered = delivered.map_or(0, |saved| saved.sequence);
                self.counted = self.counted.max(first.min(delivered));
            }
            self.count_lost(first.max(self.floor), passed);
            self.position.sequence = first.max(self.floor);
        }
        self.position.segment = next.number;
        self.position.offset = SEGMENT_HEADER_BYTES as u64;
        self.open = None;
    }

    fn open_segment(&mut self) -> io::Result<Open<D::File>> {
        let number = self.position.segment;
        let path = self.folder.join(segment_name(number));
        let opened = match number {
            0 => Err(io::ErrorKind::NotFound.into()),
            _ => self.home.disk.open(&path, false),
        };
        let file = match opened {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if number > 0 {
                    self.follow_cursor();
                }
                None
            }
            Err(error) => return Err(error),
        };
        let header = match &file {
            Some(file) => read_header(file, self.is_tolerant())?,
            None => None,
        };
        Ok(Open {
            number,
            file,
            salted: header.map_or_else(
                || salted(self.home.salt, self.lane, number),
                |header| header.salted(),
            ),
            next: None,
        })
    }

    /// An onlooker whose segment has gone looks where the daemon is now.
    fn follow_cursor(&mut self) {
        if self.home.is_taken() {
            return;
        }
        if let Some(saved) = cursor::load(&self.home.disk, &self.folder)
            && saved > self.position
            && saved.sequence >= self.position.sequence
        {
            self.counted = self.counted.max(saved.sequence);
            self.floor = saved.sequence;
            self.expect(saved.sequence);
        }
    }

    /// Looks for the segment behind the present one. That is the next one, unless a later one says that it comes behind something before that: then what stands between
    /// is the rest of something that failed.
    fn find_next(&self, published: Position) -> io::Result<Next> {
        let number = self.position.segment;
        let listing = Listing::read(&self.home.disk, &self.folder)?;
        let open = self.open.as_ref().and_then(|open| open.file.as_ref());
        let present = open.map_or(Ok(0), DiskFile::len)?;
        let mut found = Next {
            // Unless one is found, all that was published behind it has gone.
            number: published.segment,
            first_sequence: None,
            below: None,
            end: present,
            adjoins: false,
        };
        let mut any = false;
        for (&candidate, _) in listing.segments.range(number + 1..=published.segment) {
            let path = self.folder.join(segment_name(candidate));
            let file = match self.home.disk.open(&path, false) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            match read_header(&file, self.is_tolerant())? {
                Some(header) if any && header.previous >= found.number => {
                    found.below = found.below.or(Some(header.first_sequence));
                    break;
                }
                Some(header) => {
                    found.number = candidate;
                    found.first_sequence = Some(header.first_sequence);
                    found.below = found.first_sequence;
                    found.adjoins = header.previous == number;
                    if found.adjoins {
                        found.end = present.min(header.previous_bytes);
                    }
                }
                None if !any => found.number = candidate,
                None => {}
            }
            any = true;
        }
        Ok(found)
    }

    fn notice(&mut self, text: String) {
        if self.notices.len() < NOTICES_MAX {
            self.notices.push(text);
        } else {
            self.notices_dropped += 1;
        }
    }
}

/// The header of a segment. What cannot be read is damaged, if one is so `tolerant`.
fn read_header(file: &impl DiskFile, tolerant: bool) -> io::Result<Option<SegmentHeader>> {
    match SegmentHeader::read(file) {
        Err(_) if tolerant => Ok(None),
        header => header,
    }
}

fn place_text(place: &Place) -> String {
    format!(
        "lane {}, segment {}, byte {}",
        place.lane, place.segment, place.from
    )
}
