//! ProtobufDecoder: a record is an encoded Heka message.
//!
//! Owns:    nothing; indexing is the codec's.
//! Runs on: every shard, one instance a stream.            Plane: data.
//! Bounds:  one pass over the record.
//! Never:   copies the record: the message consists of ranges of it.

use codecs::message::Draft;
use engine::plugin::options::CodecOptions;
use engine::plugin::{
    DecodeError, DecodeInput, Decoded, Decoder, DecoderFactory, DecoderPlugin, PluginSpec, Section,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `ProtobufDecoder` has no options.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {}

/// The table's line.
pub const SPEC: PluginSpec =
    PluginSpec::decoder::<Options>("ProtobufDecoder", "Decodes a Heka protobuf message")
        .auto()
        .any_key()
        .notes(&[
            "It replaces everything that the input has set by what the message says, and keeps who signed it.",
            "Headers that the message leaves out stay out: unlike other messages it gets neither a uuid nor a time here.",
        ]);

impl DecoderPlugin for Options {
    fn build(self, _section: &mut Section<'_, CodecOptions>) -> Option<Box<dyn DecoderFactory>> {
        Some(Box::new(Factory))
    }
}

struct Factory;

impl DecoderFactory for Factory {
    fn make(&self, _subs: Vec<Box<dyn Decoder>>) -> Box<dyn Decoder> {
        Box::new(ProtobufDecoder)
    }
}

struct ProtobufDecoder;

impl Decoder for ProtobufDecoder {
    #[inline]
    fn decode(
        &mut self,
        draft: &mut Draft<'_>,
        input: DecodeInput,
    ) -> Result<Decoded, DecodeError> {
        draft.index_protobuf(input.content)?;
        Ok(Decoded::Message)
    }
}

#[cfg(test)]
mod tests {
    use codecs::field::Span;
    use codecs::message::{Header, MessageTable, TableLimits};

    use super::*;

    const LIMITS: TableLimits = TableLimits {
        received_bytes: 64,
        arena_bytes: 64,
        messages: 1,
        fields: 4,
    };

    /// Type TEST, a timestamp, and the empty uuid that makes it complete.
    const MESSAGE: &[u8] = b"\x0a\x00\x10\x80\xc4\x8c\x94\x91\xa9\xe8\xd4\x13\x1a\x04TEST";

    fn decode(record: &[u8]) -> (MessageTable, Result<Decoded, DecodeError>) {
        let mut table = MessageTable::new(LIMITS);
        table.received_mut()[..record.len()].copy_from_slice(record);
        let mut draft = table.begin().unwrap();
        draft.set(Header::Logger, "the input").unwrap();
        let content = Span::new(0, record.len());
        let decoded = Factory
            .make(Vec::new())
            .decode(&mut draft, DecodeInput { content, now: 1 });
        (table, decoded)
    }

    #[test]
    fn a_message_is_what_its_bytes_say() {
        let (table, decoded) = decode(MESSAGE);
        assert_eq!(decoded, Ok(Decoded::Message));
        let message = table.get(0);
        assert_eq!(message.header(Header::Type), b"TEST");
        assert_eq!(message.timestamp(), 1_416_840_893_000_000_000);
        assert_eq!(message.header_opt(Header::Logger), None);
        assert_eq!(message.encoded(), Some(MESSAGE));
    }

    #[test]
    fn damage_is_a_failure_with_a_reason() {
        let (_, decoded) = decode(&MESSAGE[..MESSAGE.len() - 1]);
        assert_eq!(
            decoded,
            Err(DecodeError::failed("length points past the end"))
        );
        let (_, decoded) = decode(b"hello");
        assert!(matches!(decoded, Err(DecodeError::Failed(_))));
    }
}
