//! ScribbleDecoder: overwrites headers and adds constant fields.
//!
//! Owns:    nothing beyond its template.
//! Runs on: every shard, one instance a stream.            Plane: data.
//! Bounds:  the entries of `message_fields`.
//! Never:   looks at the message.

use std::sync::Arc;

use codecs::field::Span;
use codecs::message::Draft;
use engine::plugin::options::{CodecOptions, Table};
use engine::plugin::{
    DecodeError, DecodeInput, Decoded, Decoder, DecoderFactory, DecoderPlugin, PluginSpec, Section,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::message_fields::Template;

/// Options of `ScribbleDecoder`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Headers to overwrite and text fields to add, all constant
    pub message_fields: Table<String>,
}

/// The table's line.
pub const SPEC: PluginSpec = PluginSpec::decoder::<Options>(
    "ScribbleDecoder",
    "Overwrites headers or adds constant fields",
)
.notes(&[
    "Keys of `message_fields` are case-sensitive: Logger, Type, Payload, Hostname, Pid, Severity and Uuid are the headers; any other key, \
     Timestamp included, adds a text field of that name. `name|representation` adds one with a representation.",
    "Values are texts as they stand: Pid and Severity must be integers, Uuid 16 bytes or the text of a UUID.",
]);

impl DecoderPlugin for Options {
    fn build(self, section: &mut Section<'_, CodecOptions>) -> Option<Box<dyn DecoderFactory>> {
        let template = Template::constant(&self.message_fields, section);
        Some(Box::new(Factory {
            template: Arc::new(template),
        }))
    }
}

struct Factory {
    template: Arc<Template>,
}

impl DecoderFactory for Factory {
    fn make(&self, _subs: Vec<Box<dyn Decoder>>) -> Box<dyn Decoder> {
        Box::new(Scribble {
            template: Arc::clone(&self.template),
        })
    }
}

struct Scribble {
    template: Arc<Template>,
}

impl Decoder for Scribble {
    fn decode(
        &mut self,
        draft: &mut Draft<'_>,
        _input: DecodeInput,
    ) -> Result<Decoded, DecodeError> {
        self.template.fill(draft, |_| Span::EMPTY)?;
        Ok(Decoded::Message)
    }
}

#[cfg(test)]
mod tests {
    use codecs::field::Value;
    use codecs::message::Header;

    use crate::configured::{Decoding, mistakes};

    #[test]
    fn headers_and_fields_are_written() {
        let mut decoding = Decoding::new(
            r#"
            [decoder]
            type = "ScribbleDecoder"
            [decoder.message_fields]
            Type = "my %Type%"
            Logger = "me"
            Hostname = "here"
            Payload = "instead"
            Pid = "12.5"
            Severity = "3"
            Uuid = "8e414f01-9d7f-4a48-a5e1-ae92e5954df5"
            type = "lower case"
            "bytes|B" = "17"
            Timestamp = "a field"
            "#,
        );
        decoding.decode("what came").unwrap();
        let message = decoding.message(0);
        assert_eq!(message.header(Header::Type), b"my %Type%");
        assert_eq!(message.header(Header::Logger), b"me");
        assert_eq!(message.header(Header::Hostname), b"here");
        assert_eq!(message.payload(), b"instead");
        assert_eq!((message.pid(), message.severity()), (12, 3));
        assert_eq!(message.uuid()[..2], [0x8e, 0x41]);
        assert_eq!(message.timestamp(), Decoding::NOW);
        let fields: Vec<_> = message
            .fields()
            .map(|field| (field.name(), field.first(), field.representation()))
            .collect();
        let text = |text: &'static str| Some(Value::String(text.as_bytes()));
        assert_eq!(
            fields,
            [
                (&b"type"[..], text("lower case"), None),
                (b"bytes", text("17"), Some(&b"B"[..])),
                (b"Timestamp", text("a field"), None),
            ]
        );
    }

    #[test]
    fn constants_that_cannot_be_are_mistakes() {
        let found = mistakes(
            r#"
            [decoder]
            type = "ScribbleDecoder"
            [decoder.message_fields]
            Pid = "many"
            Severity = "1.5"
            Uuid = "none"
            "#,
        );
        for text in ["for Pid", "for Severity", "for Uuid"] {
            assert!(found.contains(text), "{text}: {found}");
        }
    }
}
