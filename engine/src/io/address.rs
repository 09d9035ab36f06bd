//! Addresses to listen on: text to sockets of the right family.
//!
//! Owns:    `Family`, and what an address without a host means.
//! Runs on: every shard, when inputs open.            Plane: control; resolving a name blocks.
//! Bounds:  the first address of the family that a name has.
//! Never:   listens on IPv4 and IPv6 with two sockets: one IPv6 socket takes both where both are meant.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use socket2::{Domain, Protocol, Socket, Type};

/// Which address families a name may resolve to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// Either; the unspecified IPv6 address takes IPv4 as well.
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

impl Family {
    /// The first address of this family that `host:port` names. Without a host (`:5565`) it is the unspecified address.
    pub fn resolve(self, address: &str) -> io::Result<SocketAddr> {
        if let Some(port) = address.strip_prefix(':') {
            let port = port.parse().map_err(|_| {
                invalid(format!(
                    "`{address}` does not end with a port from 0 to 65535"
                ))
            })?;
            return Ok(SocketAddr::new(self.unspecified(), port));
        }
        let mut found = all_addresses(address)?;
        found.find(|address| self.includes(address)).ok_or_else(|| {
            invalid(format!(
                "`{address}` has no address of the family asked for"
            ))
        })
    }

    pub(super) fn includes(self, address: &SocketAddr) -> bool {
        match self {
            Family::Any => true,
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
        }
    }

    fn unspecified(self) -> IpAddr {
        match self {
            Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
            Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
            // A kernel without IPv6 makes no such socket.
            Family::Any if Socket::new(Domain::IPV6, Type::DGRAM, None).is_err() => {
                Ipv4Addr::UNSPECIFIED.into()
            }
            Family::Any => Ipv6Addr::UNSPECIFIED.into(),
        }
    }

    /// A socket of that type, not bound yet, that will listen on `address`.
    pub(super) fn socket(
        self,
        address: SocketAddr,
        kind: Type,
        protocol: Protocol,
    ) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
        if address.is_ipv6() {
            socket.set_only_v6(self == Family::V6)?;
        }
        Ok(socket)
    }
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// The addresses that a `host:port` text names; a host alone means port 0.
fn all_addresses(text: &str) -> io::Result<std::vec::IntoIter<SocketAddr>> {
    match text.to_socket_addrs() {
        Ok(addresses) => Ok(addresses),
        Err(_) => (text.trim_matches(['[', ']']), 0).to_socket_addrs(),
    }
}

/// The first address that a `host:port` text names; a host alone means port 0.
pub(super) fn first_address(text: &str) -> io::Result<SocketAddr> {
    all_addresses(text)?
        .next()
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("`{text}` has no address")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_family() {
        let four: SocketAddr = "127.0.0.1:5565".parse().unwrap();
        let six: SocketAddr = "[::1]:5565".parse().unwrap();
        assert_eq!(Family::Any.resolve("127.0.0.1:5565").unwrap(), four);
        assert_eq!(Family::Any.resolve("[::1]:5565").unwrap(), six);
        assert_eq!(Family::V4.resolve("127.0.0.1:5565").unwrap(), four);
        assert_eq!(Family::V6.resolve("[::1]:5565").unwrap(), six);
        let refused = Family::V6.resolve("127.0.0.1:5565").unwrap_err();
        assert!(
            refused.to_string().contains("`127.0.0.1:5565`"),
            "{refused}"
        );
        assert!(Family::V4.resolve("[::1]:5565").is_err());
    }

    #[test]
    fn no_host_means_every_address() {
        assert_eq!(
            Family::V4.resolve(":80").unwrap(),
            "0.0.0.0:80".parse::<SocketAddr>().unwrap()
        );
        assert_eq!(
            Family::V6.resolve(":80").unwrap(),
            "[::]:80".parse::<SocketAddr>().unwrap()
        );
        assert!(Family::Any.resolve(":80").unwrap().ip().is_unspecified());
        let refused = Family::Any.resolve(":eighty").unwrap_err();
        assert!(refused.to_string().contains("`:eighty`"), "{refused}");
    }
}
