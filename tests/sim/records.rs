//! Records whose bytes follow from their place.
//!
//! Owns:    what a record looks like, and how it is told from one that was changed.
//! Runs on: tests.            Plane: data.
//! Bounds:  a few KiB a record.
//! Never:   makes two records alike.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Which stream a record is of: sources first, then what clients send, each attempt one of its own.
pub(crate) type Stream = u64;

/// The record at a place, newline included.
pub(crate) fn record(stream: Stream, number: u64) -> Vec<u8> {
    let mut hasher = DefaultHasher::new();
    (stream, number).hash(&mut hasher);
    let mut random = fastrand::Rng::with_seed(hasher.finish());
    let len = match random.u8(..20) {
        0 => random.usize(..4000),
        1 => 0,
        _ => random.usize(..120),
    };
    let mut bytes = format!("{stream}:{number}:").into_bytes();
    bytes.extend((0..len).map(|_| random.alphanumeric() as u8));
    bytes.push(b'\n');
    bytes
}

/// A stream of so many records, and where each ends.
pub(crate) fn stream(stream: Stream, count: u64) -> (Vec<u8>, Vec<usize>) {
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    for number in 0..count {
        bytes.extend(record(stream, number));
        ends.push(bytes.len());
    }
    (bytes, ends)
}

/// The place of a record, newline included, which must be what stands there.
pub(crate) fn place(bytes: &[u8]) -> (Stream, u64) {
    let text = std::str::from_utf8(bytes).expect("letters and digits");
    let mut parts = text.splitn(3, ':').map(str::parse);
    let (Some(Ok(stream)), Some(Ok(number))) = (parts.next(), parts.next()) else {
        panic!("nobody sent `{text}`");
    };
    let expected = record(stream, number);
    let same = expected
        .iter()
        .zip(bytes)
        .take_while(|(one, other)| one == other);
    let same = same.count();
    assert!(
        bytes == expected,
        "record {number} of stream {stream} has changed from its byte {same} on: {} bytes instead of {}, `{}`",
        bytes.len(),
        expected.len(),
        &text[same..],
    );
    (stream, number)
}
