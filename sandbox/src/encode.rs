//! Tables of scripts as protobuf messages: what `inject_message` takes.
//!
//! Owns:    the rules of parity's section `table_encoding`.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  `output_limit` of bytes; values may nest as deep as the stack of a function goes.
//! Never:   runs the script: metamethods of the tables are not asked.

use codecs::protobuf::key;
use codecs::wire::{delimited_len, varint_len, write_delimited, write_varint};

use crate::lua::{Arguments, Pinned, Refused, Table, Value};
use crate::objects;
use crate::state::State;

/// Keys that are looked up in tables, in the order of `State::keys`.
pub(crate) const KEYS: [&str; 14] = [
    "Uuid",
    "Timestamp",
    "Type",
    "Logger",
    "Severity",
    "Payload",
    "EnvVersion",
    "Pid",
    "Hostname",
    "Fields",
    "name",
    "value",
    "value_type",
    "representation",
];

/// Places in `KEYS`.
#[derive(Clone, Copy)]
enum Key {
    Uuid,
    Timestamp,
    Type,
    Logger,
    Severity,
    Payload,
    EnvVersion,
    Pid,
    Hostname,
    Fields,
    Name,
    Value,
    ValueType,
    Representation,
}

/// Why a table is not encoded.
pub(crate) enum Fault {
    /// The message would be longer than `output_limit`.
    Limit,
    /// The table is no message; the text stands in `State::said`.
    Said,
}

impl From<Refused> for Fault {
    fn from(_: Refused) -> Fault {
        Fault::Said
    }
}

/// A value type as a script asks for it.
type Wanted = Option<i32>;

/// What a field has beside its value.
#[derive(Clone, Copy, Default)]
struct About<'a> {
    representation: Option<&'a [u8]>,
    wanted: Wanted,
}

/// Encodes the table as a message. `now` is the time of one that has none.
pub(crate) fn encode(
    arguments: Arguments<'_>,
    state: &State,
    table: Table,
    now: i64,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let limit = match state.limits.output_bytes {
        0 => usize::MAX,
        bytes => bytes as usize,
    };
    out.clear();
    Encoder {
        arguments,
        state,
        keys: &state.keys.borrow(),
        limit,
        out,
    }
    .message(table, now)
}

struct Encoder<'a, 's> {
    arguments: Arguments<'s>,
    state: &'a State,
    keys: &'a [Pinned],
    limit: usize,
    out: &'a mut Vec<u8>,
}

