//! TLS: from the options of a `tls` subsection to connections that are encrypted.
//!
//! Owns:    `Server` and `Client`, which make `TlsStream`s of connections, and `BlockingStream`s for the tools.
//! Runs on: made on the shard that opens a plugin; handshakes on every shard.            Plane: control.
//! Bounds:  TLS 1.2 and 1.3; a handshake has `HANDSHAKE_TIMEOUT`.
//! Never:   reads a file before the plugin is opened, or shows a key.
//!
//! How Heka's five values of `client_auth` are meant: `NoClientCert` asks for none. `RequestClientCert` asks and takes any or none,
//! `RequireAnyClientCert` needs one, whoever signed it; both make sure only that the client has the key to it. With
//! `VerifyClientCertIfGiven` and `RequireAndVerifyClientCert` it must come from `client_cafile`.
//!
//! Tickets for the resumption of sessions: a server hands them out in TLS 1.2; in TLS 1.3 only with `session_ticket_key`.

mod blocking;
mod explained;
mod files;
mod own_certificate;
mod stream;
mod tickets;
mod verify;

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use engine::io::{ByteStream, timeout};
use engine::plugin::Fault;
use engine::plugin::options::{ClientAuth, Tls, TlsVersion};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, ServerConfig, ServerConnection, SupportedProtocolVersion,
};

pub use blocking::BlockingStream;
use own_certificate::OwnCertificate;
pub use stream::TlsStream;

/// How long a handshake may take.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client waits for what a server says to its certificate. In TLS 1.3 the client is done with the handshake before the server
/// has looked at it, and what it sends to a server that then refuses is lost. One that says nothing for so long has accepted.
pub const VERDICT_TIMEOUT: Duration = Duration::from_secs(1);

/// Accepts encrypted connections.
#[derive(Clone, Debug)]
pub struct Server {
    config: Arc<ServerConfig>,
}

/// Makes encrypted connections to one server.
#[derive(Clone, Debug)]
pub struct Client {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    own: Arc<OwnCertificate>,
}

impl Server {
    /// Reads the files that the options name. The error says which one is at fault.
    pub fn load(options: &Tls) -> Result<Server, Fault> {
        let provider = provider(options);
        let verifier = client_verifier(options, &provider)?;
        let (certificates, key) = files::identity(&options.cert_file, &options.key_file)?;
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions(options))
            .map_err(|error| unusable(&error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(certificates, key)
            .map_err(|error| files::unfit(&options.cert_file, &options.key_file, &error))?;
        config.ignore_client_order = options.prefer_server_ciphers;
        if options.session_tickets_disabled {
            config.session_storage = Arc::new(NoServerSessionStorage {});
        } else {
            config.ticketer = tickets::ticketer(&options.session_ticket_key)?;
        }
        // In TLS 1.3 tickets come after the handshake. A client that only sends never reads them, and a system that closes a
        // connection with something unread resets it, with the client's last data still on its way: so only on request.
        let wanted = !options.session_tickets_disabled && !options.session_ticket_key.is_empty();
        config.send_tls13_tickets = usize::from(wanted);
        Ok(Server {
            config: Arc::new(config),
        })
    }

    /// Shakes hands with a client that has connected.
    pub async fn accept<S: ByteStream>(&self, stream: S) -> io::Result<TlsStream<S>> {
        shake_hands(self.begin(stream)?, HANDSHAKE_TIMEOUT).await
    }

    fn begin<S: ByteStream>(&self, stream: S) -> io::Result<TlsStream<S>> {
        let connection =
            ServerConnection::new(Arc::clone(&self.config)).map_err(io::Error::other)?;
        Ok(TlsStream::new(stream, connection.into()))
    }
}

impl Client {
    /// Reads the files that the options name. The error says which one is at fault. `address` (`host:port`) gives the name to
    /// check the server's certificate against, unless the options do.
    pub fn load(options: &Tls, address: &str) -> Result<Client, Fault> {
        let provider = provider(options);
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions(options))
            .map_err(|error| unusable(&error))?;
        let builder = if options.insecure_skip_verify {
            let verifier = verify::AnyServer::new(Arc::clone(&provider));
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
        } else {
            builder.with_root_certificates(files::server_roots(&options.root_cafile)?)
        };
        let own = if options.cert_file.is_empty() {
            None
        } else {
            let (certificates, key) = files::identity(&options.cert_file, &options.key_file)?;
            let own = CertifiedKey::from_der(certificates, key, &provider)
                .map_err(|error| files::unfit(&options.cert_file, &options.key_file, &error))?;
            Some(Arc::new(own))
        };
        let own = Arc::new(OwnCertificate::new(own));
        let mut config = builder.with_client_cert_resolver(Arc::clone(&own) as Arc<_>);
        if options.session_tickets_disabled {
            config.resumption = Resumption::disabled();
        }
        Ok(Client {
            config: Arc::new(config),
            name: server_name(&options.server_name, address)?,
            own,
        })
    }

