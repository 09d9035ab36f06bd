//! A message as reStructuredText for people, as RstEncoder prints it.
//!
//! Owns:    `write_rst`.
//! Runs on: every shard.            Plane: data.
//! Bounds:  linear in the message.
//! Never:   escapes: what stands in a message is printed as it is, as Heka does.

use crate::digits::push_integer;
use crate::field::{FieldRef, Value, ValueType};
use crate::message::{Header, MessageRef};
use crate::printed::{push_base64, push_double, push_uuid};
use crate::time::{Zone, format_go};

/// Appends a message: an empty line, its headers one to a line with the time in UTC, its fields, an empty line.
pub fn write_rst(message: MessageRef<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\n:Timestamp: ");
    format_go(message.timestamp(), &Zone::utc(), out);
    text(out, "Type", message.header(Header::Type));
    text(out, "Hostname", message.header(Header::Hostname));
    label(out, "Pid");
    push_integer(out, i64::from(message.pid()));
    label(out, "Uuid");
    push_uuid(out, message.uuid());
    text(out, "Logger", message.header(Header::Logger));
    text(out, "Payload", message.payload());
    text(out, "EnvVersion", message.header(Header::EnvVersion));
    label(out, "Severity");
    push_integer(out, i64::from(message.severity()));
    out.push(b'\n');
    if message.fields().len() > 0 {
        out.extend_from_slice(b":Fields:\n");
        message.fields().for_each(|f| field(f, out));
    }
    out.push(b'\n');
}

fn label(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b"\n:");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
}

fn text(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    label(out, name);
    out.extend_from_slice(value);
}

fn field(field: FieldRef<'_>, out: &mut Vec<u8>) {
    let kind = match field.value_type() {
        ValueType::String => "string",
        ValueType::Bytes => "bytes",
        ValueType::Integer => "integer",
        ValueType::Double => "double",
        ValueType::Bool => "bool",
    };
    out.extend_from_slice(b"    | name:");
    quoted(out, field.name());
    out.extend_from_slice(b" type:");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b" value:");
    let list = field.len() != 1;
    if list {
        out.push(b'[');
    }
    for (position, value) in field.values().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        match value {
            Value::String(value) => quoted(out, value),
            Value::Bytes(value) => push_base64(out, value),
            Value::Integer(value) => push_integer(out, value),
            Value::Double(value) => push_double(out, value, ["NaN", "+Inf", "-Inf"]),
            Value::Bool(value) => {
                out.extend_from_slice(if value { b"true" } else { b"false" });
            }
        }
    }
    if list {
        out.push(b']');
    }
    if let Some(representation) = field.representation().filter(|r| !r.is_empty()) {
        out.extend_from_slice(b" representation:");
        quoted(out, representation);
    }
    out.push(b'\n');
}

fn quoted(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(value);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printed_sample::{empty, full};

    #[test]
    fn every_header_and_type_of_field() {
        let mut out = Vec::new();
        write_rst(full().get(0), &mut out);
        let want = r#"
:Timestamp: 2014-11-24 14:54:53.0000005 +0000 UTC
:Type: nginx.access
:Hostname: web-1.example.com
:Pid: 4711
:Uuid: 00112233-4455-6677-8899-aabbccddeeff
:Logger: FileLog
:Payload: GET "/" <&>
two
:EnvVersion: 0.8
:Severity: 6
:Fields:
    | name:"status" type:integer value:200 representation:"count"
    | name:"sizes" type:integer value:[1,-2,3]
    | name:"agents" type:string value:["curl","wget"] representation:"text"
    | name:"empty" type:string value:""
    | name:"took" type:double value:0.25 representation:"s"
    | name:"odd" type:double value:[NaN,+Inf,1e+21]
    | name:"raw" type:bytes value:AP8K
    | name:"raws" type:bytes value:[YQ==,YmM=]
    | name:"ok" type:bool value:[true,false]
    | name:"ok" type:bool value:false

"#;
        assert_eq!(String::from_utf8_lossy(&out), want);
    }

    #[test]
    fn absent_headers_are_empty() {
        let mut out = Vec::new();
        write_rst(empty().get(0), &mut out);
        let want = "\n:Timestamp: 1970-01-01 00:00:00 +0000 UTC\n:Type: \n:Hostname: \n:Pid: 0\n:Uuid: \n:Logger: \n\
                    :Payload: \n:EnvVersion: \n:Severity: 7\n\n";
        assert_eq!(String::from_utf8_lossy(&out), want);
    }
}
