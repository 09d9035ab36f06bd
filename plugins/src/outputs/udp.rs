//! UdpOutput: one datagram for each encoded message.
//!
//! Owns:    the socket, and the file of a local Unix socket.
//! Runs on: its home shard.            Plane: data.
//! Bounds:  one datagram is being sent; a refusal by the peer's host is answered with at most `REFUSALS` repetitions at once.
//! Never:   ends because nobody listens; drops what could still be sent.
//!
//! A host on whose port nobody listens answers (ICMP), and the kernel reports that at the next send, which it does not carry out. So the
//! refusal is of the datagram before, which is lost and counted as such as long as its parcel is not settled; the present one is sent.
//! On this host and others that answer at once that is always in time.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use engine::io::clock::Monotonic;
use engine::io::datagram::{DatagramSender, Sent};
use engine::io::{Family, yield_if_needed};
use engine::plugin::options::OutputOptions;
use engine::plugin::{
    Fault, LocalFuture, Output, OutputFactory, OutputPlugin, PluginSpec, Section,
};
use engine::shard::delivery::{OutputContext, OutputEvent};
use engine::shard::parcel::Parcel;
use engine::words::{agrees, counted};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::inputs::udp::Net;

/// Repetitions of one datagram after refusals, which are answers to earlier ones.
const REFUSALS: u32 = 16;

/// Between two notices that nobody listens.
const REFUSED_NOTICE: Duration = Duration::from_secs(10);

/// Datagrams between two looks at whether others should run.
const DATAGRAMS: usize = 64;

/// Options of `UdpOutput`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Network: udp, udp4 or udp6 for one family only, or unixgram
    pub net: Net,
    /// Remote address `host:port`; the path of a Unix socket, or `@name` for an abstract one
    #[schemars(extend("x-required" = true))]
    pub address: String,
    /// Local address to send from, written like `address`
    pub local_address: String,
    /// Largest datagram in bytes; longer messages are dropped
    #[schemars(range(min = 512))]
    pub max_message_size: u32,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            net: Net::default(),
            address: String::new(),
            local_address: String::new(),
            max_message_size: 65507,
        }
    }
}

/// The table's line.
pub const SPEC: PluginSpec = PluginSpec::output::<Options>(
    "UdpOutput",
    "Sends each encoded message as a datagram",
)
.notes(&[
    "A message counts as delivered when the kernel has taken the datagram. Whether anybody received it, UDP does not say. When the peer's host answers that nobody listens, the datagram sent last counts as `refused` (dropped, or a dead letter), and sending goes on; an answer that takes longer than the batch is noted only.",
    "Messages longer than `max_message_size`, or than the way to the peer allows, are refused as well.",
    "When the kernel's buffer is full, or the reader of a Unix socket is slow, the output waits, and with it the inputs that feed it. When the network or a Unix socket is not there, it tries again by `retries`.",
]);

impl OutputPlugin for Options {
    fn build(self, section: &mut Section<'_, OutputOptions>) -> Option<Box<dyn OutputFactory>> {
        let family = match self.net {
            Net::Udp => Some(Family::Any),
            Net::Udp4 => Some(Family::V4),
            Net::Udp6 => Some(Family::V6),
            Net::Unixgram => None,
        };
        let port = self.address.rsplit_once(':').map(|(_, port)| port);
        let has_port = port.is_some_and(|port| port.parse::<u16>().is_ok());
        if family.is_some() && !has_port {
            section
                .problem(&["address"], "must name a host and a port")
                .help("write it as \"host:port\", an IPv6 address as \"[::1]:port\"");
        }
        if family.is_none() && self.address.is_empty() {
            section.problem(&["address"], "must name a Unix socket");
        }
        let address = match (family, self.address.starts_with(':')) {
            (Some(Family::V6), true) => format!("[::1]{}", self.address),
            (Some(_), true) => format!("127.0.0.1{}", self.address),
            _ => self.address,
        };
        Some(Box::new(Factory(Arc::new(Settings {
            address,
            local: Some(self.local_address).filter(|local| !local.is_empty()),
            family,
            bytes_max: self.max_message_size as usize,
        }))))
    }
}

/// What the options come to.
struct Settings {
    address: String,
    local: Option<String>,
    /// `None` for Unix sockets.
    family: Option<Family>,
    bytes_max: usize,
}

struct Factory(Arc<Settings>);

impl OutputFactory for Factory {
    fn peer(&self) -> Option<&str> {
        Some(&self.0.address)
    }

    fn make(&self) -> Box<dyn Output> {
        Box::new(UdpOutput {
            settings: Arc::clone(&self.0),
            sender: None,
            refusals: 0,
            refused_notice: None,
        })
    }
}

