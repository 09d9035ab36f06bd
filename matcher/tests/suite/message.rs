//! Messages for tests, from a readable description.
//!
//! Owns:    `Description`, as the corpus writes it and the properties generate it.
//! Runs on: tests.            Plane: control.
//! Bounds:  one message per table, 64 KiB.
//! Never:   sets a header that the description leaves out.

use codecs::field::{Value, ValueType};
use codecs::message::{Header, MessageTable, TableLimits};
use serde::Deserialize;

/// A message in words.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Description {
    pub(crate) uuid: Option<String>,
    pub(crate) r#type: Option<String>,
    pub(crate) type_bytes: Option<String>,
    pub(crate) logger: Option<String>,
    pub(crate) payload: Option<String>,
    pub(crate) payload_bytes: Option<String>,
    pub(crate) env_version: Option<String>,
    pub(crate) hostname: Option<String>,
    pub(crate) timestamp: Option<i64>,
    pub(crate) severity: Option<i32>,
    pub(crate) pid: Option<i32>,
    pub(crate) fields: Vec<FieldDescription>,
}

/// A field in words; one of the arrays is there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FieldDescription {
    pub(crate) name: String,
    pub(crate) string: Option<Vec<String>>,
    pub(crate) bytes: Option<Vec<String>>,
    pub(crate) integer: Option<Vec<i64>>,
    pub(crate) double: Option<Vec<f64>>,
    pub(crate) bool: Option<Vec<bool>>,
}

/// Bytes from pairs of hexadecimal digits.
fn bytes_of(hexadecimal: &str) -> Vec<u8> {
    let digits: Vec<u32> = hexadecimal
        .chars()
        .map(|c| c.to_digit(16).expect("a hexadecimal digit"))
        .collect();
    digits
        .chunks(2)
        .map(|pair| (pair[0] * 16 + pair[1]) as u8)
        .collect()
}

impl Description {
    /// A table with just this message.
    pub(crate) fn table(&self) -> MessageTable {
        let mut table = MessageTable::new(TableLimits {
            received_bytes: 0,
            arena_bytes: 64 * 1024,
            messages: 1,
            fields: 256,
        });
        let mut draft = table.begin().expect("room for a message");
        let text = |text: &Option<String>| text.as_ref().map(|text| text.clone().into_bytes());
        let headers = [
            (Header::Uuid, self.uuid.as_deref().map(bytes_of)),
            (
                Header::Type,
                text(&self.r#type).or(self.type_bytes.as_deref().map(bytes_of)),
            ),
            (Header::Logger, text(&self.logger)),
            (
                Header::Payload,
                text(&self.payload).or(self.payload_bytes.as_deref().map(bytes_of)),
            ),
            (Header::EnvVersion, text(&self.env_version)),
            (Header::Hostname, text(&self.hostname)),
        ];
        for (header, value) in headers {
            if let Some(value) = value {
                draft.set(header, &value[..]).expect("room for a header");
            }
        }
        if let Some(timestamp) = self.timestamp {
            draft.set_timestamp(timestamp);
        }
        if let Some(severity) = self.severity {
            draft.set_severity(severity);
        }
        if let Some(pid) = self.pid {
            draft.set_pid(pid);
        }
        for field in &self.fields {
            let blobs: Vec<Vec<u8>> = field
                .bytes
                .iter()
                .flatten()
                .map(|blob| bytes_of(blob))
                .collect();
            let (value_type, values) = field.values(&blobs);
            draft
                .add_array(field.name.as_str(), value_type, &values, None)
                .expect("room for a field");
        }
        table
    }
}

impl FieldDescription {
    fn values<'a>(&'a self, blobs: &'a [Vec<u8>]) -> (ValueType, Vec<Value<'a>>) {
        if let Some(texts) = &self.string {
            (
                ValueType::String,
                texts
                    .iter()
                    .map(|text| Value::String(text.as_bytes()))
                    .collect(),
            )
        } else if self.bytes.is_some() {
            (
                ValueType::Bytes,
                blobs.iter().map(|blob| Value::Bytes(blob)).collect(),
            )
        } else if let Some(numbers) = &self.integer {
            (
                ValueType::Integer,
                numbers
                    .iter()
                    .map(|number| Value::Integer(*number))
                    .collect(),
            )
        } else if let Some(numbers) = &self.double {
            (
                ValueType::Double,
                numbers
                    .iter()
                    .map(|number| Value::Double(*number))
                    .collect(),
            )
        } else {
            let values = self.bool.as_ref().expect("a field has values of some type");
            (
                ValueType::Bool,
                values.iter().map(|value| Value::Bool(*value)).collect(),
            )
        }
    }
}
