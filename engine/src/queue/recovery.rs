//! Opening a queue: what is there, what of it is whole, and where to go on.
//!
//! Owns:    `Queue`, `OpenLane`, `Settings`, `Recovery`.
//! Runs on: the main thread at start, or a `Worker`'s thread.            Plane: data.
//! Bounds:  of each lane, what was written since the last index of its newest segment is scanned.
//! Never:   refuses to start because of damage, or takes a folder that is not its own.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;

use super::cursor::Cursor;
use super::heka::HekaFiles;
use super::home::{Home, Place};
use super::lane::{Current, Lane, Start};
use super::reader::Reader;
use super::segment::{index_name, lane_folder, parse_lane, segment_name};
use super::survey::{Newest, Survey};
use super::{Position, QueueError};
use crate::io::disk::{Disk, DiskFile, Entry};
use crate::words::counted;

/// Bytes of a segment, unless the settings say otherwise.
const FILE_BYTES_DEFAULT: u64 = 512 * 1024 * 1024;

const UNUSABLE: &str = "the queue cannot be used, and nothing in it is lost";

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
    pub(super) home: Arc<Home<D>>,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneRecovery {
    /// Records that are not delivered yet. Those that turn out to be damaged when they are read are among them.
    pub pending_records: u64,
    /// Bytes of them, as they stand on the disk.
    pub pending_bytes: u64,
    /// Bytes that the lane takes on the disk.
    pub bytes: u64,
    /// Bytes of a half-written end that were cut off.
    pub cut_bytes: u64,
    /// Bytes between records that are no records, in the part that was looked at. They are counted again, with their records, when they are read.
    pub damaged_bytes: u64,
}

impl LaneRecovery {
    fn add(&mut self, other: LaneRecovery) {
        self.pending_records += other.pending_records;
        self.pending_bytes += other.pending_bytes;
        self.bytes += other.bytes;
        self.cut_bytes += other.cut_bytes;
        self.damaged_bytes += other.damaged_bytes;
    }
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
    /// Opens the queue in `folder`, making it where it is missing.
    pub fn open(disk: D, folder: &Path, settings: &Settings) -> Result<Queue<D>, QueueError> {
        let mut notices = Vec::new();
        let home = Home::take(disk, folder, &settings.owner, &mut notices)?;
        let entries = list(&home)?;
        if let Some(files) = HekaFiles::find(&home.disk, folder, &entries) {
            notices.push(format!(
                "{} holds {} of Heka's own queue with {} bytes that it has not delivered: they are left alone; `hekad buffer replay {}` sends them",
                folder.display(),
                counted(files.files(), "file"),
                files.pending_bytes(),
                folder.display()
            ));
        }
        let mut lanes: BTreeMap<u16, bool> = lanes_among(&entries, false).collect();
        lanes.extend((0..settings.lanes).map(|number| (number, true)));
        Queue::open_lanes(home, lanes, settings, notices)
    }

    /// Opens a queue that is there, whosever it is, with all its lanes.
    pub fn open_found(disk: D, folder: &Path) -> Result<Queue<D>, QueueError> {
        let home = Home::take_found(disk, folder)?;
        let lanes = lanes_among(&list(&home)?, true).collect();
        let settings = Settings {
            owner: home.owner.clone(),
            lanes: 0,
            max_file_size: 0,
            message_bytes_max: codecs::limits::MESSAGE_BYTES_MAX,
        };
        Queue::open_lanes(home, lanes, &settings, Vec::new())
    }

    /// Opens lanes: their numbers, and whether they are written to.
    fn open_lanes(
        home: Home<D>,
        lanes: BTreeMap<u16, bool>,
        settings: &Settings,
        mut notices: Vec<String>,
    ) -> Result<Queue<D>, QueueError> {
        let home = Arc::new(home);
        let mut queue = Queue {
            lanes: Vec::new(),
            recovery: Recovery::default(),
            home: Arc::clone(&home),
        };
        let mut take = |lane: Option<OpenLane<D>>| {
            if let Some(lane) = lane {
                queue.recovery.total.add(lane.recovery);
                queue.lanes.push(lane);
            }
        };
        if D::CONCURRENT && lanes.len() > 1 {
            for (opened, mut told) in open_at_once(&home, lanes, settings) {
                notices.append(&mut told);
                take(opened?);
            }
        } else {
            for (number, writes) in lanes {
                take(open_lane(&home, number, writes, settings, &mut notices)?);
            }
        }
        queue.recovery.notices = notices;
        Ok(queue)
    }
}

