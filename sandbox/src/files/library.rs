//! The functions of `io` and the methods of its files.
//!
//! Owns:    `io.open` and its relatives, the default input and output, the userdata `FILE*`.
//! Runs on: the shard of the plugin, or the thread of an input.            Plane: data.
//! Bounds:  see `files`.
//! Never:   leaves a stream open that the script has dropped.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};
use std::rc::Rc;

use mlua::{
    AnyUserData, Function, IntoLua, Lua, LuaString, MetaMethod, MultiValue, Table, UserData,
    UserDataMethods, Value,
};

use super::stream::{Buffering, Stream};
use super::{failure, read_bytes_max};

/// A file of a script; `None` once it is closed.
struct FileObject {
    stream: Option<Stream>,
    /// Standard streams stay open.
    standard: bool,
}

/// The default input and output.
struct Defaults {
    input: AnyUserData,
    output: AnyUserData,
}

type Shared = Rc<RefCell<Defaults>>;

/// Makes the library.
pub(crate) fn open(lua: &Lua) -> mlua::Result<Table> {
    let standard = |stream: Stream| {
        lua.create_userdata(FileObject {
            stream: Some(stream),
            standard: true,
        })
    };
    let (stdin, stdout) = (standard(Stream::stdin())?, standard(Stream::stdout())?);
    let library = lua.create_table()?;
    library.raw_set("stdin", &stdin)?;
    library.raw_set("stdout", &stdout)?;
    library.raw_set("stderr", standard(Stream::stderr())?)?;
    let shared = Rc::new(RefCell::new(Defaults {
        input: stdin,
        output: stdout,
    }));
    library.raw_set("open", lua.create_function(open_file)?)?;
    library.raw_set("popen", lua.create_function(open_command)?)?;
    library.raw_set("tmpfile", lua.create_function(temporary)?)?;
    library.raw_set("type", lua.create_function(|_, value| Ok(type_of(&value)))?)?;
    library.raw_set("lines", lines(lua, &shared)?)?;
    library.raw_set("close", close(lua, &shared)?)?;
    library.raw_set("read", read(lua, &shared)?)?;
    library.raw_set("write", write(lua, &shared)?)?;
    library.raw_set("flush", flush(lua, &shared)?)?;
    library.raw_set("input", default(lua, &shared, true)?)?;
    library.raw_set("output", default(lua, &shared, false)?)?;
    Ok(library)
}

fn input(shared: &Shared) -> AnyUserData {
    shared.borrow().input.clone()
}

fn output(shared: &Shared) -> AnyUserData {
    shared.borrow().output.clone()
}

fn new_file(lua: &Lua, stream: Stream) -> mlua::Result<AnyUserData> {
    lua.create_userdata(FileObject {
        stream: Some(stream),
        standard: false,
    })
}

/// A file by name and mode, as C's `fopen`.
fn open_path(path: &LuaString, mode: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    match mode.trim_end_matches('b').replace("b+", "+").as_str() {
        "r" => options.read(true),
        "w" => options.write(true).create(true).truncate(true),
        "a" => options.append(true).create(true),
        "r+" => options.read(true).write(true),
        "w+" => options.read(true).write(true).create(true).truncate(true),
        "a+" => options.read(true).append(true).create(true),
        _ => return Err(nix::errno::Errno::EINVAL.into()),
    };
    options.open(OsStr::from_bytes(&path.as_bytes()))
}

fn open_file(lua: &Lua, (path, mode): (LuaString, Option<String>)) -> mlua::Result<MultiValue> {
    match open_path(&path, mode.as_deref().unwrap_or("r")) {
        Ok(file) => one(Value::UserData(new_file(lua, Stream::file(file))?)),
        Err(error) => failure(lua, error, Some(&path.to_string_lossy())),
    }
}

fn open_command(lua: &Lua, (text, mode): (LuaString, Option<String>)) -> mlua::Result<MultiValue> {
    let mut command = Command::new("sh");
    command.arg("-c").arg(OsStr::from_bytes(&text.as_bytes()));
    match mode.as_deref().unwrap_or("r") {
        "r" => command.stdout(Stdio::piped()),
        "w" => command.stdin(Stdio::piped()),
        _ => {
            let error = nix::errno::Errno::EINVAL.into();
            return failure(lua, error, Some(&text.to_string_lossy()));
        }
    };
    match command.spawn().map(Stream::command) {
        Ok(Some(stream)) => one(Value::UserData(new_file(lua, stream)?)),
        Ok(None) => failure(lua, ErrorKind::BrokenPipe.into(), None),
        Err(error) => failure(lua, error, Some(&text.to_string_lossy())),
    }
}

