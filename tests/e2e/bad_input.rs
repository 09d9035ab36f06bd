//! Bad bytes and bad peers: counted, and the good ones go on.
//!
//! Owns:    one input of frames, one of lines, and what each damage does to their ledgers.
//! Runs on: tests.            Plane: both.
//! Bounds:  one daemon a test.
//! Never:   expects a good record to be lost with a bad one.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;

use nix::sys::socket::{setsockopt, sockopt::Linger};
use tests::daemon::connect;
use tests::wire::{frame, framed, header, message, signed_frame};
use tests::{Daemon, Ended, Place};

const CONFIG: &str = r#"
[Frames]
type = "TcpInput"
address = "{host}:5565"
splitter = "Signed"

[Signed]
type = "HekaFramingSplitter"
[Signed.signer.alice_0]
hmac_key = "secret"

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

/// Sends pieces over one connection, each with a good frame behind it, and asks for the ledger.
fn frames(pieces: &[&[u8]]) -> Ended {
    let place = Place::new();
    let daemon = Daemon::start(&place, CONFIG);
    let mut stream = connect(place.at(5565));
    for (number, piece) in pieces.iter().enumerate() {
        stream.write_all(piece).expect("it goes on reading");
        let payload = format!("good {number}.");
        stream
            .write_all(&frame(&message("TEST", &payload, 1)))
            .expect("it goes on reading");
        daemon.wait_for(&payload);
    }
    drop(stream);
    daemon.stop()
}

fn dropped(causes: &[(&str, u64)]) -> Vec<(String, u64)> {
    causes
        .iter()
        .map(|(cause, count)| ((*cause).to_owned(), *count))
        .collect()
}

#[test]
fn garbage_between_frames_is_passed_over() {
    let garbage = b"GET / HTTP/1.1\r\n\r\n";
    let ended = frames(&[garbage, b"\x1e\x1e\x1e", b"\x1e\x02\x08"]);
    assert_eq!(ended.count("inputs.Frames.delivered"), 3);
    assert_eq!(ended.dropped("Frames"), []);
    assert_eq!(
        ended.count("inputs.Frames.garbage_bytes"),
        garbage.len() as u64 + 3 + 3
    );
}

#[test]
fn a_frame_too_long_is_counted() {
    let long = "x".repeat(70_000);
    let ended = frames(&[&frame(&message("LONG", &long, 1))]);
    assert_eq!(ended.count("inputs.Frames.delivered"), 1);
    assert_eq!(ended.dropped("Frames"), dropped(&[("too_long", 1)]));
}

#[test]
fn a_truncated_message_is_counted() {
    let whole = message("TEST", "truncated", 1);
    let ended = frames(&[&frame(&whole[..whole.len() - 3])]);
    assert_eq!(ended.count("inputs.Frames.delivered"), 1);
    assert_eq!(ended.dropped("Frames"), dropped(&[("decode_failed", 1)]));
}

#[test]
fn a_frame_whose_length_lies_hides_no_other() {
    let small = message("TEST", "damaged", 1);
    let lying = framed(&header(small.len() as u64 + 300), &small);
    let behind: Vec<u8> = (0..10)
        .flat_map(|number| frame(&message("TEST", &format!("behind {number}."), 1)))
        .collect();
    let ended = frames(&[&[lying, behind].concat()]);
    for number in 0..10 {
        assert!(
            ended.said.contains(&format!("behind {number}.")),
            "{}",
            ended.said
        );
    }
    assert_eq!(ended.count("inputs.Frames.delivered"), 11);
    assert_eq!(ended.dropped("Frames"), dropped(&[("bad_frame", 1)]));
}

#[test]
fn wrong_signatures_and_unknown_signers_are_counted() {
    let signed = message("TEST", "signed", 1);
    let ended = frames(&[
        &signed_frame(&signed, "alice", 0, &[1; 16]),
        &signed_frame(&signed, "alice", 0, b""),
        &signed_frame(&signed, "alice", 1, &[1; 16]),
        &signed_frame(&signed, "mallory", 0, &[1; 16]),
    ]);
    assert_eq!(ended.count("inputs.Frames.delivered"), 4);
    assert_eq!(
        ended.dropped("Frames"),
        dropped(&[("wrong_signature", 2), ("unknown_signer", 2)])
    );
}

#[test]
fn a_line_over_the_limit_is_counted() {
    let place = Place::new();
    let daemon = Daemon::start(&place, CONFIG);
    let mut stream = connect(place.at(5140));
    for number in 0..3 {
        stream
            .write_all(&[b'x'; 200_000])
            .expect("it goes on reading");
        stream
            .write_all(format!("\nline {number}.\n").as_bytes())
            .expect("it goes on reading");
        daemon.wait_for(&format!("line {number}."));
    }
    drop(stream);
    let ended = daemon.stop();
    assert_eq!(ended.count("inputs.Lines.delivered"), 3);
    assert_eq!(ended.dropped("Lines"), dropped(&[("too_long", 3)]));
}

