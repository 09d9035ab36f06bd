//! The host as its users see it: scripts, what they are given, what they may do, what stops them.
//!
//! Owns:    helpers that make sandboxes and messages.
//! Runs on: tests.            Plane: data.
//! Bounds:  each test makes its own sandboxes.
//! Never:   depends on how long something takes.

mod attacks;
mod calls;
mod environments;
pub mod hostile;
mod patterns;
mod preserved;
mod writes;

use std::sync::Arc;

use codecs::message::{Draft, Header, MessageTable, NewValue, TableLimits};
use sandbox::{
    Host, InjectError, Injected, Kind, Program, Returned, Sandbox, Settings, Subject, Terminated,
};

/// A host that keeps what is injected.
#[derive(Default)]
pub(crate) struct Keeper {
    pub(crate) messages: Vec<Vec<u8>>,
    pub(crate) payloads: Vec<(String, String, String)>,
    pub(crate) refuse: Option<InjectError>,
    pub(crate) explained: Vec<String>,
}

impl Host for Keeper {
    fn inject(
        &mut self,
        injected: Injected<'_>,
        _subject: &mut Subject<'_, '_>,
    ) -> Result<(), InjectError> {
        if let Some(error) = self.refuse {
            return Err(error);
        }
        match injected {
            Injected::Message(bytes) => self.messages.push(bytes.to_vec()),
            Injected::Payload {
                text,
                payload_type,
                name,
            } => {
                let own = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                self.payloads
                    .push((own(text), own(payload_type), own(name)));
            }
        }
        Ok(())
    }

    fn explain(&mut self, why: &str) {
        self.explained.push(why.to_owned());
    }

    fn now(&self) -> i64 {
        1_500_000_000_250_000_000
    }
}

/// A sandbox for a script, as it comes.
pub(crate) fn sandbox(kind: Kind, source: &str) -> Sandbox {
    start(Settings::new(kind, "test"), source).expect("the script loads")
}

/// A sandbox with settings.
pub(crate) fn start(settings: Settings, source: &str) -> Result<Sandbox, Terminated> {
    let program = Program::compile("test.lua", source.as_bytes()).expect("the script is Lua");
    Sandbox::new(&Arc::new(program), settings)
}

/// A table for a few messages.
pub(crate) fn table() -> MessageTable {
    MessageTable::new(TableLimits {
        received_bytes: 0,
        arena_bytes: 1 << 20,
        messages: 16,
        fields: 1024,
    })
}

/// A message with every header and fields of every type.
pub(crate) fn fill(draft: &mut Draft<'_>) {
    let uuid: Vec<u8> = (0..16).collect();
    draft.set(Header::Uuid, &uuid[..]).expect("room");
    draft.set(Header::Type, "TEST").expect("room");
    draft.set(Header::Logger, "logger").expect("room");
    draft.set(Header::Payload, "the payload").expect("room");
    draft.set(Header::EnvVersion, "0.8").expect("room");
    draft.set(Header::Hostname, "host").expect("room");
    draft.set_timestamp(1_234_567_890_123_456_789);
    draft.set_severity(6);
    draft.set_pid(42);
    let mut add = |name: &str, value: NewValue<'_>, representation: Option<&str>| {
        draft
            .add_field(name, value, representation.map(Into::into))
            .expect("room");
    };
    add("text", NewValue::String("value".into()), Some("rep"));
    add("bytes", NewValue::Bytes("\0\u{1}".into()), None);
    add("integer", NewValue::Integer(-7), None);
    add("double", NewValue::Double(2.5), None);
    add("bool", NewValue::Bool(true), None);
    add("text", NewValue::String("second".into()), None);
    add("empty", NewValue::Bytes("".into()), None);
    let values = [1_i64, 2, 3].map(codecs::field::Value::Integer);
    draft
        .add_array("list", codecs::field::ValueType::Integer, &values, None)
        .expect("room");
}

/// Calls `process_message` of a script with the full message; the status and the text.
pub(crate) fn process(
    sandbox: &mut Sandbox,
    host: &mut Keeper,
) -> Result<(i32, String), Terminated> {
    let mut table = table();
    fill(&mut table.begin().expect("room"));
    sandbox
        .process_message(Subject::Message(table.get(0)), host)
        .map(own)
}

pub(crate) fn own(returned: Returned<'_>) -> (i32, String) {
    let text = returned.text.unwrap_or_default();
    (returned.status, String::from_utf8_lossy(text).into_owned())
}

/// What the expression gives in a script of the kind, as Lua prints it.
pub(crate) fn eval(kind: Kind, expression: &str) -> String {
    let source = format!("function process_message() return 0, tostring({expression}) end");
    let mut sandbox = sandbox(kind, &source);
    match process(&mut sandbox, &mut Keeper::default()) {
        Ok((_, text)) => text,
        Err(ended) => ended.text,
    }
}
