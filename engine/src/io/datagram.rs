//! Datagram sockets: receive many with one system call, count what the kernel dropped.
//!
//! Owns:    `DatagramSocket` and its receive slots, `DatagramSender`.
//! Runs on: every shard that has a datagram input or output.            Plane: data.
//! Bounds:  `SLOTS` datagrams a call, each at most `slot_bytes`; slots' pages are touched only as far as datagrams reach.
//! Never:   blocks a shard: it awaits readiness and then drains without waiting.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{SocketAddr as SocketAddrUnix, UnixDatagram};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::RxqOvfl;
use socket2::{Domain, Protocol, Socket, Type};

use super::address::Family;
use super::ring::{self, Arrived, RawStream, ReceiveRoom};
use super::stream::ByteStream;

/// Datagrams that one call receives.
const SLOTS: usize = 64;

/// Receive buffer asked of the kernel, bytes; it grants what `net.core.rmem_max` allows (twice that is kept).
const RECEIVE_BUFFER_BYTES: usize = 16 * 1024 * 1024;

/// What one datagram is, before its bytes are looked at.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Who sent it, where the socket family says.
    pub sender: Option<SocketAddr>,
    /// Whether it was longer than a slot and lost its end.
    pub truncated: bool,
}

/// What a receive found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Datagrams that can be read until the next receive.
    pub datagrams: usize,
    /// Datagrams that the kernel has dropped since the last receive that found any, because its buffer was full.
    pub kernel_drops: u32,
    /// Whether more may be waiting.
    pub more: bool,
}

/// How a UDP socket shares its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Not at all: an address in use is an error.
    Alone,
    /// It must be free now; others may join afterwards.
    First,
    /// Others that allow it are bound there: the kernel spreads senders over all of them.
    Joining,
}

/// A bound socket that receives datagrams.
pub struct DatagramSocket {
    stream: RawStream,
    slots: Vec<u8>,
    slot_bytes: usize,
    room: ReceiveRoom,
    arrived: Vec<Arrived>,
    dropped_seen: u32,
}

impl std::fmt::Debug for DatagramSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatagramSocket")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

impl DatagramSocket {
    /// Binds a UDP socket.
    pub fn bind_udp(
        address: SocketAddr,
        family: Family,
        sharing: Sharing,
        slot_bytes: usize,
    ) -> io::Result<DatagramSocket> {
        let socket = family.socket(address, Type::DGRAM, Protocol::UDP)?;
        if sharing == Sharing::Joining {
            socket.set_reuse_port(true)?;
        }
        socket.bind(&address.into())?;
        if sharing == Sharing::First {
            // Only now: set before, it would also let this socket in beside those of another process.
            socket.set_reuse_port(true)?;
        }
        DatagramSocket::receiving(socket, slot_bytes)
    }

    /// Binds a Unix datagram socket: a path, or `@name` for the abstract namespace. The file of a socket that nobody
    /// listens on any more is replaced.
    pub fn bind_unix(address: &str, slot_bytes: usize) -> io::Result<DatagramSocket> {
        DatagramSocket::receiving(OwnedFd::from(bind_unix(address)?).into(), slot_bytes)
    }

    /// Uses the bound datagram socket that this process was given as descriptor `number`. The descriptor stays open.
    pub fn inherited(number: i32, slot_bytes: usize) -> io::Result<DatagramSocket> {
        let socket = ring::inherited_socket(number)?;
        if socket.r#type()? != Type::DGRAM {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                "it is not a datagram socket",
            ));
        }
        DatagramSocket::receiving(socket, slot_bytes)
    }

    fn receiving(socket: Socket, slot_bytes: usize) -> io::Result<DatagramSocket> {
        setsockopt(&socket, RxqOvfl, &1)?;
        // Best effort: the kernel caps it silently, and what it then drops is counted.
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        Ok(DatagramSocket {
            stream: RawStream::from_socket(socket)?,
            slots: vec![0; slot_bytes * SLOTS],
            slot_bytes,
            room: ReceiveRoom::new(SLOTS),
            arrived: Vec::with_capacity(SLOTS),
            dropped_seen: 0,
        })
    }

    /// Where it is bound, for sockets with an IP address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    /// Waits until a datagram is there.
    pub async fn readable(&mut self) -> io::Result<()> {
        self.stream.readable().await
    }

    /// Receives what is there, at most `SLOTS` datagrams, over those of the receive before.
    pub fn receive(&mut self) -> io::Result<Drained> {
        self.arrived.clear();
        let received = self.room.receive(
            &self.stream,
            &mut self.slots,
            self.slot_bytes,
            &mut self.arrived,
        );
        match received {
            Ok(()) => {}
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        let before = self.dropped_seen;
        if let Some(dropped) = self
            .arrived
            .iter()
            .rev()
            .find_map(|arrived| arrived.dropped)
        {
            self.dropped_seen = dropped;
        }
        Ok(Drained {
            datagrams: self.arrived.len(),
            kernel_drops: self.dropped_seen.wrapping_sub(before),
            more: self.arrived.len() == SLOTS,
        })
    }

    /// A datagram of the last receive.
    #[inline]
    pub fn get(&self, index: usize) -> Datagram<'_> {
        let arrived = self.arrived[index];
        Datagram {
            bytes: &self.slots[index * self.slot_bytes..][..arrived.len],
            sender: arrived.sender,
            truncated: arrived.truncated,
        }
    }
}

