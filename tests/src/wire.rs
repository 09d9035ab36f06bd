//! Heka's bytes by hand, from the specification: a second opinion on what the daemon reads and writes.
//!
//! Owns:    frames and messages as bytes, and the few facts that tests look for in them.
//! Runs on: tests.            Plane: data.
//! Bounds:  what tests send; nothing is checked.
//! Never:   uses the codecs that it is meant to check.

/// A message of a type, with a payload, and a field `seq`.
pub fn message(message_type: &str, payload: &str, seq: u64) -> Vec<u8> {
    let mut out = Vec::new();
    bytes_field(&mut out, 1, &[7; 16]);
    number_field(&mut out, 2, 1_416_840_893_000_000_000);
    bytes_field(&mut out, 3, message_type.as_bytes());
    bytes_field(&mut out, 6, payload.as_bytes());
    let mut field = Vec::new();
    bytes_field(&mut field, 1, b"seq");
    number_field(&mut field, 2, 2);
    number_field(&mut field, 6, seq);
    bytes_field(&mut out, 10, &field);
    out
}

/// A message in an unsigned frame.
pub fn frame(message: &[u8]) -> Vec<u8> {
    framed(&header(message.len() as u64), message)
}

/// A message in a frame that somebody claims to have signed, with such a signature.
pub fn signed_frame(message: &[u8], signer: &str, version: u64, hmac: &[u8]) -> Vec<u8> {
    let mut head = header(message.len() as u64);
    number_field(&mut head, 3, 0);
    bytes_field(&mut head, 4, signer.as_bytes());
    number_field(&mut head, 5, version);
    bytes_field(&mut head, 6, hmac);
    framed(&head, message)
}

/// A header that announces so many bytes.
pub fn header(message_bytes: u64) -> Vec<u8> {
    let mut head = Vec::new();
    number_field(&mut head, 1, message_bytes);
    head
}

/// Any header before any bytes.
pub fn framed(header: &[u8], message: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1e, header.len() as u8];
    out.extend_from_slice(header);
    out.push(0x1f);
    out.extend_from_slice(message);
    out
}

/// Takes a frame off the start of `bytes`: its message, and what follows. `None` until it is complete. Panics at what is no frame.
pub fn unframe(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&mark, rest) = bytes.split_first()?;
    assert_eq!(mark, 0x1e, "no frame begins here");
    let (&len, rest) = rest.split_first()?;
    let (head, rest) = rest.split_at_checked(usize::from(len))?;
    let (&mark, rest) = rest.split_first()?;
    assert_eq!(mark, 0x1f, "the header ends in its mark");
    let len = Fields(head).find_map(|field| match field {
        (1, Wire::Number(len)) => Some(len as usize),
        _ => None,
    });
    rest.split_at_checked(len.expect("a length"))
}

/// The text of a header: 3 is Type, 6 Payload.
pub fn text_of(message: &[u8], number: u64) -> String {
    let found = Fields(message).find_map(|field| match field {
        (at, Wire::Bytes(bytes)) if at == number => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
        _ => None,
    });
    found.unwrap_or_default()
}

/// The first integer of the field `seq`.
pub fn seq_of(message: &[u8]) -> Option<u64> {
    let mut fields = Fields(message).filter_map(|field| match field {
        (10, Wire::Bytes(bytes)) => Some(bytes),
        _ => None,
    });
    let field = fields.find(|field| Fields(field).any(|part| part == (1, Wire::Bytes(b"seq"))))?;
    Fields(field).find_map(|part| match part {
        (6, Wire::Number(number)) => Some(number),
        (6, Wire::Bytes(packed)) => varint(packed).map(|(number, _)| number),
        _ => None,
    })
}

fn number_field(out: &mut Vec<u8>, number: u64, value: u64) {
    put_varint(out, number << 3);
    put_varint(out, value);
}

fn bytes_field(out: &mut Vec<u8>, number: u64, value: &[u8]) {
    put_varint(out, number << 3 | 2);
    put_varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Fixed,
}

/// The fields of a protobuf message.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Wire<'a>);

    fn next(&mut self) -> Option<(u64, Wire<'a>)> {
        let (key, rest) = varint(self.0)?;
        let (value, rest) = match key & 7 {
            0 => varint(rest).map(|(value, rest)| (Wire::Number(value), rest))?,
            1 => (Wire::Fixed, rest.get(8..)?),
            2 => {
                let (len, rest) = varint(rest)?;
                let (value, rest) = rest.split_at_checked(len as usize)?;
                (Wire::Bytes(value), rest)
            }
            5 => (Wire::Fixed, rest.get(4..)?),
            kind => panic!("a field of the kind {kind}"),
        };
        self.0 = rest;
        Some((key >> 3, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let frame = frame(&message("TEST", "hello", 300));
        for end in 0..frame.len() {
            assert_eq!(unframe(&frame[..end]), None);
        }
        let (message, rest) = unframe(&frame).expect("a whole frame");
        assert!(rest.is_empty());
        assert_eq!(text_of(message, 3), "TEST");
        assert_eq!(text_of(message, 6), "hello");
        assert_eq!(seq_of(message), Some(300));
    }

    #[test]
    fn the_published_bytes_are_a_frame() {
        let bytes = b"\x1e\x02\x08\x10\x1f\x10\x80\xc4\x8c\x94\x91\xa9\xe8\xd4\x13\x1a\x04TEST";
        let (message, rest) = unframe(bytes).expect("a whole frame");
        assert_eq!((text_of(message, 3).as_str(), rest), ("TEST", &b""[..]));
        assert_eq!(seq_of(message), None);
    }
}
