//! What the README promises of the quickstart.
//!
//! Owns:    the claims about `examples/quickstart.toml`.
//! Runs on: tests.            Plane: both.
//! Bounds:  a few messages, and one small flood.
//! Never:   changes the example beyond its addresses and folder.

use std::io::Write;
use std::net::UdpSocket;

use tests::daemon::connect;
use tests::{Daemon, Place, tools};

fn quickstart(place: &Place) -> Daemon {
    let text = tools::project_file("examples/quickstart.toml");
    let text = text
        .replace("127.0.0.1", "{host}")
        .replace("/tmp/hekad-quickstart", "{dir}");
    Daemon::start(place, &text)
}

#[test]
fn a_line_by_tcp_is_printed() {
    let place = Place::new();
    let daemon = quickstart(&place);
    connect(place.at(5140))
        .write_all(b"hello by tcp\n")
        .expect("it listens");
    daemon.wait_for("hello by tcp\n");
    let ended = daemon.stop();
    assert_eq!(ended.count("inputs.LinesTcp.delivered"), 1);
}

#[test]
fn a_line_by_udp_is_printed() {
    let place = Place::new();
    let daemon = quickstart(&place);
    let socket = UdpSocket::bind((place.host(), 0)).expect("a socket");
    socket
        .send_to(b"hello by udp\n", place.at(5140))
        .expect("it listens");
    daemon.wait_for("hello by udp\n");
    let ended = daemon.stop();
    assert_eq!(ended.count("inputs.LinesUdp.delivered"), 1);
}

#[test]
fn an_injected_message_is_printed() {
    let place = Place::new();
    let daemon = quickstart(&place);
    let address = place.at(5565).to_string();
    tools::succeed(&["inject", "--heka", &address, "--payload", "hello by inject"]);
    daemon.wait_for("hello by inject\n");
    let ended = daemon.stop();
    assert_eq!(ended.count("inputs.HekaTcp.delivered"), 1);
}

#[test]
fn a_signed_flood_is_counted() {
    let place = Place::new();
    let daemon = quickstart(&place);
    let address = place.at(5565).to_string();
    tools::succeed(&[
        "flood",
        "--address",
        &address,
        "--messages",
        "20000",
        "--size",
        "1024",
        "--signed",
        "100",
        "--signer",
        "quickstart",
        "--hmac-key",
        "secret",
    ]);
    let ended = daemon.stop();
    assert_eq!(ended.count("inputs.HekaTcp.received"), 20_000);
    assert_eq!(ended.count("filters.CountFlood.delivered"), 20_000);
}
