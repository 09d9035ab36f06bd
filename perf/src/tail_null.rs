//! `tail-null`: a file that is in the page cache -> LogstreamerInput -> counted, beside a bare loop that reads it and counts its lines.
//!
//! Owns:    the file, both measurements, and the check that every line was counted.
//! Runs on: the measuring process; hekad and the bare loop in turns on the first processor, the watching thread on another.
//! Plane:   control.
//! Bounds:  a file of `FILE_BYTES`.
//! Never:   counts the time that the daemon takes to start.
//!
//! When the daemon reads is seen in the kernel's count of bytes that the process has read: from the first look at which it has begun to
//! the first one after which nothing more is read.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use serde_json::Value;

use crate::cli::{Format, RunArgs};
use crate::clock::pin;
use crate::measure::Measurement;
use crate::process;
use crate::program::{Program, find_hekad};
use crate::record::{self, Circumstances, Row, cpu_per_gib, median};
use crate::traffic::Traffic;

/// Name of the scenario.
pub(crate) const NAME: &str = "tail-null";

/// What it shows.
pub(crate) const ABOUT: &str = "a file of lines in the page cache -> LogstreamerInput -> counted, beside a bare read and count";

const CONFIG: &str = include_str!("../scenarios/tail-null/hekad.toml");

/// Bytes of the file.
const FILE_BYTES: usize = 1 << 30;

/// The same in a smoke run.
const SMOKE_BYTES: usize = 8 << 20;

/// Bytes of a line.
const LINE_BYTES: [usize; 2] = [256, 1024];

/// What a daemon reads beside the file: configuration, libraries, itself.
const OTHER_BYTES: u64 = 2 << 20;

/// Between two looks.
const LOOK: Duration = Duration::from_micros(500);

/// Nothing is read for so long when all was read.
const QUIET: Duration = Duration::from_millis(100);

/// Longest wait for the daemon to read the file.
const READ_MAX: Duration = Duration::from_secs(120);

/// What the bare loop reads at a time, as the daemon does.
const READ_BYTES: usize = 64 * 1024;

/// Measures all cases.
pub(crate) fn run(args: &RunArgs, cpus: &[usize]) -> Result<Vec<Row>, String> {
    let cpu = *cpus.first().ok_or("no processor")?;
    let hekad = find_hekad(args.hekad.as_deref())?;
    let (bytes, rounds) = if args.smoke {
        (SMOKE_BYTES, 1)
    } else {
        (FILE_BYTES, args.rounds.max(1))
    };
    let circumstances = Circumstances::now(format!(
        "a file of {bytes} bytes in the page cache; program and bare loop (reads of 64 KiB, memchr count) in turns on processor {cpu}, \
         {rounds} rounds, medians"
    ));
    LINE_BYTES
        .into_iter()
        .map(|line_bytes| {
            let traffic = Traffic::new(Format::Lines, line_bytes, 1)?;
            let folder = tempfile::Builder::new()
                .prefix("hekad-perf-")
                .tempdir()
                .map_err(|error| error.to_string())?;
            let lines = write_file(folder.path(), &traffic, bytes)
                .map_err(|error| format!("{}: {error}", folder.path().display()))?;
            let (mut measured, mut raw) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                measured.push(measure_program(
                    &hekad,
                    folder.path(),
                    lines,
                    line_bytes,
                    cpu,
                )?);
                raw.push(measure_raw(folder.path(), lines, line_bytes, cpu)?);
            }
            let row = row(line_bytes, &measured, &raw, &circumstances);
            record::print(&row);
            Ok(row)
        })
        .collect()
}

/// Writes the file, and so has it in the page cache; answers how many lines it has.
fn write_file(folder: &Path, traffic: &Traffic, bytes: usize) -> std::io::Result<u64> {
    fs::create_dir(folder.join("files"))?;
    let mut file = File::create(folder.join("files/lines"))?;
    let times = bytes / traffic.bytes().len();
    for _ in 0..times {
        file.write_all(traffic.bytes())?;
    }
    Ok((times * traffic.messages()) as u64)
}

fn measurement(lines: u64, line_bytes: usize, seconds: f64, cpu_seconds: f64) -> Measurement {
    Measurement {
        seconds,
        messages: lines,
        bytes: lines * line_bytes as u64,
        lost: 0,
        cpu_seconds,
        peak_rss_bytes: 0,
    }
}

/// Bytes that a process has read, by all its calls.
fn bytes_read(pid: u32) -> Result<u64, String> {
    let path = format!("/proc/{pid}/io");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let count = text.lines().find_map(|line| line.strip_prefix("rchar: "));
    count
        .and_then(|count| count.parse().ok())
        .ok_or_else(|| format!("no rchar in {path}"))
}

