//! What is sent: one buffer of messages, built once, the same in every process that asks for it.
//!
//! Owns:    the buffer, and which values its messages have.
//! Runs on: the sender, and the measuring process that works out what must arrive.            Plane: control.
//! Bounds:  `BUFFER_BYTES`, rounded down to whole messages of one size.
//! Never:   depends on time or chance: counts must be foreseeable.

use codecs::limits::MESSAGE_BYTES_MAX;
use codecs::message::{Header, MessageTable, NewValue, TableLimits};
use codecs::{framing, protobuf};

use crate::cli::Format;

/// Bytes written at once: with smaller writes the sender becomes the limit.
pub(crate) const BUFFER_BYTES: usize = 1024 * 1024;

/// A buffer of messages of one size.
#[derive(Debug)]
pub(crate) struct Traffic {
    bytes: Vec<u8>,
    message_bytes: usize,
}

impl Traffic {
    /// As many messages of exactly `message_bytes` (framing included) as fit; types `t0` to `t<types - 1>` take turns.
    pub(crate) fn new(
        format: Format,
        message_bytes: usize,
        types: usize,
    ) -> Result<Traffic, String> {
        let mut random = fastrand::Rng::with_seed(1);
        let mut bytes = Vec::with_capacity(BUFFER_BYTES);
        for index in 0..BUFFER_BYTES / message_bytes {
            match format {
                Format::Frames => push_frame(index, message_bytes, types, &mut random, &mut bytes)?,
                Format::Lines => push_line(index, message_bytes, &mut random, &mut bytes)?,
                Format::Access => push_access(index, message_bytes, &mut random, &mut bytes)?,
            }
        }
        Ok(Traffic {
            bytes,
            message_bytes,
        })
    }

    /// All bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many messages.
    pub(crate) fn messages(&self) -> usize {
        self.bytes.len() / self.message_bytes
    }

    /// Each message.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks_exact(self.message_bytes)
    }
}

/// Appends a frame whose payload is as long as makes it `message_bytes`.
fn push_frame(
    index: usize,
    message_bytes: usize,
    types: usize,
    random: &mut fastrand::Rng,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let start = out.len();
    let mut payload_bytes = message_bytes;
    // The lengths in front of the payload shrink as it does, so the fit may take a second and third step.
    for _ in 0..4 {
        out.truncate(start);
        let encoded = encode_message(index, payload_bytes, types, random)?;
        framing::write_frame(&encoded, None, MESSAGE_BYTES_MAX, out)
            .map_err(|error| error.to_string())?;
        match (out.len() - start).cmp(&message_bytes) {
            std::cmp::Ordering::Equal => return Ok(()),
            std::cmp::Ordering::Less => payload_bytes += message_bytes - (out.len() - start),
            std::cmp::Ordering::Greater => {
                let excess = out.len() - start - message_bytes;
                payload_bytes = payload_bytes.checked_sub(excess).ok_or_else(|| {
                    format!("a frame of {message_bytes} bytes has no room for a payload")
                })?;
            }
        }
    }
    Err(format!("no frame is exactly {message_bytes} bytes long"))
}

/// A message as a web server's log would give it. Values that matchers test come from the index alone.
fn encode_message(
    index: usize,
    payload_bytes: usize,
    types: usize,
    random: &mut fastrand::Rng,
) -> Result<Vec<u8>, String> {
    let payload: String = text(payload_bytes, index.is_multiple_of(50), random);
    let mut table = MessageTable::new(TableLimits {
        received_bytes: 0,
        arena_bytes: payload_bytes + 1024,
        messages: 1,
        fields: 8,
    });
    let full = |_| "the message does not fit its table".to_owned();
    let mut draft = table.begin().map_err(full)?;
    let mut fill = || {
        let uuid = u128::from_le_bytes(std::array::from_fn(|_| random.u8(..)));
        draft.set(Header::Uuid, &uuid.to_le_bytes()[..])?;
        draft.set_timestamp(1_700_000_000_000_000_000 + index as i64);
        draft.set(Header::Type, format!("t{}", index % types).as_str())?;
        draft.set(
            Header::Logger,
            if index.is_multiple_of(3) {
                "app"
            } else {
                "nginx"
            },
        )?;
        draft.set_severity((index % 8) as i32);
        draft.set_pid(4711);
        draft.set(Header::Payload, payload.as_str())?;
        draft.set(Header::Hostname, format!("web{}", index % 5).as_str())?;
        let status = [200, 200, 200, 200, 301, 404, 200, 500][index % 8];
        draft.add_field("status", NewValue::Integer(status), None)?;
        let path = if index.is_multiple_of(4) {
            "/api/items"
        } else {
            "/index.html"
        };
        draft.add_field("path", NewValue::String(path.into()), None)?;
        draft.add_field(
            "seconds",
            NewValue::Double((index % 100) as f64 / 100.0),
            Some("s".into()),
        )
    };
    fill().map_err(full)?;
    let mut encoded = Vec::new();
    protobuf::encode(table.get(0), &mut encoded);
    Ok(encoded)
}

