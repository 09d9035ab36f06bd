//! Encoders: messages that were made or changed here, as bytes.
//!
//! Owns:    the messages, and the buffer that they are written to.
//! Runs on: the calling thread.            Plane: data.
//! Bounds:  one message of the buffer at a time.
//! Never:   takes the received bytes of a message for its encoding.

use codecs::message::{MessageRef, MessageTable};

use crate::measure::{Digest, Pass, Size};
use crate::messages;

const PAYLOAD_BYTES: usize = 150;

pub(crate) fn protobuf(size: Size) -> Box<dyn FnMut() -> Pass> {
    pass(size, codecs::protobuf::encode)
}

pub(crate) fn json(size: Size) -> Box<dyn FnMut() -> Pass> {
    pass(size, codecs::json::write_json)
}

fn pass(size: Size, write: fn(MessageRef<'_>, &mut Vec<u8>)) -> Box<dyn FnMut() -> Pass> {
    let tables: Vec<MessageTable> = (0..size.items())
        .map(|index| {
            let mut table = messages::scratch_table();
            messages::fill(
                &mut table.begin().expect("an empty table"),
                index,
                PAYLOAD_BYTES,
            );
            table
        })
        .collect();
    let mut out = Vec::new();
    Box::new(move || {
        let mut digest = Digest::default();
        let mut bytes = 0;
        for table in &tables {
            out.clear();
            write(table.get(0), &mut out);
            digest.add_bytes(&out);
            bytes += out.len() as u64;
        }
        Pass {
            items: tables.len() as u64,
            bytes,
            digest: digest.value(),
        }
    })
}
