//! RstEncoder: the whole message as reStructuredText, for people.
//!
//! Owns:    its (empty) options; the form itself is `codecs::rst`.
//! Runs on: every shard.            Plane: data.
//! Bounds:  linear in the message.
//! Never:   refuses a message.

use codecs::message::MessageRef;
use codecs::rst::write_rst;
use engine::plugin::options::CodecOptions;
use engine::plugin::{
    EncodeContext, EncodeFailure, Encoded, Encoder, EncoderFactory, EncoderPlugin, PluginSpec,
    Section,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of `RstEncoder`: none.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {}

/// The table's line.
pub const SPEC: PluginSpec =
    PluginSpec::encoder::<Options>("RstEncoder", "Emits a readable dump of the whole message")
        .any_key()
        .notes(&[
            "Times are in UTC. What stands in a message is printed as it is, without escapes.",
        ]);

impl EncoderPlugin for Options {
    fn build(self, _section: &mut Section<'_, CodecOptions>) -> Option<Box<dyn EncoderFactory>> {
        Some(Box::new(RstEncoder))
    }
}

struct RstEncoder;

impl EncoderFactory for RstEncoder {
    fn make(&self) -> Box<dyn Encoder> {
        Box::new(RstEncoder)
    }
}

impl Encoder for RstEncoder {
    fn encode(
        &mut self,
        message: MessageRef<'_>,
        _context: EncodeContext,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeFailure> {
        write_rst(message, out);
        Ok(Encoded::Appended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codecs::message::{Header, MessageTable, NewValue, TableLimits};

    #[test]
    fn a_message_as_heka_prints_it() {
        let mut table = MessageTable::new(TableLimits {
            received_bytes: 0,
            arena_bytes: 4096,
            messages: 1,
            fields: 16,
        });
        let mut draft = table.begin().expect("room");
        draft.set_timestamp(1_416_840_893_000_000_000);
        draft.set(Header::Uuid, &[0x5a; 16][..]).expect("room");
        draft.set(Header::Type, "TEST").expect("room");
        draft.set(Header::Payload, "Test Payload").expect("room");
        draft.set_severity(6);
        draft
            .add_field("foo", NewValue::String("bar".into()), None)
            .expect("room");
        let mut out = b"before".to_vec();
        let encoded = RstEncoder.encode(table.get(0), EncodeContext { now: 0 }, &mut out);
        assert_eq!(encoded, Ok(Encoded::Appended));
        let want = "before\n:Timestamp: 2014-11-24 14:54:53 +0000 UTC\n:Type: TEST\n:Hostname: \n:Pid: 0\n\
                    :Uuid: 5a5a5a5a-5a5a-5a5a-5a5a-5a5a5a5a5a5a\n:Logger: \n:Payload: Test Payload\n\
                    :EnvVersion: \n:Severity: 6\n:Fields:\n    | name:\"foo\" type:string value:\"bar\"\n\n";
        assert_eq!(String::from_utf8_lossy(&out), want);
    }
}
