//! Globals that outlive a sandbox: `preserve_data`.
//!
//! Owns:    the file: its format, its checksum, how it is written and read.
//! Runs on: the shard of the plugin, when a sandbox begins and ends.            Plane: data.
//! Bounds:  `STATE_BYTES_MAX` of file.
//! Never:   leaves half a file: what is not complete never gets the name.
//!
//! The file is a Lua script, as Heka's, and Heka's own files are read too. Ours gives every table a number, `T[3]["key"] = T[7]`, so that its
//! size follows the state's and not the depth of it; it begins with a line that says so and ends with a checksum. It runs in an
//! environment of its own: what it assigns to `_G` becomes global only when all of it has run, and nothing but objects can be reached from it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use mlua::{AnyUserData, Lua, Table, Value};

use crate::objects;
use crate::program::Program;

/// Bytes of a file.
pub const STATE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// First line of our own files.
const MARK: &str = "-- state of a hekad sandbox, format 1\n";

/// In front of the checksum, on the last line of our own files.
const CHECKSUM: &str = "-- crc32c ";

/// Modules whose objects are preserved.
const MODULES: [&str; 5] = [
    "bloom_filter",
    "circular_buffer",
    "cuckoo_filter",
    "hyperloglog",
    "sax",
];

/// Globals that belong to the host.
const HOSTS: [&str; 3] = ["_PRESERVATION_VERSION", "_VERSION", "package"];

/// The state of a machine as a file.
pub(crate) fn write_state(lua: &Lua, loaded: &Table) -> Result<Vec<u8>, String> {
    let globals = lua.globals();
    let version = match globals.raw_get::<Value>("_PRESERVATION_VERSION") {
        Ok(Value::Number(number)) => number as i64,
        Ok(Value::Integer(number)) => number,
        _ => 0,
    };
    let mut writer = Writer {
        out: format!(
            "{MARK}if _PRESERVATION_VERSION and _PRESERVATION_VERSION ~= {version} then return end\nlocal T = {{}}\n"
        )
        .into_bytes(),
        seen: HashMap::new(),
        waiting: Vec::new(),
        tables: 0,
    };
    // Modules are made again by the script; the globals are where the rest is found.
    for pair in loaded.pairs::<Value, Value>() {
        if let (_, Value::Table(module)) = pair.map_err(|error| told(&error))? {
            writer.seen.insert(module.to_pointer().addr(), None);
        }
    }
    writer.seen.insert(globals.to_pointer().addr(), None);
    writer.entries("_G", &globals)?;
    while let Some((name, table)) = writer.waiting.pop() {
        writer.entries(&name, &table)?;
    }
    let mut out = writer.out;
    let sum = crc32c::crc32c(&out);
    out.extend_from_slice(format!("{CHECKSUM}{sum:08x}\n").as_bytes());
    Ok(out)
}

struct Writer {
    out: Vec<u8>,
    /// Tables and objects by address: how they are reached, `None` for those that are passed over.
    seen: HashMap<usize, Option<String>>,
    /// Tables whose entries are still to be written.
    waiting: Vec<(String, Table)>,
    tables: usize,
}

impl Writer {
    /// Writes what a table has; tables in it are written later.
    fn entries(&mut self, name: &str, table: &Table) -> Result<(), String> {
        for pair in table.pairs::<Value, Value>() {
            let (key, value) = pair.map_err(|error| told(&error))?;
            if name == "_G" && is_hosts(&key) {
                continue;
            }
            self.entry(name, &key, value)?;
            if self.out.len() > STATE_BYTES_MAX {
                return Err(format!("the state is larger than {STATE_BYTES_MAX} bytes"));
            }
        }
        Ok(())
    }

    fn entry(&mut self, name: &str, key: &Value, value: Value) -> Result<(), String> {
        match value {
            Value::Table(inner) if inner.metatable().is_none() => {
                let address = inner.to_pointer().addr();
                let reached = match self.seen.get(&address) {
                    Some(None) => return Ok(()),
                    Some(Some(reached)) => reached.clone(),
                    None => {
                        self.tables += 1;
                        let number = format!("T[{}]", self.tables);
                        self.out
                            .extend_from_slice(format!("{number} = {{}}\n").as_bytes());
                        self.seen.insert(address, Some(number.clone()));
                        self.waiting.push((number.clone(), inner));
                        number
                    }
                };
                self.assign(name, key, reached.as_bytes())
            }
            Value::UserData(object) => self.object(name, key, &object),
            Value::Boolean(truth) => self.assign(name, key, truth.to_string().as_bytes()),
            Value::Integer(number) => self.assign(name, key, number_text(number as f64).as_bytes()),
            Value::Number(number) => self.assign(name, key, number_text(number).as_bytes()),
            Value::String(text) => {
                let mut quoted = Vec::new();
                quote(&text.as_bytes(), &mut quoted);
                self.assign(name, key, &quoted)
            }
            _ => Ok(()),
        }
    }

