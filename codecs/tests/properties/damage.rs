//! Damaged framed streams lose only what was damaged.
//!
//! Owns:    properties and cases of the framing splitter's recovery.
//! Runs on: tests.            Plane: data.
//! Bounds:  streams of a few frames, every byte damaged in turn.
//! Never:   depends on timing.

use std::ops::Range;

use codecs::framing::write_frame;
use codecs::signing::{HashFunction, Signer};
use codecs::splitter::{SkipCause, SplitterOptions};
use codecs::splitters::HekaFramingSplitter;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::checks::keys;
use crate::driver::{Event, Outcome, drive};

const OPTIONS: SplitterOptions = SplitterOptions {
    record_bytes_max: 258 + 300,
    keep_truncated: false,
    deliver_incomplete_final: false,
};

/// A framed stream and where its frames stand.
struct Stream {
    bytes: Vec<u8>,
    frames: Vec<Range<usize>>,
    messages: Vec<Vec<u8>>,
}

impl Stream {
    fn new(messages: &[Vec<u8>], signer: Option<&Signer>) -> Stream {
        let (mut bytes, mut frames) = (Vec::new(), Vec::new());
        for message in messages {
            let start = bytes.len();
            write_frame(message, signer, 300, &mut bytes).unwrap();
            frames.push(start..bytes.len());
        }
        Stream {
            bytes,
            frames,
            messages: messages.to_vec(),
        }
    }

    /// All messages but that of the frame at `damaged` come out, in order; at most one record is lost.
    fn assert_only_lost(&self, damaged: usize, outcome: &Outcome) {
        let others: Vec<&[u8]> = (0..self.messages.len())
            .filter(|index| *index != damaged)
            .map(|index| &*self.messages[index])
            .collect();
        let mut records = outcome.records();
        if records.len() > others.len() {
            assert_eq!(records.len(), others.len() + 1, "{outcome:?}");
            records.remove(damaged);
        }
        assert_eq!(records, others, "{outcome:?}");
        assert!(outcome.lost() <= 1, "{outcome:?}");
    }
}

fn split(bytes: &[u8]) -> Outcome {
    let mut splitter = HekaFramingSplitter::new(OPTIONS, keys(), false);
    drive(
        &mut splitter,
        bytes,
        [bytes.len()],
        OPTIONS.record_bytes_max,
    )
}

fn split_bytewise(bytes: &[u8]) -> Outcome {
    let mut splitter = HekaFramingSplitter::new(OPTIONS, keys(), false);
    drive(
        &mut splitter,
        bytes,
        0..bytes.len(),
        OPTIONS.record_bytes_max,
    )
}

fn signer() -> Signer {
    Signer::new("a", 0, HashFunction::Md5, b"key a")
}

/// Messages without the bytes that frames are made of: what random bytes may imitate is no matter of damage.
fn messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(vec(0x20..=255u8, 1..60), 2..5)
}

proptest! {
    #[test]
    fn a_signed_stream_loses_only_the_damaged_record(
        messages in messages(),
        at in any::<prop::sample::Index>(),
        flip in 1..=255u8,
    ) {
        let stream = Stream::new(&messages, Some(&signer()));
        let at = at.index(stream.bytes.len());
        let damaged = stream.frames.iter().position(|frame| frame.contains(&at)).unwrap();
        let mut bytes = stream.bytes.clone();
        bytes[at] ^= flip;
        stream.assert_only_lost(damaged, &split(&bytes));
        stream.assert_only_lost(damaged, &split_bytewise(&bytes));
    }

    #[test]
    fn an_unsigned_stream_loses_only_the_record_with_the_damaged_header(
        messages in messages(),
        which in any::<prop::sample::Index>(),
        offset in 0..5usize,
        flip in 1..=255u8,
    ) {
        let stream = Stream::new(&messages, None);
        let damaged = which.index(stream.frames.len());
        let frame = stream.frames[damaged].clone();
        let mut bytes = stream.bytes.clone();
        bytes[frame.start + offset] ^= flip;
        // A length that happens to lead to the end of another frame cannot be told from a right one.
        let lie = frame.start + 5 + usize::from(bytes[frame.start + 3]);
        let believable = stream.frames.iter().any(|frame| frame.end == lie);
        prop_assume!(offset != 3 || !believable);
        stream.assert_only_lost(damaged, &split(&bytes));
    }

    #[test]
    fn a_truncated_stream_loses_only_its_last_record(
        messages in messages(),
        signed in any::<bool>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let signer = signer();
        let stream = Stream::new(&messages, signed.then_some(&signer));
        let cut = cut.index(stream.bytes.len());
        let whole = stream.frames.iter().filter(|frame| frame.end <= cut).count();
        for outcome in [split(&stream.bytes[..cut]), split_bytewise(&stream.bytes[..cut])] {
            prop_assert_eq!(outcome.records(), &stream.messages[..whole]);
            let left = stream.frames[whole].start < cut;
            prop_assert_eq!(outcome.lost(), usize::from(left));
        }
    }

    #[test]
    fn any_damage_is_survived(
        messages in messages(),
        signed in any::<bool>(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..9),
    ) {
        let signer = signer();
        let mut bytes = Stream::new(&messages, signed.then_some(&signer)).bytes;
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        split(&bytes);
        split_bytewise(&bytes);
    }
}