fn list<D: Disk>(home: &Home<D>) -> Result<Vec<Entry>, QueueError> {
    let folder = &home.folder;
    let entries = home.disk.list(folder);
    entries.map_err(|error| QueueError::disk("read the folder", folder, &error, UNUSABLE))
}

/// The numbers of lanes whose folders are there.
pub(super) fn lanes_among(entries: &[Entry], writes: bool) -> impl Iterator<Item = (u16, bool)> {
    entries
        .iter()
        .filter(|entry| !entry.is_file)
        .filter_map(move |entry| Some((parse_lane(&entry.name)?, writes)))
}

/// A lane, or why there is none, and what is to be told.
type Opened<D> = (Result<Option<OpenLane<D>>, QueueError>, Vec<String>);

/// Opens lanes, each on a thread of its own: what is behind the last index of each is scanned, which takes as long as the disk likes.
fn open_at_once<D: Disk>(
    home: &Arc<Home<D>>,
    lanes: BTreeMap<u16, bool>,
    settings: &Settings,
) -> Vec<Opened<D>> {
    let open = |number: u16, writes: bool| {
        let mut notices = Vec::new();
        let lane = open_lane(home, number, writes, settings, &mut notices);
        (lane, notices)
    };
    std::thread::scope(|scope| {
        let begun: Vec<_> = lanes
            .into_iter()
            .map(|(number, writes)| {
                let thread = std::thread::Builder::new().name(format!("lane-{number}"));
                // Without a thread it is done here, when its turn comes.
                let thread = thread.spawn_scoped(scope, move || open(number, writes));
                (number, writes, thread)
            })
            .collect();
        begun
            .into_iter()
            .map(|(number, writes, thread)| match thread {
                Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
                Err(_) => open(number, writes),
            })
            .collect()
    })
}

/// Opens a lane. One that nobody writes to any more and that is drained is removed.
fn open_lane<D: Disk>(
    home: &Arc<Home<D>>,
    number: u16,
    writes: bool,
    settings: &Settings,
    notices: &mut Vec<String>,
) -> Result<Option<OpenLane<D>>, QueueError> {
    let folder = lane_folder(&home.folder, number);
    // The sync: it may have been made by an attempt that failed before that.
    home.disk
        .make_folder(&folder)
        .and_then(|_| home.disk.sync_folder(&home.folder))
        .map_err(|error| QueueError::disk("make", &folder, &error, UNUSABLE))?;
    let mut survey = Survey::take(home, number, folder.clone())?;
    notices.append(&mut survey.notices);
    remove_empty(home, number, &mut survey, notices);
    if !writes && survey.pending_records() == 0 && survey.newest.is_none_or(|it| !it.unreadable) {
        remove_lane(home, &survey, notices);
        return Ok(None);
    }
    let mended = mend(home, &mut survey, writes, notices);
    let recovery = LaneRecovery {
        pending_records: survey.pending_records(),
        pending_bytes: survey.pending_bytes(),
        bytes: survey.listing.segments.values().sum(),
        cut_bytes: mended.cut_bytes,
        damaged_bytes: survey.newest.map_or(0, |newest| newest.damaged_bytes),
    };
    let (start, published, floor) = (survey.start, survey.published, survey.floor);
    let writer = writes.then(|| {
        let start = Start {
            number,
            max_file_bytes: match settings.max_file_size {
                0 => FILE_BYTES_DEFAULT,
                bytes => bytes,
            },
            message_bytes_max: settings.message_bytes_max,
            current: mended.current,
            next_number: survey.last_number() + 1,
            synced: published,
            bytes_taken: recovery.bytes,
        };
        Lane::new(Arc::clone(home), start)
    });
    let cursor = cursor(home, survey, notices);
    Ok(Some(OpenLane {
        number,
        writer,
        reader: Reader::new(Arc::clone(home), number, folder, start, floor),
        cursor,
        published,
        recovery,
    }))
}

/// The cursor of a lane. Where its place was of no use the new one is written down at once, and segments before it are removed.
fn cursor<D: Disk>(home: &Arc<Home<D>>, survey: Survey<D>, notices: &mut Vec<String>) -> Cursor<D> {
    let start = survey.start;
    let mut before = survey.listing.segments.range(..start.segment);
    let passed = before.next().is_some();
    let moved = survey.saved.is_some_and(|saved| saved != start);
    let mut cursor = Cursor::new(
        Arc::clone(home),
        survey.folder,
        survey.slots,
        start,
        survey.saved,
    );
    cursor.reserve();
    if (passed || moved)
        && let Err(error) = cursor.tidy()
    {
        notices.push(error.to_string());
    }
    cursor
}

