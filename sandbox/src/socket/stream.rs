//! Connections: the objects `tcp{master}`, `tcp{client}` and `tcp{server}`.
//!
//! Owns:    what scripts do with sockets of TCP, and what was read ahead of a connection.
//! Runs on: the thread of an input or output.            Plane: data.
//! Bounds:  `BUFFER_BYTES` are read ahead; a call gathers at most the script's memory.
//! Never:   loses what came before a failure: it is handed out beside the failure's text.

use std::time::Instant;

use mlua::{
    AnyUserData, IntoLuaMulti, Lua, MetaMethod, MultiValue, Table, UserData, UserDataFields,
    UserDataMethods, UserDataRefMut, Value,
};
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{
    RecvFlags, SendFlags, Shutdown, SocketFlags, accept_with, listen, recv, send, shutdown,
};

use super::address::{End, Family};
use super::arguments::{Function, Given, add, add_methods, shown};
use super::descriptors::Descriptor;
use super::options;
use super::wait::{Failure, Patience, done, failed, until_done};
use crate::clock;
use crate::files::read_bytes_max;

/// Bytes that are read ahead, and sent at once.
pub(super) const BUFFER_BYTES: usize = 8192;

/// Connections that wait to be accepted, where the script does not say.
const BACKLOG_DEFAULT: f64 = 32.0;

/// What the object can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Neither side of a connection yet.
    Master,
    /// One side of a connection.
    Client,
    /// Where connections come in.
    Server,
}

impl Class {
    fn name(self) -> &'static str {
        match self {
            Class::Master => "tcp{master}",
            Class::Client => "tcp{client}",
            Class::Server => "tcp{server}",
        }
    }
}

/// A socket of TCP.
struct Stream {
    class: Class,
    end: End,
    patience: Patience,
    /// Read ahead; handed out up to `taken`.
    ahead: Vec<u8>,
    taken: usize,
    received: f64,
    sent: f64,
    /// When it was made, and how much older it is told to be.
    born: Instant,
    older: f64,
}

const METHODS: &[(&str, Function)] = &[
    ("accept", accept),
    ("bind", bind),
    ("close", close),
    ("connect", connect),
    ("dirty", dirty),
    ("getfamily", family),
    ("getfd", number),
    ("getoption", option),
    ("getpeername", peer_name),
    ("getsockname", own_name),
    ("getstats", stats),
    ("gettimeout", timeout),
    ("listen", start_listening),
    ("receive", receive),
    ("send", send_text),
    ("setfd", set_number),
    ("setoption", set_option),
    ("setpeername", connect),
    ("setsockname", bind),
    ("setstats", set_stats),
    ("settimeout", set_timeout),
    ("shutdown", end),
];

impl UserData for Stream {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("class", |_, stream| Ok(stream.class.name()));
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        add_methods(methods, METHODS);
        methods.add_meta_function(MetaMethod::ToString, |_, object: AnyUserData| {
            let class = object.borrow::<Stream>()?.class.name();
            Ok(shown(class, &object))
        });
    }
}

/// `tcp`, `tcp4`, `tcp6` and `connect`.
pub(super) fn add_functions(lua: &Lua, module: &Table) -> mlua::Result<()> {
    add(lua, module, "tcp", |given| create(given, None))?;
    add(lua, module, "tcp4", |given| {
        create(given, Some(Family::Inet))
    })?;
    add(lua, module, "tcp6", |given| {
        create(given, Some(Family::Inet6))
    })?;
    add(lua, module, "connect", connect_at_once)
}

impl Stream {
    fn new(class: Class) -> Stream {
        Stream {
            class,
            end: End::default(),
            patience: Patience::endless(),
            ahead: Vec::new(),
            taken: 0,
            received: 0.0,
            sent: 0.0,
            born: clock::moment(),
            older: 0.0,
        }
    }

    fn is_dirty(&self) -> bool {
        self.taken < self.ahead.len()
    }

    /// What was read ahead; waits for more where that is nothing.
    fn next(&mut self, lua: &Lua) -> Result<&[u8], Failure> {
        if !self.is_dirty() {
            let socket = self.end.descriptor.get()?;
            self.taken = 0;
            self.ahead.resize(BUFFER_BYTES, 0);
            let ahead = &mut self.ahead;
            let got = until_done(lua, socket, PollFlags::IN, &self.patience, || {
                recv(socket, &mut ahead[..], RecvFlags::empty()).map(|(_, got)| got)
            });
            self.ahead.truncate(*got.as_ref().unwrap_or(&0));
            if got? == 0 {
                return Err(Failure::Closed);
            }
        }
        Ok(&self.ahead[self.taken..])
    }