fn frame(message: &[u8], signer: Option<&Signer>) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_frame(message, signer, 300, &mut bytes).unwrap();
    bytes
}

fn causes(outcome: &Outcome) -> Vec<SkipCause> {
    let lost = outcome.events.iter().filter_map(|event| match event {
        Event::Lost(cause) => Some(*cause),
        Event::Record { .. } => None,
    });
    lost.collect()
}

#[test]
fn signatures_are_checked() {
    let stranger = Signer::new("c", 0, HashFunction::Md5, b"key c");
    let wrong = Signer::new("a", 0, HashFunction::Sha256, b"another key");
    let unknown_version = Signer::new("a", 7, HashFunction::Sha1, b"key a");
    let good = Signer::new("b", 1, HashFunction::Sha256, b"key b1");
    let frames = [
        frame(b"1", Some(&stranger)),
        frame(b"2", Some(&wrong)),
        frame(b"3", Some(&unknown_version)),
        frame(b"4", Some(&good)),
        frame(b"5", None),
    ];
    let outcome = split(&frames.concat());
    let right = Event::Record {
        bytes: b"4".into(),
        signer: 2,
        truncated: false,
    };
    let unsigned = Event::Record {
        bytes: b"5".into(),
        signer: 0,
        truncated: false,
    };
    let lost = [
        SkipCause::UnknownSigner,
        SkipCause::WrongSignature,
        SkipCause::UnknownSigner,
    ];
    assert_eq!(causes(&outcome), lost);
    assert_eq!(outcome.events[3..], [right, unsigned]);
    let mut lenient = HekaFramingSplitter::new(OPTIONS, keys(), true);
    let outcome = drive(
        &mut lenient,
        &frames.concat(),
        [1],
        OPTIONS.record_bytes_max,
    );
    assert_eq!(outcome.records(), [b"1", b"2", b"3", b"4", b"5"]);
}

#[test]
fn a_length_that_swallows_the_next_frame_is_found_out() {
    let mut bytes = frame(&[b'x'; 20], None);
    bytes[3] = 30;
    bytes.extend(frame(&[b'y'; 20], None));
    bytes.extend(frame(&[b'z'; 20], None));
    let outcome = split(&bytes);
    assert_eq!(causes(&outcome), [SkipCause::BadFrame]);
    assert_eq!(outcome.records(), [[b'y'; 20], [b'z'; 20]]);
}

#[test]
fn garbage_behind_a_frame_does_not_cost_it() {
    let mut bytes = frame(b"message", None);
    bytes.extend(b"garbage");
    bytes.extend(frame(b"next", None));
    for outcome in [split(&bytes), split_bytewise(&bytes)] {
        assert_eq!(outcome.records(), [&b"message"[..], b"next"]);
        assert_eq!((outcome.lost(), outcome.skipped), (0, 7));
    }
}

#[test]
fn a_frame_within_a_message_stays_there() {
    let inner = [frame(b"inner", None), frame(b"another", None)].concat();
    let bytes = [frame(&inner, None), frame(b"next", None)].concat();
    assert_eq!(split(&bytes).records(), [&*inner, b"next"]);
}

#[test]
fn a_message_over_the_limit_is_lost_once() {
    let mut bytes = vec![0x1e, 3, 0x08, 0xad, 0x02, 0x1f];
    bytes.extend([b'x'; 301]);
    bytes.extend(frame(b"next", None));
    for outcome in [split(&bytes), split_bytewise(&bytes)] {
        assert_eq!(causes(&outcome), [SkipCause::TooLong]);
        assert_eq!(outcome.records(), [b"next"]);
    }
}

#[test]
fn frames_within_an_unfinished_one_are_not_lost_at_the_end() {
    let mut bytes = vec![0x1e, 3, 0x08, 0xac, 0x02, 0x1f];
    bytes.extend(frame(b"one", None));
    bytes.extend(frame(b"two", None));
    for outcome in [split(&bytes), split_bytewise(&bytes)] {
        assert_eq!(causes(&outcome), [SkipCause::Incomplete]);
        assert_eq!(outcome.records(), [b"one", b"two"]);
    }
}

#[test]
fn hashes_are_not_computed_for_every_byte_of_a_hostile_stretch() {
    // Headers that each announce a long signed message, with the start of the next header in it.
    let header = frame(&[b'x'; 290], Some(&signer()));
    let header = &header[..header.len() - 290];
    let mut bytes = header.repeat(200);
    bytes.extend([b'x'; 300]);
    bytes.extend(frame(b"next", None));
    let outcome = split(&bytes);
    assert_eq!(outcome.records().last(), Some(&&b"next"[..]));
    // A stretch is given up after some tries: far fewer losses than headers.
    assert!(outcome.lost() < 200, "{}", outcome.lost());
}
