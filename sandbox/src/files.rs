//! The library `io`, for inputs and outputs.
//!
//! Owns:    `io.open` and the files that it makes.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  none yet.
//! Never:   reaches a decoder, filter or encoder.

use mlua::{Lua, Table};

/// Makes the library.
pub(crate) fn open(lua: &Lua) -> mlua::Result<Table> {
    lua.create_table()
}
