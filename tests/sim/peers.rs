//! The world around the daemon: those who send to it, and those it sends to.
//!
//! Owns:    `Client`s, and sinks.
//! Runs on: tasks outside the daemon.            Plane: data.
//! Bounds:  what each was told to send.
//! Never:   does twice what it has done.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use engine::io::sim::world;
use engine::io::{
    ByteStream, ConnectOptions, Family, RawStream, TcpListener, connect, read, sleep,
};

use crate::records::{self, Stream};

/// What became of one connection of a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) stream: Stream,
    /// Records that the connection has taken whole.
    pub(crate) written: u64,
    /// Both sides have said that they are done.
    pub(crate) in_order: bool,
    /// How often the daemon had crashed when it began.
    pub(crate) crashes: u32,
}

/// What all clients share.
#[derive(Default)]
pub(crate) struct Clients {
    pub(crate) attempts: RefCell<Vec<Attempt>>,
    pub(crate) unfinished: Cell<usize>,
    pub(crate) crashes: Cell<u32>,
    next: Cell<Stream>,
}

/// The first stream of a client.
const FIRST: Stream = 1000;

impl Clients {
    /// One more, which sends so many records over one connection; if that breaks, over another, as a stream of its own.
    pub(crate) fn add(self: &Rc<Clients>, port: u16, count: u64) {
        self.unfinished.update(|count| count + 1);
        let clients = Rc::clone(self);
        world::outside(async move {
            loop {
                sleep(Duration::from_millis(fastrand::u64(..200))).await;
                let stream = FIRST + clients.next.replace(clients.next.get() + 1);
                let mut attempt = Attempt {
                    stream,
                    written: 0,
                    in_order: false,
                    crashes: clients.crashes.get(),
                };
                let sent = send(port, count, &mut attempt).await;
                attempt.in_order = sent.is_ok();
                clients.attempts.borrow_mut().push(attempt);
                if sent.is_ok() && attempt.written == count {
                    break;
                }
            }
            clients.unfinished.update(|count| count - 1);
        });
    }
}

async fn send(port: u16, count: u64, attempt: &mut Attempt) -> io::Result<()> {
    let options = ConnectOptions {
        timeout: Duration::from_secs(10),
        ..ConnectOptions::default()
    };
    let mut stream = connect(&format!("127.0.0.1:{port}"), &options).await?;
    let (bytes, ends) = records::stream(attempt.stream, count);
    let mut at = 0;
    while at < bytes.len() {
        let end = bytes.len().min(at + fastrand::usize(1..3000));
        match write_some(&mut stream, &bytes[at..end]).await? {
            0 => break,
            written => at += written,
        }
        attempt.written = ends.iter().filter(|end| **end <= at).count() as u64;
        if fastrand::u8(..4) == 0 {
            sleep(Duration::from_micros(fastrand::u64(..20_000))).await;
        }
    }
    poll_fn(|cx| stream.poll_close(cx)).await?;
    while read(&mut stream, &mut [0; 64]).await? > 0 {}
    Ok(())
}

/// Writes, or answers 0 if the other side has said that it is done.
async fn write_some(stream: &mut RawStream, bytes: &[u8]) -> io::Result<usize> {
    poll_fn(|cx| {
        if let Poll::Ready(read) = stream.poll_read(cx, &mut [0; 64])
            && read? == 0
        {
            return Poll::Ready(Ok(0));
        }
        stream.poll_write(cx, bytes)
    })
    .await
}

/// How a sink behaves, while it does.
#[derive(Default)]
pub(crate) struct Sink {
    /// It closes connections, of 1,000 reads so many, and does not listen for a while.
    pub(crate) leaves: Cell<u16>,
    /// It reads slowly.
    pub(crate) is_slow: Cell<bool>,
}

/// Reads whatever is sent to a port.
pub(crate) fn sink(port: u16) -> Rc<Sink> {
    let sink = Rc::new(Sink::default());
    let own = Rc::clone(&sink);
    world::outside(async move {
        loop {
            let address = ([127, 0, 0, 1], port).into();
            let listener = TcpListener::bind(address, Family::Any).expect("a port of its own");
            serve(&listener, &own).await;
            drop(listener);
            sleep(Duration::from_millis(fastrand::u64(..5000))).await;
        }
    });
    sink
}

/// Serves one connection after the other, until it leaves.
async fn serve(listener: &TcpListener, sink: &Sink) {
    while let Ok(accepted) = poll_fn(|cx| listener.poll_accept(cx)).await {
        let Ok(mut stream) = accepted.adopt(None) else {
            continue;
        };
        let mut buffer = vec![0; 4096];
        while let Ok(1..) = read(&mut stream, &mut buffer).await {
            if fastrand::u16(..1000) < sink.leaves.get() {
                return;
            }
            if sink.is_slow.get() {
                let longest = if fastrand::u8(..50) == 0 { 5000 } else { 50 };
                sleep(Duration::from_millis(fastrand::u64(..longest))).await;
            }
        }
    }
}
