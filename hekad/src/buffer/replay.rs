//! `hekad buffer replay`: sends the messages of a queue to a daemon.
//!
//! Owns:    the connection, and when messages count as delivered.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  `SEND_BYTES` are gathered; every wait by `WAIT_MAX`.
//! Never:   removes a message before all were written and the receiver has ended its side.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use codecs::field::Span;
use codecs::framing;
use codecs::limits;
use codecs::message::MessageTable;
use codecs::signing::Signer;
use engine::io::disk::OsDisk;
use engine::queue::{Position, Queue, View};
use engine::words::{agrees, counted};
use plugins::net::tls::BlockingStream;

use super::cat::Frames;
use super::{EXIT_DAMAGED, Flow, Walk, chosen, look, say, say_all, unusable};
use crate::cli::BufferReplayArgs;
use crate::encryption;
use crate::failure::Failure;
use crate::receiver;
use crate::signer::{self, SignerSection};

/// Longest wait for the connection.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// Longest wait for a receiver that takes nothing: its outputs may hold it up.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Bytes that are written at a time.
const SEND_BYTES: usize = 256 * 1024;

/// Runs the command.
pub(super) fn replay(args: &BufferReplayArgs) -> Result<ExitCode, Failure> {
    receiver::check_address("--heka", &args.heka)?;
    let signer = signer::merge(&args.signer, SignerSection::default())?;
    let mut walk = Walk::new(args.max_message_size)?;
    if args.remove {
        return remove(args, signer.as_ref(), &mut walk);
    }
    let view = look(&args.dir)?;
    say_all(&view.notices);
    let mut sending = Sending::new(args, signer.as_ref())?;
    for (lane, mut reader) in chosen(&view, None, false)? {
        walk.lane(&mut reader, lane.published, |table, item| {
            sending.message(table, item.message)
        })?;
    }
    sending.heka(&view, args.max_message_size)?;
    let damaged = walk.is_damaged() || sending.skipped > 0;
    let sent = sending.finish()?;
    say(&format!("sent {}", counted(sent, "message")));
    Ok(status(damaged))
}

fn status(damaged: bool) -> ExitCode {
    if damaged {
        ExitCode::from(EXIT_DAMAGED)
    } else {
        ExitCode::SUCCESS
    }
}

/// Sends all messages, then removes them. Heka's own files are sent by a replay without it.
fn remove(
    args: &BufferReplayArgs,
    signer: Option<&Signer>,
    walk: &mut Walk,
) -> Result<ExitCode, Failure> {
    let mut queue = Queue::open_found(OsDisk, &args.dir).map_err(|error| unusable(&error))?;
    say_all(&queue.recovery.notices);
    let mut sending = Sending::new(args, signer)?;
    let mut ends: Vec<Position> = Vec::new();
    for lane in &mut queue.lanes {
        walk.lane(&mut lane.reader, lane.published, |table, item| {
            sending.message(table, item.message)
        })?;
        ends.push(lane.published);
    }
    let sent = sending.finish()?;
    if walk.passed.too_long_records > 0 {
        return Err(Failure::new(
            1,
            format!(
                "sent {}, but {} {} longer than --max-message-size: nothing was removed; give a larger one",
                counted(sent, "message"),
                walk.passed.too_long_records,
                agrees(walk.passed.too_long_records, "is", "are")
            ),
        ));
    }
    for (lane, end) in queue.lanes.iter_mut().zip(ends) {
        let removed = lane.cursor.advance(end)
            && lane.cursor.save().map_err(|error| unusable(&error)).is_ok();
        if !removed {
            return Err(Failure::new(
                1,
                format!(
                    "sent {}, but those of lane {} cannot be removed",
                    counted(sent, "message"),
                    lane.number
                ),
            ));
        }
    }
    say(&format!(
        "sent {} and removed {}",
        counted(sent, "message"),
        agrees(sent, "it", "them")
    ));
    Ok(status(walk.is_damaged()))
}

