//! One connection of a flood: blocking sockets, plain or encrypted.
//!
//! Owns:    connecting, writing, and what counts as sent.
//! Runs on: one sending thread.            Plane: data.
//! Bounds:  every wait is at most `WAIT_MAX`, so that a stop is seen while the receiver takes nothing.
//! Never:   ends a stream inside a frame because of a stop, unless the receiver takes nothing for `FINISH_MAX`.

use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use plugins::net::tls::{BlockingStream, Client};

use crate::cli::Network;
use crate::flood::batch::Batch;
use crate::flood::settings::Settings;

/// Longest wait inside one system call.
const WAIT_MAX: Duration = Duration::from_millis(100);

/// Longest wait for a connection to be accepted.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// How long a stopped flood tries to finish the frame that it is in.
const FINISH_MAX: Duration = Duration::from_secs(1);

/// A connected socket.
#[derive(Debug)]
pub(crate) enum Link {
    /// A stream.
    Tcp(TcpStream),
    /// An encrypted one.
    Tls(Box<BlockingStream>),
    /// Datagrams.
    Udp(UdpSocket),
}

impl Link {
    /// Connects to the receiver, trying each address that its name has.
    pub(crate) fn open(settings: &Settings) -> io::Result<Link> {
        let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
        for address in settings.address.to_socket_addrs()? {
            let link = match settings.network {
                Network::Tcp => open_tcp(address, settings.tls.as_ref()),
                Network::Udp => open_udp(address),
            };
            match link {
                Ok(link) => return Ok(link),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Sends the batch, or less of it after `stop`. Answers how many frames were handed over whole.
    pub(crate) fn send(&mut self, batch: &Batch<'_>, stop: &AtomicBool) -> (usize, io::Result<()>) {
        match self {
            Link::Tcp(stream) => send_stream(stream, batch, stop),
            Link::Tls(stream) => send_stream(&mut **stream, batch, stop),
            Link::Udp(socket) => send_datagrams(socket, batch, stop),
        }
    }

    /// Ends it in order: TLS has a notice for that, without which the receiver takes the connection for cut.
    pub(crate) fn close(self) -> io::Result<()> {
        match self {
            Link::Tls(stream) => stream.finish(),
            Link::Tcp(_) | Link::Udp(_) => Ok(()),
        }
    }
}

fn open_tcp(address: SocketAddr, client: Option<&Client>) -> io::Result<Link> {
    let stream = TcpStream::connect_timeout(&address, CONNECT_MAX)?;
    stream.set_nodelay(true)?;
    let Some(client) = client else {
        stream.set_write_timeout(Some(WAIT_MAX))?;
        return Ok(Link::Tcp(stream));
    };
    let stream = client.connect_blocking(stream)?;
    stream.socket().set_write_timeout(Some(WAIT_MAX))?;
    // The server's last word is not waited for long.
    stream.socket().set_read_timeout(Some(WAIT_MAX))?;
    Ok(Link::Tls(Box::new(stream)))
}

fn open_udp(address: SocketAddr) -> io::Result<Link> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(address)?;
    socket.set_write_timeout(Some(WAIT_MAX))?;
    Ok(Link::Udp(socket))
}

fn is_wait(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

fn send_stream(
    stream: &mut impl Write,
    batch: &Batch<'_>,
    stop: &AtomicBool,
) -> (usize, io::Result<()>) {
    let bytes = batch.bytes();
    let mut written = 0;
    let mut stopped_at: Option<Instant> = None;
    loop {
        let mut end = bytes.len();
        if stop.load(Ordering::Relaxed) {
            end = batch.frame_end(written);
            if stopped_at.get_or_insert_with(Instant::now).elapsed() > FINISH_MAX {
                end = written;
            }
        }
        if written >= end {
            return (batch.whole_frames(written), Ok(()));
        }
        match stream.write(&bytes[written..end]) {
            Ok(0) => {
                return (
                    batch.whole_frames(written),
                    Err(ErrorKind::WriteZero.into()),
                );
            }
            Ok(count) => written += count,
            Err(error) if is_wait(&error) => {}
            Err(error) => return (batch.whole_frames(written), Err(error)),
        }
    }
}

fn send_datagrams(
    socket: &UdpSocket,
    batch: &Batch<'_>,
    stop: &AtomicBool,
) -> (usize, io::Result<()>) {
    let mut sent = 0;
    for frame in batch.frames() {
        loop {
            if stop.load(Ordering::Relaxed) {
                return (sent, Ok(()));
            }
            match socket.send(frame) {
                Ok(_) => break,
                Err(error) if is_wait(&error) => {}
                Err(error) => return (sent, Err(error)),
            }
        }
        sent += 1;
    }
    (sent, Ok(()))
}
