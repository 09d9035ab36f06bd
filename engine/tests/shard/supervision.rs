//! The supervisor over shards and plugins that fail.
//!
//! Owns:    the claims about how a run ends.
//! Runs on: tests; the supervisor handles the signals of their process from then on.            Plane: control.
//! Bounds:  one daemon a test.
//! Never:   sends a signal.

use std::sync::Arc;
use std::time::{Duration, Instant};

use codecs::splitter::SplitterOptions;
use codecs::splitters::TokenSplitter;
use engine::control::placement;
use engine::control::supervisor::{self, Outcome, RunOptions};
use engine::plugin::Placement;

use crate::harness::{Keep, Plan, Replay, ReplayInput, SplitBy};

/// When the supervisor first asks the shards by itself, after the start.
const FIRST_LOOK: Duration = Duration::from_secs(10);

/// Runs a line into an output, until that ends the daemon.
fn run(output: Keep) -> Outcome {
    let input = ReplayInput {
        replay: Replay {
            bytes: Arc::new(b"line\n".to_vec()),
            piece: usize::MAX,
            repeat: 1,
        },
        placement: Placement::OneShard,
    };
    let by_line = SplitBy {
        make: || Box::new(TokenSplitter::new("\n", 1, SplitterOptions::default()).expect("valid")),
        message_bytes: false,
    };
    let mut plan = Plan::new(1)
        .input(input, by_line, None)
        .output(output, "TRUE", 0);
    plan.consumers[0].can_exit = false;
    let options = RunOptions {
        shutdown_timeout: Duration::from_secs(30),
        stall_timeout: Duration::from_secs(30),
        log_flags: 0,
        report_json: None,
        cpus: placement::cores(1).expect("a core"),
    };
    supervisor::run(plan.topology(), options)
}

#[test]
fn a_shard_that_panics_ends_the_daemon_as_failed() {
    let begun = Instant::now();
    let outcome = run(Keep {
        panic: true,
        ..Keep::default()
    });
    assert_eq!((outcome, outcome.exit_status()), (Outcome::Failed, 1));
    assert!(
        begun.elapsed() < FIRST_LOOK,
        "nobody was told: the missing answer was found by a look"
    );
}

#[test]
fn an_output_that_may_not_end_and_does_ends_the_daemon_as_failed() {
    let outcome = run(Keep {
        fail: true,
        ..Keep::default()
    });
    assert_eq!((outcome, outcome.exit_status()), (Outcome::Failed, 1));
}
