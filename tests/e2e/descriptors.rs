//! A daemon that may not open as many files as it has clients.
//!
//! Owns:    more connections than descriptors.
//! Runs on: tests.            Plane: both.
//! Bounds:  a few hundred connections, which the queue of a listening socket holds.
//! Never:   looks at how long anything takes.

use std::io::Write;
use std::net::TcpStream;

use nix::sys::signal::Signal;
use tests::daemon::connect;
use tests::{Daemon, Place};

/// What the daemon may open: enough for itself and some clients.
const LIMIT: &str = "-n 100";

const CLIENTS: u64 = 200;

const LINES: &str = r#"
[Lines]
type = "TcpInput"
address = "{host}:5140"
splitter = "TokenSplitter"
decoder = ""
"#;

/// Needs no descriptor.
const LOG: &str = r#"
[Out]
type = "LogOutput"
message_matcher = "TRUE"
encoder = "PayloadEncoder"

[PayloadEncoder]
"#;

/// Clients that have sent a line, and stay.
fn crowd(place: &Place) -> Vec<TcpStream> {
    let clients = (0..CLIENTS).map(|number| {
        let mut stream = connect(place.at(5140));
        let line = format!("line {number}.\n");
        stream.write_all(line.as_bytes()).expect("there is room");
        stream
    });
    clients.collect()
}

#[test]
fn clients_beyond_the_limit_wait_and_are_served_when_others_go() {
    let place = Place::new();
    let daemon = Daemon::start_under(LIMIT, &place, &format!("{LINES}{LOG}"));
    let clients = crowd(&place);
    daemon.wait_for("may have 100 files and connections open: raise that with `ulimit -n`");
    drop(clients);
    daemon.wait_for_count("Delivered", CLIENTS);
    let report = daemon.report();
    assert!(report.contains("    AcceptFailures: "), "{report}");
    daemon.stop();
}

#[test]
fn a_stop_serves_those_who_wait_for_a_descriptor() {
    let place = Place::new();
    let daemon = Daemon::start_under(LIMIT, &place, &format!("{LINES}{LOG}"));
    let clients = crowd(&place);
    daemon.wait_for("`LimitNOFILE=` in the systemd unit");
    let ended = daemon.stop();
    assert_eq!(
        ended.count("inputs.Lines.delivered"),
        CLIENTS,
        "{}",
        ended.said
    );
    assert_eq!(ended.count("inputs.Lines.streams_refused"), 0);
    drop(clients);
}

#[test]
fn connections_that_were_never_accepted_are_told_at_the_end() {
    let place = Place::new();
    // Nobody takes what comes in, so connections stay open with what they have sent.
    let config = format!(
        "[hekad]\nshards = 1\nlog_flags = 0\nshutdown_timeout = \"3s\"\n{LINES}\n\
         [Out]\ntype = \"TcpOutput\"\nuse_buffering = false\nmessage_matcher = \"TRUE\"\naddress = \"{{host}}:9\"\n"
    );
    let daemon = Daemon::start_under(LIMIT, &place, &config);
    let clients = crowd(&place);
    daemon.wait_for("no connection can be accepted");
    daemon.signal(Signal::SIGTERM);
    let ended = daemon.ended();
    assert_eq!(ended.status, 1, "{}", ended.said);
    let (served, refused) = (
        ended.count("inputs.Lines.streams_opened"),
        ended.count("inputs.Lines.streams_refused"),
    );
    assert!(
        refused > 0 && served + refused == CLIENTS,
        "{served} {refused}: {}",
        ended.said
    );
    let told = format!("{refused} connections were waiting to be accepted");
    assert!(ended.said.contains(&told), "{}", ended.said);
    drop(clients);
}

#[test]
fn the_daemon_allows_itself_as_many_as_it_may() {
    let place = Place::new();
    let daemon = Daemon::start_under("-S -n 100", &place, &format!("{LINES}{LOG}"));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.pid()));
    let limits = limits.expect("the daemon runs");
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let mut numbers = line.expect("a line about files").split_whitespace();
    let (soft, hard) = (numbers.next(), numbers.next());
    assert!(soft == hard && soft != Some("100"), "{soft:?} {hard:?}");
    daemon.stop();
}
