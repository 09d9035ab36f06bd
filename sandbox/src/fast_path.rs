//! Access logs without their script: what the shipped decoders make of the usual formats, made by Rust.
//!
//! Owns:    `FastPath`: the choice of a format, what the script has taught, and the message of a line.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  `SHAPES_MAX` orders of fields; `AGENTS_MAX` user agents of `AGENT_BYTES_MAX` at most; lines of `LINE_BYTES_MAX`.
//! Never:   refuses a line: what it does not take goes to the script. Decides in which order fields stand, or what the parts of a user agent
//!          are: it repeats what the script has made of an earlier line.

mod format;
mod line;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use codecs::protobuf::key;
use codecs::wire::{Reader, delimited_len, write_delimited, write_varint};

use crate::call::{Host, InjectError, Injected, Subject};
use crate::config::{ConfigValue, Kind, Settings};
use crate::encode::random_uuid;
use crate::program::Program;
use format::{FIELDS_MAX, Format};
use line::{Clock, Value, Values};

/// Orders of fields: each set of them that occurs has its own.
const SHAPES_MAX: usize = 16;

/// User agents that are remembered; when there are more, all are forgotten.
const AGENTS_MAX: usize = 512;

/// Bytes of one.
const AGENT_BYTES_MAX: usize = 512;

/// Bytes of a line; longer ones are rare enough for the script.
const LINE_BYTES_MAX: usize = 8192;

/// Bytes of a message beside its line: names, representations, keys and lengths of all fields.
const OVERHEAD_BYTES: usize = 4096;

/// Fields that a message may have: those of the format, and the parts of a user agent.
const ALL_FIELDS: usize = FIELDS_MAX + PARTS.len();

/// The fields of a user agent's parts.
const PARTS: [&str; 3] = ["user_agent_browser", "user_agent_version", "user_agent_os"];

/// Bits of the fields that a message has.
type Shape = u32;

/// A user agent's parts: their values as encoded, empty where one is not there.
type Agent = [Box<[u8]>; PARTS.len()];

/// A native twin of `process_message`.
#[derive(Debug)]
pub(crate) struct FastPath {
    format: Format,
    /// The user agent, where its parts are wanted.
    agent_field: Option<usize>,
    keep: bool,
    conditional: bool,
    payload_keep: bool,
    message_type: Option<Vec<u8>>,
    /// Names of all fields, encoded.
    names: Vec<Vec<u8>>,
    /// Fields in the order of the script's messages.
    orders: Vec<(Shape, Vec<u8>)>,
    agents: HashMap<Box<[u8]>, Agent>,
    /// Whether the script has made a message. Its first table is made smaller than the others, which may change the order.
    has_begun: bool,
    clock: Clock,
    output_bytes: usize,
}

/// What became of a line.
pub(crate) enum Outcome {
    /// Its message stands in the buffer.
    Made,
    /// The script has to make it, and is to be listened to.
    Learn,
    /// The script has to make it.
    Script,
}

impl FastPath {
    /// The twin of a script, if it has one for what it is asked to do.
    pub(crate) fn new(program: &Program, settings: &Settings) -> Option<FastPath> {
        let config = |name: &str| {
            let found = settings.config.iter().rfind(|(key, _)| key == name);
            found.map(|(_, value)| value)
        };
        let is_set = |name| !matches!(config(name), None | Some(ConfigValue::Boolean(false)));
        let read = match program.shipped()? {
            "lua_decoders/nginx_access.lua" => Format::nginx,
            "lua_decoders/apache_access.lua" => Format::apache,
            _ => return None,
        };
        let limits = &settings.limits;
        if settings.kind != Kind::Decoder
            || !settings.fast_path
            || settings.preserve.is_some()
            || limits.counts_instructions
        {
            return None;
        }
        let Some(ConfigValue::Text(log_format)) = config("log_format") else {
            return None;
        };
        let format = read(log_format)?;
        let message_type = match config("type") {
            None => None,
            Some(ConfigValue::Text(text)) => Some(text.clone().into_bytes()),
            Some(_) => return None,
        };
        let mut agent_field = format
            .names
            .iter()
            .position(|name| name == "http_user_agent");
        if !is_set("user_agent_transform") {
            agent_field = None;
        }
        let names = format.names.iter().map(String::as_str).chain(PARTS);
        let names = names.map(|name| {
            let mut bytes = Vec::new();
            write_delimited(key::NAME, name.as_bytes(), &mut bytes);
            bytes
        });
        Some(FastPath {
            names: names.collect(),
            format,
            agent_field,
            keep: is_set("user_agent_keep"),
            conditional: is_set("user_agent_conditional"),
            payload_keep: is_set("payload_keep"),
            message_type,
            orders: Vec::new(),
            agents: HashMap::new(),
            has_begun: false,
            clock: Clock::default(),
            output_bytes: match limits.output_bytes {
                0 => usize::MAX,
                bytes => bytes as usize,
            },
        })
    }

