//! `socket.select`: which of some sockets can be read from, or written to.
//!
//! Owns:    the wait for several objects.
//! Runs on: the thread of an input or output.            Plane: data.
//! Bounds:  the tables that are handed in.
//! Never:   waits while an object has something that it has read already.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use mlua::{Function, IntoLuaMulti, Lua, MultiValue, ObjectLike, Table, Value};
use rustix::event::{PollFd, PollFlags};

use super::arguments::Given;
use super::descriptors;
use super::wait::{Failure, Patience, any_ready};

/// An object of a list that has a socket.
struct Waiting {
    object: Value,
    socket: Rc<OwnedFd>,
    /// It has read more than it has handed out.
    dirty: bool,
}

/// Calls a method of any object; nil where it has none.
fn call(object: &Value, method: &str) -> mlua::Result<Value> {
    let function: Value = match object {
        Value::UserData(object) => object.get(method)?,
        Value::Table(object) => object.get(method)?,
        _ => Value::Nil,
    };
    match function {
        Value::Function(function) => Function::call(&function, object),
        _ => Ok(Value::Nil),
    }
}

/// The objects of a list that have a socket; others are not waited for.
fn collect(given: &Given<'_>, at: usize, asks_dirty: bool) -> mlua::Result<Vec<Waiting>> {
    let mut waiting = Vec::new();
    if !given.has(at) {
        return Ok(waiting);
    }
    for object in given.table(at)?.sequence_values::<Value>() {
        let object = object?;
        let number = match call(&object, "getfd")? {
            Value::Integer(number) => number as f64,
            Value::Number(number) => number,
            _ => continue,
        };
        let Some(socket) = descriptors::find(given.lua, number) else {
            continue;
        };
        let dirty =
            asks_dirty && !matches!(call(&object, "dirty")?, Value::Nil | Value::Boolean(false));
        waiting.push(Waiting {
            object,
            socket,
            dirty,
        });
    }
    Ok(waiting)
}

/// A list of objects that can also be asked for an object.
fn list<'w>(lua: &Lua, objects: impl Iterator<Item = &'w Value>) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    for (at, object) in objects.enumerate() {
        table.raw_set(at + 1, object)?;
        table.raw_set(object, at + 1)?;
    }
    Ok(table)
}

/// Objects that can be read from, objects that can be written to, and "timeout" where there is neither.
pub(super) fn select(given: &Given<'_>) -> mlua::Result<MultiValue> {
    let lua = given.lua;
    let readers = collect(given, 1, true)?;
    let writers = collect(given, 2, false)?;
    let seconds = given.number_or(3, -1.0)?;
    let dirty = readers.iter().any(|reader| reader.dirty);
    let mut sockets: Vec<PollFd<'_>> = Vec::with_capacity(readers.len() + writers.len());
    for (waiting, what) in [(&readers, PollFlags::IN), (&writers, PollFlags::OUT)] {
        let polled = waiting.iter().map(|one| PollFd::new(&*one.socket, what));
        sockets.extend(polled);
    }
    let patience = Patience::of(if dirty { 0.0 } else { seconds });
    let timed_out = match any_ready(lua, &mut sockets, &patience) {
        Ok(_) => false,
        Err(Failure::Timeout) => !dirty,
        Err(Failure::System(_)) => return Err(mlua::Error::runtime("select failed")),
        Err(failure) => return Err(failure.raised()),
    };
    let (of_readers, of_writers) = sockets.split_at(readers.len());
    let ready = |polled: &PollFd<'_>| !polled.revents().is_empty();
    let first = readers.iter().filter(|one| one.dirty);
    let second = readers.iter().zip(of_readers);
    let second = second.filter(|(one, polled)| !one.dirty && ready(polled));
    let readable = first.chain(second.map(|(one, _)| one));
    let writable = writers.iter().zip(of_writers);
    let writable = writable.filter(|(_, polled)| ready(polled));
    let readable = list(lua, readable.map(|one| &one.object))?;
    let writable = list(lua, writable.map(|(one, _)| &one.object))?;
    match timed_out {
        true => (readable, writable, "timeout").into_lua_multi(lua),
        false => (readable, writable).into_lua_multi(lua),
    }
}
