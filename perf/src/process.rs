//! What the kernel says about a process and its sockets.
//!
//! Owns:    reading /proc.
//! Runs on: the measuring process.            Plane: control.
//! Bounds:  a few small files a call.
//! Never:   guesses: what cannot be read is an error or `None`.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use crate::cli::Transport;

/// State column of /proc/net/tcp for a listening socket.
const LISTEN: &str = "0A";

/// CPU time that the process used so far, seconds: of all its threads that still run, in nanoseconds as the scheduler
/// counts them.
pub(crate) fn cpu_seconds(pid: u32) -> io::Result<f64> {
    let mut nanoseconds = 0u64;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end between the listing and the reading.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else {
            continue;
        };
        nanoseconds += text
            .split_whitespace()
            .next()
            .and_then(|first| first.parse::<u64>().ok())
            .unwrap_or(0);
    }
    Ok(nanoseconds as f64 / 1e9)
}

/// CPU time so far in user and kernel as `/proc/PID/stat` has it, in ticks.
pub(crate) fn cpu_ticks(pid: u32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name of the program stands in brackets, and may have any character.
    let (_, rest) = stat.rsplit_once(')').unwrap_or_default();
    let mut times = rest.split_whitespace().skip(11).map(str::parse::<u64>);
    match (times.next(), times.next()) {
        (Some(Ok(user)), Some(Ok(system))) => Ok(user + system),
        _ => Err(io::Error::other("no times in /proc/PID/stat")),
    }
}

/// Largest resident size that the process ever had, bytes.
pub(crate) fn peak_rss_bytes(pid: u32) -> io::Result<u64> {
    status_bytes(pid, "VmHWM:")
}

/// Its resident size now, bytes.
pub(crate) fn rss_bytes(pid: u32) -> io::Result<u64> {
    status_bytes(pid, "VmRSS:")
}

fn status_bytes(pid: u32, name: &str) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .map(|kibibytes| kibibytes * 1024)
        .ok_or_else(|| io::Error::other(format!("no {name} in /proc/PID/status")))
}

/// A port that nobody listens on now.
pub(crate) fn free_port() -> Result<u16, String> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| format!("no free port: {error}"))
}

/// Bytes that the process has asked the kernel for with `read` and its kin, whatever of.
pub(crate) fn bytes_read(pid: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/io"))?;
    text.lines()
        .find_map(|line| line.strip_prefix("rchar: ")?.parse().ok())
        .ok_or_else(|| io::Error::other("no rchar in /proc/PID/io"))
}

/// A bound datagram socket, as the kernel lists it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DatagramSocket {
    /// Bytes that wait to be read.
    pub(crate) queued: u64,
    /// Datagrams dropped for want of room.
    pub(crate) drops: u64,
}

/// The sockets bound to a local UDP port, added up; `None` where there is none.
pub(crate) fn datagram_sockets(port: u16) -> Option<DatagramSocket> {
    let mut found = None;
    for path in ["/proc/net/udp", "/proc/net/udp6"] {
        for columns in socket_lines(path, port) {
            let all: &mut DatagramSocket = found.get_or_insert_default();
            let queues = columns.get(4).map_or("", String::as_str);
            let queued = queues
                .split_once(':')
                .and_then(|(_, rx)| u64::from_str_radix(rx, 16).ok());
            all.queued += queued.unwrap_or(0);
            all.drops += columns
                .last()
                .and_then(|text| text.parse::<u64>().ok())
                .unwrap_or(0);
        }
    }
    found
}

/// Whether something listens on a local port.
fn listens(transport: Transport, port: u16) -> bool {
    match transport {
        Transport::Udp => datagram_sockets(port).is_some(),
        Transport::Tcp => ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|path| {
            socket_lines(path, port)
                .iter()
                .any(|columns| columns.get(3).is_some_and(|s| s == LISTEN))
        }),
    }
}

/// The columns of the lines whose local port is `port`.
fn socket_lines(path: &str, port: u16) -> Vec<Vec<String>> {
    let suffix = format!(":{port:04X}");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .skip(1)
        .map(|line| {
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .filter(|columns| columns.get(1).is_some_and(|local| local.ends_with(&suffix)))
        .collect()
}

/// Waits until something listens on the port, without connecting to it. `false` after `wait_max`, or when `alive` says no.
pub(crate) fn wait_until_listening(
    transport: Transport,
    port: u16,
    wait_max: Duration,
    mut alive: impl FnMut() -> bool,
) -> bool {
    let deadline = Instant::now() + wait_max;
    while Instant::now() < deadline && alive() {
        if listens(transport, port) {
            return true;
        }
        thread::sleep(Duration::from_millis(5));
    }
    false
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, UdpSocket};

    use super::*;

    #[test]
    fn own_sockets_are_found() {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let tcp_port = tcp.local_addr().unwrap().port();
        assert!(listens(Transport::Tcp, tcp_port));
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let udp_port = udp.local_addr().unwrap().port();
        assert_eq!(datagram_sockets(udp_port), Some(DatagramSocket::default()));
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
            .unwrap()
            .send_to(b"x", udp.local_addr().unwrap())
            .unwrap();
        assert!(datagram_sockets(udp_port).unwrap().queued > 0);
    }

    #[test]
    fn own_process_is_found() {
        assert!(cpu_seconds(std::process::id()).unwrap() > 0.0);
        assert!(peak_rss_bytes(std::process::id()).unwrap() > 1024 * 1024);
    }
}
