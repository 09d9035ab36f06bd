//! The same messages as plain structs, generated from `proto/message.proto`.
//!
//! Owns:    the generated types, and their conversion from and to message tables.
//! Runs on: tools, the control plane and tests.            Plane: control.
//! Bounds:  allocates as much as the message says.
//! Never:   runs on the data path: there messages are spans.

use crate::error::Full;
use crate::field::{FieldRef, Value, ValueType};
use crate::message::{self, Draft, MessageRef, Text};

pub use generated::{Field, Header, Message, field, header};

mod generated {
    include!(concat!(env!("OUT_DIR"), "/message.rs"));
}

/// Text of a header or field. Spans need not be UTF-8, protobuf strings must: what is not becomes U+FFFD.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl From<MessageRef<'_>> for Message {
    fn from(message: MessageRef<'_>) -> Message {
        let header = |header| message.header_opt(header).map(text);
        Message {
            uuid: message.uuid().to_vec(),
            timestamp: message.timestamp(),
            r#type: header(message::Header::Type),
            logger: header(message::Header::Logger),
            severity: message.severity_opt(),
            payload: header(message::Header::Payload),
            env_version: header(message::Header::EnvVersion),
            pid: message.pid_opt(),
            hostname: header(message::Header::Hostname),
            fields: message.fields().map(Field::from).collect(),
        }
    }
}

impl From<FieldRef<'_>> for Field {
    fn from(field: FieldRef<'_>) -> Field {
        let mut converted = Field {
            name: text(field.name()),
            value_type: (field.value_type() != ValueType::String)
                .then_some(i32::from(field.value_type() as u8)),
            representation: field.representation().map(text),
            ..Field::default()
        };
        for value in field.values() {
            match value {
                Value::String(bytes) => converted.value_string.push(text(bytes)),
                Value::Bytes(bytes) => converted.value_bytes.push(bytes.to_vec()),
                Value::Integer(number) => converted.value_integer.push(number),
                Value::Double(number) => converted.value_double.push(number),
                Value::Bool(truth) => converted.value_bool.push(truth),
            }
        }
        converted
    }
}

impl Message {
    /// Sets what the message says on a draft; what it does not say stays as it was.
    ///
    /// Values of a type other than their field's are left out, and so is a field of an unknown type.
    pub fn fill(&self, draft: &mut Draft<'_>) -> Result<(), Full> {
        use message::Header::{EnvVersion, Hostname, Logger, Payload, Type, Uuid};
        draft.set(Uuid, &*self.uuid)?;
        draft.set_timestamp(self.timestamp);
        let texts = [
            (Type, &self.r#type),
            (Logger, &self.logger),
            (Payload, &self.payload),
            (EnvVersion, &self.env_version),
            (Hostname, &self.hostname),
        ];
        for (header, text) in texts {
            if let Some(text) = text {
                draft.set(header, text.as_str())?;
            }
        }
        if let Some(severity) = self.severity {
            draft.set_severity(severity);
        }
        if let Some(pid) = self.pid {
            draft.set_pid(pid);
        }
        self.fields.iter().try_for_each(|field| field.add_to(draft))
    }
}

impl Field {
    fn add_to(&self, draft: &mut Draft<'_>) -> Result<(), Full> {
        let Some(value_type) = ValueType::from_wire(self.value_type.unwrap_or_default()) else {
            return Ok(());
        };
        let values: Vec<Value<'_>> = match value_type {
            ValueType::String => self
                .value_string
                .iter()
                .map(|text| Value::String(text.as_bytes()))
                .collect(),
            ValueType::Bytes => self
                .value_bytes
                .iter()
                .map(|bytes| Value::Bytes(bytes))
                .collect(),
            ValueType::Integer => self
                .value_integer
                .iter()
                .copied()
                .map(Value::Integer)
                .collect(),
            ValueType::Double => self
                .value_double
                .iter()
                .copied()
                .map(Value::Double)
                .collect(),
            ValueType::Bool => self.value_bool.iter().copied().map(Value::Bool).collect(),
        };
        let representation = self.representation.as_deref().map(Text::from);
        draft.add_array(self.name.as_str(), value_type, &values, representation)
    }
}
