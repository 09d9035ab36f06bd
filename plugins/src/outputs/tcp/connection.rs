//! One connection that records are sent on.
//!
//! Owns:    the stream, and how many records it has taken.
//! Runs on: the output's home shard.            Plane: data.
//! Bounds:  `RUNS` runs of bytes a system call; `READS` reads of what the peer sends back before other work gets its turn.
//! Never:   writes to a peer that is known to have closed, or lets one that talks back hold it up.

use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::task::{Context, Poll};
use std::time::Duration;

use engine::io::ByteStream;
use engine::io::clock::Monotonic;
use engine::io::timeout;
use engine::shard::delivery::OutputContext;

use super::super::parts::gather;
use super::outgoing::Outgoing;

/// Longest wait for a connection to take the notice of its end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs of bytes that one system call sends.
const RUNS: usize = 256;

/// Reads of what a peer sends back, before other work gets its turn.
const READS: usize = 16;

/// A connection at work.
pub(super) struct Connection {
    stream: Box<dyn ByteStream>,
    /// Records that it has taken.
    records: u64,
    since: Monotonic,
}

impl Connection {
    pub(super) fn new(stream: Box<dyn ByteStream>) -> Connection {
        Connection {
            stream,
            records: 0,
            since: Monotonic::now(),
        }
    }

    /// Records that it has taken.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    /// How long it has lived.
    pub(super) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// Waits until the peer ends the connection; what it sends before that is thrown away.
    pub(super) async fn lost(&mut self) -> io::Error {
        poll_fn(|cx| poll_lost(self.stream.as_mut(), cx)).await
    }

    /// Sends all parcels, or as many records as make `records_max` of this connection. Each parcel is settled as soon as the
    /// stream has sent its last byte.
    pub(super) async fn send(
        &mut self,
        outgoing: &mut Outgoing,
        records_max: u64,
        context: &mut OutputContext,
    ) -> io::Result<()> {
        let stream = self.stream.as_mut();
        while !outgoing.is_empty() && self.records < records_max {
            // A peer that closed meanwhile would answer to the first write only with a reset, after it was taken.
            if let Some(cause) = lost_now(stream) {
                return Err(cause);
            }
            let left = records_max - self.records;
            let taken = poll_fn(|cx| {
                let mut parts = [IoSlice::new(&[]); RUNS];
                match gather(&mut parts, &mut outgoing.runs(left)) {
                    // Records without a byte are as good as sent.
                    0 => Poll::Ready(Ok(0)),
                    count => poll_send(stream, cx, &parts[..count]),
                }
            })
            .await?;
            poll_fn(|cx| poll_flush(stream, cx)).await?;
            self.records += outgoing.took(taken, left, |parcel| context.settle(parcel));
        }
        Ok(())
    }

    /// Ends it in order: what the kernel has taken will still be sent.
    pub(super) async fn close(mut self) {
        // The peer may be gone or stuck; all records were taken either way.
        let close = poll_fn(|cx| self.stream.poll_close(cx));
        let _ = timeout(CLOSE_TIMEOUT, close).await;
    }
}

/// Sends, and meanwhile reads: a peer that wants to be read before it reads must not hold both sides up.
fn poll_send(
    stream: &mut dyn ByteStream,
    cx: &mut Context<'_>,
    parts: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    match stream.poll_write_vectored(cx, parts) {
        Poll::Ready(Ok(0)) => Poll::Ready(Err(ErrorKind::WriteZero.into())),
        Poll::Ready(result) => Poll::Ready(result),
        Poll::Pending => poll_lost(stream, cx).map(Err),
    }
}

/// Sends what the stream itself still holds back, and meanwhile reads.
fn poll_flush(stream: &mut dyn ByteStream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    match stream.poll_flush(cx) {
        Poll::Pending => poll_lost(stream, cx).map(Err),
        flushed => flushed,
    }
}

fn closed_by_peer() -> io::Error {
    io::Error::other("closed by the peer")
}

/// Whether the peer has ended the connection. The socket itself is asked: that it is readable may not have been reported to this shard yet.
fn lost_now(stream: &mut dyn ByteStream) -> Option<io::Error> {
    let mut unwanted = [0; 1024];
    for _ in 0..READS {
        match stream.read_now(&mut unwanted) {
            Ok(0) => return Some(closed_by_peer()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) => return Some(error),
        }
    }
    None
}

fn poll_lost(stream: &mut dyn ByteStream, cx: &mut Context<'_>) -> Poll<io::Error> {
    let mut unwanted = [0; 1024];
    for _ in 0..READS {
        match stream.poll_read(cx, &mut unwanted) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(0)) => return Poll::Ready(closed_by_peer()),
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(error),
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}
