//! `setoption` and `getoption`.
//!
//! Owns:    the options that scripts know, by name.
//! Runs on: the thread of an input or output.            Plane: data.
//! Bounds:  one call of the system.
//! Never:   changes what the script did not name.

use std::ffi::OsString;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use mlua::{IntoLua, IntoLuaMulti, MultiValue, Table, Value};
use nix::sys::socket::sockopt::{BindToDevice, DontRoute};
use nix::sys::socket::{getsockopt, setsockopt};
use rustix::io::Errno;
use rustix::net::sockopt;

use super::address::{End, Family};
use super::arguments::Given;
use super::wait::Failure;

/// What streams have that can be set and asked for.
const TCP: &[&str] = &[
    "bindtodevice",
    "ipv6-v6only",
    "keepalive",
    "linger",
    "recv-buffer-size",
    "reuseaddr",
    "reuseport",
    "send-buffer-size",
    "tcp-keepcnt",
    "tcp-keepidle",
    "tcp-keepintvl",
    "tcp-nodelay",
];

/// The same of datagrams.
const UDP: &[&str] = &[
    "broadcast",
    "dontroute",
    "ip-multicast-if",
    "ip-multicast-loop",
    "ip-multicast-ttl",
    "ipv6-multicast-hops",
    "ipv6-multicast-loop",
    "ipv6-unicast-hops",
    "ipv6-v6only",
    "recv-buffer-size",
    "reuseaddr",
    "reuseport",
    "send-buffer-size",
];

/// What can only be set, on datagrams.
const MEMBERSHIPS: &[&str] = &[
    "ip-add-membership",
    "ip-drop-membership",
    "ipv6-add-membership",
    "ipv6-drop-membership",
];

/// What can only be asked for.
const ERROR: &[&str] = &["error"];

/// The name of the option, if it is one of these.
fn name(given: &Given<'_>, known: [&[&'static str]; 2]) -> mlua::Result<&'static str> {
    let asked = given.name(1)?;
    let found = known.into_iter().flatten().find(|one| **one == asked);
    found
        .copied()
        .ok_or_else(|| given.refuse(1, &format!("unsupported option `{asked}'")))
}

/// The socket. One whose family is still open becomes one of IPv4: an option can wait for no address.
fn socket<'e>(given: &Given<'_>, end: &'e mut End) -> Result<BorrowedFd<'e>, Failure> {
    if end.family.is_none() && !end.descriptor.is_open() {
        end.create(given.lua, Family::Inet)?;
        end.family = Some(Family::Inet);
    }
    end.descriptor.get()
}

/// `setoption(name, value)`.
pub(super) fn set(given: &Given<'_>, end: &mut End) -> mlua::Result<MultiValue> {
    let known = if end.is_datagram {
        [UDP, MEMBERSHIPS]
    } else {
        [TCP, &[]]
    };
    let name = name(given, known)?;
    let done = match socket(given, end) {
        Ok(socket) => set_one(given, socket, name)?,
        Err(_) => Err(Errno::BADF),
    };
    match done {
        Ok(()) => 1.into_lua_multi(given.lua),
        Err(_) => (Value::Nil, "setsockopt failed").into_lua_multi(given.lua),
    }
}

fn of_nix(error: nix::errno::Errno) -> Errno {
    Errno::from_raw_os_error(error as i32)
}

