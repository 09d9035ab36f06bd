//! PayloadEncoder: the payload, with a time before it and a newline after it if so configured.
//!
//! Owns:    the compiled format of the time.
//! Runs on: every shard.            Plane: data.
//! Bounds:  a format prints at most 64 times its own length.
//! Never:   copies a payload that goes out as it is: its bytes are named where they stand.

use codecs::field::Span;
use codecs::message::{Header, MessageRef};
use codecs::time::{Strftime, Zone};
use engine::plugin::options::CodecOptions;
use engine::plugin::{
    EncodeContext, EncodeFailure, Encoded, Encoder, EncoderFactory, EncoderPlugin, PluginSpec,
    Section,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of `PayloadEncoder`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Add a newline after the payload
    pub append_newlines: bool,
    /// Put a timestamp before the payload
    pub prefix_ts: bool,
    /// Take the message's time for it, not the time of now
    pub ts_from_message: bool,
    /// Its format, as in strftime; a space is added at the end where there is none
    pub ts_format: String,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            append_newlines: true,
            prefix_ts: false,
            ts_from_message: true,
            ts_format: "[%Y/%b/%d:%H:%M:%S %z]".to_owned(),
        }
    }
}

/// The table's line.
pub const SPEC: PluginSpec = PluginSpec::encoder::<Options>("PayloadEncoder", "Emits the payload text").notes(&[
    "Times are those of the host's zone.",
    "The newline is added whatever the payload ends in; where one stands behind the payload in what was received, that one is taken, without a copy. Records of TokenSplitter end in their delimiter already: \
     `append_newlines = false` gives them back as they came, without a copy.",
    "A message that gives no bytes at all (no payload, no newline, no time) is passed over.",
]);

impl EncoderPlugin for Options {
    fn build(self, section: &mut Section<'_, CodecOptions>) -> Option<Box<dyn EncoderFactory>> {
        let mut format = self.ts_format;
        let bytes = format.len();
        if !format.ends_with(' ') {
            format.push(' ');
        }
        let format = match Strftime::new(&format) {
            Ok(format) => format,
            Err(error) => {
                let at = error.at.min(bytes);
                section
                    .problem(&["ts_format"], error.to_string())
                    .within(at..bytes);
                return None;
            }
        };
        Some(Box::new(Factory {
            append_newlines: self.append_newlines,
            stamp: self.prefix_ts.then_some((format, self.ts_from_message)),
        }))
    }
}

struct Factory {
    append_newlines: bool,
    stamp: Option<(Strftime, bool)>,
}

impl EncoderFactory for Factory {
    fn make(&self) -> Box<dyn Encoder> {
        Box::new(PayloadEncoder {
            append_newlines: self.append_newlines,
            stamp: self.stamp.clone().map(|(format, from_message)| Stamp {
                format,
                from_message,
                zone: Zone::local(),
            }),
        })
    }
}

struct Stamp {
    format: Strftime,
    from_message: bool,
    zone: Zone,
}

struct PayloadEncoder {
    append_newlines: bool,
    stamp: Option<Stamp>,
}

