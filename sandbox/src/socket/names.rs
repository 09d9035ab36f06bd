//! `socket.dns`: names of hosts and their addresses.
//!
//! Owns:    toip, tohostname, gethostname, getaddrinfo, getnameinfo.
//! Runs on: the thread of an input or output; questions on `address::elsewhere`.            Plane: data.
//! Bounds:  what the system's resolver answers.
//! Never:   keeps answers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use dns_lookup::{LookupError, LookupErrorKind};
use mlua::{IntoLuaMulti, Lua, MultiValue, Table, Value};
use nix::libc;

use super::address::{Family, Question, elsewhere, lookup_text, resolve, written};
use super::arguments::{Given, add};
use super::wait::{Failure, failed};

/// The table `socket.dns`.
pub(super) fn open(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    add(lua, &table, "toip", to_ip)?;
    add(lua, &table, "tohostname", to_host_name)?;
    add(lua, &table, "gethostname", host_name)?;
    add(lua, &table, "getaddrinfo", address_info)?;
    add(lua, &table, "getnameinfo", name_info)?;
    Ok(table)
}

/// What is known of a host.
struct Host {
    name: String,
    alias: Vec<String>,
    ip: Vec<String>,
}

impl Host {
    /// Asks for a name, or for the name of an address.
    fn ask(asked: String) -> Result<Host, LookupError> {
        if let Ok(ip) = asked.parse::<Ipv4Addr>() {
            let address = SocketAddr::new(IpAddr::V4(ip), 0);
            let (name, _) = dns_lookup::getnameinfo(&address, libc::NI_NAMEREQD)?;
            return Ok(Host {
                name,
                alias: Vec::new(),
                ip: vec![asked],
            });
        }
        let question = Question {
            host: Some(asked.clone()),
            service: None,
            family: Some(Family::Inet),
            is_datagram: false,
            flags: libc::AI_CANONNAME,
        };
        let resolved = question.ask()?;
        let name = resolved.name.unwrap_or_else(|| asked.clone());
        Ok(Host {
            alias: if name == asked {
                Vec::new()
            } else {
                vec![asked]
            },
            name,
            ip: resolved.addresses.iter().map(written).collect(),
        })
    }

    fn table(&self, lua: &Lua) -> mlua::Result<Table> {
        let table = lua.create_table()?;
        table.raw_set("name", self.name.as_str())?;
        table.raw_set("alias", self.alias.clone())?;
        table.raw_set("ip", self.ip.clone())?;
        Ok(table)
    }
}

/// The words of the older interface, which these two functions keep.
fn host_text(error: &LookupError) -> String {
    let text = match error.kind() {
        LookupErrorKind::NoName => "host not found",
        LookupErrorKind::Again => "Host name lookup failure",
        LookupErrorKind::NoData => "No address associated with name",
        LookupErrorKind::Fail => "Unknown server error",
        _ => return lookup_text(error),
    };
    text.to_owned()
}

fn host(given: &Given<'_>) -> mlua::Result<Result<Host, Failure>> {
    let asked = given.name(1)?;
    let answer = elsewhere(given.lua, move || Host::ask(asked));
    Ok(answer.and_then(|host| host.map_err(|error| Failure::Said(host_text(&error).into()))))
}

fn to_ip(given: &Given<'_>) -> mlua::Result<MultiValue> {
    match host(given)? {
        Ok(host) => (host.ip.first().cloned(), host.table(given.lua)?).into_lua_multi(given.lua),
        Err(failure) => failed(given.lua, failure),
    }
}

fn to_host_name(given: &Given<'_>) -> mlua::Result<MultiValue> {
    match host(given)? {
        Ok(host) => (host.name.as_str(), host.table(given.lua)?).into_lua_multi(given.lua),
        Err(failure) => failed(given.lua, failure),
    }
}

fn host_name(given: &Given<'_>) -> mlua::Result<MultiValue> {
    match dns_lookup::get_hostname() {
        Ok(name) => name.into_lua_multi(given.lua),
        Err(error) => (Value::Nil, error.to_string()).into_lua_multi(given.lua),
    }
}

fn question(host: Option<String>, service: Option<String>) -> Question {
    Question {
        host,
        service,
        family: None,
        is_datagram: false,
        flags: 0,
    }
}

/// All addresses of a host, each with its family.
fn address_info(given: &Given<'_>) -> mlua::Result<MultiValue> {
    let addresses = match resolve(given.lua, question(Some(given.name(1)?), None)) {
        Ok(addresses) => addresses,
        Err(failure) => return failed(given.lua, failure),
    };
    let list = given.lua.create_table()?;
    for address in &addresses {
        let entry = given.lua.create_table()?;
        entry.raw_set("family", Family::name(Some(Family::of(address))))?;
        entry.raw_set("addr", written(address))?;
        list.raw_push(entry)?;
    }
    list.into_lua_multi(given.lua)
}

/// Names of all addresses of a host, and of a service.
fn name_info(given: &Given<'_>) -> mlua::Result<MultiValue> {
    let text = |at| -> mlua::Result<Option<String>> {
        Ok(given.text_or_none(at)?.map(|text| text.to_string_lossy()))
    };
    let (host, service) = (text(1)?, text(2)?);
    if host.is_none() && service.is_none() {
        return Err(mlua::Error::runtime("host and serv cannot be both nil"));
    }
    let (has_host, has_service) = (host.is_some(), service.is_some());
    let asked = question(host, service);
    let answer = elsewhere(given.lua, move || {
        let resolved = asked.ask()?;
        let names = resolved.addresses.iter();
        names
            .map(|address| dns_lookup::getnameinfo(address, 0))
            .collect::<Result<Vec<_>, LookupError>>()
    });
    let names = match answer {
        Ok(Ok(names)) => names,
        Ok(Err(error)) => return failed(given.lua, Failure::Said(lookup_text(&error).into())),
        Err(failure) => return failed(given.lua, failure),
    };
    let list = given.lua.create_table()?;
    if has_host {
        for (name, _) in &names {
            list.raw_push(name.as_str())?;
        }
    }
    let service = names.last().map(|(_, service)| service.clone());
    match service {
        Some(service) if has_service => (list, service).into_lua_multi(given.lua),
        _ => list.into_lua_multi(given.lua),
    }
}
