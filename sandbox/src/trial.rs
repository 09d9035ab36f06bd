//! A script with the modules and nothing else: for benchmarks, and for tests of modules.
//!
//! Owns:    `Trial`.
//! Runs on: the calling thread.            Plane: data, by itself.
//! Bounds:  none: it is for scripts that are known.
//! Never:   runs a plugin.

use std::collections::HashMap;

use mlua::{Function, Lua, Value};

use crate::lpeg::lengths;
use crate::modules::MODULES;

/// A script that answers a function.
#[derive(Debug)]
pub struct Trial {
    pub(crate) lua: Lua,
    function: Function,
}

/// A Lua in which every module is there.
pub fn lua() -> mlua::Result<Lua> {
    let lua = Lua::new();
    open(&lua)?;
    Ok(lua)
}

/// Opens every module that all kinds have: `require` finds it, and those that set a global have set it.
pub(crate) fn open(lua: &Lua) -> mlua::Result<()> {
    let mut opened: HashMap<&str, Value> = HashMap::new();
    for module in MODULES.iter().filter(|module| !module.trusted) {
        opened.insert(module.name, module.require(lua)?);
    }
    let require = lua.create_function(move |_, name: String| match opened.get(name.as_str()) {
        Some(value) => Ok(value.clone()),
        None => Err(mlua::Error::runtime(format!("module '{name}' not found"))),
    })?;
    lua.globals().raw_set("require", require)
}

/// What a script becomes before it is compiled, as a program's.
pub(crate) fn load(lua: &Lua, name: &str, source: &str) -> mlua::Result<Function> {
    lua.load(lengths::rewrite(source.as_bytes()).as_ref())
        .set_name(format!("={name}"))
        .into_function()
}

impl Trial {
    /// Runs a script once; what it returns is the function. Error: what Lua says.
    pub fn new(source: &str) -> Result<Trial, String> {
        let made = || {
            let lua = lua()?;
            let function = load(&lua, "trial", source)?.call(())?;
            Ok(Trial { lua, function })
        };
        made().map_err(|error: mlua::Error| error.to_string())
    }

    /// Calls the function with a text; answers the number that it returns.
    pub fn call(&self, text: &[u8]) -> Result<f64, String> {
        let called = self
            .lua
            .create_string(text)
            .and_then(|text| self.function.call(text));
        called.map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_answers_numbers() {
        let trial = Trial::new("return function(text) return #text end").expect("a function");
        assert_eq!(trial.call(b"abc"), Ok(3.0));
        assert!(Trial::new("return 1").is_err());
        assert!(Trial::new("require('nothing')").is_err_and(|said| said.contains("not found")));
        let fails = Trial::new("return function() error('no') end").expect("a function");
        assert!(fails.call(b"").is_err_and(|said| said.contains("no")));
    }
}