impl Encoder for PayloadEncoder {
    #[inline]
    fn encode(
        &mut self,
        message: MessageRef<'_>,
        context: EncodeContext,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeFailure> {
        if self.stamp.is_none() {
            let payload = message.head().text(Header::Payload);
            match payload.filter(|payload| !payload.is_empty()) {
                Some(payload) if !self.append_newlines => return Ok(Encoded::InPlace(payload)),
                // What a splitter cut off behind the payload is often the very newline.
                Some(payload) if message.bytes().get(payload.end()) == Some(&b'\n') => {
                    let line = Span::new(payload.start as usize, payload.end() + 1);
                    return Ok(Encoded::InPlace(line));
                }
                None if !self.append_newlines => return Ok(Encoded::Nothing),
                _ => {}
            }
        }
        if let Some(stamp) = &self.stamp {
            let time = if stamp.from_message {
                message.timestamp()
            } else {
                context.now
            };
            stamp.format.write(time, &stamp.zone, out);
        }
        out.extend_from_slice(message.payload());
        if self.append_newlines {
            out.push(b'\n');
        }
        Ok(Encoded::Appended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codecs::message::{MessageTable, TableLimits};
    use engine::plugin::Report;
    use engine::plugin::options::HekadOptions;

    const LIMITS: TableLimits = TableLimits {
        received_bytes: 1024,
        arena_bytes: 1024,
        messages: 2,
        fields: 8,
    };

    fn message(payload: &str) -> MessageTable {
        let mut table = MessageTable::new(LIMITS);
        let mut draft = table.begin().expect("room");
        draft.set(Header::Payload, payload).expect("room");
        draft.set_timestamp(1_000_000_000);
        table
    }

    fn build(options: Options) -> Result<Box<dyn Encoder>, Report> {
        let (hekad, mut report) = (HekadOptions::default(), Report::default());
        let mut section = Section::new("p", &CodecOptions {}, &hekad, &mut report);
        match options.build(&mut section) {
            Some(factory) => Ok(factory.make()),
            None => Err(report),
        }
    }

    fn encode(options: Options, table: &MessageTable) -> (Encoded, String) {
        let mut encoder = build(options).expect("the options are right");
        let mut out = Vec::new();
        let context = EncodeContext {
            now: 61_000_000_000,
        };
        let encoded = encoder
            .encode(table.get(0), context, &mut out)
            .expect("it always can");
        (encoded, String::from_utf8(out).expect("text"))
    }

    fn stamped(ts_format: &str, ts_from_message: bool) -> Options {
        let ts_format = ts_format.to_owned();
        Options {
            prefix_ts: true,
            append_newlines: false,
            ts_from_message,
            ts_format,
        }
    }

    #[test]
    fn a_newline_by_default() {
        let encoded = encode(Options::default(), &message("a\n"));
        assert_eq!(encoded, (Encoded::Appended, "a\n\n".to_owned()));
        assert_eq!(encode(Options::default(), &message("")).1, "\n");
    }

    #[test]
    fn an_unchanged_payload_is_not_copied() {
        let plain = Options {
            append_newlines: false,
            ..Options::default()
        };
        let table = message("hello");
        let (encoded, out) = encode(plain.clone(), &table);
        let Encoded::InPlace(span) = encoded else {
            panic!("{encoded:?}");
        };
        assert_eq!((span.of(table.bytes()), out.as_str()), (&b"hello"[..], ""));
        assert_eq!(encode(plain, &message("")).0, Encoded::Nothing);
    }

    #[test]
    fn a_newline_that_stands_behind_it_is_not_copied() {
        let mut table = message("");
        table.received_mut()[..4].copy_from_slice(b"one\n");
        table
            .draft(0)
            .set(Header::Payload, Span::new(0, 3))
            .expect("room");
        let (encoded, out) = encode(Options::default(), &table);
        assert_eq!(
            (encoded, out.as_str()),
            (Encoded::InPlace(Span::new(0, 4)), "")
        );
        table.received_mut()[3] = b' ';
        let (encoded, out) = encode(Options::default(), &table);
        assert_eq!((encoded, out.as_str()), (Encoded::Appended, "one\n"));
    }

    #[test]
    fn times_come_before_it() {
        let table = message("x");
        assert_eq!(encode(stamped("%s", true), &table).1, "1 x");
        assert_eq!(encode(stamped("%s ", true), &table).1, "1 x");
        assert_eq!(encode(stamped("%s", false), &table).1, "61 x");
    }

    #[test]
    fn a_wrong_format_is_refused_at_its_place() {
        let report = build(stamped("[%Y %!]", true)).err().expect("it is wrong");
        let complaints = report.into_complaints();
        assert_eq!(complaints[0].path, ["ts_format"]);
        assert_eq!(complaints[0].within, Some(4..7));
    }
}
