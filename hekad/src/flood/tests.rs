//! Floods against receivers in this process.
//!
//! Owns:    the receivers, and what they must have seen.
//! Runs on: tests.            Plane: control.
//! Bounds:  a few thousand messages a test.
//! Never:   measures a rate.

use std::io::Read;
use std::net::{TcpListener, UdpSocket};

use codecs::field::{Span, Value};
use codecs::framing::FrameHeader;
use codecs::message::{MessageTable, TableLimits};
use codecs::signing::{HashFunction, Keys, Signer, SignerNames, Verdict};

use super::*;
use crate::cli::Network;
use crate::flood::settings::tests::plain;

/// What a receiver makes of one frame.
struct Seen {
    /// `None` for a message that cannot be read.
    seq: Option<i64>,
    verdict: Option<Verdict>,
    bytes: usize,
}

/// Takes a stream of whole frames apart by the lengths in their headers.
fn take_apart(mut stream: &[u8], keys: &Keys) -> Vec<Seen> {
    let mut seen = Vec::new();
    while !stream.is_empty() {
        assert_eq!(stream[0], 0x1e);
        let message_at = usize::from(stream[1]) + 3;
        let header = FrameHeader::parse(&stream[2..message_at - 1]).unwrap();
        let (frame, rest) = stream.split_at(message_at + header.message_len as usize);
        let message = &frame[message_at..];
        let verdict = header
            .signature
            .map(|s| keys.verify(s.signer, s.key_version, s.hash, s.digest, message));
        seen.push(Seen {
            seq: seq_of(message),
            verdict,
            bytes: frame.len(),
        });
        stream = rest;
    }
    seen
}

fn seq_of(message: &[u8]) -> Option<i64> {
    let mut table = MessageTable::new(TableLimits {
        received_bytes: message.len(),
        arena_bytes: 0,
        messages: 1,
        fields: 16,
    });
    table.received_mut().copy_from_slice(message);
    table
        .begin()
        .unwrap()
        .index_protobuf(Span::new(0, message.len()))
        .ok()?;
    match table.get(0).field(b"seq", 0)?.first()? {
        Value::Integer(seq) => Some(seq),
        _ => None,
    }
}

fn keys() -> Keys {
    let mut keys = Keys::new();
    keys.insert("test_3", b"secret", &mut SignerNames::new())
        .unwrap();
    keys
}

/// Floods a receiver that reads every connection to its end; answers the bytes of each.
fn flood_tcp(settings: &Settings) -> (Outcome, Vec<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = Settings {
        address: listener.local_addr().unwrap().to_string(),
        ..settings.clone()
    };
    thread::scope(|scope| {
        let readers: Vec<_> = (0..settings.connections)
            .map(|_| {
                scope.spawn(|| {
                    let mut bytes = Vec::new();
                    listener
                        .accept()
                        .unwrap()
                        .0
                        .read_to_end(&mut bytes)
                        .unwrap();
                    bytes
                })
            })
            .collect();
        let outcome = run(&settings, &AtomicBool::new(false));
        (
            outcome,
            readers
                .into_iter()
                .map(|reader| reader.join().unwrap())
                .collect(),
        )
    })
}

