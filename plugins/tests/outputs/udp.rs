//! UdpOutput to sockets that listen, are slow, are not there, or come later.
//!
//! Owns:    the receiving sockets, and what they received.
//! Runs on: the test's thread, and one thread for the shard.            Plane: both.
//! Bounds:  every wait has a deadline and fails its test.
//! Never:   depends on speed.

use std::net::UdpSocket;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use engine::event::DropCause;
use serde_json::{Value, json};

use super::harness::{PATIENCE, Payload, Rig, build, lines, numbers};

const WIDTH: usize = 100;

fn quick() -> Value {
    json!({ "retries": { "delay": "20ms", "max_delay": "50ms", "max_jitter": "1ms", "max_retries": -1 } })
}

fn start(own: &Value) -> Rig {
    Rig::start("UdpOutput", own, &quick(), Payload::InPlace)
}

fn udp(address: &str) -> (UdpSocket, String) {
    let socket = UdpSocket::bind(address).expect("a free port");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let address = socket.local_addr().expect("an address").to_string();
    (socket, address)
}

fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = [0; 70_000];
    let (bytes, _) = socket.recv_from(&mut buffer).expect("a datagram");
    buffer[..bytes].to_vec()
}

fn receive_unix(socket: &UnixDatagram, count: usize) -> Vec<usize> {
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut received = Vec::new();
    for _ in 0..count {
        let mut buffer = [0; 1000];
        let bytes = socket.recv(&mut buffer).expect("a datagram");
        received.extend(numbers(&buffer[..bytes], WIDTH));
    }
    received
}

#[test]
fn each_message_is_a_datagram_of_its_own() {
    for (bind, net) in [
        ("127.0.0.1:0", "udp"),
        ("127.0.0.1:0", "udp4"),
        ("[::1]:0", "udp6"),
    ] {
        let (socket, address) = udp(bind);
        let mut rig = start(&json!({ "address": address, "net": net }));
        for number in 0..100 {
            rig.feed(&lines(number, number + 1, WIDTH));
            assert_eq!(receive(&socket), lines(number, number + 1, WIDTH));
        }
        let snapshot = rig.stop();
        assert_eq!(snapshot.ledgers[0].delivered, 100);
        assert_eq!(snapshot.consumers[0].bytes, 100 * WIDTH as u64);
    }
}

#[test]
fn the_local_address_is_used() {
    let (socket, address) = udp("127.0.0.1:0");
    let (free, local) = udp("127.0.0.1:0");
    drop(free);
    let mut rig = start(&json!({ "address": address, "local_address": local }));
    rig.feed(b"x\n");
    let (_, sender) = socket.recv_from(&mut [0; 10]).expect("a datagram");
    assert_eq!(sender.to_string(), local);
    rig.stop();
}

#[test]
fn too_long_messages_are_dropped_and_told() {
    let (socket, address) = udp("127.0.0.1:0");
    let mut rig = start(&json!({ "address": address, "max_message_size": 512 }));
    rig.feed(&[&lines(0, 1, 512)[..], &lines(1, 2, 513), &lines(2, 3, 512)].concat());
    assert_eq!(receive(&socket), lines(0, 1, 512));
    assert_eq!(receive(&socket), lines(2, 3, 512));
    let notice = rig.wait_notice("too long");
    assert!(notice.contains("513") && notice.contains("512"), "{notice}");
    let ledger = rig.stop().ledgers[0];
    assert_eq!(ledger.delivered, 2);
    assert_eq!(ledger.dropped.get(DropCause::Refused), 1);
}

#[test]
fn what_the_kernel_finds_too_long_is_dropped_as_well() {
    let (socket, address) = udp("127.0.0.1:0");
    let mut rig = start(&json!({ "address": address, "max_message_size": 100_000 }));
    rig.feed(&[&lines(0, 1, 65_510)[..], &lines(1, 2, WIDTH)].concat());
    assert_eq!(receive(&socket), lines(1, 2, WIDTH));
    rig.wait_notice("too long");
    let ledger = rig.stop().ledgers[0];
    assert_eq!(
        (ledger.delivered, ledger.dropped.get(DropCause::Refused)),
        (1, 1)
    );
}

