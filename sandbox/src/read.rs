//! What scripts read: configuration and messages.
//!
//! Owns:    `read_config`, `read_message`, `read_next_field`, `select_message`.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  one value a call; `raw` is as long as the message.
//! Never:   copies a value but into the script's own text.

use std::ffi::CStr;

use codecs::field::{FieldRef, Value as FieldValue, ValueType};
use codecs::message::{Header, MessageRef};
use codecs::protobuf;

use crate::call::{Call, Subject};
use crate::config::ConfigValue;
use crate::lua::{Arguments, Function, Push, Refused, Returns, Value};
use crate::state::State;

pub(crate) struct ReadConfig;

impl Function for ReadConfig {
    const NAME: &'static CStr = c"read_config";

    fn call<'s>(
        arguments: Arguments<'s>,
        state: &'s State,
        _call: Option<&'s mut Call<'_, '_>>,
    ) -> Result<Returns<'s>, Refused> {
        if arguments.len() != 1 {
            return Err(state.refuse(format_args!("read_config() must have a single argument")));
        }
        let name = text_argument(arguments, state, "read_config", 1)?;
        let value = match state.config(&name) {
            Some(ConfigValue::Text(text)) => Push::Bytes(text.as_bytes()),
            Some(ConfigValue::Number(number)) => Push::Number(*number),
            Some(ConfigValue::Boolean(truth)) => Push::Boolean(*truth),
            None => Push::Nil,
        };
        Ok(Returns::One(value))
    }
}

/// A text, or a number as text.
pub(crate) fn text_argument<'s>(
    arguments: Arguments<'s>,
    state: &State,
    function: &str,
    at: usize,
) -> Result<std::borrow::Cow<'s, [u8]>, Refused> {
    match arguments.get(at) {
        Value::Text(text) => Ok(text.into()),
        Value::Number(number) => Ok(crate::number::format(number).into_bytes().into()),
        other => Err(state.refuse_type(function, at, "string", other)),
    }
}

/// An index from 0; absent and nil are 0.
pub(crate) fn index_argument(
    arguments: Arguments<'_>,
    state: &State,
    function: &str,
    at: usize,
    negative: &str,
) -> Result<usize, Refused> {
    let number = match arguments.get(at) {
        Value::None | Value::Nil => return Ok(0),
        Value::Number(number) => Some(number),
        Value::Text(text) => crate::number::parse(text),
        _ => None,
    };
    match number {
        Some(number) if number > -1.0 => Ok(number as usize),
        Some(_) => Err(state.refuse_argument(function, at, negative)),
        None => Err(state.refuse_type(function, at, "number", arguments.get(at))),
    }
}

/// What a name of `read_message` and `write_message` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name<'a> {
    Header(Header),
    Timestamp,
    Severity,
    Pid,
    Raw,
    Field(&'a [u8]),
    Unknown,
}

impl<'a> Name<'a> {
    #[inline]
    pub(crate) fn of(text: &'a [u8]) -> Name<'a> {
        if let Some(rest) = text.strip_prefix(b"Fields[") {
            return match rest.split_last() {
                Some((b']', name)) => Name::Field(name),
                _ => Name::Unknown,
            };
        }
        match text {
            b"Payload" => Name::Header(Header::Payload),
            b"Type" => Name::Header(Header::Type),
            b"Timestamp" => Name::Timestamp,
            b"Severity" => Name::Severity,
            b"Logger" => Name::Header(Header::Logger),
            b"Hostname" => Name::Header(Header::Hostname),
            b"Uuid" => Name::Header(Header::Uuid),
            b"EnvVersion" => Name::Header(Header::EnvVersion),
            b"Pid" => Name::Pid,
            b"raw" => Name::Raw,
            _ => Name::Unknown,
        }
    }
}

pub(crate) struct ReadMessage;

impl Function for ReadMessage {
    const NAME: &'static CStr = c"read_message";

    fn call<'s>(
        arguments: Arguments<'s>,
        state: &'s State,
        call: Option<&'s mut Call<'_, '_>>,
    ) -> Result<Returns<'s>, Refused> {
        const FUNCTION: &str = "read_message";
        if !(1..=3).contains(&arguments.len()) {
            return Err(state.refuse(format_args!("read_message() incorrect number of arguments")));
        }
        let Value::Text(name) = arguments.get(1) else {
            return match arguments.get(1) {
                // A number is a text in Lua, though of no header.
                Value::Number(_) => Ok(Returns::One(Push::Nil)),
                other => Err(state.refuse_type(FUNCTION, 1, "string", other)),
            };
        };
        let (mut field, mut item) = (0, 0);
        if arguments.len() > 1 {
            field = index_argument(arguments, state, FUNCTION, 2, "field index must be >= 0")?;
            item = index_argument(arguments, state, FUNCTION, 3, "array index must be >= 0")?;
        }
        let value = match call.and_then(|call| call.subject.view()) {
            Some(message) => read(message, Name::of(name), field, item, state),
            None => Push::Nil,
        };
        Ok(Returns::One(value))
    }
}

