//! Scripts: what a call costs, and what a script pays for the message.
//!
//! Owns:    the scripts.
//! Runs on: the calling thread.            Plane: data, by itself.
//! Bounds:  one sandbox a benchmark.
//! Never:   measures the making of a sandbox.

use std::sync::Arc;

use codecs::message::MessageTable;
use sandbox::{Host, InjectError, Injected, Kind, Program, Sandbox, Settings, Subject, Terminated};

use crate::measure::{Digest, Pass, Size};
use crate::messages;

const PAYLOAD_BYTES: usize = 150;

const EMPTY: &str = "function process_message() return 0 end";

const READING: &str = "
function process_message()
    local kind, host, ns = read_message('Type'), read_message('Hostname'), read_message('Timestamp')
    local status, seconds = read_message('Fields[status]'), read_message('Fields[seconds]')
    return status, host
end";

const COUNTING: &str = "
local counts = {}
function process_message()
    local status = read_message('Fields[status]')
    local count = (counts[status] or 0) + 1
    counts[status] = count
    return status
end";

const INJECTING: &str = "
local status, seconds = {name = 'status', value_type = 2}, {name = 'seconds', representation = 's'}
local message = {Uuid = '0123456789abcdef', Type = 'counted', Fields = {status, seconds}}
function process_message()
    message.Timestamp = read_message('Timestamp')
    message.Payload = read_message('Payload')
    status.value = read_message('Fields[status]')
    seconds.value = read_message('Fields[seconds]')
    inject_message(message)
    return 0
end";

pub(crate) fn empty(size: Size) -> Box<dyn FnMut() -> Pass> {
    pass(size, Kind::Filter, EMPTY)
}

pub(crate) fn reading(size: Size) -> Box<dyn FnMut() -> Pass> {
    pass(size, Kind::Filter, READING)
}

pub(crate) fn counting(size: Size) -> Box<dyn FnMut() -> Pass> {
    pass(size, Kind::Filter, COUNTING)
}

pub(crate) fn injecting(size: Size) -> Box<dyn FnMut() -> Pass> {
    pass(size, Kind::Filter, INJECTING)
}

/// A host that digests what is injected.
#[derive(Default)]
struct Digesting {
    digest: Digest,
    bytes: u64,
}

impl Host for Digesting {
    fn inject(
        &mut self,
        injected: Injected<'_>,
        _subject: &mut Subject<'_, '_>,
    ) -> Result<(), InjectError> {
        let (Injected::Message(bytes) | Injected::Payload { text: bytes, .. }) = injected;
        self.digest.add_bytes(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

fn pass(size: Size, kind: Kind, source: &str) -> Box<dyn FnMut() -> Pass> {
    let tables: Vec<MessageTable> = (0..size.items())
        .map(|index| {
            let mut table = messages::scratch_table();
            let mut draft = table.begin().expect("an empty table");
            messages::fill(&mut draft, index, PAYLOAD_BYTES);
            table
        })
        .collect();
    let mut sandbox = sandbox(kind, source).expect("the script loads");
    Box::new(move || {
        let mut host = Digesting::default();
        for table in &tables {
            let returned = sandbox
                .process_message(Subject::Message(table.get(0)), &mut host)
                .expect("the script runs");
            host.digest.add(1 + returned.status as u64);
            host.digest.add_bytes(returned.text.unwrap_or_default());
            host.bytes += 1;
        }
        Pass {
            items: tables.len() as u64,
            bytes: host.bytes,
            digest: host.digest.value(),
        }
    })
}

fn sandbox(kind: Kind, source: &str) -> Result<Sandbox, Terminated> {
    let program = Program::compile("bench.lua", source.as_bytes()).expect("the script is Lua");
    Sandbox::new(&Arc::new(program), Settings::new(kind, "bench"))
}