fn set_one(
    given: &Given<'_>,
    socket: BorrowedFd<'_>,
    name: &str,
) -> mlua::Result<Result<(), Errno>> {
    // What is no number is 0, as in LuaSocket.
    let number = given.as_number(2).unwrap_or(0.0);
    let whole = number as u32;
    let seconds = Duration::from_secs(number as u64);
    Ok(match name {
        "keepalive" => sockopt::set_socket_keepalive(socket, given.boolean(2)?),
        "reuseaddr" => sockopt::set_socket_reuseaddr(socket, given.boolean(2)?),
        "reuseport" => sockopt::set_socket_reuseport(socket, given.boolean(2)?),
        "tcp-nodelay" => sockopt::set_tcp_nodelay(socket, given.boolean(2)?),
        "broadcast" => sockopt::set_socket_broadcast(socket, given.boolean(2)?),
        "ipv6-v6only" => sockopt::set_ipv6_v6only(socket, given.boolean(2)?),
        "ip-multicast-loop" => sockopt::set_ip_multicast_loop(socket, given.boolean(2)?),
        "ipv6-multicast-loop" => sockopt::set_ipv6_multicast_loop(socket, given.boolean(2)?),
        "dontroute" => setsockopt(&socket, DontRoute, &given.boolean(2)?).map_err(of_nix),
        "bindtodevice" => {
            let device = OsString::from(given.name(2)?);
            setsockopt(&socket, BindToDevice, &device).map_err(of_nix)
        }
        "linger" => sockopt::set_socket_linger(socket, linger(given)?),
        "recv-buffer-size" => sockopt::set_socket_recv_buffer_size(socket, number as usize),
        "send-buffer-size" => sockopt::set_socket_send_buffer_size(socket, number as usize),
        "tcp-keepcnt" => sockopt::set_tcp_keepcnt(socket, whole),
        "tcp-keepidle" => sockopt::set_tcp_keepidle(socket, seconds),
        "tcp-keepintvl" => sockopt::set_tcp_keepintvl(socket, seconds),
        "ip-multicast-ttl" => sockopt::set_ip_multicast_ttl(socket, whole),
        "ip-multicast-if" => sockopt::set_ip_multicast_if(socket, &interface(given)?),
        "ipv6-unicast-hops" => sockopt::set_ipv6_unicast_hops(socket, u8::try_from(whole).ok()),
        "ipv6-multicast-hops" => sockopt::set_ipv6_multicast_hops(socket, whole),
        "ip-add-membership" => {
            let (group, interface) = membership(given)?;
            sockopt::set_ip_add_membership(socket, &group, &interface)
        }
        "ip-drop-membership" => {
            let (group, interface) = membership(given)?;
            sockopt::set_ip_drop_membership(socket, &group, &interface)
        }
        "ipv6-add-membership" => {
            let (group, interface) = membership6(given)?;
            sockopt::set_ipv6_add_membership(socket, &group, interface)
        }
        "ipv6-drop-membership" => {
            let (group, interface) = membership6(given)?;
            sockopt::set_ipv6_drop_membership(socket, &group, interface)
        }
        _ => Err(Errno::NOPROTOOPT),
    })
}

/// `{on = boolean, timeout = seconds}`.
fn linger(given: &Given<'_>) -> mlua::Result<Option<Duration>> {
    let table = given.table(2)?;
    let Value::Boolean(on) = table.get("on")? else {
        return Err(given.refuse(2, "boolean 'on' field expected"));
    };
    let timeout: Option<f64> = table.get("timeout").ok().flatten();
    let Some(timeout) = timeout else {
        return Err(given.refuse(2, "number 'timeout' field expected"));
    };
    Ok(on.then(|| Duration::from_secs(timeout as u64)))
}

/// The address of an interface; `*` for any.
fn interface(given: &Given<'_>) -> mlua::Result<Ipv4Addr> {
    match given.name(2)?.as_str() {
        "*" => Ok(Ipv4Addr::UNSPECIFIED),
        ip => ip.parse().map_err(|_| given.refuse(2, "ip expected")),
    }
}

/// A text of the table that an option is given.
fn field(given: &Given<'_>, table: &Table, name: &str) -> mlua::Result<String> {
    let text: Option<String> = table.get(name).ok().flatten();
    text.ok_or_else(|| given.refuse(2, &format!("string '{name}' field expected")))
}

/// `{multiaddr = ip, interface = ip}`.
fn membership(given: &Given<'_>) -> mlua::Result<(Ipv4Addr, Ipv4Addr)> {
    let table = given.table(2)?;
    let group = field(given, table, "multiaddr")?.parse();
    let group = group.map_err(|_| given.refuse(2, "invalid 'multiaddr' ip address"))?;
    let interface = match field(given, table, "interface")?.as_str() {
        "*" => Ipv4Addr::UNSPECIFIED,
        ip => ip
            .parse()
            .map_err(|_| given.refuse(2, "invalid 'interface' ip address"))?,
    };
    Ok((group, interface))
}

