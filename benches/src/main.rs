//! `cargo run --release -p benches -- [FILTER] [--small] [--runs N]`: times the benchmarks.
//!
//! Owns:    arguments and the printed table.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  every benchmark once, `--runs` runs each.
//! Never:   prints a time of a debug build without saying so.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use benches::measure::{Size, Timing, measure};
use benches::{ALL, Benchmark};

const HELP: &str = "\
Times the benchmarks whose names contain FILTER, or all.

Usage: benches [FILTER] [--small] [--runs N]

  --small   a small input and one pass a run: shows that it works, not how fast
  --runs N  runs of each [default: 15]

A row: median time of an item over the runs, median deviation from it, bytes of an item, rate, what it is.
Exit status: 0; 1 a result differed; 2 wrong arguments.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(help) => {
            eprintln!("{help}");
            ExitCode::from(2)
        }
    }
}

/// Answers whether every result was right.
fn run(arguments: &[String]) -> Result<bool, String> {
    let (mut filter, mut size, mut runs) = ("", Size::Full, 15);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--small" => size = Size::Small,
            "--runs" => {
                let number = rest.next().and_then(|number| number.parse().ok());
                runs = number.ok_or_else(|| format!("--runs needs a number\n\n{HELP}"))?;
            }
            "--help" | "-h" => return Err(HELP.to_owned()),
            text if text.starts_with('-') || !filter.is_empty() => {
                return Err(format!("`{text}` is not understood\n\n{HELP}"));
            }
            text => filter = text,
        }
    }
    let chosen: Vec<&Benchmark> = ALL.iter().filter(|one| one.name.contains(filter)).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = ALL.iter().map(|one| one.name).collect();
        return Err(format!(
            "no benchmark is called `{filter}`; there are: {}",
            names.join(", ")
        ));
    }
    if cfg!(debug_assertions) && size == Size::Full {
        eprintln!("a debug build: the times say nothing; add --release");
    }
    let mut right = true;
    for benchmark in chosen {
        match measure(benchmark, size, runs) {
            Ok(timing) => print(benchmark, &timing),
            Err(digest) => {
                right = false;
                eprintln!(
                    "{}: the result differs: digest {digest:#018x}, expected {:#018x}",
                    benchmark.name,
                    benchmark.digest(size)
                );
            }
        }
    }
    Ok(right)
}

fn print(benchmark: &Benchmark, timing: &Timing) {
    println!(
        "{:<24} {:>9.1} ns  ± {:<7.1} {:>6.0} B {:>7.2} GB/s  {}",
        benchmark.name,
        timing.nanoseconds,
        timing.deviation,
        timing.bytes,
        timing.bytes / timing.nanoseconds,
        benchmark.about
    );
}
