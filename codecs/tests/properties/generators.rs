//! Random messages.
//!
//! Owns:    proptest strategies for the generated protobuf types.
//! Runs on: tests.            Plane: data.
//! Bounds:  messages of a few hundred bytes.
//! Never:   makes a message that the protobuf library cannot encode.

use codecs::proto::{Field, Message};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Integers of every encoded length.
pub(crate) fn integer() -> impl Strategy<Value = i64> {
    prop_oneof![
        0..200i64,
        any::<i64>(),
        (0..64u32).prop_map(|shift| i64::MIN >> shift)
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-z_.é]{0,12}", 1 => "[ -~]{120,140}"]
}

fn names() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-c]{0,2}", 1 => text()]
}

/// A field with any number of values of its type; sometimes with the type spelled out where it need not be.
pub(crate) fn field() -> impl Strategy<Value = Field> {
    let values = prop_oneof![
        vec(text(), 0..4).prop_map(|values| Field {
            value_string: values,
            ..Field::default()
        }),
        vec(text(), 0..4).prop_map(|values| Field {
            value_type: Some(0),
            value_string: values,
            ..Field::default()
        }),
        vec(vec(any::<u8>(), 0..9), 0..4).prop_map(|values| Field {
            value_type: Some(1),
            value_bytes: values,
            ..Field::default()
        }),
        vec(integer(), 0..4).prop_map(|values| Field {
            value_type: Some(2),
            value_integer: values,
            ..Field::default()
        }),
        vec(any::<f64>(), 0..4).prop_map(|values| Field {
            value_type: Some(3),
            value_double: values,
            ..Field::default()
        }),
        vec(any::<bool>(), 0..4).prop_map(|values| Field {
            value_type: Some(4),
            value_bool: values,
            ..Field::default()
        }),
    ];
    (names(), option::of(text()), values).prop_map(|(name, representation, values)| Field {
        name,
        representation,
        ..values
    })
}

/// A message with any of its headers missing but the required ones.
pub(crate) fn message() -> impl Strategy<Value = Message> {
    let texts = (option::of(text()), option::of(text()), option::of(text()));
    let more_texts = (option::of(text()), option::of(text()));
    let numbers = (
        integer(),
        option::of(any::<i32>()),
        option::of(any::<i32>()),
    );
    (
        vec(any::<u8>(), 0..17),
        texts,
        more_texts,
        numbers,
        vec(field(), 0..6),
    )
        .prop_map(
            |(uuid, (kind, logger, payload), (env_version, hostname), numbers, fields)| Message {
                uuid,
                timestamp: numbers.0,
                r#type: kind,
                logger,
                severity: numbers.1,
                payload,
                env_version,
                pid: numbers.2,
                hostname,
                fields,
            },
        )
}
