//! TcpInput: accepts connections and reads what they send.
//!
//! Owns:    the listening socket, and one task a connection.
//! Runs on: the listener on one shard; each connection on the shard with the fewest.            Plane: data.
//! Bounds:  connections by the engine's limit of streams.
//! Never:   ends because of one peer, or keeps a batch for an idle or slow connection.

use std::pin::pin;
use std::time::Duration;

use engine::io::{self, Accepted, ByteStream, Family, KeepAlive, TcpListener};
use engine::plugin::options::InputOptions;
use engine::plugin::{
    Fault, Input, InputFactory, InputPlugin, LocalFuture, Placement, PluginSpec, Section,
};
use engine::shard::intake::{Fill, InputContext, Intake};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::net::listen;

/// Between two attempts to accept after one that failed (no descriptor left, for example).
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// Options of `TcpInput`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Network: tcp, or tcp4 or tcp6 for one family only
    pub net: Net,
    /// Listening address, `host:port`; `:port` is every address of this host
    #[schemars(extend("x-required" = true))]
    pub address: String,
    /// Switch on TCP keep-alive
    pub keep_alive: bool,
    /// Idle seconds before a keep-alive probe; zero leaves the system's setting
    pub keep_alive_period: u32,
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
            address: self.address,
            family: self.net.family(),
            keep_alive,
        }))
    }
}

struct Factory {
    address: String,
    family: Family,
    keep_alive: Option<KeepAlive>,
}

impl InputFactory for Factory {
    fn placement(&self) -> Placement {
        Placement::OneShard
    }

    fn make(&self) -> Box<dyn Input> {
        Box::new(Listening {
            address: self.address.clone(),
            family: self.family,
            listener: None,
        })
    }

    fn serve(&self, connection: Accepted, context: InputContext) -> LocalFuture<'static, ()> {
        Box::pin(serve(self.keep_alive, connection, context))
    }
}

struct Listening {
    address: String,
    family: Family,
    listener: Option<TcpListener>,
}

impl Input for Listening {
    fn open(&mut self, _context: &InputContext) -> Result<(), Fault> {
        let listener = self
            .family
            .resolve(&self.address)
            .and_then(|address| TcpListener::bind(address, self.family))
            .map_err(|error| listen::refused(&self.address, &error))?;
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

/// Accepts connections until the order to stop.
async fn accept(listener: &TcpListener, context: &InputContext) {
    while let Some(accepted) = context.until_stop(|cx| listener.poll_accept(cx)).await {
        match accepted {
            Ok(connection) => {
                context.place(connection);
                io::yield_if_needed().await;
            }
            Err(error) => {
                context.notice(|| {
                    format!("a connection could not be accepted: {error}; trying again")
                });
                let mut pause = pin!(io::sleep(ACCEPT_PAUSE));
                context.until_stop(|cx| pause.as_mut().poll(cx)).await;
            }
        }
    }
}

/// Serves one connection to its end.
async fn serve(keep_alive: Option<KeepAlive>, connection: Accepted, context: InputContext) {
    let mut stream = match connection.adopt(keep_alive) {
        Ok(stream) => stream,
        Err(error) => return lost(&context, "a new peer", &error),
    };
    // A peer that is gone already has no address and is nobody's concern.
    if let Ok(peer) = stream.peer_addr().map(listen::plain) {
        read(&mut stream, &peer.to_string(), &context).await;
    }
}

/// Reads a connection to its end.
async fn read(stream: &mut dyn ByteStream, peer: &str, context: &InputContext) {
    let Some(mut intake) = context.open_stream(peer) else {
        context.notice(|| {
            format!("connection from {peer} refused: this shard serves as many as it can")
        });
        return;
    };
    if let Err(error) = read_all(stream, &mut intake).await {
        lost(context, peer, &error);
    }
    intake.finish().await;
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
