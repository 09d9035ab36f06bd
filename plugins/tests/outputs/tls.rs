//! TcpOutput with TLS: real handshakes over real sockets.
//!
//! Owns:    the servers, and what they must have got.
//! Runs on: the test's thread, one thread for a server and one for the shard.            Plane: data.
//! Bounds:  every wait has a deadline and fails its test.
//! Never:   uses a certificate of another test.

use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;

use engine::shard::run::ToShard;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use super::authority::Authority;
use super::harness::{PATIENCE, Payload, Rig, build, lines};

const WIDTH: usize = 100;

/// Short waits, so that the tests are quick; nothing depends on them.
fn quick() -> Value {
    json!({ "retries": { "delay": "10ms", "max_delay": "10ms", "max_jitter": "0s", "max_retries": -1 } })
}

/// A server with what the authority issued; it asks for client certificates of `clients`.
fn settings(authority: &Authority, clients: Option<&Authority>) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = match clients {
        None => WebPkiClientVerifier::no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            let root = CertificateDer::from_pem_file(clients.path("root.pem")).expect("a root");
            roots.add(root).expect("a root");
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .expect("roots")
        }
    };
    let certificate = CertificateDer::from_pem_file(authority.path("cert.pem")).expect("issued");
    let key = PrivateKeyDer::from_pem_file(authority.path("key.pem")).expect("issued");
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate], key)
        .expect("they belong together");
    Arc::new(config)
}

/// Takes connections until one ends in order, and answers with what that one brought.
fn serve(listener: TcpListener, settings: Arc<ServerConfig>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        loop {
            let (socket, _) = listener.accept().expect("a connection");
            socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            let connection = ServerConnection::new(Arc::clone(&settings)).expect("settings");
            let mut received = Vec::new();
            // A cut or a refused handshake is an error; only the notice that TLS ends with is an end.
            if StreamOwned::new(connection, socket)
                .read_to_end(&mut received)
                .is_ok()
            {
                return received;
            }
        }
    })
}

fn listen(address: &str) -> (TcpListener, String) {
    let listener = TcpListener::bind(address).expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    (listener, address)
}

fn tls(address: &str, tls: &Value) -> Value {
    json!({ "address": address, "use_tls": true, "tls": tls })
}

#[test]
fn everything_arrives_over_ipv4_and_ipv6() {
    for (address, encoder) in [
        ("127.0.0.1:0", Payload::InPlace),
        ("[::1]:0", Payload::Copied),
    ] {
        let authority = Authority::new();
        authority.issue(&["127.0.0.1", "::1"], 4000);
        let (listener, address) = listen(address);
        let server = serve(listener, settings(&authority, None));
        let own = tls(
            &address,
            &json!({ "root_cafile": authority.path("root.pem") }),
        );
        let mut rig = Rig::start("TcpOutput", &own, &quick(), encoder);
        let sent = lines(0, 20_000, WIDTH);
        rig.feed(&sent);
        let snapshot = rig.stop();
        assert!(server.join().expect("no panic") == sent);
        assert_eq!(snapshot.ledgers[0].delivered, 20_000);
        assert_eq!(snapshot.consumers[0].retries, 0);
    }
}

#[test]
fn a_server_that_cannot_prove_its_name_gets_nothing() {
    let (authority, other) = (Authority::new(), Authority::new());
    authority.issue(&["logs.example"], 4000);
    for (roots, server_name, why) in [
        (&other, "logs.example", "nobody whom we trust has signed"),
        (&authority, "", "set `server_name` to a name that it has"),
    ] {
        let (listener, address) = listen("127.0.0.1:0");
        let server = serve(listener, settings(&authority, None));
        let options = json!({ "root_cafile": roots.path("root.pem"), "server_name": server_name });
        let own = tls(&address, &options);
        let mut rig = Rig::start("TcpOutput", &own, &quick(), Payload::InPlace);
        rig.feed(&lines(0, 1, WIDTH));
        let notice = rig.wait_notice(why);
        assert!(
            notice.contains(&address) && notice.contains("trying again"),
            "{notice}"
        );
        assert_eq!(rig.ledger().delivered, 0);
        rig.quit();
        // With the right name or without a check the same server is good enough.
        let careless = tls(&address, &json!({ "insecure_skip_verify": true }));
        let mut rig = Rig::start("TcpOutput", &careless, &quick(), Payload::InPlace);
        rig.feed(&lines(1, 2, WIDTH));
        rig.stop();
        assert_eq!(server.join().expect("no panic"), lines(1, 2, WIDTH));
    }
}

