//! What a stream is opened with: what its messages say of where they come from.
//!
//! Owns:    `StreamOptions`, `StreamHeaders`, and their places in the batch that is being filled.
//! Runs on: every shard.            Plane: data.
//! Bounds:  `limits::STREAM_FIELDS_MAX` fields, `limits::STREAM_TEXT_BYTES_MAX` bytes a text; all texts stand once in a batch.
//! Never:   copies a text for each message.

use codecs::error::Full;
use codecs::field::Span;
use codecs::message::{Draft, Header, MessageTable, NewValue};

use crate::limits;

/// How a stream is opened.
#[derive(Clone, Debug, Default)]
pub struct StreamOptions {
    /// What its messages say, where they are made of payloads.
    pub headers: StreamHeaders,
    /// With a splitter for which what a read returned is a record, all that comes until the stream ends is one record instead.
    pub whole: bool,
}

/// What the messages of a stream say, where they are made of payloads.
#[derive(Clone, Debug, Default)]
pub struct StreamHeaders {
    /// Type; the input's name if not given.
    pub message_type: Option<Box<str>>,
    /// Logger; the input's name if not given.
    pub logger: Option<Box<str>>,
    /// Hostname; empty for none.
    pub hostname: Box<str>,
    /// Pid.
    pub pid: Option<i32>,
    /// Fields, in this order.
    pub fields: Vec<StreamField>,
}

/// A field that all messages of a stream have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamField {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: StreamValue,
}

/// The value of such a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamValue {
    /// Text.
    Text(Box<str>),
    /// Integer.
    Integer(i64),
}

impl StreamField {
    /// A field with a text.
    pub fn text(name: &'static str, value: impl Into<Box<str>>) -> StreamField {
        let value = StreamValue::Text(value.into());
        StreamField { name, value }
    }

    /// A field with an integer.
    pub fn integer(name: &'static str, value: i64) -> StreamField {
        let value = StreamValue::Integer(value);
        StreamField { name, value }
    }
}

/// Headers with their places in one batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shared {
    message_type: Span,
    logger: Span,
    hostname: Span,
    pid: Option<i32>,
    fields: [(Span, Placed); limits::STREAM_FIELDS_MAX],
    fields_len: usize,
    /// Now, nanoseconds since the Unix epoch.
    pub(super) now: i64,
}

#[derive(Clone, Copy, Debug)]
enum Placed {
    Text(Span),
    Integer(i64),
}

impl Shared {
    /// Nothing is placed: the decoder makes the whole message.
    pub(super) const fn nothing(now: i64) -> Shared {
        Shared {
            message_type: Span::EMPTY,
            logger: Span::EMPTY,
            hostname: Span::EMPTY,
            pid: None,
            fields: [(Span::EMPTY, Placed::Integer(0)); limits::STREAM_FIELDS_MAX],
            fields_len: 0,
            now,
        }
    }

    /// Whether nothing is placed.
    pub(super) fn is_nothing(&self) -> bool {
        self.logger.is_empty()
    }

    /// Type, logger, hostname, pid and fields of a message.
    #[inline]
    pub(super) fn fill(&self, draft: &mut Draft<'_>) -> Result<(), Full> {
        draft.set(Header::Type, self.message_type)?;
        draft.set(Header::Logger, self.logger)?;
        if !self.hostname.is_empty() {
            draft.set(Header::Hostname, self.hostname)?;
        }
        if let Some(pid) = self.pid {
            draft.set_pid(pid);
        }
        for (name, value) in &self.fields[..self.fields_len] {
            let value = match *value {
                Placed::Text(span) => NewValue::String(span.into()),
                Placed::Integer(integer) => NewValue::Integer(integer),
            };
            draft.add_field(*name, value, None)?;
        }
        Ok(())
    }
}

impl StreamHeaders {
    /// Headers with nothing but a hostname.
    pub fn with_hostname(hostname: &str) -> StreamHeaders {
        StreamHeaders {
            hostname: hostname.into(),
            ..StreamHeaders::default()
        }
    }

