//! An input that journals what is acknowledged, as Logstreamer does, one stream a shard.
//!
//! Owns:    `Sources`: what there is to read, and how far it is acknowledged, which survives the daemon.
//! Runs on: every simulated shard.            Plane: data.
//! Bounds:  the streams that it was made with.
//! Never:   forgets an acknowledgement, or reads what is acknowledged again.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use engine::io::sim::world::{self, Owner};
use engine::io::{ByteStream, sleep};
use engine::plugin::{Fault, Input, InputFactory, LocalFuture, Placement};
use engine::shard::intake::{Fill, InputContext};

use crate::records;

/// One stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) bytes: Vec<u8>,
    pub(crate) ends: Vec<usize>,
    /// Bytes that are acknowledged for good.
    pub(crate) acknowledged: usize,
}

/// All streams. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Sources(Arc<Mutex<Vec<Stream>>>);

impl Sources {
    pub(crate) fn new(streams: u64, records: u64) -> Sources {
        let streams = (0..streams).map(|number| {
            let (bytes, ends) = records::stream(number, records);
            Stream {
                bytes,
                ends,
                acknowledged: 0,
            }
        });
        Sources(Arc::new(Mutex::new(streams.collect())))
    }

    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut Vec<Stream>) -> R) -> R {
        work(&mut self.0.lock().expect("no panic"))
    }

    /// Everything is acknowledged.
    pub(crate) fn are_done(&self) -> bool {
        self.with(|streams| {
            let mut all = streams.iter();
            all.all(|stream| stream.acknowledged == stream.bytes.len())
        })
    }

    /// Records of each stream that are acknowledged.
    pub(crate) fn acknowledged(&self) -> Vec<u64> {
        self.with(|streams| {
            let all = streams.iter();
            let count = |stream: &Stream| {
                let ends = stream.ends.iter();
                ends.filter(|end| **end <= stream.acknowledged).count() as u64
            };
            all.map(count).collect()
        })
    }
}

impl InputFactory for Sources {
    fn placement(&self) -> Placement {
        Placement::EveryShard
    }

    fn make(&self) -> Box<dyn Input> {
        let Owner::Shard(shard) = world::owner() else {
            panic!("inputs are made on shards");
        };
        let count = self.with(|streams| streams.len());
        Box::new(Source {
            sources: self.clone(),
            number: shard as usize % count,
        })
    }
}

struct Source {
    sources: Sources,
    number: usize,
}

impl Source {
    /// Notes that so much behind `from` is acknowledged.
    fn journal(&self, from: usize, acknowledged: u64) {
        self.sources.with(|streams| {
            let stream = &mut streams[self.number];
            let reached = from + acknowledged as usize;
            assert!(reached >= stream.acknowledged, "acknowledged again");
            stream.acknowledged = reached;
        });
    }
}

impl Input for Source {
    fn open(&mut self, _context: &InputContext) -> Result<(), Fault> {
        Ok(())
    }

    fn run<'a>(&'a mut self, context: &'a InputContext) -> LocalFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let (from, bytes) = self.sources.with(|streams| {
                let stream = &streams[self.number];
                (
                    stream.acknowledged,
                    stream.bytes[stream.acknowledged..].to_vec(),
                )
            });
            let mut intake = context
                .open_stream("source")
                .ok_or_else(|| Fault::new("too many streams"))?;
            let mut reading = Reading {
                bytes,
                at: 0,
                wait: None,
            };
            let mut known = 0;
            loop {
                let filled = poll_fn(|cx| {
                    if intake.poll_stop(cx).is_ready() {
                        return Poll::Ready(Some(Ok(Fill::Stopped)));
                    }
                    if let Poll::Ready(filled) = intake.poll_fill(cx, &mut reading) {
                        return Poll::Ready(Some(filled));
                    }
                    match intake.poll_acknowledged(known, cx) {
                        Poll::Ready(acknowledged) if acknowledged > known => Poll::Ready(None),
                        _ => Poll::Pending,
                    }
                });
                let filled = filled.await.transpose()?;
                known = intake.acknowledged();
                self.journal(from, known);
                if matches!(filled, Some(Fill::End | Fill::Stopped)) {
                    break;
                }
            }
            let progress = intake.leave();
            while !progress.is_settled() {
                known = poll_fn(|cx| progress.poll_acknowledged(known, cx)).await;
                self.journal(from, known);
            }
            self.journal(from, progress.acknowledged());
            Ok(())
        })
    }
}

/// Bytes that come bit by bit.
struct Reading {
    bytes: Vec<u8>,
    at: usize,
    wait: Option<LocalFuture<'static, ()>>,
}

impl ByteStream for Reading {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let wait = self.wait.get_or_insert_with(|| {
            let micros = [0, 10, 1000, 100_000][fastrand::usize(..4)];
            Box::pin(sleep(Duration::from_micros(fastrand::u64(..=micros))))
        });
        if pin!(wait).as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.wait = None;
        let rest = &self.bytes[self.at..];
        let most = rest.len().min(buffer.len());
        let len = if most == 0 {
            0
        } else {
            fastrand::usize(1..=most.min(5000))
        };
        buffer[..len].copy_from_slice(&rest[..len]);
        self.at += len;
        Poll::Ready(Ok(len))
    }

    fn poll_write(&mut self, _cx: &mut Context<'_>, _bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }

    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
