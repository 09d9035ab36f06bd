//! TcpInput with TLS: real handshakes over real sockets.
//!
//! Owns:    the clients.
//! Runs on: tests.            Plane: both.
//! Bounds:  see `daemon`.
//! Never:   uses a certificate of another test.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::authority::Authority;
use crate::daemon::Daemon;
use crate::sockets::own_address;

const PORT: u16 = 5566;

/// The sections of an input with a certificate of its own address.
fn input(authority: &Authority, address: SocketAddr, options: &str) -> String {
    authority.issue(&[&address.ip().to_string()], 4000);
    format!(
        "[lines]\ntype = 'TcpInput'\naddress = '{address}'\nsplitter = 'TokenSplitter'\ndecoder = ''\nuse_tls = true\n\
         [lines.tls]\ncert_file = '{}'\nkey_file = '{}'\n{options}\n",
        authority.path("cert.pem"),
        authority.path("key.pem"),
    )
}

/// The settings of a client that trusts an authority, with the certificate of another where it has one.
fn settings(authority: &Authority, own: Option<&Authority>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_file(authority.path("root.pem")).unwrap();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let certificate = CertificateDer::from_pem_file(own.path("cert.pem")).unwrap();
            let key = PrivateKeyDer::from_pem_file(own.path("key.pem")).unwrap();
            builder
                .with_client_auth_cert(vec![certificate], key)
                .unwrap()
        }
    })
}

type Encrypted = StreamOwned<ClientConnection, TcpStream>;

fn connect(config: &Arc<ClientConfig>, address: SocketAddr) -> Encrypted {
    let name = ServerName::from(address.ip());
    let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
    StreamOwned::new(connection, TcpStream::connect(address).unwrap())
}

/// Ends in order: the input has read all before it answers with its own end.
fn finish(mut client: Encrypted) {
    client.conn.send_close_notify();
    client.flush().unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
}

fn free_port_of_ipv6() -> SocketAddr {
    let free = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    free.local_addr().unwrap()
}

#[test]
fn lines_arrive_over_ipv4_and_ipv6() {
    for address in [SocketAddr::new(own_address(), PORT), free_port_of_ipv6()] {
        let authority = Authority::new();
        let daemon = Daemon::start(2, &input(&authority, address, ""));
        assert_eq!(daemon.listening(), (address, "(TCP with TLS)".to_owned()));
        let mut client = connect(&settings(&authority, None), address);
        let line = "x".repeat(999);
        for _ in 0..1000 {
            writeln!(client, "{line}").unwrap();
        }
        let local = client.sock.local_addr().unwrap();
        finish(client);
        let messages = daemon.messages(1000);
        let expected = format!("lines|lines|{local}|{line}\n|0");
        assert!(messages.iter().all(|message| *message == expected));
        let ledger = daemon.stop();
        assert_eq!((ledger.stream_errors, ledger.bytes), (0, 1_000_000));
    }
}

#[test]
fn clients_that_do_not_trust_the_certificate_are_told_of() {
    let address = SocketAddr::new(own_address(), PORT);
    let (authority, other) = (Authority::new(), Authority::new());
    let daemon = Daemon::start(1, &input(&authority, address, ""));
    let mut client = connect(&settings(&other, None), address);
    let refused = client.write_all(b"secret\n").unwrap_err();
    assert!(refused.to_string().contains("UnknownIssuer"), "{refused}");
    daemon.wait_for("error", |ledger| ledger.stream_errors == 1);
    daemon.wait_for_notice("`cert_file`");
    let mut client = connect(&settings(&authority, None), address);
    client.write_all(b"trusted\n").unwrap();
    finish(client);
    daemon.messages(1);
    daemon.stop();
}

#[test]
fn a_certificate_that_has_expired_is_refused() {
    let address = SocketAddr::new(own_address(), PORT);
    let authority = Authority::new();
    let section = input(&authority, address, "");
    authority.issue(&[&address.ip().to_string()], 2001);
    let daemon = Daemon::start(1, &section);
    let mut client = connect(&settings(&authority, None), address);
    let refused = client.write_all(b"secret\n").unwrap_err();
    assert!(refused.to_string().contains("expired"), "{refused}");
    daemon.stop();
}

#[test]
fn clients_need_a_certificate_where_one_is_asked_for() {
    let address = SocketAddr::new(own_address(), PORT);
    let (authority, other) = (Authority::new(), Authority::new());
    let (good, foreign) = (Authority::new(), &other);
    good.issue(&["friend.example"], 4000);
    foreign.issue(&["stranger.example"], 4000);
    let options = format!(
        "client_auth = 'RequireAndVerifyClientCert'\nclient_cafile = '{}'",
        good.path("root.pem")
    );
    let daemon = Daemon::start(1, &input(&authority, address, &options));
    for (number, own) in [None, Some(foreign)].into_iter().enumerate() {
        let mut client = connect(&settings(&authority, own), address);
        // With TLS 1.3 a client is done before the server has looked at its certificate: the refusal comes with the first read.
        let written = client.write_all(b"stranger\n");
        assert!(written.is_err() || client.read(&mut [0]).is_err());
        daemon.wait_for("refusal", |ledger| {
            ledger.stream_errors == number as u64 + 1
        });
    }
    daemon.wait_for_notice("`client_auth`");
    daemon.wait_for_notice("`client_cafile`");
    let mut client = connect(&settings(&authority, Some(&good)), address);
    client.write_all(b"friend\n").unwrap();
    let local = client.sock.local_addr().unwrap();
    finish(client);
    assert_eq!(
        daemon.messages(1),
        [format!("lines|lines|{local}|friend\n|0")]
    );
    daemon.stop();
}

#[test]
fn what_is_not_tls_or_ends_early_does_no_harm() {
    let address = SocketAddr::new(own_address(), PORT);
    let authority = Authority::new();
    let daemon = Daemon::start(1, &input(&authority, address, ""));
    let mut plain = TcpStream::connect(address).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    daemon.wait_for_notice("does not speak TLS");
    drop(TcpStream::connect(address).unwrap());
    daemon.wait_for("errors", |ledger| ledger.stream_errors == 2);
    // What came before a cut counts, and so does the cut.
    let mut cut = connect(&settings(&authority, None), address);
    cut.write_all(b"before the cut\n").unwrap();
    drop(cut);
    daemon.messages(1);
    daemon.wait_for("error", |ledger| ledger.stream_errors == 3);
    // One that is idle, and one whose handshake has not begun, end with the daemon.
    let mut idle = connect(&settings(&authority, None), address);
    idle.write_all(b"idle\n").unwrap();
    let _silent = TcpStream::connect(address).unwrap();
    daemon.wait_for("connections", |ledger| ledger.streams_opened == 5);
    daemon.messages(2);
    let ledger = daemon.stop();
    assert_eq!((ledger.stream_errors, ledger.in_flight()), (3, 0));
}

#[test]
fn files_that_are_missing_keep_the_input_from_opening() {
    let address = SocketAddr::new(own_address(), PORT);
    let authority = Authority::new();
    let section = input(&authority, address, "");
    let key = authority.path("key.pem");
    std::fs::remove_file(&key).unwrap();
    let errors = Daemon::try_start(1, &section).err().unwrap();
    assert!(errors[0].contains(&key), "{errors:?}");
}