    /// Places the texts in a batch. `name` is the input's; `hostname` stands in for the stream's own.
    pub(super) fn place(
        &self,
        table: &mut MessageTable,
        name: &str,
        hostname: Option<&[u8]>,
        now: i64,
    ) -> Result<Shared, Full> {
        let mut shared = Shared::nothing(now);
        shared.logger = table.store(cut(self.logger.as_deref().unwrap_or(name).as_bytes()))?;
        shared.message_type = match (&self.message_type, &self.logger) {
            (None, None) => shared.logger,
            (given, _) => table.store(cut(given.as_deref().unwrap_or(name).as_bytes()))?,
        };
        shared.hostname = table.store(cut(hostname.unwrap_or(self.hostname.as_bytes())))?;
        shared.pid = self.pid;
        for (place, field) in shared.fields.iter_mut().zip(&self.fields) {
            let name = table.store(field.name.as_bytes())?;
            let value = match &field.value {
                StreamValue::Text(text) => Placed::Text(table.store(cut(text.as_bytes()))?),
                StreamValue::Integer(integer) => Placed::Integer(*integer),
            };
            *place = (name, value);
            shared.fields_len += 1;
        }
        Ok(shared)
    }
}

/// As much of a text as a batch has room for: it ends between two characters.
fn cut(text: &[u8]) -> &[u8] {
    match text.get(..=limits::STREAM_TEXT_BYTES_MAX) {
        None => text,
        Some(longer) => {
            let mut end = longer.len() - 1;
            while end > 0 && longer[end] & 0xc0 == 0x80 {
                end -= 1;
            }
            &text[..end]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codecs::field::Value;
    use codecs::message::TableLimits;

    fn table() -> MessageTable {
        MessageTable::new(TableLimits {
            received_bytes: 16,
            arena_bytes: 2 * limits::STREAM_TEXT_BYTES_MAX,
            messages: 4,
            fields: 16,
        })
    }

    #[test]
    fn messages_say_what_their_stream_says_from_one_copy() {
        let headers = StreamHeaders {
            message_type: Some("ProcessInput".into()),
            hostname: "here".into(),
            pid: Some(7),
            fields: vec![
                StreamField::text("ProcessInputName", "jobs.stdout"),
                StreamField::integer("ExitStatus", -1),
            ],
            ..StreamHeaders::default()
        };
        let mut table = table();
        let shared = headers.place(&mut table, "jobs", None, 5).expect("room");
        let placed = table.bytes().len();
        for _ in 0..2 {
            shared
                .fill(&mut table.begin().expect("room"))
                .expect("room");
        }
        assert_eq!(table.bytes().len(), placed);
        for message in table.iter() {
            assert_eq!(message.header(Header::Type), b"ProcessInput");
            assert_eq!(message.header(Header::Logger), b"jobs");
            assert_eq!(message.header(Header::Hostname), b"here");
            assert_eq!(message.pid_opt(), Some(7));
            let fields: Vec<_> = message
                .fields()
                .map(|field| (field.name(), field.first()))
                .collect();
            let expected = [
                (
                    &b"ProcessInputName"[..],
                    Some(Value::String(b"jobs.stdout")),
                ),
                (b"ExitStatus", Some(Value::Integer(-1))),
            ];
            assert_eq!(fields, expected);
        }
    }

    #[test]
    fn type_and_logger_are_the_inputs_name_and_long_texts_are_cut_between_characters() {
        let mut table = table();
        let long = format!("x{}", "\u{e9}".repeat(limits::STREAM_TEXT_BYTES_MAX));
        let headers = StreamHeaders::with_hostname(&long);
        let shared = headers
            .place(&mut table, "name", Some(long.as_bytes()), 0)
            .expect("room");
        shared
            .fill(&mut table.begin().expect("room"))
            .expect("room");
        let message = table.get(0);
        assert_eq!(message.header(Header::Type), b"name");
        assert_eq!(message.header(Header::Logger), b"name");
        let hostname = std::str::from_utf8(message.header(Header::Hostname)).expect("whole");
        assert_eq!(hostname.len(), limits::STREAM_TEXT_BYTES_MAX - 1);
        assert_eq!((message.pid_opt(), message.fields().len()), (None, 0));
    }
}
