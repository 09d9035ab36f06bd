//! TcpOutput against peers that are late, close, break off or stop reading.
//!
//! Owns:    the peers, and what they received.
//! Runs on: the test's thread, and one thread for the shard.            Plane: both.
//! Bounds:  every wait has a deadline and fails its test.
//! Never:   depends on speed.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use engine::shard::run::ToShard;
use serde_json::{Value, json};

use super::harness::{PATIENCE, Payload, Rig, build, lines, numbers};

const WIDTH: usize = 100;

/// Short waits, so that the tests are quick; nothing depends on them.
fn quick() -> Value {
    json!({ "retries": { "delay": "20ms", "max_delay": "50ms", "max_jitter": "1ms", "max_retries": -1 } })
}

fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    (listener, address)
}

fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

fn read_exact(stream: &mut TcpStream, bytes: usize) -> Vec<u8> {
    let mut read = vec![0; bytes];
    stream.read_exact(&mut read).expect("so many bytes");
    read
}

fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut read = Vec::new();
    stream.read_to_end(&mut read).expect("an orderly end");
    read
}

#[test]
fn everything_arrives_in_order_and_the_ledger_balances() {
    for encoder in [Payload::InPlace, Payload::Copied] {
        let (listener, address) = listen();
        let mut rig = Rig::start(
            "TcpOutput",
            &json!({ "address": address }),
            &quick(),
            encoder,
        );
        let sent = lines(0, 20_000, WIDTH);
        let reader = std::thread::spawn(move || read_all(&mut accept(&listener)));
        rig.feed(&sent);
        let snapshot = rig.stop();
        assert!(reader.join().expect("no panic") == sent);
        assert_eq!(snapshot.ledgers[0].delivered, 20_000);
        assert_eq!(snapshot.consumers[0].bytes, sent.len() as u64);
        assert_eq!(snapshot.consumers[0].retries, 0);
    }
}

#[test]
fn a_peer_that_comes_up_later_gets_everything() {
    let (listener, address) = listen();
    drop(listener);
    let mut rig = Rig::start(
        "TcpOutput",
        &json!({ "address": address }),
        &quick(),
        Payload::InPlace,
    );
    let sent = lines(0, 1000, WIDTH);
    rig.feed(&sent);
    let notice = rig.wait_notice("cannot connect");
    assert!(
        notice.contains(&address) && notice.contains("trying again in"),
        "{notice}"
    );
    assert_eq!(rig.ledger().delivered, 0);
    let listener = TcpListener::bind(&address).expect("the port is still free");
    let mut stream = accept(&listener);
    assert!(read_exact(&mut stream, sent.len()) == sent);
    rig.wait_notice("connected to");
    rig.stop();
}

#[test]
fn attempts_can_be_limited() {
    let (listener, address) = listen();
    drop(listener);
    let common = json!({ "retries": { "delay": "10ms", "max_delay": "10ms", "max_jitter": "0s", "max_retries": 2 } });
    let mut rig = Rig::start(
        "TcpOutput",
        &json!({ "address": address }),
        &common,
        Payload::InPlace,
    );
    rig.feed(&lines(0, 1, WIDTH));
    let end = rig.wait_notice("gave up");
    assert!(end.contains("max_retries"), "{end}");
    let ledger = rig.stop().ledgers[0];
    assert_eq!((ledger.delivered, ledger.dropped.total()), (0, 1));
}

#[test]
fn a_peer_that_closes_while_idle_costs_nothing() {
    let (listener, address) = listen();
    let mut rig = Rig::start(
        "TcpOutput",
        &json!({ "address": address }),
        &quick(),
        Payload::InPlace,
    );
    for round in 0..3 {
        let sent = lines(round, round + 1, WIDTH);
        rig.feed(&sent);
        let mut stream = accept(&listener);
        assert_eq!(read_exact(&mut stream, sent.len()), sent);
        drop(stream);
        rig.wait_notice("closed by the peer");
    }
    assert_eq!(rig.stop().ledgers[0].delivered, 3);
}

#[test]
fn what_comes_right_after_the_end_of_a_connection_goes_over_the_next() {
    let (listener, address) = listen();
    let mut rig = Rig::start(
        "TcpOutput",
        &json!({ "address": address }),
        &quick(),
        Payload::InPlace,
    );
    let count = 60;
    for number in 0..count {
        rig.feed(&lines(number, number + 1, WIDTH));
        let mut stream = accept(&listener);
        assert_eq!(
            read_exact(&mut stream, WIDTH),
            lines(number, number + 1, WIDTH)
        );
        // Nobody waits until the output has heard of it.
        drop(stream);
    }
    assert_eq!(rig.stop().ledgers[0].delivered, count as u64);
}

