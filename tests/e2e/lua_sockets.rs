//! Scripts that wait for sockets, under the real binary: the daemon ends without waiting for them.
//!
//! Owns:    the claims about the end of a SandboxInput and a SandboxOutput in the middle of a call.
//! Runs on: tests.            Plane: both.
//! Bounds:  one connection for each run of a script.
//! Never:   stops the daemon before the script has come to its wait.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use nix::sys::signal::Signal;
use tests::Daemon;

use super::lua::{config, making, place, send};

/// A service that takes what a script sends and never answers, and the port that it is at.
fn silent() -> (TcpListener, u16) {
    let service = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = service.local_addr().expect("bound").port();
    (service, port)
}

/// Waits until a script has sent a line to the service; the connection stays as long as what this answers.
fn asked(service: &TcpListener) -> (TcpStream, String) {
    let (stream, _) = service.accept().expect("a script");
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .expect("not zero");
    let mut line = String::new();
    BufReader::new(&stream)
        .read_line(&mut line)
        .expect("a line");
    (stream, line)
}

#[test]
fn an_input_that_waits_for_a_socket_ends_with_the_daemon() {
    let script = r#"
        local socket = require "socket"
        count = 0
        function process_message()
            count = count + 1
            local c = assert(socket.connect("127.0.0.1", read_config("port")))
            c:send("number " .. count .. "\n")
            c:receive("*a")
            return 1, "it went on"
        end
    "#;
    let place = place("make.lua", script);
    let (service, port) = silent();
    let text = making(&format!(
        "preserve_data = true\n[Make.config]\nport = {port}\n"
    ));
    for expected in ["number 1\n", "number 2\n"] {
        let daemon = Daemon::start(&place, &text);
        let (_stays, line) = asked(&service);
        assert_eq!(line, expected);
        let ended = daemon.stop();
        assert_eq!(ended.status, 0);
        assert!(!ended.said.contains("it went on"), "{}", ended.said);
    }
}

#[test]
fn an_output_that_waits_for_a_socket_ends_with_the_daemon() {
    let script = r#"
        local socket = require "socket"
        count = 0
        function process_message()
            count = count + 1
            local c = assert(socket.connect("127.0.0.1", read_config("port")))
            c:send(count .. " " .. read_message("Payload") .. "\n")
            c:receive()
            return 0
        end
    "#;
    let place = place("ask.lua", script);
    let (service, port) = silent();
    let output = |options: &str| {
        format!(
            "[Ask]\ntype = 'SandboxOutput'\nfilename = 'ask.lua'\nmessage_matcher = 'TRUE'\npreserve_data = true\n{options}[Ask.config]\nport = {port}\n"
        )
    };
    // What no queue keeps is lost, and said to be.
    let daemon = Daemon::start(&place, &config("TRUE", &output("")));
    send(&place, "a\n");
    let (_stays, line) = asked(&service);
    assert_eq!(line, "1 a\n");
    daemon.signal(Signal::SIGTERM);
    let ended = daemon.ended();
    assert!(
        ended
            .said
            .contains("its script did not come back from a call"),
        "{}",
        ended.said
    );
    assert_eq!(ended.status, 1);
    assert_eq!(ended.count("outputs.Ask.dropped.destination_ended"), 1);
    // What a queue keeps comes again; the script goes on where it was.
    let queued = config("TRUE", &output("use_buffering = true\n"));
    for number in [2, 3] {
        let daemon = Daemon::start(&place, &queued);
        if number == 2 {
            send(&place, "b\n");
        }
        let (_stays, line) = asked(&service);
        assert_eq!(line, format!("{number} b\n"));
        assert_eq!(daemon.stop().status, 0);
    }
}
