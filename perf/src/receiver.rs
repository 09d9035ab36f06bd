//! The bare receive loop that every scenario is compared with, and the sink behind a relay.
//!
//! Owns:    one listening socket, and the count of what arrived.
//! Runs on: one thread, on the processor that the process was pinned to.            Plane: data.
//! Bounds:  one buffer; ends when all announced streams have ended.
//! Never:   looks at the bytes, unless told to check where frames begin.

use std::io::{self, IoSliceMut, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg};
use serde::{Deserialize, Serialize};

use crate::bare::cpu_seconds;
use crate::cli::{ReceiverArgs, Transport};
use crate::clock::monotonic_nanoseconds;

/// Datagrams taken in one system call.
const DATAGRAMS_AT_ONCE: usize = 64;

/// Largest datagram of any scenario, bytes.
const DATAGRAM_BYTES_MAX: usize = 2048;

/// Silence after which a receiver of datagrams takes the run for ended.
const SILENCE: Duration = Duration::from_millis(700);

/// What a receiving process saw; its one line of output.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Received {
    /// Bytes.
    pub(crate) bytes: u64,
    /// Datagrams; 0 for streams.
    pub(crate) datagrams: u64,
    /// Positions where a message should begin and none did.
    pub(crate) misplaced: u64,
    /// Monotonic nanoseconds after the last byte.
    pub(crate) end: u64,
    /// CPU time of the process, seconds.
    pub(crate) cpu_seconds: f64,
}

/// Receives until the end and prints `Received` as JSON.
pub(crate) fn run(args: &ReceiverArgs) -> io::Result<()> {
    let mut received = match args.transport {
        Transport::Tcp => streams(args)?,
        Transport::Udp => datagrams(args)?,
    };
    received.cpu_seconds = cpu_seconds()?;
    writeln!(io::stdout(), "{}", serde_json::to_string(&received)?)
}

struct Stream {
    socket: TcpStream,
    bytes: u64,
}

/// Reads `connections` streams to their ends. One stream is read by a plain blocking loop; of several, those that have bytes.
fn streams(args: &ReceiverArgs) -> io::Result<Received> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port))?;
    let mut open = Vec::new();
    for _ in 0..args.connections {
        let socket = listener.accept()?.0;
        open.push(Stream { socket, bytes: 0 });
    }
    let mut received = Received::default();
    let mut buffer = vec![0; args.buffer];
    while !open.is_empty() {
        let ready: Vec<usize> = if open.len() == 1 {
            vec![0]
        } else {
            readable(&open)?
        };
        for &index in ready.iter().rev() {
            let stream = &mut open[index];
            let count = stream.socket.read(&mut buffer)?;
            if count == 0 {
                open.swap_remove(index);
                continue;
            }
            if let Some(len) = args.message_bytes {
                let bytes = &buffer[..count];
                received.misplaced += misplaced(bytes, stream.bytes, len, args.first_byte);
            }
            stream.bytes += count as u64;
            received.bytes += count as u64;
            received.end = monotonic_nanoseconds();
        }
    }
    Ok(received)
}

/// Which streams have bytes or have ended.
fn readable(open: &[Stream]) -> io::Result<Vec<usize>> {
    let mut polled: Vec<PollFd<'_>> = open
        .iter()
        .map(|stream| PollFd::new(stream.socket.as_fd(), PollFlags::POLLIN))
        .collect();
    poll(&mut polled, PollTimeout::NONE)?;
    Ok((0..polled.len())
        .filter(|&index| polled[index].any().unwrap_or(true))
        .collect())
}

/// How many messages of `len` bytes should begin in `bytes`, which stand at `position` of their stream, with this byte and do not.
fn misplaced(bytes: &[u8], position: u64, len: usize, first_byte: u8) -> u64 {
    let first = (len as u64 - position % len as u64) % len as u64;
    bytes
        .iter()
        .skip(first as usize)
        .step_by(len)
        .filter(|&&byte| byte != first_byte)
        .count() as u64
}

fn datagrams(args: &ReceiverArgs) -> io::Result<Received> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, args.port))?;
    let mut received = Received::default();
    let mut buffers = Box::new([[0; DATAGRAM_BYTES_MAX]; DATAGRAMS_AT_ONCE]);
    let mut headers = MultiHeaders::<SockaddrIn>::preallocate(DATAGRAMS_AT_ONCE, None);
    let descriptor = socket.as_raw_fd();
    loop {
        let mut slices = buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
        match recvmmsg(
            descriptor,
            &mut headers,
            &mut slices,
            MsgFlags::MSG_DONTWAIT,
            None,
        ) {
            Ok(group) => {
                for datagram in group {
                    received.datagrams += 1;
                    received.bytes += datagram.bytes as u64;
                }
                received.end = monotonic_nanoseconds();
            }
            Err(Errno::EAGAIN) => {
                let mut polled = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
                let wait = if received.datagrams == 0 {
                    Duration::from_secs(30)
                } else {
                    SILENCE
                };
                let timeout = PollTimeout::try_from(wait).map_err(io::Error::other)?;
                if poll(&mut polled, timeout)? == 0 {
                    return Ok(received);
                }
            }
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_looked_for_at_their_places() {
        let stream: Vec<u8> = (0..100)
            .map(|at| if at % 10 == 0 { 7 } else { 0 })
            .collect();
        for cut in 0..100 {
            assert_eq!(
                misplaced(&stream[..cut], 0, 10, 7) + misplaced(&stream[cut..], cut as u64, 10, 7),
                0
            );
        }
        assert_eq!(misplaced(&stream[1..], 0, 10, 7), 10);
    }
}