/// Removes segments that were begun and never synced: nothing in them was acknowledged.
fn remove_empty<D: Disk>(
    home: &Home<D>,
    lane: u16,
    survey: &mut Survey<D>,
    notices: &mut Vec<String>,
) {
    for number in std::mem::take(&mut survey.empty) {
        let path = survey.folder.join(segment_name(number));
        let bytes = survey.listing.segments.remove(&number).unwrap_or(0);
        survey.last_begun = survey.last_begun.max(number);
        let mut kept = String::new();
        if bytes > 0
            && let Ok(file) = home.disk.open(&path, false)
        {
            let place = Place {
                lane,
                segment: number,
                from: 0,
                to: bytes,
            };
            let note = format!("{}: no header and no record", path.display());
            kept = format!(
                "; of its {bytes} bytes, {}",
                home.set_aside(&file, &place, &note)
            );
        }
        let removed = match home.disk.remove(&path) {
            Ok(()) => "it is removed".to_owned(),
            Err(error) => format!("it cannot be removed: {error}"),
        };
        notices.push(format!(
            "{} was begun and never written: {removed}{kept}",
            path.display()
        ));
    }
}

/// Removes what is left of a drained lane.
fn remove_lane<D: Disk>(home: &Home<D>, survey: &Survey<D>, notices: &mut Vec<String>) {
    let folder = &survey.folder;
    let names = survey
        .listing
        .segments
        .keys()
        .map(|&number| segment_name(number))
        .chain(
            survey
                .listing
                .indexes
                .iter()
                .map(|&number| index_name(number)),
        );
    let mut result = Ok(());
    for name in names {
        result = result.and(home.disk.remove(&folder.join(name)));
    }
    // The cursor last: without it what is left would be delivered again.
    let result = result
        .and_then(|()| home.disk.sync_folder(folder))
        .and_then(|()| match survey.slots.exist() {
            true => home.disk.remove(&folder.join(super::segment::CURSOR_NAME)),
            false => Ok(()),
        })
        .and_then(|()| home.disk.remove_folder(folder));
    notices.push(match result {
        Ok(()) => format!(
            "{} belonged to a shard that is no more and is drained: it is removed",
            folder.display()
        ),
        Err(error) => format!(
            "{} belonged to a shard that is no more and is drained, but cannot be removed: {error}",
            folder.display()
        ),
    });
}

/// What mending the end of a lane has led to.
struct Mended<F> {
    cut_bytes: u64,
    /// The newest segment, if it may be written to.
    current: Option<Current<F>>,
}

/// Cuts a half-written end off, and sees to it that what is published is on the disk. Whatever fails here, the lane can be read, and written to in a new segment.
fn mend<D: Disk>(
    home: &Home<D>,
    survey: &mut Survey<D>,
    writes: bool,
    notices: &mut Vec<String>,
) -> Mended<D::File> {
    let mut mended = Mended {
        cut_bytes: 0,
        current: None,
    };
    let Some(newest) = survey.newest else {
        return mended;
    };
    let path = survey.folder.join(segment_name(newest.number));
    if newest.unreadable {
        notices.push(format!(
            "{} cannot be read in places: it is left as it is and read again later, the lane goes on in a new file",
            path.display()
        ));
    }
    if newest.unreadable || !writes {
        return mended;
    }
    let cut = newest.bytes - newest.end.min(newest.bytes);
    let opened = home.disk.open(&path, true).and_then(|file| {
        if cut > 0 {
            file.truncate(newest.end)?;
        }
        file.sync_data()?;
        home.disk.sync_folder(&survey.folder)?;
        Ok(file)
    });
    match opened {
        Ok(file) => {
            if cut > 0 {
                mended.cut_bytes = cut;
                survey.listing.segments.insert(newest.number, newest.end);
                notices.push(format!(
                    "{}: {cut} bytes at its end were half written and are cut off",
                    path.display()
                ));
            }
            mended.current = current(file, &newest, survey.published);
        }
        Err(error) => notices.push(format!(
            "cannot cut {} to {} bytes and sync it: {error}; the lane goes on in a new file",
            path.display(),
            newest.end
        )),
    }
    mended
}

/// The newest segment to go on in, if there is nothing odd about it.
fn current<F>(file: F, newest: &Newest, published: Position) -> Option<Current<F>> {
    let end = Position {
        segment: newest.number,
        offset: newest.end,
        sequence: newest.sequence,
    };
    let header = newest
        .header
        .filter(|header| header.number == newest.number && end == published)?;
    Some(Current {
        file,
        header,
        indexed: 0,
        fresh: false,
    })
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

#[cfg(all(test, not(sim)))]
mod tests;
