//! `hekad buffer verify`: checks every record of a queue.
//!
//! Owns:    what counts as damage.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  one buffer; records that are longer are checked in pieces.
//! Never:   changes anything.

use std::process::ExitCode;

use engine::queue::Passed;
use engine::words::{agrees, counted};

use super::{EXIT_DAMAGED, Flow, Walk, chosen, look, say_all};
use crate::cli::BufferVerifyArgs;
use crate::failure::Failure;
use crate::generate::print;

/// Longer records are checked in pieces.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Runs the command.
pub(super) fn verify(args: &BufferVerifyArgs) -> Result<ExitCode, Failure> {
    let view = look(&args.dir)?;
    say_all(&view.notices);
    let mut walk = Walk::new(BUFFER_BYTES)?;
    let mut text = String::new();
    let mut sound = true;
    for (lane, mut reader) in chosen(&view, None, true)? {
        let mut records = 0_u64;
        walk.passed = Passed::default();
        walk.lane(&mut reader, lane.published, |_, _| {
            records += 1;
            Ok(Flow::On)
        })?;
        let headers = lane
            .segments
            .iter()
            .filter(|segment| segment.begins.is_none())
            .count();
        let passed = walk.passed;
        records += passed.too_long_records;
        let lost = passed.damaged_records > 0 || passed.damaged_bytes > 0;
        let damaged = lost || headers > 0 || lane.cursor_is_damaged;
        sound &= !damaged;
        text += &format!(
            "lane {}: {} in {} {} whole",
            lane.number,
            counted(records, "record"),
            counted(lane.segments.len(), "file"),
            agrees(records, "is", "are")
        );
        if lost {
            text += &format!(
                "; {} {} lost, {} {} damaged",
                counted(passed.damaged_records, "record"),
                agrees(passed.damaged_records, "is", "are"),
                counted(passed.damaged_bytes, "byte"),
                agrees(passed.damaged_bytes, "is", "are")
            );
        }
        if headers > 0 {
            text += &format!(
                "; {} {}",
                counted(headers, "file"),
                agrees(headers, "has a damaged header", "have damaged headers")
            );
        }
        if lane.cursor_is_damaged {
            text += "; the cursor is damaged";
        }
        if lane.unfinished_bytes > 0 {
            text += &format!(
                "; {} at the end {} unfinished",
                counted(lane.unfinished_bytes, "byte"),
                agrees(lane.unfinished_bytes, "is", "are")
            );
        }
        text.push('\n');
    }
    print(text.as_bytes())?;
    Ok(if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_DAMAGED)
    })
}
