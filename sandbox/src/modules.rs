//! The modules that `require` finds without a file.
//!
//! Owns:    the table of modules written in Rust.
//! Runs on: the shard of the plugin, while its script loads.            Plane: data.
//! Bounds:  a module is opened once a sandbox.
//! Never:   searches folders.

use mlua::{Lua, Value};

/// A module written in Rust.
pub(crate) struct Module {
    /// What `require` is asked for.
    pub(crate) name: &'static str,
    /// Makes what `require` returns.
    pub(crate) open: fn(&Lua) -> mlua::Result<Value>,
    /// Whether `require` also sets the global of that name, as Heka's C modules do.
    pub(crate) global: bool,
    /// Whether only inputs and outputs have it.
    pub(crate) trusted: bool,
}

impl Module {
    /// Opens it, as `require` does once a sandbox.
    pub(crate) fn require(&self, lua: &Lua) -> mlua::Result<Value> {
        let opened = (self.open)(lua)?;
        if self.global {
            lua.globals().raw_set(self.name, &opened)?;
        }
        Ok(opened)
    }
}

/// Every module in Rust, by name.
pub(crate) const MODULES: &[Module] = &[
    Module {
        name: "lpeg",
        open: crate::lpeg::open,
        global: true,
        trusted: false,
    },
    Module {
        name: "re",
        open: crate::lpeg::open_re,
        global: true,
        trusted: false,
    },
    Module {
        name: "bloom_filter",
        open: crate::bloom_filter::open,
        global: true,
        trusted: false,
    },
    Module {
        name: "circular_buffer",
        open: crate::circular_buffer::open,
        global: true,
        trusted: false,
    },
    Module {
        name: "cjson",
        open: crate::cjson::open,
        global: true,
        trusted: false,
    },
    Module {
        name: "cuckoo_filter",
        open: crate::cuckoo_filter::open,
        global: true,
        trusted: false,
    },
    Module {
        name: "hyperloglog",
        open: crate::hyperloglog::open,
        global: true,
        trusted: false,
    },
    Module {
        name: "sax",
        open: crate::sax::open,
        global: true,
        trusted: false,
    },
    Module {
        name: "struct",
        open: crate::struct_pack::open,
        global: true,
        trusted: false,
    },
    Module {
        name: "socket.core",
        open: crate::socket::open,
        global: false,
        trusted: true,
    },
    Module {
        name: "mime.core",
        open: crate::socket::open_coders,
        global: false,
        trusted: true,
    },
];

/// Names of the modules in Rust: those that every script has, or those that only inputs and outputs have.
pub(crate) fn names(trusted: bool) -> impl Iterator<Item = &'static str> {
    let modules = MODULES
        .iter()
        .filter(move |module| module.trusted == trusted);
    modules.map(|module| module.name)
}
