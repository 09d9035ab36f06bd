//! The Lua modules of filters and encoders: each by a script that says what the module does.
//!
//! Owns:    the message that the scripts beside this file are given.
//! Runs on: tests.            Plane: control.
//! Bounds:  each script makes one sandbox.
//! Never:   looks into a module: scripts assert what they find.

use std::path::Path;
use std::sync::Arc;

use codecs::field::{Value, ValueType};
use codecs::message::{Draft, Header, MessageTable, NewValue, TableLimits};
use sandbox::{Host, InjectError, Injected, Kind, Program, Sandbox, Settings, Subject};

/// A host that keeps the payloads.
#[derive(Default)]
struct Keeper {
    payloads: Vec<(String, String)>,
}

impl Host for Keeper {
    fn inject(
        &mut self,
        injected: Injected<'_>,
        _subject: &mut Subject<'_, '_>,
    ) -> Result<(), InjectError> {
        if let Injected::Payload {
            text, payload_type, ..
        } = injected
        {
            let own = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            self.payloads.push((own(payload_type), own(text)));
        }
        Ok(())
    }

    fn now(&self) -> i64 {
        1_500_000_000_000_000_000
    }
}

/// The message.
fn fill(draft: &mut Draft<'_>) {
    let uuid = [
        0x8e, 0x41, 0x4f, 0x01, 0x9d, 0x7f, 0x4a, 0x48, 0xa5, 0xe1, 0xae, 0x92, 0xe5, 0x95, 0x4d,
        0xf5,
    ];
    draft.set(Header::Uuid, &uuid[..]).expect("room");
    draft.set(Header::Type, "TEST").expect("room");
    draft.set(Header::Logger, "GoSpec").expect("room");
    draft.set(Header::Payload, "Test Payload").expect("room");
    draft.set(Header::EnvVersion, "0.8").expect("room");
    draft.set(Header::Hostname, "host name").expect("room");
    draft.set_timestamp(1_434_932_023_500_000_000);
    draft.set_severity(6);
    draft.set_pid(1234);
    let mut add = |name: &str, value: NewValue<'_>| {
        draft.add_field(name, value, None).expect("room");
    };
    add("foo", NewValue::String("bar".into()));
    add("int", NewValue::Integer(999));
    add("double", NewValue::Double(99.9));
    add("bool", NewValue::Bool(true));
    add("false", NewValue::Bool(false));
    let values = [1_i64, 2, 3].map(Value::Integer);
    draft
        .add_array("list", ValueType::Integer, &values, None)
        .expect("room");
    let mut add = |name: &str, value: NewValue<'_>| {
        draft.add_field(name, value, None).expect("room");
    };
    add("list", NewValue::String("x".into()));
    add("large", NewValue::Double(1_434_932_023_123.0));
}

/// Runs the script of a module; the payloads that it injected, by type.
fn check(module: &str) -> Vec<(String, String)> {
    let file = format!("{module}.lua");
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/filter_modules")
        .join(&file);
    let source = std::fs::read(path).expect("the script is there");
    let program = Program::compile(&file, &source).expect("it is Lua");
    let mut sandbox = Sandbox::new(&Arc::new(program), Settings::new(Kind::Filter, module))
        .unwrap_or_else(|ended| panic!("{}", ended.text));
    let mut table = MessageTable::new(TableLimits {
        received_bytes: 0,
        arena_bytes: 1 << 16,
        messages: 1,
        fields: 64,
    });
    fill(&mut table.begin().expect("room"));
    let mut keeper = Keeper::default();
    match sandbox.process_message(Subject::Message(table.get(0)), &mut keeper) {
        Ok(returned) => assert_eq!(returned.status, 0),
        Err(ended) => panic!("{}", ended.text),
    }
    keeper.payloads
}

#[test]
fn alert() {
    let long = "m".repeat(8000);
    let many = format!("{long}\n{long}\n{long}\n{long}\n6 more not shown");
    let sent = ["first\nsecond", "third", "fourth", many.as_str()];
    let expected: Vec<(String, String)> = sent
        .iter()
        .map(|text| ("alert".to_owned(), (*text).to_owned()))
        .collect();
    assert_eq!(check("alert"), expected);
}

#[test]
fn annotation() {
    check("annotation");
}

#[test]
fn anomaly() {
    check("anomaly");
}

#[test]
fn elasticsearch() {
    check("elasticsearch");
}

#[test]
fn field_util() {
    check("field_util");
}

#[test]
fn graphite() {
    check("graphite");
}

#[test]
fn msg_interpolate() {
    check("msg_interpolate");
}

#[test]
fn ts_line_protocol() {
    check("ts_line_protocol");
}
