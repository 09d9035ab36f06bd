//! `perf run`: the cases of a scenario, measured in turns with what they are compared with.
//!
//! Owns:    the order of measurements, and the rows made of them.
//! Runs on: the measuring process.            Plane: control.
//! Bounds:  cases x rounds x programs measurements.
//! Never:   compares numbers of different runs: every ratio is of two measurements that followed each other.

use std::fs;

use serde::Serialize;

use crate::cli::RunArgs;
use crate::clock::processors;
use crate::measure::{Candidate, Measurement, Setting, measure_program, measure_raw};
use crate::program::{find_hekad, find_peer, version};
use crate::record::{self, Circumstances, Row, cpu_per_gib, median};
use crate::scenario::{self, Matchers, Scenario};
use crate::{idle_sandboxes, match_scaling, route_memory};

/// Seconds of sending in a smoke run.
const SMOKE_SECONDS: f64 = 0.2;

/// Name that stands for the bare receive loop.
const RAW: &str = "raw";

/// Runs the scenario, prints and writes its rows.
pub(crate) fn run(args: &RunArgs) -> Result<(), String> {
    let cpus = processors().map_err(|error| format!("which processors? {error}"))?;
    let first = *cpus.first().ok_or("no processor")?;
    match args.scenario.as_str() {
        route_memory::NAME => finish(args, &route_memory::run(args, first)?),
        match_scaling::NAME => finish(args, &match_scaling::run(args, first)?),
        idle_sandboxes::NAME => finish(args, &idle_sandboxes::run(args, first)?),
        name => {
            let scenario = scenario::find(name).ok_or_else(|| unknown(name))?;
            finish(args, &run_scenario(args, scenario, &cpus)?)
        }
    }
}

/// Writes the rows where they were asked for.
fn finish<R: Serialize>(args: &RunArgs, rows: &[R]) -> Result<(), String> {
    if rows.is_empty() {
        return Err(format!("{} has no such case", args.scenario));
    }
    match &args.json {
        Some(path) => record::write(path, rows),
        None => Ok(()),
    }
}

fn unknown(name: &str) -> String {
    let names: Vec<&str> = scenario::ALL
        .iter()
        .map(|scenario| scenario.name)
        .chain([
            route_memory::NAME,
            match_scaling::NAME,
            idle_sandboxes::NAME,
        ])
        .collect();
    format!("no scenario {name:?}; there are: {}", names.join(", "))
}

/// Prints the scenarios.
pub(crate) fn list() {
    for scenario in scenario::ALL {
        let programs: Vec<&str> = scenario
            .programs
            .iter()
            .map(|(program, _)| *program)
            .collect();
        println!(
            "{:<16} {}\n{:<16} programs: {}",
            scenario.name,
            scenario.about,
            "",
            programs.join(", ")
        );
    }
    println!("{:<16} {}", route_memory::NAME, route_memory::ABOUT);
    println!("{:<16} {}", match_scaling::NAME, match_scaling::ABOUT);
    println!("{:<16} {}", idle_sandboxes::NAME, idle_sandboxes::ABOUT);
}

fn run_scenario(args: &RunArgs, scenario: &Scenario, cpus: &[usize]) -> Result<Vec<Row>, String> {
    let candidates = candidates(args, scenario)?;
    let temporary = tempfile::Builder::new()
        .prefix("hekad-perf-")
        .tempdir()
        .map_err(|error| error.to_string())?;
    // hekad pins shard 0 to the first processor; everybody else under test goes there as well.
    let (receiver_cpu, sender_cpu) = match cpus {
        [first, .., last] => (*first, *last),
        _ => {
            return Err(
                "a scenario needs two processors: one for the sender, one for the program".into(),
            );
        }
    };
    let setting = Setting {
        receiver_cpu,
        sender_cpu,
        seconds: if args.smoke {
            SMOKE_SECONDS
        } else {
            args.seconds
        },
        connections: args.connections,
        dir: temporary.path().to_owned(),
    };
    let rounds = if args.smoke { 1 } else { args.rounds.max(1) };
    warn_of_load();
    let result = scenario
        .cases
        .iter()
        .filter(|case| args.wants(case.kind(), case.count()))
        .map(|&case| run_case(scenario, case, &candidates, &setting, rounds))
        .collect::<Result<Vec<_>, _>>();
    if args.keep || result.is_err() {
        println!("kept: {}", temporary.keep().display());
    }
    Ok(result?.into_iter().flatten().collect())
}

