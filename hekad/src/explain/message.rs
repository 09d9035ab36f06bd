//! One message from a file: framed, bare, or as JSON.
//!
//! Owns:    telling the three apart.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  `FILE_BYTES_MAX` of the file are read.
//! Never:   takes half of a message.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use codecs::field::Span;
use codecs::limits::record_bytes_max;
use codecs::message::{MessageTable, TableLimits};
use codecs::proto;
use codecs::signing::Keys;
use codecs::splitter::{Split, Splitter, SplitterOptions};
use codecs::splitters::HekaFramingSplitter;
use serde::Deserialize;

use crate::failure::Failure;

/// Longest file: a message as JSON can be several times as long as the message.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Fields of a message.
const FIELDS_MAX: usize = 64 * 1024;

/// First byte of a frame.
const FRAME_START: u8 = 0x1e;

/// A message as `hekad cat --format json` prints it; every key may be missing.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Json {
    uuid: String,
    timestamp: i64,
    r#type: Option<String>,
    logger: Option<String>,
    severity: Option<i32>,
    payload: Option<String>,
    env_version: Option<String>,
    pid: Option<i32>,
    hostname: Option<String>,
    fields: Vec<JsonField>,
    /// Why `hekad buffer cat` found it among dead letters: no part of the message.
    #[serde(rename = "dead_letter")]
    _dead_letter: serde::de::IgnoredAny,
}

/// A field of it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct JsonField {
    name: String,
    value_type: Option<i32>,
    representation: Option<String>,
    value_string: Vec<String>,
    value_bytes: Vec<String>,
    value_integer: Vec<i64>,
    /// `cat` prints `null` for a double that JSON has no number for.
    value_double: Vec<Option<f64>>,
    value_bool: Vec<bool>,
}

/// Reads the message of a file, or of standard input; it is the first one of the table.
pub(super) fn read(path: &Path) -> Result<MessageTable, Failure> {
    let wrong = |what: String| Failure::usage(format!("{}: {what}", path.display()));
    let bytes = contents(path).map_err(|error| wrong(error.to_string()))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(wrong(format!(
            "is longer than {FILE_BYTES_MAX} bytes; give a file with one message"
        )));
    }
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    match first {
        None => Err(wrong("is empty; give a file with one message".to_owned())),
        Some(b'{') => from_json(&bytes).map_err(wrong),
        Some(&FRAME_START) if bytes[0] == FRAME_START => from_frame(&bytes).map_err(wrong),
        Some(_) => from_protobuf(&bytes, 0..bytes.len()).map_err(|what| {
            wrong(format!(
                "{what}; a message file holds one message: JSON as `hekad cat --format json` prints it, a Heka frame, or bare protobuf"
            ))
        }),
    }
}

