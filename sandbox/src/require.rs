//! `require`: the base libraries, modules in Rust, files of `module_directory`, modules that come with the daemon.
//!
//! Owns:    the search, and Heka's texts when it finds nothing.
//! Runs on: the shard of the plugin, mostly while its script loads.            Plane: data.
//! Bounds:  a file of at most `SOURCE_BYTES_MAX`.
//! Never:   leaves a module directory: a name has no slash, and its dots become slashes.

use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use mlua::{Function, Lua, LuaString, Table, Value};

use crate::config::Kind;
use crate::environment::Libraries;
use crate::library;
use crate::modules::MODULES;
use crate::program::Program;

struct Search {
    /// Whether a module came from a file.
    from_file: Rc<Cell<bool>>,
    kind: Kind,
    directories: Vec<PathBuf>,
    hidden: Table,
    loaded: Table,
    /// Modules that are being loaded, each by the one before.
    loading: RefCell<Vec<String>>,
}

/// Makes the function.
pub(crate) fn function(
    lua: &Lua,
    kind: Kind,
    directories: &[PathBuf],
    libraries: Libraries,
    from_file: Rc<Cell<bool>>,
) -> mlua::Result<Function> {
    let search = Search {
        from_file,
        kind,
        directories: directories.to_vec(),
        hidden: libraries.hidden,
        loaded: libraries.loaded,
        loading: RefCell::default(),
    };
    lua.create_function(move |lua, name: LuaString| search.require(lua, &name))
}

impl Search {
    fn require(&self, lua: &Lua, name: &LuaString) -> mlua::Result<Value> {
        let text = String::from_utf8_lossy(&name.as_bytes()).into_owned();
        let name = text.as_str();
        let loaded: Value = self.loaded.raw_get(name)?;
        if !loaded.is_nil() {
            return Ok(loaded);
        }
        if name == "io" && !self.kind.is_trusted() {
            return Err(disabled(name));
        }
        let library: Value = self.hidden.raw_get(name)?;
        if !library.is_nil() {
            lua.globals().raw_set(name, &library)?;
            self.loaded.raw_set(name, &library)?;
            return Ok(library);
        }
        if let Some(module) = MODULES.iter().find(|module| module.name == name) {
            if module.trusted && !self.kind.is_trusted() {
                return Err(disabled(name));
            }
            let opened = module.require(lua)?;
            self.loaded.raw_set(name, &opened)?;
            return Ok(opened);
        }
        if !is_module_name(name) {
            return Err(mlua::Error::runtime(format!(
                "invalid module name '{name}'"
            )));
        }
        let mut tried = String::new();
        if let Some((path, source)) = self.find(name, &mut tried)? {
            self.from_file.set(true);
            return self.run(lua, name, &path, &source);
        }
        match (library::module(name), library::io_module(name)) {
            (Some(shipped), _) => self.run(lua, name, shipped.name, shipped.source),
            (None, Some(shipped)) if self.kind.is_trusted() => {
                self.run(lua, name, shipped.name, shipped.source)
            }
            (None, Some(_)) => Err(disabled(name)),
            (None, None) => Err(mlua::Error::runtime(format!(
                "module '{name}' not found:{tried}"
            ))),
        }
    }

    /// The first file of that name.
    fn find(&self, name: &str, tried: &mut String) -> mlua::Result<Option<(String, Vec<u8>)>> {
        let file = format!("{}.lua", name.replace('.', "/"));
        for directory in &self.directories {
            // Not `join`: a name that begins with a dot must not lead to the root.
            let path = format!("{}/{file}", directory.display());
            match Program::read(Path::new(&path)) {
                Ok(source) => return Ok(Some((path, source))),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    tried.push_str(&format!("\n\tno file '{path}'"));
                }
                Err(error) => {
                    return Err(mlua::Error::runtime(format!(
                        "error loading module '{name}' from file '{path}':\n\t{error}"
                    )));
                }
            }
        }
        Ok(None)
    }

    fn run(&self, lua: &Lua, name: &str, path: &str, source: &[u8]) -> mlua::Result<Value> {
        if self.loading.borrow().iter().any(|one| one == name) {
            return Err(mlua::Error::runtime(format!(
                "loop or previous error loading module '{name}'"
            )));
        }
        let program = Program::compile(path, source).map_err(|error| {
            mlua::Error::runtime(format!(
                "error loading module '{name}' from file '{path}':\n\t{error}"
            ))
        })?;
        self.loading.borrow_mut().push(name.to_owned());
        let called = program.load(lua).and_then(|chunk| chunk.call(name));
        self.loading.borrow_mut().pop();
        let returned: Value = called?;
        if !returned.is_nil() {
            self.loaded.raw_set(name, returned)?;
        } else if self.loaded.raw_get::<Value>(name)?.is_nil() {
            self.loaded.raw_set(name, true)?;
        }
        self.loaded.raw_get(name)
    }
}

/// The error about a module that the kind may not have.
fn disabled(name: &str) -> mlua::Error {
    mlua::Error::runtime(format!("module '{name}' disabled"))
}

/// Letters, digits, underscores and dots.
fn is_module_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|one| one.is_ascii_alphanumeric() || matches!(one, b'_' | b'.'))
}
