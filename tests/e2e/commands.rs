//! Commands and polled files under the real binary: the example, a stop, a kill.
//!
//! Owns:    the claims about `examples/commands.toml`, and about what becomes of commands with the daemon.
//! Runs on: tests.            Plane: both.
//! Bounds:  a few commands a test.
//! Never:   changes the example beyond its folder.

use std::path::Path;

use tests::{Daemon, Place, tools, until};

#[test]
fn the_example_prints_a_file_and_what_commands_find() {
    let place = Place::new();
    let text = tools::project_file("examples/commands.toml");
    // Its commands are those of any host but perhaps the smallest.
    let text = text
        .replace("/tmp/hekad-commands", "{dir}")
        .replace("bin = \"ps\"", "bin = \"echo\"")
        .replace("\"-eo\", \"rss=,pid=,comm=\"", "\"4711 1 largest\"");
    let daemon = Daemon::start(&place, &text);
    daemon.wait_for("4711 1 largest\n");
    // Three averages, running and all processes, the last one.
    let is_load = |line: &&str| line.split(' ').count() == 5 && line.contains('/');
    daemon.wait("two readings", |said| {
        (said.lines().filter(is_load).count() >= 2).then_some(())
    });
    let ended = daemon.stop();
    assert_eq!(ended.status, 0);
    assert_eq!(ended.count("inputs.Largest.delivered"), 1);
}

const STAYS: &str = r#"
[hekad]
base_dir = "{dir}"
log_flags = 0

[Jobs]
type = "ProcessInput"
ticker_interval = 0
splitter = "TokenSplitter"

[Jobs.command.0]
bin = "sh"
args = ["-c", "sleep 1000 & echo pids $$ $!; trap 'echo bye; exit' TERM; wait"]

[Jobs.command.1]
bin = "cat"

[Print]
type = "LogOutput"
message_matcher = "TRUE"
encoder = "AsItCame"

[AsItCame]
type = "PayloadEncoder"
append_newlines = false
"#;

/// The processes that the command has told of.
fn pids(daemon: &Daemon) -> Vec<String> {
    daemon.wait("pids", |said| {
        let line = said.lines().find_map(|line| line.strip_prefix("pids "))?;
        Some(line.split(' ').map(str::to_owned).collect())
    })
}

/// Whether a process runs; one that has ended and is not waited for does not.
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").map(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some(Some('Z' | 'X')))
}

#[test]
fn a_stop_ends_the_commands_and_what_they_have_started() {
    let place = Place::new();
    let daemon = Daemon::start(&place, STAYS);
    let pids = pids(&daemon);
    assert!(pids.iter().all(|pid| runs(pid)));
    let ended = daemon.stop();
    assert_eq!(ended.status, 0, "{}", ended.said);
    assert!(ended.said.contains("bye\n"), "{}", ended.said);
    assert_eq!(ended.count("inputs.Jobs.delivered"), 2);
    until("gone", || (!pids.iter().any(|pid| runs(pid))).then_some(()));
    assert!(!Path::new(&format!("/proc/{}", pids[0])).exists());
}

#[test]
fn an_input_that_may_end_and_does_is_said_to_read_nothing_more() {
    let place = Place::new();
    let options = "[Jobs]\ncan_exit = true\nretries = { max_retries = 0 }\ncommand.0 = { bin = \"/no/such/program\" }";
    let (head, _) = STAYS.split_once("[Jobs.command.0]").expect("it is there");
    let (_, tail) = STAYS.split_once("[Print]").expect("it is there");
    let text = format!("{}[Print]{tail}", head.replace("[Jobs]", options));
    let daemon = Daemon::start(&place, &text);
    daemon.wait_for("`/no/such/program`) cannot be started");
    daemon.wait_for("the daemon goes on without it (`can_exit`), it reads nothing more");
    let ended = daemon.stop();
    assert_eq!(ended.status, 0, "{}", ended.said);
    assert!(!ended.said.contains("destination_ended"), "{}", ended.said);
}
