//! Everything goes wrong at once, and the ledger still balances.
//!
//! Owns:    clients that break off, hang and send rubbish; a peer that is killed; signals at any time.
//! Runs on: tests, a thread a client.            Plane: both.
//! Bounds:  `ROUNDS`.
//! Never:   kills the daemon whose ledger is checked.

use std::io::Write;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use nix::sys::signal::Signal;
use nix::sys::socket::{setsockopt, sockopt::Linger};
use tests::daemon::connect;
use tests::wire::{frame, message};
use tests::{Daemon, Ended, Place, tools, until};

const ROUNDS: u64 = 12;

/// The daemon in the middle: three inputs; a file, a peer that comes and goes, and a port that nobody listens on.
const CONFIG: &str = r#"
[Frames]
type = "TcpInput"
address = "{host}:5565"

[Lines]
type = "TcpInput"
address = "{host}:5140"
splitter = "TokenSplitter"
decoder = ""

[Datagrams]
type = "UdpInput"
address = "{host}:5140"

[Count]
type = "CounterFilter"
message_matcher = "Type != 'heka.counter-output'"
ticker_interval = 1

[File]
type = "FileOutput"
message_matcher = "Type != 'heka.counter-output'"
path = "{dir}/all.log"
encoder = "ProtobufEncoder"

[Relay]
type = "TcpOutput"
use_buffering = false
message_matcher = "TRUE"
address = "{host}:5566"
[Relay.retries]
delay = "10ms"
max_delay = "50ms"
max_jitter = "1ms"

[Nobody]
type = "UdpOutput"
message_matcher = "Type == 'Datagrams'"
address = "{host}:9"
encoder = "PayloadEncoder"

[PayloadEncoder]
"#;

const PEER: &str = r#"
[In]
type = "TcpInput"
address = "{host}:5566"

[Count]
type = "CounterFilter"
message_matcher = "TRUE"
"#;

/// Clients that go on until they are told to stop.
struct Clients {
    enough: Arc<AtomicBool>,
    rounds: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Clients {
    /// Starts one; `round` is what it does again and again.
    fn start(&mut self, mut round: impl FnMut(u64) + Send + 'static) {
        let (enough, rounds) = (Arc::clone(&self.enough), Arc::clone(&self.rounds));
        self.threads.push(std::thread::spawn(move || {
            for number in 0.. {
                if enough.load(Ordering::Acquire) {
                    return;
                }
                round(number);
                rounds.fetch_add(1, Ordering::AcqRel);
            }
        }));
    }

    fn stop(self) {
        self.enough.store(true, Ordering::Release);
        for thread in self.threads {
            thread.join().expect("a client does not panic");
        }
    }
}

/// Sends whole frames and a part of one, then ends the connection: by a reset, or in order.
fn broken_frames(to: SocketAddr, number: u64) {
    let mut stream = connect(to);
    let whole = frame(&message("TEST", "chaos", number));
    let mut bytes = whole.repeat(20);
    bytes.extend_from_slice(&whole[..(number as usize) % whole.len()]);
    // The connection may be reset by the other side as well.
    let _ = stream.write_all(&bytes);
    if number.is_multiple_of(2) {
        let linger = nix::libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        setsockopt(&stream.as_fd(), Linger, &linger).expect("a socket option");
    }
}

fn broken_lines(to: SocketAddr, number: u64) {
    let mut stream = connect(to);
    let _ = stream.write_all(format!("line {number}\nanother\n\nunfinished").as_bytes());
}

fn clients(place: &Place) -> Clients {
    let mut clients = Clients {
        enough: Arc::default(),
        rounds: Arc::default(),
        threads: Vec::new(),
    };
    let (frames, lines) = (place.at(5565), place.at(5140));
    clients.start(move |number| broken_frames(frames, number));
    clients.start(move |number| broken_lines(lines, number));
    let sender = UdpSocket::bind((place.host(), 0)).expect("a socket");
    clients.start(move |number| {
        let text = format!("datagram {number}");
        let bytes = if number.is_multiple_of(3) { "" } else { &text };
        // What the kernel does not take was not sent.
        let _ = sender.send_to(bytes.as_bytes(), lines);
    });
    clients
}

/// Checks what is not true by the way the counters are made: what came in is what went out.
fn check(ended: &Ended, in_file: u64) {
    assert_eq!(ended.status, 0, "{}", ended.said);
    let mut taken = 0;
    for input in ["Frames", "Lines", "Datagrams"] {
        let ledger = &ended.report["inputs"][input];
        assert!(
            ended.count(&format!("inputs.{input}.received")) > 0,
            "{ledger}"
        );
        assert_eq!(
            ended.count(&format!("inputs.{input}.in_flight")),
            0,
            "{ledger}"
        );
        taken += ended.count(&format!("inputs.{input}.delivered"));
        taken += ended.count(&format!("inputs.{input}.dropped.refused"));
    }
    assert!(ended.count("inputs.Frames.dropped.incomplete") > 0);
    assert!(ended.count("inputs.Lines.dropped.incomplete") > 0);
    assert!(ended.count("inputs.Datagrams.dropped.refused") > 0);
    assert_eq!(ended.count("outputs.File.delivered"), taken);
    assert_eq!(ended.count("filters.Count.delivered"), taken);
    assert_eq!(in_file, taken);
}

#[test]
fn the_ledger_balances_whatever_breaks() {
    let place = Place::new();
    let daemon = Daemon::start(&place, CONFIG);
    let mut peer = Daemon::start(&place, PEER);
    let clients = clients(&place);
    let mut half_open: Vec<TcpStream> = Vec::new();
    for round in 0..ROUNDS {
        let before = clients.rounds.load(Ordering::Acquire);
        until("the clients", || {
            (clients.rounds.load(Ordering::Acquire) > before + 50).then_some(())
        });
        let mut stream = connect(place.at(5565));
        stream
            .write_all(&frame(&message("TEST", "half open", round))[..20])
            .expect("it reads");
        half_open.push(stream);
        daemon.signal(Signal::SIGHUP);
        peer.kill();
        daemon.report();
        peer = Daemon::start(&place, PEER);
    }
    clients.stop();
    let ended = daemon.stop();
    peer.stop();
    drop(half_open);
    let file = place.path("all.log");
    let count = tools::succeed(&[
        "cat",
        "--format",
        "count",
        file.to_str().expect("a plain path"),
    ]);
    check(&ended, count.trim().parse().expect("a count"));
}
