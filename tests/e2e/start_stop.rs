//! Starting, refusing to start, signals, stopping.
//!
//! Owns:    exit statuses, the report on a signal, and what a stop still delivers.
//! Runs on: tests.            Plane: control.
//! Bounds:  a few daemons a test.
//! Never:   guesses how long a start takes.

use std::io::Write;
use std::net::{TcpListener, TcpStream};

use nix::sys::signal::Signal;
use tests::daemon::connect;
use tests::{Daemon, Place, tools};

const LINES: &str = r#"
[Lines]
type = "TcpInput"
address = "{host}:5140"
splitter = "TokenSplitter"
decoder = ""

[Log]
type = "LogOutput"
message_matcher = "TRUE"
encoder = "PayloadEncoder"

[PayloadEncoder]
"#;

#[test]
fn the_report_on_a_signal_has_hekas_form() {
    let place = Place::new();
    let daemon = Daemon::start(&place, LINES);
    connect(place.at(5140))
        .write_all(b"one\ntwo\n")
        .expect("it reads");
    daemon.wait_for("two\n");
    daemon.wait_for_count("Delivered", 2);
    let report = daemon.report();
    let titles: Vec<&str> = report
        .lines()
        .filter(|line| line.starts_with("===="))
        .collect();
    assert_eq!(
        titles[..4],
        [
            "====Globals====",
            "====Inputs====",
            "====Filters====",
            "====Outputs===="
        ]
    );
    for line in [
        "inputRecycleChan:",
        "    InChanCapacity: 128",
        "injectRecycleChan:",
        "Router:",
        "Lines:",
        "    ProcessMessageCount: 2",
        "    Delivered: 2",
        "NONE",
        "Log:",
        "    MatchedMessageCount: 2",
    ] {
        assert!(
            report.lines().any(|written| written == line),
            "no {line:?} in\n{report}"
        );
    }
    daemon.stop();
}

#[test]
fn a_second_one_on_the_same_port_refuses_to_start() {
    let place = Place::new();
    let first = Daemon::start(&place, LINES);
    let second = Daemon::launch(&place, LINES).ended();
    assert_eq!(second.status, 1, "{}", second.said);
    let address = place.at(5140).to_string();
    assert!(
        second.said.contains("Plugin 'Lines' cannot start") && second.said.contains(&address),
        "{}",
        second.said
    );
    connect(place.at(5140))
        .write_all(b"still here\n")
        .expect("it reads");
    first.wait_for("still here\n");
    first.stop();
}

#[test]
fn a_wrong_configuration_is_78() {
    let place = Place::new();
    let ended = Daemon::launch(&place, "[In]\ntype = \"TcpInputt\"\n").ended();
    assert_eq!(ended.status, 78, "{}", ended.said);
    assert!(ended.said.contains("TcpInputt"), "{}", ended.said);
    let missing = place.path("nowhere.toml");
    let output = tools::run(&["--config", missing.to_str().expect("a plain path")]);
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nowhere.toml"));
}

