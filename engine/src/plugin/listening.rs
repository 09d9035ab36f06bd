//! Where an input listens, as its section says: enough to tell whether two want the same place.
//!
//! Owns:    `Listening`.
//! Runs on: build time.            Plane: control.
//! Bounds:  one address a section.
//! Never:   resolves a name, or opens anything.

use std::net::IpAddr;

use crate::io::Family;

/// What takes the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// Unix datagram sockets.
    Unix,
    /// A socket that the daemon was started with.
    Inherited,
}

impl Protocol {
    /// Its name, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
            Protocol::Unix => "Unix datagrams",
            Protocol::Inherited => "a socket of its own",
        }
    }
}

/// Where an input listens. The key is `address`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// What takes it.
    pub protocol: Protocol,
    /// As written.
    pub address: String,
    /// The address family that was asked for.
    pub family: Family,
}

#[derive(Debug, PartialEq, Eq)]
enum Host {
    /// Every address of this host.
    All(Family),
    Ip(IpAddr),
    Name(String),
}

impl Host {
    fn meets(&self, other: &Host) -> bool {
        match (self, other) {
            (Host::All(one), Host::All(two)) => one == two || [one, two].contains(&&Family::Any),
            (Host::All(family), Host::Ip(ip)) | (Host::Ip(ip), Host::All(family)) => match family {
                Family::Any => true,
                Family::V4 => ip.is_ipv4(),
                Family::V6 => ip.is_ipv6(),
            },
            // What a name means is not known here.
            (Host::All(_), Host::Name(_)) | (Host::Name(_), Host::All(_)) => false,
            (one, two) => one == two,
        }
    }
}

impl Listening {
    /// Whether no two can listen so, or would take each other's messages. Where that depends on what a name means: no.
    pub fn meets(&self, other: &Listening) -> bool {
        if self.protocol != other.protocol {
            return false;
        }
        match (self.place(), other.place()) {
            // Port 0 is any port that is free.
            (Some((_, 0)), _) | (_, Some((_, 0))) => false,
            (Some((one, port)), Some((two, other_port))) => {
                // The kernel gives datagrams to who asked for the address more precisely.
                let whole = |host: &Host| matches!(host, Host::All(_));
                let apart = self.protocol == Protocol::Udp && whole(&one) != whole(&two);
                port == other_port && !apart && one.meets(&two)
            }
            _ => self.address == other.address,
        }
    }

    /// Host and port, where it has these.
    fn place(&self) -> Option<(Host, u16)> {
        if !matches!(self.protocol, Protocol::Tcp | Protocol::Udp) {
            return None;
        }
        let (host, port) = self.address.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let host = match host.parse::<IpAddr>() {
            Ok(IpAddr::V4(ip)) if ip.is_unspecified() => Host::All(Family::V4),
            // It takes IPv4 as well, unless only IPv6 was asked for.
            Ok(IpAddr::V6(ip)) if ip.is_unspecified() => Host::All(self.family),
            Ok(ip) => Host::Ip(ip),
            Err(_) if host.is_empty() => Host::All(self.family),
            Err(_) => Host::Name(host.to_ascii_lowercase()),
        };
        Some((host, port.parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_meets_whom() {
        let at = |protocol, address: &str, family| Listening {
            protocol,
            address: address.to_owned(),
            family,
        };
        let (tcp, udp) = (Protocol::Tcp, Protocol::Udp);
        let (any, v4, v6) = (Family::Any, Family::V4, Family::V6);
        for (one, two, meets) in [
            (
                at(tcp, "127.0.0.1:1", any),
                at(tcp, "127.0.0.1:1", any),
                true,
            ),
            (
                at(tcp, "127.0.0.1:1", any),
                at(udp, "127.0.0.1:1", any),
                false,
            ),
            (
                at(tcp, "127.0.0.1:1", any),
                at(tcp, "127.0.0.1:2", any),
                false,
            ),
            (
                at(tcp, "127.0.0.1:1", any),
                at(tcp, "127.0.0.2:1", any),
                false,
            ),
            (
                at(tcp, "127.0.0.1:0", any),
                at(tcp, "127.0.0.1:0", any),
                false,
            ),
            (at(tcp, ":1", any), at(tcp, "0.0.0.0:1", any), true),
            (at(tcp, ":1", v4), at(tcp, ":1", v6), false),
            (at(tcp, ":1", any), at(tcp, "[::1]:1", any), true),
            (at(tcp, "[::]:1", v6), at(tcp, "127.0.0.1:1", any), false),
            (at(udp, ":1", any), at(udp, "127.0.0.1:1", any), false),
            (at(udp, ":1", any), at(udp, "0.0.0.0:1", any), true),
            (at(tcp, "Here:1", any), at(tcp, "here:1", any), true),
            (at(tcp, "here:1", any), at(tcp, "127.0.0.1:1", any), false),
            (
                at(Protocol::Unix, "/s", any),
                at(Protocol::Unix, "/s", any),
                true,
            ),
            (
                at(Protocol::Unix, "/s", any),
                at(Protocol::Unix, "/t", any),
                false,
            ),
        ] {
            assert_eq!(one.meets(&two), meets, "{one:?} {two:?}");
            assert_eq!(two.meets(&one), meets, "{two:?} {one:?}");
        }
    }
}
