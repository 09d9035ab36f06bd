//! TcpOutput: a stream of encoded messages to one peer, connected again for as long as it takes.
//!
//! Owns:    the connection, the wait before the next attempt, the parcels that are being sent.
//! Runs on: its home shard.            Plane: data.
//! Bounds:  `SEND_BYTES` are being sent, or one parcel; others wait in the output's queue, and through it the inputs wait.
//! Never:   begins a connection in the middle of a record, copies a record, or settles what the socket has not taken whole.
//!
//! All parcels that are there go into one system call: each call costs the kernel a segment of its own and the peer a wake-up.
//! A parcel counts as delivered when the socket has taken all its bytes. If a connection breaks before that, all records
//! of the parcel that were sent on it are sent again on the next one: at least once, never half.

mod connection;
mod outgoing;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use engine::io::{self as world, ByteStream, ConnectOptions, KeepAlive, RawStream};
use engine::plugin::options::{Buffering, OutputOptions, Tls};
use engine::plugin::{
    Fault, LocalFuture, Output, OutputFactory, OutputPlugin, PluginSpec, Section,
};
use engine::shard::delivery::{OutputContext, OutputEvent};
use engine::words::counted;
use futures_lite::future::or;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::connection::Connection;
use self::outgoing::Outgoing;
use crate::net::tls;

/// Longest wait for a connection to one address of the peer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes that are gathered for one system call. Sockets take no more at a time by default.
const SEND_BYTES: usize = 1024 * 1024;

/// Options of `TcpOutput`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Remote address, host:port
    pub address: String,
    /// Local bind address; not allowed with TLS
    pub local_address: String,
    /// Connect with TLS
    pub use_tls: bool,
    /// TLS settings
    pub tls: Tls,
    /// Enable TCP keepalive
    pub keep_alive: bool,
    /// Keepalive seconds; zero leaves the system's default
    #[schemars(range(min = 0, max = 32767))]
    pub keep_alive_period: i64,
    /// Congestion control algorithm of the connections, such as cubic; empty leaves the system's
    pub congestion_control: String,
    /// Reconnect after this many messages; zero never
    #[schemars(range(min = 0))]
    pub reconnect_after: i64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            address: "localhost:9125".to_owned(),
            local_address: String::new(),
            use_tls: false,
            tls: Tls::default(),
            keep_alive: false,
            keep_alive_period: 0,
            congestion_control: String::new(),
            reconnect_after: 0,
        }
    }
}

/// The table's line.
pub const SPEC: PluginSpec = PluginSpec::output::<Options>(
    "TcpOutput",
    "Streams encoded messages over TCP",
)
.notes(&[
    "Connects when there is something to send, and again whenever the connection is lost, by `retries`: for ever unless `max_retries` says otherwise. Until then the inputs that feed it wait; nothing is dropped.",
    "A message counts as delivered when the kernel has taken all its bytes. What was being sent when a connection broke is sent again from the start of a record, so a peer may see messages twice, but never half a message at the start of a connection. Messages that the kernel had taken and a dying peer has not read are lost: only a protocol with acknowledgements could tell.",
    "With `use_tls` the server's certificate is checked against `root_cafile` or the host's roots, for `server_name` or the host in `address`; certificates are read when the output starts, where a mistake in them ends it for good, and again on SIGHUP for the connections made afterwards. A handshake that fails counts as a failed attempt to connect.",
    "`congestion_control` is for fast networks whose hosts use an algorithm that paces: with `bbr`, a timer fires for each piece of 64 KiB, which costs more than all else that a relay does. What the kernel does not grant ends the output at its start.",
    "A peer that closes its sending side counts as gone. What a peer sends is read and thrown away.",
    "`use_buffering` is on: messages go through a disk queue below `base_dir` (docs/delivery.md). Turned off, they wait in memory, within the daemon's fixed pools, and hold back the inputs when these are full.",
]);

impl OutputPlugin for Options {
    fn common() -> OutputOptions {
        OutputOptions {
            encoder: "ProtobufEncoder".to_owned(),
            use_framing: None,
            use_buffering: true,
            buffering: Buffering {
                max_file_size: 128 * 1024 * 1024,
                cursor_update_count: 50,
                ..Buffering::default()
            },
            ..OutputOptions::default()
        }
    }

