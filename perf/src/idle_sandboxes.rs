//! `idle-sandboxes`: what a thousand filters in Lua cost while nothing comes for them.
//!
//! Owns:    the configuration, and the waits.
//! Runs on: the measuring process, which sleeps meanwhile.            Plane: control.
//! Bounds:  `COUNT` sandboxes; every wait.
//! Never:   counts a start as idleness: it waits until the daemon has come to rest.

use std::fmt::Write as _;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::cli::{RunArgs, Transport};
use crate::process;
use crate::program::{Program, find_hekad};
use crate::record::Circumstances;

pub(crate) const NAME: &str = "idle-sandboxes";
pub(crate) const ABOUT: &str = "memory and CPU time of a daemon with 1,000 SandboxFilters (http_status) that nothing comes for";

/// Sandboxes.
const COUNT: usize = 1000;

/// In a smoke run.
const COUNT_SMOKE: usize = 10;

/// How long the daemon is watched.
const WATCHED: Duration = Duration::from_secs(10);

/// In a smoke run.
const WATCHED_SMOKE: Duration = Duration::from_millis(500);

/// Longest wait until the daemon has come to rest.
const REST_MAX: Duration = Duration::from_secs(180);

/// CPU time in a second that is rest, seconds.
const REST: f64 = 0.03;

/// One daemon.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    scenario: &'static str,
    sandboxes: usize,
    /// Resident memory at rest.
    rss_bytes: u64,
    /// More than without sandboxes, for each.
    rss_bytes_each: u64,
    /// How long it was watched.
    seconds: f64,
    /// CPU time meanwhile as `/proc/PID/stat` has it, in ticks of 10 ms.
    cpu_ticks: u64,
    /// The same as the scheduler counts it, of all threads.
    cpu_seconds: f64,
    #[serde(flatten)]
    circumstances: Circumstances,
}

/// Measures a daemon without sandboxes, and one with.
pub(crate) fn run(args: &RunArgs, cpu: usize) -> Result<Vec<Row>, String> {
    let (count, watched) = match args.smoke {
        true => (COUNT_SMOKE, WATCHED_SMOKE),
        false => (COUNT, WATCHED),
    };
    let mut rows: Vec<Row> = Vec::new();
    for sandboxes in [0, count] {
        let mut row = measure(args, sandboxes, watched, cpu)?;
        if let Some(without) = rows.first() {
            let more = row.rss_bytes.saturating_sub(without.rss_bytes);
            row.rss_bytes_each = more / sandboxes as u64;
        }
        println!(
            "{NAME} {sandboxes:>5} sandboxes   {:>7.1} MiB resident, {:>6.1} KiB each   CPU in {:.1} s: {} ticks, {:.1} ms",
            row.rss_bytes as f64 / 1_048_576.0,
            row.rss_bytes_each as f64 / 1024.0,
            row.seconds,
            row.cpu_ticks,
            row.cpu_seconds * 1e3,
        );
        rows.push(row);
    }
    Ok(rows)
}

fn measure(args: &RunArgs, sandboxes: usize, watched: Duration, cpu: usize) -> Result<Row, String> {
    let folder = tempfile::Builder::new().prefix("hekad-perf-").tempdir();
    let folder = folder.map_err(|error| error.to_string())?;
    let dir = folder.path();
    let port = process::free_port()?;
    let mut config = format!(
        "[hekad]\nshards = 1\nbase_dir = \"{}\"\n[Ready]\ntype = \"TcpInput\"\naddress = \"127.0.0.1:{port}\"\n",
        dir.display()
    );
    for number in 0..sandboxes {
        let _ = write!(
            config,
            "[status_{number}]\ntype = \"SandboxFilter\"\nfilename = \"lua_filters/http_status.lua\"\n\
             message_matcher = \"Type == 'access{number}'\"\n"
        );
    }
    let hekad = find_hekad(args.hekad.as_deref())?;
    let program = Program::start(
        "hekad",
        &hekad,
        &config,
        dir,
        Some(cpu),
        (Transport::Tcp, port),
    )?;
    let pid = program.pid();
    let gone = |error| format!("hekad is gone: {error}");
    let begun = Instant::now();
    let mut before = process::cpu_seconds(pid).map_err(gone)?;
    loop {
        thread::sleep(Duration::from_secs(1));
        let now = process::cpu_seconds(pid).map_err(gone)?;
        if now - before < REST {
            break;
        }
        if begun.elapsed() > REST_MAX {
            return Err("hekad does not come to rest".to_owned());
        }
        before = now;
    }
    let ticks = process::cpu_ticks(pid).map_err(gone)?;
    let cpu_before = process::cpu_seconds(pid).map_err(gone)?;
    let begun = Instant::now();
    thread::sleep(watched);
    let seconds = begun.elapsed().as_secs_f64();
    let row = Row {
        scenario: NAME,
        sandboxes,
        rss_bytes: process::rss_bytes(pid).map_err(gone)?,
        rss_bytes_each: 0,
        seconds,
        cpu_ticks: process::cpu_ticks(pid).map_err(gone)? - ticks,
        cpu_seconds: process::cpu_seconds(pid).map_err(gone)? - cpu_before,
        circumstances: Circumstances::now(format!(
            "hekad on processor {cpu}, 1 shard, SandboxFilters without a ticker that no message matches; after it has come to rest"
        )),
    };
    check(program, sandboxes)?;
    let _ = fs::remove_dir_all(dir);
    Ok(row)
}

/// Ends the daemon; every sandbox must have been there to its end.
fn check(program: Program, sandboxes: usize) -> Result<(), String> {
    let report = program.stop()?.ok_or("hekad made no report")?;
    let filters = report["filters"].as_object();
    let used = filters.into_iter().flatten().filter(|(name, filter)| {
        name.starts_with("status_") && filter["figures"]["MaxMemory"].as_u64() > Some(0)
    });
    let used = used.count();
    match used == sandboxes {
        true => Ok(()),
        false => Err(format!("{used} sandboxes ran, not {sandboxes}")),
    }
}
