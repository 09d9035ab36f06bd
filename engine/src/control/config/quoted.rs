//! From a byte of a string's value to the bytes of the file that wrote it.
//!
//! Owns:    the walk through a quoted TOML string.
//! Runs on: build time.            Plane: control.
//! Bounds:  one pass over the string.
//! Never:   checks the string; the TOML reader has.

/// Offset within `raw` (a whole TOML string with its quotes) of what wrote byte `offset` of its value.
/// Past the end of the value it is the closing quote.
pub(crate) fn offset_in_raw(raw: &str, offset: usize) -> usize {
    let bytes = raw.as_bytes();
    let Some(&quote) = bytes.first().filter(|byte| matches!(byte, b'"' | b'\'')) else {
        return offset.min(raw.len());
    };
    let long = bytes.len() >= 6 && bytes.starts_with(&[quote; 3]);
    let mut at = if long { 3 } else { 1 };
    let end = raw.len().saturating_sub(at).max(at);
    if long {
        at += line_break(&bytes[at..]);
    }
    let mut value = 0;
    while at < end {
        let (written, made) = match bytes[at] {
            b'\\' if quote == b'"' => escape(&raw[at..end]),
            _ => (1, 1),
        };
        if value + made > offset {
            return at;
        }
        value += made;
        at += written;
    }
    end
}

fn line_break(bytes: &[u8]) -> usize {
    match bytes {
        [b'\n', ..] => 1,
        [b'\r', b'\n', ..] => 2,
        _ => 0,
    }
}

/// Bytes that an escape is written with, and bytes of the value that it makes.
fn escape(text: &str) -> (usize, usize) {
    let digits = match text.as_bytes().get(1) {
        Some(b'x') => 2,
        Some(b'u') => 4,
        Some(b'U') => 8,
        Some(b' ' | b'\t' | b'\r' | b'\n') => {
            let rest = &text[1..];
            return (
                1 + rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len(),
                0,
            );
        }
        Some(_) => return (2, 1),
        None => return (1, 1),
    };
    let code = text
        .get(2..2 + digits)
        .and_then(|hex| u32::from_str_radix(hex, 16).ok());
    (
        2 + digits,
        code.and_then(char::from_u32).map_or(1, char::len_utf8),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_by_kind_of_string() {
        for (raw, offset, expected) in [
            ("'abc'", 1, 2),
            ("'abc'", 3, 4),
            ("'abc'", 9, 4),
            ("\"abc\"", 0, 1),
            (r#""a\"b""#, 1, 2),
            (r#""a\"b""#, 2, 4),
            (r#""a\u00e9b""#, 3, 8),
            ("'''\nabc'''", 0, 4),
            ("\"\"\"\r\nab\\\n   c\"\"\"", 2, 12),
            ("''", 0, 1),
        ] {
            assert_eq!(offset_in_raw(raw, offset), expected, "{raw} {offset}");
        }
    }

    #[test]
    fn every_byte_of_a_value_leads_into_its_string() {
        let raw = "\"\"\"x\\U0001F600y\\x41\\\n  z\"\"\"";
        let value = "x\u{1F600}yAz";
        let starts: Vec<_> = (0..=value.len())
            .map(|offset| offset_in_raw(raw, offset))
            .collect();
        assert_eq!(starts, [3, 4, 4, 4, 4, 14, 15, 23, 24]);
    }
}
