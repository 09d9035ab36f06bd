//! What an output sends to: a listener that takes frames and remembers the sequence number of each message.
//!
//! Owns:    `Sink`, and one thread a connection.
//! Runs on: tests.            Plane: data.
//! Bounds:  eight bytes a message.
//! Never:   keeps a connection from closing.

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::{until, wire};

/// Sequence numbers in the order in which they came, a list for each connection.
type Streams = Arc<Mutex<Vec<Vec<u64>>>>;

/// A listener that takes frames, for as long as the process lives.
#[derive(Debug)]
pub struct Sink {
    streams: Streams,
}

impl Sink {
    /// Listens.
    pub fn listen(at: SocketAddr) -> Sink {
        let listener = TcpListener::bind(at).expect("a free address");
        let streams = Streams::default();
        let all = Arc::clone(&streams);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a connection");
                let all = Arc::clone(&all);
                let mut lists = all.lock().expect("no reader panics while it writes");
                let number = lists.len();
                lists.push(Vec::new());
                drop(lists);
                std::thread::spawn(move || take(stream, &all, number));
            }
        });
        Sink { streams }
    }

    /// The sequence numbers so far, a list for each connection.
    pub fn streams(&self) -> Vec<Vec<u64>> {
        self.streams
            .lock()
            .expect("no reader panics while it writes")
            .clone()
    }

    /// All sequence numbers so far, sorted.
    pub fn sorted(&self) -> Vec<u64> {
        let mut all = self.streams().concat();
        all.sort_unstable();
        all
    }

    /// Waits until so many messages have come.
    pub fn wait_for(&self, messages: usize) {
        until(&format!("{messages} messages"), || {
            let lists = self
                .streams
                .lock()
                .expect("no reader panics while it writes");
            let count: usize = lists.iter().map(Vec::len).sum();
            (count >= messages).then_some(())
        });
    }
}

/// Asserts that messages `0..messages` of a flood over so many connections are there once each, and those of each connection in order.
pub fn assert_complete_and_ordered(seqs: &[u64], connections: u64, messages: u64) {
    let mut next: Vec<u64> = (0..connections).collect();
    for &seq in seqs {
        let next = &mut next[(seq % connections) as usize];
        assert_eq!(seq, *next, "a message is missing, doubled or out of order");
        *next += connections;
    }
    assert_eq!(seqs.len() as u64, messages);
}

fn take(mut stream: TcpStream, streams: &Streams, number: usize) {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = stream.read(&mut buffer).unwrap_or(0);
        if read == 0 {
            return;
        }
        bytes.extend_from_slice(&buffer[..read]);
        let mut rest = &bytes[..];
        let mut seqs = Vec::new();
        while let Some((message, behind)) = wire::unframe(rest) {
            seqs.push(wire::seq_of(message).expect("a numbered message"));
            rest = behind;
        }
        let consumed = bytes.len() - rest.len();
        bytes.drain(..consumed);
        let mut lists = streams.lock().expect("no reader panics while it writes");
        lists[number].append(&mut seqs);
    }
}