    fn build(self, section: &mut Section<'_, OutputOptions>) -> Option<Box<dyn OutputFactory>> {
        let port = self.address.rsplit_once(':').map(|(_, port)| port);
        if port.and_then(|port| port.parse::<u16>().ok()).is_none() {
            section
                .problem(&["address"], "must name a host and a port")
                .help("write it as \"host:port\", an IPv6 address as \"[::1]:port\"");
        }
        if self.use_tls && !self.local_address.is_empty() {
            section.problem(&["local_address"], "cannot be combined with `use_tls`");
        }
        if self.use_tls {
            self.tls.check_client(section);
        } else if self.tls != Tls::default() {
            section
                .warning(&["tls"], "has no effect without `use_tls`")
                .help("add `use_tls = true`");
        }
        if self.keep_alive_period > 0 && !self.keep_alive {
            section
                .warning(
                    &["keep_alive_period"],
                    "has no effect without `keep_alive = true`",
                )
                .help("add `keep_alive = true`");
        }
        let period = u64::try_from(self.keep_alive_period).unwrap_or(0);
        let local = Some(self.local_address).filter(|local| !local.is_empty());
        let address = if self.address.starts_with(':') {
            format!("127.0.0.1{}", self.address)
        } else {
            self.address
        };
        Some(Box::new(Factory(Arc::new(Settings {
            address,
            connect: ConnectOptions {
                local,
                keep_alive: self.keep_alive.then(|| KeepAlive {
                    period: (period > 0).then(|| Duration::from_secs(period)),
                }),
                congestion_control: Some(self.congestion_control).filter(|name| !name.is_empty()),
                timeout: CONNECT_TIMEOUT,
            },
            records_max: u64::try_from(self.reconnect_after)
                .ok()
                .filter(|&records| records > 0)
                .unwrap_or(u64::MAX),
            tls: self.use_tls.then_some(self.tls),
        }))))
    }
}

/// How long a connection must have lived to count as one that works.
const SETTLED: Duration = Duration::from_secs(1);

/// What the options come to.
struct Settings {
    address: String,
    connect: ConnectOptions,
    /// Records of one connection.
    records_max: u64,
    tls: Option<Tls>,
}

struct Factory(Arc<Settings>);

impl OutputFactory for Factory {
    fn peer(&self) -> Option<&str> {
        Some(&self.0.address)
    }

    fn make(&self) -> Box<dyn Output> {
        Box::new(TcpOutput {
            settings: Arc::clone(&self.0),
            wait: Duration::ZERO,
            client: None,
            connection: None,
            outgoing: Outgoing::default(),
        })
    }
}

struct TcpOutput {
    settings: Arc<Settings>,
    /// Before the next attempt to connect.
    wait: Duration,
    /// Shakes hands, with TLS.
    client: Option<tls::Client>,
    connection: Option<Connection>,
    /// Being sent.
    outgoing: Outgoing,
}

impl Output for TcpOutput {
    fn run<'a>(&'a mut self, context: &'a mut OutputContext) -> LocalFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            self.check_congestion_control()?;
            self.client = self.load_client().await.map_err(|fault| {
                // What was right once may be so again; at the start of the daemon it is a mistake of its configuration.
                if context.is_restart() {
                    fault
                } else {
                    Fault::for_good(fault.message)
                }
            })?;
            loop {
                let event = match &mut self.connection {
                    None => Ok(context.next(None).await),
                    Some(connection) => {
                        or(async { Ok(context.next(None).await) }, async {
                            Err(connection.lost().await)
                        })
                        .await
                    }
                };
                match event {
                    Ok(OutputEvent::Parcel(parcel)) => {
                        self.outgoing.push(parcel);
                        while self.outgoing.bytes() < SEND_BYTES
                            && let Some(parcel) = context.next_ready()
                        {
                            self.outgoing.push(parcel);
                        }
                        self.deliver(context).await?;
                    }
                    Ok(OutputEvent::End) => {
                        self.close().await;
                        return Ok(());
                    }
                    Ok(OutputEvent::Reopen) => self.reload_client(context).await,
                    Ok(OutputEvent::Deadline | OutputEvent::Tick) => {}
                    Err(cause) => self.lost(context, &cause)?,
                }
            }
        })
    }
}

impl TcpOutput {
    /// Sends what is outgoing, on as many connections as it takes. When it gives up, what was not sent goes back to the engine.
    async fn deliver(&mut self, context: &mut OutputContext) -> Result<(), Fault> {
        let result = self.send(context).await;
        while let Some((mut parcel, taken)) = self.outgoing.pop() {
            parcel.took(taken);
        }
        result
    }

