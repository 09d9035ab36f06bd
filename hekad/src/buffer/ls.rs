//! `hekad buffer ls`: says what is in a queue, or in all queues of a folder.
//!
//! Owns:    the text and the JSON.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  one record is read of each lane.
//! Never:   changes anything.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use codecs::time::{Zone, format_go};
use engine::io::clock;
use engine::io::disk::OsDisk;
use engine::queue::{Item, Kind, LaneView, Position, View, record_bytes_max};
use engine::words::{agrees, counted};
use serde_json::{Value, json};

use super::{say, unusable};
use crate::cli::BufferLsArgs;
use crate::failure::{EXIT_USAGE, Failure};
use crate::generate::print;

/// Enough for the first record of nearly every queue, whose time is shown.
const BUFFER_BYTES: usize = record_bytes_max(4 * 1024 * 1024);

/// Runs the command.
pub(super) fn ls(args: &BufferLsArgs) -> Result<ExitCode, Failure> {
    let mut queues = Vec::new();
    let mut strange = false;
    match View::look(OsDisk, &args.dir) {
        Ok(view) => queues.push((args.dir.clone(), view)),
        Err(error) => {
            for folder in folders(&args.dir) {
                match View::look(OsDisk, &folder) {
                    Ok(view) => queues.push((folder, view)),
                    Err(error) if error.kind() == Kind::NoQueue => {}
                    Err(error) => {
                        strange = true;
                        say(&error.to_string());
                    }
                }
            }
            if queues.is_empty() && !strange {
                return Err(unusable(&error));
            }
        }
    }
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut text = String::new();
    let mut all = Vec::new();
    for (folder, view) in &queues {
        let lanes: Vec<Lane<'_>> = view
            .lanes
            .iter()
            .map(|lane| {
                let first = first(lane, &mut buffer);
                Lane {
                    lane,
                    oldest: first.as_ref().map(|item| item.time),
                    letters: first.is_some_and(|item| item.meta.len > 0),
                }
            })
            .collect();
        if args.json {
            all.push(as_json(folder, view, &lanes));
        } else {
            write_text(folder, view, &lanes, &mut text);
        }
    }
    if args.json {
        text = format!("{:#}\n", Value::Array(all));
    }
    print(text.as_bytes())?;
    Ok(if strange {
        ExitCode::from(EXIT_USAGE)
    } else {
        ExitCode::SUCCESS
    })
}

/// The folders in a folder, by name.
fn folders(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders
}

struct Lane<'a> {
    lane: &'a LaneView,
    /// When the oldest record that is not delivered was put in.
    oldest: Option<i64>,
    /// That one is a dead letter.
    letters: bool,
}

