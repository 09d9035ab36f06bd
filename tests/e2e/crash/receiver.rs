//! Who receives the lines: it is never killed, checks each line, and counts how often it came.
//!
//! Owns:    the count of each line, and of each round: the time between two kills.
//! Runs on: a thread for the listener and one for each connection.            Plane: data.
//! Bounds:  four bytes a line.
//! Never:   counts half a line at the end of a connection: the daemon that sent it was killed.

use std::fmt;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use tests::until;

use super::writer::{DIGITS, LINE_BYTES, line};

/// What came between two kills.
#[derive(Clone, Default)]
pub(super) struct Round {
    /// Lines in the order in which they came.
    lines: Vec<u64>,
    /// Of them, lines that had come before.
    again: u64,
}

impl fmt::Debug for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.lines.iter().min(), self.lines.iter().max());
        let (count, again) = (self.lines.len(), self.again);
        write!(
            f,
            "{count} lines from {first:?} to {last:?}, {again} of them again"
        )
    }
}

impl Round {
    /// How many had come before.
    pub(super) fn again(&self) -> u64 {
        self.again
    }

    /// How many are before a line.
    pub(super) fn lines_before(&self, line: u64) -> u64 {
        self.lines.iter().filter(|number| **number < line).count() as u64
    }
}

#[derive(Debug, Default)]
struct Counted {
    /// How often each line came.
    times: Vec<u32>,
    /// Lines that came although a later one had come before, for the first time.
    late: u64,
    round: Round,
}

#[derive(Debug, Default)]
struct Shared {
    counted: Mutex<Counted>,
    /// Different lines.
    arrived: Arc<AtomicU64>,
    /// Lines, each time that they came.
    received: AtomicU64,
    /// Connections that were not read to their end yet.
    open: AtomicUsize,
    /// The next connection is the last.
    is_closing: AtomicBool,
}

impl Shared {
    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().expect("a line was wrong")
    }
}

/// A peer that takes lines while it is open, and refuses connections while it is closed.
pub(super) struct Receiver {
    shared: Arc<Shared>,
    address: SocketAddr,
    seed: u64,
    listening: Option<JoinHandle<()>>,
}

impl Receiver {
    /// One that is closed.
    pub(super) fn new(address: SocketAddr, seed: u64) -> Receiver {
        Receiver {
            shared: Arc::default(),
            address,
            seed,
            listening: None,
        }
    }

    /// Takes connections.
    pub(super) fn open(&mut self) {
        if self.listening.is_some() {
            return;
        }
        let listener = TcpListener::bind(self.address).expect("a free address");
        let (shared, seed) = (Arc::clone(&self.shared), self.seed);
        shared.is_closing.store(false, Ordering::Release);
        self.listening = Some(std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a connection");
                let shared = Arc::clone(&shared);
                shared.open.fetch_add(1, Ordering::AcqRel);
                if shared.is_closing.load(Ordering::Acquire) {
                    shared.open.fetch_sub(1, Ordering::AcqRel);
                    return;
                }
                std::thread::spawn(move || {
                    take(stream, &shared, seed);
                    shared.open.fetch_sub(1, Ordering::AcqRel);
                });
            }
        }));
    }

    /// Takes no connection any more. Those that are open must have ended.
    pub(super) fn close(&mut self) {
        if let Some(listening) = self.listening.take() {
            self.shared.is_closing.store(true, Ordering::Release);
            drop(TcpStream::connect(self.address).expect("it listens"));
            listening.join().expect("the listener does not panic");
        }
    }

    /// Whether it takes connections.
    pub(super) fn is_open(&self) -> bool {
        self.listening.is_some()
    }

    /// The number of different lines that have arrived, as it grows.
    pub(super) fn arrived(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.shared.arrived)
    }

    /// Different lines that have arrived.
    pub(super) fn lines(&self) -> u64 {
        self.shared.arrived.load(Ordering::Acquire)
    }

    /// Lines that have come, each time that they did.
    pub(super) fn received(&self) -> u64 {
        self.shared.received.load(Ordering::Acquire)
    }

    /// Reads what the daemon that is gone has sent, and begins a new round.
    pub(super) fn end_round(&self) -> Round {
        if self.listening.is_some() {
            // Connections that wait to be accepted come before this one.
            drop(TcpStream::connect(self.address).expect("it listens"));
        }
        until("the ends of all connections", || {
            (self.shared.open.load(Ordering::Acquire) == 0).then_some(())
        });
        std::mem::take(&mut self.shared.counted().round)
    }

    /// How often the line came that came most often.
    pub(super) fn most_often(&self) -> u32 {
        self.shared
            .counted()
            .times
            .iter()
            .max()
            .copied()
            .unwrap_or(0)
    }

    /// Asserts that lines `0..lines` came, and in their order where they were to.
    pub(super) fn assert_all(&self, lines: u64, in_order: bool) {
        let counted = self.shared.counted();
        let missing: Vec<usize> = (0..lines as usize)
            .filter(|&line| counted.times.get(line).is_none_or(|times| *times == 0))
            .take(20)
            .collect();
        assert!(missing.is_empty(), "lost of {lines} lines: {missing:?} ...");
        assert_eq!(counted.times.len() as u64, lines, "lines that nobody wrote");
        if in_order {
            assert_eq!(counted.late, 0, "lines came behind later ones");
        }
    }
}

/// Takes the lines of a connection.
fn take(mut stream: TcpStream, shared: &Shared, seed: u64) {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = stream.read(&mut buffer).unwrap_or(0);
        if read == 0 {
            return;
        }
        bytes.extend_from_slice(&buffer[..read]);
        let whole = bytes.len() - bytes.len() % LINE_BYTES;
        let mut counted = shared.counted();
        for found in bytes[..whole].chunks_exact(LINE_BYTES) {
            let number = number_of(found);
            assert_eq!(found, line(number, seed), "another line than was written");
            count(&mut counted, number, shared);
        }
        drop(counted);
        bytes.drain(..whole);
    }
}

fn number_of(line: &[u8]) -> u64 {
    let digits = std::str::from_utf8(&line[..DIGITS]).unwrap_or_default();
    digits
        .parse()
        .unwrap_or_else(|_| panic!("no line of ours: {:?}", String::from_utf8_lossy(line)))
}

fn count(counted: &mut Counted, number: u64, shared: &Shared) {
    let index = number as usize;
    let is_last = index >= counted.times.len();
    if is_last {
        counted.times.resize(index + 1, 0);
    }
    if counted.times[index] > 0 {
        counted.round.again += 1;
    } else {
        counted.late += u64::from(!is_last);
        shared.arrived.fetch_add(1, Ordering::AcqRel);
    }
    counted.times[index] += 1;
    counted.round.lines.push(number);
    shared.received.fetch_add(1, Ordering::AcqRel);
}