#[test]
fn a_client_certificate_is_shown_where_one_is_asked_for() {
    let (authority, clients) = (Authority::new(), Authority::new());
    authority.issue(&["127.0.0.1"], 4000);
    clients.issue(&["sender.example"], 4000);
    let (listener, address) = listen("127.0.0.1:0");
    let server = serve(listener, settings(&authority, Some(&clients)));
    let root = authority.path("root.pem");
    let own = tls(&address, &json!({ "root_cafile": root }));
    let mut rig = Rig::start("TcpOutput", &own, &quick(), Payload::InPlace);
    rig.feed(&lines(0, 1, WIDTH));
    rig.wait_notice("`key_file`");
    rig.quit();
    let options = json!({
        "root_cafile": root,
        "cert_file": clients.path("cert.pem"),
        "key_file": clients.path("key.pem"),
    });
    let own = tls(&address, &options);
    let mut rig = Rig::start("TcpOutput", &own, &quick(), Payload::InPlace);
    rig.feed(&lines(1, 3, WIDTH));
    assert_eq!(rig.stop().ledgers[0].delivered, 2);
    assert_eq!(server.join().expect("no panic"), lines(1, 3, WIDTH));
}

#[test]
fn certificates_are_read_again_on_sighup_even_while_messages_wait() {
    let (authority, other) = (Authority::new(), Authority::new());
    authority.issue(&["127.0.0.1"], 4000);
    let (listener, address) = listen("127.0.0.1:0");
    let server = serve(listener, settings(&authority, None));
    let root = other.path("root.pem");
    let own = tls(&address, &json!({ "root_cafile": root }));
    let mut rig = Rig::start("TcpOutput", &own, &quick(), Payload::InPlace);
    rig.feed(&lines(0, 10, WIDTH));
    rig.wait_notice("nobody whom we trust has signed");
    std::fs::remove_file(&root).expect("it was there");
    rig.tell(ToShard::Reopen);
    rig.wait_notice("the old ones stay in use");
    std::fs::copy(authority.path("root.pem"), &root).expect("room");
    rig.tell(ToShard::Reopen);
    rig.wait_notice("connected to");
    assert_eq!(rig.stop().ledgers[0].delivered, 10);
    assert_eq!(server.join().expect("no panic"), lines(0, 10, WIDTH));
}

#[test]
fn files_that_are_missing_end_the_output_and_are_named() {
    let absent = "/nowhere/root.pem";
    let own = tls("127.0.0.1:1", &json!({ "root_cafile": absent }));
    let mut rig = Rig::start("TcpOutput", &own, &quick(), Payload::InPlace);
    let end = rig.wait_notice(absent);
    assert!(end.contains("root_cafile"), "{end}");
    rig.quit();
}

#[test]
fn options_that_cannot_be_are_mistakes() {
    let half = tls("127.0.0.1:1", &json!({ "cert_file": "cert.pem" }));
    let mistakes = build("TcpOutput", &half, &quick()).err().expect("no key");
    assert!(mistakes[0].contains("key_file"), "{mistakes:?}");
    let unused = json!({ "address": "127.0.0.1:1", "tls": { "server_name": "x" } });
    let built = build("TcpOutput", &unused, &quick()).expect("it works");
    assert!(
        built.warnings[0].contains("use_tls"),
        "{:?}",
        built.warnings
    );
}
