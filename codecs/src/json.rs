//! A message as one JSON object in one line, as heka-cat prints it.
//!
//! Owns:    `write_json` and the escaping of strings.
//! Runs on: tools.            Plane: control.
//! Bounds:  linear in the message: a byte takes at most six.
//! Never:   prints what is no JSON or no UTF-8, whatever the message's bytes.
//!
//! Keys are the names of the message's protobuf, in its order; what is absent has no key. `value_type` is the number
//! of the type and is always printed. Where Heka prints an empty line, for a double that JSON has no number for,
//! that value is `null` here.

use crate::digits::push_integer;
use crate::field::{FieldRef, Value};
use crate::message::{Header, MessageRef};
use crate::printed::{push_base64, push_double};

/// Appends a message and a line feed.
pub fn write_json(message: MessageRef<'_>, out: &mut Vec<u8>) {
    out.push(b'{');
    if !message.uuid().is_empty() {
        out.extend_from_slice(b"\"uuid\":");
        base64(out, message.uuid());
        out.push(b',');
    }
    out.extend_from_slice(b"\"timestamp\":");
    push_integer(out, message.timestamp());
    header(out, "type", message.header_opt(Header::Type));
    header(out, "logger", message.header_opt(Header::Logger));
    number(out, "severity", message.severity_opt());
    header(out, "payload", message.header_opt(Header::Payload));
    header(out, "env_version", message.header_opt(Header::EnvVersion));
    number(out, "pid", message.pid_opt());
    header(out, "hostname", message.header_opt(Header::Hostname));
    if message.fields().len() > 0 {
        key(out, "fields");
        for (position, f) in message.fields().enumerate() {
            out.push(if position == 0 { b'[' } else { b',' });
            field(f, out);
        }
        out.push(b']');
    }
    out.extend_from_slice(b"}\n");
}

fn key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn header(out: &mut Vec<u8>, name: &str, value: Option<&[u8]>) {
    if let Some(value) = value {
        key(out, name);
        string(out, value);
    }
}

fn number(out: &mut Vec<u8>, name: &str, value: Option<i32>) {
    if let Some(value) = value {
        key(out, name);
        push_integer(out, i64::from(value));
    }
}

fn field(field: FieldRef<'_>, out: &mut Vec<u8>) {
    const NAMES: [&str; 5] = [
        "value_string",
        "value_bytes",
        "value_integer",
        "value_double",
        "value_bool",
    ];
    out.extend_from_slice(b"{\"name\":");
    string(out, field.name());
    key(out, "value_type");
    push_integer(out, field.value_type() as i64);
    header(out, "representation", field.representation());
    if !field.is_empty() {
        key(out, NAMES[field.value_type() as usize]);
        for (position, value) in field.values().enumerate() {
            out.push(if position == 0 { b'[' } else { b',' });
            match value {
                Value::String(value) => string(out, value),
                Value::Bytes(value) => base64(out, value),
                Value::Integer(value) => push_integer(out, value),
                Value::Double(value) => push_double(out, value, ["null", "null", "null"]),
                Value::Bool(value) => {
                    out.extend_from_slice(if value { b"true" } else { b"false" });
                }
            }
        }
        out.push(b']');
    }
    out.push(b'}');
}

fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    push_base64(out, bytes);
    out.push(b'"');
}

/// Appends a string. Every byte that is not part of a character becomes U+FFFD. Besides what JSON demands, `<`, `>`, `&`
/// and the separators U+2028 and U+2029 are escaped, as Go does for the sake of HTML and JavaScript.
fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for chunk in bytes.utf8_chunks() {
        characters(out, chunk.valid());
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
    out.push(b'"');
}