fn contents(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin()
            .take(FILE_BYTES_MAX + 1)
            .read_to_end(&mut bytes)?;
    } else {
        File::open(path)?
            .take(FILE_BYTES_MAX + 1)
            .read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn table(received: &[u8], arena_bytes: usize) -> MessageTable {
    let mut table = MessageTable::new(TableLimits {
        received_bytes: received.len(),
        arena_bytes,
        messages: 1,
        fields: FIELDS_MAX,
    });
    table.received_mut().copy_from_slice(received);
    table
}

fn from_protobuf(bytes: &[u8], range: std::ops::Range<usize>) -> Result<MessageTable, String> {
    let mut table = table(bytes, 0);
    let mut draft = table.begin().map_err(|error| error.to_string())?;
    draft
        .index_protobuf(Span::new(range.start, range.end))
        .map_err(|_| "is no protobuf message".to_owned())?;
    Ok(table)
}

/// The message of the first frame.
fn from_frame(bytes: &[u8]) -> Result<MessageTable, String> {
    let options = SplitterOptions {
        record_bytes_max: record_bytes_max(bytes.len()),
        ..SplitterOptions::default()
    };
    let mut splitter = HekaFramingSplitter::new(options, Arc::new(Keys::new()), true);
    match splitter.split(bytes, true) {
        Split::Record(record) => {
            let content = record.content;
            from_protobuf(bytes, content.start as usize..content.end())
        }
        Split::Skip { .. } | Split::More => Err("does not begin with a whole frame".to_owned()),
    }
}

fn from_json(bytes: &[u8]) -> Result<MessageTable, String> {
    // Further lines are further messages.
    let mut messages = serde_json::Deserializer::from_slice(bytes).into_iter::<Json>();
    let json = match messages.next() {
        Some(Ok(json)) => json,
        Some(Err(error)) => {
            return Err(format!(
                "{error}; the keys are those that `hekad cat --format json` prints"
            ));
        }
        None => return Err("is empty".to_owned()),
    };
    let message = json.into_message()?;
    let mut table = table(&[], 2 * bytes.len() + 1024);
    let mut draft = table.begin().map_err(|error| error.to_string())?;
    message
        .fill(&mut draft)
        .map_err(|error| error.to_string())?;
    Ok(table)
}

fn binary(text: &str) -> Result<Vec<u8>, String> {
    STANDARD
        .decode(text)
        .map_err(|error| format!("`{text}` is no base64: {error}"))
}

impl Json {
    fn into_message(self) -> Result<proto::Message, String> {
        let fields: Result<Vec<_>, String> =
            self.fields.into_iter().map(JsonField::into_field).collect();
        Ok(proto::Message {
            uuid: binary(&self.uuid)?,
            timestamp: self.timestamp,
            r#type: self.r#type,
            logger: self.logger,
            severity: self.severity,
            payload: self.payload,
            env_version: self.env_version,
            pid: self.pid,
            hostname: self.hostname,
            fields: fields?,
        })
    }
}

impl JsonField {
    fn into_field(self) -> Result<proto::Field, String> {
        let values: Result<Vec<_>, String> =
            self.value_bytes.iter().map(|text| binary(text)).collect();
        Ok(proto::Field {
            value_type: self.value_type.or_else(|| self.inferred_type()),
            name: self.name,
            representation: self.representation,
            value_string: self.value_string,
            value_bytes: values?,
            value_integer: self.value_integer,
            value_double: self
                .value_double
                .into_iter()
                .map(|value| value.unwrap_or(f64::NAN))
                .collect(),
            value_bool: self.value_bool,
        })
    }

    /// The type of the values that are there, for messages written by hand.
    fn inferred_type(&self) -> Option<i32> {
        let there = [
            !self.value_string.is_empty(),
            !self.value_bytes.is_empty(),
            !self.value_integer.is_empty(),
            !self.value_double.is_empty(),
            !self.value_bool.is_empty(),
        ];
        there
            .iter()
            .position(|there| *there)
            .map(|number| number as i32)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use codecs::message::Header;

    use super::*;

    fn message(bytes: &[u8]) -> Result<MessageTable, Failure> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        read(file.path())
    }

    #[test]
    fn json_frames_and_bare_messages_are_read() {
        let json = br#"{"uuid":"AAECAwQFBgcICQoLDA0ODw==","timestamp":5,"type":"a","severity":3,
            "fields":[{"name":"n","value_double":[null]},{"name":"s","value_string":["x","y"]}]}"#;
        let table = message(json).unwrap();
        let mut bare = Vec::new();
        codecs::protobuf::encode(table.get(0), &mut bare);
        let mut frame = Vec::new();
        codecs::framing::write_frame(&bare, None, 1 << 16, &mut frame).unwrap();
        for table in [table, message(&bare).unwrap(), message(&frame).unwrap()] {
            let message = table.get(0);
            assert_eq!(message.header(Header::Type), b"a");
            assert_eq!((message.severity(), message.timestamp()), (3, 5));
            let numbers: Vec<_> = message.fields().map(|field| field.len()).collect();
            assert_eq!(numbers, [1, 2]);
        }
    }

    #[test]
    fn what_is_no_message_says_so() {
        for (bytes, says) in [
            (&b""[..], "empty"),
            (b"{\"Type\": 1}", "unknown field `Type`"),
            (b"{\"uuid\": \"?\"}", "base64"),
            (b"\x1e\x02\x08", "whole frame"),
            (b"hello", "no protobuf"),
        ] {
            let failure = message(bytes).unwrap_err().to_string();
            assert!(failure.contains(says), "{failure}");
        }
    }
}