/// `{multiaddr = ip, interface = number}`.
fn membership6(given: &Given<'_>) -> mlua::Result<(Ipv6Addr, u32)> {
    let table = given.table(2)?;
    let group = field(given, table, "multiaddr")?.parse();
    let group = group.map_err(|_| given.refuse(2, "invalid 'multiaddr' ip address"))?;
    let interface = match table.get("interface")? {
        Value::Nil => 0,
        Value::Integer(number) => number as u32,
        Value::Number(number) => number as u32,
        _ => return Err(given.refuse(2, "number 'interface' field expected")),
    };
    Ok((group, interface))
}

/// `getoption(name)`.
pub(super) fn get(given: &Given<'_>, end: &mut End) -> mlua::Result<MultiValue> {
    let known = [if end.is_datagram { UDP } else { TCP }, ERROR];
    let name = name(given, known)?;
    let got = match socket(given, end) {
        Ok(socket) => get_one(given, socket, name)?,
        Err(_) => Err(Errno::BADF),
    };
    match got {
        Ok(value) => value.into_lua_multi(given.lua),
        Err(_) => (Value::Nil, "getsockopt failed").into_lua_multi(given.lua),
    }
}

fn get_one(
    given: &Given<'_>,
    socket: BorrowedFd<'_>,
    name: &str,
) -> mlua::Result<Result<Value, Errno>> {
    let truth = |got: Result<bool, Errno>| got.map(Value::Boolean);
    let number = |got: Result<u32, Errno>| got.map(|got| Value::Integer(got.into()));
    let size = |got: Result<usize, Errno>| got.map(|got| Value::Number(got as f64));
    let seconds = |got: Result<Duration, Errno>| got.map(|got| Value::Number(got.as_secs_f64()));
    Ok(match name {
        "keepalive" => truth(sockopt::socket_keepalive(socket)),
        "reuseaddr" => truth(sockopt::socket_reuseaddr(socket)),
        "reuseport" => truth(sockopt::socket_reuseport(socket)),
        "tcp-nodelay" => truth(sockopt::tcp_nodelay(socket)),
        "broadcast" => truth(sockopt::socket_broadcast(socket)),
        "ipv6-v6only" => truth(sockopt::ipv6_v6only(socket)),
        "ip-multicast-loop" => truth(sockopt::ip_multicast_loop(socket)),
        "ipv6-multicast-loop" => truth(sockopt::ipv6_multicast_loop(socket)),
        "dontroute" => truth(getsockopt(&socket, DontRoute).map_err(of_nix)),
        "recv-buffer-size" => size(sockopt::socket_recv_buffer_size(socket)),
        "send-buffer-size" => size(sockopt::socket_send_buffer_size(socket)),
        "tcp-keepcnt" => number(sockopt::tcp_keepcnt(socket)),
        "tcp-keepidle" => seconds(sockopt::tcp_keepidle(socket)),
        "tcp-keepintvl" => seconds(sockopt::tcp_keepintvl(socket)),
        "ip-multicast-ttl" => number(sockopt::ip_multicast_ttl(socket)),
        "ipv6-unicast-hops" => number(sockopt::ipv6_unicast_hops(socket).map(u32::from)),
        "ipv6-multicast-hops" => number(sockopt::ipv6_multicast_hops(socket)),
        "ip-multicast-if" => match sockopt::ip_multicast_if(socket) {
            Ok(ip) => Ok(ip.to_string().into_lua(given.lua)?),
            Err(error) => Err(error),
        },
        "bindtodevice" => match getsockopt(&socket, BindToDevice) {
            Ok(device) => Ok(device.to_string_lossy().into_lua(given.lua)?),
            Err(error) => Err(of_nix(error)),
        },
        "error" => match sockopt::socket_error(socket) {
            Ok(Ok(())) => Ok(Value::Nil),
            Ok(Err(error)) => Ok(Failure::System(error).text().into_lua(given.lua)?),
            Err(error) => Err(error),
        },
        "linger" => match sockopt::socket_linger(socket) {
            Ok(linger) => {
                let table = given.lua.create_table()?;
                table.raw_set("on", linger.is_some())?;
                let seconds = linger.unwrap_or_default().as_secs();
                table.raw_set("timeout", seconds)?;
                Ok(Value::Table(table))
            }
            Err(error) => Err(error),
        },
        _ => Err(Errno::NOPROTOOPT),
    })
}
