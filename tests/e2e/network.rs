//! Other ways in and out: datagrams, Unix sockets, TLS.
//!
//! Owns:    relays over each.
//! Runs on: tests.            Plane: both.
//! Bounds:  some hundred datagrams at a time, which every socket's buffer holds.
//! Never:   expects a datagram that the kernel may drop.

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tests::daemon::connect;
use tests::sink::assert_complete_and_ordered;
use tests::{Daemon, Place, Sink, tools};

use crate::authority::Authority;

#[test]
fn datagrams_come_and_go() {
    let place = Place::new();
    let receiver = UdpSocket::bind(place.at(5141)).expect("a free port");
    receiver
        .set_read_timeout(Some(tests::PATIENCE))
        .expect("a socket option");
    let config = r#"
[In]
type = "UdpInput"
address = "{host}:5140"

[Out]
type = "UdpOutput"
message_matcher = "Type == 'In'"
address = "{host}:5141"
encoder = "AsItCame"

[AsItCame]
type = "PayloadEncoder"
append_newlines = false
"#;
    let daemon = Daemon::start(&place, config);
    let sender = UdpSocket::bind((place.host(), 0)).expect("a socket");
    let mut buffer = [0; 2048];
    for number in 0..200 {
        let text = format!("datagram {number}");
        sender
            .send_to(text.as_bytes(), place.at(5140))
            .expect("it is sent");
        let got = receiver.recv(&mut buffer).expect("it comes");
        assert_eq!(&buffer[..got], text.as_bytes());
    }
    let ended = daemon.stop();
    assert_eq!(ended.count("inputs.In.delivered"), 200);
}

#[test]
fn a_flood_of_empty_datagrams_holds_nothing_up_and_leaves_nothing_running() {
    let place = Place::new();
    let config = r#"
[Datagrams]
type = "UdpInput"
address = "{host}:5140"

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
    let daemon = Daemon::start(&place, config);
    let sender = UdpSocket::bind((place.host(), 0)).expect("a socket");
    sender.connect(place.at(5140)).expect("an address");
    let enough = Arc::new(AtomicBool::new(false));
    let flood = {
        let (enough, sender) = (Arc::clone(&enough), sender.try_clone().expect("a socket"));
        std::thread::spawn(move || {
            while !enough.load(Ordering::Acquire) {
                // What the kernel drops is of no interest.
                let _ = sender.send(b"");
            }
        })
    };
    let mut stream = connect(place.at(5140));
    // A starved shard takes seconds for each.
    let begun = Instant::now();
    for number in 0..100 {
        let line = format!("line {number}.\n");
        stream.write_all(line.as_bytes()).expect("it reads");
        daemon.wait_for(&line);
        assert!(
            begun.elapsed() < tests::PATIENCE,
            "starved at line {number}"
        );
    }
    enough.store(true, Ordering::Release);
    flood.join().expect("no panic");
    // The socket's queue may still be full of the flood: then the kernel drops what comes.
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let begun = Instant::now();
            while !done.load(Ordering::Acquire) && begun.elapsed() < tests::PATIENCE {
                sender.send(b"not empty\n").expect("it is sent");
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        daemon.wait_for("not empty\n");
        done.store(true, Ordering::Release);
    });
    // A shard that takes the socket for readable for ever would now use all the time that it gets.
    let before = daemon.processor_time();
    std::thread::sleep(Duration::from_secs(2));
    let used = daemon.processor_time() - before;
    assert!(used < Duration::from_millis(500), "{used:?} for nothing");
    let ended = daemon.stop();
    assert_eq!(ended.count("inputs.Lines.delivered"), 100);
    // Empty datagrams hold no record and use nothing up.
    assert_eq!(ended.count("inputs.Datagrams.dropped.does_not_fit"), 0);
}

#[test]
fn a_unix_socket_is_an_input() {
    let place = Place::new();
    let config = r#"
[In]
type = "UdpInput"
net = "unixgram"
address = "{dir}/in.sock"

[Log]
type = "LogOutput"
message_matcher = "TRUE"
encoder = "PayloadEncoder"

[PayloadEncoder]
"#;
    let daemon = Daemon::start(&place, config);
    let path = place.path("in.sock");
    let sender = UnixDatagram::unbound().expect("a socket");
    sender
        .send_to(b"by the file system", &path)
        .expect("it is sent");
    daemon.wait_for("by the file system");
    let listening = format!(
        "Plugin 'In': listening on {} (Unix datagram socket)\n",
        path.display()
    );
    assert!(daemon.said().contains(&listening), "{}", daemon.said());
    let ended = daemon.stop();
    assert_eq!(ended.count("inputs.In.delivered"), 1);
    assert!(!path.exists(), "the socket's file is left");
}

/// Two daemons with TLS between them. The receiver asks for a certificate of the authority in `{dir}`.
const TLS_IN: &str = r#"
[In]
type = "TcpInput"
address = "{host}:5566"
use_tls = true
[In.tls]
cert_file = "{authority}/cert.pem"
key_file = "{authority}/key.pem"
client_auth = "RequireAndVerifyClientCert"
client_cafile = "{authority}/root.pem"

[Out]
type = "TcpOutput"
use_buffering = false
message_matcher = "TRUE"
address = "{host}:5567"
"#;

const TLS_OUT: &str = r#"
[In]
type = "TcpInput"
address = "{host}:5565"

[Out]
type = "TcpOutput"
use_buffering = false
message_matcher = "TRUE"
address = "{host}:5566"
use_tls = true
[Out.tls]
server_name = "receiver.example"
root_cafile = "{authority}/root.pem"
cert_file = "{authority}/cert.pem"
key_file = "{authority}/key.pem"
[Out.retries]
delay = "10ms"
max_delay = "50ms"
max_jitter = "1ms"
"#;

