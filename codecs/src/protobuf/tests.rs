//! Index and encoding against bytes written by hand.
//!
//! Owns:    the small cases; random ones against prost stand in the crate's property tests.
//! Runs on: tests.            Plane: data.
//! Bounds:  fixed input.
//! Never:   depends on timing.

use crate::error::Damage;
use crate::field::{Span, Value, ValueType};
use crate::message::{Header, IndexError, MessageTable, NewValue, TableLimits};
use crate::protobuf;

const LIMITS: TableLimits = TableLimits {
    received_bytes: 4096,
    arena_bytes: 4096,
    messages: 8,
    fields: 16,
};

fn table_with(encoded: &[u8]) -> (MessageTable, Result<(), IndexError>) {
    let mut table = MessageTable::new(LIMITS);
    table.received_mut()[7..7 + encoded.len()].copy_from_slice(encoded);
    let mut draft = table.begin().unwrap();
    let result = draft.index_protobuf(Span::new(7, 7 + encoded.len()));
    (table, result)
}

/// Required headers: an empty uuid and timestamp 5.
const REQUIRED: [u8; 4] = [0x0a, 0x00, 0x10, 0x05];

fn with_required(rest: &[u8]) -> Vec<u8> {
    [&REQUIRED, rest].concat()
}

/// One field by its body, behind the required headers.
fn with_field(body: &[u8]) -> Vec<u8> {
    with_required(&[&[0x52, body.len() as u8], body].concat())
}

fn damage(encoded: &[u8]) -> Damage {
    match table_with(encoded).1 {
        Err(IndexError::Damage(damage)) => damage,
        other => panic!("{other:?}"),
    }
}

#[test]
fn headers_are_spans_and_the_last_one_counts() {
    let encoded = with_required(&[
        0x1a, 1, b'a', 0x22, 1, b'l', 0x28, 6, 0x32, 2, b'h', b'i', 0x3a, 0, 0x40, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x4a, 1, b'h', 0x1a, 1, b'b',
    ]);
    let (table, result) = table_with(&encoded);
    result.unwrap();
    let message = table.get(0);
    assert_eq!(message.timestamp(), 5);
    assert_eq!(message.header(Header::Type), b"b");
    assert_eq!(message.header(Header::Logger), b"l");
    assert_eq!(message.severity(), 6);
    assert_eq!(message.payload(), b"hi");
    assert_eq!(message.header_opt(Header::EnvVersion), Some(&b""[..]));
    assert_eq!(message.pid(), -1);
    assert_eq!(message.header(Header::Hostname), b"h");
    assert_eq!(message.encoded(), Some(&encoded[..]));
}

#[test]
fn unknown_tags_of_every_wire_type_are_passed_over() {
    let encoded = with_required(&[
        0x58, 0xac, 0x02, // number 11, varint
        0x61, 1, 2, 3, 4, 5, 6, 7, 8, // number 12, eight bytes
        0x6a, 2, 0xff, 0xff, // number 13, length
        0x75, 1, 2, 3, 4, // number 14, four bytes
        0x82, 0x7d, 1, 0, // number 2000, length
        0x32, 1, b'p',
    ]);
    let (table, result) = table_with(&encoded);
    result.unwrap();
    assert_eq!(table.get(0).payload(), b"p");
}

#[test]
fn damaged_messages_say_what_is_wrong() {
    assert_eq!(damage(&[0x10, 5]), Damage::MissingRequired);
    assert_eq!(damage(&[0x0a, 0]), Damage::MissingRequired);
    assert_eq!(damage(&with_required(&[0x32, 9, b'x'])), Damage::Truncated);
    assert_eq!(damage(&with_required(&[0x28])), Damage::Varint);
    assert_eq!(damage(&with_required(&[0x28, 0x80])), Damage::Varint);
    assert_eq!(damage(&with_required(&[0x30, 1])), Damage::WireType);
    assert_eq!(damage(&with_required(&[0x5b])), Damage::WireType);
    assert_eq!(damage(&with_required(&[0x00])), Damage::FieldNumber);
    assert_eq!(
        damage(&with_required(&[0xff, 0xff, 0xff, 0xff, 0x7f])),
        Damage::FieldNumber
    );
    assert_eq!(
        damage(&with_field(&[0x22, 1, b'v'])),
        Damage::MissingRequired
    );
    assert_eq!(
        damage(&with_field(&[0x0a, 1, b'n', 0x10, 5])),
        Damage::ValueType
    );
    assert_eq!(
        damage(&with_field(&[0x0a, 1, b'n', 0x3a, 7, 1, 2, 3, 4, 5, 6, 7])),
        Damage::PackedLength
    );
    assert_eq!(
        damage(&with_field(&[0x0a, 1, b'n', 0x32, 2, 0x80, 0x80])),
        Damage::Varint
    );
    assert_eq!(
        damage(&with_field(&[0x0a, 1, b'n', 0x38, 1])),
        Damage::WireType
    );
    assert_eq!(damage(&with_field(&[0x0a, 9, b'n'])), Damage::Truncated);
}

