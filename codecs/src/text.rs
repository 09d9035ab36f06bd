//! A message as ten labelled lines, as heka-cat prints it.
//!
//! Owns:    `write_text` and the one-line form of fields.
//! Runs on: tools.            Plane: control.
//! Bounds:  linear in the message.
//! Never:   escapes headers: a payload of two lines prints two lines, as in Heka.
//!
//! Fields are printed in the text form of protobuf, in one line. The type of a field is always printed; Heka leaves
//! it out where the sender did, which is then a string.

use crate::digits::push_integer;
use crate::field::{FieldRef, Value, ValueType};
use crate::message::{Header, MessageRef};
use crate::printed::{push_double, push_uuid};
use crate::time::{Zone, format_go};

/// Appends a message: ten lines, and an empty one. The time is that of `zone`'s clocks.
pub fn write_text(message: MessageRef<'_>, zone: &Zone, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Timestamp: ");
    format_go(message.timestamp(), zone, out);
    line(out, "Type", message.header(Header::Type));
    line(out, "Hostname", message.header(Header::Hostname));
    out.extend_from_slice(b"\nPid: ");
    push_integer(out, i64::from(message.pid()));
    out.extend_from_slice(b"\nUUID: ");
    push_uuid(out, message.uuid());
    line(out, "Logger", message.header(Header::Logger));
    line(out, "Payload", message.payload());
    line(out, "EnvVersion", message.header(Header::EnvVersion));
    out.extend_from_slice(b"\nSeverity: ");
    push_integer(out, i64::from(message.severity()));
    out.extend_from_slice(b"\nFields: [");
    for (position, f) in message.fields().enumerate() {
        if position > 0 {
            out.push(b' ');
        }
        field(f, out);
    }
    out.extend_from_slice(b"]\n\n");
}

fn line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.push(b'\n');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
}

fn field(field: FieldRef<'_>, out: &mut Vec<u8>) {
    let (kind, values) = match field.value_type() {
        ValueType::String => ("STRING", "value_string:"),
        ValueType::Bytes => ("BYTES", "value_bytes:"),
        ValueType::Integer => ("INTEGER", "value_integer:"),
        ValueType::Double => ("DOUBLE", "value_double:"),
        ValueType::Bool => ("BOOL", "value_bool:"),
    };
    out.extend_from_slice(b"name:");
    quoted(out, field.name());
    out.extend_from_slice(b" value_type:");
    out.extend_from_slice(kind.as_bytes());
    if let Some(representation) = field.representation() {
        out.extend_from_slice(b" representation:");
        quoted(out, representation);
    }
    for value in field.values() {
        out.push(b' ');
        out.extend_from_slice(values.as_bytes());
        match value {
            Value::String(value) | Value::Bytes(value) => quoted(out, value),
            Value::Integer(value) => push_integer(out, value),
            Value::Double(value) => push_double(out, value, ["nan", "inf", "-inf"]),
            Value::Bool(value) => {
                out.extend_from_slice(if value { b"true" } else { b"false" });
            }
        }
    }
    out.push(b' ');
}

/// Appends bytes in quotes; what is not printable ASCII becomes an escape, of three octal digits where it has no letter.
fn quoted(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for byte in bytes {
        match byte {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b' '..=b'~' => out.push(*byte),
            _ => out.extend_from_slice(&[
                b'\\',
                b'0' + (byte >> 6),
                b'0' + (byte >> 3 & 7),
                b'0' + (byte & 7),
            ]),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printed_sample::{empty, full};

    #[test]
    fn every_header_and_type_of_field() {
        let mut out = Vec::new();
        write_text(
            full().get(0),
            &Zone::named("America/Chicago").unwrap(),
            &mut out,
        );
        let want = concat!(
            "Timestamp: 2014-11-24 08:54:53.0000005 -0600 CST\n",
            "Type: nginx.access\n",
            "Hostname: web-1.example.com\n",
            "Pid: 4711\n",
            "UUID: 00112233-4455-6677-8899-aabbccddeeff\n",
            "Logger: FileLog\n",
            "Payload: GET \"/\" <&>\ntwo\n",
            "EnvVersion: 0.8\n",
            "Severity: 6\n",
            "Fields: [",
            "name:\"status\" value_type:INTEGER representation:\"count\" value_integer:200  ",
            "name:\"sizes\" value_type:INTEGER value_integer:1 value_integer:-2 value_integer:3  ",
            "name:\"agents\" value_type:STRING representation:\"text\" value_string:\"curl\" value_string:\"wget\"  ",
            "name:\"empty\" value_type:STRING value_string:\"\"  ",
            "name:\"took\" value_type:DOUBLE representation:\"s\" value_double:0.25  ",
            "name:\"odd\" value_type:DOUBLE value_double:nan value_double:inf value_double:1e+21  ",
            "name:\"raw\" value_type:BYTES value_bytes:\"\\000\\377\\n\"  ",
            "name:\"raws\" value_type:BYTES value_bytes:\"a\" value_bytes:\"bc\"  ",
            "name:\"ok\" value_type:BOOL value_bool:true value_bool:false  ",
            "name:\"ok\" value_type:BOOL value_bool:false ",
            "]\n\n",
        );
        assert_eq!(String::from_utf8_lossy(&out), want);
    }

    #[test]
    fn absent_headers_are_empty() {
        let mut out = Vec::new();
        write_text(empty().get(0), &Zone::utc(), &mut out);
        let want = "Timestamp: 1970-01-01 00:00:00 +0000 UTC\nType: \nHostname: \nPid: 0\nUUID: \nLogger: \nPayload: \n\
                    EnvVersion: \nSeverity: 7\nFields: []\n\n";
        assert_eq!(String::from_utf8_lossy(&out), want);
    }

    #[test]
    fn odd_bytes_are_escaped() {
        let mut out = Vec::new();
        quoted(&mut out, b"a\"\\\n\r\t'\x00\x1f\x7f\xc3\xa9");
        assert_eq!(out, br#""a\"\\\n\r\t'\000\037\177\303\251""#);
    }
}
