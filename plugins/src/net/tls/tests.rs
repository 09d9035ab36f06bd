//! Real handshakes over a pipe in memory, with certificates made for each test.
//!
//! Owns:    the pipe.
//! Runs on: tests.            Plane: both.
//! Bounds:  a pipe holds `PIPE_BYTES`.
//! Never:   opens a socket.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use engine::io::{read, start_shard, write_all};
use futures_lite::future::{block_on, zip};

use super::*;
use authority::Authority;

#[path = "../../../tests/certificates/authority.rs"]
mod authority;

/// Bytes that a pipe holds: less than a record, so that nothing goes through in one piece.
const PIPE_BYTES: usize = 1000;

#[derive(Default)]
struct Channel {
    bytes: VecDeque<u8>,
    closed: bool,
    waker: Option<Waker>,
}

/// One end of a connection in memory.
struct Pipe {
    reading: Rc<RefCell<Channel>>,
    writing: Rc<RefCell<Channel>>,
}

fn pipe() -> (Pipe, Pipe) {
    let (a, b) = (Rc::default(), Rc::default());
    let one = Pipe {
        reading: Rc::clone(&a),
        writing: Rc::clone(&b),
    };
    let other = Pipe {
        reading: b,
        writing: a,
    };
    (one, other)
}

impl Channel {
    fn wait<T>(&mut self, cx: &Context<'_>) -> Poll<io::Result<T>> {
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl ByteStream for Pipe {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut channel = self.reading.borrow_mut();
        if channel.bytes.is_empty() && !channel.closed {
            return channel.wait(cx);
        }
        let len = channel.bytes.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(channel.bytes.drain(..len)) {
            *to = from;
        }
        channel.wake();
        Poll::Ready(Ok(len))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut channel = self.writing.borrow_mut();
        let room = PIPE_BYTES - channel.bytes.len();
        if room == 0 {
            return channel.wait(cx);
        }
        let len = room.min(bytes.len());
        channel.bytes.extend(&bytes[..len]);
        channel.wake();
        Poll::Ready(Ok(len))
    }

    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut channel = self.writing.borrow_mut();
        channel.closed = true;
        channel.wake();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        for channel in [&self.reading, &self.writing] {
            let mut channel = channel.borrow_mut();
            channel.closed = true;
            channel.wake();
        }
    }
}

/// Options with a certificate for some names, valid until a year.
fn issue(authority: &Authority, names: &[&str], until: i32) -> Tls {
    authority.issue(names, until);
    Tls {
        cert_file: authority.path("cert.pem"),
        key_file: authority.path("key.pem"),
        ..Tls::default()
    }
}

fn server_of(authority: &Authority) -> Tls {
    issue(authority, &["logs.example", "::1"], 4000)
}

fn client_of(authority: &Authority) -> Tls {
    Tls {
        root_cafile: authority.path("root.pem"),
        ..Tls::default()
    }
}

type Ends = (TlsStream<Pipe>, TlsStream<Pipe>);

async fn finish(mut stream: TlsStream<Pipe>) -> Result<TlsStream<Pipe>, String> {
    match stream.shake_hands().await {
        Ok(()) => Ok(stream),
        Err(error) => Err(error.to_string()),
    }
}

/// Shakes hands, both sides to their end: server and client, or what each of them complained about.
fn meet(server: &Server, client: &Client) -> Result<Ends, (String, String)> {
    let (near, far) = pipe();
    let (near, far) = (server.begin(near).unwrap(), client.begin(far).unwrap());
    match block_on(zip(finish(near), finish(far))) {
        (Ok(near), Ok(far)) => Ok((near, far)),
        (near, far) => Err((
            near.err().unwrap_or_default(),
            far.err().unwrap_or_default(),
        )),
    }
}

/// As `meet`, with options.
fn try_out(server: &Tls, client: &Tls) -> Result<Ends, (String, String)> {
    let client = Client::load(client, "logs.example:5565").unwrap();
    meet(&Server::load(server).unwrap(), &client)
}

/// Everything that a stream gives, and how it ends.
async fn drain(stream: &mut TlsStream<Pipe>) -> (Vec<u8>, io::Result<()>) {
    let mut all = Vec::new();
    let mut buffer = vec![0; 5000];
    loop {
        match read(stream, &mut buffer).await {
            Ok(0) => return (all, Ok(())),
            Ok(len) => all.extend_from_slice(&buffer[..len]),
            Err(error) => return (all, Err(error)),
        }
    }
}

#[test]
fn bytes_go_both_ways_and_the_end_is_seen() {
    let authority = Authority::new();
    let (mut near, mut far) = try_out(&server_of(&authority), &client_of(&authority)).unwrap();
    let sent: Vec<u8> = (0..300_000_u32)
        .map(|number| (number % 251) as u8)
        .collect();
    for _ in 0..2 {
        let (from, to) = (&mut near, &mut far);
        let sending = async {
            write_all(from, &sent).await.unwrap();
            write_all(from, b"more").await.unwrap();
            poll_fn(|cx| from.poll_close(cx)).await.unwrap();
        };
        let ((), (received, end)) = block_on(zip(sending, drain(to)));
        assert!(received == [&sent[..], b"more"].concat());
        end.unwrap();
        std::mem::swap(&mut near, &mut far);
    }
}

