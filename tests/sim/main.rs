//! The whole daemon in a simulated world: many seeds, each another story of faults, and the same questions at its end.
//!
//! Owns:    the list of its parts, and how a seed is chosen, told and repeated.
//! Runs on: tests, in a build with `--cfg sim`.            Plane: both.
//! Bounds:  `HEKAD_SIM_CASES` seeds; virtual time in place of waits.
//! Never:   depends on a clock, a thread or the host.
#![cfg(sim)]

mod daemon;
mod oracle;
mod peers;
mod records;
mod scenario;
mod source;
mod sweep;

/// Seeds of one run, if the environment does not say how many.
const CASES: u64 = 60;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

/// Says which seed it was if the test fails.
struct Telling(u64);

impl Drop for Telling {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {0}: HEKAD_SIM_SEED={0} repeats it", self.0);
        }
    }
}

#[test]
fn nothing_that_was_acknowledged_is_lost() {
    if let Some(seed) = number("HEKAD_SIM_SEED") {
        let _telling = Telling(seed);
        scenario::run(seed, true);
        return;
    }
    for seed in 0..number("HEKAD_SIM_CASES").unwrap_or(CASES) {
        let _telling = Telling(seed);
        scenario::run(seed, false);
    }
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let mut traces = Vec::new();
    for seed in 0..4 {
        let _telling = Telling(seed);
        let trace = scenario::run(seed, false);
        assert_eq!(trace, scenario::run(seed, false));
        traces.push(trace);
    }
    traces.dedup();
    assert_eq!(traces.len(), 4, "seeds differ");
}
