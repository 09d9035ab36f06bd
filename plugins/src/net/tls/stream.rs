//! An encrypted connection as a stream of bytes.
//!
//! Owns:    the state of one TLS connection, over a stream that carries its records.
//! Runs on: every shard.            Plane: data.
//! Bounds:  rustls's own: one record that is not whole, one that was not read, 64 KiB that were not sent.
//! Never:   takes a cut connection for a finished one: an end without TLS's own notice is an error.

use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::task::{Context, Poll, ready};

use engine::io::ByteStream;
use rustls::{Connection, ProtocolVersion};

use super::explained::{explained, hung_up};

/// An encrypted connection over `S`.
#[derive(Debug)]
pub struct TlsStream<S> {
    raw: S,
    connection: Connection,
}

/// The raw stream during one poll, in the form that rustls reads from and writes to.
struct Polled<'a, 'c, S> {
    raw: &'a mut S,
    cx: &'a mut Context<'c>,
}

fn or_would_block<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(ErrorKind::WouldBlock.into()),
    }
}

fn or_pending<T>(result: io::Result<T>) -> Poll<io::Result<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}

impl<S: ByteStream> Read for Polled<'_, '_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        or_would_block(self.raw.poll_read(self.cx, buffer))
    }
}

/// The raw stream as far as something is there, in the form that rustls reads from.
struct There<'a, S>(&'a mut S);

impl<S: ByteStream> Read for There<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_now(buffer)
    }
}

impl<S: ByteStream> Write for Polled<'_, '_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        or_would_block(self.raw.poll_write(self.cx, bytes))
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        or_would_block(self.raw.poll_write_vectored(self.cx, parts))
    }

    fn flush(&mut self) -> io::Result<()> {
        or_would_block(self.raw.poll_flush(self.cx))
    }
}

impl<S: ByteStream> TlsStream<S> {
    /// A connection whose handshake has not begun.
    pub(super) fn new(raw: S, connection: Connection) -> Self {
        TlsStream { raw, connection }
    }

    /// What was agreed on.
    #[cfg(test)]
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Shakes hands.
    pub(super) async fn shake_hands(&mut self) -> io::Result<()> {
        poll_fn(|cx| {
            loop {
                ready!(self.poll_send(cx))?;
                if !self.connection.is_handshaking() {
                    return Poll::Ready(Ok(()));
                }
                if ready!(self.poll_receive(cx))? == 0 {
                    return Poll::Ready(Err(hung_up()));
                }
            }
        })
        .await
    }

    /// Whether this side is done before the other has seen its certificate.
    pub(super) fn awaits_verdict(&self) -> bool {
        self.connection.protocol_version() == Some(ProtocolVersion::TLSv1_3)
    }

    /// Waits until the peer says anything.
    pub(super) async fn hear(&mut self) -> io::Result<()> {
        match poll_fn(|cx| self.poll_receive(cx)).await? {
            0 => Err(hung_up()),
            _ => Ok(()),
        }
    }

    /// Sends what waits to be sent.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.connection.wants_write() {
            let raw = &mut self.raw;
            let sent = ready!(or_pending(
                self.connection.write_tls(&mut Polled { raw, cx })
            ))?;
            if sent == 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Receives and decrypts some bytes; 0 at the end of the raw stream.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let raw = &mut self.raw;
        let received = ready!(or_pending(
            self.connection.read_tls(&mut Polled { raw, cx })
        ))?;
        if let Err(error) = self.connection.process_new_packets() {
            // The peer is told why, if the socket takes that now.
            let _ = self.poll_send(cx);
            return Poll::Ready(Err(explained(&self.connection, &error)));
        }
        Poll::Ready(Ok(received))
    }
}

impl<S: ByteStream> ByteStream for TlsStream<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.connection.reader().read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // Updates of keys and the like: they can wait for the socket, but not for the next write. An error does
                    // not keep what was received from being read.
                    let _ = self.poll_send(cx);
                    match self.poll_receive(cx) {
                        Poll::Ready(Ok(_)) => {}
                        // What was read before an error goes first; the error comes again.
                        _ if filled > 0 => break,
                        Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                        Poll::Pending => return Poll::Pending,
                    }
                }
                Err(_) if filled > 0 => break,
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    let text = "the connection ended without the notice that TLS ends with";
                    return Poll::Ready(Err(io::Error::new(ErrorKind::UnexpectedEof, text)));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(filled))
    }

    fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
            self.connection.read_tls(&mut There(&mut self.raw))?;
            if let Err(error) = self.connection.process_new_packets() {
                return Err(explained(&self.connection, &error));
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(cx))?;
        let written = self.connection.writer().write_vectored(parts)?;
        match self.poll_send(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // What the socket did not take is sent by the next call, or by a flush.
            _ => Poll::Ready(Ok(written)),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        self.raw.poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.send_close_notify();
        ready!(self.poll_send(cx))?;
        self.raw.poll_close(cx)
    }
}