/// Printable text that contains the word `timeout` or does not.
fn text(bytes: usize, with_word: bool, random: &mut fastrand::Rng) -> String {
    let mut text: String = (0..bytes)
        .map(|_| char::from(random.u8(b'A'..=b'Z')))
        .collect();
    if with_word && bytes >= 7 {
        text.replace_range(bytes - 7.., "timeout");
    }
    text
}

/// Appends a line as a syslog client writes it, `message_bytes` long with its newline.
fn push_line(
    index: usize,
    message_bytes: usize,
    random: &mut fastrand::Rng,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let head = format!(
        "<{}>Nov 21 09:40:00 web{} app[4711]: ",
        8 + index % 8,
        index % 5
    );
    let rest = message_bytes
        .checked_sub(head.len() + 1)
        .ok_or_else(|| format!("a line of {message_bytes} bytes has no room for its head"))?;
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(text(rest, index.is_multiple_of(50), random).as_bytes());
    out.push(b'\n');
    Ok(())
}

/// What clients call themselves; crawlers are short.
const AGENTS: [&str; 6] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 Version/17.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "curl/8.4.0",
];

/// Requests a second, by the times in the log.
const REQUESTS_A_SECOND: usize = 50;

/// Appends a line of Nginx's format `combined`, `message_bytes` long with its newline; the query makes it so long.
fn push_access(
    index: usize,
    message_bytes: usize,
    random: &mut fastrand::Rng,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let second = index / REQUESTS_A_SECOND;
    let head = format!(
        "1{}.{}.{}.{} - {} [21/Nov/2026:09:{:02}:{:02} +0000] \"{} /items/{}?q=",
        random.u8(..100),
        random.u8(..),
        random.u8(..),
        random.u8(..),
        ["-", "-", "-", "anna"][index % 4],
        second / 60 % 60,
        second % 60,
        ["GET", "GET", "GET", "POST"][random.usize(..4)],
        random.u16(..),
    );
    let tail = format!(
        " HTTP/1.1\" {} {} \"{}\" \"{}\"\n",
        [200, 200, 200, 200, 301, 404, 200, 500][index % 8],
        random.u32(..100_000),
        ["-", "https://www.example.com/"][random.usize(..2)],
        AGENTS[random.usize(..AGENTS.len())],
    );
    let rest = message_bytes
        .checked_sub(head.len() + tail.len())
        .ok_or_else(|| format!("a line of {message_bytes} bytes has no room for its parts"))?;
    out.extend_from_slice(head.as_bytes());
    out.extend((0..rest).map(|_| random.u8(b'a'..=b'z')));
    out.extend_from_slice(tail.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_has_the_size_asked_for() {
        for (format, bytes) in [
            (Format::Frames, 1024),
            (Format::Frames, 256),
            (Format::Lines, 256),
            (Format::Lines, 100),
            (Format::Access, 256),
        ] {
            let traffic = Traffic::new(format, bytes, 100).unwrap();
            assert_eq!(traffic.messages(), BUFFER_BYTES / bytes);
            assert_eq!(traffic.iter().count(), traffic.messages());
            for message in traffic.iter() {
                match format {
                    Format::Frames => assert_eq!(message[0], 0x1e),
                    Format::Lines | Format::Access => assert_eq!(
                        message.iter().position(|&byte| byte == b'\n'),
                        Some(bytes - 1)
                    ),
                }
            }
        }
    }

    #[test]
    fn two_processes_build_the_same() {
        let build = || Traffic::new(Format::Frames, 300, 7).unwrap().bytes;
        assert_eq!(build(), build());
        assert!(Traffic::new(Format::Frames, 60, 1).is_err());
        assert!(Traffic::new(Format::Lines, 20, 1).is_err());
    }
}
