//! What must hold for any input at all: the bodies of the fuzz targets.
//!
//! Owns:    one check a target.
//! Runs on: fuzz targets, the replay of their corpus, and property tests.            Plane: data.
//! Bounds:  the input.
//! Never:   passes over a difference: it panics.

use std::sync::{Arc, OnceLock};

use codecs::error::Damage;
use codecs::field::{FieldRef, Span, Value};
use codecs::framing::FrameHeader;
use codecs::message::{IndexError, MessageRef, MessageTable, TableLimits};
use codecs::proto::{Field, Header, Message};
use codecs::protobuf;
use codecs::signing::{Keys, SignerNames};
use codecs::splitter::{Splitter, SplitterOptions};
use codecs::splitters::{
    HekaFramingSplitter, NullSplitter, PatternGroupingSplitter, RegexSplitter, TokenSplitter,
};
use prost::Message as _;

use crate::driver::{Outcome, drive, drive_plain};

/// Bytes of a table before and behind the message that is looked at.
const MARGIN_BYTES: usize = 400;

/// Most fields that a table here takes.
const FIELDS_MAX: usize = 512;

/// Indexes `encoded` and calls `look` with what became of it. The bytes around it are `around`.
pub fn with_indexed(
    encoded: &[u8],
    around: u8,
    margin: usize,
    look: impl FnOnce(Result<MessageRef<'_>, IndexError>),
) {
    let mut table = MessageTable::new(TableLimits {
        received_bytes: encoded.len() + 2 * margin,
        arena_bytes: 16,
        messages: 1,
        fields: FIELDS_MAX,
    });
    table.received_mut().fill(around);
    table.received_mut()[margin..][..encoded.len()].copy_from_slice(encoded);
    let mut draft = table.begin().expect("a fresh table has room");
    let indexed = draft.index_protobuf(Span::new(margin, margin + encoded.len()));
    look(indexed.map(|()| table.get(0)));
}

/// What two readers must agree on: values of other types than a field's own do not count, and the type is
/// spelled out only where it says something. Doubles are compared by their bits, as integers.
pub fn normal(mut message: Message) -> Message {
    for field in &mut message.fields {
        let kind = field.value_type.take().unwrap_or_default();
        let own = Field {
            name: std::mem::take(&mut field.name),
            representation: field.representation.take(),
            value_type: (kind != 0).then_some(kind),
            ..Field::default()
        };
        let bits = |doubles: &[f64]| {
            doubles
                .iter()
                .map(|double| double.to_bits() as i64)
                .collect()
        };
        *field = match kind {
            0 => Field {
                value_string: std::mem::take(&mut field.value_string),
                ..own
            },
            1 => Field {
                value_bytes: std::mem::take(&mut field.value_bytes),
                ..own
            },
            2 => Field {
                value_integer: std::mem::take(&mut field.value_integer),
                ..own
            },
            3 => Field {
                value_integer: bits(&field.value_double),
                ..own
            },
            _ => Field {
                value_bool: std::mem::take(&mut field.value_bool),
                ..own
            },
        };
    }
    message
}

/// Any bytes are the same message to us and to prost, or damaged to both; what was read encodes to the same message.
pub fn protobuf(encoded: &[u8]) {
    let expected = Message::decode(encoded);
    // With and without room behind the message; the bytes there look like a field's.
    for (around, margin) in [(0, 0), (0x22, MARGIN_BYTES), (0x52, MARGIN_BYTES)] {
        with_indexed(encoded, around, margin, |indexed| {
            match (indexed, &expected) {
                (Ok(message), Ok(expected)) => {
                    assert_eq!(message.encoded().unwrap_or_default(), encoded);
                    let read = Message::from(message);
                    assert_eq!(normal(read), normal(expected.clone()));
                    message.fields().for_each(values_are_consistent);
                }
                (Ok(_), Err(error)) => {
                    assert!(
                        error.to_string().contains("UTF-8"),
                        "prost alone refuses it: {error}"
                    );
                }
                (Err(IndexError::Full), _) => assert!(encoded.len() > 2 * FIELDS_MAX),
                // Prost fills in what is missing, keeps types that it does not know, and passes over groups.
                (
                    Err(IndexError::Damage(
                        Damage::MissingRequired | Damage::ValueType | Damage::WireType,
                    )),
                    _,
                ) => {}
                (Err(IndexError::Damage(damage)), expected) => {
                    assert!(expected.is_err(), "we alone refuse it: {damage}");
                }
            }
        });
    }
    encodes_the_same(encoded);
}

/// The ways to get at values agree. Compared as text: a NaN is not equal to itself.
fn values_are_consistent(field: FieldRef<'_>) {
    let shown = |value: Option<Value<'_>>| format!("{value:?}");
    assert_eq!(field.values().count(), field.len());
    for index in 0..3 {
        assert_eq!(shown(field.value(index)), shown(field.values().nth(index)));
    }
    assert_eq!(shown(field.first()), shown(field.value(0)));
}

/// A message that was read and then touched encodes to the same message, in as many bytes as announced.
fn encodes_the_same(encoded: &[u8]) {
    with_indexed(encoded, 0, 0, |indexed| {
        let Ok(message) = indexed else {
            return;
        };
        let mut head = *message.head();
        head.encoded = Span::EMPTY;
        let fields: Vec<_> = message.fields().map(|field| *field.stored()).collect();
        let touched = MessageRef::new(message.bytes(), &head, &fields);
        let mut out = vec![0xaa];
        protobuf::encode(touched, &mut out);
        assert_eq!(out.len() - 1, protobuf::encoded_len(touched));
        with_indexed(&out[1..], 0, MARGIN_BYTES, |again| {
            let again = Message::from(again.expect("our own encoding"));
            assert_eq!(normal(again), normal(Message::from(touched)));
        });
        if let Ok(expected) = Message::decode(encoded) {
            let again = Message::decode(&out[1..]).expect("our own encoding");
            assert_eq!(normal(again), normal(expected));
        }
    });
}

/// Two signers, `a` and `b` with versions 0 and 1.
pub fn keys() -> Arc<Keys> {
    static KEYS: OnceLock<Arc<Keys>> = OnceLock::new();
    let make = || {
        let (mut keys, mut names) = (Keys::new(), SignerNames::new());
        for (section, key) in [("a_0", "key a"), ("b_0", "key b"), ("b_1", "key b1")] {
            keys.insert(section, key.as_bytes(), &mut names)
                .expect("a good section");
        }
        Arc::new(keys)
    };
    KEYS.get_or_init(make).clone()
}

/// Any stream is cut into frames without a panic, every byte is accounted for, and headers are what prost says.
pub fn framing(input: &[u8]) {
    let Some((&first, stream)) = input.split_first() else {
        return;
    };
    let header = &stream[..stream.len().min(255)];
    match (FrameHeader::parse(header), Header::decode(header)) {
        (Ok(ours), Ok(theirs)) => {
            assert_eq!(ours.message_len, theirs.message_length);
            assert_eq!(ours.signature.is_some(), theirs.hmac.is_some());
            if let Some(signature) = ours.signature {
                assert_eq!(signature.signer, theirs.hmac_signer().as_bytes());
                assert_eq!(signature.key_version, theirs.hmac_key_version());
                assert_eq!(signature.digest, theirs.hmac());
            }
        }
        (Ok(_), Err(error)) => assert!(error.to_string().contains("UTF-8"), "{error}"),
        (Err(Damage::MissingRequired | Damage::WireType), _) => {}
        (Err(damage), theirs) => assert!(theirs.is_err(), "we alone refuse it: {damage}"),
    }
    let options = SplitterOptions {
        record_bytes_max: 258 + usize::from(first & 0x3f) * 64,
        deliver_incomplete_final: first & 0x40 != 0,
        keep_truncated: false,
    };
    let splitter = HekaFramingSplitter::new(options, keys(), first & 0x80 != 0);
    let max = options.record_bytes_max;
    let pieces = (0..stream.len()).step_by(1 + usize::from(first & 7));
    drive(&mut splitter.clone(), stream, pieces, max);
    resets_to_new(splitter, stream, max);
}

/// A splitter that was reset cuts like a new one.
fn resets_to_new(mut splitter: impl Splitter, stream: &[u8], record_bytes_max: usize) {
    let first = drive(&mut splitter, stream, [stream.len()], record_bytes_max);
    splitter.split(stream, false);
    splitter.reset();
    let second = drive(&mut splitter, stream, [stream.len()], record_bytes_max);
    assert_eq!(first, second);
}

/// Delimiters whose matches are fixed, may grow, are captured or look ahead.
pub const DELIMITERS: [&str; 10] = [
    r"\n",
    r"\r?\n",
    r"\n+",
    r"(\n)",
    r"\n(#)",
    r"(;)\n",
    r"a+|b",
    r"(-+)x?",
    r"\n\b",
    r"\n(#+) ?",
];

/// The splitter that the first four bytes describe, with its record limit.
pub fn splitter_of([kind, first, second, flags]: [u8; 4]) -> (Box<dyn Splitter>, usize) {
    let options = SplitterOptions {
        record_bytes_max: 4 + usize::from(flags >> 2),
        keep_truncated: flags & 1 != 0,
        deliver_incomplete_final: flags & 2 != 0,
    };
    let delimiter = |index: u8| DELIMITERS[usize::from(index) % DELIMITERS.len()];
    let splitter: Box<dyn Splitter> = match kind % 4 {
        0 => Box::new(NullSplitter::new(options)),
        1 => {
            let count = u32::from(second % 4) + 1;
            Box::new(TokenSplitter::new("\n", count, options).expect("good options"))
        }
        2 => {
            let eol = second % 2 == 0;
            Box::new(RegexSplitter::new(delimiter(first), eol, options).expect("good options"))
        }
        _ => {
            let lines_max = u32::from(second % 5) + 1;
            let made = PatternGroupingSplitter::new(delimiter(first), "^g|b$", lines_max, options);
            Box::new(made.expect("good options"))
        }
    };
    (splitter, options.record_bytes_max)
}

/// Any stream is cut the same way however it arrives, with every option.
pub fn splitters(input: &[u8]) {
    let Some((&described, stream)) = input.split_first_chunk::<4>() else {
        return;
    };
    let outcome = |step: usize| {
        let (mut splitter, max) = splitter_of(described);
        drive(&mut *splitter, stream, (0..stream.len()).step_by(step), max)
    };
    let bytewise = outcome(1);
    if described[0] % 4 == 0 {
        assert_eq!(joined(&bytewise), stream);
        return;
    }
    for step in [2, 3, 7, stream.len().max(1)] {
        assert_eq!(outcome(step), bytewise, "pieces of {step} bytes");
    }
    let (mut splitter, max) = splitter_of(described);
    assert_eq!(drive(&mut *splitter, stream, [stream.len()], max), bytewise);
    for (plain, step) in [(1, 3), (2, 7), (64, 2), (64, stream.len().max(1))] {
        let (mut splitter, max) = splitter_of(described);
        let pieces = (0..stream.len()).step_by(step);
        let outcome = drive_plain(&mut *splitter, stream, pieces, max, plain);
        assert_eq!(outcome, bytewise, "{plain} at once, pieces of {step} bytes");
    }
}

fn joined(outcome: &Outcome) -> Vec<u8> {
    outcome.records().concat()
}
