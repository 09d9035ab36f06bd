//! LPeg: parsing expression grammars as patterns that scripts put together.
//!
//! Owns:    the module `lpeg`, what its functions share, the module `re`.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  `STACK_MAX_DEFAULT` ways back unless a script says otherwise; memory is on the script's account; Luau's interrupt,
//!          which whoever runs a script may set, is asked in matches too, and can stop them.
//! Never:   keeps a Lua value outside of Lua.
//!
//! From a pattern to its values: `functions` puts trees together (`tree`, `grammar`, `utf8`), the first match compiles one
//! (`facts`, `first`, `compile`, `loops` to `code`), `matching` has the `machine` run it and `values` makes of what was
//! captured what Lua gets.

mod arguments;
mod code;
mod compile;
mod facts;
mod first;
mod functions;
mod grammar;
pub(crate) mod lengths;
mod loops;
mod machine;
mod matching;
mod pace;
mod patterns;
mod set;
pub(crate) mod tree;
mod utf8;
mod values;

use std::cell::{Cell, RefCell};

use mlua::{Lua, Value};

use machine::Machine;
use tree::Pattern;

use crate::lua::userdata::{Owned, register_owned, register_sharing, share};

/// Entries of the stack of ways back.
const STACK_MAX_DEFAULT: usize = 400;

/// What the library's functions share.
pub(crate) struct Library {
    stack_max: Cell<usize>,
    /// For matches to come.
    #[expect(
        clippy::vec_box,
        reason = "a machine is lent and given back; moving a pointer is cheaper"
    )]
    machines: RefCell<Vec<Box<Machine>>>,
    /// For text that captures make.
    text: Cell<Vec<u8>>,
    /// Captures inside each other whose values are being made.
    deep: Cell<u32>,
}

impl Owned for Library {
    const TAG: i32 = 102;
}

impl Owned for Pattern {
    const TAG: i32 = 101;
}

/// The module `lpeg`.
pub(crate) fn open(lua: &Lua) -> mlua::Result<Value> {
    const OPENED: &str = "lpeg";
    if let Ok(opened @ Value::Table(_)) = lua.named_registry_value(OPENED) {
        return Ok(opened);
    }
    let library = Library {
        stack_max: Cell::new(STACK_MAX_DEFAULT),
        machines: RefCell::default(),
        text: Cell::default(),
        deep: Cell::new(0),
    };
    let library = share(lua, library)?;
    let table = register_sharing(lua, &library, functions::FUNCTIONS)?;
    register_owned::<Pattern>(lua, &library, functions::OPERATORS, &table)?;
    let length = lua.create_table()?;
    length.set_metatable(Some(register_sharing(lua, &library, functions::LENGTH)?))?;
    table.raw_set("length", length)?;
    table.raw_set("version", "LPeg 1.1.0")?;
    lua.set_named_registry_value(OPENED, &table)?;
    Ok(Value::Table(table))
}

/// The module `re`.
pub(crate) fn open_re(lua: &Lua) -> mlua::Result<Value> {
    lua.load(include_str!("../lua/re.lua"))
        .set_name("=re")
        .call(open(lua)?)
}

#[cfg(test)]
mod tests;
