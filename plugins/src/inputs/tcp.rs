//! TcpInput: accepts connections and reads what they send.
//!
//! Owns:    the listening socket, and one task a connection.
//! Runs on: the listener on one shard; each connection on the shard with the fewest.            Plane: data.
//! Bounds:  connections by the engine's limit of streams; a TLS handshake has its time.
//! Never:   ends because of one peer, or keeps a batch for an idle or slow connection.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use engine::io::clock::Monotonic;
use engine::io::{
    self, Accepted, ByteStream, Family, KeepAlive, RawStream, TcpListener, descriptors,
};
use engine::limits::STOP_QUIET;
use engine::plugin::options::{InputOptions, Tls};
use engine::plugin::{
    self, Fault, Input, InputFactory, InputPlugin, LocalFuture, Placement, PluginSpec, Section,
};
use engine::shard::intake::{Fill, InputContext, Intake};
use engine::words::{agrees, counted};
use futures_lite::future::poll_once;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::net::{listen, tls};

/// Between two attempts to accept after one that failed (no descriptor left, for example). Short, because descriptors come back in
/// numbers, and those who wait for them cost nothing but a look at the socket.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Between two lines about that.
const ACCEPT_NOTICES: Duration = Duration::from_secs(10);

/// Attempts in a row that may fail after the order to stop: connections that end give their descriptors back meanwhile.
const STOP_ATTEMPTS: usize = 100;

/// Connections that are accepted after the order to stop: more than a listening socket keeps waiting.
const STOP_CONNECTIONS: usize = 8192;

/// Options of `TcpInput`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Network: tcp, or tcp4 or tcp6 for one family only
    pub net: Net,
    /// Listening address, `host:port`; `:port` is every address of this host
    #[schemars(extend("x-required" = true))]
    pub address: String,
    /// Take connections with TLS only
    pub use_tls: bool,
    /// TLS settings; `cert_file` and `key_file` are needed
    pub tls: Tls,
    /// Switch on TCP keep-alive
    pub keep_alive: bool,
    /// Idle seconds before a keep-alive probe; zero leaves the system's setting
    pub keep_alive_period: u32,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            net: Net::Tcp,
            address: String::new(),
            use_tls: false,
            tls: Tls {
                prefer_server_ciphers: true,
                ..Tls::default()
            },
            keep_alive: false,
            keep_alive_period: 0,
        }
    }
}

/// Networks of `TcpInput`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Net {
    /// IPv4 and IPv6.
    #[default]
    Tcp,
    /// IPv4.
    Tcp4,
    /// IPv6.
    Tcp6,
}

impl Net {
    fn family(self) -> Family {
        match self {
            Net::Tcp => Family::Any,
            Net::Tcp4 => Family::V4,
            Net::Tcp6 => Family::V6,
        }
    }
}

/// The table's line.
pub const SPEC: PluginSpec =
    PluginSpec::input::<Options>("TcpInput", "Accepts TCP connections and splits their streams")
        .notes(&[
            "Where the splitter does not have `use_message_bytes`, messages get the input's name as Type and Logger, and the peer's \
             address with its port as Hostname.",
            "Connections are spread over the shards; messages of one connection stay in order. A connection whose peer sends nothing \
             costs no buffer.",
            "Signers belong to the HekaFramingSplitter, not here.",
            "With `use_tls` a client has ten seconds for its handshake. TLS 1.2 and 1.3 are spoken. `client_auth`: `RequestClientCert` and \
             `RequireAnyClientCert` take certificates whoever signed them, the two that verify need `client_cafile`. Tickets for \
             the resumption of sessions are handed out in TLS 1.2, in TLS 1.3 only with `session_ticket_key`, because a client that \
             only sends would close its connection with the ticket unread, which can cost it its last messages. \
             Certificates are read when the input opens.",
        ]);

impl InputPlugin for Options {
    fn common() -> InputOptions {
        InputOptions {
            decoder: "ProtobufDecoder".to_owned(),
            splitter: "HekaFramingSplitter".to_owned(),
            ..InputOptions::default()
        }
    }

