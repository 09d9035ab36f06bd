//! Whom a tool sends to: is the address one, and what to do when nobody is reached.
//!
//! Owns:    the check of addresses, and advice about failed connections.
//! Runs on: the main thread, and threads that send.            Plane: control.
//! Bounds:  the form of an address; names are resolved by who connects.
//! Never:   connects.

use std::io::{self, ErrorKind};

use crate::failure::Failure;

/// Refuses what is not `host:port`. `given_as` is the flag, or the key of a file.
pub(crate) fn check_address(given_as: &str, address: &str) -> Result<(), Failure> {
    let wrong = |what: &str| {
        Failure::usage(format!(
            "{given_as} \"{address}\": {what}; write HOST:PORT, for example 127.0.0.1:5565 or [::1]:5565"
        ))
    };
    let Some((host, port)) = address.rsplit_once(':') else {
        return Err(wrong("the port is missing"));
    };
    match port.parse::<u16>() {
        Ok(1..) => {}
        _ => return Err(wrong("a port is a number from 1 to 65535")),
    }
    if host.is_empty() {
        return Err(wrong("the host is missing"));
    }
    if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
        return Err(wrong("an IPv6 address stands in brackets"));
    }
    Ok(())
}

/// The error, with what to do about it.
pub(crate) fn explained(error: &io::Error) -> String {
    let advice = match error.kind() {
        ErrorKind::ConnectionRefused => {
            "; nobody listens there: is hekad running, with an input on that port?"
        }
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
            "; the receiver has closed the connection: its log may say why"
        }
        ErrorKind::TimedOut | ErrorKind::WouldBlock if error.raw_os_error().is_some() => {
            "; the receiver does not answer: is the address right, and no firewall between?"
        }
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            "; there is no way to that address from this host"
        }
        // What looking up a name says: it has no kind of its own.
        _ if error.to_string().contains("lookup address") => {
            "; this host does not know that name: check its spelling, or give the address in numbers"
        }
        _ => "",
    };
    format!("{error}{advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for right in ["h:1", "127.0.0.1:65535", "[::1]:5565"] {
            assert!(check_address("--heka", right).is_ok(), "{right}");
        }
        for (wrong, why) in [
            ("", "port is missing"),
            ("localhost", "port is missing"),
            (":5565", "host is missing"),
            ("h:0", "1 to 65535"),
            ("h:99999", "1 to 65535"),
            ("h:x", "1 to 65535"),
            ("::1:5565", "brackets"),
        ] {
            let said = check_address("--heka", wrong).unwrap_err().to_string();
            assert!(said.contains(why) && said.contains("HOST:PORT"), "{said}");
        }
    }

    #[test]
    fn failures_say_what_to_do() {
        let said = |kind: ErrorKind| explained(&kind.into());
        assert!(said(ErrorKind::ConnectionRefused).contains("is hekad running"));
        assert!(said(ErrorKind::BrokenPipe).contains("its log"));
        let unknown = io::Error::other("failed to lookup address information: x");
        assert!(explained(&unknown).contains("spelling"));
    }
}
