//! Datagrams: the objects `udp{unconnected}` and `udp{connected}`.
//!
//! Owns:    what scripts do with sockets of UDP.
//! Runs on: the thread of an input or output.            Plane: data.
//! Bounds:  `DATAGRAM_BYTES_MAX` of a datagram; the rest of a larger one is the system's to drop.
//! Never:   gathers datagrams.

use std::net::{IpAddr, SocketAddr};

use mlua::{
    AnyUserData, IntoLuaMulti, Lua, MetaMethod, MultiValue, Table, UserData, UserDataFields,
    UserDataMethods, UserDataRefMut,
};
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, connect_unspec, recv, recvfrom, send, sendto};

use super::address::{End, Family, known, written};
use super::arguments::{Function, Given, add, add_methods, shown};
use super::options;
use super::wait::{Failure, Patience, done, failed, until_done};

/// Bytes that are received where the script does not say.
pub(super) const DATAGRAM_BYTES: usize = 8192;

/// No datagram is larger.
const DATAGRAM_BYTES_MAX: usize = 65_536;

/// A socket of UDP.
struct Datagram {
    /// It has one peer.
    connected: bool,
    end: End,
    patience: Patience,
}

const METHODS: &[(&str, Function)] = &[
    ("close", close),
    ("dirty", dirty),
    ("getfamily", family),
    ("getfd", number),
    ("getoption", option),
    ("getpeername", peer_name),
    ("getsockname", own_name),
    ("gettimeout", timeout),
    ("receive", receive),
    ("receivefrom", receive_from),
    ("send", send_text),
    ("sendto", send_to),
    ("setfd", set_number),
    ("setoption", set_option),
    ("setpeername", set_peer_name),
    ("setsockname", set_own_name),
    ("settimeout", set_timeout),
];

impl Datagram {
    fn class(&self) -> &'static str {
        class(self.connected)
    }
}

fn class(connected: bool) -> &'static str {
    match connected {
        true => "udp{connected}",
        false => "udp{unconnected}",
    }
}

impl UserData for Datagram {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("class", |_, datagram| Ok(datagram.class()));
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        add_methods(methods, METHODS);
        methods.add_meta_function(MetaMethod::ToString, |_, object: AnyUserData| {
            let class = object.borrow::<Datagram>()?.class();
            Ok(shown(class, &object))
        });
    }
}

/// `udp`, `udp4` and `udp6`.
pub(super) fn add_functions(lua: &Lua, module: &Table) -> mlua::Result<()> {
    add(lua, module, "udp", |given| create(given, None))?;
    add(lua, module, "udp4", |given| {
        create(given, Some(Family::Inet))
    })?;
    add(lua, module, "udp6", |given| {
        create(given, Some(Family::Inet6))
    })
}

fn create(given: &Given<'_>, family: Option<Family>) -> mlua::Result<MultiValue> {
    let mut datagram = Datagram {
        connected: false,
        end: End {
            family,
            is_datagram: true,
            inet_first: true,
            ..End::default()
        },
        patience: Patience::endless(),
    };
    if let Some(family) = family
        && let Err(failure) = datagram.end.create(given.lua, family)
    {
        return failed(given.lua, failure);
    }
    given
        .lua
        .create_userdata(datagram)?
        .into_lua_multi(given.lua)
}

/// The object of a method that any has.
fn any(given: &Given<'_>) -> mlua::Result<UserDataRefMut<Datagram>> {
    given
        .object()
        .ok_or_else(|| given.refuse_object("udp{any}"))
}

/// The object of a method that only some have.
fn of(given: &Given<'_>, connected: bool) -> mlua::Result<UserDataRefMut<Datagram>> {
    let fits = |datagram: &UserDataRefMut<Datagram>| datagram.connected == connected;
    let datagram = given.object().filter(fits);
    datagram.ok_or_else(|| given.refuse_object(class(connected)))
}

/// How much was sent. A peer that is not there any more, or a socket that is closed, has "refused".
fn sent(lua: &Lua, sent: Result<usize, Failure>) -> mlua::Result<MultiValue> {
    match sent {
        Ok(bytes) => bytes.into_lua_multi(lua),
        Err(Failure::Closed | Failure::System(Errno::PIPE)) => {
            failed(lua, Failure::Said("refused".into()))
        }
        Err(failure) => failed(lua, failure),
    }
}

fn send_text(given: &Given<'_>) -> mlua::Result<MultiValue> {
    let lua = given.lua;
    let mut datagram = of(given, true)?;
    let text = given.text(1)?;
    datagram.patience.begin();
    let gone = datagram.end.descriptor.get().and_then(|socket| {
        until_done(lua, socket, PollFlags::OUT, &datagram.patience, || {
            send(socket, &text.as_bytes(), SendFlags::NOSIGNAL)
        })
    });
    sent(lua, gone)
}