fn with_authority(config: &str, authority: &Authority) -> String {
    config.replace("{authority}", authority.path("").trim_end_matches('/'))
}

fn issued() -> Authority {
    let authority = Authority::new();
    authority.issue(&["receiver.example"], 2100);
    authority
}

#[test]
fn a_relay_with_tls_and_certificates_on_both_sides() {
    let place = Place::new();
    let authority = issued();
    let sink = Sink::listen(place.at(5567));
    let receiver = Daemon::start(&place, &with_authority(TLS_IN, &authority));
    let sender = Daemon::start(&place, &with_authority(TLS_OUT, &authority));
    let address = place.at(5565).to_string();
    tools::succeed(&[
        "flood",
        "--address",
        &address,
        "--messages",
        "20000",
        "--size",
        "500",
        "--connections",
        "2",
    ]);
    let sent = sender.stop();
    assert_eq!(sent.count("inputs.In.delivered"), 20_000);
    sink.wait_for(20_000);
    let received = receiver.stop();
    assert_eq!(received.count("inputs.In.delivered"), 20_000);
    assert_complete_and_ordered(&sink.streams().concat(), 2, 20_000);
}

#[test]
fn a_client_of_another_authority_is_refused_and_waits() {
    let place = Place::new();
    let (ours, theirs) = (issued(), issued());
    let receiver = Daemon::start(&place, &with_authority(TLS_IN, &ours));
    let strange = with_authority(TLS_OUT, &ours)
        .replace(&ours.path("cert.pem"), &theirs.path("cert.pem"))
        .replace(&ours.path("key.pem"), &theirs.path("key.pem"));
    let sender = Daemon::start(&place, &strange);
    tools::succeed(&[
        "inject",
        "--heka",
        &place.at(5565).to_string(),
        "--payload",
        "not for you",
    ]);
    receiver.wait_for("Plugin 'In': connection from");
    sender.wait_for("Plugin 'Out'");
    sender.kill();
    // Plain text is no handshake, and harms nobody.
    let mut plain = connect(place.at(5566));
    plain.write_all(b"hello\n").expect("it reads");
    drop(plain);
    let ended = receiver.stop();
    assert_eq!(ended.count("inputs.In.received"), 0, "{}", ended.said);
}

/// Arguments of a tool that connects with TLS, as a client that the receiver knows.
fn tls_flags(authority: &Authority) -> Vec<String> {
    let [ca, cert, key] = ["root.pem", "cert.pem", "key.pem"].map(|file| authority.path(file));
    let mut flags = vec!["--tls".to_owned()];
    for (flag, value) in [
        ("--tls-ca", ca),
        ("--tls-cert", cert),
        ("--tls-key", key),
        ("--tls-server-name", "receiver.example".to_owned()),
    ] {
        flags.extend([flag.to_owned(), value]);
    }
    flags
}

fn with<'a>(arguments: &[&'a str], flags: &'a [String]) -> Vec<&'a str> {
    let flags = flags.iter().map(String::as_str);
    arguments.iter().copied().chain(flags).collect()
}

#[test]
fn the_tools_speak_tls() {
    let place = Place::new();
    let authority = issued();
    let sink = Sink::listen(place.at(5567));
    let receiver = Daemon::start(&place, &with_authority(TLS_IN, &authority));
    let address = place.at(5566).to_string();
    let flags = tls_flags(&authority);
    let flood = [
        "flood",
        "--address",
        &address,
        "--messages",
        "20000",
        "--connections",
        "2",
    ];
    tools::succeed(&with(&flood, &flags));
    sink.wait_for(20_000);
    tools::succeed(&with(
        &["inject", "--heka", &address, "--payload", "x"],
        &flags,
    ));
    let ended = receiver.stop();
    assert_eq!(ended.count("inputs.In.delivered"), 20_001, "{}", ended.said);
    // They end their connections as TLS wants it.
    assert_eq!(ended.count("inputs.In.stream_errors"), 0, "{}", ended.said);
}

#[test]
fn the_tools_say_why_a_handshake_failed() {
    let place = Place::new();
    let (authority, other) = (issued(), issued());
    let sink = Sink::listen(place.at(5567));
    let receiver = Daemon::start(&place, &with_authority(TLS_IN, &authority));
    let greeter = TcpListener::bind(place.at(2525)).expect("a free port");
    let plain = greeter.local_addr().expect("it is bound").to_string();
    let greeting = std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = greeter.accept().expect("a tool connects");
            stream.write_all(b"220 hello\n").expect("it is there");
            // Until the tool has heard enough.
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    let encrypted = place.at(5566).to_string();
    let flags = tls_flags(&authority);
    let strange = tls_flags(&other);
    let (ca, name) = (&flags[..3], &flags[7..]);
    let nobody = [ca, name].concat();
    for (address, flags, expected) in [
        (&encrypted, &nobody[..], "asks for a certificate"),
        (
            &encrypted,
            &strange[..],
            "nobody whom we trust has signed the server's certificate",
        ),
        (&encrypted, &flags[..7], "`--tls-server-name`"),
        (&plain, &flags[..], "the server does not speak TLS"),
    ] {
        for tool in [
            ["inject", "--heka", address, "--payload", "x"],
            ["flood", "--address", address, "--messages", "5"],
        ] {
            let output = tools::run(&with(&tool, flags));
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{tool:?}: {said}");
            assert!(said.contains(expected), "{tool:?}: {said}");
            assert!(said.contains(address.as_str()), "{tool:?}: {said}");
        }
    }
    greeting.join().expect("both tools came");
    let ended = receiver.stop();
    assert_eq!(ended.count("inputs.In.received"), 0, "{}", ended.said);
    drop(sink);
}