    /// Hands out so much of what was read ahead.
    fn take(&mut self, bytes: usize) {
        self.taken += bytes;
        self.received += bytes as f64;
    }

    /// Appends a line without what ends it; carriage returns in it are left out.
    fn read_line(&mut self, lua: &Lua, limit: usize, out: &mut Vec<u8>) -> Result<(), Failure> {
        loop {
            let ahead = self.next(lua)?;
            let end = memchr::memchr(b'\n', ahead);
            let line = &ahead[..end.unwrap_or(ahead.len())];
            let taken = line.len() + usize::from(end.is_some());
            out.extend(line.iter().filter(|&&byte| byte != b'\r'));
            self.take(taken);
            within(limit, out)?;
            if end.is_some() {
                return Ok(());
            }
        }
    }

    /// Appends all that comes until the other side ends.
    fn read_all(&mut self, lua: &Lua, limit: usize, out: &mut Vec<u8>) -> Result<(), Failure> {
        let before = out.len();
        loop {
            match self.next(lua) {
                Ok(ahead) => {
                    out.extend_from_slice(ahead);
                    let taken = ahead.len();
                    self.take(taken);
                    within(limit, out)?;
                }
                Err(Failure::Closed) if out.len() > before => return Ok(()),
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Appends so many bytes; none still waits until some could be had, as LuaSocket does.
    fn read_bytes(
        &mut self,
        lua: &Lua,
        limit: usize,
        wanted: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let mut left = wanted;
        loop {
            let ahead = self.next(lua)?;
            let taken = ahead.len().min(left);
            out.extend_from_slice(&ahead[..taken]);
            self.take(taken);
            within(limit, out)?;
            left -= taken;
            if left == 0 {
                return Ok(());
            }
        }
    }

    /// Sends; answers how much of it went.
    fn write(&mut self, lua: &Lua, bytes: &[u8]) -> (usize, Result<(), Failure>) {
        let mut gone = 0;
        while gone < bytes.len() {
            let step = &bytes[gone..bytes.len().min(gone + BUFFER_BYTES)];
            let put = self.end.descriptor.get().and_then(|socket| {
                until_done(lua, socket, PollFlags::OUT, &self.patience, || {
                    send(socket, step, SendFlags::NOSIGNAL)
                })
            });
            match put {
                Ok(put) => {
                    gone += put;
                    self.sent += put as f64;
                }
                Err(Failure::System(Errno::PIPE)) => return (gone, Err(Failure::Closed)),
                Err(failure) => return (gone, Err(failure)),
            }
        }
        (gone, Ok(()))
    }
}

fn within(limit: usize, gathered: &[u8]) -> Result<(), Failure> {
    match gathered.len() > limit {
        true => Err(Failure::Memory),
        false => Ok(()),
    }
}

/// The object of a method that any has.
fn any(given: &Given<'_>) -> mlua::Result<UserDataRefMut<Stream>> {
    given
        .object()
        .ok_or_else(|| given.refuse_object("tcp{any}"))
}

/// The object of a method that only some have.
fn of(given: &Given<'_>, class: Class) -> mlua::Result<UserDataRefMut<Stream>> {
    let stream = given
        .object()
        .filter(|stream: &UserDataRefMut<Stream>| stream.class == class);
    stream.ok_or_else(|| given.refuse_object(class.name()))
}

fn create(given: &Given<'_>, family: Option<Family>) -> mlua::Result<MultiValue> {
    let mut stream = Stream::new(Class::Master);
    stream.end.inet_first = true;
    if let Some(family) = family {
        stream.end.family = Some(family);
        if let Err(failure) = stream.end.create(given.lua, family) {
            return failed(given.lua, failure);
        }
    }
    given.lua.create_userdata(stream)?.into_lua_multi(given.lua)
}

/// `connect(address, port, local address, local port, family)`.
fn connect_at_once(given: &Given<'_>) -> mlua::Result<MultiValue> {
    let lua = given.lua;
    let (host, service) = (given.name(1)?, given.name(2)?);
    let own_host = given.text_or_none(3)?.map(|name| name.to_string_lossy());
    let own_service = match given.has(4) {
        true => given.name(4)?,
        false => "0".to_owned(),
    };
    let families = [
        ("unspec", None),
        ("inet", Some(Family::Inet)),
        ("inet6", Some(Family::Inet6)),
    ];
    let mut stream = Stream::new(Class::Client);
    stream.end.family = given.word(5, None, &families)?;
    let bound = match own_host {
        Some(own_host) => stream.end.bind(lua, &own_host, &own_service),
        None => Ok(()),
    };
    let connected = bound.and_then(|()| {
        stream
            .end
            .connect(lua, &host, &service, &mut stream.patience)
    });
    match connected {
        Ok(()) => lua.create_userdata(stream)?.into_lua_multi(lua),
        Err(failure) => failed(lua, failure),
    }
}

fn accept(given: &Given<'_>) -> mlua::Result<MultiValue> {
    let lua = given.lua;
    let mut server = of(given, Class::Server)?;
    server.patience.begin();
    let accepted = server.end.descriptor.get().and_then(|socket| {
        until_done(lua, socket, PollFlags::IN, &server.patience, || {
            match accept_with(socket, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                // Gone before it was taken: the next one.
                Err(Errno::CONNABORTED) => Err(Errno::AGAIN),
                other => other,
            }
        })
    });
    match accepted {
        Ok(socket) => {
            let mut client = Stream::new(Class::Client);
            client.end.descriptor = Descriptor::new(lua, socket);
            client.end.family = server.end.family;
            lua.create_userdata(client)?.into_lua_multi(lua)
        }
        Err(failure) => failed(lua, failure),
    }
}

fn bind(given: &Given<'_>) -> mlua::Result<MultiValue> {
    let mut stream = of(given, Class::Master)?;
    let (host, service) = (given.name(1)?, given.name(2)?);
    done(given.lua, stream.end.bind(given.lua, &host, &service))
}

fn connect(given: &Given<'_>) -> mlua::Result<MultiValue> {
    let mut stream = any(given)?;
    let (host, service) = (given.name(1)?, given.name(2)?);
    let Stream {
        class,
        end,
        patience,
        ..
    } = &mut *stream;
    patience.begin();
    let connected = end.connect(given.lua, &host, &service, patience);
    // Even after a failure: it may be on its way, without anybody waiting.
    *class = Class::Client;
    done(given.lua, connected)
}

fn start_listening(given: &Given<'_>) -> mlua::Result<MultiValue> {
    let mut stream = of(given, Class::Master)?;
    let backlog = given.number_or(1, BACKLOG_DEFAULT)? as i32;
    let listening = stream.end.descriptor.get_known();
    let listening = listening.and_then(|socket| Ok(listen(socket, backlog)?));
    if listening.is_ok() {
        stream.class = Class::Server;
    }
    done(given.lua, listening)
}

/// `receive(pattern, prefix)`.
fn receive(given: &Given<'_>) -> mlua::Result<MultiValue> {
    const BAD: &str = "invalid receive pattern";
    let lua = given.lua;
    let mut stream = of(given, Class::Client)?;
    let limit = read_bytes_max(lua);
    let mut out = match given.text_or_none(2)? {
        Some(prefix) => prefix.as_bytes().to_vec(),
        None => Vec::new(),
    };
    stream.patience.begin();
    let read = if let Some(wanted) = given.as_number(1) {
        if wanted.is_nan() || wanted < 0.0 {
            return Err(given.refuse(1, BAD));
        }
        let wanted = wanted as usize;
        if out.is_empty() || wanted > out.len() {
            let missing = wanted - out.len();
            stream.read_bytes(lua, limit, missing, &mut out)
        } else {
            Ok(())
        }
    } else {
        let pattern = given.text_or_none(1)?;
        let pattern = pattern.as_ref().map(|pattern| pattern.as_bytes());
        match pattern.as_deref() {
            None => stream.read_line(lua, limit, &mut out),
            Some(pattern) if pattern.starts_with(b"*l") => stream.read_line(lua, limit, &mut out),
            Some(pattern) if pattern.starts_with(b"*a") => stream.read_all(lua, limit, &mut out),
            Some(_) => return Err(given.refuse(1, BAD)),
        }
    };
    match read {
        Ok(()) => (lua.create_string(&out)?, Value::Nil, Value::Nil).into_lua_multi(lua),
        Err(failure) => {
            let text = failure.told()?;
            (Value::Nil, text, lua.create_string(&out)?).into_lua_multi(lua)
        }
    }
}

/// `send(text, first, last)`.
fn send_text(given: &Given<'_>) -> mlua::Result<MultiValue> {
    let lua = given.lua;
    let mut stream = of(given, Class::Client)?;
    let text = given.text(1)?;
    let text = text.as_bytes();
    let size = text.len() as i64;
    let from_end = |place: i64| match place < 0 {
        true => size + place + 1,
        false => place,
    };
    let first = from_end(given.number_or(2, 1.0)? as i64).max(1);
    let last = from_end(given.number_or(3, -1.0)? as i64).min(size);
    stream.patience.begin();
    let (gone, written) = match first <= last {
        true => stream.write(lua, &text[first as usize - 1..last as usize]),
        false => (0, Ok(())),
    };
    let place = gone as i64 + first - 1;
    match written {
        Ok(()) => (place, Value::Nil, Value::Nil).into_lua_multi(lua),
        Err(failure) => (Value::Nil, failure.told()?, place).into_lua_multi(lua),
    }
}

fn end(given: &Given<'_>) -> mlua::Result<MultiValue> {
    let stream = of(given, Class::Client)?;
    let ways = [
        ("both", Shutdown::Both),
        ("receive", Shutdown::Read),
        ("send", Shutdown::Write),
    ];
    let way = given.word(1, Shutdown::Both, &ways)?;
    if let Ok(socket) = stream.end.descriptor.get() {
        // As LuaSocket: what the other side has ended already is not told.
        let _ = shutdown(socket, way);
    }
    1.into_lua_multi(given.lua)
}

fn close(given: &Given<'_>) -> mlua::Result<MultiValue> {
    any(given)?.end.descriptor.close();
    1.into_lua_multi(given.lua)
}

fn dirty(given: &Given<'_>) -> mlua::Result<MultiValue> {
    any(given)?.is_dirty().into_lua_multi(given.lua)
}

fn family(given: &Given<'_>) -> mlua::Result<MultiValue> {
    Family::told(any(given)?.end.family).into_lua_multi(given.lua)
}

fn number(given: &Given<'_>) -> mlua::Result<MultiValue> {
    any(given)?
        .end
        .descriptor
        .number()
        .into_lua_multi(given.lua)
}

fn set_number(given: &Given<'_>) -> mlua::Result<MultiValue> {
    let mut stream = any(given)?;
    let number = given.number(1)?;
    match stream.end.descriptor.set_number(given.lua, number) {
        true => ().into_lua_multi(given.lua),
        false => Err(given.refuse(1, "no socket of this script")),
    }
}

fn option(given: &Given<'_>) -> mlua::Result<MultiValue> {
    options::get(given, &mut any(given)?.end)
}

fn set_option(given: &Given<'_>) -> mlua::Result<MultiValue> {
    options::set(given, &mut any(given)?.end)
}

fn peer_name(given: &Given<'_>) -> mlua::Result<MultiValue> {
    any(given)?.end.peer_name(given.lua)
}

fn own_name(given: &Given<'_>) -> mlua::Result<MultiValue> {
    any(given)?.end.own_name(given.lua)
}

fn timeout(given: &Given<'_>) -> mlua::Result<MultiValue> {
    any(given)?.patience.told(given)
}

fn set_timeout(given: &Given<'_>) -> mlua::Result<MultiValue> {
    any(given)?.patience.set(given)
}

/// Bytes received, bytes sent, seconds since it was made.
fn stats(given: &Given<'_>) -> mlua::Result<MultiValue> {
    let stream = of(given, Class::Client)?;
    let age = stream.born.elapsed().as_secs_f64() + stream.older;
    (stream.received, stream.sent, age).into_lua_multi(given.lua)
}

fn set_stats(given: &Given<'_>) -> mlua::Result<MultiValue> {
    let mut stream = of(given, Class::Client)?;
    stream.received = given.number_or(1, stream.received)?;
    stream.sent = given.number_or(2, stream.sent)?;
    if let Some(age) = given.as_number(3) {
        stream.older = age - stream.born.elapsed().as_secs_f64();
    }
    1.into_lua_multi(given.lua)
}