    fn assign(&mut self, name: &str, key: &Value, value: &[u8]) -> Result<(), String> {
        self.place(name, key)?;
        self.out.extend_from_slice(b" = ");
        self.out.extend_from_slice(value);
        self.out.push(b'\n');
        Ok(())
    }

    /// Appends `name[key]`.
    fn place(&mut self, name: &str, key: &Value) -> Result<(), String> {
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(b'[');
        match key {
            Value::String(text) => quote(&text.as_bytes(), &mut self.out),
            Value::Integer(number) => {
                let text = number_text(*number as f64);
                self.out.extend_from_slice(text.as_bytes());
            }
            Value::Number(number) => {
                self.out.extend_from_slice(number_text(*number).as_bytes());
            }
            Value::Boolean(truth) => {
                self.out.extend_from_slice(truth.to_string().as_bytes());
            }
            other => {
                return Err(format!(
                    "serialize_data cannot preserve type '{}'",
                    other.type_name()
                ));
            }
        }
        self.out.push(b']');
        Ok(())
    }

    fn object(&mut self, name: &str, key: &Value, object: &AnyUserData) -> Result<(), String> {
        let address = object.to_pointer().addr();
        if let Some(reached) = self.seen.get(&address) {
            return match reached.clone() {
                Some(reached) => self.assign(name, key, reached.as_bytes()),
                None => Ok(()),
            };
        }
        let before = self.out.len();
        self.place(name, key)?;
        let place = self.out.split_off(before);
        let place = String::from_utf8_lossy(&place).into_owned();
        let out = &mut self.out;
        let done = objects::with(object, |known| known.preserve(&place, out));
        let kept = done == Some(true);
        if kept {
            if self.out.last() != Some(&b'\n') {
                self.out.push(b'\n');
            }
        } else {
            self.out.truncate(before);
        }
        self.seen.insert(address, kept.then_some(place));
        Ok(())
    }
}

fn told(error: &mlua::Error) -> String {
    crate::failure::describe_error(error)
}

fn is_hosts(key: &Value) -> bool {
    match key {
        Value::String(name) => HOSTS.iter().any(|one| name.as_bytes() == one.as_bytes()),
        _ => false,
    }
}

/// A number that Lua reads back as the same.
fn number_text(number: f64) -> String {
    match number {
        _ if number.is_nan() => "0/0".into(),
        f64::INFINITY => "1/0".into(),
        f64::NEG_INFINITY => "-1/0".into(),
        _ if number == number.trunc() && number.abs() < 1e15 => format!("{number:.0}"),
        _ => format!("{number:e}"),
    }
}

/// A text as Lua's `%q` writes it.
fn quote(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0 => out.extend_from_slice(b"\\000"),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Writes a file so that it has the name only once all of it is on the disk.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if let Err(error) = written.and_then(|()| fs::rename(&unfinished, path)) {
        // What is left of it has no meaning; that it cannot be removed either is no news.
        let _ = fs::remove_file(&unfinished);
        return Err(error);
    }
    File::open(folder)?.sync_all()
}

/// Reads a file; `None` where there is none.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(STATE_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)?;
    match bytes.len() > STATE_BYTES_MAX {
        true => Err(io::Error::other("the file is too large to be a state")),
        false => Ok(Some(bytes)),
    }
}

/// Whether a file that claims to be ours is whole.
fn check(bytes: &[u8]) -> Result<(), String> {
    if !bytes.starts_with(MARK.as_bytes()) {
        return Ok(());
    }
    let Some(body) = bytes.strip_suffix(b"\n") else {
        return Err("the file is cut off".into());
    };
    let last = memchr::memrchr(b'\n', body).map_or(0, |at| at + 1);
    let sum = format!("{CHECKSUM}{:08x}", crc32c::crc32c(&body[..last]));
    match &body[last..] == sum.as_bytes() {
        true => Ok(()),
        false => Err("the file is damaged: its checksum differs".into()),
    }
}

/// Heka writes zero bytes of filters and sketches into its texts as they are, where Luau sees the end of the file.
fn without_zeros(bytes: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(0, bytes).is_none() {
        return bytes.into();
    }
    let mut written = Vec::with_capacity(bytes.len() * 2);
    for part in bytes.split_inclusive(|&byte| byte == 0) {
        match part.strip_suffix(&[0]) {
            Some(before) => {
                written.extend_from_slice(before);
                written.extend_from_slice(b"\\000");
            }
            None => written.extend_from_slice(part),
        }
    }
    written.into()
}