/// An address that is written out: names are not asked for here.
fn address(given: &Given<'_>, family: Option<Family>) -> mlua::Result<Result<SocketAddr, Failure>> {
    let (ip, port) = (given.name(2)?, given.name(3)?);
    let (Ok(ip), Ok(port)) = (ip.parse::<IpAddr>(), port.trim().parse::<u16>()) else {
        return Ok(Err(Failure::Said("Name or service not known".into())));
    };
    let address = SocketAddr::new(ip, port);
    Ok(match family {
        Some(family) if family != Family::of(&address) => Err(Failure::Said(
            "Address family for hostname not supported".into(),
        )),
        _ => Ok(address),
    })
}

/// `sendto(text, ip, port)`.
fn send_to(given: &Given<'_>) -> mlua::Result<MultiValue> {
    let lua = given.lua;
    let mut datagram = of(given, false)?;
    let text = given.text(1)?;
    let address = match address(given, datagram.end.family)? {
        Ok(address) => address,
        Err(failure) => return failed(lua, failure),
    };
    let Datagram { end, patience, .. } = &mut *datagram;
    if end.family.is_none() {
        let family = Family::of(&address);
        if let Err(failure) = end.create(lua, family) {
            return failed(lua, failure);
        }
        end.family = Some(family);
    }
    patience.begin();
    let gone = end.descriptor.get().and_then(|socket| {
        until_done(lua, socket, PollFlags::OUT, patience, || {
            sendto(socket, &text.as_bytes(), SendFlags::NOSIGNAL, &address)
        })
    });
    sent(lua, gone)
}

/// Room for the bytes that the script wants.
fn room(given: &Given<'_>) -> mlua::Result<Vec<u8>> {
    let wanted = given.number_or(1, DATAGRAM_BYTES as f64)?;
    Ok(vec![0; (wanted as usize).min(DATAGRAM_BYTES_MAX)])
}

/// `receive(bytes)`.
fn receive(given: &Given<'_>) -> mlua::Result<MultiValue> {
    let lua = given.lua;
    let mut datagram = any(given)?;
    let mut room = room(given)?;
    datagram.patience.begin();
    let got = datagram.end.descriptor.get().and_then(|socket| {
        until_done(lua, socket, PollFlags::IN, &datagram.patience, || {
            recv(socket, &mut room[..], RecvFlags::empty()).map(|(_, got)| got)
        })
    });
    match got {
        Ok(got) => lua.create_string(&room[..got])?.into_lua_multi(lua),
        Err(failure) => failed(lua, failure),
    }
}

/// `receivefrom(bytes)`: the datagram, and address and port of who sent it.
fn receive_from(given: &Given<'_>) -> mlua::Result<MultiValue> {
    let lua = given.lua;
    let mut datagram = of(given, false)?;
    let mut room = room(given)?;
    datagram.patience.begin();
    let got = datagram.end.descriptor.get().and_then(|socket| {
        let got = until_done(lua, socket, PollFlags::IN, &datagram.patience, || {
            recvfrom(socket, &mut room[..], RecvFlags::empty()).map(|(_, got, from)| (got, from))
        });
        let (got, from) = got?;
        Ok((got, known(from.ok_or(Errno::AFNOSUPPORT)?)?))
    });
    match got {
        Ok((got, from)) => {
            let text = lua.create_string(&room[..got])?;
            (text, written(&from), from.port()).into_lua_multi(lua)
        }
        Err(failure) => failed(lua, failure),
    }
}

/// `setpeername(address, port)`, or `setpeername("*")` for none.
fn set_peer_name(given: &Given<'_>) -> mlua::Result<MultiValue> {
    let lua = given.lua;
    let mut datagram = any(given)?;
    let host = given.name(1)?;
    let Datagram {
        connected,
        end,
        patience,
    } = &mut *datagram;
    if host == "*" {
        if let Ok(socket) = end.descriptor.get() {
            // As LuaSocket: it has no peer as far as the script is concerned.
            let _ = connect_unspec(socket);
        }
        *connected = false;
        return 1.into_lua_multi(lua);
    }
    let service = given.name(2)?;
    let peer = end.connect(lua, &host, &service, patience);
    if peer.is_ok() {
        *connected = true;
    }
    done(lua, peer)
}

fn set_own_name(given: &Given<'_>) -> mlua::Result<MultiValue> {
    let mut datagram = of(given, false)?;
    let (host, service) = (given.name(1)?, given.name(2)?);
    done(given.lua, datagram.end.bind(given.lua, &host, &service))
}

fn close(given: &Given<'_>) -> mlua::Result<MultiValue> {
    any(given)?.end.descriptor.close();
    1.into_lua_multi(given.lua)
}

fn dirty(given: &Given<'_>) -> mlua::Result<MultiValue> {
    any(given)?;
    false.into_lua_multi(given.lua)
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
    let mut datagram = any(given)?;
    let number = given.number(1)?;
    match datagram.end.descriptor.set_number(given.lua, number) {
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
    of(given, true)?.end.peer_name(given.lua)
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
