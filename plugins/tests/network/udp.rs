//! UdpInput: datagrams of all sorts.
//!
//! Owns:    what it sends.
//! Runs on: tests.            Plane: data.
//! Bounds:  see `daemon`.
//! Never:   depends on how a stream is read.

use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;

use engine::event::DropCause;

use crate::daemon::Daemon;
use crate::sockets::own_address;

const PORT: u16 = 5140;

fn input(address: &str, options: &str) -> String {
    format!("[datagrams]\ntype = 'UdpInput'\naddress = '{address}'\n{options}\n")
}

fn shown(hostname: &str, payload: &str) -> String {
    format!("datagrams|datagrams|{hostname}|{payload}|0")
}

#[test]
fn datagrams_reach_every_shard_and_carry_their_sender() {
    let address = SocketAddr::new(own_address(), PORT);
    let daemon = Daemon::start(2, &input(&address.to_string(), "set_hostname = true"));
    let mut expected = Vec::new();
    for number in 0..100 {
        // The kernel chooses the socket by the sender's address: many senders reach both.
        let sender = UdpSocket::bind((address.ip(), 0)).unwrap();
        sender
            .send_to(format!("{number}").as_bytes(), address)
            .unwrap();
        expected.push(shown(&address.ip().to_string(), &number.to_string()));
    }
    expected.sort();
    assert_eq!(daemon.messages(100), expected);
    let received = daemon.by_shard(|ledger| ledger.received);
    assert!(
        received.iter().all(|received| *received > 0),
        "{received:?}"
    );
    daemon.stop();
}

#[test]
fn the_log_says_once_where_the_shards_listen() {
    for shards in [1, 2] {
        let daemon = Daemon::start(shards, &input(&format!("{}:0", own_address()), ""));
        let (address, how) = daemon.listening();
        assert_eq!(how, "(UDP)");
        let sender = UdpSocket::bind((address.ip(), 0)).unwrap();
        sender.send_to(b"found", address).unwrap();
        assert_eq!(daemon.messages(1), [shown("", "found")]);
        daemon.stop();
    }
}

#[test]
fn each_datagram_is_a_stream_of_its_own() {
    let address = SocketAddr::new(own_address(), PORT);
    let daemon = Daemon::start(
        1,
        &input(&address.to_string(), "splitter = 'TokenSplitter'"),
    );
    let sender = UdpSocket::bind((address.ip(), 0)).unwrap();
    for datagram in ["a\nb\n", "c\nrest", "d\n", ""] {
        sender.send_to(datagram.as_bytes(), address).unwrap();
    }
    let expected = ["a\n", "b\n", "c\n", "d\n"].map(|line| shown("", line));
    assert_eq!(daemon.messages(4), expected);
    let ledger = daemon.stop();
    assert_eq!(ledger.dropped.get(DropCause::Incomplete), 1);
}

#[test]
fn the_largest_datagram_and_many_of_them_fit() {
    let address = SocketAddr::new(own_address(), PORT);
    let daemon = Daemon::start(1, &input(&address.to_string(), ""));
    let sender = UdpSocket::bind((address.ip(), 0)).unwrap();
    let datagram = vec![b'x'; 65_507];
    let mut sent = 0;
    for _ in 0..40 {
        sender.send_to(&datagram, address).unwrap();
        sent += 1;
        daemon.wait_for("datagram", |ledger| ledger.received == sent);
    }
    let messages = daemon.messages(sent);
    assert!(
        messages
            .iter()
            .all(|message| *message == shown("", &"x".repeat(65_507)))
    );
    daemon.stop();
}

#[test]
fn what_waits_in_the_socket_is_read_before_the_end() {
    let address = SocketAddr::new(own_address(), PORT);
    let daemon = Daemon::start(2, &input(&address.to_string(), ""));
    let sender = UdpSocket::bind((address.ip(), 0)).unwrap();
    for _ in 0..50 {
        sender.send_to(b"last words", address).unwrap();
    }
    let ledger = daemon.stop();
    assert_eq!((ledger.received, ledger.in_flight()), (50, 0));
}