#[test]
fn five_mistakes_are_five_errors_with_carets() {
    let place = Place::new();
    let path = place.write(
        "five.toml",
        "[hekad]\nshards = \"two\"\n\n[In]\ntype = \"TcpInput\"\naddres = \"{host}:5565\"\nsplitter = \"Lines\"\n\n\
         [Count]\ntype = \"CounterFiltr\"\n\n[Log]\ntype = \"LogOutput\"\nmessage_matcher = \"Type = 'x'\"\nencoder = \"PayloadEncoder\"\n",
    );
    let output = tools::run(&["check", "--config", path.to_str().expect("a plain path")]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    let errors = said
        .lines()
        .filter(|line| line.starts_with("error"))
        .count();
    let carets = said.lines().filter(|line| line.contains('^')).count();
    // `address` is missing as well, where `addres` stands.
    assert!(errors >= 5, "{errors} errors:\n{said}");
    assert!(carets >= 5, "{carets} carets:\n{said}");
    for text in [
        "addres",
        "Lines",
        "CounterFiltr",
        "five.toml:2",
        "five.toml:14",
    ] {
        assert!(said.contains(text), "no {text:?} in\n{said}");
    }
}

#[test]
fn a_stop_delivers_what_was_sent() {
    let place = Place::new();
    let daemon = Daemon::start(&place, LINES);
    let lines: String = (0..20_000)
        .map(|number| format!("line {number}.\n"))
        .collect();
    let mut stream = connect(place.at(5140));
    stream.write_all(lines.as_bytes()).expect("it reads");
    let ended = daemon.stop();
    assert_eq!(ended.count("inputs.Lines.delivered"), 20_000);
    assert!(ended.said.contains("line 0.\n") && ended.said.contains("line 19999.\n"));
    drop(stream);
}

#[test]
fn a_stop_delivers_what_connections_sent_that_were_not_accepted_yet() {
    let place = Place::new();
    let daemon = Daemon::start(&place, LINES);
    daemon.signal(Signal::SIGSTOP);
    for number in 0..40 {
        let mut stream = connect(place.at(5140));
        stream
            .write_all(format!("from {number}.\n").as_bytes())
            .expect("there is room");
    }
    daemon.signal(Signal::SIGTERM);
    daemon.signal(Signal::SIGCONT);
    let ended = daemon.ended();
    assert_eq!(ended.status, 0, "{}", ended.said);
    assert_eq!(ended.count("inputs.Lines.delivered"), 40, "{}", ended.said);
}

#[test]
fn connections_that_stay_open_do_not_hold_up_a_stop() {
    let place = Place::new();
    let daemon = Daemon::start(&place, LINES);
    let streams: Vec<TcpStream> = (0..20).map(|_| connect(place.at(5140))).collect();
    let mut last = connect(place.at(5140));
    last.write_all(b"the last\n").expect("it reads");
    daemon.wait_for("the last\n");
    let ended = daemon.stop();
    assert!(!ended.said.contains("did not finish"), "{}", ended.said);
    drop(streams);
}

#[test]
fn what_cannot_be_delivered_by_the_end_is_said_and_is_status_1() {
    let place = Place::new();
    let config = r#"
[hekad]
log_flags = 0
shards = 1
shutdown_timeout = "1s"

[Lines]
type = "TcpInput"
address = "{host}:5140"
splitter = "TokenSplitter"
decoder = ""

[Out]
type = "TcpOutput"
use_buffering = false
message_matcher = "TRUE"
address = "{host}:9"
"#;
    let daemon = Daemon::start(&place, config);
    let mut stream = connect(place.at(5140));
    stream.write_all(b"one\ntwo\nthree\n").expect("it reads");
    daemon.wait_for_count("MatchedMessageCount", 3);
    daemon.signal(Signal::SIGTERM);
    let ended = daemon.ended();
    assert_eq!(ended.status, 1, "{}", ended.said);
    let ledger = &ended.report["inputs"]["Lines"];
    let undelivered = ended.count("inputs.Lines.in_flight")
        + ended
            .dropped("Lines")
            .iter()
            .map(|(_, count)| count)
            .sum::<u64>();
    assert_eq!(undelivered, 3, "{ledger}");
}

/// A relay to a peer that accepts and never reads, with messages stuck on the way.
fn stuck(place: &Place, timeout: &str) -> (Daemon, TcpListener, tools::Running) {
    let peer = TcpListener::bind(place.at(5566)).expect("a free port");
    let config = r#"
[hekad]
log_flags = 0
shards = 1
shutdown_timeout = "{timeout}"

[In]
type = "TcpInput"
address = "{host}:5565"

[Out]
type = "TcpOutput"
use_buffering = false
message_matcher = "TRUE"
address = "{host}:5566"
"#;
    let daemon = Daemon::start(place, &config.replace("{timeout}", timeout));
    let address = place.at(5565).to_string();
    let flood = tools::start(&["flood", "--address", &address]);
    let mut before = 0;
    tests::until("a stall", || {
        let report = daemon.report();
        let in_flight = report
            .lines()
            .find_map(|line| line.trim().strip_prefix("InFlight: ")?.parse::<u64>().ok());
        let in_flight = in_flight.expect("a count");
        let stalled = in_flight > 0 && before == in_flight;
        before = in_flight;
        stalled.then_some(())
    });
    (daemon, peer, flood)
}

#[test]
fn a_peer_that_never_reads_does_not_hold_up_a_stop_for_longer_than_promised() {
    let place = Place::new();
    let (daemon, _peer, _flood) = stuck(&place, "1s");
    daemon.signal(Signal::SIGTERM);
    let ended = daemon.ended();
    assert_eq!(ended.status, 1, "{}", ended.said);
    // Each phase has its time, and says so.
    for phase in ["inputs", "deliveries", "outputs"] {
        let line = format!("{phase} did not finish within 1s; waited for ");
        let missing = ended.said.lines().find_map(|it| it.strip_prefix(&line));
        let missing = missing.unwrap_or_else(|| panic!("no {line:?} in {}", ended.said));
        // The input, whose stream is held up, and the output with its peer.
        assert_eq!(
            missing.contains("Plugin 'In' (1 open stream)"),
            phase == "inputs"
        );
        assert!(missing.contains("Plugin 'Out' ("), "{missing}");
        let peer = format!(" for {})", place.at(5566));
        assert!(missing.ends_with(&peer), "{missing}");
    }
    let in_flight = ended.count("inputs.In.in_flight");
    assert!(in_flight > 0);
    let line = format!("stopped with {in_flight} messages undelivered\n");
    assert!(ended.said.contains(&line), "no {line:?} in {}", ended.said);
}

#[test]
fn a_second_signal_ends_at_once_and_until_then_the_report_can_be_asked_for() {
    let place = Place::new();
    // Far longer than any test waits.
    let (daemon, _peer, _flood) = stuck(&place, "10h");
    daemon.signal(Signal::SIGTERM);
    daemon.wait_for("stopping\n");
    assert!(daemon.report().contains("InFlight: "));
    daemon.signal(Signal::SIGINT);
    let ended = daemon.ended();
    assert_eq!(ended.status, 1, "{}", ended.said);
    assert!(ended.said.contains("second signal"), "{}", ended.said);
    assert!(ended.count("inputs.In.in_flight") > 0);
}

#[test]
fn ipv6_is_spoken() {
    let Some(port) = free_port_of_ipv6() else {
        // A host without IPv6 has nothing to show here.
        return;
    };
    let place = Place::new();
    let daemon = Daemon::start(
        &place,
        &LINES.replace("{host}:5140", &format!("[::1]:{port}")),
    );
    let address = std::net::SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port));
    connect(address)
        .write_all(b"hello by six\n")
        .expect("it reads");
    daemon.wait_for("hello by six\n");
    let ended = daemon.stop();
    assert_eq!(ended.count("inputs.Lines.delivered"), 1);
}

/// Below the ports that the kernel gives to connections, so that none takes it meanwhile.
fn free_port_of_ipv6() -> Option<u16> {
    let first = 20_000 + (std::process::id() % 5_000) as u16;
    (first..first + 1000).find(|&port| TcpListener::bind(("::1", port)).is_ok())
}