#[test]
fn a_receiver_loses_exactly_the_corrupt_signed_messages() {
    let settings = Settings {
        messages: Some(30_000),
        payload_bytes: 100,
        connections: 3,
        corrupt_percent: 1.0,
        signed_percent: 100.0,
        signer: Some(Signer::new("test", 3, HashFunction::Sha1, b"secret")),
        ..plain("x:1")
    };
    let (outcome, streams) = flood_tcp(&settings);
    assert!(outcome.first_error.is_none());
    assert_eq!(outcome.counts.messages, 30_000);
    assert_eq!(
        (
            outcome.counts.corrupt,
            outcome.counts.corrupt_signed,
            outcome.counts.signed
        ),
        (300, 300, 30_000)
    );
    let mut right = Vec::new();
    let mut wrong = 0;
    for stream in &streams {
        let mut last = -1;
        for seen in take_apart(stream, &keys()) {
            match seen.verdict {
                Some(Verdict::Right(0)) => {
                    let seq = seen.seq.unwrap();
                    assert!(seq > last, "order within a connection");
                    last = seq;
                    right.push(seq);
                }
                Some(Verdict::Wrong) => wrong += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(wrong, 300);
    right.sort_unstable();
    right.dedup();
    assert_eq!(right.len(), 29_700);
    assert!(right.iter().all(|&seq| (0..30_000).contains(&seq)));
}

#[test]
fn counts_are_those_of_the_bytes() {
    let settings = Settings {
        messages: Some(700),
        variable: true,
        corrupt_percent: 5.0,
        signed_percent: 40.0,
        oversized_percent: 2.0,
        message_bytes_max: 4096,
        signer: Some(Signer::new("test", 3, HashFunction::Sha256, b"secret")),
        ..plain("x:1")
    };
    let (outcome, streams) = flood_tcp(&settings);
    let seen = take_apart(&streams[0], &keys());
    assert_eq!(seen.len() as u64, outcome.counts.messages);
    assert_eq!(
        seen.iter().map(|seen| seen.bytes as u64).sum::<u64>(),
        outcome.counts.bytes
    );
    assert_eq!(seen.iter().filter(|seen| seen.bytes > 4096).count(), 14);
    assert_eq!(
        seen.iter().filter(|seen| seen.verdict.is_some()).count(),
        280
    );
    let wrong = seen
        .iter()
        .filter(|seen| seen.verdict == Some(Verdict::Wrong))
        .count();
    assert_eq!(wrong as u64, outcome.counts.corrupt_signed);
    assert_eq!(outcome.counts.corrupt, 35);
}

#[test]
fn a_static_flood_repeats_one_frame() {
    let settings = Settings {
        messages: Some(5000),
        fixed: true,
        ..plain("x:1")
    };
    let (outcome, streams) = flood_tcp(&settings);
    assert_eq!(outcome.counts.messages, 5000);
    let frame_bytes = streams[0].len() / 5000;
    let mut frames = streams[0].chunks(frame_bytes);
    let first = frames.next().unwrap();
    assert!(frames.all(|frame| frame == first));
    assert_eq!(take_apart(first, &keys())[0].seq, None);
}

#[test]
fn a_stopped_flood_ends_between_two_frames() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = plain(&listener.local_addr().unwrap().to_string());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let flood = scope.spawn(|| run(&settings, &stop));
        let mut stream = listener.accept().unwrap().0;
        let mut bytes = vec![0; 100_000];
        stream.read_exact(&mut bytes).unwrap();
        stop.store(true, Ordering::Relaxed);
        stream.read_to_end(&mut bytes).unwrap();
        let outcome = flood.join().unwrap();
        let seen = take_apart(&bytes, &keys());
        assert_eq!(seen.len() as u64, outcome.counts.messages);
        assert_eq!(bytes.len() as u64, outcome.counts.bytes);
    });
}

#[test]
fn a_lost_connection_is_made_again_or_ends_the_flood() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = Settings {
        reconnect: Some(Duration::ZERO),
        ..plain(&listener.local_addr().unwrap().to_string())
    };
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let flood = scope.spawn(|| run(&settings, &stop));
        let first = listener.accept().unwrap().0;
        drop(first);
        let second = listener.accept().unwrap().0;
        stop.store(true, Ordering::Relaxed);
        drop(second);
        let outcome = flood.join().unwrap();
        assert!(outcome.reconnects >= 1);
        assert!(outcome.first_error.is_none());
    });
    settings.reconnect = None;
    drop(listener);
    assert!(
        run(&settings, &AtomicBool::new(false))
            .first_error
            .is_some()
    );
}

#[test]
fn each_datagram_is_a_frame() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let settings = Settings {
        network: Network::Udp,
        messages: Some(20),
        rate: Some(10_000.0),
        ..plain(&receiver.local_addr().unwrap().to_string())
    };
    let outcome = run(&settings, &AtomicBool::new(false));
    assert_eq!(outcome.counts.messages, 20);
    let mut datagram = [0; 2048];
    for seq in 0..20 {
        let count = receiver.recv(&mut datagram).unwrap();
        let seen = take_apart(&datagram[..count], &keys());
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].seq, Some(seq));
    }
}
