//! The module `socket.core`, what LuaSocket has in C, for inputs and outputs.
//!
//! Owns:    sockets of TCP and UDP, `select`, names of hosts, as scripts know them.
//! Runs on: the thread of an input or output.            Plane: data.
//! Bounds:  what one call receives is at most the script's memory; `stream::BUFFER_BYTES` are read ahead for each connection.
//! Never:   waits for longer than `wait::SLICE` after a stop, but in `close` where the script has set `linger`, which is the system's to wait for.

mod address;
mod arguments;
mod coders;
mod datagram;
mod descriptors;
mod names;
mod options;
mod select;
mod stream;
mod wait;

pub(crate) use coders::open as open_coders;

use std::sync::LazyLock;

use mlua::{IntoLuaMulti, Lua, MultiValue, Table, Value};

use crate::clock;
use crate::error::ProgramError;
use crate::program::Program;

use arguments::{Given, add};

/// What scripts send as the name of their program; Heka's sandboxes came with a LuaSocket 3.0.
const VERSION: &str = "LuaSocket 3.0";

/// Descriptors that LuaSocket's `select` can wait for at once; there is no such limit here, but scripts ask for it.
const SET_SIZE: i64 = 1024;

/// The module `socket.core`.
pub(crate) fn open(lua: &Lua) -> mlua::Result<Value> {
    let module = lua.create_table()?;
    module.raw_set("_VERSION", VERSION)?;
    module.raw_set("_SETSIZE", SET_SIZE)?;
    module.raw_set("_SOCKETINVALID", descriptors::NONE)?;
    module.raw_set("_DATAGRAMSIZE", datagram::DATAGRAM_BYTES)?;
    add(lua, &module, "gettime", time)?;
    add(lua, &module, "sleep", sleep)?;
    add(lua, &module, "select", select::select)?;
    stream::add_functions(lua, &module)?;
    datagram::add_functions(lua, &module)?;
    module.raw_set("dns", names::open(lua)?)?;
    add_exceptions(lua, &module)?;
    Ok(Value::Table(module))
}

/// `newtry`, `protect` and `skip`, which are about Lua's own errors and arguments.
fn add_exceptions(lua: &Lua, module: &Table) -> mlua::Result<()> {
    static PROGRAM: LazyLock<Result<Program, ProgramError>> = LazyLock::new(|| {
        Program::compile("[socket]", include_bytes!("../lua/socket_exceptions.lua"))
    });
    match &*PROGRAM {
        Ok(program) => program.load(lua)?.call(module),
        Err(error) => Err(mlua::Error::external(error.clone())),
    }
}

/// Seconds since the Unix epoch.
fn time(given: &Given<'_>) -> mlua::Result<MultiValue> {
    const SECOND: f64 = 1e9;
    (clock::system() as f64 / SECOND).into_lua_multi(given.lua)
}

/// Waits so many seconds.
fn sleep(given: &Given<'_>) -> mlua::Result<MultiValue> {
    let seconds = given.number(1)?;
    match wait::sleep(given.lua, seconds) {
        Ok(()) => ().into_lua_multi(given.lua),
        Err(failure) => wait::failed(given.lua, failure),
    }
}