/// Dead letters say so themselves; where none is left, the folder does.
fn has_letters(folder: &Path, lanes: &[Lane<'_>]) -> bool {
    let above = folder.parent().and_then(Path::file_name);
    lanes.iter().any(|lane| lane.letters) || above.is_some_and(|name| name == "dead_letters")
}

fn first(lane: &LaneView, buffer: &mut [u8]) -> Option<Item> {
    let mut items: Vec<Item> = Vec::new();
    let mut reader = lane.reader();
    reader.read(buffer, lane.published, 1, &mut items).ok()?;
    items.into_iter().next()
}

/// What it is, and whose.
fn title(folder: &Path, view: &View, lanes: &[Lane<'_>]) -> String {
    let what = match has_letters(folder, lanes) {
        true => "dead letters",
        false => "queue",
    };
    match view.owner.as_str() {
        "" => what.to_owned(),
        owner => format!("{what} of '{owner}'"),
    }
}

fn write_text(folder: &Path, view: &View, lanes: &[Lane<'_>], out: &mut String) {
    let owner = title(folder, view, lanes);
    let records: u64 = view.lanes.iter().map(|lane| lane.pending_records).sum();
    let bytes: u64 = view.lanes.iter().map(|lane| lane.pending_bytes).sum();
    *out += &format!(
        "{owner} in {}: {} pending, {}\n",
        folder.display(),
        counted(records, "record"),
        size(bytes)
    );
    for Lane { lane, oldest, .. } in lanes {
        *out += &format!(
            "  lane {}: {} pending, {}{}\n",
            lane.number,
            counted(lane.pending_records, "record"),
            size(lane.pending_bytes),
            oldest.map_or_else(String::new, |time| format!(
                ", the oldest since {}",
                age(time)
            ))
        );
        *out += &format!("    {}\n", cursor(lane.cursor));
        for segment in &lane.segments {
            let begins = match segment.begins {
                Some((sequence, created)) => {
                    format!("from record {sequence} on, begun {}", moment(created))
                }
                None => "its header is damaged".to_owned(),
            };
            *out += &format!(
                "    {:012}.seg: {}, {begins}\n",
                segment.number,
                size(segment.bytes)
            );
        }
        if lane.unfinished_bytes > 0 {
            *out += &format!(
                "    {} at the end are unfinished: being written, or cut off at the next start\n",
                size(lane.unfinished_bytes)
            );
        }
    }
    if view.damaged.0 > 0 {
        *out += &format!(
            "  {} with {} {} set aside in {}\n",
            counted(view.damaged.0, "damaged place"),
            size(view.damaged.1),
            agrees(view.damaged.0, "was", "were"),
            folder.join("damaged").display()
        );
    }
    if let Some(heka) = &view.heka {
        *out += &format!(
            "  {} of Heka's own queue: {} pending\n",
            counted(heka.files(), "file"),
            size(heka.pending_bytes())
        );
        if let Some(notice) = heka.notice() {
            *out += &format!("    {notice}\n");
        }
    }
    for notice in &view.notices {
        *out += &format!("  note: {notice}\n");
    }
}

fn cursor(cursor: Option<Position>) -> String {
    match cursor {
        Some(at) => format!(
            "delivered up to record {}, file {}, byte {}",
            at.sequence, at.segment, at.offset
        ),
        None => "nothing is known to be delivered".to_owned(),
    }
}

fn as_json(folder: &Path, view: &View, lanes: &[Lane<'_>]) -> Value {
    let sum = |of: fn(&LaneView) -> u64| lanes.iter().map(|lane| of(lane.lane)).sum::<u64>();
    json!({
        "folder": folder.to_string_lossy(),
        "owner": view.owner,
        "pending_records": sum(|lane| lane.pending_records),
        "pending_bytes": sum(|lane| lane.pending_bytes),
        "oldest": lanes.iter().filter_map(|lane| lane.oldest).min(),
        "lanes": lanes.iter().map(lane_json).collect::<Vec<_>>(),
        "damaged_places": view.damaged.0,
        "damaged_bytes": view.damaged.1,
        "heka_files": view.heka.as_ref().map_or(0, |heka| heka.files()),
        "heka_pending_bytes": view.heka.as_ref().map_or(0, |heka| heka.pending_bytes()),
        "notices": view.notices,
    })
}

fn lane_json(Lane { lane, oldest, .. }: &Lane<'_>) -> Value {
    json!({
        "lane": lane.number,
        "pending_records": lane.pending_records,
        "pending_bytes": lane.pending_bytes,
        "oldest": oldest,
        "unfinished_bytes": lane.unfinished_bytes,
        "cursor": lane.cursor.map(|at| json!({
            "segment": at.segment,
            "offset": at.offset,
            "record": at.sequence,
        })),
        "segments": lane.segments.iter().map(|segment| json!({
            "segment": segment.number,
            "bytes": segment.bytes,
            "first_record": segment.begins.map(|begins| begins.0),
            "begun": segment.begins.map(|begins| begins.1),
        })).collect::<Vec<_>>(),
    })
}

fn moment(time: i64) -> String {
    let mut text = Vec::new();
    format_go(time, &Zone::local(), &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// A moment, and how long ago it was.
fn age(time: i64) -> String {
    let seconds = clock::wall().saturating_sub(time) / 1_000_000_000;
    let ago = match seconds {
        ..0 => "in the future: the clock was set back".to_owned(),
        0..120 => format!("{seconds} s ago"),
        120..7200 => format!("{} min ago", seconds / 60),
        7200..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    };
    format!("{} ({ago})", moment(time))
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut unit = "bytes";
    let mut scaled = bytes as f64;
    for larger in UNITS {
        if scaled < 10_240.0 {
            break;
        }
        scaled /= 1024.0;
        unit = larger;
    }
    format!("{scaled:.0} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ages_are_short() {
        assert_eq!(size(10_239), "10239 bytes");
        assert_eq!(size(10_240), "10 KiB");
        assert_eq!(size(512 * 1024 * 1024), "512 MiB");
        let ago = |seconds: i64| age(clock::wall() - seconds * 1_000_000_000);
        assert!(ago(600).ends_with("(10 min ago)"));
        assert!(ago(86_400 * 3).ends_with("(3 days ago)"));
        assert!(ago(-600).contains("set back"));
    }
}
