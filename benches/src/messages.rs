//! The input of benchmarks: messages and lines as a web server gives them, the same in every run.
//!
//! Owns:    what they contain.
//! Runs on: the calling thread, before anything is timed.            Plane: control.
//! Bounds:  as many as asked for.
//! Never:   depends on time or chance.

use codecs::message::{Draft, Header, MessageTable, NewValue, TableLimits};
use codecs::signing::Signer;
use codecs::{framing, protobuf};

/// 2023-11-14 22:13:20 UTC, nanoseconds.
pub(crate) const NOW: i64 = 1_700_000_000_000_000_000;

const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// A table for messages that are made, one at a time.
pub(crate) fn scratch_table() -> MessageTable {
    MessageTable::new(TableLimits {
        received_bytes: 0,
        arena_bytes: 8 * 1024,
        messages: 1,
        fields: 8,
    })
}

/// Fills in message number `index`. Which values it has follows from the number alone.
pub(crate) fn fill(draft: &mut Draft<'_>, index: usize, payload_bytes: usize) {
    let mut random = fastrand::Rng::with_seed(index as u64);
    let mut payload: String = (0..payload_bytes).map(|_| random.alphanumeric()).collect();
    if index.is_multiple_of(50) && payload_bytes >= 7 {
        payload.replace_range(payload_bytes - 7.., "timeout");
    }
    let mut set = || {
        draft.set(Header::Uuid, &random.u128(..).to_le_bytes()[..])?;
        draft.set_timestamp(NOW + index as i64);
        draft.set(Header::Type, format!("t{}", index % 100).as_str())?;
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
        draft.add_field(
            "seconds",
            NewValue::Double((index % 100) as f64 / 100.0),
            Some("s".into()),
        )
    };
    set().expect("the scratch table holds one message");
}

/// Encoded messages whose payload makes them about `bytes` long.
pub(crate) fn encoded(count: usize, bytes: usize) -> Vec<Vec<u8>> {
    let mut table = scratch_table();
    let mut out = Vec::new();
    let mut made = |index: usize, payload_bytes: usize| {
        table.clear();
        fill(
            &mut table.begin().expect("an empty table"),
            index,
            payload_bytes,
        );
        out.clear();
        protobuf::encode(table.get(0), &mut out);
        out.clone()
    };
    let around = made(0, 0).len();
    (0..count)
        .map(|index| made(index, bytes.saturating_sub(around)))
        .collect()
}

/// The same in frames, one after another.
pub(crate) fn frames(count: usize, bytes: usize, signer: Option<&Signer>) -> Vec<u8> {
    let mut out = Vec::new();
    for message in encoded(count, bytes) {
        framing::write_frame(&message, signer, MESSAGE_BYTES_MAX, &mut out)
            .expect("a small message");
    }
    out
}

/// Lines of exactly `bytes` with their newline.
pub(crate) fn lines(count: usize, bytes: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for index in 0..count {
        let mut line = access_line(index);
        line.truncate(bytes - 1);
        line.extend(std::iter::repeat_n(b'x', bytes - 1 - line.len()));
        out.extend_from_slice(&line);
        out.push(b'\n');
    }
    out
}

/// A line of an access log.
pub(crate) fn access_line(index: usize) -> Vec<u8> {
    format!(
        "10.1.{}.{} - - {} \"GET /items/{index}?page={} HTTP/1.1\" {} {} \"-\" \"curl/8.5.0\"",
        index % 256,
        index % 199,
        access_time(index),
        index % 7,
        [200, 200, 304, 404, 500][index % 5],
        index * 37 % 90_000,
    )
    .into_bytes()
}

/// Its time.
pub(crate) fn access_time(index: usize) -> String {
    format!(
        "[{:02}/Nov/2023:{:02}:{:02}:{:02} +0100]",
        1 + index % 28,
        index % 24,
        index % 60,
        index * 7 % 60
    )
}