struct UdpOutput {
    settings: Arc<Settings>,
    sender: Option<DatagramSender>,
    /// Answers that nobody listens, to datagrams before the present one.
    refusals: u32,
    /// No notice that nobody listens before this time.
    refused_notice: Option<Monotonic>,
}

impl Output for UdpOutput {
    fn run<'a>(&'a mut self, context: &'a mut OutputContext) -> LocalFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            loop {
                match context.next(None).await {
                    OutputEvent::Parcel(mut parcel) => {
                        self.deliver(context, &mut parcel).await?;
                        context.settle(parcel);
                    }
                    OutputEvent::End => return Ok(()),
                    OutputEvent::Deadline | OutputEvent::Tick | OutputEvent::Reopen => {}
                }
            }
        })
    }
}

impl UdpOutput {
    /// Sends the records of a parcel. When it gives up, what was not sent is left in it.
    async fn deliver(
        &mut self,
        context: &mut OutputContext,
        parcel: &mut Parcel,
    ) -> Result<(), Fault> {
        let (mut refused, mut longest) = (0_u32, 0);
        // The datagram that a refusal is about.
        let mut last = None;
        for index in 0..parcel.len() {
            let record = parcel.record(index);
            let bytes = record.len();
            let sent = if bytes > self.settings.bytes_max {
                Ok(Sent::TooLong)
            } else {
                self.send(context, record).await
            };
            self.drop_refused(&mut last, parcel);
            match sent {
                Ok(Sent::Taken) => last = Some(index),
                Ok(Sent::TooLong) => {
                    parcel.refuse_record(index, "too long for a datagram to there", 1);
                    refused += 1;
                    longest = longest.max(bytes);
                }
                Err(fault) => {
                    parcel.took(index);
                    return Err(fault);
                }
            }
            if index % DATAGRAMS == DATAGRAMS - 1 {
                yield_if_needed().await;
            }
        }
        if last.is_some()
            && self
                .sender
                .as_ref()
                .is_some_and(DatagramSender::take_refusal)
        {
            self.refused(context);
        }
        self.drop_refused(&mut last, parcel);
        if refused > 0 {
            context.notice(|| {
                format!(
                    "{} of up to {longest} bytes {} too long for a datagram to {}: dropped (`max_message_size` is {})",
                    counted(refused, "message"),
                    agrees(refused, "is", "are"),
                    self.settings.address, self.settings.bytes_max
                )
            });
        }
        Ok(())
    }

    /// Drops the datagram that was refused, if it is one of this parcel.
    fn drop_refused(&mut self, last: &mut Option<usize>, parcel: &mut Parcel) {
        if std::mem::take(&mut self.refusals) > 0
            && let Some(index) = last.take()
        {
            parcel.refuse_record(index, "nobody receives there", 1);
        }
    }

    /// Sends one datagram, for as long as it takes.
    async fn send(&mut self, context: &mut OutputContext, record: &[u8]) -> Result<Sent, Fault> {
        let mut refusals = 0;
        loop {
            let error = match &mut self.sender {
                None => match self.open().await {
                    Ok(sender) => {
                        self.sender = Some(sender);
                        continue;
                    }
                    Err(error) => error,
                },
                Some(sender) => match sender.send(record).await {
                    Ok(sent) => {
                        if context.failures() > 0 {
                            context
                                .notice(|| format!("sending to {} again", self.settings.address));
                            context.succeeded();
                        }
                        return Ok(sent);
                    }
                    // The answer to an earlier datagram; this one was not sent.
                    Err(error)
                        if self.settings.family.is_some()
                            && error.kind() == ErrorKind::ConnectionRefused
                            && refusals < REFUSALS =>
                    {
                        refusals += 1;
                        self.refused(context);
                        continue;
                    }
                    Err(error) => error,
                },
            };
            self.sender = None;
            let what = format!("cannot send to {}: {error}", self.settings.address);
            let wait = context.failed(&what)?;
            context.pause(wait).await;
        }
    }

    async fn open(&self) -> std::io::Result<DatagramSender> {
        let Settings {
            address,
            local,
            family,
            ..
        } = &*self.settings;
        match family {
            Some(family) => DatagramSender::udp(address, local.as_deref(), *family).await,
            None => DatagramSender::unix(address, local.as_deref()),
        }
    }

    /// Notes that the peer's host said that nobody listens there.
    fn refused(&mut self, context: &OutputContext) {
        self.refusals += 1;
        let now = Monotonic::now();
        if self.refused_notice.is_none_or(|at| at <= now) {
            self.refused_notice = Some(now.after(REFUSED_NOTICE));
            context.notice(|| {
                format!(
                    "nobody listens on {}: messages are refused until somebody does",
                    self.settings.address
                )
            });
        }
    }
}