fn measure_program(
    hekad: &Path,
    folder: &Path,
    lines: u64,
    line_bytes: usize,
    cpu: usize,
) -> Result<Measurement, String> {
    // A journal would have it begin at the end.
    let journals = folder.join("logstreamer");
    if journals.exists() {
        fs::remove_dir_all(&journals).map_err(|error| error.to_string())?;
    }
    let config = CONFIG.replace("{dir}", &folder.display().to_string());
    let program = Program::launch("hekad", hekad, &config, folder, cpu)?;
    let pid = program.pid();
    let cpu_seconds = || process::cpu_seconds(pid).map_err(|error| error.to_string());
    let size = lines * line_bytes as u64;
    let started = Instant::now();
    let (mut began, mut last) = (None, (Instant::now(), 0, 0.0));
    loop {
        let (now, read) = (Instant::now(), bytes_read(pid)?);
        if began.is_none() && read > OTHER_BYTES {
            began = Some((now, read, cpu_seconds()?));
        }
        if read != last.1 {
            last = (now, read, cpu_seconds()?);
        }
        if read >= size && last.0.elapsed() > QUIET {
            break;
        }
        if started.elapsed() > READ_MAX {
            return Err(format!("hekad has read {read} of {size} bytes"));
        }
        thread::sleep(LOOK);
    }
    let (began, before, cpu_before) = began.ok_or("the file is too small")?;
    // What was read before the first look is not in the time.
    let share = (last.1 - before) as f64 / last.1 as f64;
    let seconds = (last.0 - began).as_secs_f64() / share;
    let mut one = measurement(lines, line_bytes, seconds, (last.2 - cpu_before) / share);
    one.peak_rss_bytes = process::peak_rss_bytes(pid).map_err(|error| error.to_string())?;
    let report = program.stop()?.ok_or("no report")?;
    check(&report, lines)?;
    Ok(one)
}

/// Every line was received and counted, and none dropped.
fn check(report: &Value, lines: u64) -> Result<(), String> {
    for (path, expected) in [
        ("/inputs/Tail/received", lines),
        ("/inputs/Tail/delivered", lines),
        ("/inputs/Tail/in_flight", 0),
        ("/filters/counter_1/delivered", lines),
    ] {
        let count = report.pointer(path).and_then(Value::as_u64);
        if count != Some(expected) {
            return Err(format!("{path} is {count:?}, {expected} was expected"));
        }
    }
    Ok(())
}

/// The bare loop: read, count lines.
fn measure_raw(
    folder: &Path,
    lines: u64,
    line_bytes: usize,
    cpu: usize,
) -> Result<Measurement, String> {
    let path = folder.join("files/lines");
    let counting = thread::spawn(move || -> std::io::Result<(u64, f64, f64)> {
        pin(cpu)?;
        let mut file = File::open(path)?;
        let mut buffer = vec![0; READ_BYTES];
        let (started, cpu_before, mut count) = (Instant::now(), thread_cpu_seconds()?, 0);
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                let seconds = started.elapsed().as_secs_f64();
                return Ok((count, seconds, thread_cpu_seconds()? - cpu_before));
            }
            count += memchr::memchr_iter(b'\n', &buffer[..read]).count() as u64;
        }
    });
    let counted = counting.join().map_err(|_| "the bare loop panicked")?;
    let (count, seconds, cpu_seconds) = counted.map_err(|error| error.to_string())?;
    if count != lines {
        return Err(format!("the bare loop counted {count} lines of {lines}"));
    }
    Ok(measurement(lines, line_bytes, seconds, cpu_seconds))
}

/// CPU time of the calling thread.
fn thread_cpu_seconds() -> std::io::Result<f64> {
    let now = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    Ok(now.tv_sec() as f64 + now.tv_nsec() as f64 / 1e9)
}

fn row(
    line_bytes: usize,
    measured: &[Measurement],
    raw: &[Measurement],
    circumstances: &Circumstances,
) -> Row {
    let of = |value: fn(&Measurement) -> f64| median(measured.iter().map(value));
    let pairs = || measured.iter().zip(raw);
    let ratios: Vec<f64> = pairs()
        .map(|(one, raw)| one.gigabits() / raw.gigabits())
        .collect();
    Row {
        scenario: NAME.to_owned(),
        program: "hekad".to_owned(),
        matchers: 1,
        matcher_kind: "all",
        message_bytes: line_bytes,
        connections: 0,
        ratio: Some(median(ratios.iter().copied())),
        ratios,
        gbit_per_second: of(Measurement::gigabits),
        raw_gbit_per_second: Some(median(raw.iter().map(Measurement::gigabits))),
        messages_per_second: of(|one| one.messages as f64 / one.seconds),
        cpu_seconds: of(|one| one.cpu_seconds),
        cpu_seconds_per_gib: of(cpu_per_gib),
        raw_cpu_seconds_per_gib: Some(median(raw.iter().map(cpu_per_gib))),
        cpu_ratio: Some(median(
            pairs().map(|(one, raw)| cpu_per_gib(raw) / cpu_per_gib(one).max(1e-9)),
        )),
        ns_per_message: of(|one| one.cpu_seconds * 1e9 / one.messages.max(1) as f64),
        peak_rss_bytes: measured
            .iter()
            .map(|one| one.peak_rss_bytes)
            .max()
            .unwrap_or(0),
        messages: measured.iter().map(|one| one.messages).sum(),
        lost: 0,
        circumstances: circumstances.clone(),
    }
}
