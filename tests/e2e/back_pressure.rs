//! A receiver that stops: its sender waits, memory stays as it is, nothing is lost.
//!
//! Owns:    relays of two daemons, with the second stopped, slow to start, or started again.
//! Runs on: tests.            Plane: both.
//! Bounds:  two hundred megabytes through loopback.
//! Never:   takes a pause for a stall without having seen that nothing moves.

use std::time::Duration;

use nix::sys::signal::Signal;
use tests::sink::assert_complete_and_ordered;
use tests::{Daemon, Place, Sink, tools, until};

const RELAY: &str = r#"
[In]
type = "TcpInput"
address = "{host}:5565"

[Out]
type = "TcpOutput"
use_buffering = false
message_matcher = "TRUE"
address = "{host}:{to}"
[Out.retries]
delay = "10ms"
max_delay = "100ms"
max_jitter = "1ms"
"#;

/// More than what sockets and daemons can hold between a flood and its end.
const MESSAGES: u64 = 150_000;
const MESSAGE_BYTES: u64 = 1024;

/// Of a daemon that holds what it may, and no more.
const MEMORY_MAX: u64 = 200 * 1024 * 1024;

/// A relay from one port to another.
fn relay(place: &Place, from: u16, to: u16) -> Daemon {
    let config = RELAY
        .replace("5565", &from.to_string())
        .replace("{to}", &to.to_string());
    Daemon::start(place, &config)
}

fn flood(place: &Place, connections: u64) -> tools::Running {
    let address = place.at(5565).to_string();
    let count = |number: u64| number.to_string();
    tools::start(&[
        "flood",
        "--address",
        &address,
        "--messages",
        &count(MESSAGES),
        "--size",
        &count(MESSAGE_BYTES),
        "--connections",
        &count(connections),
    ])
}

/// Waits until a daemon's input has read nothing between two reports.
pub(crate) fn wait_for_stall(daemon: &Daemon) {
    let mut before = String::new();
    until("a stall", || {
        let report = daemon.report();
        let bytes = report
            .lines()
            .find(|line| line.trim().starts_with("Bytes:"))
            .unwrap_or_default()
            .to_owned();
        let stalled = bytes == before && !bytes.ends_with(": 0");
        before = bytes;
        std::thread::sleep(Duration::from_millis(300));
        stalled.then_some(())
    });
}

#[test]
fn a_stopped_receiver_stops_the_sender_and_loses_nothing() {
    let place = Place::new();
    let sink = Sink::listen(place.at(5567));
    let receiver = relay(&place, 5566, 5567);
    let sender = relay(&place, 5565, 5566);
    receiver.signal(Signal::SIGSTOP);
    let mut flood = flood(&place, 3);
    wait_for_stall(&sender);
    assert!(flood.runs(), "150 MB went nowhere");
    let memory = sender.memory("VmRSS");
    assert!(memory < MEMORY_MAX, "{memory} bytes");
    receiver.signal(Signal::SIGCONT);
    assert!(flood.wait().status.success());
    let sent = sender.stop();
    sink.wait_for(MESSAGES as usize);
    let peak = receiver.memory("VmHWM");
    assert!(peak < MEMORY_MAX, "{peak} bytes");
    let received = receiver.stop();
    assert_eq!(sent.count("inputs.In.delivered"), MESSAGES);
    assert_eq!(received.count("inputs.In.delivered"), MESSAGES);
    let streams = sink.streams();
    assert_eq!(streams.len(), 1);
    assert_complete_and_ordered(&streams[0], 3, MESSAGES);
}

#[test]
fn a_receiver_that_is_not_there_yet_is_waited_for() {
    let place = Place::new();
    let sender = relay(&place, 5565, 5566);
    let mut flood = flood(&place, 1);
    wait_for_stall(&sender);
    assert!(flood.runs(), "150 MB went nowhere");
    let memory = sender.memory("VmRSS");
    assert!(memory < MEMORY_MAX, "{memory} bytes");
    let sink = Sink::listen(place.at(5566));
    assert!(flood.wait().status.success());
    let sent = sender.stop();
    assert_eq!(sent.count("inputs.In.delivered"), MESSAGES);
    assert!(sent.count("outputs.Out.retries") > 0);
    sink.wait_for(MESSAGES as usize);
    assert_complete_and_ordered(&sink.streams().concat(), 1, MESSAGES);
}

#[test]
fn a_receiver_that_is_started_again_and_again_loses_nothing() {
    let place = Place::new();
    let sender = relay(&place, 5565, 5566);
    let mut receiver = relay(&place, 5566, 5567);
    let flood = flood(&place, 1);
    // The first time while it is held up itself, so that much waits in the sockets between the two, for longer than a stop waits for
    // a sender.
    wait_for_stall(&sender);
    receiver.signal(Signal::SIGTERM);
    receiver.wait_for("stopping");
    std::thread::sleep(Duration::from_secs(2));
    let sink = Sink::listen(place.at(5567));
    for count in [MESSAGES / 2, MESSAGES / 3 * 2] {
        let ended = receiver.ended();
        assert_eq!(ended.status, 0, "{}", ended.said);
        receiver = relay(&place, 5566, 5567);
        sink.wait_for(count as usize);
        receiver.signal(Signal::SIGTERM);
    }
    receiver.ended();
    let receiver = relay(&place, 5566, 5567);
    assert!(flood.wait().status.success());
    let sent = sender.stop();
    assert_eq!(sent.count("inputs.In.delivered"), MESSAGES);
    receiver.stop();
    until("all messages", || {
        let mut seqs = sink.sorted();
        seqs.dedup();
        (seqs.len() as u64 == MESSAGES).then_some(())
    });
}