#[test]
fn what_a_port_without_listener_refuses_is_dropped_and_told_and_nothing_ends() {
    let (socket, address) = udp("127.0.0.1:0");
    drop(socket);
    let mut rig = start(&json!({ "address": address }));
    // One at a time, and many in one parcel.
    for (from, to) in [(0, 1), (1, 2), (2, 20)] {
        rig.feed(&lines(from, to, WIDTH));
        let snapshot = rig.wait_for("loss", |snapshot| {
            let ledger = snapshot.ledgers[0];
            (ledger.received, ledger.in_flight()) == (to as u64, 0)
        });
        let ledger = snapshot.ledgers[0];
        assert_eq!(ledger.dropped.get(DropCause::Refused), to as u64);
    }
    rig.wait_notice("nobody listens");
    let socket = UdpSocket::bind(&address).expect("the port is still free");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    rig.feed(&lines(20, 21, WIDTH));
    assert_eq!(receive(&socket), lines(20, 21, WIDTH));
    let snapshot = rig.stop();
    assert_eq!(snapshot.ledgers[0].delivered, 1);
    // No message was sent twice.
    assert_eq!(snapshot.consumers[0].retries, 0);
}

#[test]
fn a_slow_reader_of_a_unix_socket_gets_everything() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let address = SocketAddr::from_abstract_name(path.as_os_str().as_encoded_bytes());
    let abstract_socket = UnixDatagram::bind_addr(&address.expect("short")).expect("free");
    let socket = UnixDatagram::bind(&path).expect("free");
    let path = path.to_str().expect("text");
    for (address, socket) in [
        (path.to_owned(), socket),
        (format!("@{path}"), abstract_socket),
    ] {
        let mut rig = start(&json!({ "net": "unixgram", "address": address }));
        let count = 20_000;
        let mut feed = rig.feed.take().expect("the feed is open");
        let feeder = std::thread::spawn(move || {
            std::io::Write::write_all(&mut feed, &lines(0, count, WIDTH)).expect("the input reads");
        });
        rig.wait_for("stall", |snapshot| snapshot.queues[0] > 0);
        assert_eq!(receive_unix(&socket, count), Vec::from_iter(0..count));
        feeder.join().expect("no panic");
        assert_eq!(rig.stop().ledgers[0].delivered, count as u64);
    }
}

#[test]
fn a_unix_socket_that_comes_later_and_goes_and_comes_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let local = folder.path().join("local");
    let mut rig = start(&json!({ "net": "unixgram", "address": path, "local_address": local }));
    for round in 0..3 {
        rig.feed(&lines(round * 10, round * 10 + 10, WIDTH));
        let notice = rig.wait_notice("cannot send");
        assert!(notice.contains("trying again"), "{notice}");
        let socket = UnixDatagram::bind(&path).expect("free");
        assert_eq!(
            receive_unix(&socket, 10),
            Vec::from_iter(round * 10..round * 10 + 10)
        );
        rig.wait_notice("again");
        assert!(local.exists());
        std::fs::remove_file(&path).expect("there");
    }
    assert_eq!(rig.stop().ledgers[0].delivered, 30);
    assert!(!local.exists());
}

#[test]
fn wrong_options_are_told() {
    let errors = |own: Value| {
        build("UdpOutput", &own, &json!({}))
            .err()
            .unwrap_or_default()
    };
    assert!(errors(json!({ "address": ":5565" })).is_empty());
    assert!(errors(json!({ "address": "@name", "net": "unixgram" })).is_empty());
    assert_eq!(errors(json!({ "address": "somewhere" })).len(), 1);
    assert_eq!(errors(json!({ "address": "", "net": "unixgram" })).len(), 1);
}