#[test]
fn a_value_type_behind_the_values_counts() {
    let encoded = with_field(&[
        0x30, 1, 0x22, 1, b's', 0x32, 2, 2, 3, 0x10, 2, 0x0a, 1, b'n',
    ]);
    let (table, result) = table_with(&encoded);
    result.unwrap();
    let field = table.get(0).field(b"n", 0).unwrap();
    assert_eq!(field.value_type(), ValueType::Integer);
    let values: Vec<_> = field.values().collect();
    assert_eq!(
        values,
        [Value::Integer(1), Value::Integer(2), Value::Integer(3)]
    );
    assert_eq!(field.value(2), Some(Value::Integer(3)));
    assert_eq!(field.value(3), None);
}

#[test]
fn one_value_packed_and_unpacked_reads_the_same() {
    let double = 2.5f64.to_le_bytes();
    let shapes: [(&[u8], Value<'_>); 7] = [
        (
            &[0x0a, 1, b'n', 0x10, 2, 0x30, 0xac, 2],
            Value::Integer(300),
        ),
        (
            &[0x0a, 1, b'n', 0x10, 2, 0x32, 2, 0xac, 2],
            Value::Integer(300),
        ),
        (
            &[&[0x0a, 1, b'n', 0x10, 3, 0x39][..], &double].concat(),
            Value::Double(2.5),
        ),
        (
            &[&[0x0a, 1, b'n', 0x10, 3, 0x3a, 8][..], &double].concat(),
            Value::Double(2.5),
        ),
        (&[0x0a, 1, b'n', 0x10, 4, 0x40, 2], Value::Bool(true)),
        (&[0x0a, 1, b'n', 0x10, 4, 0x42, 1, 0], Value::Bool(false)),
        (
            &[0x0a, 1, b'n', 0x10, 1, 0x1a, 1, b'B', 0x2a, 1, 0xff],
            Value::Bytes(&[0xff]),
        ),
    ];
    for (body, value) in shapes {
        let (table, result) = table_with(&with_field(body));
        result.unwrap();
        let field = table.get(0).field(b"n", 0).unwrap();
        assert_eq!((field.len(), field.first()), (1, Some(value)));
    }
}

#[test]
fn no_room_for_fields_is_full_and_not_damage() {
    let field = [0x52, 3, 0x0a, 1, b'n'];
    let fits = with_required(&field.repeat(16));
    assert_eq!(table_with(&fits).1, Ok(()));
    let too_many = with_required(&field.repeat(17));
    assert_eq!(table_with(&too_many).1, Err(IndexError::Full));
}

#[test]
fn a_made_message_is_encoded_in_canonical_form() {
    let mut table = MessageTable::new(LIMITS);
    let mut draft = table.begin().unwrap();
    draft.set_timestamp(5);
    draft.set(Header::Uuid, "").unwrap();
    draft.set_pid(-1);
    draft.set(Header::Type, "T").unwrap();
    draft
        .add_field("s", NewValue::String("v".into()), None)
        .unwrap();
    draft
        .add_field("i", NewValue::Integer(300), Some("ms".into()))
        .unwrap();
    let bools = [Value::Bool(true), Value::Bool(false)];
    draft.add_array("b", ValueType::Bool, &bools, None).unwrap();
    draft.add_array("e", ValueType::Double, &[], None).unwrap();
    let mut out = Vec::new();
    protobuf::encode(table.get(0), &mut out);
    let expected = [
        &[0x0a, 0, 0x10, 5, 0x1a, 1, b'T', 0x40][..],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        &[0x52, 6, 0x0a, 1, b's', 0x22, 1, b'v'],
        &[
            0x52, 12, 0x0a, 1, b'i', 0x10, 2, 0x1a, 2, b'm', b's', 0x30, 0xac, 2,
        ],
        &[0x52, 9, 0x0a, 1, b'b', 0x10, 4, 0x42, 2, 1, 0],
        &[0x52, 5, 0x0a, 1, b'e', 0x10, 3],
    ]
    .concat();
    assert_eq!(out, expected);
    assert_eq!(protobuf::encoded_len(table.get(0)), expected.len());
}
