//! What went wrong on an encrypted connection, as one sentence for people: what happened, and what to do.
//!
//! Owns:    the translation of the TLS library's errors.
//! Runs on: every shard, when a connection fails.            Plane: control.
//! Bounds:  the common causes; the others keep the library's words.
//! Never:   names a peer: who reports the error knows its address.

use std::io::{self, ErrorKind};
use std::net::IpAddr;

use rustls::{
    AlertDescription, CertificateError, Connection, Error, InvalidMessage, PeerIncompatible,
};

/// Who the peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Client,
    Server,
}

impl Peer {
    const fn name(self) -> &'static str {
        match self {
            Peer::Client => "client",
            Peer::Server => "server",
        }
    }

    /// The option that says whom we trust to sign its certificate.
    const fn roots(self) -> &'static str {
        match self {
            Peer::Client => "client_cafile",
            Peer::Server => "root_cafile",
        }
    }
}

/// An error of this connection.
pub(super) fn explained(connection: &Connection, error: &Error) -> io::Error {
    let peer = match connection {
        Connection::Client(_) => Peer::Server,
        Connection::Server(_) => Peer::Client,
    };
    io::Error::new(ErrorKind::InvalidData, sentence(peer, error))
}

/// A peer that hangs up where it should shake hands.
pub(super) fn hung_up() -> io::Error {
    let text = "the peer closed the connection: its log may say why, or it does not speak TLS";
    io::Error::new(ErrorKind::UnexpectedEof, text)
}

fn sentence(peer: Peer, error: &Error) -> String {
    let name = peer.name();
    match error {
        Error::NoCertificatesPresented => format!(
            "the {name} presented no certificate: give it one, or change `client_auth`, which asks for it"
        ),
        Error::InvalidCertificate(error) => about_certificate(peer, error),
        Error::AlertReceived(alert) => about_alert(peer, *alert),
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::InvalidEmptyPayload,
        ) => {
            format!("the {name} does not speak TLS: switch TLS on there, or `use_tls` off here")
        }
        Error::PeerIncompatible(
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::SupportedVersionsExtensionRequired,
        ) => no_common_version(peer),
        Error::PeerIncompatible(
            PeerIncompatible::NoCipherSuitesInCommon
            | PeerIncompatible::NoKxGroupsInCommon
            | PeerIncompatible::NoSignatureSchemesInCommon,
        ) => no_common_suite(peer),
        other => other.to_string(),
    }
}

fn about_certificate(peer: Peer, error: &CertificateError) -> String {
    let (name, roots) = (peer.name(), peer.roots());
    match error {
        CertificateError::UnknownIssuer => format!(
            "nobody whom we trust has signed the {name}'s certificate: add its authority to `{roots}`"
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the {name}'s certificate has expired: renew it there")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the {name}'s certificate is not valid yet: set the clocks of both hosts right")
        }
        CertificateError::NotValidForName => format!(
            "the {name}'s certificate is for another name: set `server_name` to one that it has"
        ),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => format!(
            "the {name}'s certificate is not for `{}` but for {}: set `server_name` to a name that it has",
            expected.to_str(),
            names(presented)
        ),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            format!(
                "the {name}'s certificate is not meant for a {name}: issue one whose extended key usage is {name}Auth"
            )
        }
        CertificateError::Revoked => {
            format!("the {name}'s certificate was revoked: replace it there")
        }
        // The library has no variant of its own for this one.
        other if other.to_string().contains("CaUsedAsEndEntity") => format!(
            "the {name}'s certificate is an authority's own (self-signed, perhaps): give it one that an authority in `{roots}` has signed"
        ),
        other => format!("the {name}'s certificate cannot be used: {other}"),
    }
}

