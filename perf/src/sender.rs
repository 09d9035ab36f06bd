//! The sending process: pre-built traffic, a megabyte at a time, as fast as the receiver takes it.
//!
//! Owns:    the sockets and the exact count of what was handed over.
//! Runs on: one thread a connection, all on the processor that the process was pinned to.            Plane: data.
//! Bounds:  whole buffers until the time or the bytes are used up; connecting and closing wait a bounded time.
//! Never:   builds messages while it sends, or stops inside a message.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, sendmmsg};
use serde::{Deserialize, Serialize};

use crate::cli::{SenderArgs, Transport};
use crate::clock::monotonic_nanoseconds;
use crate::traffic::Traffic;

/// How long to try to connect.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// How long to wait, after the last byte, for the receiver to close the stream.
const CLOSE_MAX: Duration = Duration::from_secs(30);

/// Datagrams handed over in one system call.
const DATAGRAMS_AT_ONCE: usize = 64;

/// What a sending process did; its one line of output.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Sent {
    /// Whole buffers of traffic.
    pub(crate) buffers: u64,
    /// Messages.
    pub(crate) messages: u64,
    /// Bytes with framing.
    pub(crate) bytes: u64,
    /// Monotonic nanoseconds before the first byte.
    pub(crate) start: u64,
    /// Monotonic nanoseconds when the receiver had taken the last byte and closed (TCP), or after the last datagram.
    pub(crate) end: u64,
}

/// Sends and prints `Sent` as JSON.
pub(crate) fn run(args: &SenderArgs) -> io::Result<()> {
    let traffic = Traffic::new(args.format, args.bytes, args.types).map_err(io::Error::other)?;
    let address: SocketAddr = (Ipv4Addr::LOCALHOST, args.port).into();
    let share = args.bytes_max / args.connections as u64;
    let sent = match args.transport {
        Transport::Tcp => {
            let streams = (0..args.connections)
                .map(|_| connect(address))
                .collect::<io::Result<Vec<_>>>()?;
            in_parallel(streams, |stream| {
                send_stream(stream, &traffic, args.seconds, share)
            })?
        }
        Transport::Udp => {
            let sockets = (0..args.connections)
                .map(|_| datagrams(address))
                .collect::<io::Result<Vec<_>>>()?;
            in_parallel(sockets, |socket| {
                send_datagrams(&socket, &traffic, args.seconds, share)
            })?
        }
    };
    writeln!(io::stdout(), "{}", serde_json::to_string(&sent)?)
}

/// Runs `send` for every socket at once and adds up what they did.
fn in_parallel<S: Send>(
    sockets: Vec<S>,
    send: impl Fn(S) -> io::Result<Sent> + Sync,
) -> io::Result<Sent> {
    thread::scope(|scope| {
        let send = &send;
        let threads: Vec<_> = sockets
            .into_iter()
            .map(|socket| scope.spawn(move || send(socket)))
            .collect();
        let mut all: Option<Sent> = None;
        for thread in threads {
            let one = thread
                .join()
                .map_err(|_| io::Error::other("a sending thread panicked"))??;
            all = Some(all.map_or(one, |all| Sent {
                buffers: all.buffers + one.buffers,
                messages: all.messages + one.messages,
                bytes: all.bytes + one.bytes,
                start: all.start.min(one.start),
                end: all.end.max(one.end),
            }));
        }
        all.ok_or_else(|| io::Error::other("no connection asked for"))
    })
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let deadline = Instant::now() + CONNECT_MAX;
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(CLOSE_MAX))?;
                return Ok(stream);
            }
            Err(error)
                if error.kind() == ErrorKind::ConnectionRefused && Instant::now() < deadline =>
            {
                thread::sleep(Duration::from_millis(10));
            }
            Err(error) => return Err(error),
        }
    }
}

fn send_stream(
    mut stream: TcpStream,
    traffic: &Traffic,
    seconds: f64,
    bytes_max: u64,
) -> io::Result<Sent> {
    let mut sent = Sent {
        start: monotonic_nanoseconds(),
        ..Sent::default()
    };
    let deadline = sent.start + (seconds * 1e9) as u64;
    let size = traffic.bytes().len() as u64;
    while sent.buffers == 0 || monotonic_nanoseconds() < deadline && sent.bytes + size <= bytes_max
    {
        stream.write_all(traffic.bytes())?;
        sent.buffers += 1;
        sent.bytes += size;
    }
    sent.messages = sent.buffers * traffic.messages() as u64;
    stream.shutdown(Shutdown::Write)?;
    // The receiver closes when it has read everything: only then were the bytes taken.
    match stream.read(&mut [0; 64]) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            return Err(io::Error::other(
                "the receiver did not close the stream after its end",
            ));
        }
        Err(error) => return Err(error),
    }
    sent.end = monotonic_nanoseconds();
    Ok(sent)
}

fn datagrams(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(address)?;
    Ok(socket)
}

fn send_datagrams(
    socket: &UdpSocket,
    traffic: &Traffic,
    seconds: f64,
    bytes_max: u64,
) -> io::Result<Sent> {
    let slices: Vec<[IoSlice<'_>; 1]> = traffic
        .iter()
        .map(|message| [IoSlice::new(message)])
        .collect();
    let nowhere: Vec<Option<SockaddrIn>> = vec![None; DATAGRAMS_AT_ONCE];
    let mut headers = MultiHeaders::<SockaddrIn>::preallocate(DATAGRAMS_AT_ONCE, None);
    let mut sent = Sent {
        start: monotonic_nanoseconds(),
        ..Sent::default()
    };
    let deadline = sent.start + (seconds * 1e9) as u64;
    let size = traffic.bytes().len() as u64;
    while sent.buffers == 0 || monotonic_nanoseconds() < deadline && sent.bytes + size <= bytes_max
    {
        let mut rest = &slices[..];
        while !rest.is_empty() {
            let group = &rest[..rest.len().min(DATAGRAMS_AT_ONCE)];
            let done = sendmmsg(
                socket.as_raw_fd(),
                &mut headers,
                group,
                &nowhere[..group.len()],
                [],
                MsgFlags::empty(),
            )?
            .count();
            rest = &rest[done..];
        }
        sent.buffers += 1;
        sent.bytes += size;
    }
    sent.messages = sent.buffers * traffic.messages() as u64;
    sent.end = monotonic_nanoseconds();
    Ok(sent)
}