    fn build(self, section: &mut Section<'_, InputOptions>) -> Option<Box<dyn InputFactory>> {
        listen::check_address(section, &self.address);
        if self.use_tls {
            self.tls.check_server(section);
        } else if self.tls != Options::default().tls {
            section
                .warning(&["tls"], "has no effect without `use_tls`")
                .help("add `use_tls = true`");
        }
        if self.keep_alive_period > 0 && !self.keep_alive {
            section
                .warning(&["keep_alive_period"], "has no effect without `keep_alive`")
                .help("add `keep_alive = true`");
        }
        let period = Duration::from_secs(self.keep_alive_period.into());
        let keep_alive = self.keep_alive.then_some(KeepAlive {
            period: (!period.is_zero()).then_some(period),
        });
        Some(Box::new(Factory {
            shared: Arc::new(Shared {
                address: self.address,
                family: self.net.family(),
                keep_alive,
                tls: self.use_tls.then_some(self.tls),
                server: Mutex::default(),
            }),
        }))
    }
}

struct Factory {
    shared: Arc<Shared>,
}

/// What the listener and its connections share.
struct Shared {
    address: String,
    family: Family,
    keep_alive: Option<KeepAlive>,
    tls: Option<Tls>,
    /// Made of `tls` when the input opens. Locked once a connection.
    server: Mutex<Option<tls::Server>>,
}

impl Shared {
    fn server(&self) -> MutexGuard<'_, Option<tls::Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InputFactory for Factory {
    fn placement(&self) -> Placement {
        Placement::OneShard
    }

    fn listens(&self) -> Option<plugin::Listening> {
        Some(plugin::Listening {
            protocol: plugin::Protocol::Tcp,
            address: self.shared.address.clone(),
            family: self.shared.family,
        })
    }

    fn make(&self) -> Box<dyn Input> {
        Box::new(Listening {
            shared: Arc::clone(&self.shared),
            listener: None,
        })
    }

    fn serve(&self, connection: Accepted, context: InputContext) -> LocalFuture<'static, ()> {
        let server = self.shared.server().clone();
        Box::pin(serve(connection, self.shared.keep_alive, server, context))
    }
}

struct Listening {
    shared: Arc<Shared>,
    listener: Option<TcpListener>,
}

impl Input for Listening {
    fn open(&mut self, context: &InputContext) -> Result<(), Fault> {
        let shared = &*self.shared;
        if let Some(options) = &shared.tls {
            *shared.server() = Some(tls::Server::load(options)?);
        }
        let listener = shared
            .family
            .resolve(&shared.address)
            .and_then(|address| TcpListener::bind(address, shared.family))
            .map_err(|error| listen::refused(&shared.address, &error))?;
        let how = match &shared.tls {
            Some(_) => "TCP with TLS",
            None => "TCP without TLS",
        };
        listen::tell(context, listener.local_addr(), how);
        self.listener = Some(listener);
        Ok(())
    }

    fn run<'a>(&'a mut self, context: &'a InputContext) -> LocalFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let listener = self.listener.take().expect("opened before it runs");
            accept(&listener, context).await;
            Ok(())
        })
    }
}

/// Accepts connections until the order to stop, and then those that wait: their peers take them for open, and may have written.
async fn accept(listener: &TcpListener, context: &InputContext) {
    let mut left = STOP_CONNECTIONS;
    let mut shortage = Shortage::default();
    while let Some(accepted) = next(listener, context).await {
        let stopping = context.stopping();
        match accepted {
            Ok(connection) => {
                shortage.attempts = 0;
                left -= usize::from(stopping);
                context.place(connection);
                io::yield_if_needed().await;
            }
            Err(error) => {
                shortage.failed(context, &error);
                if stopping && shortage.attempts > STOP_ATTEMPTS {
                    break;
                }
                io::sleep(ACCEPT_PAUSE).await;
            }
        }
        if left == 0 {
            break;
        }
    }
    let waiting = listener.waiting();
    if waiting > 0 {
        context.count(|counters| counters.streams_refused += waiting as u64);
        context.notice(|| {
            format!(
                "{} {} waiting to be accepted: closed, and what was sent there is not read",
                counted(waiting, "connection"),
                agrees(waiting, "was", "were")
            )
        });
    }
}

/// A time in which no connection can be accepted.
#[derive(Default)]
struct Shortage {
    /// Attempts in a row that have failed.
    attempts: usize,
    told: Option<Monotonic>,
}

impl Shortage {
    /// Counts how often such a time begins, and tells of it now and then.
    fn failed(&mut self, context: &InputContext, error: &std::io::Error) {
        self.attempts += 1;
        if self.attempts == 1 {
            context.count(|counters| counters.accept_failures += 1);
        }
        if self
            .told
            .is_none_or(|told| told.elapsed() >= ACCEPT_NOTICES)
        {
            self.told = Some(Monotonic::now());
            context.notice(|| {
                let advice = descriptors::advice(error)
                    .map_or_else(String::new, |advice| format!("; {advice}"));
                format!("no connection can be accepted, those that come wait: {error}{advice}")
            });
        }
    }
}

