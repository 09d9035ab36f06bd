//! The span codec against prost.
//!
//! Owns:    properties of reading and writing messages.
//! Runs on: tests.            Plane: data.
//! Bounds:  256 cases a property.
//! Never:   depends on timing.

use codecs::message::{MessageTable, TableLimits};
use codecs::proto::Message;
use codecs::protobuf;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;

use crate::checks::{self, normal, with_indexed};
use crate::generators::{integer, message};

proptest! {
    #[test]
    fn what_prost_writes_is_read(message in message()) {
        let encoded = message.encode_to_vec();
        checks::protobuf(&encoded);
        with_indexed(&encoded, 0, 0, |indexed| {
            assert_eq!(normal(Message::from(indexed.unwrap())), normal(message));
        });
    }

    #[test]
    fn what_we_write_prost_reads(message in message()) {
        let mut table = MessageTable::new(TableLimits {
            received_bytes: 0,
            arena_bytes: 1 << 16,
            messages: 1,
            fields: 8,
        });
        let mut draft = table.begin().unwrap();
        message.fill(&mut draft).unwrap();
        let mut encoded = Vec::new();
        protobuf::encode(table.get(0), &mut encoded);
        prop_assert_eq!(encoded.len(), protobuf::encoded_len(table.get(0)));
        prop_assert_eq!(normal(Message::decode(&*encoded).unwrap()), normal(message));
    }

    #[test]
    fn damage_is_found_or_read_as_prost_reads_it(
        message in message(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut encoded = message.encode_to_vec();
        for (at, byte) in changes {
            let at = at.index(encoded.len());
            encoded[at] = byte;
        }
        checks::protobuf(&encoded);
        checks::protobuf(&encoded[..cut.index(encoded.len())]);
    }

    #[test]
    fn fields_in_any_shape_are_read(parts in vec(field_part(), 0..7)) {
        let body = [vec![0x0a, 1, b'n'], parts.concat()].concat();
        checks::protobuf(&with_field(&body));
        let body = [parts.concat(), vec![0x0a, 1, b'n']].concat();
        checks::protobuf(&with_field(&body));
    }

    #[test]
    fn any_bytes_are_a_message_or_damage(encoded in vec(any::<u8>(), 0..64)) {
        checks::protobuf(&encoded);
        checks::protobuf(&[&[0x0a, 0, 0x10, 0], &*encoded].concat());
        checks::protobuf(&with_field(&encoded));
    }
}

/// A message with one field of these bytes, and another one behind it.
fn with_field(body: &[u8]) -> Vec<u8> {
    let mut encoded = vec![0x0a, 0, 0x10, 0, 0x52];
    prost::encode_length_delimiter(body.len(), &mut encoded).unwrap();
    encoded.extend_from_slice(body);
    encoded.extend_from_slice(&[0x52, 6, 0x0a, 1, b'm', 0x22, 1, b'v']);
    encoded
}

fn varint(number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_varint(number, &mut bytes);
    bytes
}

/// Something that may stand in a field: values packed or not, types, keys written too long, unknown tags, damage.
fn field_part() -> impl Strategy<Value = Vec<u8>> {
    let delimited =
        |key: u8, content: Vec<u8>| [vec![key], varint(content.len() as u64), content].concat();
    let number = || integer().prop_map(|number| varint(number as u64));
    let packed = vec(integer(), 0..4);
    prop_oneof![
        3 => (0..5u64).prop_map(|kind| [vec![0x10], varint(kind)].concat()),
        1 => integer().prop_map(|kind| [vec![0x10], varint(kind as u64)].concat()),
        1 => "[a-z]{0,3}".prop_map(move |text| delimited(0x1a, text.into_bytes())),
        1 => "[a-z]{0,3}".prop_map(move |text| delimited(0x22, text.into_bytes())),
        1 => vec(any::<u8>(), 0..4).prop_map(move |bytes| delimited(0x2a, bytes)),
        1 => number().prop_map(|bytes| [vec![0x30], bytes].concat()),
        1 => packed.prop_map(move |numbers| {
            let content = numbers.into_iter().flat_map(|number| varint(number as u64));
            delimited(0x32, content.collect())
        }),
        1 => any::<f64>().prop_map(|double| [vec![0x39], double.to_le_bytes().into()].concat()),
        1 => vec(any::<u8>(), 0..20).prop_map(move |bytes| delimited(0x3a, bytes)),
        1 => number().prop_map(|bytes| [vec![0x40], bytes].concat()),
        1 => vec(0..3u8, 0..4).prop_map(move |bytes| delimited(0x42, bytes)),
        1 => Just(vec![0xa2, 0x00, 1, b'l']),
        1 => Just(vec![0x48, 1]),
        1 => vec(any::<u8>(), 1..4),
    ]
}
