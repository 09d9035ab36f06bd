//! ProtobufEncoder: the message in Heka's own encoding.
//!
//! Owns:    its (empty) options and the step itself.
//! Runs on: every shard.            Plane: data.
//! Bounds:  a message that would be longer than `max_message_size` is refused.
//! Never:   encodes again what was received and not changed: those bytes are named where they stand.

use codecs::message::MessageRef;
use engine::plugin::options::CodecOptions;
use engine::plugin::{
    EncodeContext, EncodeFailure, Encoded, Encoder, EncoderFactory, EncoderPlugin, PluginSpec,
    Section, encode_protobuf,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of `ProtobufEncoder`: none.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {}

/// The table's line.
pub const SPEC: PluginSpec = PluginSpec::encoder::<Options>(
    "ProtobufEncoder",
    "Emits the protobuf form of the message",
)
.auto()
.any_key()
.notes(&[
    "A message that was received in protobuf and not changed is passed on as the bytes that were received.",
    "Outputs that leave `use_framing` open put its bytes into Heka stream frames.",
]);

impl EncoderPlugin for Options {
    fn build(self, section: &mut Section<'_, CodecOptions>) -> Option<Box<dyn EncoderFactory>> {
        Some(Box::new(Factory {
            message_bytes_max: section.hekad().message_bytes_max(),
        }))
    }
}

struct Factory {
    message_bytes_max: usize,
}

impl EncoderFactory for Factory {
    fn make(&self) -> Box<dyn Encoder> {
        Box::new(ProtobufEncoder {
            message_bytes_max: self.message_bytes_max,
        })
    }

    fn frames_by_default(&self) -> bool {
        true
    }
}

struct ProtobufEncoder {
    message_bytes_max: usize,
}

impl Encoder for ProtobufEncoder {
    #[inline]
    fn encode(
        &mut self,
        message: MessageRef<'_>,
        _context: EncodeContext,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeFailure> {
        encode_protobuf(message, self.message_bytes_max, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codecs::field::Span;
    use codecs::message::{Header, MessageTable, TableLimits};
    use codecs::protobuf;

    const LIMITS: TableLimits = TableLimits {
        received_bytes: 4096,
        arena_bytes: 4096,
        messages: 8,
        fields: 64,
    };

    fn encoder(message_bytes_max: usize) -> Box<dyn Encoder> {
        Factory { message_bytes_max }.make()
    }

    fn made(payload: &str) -> MessageTable {
        let mut table = MessageTable::new(LIMITS);
        let mut draft = table.begin().expect("room");
        draft.set(Header::Uuid, &[7_u8; 16][..]).expect("room");
        draft.set(Header::Payload, payload).expect("room");
        draft.set_timestamp(1);
        table
    }

    #[test]
    fn made_messages_are_appended() {
        let table = made("hello");
        let mut out = b"before".to_vec();
        let encoded = encoder(1024).encode(table.get(0), EncodeContext { now: 0 }, &mut out);
        assert_eq!(encoded, Ok(Encoded::Appended));
        let mut want = b"before".to_vec();
        protobuf::encode(table.get(0), &mut want);
        assert_eq!(out, want);
    }

    #[test]
    fn received_messages_stay_where_they_are_until_they_change() {
        let mut bytes = Vec::new();
        protobuf::encode(made("hello").get(0), &mut bytes);
        let mut table = MessageTable::new(LIMITS);
        table.received_mut()[..bytes.len()].copy_from_slice(&bytes);
        let span = Span::new(0, bytes.len());
        let mut draft = table.begin().expect("room");
        draft.index_protobuf(span).expect("valid");
        let mut out = Vec::new();
        let mut encoder = encoder(1024);
        let context = EncodeContext { now: 0 };
        assert_eq!(
            encoder.encode(table.get(0), context, &mut out),
            Ok(Encoded::InPlace(span))
        );
        assert!(out.is_empty());
        table.draft(0).set_severity(3);
        assert_eq!(
            encoder.encode(table.get(0), context, &mut out),
            Ok(Encoded::Appended)
        );
        assert!(!out.is_empty());
    }

    #[test]
    fn too_long_a_message_is_refused_and_leaves_nothing() {
        let table = made(&"x".repeat(200));
        let mut out = Vec::new();
        let context = EncodeContext { now: 0 };
        let needed = protobuf::encoded_len(table.get(0));
        assert!(
            encoder(needed - 1)
                .encode(table.get(0), context, &mut out)
                .is_err()
        );
        assert!(out.is_empty());
        assert!(
            encoder(needed)
                .encode(table.get(0), context, &mut out)
                .is_ok()
        );
    }
}