#[test]
fn a_peer_that_closes_inside_a_record_loses_that_record() {
    let place = Place::new();
    let daemon = Daemon::start(&place, CONFIG);
    let whole = frame(&message("TEST", "first.", 1));
    let mut stream = connect(place.at(5565));
    stream
        .write_all(&[&whole[..], &whole[..20]].concat())
        .expect("it reads");
    drop(stream);
    connect(place.at(5140))
        .write_all(b"second.\nunfinished")
        .expect("it reads");
    daemon.wait_for("first.");
    daemon.wait_for("second.");
    let ended = daemon.stop();
    assert_eq!(ended.dropped("Frames"), dropped(&[("incomplete", 1)]));
    assert_eq!(ended.dropped("Lines"), dropped(&[("incomplete", 1)]));
    assert!(!ended.said.contains("unfinished"), "{}", ended.said);
}

#[test]
fn a_connection_that_is_reset_is_counted_and_others_go_on() {
    let place = Place::new();
    let daemon = Daemon::start(&place, CONFIG);
    let mut other = connect(place.at(5140));
    other.write_all(b"before.\n").expect("it reads");
    daemon.wait_for("before.");
    for number in 0..10 {
        let mut stream = connect(place.at(5140));
        stream
            .write_all(format!("reset {number}.\nhalf").as_bytes())
            .expect("it reads");
        daemon.wait_for(&format!("reset {number}."));
        reset(stream);
    }
    other.write_all(b"after.\n").expect("it reads");
    daemon.wait_for("after.");
    // The resets are seen in their own time.
    daemon.wait_for_count("StreamErrors", 10);
    drop(other);
    let ended = daemon.stop();
    assert_eq!(ended.count("inputs.Lines.delivered"), 12);
    assert_eq!(ended.count("inputs.Lines.stream_errors"), 10);
    assert_eq!(ended.dropped("Lines"), dropped(&[("incomplete", 10)]));
}

/// Ends a connection by a reset, as a peer that crashes does.
fn reset(stream: TcpStream) {
    let now = nix::libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(&stream.as_fd(), Linger, &now).expect("a socket option");
    drop(stream);
}

#[test]
fn a_drip_is_a_stream_and_silence_holds_nobody_up() {
    let place = Place::new();
    let daemon = Daemon::start(&place, CONFIG);
    let silent: Vec<TcpStream> = (0..50).map(|_| connect(place.at(5565))).collect();
    let mut drip = connect(place.at(5565));
    let mut others = connect(place.at(5140));
    let bytes = frame(&message("TEST", "drop by drop.", 1));
    for (number, byte) in bytes.iter().enumerate() {
        drip.write_all(&[*byte]).expect("it reads");
        others
            .write_all(format!("meanwhile {number}.\n").as_bytes())
            .expect("it reads");
        // The line behind the byte has come: so has the byte, in a read of its own.
        daemon.wait_for(&format!("meanwhile {number}."));
    }
    daemon.wait_for("drop by drop.");
    let ended = daemon.stop();
    assert_eq!(ended.count("inputs.Frames.delivered"), 1);
    assert_eq!(ended.count("inputs.Lines.delivered"), bytes.len() as u64);
    assert_eq!(ended.count("inputs.Frames.streams_opened"), 51);
    for mut stream in silent {
        assert_eq!(stream.read(&mut [0; 1]).expect("closed in order"), 0);
    }
}

#[test]
fn drops_are_reported_once_an_interval() {
    let place = Place::new();
    let daemon = Daemon::start(&place, CONFIG);
    let bad = signed_frame(&message("TEST", "x", 1), "mallory", 0, &[1; 16]);
    let mut stream = connect(place.at(5565));
    // A bad frame is judged when the one behind it is there.
    let burst = [bad.repeat(1000), frame(&message("TEST", "good", 1))].concat();
    stream.write_all(&burst).expect("it reads");
    daemon.wait_for("dropped 1000 (unknown_signer): ");
    drop(stream);
    let ended = daemon.stop();
    let lines = ended.said.matches("Plugin 'Frames': dropped").count();
    assert!(lines <= 2, "{lines} lines about one burst:\n{}", ended.said);
}

#[test]
fn what_a_decoder_remarks_is_in_the_log() {
    let place = Place::new();
    let config = CONFIG.replace("decoder = \"\"", "decoder = \"Levels\"")
        + "[Levels]\ntype = \"PayloadRegexDecoder\"\nmatch_regex = 'level: (?P<Severity>\\w+)'\n";
    let daemon = Daemon::start(&place, &config);
    let mut stream = connect(place.at(5140));
    stream.write_all(b"level: 3\n").expect("it reads");
    daemon.wait_for("level: 3\n");
    stream.write_all(b"level: unheard_of\n").expect("it reads");
    daemon.wait_for("level: unheard_of\n");
    drop(stream);
    daemon.wait("a remark", |said| {
        let remark = said
            .lines()
            .find(|line| line.contains("Severity is neither"))?;
        remark.starts_with("Plugin 'Lines'").then_some(())
    });
    let ended = daemon.stop();
    assert_eq!(ended.count("inputs.Lines.delivered"), 2);
}