fn bind_unix(address: &str) -> io::Result<UnixDatagram> {
    match address.strip_prefix('@') {
        Some(name) => UnixDatagram::bind_addr(&SocketAddrUnix::from_abstract_name(name)?),
        None => bind_path(Path::new(address)),
    }
}

/// Binds to a path, over the file of a socket that nobody listens on.
fn bind_path(path: &Path) -> io::Result<UnixDatagram> {
    let refused = match UnixDatagram::bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => error,
        result => return result,
    };
    let is_socket = std::fs::symlink_metadata(path)?.file_type().is_socket();
    let listener = UnixDatagram::unbound()?.connect(path);
    match listener {
        Err(error) if is_socket && error.kind() == ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)?;
            UnixDatagram::bind(path)
        }
        _ => Err(refused),
    }
}

/// What became of a datagram that was to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The kernel has taken it.
    Taken,
    /// It is longer than the socket or the way to the peer allows.
    TooLong,
}

/// A socket that sends datagrams to one peer.
#[derive(Debug)]
pub struct DatagramSender {
    stream: RawStream,
    /// The file that a Unix socket was bound to.
    file: Option<PathBuf>,
}

impl DatagramSender {
    /// A UDP socket, connected to `remote`, bound to `local` where given. Both are `host:port`.
    ///
    /// Names are resolved on the shard's blocking threads; addresses in numbers take no thread.
    pub async fn udp(
        remote: &str,
        local: Option<&str>,
        family: Family,
    ) -> io::Result<DatagramSender> {
        let remote = resolved(remote, family).await?;
        let socket = Socket::new(
            Domain::for_address(remote),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        if let Some(local) = local {
            let same = if remote.is_ipv4() {
                Family::V4
            } else {
                Family::V6
            };
            socket.bind(&resolved(local, same).await?.into())?;
        }
        socket.connect(&remote.into())?;
        Ok(DatagramSender {
            stream: RawStream::from_socket(socket)?,
            file: None,
        })
    }

    /// A Unix datagram socket connected to a path or to `@name` in the abstract namespace; `local` likewise. The file of a
    /// local socket that nobody uses any more is replaced.
    pub fn unix(remote: &str, local: Option<&str>) -> io::Result<DatagramSender> {
        let socket = match local {
            Some(local) => bind_unix(local)?,
            None => UnixDatagram::unbound()?,
        };
        let file = local
            .filter(|local| !local.starts_with('@'))
            .map(PathBuf::from);
        let connected = match remote.strip_prefix('@') {
            Some(name) => SocketAddrUnix::from_abstract_name(name)
                .and_then(|address| socket.connect_addr(&address)),
            None => socket.connect(remote),
        };
        let stream = connected.and_then(|()| RawStream::from_socket(OwnedFd::from(socket).into()));
        match stream {
            Ok(stream) => Ok(DatagramSender { stream, file }),
            Err(error) => {
                remove_file(file.as_deref());
                Err(error)
            }
        }
    }

    /// Sends one datagram, waiting while the socket's or the peer's buffer is full.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<Sent> {
        match poll_fn(|cx| self.stream.poll_write(cx, bytes)).await {
            Ok(_) => Ok(Sent::Taken),
            Err(error) if error.raw_os_error() == Some(Errno::EMSGSIZE as i32) => Ok(Sent::TooLong),
            Err(error) => Err(error),
        }
    }

    /// Whether the peer's host has answered that nobody listens. `send` fails with `ConnectionRefused` for it otherwise.
    pub fn take_refusal(&self) -> bool {
        let error = self.stream.take_error().ok().flatten();
        error.is_some_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    }
}

impl Drop for DatagramSender {
    fn drop(&mut self) {
        remove_file(self.file.as_deref());
    }
}

fn remove_file(file: Option<&Path>) {
    if let Some(file) = file {
        // If it is gone already, that is what was wanted; if not, the next socket there replaces it.
        let _ = std::fs::remove_file(file);
    }
}

async fn resolved(address: &str, family: Family) -> io::Result<SocketAddr> {
    if let Ok(numbers) = address.parse::<SocketAddr>()
        && family.includes(&numbers)
    {
        return Ok(numbers);
    }
    let address = address.to_owned();
    ring::blocking(move || family.resolve(&address)).await
}
