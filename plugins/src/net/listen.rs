//! Listening: which addresses can be meant, where an input listens, why it cannot and what to do.
//!
//! Owns:    these texts.
//! Runs on: build time, and the shard that opens an input.            Plane: control.
//! Bounds:  one line.
//! Never:   opens anything.

use std::fmt::Display;
use std::io::{Error, ErrorKind};
use std::net::{IpAddr, SocketAddr};

use engine::plugin::options::InputOptions;
use engine::plugin::{Fault, Section};
use engine::shard::intake::InputContext;

/// Complains about an address without a port: the kernel would choose one, and nobody would know which.
pub(crate) fn check_address(section: &mut Section<'_, InputOptions>, address: &str) {
    let port = address.rsplit_once(':').map(|(_, port)| port);
    if port.is_none_or(|port| port.parse::<u16>().is_err()) {
        section.problem(&["address"], "must name a port, a number up to 65535").help(
            "write it as \"host:port\", \":port\" for all addresses of this host, an IPv6 address as \"[::1]:port\"",
        );
    }
}

/// Why `address` cannot be listened on.
pub(crate) fn refused(address: &str, error: &Error) -> Fault {
    let advice = match error.kind() {
        ErrorKind::AddrInUse => {
            "; another input or another process listens there: stop it, or change `address`"
        }
        ErrorKind::AddrNotAvailable => "; this host does not have that address",
        ErrorKind::PermissionDenied => {
            "; ports below 1024 need CAP_NET_BIND_SERVICE, a socket file needs a folder that may be written to"
        }
        ErrorKind::NotFound => "; the folder of a socket file has to exist",
        _ if error.to_string().contains("lookup address") => {
            "; this host does not know that name: listen on \":port\", or on an address in numbers"
        }
        _ => "",
    };
    Fault::new(format!("cannot listen on `{address}`: {error}{advice}"))
}

/// Tells the operator where an input listens, port 0 replaced by the port that the kernel chose.
pub(crate) fn tell(context: &InputContext, address: impl Display, how: &str) {
    context.notice(|| format!("listening on {address} ({how})"));
}

/// A peer as people write it: an IPv4 peer of an IPv6 socket is shown as IPv4.
pub(crate) fn plain(peer: SocketAddr) -> SocketAddr {
    match peer.ip().to_canonical() {
        IpAddr::V4(four) => SocketAddr::new(four.into(), peer.port()),
        IpAddr::V6(_) => peer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_peers_are_shown_as_ipv4() {
        let plain = |text: &str| plain(text.parse().unwrap()).to_string();
        assert_eq!(plain("[::ffff:192.0.2.7]:99"), "192.0.2.7:99");
        assert_eq!(plain("[2001:db8::1]:99"), "[2001:db8::1]:99");
        assert_eq!(plain("192.0.2.7:99"), "192.0.2.7:99");
    }

    #[test]
    fn the_error_names_the_address_and_says_what_to_do() {
        let fault = refused(":80", &ErrorKind::AddrInUse.into());
        assert!(fault.message.contains("`:80`"), "{fault}");
        assert!(fault.message.contains("change `address`"), "{fault}");
    }
}
