//! A file as a stream of bytes for the engine.
//!
//! Owns:    `Reader`: what is in memory goes straight into the engine's batch; what is not, a thread fetches first.
//! Runs on: the shard of the stream.            Plane: data.
//! Bounds:  one fetch of `FETCH_BYTES` at a time; only where the system cannot read without waiting is what was fetched kept.
//! Never:   ends a stream: at the end of the file it has nothing for now, and `Halt` says why; or reads on after a pause before its owner
//!          has looked whether it still is the same file.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use engine::io::clock::Monotonic;
use engine::io::{ByteStream, TailFile, Worker};
use engine::plugin::LocalFuture;

use super::content::{Content, Got, Patience};

/// Bytes that are fetched from the disk at a time.
const FETCH_BYTES: usize = 256 * 1024;

/// Between two reads after which the file may have been replaced: it cannot grow beyond what was read in less.
const PAUSE: Duration = Duration::from_millis(50);

/// A place in the file that was read, and what the file looked like then.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Bytes of the content before the place.
    pub(super) seek: u64,
    /// The last of them.
    pub(super) before: Vec<u8>,
    /// The file's size and time, if nothing has to be compared while they stay.
    pub(super) file: Option<(u64, i64)>,
}

impl Seen {
    /// A place with the bytes before it.
    pub(super) fn new(seek: u64, before: Vec<u8>) -> Seen {
        let file = None;
        Seen { seek, before, file }
    }
}

/// Why there is nothing to read for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    /// The end of the file, as things were.
    End,
    /// The last read was some time ago, and the file may have been replaced since.
    Pause,
}

/// A file on its way.
pub(super) struct Reader {
    content: Content,
    files: Arc<Worker>,
    fetching: Option<LocalFuture<'static, io::Result<Option<Vec<u8>>>>>,
    /// Where in the file the last fetch began: what is not in memory after that never will be, as far as can be told.
    fetched: Option<u64>,
    halt: Option<Halt>,
    seen: Seen,
    /// When it was known last that the file is still the same.
    same_at: Monotonic,
    /// The next read needs no look, however late it comes.
    trusted: bool,
}

impl Reader {
    /// Reads on from where the content stands; it has the place that was seen.
    pub(super) fn new(content: Content, seen: Seen, files: Arc<Worker>) -> Reader {
        Reader {
            content,
            files,
            fetching: None,
            fetched: None,
            halt: None,
            seen,
            same_at: Monotonic::now(),
            trusted: false,
        }
    }

    /// What is read.
    pub(super) fn content(&self) -> &Content {
        &self.content
    }

    /// As `Content::forget_before`.
    pub(super) fn forget_before(&mut self, seek: u64) {
        self.content.forget_before(seek);
    }

    /// A place that was read.
    pub(super) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Notes a place that was read just now.
    pub(super) fn note(&mut self, seen: Seen) {
        self.seen = seen;
    }

    /// Says that the file is still the same: it was looked at.
    pub(super) fn trust(&mut self) {
        self.trusted = true;
    }

    /// Whether the file may have been replaced since it was looked at last.
    pub(super) fn is_doubtful(&self) -> bool {
        self.same_at.elapsed() > PAUSE
    }

    /// Whether the file has other content where it was read, from what is in memory.
    fn is_replaced_now(&self) -> io::Result<bool> {
        let state = self.content.file().state()?;
        if !self.content.may_differ(&state, &self.seen) {
            return Ok(state.size < self.content.raw_at());
        }
        let before = self.content.before_now(self.seen.seek)?;
        Ok(before.as_ref() != Some(&self.seen.before))
    }

    /// Why the last attempt to read found nothing, once.
    pub(super) fn take_halt(&mut self) -> Option<Halt> {
        self.halt.take()
    }

    /// Begins to have a part of the file read on the thread: into memory, and if that has not helped, for good.
    fn fetch(&mut self) {
        let at = self.content.raw_at();
        let keep = self.fetched == Some(at);
        self.fetched = Some(at);
        let (file, files) = (Arc::clone(self.content.file()), Arc::clone(&self.files));
        self.fetching = Some(Box::pin(async move {
            files.run(move || fetch(&file, at, keep)).await
        }));
    }
}

fn fetch(file: &TailFile, at: u64, keep: bool) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; FETCH_BYTES];
    let count = file.read(at, &mut bytes)?;
    if !keep {
        return Ok(None);
    }
    bytes.truncate(count);
    Ok(Some(bytes))
}

impl ByteStream for Reader {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if !self.trusted && self.is_doubtful() {
            if !self.is_replaced_now().is_ok_and(|replaced| !replaced) {
                self.halt = Some(Halt::Pause);
                return Poll::Pending;
            }
            self.same_at = Monotonic::now();
        }
        loop {
            if let Some(fetching) = &mut self.fetching {
                let Poll::Ready(fetched) = fetching.as_mut().poll(cx) else {
                    return Poll::Pending;
                };
                self.fetching = None;
                match fetched? {
                    Some(bytes) if bytes.is_empty() => {
                        self.halt = Some(Halt::End);
                        return Poll::Pending;
                    }
                    Some(bytes) => self.content.put_ahead(bytes),
                    None => {}
                }
            }
            match self.content.read(buffer, Patience::Now) {
                Ok(Got::Bytes(count)) => {
                    self.same_at = Monotonic::now();
                    self.trusted = false;
                    return Poll::Ready(Ok(count));
                }
                Ok(Got::End) => {
                    self.halt = Some(Halt::End);
                    return Poll::Pending;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.fetch(),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_write(&mut self, _cx: &mut Context<'_>, _bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(ErrorKind::Unsupported.into()))
    }

    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
