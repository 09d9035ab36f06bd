//! Protobuf messages as tables of scripts: `decode_message`.
//!
//! Owns:    the shape of the table, and Heka's errors.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  the script's memory.
//! Never:   passes over what it does not know: a tag that no message has is an error, as in Heka.

use codecs::error::Damage;
use codecs::wire::{Reader, WireType};
use mlua::{Function, Lua, MultiValue, Table, Value};

/// Shortest message: uuid and timestamp.
const BYTES_MIN: usize = 20;

/// Makes the function.
pub(crate) fn function(lua: &Lua) -> mlua::Result<Function> {
    lua.create_function(|lua, arguments: MultiValue| {
        let (1, Some(Value::String(text))) = (arguments.len(), arguments.front()) else {
            return Err(mlua::Error::runtime(
                "bad argument #0 to 'decode_message' (must have one string argument)",
            ));
        };
        decode(lua, &text.as_bytes())
    })
}

/// Where an error is: the tag that was being read.
#[derive(Default)]
struct Tag {
    number: u32,
    wire_type: u32,
    offset: usize,
}

enum Fault {
    Wire,
    Lua(mlua::Error),
}

impl From<Damage> for Fault {
    fn from(_: Damage) -> Fault {
        Fault::Wire
    }
}

impl From<mlua::Error> for Fault {
    fn from(error: mlua::Error) -> Fault {
        Fault::Lua(error)
    }
}

fn decode(lua: &Lua, bytes: &[u8]) -> mlua::Result<Table> {
    if bytes.len() < BYTES_MIN {
        return Err(mlua::Error::runtime("invalid message, too short"));
    }
    let message = lua.create_table()?;
    let mut tag = Tag::default();
    match fill(lua, bytes, &message, &mut tag) {
        Ok(()) => {}
        Err(Fault::Lua(error)) => return Err(error),
        Err(Fault::Wire) => {
            return Err(mlua::Error::runtime(format!(
                "error in tag: {} wiretype: {} offset: {}",
                tag.number, tag.wire_type, tag.offset
            )));
        }
    }
    let has = |key: &str| -> mlua::Result<&str> {
        let value: Value = message.raw_get(key)?;
        Ok(if value.is_nil() { "not found" } else { "found" })
    };
    let (uuid, timestamp) = (has("Uuid")?, has("Timestamp")?);
    if uuid == "found" && timestamp == "found" {
        return Ok(message);
    }
    Err(mlua::Error::runtime(format!(
        "missing required field uuid: {uuid} timestamp: {timestamp}"
    )))
}

/// The key of the next value; `tag` keeps it for an error.
fn key(reader: &mut Reader<'_>, tag: &mut Tag) -> Result<(u32, WireType), Fault> {
    let start = reader.position();
    if let Some(&first) = reader.bytes().get(start) {
        *tag = Tag {
            number: u32::from(first >> 3),
            wire_type: u32::from(first & 7),
            offset: start,
        };
    }
    Ok(reader.key()?)
}

fn fill(lua: &Lua, bytes: &[u8], message: &Table, tag: &mut Tag) -> Result<(), Fault> {
    let mut reader = Reader::new(bytes, 0);
    let mut fields: Option<Table> = None;
    while !reader.is_done() {
        let text = |name: &str, reader: &mut Reader<'_>| -> Result<(), Fault> {
            let text = reader.text()?;
            Ok(message.raw_set(name, lua.create_string(text)?)?)
        };
        let number = |name: &str, reader: &mut Reader<'_>| -> Result<(), Fault> {
            Ok(message.raw_set(name, reader.varint()? as i64 as f64)?)
        };
        match key(&mut reader, tag)? {
            (1, WireType::Delimited) => {
                let uuid = reader.text()?;
                if uuid.len() != 16 {
                    return Err(Fault::Wire);
                }
                message.raw_set("Uuid", lua.create_string(uuid)?)?;
            }
            (2, WireType::Varint) => number("Timestamp", &mut reader)?,
            (3, WireType::Delimited) => text("Type", &mut reader)?,
            (4, WireType::Delimited) => text("Logger", &mut reader)?,
            (5, WireType::Varint) => number("Severity", &mut reader)?,
            (6, WireType::Delimited) => text("Payload", &mut reader)?,
            (7, WireType::Delimited) => text("EnvVersion", &mut reader)?,
            (8, WireType::Varint) => number("Pid", &mut reader)?,
            (9, WireType::Delimited) => text("Hostname", &mut reader)?,
            (10, WireType::Delimited) => {
                let field = field(lua, reader.text()?)?;
                let list = match &fields {
                    Some(list) => list,
                    None => fields.insert(lua.create_table()?),
                };
                list.raw_push(field)?;
            }
            _ => return Err(Fault::Wire),
        }
    }
    if let Some(fields) = fields {
        message.raw_set("Fields", fields)?;
    }
    Ok(())
}

fn field(lua: &Lua, bytes: &[u8]) -> Result<Table, Fault> {
    let field = lua.create_table()?;
    let values = lua.create_table()?;
    let mut reader = Reader::new(bytes, 0);
    let mut has_name = false;
    while !reader.is_done() {
        match reader.key()? {
            (1, WireType::Delimited) => {
                field.raw_set("name", lua.create_string(reader.text()?)?)?;
                has_name = true;
            }
            (2, WireType::Varint) => {
                field.raw_set("value_type", reader.varint()? as i64 as f64)?;
            }
            (3, WireType::Delimited) => {
                field.raw_set("representation", lua.create_string(reader.text()?)?)?;
            }
            (4 | 5, WireType::Delimited) => values.raw_push(lua.create_string(reader.text()?)?)?,
            (6, WireType::Varint) => values.raw_push(reader.varint()? as i64 as f64)?,
            (7, WireType::Fixed64) => values.raw_push(f64::from_bits(reader.fixed64()?))?,
            (8, WireType::Varint) => values.raw_push(reader.varint()? != 0)?,
            (number @ 6..=8, WireType::Delimited) => packed(number, reader.text()?, &values)?,
            _ => return Err(Fault::Wire),
        }
    }
    if !has_name {
        return Err(Fault::Wire);
    }
    field.raw_set("value", values)?;
    Ok(field)
}

fn packed(number: u32, bytes: &[u8], values: &Table) -> Result<(), Fault> {
    let mut reader = Reader::new(bytes, 0);
    while !reader.is_done() {
        match number {
            6 => values.raw_push(reader.varint()? as i64 as f64)?,
            7 => values.raw_push(f64::from_bits(reader.fixed64()?))?,
            _ => values.raw_push(reader.varint()? != 0)?,
        }
    }
    Ok(())
}
