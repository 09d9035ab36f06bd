//! Who may use sockets, how much of them, and what ends a wait.
//!
//! Owns:    the tests of limits, of the stop, and of kinds that have no sockets.
//! Runs on: tests; scripts that are stopped on a thread of their own.            Plane: data.
//! Bounds:  a wait that would never end is ended by its stop.
//! Never:   guesses when a script waits: its peer has seen it before.

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use sandbox::{Cause, Kind, NoHost, Program, Sandbox, Settings, Stopper, Subject, Terminated};

use super::{PATIENCE, run, sandbox, serve, settings, try_run};

#[test]
fn only_inputs_and_outputs_have_sockets() {
    for module in [
        "socket",
        "socket.core",
        "socket.http",
        "socket.url",
        "mime",
        "mime.core",
        "ltn12",
    ] {
        let source = format!(
            "local m = require '{module}' function process_message() return 0, type(m) end"
        );
        let program = Arc::new(Program::compile("test.lua", source.as_bytes()).expect("Lua"));
        for kind in [Kind::Decoder, Kind::Filter, Kind::Encoder] {
            let ended = Sandbox::new(&program, Settings::new(kind, "test")).expect_err("disabled");
            let said = format!("test.lua:1: module '{module}' disabled");
            assert_eq!(ended.text, said, "{kind:?}");
        }
        for kind in [Kind::Input, Kind::Output] {
            let made = Sandbox::new(&program, Settings::new(kind, "test"));
            assert!(made.is_ok(), "{module} in {kind:?}: {made:?}");
        }
    }
}

#[test]
fn a_file_of_the_users_comes_before_a_module_of_ours() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("mime.lua"), "return { mine = true }").expect("writable");
    let mut settings = Settings::new(Kind::Decoder, "test");
    settings.module_directories = vec![folder.path().to_owned()];
    let program = Program::compile("test.lua", b"assert(require('mime').mine)").expect("Lua");
    assert!(Sandbox::new(&Arc::new(program), settings).is_ok());
}

#[test]
fn what_is_received_stays_within_the_memory() {
    for pattern in ["'*a'", "'*l'", "1e9", "500000"] {
        let server = serve(1, |_, line| {
            let mut stream = line.0.into_inner();
            let bytes = [b'x'; 4096];
            // Until the script has had enough.
            while stream.write_all(&bytes).is_ok() {}
        });
        let mut settings = settings(server.port);
        settings.limits.memory_bytes = 256 * 1024;
        let body = format!(
            "local c = assert(socket.connect('127.0.0.1', port)) local ok, why = pcall(c.receive, c, {pattern}) c:close() return list(ok, why)"
        );
        let text = try_run(settings, &body).expect("the script goes on");
        assert!(text.starts_with("false|"), "{text}");
        assert!(text.ends_with("not enough memory"), "{text}");
        server.end();
    }
}

#[test]
fn a_number_of_bytes_is_no_wish_for_memory() {
    let server = serve(1, |_, mut line| line.write("all of it"));
    let body = "return list(assert(socket.connect('127.0.0.1', port)):receive(2^40))";
    assert_eq!(run(server.port, body), "nil|closed|all of it");
}

#[test]
fn what_is_coded_stays_within_the_memory() {
    let mut settings = settings(0);
    settings.limits.memory_bytes = 1024 * 1024;
    let body = r#"
        local mime = require "mime"
        local text = string.rep("\n", 100000)
        return list(pcall(mime.eol, 0, text, string.rep("x", 100000)))
    "#;
    let text = try_run(settings, body).expect("the script goes on");
    assert!(text.ends_with("not enough memory"), "{text}");
}

/// Runs a body on a thread of its own until `ready` has seen that it has come to its wait, and stops it there.
fn stopped(port: u16, body: &str, ready: impl FnOnce()) -> Terminated {
    let (tell, told) = mpsc::channel::<Stopper>();
    let body = body.to_owned();
    let running = thread::spawn(move || {
        let mut sandbox = sandbox(settings(port), &body);
        tell.send(sandbox.stopper()).expect("the test waits");
        let returned = sandbox.process_message(Subject::Nothing, &mut NoHost);
        let ended = returned
            .map(|returned| returned.status)
            .expect_err("it is stopped");
        // It can still be preserved: nothing is wrong with it.
        assert!(sandbox.ended().is_none());
        ended
    });
    let stopper = told.recv_timeout(PATIENCE).expect("a sandbox");
    ready();
    stopper.stop();
    running.join().expect("no panic")
}

#[test]
fn a_stop_ends_whatever_waits() {
    for wait in [
        "c:receive()",
        "c:receive('*a')",
        "pcall(c.receive, c)",
        "coroutine.wrap(function() c:receive() end)()",
        "socket.protect(function() socket.try(c:receive()) end)()",
        "socket.select({ c })",
        "socket.select(nil, nil, 1e6)",
        "socket.sleep(1e6)",
        "c:settimeout(1e9) while true do c:receive(1) end",
        "while true do c:settimeout(0) c:receive(1) end",
        "while true do local ok, why = pcall(c.receive, c) end",
        "repeat until not c:send(string.rep('x', 1e5))",
        "assert(socket.bind('127.0.0.1', 0)):accept()",
        "local u = socket.udp() u:setsockname('127.0.0.1', 0) u:receivefrom()",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let body = format!(
            "local c = assert(socket.connect('127.0.0.1', port)) c:send('here') {wait} return 'went on'"
        );
        let mut peer = None;
        let ended = stopped(port, &body, || {
            let (mut stream, _) = listener.accept().expect("a client");
            stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
            let mut here = [0; 4];
            stream
                .read_exact(&mut here)
                .expect("the script has come here");
            peer = Some(stream);
        });
        assert_eq!(ended.cause, Cause::Stopped, "{wait}: {}", ended.text);
        assert!(
            ended.text.ends_with("shutting down"),
            "{wait}: {}",
            ended.text
        );
    }
}

#[test]
fn a_script_that_was_stopped_before_does_not_wait() {
    let peer = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = peer.local_addr().expect("bound").port();
    let mut sandbox = sandbox(settings(port), "socket.sleep(1e6) return 'went on'");
    sandbox.stopper().stop();
    let ended = sandbox
        .process_message(Subject::Nothing, &mut NoHost)
        .map(|returned| returned.status)
        .expect_err("it is stopped");
    assert_eq!(ended.cause, Cause::Stopped);
}

#[test]
fn a_wait_is_no_processor_time() {
    let mut settings = settings(0);
    settings.limits.cpu_time = std::time::Duration::from_millis(1);
    settings.limits.wall_time = std::time::Duration::from_millis(1);
    let text = try_run(settings, "socket.sleep(0.2) return 'went on'").expect("no limit holds");
    assert_eq!(text, "went on");
}

#[test]
fn sockets_are_not_preserved_and_do_not_hinder_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("state");
    let mut with_state = settings(0);
    with_state.preserve = Some(file);
    let body = r#"
        local http = require "socket.http"
        count = (count or 0) + 1
        kept = socket.tcp4()
        return list(count, type(kept))
    "#;
    for expected in ["1|userdata", "2|userdata"] {
        let mut sandbox = sandbox(with_state.clone(), body);
        let returned = sandbox.process_message(Subject::Nothing, &mut NoHost);
        let text = returned.expect("it runs").text.unwrap_or_default().to_vec();
        assert_eq!(String::from_utf8_lossy(&text), expected);
        assert!(sandbox.preserve().expect("it is written"));
    }
    assert_eq!(run(0, "return tostring(count)"), "nil");
}
