//! A file as a stream of bytes for the engine.
//!
//! Owns:    `Reader`: what is in memory goes straight into the engine's batch; what is not, a thread fetches first.
//! Runs on: the shard of the stream.            Plane: data.
//! Bounds:  one fetch of `FETCH_BYTES` at a time; only where the system cannot read without waiting is what was fetched kept.
//! Never:   ends a stream: at the end of the file it has nothing for now, and says so by `at_end`.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::task::{Context, Poll};

use engine::io::{ByteStream, TailFile, Worker};
use engine::plugin::LocalFuture;

use super::content::{Content, Got, Patience};

/// Bytes that are fetched from the disk at a time.
const FETCH_BYTES: usize = 256 * 1024;

/// A file on its way.
pub(super) struct Reader {
    content: Content,
    files: Arc<Worker>,
    fetching: Option<LocalFuture<'static, io::Result<Option<Vec<u8>>>>>,
    /// Where in the file the last fetch began: what is not in memory after that never will be, as far as can be told.
    fetched: Option<u64>,
    at_end: bool,
}

impl Reader {
    /// Reads on from where the content stands.
    pub(super) fn new(content: Content, files: Arc<Worker>) -> Reader {
        Reader {
            content,
            files,
            fetching: None,
            fetched: None,
            at_end: false,
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

    /// Says that nothing is known of the end any more; before each attempt to read.
    pub(super) fn look_again(&mut self) {
        self.at_end = false;
    }

    /// Whether the last read found the end, as things were then.
    pub(super) fn at_end(&self) -> bool {
        self.at_end
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
        loop {
            if let Some(fetching) = &mut self.fetching {
                let Poll::Ready(fetched) = fetching.as_mut().poll(cx) else {
                    return Poll::Pending;
                };
                self.fetching = None;
                match fetched? {
                    Some(bytes) if bytes.is_empty() => {
                        self.at_end = true;
                        return Poll::Pending;
                    }
                    Some(bytes) => self.content.put_ahead(bytes),
                    None => {}
                }
            }
            match self.content.read(buffer, Patience::Now) {
                Ok(Got::Bytes(count)) => return Poll::Ready(Ok(count)),
                Ok(Got::End) => {
                    self.at_end = true;
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