fn temporary(lua: &Lua, (): ()) -> mlua::Result<MultiValue> {
    // The file has no name from the start, so it is gone with the last one who has it open.
    let made = nix::fcntl::open(
        &std::env::temp_dir(),
        nix::fcntl::OFlag::O_TMPFILE | nix::fcntl::OFlag::O_RDWR | nix::fcntl::OFlag::O_CLOEXEC,
        nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR,
    );
    match made {
        Ok(file) => one(Value::UserData(new_file(lua, Stream::file(file.into()))?)),
        Err(error) => failure(lua, error.into(), None),
    }
}

fn type_of(value: &Value) -> Option<&'static str> {
    match value {
        Value::UserData(object) => {
            let file = object.borrow::<FileObject>().ok()?;
            Some(match file.stream {
                Some(_) => "file",
                None => "closed file",
            })
        }
        _ => None,
    }
}

fn one(value: Value) -> mlua::Result<MultiValue> {
    Ok(MultiValue::from_iter([value]))
}

/// Does something with the stream of a file that must be open.
fn with_stream<R>(
    file: &AnyUserData,
    work: impl FnOnce(&mut Stream) -> mlua::Result<R>,
) -> mlua::Result<R> {
    let mut file = file
        .borrow_mut::<FileObject>()
        .map_err(|_| mlua::Error::runtime("bad argument #1 (FILE* expected)"))?;
    match &mut file.stream {
        Some(stream) => work(stream),
        None => Err(mlua::Error::runtime("attempt to use a closed file")),
    }
}

fn close_file(lua: &Lua, file: &AnyUserData) -> mlua::Result<MultiValue> {
    let mut file = file.borrow_mut::<FileObject>()?;
    if file.standard {
        return failure(lua, io::Error::other("cannot close standard file"), None);
    }
    match file.stream.take() {
        None => Err(mlua::Error::runtime("attempt to use a closed file")),
        Some(stream) => done(lua, stream.close()),
    }
}

fn done(lua: &Lua, result: io::Result<()>) -> mlua::Result<MultiValue> {
    match result {
        Ok(()) => one(Value::Boolean(true)),
        Err(error) => failure(lua, error, None),
    }
}

/// Reads what the formats say, up to the first that finds nothing.
fn read_formats(lua: &Lua, file: &AnyUserData, formats: &[Value]) -> mlua::Result<MultiValue> {
    let line = [Value::Nil];
    let formats = if formats.is_empty() { &line } else { formats };
    let mut values = Vec::new();
    for (at, format) in formats.iter().enumerate() {
        let read = with_stream(file, |stream| read_format(lua, stream, format, at))?;
        match read {
            Ok(value) => {
                let last = value.is_nil();
                values.push(value);
                if last {
                    break;
                }
            }
            Err(error) if error.kind() == ErrorKind::OutOfMemory => {
                return Err(mlua::Error::MemoryError("not enough memory".into()));
            }
            Err(error) => return failure(lua, error, None),
        }
    }
    Ok(MultiValue::from_iter(values))
}

fn read_format(
    lua: &Lua,
    stream: &mut Stream,
    format: &Value,
    at: usize,
) -> mlua::Result<io::Result<Value>> {
    let mut bytes = Vec::new();
    let limit = read_bytes_max(lua);
    let read = match format {
        Value::Integer(_) | Value::Number(_) => {
            let count = number(format).max(0.0) as usize;
            match count {
                0 => stream.peek().map(|next| next.is_some()),
                _ if count > limit => Err(ErrorKind::OutOfMemory.into()),
                _ => stream.read(count, &mut bytes),
            }
        }
        Value::Nil => stream.read_line(limit, &mut bytes),
        Value::String(text) => match text.as_bytes().get(..2) {
            Some(b"*l") => stream.read_line(limit, &mut bytes),
            Some(b"*n") => return Ok(read_number(stream)),
            Some(b"*a") => match stream.read(limit + 1, &mut bytes) {
                Ok(_) if bytes.len() > limit => Err(ErrorKind::OutOfMemory.into()),
                other => other.map(|_| true),
            },
            _ => return Err(bad_format(at, "invalid format")),
        },
        _ => return Err(bad_format(at, "invalid option")),
    };
    match read {
        Ok(true) => Ok(Ok(lua.create_string(bytes)?.into_lua(lua)?)),
        Ok(false) => Ok(Ok(Value::Nil)),
        Err(error) => Ok(Err(error)),
    }
}

