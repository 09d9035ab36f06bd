//! The daemon's own log: one line per event on standard error.
//!
//! Owns:    the form of log lines, merging of repeated notices, the count of what was merged, the thread that writes.
//! Runs on: the main thread, and a thread of its own for writing.            Plane: control.
//! Bounds:  per plugin at most `LINES_PER_INTERVAL` notices and `ORDERS_PER_INTERVAL` answers to orders an interval; `WAITING` entries wait to be written. The rest is counted and said once.
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

/// The same for what became of orders: somebody waits for each answer.
const ORDERS_PER_INTERVAL: u32 = 200;

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
    /// Notices of this interval, by plugin and by how many of their sort may be printed.
    printed: BTreeMap<(String, u32), u32>,
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

    /// Writes what is to be said of one event. What it quotes may be anybody's text: further lines are set in, and nothing moves the cursor.
    pub fn line(&mut self, text: &str) {
        self.lines(&quoted(text));
    }

    /// Writes a text of our own that has several lines: a report.
    pub fn lines(&mut self, text: &str) {
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
        self.share(plugin, LINES_PER_INTERVAL, text);
    }

    /// Writes what became of an order to a plugin.
    pub fn order(&mut self, plugin: &str, text: &str) {
        self.share(plugin, ORDERS_PER_INTERVAL, text);
    }

    fn share(&mut self, plugin: &str, most: u32, text: &str) {
        let printed = self.printed.entry((plugin.to_owned(), most)).or_insert(0);
        *printed += 1;
        if *printed <= most {
            self.line(&format!("Plugin '{plugin}': {text}"));
        }
    }

    /// Ends an interval: says how many notices were left out.
    pub fn end_interval(&mut self) {
        for ((plugin, most), printed) in std::mem::take(&mut self.printed) {
            if let Some(left_out @ 1..) = printed.checked_sub(most) {
                self.line(&format!(
                    "Plugin '{plugin}': {} left out",
                    counted(left_out, "further notice")
                ));
            }
        }
    }
}

/// A text whose further lines begin with a tab, and whose control characters are written out.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for (index, part) in text.trim_end().split('\n').enumerate() {
        if index > 0 {
            quoted.push('\n');
            if !part.starts_with('\t') {
                quoted.push('\t');
            }
        }
        for one in part.strip_suffix('\r').unwrap_or(part).chars() {
            match one.is_control() && one != '\t' {
                true => quoted.extend(one.escape_default()),
                false => quoted.push(one),
            }
        }
    }
    quoted
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_within_its_event() {
        assert_eq!(quoted("hekad is running"), "hekad is running");
        assert_eq!(
            quoted("no module:\n\tno file 'a'\r\n\tno file 'b'\n"),
            "no module:\n\tno file 'a'\n\tno file 'b'"
        );
        assert_eq!(
            quoted("payload: x\nPlugin 'y' terminated\n\n2026/01/01 hekad\x1b[2K\0\u{9b}"),
            "payload: x\n\tPlugin 'y' terminated\n\t\n\t2026/01/01 hekad\\u{1b}[2K\\u{0}\\u{9b}"
        );
    }
}
