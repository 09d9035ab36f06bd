//! Outputs that are dead: from the start on, after a restart, for good. Who does not depend on them notices nothing.
//!
//! Owns:    the claims about who waits for whom, and what is said at the end.
//! Runs on: tests.            Plane: both.
//! Bounds:  some megabytes through loopback.
//! Never:   takes a pause for a stall without having seen that nothing moves.

use std::io::{Read, Write};
use std::net::TcpListener;

use nix::sys::signal::Signal;
use tests::daemon::connect;
use tests::{Daemon, PATIENCE, Place, until};

use crate::back_pressure::wait_for_stall;

const TWO_WAYS: &str = r#"
[hekad]
shards = 2
log_flags = 0
shutdown_timeout = "2s"

[Stalled]
type = "TcpInput"
address = "{host}:5140"
splitter = "TokenSplitter"
decoder = ""

[Free]
type = "TcpInput"
address = "{host}:5141"
splitter = "TokenSplitter"
decoder = ""

[Dead]
type = "TcpOutput"
message_matcher = "Logger == 'Stalled'"
address = "{host}:5150"
encoder = "AsItCame"
use_buffering = false
[Dead.retries]
delay = "10ms"
max_delay = "50ms"
max_jitter = "1ms"

[Alive]
type = "FileOutput"
message_matcher = "Logger == 'Free'"
path = "{dir}/free.log"
encoder = "AsItCame"

[AsItCame]
type = "PayloadEncoder"
append_newlines = false
"#;

/// Writes without end into the input whose output is dead.
fn stuff(place: &Place) {
    let mut stream = connect(place.at(5140));
    std::thread::spawn(move || {
        let lines = b"a line that goes nowhere for the time being\n".repeat(100_000);
        // The end of the daemon ends this.
        while stream.write_all(&lines).is_ok() {}
    });
}

/// The peer comes up, and is to get this.
fn expect_at_peer(place: &Place, expected: &[u8]) {
    let peer = TcpListener::bind(place.at(5150)).expect("a free port");
    peer.set_nonblocking(true).expect("a socket option");
    let (mut stream, _) = until("a connection", || peer.accept().ok());
    stream.set_nonblocking(false).expect("a socket option");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let mut got = vec![0; expected.len()];
    stream.read_exact(&mut got).expect("so many bytes");
    assert_eq!(got, expected);
}

#[test]
fn a_peer_that_is_down_stalls_only_those_who_depend_on_it() {
    let place = Place::new();
    let mut expected = String::new();
    for round in 0..2 {
        let daemon = Daemon::start(&place, TWO_WAYS);
        stuff(&place);
        wait_for_stall(&daemon);
        daemon.wait_for("cannot connect to");
        let lines: String = (0..20_000)
            .map(|number| format!("line {number} of round {round}\n"))
            .collect();
        expected.push_str(&lines);
        let mut stream = connect(place.at(5141));
        stream.write_all(lines.as_bytes()).expect("it reads");
        until("all lines of the other way", || {
            let written = std::fs::read_to_string(place.path("free.log")).unwrap_or_default();
            (written == expected).then_some(())
        });
        daemon.signal(Signal::SIGTERM);
        let ended = daemon.ended();
        assert_eq!(ended.status, 1, "{}", ended.said);
        assert_eq!(ended.count("inputs.Free.delivered"), 20_000);
        let undelivered = ended.count("outputs.Dead.in_flight");
        assert!(undelivered > 0);
        let line = format!(
            "Plugin 'Dead': {undelivered} messages were not delivered to it, and nothing keeps them\n"
        );
        assert!(ended.said.contains(&line), "no {line:?} in {}", ended.said);
        assert!(!ended.said.contains("Plugin 'Alive'"), "{}", ended.said);
    }
}

const MEMORY_FIRST: &str = r#"
[hekad]
shards = 2
log_flags = 0
base_dir = "{dir}/base"
shutdown_timeout = "110s"

[Lines]
type = "TcpInput"
address = "{host}:5140"
splitter = "TokenSplitter"
decoder = ""