    async fn send(&mut self, context: &mut OutputContext) -> Result<(), Fault> {
        while !self.outgoing.is_empty() {
            let Some(connection) = &mut self.connection else {
                self.connect(context).await?;
                continue;
            };
            let records_max = self.settings.records_max;
            let sent = connection.send(&mut self.outgoing, records_max, context);
            match sent.await {
                Ok(()) => {
                    if connection.age() >= SETTLED {
                        context.succeeded();
                    }
                    if connection.records() >= records_max {
                        self.close().await;
                    }
                }
                Err(cause) => self.lost(context, &cause)?,
            }
        }
        Ok(())
    }

    /// What the kernel does not have now it will not have for any connection.
    fn check_congestion_control(&self) -> Result<(), Fault> {
        let Some(name) = &self.settings.connect.congestion_control else {
            return Ok(());
        };
        world::check_congestion_control(name).map_err(|error| {
            Fault::for_good(format!(
                "`congestion_control`: the kernel does not grant `{name}`: {error}; \
                 net.ipv4.tcp_allowed_congestion_control lists what it grants to all"
            ))
        })
    }

    /// Reads the certificates that the `tls` subsection names.
    async fn load_client(&self) -> Result<Option<tls::Client>, Fault> {
        let Some(options) = self.settings.tls.clone() else {
            return Ok(None);
        };
        let address = self.settings.address.clone();
        world::blocking(move || tls::Client::load(&options, &address).map(Some)).await
    }

    /// Certificates may have been renewed: the next connection uses them.
    async fn reload_client(&mut self, context: &OutputContext) {
        match self.load_client().await {
            Ok(client) => self.client = client,
            Err(fault) => context.notice(|| {
                format!("certificates cannot be read again, the old ones stay in use: {fault}")
            }),
        }
    }

    /// Makes one attempt to connect.
    async fn connect(&mut self, context: &mut OutputContext) -> Result<(), Fault> {
        let wait = std::mem::take(&mut self.wait);
        if !wait.is_zero() {
            context.pause(wait).await;
        }
        if context.reopened() {
            self.reload_client(context).await;
        }
        let Settings {
            address, connect, ..
        } = &*self.settings;
        let connected = match world::connect(address, connect).await {
            Ok(stream) => encrypted(stream, self.client.as_ref()).await,
            Err(error) => Err(error),
        };
        match connected {
            Ok(stream) => {
                if context.failures() > 0 {
                    context.notice(|| format!("connected to {address}"));
                }
                self.connection = Some(Connection::new(stream));
                Ok(())
            }
            Err(error) => self.failed(context, &format!("cannot connect to {address}: {error}")),
        }
    }

    /// Forgets a connection that broke or was closed by the peer.
    fn lost(&mut self, context: &mut OutputContext, cause: &io::Error) -> Result<(), Fault> {
        let address = &self.settings.address;
        let Some(lost) = self.connection.take() else {
            return Ok(());
        };
        self.outgoing.begin_again();
        let sent = lost.records();
        // What stands before a dead service accepts and closes: without a pause it would swallow messages as fast as they come.
        if sent == 0 || lost.age() < SETTLED {
            return self.failed(
                context,
                &format!(
                    "the connection to {address} ended at once, after {}, of which some may be lost: {cause}",
                    counted(sent, "message")
                ),
            );
        }
        context.succeeded();
        context.count(|counters| counters.retries += 1);
        context.notice(|| {
            format!(
                "the connection to {address} ended after {}: {cause}; what the peer had not read may be lost; connecting again for what comes next",
                counted(sent, "message")
            )
        });
        Ok(())
    }

    /// Notes a failed attempt and how long to wait before the next.
    fn failed(&mut self, context: &mut OutputContext, what: &str) -> Result<(), Fault> {
        self.wait = context.failed(what)?;
        Ok(())
    }

    /// Ends the connection in order.
    async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.close().await;
        }
    }
}

/// The stream as it is sent on: as it is, or with TLS once both sides have shaken hands.
async fn encrypted(
    stream: RawStream,
    client: Option<&tls::Client>,
) -> io::Result<Box<dyn ByteStream>> {
    match client {
        None => Ok(Box::new(stream)),
        Some(client) => Ok(Box::new(client.connect(stream).await?)),
    }
}