impl<'s> Encoder<'_, 's> {
    fn message(&mut self, table: Table, now: i64) -> Result<(), Fault> {
        let uuid = match self.get(table, Key::Uuid) {
            Value::Text(text) => <[u8; 16]>::try_from(text).ok(),
            _ => None,
        };
        let uuid = uuid.unwrap_or_else(random_uuid);
        self.delimited(key::UUID, &uuid)?;
        let timestamp = match number(self.get(table, Key::Timestamp)) {
            Some(number) => whole(number),
            None => (now - now.rem_euclid(1_000_000_000)) as u64,
        };
        self.varint(key::TIMESTAMP, timestamp)?;
        self.text(table, Key::Type, key::TYPE)?;
        self.text(table, Key::Logger, key::LOGGER)?;
        self.integer(table, Key::Severity, key::SEVERITY)?;
        self.text(table, Key::Payload, key::PAYLOAD)?;
        self.text(table, Key::EnvVersion, key::ENV_VERSION)?;
        self.integer(table, Key::Pid, key::PID)?;
        self.text(table, Key::Hostname, key::HOSTNAME)?;
        let (arguments, fields) = (self.arguments, self.keys[Key::Fields as usize]);
        arguments.with_field(table, fields, |fields| match fields {
            Value::Table(fields) => self.fields(fields),
            _ => Ok(()),
        })
    }

    /// A value that is no table.
    fn get(&self, table: Table, key: Key) -> Value<'s> {
        self.arguments
            .with_field(table, self.keys[key as usize], |value| value)
    }

    fn text(&mut self, table: Table, key: Key, wire: u8) -> Result<(), Fault> {
        match self.get(table, key) {
            Value::Text(text) => self.delimited(wire, text),
            Value::Number(number) => self.delimited(wire, crate::number::format(number).as_bytes()),
            _ => Ok(()),
        }
    }

    fn integer(&mut self, table: Table, key: Key, wire: u8) -> Result<(), Fault> {
        match number(self.get(table, key)) {
            Some(number) => self.varint(wire, whole(number)),
            None => Ok(()),
        }
    }

    fn fields(&mut self, fields: Table) -> Result<(), Fault> {
        let arguments = self.arguments;
        let is_list = arguments.with_item(fields, 1, |first| matches!(first, Value::Table(_)));
        if is_list {
            return self.list(fields);
        }
        let mut fault = None;
        let done = arguments.each(fields, |name, value| {
            let written = self.nested(key::FIELDS, |this| {
                this.name(name)?;
                this.value(value, About::default())
            });
            written.map_err(|found| {
                fault = Some(found);
                Refused
            })
        });
        match (done, fault) {
            (Err(_), Some(fault)) => Err(fault),
            _ => Ok(()),
        }
    }

    /// Fields in order, each `{name=, value=, value_type=, representation=}`.
    fn list(&mut self, fields: Table) -> Result<(), Fault> {
        let arguments = self.arguments;
        for at in 1..i32::MAX {
            let more = arguments.with_item(fields, at, |field| match field {
                Value::Nil | Value::None => Ok(false),
                Value::Table(field) => self
                    .nested(key::FIELDS, |this| {
                        let name = this.get(field, Key::Name);
                        this.name(name)?;
                        this.object(field)
                    })
                    .map(|()| true),
                _ => Err(self.fault(format_args!("field name must be a string"))),
            })?;
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn name(&mut self, name: Value<'_>) -> Result<(), Fault> {
        match name {
            Value::Text(text) => self.delimited(key::NAME, text),
            Value::Number(number) => {
                self.delimited(key::NAME, crate::number::format(number).as_bytes())
            }
            _ => Err(self.fault(format_args!("field name must be a string"))),
        }
    }

    /// A value with what stands beside it.
    fn object(&mut self, field: Table) -> Result<(), Fault> {
        let wanted = number(self.get(field, Key::ValueType)).map(|number| number as i32);
        let printed;
        let representation = match self.get(field, Key::Representation) {
            Value::Text(text) => Some(text),
            Value::Number(number) => {
                printed = crate::number::format(number);
                Some(printed.as_bytes())
            }
            _ => None,
        };
        let about = About {
            representation,
            wanted,
        };
        let (arguments, key) = (self.arguments, self.keys[Key::Value as usize]);
        arguments.with_field(field, key, |value| self.value(value, about))
    }

    fn value(&mut self, value: Value<'_>, about: About<'_>) -> Result<(), Fault> {
        match value {
            Value::Text(text) => {
                let wire = self.text_key(about.wanted)?;
                self.about(wire == key::BYTES, 1, about)?;
                self.delimited(wire, text)
            }
            Value::Number(number) => {
                let integer = self.is_integer(about.wanted)?;
                self.about(true, if integer { 2 } else { 3 }, about)?;
                if integer {
                    self.varint(key::INTEGER, whole(number))
                } else {
                    self.out.push(key::DOUBLE);
                    self.out.extend_from_slice(&number.to_le_bytes());
                    self.fits(0)
                }
            }
            Value::Boolean(truth) => {
                self.check_boolean(about.wanted)?;
                self.about(true, 4, about)?;
                self.varint(key::BOOL, truth.into())
            }
            Value::Table(table) => self.table(table, about),
            Value::Object(_) => {
                self.about(true, 1, about)?;
                self.printed(value)
            }
            other => Err(self.fault(format_args!("unsupported type: {}", other.type_name()))),
        }
    }

    fn table(&mut self, table: Table, about: About<'_>) -> Result<(), Fault> {
        // What decides is the first item; it is looked at, not kept.
        let first = self.arguments.with_item(table, 1, |first| first);
        match first {
            Value::Nil | Value::None => self.object(table),
            Value::Text(_) => self.texts(table, about),
            Value::Number(_) => self.numbers(table, about),
            Value::Boolean(_) => self.booleans(table, about),
            other => Err(self.fault(format_args!(
                "unsupported array type: {}",
                other.type_name()
            ))),
        }
    }

    fn texts(&mut self, table: Table, about: About<'_>) -> Result<(), Fault> {
        let wire = self.text_key(about.wanted)?;
        self.about(wire == key::BYTES, 1, about)?;
        self.items(table, |this, item| match item {
            Value::Text(text) => this.delimited(wire, text),
            _ => Err(this.mixed()),
        })
        .map(drop)
    }

    fn numbers(&mut self, table: Table, about: About<'_>) -> Result<(), Fault> {
        let integer = self.is_integer(about.wanted)?;
        self.about(true, if integer { 2 } else { 3 }, about)?;
        let (single, packed) = match integer {
            true => (key::INTEGER, key::INTEGERS),
            false => (key::DOUBLE, key::DOUBLES),
        };
        self.packed(table, single, packed, |this, item| match item {
            Value::Number(number) if integer => {
                write_varint(whole(number), this.out);
                this.fits(0)
            }
            Value::Number(number) => {
                this.out.extend_from_slice(&number.to_le_bytes());
                this.fits(0)
            }
            _ => Err(this.mixed()),
        })
    }

    fn booleans(&mut self, table: Table, about: About<'_>) -> Result<(), Fault> {
        self.check_boolean(about.wanted)?;
        self.about(true, 4, about)?;
        self.packed(table, key::BOOL, key::BOOLS, |this, item| match item {
            Value::Boolean(truth) => {
                this.out.push(truth.into());
                this.fits(0)
            }
            _ => Err(this.mixed()),
        })
    }

    /// Two or more items stand behind one key and their length, a single one behind its own key.
    fn packed(
        &mut self,
        table: Table,
        single: u8,
        packed: u8,
        write: impl FnMut(&mut Self, Value<'s>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let alone = self.arguments.with_item(table, 2, |second| second.is_nil());
        if alone {
            self.out.push(single);
            return self.items(table, write).map(drop);
        }
        self.nested(packed, |this| this.items(table, write).map(drop))
    }

    /// Writes the items of an array, from 1 up to the first hole.
    fn items(
        &mut self,
        table: Table,
        mut write: impl FnMut(&mut Self, Value<'s>) -> Result<(), Fault>,
    ) -> Result<i32, Fault> {
        let arguments = self.arguments;
        let mut at = 1;
        loop {
            let more = arguments.with_item(table, at, |item| match item.is_nil() {
                true => Ok(false),
                false => write(self, item).map(|()| true),
            })?;
            if !more {
                return Ok(at - 1);
            }
            at += 1;
        }
    }

    /// What an object shows of itself.
    fn printed(&mut self, value: Value<'_>) -> Result<(), Fault> {
        let Value::Object(object) = value else {
            return Ok(());
        };
        let arguments = self.arguments;
        self.nested(key::BYTES, |this| {
            let out = &mut *this.out;
            let shown = arguments.with_object(object, |object| match object {
                mlua::Value::UserData(object) => {
                    objects::with(object, |known| known.print(out)).unwrap_or(false)
                }
                _ => false,
            });
            match shown {
                Some(true) => this.fits(0),
                _ => Err(this.fault(format_args!(
                    "user data object does not implement lsb_output"
                ))),
            }
        })
    }

    fn text_key(&self, wanted: Wanted) -> Result<u8, Fault> {
        match wanted {
            None | Some(-1 | 0) => Ok(key::STRING),
            Some(1) => Ok(key::BYTES),
            Some(other) => Err(self.fault(format_args!("invalid string value_type: {other}"))),
        }
    }

    fn is_integer(&self, wanted: Wanted) -> Result<bool, Fault> {
        match wanted {
            None | Some(-1 | 3) => Ok(false),
            Some(2) => Ok(true),
            Some(other) => Err(self.fault(format_args!("invalid numeric value_type: {other}"))),
        }
    }

    fn check_boolean(&self, wanted: Wanted) -> Result<(), Fault> {
        match wanted {
            None | Some(-1 | 4) => Ok(()),
            Some(other) => Err(self.fault(format_args!("invalid boolean value_type: {other}"))),
        }
    }

    /// Type, unless it is STRING, and representation of a field.
    fn about(&mut self, typed: bool, value_type: u64, about: About<'_>) -> Result<(), Fault> {
        if typed {
            self.varint(key::VALUE_TYPE, value_type)?;
        }
        match about.representation {
            Some(text) => self.delimited(key::REPRESENTATION, text),
            None => Ok(()),
        }
    }

    /// Writes something behind a key and its length, which is known only afterwards.
    fn nested(
        &mut self,
        wire: u8,
        write: impl FnOnce(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.out.push(wire);
        let at = self.out.len();
        self.out.push(0);
        write(self)?;
        let len = self.out.len() - at - 1;
        match u8::try_from(len) {
            Ok(short @ 0..=0x7f) => self.out[at] = short,
            _ => {
                let mut bytes = Vec::with_capacity(varint_len(len as u64));
                write_varint(len as u64, &mut bytes);
                self.out.splice(at..=at, bytes);
            }
        }
        self.fits(0)
    }

    fn delimited(&mut self, wire: u8, text: &[u8]) -> Result<(), Fault> {
        self.fits(delimited_len(text.len()))?;
        write_delimited(wire, text, self.out);
        Ok(())
    }

    fn varint(&mut self, wire: u8, number: u64) -> Result<(), Fault> {
        self.out.push(wire);
        write_varint(number, self.out);
        self.fits(0)
    }

    /// Whether so many more bytes stay within the limit.
    fn fits(&self, more: usize) -> Result<(), Fault> {
        match self.out.len() + more <= self.limit {
            true => Ok(()),
            false => Err(Fault::Limit),
        }
    }

    fn mixed(&self) -> Fault {
        self.fault(format_args!("array has mixed types"))
    }

    fn fault(&self, why: std::fmt::Arguments<'_>) -> Fault {
        self.state
            .refuse(format_args!(
                "inject_message() could not encode protobuf - {why}"
            ))
            .into()
    }
}

/// A number, or a text that spells one.
fn number(value: Value<'_>) -> Option<f64> {
    match value {
        Value::Number(number) => Some(number),
        Value::Text(text) => crate::number::parse(text),
        _ => None,
    }
}

/// As C makes an unsigned integer of a double: cut, and negative ones from the top.
fn whole(number: f64) -> u64 {
    match number >= 9_223_372_036_854_775_808.0 {
        true => number as u64,
        false => number as i64 as u64,
    }
}

/// A random uuid of version 4 with Heka's variant bits, 1010.
pub(crate) fn random_uuid() -> [u8; 16] {
    let mut uuid = fastrand::u128(..).to_le_bytes();
    uuid[6] = uuid[6] & 0x0f | 0x40;
    uuid[8] = uuid[8] & 0x0f | 0xa0;
    uuid
}
