//! Rows of a record: what they hold, how they are printed and written.
//!
//! Owns:    `Row`, and what identifies the machine and the code.
//! Runs on: the measuring process.            Plane: control.
//! Bounds:  a row a case.
//! Never:   leaves out the method: a number without it cannot be compared.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

use crate::measure::Measurement;

/// One case of one program.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// Scenario.
    pub(crate) scenario: String,
    /// Program measured.
    pub(crate) program: String,
    /// How many matchers.
    pub(crate) matchers: usize,
    /// Which kind of matchers.
    pub(crate) matcher_kind: &'static str,
    /// Bytes of a message with framing.
    pub(crate) message_bytes: usize,
    /// Connections.
    pub(crate) connections: usize,
    /// Median of `ratios`; `None` where no bare loop ran.
    pub(crate) ratio: Option<f64>,
    /// The program's rate as a share of the bare loop's, one for each pair of measurements.
    pub(crate) ratios: Vec<f64>,
    /// Median rate.
    pub(crate) gbit_per_second: f64,
    /// Median rate of the bare loop in the same run.
    pub(crate) raw_gbit_per_second: Option<f64>,
    /// Median rate.
    pub(crate) messages_per_second: f64,
    /// Median CPU time of the receiving process, seconds.
    pub(crate) cpu_seconds: f64,
    /// Median CPU time for each GiB received, seconds.
    pub(crate) cpu_seconds_per_gib: f64,
    /// Median CPU time of the bare loop for each GiB, seconds.
    pub(crate) raw_cpu_seconds_per_gib: Option<f64>,
    /// Median of the bare loop's CPU time for each GiB as a share of the program's, pair by pair: what `ratio` would be if
    /// nothing but the receiver's CPU set the rate. It holds on a busy machine, too.
    pub(crate) cpu_ratio: Option<f64>,
    /// Median CPU time for each message, nanoseconds (`route-memory`: elapsed time).
    pub(crate) ns_per_message: f64,
    /// Largest of all rounds; 0 where it was not taken.
    pub(crate) peak_rss_bytes: u64,
    /// Messages that were checked, all rounds.
    pub(crate) messages: u64,
    /// Datagrams that the kernel dropped, all rounds.
    pub(crate) lost: u64,
    /// Where and how it was measured.
    #[serde(flatten)]
    pub(crate) circumstances: Circumstances,
}

/// What a number means only together with.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Circumstances {
    /// Processor, how many of them, kernel.
    pub(crate) machine: String,
    /// Commit of the code, with `+` for a tree that differs from it.
    pub(crate) commit: String,
    /// Day and time, UTC.
    pub(crate) date: String,
    /// How it was measured.
    pub(crate) method: String,
}

impl Circumstances {
    /// Those of now.
    pub(crate) fn now(method: String) -> Circumstances {
        Circumstances {
            machine: machine(),
            commit: commit(),
            date: jiff::Timestamp::now()
                .strftime("%Y-%m-%dT%H:%M:%SZ")
                .to_string(),
            method,
        }
    }
}

/// What kind of file system a folder is on: `fdatasync` of one in memory costs nothing.
pub(crate) fn file_system(folder: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let found = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .filter(|columns| columns.len() > 2 && folder.starts_with(columns[1]))
        .max_by_key(|columns| columns[1].len());
    found.map_or_else(
        || "an unknown file system".to_owned(),
        |columns| columns[2].to_owned(),
    )
}

fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let count = cpuinfo
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let model = model.map_or("unknown processor", |(_, name)| name);
    format!(
        "{model}, {count} processors, Linux {}",
        read("/proc/sys/kernel/osrelease").trim()
    )
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(env!("CARGO_MANIFEST_DIR"))
            .args(arguments)
            .output()
            .ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown".to_owned();
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])
        .is_none_or(|status| !status.is_empty());
    if changed { commit + "+" } else { commit }
}

/// The middle value; of an even number the lower of the two, so that it is one that was measured.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values
        .get(values.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or(0.0)
}

/// CPU seconds for each GiB.
pub(crate) fn cpu_per_gib(measurement: &Measurement) -> f64 {
    measurement.cpu_seconds / (measurement.bytes.max(1) as f64 / f64::from(1 << 30))
}

/// Two lines for people: what was measured, and where it stands to the bare loop.
pub(crate) fn print(row: &Row) {
    let name = format!("{} {}", row.scenario, row.program);
    println!(
        "{name:<28} {:>5} B  {:>3} matchers ({:<7})  {:>7.2} Gbit/s  {:>10.0} msg/s  {:>6.0} ns/msg  {:>6.3} CPU s/GiB  {:>6.1} MiB{}",
        row.message_bytes,
        row.matchers,
        row.matcher_kind,
        row.gbit_per_second,
        row.messages_per_second,
        row.ns_per_message,
        row.cpu_seconds_per_gib,
        row.peak_rss_bytes as f64 / f64::from(1 << 20),
        if row.lost > 0 {
            format!("  {} datagrams lost", row.lost)
        } else {
            String::new()
        },
    );
    if let (Some(ratio), Some(raw), Some(raw_cpu), Some(cpu_ratio)) = (
        row.ratio,
        row.raw_gbit_per_second,
        row.raw_cpu_seconds_per_gib,
        row.cpu_ratio,
    ) {
        let pairs: Vec<String> = row
            .ratios
            .iter()
            .map(|ratio| format!("{ratio:.3}"))
            .collect();
        println!(
            "{:<28} ratio {ratio:.3} of the bare loop ({raw:.2} Gbit/s, {raw_cpu:.3} CPU s/GiB); by CPU {cpu_ratio:.3}; pairs {}; {} messages checked",
            "",
            pairs.join(" "),
            row.messages
        );
    }
}

/// Writes the rows as one JSON array.
pub(crate) fn write<R: Serialize>(path: &Path, rows: &[R]) -> Result<(), String> {
    let mut text = serde_json::to_string_pretty(rows).map_err(|error| error.to_string())?;
    text.push('\n');
    fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_a_measured_value() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.0);
        assert_eq!(median([5.0]), 5.0);
        assert_eq!(median([]), 0.0);
    }
}
