//! A disk queue that is full: what is said while it is, and at the end.
//!
//! Owns:    the claims about the log and the report of a queue without room.
//! Runs on: tests.            Plane: both.
//! Bounds:  some megabytes through loopback.
//! Never:   counts on a pace: what is said is measured against the time that was taken.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Instant;

use nix::sys::signal::Signal;
use tests::daemon::connect;
use tests::{Daemon, Place, until};

const SMALL_QUEUE: &str = r#"
[hekad]
shards = 1
log_flags = 0
base_dir = "{dir}/base"
shutdown_timeout = "1s"

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
[Relay.retries]
delay = "10ms"
max_delay = "50ms"
max_jitter = "1ms"
[Relay.buffering]
max_buffer_size = 1200000
full_action = "block"

[AsItCame]
type = "PayloadEncoder"
append_newlines = false
"#;

const FULL: &str = "Plugin 'Relay': its disk queue is full";

#[test]
fn what_a_full_queue_has_not_taken_is_told_at_the_end() {
    let place = Place::new();
    let daemon = Daemon::start(&place, SMALL_QUEUE);
    let mut stream = connect(place.at(5140));
    std::thread::spawn(move || {
        let lines = b"a line that goes nowhere for the time being\n".repeat(100_000);
        // The end of the daemon ends this.
        while stream.write_all(&lines).is_ok() {}
    });
    daemon.wait_for(FULL);
    daemon.signal(Signal::SIGTERM);
    let ended = daemon.ended();
    assert_eq!(ended.status, 1, "{}", ended.said);
    let untaken = ended.count("inputs.Lines.in_flight");
    assert!(untaken > 0);
    for line in [
        format!(
            "Plugin 'Relay': {untaken} messages had not come into its disk queue and were not acknowledged"
        ),
        format!("stopped with {untaken} messages undelivered\n"),
        "messages stay in its disk queue".to_owned(),
    ] {
        assert!(ended.said.contains(&line), "no {line:?} in {}", ended.said);
    }
}

#[test]
fn a_full_queue_that_ends_the_daemon_takes_one_phase_and_is_named() {
    let place = Place::new();
    let config = SMALL_QUEUE
        .replace("full_action = \"block\"", "full_action = \"shutdown\"")
        .replace("shutdown_timeout = \"1s\"", "shutdown_timeout = \"2s\"");
    let daemon = Daemon::start(&place, &config);
    let mut stream = connect(place.at(5140));
    std::thread::spawn(move || {
        let lines = b"a line that goes nowhere for the time being\n".repeat(100_000);
        // The end of the daemon ends this.
        while stream.write_all(&lines).is_ok() {}
    });
    let ended = daemon.ended();
    assert_eq!(ended.status, 1, "{}", ended.said);
    let full = "Plugin 'Relay' terminated. Error: its disk queue is full";
    assert!(ended.said.contains(full), "{}", ended.said);
    let untaken = ended.count("inputs.Lines.in_flight");
    assert!(untaken > 0);
    let peer = place.at(5150);
    // Both together take what one may take.
    for line in [
        format!(
            "inputs did not finish within 1s; waited for Plugin 'Lines' (1 open stream), Plugin 'Relay' ({untaken} messages for {peer})\n"
        ),
        format!(
            "deliveries did not finish within 1s; waited for Plugin 'Relay' ({untaken} messages for {peer})\n"
        ),
    ] {
        assert!(ended.said.contains(&line), "no {line:?} in {}", ended.said);
    }
}

#[test]
fn a_queue_that_is_full_again_and_again_says_so_now_and_then() {
    let place = Place::new();
    let begun = Instant::now();
    let daemon = Daemon::start(&place, SMALL_QUEUE);
    let line = b"a line that has to wait for the one before it\n";
    let bytes = 400_000 * line.len();
    let mut stream = connect(place.at(5140));
    let writer = std::thread::spawn(move || {
        let lines = line.repeat(1000);
        for _ in 0..400 {
            stream.write_all(&lines).expect("it reads");
        }
    });
    daemon.wait_for(FULL);
    let peer = TcpListener::bind(place.at(5150)).expect("a free port");
    peer.set_nonblocking(true).expect("a socket option");
    let (mut stream, _) = until("a connection", || peer.accept().ok());
    stream.set_nonblocking(false).expect("a socket option");
    std::io::copy(
        &mut Read::by_ref(&mut stream).take(bytes as u64),
        &mut std::io::sink(),
    )
    .expect("all of it");
    writer.join().expect("no panic");
    let told = daemon.said().matches(FULL).count();
    let most = 1 + begun.elapsed().as_secs() as usize / 10;
    assert!(
        told <= most,
        "told {told} times instead of {most}: {}",
        daemon.said()
    );
    let ended = daemon.stop();
    assert_eq!(ended.count("inputs.Lines.delivered"), 400_000);
}