/// hekad, and the peer if one was asked for.
fn candidates(args: &RunArgs, scenario: &Scenario) -> Result<Vec<Candidate>, String> {
    let mut wanted = vec![("hekad", find_hekad(args.hekad.as_deref())?)];
    if args.against != RAW {
        wanted.push((args.against.as_str(), find_peer(&args.against)?));
    }
    wanted
        .into_iter()
        .map(|(name, path)| {
            let (_, template) = scenario
                .programs
                .iter()
                .find(|(program, _)| *program == name)
                .ok_or_else(|| {
                    format!(
                        "{} has no config for {name}: add perf/scenarios/{}/{name}.*",
                        scenario.name, scenario.name
                    )
                })?;
            Ok(Candidate {
                name: name.to_owned(),
                version: if name == "hekad" {
                    String::new()
                } else {
                    version(&path)
                },
                path,
                template,
            })
        })
        .collect()
}

/// Measures each program and the bare loop in turns; a row for each program.
fn run_case(
    scenario: &Scenario,
    case: Matchers,
    candidates: &[Candidate],
    setting: &Setting,
    rounds: usize,
) -> Result<Vec<Row>, String> {
    let mut measured: Vec<Vec<Measurement>> = vec![Vec::new(); candidates.len()];
    let mut raw = Vec::new();
    for _ in 0..rounds {
        for (candidate, into) in candidates.iter().zip(&mut measured) {
            into.push(measure_program(scenario, case, candidate, setting)?);
        }
        raw.push(measure_raw(scenario, case, setting)?);
    }
    let circumstances = Circumstances::now(format!(
        "loopback, {} connections, sender writes 1 MiB at a time on processor {}, program and {} in turns on processor {}, \
         {rounds} rounds of {} s, medians; files in {}",
        setting.connections,
        setting.sender_cpu,
        scenario.bare.describe(),
        setting.receiver_cpu,
        setting.seconds,
        record::file_system(&setting.dir),
    ));
    let rows: Vec<Row> = candidates
        .iter()
        .zip(&measured)
        .map(|(candidate, measured)| {
            row(
                scenario,
                case,
                candidate,
                setting,
                measured,
                &raw,
                &circumstances,
            )
        })
        .collect();
    rows.iter().for_each(record::print);
    Ok(rows)
}

fn row(
    scenario: &Scenario,
    case: Matchers,
    candidate: &Candidate,
    setting: &Setting,
    measured: &[Measurement],
    raw: &[Measurement],
    circumstances: &Circumstances,
) -> Row {
    let of = |value: fn(&Measurement) -> f64| median(measured.iter().map(value));
    let ratios: Vec<f64> = measured
        .iter()
        .zip(raw)
        .map(|(one, raw)| one.gigabits() / raw.gigabits())
        .collect();
    Row {
        scenario: scenario.name.to_owned(),
        program: candidate.name.clone(),
        matchers: case.count(),
        matcher_kind: case.kind(),
        message_bytes: scenario.message_bytes,
        connections: setting.connections,
        ratio: Some(median(ratios.iter().copied())),
        ratios,
        gbit_per_second: of(Measurement::gigabits),
        raw_gbit_per_second: Some(median(raw.iter().map(Measurement::gigabits))),
        messages_per_second: of(|one| one.messages as f64 / one.seconds),
        cpu_seconds: of(|one| one.cpu_seconds),
        cpu_seconds_per_gib: of(cpu_per_gib),
        raw_cpu_seconds_per_gib: Some(median(raw.iter().map(cpu_per_gib))),
        cpu_ratio: Some(median(
            measured
                .iter()
                .zip(raw)
                .map(|(one, raw)| cpu_per_gib(raw) / cpu_per_gib(one).max(1e-9)),
        )),
        ns_per_message: of(|one| one.cpu_seconds * 1e9 / one.messages.max(1) as f64),
        peak_rss_bytes: measured
            .iter()
            .map(|one| one.peak_rss_bytes)
            .max()
            .unwrap_or(0),
        messages: measured.iter().map(|one| one.messages).sum(),
        lost: measured.iter().map(|one| one.lost).sum(),
        circumstances: circumstances.clone(),
    }
}

/// Numbers taken on a busy machine mislead: says so.
fn warn_of_load() {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = text
        .split_whitespace()
        .next()
        .and_then(|first| first.parse::<f64>().ok())
        .unwrap_or(0.0);
    if load > 0.5 {
        eprintln!(
            "perf: the load average is {load}: something else is running, and the numbers will show it"
        );
    }
}
