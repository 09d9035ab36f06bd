//! Splitters: from a stream to records.
//!
//! Owns:    its streams, which are in memory.
//! Runs on: the calling thread.            Plane: data.
//! Bounds:  reads of 64 KiB, as a socket gives them.
//! Never:   copies the stream.

use std::sync::Arc;

use codecs::signing::{HashFunction, Keys, Signer, SignerNames};
use codecs::splitter::{Split, Splitter, SplitterOptions};
use codecs::splitters::{HekaFramingSplitter, RegexSplitter, TokenSplitter};

use crate::measure::{Digest, Pass, Size};
use crate::messages;

const READ_BYTES: usize = 64 * 1024;
const RECORD_BYTES: usize = 256;

pub(crate) fn frames_256(size: Size) -> Box<dyn FnMut() -> Pass> {
    let splitter =
        HekaFramingSplitter::new(SplitterOptions::default(), Arc::new(Keys::new()), false);
    // The frame around a message of this size takes six bytes.
    pass(
        splitter,
        messages::frames(size.items(), RECORD_BYTES - 6, None),
    )
}

pub(crate) fn frames_256_signed(size: Size) -> Box<dyn FnMut() -> Pass> {
    let signer = Signer::new("ops", 1, HashFunction::Md5, b"secret");
    let mut keys = Keys::new();
    keys.insert("ops_1", b"secret", &mut SignerNames::new())
        .expect("a name with a version");
    let splitter = HekaFramingSplitter::new(SplitterOptions::default(), Arc::new(keys), false);
    pass(
        splitter,
        messages::frames(size.items(), RECORD_BYTES - 6, Some(&signer)),
    )
}

pub(crate) fn lines_256(size: Size) -> Box<dyn FnMut() -> Pass> {
    let splitter = TokenSplitter::new("\n", 1, SplitterOptions::default()).expect("one byte");
    pass(splitter, messages::lines(size.items(), RECORD_BYTES))
}

pub(crate) fn regex_256(size: Size) -> Box<dyn FnMut() -> Pass> {
    let splitter =
        RegexSplitter::new("\n", true, SplitterOptions::default()).expect("a right pattern");
    pass(splitter, messages::lines(size.items(), RECORD_BYTES))
}

/// Passes over a stream: whole records within each read, the rest with the next one.
fn pass(mut splitter: impl Splitter + 'static, stream: Vec<u8>) -> Box<dyn FnMut() -> Pass> {
    Box::new(move || {
        splitter.reset();
        let mut digest = Digest::default();
        let (mut items, mut at, mut received) = (0, 0, 0);
        while received < stream.len() {
            received = stream.len().min(received + READ_BYTES);
            let end = received == stream.len();
            loop {
                match splitter.split(&stream[at..received], end) {
                    Split::Record(record) => {
                        items += 1;
                        digest.add((at + record.content.start as usize) as u64);
                        digest.add(record.content.len.into());
                        digest.add(record.signer.into());
                        at += record.consumed;
                    }
                    Split::Skip { consumed, cause } => {
                        digest.add(cause as u64);
                        at += consumed;
                    }
                    Split::More => break,
                }
            }
        }
        Pass {
            items,
            bytes: stream.len() as u64,
            digest: digest.value(),
        }
    })
}
