//! The daemon's own log: one line per event on standard error.
//!
//! Owns:    the form of log lines, merging of repeated notices, the count of what was merged, the thread that writes.
//! Runs on: the main thread, and a thread of its own for writing.            Plane: control.
//! Bounds:  per plugin at most `LINES_PER_INTERVAL` notices an interval; `WAITING` entries wait to be written. The rest is counted and said once.
//! Never:   blocks: a terminal that is not read must not keep the daemon from stopping.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

use codecs::time::{Strftime, Zone};

use crate::io::clock;
use crate::plugin::options::log_prefix;
use crate::words::counted;

/// Notices of one plugin that are printed in one interval.
const LINES_PER_INTERVAL: u32 = 10;

/// Entries that wait to be written.
const WAITING: usize = 1024;

/// How long the end of the daemon waits for the last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(2);

/// What the writing thread is given.
enum Entry {
    Text(Vec<u8>),
    Flush(flume::Sender<()>),
}

/// Writes log lines.
pub struct Log {
    entries: flume::Sender<Entry>,
    left_out: u64,
    prefix: Option<Strftime>,
    zone: Zone,
    printed: BTreeMap<String, u32>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

impl Log {
    /// A log with the prefix that `log_flags` asks for: date, time or none.
    pub fn new(log_flags: i64) -> Log {
        let (entries, waiting) = flume::bounded(WAITING);
        // Without the thread nothing is written, as if nobody read standard error.
        let _ = std::thread::Builder::new()
            .name("log".into())
            .spawn(move || write_entries(&waiting));
        Log {
            entries,
            left_out: 0,
            prefix: log_prefix(log_flags),
            zone: Zone::local(),
            printed: BTreeMap::new(),
        }
    }

    /// Writes a line.
    pub fn line(&mut self, text: &str) {
        let mut lines = Vec::new();
        if self.left_out > 0 {
            let notice = format!(
                "{} left out: standard error is not read",
                counted(self.left_out, "line")
            );
            self.format(&notice, &mut lines);
        }
        self.format(text, &mut lines);
        match self.entries.try_send(Entry::Text(lines)) {
            Ok(()) => self.left_out = 0,
            Err(_) => self.left_out += 1,
        }
    }

    fn format(&self, text: &str, out: &mut Vec<u8>) {
        for part in text.lines() {
            if let Some(prefix) = &self.prefix {
                prefix.write(clock::wall(), &self.zone, out);
            }
            out.extend_from_slice(part.as_bytes());
            out.push(b'\n');
        }
    }

    /// Writes a plugin's notice unless it has had its share of this interval.
    pub fn notice(&mut self, plugin: &str, text: &str) {
        let printed = self.printed.entry(plugin.to_owned()).or_insert(0);
        *printed += 1;
        if *printed <= LINES_PER_INTERVAL {
            self.line(&format!("Plugin '{plugin}': {text}"));
        }
    }

    /// Ends an interval: says how many notices were left out.
    pub fn end_interval(&mut self) {
        for (plugin, printed) in std::mem::take(&mut self.printed) {
            if printed > LINES_PER_INTERVAL {
                let left_out = printed - LINES_PER_INTERVAL;
                self.line(&format!(
                    "Plugin '{plugin}': {} left out",
                    counted(left_out, "further notice")
                ));
            }
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let (done, written) = flume::bounded(1);
        let deadline = Instant::now() + LAST_LINES;
        if self
            .entries
            .send_deadline(Entry::Flush(done), deadline)
            .is_ok()
        {
            // Lines that nobody reads are not worth waiting for any longer.
            let _ = written.recv_deadline(deadline);
        }
    }
}

fn write_entries(waiting: &flume::Receiver<Entry>) {
    for entry in waiting {
        match entry {
            // A log that cannot be written has nowhere to say so.
            Entry::Text(text) => drop(std::io::stderr().write_all(&text)),
            Entry::Flush(done) => drop(done.try_send(())),
        }
    }
}
