//! The supervisor over shards and plugins that fail or stand still.
//!
//! Owns:    the claims about how a run ends.
//! Runs on: tests; the supervisor handles the signals of their process from then on.            Plane: control.
//! Bounds:  one daemon a test.
//! Never:   sends a signal.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::control::placement;
use engine::control::supervisor::{self, Outcome, RunOptions};
use engine::plugin::{Fault, Filter, FilterContext, FilterFactory, Selection};
use engine::shard::topology::Role;
use serde_json::Value;

use crate::delivery::{by_line, lines, replay};
use crate::flaky::{FlakyOutput, Fuse, How, Moment, Thieves};
use crate::harness::{Keep, Payload, Plan, RECEIVED};

/// Runs a plan until it ends by itself; answers its last report as well.
fn run(plan: Plan, stall: Duration) -> (Outcome, Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let report = folder.path().join("report.json");
    let core = placement::cores(1).expect("a core")[0];
    let options = RunOptions {
        shutdown_timeout: Duration::from_secs(30),
        stall_timeout: stall,
        log_flags: 0,
        report_json: Some(report.clone()),
        cpus: vec![core; usize::from(plan.shards)],
    };
    let outcome = supervisor::run(plan.topology(), options);
    (outcome, read(&report))
}

fn read(report: &Path) -> Value {
    let text = std::fs::read_to_string(report).expect("the last report is written");
    let report: Value = text.parse().expect("it is JSON");
    for (name, ledger) in report["inputs"].as_object().expect("inputs") {
        let count = |key: &str| ledger[key].as_u64().expect("a count");
        let dropped = ledger["dropped"].as_object().expect("drops").values();
        let dropped: u64 = dropped.map(|count| count.as_u64().expect("a count")).sum();
        let ends = count("delivered") + count("unmatched") + count("in_flight") + dropped;
        assert_eq!(count("received"), ends, "{name}: {ledger}");
    }
    report
}

/// A line into an output that the daemon cannot do without.
fn line_into(output: Keep) -> Plan {
    let mut plan = Plan::new(1)
        .input(replay(b"line\n".to_vec(), usize::MAX), by_line(), None)
        .output(output, "TRUE", 0)
        .max_retries(2);
    plan.consumers[0].can_exit = false;
    plan
}

const NEVER: Duration = Duration::ZERO;

#[test]
fn an_output_that_panics_again_and_again_ends_the_daemon_as_failed() {
    let panicking = Keep {
        panic: true,
        ..Keep::default()
    };
    let (outcome, report) = run(line_into(panicking), NEVER);
    assert_eq!((outcome, outcome.exit_status()), (Outcome::Failed, 1));
    let dropped = &report["inputs"]["input0"]["dropped"];
    assert_eq!(dropped["destination_ended"], 1, "{report}");
}

#[test]
fn an_output_that_may_not_end_and_does_ends_the_daemon_as_failed() {
    let failing = Keep {
        fail: true,
        ..Keep::default()
    };
    let (outcome, _) = run(line_into(failing), NEVER);
    assert_eq!((outcome, outcome.exit_status()), (Outcome::Failed, 1));
}

#[test]
fn an_output_that_may_end_leaves_the_others_running_and_one_that_may_not_ends_all() {
    let sent = lines(50_000);
    let (failing, healthy) = (
        Keep {
            fail: true,
            ..Keep::default()
        },
        Keep::default(),
    );
    let role = Role::Output {
        factory: Box::new(FlakyOutput::new(
            Moment::Begin,
            &Fuse::new(u32::MAX, How::Fault),
        )),
        encoder: Some(Arc::new(Payload)),
        framing: false,
    };
    let mut plan = Plan::new(1)
        .input(replay(sent.clone(), usize::MAX), by_line(), None)
        .output(failing, "TRUE", 0)
        .output(healthy.clone(), RECEIVED, 0)
        // By the time that it gives up, the others have gone on without the first.
        .consumer(role, "FALSE", 0)
        .max_retries(5);
    plan.consumers[2].can_exit = false;
    let (outcome, report) = run(plan, NEVER);
    assert_eq!(outcome, Outcome::Failed);
    assert!(*healthy.kept.lock().expect("no panic") == sent, "{report}");
}

#[test]
fn a_shard_that_dies_ends_the_daemon_and_the_others_deliver_what_they_have() {
    let sent = lines(200_000);
    let healthy = Keep::default();
    let thieves = Thieves::default();
    let thief = |thief| Role::Output {
        factory: Box::new(thief),
        encoder: Some(Arc::new(Payload)),
        framing: false,
    };
    let plan = Plan::new(2)
        .input(replay(sent.clone(), usize::MAX), by_line(), None)
        .consumer(thief(thieves.clone()), "TRUE", 1)
        .consumer(thief(thieves), "TRUE", 1)
        .output(healthy.clone(), "TRUE", 0);
    let (outcome, report) = run(plan, NEVER);
    assert_eq!((outcome, outcome.exit_status()), (Outcome::Failed, 1));
    assert!(*healthy.kept.lock().expect("no panic") == sent, "{report}");
    assert_eq!(report["outputs"]["consumer2"]["delivered"], 200_000);
    let lost = &report["outputs"]["consumer0"];
    assert!(lost["in_flight"].as_u64() > Some(0), "{report}");
}

/// A filter that does not come back.
#[derive(Clone, Default)]
struct Stuck {
    release: Arc<AtomicBool>,
}

impl FilterFactory for Stuck {
    fn make(&self) -> Box<dyn Filter> {
        Box::new(self.clone())
    }
}

impl Filter for Stuck {
    fn process(&mut self, _: Selection<'_>, _: &mut dyn FilterContext) -> Result<(), Fault> {
        while !self.release.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

#[test]
fn a_shard_that_stands_still_ends_the_daemon_and_the_others_deliver_what_they_have() {
    let sent = lines(200_000);
    let (stuck, healthy) = (Stuck::default(), Keep::default());
    let plan = Plan::new(2)
        .input(replay(sent.clone(), usize::MAX), by_line(), None)
        .consumer(Role::Filter(Box::new(stuck.clone())), "TRUE", 1)
        .output(healthy.clone(), "TRUE", 0);
    let (outcome, report) = run(plan, Duration::from_secs(6));
    // It has ended although that shard has not come back, and never would.
    stuck.release.store(true, Ordering::Release);
    assert_eq!((outcome, outcome.exit_status()), (Outcome::Failed, 1));
    assert!(*healthy.kept.lock().expect("no panic") == sent, "{report}");
    assert_eq!(report["outputs"]["consumer1"]["delivered"], 200_000);
    assert!(report["filters"]["consumer0"]["in_flight"].as_u64() > Some(0));
}