    /// Makes the message of a line.
    pub(crate) fn make(&mut self, line: &[u8], out: &mut Vec<u8>) -> Outcome {
        if line.len() > LINE_BYTES_MAX || 2 * line.len() + OVERHEAD_BYTES > self.output_bytes {
            return Outcome::Script;
        }
        let mut values = Values::default();
        let Some(()) = line::cut(line, &self.format.parts, &mut self.clock, &mut values) else {
            return Outcome::Script;
        };
        let agent = match self.agent_field.map(|field| &values.fields[field]) {
            Some(Value::Text(text)) if text.len() > AGENT_BYTES_MAX => return Outcome::Script,
            Some(Value::Text(text)) => match self.agents.get(&line[text.clone()]) {
                Some(agent) => Some(agent),
                None => return Outcome::Learn,
            },
            _ => None,
        };
        if let (Some(agent), Some(field)) = (agent, self.agent_field)
            && !self.keep
            && !(agent[0].is_empty() && self.conditional)
        {
            values.fields[field] = Value::None;
        }
        let shape = self.shape(&values, agent);
        let Some((_, order)) = self.orders.iter().find(|(known, _)| *known == shape) else {
            return match self.orders.len() < SHAPES_MAX {
                true => Outcome::Learn,
                false => Outcome::Script,
            };
        };
        self.write(line, &values, agent, order, out);
        Outcome::Made
    }

    fn shape(&self, values: &Values, agent: Option<&Agent>) -> Shape {
        let count = self.format.names.len();
        let fields = values.fields[..count]
            .iter()
            .map(|value| *value != Value::None);
        let parts = agent.into_iter().flatten().map(|part| !part.is_empty());
        let all = fields.chain(parts).enumerate();
        all.fold(0, |shape, (at, is_there)| {
            shape | Shape::from(is_there) << at
        })
    }

    /// Encodes a message as `inject_message` does.
    fn write(
        &self,
        line: &[u8],
        values: &Values,
        agent: Option<&Agent>,
        order: &[u8],
        out: &mut Vec<u8>,
    ) {
        out.clear();
        write_delimited(key::UUID, &random_uuid(), out);
        out.push(key::TIMESTAMP);
        write_varint(values.time as u64, out);
        if let Some(message_type) = &self.message_type {
            write_delimited(key::TYPE, message_type, out);
        }
        if self.payload_keep {
            write_delimited(key::PAYLOAD, line, out);
        }
        for &field in order {
            let field = usize::from(field);
            let name = &self.names[field];
            match (
                values.fields.get(field),
                field.checked_sub(self.format.names.len()),
                agent,
            ) {
                (_, Some(part), Some(agent)) => {
                    begin(name.len() + agent[part].len(), name, out);
                    out.extend_from_slice(&agent[part]);
                }
                (Some(value), None, _) => write_field(name, value, line, out),
                _ => {}
            }
        }
    }

