//! Addresses: from what scripts write to what the system takes, and back.
//!
//! Owns:    `Family`, `resolve` and the thread that asks for names; the sockets that are made for addresses.
//! Runs on: the thread of an input or output, and one of its own for each question, which ends with the answer.            Plane: data.
//! Bounds:  one question at a time.
//! Never:   keeps a script that is to end until a name server answers.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind};
use mlua::{IntoLuaMulti, Lua, MultiValue};
use nix::libc;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrAny, SocketFlags, SocketType, bind, connect, getpeername, getsockname,
    socket_with, sockopt,
};

use super::descriptors::Descriptor;
use super::wait::{Failure, Patience, SLICE, failed, look, ready};

/// Of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Inet,
    Inet6,
}

impl Family {
    pub(super) fn of(address: &SocketAddr) -> Family {
        match address {
            SocketAddr::V4(_) => Family::Inet,
            SocketAddr::V6(_) => Family::Inet6,
        }
    }

    /// As most functions tell it.
    pub(super) fn name(family: Option<Family>) -> &'static str {
        match family {
            Some(Family::Inet) => "inet",
            Some(Family::Inet6) => "inet6",
            None => "unspec",
        }
    }

    /// As `getfamily` tells it.
    pub(super) fn told(family: Option<Family>) -> &'static str {
        match family {
            Some(Family::Inet6) => "inet6",
            Some(Family::Inet) | None => "inet4",
        }
    }
}

/// A socket of an object, as far as addresses matter to it.
#[derive(Default)]
pub(super) struct End {
    pub(super) descriptor: Descriptor,
    /// `None` until the first address says which.
    pub(super) family: Option<Family>,
    pub(super) is_datagram: bool,
    /// Of the addresses of a host, those of IPv4 come first: to scripts for older versions of LuaSocket it is a socket of IPv4.
    pub(super) inet_first: bool,
}

impl End {
    /// Makes a socket of a family; one that there was is closed.
    pub(super) fn create(&mut self, lua: &Lua, family: Family) -> Result<(), Failure> {
        self.descriptor.close();
        let socket = create(family, self.is_datagram)?;
        self.descriptor = Descriptor::new(lua, socket);
        Ok(())
    }

    fn create_for(&mut self, lua: &Lua, address: &SocketAddr) -> Result<(), Failure> {
        let family = Family::of(address);
        if self.family != Some(family) || !self.descriptor.is_open() {
            self.create(lua, family)?;
        }
        Ok(())
    }

    /// The addresses of a host and service that the socket can have to do with.
    fn resolve(
        &self,
        lua: &Lua,
        host: &str,
        service: &str,
        passive: bool,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let question = Question {
            host: (!passive || host != "*").then(|| host.to_owned()),
            service: Some(service.to_owned()),
            family: self.family,
            is_datagram: self.is_datagram,
            flags: if passive { libc::AI_PASSIVE } else { 0 },
        };
        let mut addresses = resolve(lua, question)?;
        if self.inet_first {
            addresses.sort_by_key(SocketAddr::is_ipv6);
        }
        Ok(addresses)
    }

