//! UdpInput: datagrams from UDP and Unix sockets.
//!
//! Owns:    the sockets, and the file of a Unix socket.
//! Runs on: every shard for UDP, one for Unix sockets and inherited descriptors.            Plane: data.
//! Bounds:  a datagram is at most `SLOT_BYTES` (UDP) or the largest record (Unix); after the order to stop, `STOP_RECEIVES` more receives.
//! Never:   loses a datagram without a count: what the kernel dropped and what was too long are counted as well.
//!
//! Each datagram is a stream of its own: it begins a record, and its end ends one.
//!
//! With several shards each has its own socket on the address, and the kernel spreads senders over them. The first one that opens
//! binds it as if it were alone, which is an error if anybody else listens there, and only then lets the others join.

use std::fmt::Write;
use std::fs::Permissions;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::event::DropCause;
use engine::io::datagram::{Datagram, DatagramSocket, Drained, Sharing};
use engine::io::{self, Family};
use engine::plugin::options::InputOptions;
use engine::plugin::{
    self, Fault, Input, InputFactory, InputPlugin, LocalFuture, Placement, PluginSpec, Section,
};
use engine::shard::intake::{InputContext, Intake};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::net::listen;

/// Room for a UDP datagram, bytes: none is longer.
const SLOT_BYTES: usize = 64 * 1024;

/// Receives after the order to stop: more than a socket's buffer holds, and an end for senders that never stop.
const STOP_RECEIVES: usize = 4096;

/// Between two attempts to receive after one that failed.
const PAUSE: Duration = Duration::from_millis(250);

/// Everybody may send to a Unix socket.
const SOCKET_MODE: u32 = 0o666;

/// Options of `UdpInput`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Network: udp, udp4 or udp6 for one family only, or unixgram
    pub net: Net,
    /// Listening address `host:port`; the path of a Unix socket, or `@name` for an abstract one; or `fd:N` for the
    /// datagram socket that the daemon was started with as descriptor N
    #[schemars(extend("x-required" = true))]
    pub address: String,
    /// Set the message's Hostname to the sender's IP address
    pub set_hostname: bool,
}

/// Networks of `UdpInput` and `UdpOutput`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Net {
    /// IPv4 and IPv6.
    #[default]
    Udp,
    /// IPv4.
    Udp4,
    /// IPv6.
    Udp6,
    /// Unix datagram sockets.
    Unixgram,
}

/// The table's line.
pub const SPEC: PluginSpec =
    PluginSpec::input::<Options>("UdpInput", "Reads datagrams from UDP or Unix sockets").notes(&[
        "Each datagram is a stream of its own for the splitter: what it leaves unfinished is dropped or delivered as \
         `deliver_incomplete_final` of the splitter says.",
        "Where the splitter does not have `use_message_bytes`, messages get the input's name as Type and Logger.",
        "Datagrams that the kernel drops because they come faster than they are read are counted as `kernel_drop`. It keeps up to 16 MiB, if \
         the system allows that much (`sysctl net.core.rmem_max`).",
        "A Unix socket's file gets mode 0666 and is removed at the end; the file of one that nobody listens on any more is replaced.",
    ]);

/// What to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Ip(Family),
    Unix,
    Inherited(i32),
}

impl InputPlugin for Options {
    fn build(self, section: &mut Section<'_, InputOptions>) -> Option<Box<dyn InputFactory>> {
        let source = self.source(section);
        if matches!(source, Some(Source::Ip(_))) {
            listen::check_address(section, &self.address);
        }
        if self.set_hostname && !matches!(source, Some(Source::Ip(_)) | None) {
            section
                .problem(
                    &["set_hostname"],
                    "only UDP datagrams that the daemon itself listens for have a sender address",
                )
                .help("remove `set_hostname`");
        }
        Some(Box::new(Factory {
            listening: Arc::new(Listening {
                address: self.address,
                source: source?,
                set_hostname: self.set_hostname,
                bound: Mutex::default(),
            }),
        }))
    }
}

impl Options {
    fn source(&self, section: &mut Section<'_, InputOptions>) -> Option<Source> {
        Some(match (self.net, self.address.strip_prefix("fd:")) {
            (Net::Unixgram, _) => Source::Unix,
            (_, Some(number)) => match number.parse() {
                Ok(number) if number >= 0 => Source::Inherited(number),
                _ => {
                    section
                        .problem(&["address"], "`fd:` is followed by a descriptor's number")
                        .help("for example \"fd:3\"");
                    return None;
                }
            },
            (Net::Udp, None) => Source::Ip(Family::Any),
            (Net::Udp4, None) => Source::Ip(Family::V4),
            (Net::Udp6, None) => Source::Ip(Family::V6),
        })
    }
}

struct Factory {
    listening: Arc<Listening>,
}