    /// Learns from what the script has made of a line.
    fn learn(&mut self, line: &[u8], message: &[u8]) {
        if !std::mem::replace(&mut self.has_begun, true) {
            return;
        }
        let Some((order, agent)) = self.read(message) else {
            return;
        };
        let shape = order.iter().fold(0, |shape, &field| shape | 1 << field);
        if self.orders.len() < SHAPES_MAX && self.orders.iter().all(|(known, _)| *known != shape) {
            self.orders.push((shape, order));
        }
        let mut values = Values::default();
        let cut = line::cut(line, &self.format.parts, &mut self.clock, &mut values);
        let agent_value = self.agent_field.map(|field| &values.fields[field]);
        if let (Some(()), Some(Value::Text(text))) = (cut, agent_value)
            && text.len() <= AGENT_BYTES_MAX
        {
            if self.agents.len() == AGENTS_MAX {
                self.agents.clear();
            }
            self.agents.insert(line[text.clone()].into(), agent);
        }
    }

    /// The fields of a message in their order, and the parts of a user agent. `None` where there is anything else.
    fn read(&self, message: &[u8]) -> Option<(Vec<u8>, Agent)> {
        let mut order = Vec::new();
        let mut agent = Agent::default();
        let mut reader = Reader::new(message, 0);
        while !reader.is_done() {
            let Some(span) = reader.take_delimited(key::FIELDS).ok()? else {
                let (_, wire_type) = reader.key().ok()?;
                reader.skip(wire_type).ok()?;
                continue;
            };
            let field = &message[span.start as usize..span.end()];
            let known = self.names.iter().position(|name| field.starts_with(name))?;
            if known >= ALL_FIELDS || order.contains(&(known as u8)) {
                return None;
            }
            order.push(known as u8);
            if let Some(part) = known.checked_sub(self.format.names.len()) {
                agent[part] = field[self.names[known].len()..].into();
            }
        }
        Some((order, agent))
    }
}

/// Key and length of a field, and its name.
fn begin(len: usize, name: &[u8], out: &mut Vec<u8>) {
    out.push(key::FIELDS);
    write_varint(len as u64, out);
    out.extend_from_slice(name);
}

fn write_field(name: &[u8], value: &Value, line: &[u8], out: &mut Vec<u8>) {
    /// Key and number of the type, key of the value, and the value.
    const DOUBLE_BYTES: usize = 2 + 1 + 8;
    /// Key, length and text of the representation.
    const UNIT: [u8; 3] = [key::REPRESENTATION, 1, b'B'];
    let double = |number: f64, unit: &[u8], out: &mut Vec<u8>| {
        begin(name.len() + unit.len() + DOUBLE_BYTES, name, out);
        out.extend_from_slice(&[key::VALUE_TYPE, 3]);
        out.extend_from_slice(unit);
        out.push(key::DOUBLE);
        out.extend_from_slice(&number.to_le_bytes());
    };
    match value {
        Value::None => {}
        Value::Number(number) => double(*number, &[], out),
        Value::Bytes(number) => double(*number, &UNIT, out),
        Value::Text(text) => {
            begin(name.len() + delimited_len(text.len()), name, out);
            write_delimited(key::STRING, &line[text.clone()], out);
        }
        Value::Host(text, kind) => {
            let len = name.len() + delimited_len(kind.len()) + delimited_len(text.len());
            begin(len, name, out);
            write_delimited(key::REPRESENTATION, kind.as_bytes(), out);
            write_delimited(key::STRING, &line[text.clone()], out);
        }
    }
}

/// A host that lets the fast path listen.
pub(crate) struct Listening<'a> {
    fast_path: &'a mut FastPath,
    host: &'a mut dyn Host,
}

impl<'a> Listening<'a> {
    pub(crate) fn new(fast_path: &'a mut FastPath, host: &'a mut dyn Host) -> Listening<'a> {
        Listening { fast_path, host }
    }
}

impl Host for Listening<'_> {
    fn inject(
        &mut self,
        injected: Injected<'_>,
        subject: &mut Subject<'_, '_>,
    ) -> Result<(), InjectError> {
        if let (Injected::Message(message), Some(before)) = (injected, subject.view()) {
            self.fast_path.learn(before.payload(), message);
        }
        self.host.inject(injected, subject)
    }

    fn now(&self) -> i64 {
        self.host.now()
    }

    fn explain(&mut self, why: &str) {
        self.host.explain(why);
    }
}