/// A number as Lua knows it: mlua tells whole ones apart.
fn number(value: &Value) -> f64 {
    match value {
        Value::Integer(number) => *number as f64,
        Value::Number(number) => *number,
        _ => 0.0,
    }
}

fn bad_format(at: usize, why: &str) -> mlua::Error {
    mlua::Error::runtime(format!("bad argument #{} to 'read' ({why})", at + 1))
}

/// A number, after white space; nil where there is none.
fn read_number(stream: &mut Stream) -> io::Result<Value> {
    /// No number is longer.
    const DIGITS_MAX: usize = 200;
    let mut text = Vec::new();
    while let Some(next) = stream.peek()? {
        let belongs = next.is_ascii_alphanumeric() || matches!(next, b'+' | b'-' | b'.');
        if text.is_empty() && next.is_ascii_whitespace() {
            stream.skip();
        } else if belongs && text.len() < DIGITS_MAX {
            stream.skip();
            text.push(next);
        } else {
            break;
        }
    }
    Ok(crate::number::parse(&text).map_or(Value::Nil, Value::Number))
}

/// Writes texts and numbers.
fn write_all(lua: &Lua, file: &AnyUserData, values: &[Value]) -> mlua::Result<MultiValue> {
    for (at, value) in values.iter().enumerate() {
        let written = match value {
            Value::String(text) => with_stream(file, |to| Ok(to.write(&text.as_bytes())))?,
            Value::Integer(_) | Value::Number(_) => {
                let text = crate::number::format(number(value));
                with_stream(file, |to| Ok(to.write(text.as_bytes())))?
            }
            other => {
                return Err(mlua::Error::runtime(format!(
                    "bad argument #{} to 'write' (string expected, got {})",
                    at + 1,
                    other.type_name()
                )));
            }
        };
        if let Err(error) = written {
            return failure(lua, error, None);
        }
    }
    one(Value::Boolean(true))
}

/// An iterator over the lines of a file.
fn line_iterator(lua: &Lua, file: AnyUserData, closes: bool) -> mlua::Result<Function> {
    lua.create_function(move |lua, _: MultiValue| {
        let mut values = read_formats(lua, &file, &[])?;
        if values.len() > 1 {
            let text = values.get(1).map(Value::to_string).transpose()?;
            return Err(mlua::Error::runtime(text.unwrap_or_default()));
        }
        let value = values.pop_front().unwrap_or(Value::Nil);
        if closes && value.is_nil() {
            close_file(lua, &file)?;
        }
        Ok(value)
    })
}

fn lines(lua: &Lua, shared: &Shared) -> mlua::Result<Function> {
    let shared = Rc::clone(shared);
    lua.create_function(move |lua, path: Option<LuaString>| match path {
        None => line_iterator(lua, input(&shared), false),
        Some(path) => match open_path(&path, "r") {
            Ok(file) => line_iterator(lua, new_file(lua, Stream::file(file))?, true),
            Err(error) => Err(cannot_open(&path, error)),
        },
    })
}

fn cannot_open(path: &LuaString, error: io::Error) -> mlua::Error {
    let why = super::Failed::from(error).text;
    mlua::Error::runtime(format!("{}: {why}", path.to_string_lossy()))
}

fn close(lua: &Lua, shared: &Shared) -> mlua::Result<Function> {
    let shared = Rc::clone(shared);
    lua.create_function(move |lua, file: Option<AnyUserData>| {
        close_file(lua, &file.unwrap_or_else(|| output(&shared)))
    })
}

fn read(lua: &Lua, shared: &Shared) -> mlua::Result<Function> {
    let shared = Rc::clone(shared);
    lua.create_function(move |lua, formats: MultiValue| {
        let formats: Vec<Value> = formats.into_iter().collect();
        read_formats(lua, &input(&shared), &formats)
    })
}

