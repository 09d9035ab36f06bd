//! `hekad buffer repair`: sets aside what is damaged, so that what is left is whole.
//!
//! Owns:    what is said about it.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  as `Queue::repair`.
//! Never:   works on a folder that a daemon works on.

use std::process::ExitCode;

use engine::io::clock;
use engine::io::disk::OsDisk;
use engine::queue::Queue;
use engine::words::{agrees, counted};

use super::unusable;
use crate::cli::BufferRepairArgs;
use crate::failure::Failure;
use crate::generate::print;

/// Runs the command.
pub(super) fn repair(args: &BufferRepairArgs) -> Result<ExitCode, Failure> {
    let mut queue = Queue::open_found(OsDisk, &args.dir).map_err(|error| unusable(&error))?;
    let repaired = queue
        .repair(clock::wall())
        .map_err(|error| Failure::new(1, error.to_string()))?;
    let mut text = repaired.notices.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    text += &format!(
        "{} in {} {} whole; {} with {} {} mended, {} there {} lost; {} {} cut off\n",
        counted(repaired.records, "record"),
        counted(repaired.segments, "file"),
        agrees(repaired.records, "is", "are"),
        counted(repaired.places, "damaged place"),
        counted(repaired.damaged_bytes, "byte"),
        agrees(repaired.places, "was", "were"),
        counted(repaired.lost_records, "record"),
        agrees(repaired.lost_records, "is", "are"),
        counted(repaired.cut_bytes, "unfinished byte"),
        agrees(repaired.cut_bytes, "was", "were")
    );
    print(text.as_bytes())
}
