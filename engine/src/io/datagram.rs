//! Datagram sockets: receive many with one system call, count what the kernel dropped.
//!
//! Owns:    `DatagramSocket` and its receive slots.
//! Runs on: every shard that has a datagram input or output.            Plane: data.
//! Bounds:  `SLOTS` datagrams a call, each at most `slot_bytes`; slots' pages are touched only as far as datagrams reach.
//! Never:   blocks a shard: it awaits readiness and then drains without waiting.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::sockopt::RxqOvfl;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, setsockopt,
};
use socket2::{Domain, Protocol, Socket, Type};

use super::address::Family;
use super::ring::RawStream;
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

/// What a drain found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Datagrams given to the visitor.
    pub datagrams: usize,
    /// Datagrams that the kernel dropped since the last drain, because its buffer was full.
    pub kernel_drops: u32,
    /// Whether more may be waiting.
    pub more: bool,
}

/// A bound socket that receives datagrams.
pub struct DatagramSocket {
    stream: RawStream,
    slots: Vec<u8>,
    slot_bytes: usize,
    headers: MultiHeaders<SockaddrStorage>,
    overflow_seen: u32,
}

impl std::fmt::Debug for DatagramSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatagramSocket")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

impl DatagramSocket {
    /// Binds a UDP socket. With `shared`, several shards bind the same address and the kernel spreads senders over them.
    pub fn bind_udp(
        address: SocketAddr,
        family: Family,
        shared: bool,
        slot_bytes: usize,
    ) -> io::Result<DatagramSocket> {
        let socket = family.socket(address, Type::DGRAM, Protocol::UDP)?;
        if shared {
            socket.set_reuse_port(true)?;
        }
        socket.bind(&address.into())?;
        DatagramSocket::receiving(socket, slot_bytes)
    }

    /// Binds a Unix datagram socket: a path, or `@name` for the abstract namespace.
    pub fn bind_unix(address: &str, slot_bytes: usize) -> io::Result<DatagramSocket> {
        let socket = match address.strip_prefix('@') {
            Some(name) => {
                use std::os::linux::net::SocketAddrExt;
                let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
                UnixDatagram::bind_addr(&address)?
            }
            None => UnixDatagram::bind(Path::new(address))?,
        };
        DatagramSocket::receiving(Socket::from(std::os::fd::OwnedFd::from(socket)), slot_bytes)
    }

    /// Takes over a bound datagram socket.
    pub fn receiving(socket: Socket, slot_bytes: usize) -> io::Result<DatagramSocket> {
        setsockopt(&socket, RxqOvfl, &1)?;
        // Best effort: the kernel caps it silently, and what it then drops is counted.
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        Ok(DatagramSocket {
            stream: RawStream::from_socket(socket)?,
            slots: vec![0; slot_bytes * SLOTS],
            slot_bytes,
            headers: MultiHeaders::preallocate(SLOTS, Some(cmsg_space!(u32))),
            overflow_seen: 0,
        })
    }

    /// Where it is bound, for sockets with an IP address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    /// Waits until a datagram is there.
    pub async fn readable(&self) -> io::Result<()> {
        self.stream.readable().await
    }

    /// Receives what is there, at most `SLOTS` datagrams, and shows each to `visit`.
    pub fn drain(&mut self, mut visit: impl FnMut(Datagram<'_>)) -> io::Result<Drained> {
        let mut iov: Vec<[IoSliceMut<'_>; 1]> = self
            .slots
            .chunks_exact_mut(self.slot_bytes)
            .map(|slot| [IoSliceMut::new(slot)])
            .collect();
        let received = match recvmmsg(
            self.stream.descriptor(),
            &mut self.headers,
            iov.iter_mut(),
            MsgFlags::MSG_DONTWAIT,
            None,
        ) {
            Ok(received) => received,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(Drained::default()),
            Err(error) => return Err(error.into()),
        };
        let mut drained = Drained::default();
        let mut overflow = self.overflow_seen;
        for message in received {
            if let Ok(controls) = message.cmsgs() {
                for control in controls {
                    if let ControlMessageOwned::RxqOvfl(total) = control {
                        overflow = total;
                    }
                }
            }
            let sender = message.address.as_ref().and_then(ip_address);
            let truncated = message.flags.contains(MsgFlags::MSG_TRUNC);
            let bytes = message.iovs().next().unwrap_or_default();
            visit(Datagram {
                bytes,
                sender,
                truncated,
            });
            drained.datagrams += 1;
        }
        drained.kernel_drops = overflow.wrapping_sub(self.overflow_seen);
        drained.more = drained.datagrams == SLOTS;
        self.overflow_seen = overflow;
        Ok(drained)
    }
}

fn ip_address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    storage
        .as_sockaddr_in()
        .map(|v4| SocketAddr::from((v4.ip(), v4.port())))
        .or_else(|| {
            storage
                .as_sockaddr_in6()
                .map(|v6| SocketAddr::from((v6.ip(), v6.port())))
        })
}

/// A socket that sends datagrams to one peer.
#[derive(Debug)]
pub struct DatagramSender {
    stream: RawStream,
}

impl DatagramSender {
    /// A UDP socket, connected to `remote`, bound to `local` where given.
    pub fn udp(remote: SocketAddr, local: Option<SocketAddr>) -> io::Result<DatagramSender> {
        let socket = Socket::new(
            Domain::for_address(remote),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        if let Some(local) = local {
            socket.bind(&local.into())?;
        }
        socket.connect(&remote.into())?;
        Ok(DatagramSender {
            stream: RawStream::from_socket(socket)?,
        })
    }

    /// A Unix datagram socket connected to a path or to `@name` in the abstract namespace.
    pub fn unix(remote: &str, local: Option<&str>) -> io::Result<DatagramSender> {
        let socket = match local {
            Some(path) => UnixDatagram::bind(path)?,
            None => UnixDatagram::unbound()?,
        };
        match remote.strip_prefix('@') {
            Some(name) => {
                use std::os::linux::net::SocketAddrExt;
                socket.connect_addr(&std::os::unix::net::SocketAddr::from_abstract_name(name)?)?;
            }
            None => socket.connect(remote)?,
        }
        Ok(DatagramSender {
            stream: RawStream::from_socket(Socket::from(std::os::fd::OwnedFd::from(socket)))?,
        })
    }

    /// Sends one datagram, waiting while the socket's buffer is full.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        std::future::poll_fn(|cx| self.stream.poll_write(cx, bytes))
            .await
            .map(drop)
    }
}