impl InputFactory for Factory {
    fn placement(&self) -> Placement {
        match self.listening.source {
            Source::Ip(_) => Placement::EveryShard,
            Source::Unix | Source::Inherited(_) => Placement::OneShard,
        }
    }

    fn listens(&self) -> Option<plugin::Listening> {
        let (protocol, family) = match self.listening.source {
            Source::Ip(family) => (plugin::Protocol::Udp, family),
            Source::Unix => (plugin::Protocol::Unix, Family::Any),
            Source::Inherited(_) => (plugin::Protocol::Inherited, Family::Any),
        };
        Some(plugin::Listening {
            protocol,
            address: self.listening.address.clone(),
            family,
        })
    }

    fn make(&self) -> Box<dyn Input> {
        Box::new(UdpInput {
            listening: Arc::clone(&self.listening),
            open: None,
        })
    }
}

/// What the instances of one section share.
struct Listening {
    address: String,
    source: Source,
    set_hostname: bool,
    /// Where the shards' sockets are bound, and how many there are. Locked only when one opens or closes.
    bound: Mutex<Option<(SocketAddr, usize)>>,
}

impl Listening {
    /// Opens this shard's socket.
    fn open(self: &Arc<Self>, context: &InputContext) -> std::io::Result<Open> {
        let slot_bytes = SLOT_BYTES.max(context.message_bytes_max());
        match self.source {
            Source::Ip(family) => self.open_ip(family, context.shards()),
            Source::Unix => {
                let socket = DatagramSocket::bind_unix(&self.address, slot_bytes)?;
                let file = (!self.address.starts_with('@'))
                    .then(|| SocketFile(PathBuf::from(&self.address)));
                if let Some(SocketFile(path)) = &file {
                    std::fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))?;
                }
                Ok(Open {
                    socket,
                    is_first: true,
                    _share: None,
                    _file: file,
                })
            }
            Source::Inherited(number) => Ok(Open {
                socket: DatagramSocket::inherited(number, slot_bytes)?,
                is_first: true,
                _share: None,
                _file: None,
            }),
        }
    }

    fn open_ip(self: &Arc<Self>, family: Family, shards: u16) -> std::io::Result<Open> {
        let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        let (address, sharing) = match *bound {
            Some((address, _)) => (address, Sharing::Joining),
            None if shards > 1 => (family.resolve(&self.address)?, Sharing::First),
            None => (family.resolve(&self.address)?, Sharing::Alone),
        };
        let socket = DatagramSocket::bind_udp(address, family, sharing, SLOT_BYTES)?;
        let is_first = bound.is_none();
        match &mut *bound {
            Some((_, sockets)) => *sockets += 1,
            // With port 0 the kernel has chosen one, which the other shards have to share.
            None => *bound = Some((socket.local_addr()?, 1)),
        }
        Ok(Open {
            socket,
            is_first,
            _share: Some(Share(Arc::clone(self))),
            _file: None,
        })
    }
}

/// An open socket, and what is given up with it.
struct Open {
    socket: DatagramSocket,
    /// Whether no other shard has opened the input before.
    is_first: bool,
    _share: Option<Share>,
    _file: Option<SocketFile>,
}

/// One of the sockets that are bound to the shared address.
struct Share(Arc<Listening>);

impl Drop for Share {
    fn drop(&mut self) {
        let mut bound = self.0.bound.lock().unwrap_or_else(PoisonError::into_inner);
        *bound = bound
            .map(|(address, sockets)| (address, sockets - 1))
            .filter(|(_, sockets)| *sockets > 0);
    }
}

/// The file of a Unix socket, removed with it.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // If somebody else has removed it, that is as well.
        let _ = std::fs::remove_file(&self.0);
    }
}

struct UdpInput {
    listening: Arc<Listening>,
    open: Option<Open>,
}

impl Input for UdpInput {
    fn open(&mut self, context: &InputContext) -> Result<(), Fault> {
        let open = self
            .listening
            .open(context)
            .map_err(|error| listen::refused(&self.listening.address, &error))?;
        let (address, source) = (&self.listening.address, &self.listening.source);
        match source {
            // The shards share one address: the first to open tells it.
            Source::Ip(_) if !open.is_first => {}
            Source::Ip(_) => match open.socket.local_addr() {
                Ok(bound) => listen::tell(context, bound, "UDP"),
                Err(_) => listen::tell(context, address, "UDP"),
            },
            Source::Unix => listen::tell(context, address, "Unix datagram socket"),
            Source::Inherited(_) => listen::tell(context, address, "inherited datagram socket"),
        }
        self.open = Some(open);
        Ok(())
    }

    fn run<'a>(&'a mut self, context: &'a InputContext) -> LocalFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let open = self.open.take().expect("opened before it runs");
            let intake = context
                .open_stream("")
                .ok_or_else(|| Fault::new("this shard has as many streams as it can"))?;
            let mut reading = Reading {
                context,
                intake,
                socket: open.socket,
                hostname: self.listening.set_hostname.then(Hostname::default),
            };
            reading.read_all().await;
            Ok(())
        })
    }
}

