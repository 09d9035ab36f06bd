//! Commands that are run, read and ended by the input.
//!
//! Owns:    the claims about ProcessInput that need a shard.
//! Runs on: tests.            Plane: both.
//! Bounds:  a few commands a test.
//! Never:   depends on speed.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use engine::event::{DropCause, InputCounters};

use crate::daemon::{Daemon, PATIENCE};

const LINES: &str = "[lines]\ntype = 'TokenSplitter'\n";

/// The first failure is the last.
const NO_RETRIES: &str = "[jobs.retries]\nmax_retries = 0\n";

/// A section with these options and commands, the last of which are scripts.
fn section(options: &str, scripts: &[&str]) -> String {
    let commands = scripts.iter().enumerate().map(|(number, script)| {
        format!("[jobs.command.{number}]\nbin = 'sh'\nargs = ['-c', '''{script}''']\n")
    });
    let commands: String = commands.collect();
    format!("[jobs]\ntype = 'ProcessInput'\n{options}\n{commands}")
}

/// As `section`; the commands run at once, and then not within the time of a test.
fn once(options: &str, scripts: &[&str]) -> String {
    let at_once = "immediate_start = true\nticker_interval = 100000\n";
    section(&format!("{at_once}{options}"), scripts)
}

fn message(payload: &str, output: &str, rest: &str) -> String {
    let pid = std::process::id();
    format!("ProcessInput|jobs|here|{payload}|0|{pid}|ProcessInputName=jobs.{output}|{rest}")
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn exists(pid: &str) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn balances(ledger: &InputCounters) {
    assert_eq!(
        ledger.received,
        ledger.delivered + ledger.dropped.total(),
        "{ledger:?}"
    );
}

#[test]
fn what_a_run_writes_is_one_message_that_says_how_it_ended() {
    let scripts = ["echo one; echo two; exit 3", "cat; echo done >&2; exit 4"];
    let daemon = Daemon::start(1, &once("stderr = true", &scripts));
    let errors = "ExitStatus=4|SubcmdErrors=Subcommand[0] returned an error: [exit status 3]\n\
                  Subcommand[1] returned an error: [exit status 4]";
    let expected = [
        message("done\n", "stderr", errors),
        message("one\ntwo\n", "stdout", errors),
    ];
    assert_eq!(daemon.messages(2), expected);
    daemon.wait_for_notice(
        "exit status 4; Subcommand[0] returned an error: [exit status 3]; Subcommand[1]",
    );
    balances(&daemon.stop());
}

#[test]
fn commands_run_again_and_again_and_success_has_no_errors() {
    let daemon = Daemon::start(1, &section("ticker_interval = 1", &["echo again"]));
    daemon.wait_for("two runs", |ledger| ledger.delivered >= 2);
    let messages = daemon.messages_so_far();
    let expected = message("again\n", "stdout", "ExitStatus=0");
    assert!(
        messages.iter().all(|message| *message == expected),
        "{messages:?}"
    );
    balances(&daemon.stop());
}

#[test]
fn lines_come_while_the_command_runs_and_the_rest_at_its_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let go = folder.path().join("go");
    let script = format!(
        "echo first; until test -e {0}; do sleep 0.01; done; printf rest; exit 2",
        go.display()
    );
    let splitter = "[lines]\ntype = 'TokenSplitter'\ndeliver_incomplete_final = true\n";
    let daemon = Daemon::start(
        1,
        &format!("{}{splitter}", once("splitter = 'lines'", &[&script])),
    );
    // The run before is the one that there has not been.
    let first = message("first\n", "stdout", "ExitStatus=0");
    assert_eq!(daemon.messages(1), [first.as_str()]);
    fs::write(&go, "").expect("room");
    let errors = "ExitStatus=2|SubcmdErrors=Subcommand[0] returned an error: [exit status 2]";
    let expected = [first, message("rest", "stdout", errors)];
    assert_eq!(daemon.messages(2), expected);
    balances(&daemon.stop());
}

