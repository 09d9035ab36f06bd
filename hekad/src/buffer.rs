//! `hekad buffer`: looks at disk queues and dead letters, repairs them, sends what is in them.
//!
//! Owns:    which command does what, and the walk over the records of a queue that they share.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  one buffer of the largest record.
//! Never:   changes a folder that a daemon works on.

mod cat;
mod export;
mod ls;
mod repair;
mod replay;
mod verify;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use codecs::message::MessageTable;
use engine::io::disk::OsDisk;
use engine::queue::{
    Item, Kind, LaneView, Passed, Position, QueueError, Reader, View, record_bytes_max,
};

use crate::cat::{check_largest, table};
use crate::cli::{BufferArgs, BufferCommand};
use crate::failure::{EXIT_USAGE, Failure};

/// Records that are read at a time.
const ITEMS_MAX: usize = 1024;

/// Smallest buffer to read into, bytes.
const BUFFER_BYTES_MIN: usize = 1024 * 1024;

/// Calls that may fail one after the other: the reader takes for damage what it could not read so often before.
const FAILURES_MAX: u32 = 32;

/// Exit status where something is damaged.
const EXIT_DAMAGED: u8 = 1;

/// Runs the command.
pub(crate) fn buffer(args: &BufferArgs) -> Result<ExitCode, Failure> {
    match &args.command {
        BufferCommand::Ls(args) => ls::ls(args),
        BufferCommand::Cat(args) => cat::cat(args),
        BufferCommand::Verify(args) => verify::verify(args),
        BufferCommand::Repair(args) => repair::repair(args),
        BufferCommand::Export(args) => export::export(args),
        BufferCommand::Replay(args) => replay::replay(args),
    }
}

/// Looks at the queue in a folder.
fn look(dir: &Path) -> Result<View, Failure> {
    View::look(OsDisk, dir).map_err(|error| unusable(&error))
}

fn unusable(error: &QueueError) -> Failure {
    let advice = match error.kind() {
        Kind::NoQueue => {
            "; name the folder of one queue, which is called after its plugin and stands below output_queue in base_dir"
        }
        _ => "",
    };
    Failure::new(EXIT_USAGE, format!("{error}{advice}"))
}

/// Says something on standard error. Nobody may be there to read it.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn say_all(notices: &[String]) {
    for notice in notices {
        say(notice);
    }
}

/// What becomes of a walk after a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    On,
    Stop,
}

/// Reads the records of lanes.
struct Walk {
    table: MessageTable,
    items: Vec<Item>,
    passed: Passed,
}

impl Walk {
    /// A walk over messages of at most `largest` bytes.
    fn new(largest: usize) -> Result<Walk, Failure> {
        check_largest(largest)?;
        let bytes = record_bytes_max(largest).max(BUFFER_BYTES_MIN);
        Ok(Walk {
            table: table(bytes, largest),
            items: Vec::with_capacity(ITEMS_MAX),
            passed: Passed::default(),
        })
    }

    /// Hands the records of a lane, up to `end`, to `each`. Damage is told of on standard error.
    fn lane(
        &mut self,
        reader: &mut Reader,
        end: Position,
        mut each: impl FnMut(&mut MessageTable, &Item) -> Result<Flow, Failure>,
    ) -> Result<Flow, Failure> {
        let mut failures = 0;
        loop {
            let buffer = self.table.received_mut();
            match reader.read(buffer, end, ITEMS_MAX, &mut self.items) {
                Ok(passed) => {
                    self.passed.add(passed);
                    failures = 0;
                }
                Err(error) if failures == FAILURES_MAX => return Err(unusable(&error)),
                Err(_) => {
                    failures += 1;
                    continue;
                }
            }
            say_all(&reader.take_notices());
            if self.items.is_empty() {
                return Ok(Flow::On);
            }
            for item in &self.items {
                if each(&mut self.table, item)? == Flow::Stop {
                    return Ok(Flow::Stop);
                }
            }
        }
    }

    /// Whether something was not handed on.
    fn is_damaged(&self) -> bool {
        self.passed != Passed::default()
    }
}

/// The lanes of a queue that were asked for, each with a reader.
fn chosen(view: &View, lane: Option<u16>, all: bool) -> Result<Vec<(&LaneView, Reader)>, Failure> {
    if let Some(number) = lane
        && !view.lanes.iter().any(|lane| lane.number == number)
    {
        return Err(Failure::usage(format!(
            "--lane {number}: there is none; there are {}",
            numbers(view)
        )));
    }
    let lanes = view
        .lanes
        .iter()
        .filter(|view| lane.is_none_or(|number| view.number == number));
    Ok(lanes
        .map(|lane| {
            let reader = if all {
                lane.reader_of_all()
            } else {
                lane.reader()
            };
            (lane, reader)
        })
        .collect())
}

fn numbers(view: &View) -> String {
    let numbers: Vec<String> = view
        .lanes
        .iter()
        .map(|lane| lane.number.to_string())
        .collect();
    if numbers.is_empty() {
        "no lanes".to_owned()
    } else {
        numbers.join(", ")
    }
}