/// The text of the sender that came last.
#[derive(Default)]
struct Hostname {
    sender: Option<IpAddr>,
    text: String,
}

impl Hostname {
    fn of(&mut self, sender: Option<SocketAddr>) -> &[u8] {
        let sender = sender.map(|sender| sender.ip().to_canonical());
        if sender != self.sender {
            self.text.clear();
            if let Some(sender) = sender {
                write!(self.text, "{sender}").expect("a String takes any text");
            }
            self.sender = sender;
        }
        self.text.as_bytes()
    }
}

struct Reading<'a> {
    context: &'a InputContext,
    intake: Intake,
    socket: DatagramSocket,
    hostname: Option<Hostname>,
}

impl Reading<'_> {
    /// Reads until the order to stop, then what is still waiting.
    async fn read_all(&mut self) {
        loop {
            let readable = {
                let mut readable = pin!(self.socket.readable());
                self.context
                    .until_stop(|cx| readable.as_mut().poll(cx))
                    .await
            };
            match readable {
                Some(Ok(())) => self.drain(usize::MAX).await,
                Some(Err(error)) => self.complain(&error).await,
                None => return self.drain(STOP_RECEIVES).await,
            }
        }
    }

    /// Takes what is there, at most that many receives of it.
    async fn drain(&mut self, receives: usize) {
        for _ in 0..receives {
            match self.socket.receive() {
                Ok(drained) => {
                    self.take(drained).await;
                    if !drained.more {
                        break;
                    }
                }
                Err(error) => {
                    self.complain(&error).await;
                    break;
                }
            }
            io::yield_if_needed().await;
        }
        self.intake.flush_datagrams();
    }

    async fn take(&mut self, drained: Drained) {
        let lost = u64::from(drained.kernel_drops);
        self.lose(DropCause::KernelDrop, lost);
        for index in 0..drained.datagrams {
            if self.socket.get(index).truncated {
                self.lose(DropCause::DatagramTruncated, 1);
                continue;
            }
            loop {
                let Datagram { bytes, sender, .. } = self.socket.get(index);
                let hostname = self.hostname.as_mut().map(|hostname| hostname.of(sender));
                if self.intake.datagram(bytes, hostname) {
                    break;
                }
                self.intake.flush_datagrams();
                self.intake.ready_for_datagrams().await;
            }
        }
    }

    /// Counts records that came and were lost before they could be read.
    fn lose(&self, cause: DropCause, records: u64) {
        if records > 0 {
            self.context.count(|counters| {
                counters.received += records;
                counters.dropped.add(cause, records);
            });
        }
    }

    async fn complain(&self, error: &std::io::Error) {
        self.context
            .notice(|| format!("datagrams cannot be received: {error}; trying again"));
        let mut pause = pin!(io::sleep(PAUSE));
        self.context.until_stop(|cx| pause.as_mut().poll(cx)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configured::{mistakes, plan};

    #[test]
    fn where_it_lives_depends_on_what_it_reads() {
        for (options, expected) in [
            ("address = ':5140'", Placement::EveryShard),
            ("net = 'udp6'\naddress = ':5140'", Placement::EveryShard),
            ("net = 'unixgram'\naddress = '@here'", Placement::OneShard),
            ("address = 'fd:3'", Placement::OneShard),
        ] {
            let plan = plan(&format!("[UdpInput]\n{options}")).unwrap();
            assert_eq!(plan.inputs[0].factory.placement(), expected, "{options}");
        }
    }

    #[test]
    fn options_that_cannot_be_are_mistakes() {
        for (options, expected) in [
            ("", "address"),
            ("address = 'fd:x'", "fd:3"),
            ("address = 'fd:3'\nset_hostname = true", "set_hostname"),
            (
                "net = 'unixgram'\naddress = '@x'\nset_hostname = true",
                "set_hostname",
            ),
            ("net = 'tcp'\naddress = ':1'", "unixgram"),
        ] {
            let found = mistakes(&format!("[UdpInput]\n{options}"));
            assert!(found.contains(expected), "{options}: {found}");
        }
    }

    #[test]
    fn hostnames_follow_the_sender() {
        let mut hostname = Hostname::default();
        let mut of = |text: &str| {
            let sender = text.parse().ok();
            String::from_utf8(hostname.of(sender).to_vec()).unwrap()
        };
        assert_eq!(of("192.0.2.7:99"), "192.0.2.7");
        assert_eq!(of("192.0.2.7:100"), "192.0.2.7");
        assert_eq!(of("[::ffff:192.0.2.8]:100"), "192.0.2.8");
        assert_eq!(of("[2001:db8::1]:100"), "2001:db8::1");
        assert_eq!(of("nobody"), "");
    }
}
