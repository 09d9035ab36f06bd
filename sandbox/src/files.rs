//! The library `io` of Lua 5.1, for inputs and outputs.
//!
//! Owns:    files, commands and the standard streams as scripts know them.
//! Runs on: the shard of the plugin, or the thread of an input.            Plane: data.
//! Bounds:  a read takes at most the script's memory; `BUFFER_BYTES` are read ahead or written behind.
//! Never:   reaches a decoder, filter or encoder.

mod library;
mod stream;

pub(crate) use library::open;

use std::io;

use mlua::{IntoLua, Lua, LuaString, MultiValue, Value};
use nix::errno::Errno;

use crate::limits::SandboxLimits;

/// Bytes of a read where the script's memory has no limit.
const READ_BYTES_MAX: usize = 1 << 30;

/// Bytes that one read, of a file or of a socket, may give.
pub(crate) fn read_bytes_max(lua: &Lua) -> usize {
    match lua.app_data_ref::<SandboxLimits>() {
        Some(limits) if limits.memory_bytes > 0 => limits.memory_bytes as usize,
        _ => READ_BYTES_MAX,
    }
}

/// A failure as C tells it: text and number.
pub(crate) struct Failed {
    pub(crate) text: String,
    number: i32,
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Failed {
        match error.raw_os_error() {
            Some(number) => Failed {
                text: Errno::from_raw(number).desc().to_owned(),
                number,
            },
            None => Failed {
                text: error.to_string(),
                number: 0,
            },
        }
    }
}

/// True, or nil with text and number of the failure.
pub(crate) fn outcome(
    lua: &Lua,
    done: io::Result<()>,
    name: &LuaString,
) -> mlua::Result<MultiValue> {
    match done {
        Ok(()) => Ok(MultiValue::from_iter([Value::Boolean(true)])),
        Err(error) => failure(lua, error, Some(&name.to_string_lossy())),
    }
}

/// Nil with text and number of a failure.
pub(crate) fn failure(lua: &Lua, error: io::Error, name: Option<&str>) -> mlua::Result<MultiValue> {
    let failed = Failed::from(error);
    let text = match name {
        Some(name) => format!("{name}: {}", failed.text),
        None => failed.text,
    };
    Ok(MultiValue::from_iter([
        Value::Nil,
        text.into_lua(lua)?,
        Value::Integer(failed.number.into()),
    ]))
}