    /// Takes the first address of a host that can be had; `*` for any.
    pub(super) fn bind(&mut self, lua: &Lua, host: &str, service: &str) -> Result<(), Failure> {
        let mut last = Failure::Closed;
        for address in self.resolve(lua, host, service, true)? {
            let bound = self
                .create_for(lua, &address)
                .and_then(|()| Ok(bind(self.descriptor.get()?, &address)?));
            match bound {
                Ok(()) => {
                    self.family = Some(Family::of(&address));
                    return Ok(());
                }
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    /// Connects with the first address of a host that answers.
    pub(super) fn connect(
        &mut self,
        lua: &Lua,
        host: &str,
        service: &str,
        patience: &mut Patience,
    ) -> Result<(), Failure> {
        let mut last = Failure::Closed;
        for address in self.resolve(lua, host, service, false)? {
            patience.begin();
            let connected = self.create_for(lua, &address).and_then(|()| {
                self.family = Some(Family::of(&address));
                connect_one(lua, self.descriptor.get()?, &address, patience)
            });
            match connected {
                Ok(()) => return Ok(()),
                Err(Failure::Stopped) => return Err(Failure::Stopped),
                Err(failure) => last = failure,
            }
            // What is on its way without anybody waiting is not given up for another address.
            if patience.is_none() {
                break;
            }
        }
        Err(last)
    }

    /// Address, port and family of the other side.
    pub(super) fn peer_name(&self, lua: &Lua) -> mlua::Result<MultiValue> {
        let name = self.descriptor.get_known().and_then(|socket| {
            let name = getpeername(socket)?;
            name.ok_or(Failure::System(Errno::NOTCONN))
        });
        told(lua, name, self.family)
    }

    /// Address, port and family of this side.
    pub(super) fn own_name(&self, lua: &Lua) -> mlua::Result<MultiValue> {
        let name = self.descriptor.get_known();
        let name = name.and_then(|socket| Ok(getsockname(socket)?));
        told(lua, name, self.family)
    }
}

fn told(
    lua: &Lua,
    name: Result<SocketAddrAny, Failure>,
    family: Option<Family>,
) -> mlua::Result<MultiValue> {
    match name.and_then(known) {
        Ok(address) => {
            let (ip, port) = (written(&address), address.port());
            (ip, port, Family::name(family)).into_lua_multi(lua)
        }
        Err(failure) => failed(lua, failure),
    }
}

/// An address of one of the two families.
pub(super) fn known(address: SocketAddrAny) -> Result<SocketAddr, Failure> {
    SocketAddr::try_from(address).map_err(|_| Failure::System(Errno::AFNOSUPPORT))
}

/// The address alone, as text.
pub(super) fn written(address: &SocketAddr) -> String {
    match address {
        SocketAddr::V6(address) if address.scope_id() != 0 => {
            format!("{}%{}", address.ip(), address.scope_id())
        }
        other => other.ip().to_string(),
    }
}

fn create(family: Family, is_datagram: bool) -> Result<OwnedFd, Errno> {
    let family = match family {
        Family::Inet => AddressFamily::INET,
        Family::Inet6 => AddressFamily::INET6,
    };
    let kind = match is_datagram {
        true => SocketType::DGRAM,
        false => SocketType::STREAM,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, kind, flags, None)?;
    if family == AddressFamily::INET6 {
        // So that an address of IPv4 can be bound beside it; where the system cannot, it is as it is.
        let _ = sockopt::set_ipv6_v6only(&socket, true);
    }
    Ok(socket)
}

fn connect_one(
    lua: &Lua,
    socket: BorrowedFd<'_>,
    address: &SocketAddr,
    patience: &Patience,
) -> Result<(), Failure> {
    loop {
        match connect(socket, address) {
            Ok(()) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(Errno::INPROGRESS | Errno::AGAIN) => break,
            Err(error) => return Err(error.into()),
        }
    }
    ready(lua, socket, PollFlags::OUT, patience)?;
    Ok(sockopt::socket_error(socket)??)
}

/// What the system's resolver is asked for.
pub(super) struct Question {
    pub(super) host: Option<String>,
    pub(super) service: Option<String>,
    pub(super) family: Option<Family>,
    pub(super) is_datagram: bool,
    pub(super) flags: i32,
}

/// What it answers.
pub(super) struct Resolved {
    pub(super) addresses: Vec<SocketAddr>,
    /// The host's proper name, if that was asked for.
    pub(super) name: Option<String>,
}

impl Question {
    /// The answer to what needs no resolver.
    fn is_written_out(&self) -> Option<SocketAddr> {
        let ip: IpAddr = self.host.as_ref()?.parse().ok()?;
        let port: u16 = self.service.as_ref()?.parse().ok()?;
        let address = SocketAddr::new(ip, port);
        let fits = self
            .family
            .is_none_or(|family| family == Family::of(&address));
        (fits && self.flags & libc::AI_CANONNAME == 0).then_some(address)
    }

    /// Asks the system. Blocks.
    pub(super) fn ask(&self) -> Result<Resolved, LookupError> {
        let hints = AddrInfoHints {
            flags: self.flags,
            address: match self.family {
                Some(Family::Inet) => libc::AF_INET,
                Some(Family::Inet6) => libc::AF_INET6,
                None => libc::AF_UNSPEC,
            },
            socktype: match self.is_datagram {
                true => libc::SOCK_DGRAM,
                false => libc::SOCK_STREAM,
            },
            protocol: 0,
        };
        let (host, service) = (self.host.as_deref(), self.service.as_deref());
        let mut resolved = Resolved {
            addresses: Vec::new(),
            name: None,
        };
        for found in dns_lookup::getaddrinfo(host, service, Some(hints))? {
            let found = found?;
            resolved.addresses.push(found.sockaddr);
            resolved.name = resolved.name.or(found.canonname);
        }
        Ok(resolved)
    }
}

/// The addresses for a question.
pub(super) fn resolve(lua: &Lua, question: Question) -> Result<Vec<SocketAddr>, Failure> {
    if let Some(address) = question.is_written_out() {
        return Ok(vec![address]);
    }
    match elsewhere(lua, move || question.ask())? {
        Ok(resolved) => Ok(resolved.addresses),
        Err(error) => Err(Failure::Said(lookup_text(&error).into())),
    }
}

/// Runs what blocks on a thread of its own. A script that is to end does not wait for it.
pub(super) fn elsewhere<R: Send + 'static>(
    lua: &Lua,
    work: impl FnOnce() -> R + Send + 'static,
) -> Result<R, Failure> {
    let (tell, told) = mpsc::sync_channel(1);
    let asking = move || {
        // Nobody is there to hear it when the script has ended.
        let _ = tell.send(work());
    };
    let started = thread::Builder::new()
        .name("lua-resolver".into())
        .spawn(asking);
    started
        .map_err(|error| Failure::Said(format!("no thread for the resolver: {error}").into()))?;
    loop {
        look(lua)?;
        match told.recv_timeout(SLICE) {
            Ok(answer) => return Ok(answer),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Failure::Said(
                    "non-recoverable failure in name resolution".into(),
                ));
            }
        }
    }
}

/// LuaSocket's text for what the resolver says.
pub(super) fn lookup_text(error: &LookupError) -> String {
    let text = match error.kind() {
        LookupErrorKind::Again => "temporary failure in name resolution",
        LookupErrorKind::Badflags => "invalid value for ai_flags",
        LookupErrorKind::Fail => "non-recoverable failure in name resolution",
        LookupErrorKind::Family => "ai_family not supported",
        LookupErrorKind::Memory => "memory allocation failure",
        LookupErrorKind::NoName => "host or service not provided, or not known",
        LookupErrorKind::Service => "service not supported for socket type",
        LookupErrorKind::Socktype => "ai_socktype not supported",
        _ => return plain(&error.to_string()),
    };
    text.to_owned()
}

/// What the C library says, without what comes before it here.
fn plain(text: &str) -> String {
    let text = text.rsplit(": ").next().unwrap_or(text);
    text.split(" (os error").next().unwrap_or(text).to_owned()
}
