//! Messages for the tests of `rst`, `text` and `json`.
//!
//! Owns:    nothing.
//! Runs on: tests.            Plane: data.
//! Bounds:  two messages.
//! Never:   is part of the library.

use crate::field::{Value, ValueType};
use crate::message::{Draft, Header, MessageTable, NewValue, TableLimits, Text};

fn table() -> MessageTable {
    MessageTable::new(TableLimits {
        received_bytes: 0,
        arena_bytes: 4096,
        messages: 1,
        fields: 64,
    })
}

/// A message without any header.
pub(crate) fn empty() -> MessageTable {
    let mut table = table();
    table.begin().unwrap();
    table
}

/// A message with every header, and fields of every type with one and with several values.
pub(crate) fn full() -> MessageTable {
    let mut table = table();
    let mut draft = table.begin().unwrap();
    let uuid: Vec<u8> = (0..16).map(|n| n * 17).collect();
    draft.set(Header::Uuid, &uuid[..]).unwrap();
    draft.set_timestamp(1_416_840_893_000_000_500);
    draft.set(Header::Type, "nginx.access").unwrap();
    draft.set(Header::Logger, "FileLog").unwrap();
    draft.set_severity(6);
    draft.set(Header::Payload, "GET \"/\" <&>\ntwo").unwrap();
    draft.set(Header::EnvVersion, "0.8").unwrap();
    draft.set_pid(4711);
    draft.set(Header::Hostname, "web-1.example.com").unwrap();
    one(&mut draft, "status", NewValue::Integer(200), Some("count"));
    let sizes = [1, -2, 3].map(Value::Integer);
    many(&mut draft, "sizes", ValueType::Integer, &sizes, None);
    let agents = [Value::String(b"curl"), Value::String(b"wget")];
    many(
        &mut draft,
        "agents",
        ValueType::String,
        &agents,
        Some("text"),
    );
    one(&mut draft, "empty", NewValue::String("".into()), None);
    one(&mut draft, "took", NewValue::Double(0.25), Some("s"));
    let odd = [f64::NAN, f64::INFINITY, 1e21].map(Value::Double);
    many(&mut draft, "odd", ValueType::Double, &odd, None);
    one(
        &mut draft,
        "raw",
        NewValue::Bytes(Text::Copy(b"\x00\xff\n")),
        None,
    );
    let raws = [Value::Bytes(b"a"), Value::Bytes(b"bc")];
    many(&mut draft, "raws", ValueType::Bytes, &raws, None);
    let oks = [Value::Bool(true), Value::Bool(false)];
    many(&mut draft, "ok", ValueType::Bool, &oks, None);
    one(&mut draft, "ok", NewValue::Bool(false), None);
    table
}

fn one(draft: &mut Draft<'_>, name: &str, value: NewValue<'_>, representation: Option<&str>) {
    let name = draft.place(name.into()).unwrap();
    draft
        .add_field(name, value, representation.map(Text::from))
        .unwrap();
}

fn many(
    draft: &mut Draft<'_>,
    name: &str,
    value_type: ValueType,
    values: &[Value<'_>],
    representation: Option<&str>,
) {
    let representation = representation.map(Text::from);
    draft
        .add_array(name, value_type, values, representation)
        .unwrap();
}
