//! A file as a stream of bytes for the engine.
//!
//! Owns:    `Reader`: what is in memory goes straight into the engine's batch; what is not, a thread fetches first.
//! Runs on: the shard of the stream.            Plane: data.
//! Bounds:  one fetch of `FETCH_BYTES` at a time; only where the system cannot read without waiting is what was fetched kept.
//! Never:   ends a stream: where it has nothing for now, `take_halt` says why.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::task::{Context, Poll};

use engine::io::{ByteStream, TailFile, Worker};
use engine::plugin::LocalFuture;

use super::content::{Content, Got, Patience};

/// Bytes that are fetched from the disk at a time.
const FETCH_BYTES: usize = 256 * 1024;

/// Why there is nothing to read for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    /// The end of the file, as things were.
    End,
    /// The file was replaced.
    Replaced,
}

/// A file on its way.
pub(super) struct Reader {
    content: Content,
    files: Arc<Worker>,
    fetching: Option<LocalFuture<'static, io::Result<Option<Vec<u8>>>>>,
    /// Where in the file the last fetch began: what is not in memory after that never will be, as far as can be told.
    fetched: Option<u64>,
    halt: Option<Halt>,
}

impl Reader {
    /// Reads on from where the content stands.
    pub(super) fn new(content: Content, files: Arc<Worker>) -> Reader {
        Reader {
            content,
            files,
            fetching: None,
            fetched: None,
            halt: None,
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

    /// Why the last attempt to read found nothing, once.
    pub(super) fn take_halt(&mut self) -> Option<Halt> {
        self.halt.take()
    }

    /// Begins to have a part of the file read on the thread: into memory, and if that has not helped, for good.
    fn fetch(&mut self) {
        let at = self.content.fetch_at();
        let keep = self.fetched == Some(at);
        self.fetched = Some(at);
        let (file, files) = (Arc::clone(self.content.file()), Arc::clone(&self.files));
        self.fetching = Some(Box::pin(async move {
            files.run(move || fetch(&file, at, keep)).await
        }));
    }

    fn poll_fetched(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(fetching) = &mut self.fetching else {
            return Poll::Ready(Ok(()));
        };
        let Poll::Ready(fetched) = fetching.as_mut().poll(cx) else {
            return Poll::Pending;
        };
        self.fetching = None;
        Poll::Ready(fetched.map(|fetched| {
            if let Some(bytes) = fetched {
                self.content.put_ahead(bytes);
            }
        }))
    }
}

fn fetch(file: &TailFile, at: u64, keep: bool) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; FETCH_BYTES];
    let count = file.read(at, &mut bytes, &mut [])?;
    if !keep {
        return Ok(None);
    }
    bytes.truncate(count);
    Ok(Some(bytes))
}

impl ByteStream for Reader {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.poll_fetched(cx) {
                Poll::Ready(fetched) => fetched?,
                Poll::Pending => return Poll::Pending,
            }
            match self.content.read(buffer, Patience::Now) {
                Ok(Got::Bytes(count)) => return Poll::Ready(Ok(count)),
                Ok(Got::End) => self.halt = Some(Halt::End),
                Ok(Got::Replaced) => self.halt = Some(Halt::Replaced),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.fetch();
                    continue;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
            return Poll::Pending;
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