#[test]
fn an_address_in_use_is_an_error_for_shards_that_share_as_well() {
    for shards in [1, 2] {
        let address = SocketAddr::new(own_address(), PORT);
        let other = UdpSocket::bind(address).unwrap();
        let section = input(&address.to_string(), "");
        let errors = Daemon::try_start(shards, &section).err().unwrap();
        assert!(errors[0].contains("change `address`"), "{errors:?}");
        drop(other);
        let first = Daemon::start(shards, &section);
        let errors = Daemon::try_start(shards, &section).err().unwrap();
        assert!(errors[0].contains("change `address`"), "{errors:?}");
        first.stop();
        Daemon::start(shards, &section).stop();
    }
}

#[test]
fn ipv6() {
    let free = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let options = "net = 'udp6'\nset_hostname = true";
    let daemon = Daemon::start(1, &input(&format!("[::1]:{port}"), options));
    let sender = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    sender.send_to(b"six", (Ipv6Addr::LOCALHOST, port)).unwrap();
    assert_eq!(daemon.messages(1), [shown("::1", "six")]);
    daemon.stop();
}

#[test]
fn unix_sockets_by_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("input.sock");
    let section = input(path.to_str().unwrap(), "net = 'unixgram'");
    // The file of a daemon that was killed.
    drop(UnixDatagram::bind(&path).unwrap());
    let daemon = Daemon::start(2, &section);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666);
    let sender = UnixDatagram::unbound().unwrap();
    sender.send_to(b"by path", &path).unwrap();
    assert_eq!(daemon.messages(1), [shown("", "by path")]);
    // One that is in use is not replaced, nor is any other file.
    let errors = Daemon::try_start(1, &section).err().unwrap();
    assert!(errors[0].contains("input.sock"), "{errors:?}");
    sender.send_to(b"still here", &path).unwrap();
    daemon.messages(2);
    daemon.stop();
    assert!(!path.exists());
    std::fs::write(&path, "precious").unwrap();
    assert!(Daemon::try_start(1, &section).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn unix_sockets_without_a_path() {
    let name = format!("hekad-test-{}", std::process::id());
    let daemon = Daemon::start(1, &input(&format!("@{name}"), "net = 'unixgram'"));
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    sender.connect_addr(&address).unwrap();
    sender.send(b"abstract").unwrap();
    sender.send(&[b'x'; 70_000]).unwrap();
    assert_eq!(daemon.messages(1), [shown("", "abstract")]);
    let ledger = daemon.wait_for("loss", |ledger| {
        ledger.dropped.get(DropCause::DatagramTruncated) == 1
    });
    assert_eq!(ledger.received, 2);
    daemon.stop();
}

#[test]
fn a_socket_that_was_inherited() {
    let address = SocketAddr::new(own_address(), PORT);
    let socket = UdpSocket::bind(address).unwrap();
    let section = input(&format!("fd:{}", socket.as_raw_fd()), "");
    let daemon = Daemon::start(2, &section);
    let sender = UdpSocket::bind((address.ip(), 0)).unwrap();
    sender.send_to(b"inherited", address).unwrap();
    assert_eq!(daemon.messages(1), [shown("", "inherited")]);
    daemon.stop();
    for wrong in ["fd:0".to_owned(), "fd:100000".to_owned()] {
        let errors = Daemon::try_start(1, &input(&wrong, "")).err().unwrap();
        assert!(errors[0].contains(&wrong), "{errors:?}");
    }
}

#[test]
fn what_the_kernel_drops_is_counted() {
    let address = SocketAddr::new(own_address(), PORT);
    // A socket with a small buffer, which overflows while nobody reads.
    let socket = UdpSocket::bind(address).unwrap();
    let sender = UdpSocket::bind((address.ip(), 0)).unwrap();
    let own = socket2::SockRef::from(&socket);
    own.set_recv_buffer_size(1).unwrap();
    for _ in 0..100 {
        sender.send_to(&[b'x'; 1000], address).unwrap();
    }
    let daemon = Daemon::start(1, &input(&format!("fd:{}", socket.as_raw_fd()), ""));
    let before = daemon.wait_for("datagrams", |ledger| ledger.received > 0);
    // The count comes with a datagram that was queued after the drops.
    sender.send_to(b"after", address).unwrap();
    let ledger = daemon.wait_for("count of drops", |ledger| {
        ledger.received == 101 && ledger.in_flight() == 0
    });
    assert!(before.received < 101);
    let dropped = ledger.dropped.get(DropCause::KernelDrop);
    assert_eq!(ledger.delivered + dropped, 101);
    daemon.stop();
}