async fn next(listener: &TcpListener, context: &InputContext) -> Option<std::io::Result<Accepted>> {
    let accepted = context.until_stop(|cx| listener.poll_accept(cx)).await;
    if accepted.is_some() {
        return accepted;
    }
    // Best effort: without it, what asks for a connection in the last moment is reset, as by any program that ends.
    let _ = listener.refuse_new();
    let mut quiet = pin!(io::sleep(STOP_QUIET));
    poll_fn(|cx| match listener.poll_accept(cx) {
        Poll::Ready(accepted) => Poll::Ready(Some(accepted)),
        Poll::Pending => quiet.as_mut().poll(cx).map(|()| None),
    })
    .await
}

/// Serves one connection to its end.
async fn serve(
    connection: Accepted,
    keep_alive: Option<KeepAlive>,
    server: Option<tls::Server>,
    context: InputContext,
) {
    let mut stream = match connection.adopt(keep_alive) {
        Ok(stream) => stream,
        Err(error) => return lost(&context, "a new peer", &error),
    };
    // A peer that is gone already has no address and is nobody's concern.
    let Ok(peer) = stream.peer_addr().map(listen::plain) else {
        return;
    };
    let peer = peer.to_string();
    // Before the handshake, so that connections which never come to one count as well.
    let Some(mut intake) = context.open_stream(&peer) else {
        context.notice(|| {
            format!("connection from {peer} refused: this shard serves as many as it can")
        });
        return;
    };
    let read = match server {
        Some(server) => read_encrypted(stream, &server, &mut intake, &context).await,
        None => read_all(&mut stream, &mut intake).await,
    };
    if let Err(error) = read {
        lost(&context, &peer, &error);
    }
    intake.finish().await;
}

async fn read_encrypted(
    stream: RawStream,
    server: &tls::Server,
    intake: &mut Intake,
    context: &InputContext,
) -> std::io::Result<()> {
    let mut handshake = pin!(server.accept(stream));
    let shaken = context.until_stop(|cx| handshake.as_mut().poll(cx)).await;
    let Some(stream) = shaken else {
        return Ok(());
    };
    let mut stream = stream?;
    let read = read_all(&mut stream, intake).await;
    // A farewell, if the socket takes it; nobody waits for that.
    let _ = poll_once(poll_fn(|cx| stream.poll_close(cx))).await;
    read
}

async fn read_all(stream: &mut dyn ByteStream, intake: &mut Intake) -> std::io::Result<()> {
    while let Fill::Received(_) = intake.fill(stream).await? {
        io::yield_if_needed().await;
    }
    Ok(())
}

/// Counts and tells of a connection that ended with an error.
fn lost(context: &InputContext, peer: &str, error: &std::io::Error) {
    context.count(|counters| counters.stream_errors += 1);
    context.notice(|| format!("connection from {peer} lost: {error}; other connections go on"));
}

#[cfg(test)]
mod tests {
    use crate::configured::{mistakes, plan};

    fn section(options: &str) -> String {
        format!("[TcpInput]\n{options}")
    }

    #[test]
    fn options_that_cannot_be_are_mistakes() {
        for (options, expected) in [
            ("", "address"),
            ("address = ':1'\nnet = 'udp'", "tcp6"),
            (
                "address = ':1'\nkeep_alive_period = -1",
                "keep_alive_period",
            ),
            ("address = ':1'\nuse_tls = true", "cert_file"),
            (
                "address = ':1'\nuse_tls = true\n[TcpInput.tls]\ncert_file = 'c'\nkey_file = 'k'\n\
                 client_auth = 'RequireAndVerifyClientCert'",
                "client_cafile",
            ),
        ] {
            let found = mistakes(&section(options));
            assert!(found.contains(expected), "{options}: {found}");
        }
    }

    #[test]
    fn options_without_effect_are_warned_about() {
        for (options, expected) in [
            ("keep_alive_period = 5", "`keep_alive`"),
            ("[TcpInput.tls]\ncert_file = 'c'", "`use_tls`"),
        ] {
            let plan = plan(&section(&format!("address = ':1'\n{options}"))).unwrap();
            let warnings = plan.warnings.render(false);
            assert!(warnings.contains(expected), "{options}: {warnings}");
        }
        let output = "[LogOutput]\nmessage_matcher = 'TRUE'\nencoder = 'ProtobufEncoder'";
        let plan = plan(&section(&format!("address = ':1'\n{output}"))).unwrap();
        assert!(plan.warnings.is_empty());
    }
}