#[test]
fn many_small_parts_are_sent_together() {
    let authority = Authority::new();
    let (mut near, mut far) = try_out(&server_of(&authority), &client_of(&authority)).unwrap();
    let parts: Vec<_> = (0..50_u8).map(|number| [number; 3]).collect();
    let slices: Vec<_> = parts.iter().map(|part| io::IoSlice::new(part)).collect();
    let written = block_on(poll_fn(|cx| far.poll_write_vectored(cx, &slices))).unwrap();
    assert_eq!(written, 150);
    let closing = poll_fn(|cx| far.poll_close(cx));
    let (closed, (received, _)) = block_on(zip(closing, drain(&mut near)));
    closed.unwrap();
    assert_eq!(received, parts.concat());
}

#[test]
fn a_connection_that_is_cut_is_an_error_after_its_data() {
    let authority = Authority::new();
    let (mut near, mut far) = try_out(&server_of(&authority), &client_of(&authority)).unwrap();
    block_on(write_all(&mut far, b"all that came")).unwrap();
    drop(far);
    let (received, end) = block_on(drain(&mut near));
    assert_eq!(received, b"all that came");
    assert_eq!(end.unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn servers_have_to_prove_who_they_are() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = server_of(&authority);
    let (at_server, at_client) = try_out(&server, &client_of(&other)).err().unwrap();
    assert!(
        at_client.contains("nobody whom we trust has signed the server's"),
        "{at_client}"
    );
    assert!(
        at_server.contains("the client does not trust our certificate"),
        "{at_server}"
    );
    let old = issue(&authority, &["logs.example"], 2001);
    let (_, at_client) = try_out(&old, &client_of(&authority)).err().unwrap();
    assert!(at_client.contains("expired"), "{at_client}");
    let careless = Tls {
        insecure_skip_verify: true,
        ..client_of(&other)
    };
    try_out(&old, &careless).unwrap();
}

#[test]
fn the_name_comes_from_the_address_or_from_the_options() {
    let authority = Authority::new();
    let server = Server::load(&server_of(&authority)).unwrap();
    let connect = |address: &str, server_name: &str| {
        let options = Tls {
            server_name: server_name.to_owned(),
            ..client_of(&authority)
        };
        meet(&server, &Client::load(&options, address).unwrap())
    };
    connect("logs.example:5565", "").unwrap();
    connect("[::1]:5565", "").unwrap();
    connect("192.0.2.7:5565", "logs.example").unwrap();
    for (address, name) in [
        ("192.0.2.7:5565", ""),
        ("logs.example:5565", "other.example"),
    ] {
        let (_, at_client) = connect(address, name).err().unwrap();
        assert!(
            at_client.contains("but for `logs.example`, `::1`: set `server_name`"),
            "{at_client}"
        );
    }
    let nameless = Client::load(&client_of(&authority), "no name:5565").unwrap_err();
    assert!(nameless.message.contains("`server_name`"), "{nameless}");
}

#[test]
fn client_certificates_by_what_the_server_asks_for() {
    use ClientAuth::{
        NoClientCert, RequestClientCert, RequireAndVerifyClientCert, RequireAnyClientCert,
        VerifyClientCertIfGiven,
    };
    let (authority, other) = (Authority::new(), Authority::new());
    let with = |own: Tls| Tls {
        root_cafile: authority.path("root.pem"),
        ..own
    };
    let none = client_of(&authority);
    let clients = Authority::new();
    let (good, foreign) = (server_of(&clients), server_of(&other));
    let (good, foreign) = (with(good), with(foreign));
    // Accepted: without a certificate, with a good one, with one of a stranger's.
    for (client_auth, accepted) in [
        (NoClientCert, [true, true, true]),
        (RequestClientCert, [true, true, true]),
        (RequireAnyClientCert, [false, true, true]),
        (VerifyClientCertIfGiven, [true, true, false]),
        (RequireAndVerifyClientCert, [false, true, false]),
    ] {
        for version in [TlsVersion::TLS12, TlsVersion::TLS13] {
            let server = Tls {
                client_auth,
                client_cafile: clients.path("root.pem"),
                max_version: Some(version),
                ..server_of(&authority)
            };
            for (client, accepted) in [&none, &good, &foreign].into_iter().zip(accepted) {
                let result = try_out(&server, client);
                assert_eq!(result.is_ok(), accepted, "{client_auth:?} {version:?}");
                let Err((at_server, _)) = result else {
                    continue;
                };
                let why = match client.cert_file.as_str() {
                    "" => "the client presented no certificate: ",
                    _ => "nobody whom we trust has signed the client's certificate: ",
                };
                assert!(at_server.starts_with(why), "{at_server}");
            }
        }
    }
}

#[test]
fn versions_and_ciphers_are_those_allowed() {
    let authority = Authority::new();
    let server = Tls {
        max_version: Some(TlsVersion::TLS12),
        ciphers: vec!["ECDHE_ECDSA_WITH_AES_256_GCM_SHA384".to_owned()],
        ..server_of(&authority)
    };
    let (near, _far) = try_out(&server, &client_of(&authority)).unwrap();
    let agreed = near.connection().negotiated_cipher_suite().unwrap().suite();
    assert_eq!(
        agreed.as_str(),
        Some("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384")
    );
    let modern = Tls {
        min_version: Some(TlsVersion::TLS13),
        ..client_of(&authority)
    };
    let (at_server, at_client) = try_out(&server, &modern).err().unwrap();
    for said in [at_server, at_client] {
        assert!(said.contains("no TLS version in common"), "{said}");
    }
    // What nobody speaks any more means the oldest version that is spoken.
    let old = Tls {
        min_version: Some(TlsVersion::SSL30),
        ..server_of(&authority)
    };
    try_out(&old, &modern).unwrap();
}

#[test]
fn sessions_are_resumed_where_tickets_are_allowed() {
    let authority = Authority::new();
    let own = server_of(&authority);
    let resumed = |server: &Tls, client: &Tls, version| {
        let client = Tls {
            max_version: Some(version),
            ..client.clone()
        };
        let client = Client::load(&client, "logs.example:5565").unwrap();
        let kinds = [(), ()].map(|()| {
            // Two servers of the same options: only a shared key lets one resume what the other began.
            let (mut near, mut far) = meet(&Server::load(server).unwrap(), &client).unwrap();
            block_on(write_all(&mut near, b"x")).unwrap();
            block_on(read(&mut far, &mut [0])).unwrap();
            near.connection().handshake_kind().unwrap()
        });
        assert_ne!(kinds[0], rustls::HandshakeKind::Resumed);
        kinds[1] == rustls::HandshakeKind::Resumed
    };
    let shared = Tls {
        session_ticket_key: "ab".repeat(32),
        ..own.clone()
    };
    let disabled = Tls {
        session_tickets_disabled: true,
        ..shared.clone()
    };
    let plain = client_of(&authority);
    let forgetful = Tls {
        session_tickets_disabled: true,
        ..plain.clone()
    };
    for version in [TlsVersion::TLS12, TlsVersion::TLS13] {
        assert!(resumed(&shared, &plain, version), "{version:?}");
        assert!(!resumed(&own, &plain, version), "{version:?}");
        assert!(!resumed(&disabled, &plain, version), "{version:?}");
        assert!(!resumed(&shared, &forgetful, version), "{version:?}");
    }
}

#[test]
fn errors_name_the_file() {
    let authority = Authority::new();
    let good = server_of(&authority);
    let empty = authority.path("empty.pem");
    std::fs::write(&empty, "nothing\n").unwrap();
    let absent = authority.path("absent.pem");
    let refused = |options: Tls| Server::load(&options).unwrap_err().message;
    let with = |cert: &str, key: &str| {
        refused(Tls {
            cert_file: cert.to_owned(),
            key_file: key.to_owned(),
            ..Tls::default()
        })
    };
    for (message, key, path, why) in [
        (
            with(&absent, &good.key_file),
            "cert_file",
            &absent,
            "cannot be read",
        ),
        (
            with(&empty, &good.key_file),
            "cert_file",
            &empty,
            "no certificate",
        ),
        (
            with(&good.cert_file, &absent),
            "key_file",
            &absent,
            "cannot be read",
        ),
        (
            with(&good.cert_file, &empty),
            "key_file",
            &empty,
            "no private key",
        ),
        (
            refused(Tls {
                client_auth: ClientAuth::RequireAndVerifyClientCert,
                client_cafile: absent.clone(),
                ..good.clone()
            }),
            "client_cafile",
            &absent,
            "cannot be read",
        ),
    ] {
        for part in [key, path, why] {
            assert!(message.contains(part), "{part}: {message}");
        }
    }
    let stranger = Authority::new();
    let message = with(&good.cert_file, &server_of(&stranger).key_file);
    assert!(message.contains("cannot be used together"), "{message}");
}

#[test]
fn a_handshake_that_never_comes_has_an_end() {
    let authority = Authority::new();
    let server = Server::load(&server_of(&authority)).unwrap();
    let shard = start_shard("test", None, move || async move {
        let (near, _far) = pipe();
        let limit = Duration::from_millis(20);
        let error = shake_hands(server.begin(near)?, limit).await.err();
        Ok(error.map(|error| (error.kind(), error.to_string())))
    });
    let (kind, text) = shard.unwrap().join().unwrap().unwrap();
    assert_eq!(kind, ErrorKind::TimedOut);
    assert!(text.contains("20ms"), "{text}");
}
