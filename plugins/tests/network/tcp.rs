//! TcpInput: connections of all sorts.
//!
//! Owns:    what it sends.
//! Runs on: tests.            Plane: data.
//! Bounds:  see `daemon`.
//! Never:   depends on how a stream is read.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use engine::event::DropCause;

use crate::daemon::{Daemon, PATIENCE};
use crate::sockets::own_address;

const PORT: u16 = 5565;

fn lines(address: &str, options: &str) -> String {
    format!(
        "[lines]\ntype = 'TcpInput'\naddress = '{address}'\nsplitter = 'TokenSplitter'\ndecoder = ''\n{options}\n"
    )
}

fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).expect("the input listens")
}

#[test]
fn lines_of_a_connection_become_messages() {
    for shards in [1, 2] {
        let address = SocketAddr::new(own_address(), PORT);
        let daemon = Daemon::start(shards, &lines(&address.to_string(), "keep_alive = true"));
        let mut client = connect(address);
        client.write_all(b"one\ntwo\nunfinished").unwrap();
        let local = client.local_addr().unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        // The input closes once it has read to the end.
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        let expected = ["one", "two"].map(|line| format!("lines|lines|{local}|{line}\n|0"));
        assert_eq!(daemon.messages(2), expected);
        let ledger = daemon.stop();
        assert_eq!(ledger.dropped.get(DropCause::Incomplete), 1);
        assert_eq!((ledger.streams_opened, ledger.streams_closed), (1, 1));
        assert_eq!(ledger.stream_errors, 0);
    }
}

#[test]
fn the_log_says_where_it_listens_with_the_port_that_the_kernel_chose() {
    let daemon = Daemon::start(2, &lines(&format!("{}:0", own_address()), ""));
    let (address, how) = daemon.listening();
    assert_eq!(how, "(TCP without TLS)");
    connect(address).write_all(b"found\n").unwrap();
    daemon.messages(1);
    daemon.stop();
}

#[test]
fn ipv6_and_both_families_on_one_socket() {
    let free = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let daemon = Daemon::start(1, &lines(&format!("[::]:{port}"), ""));
    let mut hostnames = Vec::new();
    for address in [format!("[::1]:{port}"), format!("127.0.0.1:{port}")] {
        let mut client = connect(address.parse().unwrap());
        client.write_all(b"x\n").unwrap();
        hostnames.push(client.local_addr().unwrap());
    }
    let mut expected: Vec<_> = hostnames
        .iter()
        .map(|hostname| format!("lines|lines|{hostname}|x\n|0"))
        .collect();
    expected.sort();
    assert_eq!(daemon.messages(2), expected);
    daemon.stop();
}

#[test]
fn connections_are_spread_over_shards_and_idle_ones_end_with_the_daemon() {
    let address = SocketAddr::new(own_address(), PORT);
    let daemon = Daemon::start(2, &lines(&address.to_string(), ""));
    let mut clients: Vec<_> = (0..8).map(|_| connect(address)).collect();
    daemon.wait_for("connections", |ledger| ledger.streams_opened == 8);
    assert_eq!(daemon.by_shard(|ledger| ledger.streams_opened), [4, 4]);
    for (number, client) in clients.iter_mut().enumerate() {
        client
            .write_all(format!("{number}\nhalf").as_bytes())
            .unwrap();
    }
    assert_eq!(daemon.messages(8).len(), 8);
    let ledger = daemon.stop();
    assert_eq!(ledger.dropped.get(DropCause::Incomplete), 8);
    assert_eq!(ledger.in_flight(), 0);
}

#[test]
fn a_reset_connection_is_told_of_and_others_go_on() {
    let address = SocketAddr::new(own_address(), PORT);
    let daemon = Daemon::start(1, &lines(&address.to_string(), ""));
    let mut other = connect(address);
    let broken = connect(address);
    daemon.wait_for("connections", |ledger| ledger.streams_opened == 2);
    // Closing with a zero linger time sends a reset.
    socket2::SockRef::from(&broken)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    let local = broken.local_addr().unwrap();
    drop(broken);
    daemon.wait_for("error", |ledger| ledger.stream_errors == 1);
    daemon.wait_for_notice(&local.to_string());
    other.write_all(b"still here\n").unwrap();
    daemon.messages(1);
    daemon.stop();
}