    /// Shakes hands with the server. Where that has asked for a certificate, waits for a sign that it accepts what it got.
    pub async fn connect<S: ByteStream>(&self, stream: S) -> io::Result<TlsStream<S>> {
        let mut stream = shake_hands(self.begin(stream)?, HANDSHAKE_TIMEOUT).await?;
        if self.own.was_asked_for() && stream.awaits_verdict() {
            match timeout(VERDICT_TIMEOUT, stream.hear()).await {
                Err(error) if error.kind() == ErrorKind::TimedOut => {}
                heard => heard.map_err(|error| failed(&error))?,
            }
        }
        Ok(stream)
    }

    fn begin<S: ByteStream>(&self, stream: S) -> io::Result<TlsStream<S>> {
        let connection = ClientConnection::new(Arc::clone(&self.config), self.name.clone())
            .map_err(io::Error::other)?;
        Ok(TlsStream::new(stream, connection.into()))
    }
}

async fn shake_hands<S: ByteStream>(
    mut stream: TlsStream<S>,
    limit: Duration,
) -> io::Result<TlsStream<S>> {
    match timeout(limit, stream.shake_hands()).await {
        Ok(()) => Ok(stream),
        Err(error) if error.kind() == ErrorKind::TimedOut => Err(no_handshake(limit)),
        Err(error) => Err(failed(&error)),
    }
}

fn no_handshake(limit: Duration) -> io::Error {
    let text = format!("no TLS handshake within {limit:?}: the peer may not speak TLS");
    io::Error::new(ErrorKind::TimedOut, text)
}

fn failed(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("TLS handshake failed: {error}"))
}

/// The cryptography, with the cipher suites that are allowed. Those of TLS 1.3 cannot be chosen, as in Go.
fn provider(options: &Tls) -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    if !options.ciphers.is_empty() {
        provider.cipher_suites.retain(|suite| {
            let name = suite.suite().as_str().unwrap_or_default();
            let plain = name.strip_prefix("TLS_").unwrap_or(name);
            suite.tls13().is_some() || options.ciphers.iter().any(|cipher| cipher == plain)
        });
    }
    Arc::new(provider)
}

/// The versions that are spoken. What is older than TLS 1.2 has been warned about.
fn versions(options: &Tls) -> Vec<&'static SupportedProtocolVersion> {
    let allowed = |version| {
        options.min_version.is_none_or(|min| min <= version)
            && options.max_version.is_none_or(|max| max >= version)
    };
    [(TlsVersion::TLS13, &TLS13), (TlsVersion::TLS12, &TLS12)]
        .into_iter()
        .filter(|(version, _)| allowed(*version))
        .map(|(_, version)| version)
        .collect()
}

fn client_verifier(
    options: &Tls,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Fault> {
    let any = |mandatory| -> Arc<dyn ClientCertVerifier> {
        Arc::new(verify::AnyClient::new(Arc::clone(provider), mandatory))
    };
    let verified = || -> Result<_, Fault> {
        let roots = files::roots("client_cafile", &options.client_cafile)?;
        let provider = Arc::clone(provider);
        Ok(WebPkiClientVerifier::builder_with_provider(
            Arc::new(roots),
            provider,
        ))
    };
    let built = match options.client_auth {
        ClientAuth::NoClientCert => return Ok(WebPkiClientVerifier::no_client_auth()),
        ClientAuth::RequestClientCert => return Ok(any(false)),
        ClientAuth::RequireAnyClientCert => return Ok(any(true)),
        ClientAuth::VerifyClientCertIfGiven => verified()?.allow_unauthenticated().build(),
        ClientAuth::RequireAndVerifyClientCert => verified()?.build(),
    };
    built.map_err(|error| {
        let path = &options.client_cafile;
        Fault::new(format!("`client_cafile` {path} cannot be used: {error}"))
    })
}

/// Whom a server's certificate has to name.
fn server_name(configured: &str, address: &str) -> Result<ServerName<'static>, Fault> {
    let host = match (configured, address.rsplit_once(':')) {
        ("", Some((host, _))) => host.trim_start_matches('[').trim_end_matches(']'),
        ("", None) => address,
        (name, _) => name,
    };
    ServerName::try_from(host.to_owned()).map_err(|_| {
        Fault::new(format!(
            "`{host}` is no name that a certificate could have; set `server_name` in the `tls` subsection"
        ))
    })
}

fn unusable(error: &rustls::Error) -> Fault {
    Fault::new(format!(
        "no TLS connection is possible with these versions and cipher suites: {error}"
    ))
}

#[cfg(test)]
mod tests;