#[inline]
fn read<'s>(
    message: MessageRef<'s>,
    name: Name<'_>,
    field: usize,
    item: usize,
    state: &'s State,
) -> Push<'s> {
    match name {
        Name::Field(name) => message
            .field(name, field)
            .and_then(|field| field.value(item))
            .map_or(Push::Nil, push),
        Name::Header(Header::Uuid) => uuid(message.uuid(), state),
        Name::Header(header) => Push::Bytes(message.header(header)),
        Name::Timestamp => Push::Number(message.timestamp() as f64),
        Name::Severity => number(message.severity_opt()),
        Name::Pid => number(message.pid_opt()),
        Name::Raw => raw(message, state),
        Name::Unknown => Push::Nil,
    }
}

fn number(value: Option<i32>) -> Push<'static> {
    value.map_or(Push::Nil, |value| Push::Number(value.into()))
}

/// A value of a field; an empty one of type BYTES is nil, as in Heka.
#[inline]
fn push(value: FieldValue<'_>) -> Push<'_> {
    match value {
        FieldValue::Bytes([]) => Push::Nil,
        FieldValue::String(text) | FieldValue::Bytes(text) => Push::Bytes(text),
        FieldValue::Integer(number) => Push::Number(number as f64),
        FieldValue::Double(number) => Push::Number(number),
        FieldValue::Bool(truth) => Push::Boolean(truth),
    }
}

/// The form with dashes; empty where there are not 16 bytes.
fn uuid<'s>(bytes: &[u8], state: &'s State) -> Push<'s> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    state.answer(|out| {
        if bytes.len() != 16 {
            return;
        }
        for (at, byte) in bytes.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                out.push(b'-');
            }
            out.push(DIGITS[usize::from(byte >> 4)]);
            out.push(DIGITS[usize::from(byte & 15)]);
        }
    })
}

/// The encoded message: the bytes received, where they still say what the message says.
fn raw<'s>(message: MessageRef<'s>, state: &'s State) -> Push<'s> {
    match message.encoded() {
        Some(encoded) => Push::Bytes(encoded),
        None => state.answer(|out| protobuf::encode(message, out)),
    }
}

pub(crate) struct ReadNextField;

impl Function for ReadNextField {
    const NAME: &'static CStr = c"read_next_field";

    fn call<'s>(
        arguments: Arguments<'s>,
        state: &'s State,
        call: Option<&'s mut Call<'_, '_>>,
    ) -> Result<Returns<'s>, Refused> {
        if arguments.len() != 0 {
            return Err(state.refuse(format_args!("read_next_field() takes no arguments")));
        }
        let mut values = [Push::Nil; 5];
        if let Some(call) = call {
            let at = call.next_field;
            call.next_field += 1;
            if let Some(field) = call.subject.view().and_then(|view| view.fields().nth(at)) {
                values = describe(field);
            }
        }
        Ok(Returns::Five(values))
    }
}

fn describe(field: FieldRef<'_>) -> [Push<'_>; 5] {
    [
        Push::Number(f64::from(match field.value_type() {
            ValueType::String => 0,
            ValueType::Bytes => 1,
            ValueType::Integer => 2,
            ValueType::Double => 3,
            ValueType::Bool => 4,
        })),
        Push::Bytes(field.name()),
        field.first().map_or(Push::Nil, push),
        Push::Bytes(field.representation().unwrap_or_default()),
        Push::Number(field.len() as f64),
    ]
}

/// Ours: in `process_messages`, the message that the other functions are about.
pub(crate) struct SelectMessage;

impl Function for SelectMessage {
    const NAME: &'static CStr = c"select_message";

    fn call<'s>(
        arguments: Arguments<'s>,
        state: &'s State,
        call: Option<&'s mut Call<'_, '_>>,
    ) -> Result<Returns<'s>, Refused> {
        let (1, Value::Number(number)) = (arguments.len(), arguments.get(1)) else {
            return Err(state.refuse(format_args!("select_message() takes a single number")));
        };
        let Some((batch, call)) = call.and_then(|call| call.batch.map(|batch| (batch, call)))
        else {
            return Err(state.refuse(format_args!(
                "select_message() is for process_messages() only"
            )));
        };
        if !(number >= 1.0 && number <= batch.len() as f64) {
            return Err(state.refuse(format_args!(
                "select_message() there are messages 1 to {}",
                batch.len()
            )));
        }
        call.subject = Subject::Message(batch.get(number as usize - 1));
        call.next_field = 0;
        Ok(Returns::Nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_headers_or_fields() {
        for (text, name) in [
            ("Fields[a]", Name::Field(b"a")),
            ("Fields[]", Name::Field(b"")),
            ("Fields[a]b]", Name::Field(b"a]b")),
            ("Fields[", Name::Unknown),
            ("Fields[a", Name::Unknown),
            ("Type", Name::Header(Header::Type)),
            ("type", Name::Unknown),
            ("raw", Name::Raw),
        ] {
            assert_eq!(Name::of(text.as_bytes()), name, "{text}");
        }
    }
}