#[test]
fn after_a_break_records_begin_whole_and_none_is_missing() {
    let (listener, address) = listen();
    let mut rig = Rig::start(
        "TcpOutput",
        &json!({ "address": address }),
        &quick(),
        Payload::InPlace,
    );
    let count = 100_000;
    let feed = rig.feed.take().expect("the feed is open");
    let feeder = std::thread::spawn(move || {
        let mut feed = feed;
        feed.write_all(&lines(0, count, WIDTH))
            .expect("the input reads");
    });
    // Half-way through a line, while the output is blocked: a reset, not an orderly end.
    let mut first = accept(&listener);
    let begun = read_exact(&mut first, 1000 * WIDTH + WIDTH / 2);
    let whole = begun.len() / WIDTH;
    assert_eq!(
        numbers(&begun[..whole * WIDTH], WIDTH),
        Vec::from_iter(0..whole)
    );
    socket2::SockRef::from(&first)
        .set_linger(Some(Duration::ZERO))
        .expect("linger");
    drop(first);
    let mut second = accept(&listener);
    let rest = std::thread::spawn(move || read_all(&mut second));
    feeder.join().expect("no panic");
    let snapshot = rig.stop();
    let rest = numbers(&rest.join().expect("no panic"), WIDTH);
    // What the kernel had taken of the first connection and nobody read is lost; from there on nothing is.
    let expected = Vec::from_iter(rest[0]..count);
    assert!(
        rest == expected,
        "{} of {} lines",
        rest.len(),
        expected.len()
    );
    assert_eq!(snapshot.ledgers[0].delivered, count as u64);
}

#[test]
fn connections_are_renewed_after_so_many_messages() {
    let (listener, address) = listen();
    let own = json!({ "address": address, "reconnect_after": 30 });
    let mut rig = Rig::start("TcpOutput", &own, &quick(), Payload::InPlace);
    let reader = std::thread::spawn(move || {
        (0..4)
            .map(|_| numbers(&read_all(&mut accept(&listener)), WIDTH))
            .collect::<Vec<_>>()
    });
    rig.feed(&lines(0, 100, WIDTH));
    rig.stop();
    let connections = reader.join().expect("no panic");
    let sizes: Vec<usize> = connections.iter().map(Vec::len).collect();
    assert_eq!(sizes, [30, 30, 30, 10]);
    assert_eq!(connections.concat(), Vec::from_iter(0..100));
}

#[test]
fn what_one_write_gathers_is_cut_where_a_connection_is_full() {
    // Many parcels wait for the peer; a connection takes less than one of them, or several.
    for (limit, encoder) in [(70, Payload::InPlace), (3500, Payload::Copied)] {
        let (listener, address) = listen();
        drop(listener);
        let own = json!({ "address": address, "reconnect_after": limit });
        let mut rig = Rig::start("TcpOutput", &own, &quick(), encoder);
        let count = 7000;
        let mut feed = rig.feed.take().expect("the feed is open");
        let feeder = std::thread::spawn(move || {
            feed.write_all(&lines(0, count, WIDTH))
                .expect("the input reads");
        });
        rig.wait_notice("cannot connect");
        // With the output or before it.
        rig.wait_for("parcels", |snapshot| snapshot.batches_in_use > 2);
        let listener = TcpListener::bind(&address).expect("the port is still free");
        let connections: Vec<Vec<usize>> = (0..count / limit)
            .map(|_| numbers(&read_all(&mut accept(&listener)), WIDTH))
            .collect();
        assert!(connections.iter().all(|numbers| numbers.len() == limit));
        assert_eq!(connections.concat(), Vec::from_iter(0..count));
        feeder.join().expect("no panic");
        assert_eq!(rig.stop().ledgers[0].delivered, count as u64);
    }
}

#[test]
fn an_algorithm_that_the_kernel_does_not_have_ends_the_output() {
    let (listener, address) = listen();
    let with = |name: &str| {
        let own = json!({ "address": address, "congestion_control": name });
        Rig::start("TcpOutput", &own, &quick(), Payload::InPlace)
    };
    let mut rig = with("no-such");
    let end = rig.wait_notice("congestion_control");
    assert!(end.contains("no-such"), "{end}");
    rig.feed(&lines(0, 1, WIDTH));
    assert_eq!(rig.stop().ledgers[0].dropped.total(), 1);
    let mut rig = with("reno");
    rig.feed(&lines(0, 1, WIDTH));
    assert_eq!(
        read_exact(&mut accept(&listener), WIDTH),
        lines(0, 1, WIDTH)
    );
    rig.stop();
}