#[test]
fn a_peer_that_never_stops_sending_does_not_hold_up_the_end() {
    let address = SocketAddr::new(own_address(), PORT);
    let daemon = Daemon::start(1, &lines(&address.to_string(), ""));
    let mut client = connect(address);
    let lines = [&[b'x'; 127][..], b"\n"].concat().repeat(32);
    let sender = std::thread::spawn(move || while client.write_all(&lines).is_ok() {});
    daemon.wait_for("lines", |ledger| ledger.delivered > 0);
    daemon.stop();
    sender.join().unwrap();
}

/// Connects, sends a line and waits for the end, again and again; answers how many lines were sent.
fn send_lines(address: SocketAddr, enough: &AtomicBool) -> u64 {
    let mut sent = 0;
    while !enough.load(Ordering::Acquire) {
        let Ok(mut stream) = TcpStream::connect(address) else {
            std::thread::yield_now();
            continue;
        };
        // A connection that the other side has made and forgotten would never end.
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        if stream.write_all(b"line\n").is_ok() {
            sent += 1;
            // Whatever comes of it: the line was sent on a connection that the other side had made.
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read(&mut [0]);
        }
    }
    sent
}

/// Starts a daemon on the address of one that has ended. A thread can be joined before the kernel has let go of all that was under way in its
/// ring, a listening socket among it; between processes that cannot happen.
fn start_again(section: &str) -> Daemon {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Daemon::try_start(1, section) {
            Ok(daemon) => return daemon,
            Err(errors) => {
                let in_use = errors[0].contains("Address already in use");
                assert!(in_use && Instant::now() < deadline, "{errors:?}");
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

#[test]
fn no_connection_that_was_made_is_lost_by_a_stop() {
    let address = SocketAddr::new(own_address(), PORT);
    let section = lines(&address.to_string(), "");
    let enough = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let enough = Arc::clone(&enough);
            std::thread::spawn(move || send_lines(address, &enough))
        })
        .collect();
    let mut delivered = 0;
    for _ in 0..8 {
        let daemon = start_again(&section);
        daemon.wait_for("lines", |ledger| ledger.delivered > 100);
        delivered += daemon.stop().delivered;
    }
    enough.store(true, Ordering::Release);
    let sent: u64 = clients
        .into_iter()
        .map(|client| client.join().unwrap())
        .sum();
    assert_eq!(delivered, sent);
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let address = SocketAddr::new(own_address(), PORT);
    let _other = TcpListener::bind(address).unwrap();
    let errors = Daemon::try_start(1, &lines(&address.to_string(), ""))
        .err()
        .unwrap();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].contains(&format!("`{address}`")), "{errors:?}");
    assert!(errors[0].contains("change `address`"), "{errors:?}");
}

#[test]
fn framed_messages_by_signer_and_garbage_between_them() {
    use codecs::framing::encode_frame;
    use codecs::message::{Header, MessageTable, TableLimits};
    use codecs::signing::{HashFunction, Signer};

    let address = SocketAddr::new(own_address(), PORT);
    let sections = format!(
        "[framed]\ntype = 'TcpInput'\naddress = '{address}'\nsplitter = 'signed'\n\
         [signed]\ntype = 'HekaFramingSplitter'\n[signed.signer.ops_2]\nhmac_key = 'key'\n"
    );
    let daemon = Daemon::start(1, &sections);
    let mut table = MessageTable::new(TableLimits {
        received_bytes: 0,
        arena_bytes: 64,
        messages: 1,
        fields: 0,
    });
    let mut draft = table.begin().unwrap();
    draft.set(Header::Uuid, &[1; 16][..]).unwrap();
    draft.set(Header::Type, "t").unwrap();
    let mut sent = b"garbage".to_vec();
    for key in ["key", "another key"] {
        let signer = Signer::new("ops", 2, HashFunction::Md5, key.as_bytes());
        encode_frame(table.get(0), Some(&signer), 1000, &mut sent).unwrap();
        encode_frame(table.get(0), None, 1000, &mut sent).unwrap();
    }
    connect(address).write_all(&sent).unwrap();
    assert_eq!(daemon.messages(3), ["t||||0", "t||||0", "t||||1"]);
    let ledger = daemon.wait_for("end", |ledger| ledger.streams_closed == 1);
    assert_eq!(ledger.dropped.get(DropCause::WrongSignature), 1);
    assert_eq!(ledger.garbage_bytes, 7);
    daemon.stop();
}