/// A connection to the receiver, and what is to go over it.
struct Sending<'a> {
    args: &'a BufferReplayArgs,
    signer: Option<&'a Signer>,
    link: Link,
    gathered: Vec<u8>,
    sent: u64,
    /// Bytes of Heka's files that belong to no frame.
    skipped: u64,
}

enum Link {
    Plain(TcpStream),
    Tls(Box<BlockingStream>),
}

impl<'a> Sending<'a> {
    fn new(args: &'a BufferReplayArgs, signer: Option<&'a Signer>) -> Result<Sending<'a>, Failure> {
        let client = encryption::client(&args.tls, None, &args.heka)?;
        let connect = || -> io::Result<Link> {
            let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            for address in args.heka.to_socket_addrs()? {
                match TcpStream::connect_timeout(&address, CONNECT_MAX) {
                    Ok(stream) => {
                        let Some(client) = &client else {
                            stream.set_write_timeout(Some(WAIT_MAX))?;
                            return Ok(Link::Plain(stream));
                        };
                        let stream = client.connect_blocking(stream)?;
                        stream.socket().set_write_timeout(Some(WAIT_MAX))?;
                        return Ok(Link::Tls(Box::new(stream)));
                    }
                    Err(error) => last = error,
                }
            }
            Err(last)
        };
        Ok(Sending {
            args,
            signer,
            link: connect().map_err(|error| cannot_send(args, 0, &error))?,
            gathered: Vec::with_capacity(SEND_BYTES),
            sent: 0,
            skipped: 0,
        })
    }

    /// Sends the message whose bytes stand at `content`.
    fn message(&mut self, table: &mut MessageTable, content: Span) -> Result<Flow, Failure> {
        framing::write_frame(
            content.of(table.bytes()),
            self.signer,
            limits::MESSAGE_BYTES_MAX,
            &mut self.gathered,
        )
        .map_err(|error| Failure::new(1, error.to_string()))?;
        self.sent += 1;
        if self.gathered.len() >= SEND_BYTES {
            self.write()?;
        }
        Ok(Flow::On)
    }

    /// Sends what Heka has not delivered.
    fn heka(&mut self, view: &View, largest: usize) -> Result<(), Failure> {
        if let Some(mut stream) = view.heka_stream() {
            let mut frames = Frames::new(largest);
            frames.each(&mut *stream, |table, content| self.message(table, content))?;
            self.skipped = frames.skipped;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), Failure> {
        let written = match &mut self.link {
            Link::Plain(stream) => stream.write_all(&self.gathered),
            Link::Tls(stream) => stream.write_all(&self.gathered),
        };
        self.gathered.clear();
        written.map_err(|error| cannot_send(self.args, self.sent, &error))
    }

    /// Ends the stream, and waits until the receiver has done the same, which it does when it has read all. Answers how many messages it was.
    fn finish(mut self) -> Result<u64, Failure> {
        self.write()?;
        let ended = match self.link {
            Link::Plain(stream) => end(&stream),
            Link::Tls(stream) => stream.finish(),
        };
        ended.map_err(|error| cannot_send(self.args, self.sent, &error))?;
        Ok(self.sent)
    }
}

/// Ends a stream and waits for its other end.
fn end(mut stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(WAIT_MAX))?;
    let mut answer = [0; 1024];
    loop {
        match stream.read(&mut answer) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn cannot_send(args: &BufferReplayArgs, sent: u64, error: &io::Error) -> Failure {
    let why = encryption::in_flags(&receiver::explained(error));
    let so_far = match sent {
        0 => String::new(),
        sent => format!(
            "; {} {} under way, and may arrive twice when sent again",
            counted(sent, "message"),
            agrees(sent, "was", "were")
        ),
    };
    Failure::new(
        1,
        format!(
            "cannot send to {}: {why}; nothing was removed{so_far}",
            args.heka
        ),
    )
}
