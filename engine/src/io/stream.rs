//! Byte streams: what TCP and TLS connections have in common.
//!
//! Owns:    the `ByteStream` trait, `read`, `write_all`, `connect`, `check_congestion_control`, `timeout`.
//! Runs on: every shard.            Plane: data.
//! Bounds:  no buffer of its own: bytes go straight to and from the caller's; `ADDRESSES_MAX` addresses are tried.
//! Never:   retries; callers know what a repeated byte would mean.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
#[cfg(not(sim))]
use socket2::{SockRef, TcpKeepalive};

use super::address::first_address;
use super::ring::{self, RawStream};

/// Addresses of a name that are tried.
const ADDRESSES_MAX: usize = 8;

/// A connection that bytes are read from and written to.
pub trait ByteStream {
    /// Reads at least one byte into `buffer`, or answers 0 at the end of the stream.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Reads what is there without waiting, whatever readiness was reported: 0 at the end, an error of kind `WouldBlock` if nothing
    /// is there. Streams that cannot tell answer with that error.
    fn read_now(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Writes at least one byte of `bytes`.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// Writes at least one byte of `parts`, as many as one call takes. At least one part must not be empty.
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let part = parts.iter().find(|part| !part.is_empty());
        self.poll_write(cx, part.map_or(&[], |part| part))
    }

    /// Writes what the stream itself still holds back (TLS records).
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Says that nothing more will be written.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// Reads at least one byte, or 0 at the end.
pub async fn read(stream: &mut dyn ByteStream, buffer: &mut [u8]) -> io::Result<usize> {
    poll_fn(|cx| stream.poll_read(cx, buffer)).await
}

/// Writes all bytes and flushes.
pub async fn write_all(stream: &mut dyn ByteStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = poll_fn(|cx| stream.poll_write(cx, bytes)).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
    }
    poll_fn(|cx| stream.poll_flush(cx)).await
}

/// Runs `future` for at most `duration`; an error of kind `TimedOut` after that.
pub async fn timeout<T>(
    duration: Duration,
    future: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let mut future = pin!(future);
    let mut timer = pin!(ring::sleep(duration));
    poll_fn(|cx| {
        if let Poll::Ready(result) = future.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        timer
            .as_mut()
            .poll(cx)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    })
    .await
}

/// TCP keep-alive of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeepAlive {
    /// Idle time before the first probe; `None` leaves the system's.
    pub period: Option<Duration>,
}

impl KeepAlive {
    /// Switches it on for a socket.
    #[cfg(not(sim))]
    pub(super) fn apply(self, socket: &SockRef<'_>) -> io::Result<()> {
        let mut settings = TcpKeepalive::new();
        if let Some(period) = self.period {
            settings = settings.with_time(period).with_interval(period);
        }
        socket.set_tcp_keepalive(&settings)
    }
}

/// Whether connections of this process may use the congestion control algorithm; an error says why not.
pub fn check_congestion_control(name: &str) -> io::Result<()> {
    Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?
        .set_tcp_congestion(name.as_bytes())
}

/// How to connect.
#[derive(Clone, Debug, Default)]
pub struct ConnectOptions {
    /// Local address to bind before connecting.
    pub local: Option<String>,
    /// Keep-alive.
    pub keep_alive: Option<KeepAlive>,
    /// Name of the congestion control algorithm; `None` leaves the system's.
    pub congestion_control: Option<String>,
    /// Longest wait for one address.
    pub timeout: Duration,
}

/// Connects to `address` (`host:port`, names and IPv6 in brackets included), trying its addresses in order.
///
/// Names are resolved on the shard's blocking threads; addresses in numbers take no thread.
pub async fn connect(address: &str, options: &ConnectOptions) -> io::Result<RawStream> {
    let local = match &options.local {
        Some(text) => Some(resolved(text.clone(), |text| first_address(&text)).await?),
        None => None,
    };
    let targets = match address.parse() {
        Ok(target) => vec![target],
        Err(_) => {
            resolved(address.to_owned(), |name| {
                Ok(name.to_socket_addrs()?.collect())
            })
            .await?
        }
    };
    let mut last = io::Error::new(
        io::ErrorKind::NotFound,
        "the name has no address of this family",
    );
    for target in targets.into_iter().take(ADDRESSES_MAX) {
        if local.is_some_and(|local: SocketAddr| local.is_ipv4() != target.is_ipv4()) {
            continue;
        }
        match timeout(options.timeout, connect_one(target, local, options)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn resolved<T: Send + 'static>(
    text: String,
    resolve: impl FnOnce(String) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    ring::blocking(move || resolve(text)).await
}

#[cfg(not(sim))]
async fn connect_one(
    target: SocketAddr,
    local: Option<SocketAddr>,
    options: &ConnectOptions,
) -> io::Result<RawStream> {
    let socket = Socket::new(
        Domain::for_address(target),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if let Some(local) = local {
        socket.set_reuse_address(true)?;
        socket.bind(&local.into())?;
    }
    socket.set_tcp_nodelay(true)?;
    if let Some(keep_alive) = options.keep_alive {
        keep_alive.apply(&SockRef::from(&socket))?;
    }
    if let Some(name) = &options.congestion_control {
        socket.set_tcp_congestion(name.as_bytes())?;
    }
    socket.set_nonblocking(true)?;
    match socket.connect(&target.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) => return Err(error),
    }
    let mut stream = RawStream::from_socket(socket)?;
    // A write of nothing waits while the connection is being made, and fails if it cannot be made.
    poll_fn(|cx| stream.poll_write(cx, &[])).await?;
    Ok(stream)
}

#[cfg(sim)]
async fn connect_one(
    target: SocketAddr,
    _local: Option<SocketAddr>,
    _options: &ConnectOptions,
) -> io::Result<RawStream> {
    RawStream::connect(target).await
}