#[test]
fn a_peer_that_stops_reading_holds_the_input_up_and_loses_nothing() {
    let (listener, address) = listen();
    let mut rig = Rig::start(
        "TcpOutput",
        &json!({ "address": address }),
        &quick(),
        Payload::InPlace,
    );
    let count = 300_000;
    let feed = rig.feed.take().expect("the feed is open");
    let feeder = std::thread::spawn(move || {
        let mut feed = feed;
        feed.write_all(&lines(0, count, WIDTH))
            .expect("the input reads");
    });
    let mut stream = accept(&listener);
    let stalled = rig.wait_for("stall", |snapshot| snapshot.queues[0] > 0);
    assert!(stalled.batches_in_use <= engine::limits::BATCHES);
    let mut read = Vec::new();
    while read.len() < count * WIDTH {
        let mut buffer = [0; 65536];
        let n = stream.read(&mut buffer).expect("more");
        assert!(n > 0, "ended early");
        read.extend_from_slice(&buffer[..n]);
        // A peer that talks back must not disturb.
        let _ = stream.write(b"noise");
    }
    assert_eq!(numbers(&read, WIDTH), Vec::from_iter(0..count));
    feeder.join().expect("no panic");
    assert_eq!(rig.stop().ledgers[0].delivered, count as u64);
}

#[test]
fn a_peer_that_refuses_for_ever_does_not_keep_the_daemon_from_ending() {
    let (listener, address) = listen();
    drop(listener);
    let mut rig = Rig::start(
        "TcpOutput",
        &json!({ "address": address }),
        &json!({}),
        Payload::InPlace,
    );
    rig.feed(&lines(0, 1, WIDTH));
    rig.wait_notice("cannot connect");
    rig.tell(ToShard::StopInputs);
    // The wait between attempts is cut short: one more is made before the supervisor loses patience.
    rig.wait_notice("cannot connect");
    let ledger = rig.quit().ledgers[0];
    assert_eq!(ledger.in_flight(), 1);
}

#[test]
fn an_end_of_the_sending_side_alone_counts_as_gone() {
    let (listener, address) = listen();
    let mut rig = Rig::start(
        "TcpOutput",
        &json!({ "address": address }),
        &quick(),
        Payload::InPlace,
    );
    rig.feed(&lines(0, 1, WIDTH));
    let mut stream = accept(&listener);
    assert_eq!(read_exact(&mut stream, WIDTH), lines(0, 1, WIDTH));
    stream.shutdown(Shutdown::Write).expect("open");
    rig.wait_notice("closed by the peer");
    rig.feed(&lines(1, 2, WIDTH));
    assert_eq!(
        read_exact(&mut accept(&listener), WIDTH),
        lines(1, 2, WIDTH)
    );
    rig.stop();
}

#[test]
fn a_peer_that_accepts_and_closes_does_not_swallow_messages_without_bound() {
    let (listener, address) = listen();
    let common = json!({ "retries": { "delay": "1h", "max_delay": "1h", "max_jitter": "0s", "max_retries": -1 } });
    let mut rig = Rig::start(
        "TcpOutput",
        &json!({ "address": address }),
        &common,
        Payload::InPlace,
    );
    let connections = Arc::new(AtomicU64::new(0));
    let accepted = Arc::clone(&connections);
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            accepted.fetch_add(1, Ordering::AcqRel);
            drop(connection);
        }
    });
    rig.feed(&lines(0, 1, WIDTH));
    rig.wait_notice("ended at once");
    let before = rig.ledger().delivered;
    // Each is a parcel, and not more are under way than there are credits.
    for number in 1..16 {
        rig.feed(&lines(number, number + 1, WIDTH));
        rig.wait_for("line", |snapshot| {
            snapshot.ledgers[0].received == number as u64 + 1
        });
    }
    let ledger = rig.quit().ledgers[0];
    assert_eq!(ledger.delivered, before, "swallowed");
    assert_eq!(ledger.in_flight(), 16 - before);
    assert_eq!(connections.load(Ordering::Acquire), 1);
}

#[test]
fn wrong_options_are_told() {
    let errors = |own: Value| {
        build("TcpOutput", &own, &json!({}))
            .err()
            .unwrap_or_default()
    };
    assert!(errors(json!({})).is_empty());
    assert_eq!(errors(json!({ "address": "somewhere" })).len(), 1);
    assert_eq!(errors(json!({ "address": "somewhere:port" })).len(), 1);
    assert!(errors(json!({ "address": "[::1]:5565", "local_address": "[::1]:0" })).is_empty());
    let warned = build("TcpOutput", &json!({ "keep_alive_period": 5 }), &json!({})).expect("fine");
    assert_eq!(warned.warnings.len(), 1);
    assert_eq!(warned.common.encoder, "ProtobufEncoder");
    assert_eq!(
        (warned.common.use_framing, warned.common.use_buffering),
        (None, true)
    );
}