/// Assigns what a file says to the globals, all or nothing.
pub(crate) fn restore(lua: &Lua, loaded: &Table, name: &str, bytes: &[u8]) -> Result<(), String> {
    check(bytes)?;
    let bytes = without_zeros(bytes);
    let program = Program::compile_state(name, &bytes).map_err(|error| error.to_string())?;
    let globals = lua.globals();
    let stage = || -> mlua::Result<(Table, Table)> {
        let staged = lua.create_table()?;
        let seen = lua.create_table()?;
        let behind = globals.clone();
        let index = lua.create_function(move |_, (_, key): (Value, Value)| {
            let value: Value = behind.raw_get(key)?;
            Ok(match value {
                Value::UserData(_) => value,
                _ => Value::Nil,
            })
        })?;
        seen.raw_set("__index", index)?;
        staged.set_metatable(Some(seen))?;
        let environment = lua.create_table()?;
        environment.raw_set("_G", &staged)?;
        let version: Value = globals.raw_get("_PRESERVATION_VERSION")?;
        environment.raw_set("_PRESERVATION_VERSION", version)?;
        for module in MODULES {
            environment.raw_set(module, loaded.raw_get::<Value>(module)?)?;
        }
        Ok((staged, environment))
    };
    let (staged, environment) = stage().map_err(|error| told(&error))?;
    let run = program.load(lua).and_then(|chunk| {
        chunk.set_environment(environment)?;
        chunk.call::<()>(())
    });
    run.map_err(|error| told(&error))?;
    for pair in staged.pairs::<Value, Value>() {
        let (key, value) = pair.map_err(|error| told(&error))?;
        if !is_hosts(&key) {
            globals.raw_set(key, value).map_err(|error| told(&error))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_read_back_as_they_were() {
        let lua = Lua::new();
        for number in [0.1, -0.0, 1e300, 5e-324, 123456789012345680.0, -7.0, 1e15] {
            let back: f64 = lua
                .load(format!("return {}", number_text(number)))
                .eval()
                .expect("a number");
            assert_eq!(back.to_bits(), number.to_bits(), "{number:e}");
        }
        let text: Vec<u8> = (0..=255).chain(*b"0123").collect();
        let mut source = b"return ".to_vec();
        quote(&text, &mut source);
        let back: mlua::LuaString = lua.load(&source[..]).eval().expect("a text");
        assert_eq!(&back.as_bytes()[..], &text[..]);
    }

    #[test]
    fn damage_is_seen_and_hekas_files_have_no_checksum() {
        let lua = Lua::new();
        let bytes = write_state(&lua, &lua.create_table().expect("memory")).expect("a state");
        assert_eq!(check(&bytes), Ok(()));
        for at in MARK.len()..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            assert!(check(&damaged).is_err(), "byte {at}");
            assert!(check(&bytes[..at]).is_err(), "cut at {at}");
        }
        assert_eq!(check(b"_G[\"a\"] = 1\n"), Ok(()));
    }

    #[test]
    fn hekas_filters_have_any_bytes_in_their_texts() {
        let script = crate::scripts::Script::new();
        script.run("bf = bloom_filter.new(214, 0.01)");
        let loaded = script.0.create_table().expect("memory");
        let module: Value = script.0.globals().get("bloom_filter").expect("the module");
        loaded.raw_set("bloom_filter", module).expect("memory");
        // Four bytes are escaped, all others stand for themselves, zeros and digits behind them too.
        let mut file = b"if _G[\"bf\"] == nil then _G[\"bf\"] = bloom_filter.new(214, 0.01) end\n_G[\"bf\"]:fromstring(7, \"".to_vec();
        for byte in [0, b'0'].into_iter().chain(3..=255).chain([b'\\', 0]) {
            match byte {
                b'\n' => file.extend_from_slice(b"\\n"),
                b'\r' => file.extend_from_slice(b"\\r"),
                b'"' | b'\\' => file.extend_from_slice(&[b'\\', byte]),
                _ => file.push(byte),
            }
        }
        file.extend_from_slice(b"\")\n");
        restore(&script.0, &loaded, "preserved", &file).expect("Heka's file");
        let preserved = script.preserved("bf");
        assert_eq!(script.value("bf:count()"), "7");
        assert_eq!(script.restored("bf").preserved("bf"), preserved);
        assert!(
            preserved.ends_with(b"\xfe\xff\\\\\\0\")\n"),
            "{}",
            preserved.escape_ascii()
        );
    }

    #[test]
    fn files_are_replaced_as_a_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/er/x.data");
        assert!(read(&path).expect("readable").is_none());
        for text in ["one", "three"] {
            replace(&path, text.as_bytes()).expect("writable");
            assert_eq!(
                read(&path).expect("readable").as_deref(),
                Some(text.as_bytes())
            );
        }
        let names = fs::read_dir(path.parent().expect("a folder")).expect("readable");
        assert_eq!(names.count(), 1);
    }
}
