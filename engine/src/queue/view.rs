//! Looking at a queue from outside, while a daemon may work on it.
//!
//! Owns:    `View`, `LaneView`, `SegmentView`.
//! Runs on: the main thread of a tool.            Plane: control.
//! Bounds:  as `survey`: the newest segment of a lane is scanned behind its last index.
//! Never:   changes anything, or takes the lock.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::heka::HekaFiles;
use super::home::{DAMAGED_NAME, Home};
use super::reader::Reader;
use super::recovery::lanes_among;
use super::segment::{SegmentHeader, lane_folder, segment_name};
use super::survey::Survey;
use super::{Kind, Position, QueueError};
use crate::io::disk::Disk;

const NEXT: &str = "nothing was touched";

/// A queue as it was when it was looked at.
#[derive(Debug)]
pub struct View<D: Disk> {
    /// The plugin whose queue it is; empty if the file that says so is damaged, or if only Heka's files are there.
    pub owner: String,
    /// Its lanes by number.
    pub lanes: Vec<LaneView<D>>,
    /// Files of Heka's own queue in the same folder.
    pub heka: Option<HekaFiles>,
    /// Files of damaged bytes that were set aside, and the bytes of all.
    pub damaged: (u64, u64),
    /// What people should know, as sentences.
    pub notices: Vec<String>,
    disk: D,
}

/// A lane as it was when it was looked at.
#[derive(Debug)]
pub struct LaneView<D: Disk> {
    /// Its number.
    pub number: u16,
    /// Its segments by number.
    pub segments: Vec<SegmentView>,
    /// How far it is delivered; `None` if no cursor says so.
    pub cursor: Option<Position>,
    /// Some of what stood in the cursor's file is not whole. If it is half of it, nothing is lost.
    pub cursor_is_damaged: bool,
    /// Where the first record stands that is not delivered.
    pub start: Position,
    /// Behind the last whole record.
    pub published: Position,
    /// Records between the two. Those that turn out to be damaged are among them.
    pub pending_records: u64,
    /// Bytes of them.
    pub pending_bytes: u64,
    /// Bytes behind the last whole record: half written by a daemon that was killed, or being written now.
    pub unfinished_bytes: u64,
    first: Position,
    floor: u64,
    home: Arc<Home<D>>,
}

/// A segment as it was when it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentView {
    /// Its number.
    pub number: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Sequence of its first record, and when it was begun; `None` if its header is damaged.
    pub begins: Option<(u64, i64)>,
}

impl<D: Disk> View<D> {
    /// Looks at the queue in `folder`. A folder without one, be it ours or Heka's, is an error.
    pub fn look(disk: D, folder: &Path) -> Result<View<D>, QueueError> {
        let entries = disk
            .list(folder)
            .map_err(|error| QueueError::disk("read the folder", folder, &error, NEXT))?;
        let heka = HekaFiles::find(&disk, folder, &entries);
        let home = match Home::look(disk.clone(), folder) {
            Ok(home) => Arc::new(home),
            Err(error) if error.kind() == Kind::NoQueue && heka.is_some() => {
                return Ok(View {
                    owner: String::new(),
                    lanes: Vec::new(),
                    heka,
                    damaged: (0, 0),
                    notices: Vec::new(),
                    disk,
                });
            }
            Err(error) => return Err(error),
        };
        let mut notices = Vec::new();
        if home.owner.is_empty() {
            notices.push(format!(
                "the file that says whose queue {} is is damaged: the next start writes it again",
                folder.display()
            ));
        }
        let mut lanes = Vec::new();
        for (number, _) in lanes_among(&entries, false) {
            lanes.push(LaneView::look(&home, number, &mut notices)?);
        }
        lanes.sort_unstable_by_key(|lane| lane.number);
        let damaged = disk.list(&folder.join(DAMAGED_NAME)).unwrap_or_default();
        let damaged = damaged
            .iter()
            .filter(|entry| entry.name.ends_with(".bytes"));
        Ok(View {
            owner: home.owner.clone(),
            lanes,
            heka,
            damaged: damaged.fold((0, 0), |(files, bytes), entry| {
                (files + 1, bytes + entry.bytes)
            }),
            notices,
            disk,
        })
    }

    /// What Heka has not delivered, as a stream of frames.
    pub fn heka_stream(&self) -> Option<Box<dyn Read>> {
        let files = self.heka.as_ref()?;
        Some(Box::new(files.stream(self.disk.clone())))
    }
}

impl<D: Disk> LaneView<D> {
    fn look(
        home: &Arc<Home<D>>,
        number: u16,
        notices: &mut Vec<String>,
    ) -> Result<LaneView<D>, QueueError> {
        let folder = lane_folder(&home.folder, number);
        let mut survey = Survey::take(home, number, folder)?;
        notices.append(&mut survey.notices);
        let mut segments = Vec::new();
        for (&number, &bytes) in &survey.listing.segments {
            let path = survey.folder.join(segment_name(number));
            let begins = match home.disk.open(&path, false) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(_) => None,
                Ok(file) => SegmentHeader::read(&file).ok().flatten(),
            };
            segments.push(SegmentView {
                number,
                bytes,
                begins: begins.map(|header| (header.first_sequence, header.created)),
            });
        }
        Ok(LaneView {
            number,
            segments,
            cursor: survey.saved,
            cursor_is_damaged: survey.cursor_is_damaged,
            start: survey.start,
            floor: survey.floor,
            published: survey.published,
            pending_records: survey.pending_records(),
            pending_bytes: survey.pending_bytes(),
            unfinished_bytes: survey
                .newest
                .map_or(0, |newest| newest.bytes.saturating_sub(newest.end)),
            first: survey.first_position(home, number)?,
            home: Arc::clone(home),
        })
    }

    /// Reads what is not delivered, up to `published`.
    pub fn reader(&self) -> Reader<D> {
        self.reader_from(self.start, self.floor)
    }

    /// Reads all that is there, delivered or not.
    pub fn reader_of_all(&self) -> Reader<D> {
        self.reader_from(self.first, 0)
    }

    fn reader_from(&self, start: Position, floor: u64) -> Reader<D> {
        let folder = lane_folder(&self.home.folder, self.number);
        Reader::new(Arc::clone(&self.home), self.number, folder, start, floor)
    }
}
