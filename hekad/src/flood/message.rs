//! The messages that a flood sends, encoded once for each body and width of sequence number.
//!
//! Owns:    their headers, payloads and fields; where in the encoded bytes the parts stand that change.
//! Runs on: every sending thread, once a body.            Plane: control.
//! Bounds:  `VARIANTS` + 1 bodies of at most the settings' sizes.
//! Never:   reads a clock a message; the sender patches time, uuid and sequence.

use std::time::{SystemTime, UNIX_EPOCH};

use codecs::message::{Header, MessageTable, NewValue, TableLimits};
use codecs::protobuf;

use crate::failure::Failure;
use crate::flood::mix::{VARIANTS, scramble};
use crate::flood::settings::Settings;

/// Body number of the oversized message; lower numbers are variants.
pub(crate) const OVERSIZED: u8 = VARIANTS as u8;

/// Where the uuid stands in an encoded message: first of all, behind key and length.
pub(crate) const UUID_AT: usize = 2;

/// Bytes of a uuid.
pub(crate) const UUID_BYTES: usize = 16;

/// Where the time stands: behind the uuid and a key.
pub(crate) const TIMESTAMP_AT: usize = UUID_AT + UUID_BYTES + 1;

/// Bytes of the varint of every time between 1972 and 2262, nanoseconds.
pub(crate) const TIMESTAMP_BYTES: usize = 9;

/// Room for headers and fields beside the payload, bytes.
const OTHERS_BYTES: usize = 4096;

/// Nanoseconds since the Unix epoch.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Bytes of a varint.
pub(crate) fn varint_len(number: u64) -> usize {
    (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
}

/// Writes a number as a varint that fills `bytes` exactly; the number must have that width.
#[inline]
pub(crate) fn patch_varint(bytes: &mut [u8], mut number: u64) {
    let last = bytes.len() - 1;
    for byte in &mut bytes[..last] {
        *byte = number as u8 | 0x80;
        number >>= 7;
    }
    debug_assert!(number < 0x80);
    bytes[last] = number as u8;
}

/// Encodes one body. With a `seq_width` its last bytes are the varint of a sequence number of that width.
pub(crate) fn encode(settings: &Settings, body: u8, seq_width: usize) -> Result<Vec<u8>, Failure> {
    let too_large = |_| Failure::usage("a message does not fit its table: lower --size");
    let mut random = fastrand::Rng::with_seed(scramble(settings.seed) ^ u64::from(body));
    let bytes = match body {
        OVERSIZED => settings.message_bytes_max,
        _ if settings.variable => random.usize(0..=2 * settings.payload_bytes),
        _ => settings.payload_bytes,
    };
    let payload: Vec<u8> = if settings.ascii_only {
        (0..bytes).map(|_| random.u8(b' '..=b'~')).collect()
    } else {
        (0..bytes).map(|_| random.u8(..)).collect()
    };
    let mut table = MessageTable::new(TableLimits {
        received_bytes: 0,
        arena_bytes: bytes + OTHERS_BYTES,
        messages: 1,
        fields: 16,
    });
    let mut draft = table.begin().map_err(too_large)?;
    let mut fill = || {
        draft.set(Header::Uuid, &[0u8; UUID_BYTES][..])?;
        draft.set_timestamp(now());
        draft.set(Header::Type, "hekabench")?;
        draft.set_severity(6);
        draft.set_pid(i32::try_from(std::process::id()).unwrap_or(0));
        draft.set(Header::Payload, &payload[..])?;
        draft.set(
            Header::EnvVersion,
            if settings.variable { "0.2" } else { "0.8" },
        )?;
        if settings.variable {
            draft.set(Header::Logger, "flood")?;
            let fields: [(&str, NewValue<'_>); 4] = [
                ("status", NewValue::Integer(random.i64(100..600))),
                ("path", NewValue::String("/search?q=heka".into())),
                ("seconds", NewValue::Double(random.f64())),
                ("cached", NewValue::Bool(random.bool())),
            ];
            for (name, value) in fields.into_iter().take(random.usize(0..=4)) {
                draft.add_field(name, value, None)?;
            }
        }
        if seq_width > 0 {
            let smallest = if seq_width == 1 {
                0
            } else {
                1i64 << (7 * (seq_width - 1))
            };
            draft.add_field("seq", NewValue::Integer(smallest), Some("count".into()))?;
        }
        Ok(())
    };
    fill().map_err(too_large)?;
    let mut encoded = Vec::new();
    protobuf::encode(table.get(0), &mut encoded);
    Ok(encoded)
}

#[cfg(test)]
mod tests {
    use codecs::field::{Span, Value};

    use super::*;
    use crate::flood::settings::tests::plain;

    /// Indexes `encoded` and hands it to `check`.
    fn with_message(encoded: &[u8], check: impl FnOnce(codecs::message::MessageRef<'_>)) {
        let mut table = MessageTable::new(TableLimits {
            received_bytes: encoded.len(),
            arena_bytes: 0,
            messages: 1,
            fields: 16,
        });
        table.received_mut().copy_from_slice(encoded);
        table
            .begin()
            .unwrap()
            .index_protobuf(Span::new(0, encoded.len()))
            .unwrap();
        check(table.get(0));
    }

    #[test]
    fn what_is_patched_is_what_a_reader_sees() {
        for variable in [false, true] {
            let settings = Settings {
                variable,
                ..plain("x:1")
            };
            for body in [0, 1, 63, OVERSIZED] {
                for seq in [0u64, 127, 128, 16_383, 16_384, 1 << 40] {
                    let width = varint_len(seq);
                    let mut encoded = encode(&settings, body, width).unwrap();
                    encoded[UUID_AT..][..UUID_BYTES].fill(7);
                    patch_varint(
                        &mut encoded[TIMESTAMP_AT..][..TIMESTAMP_BYTES],
                        1_700_000_000_000_000_000,
                    );
                    let end = encoded.len();
                    patch_varint(&mut encoded[end - width..], seq);
                    with_message(&encoded, |message| {
                        assert_eq!(message.uuid(), [7; UUID_BYTES]);
                        assert_eq!(message.timestamp(), 1_700_000_000_000_000_000);
                        assert_eq!(message.header(Header::Type), b"hekabench");
                        assert_eq!(message.severity(), 6);
                        let field = message.field(b"seq", 0).unwrap();
                        assert_eq!(field.first(), Some(Value::Integer(seq as i64)));
                    });
                }
            }
        }
    }

    #[test]
    fn sizes_are_those_asked_for() {
        let settings = Settings {
            payload_bytes: 100,
            ascii_only: true,
            ..plain("x:1")
        };
        with_message(&encode(&settings, 0, 1).unwrap(), |message| {
            assert_eq!(message.payload().len(), 100);
            assert!(
                message
                    .payload()
                    .iter()
                    .all(|byte| (b' '..=b'~').contains(byte))
            );
        });
        assert!(encode(&settings, OVERSIZED, 1).unwrap().len() > settings.message_bytes_max);
        let variable = Settings {
            variable: true,
            ..settings
        };
        let lengths: Vec<usize> = (0..OVERSIZED)
            .map(|body| encode(&variable, body, 1).unwrap().len())
            .collect();
        assert!(lengths.iter().min() != lengths.iter().max());
    }
}