[Relay]
type = "TcpOutput"
message_matcher = "TRUE"
address = "{host}:5150"
encoder = "AsItCame"
[Relay.buffering]
memory_first = true

[AsItCame]
type = "PayloadEncoder"
append_newlines = false
"#;

#[test]
fn what_waits_in_memory_for_a_dead_peer_is_kept_by_the_disk_queue_at_a_stop() {
    let place = Place::new();
    let daemon = Daemon::start(&place, MEMORY_FIRST);
    let mut stream = connect(place.at(5140));
    let mut sent = String::new();
    until("lines that wait in memory", || {
        let line = format!("line {}\n", sent.len());
        stream.write_all(line.as_bytes()).expect("it reads");
        sent.push_str(&line);
        let report = daemon.report();
        let mut counts = report
            .lines()
            .filter_map(|line| line.trim().strip_prefix("InFlight: "));
        (counts.next()?.parse::<u64>().ok()? >= 3).then_some(())
    });
    daemon.wait_for("cannot connect to");
    daemon.signal(Signal::SIGTERM);
    let ended = daemon.ended();
    assert_eq!(ended.status, 0, "{}", ended.said);
    let count = sent.lines().count();
    for line in [
        format!("Plugin 'Relay': {count} messages stay in its disk queue "),
        "\nstopped\n".to_owned(),
    ] {
        assert!(ended.said.contains(&line), "no {line:?} in {}", ended.said);
    }
    assert!(!ended.said.contains("did not finish"), "{}", ended.said);
    let daemon = Daemon::start(&place, MEMORY_FIRST);
    expect_at_peer(&place, sent.as_bytes());
    daemon.stop();
}

#[test]
fn a_peer_that_comes_up_gets_what_has_waited() {
    let place = Place::new();
    let daemon = Daemon::start(&place, TWO_WAYS);
    let mut stream = connect(place.at(5140));
    stream.write_all(b"one\ntwo\n").expect("it reads");
    daemon.wait_for("cannot connect to");
    expect_at_peer(&place, b"one\ntwo\n");
    let ended = daemon.stop();
    assert_eq!(ended.count("outputs.Dead.delivered"), 2);
}

#[test]
fn an_output_that_may_end_and_does_is_said_and_changes_nothing_for_the_others() {
    for (options, said) in [
        ("can_exit = true", "what it should have got is dropped"),
        (
            "can_exit = true\nuse_buffering = true",
            "what is in its disk queue",
        ),
    ] {
        let place = Place::new();
        // A folder stands where the file should.
        let config = TWO_WAYS
            .replace("shards = 2", "shards = 1\nbase_dir = \"{dir}/base\"")
            .replace("{dir}/free.log", "{dir}")
            .replace(
                "message_matcher = \"Logger == 'Free'\"",
                &format!("message_matcher = \"TRUE\"\n{options}"),
            );
        let daemon = Daemon::start(&place, &config);
        daemon.wait_for("Plugin 'Alive' terminated. Error: cannot open");
        daemon.wait_for("the daemon goes on without it (`can_exit`)");
        daemon.wait_for(said);
        let mut stream = connect(place.at(5140));
        stream.write_all(b"one\ntwo\n").expect("it reads");
        expect_at_peer(&place, b"one\ntwo\n");
        // The other half of what it had to do: these lines are dropped, which was agreed to.
        let ended = daemon.stop();
        assert_eq!(
            ended.dropped("Stalled"),
            [("destination_ended".to_owned(), 2)]
        );
    }
}

#[test]
fn an_output_that_may_not_end_and_does_ends_the_daemon() {
    let place = Place::new();
    let config = TWO_WAYS.replace("{dir}/free.log", "{dir}");
    let ended = Daemon::launch(&place, &config).ended();
    assert_eq!(ended.status, 1, "{}", ended.said);
    assert!(
        ended
            .said
            .contains("Plugin 'Alive' terminated. Error: cannot open"),
        "{}",
        ended.said
    );
}
