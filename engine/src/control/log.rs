//! The daemon's own log: one line per event on standard error.
//!
//! Owns:    the form of log lines, merging of repeated notices, the count of what was merged.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  per plugin at most `LINES_PER_INTERVAL` notices an interval; the rest is counted and said once.
//! Never:   blocks a shard.

use std::collections::BTreeMap;
use std::io::Write;

use codecs::time::{Strftime, Zone};

use crate::io::clock;
use crate::plugin::options::log_prefix;

/// Notices of one plugin that are printed in one interval.
const LINES_PER_INTERVAL: u32 = 10;

/// Writes log lines.
pub struct Log {
    prefix: Option<Strftime>,
    zone: Zone,
    line: Vec<u8>,
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
        Log {
            prefix: log_prefix(log_flags),
            zone: Zone::local(),
            line: Vec::new(),
            printed: BTreeMap::new(),
        }
    }

    /// Writes a line.
    pub fn line(&mut self, text: &str) {
        self.line.clear();
        for part in text.lines() {
            if let Some(prefix) = &self.prefix {
                prefix.write(clock::wall(), &self.zone, &mut self.line);
            }
            self.line.extend_from_slice(part.as_bytes());
            self.line.push(b'\n');
        }
        // A log that cannot be written has nowhere to say so.
        let _ = std::io::stderr().write_all(&self.line);
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
                    "Plugin '{plugin}': {left_out} further notices left out"
                ));
            }
        }
    }
}
