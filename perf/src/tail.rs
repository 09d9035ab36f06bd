//! Measurements of what reads a file: the file, the moment when it is put where a program looks, and what the program has read.
//!
//! Owns:    the source file of a run, and the watch over a program that reads it.
//! Runs on: the measuring process, which looks now and then while the program works.            Plane: control.
//! Bounds:  one file a run, all of it in the page cache; every wait.
//! Never:   writes to the file while something reads it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::clock::monotonic_nanoseconds;
use crate::process;
use crate::scenario::{Matchers, Scenario};
use crate::sender::Sent;
use crate::traffic::Traffic;

/// Name of the file where a program looks for it.
const NAME: &str = "source.log";

/// Bytes of the file for each second that was asked for: what reads faster than that is measured for less than a second.
const BYTES_A_SECOND: f64 = 700e6;

/// Bytes of the file in a smoke run.
const SMOKE_BYTES: u64 = 16 << 20;

/// Between two looks at what the program has read.
const LOOK: Duration = Duration::from_micros(200);

/// Bytes that a program may read for other reasons while it waits for the file.
const OTHER_BYTES: u64 = 64 * 1024;

/// How long a program may read nothing of the file.
const PATIENCE: Duration = Duration::from_secs(20);

/// A file to be read, with what is in it.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    /// As if it had been sent; without times.
    pub(crate) content: Sent,
}

impl Source {
    /// The file of a run, which is made for its first measurement. It is on the disk, so that nothing has to be written later.
    pub(crate) fn of_run(
        dir: &Path,
        scenario: &Scenario,
        case: Matchers,
        seconds: f64,
    ) -> Result<Source, String> {
        let traffic = Traffic::new(scenario.format, scenario.message_bytes, case.types())?;
        let size = traffic.bytes().len() as u64;
        let wanted = match seconds < 1.0 {
            true => SMOKE_BYTES,
            false => ((seconds * BYTES_A_SECOND) as u64).min(scenario.bytes_max),
        };
        let buffers = (wanted / size).max(1);
        let source = Source {
            path: dir.join(NAME),
            content: Sent {
                buffers,
                messages: buffers * traffic.messages() as u64,
                bytes: buffers * size,
                ..Sent::default()
            },
        };
        if !source.path.exists() {
            let write = || {
                let mut file = File::create(&source.path)?;
                for _ in 0..buffers {
                    file.write_all(traffic.bytes())?;
                }
                file.sync_all()
            };
            write().map_err(|error| format!("{}: {error}", source.path.display()))?;
        }
        Ok(source)
    }

    /// Puts the file into the folder that a program watches, and waits until the program has read all of it. Answers when that began and
    /// ended, by what the kernel says the process has read: within two looks.
    pub(crate) fn read_by(&self, pid: u32, folder: &Path) -> Result<Sent, String> {
        let read = || process::bytes_read(pid).map_err(|error| format!("it is gone: {error}"));
        let before = read()?;
        let path = folder.join(NAME);
        fs::hard_link(&self.path, &path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut sent = Sent {
            start: monotonic_nanoseconds(),
            ..self.content
        };
        let (mut last, mut moved) = (before, Instant::now());
        while last < before + sent.bytes {
            thread::sleep(LOOK);
            let look = monotonic_nanoseconds();
            let now = read()?;
            if last <= before + OTHER_BYTES && now <= before + OTHER_BYTES {
                // Not yet: it begins after this look.
                sent.start = look;
            }
            if now != last {
                (last, moved) = (now, Instant::now());
            }
            if moved.elapsed() > PATIENCE {
                let bytes = last - before;
                return Err(format!(
                    "it has read {bytes} bytes of {}, and no more",
                    sent.bytes
                ));
            }
        }
        sent.end = monotonic_nanoseconds();
        Ok(sent)
    }

    /// Waits until the program has journalled all of the file: then everything in it has been delivered. That takes up to a second more than the
    /// delivery.
    pub(crate) fn settle(&self, journal: &Path) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            let text = fs::read_to_string(journal).unwrap_or_default();
            let position = serde_json::from_str::<Value>(&text).ok();
            let position = position.and_then(|journal| journal["seek"].as_u64());
            if position == Some(self.content.bytes) {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                let shown = journal.display();
                return Err(format!(
                    "{shown} says {position:?}, not {}",
                    self.content.bytes
                ));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}