#[test]
fn time_is_up_and_the_next_run_comes() {
    let script = "echo started; sleep 1000 & wait";
    let daemon = Daemon::start(1, &section("ticker_interval = 1\ntimeout = 1", &[script]));
    daemon.wait_for("two runs", |ledger| ledger.delivered >= 2);
    let errors = "ExitStatus=-1|SubcmdErrors=Subcommand[0] returned an error: \
                  [ended after 1 s (`timeout`), signal: terminated]";
    let expected = message("started\n", "stdout", errors);
    let messages = daemon.messages_so_far();
    assert!(
        messages.iter().all(|message| *message == expected),
        "{messages:?}"
    );
    daemon.wait_for_notice("ended after 1 s (`timeout`)");
    daemon.stop();
}

#[test]
fn a_stop_ends_the_commands_and_delivers_what_they_wrote() {
    let script = "sleep 1000 & echo $! $$; trap \"echo bye; exit 0\" TERM; wait";
    let sections = format!("{}{LINES}", once("splitter = 'lines'", &[script]));
    let daemon = Daemon::start(1, &sections);
    let first = daemon.messages(1).remove(0);
    let pids = first.split('|').nth(3).expect("a payload").to_owned();
    assert!(pids.split_whitespace().all(exists));
    let (ledger, messages) = daemon.stop_with_messages();
    balances(&ledger);
    assert!(messages[1].contains("|bye\n|"), "{messages:?}");
    wait_until("gone", || {
        !pids.split_whitespace().nth(1).is_some_and(exists)
    });
}

#[test]
fn a_missing_program_is_named() {
    let missing = "[jobs.command.1]\nbin = '/no/such/program'\n";
    let sections = format!("{}{missing}{NO_RETRIES}", once("", &["true"]));
    let daemon = Daemon::start(1, &sections);
    let error = daemon.wait_for_failure();
    let expected = "command 1 (`/no/such/program`) cannot be started: No such file or directory (os error 2); ";
    assert!(error.starts_with(expected), "{error}");
    daemon.stop();
}

#[test]
fn the_end_of_what_runs_once_is_the_end_of_the_input() {
    let sections = section("ticker_interval = 0", &["echo once; exit 1"]);
    let daemon = Daemon::start(1, &format!("{sections}{NO_RETRIES}"));
    let error = daemon.wait_for_failure();
    assert!(
        error.contains("have ended: exit status 1; Subcommand[0]"),
        "{error}"
    );
    daemon.messages(1);
    balances(&daemon.stop());
}

#[test]
fn a_flood_waits_for_whoever_does_not_take_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let pid = folder.path().join("pid");
    let script = format!("echo $$ > {}; exec yes", pid.display());
    let sections = format!("{}{LINES}", once("splitter = 'lines'", &[&script]));
    let daemon = Daemon::start(1, &sections);
    daemon.close_output(true);
    let pid = || fs::read_to_string(&pid).unwrap_or_default();
    let written = || -> Option<u64> {
        let io = fs::read_to_string(format!("/proc/{}/io", pid().trim())).ok()?;
        let line = io.lines().find_map(|line| line.strip_prefix("wchar: "))?;
        line.parse().ok()
    };
    // With all credits spent nothing moves any more: the writer sleeps in its pipe.
    wait_until("quiet", || {
        let before = written();
        std::thread::sleep(Duration::from_millis(200));
        before.is_some_and(|bytes| bytes > 0) && written() == before
    });
    assert!(written().is_some_and(|bytes| bytes < 64 * 1024 * 1024));
    daemon.close_output(false);
    let ledger = daemon.wait_for("more", |ledger| ledger.delivered > 100_000);
    assert_eq!(ledger.dropped.get(DropCause::Incomplete), 0);
    balances(&daemon.stop());
    assert!(!exists(pid().trim()));
}
