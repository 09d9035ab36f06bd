//! Cutting a stream does not depend on how it arrives.
//!
//! Owns:    properties of splitters over undamaged streams.
//! Runs on: tests.            Plane: data.
//! Bounds:  streams of some hundred bytes, cut at every byte.
//! Never:   depends on timing.

use codecs::framing::write_frame;
use codecs::signing::{HashFunction, Signer};
use codecs::splitter::{SkipCause, Splitter, SplitterOptions};
use codecs::splitters::{
    HekaFramingSplitter, NullSplitter, RegexSplitter, TokenSplitter, WholeSplitter,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::checks::{self, keys};
use crate::driver::{Event, drive};

proptest! {
    #[test]
    fn every_splitter_cuts_alike_in_pieces_and_whole(
        described in any::<[u8; 4]>(),
        stream in "[ab;gx#\r\n -]{0,120}",
    ) {
        checks::splitters(&[&described, stream.as_bytes()].concat());
    }

    #[test]
    fn frames_are_cut_alike_at_every_byte(parts in vec(part(), 0..6)) {
        let options = SplitterOptions { record_bytes_max: 258 + 300, ..SplitterOptions::default() };
        let splitter = HekaFramingSplitter::new(options, keys(), false);
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for part in &parts {
            let start = stream.len();
            part.write(&mut stream);
            if let Part::Frame { message, signer, signed } = part {
                assert!(stream.len() > start);
                let signer = signed.then_some(signer % 2 + 1).unwrap_or_default();
                let (bytes, truncated) = (message.clone(), false);
                expected.push(Event::Record { bytes, signer, truncated });
            }
        }
        let max = options.record_bytes_max;
        let whole = drive(&mut splitter.clone(), &stream, [stream.len()], max);
        prop_assert_eq!(&whole.events, &expected);
        let bytewise = drive(&mut splitter.clone(), &stream, 0..stream.len(), max);
        prop_assert_eq!(&bytewise, &whole);
        for cut in 0..stream.len() {
            let cut = drive(&mut splitter.clone(), &stream, [cut, stream.len()], max);
            prop_assert_eq!(&cut, &whole);
        }
    }
}

/// What an undamaged framed stream is made of.
#[derive(Clone, Debug)]
enum Part {
    Frame {
        message: Vec<u8>,
        signer: u8,
        signed: bool,
    },
    Garbage(Vec<u8>),
}

impl Part {
    fn write(&self, stream: &mut Vec<u8>) {
        match self {
            Part::Garbage(bytes) => stream.extend_from_slice(bytes),
            Part::Frame {
                message,
                signer,
                signed,
            } => {
                let hashes = [HashFunction::Md5, HashFunction::Sha1, HashFunction::Sha256];
                let hash = hashes[usize::from(*signer) % 3];
                let signer = match signer % 2 {
                    0 => Signer::new("a", 0, hash, b"key a"),
                    _ => Signer::new("b", 1, hash, b"key b1"),
                };
                write_frame(message, signed.then_some(&signer), 300, stream).unwrap();
            }
        }
    }
}

fn part() -> impl Strategy<Value = Part> {
    let message = prop_oneof![vec(any::<u8>(), 0..40), vec(any::<u8>(), 120..140)];
    prop_oneof![
        4 => (message, any::<u8>(), any::<bool>())
            .prop_map(|(message, signer, signed)| Part::Frame { message, signer, signed }),
        1 => vec((0..=255u8).prop_filter("begins a frame", |byte| *byte != 0x1e), 0..9)
            .prop_map(Part::Garbage),
    ]
}

const OPTIONS: SplitterOptions = SplitterOptions {
    record_bytes_max: 16,
    keep_truncated: false,
    deliver_incomplete_final: false,
};

fn records(mut splitter: impl Splitter, stream: &str) -> Vec<String> {
    let outcome = drive(&mut splitter, stream.as_bytes(), 0..stream.len(), 16);
    let text = |record: &&[u8]| String::from_utf8(record.to_vec()).unwrap();
    outcome.records().iter().map(text).collect()
}

#[test]
fn tokens_end_records_and_stay_with_them() {
    let splitter = TokenSplitter::new("\n", 1, OPTIONS).unwrap();
    assert_eq!(
        records(splitter, "one\n\ntwo\nrest"),
        ["one\n", "\n", "two\n"]
    );
    let splitter = TokenSplitter::new("\n", 2, OPTIONS).unwrap();
    assert_eq!(records(splitter, "1\n2\n3\n4\n5\n"), ["1\n2\n", "3\n4\n"]);
    let options = SplitterOptions {
        deliver_incomplete_final: true,
        ..OPTIONS
    };
    let splitter = TokenSplitter::new("\n", 1, options).unwrap();
    assert_eq!(records(splitter, "one\nrest"), ["one\n", "rest"]);
}

#[test]
fn captured_delimiters_end_or_begin_records() {
    let splitter = |pattern: &str, eol: bool| RegexSplitter::new(pattern, eol, OPTIONS).unwrap();
    assert_eq!(records(splitter("\n", true), "a\n\nb\nrest"), ["a", "b"]);
    assert_eq!(
        records(splitter("(\n)", true), "a\n\nb\n"),
        ["a\n", "\n", "b\n"]
    );
    assert_eq!(records(splitter("(\n)", false), "a\nb\nc"), ["a", "\nb"]);
    assert_eq!(
        records(splitter("\n(# T:)", false), "x\n# T: a\n# T: b\n# T: c"),
        ["x", "# T: a", "# T: b"]
    );
    assert_eq!(records(splitter("<(.)>", true), "a<1>b<2>"), ["a1", "b2"]);
    assert_eq!(records(splitter("<(.)>", false), "a<1>b<2>c"), ["a", "1b"]);
}

#[test]
fn an_over_long_record_is_lost_once_or_cut_once() {
    let stream = format!("short\n{}\nnext\n", "x".repeat(100));
    for eol in [true, false] {
        for keep_truncated in [true, false] {
            let options = SplitterOptions {
                keep_truncated,
                ..OPTIONS
            };
            let cut = "x".repeat(16);
            let kept = if keep_truncated {
                vec!["short", &cut, "next"]
            } else {
                vec!["short", "next"]
            };
            let splitter = RegexSplitter::new("\n", eol, options).unwrap();
            assert_eq!(records(splitter, &stream), kept);
            let mut splitter = TokenSplitter::new("\n", 1, options).unwrap();
            let outcome = drive(&mut splitter, stream.as_bytes(), 0..stream.len(), 16);
            assert_eq!(outcome.lost(), usize::from(!keep_truncated));
            assert_eq!(outcome.records().len(), kept.len());
        }
    }
}

#[test]
fn what_a_read_returned_is_a_record_for_the_null_splitter() {
    let mut splitter = NullSplitter::new(OPTIONS);
    let outcome = drive(&mut splitter, b"one two three", [3, 7, 13], 16);
    assert_eq!(outcome.records(), [&b"one"[..], b" two", b" three"]);
    let outcome = drive(&mut splitter, &[b'x'; 40], [40], 16);
    assert_eq!(
        outcome
            .records()
            .iter()
            .map(|record| record.len())
            .collect::<Vec<_>>(),
        [16, 16, 8]
    );
}

proptest! {
    #[test]
    fn a_whole_stream_is_one_record_however_it_comes(
        stream in vec(any::<u8>(), 0..40),
        mut cuts in vec(0..40usize, 0..6),
        keep_truncated in any::<bool>(),
    ) {
        cuts.sort_unstable();
        let options = SplitterOptions { keep_truncated, ..OPTIONS };
        let mut splitter = WholeSplitter::new(options);
        let kept = &stream[..stream.len().min(OPTIONS.record_bytes_max)];
        let truncated = stream.len() >= OPTIONS.record_bytes_max;
        let expected = match (stream.is_empty(), truncated && !keep_truncated) {
            (true, _) => vec![],
            (_, true) => vec![Event::Lost(SkipCause::TooLong)],
            _ => vec![Event::Record { bytes: kept.to_vec(), signer: 0, truncated }],
        };
        // The splitter serves one stream after the other.
        for _ in 0..2 {
            let outcome = drive(&mut splitter, &stream, cuts.iter().copied(), 16);
            prop_assert_eq!(&outcome.events, &expected);
            splitter.reset();
        }
    }
}
