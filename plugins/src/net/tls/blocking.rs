//! An encrypted connection of a thread that may wait: what the tools send over.
//!
//! Owns:    `BlockingStream`, a client's end over a blocking socket.
//! Runs on: a thread of its own, never a shard.            Plane: control.
//! Bounds:  `HANDSHAKE_TIMEOUT` for each wait of a handshake, `FAREWELL_TIMEOUT` for each of the end; otherwise the socket's time-outs.
//! Never:   says that bytes were written which the kernel does not have.

use std::io::{self, ErrorKind, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use rustls::{ClientConnection, Connection, ProtocolVersion};

use super::explained::{explained, hung_up};
use super::{Client, HANDSHAKE_TIMEOUT, VERDICT_TIMEOUT, failed, no_handshake};

/// How long the server may take to say that it has read everything.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// Reads that the end waits for. A server says little then.
const FAREWELL_READS: usize = 64;

/// The client's end of an encrypted connection.
#[derive(Debug)]
pub struct BlockingStream {
    raw: TcpStream,
    connection: Connection,
    /// Bytes that were encrypted, of which the kernel does not have all yet.
    under_way: usize,
}

impl Client {
    /// As `connect`, for a thread that may wait. The socket is left without time-outs.
    pub fn connect_blocking(&self, raw: TcpStream) -> io::Result<BlockingStream> {
        let connection = ClientConnection::new(self.config.clone(), self.name.clone())
            .map_err(io::Error::other)?;
        let mut stream = BlockingStream {
            raw,
            connection: connection.into(),
            under_way: 0,
        };
        stream.wait_at_most(Some(HANDSHAKE_TIMEOUT))?;
        stream
            .shake_hands()
            .map_err(|error| match is_wait(&error) {
                true => no_handshake(HANDSHAKE_TIMEOUT),
                false => failed(&error),
            })?;
        let is_tls13 = stream.connection.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        if self.own.was_asked_for() && is_tls13 {
            stream.wait_at_most(Some(VERDICT_TIMEOUT))?;
            match stream.receive() {
                Ok(0) => return Err(failed(&hung_up())),
                Err(error) if !is_wait(&error) => return Err(failed(&error)),
                _ => {}
            }
        }
        stream.wait_at_most(None)?;
        Ok(stream)
    }
}

impl BlockingStream {
    /// The socket underneath.
    pub fn socket(&self) -> &TcpStream {
        &self.raw
    }

    /// Says that nothing more will come, and waits until the server has said the same.
    pub fn finish(mut self) -> io::Result<()> {
        self.wait_at_most(Some(FAREWELL_TIMEOUT))?;
        self.connection.send_close_notify();
        self.send()?;
        self.raw.shutdown(Shutdown::Write)?;
        for _ in 0..FAREWELL_READS {
            match self.receive() {
                Ok(0) => break,
                Ok(_) => {}
                // It has had everything; whether it says so is its own affair.
                Err(error) if is_wait(&error) || error.kind() == ErrorKind::ConnectionReset => {
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn wait_at_most(&self, limit: Option<Duration>) -> io::Result<()> {
        self.raw.set_read_timeout(limit)?;
        self.raw.set_write_timeout(limit)
    }

    fn shake_hands(&mut self) -> io::Result<()> {
        loop {
            self.send()?;
            if !self.connection.is_handshaking() {
                return Ok(());
            }
            if self.receive()? == 0 {
                return Err(hung_up());
            }
        }
    }

    /// Hands what is encrypted to the kernel.
    fn send(&mut self) -> io::Result<()> {
        while self.connection.wants_write() {
            if self.connection.write_tls(&mut self.raw)? == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    /// Receives and decrypts; 0 at the end. What a server says to a tool that only sends is not kept.
    fn receive(&mut self) -> io::Result<usize> {
        let received = self.connection.read_tls(&mut self.raw)?;
        if let Err(error) = self.connection.process_new_packets() {
            // The server is told why, if it still listens.
            let _ = self.send();
            return Err(explained(&self.connection, &error));
        }
        let _ = io::copy(&mut self.connection.reader(), &mut io::sink());
        Ok(received)
    }

    /// The server's own word about a connection that it has cut, if there is one.
    fn last_word(&mut self, cut: io::Error) -> io::Error {
        match self.receive() {
            Err(error) if error.kind() == ErrorKind::InvalidData => error,
            _ => cut,
        }
    }
}

fn is_wait(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// After an error that means waiting, call `write` again with the same bytes.
impl Write for BlockingStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.under_way == 0 {
            self.under_way = self.connection.writer().write(bytes)?;
        }
        match self.send() {
            Ok(()) => Ok(std::mem::take(&mut self.under_way)),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
                ) =>
            {
                Err(self.last_word(error))
            }
            Err(error) => Err(error),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}
