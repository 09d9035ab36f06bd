//! The bare loops over files: what scenarios that read or write a disk are compared with.
//!
//! Owns:    reading a file and counting its lines, reading it and sending it on, appending and syncing.
//! Runs on: one thread, on the processor that the process was pinned to.            Plane: data.
//! Bounds:  one buffer.
//! Never:   does more than the system calls and, for lines, one search.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use memchr::memchr_iter;
use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

use crate::cli::{AppenderArgs, ReaderArgs};
use crate::clock::monotonic_nanoseconds;
use crate::traffic::Traffic;

/// What such a process did; its one line of output.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Done {
    /// Bytes.
    pub(crate) bytes: u64,
    /// Newlines, where they were counted.
    pub(crate) lines: u64,
    /// Monotonic nanoseconds before the first byte.
    pub(crate) start: u64,
    /// Monotonic nanoseconds after the last one.
    pub(crate) end: u64,
    /// CPU time of the process, seconds.
    pub(crate) cpu_seconds: f64,
}

impl Done {
    fn print(mut self) -> io::Result<()> {
        self.cpu_seconds = cpu_seconds()?;
        writeln!(io::stdout(), "{}", serde_json::to_string(&self)?)
    }
}

/// CPU time of this process.
pub(crate) fn cpu_seconds() -> io::Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let times = [usage.user_time(), usage.system_time()];
    let seconds = times.map(|time| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6);
    Ok(seconds.iter().sum())
}

/// Reads a file to its end: counts its lines, or sends it to a port.
pub(crate) fn read(args: &ReaderArgs) -> io::Result<()> {
    let mut file = File::open(&args.path)?;
    let mut relay = match args.port {
        Some(port) => Some(TcpStream::connect((Ipv4Addr::LOCALHOST, port))?),
        None => None,
    };
    let mut buffer = vec![0; args.buffer];
    let mut done = Done {
        start: monotonic_nanoseconds(),
        ..Done::default()
    };
    loop {
        let len = file.read(&mut buffer)?;
        if len == 0 {
            break;
        }
        match &mut relay {
            Some(stream) => stream.write_all(&buffer[..len])?,
            None => done.lines += memchr_iter(b'\n', &buffer[..len]).count() as u64,
        }
        done.bytes += len as u64;
    }
    done.end = monotonic_nanoseconds();
    done.print()
}

/// Appends traffic to a file, which is made and removed, and syncs it every so many bytes.
pub(crate) fn append(args: &AppenderArgs) -> io::Result<()> {
    let traffic = Traffic::new(args.format, args.bytes, 1).map_err(io::Error::other)?;
    let mut file = File::options()
        .append(true)
        .create_new(true)
        .open(&args.path)?;
    let mut done = Done {
        start: monotonic_nanoseconds(),
        ..Done::default()
    };
    let deadline = done.start + (args.seconds * 1e9) as u64;
    let mut unsynced = 0;
    while done.bytes < args.bytes_max && monotonic_nanoseconds() < deadline {
        for chunk in traffic.bytes().chunks(args.buffer) {
            file.write_all(chunk)?;
            done.bytes += chunk.len() as u64;
            unsynced += chunk.len();
            if unsynced >= args.sync_bytes {
                file.sync_data()?;
                unsynced = 0;
            }
        }
    }
    file.sync_data()?;
    done.end = monotonic_nanoseconds();
    fs::remove_file(&args.path)?;
    done.print()
}