fn write(lua: &Lua, shared: &Shared) -> mlua::Result<Function> {
    let shared = Rc::clone(shared);
    lua.create_function(move |lua, values: MultiValue| {
        let values: Vec<Value> = values.into_iter().collect();
        write_all(lua, &output(&shared), &values)
    })
}

fn flush(lua: &Lua, shared: &Shared) -> mlua::Result<Function> {
    let shared = Rc::clone(shared);
    lua.create_function(move |lua, ()| {
        let flushed = with_stream(&output(&shared), |stream| Ok(stream.flush()))?;
        done(lua, flushed)
    })
}

/// `io.input` and `io.output`: the default, or another one by name or file.
fn default(lua: &Lua, shared: &Shared, is_input: bool) -> mlua::Result<Function> {
    let shared = Rc::clone(shared);
    lua.create_function(move |lua, given: Option<Value>| {
        let file = match given {
            None | Some(Value::Nil) => None,
            Some(Value::UserData(file)) if file.is::<FileObject>() => Some(file),
            Some(Value::String(path)) => {
                let mode = if is_input { "r" } else { "w" };
                let file = open_path(&path, mode).map_err(|error| cannot_open(&path, error))?;
                Some(new_file(lua, Stream::file(file))?)
            }
            Some(other) => {
                return Err(mlua::Error::runtime(format!(
                    "bad argument #1 (FILE* expected, got {})",
                    other.type_name()
                )));
            }
        };
        let mut defaults = shared.borrow_mut();
        let place = match is_input {
            true => &mut defaults.input,
            false => &mut defaults.output,
        };
        if let Some(file) = file {
            *place = file;
        }
        Ok(place.clone())
    })
}

impl UserData for FileObject {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_function("close", |lua, file: AnyUserData| close_file(lua, &file));
        methods.add_function("read", |lua, (file, formats): (AnyUserData, MultiValue)| {
            let formats: Vec<Value> = formats.into_iter().collect();
            read_formats(lua, &file, &formats)
        });
        methods.add_function("write", |lua, (file, values): (AnyUserData, MultiValue)| {
            let values: Vec<Value> = values.into_iter().collect();
            write_all(lua, &file, &values)
        });
        methods.add_function("lines", |lua, file: AnyUserData| {
            with_stream(&file, |_| Ok(()))?;
            line_iterator(lua, file, false)
        });
        methods.add_function("flush", |lua, file: AnyUserData| {
            let flushed = with_stream(&file, |stream| Ok(stream.flush()))?;
            done(lua, flushed)
        });
        methods.add_function("seek", seek);
        methods.add_function(
            "setvbuf",
            |lua, (file, mode, _size): (AnyUserData, String, Option<f64>)| {
                let buffering = match mode.as_str() {
                    "no" => Buffering::No,
                    "line" => Buffering::Line,
                    "full" => Buffering::Full,
                    other => {
                        return Err(mlua::Error::runtime(format!(
                            "bad argument #1 to 'setvbuf' (invalid option '{other}')"
                        )));
                    }
                };
                let set = with_stream(&file, |stream| Ok(stream.set_buffering(buffering)))?;
                done(lua, set)
            },
        );
        methods.add_meta_function(MetaMethod::ToString, |_, file: AnyUserData| {
            let open = file.borrow::<FileObject>()?.stream.is_some();
            Ok(match open {
                true => format!("file ({:p})", file.to_pointer()),
                false => "file (closed)".to_owned(),
            })
        });
    }
}

fn seek(
    lua: &Lua,
    (file, whence, offset): (AnyUserData, Option<String>, Option<f64>),
) -> mlua::Result<MultiValue> {
    let offset = offset.unwrap_or(0.0) as i64;
    let to = match whence.as_deref().unwrap_or("cur") {
        "set" if offset < 0 => {
            return failure(lua, nix::errno::Errno::EINVAL.into(), None);
        }
        "set" => SeekFrom::Start(offset as u64),
        "cur" => SeekFrom::Current(offset),
        "end" => SeekFrom::End(offset),
        other => {
            return Err(mlua::Error::runtime(format!(
                "bad argument #1 to 'seek' (invalid option '{other}')"
            )));
        }
    };
    match with_stream(&file, |stream| Ok(stream.seek(to)))? {
        Ok(at) => one(Value::Number(at as f64)),
        Err(error) => failure(lua, error, None),
    }
}
