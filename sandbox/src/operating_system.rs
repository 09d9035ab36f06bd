//! The library `os`, as Heka leaves it.
//!
//! Owns:    clock, date, difftime, time; for inputs and outputs also getenv, execute, remove, rename and tmpname.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  a date of a few hundred bytes.
//! Never:   knows another time zone than UTC, which Heka sets for its process.

use mlua::{Lua, Table};

use crate::config::Kind;

/// Makes the library.
pub(crate) fn open(lua: &Lua, _kind: Kind) -> mlua::Result<Table> {
    lua.create_table()
}