/// Names in a certificate as people write them.
fn names(presented: &[String]) -> String {
    let plain = presented.iter().map(|name| {
        let inner = name.split_once('(').map_or(name.as_str(), |(_, rest)| rest);
        let inner = inner.trim_end_matches(')').trim_matches('"');
        match inner.parse::<IpAddr>() {
            Ok(address) => format!("`{address}`"),
            Err(_) => format!("`{inner}`"),
        }
    });
    match plain.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => "no name at all".to_owned(),
        names => names,
    }
}

/// What the peer says that is wrong with us.
fn about_alert(peer: Peer, alert: AlertDescription) -> String {
    let name = peer.name();
    match alert {
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied => format!(
            "the {name} does not trust our certificate (`cert_file`): have it trust the authority that signed it, and check its names"
        ),
        AlertDescription::CertificateExpired | AlertDescription::CertificateRevoked => {
            format!("the {name} says that our certificate (`cert_file`) is no longer valid: renew it")
        }
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => format!(
            "the {name} asks for a certificate, and we have none: set `cert_file` and `key_file`"
        ),
        AlertDescription::UnrecognisedName => {
            format!("the {name} has no certificate for that name: correct `server_name`")
        }
        AlertDescription::ProtocolVersion => no_common_version(peer),
        AlertDescription::InsufficientSecurity => no_common_suite(peer),
        // TLS 1.2 has no alert of its own for a certificate that is missing.
        AlertDescription::HandshakeFailure if peer == Peer::Server => "the server refused the handshake: it asks for a certificate (set `cert_file` and `key_file`), or has no cipher suite in common with us (`ciphers`)".to_owned(),
        AlertDescription::HandshakeFailure => no_common_suite(peer),
        other => format!("the {name} ended the connection with the alert {other:?}: its log may say why"),
    }
}

fn no_common_version(peer: Peer) -> String {
    let name = peer.name();
    format!(
        "the {name} and we have no TLS version in common: change `min_version` or `max_version`, or have it speak TLS 1.2 or 1.3"
    )
}

fn no_common_suite(peer: Peer) -> String {
    let name = peer.name();
    format!("the {name} and we have no cipher suite in common: allow more of them in `ciphers`")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::OtherError;

    use super::*;

    #[test]
    fn common_causes_are_told_with_what_to_do() {
        for (peer, error, what, advice) in [
            (
                Peer::Client,
                Error::NoCertificatesPresented,
                "the client presented no certificate",
                "`client_auth`",
            ),
            (
                Peer::Client,
                Error::InvalidMessage(InvalidMessage::InvalidContentType),
                "the client does not speak TLS",
                "`use_tls`",
            ),
            (
                Peer::Client,
                CertificateError::Other(OtherError(Arc::new(io::Error::other(
                    "CaUsedAsEndEntity",
                ))))
                .into(),
                "an authority's own",
                "`client_cafile`",
            ),
            (
                Peer::Client,
                CertificateError::UnknownIssuer.into(),
                "the client's certificate",
                "`client_cafile`",
            ),
            (
                Peer::Server,
                Error::AlertReceived(AlertDescription::HandshakeFailure),
                "the server refused the handshake",
                "`key_file`",
            ),
            (
                Peer::Client,
                Error::AlertReceived(AlertDescription::ProtocolVersion),
                "no TLS version in common",
                "`min_version`",
            ),
            (
                Peer::Server,
                Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
                "no cipher suite in common",
                "`ciphers`",
            ),
        ] {
            let text = sentence(peer, &error);
            assert!(text.contains(what) && text.contains(advice), "{text}");
        }
    }

    #[test]
    fn names_of_certificates_are_plain() {
        let presented = ["DnsName(\"a.example\")", "IpAddress(0::1)"].map(str::to_owned);
        assert_eq!(names(&presented), "`a.example`, `::1`");
        assert_eq!(names(&[]), "no name at all");
    }

    #[test]
    fn what_is_not_known_keeps_the_librarys_words() {
        let error = Error::DecryptError;
        assert_eq!(sentence(Peer::Client, &error), error.to_string());
    }
}
