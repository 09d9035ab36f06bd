//! A script that has been checked and compiled.
//!
//! Owns:    `Program`.
//! Runs on: build time; any thread makes sandboxes from it.            Plane: control.
//! Bounds:  `SOURCE_BYTES_MAX` of source.
//! Never:   runs anything, or takes bytecode from outside.

use std::io::Read;
use std::path::Path;

use mlua::Lua;
use mlua::chunk::{ChunkMode, Compiler};

use crate::error::ProgramError;
use crate::library;
use crate::lpeg::lengths;

/// Bytes of source.
pub const SOURCE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A script, checked and compiled once for all sandboxes that run it.
#[derive(Clone, Debug)]
pub struct Program {
    name: String,
    bytecode: Vec<u8>,
    /// Its name in the library, where it is one of the scripts that come with the daemon.
    shipped: Option<&'static str>,
}

impl Program {
    /// Checks and compiles a script. `name` stands in error texts and traces: its path, or Heka's name of it.
    pub fn compile(name: &str, source: &[u8]) -> Result<Program, ProgramError> {
        if source.len() > SOURCE_BYTES_MAX {
            return Err(ProgramError {
                name: name.to_owned(),
                line: 0,
                message: "the script is longer than 8 MiB".to_owned(),
            });
        }
        let shipped = library::script(name).filter(|shipped| shipped.source == source);
        Ok(Program {
            shipped: shipped.map(|shipped| shipped.name),
            ..Program::compile_state(name, source)?
        })
    }

    /// Reads a script's file: as much of it as `compile` needs to refuse one that is too long.
    pub fn read(path: &Path) -> std::io::Result<Vec<u8>> {
        let mut source = Vec::new();
        let file = std::fs::File::open(path)?;
        file.take(SOURCE_BYTES_MAX as u64 + 1)
            .read_to_end(&mut source)?;
        Ok(source)
    }

    /// As `compile`, for preserved state, which may be longer.
    pub(crate) fn compile_state(name: &str, source: &[u8]) -> Result<Program, ProgramError> {
        let error = |line, message: &str| ProgramError {
            name: name.to_owned(),
            line,
            message: message.to_owned(),
        };
        if source.first() == Some(&0x1b) {
            return Err(error(0, "the script is bytecode; only source is taken"));
        }
        let source = without_hash_line(source);
        let source = lengths::rewrite(&source);
        let compiled = Compiler::new()
            .set_optimization_level(1)
            .set_debug_level(1)
            .compile(&source);
        match compiled {
            Ok(bytecode) => Ok(Program {
                name: name.to_owned(),
                bytecode,
                shipped: None,
            }),
            Err(mlua::Error::SyntaxError { message, .. }) => {
                let (line, message) = place_of(&message);
                Err(error(line, message))
            }
            Err(other) => Err(error(0, &other.to_string())),
        }
    }

    /// Its name, as given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which of the scripts that come with the daemon it is, unchanged.
    pub(crate) fn shipped(&self) -> Option<&'static str> {
        self.shipped
    }

    /// Makes a function of it in a machine.
    pub(crate) fn load(&self, lua: &Lua) -> mlua::Result<mlua::Function> {
        lua.load(&self.bytecode[..])
            .set_name(format!("@{}", self.name))
            .set_mode(ChunkMode::Binary)
            .into_function()
    }
}

/// A first line `#!...` is no Lua: it is made a comment of the same length, so that line numbers stay.
fn without_hash_line(source: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    if source.first() != Some(&b'#') {
        return source.into();
    }
    let end = memchr::memchr(b'\n', source).unwrap_or(source.len());
    source[end..].into()
}

/// Line and text of a compiler's message, `:3: text`.
fn place_of(message: &str) -> (u32, &str) {
    let rest = message.strip_prefix(':').unwrap_or(message);
    match rest.split_once(": ") {
        Some((line, text)) => match line.parse() {
            Ok(line) => (line, text),
            Err(_) => (0, message),
        },
        None => (0, message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Program>();
    }

    #[test]
    fn syntax_errors_name_the_line() {
        let error = Program::compile("bad.lua", b"local a = 1\nlocal = 2\n").expect_err("no Lua");
        assert_eq!((error.line, error.name.as_str()), (2, "bad.lua"));
        assert!(error.to_string().starts_with("bad.lua:2: "), "{error}");
        assert!(Program::compile("good.lua", b"#!/usr/bin/lua\nreturn 1").is_ok());
    }

    #[test]
    fn bytecode_is_no_source() {
        let error = Program::compile("b.lua", b"\x1bLua").expect_err("bytecode");
        assert!(error.message.contains("bytecode"), "{error}");
        let compiled = Program::compile("a.lua", b"return 1")
            .expect("Lua")
            .bytecode;
        assert!(Program::compile("c.lua", &compiled).is_err());
    }
}