fn characters(out: &mut Vec<u8>, text: &str) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let low = match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0..0x20 | b'<' | b'>' | b'&' => None,
            // The last byte of U+2028 and U+2029.
            0xa8 | 0xa9 if bytes[..at].ends_with(&[0xe2, 0x80]) => Some(byte & 0xf),
            _ => continue,
        };
        let width = if low.is_some() { 3 } else { 1 };
        out.extend_from_slice(&bytes[copied..at + 1 - width]);
        copied = at + 1;
        match (low, byte) {
            (Some(digit), _) => {
                out.extend_from_slice(&[b'\\', b'u', b'2', b'0', b'2', b'0' + digit])
            }
            (None, b'"' | b'\\') => out.extend_from_slice(&[b'\\', *byte]),
            (None, b'\n') => out.extend_from_slice(b"\\n"),
            (None, b'\r') => out.extend_from_slice(b"\\r"),
            (None, b'\t') => out.extend_from_slice(b"\\t"),
            (None, _) => out.extend_from_slice(&[
                b'\\',
                b'u',
                b'0',
                b'0',
                DIGITS[usize::from(byte >> 4)],
                DIGITS[usize::from(byte & 15)],
            ]),
        }
    }
    out.extend_from_slice(&bytes[copied..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printed_sample::{empty, full};
    use proptest::prelude::*;

    #[test]
    fn every_header_and_type_of_field() {
        let mut out = Vec::new();
        write_json(full().get(0), &mut out);
        let want = concat!(
            r#"{"uuid":"ABEiM0RVZneImaq7zN3u/w==","timestamp":1416840893000000500,"type":"nginx.access","#,
            r#""logger":"FileLog","severity":6,"payload":"GET \"/\" \u003c\u0026\u003e\ntwo","#,
            r#""env_version":"0.8","pid":4711,"hostname":"web-1.example.com","fields":["#,
            r#"{"name":"status","value_type":2,"representation":"count","value_integer":[200]},"#,
            r#"{"name":"sizes","value_type":2,"value_integer":[1,-2,3]},"#,
            r#"{"name":"agents","value_type":0,"representation":"text","value_string":["curl","wget"]},"#,
            r#"{"name":"empty","value_type":0,"value_string":[""]},"#,
            r#"{"name":"took","value_type":3,"representation":"s","value_double":[0.25]},"#,
            r#"{"name":"odd","value_type":3,"value_double":[null,null,1e+21]},"#,
            r#"{"name":"raw","value_type":1,"value_bytes":["AP8K"]},"#,
            r#"{"name":"raws","value_type":1,"value_bytes":["YQ==","YmM="]},"#,
            r#"{"name":"ok","value_type":4,"value_bool":[true,false]},"#,
            r#"{"name":"ok","value_type":4,"value_bool":[false]}]}"#,
            "\n",
        );
        assert_eq!(String::from_utf8_lossy(&out), want);
    }

    #[test]
    fn what_is_absent_has_no_key() {
        let mut out = Vec::new();
        write_json(empty().get(0), &mut out);
        assert_eq!(out, b"{\"timestamp\":0}\n");
    }

    fn quoted(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        string(&mut out, bytes);
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    #[test]
    fn strings_are_escaped() {
        for (bytes, want) in [
            (&b"plain \x7f"[..], "\"plain \x7f\""),
            (b"\"\\\n\r\t\x00\x1b", r#""\"\\\n\r\t\u0000\u001b""#),
            (b"<&>", r#""\u003c\u0026\u003e""#),
            ("h\u{e9}\u{1f600}".as_bytes(), "\"h\u{e9}\u{1f600}\""),
            (
                "a\u{2028}\u{2029}\u{2027}b".as_bytes(),
                "\"a\\u2028\\u2029\u{2027}b\"",
            ),
            (b"\xff\xe2\x82x\xc3", r#""\ufffd\ufffd\ufffdx\ufffd""#),
            (b"\xe2\x80", r#""\ufffd\ufffd""#),
        ] {
            assert_eq!(quoted(bytes), want);
        }
    }

    /// Reads a JSON string back: the oracle.
    fn unquoted(json: &str) -> String {
        let inner = json.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
        let mut chars = inner.chars();
        let mut text = String::new();
        while let Some(c) = chars.next() {
            assert!(
                c >= ' ' && !"\"<>&\u{2028}\u{2029}".contains(c),
                "{c:?} must be escaped"
            );
            text.push(match c {
                '\\' => match chars.next().unwrap() {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'u' => {
                        let code: String = chars.by_ref().take(4).collect();
                        char::from_u32(u32::from_str_radix(&code, 16).unwrap()).unwrap()
                    }
                    other => other,
                },
                other => other,
            });
        }
        text
    }

    proptest! {
        #[test]
        fn text_is_read_back(text: String) {
            prop_assert_eq!(unquoted(&quoted(text.as_bytes())), text);
        }

        #[test]
        fn bytes_are_read_back_but_for_damage(
            parts in prop::collection::vec(("\\PC{0,3}", prop::collection::vec(0x80..=0xbfu8, 0..3)), 0..4),
        ) {
            // A continuation byte after a whole character is damage by itself.
            let (mut bytes, mut want) = (Vec::new(), String::new());
            for (text, damage) in parts {
                bytes.extend_from_slice(text.as_bytes());
                bytes.extend_from_slice(&damage);
                want.push_str(&text);
                want.extend(damage.iter().map(|_| '\u{fffd}'));
            }
            prop_assert_eq!(unquoted(&quoted(&bytes)), want);
        }

        #[test]
        fn any_bytes_are_a_string(bytes: Vec<u8>) {
            let text = unquoted(&quoted(&bytes));
            let damaged: usize = bytes.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
            let own = String::from_utf8_lossy(&bytes).chars().count()
                - bytes.utf8_chunks().filter(|chunk| !chunk.invalid().is_empty()).count();
            prop_assert_eq!(text.chars().count(), own + damaged);
        }
    }
}
