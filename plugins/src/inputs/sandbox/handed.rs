//! What a script's thread hands over to its shard: framed messages.
//!
//! Owns:    `Hands`, the thread's end; `Handed`, the shard's, which is read like a connection.
//! Runs on: as the ends say.            Plane: data.
//! Bounds:  `BUFFERS` buffers wait; the thread gathers `BUFFER_BYTES` in one more, and then waits.
//! Never:   holds a message back while the shard has nothing to read.

use std::borrow::Cow;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use codecs::field::Span;
use codecs::message::{MessageTable, TableLimits};
use codecs::plain_header::PlainHeader;
use codecs::protobuf;
use engine::io::ByteStream;
use sandbox::{Host, InjectError, Injected, Subject};

use crate::script::Script;

/// Buffers that wait for the shard.
pub(super) const BUFFERS: usize = 4;

/// What is gathered while they do, bytes.
const BUFFER_BYTES: usize = 64 * 1024;

/// Fields of one message.
const FIELDS_MAX: usize = codecs::limits::TABLE_FIELDS_MAX;

/// Both ends.
pub(super) fn ends() -> (Hands, Handed) {
    let (sender, receiver) = flume::bounded(BUFFERS);
    let handed = Handed {
        buffer: Vec::new(),
        read: 0,
        next: receiver.clone().into_recv_async(),
        receiver,
    };
    (Hands { sender }, handed)
}

/// The thread's end.
#[derive(Clone)]
pub(super) struct Hands {
    sender: flume::Sender<Vec<u8>>,
}

impl Hands {
    /// What one call of the script injects into.
    pub(super) fn giving<'a>(&'a self, script: &'a Script) -> Giving<'a> {
        Giving {
            hands: self,
            looks: Looks::new(script),
            buffer: Vec::new(),
        }
    }
}

/// One call of the script.
pub(super) struct Giving<'a> {
    hands: &'a Hands,
    looks: Looks<'a>,
    /// Framed messages that no buffer had room for.
    buffer: Vec<u8>,
}

/// Looks at what the script makes: whether it is a message, and of which zone its time is.
struct Looks<'a> {
    script: &'a Script,
    table: MessageTable,
}

impl Looks<'_> {
    fn new(script: &Script) -> Looks<'_> {
        Looks {
            script,
            table: MessageTable::new(TableLimits {
                received_bytes: script.message_bytes_max(),
                arena_bytes: 0,
                messages: 1,
                fields: FIELDS_MAX,
            }),
        }
    }

    /// The message that these bytes are, with its time in UTC.
    fn message<'b>(&mut self, bytes: &'b [u8]) -> Result<Cow<'b, [u8]>, InjectError> {
        if bytes.len() > self.script.message_bytes_max() {
            // The splitter drops and counts it.
            return Ok(bytes.into());
        }
        self.table.clear();
        self.table.received_mut()[..bytes.len()].copy_from_slice(bytes);
        let indexed = self
            .table
            .begin()
            .map_err(|_| InjectError::Unmarshal)?
            .index_protobuf(Span::new(0, bytes.len()));
        indexed.map_err(|_| InjectError::Unmarshal)?;
        if self.script.is_utc {
            return Ok(bytes.into());
        }
        let shown = self.table.get(0).timestamp();
        let moved = self.script.zone.of_utc_clock(shown);
        self.table.draft(0).set_timestamp(moved);
        let mut encoded = Vec::with_capacity(bytes.len() + 16);
        protobuf::encode(self.table.get(0), &mut encoded);
        Ok(encoded.into())
    }
}

/// What a call of a script that is tried injects into.
pub(super) struct Shown<'a> {
    looks: Looks<'a>,
    take: &'a mut dyn FnMut(&[u8]) -> bool,
}

impl<'a> Shown<'a> {
    pub(super) fn new(script: &'a Script, take: &'a mut dyn FnMut(&[u8]) -> bool) -> Shown<'a> {
        Shown {
            looks: Looks::new(script),
            take,
        }
    }
}

impl Host for Shown<'_> {
    fn inject(
        &mut self,
        injected: Injected<'_>,
        _subject: &mut Subject<'_, '_>,
    ) -> Result<(), InjectError> {
        let Injected::Message(bytes) = injected else {
            return Err(InjectError::Count);
        };
        let message = self.looks.message(bytes)?;
        match (self.take)(&message) {
            true => Ok(()),
            false => Err(InjectError::Aborted),
        }
    }
}

impl Giving<'_> {
    /// Hands over what is gathered; waits until there is room. An error: nobody takes it any more.
    pub(super) fn flush(&mut self) -> bool {
        let buffer = std::mem::take(&mut self.buffer);
        buffer.is_empty() || self.hands.sender.send(buffer).is_ok()
    }

    fn frame(&mut self, message: &[u8]) -> Result<(), InjectError> {
        // What is longer than a frame can say is longer than any message may be.
        let header = PlainHeader::new(message.len()).ok_or(InjectError::Unmarshal)?;
        self.buffer.extend_from_slice(header.as_bytes());
        self.buffer.extend_from_slice(message);
        Ok(())
    }

    /// Adds a message to the buffer.
    fn gather(&mut self, bytes: &[u8]) -> Result<(), InjectError> {
        let message = self.looks.message(bytes)?;
        self.frame(&message)
    }
}

impl Host for Giving<'_> {
    fn inject(
        &mut self,
        injected: Injected<'_>,
        _subject: &mut Subject<'_, '_>,
    ) -> Result<(), InjectError> {
        let Injected::Message(bytes) = injected else {
            // Scripts of inputs have no such function.
            return Err(InjectError::Count);
        };
        self.gather(bytes)?;
        let buffer = std::mem::take(&mut self.buffer);
        match self.hands.sender.try_send(buffer) {
            Ok(()) => Ok(()),
            Err(flume::TrySendError::Disconnected(_)) => Err(InjectError::Aborted),
            Err(flume::TrySendError::Full(buffer)) => {
                self.buffer = buffer;
                match self.buffer.len() < BUFFER_BYTES || self.flush() {
                    true => Ok(()),
                    false => Err(InjectError::Aborted),
                }
            }
        }
    }
}

/// The shard's end.
pub(super) struct Handed {
    buffer: Vec<u8>,
    /// Bytes of it that were read.
    read: usize,
    next: flume::r#async::RecvFut<'static, Vec<u8>>,
    receiver: flume::Receiver<Vec<u8>>,
}

impl Handed {
    fn read_into(&mut self, buffer: &mut [u8]) -> usize {
        let rest = &self.buffer[self.read..];
        let taken = rest.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&rest[..taken]);
        self.read += taken;
        taken
    }

    fn is_read(&self) -> bool {
        self.read == self.buffer.len()
    }

    fn take(&mut self, buffer: Vec<u8>) {
        self.buffer = buffer;
        self.read = 0;
    }
}

impl ByteStream for Handed {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.is_read() {
            let next = ready!(Pin::new(&mut self.next).poll(cx));
            self.next = self.receiver.clone().into_recv_async();
            match next {
                Ok(next) => self.take(next),
                Err(flume::RecvError::Disconnected) => return Poll::Ready(Ok(0)),
            }
        }
        Poll::Ready(Ok(self.read_into(buffer)))
    }

    fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_read() {
            match self.receiver.try_recv() {
                Ok(next) => self.take(next),
                Err(flume::TryRecvError::Empty) => return Err(io::ErrorKind::WouldBlock.into()),
                Err(flume::TryRecvError::Disconnected) => return Ok(0),
            }
        }
        Ok(self.read_into(buffer))
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
