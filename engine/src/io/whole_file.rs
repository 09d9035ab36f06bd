//! Files that are read from their beginning to their end, as byte streams.
//!
//! Owns:    `WholeFile`.
//! Runs on: a shard; every call that may wait for the disk on a `Worker`'s thread.            Plane: data.
//! Bounds:  one buffer of `CHUNK_BYTES` a file.
//! Never:   waits for the other end of a pipe: what is no regular file is refused.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::stream::ByteStream;
use super::worker::Worker;

/// Bytes that one call reads at most.
const CHUNK_BYTES: usize = 64 * 1024;

/// A file on its way from the thread and back.
#[derive(Debug)]
struct Opened {
    file: File,
    chunk: Vec<u8>,
    len: usize,
}

impl Opened {
    fn read(mut self) -> io::Result<Opened> {
        loop {
            match self.file.read(&mut self.chunk) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(len) => {
                    self.len = len;
                    return Ok(self);
                }
            }
        }
    }
}

type Reading = Pin<Box<dyn Future<Output = io::Result<Opened>>>>;

enum State {
    /// Bytes of the chunk from there on are to be taken.
    Here(Opened, usize),
    /// The thread has it.
    Reading(Reading),
    /// Read to the end, or failed.
    Done,
}

/// A file that is being read.
pub struct WholeFile {
    worker: Rc<Worker>,
    state: State,
}

impl std::fmt::Debug for WholeFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WholeFile").finish_non_exhaustive()
    }
}

impl WholeFile {
    /// Opens a file, and reads its beginning.
    pub async fn open(worker: &Rc<Worker>, path: &Path) -> io::Result<WholeFile> {
        let path = path.to_owned();
        let opened = worker.run(move || open(&path)?.read()).await?;
        Ok(WholeFile {
            worker: Rc::clone(worker),
            state: State::Here(opened, 0),
        })
    }
}

fn open(path: &Path) -> io::Result<Opened> {
    let file = OpenOptions::new()
        .read(true)
        // A pipe without a writer must not hold the thread, nor a terminal become the daemon's own.
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    let kind = file.metadata()?.file_type();
    let what = if kind.is_file() {
        return Ok(Opened {
            file,
            chunk: vec![0; CHUNK_BYTES],
            len: 0,
        });
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a pipe"
    } else {
        "a device"
    };
    Err(io::Error::new(
        ErrorKind::InvalidInput,
        format!("it is {what}, not a file"),
    ))
}

impl ByteStream for WholeFile {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            match std::mem::replace(&mut self.state, State::Done) {
                State::Done => return Poll::Ready(Ok(0)),
                State::Here(opened, _) if opened.len == 0 => return Poll::Ready(Ok(0)),
                State::Here(opened, taken) if taken == opened.len => {
                    let worker = Rc::clone(&self.worker);
                    let reading = async move { worker.run(move || opened.read()).await };
                    self.state = State::Reading(Box::pin(reading));
                }
                State::Here(opened, taken) => {
                    let rest = &opened.chunk[taken..opened.len];
                    let len = rest.len().min(buffer.len());
                    buffer[..len].copy_from_slice(&rest[..len]);
                    self.state = State::Here(opened, taken + len);
                    return Poll::Ready(Ok(len));
                }
                State::Reading(mut reading) => match reading.as_mut().poll(cx) {
                    Poll::Ready(opened) => self.state = State::Here(opened?, 0),
                    Poll::Pending => {
                        self.state = State::Reading(reading);
                        return Poll::Pending;
                    }
                },
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

#[cfg(test)]
mod tests {
    use super::super::stream::read;
    use super::*;
    use futures_lite::future::block_on;

    async fn whole(path: &Path) -> io::Result<Vec<u8>> {
        let worker = Rc::new(Worker::start("test")?);
        let mut file = WholeFile::open(&worker, path).await?;
        let (mut bytes, mut buffer) = (Vec::new(), vec![0; 1000]);
        loop {
            match read(&mut file, &mut buffer).await? {
                0 => return Ok(bytes),
                len => bytes.extend_from_slice(&buffer[..len]),
            }
        }
    }

    #[test]
    fn files_of_any_size_are_read_to_their_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        for len in [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES] {
            let bytes: Vec<u8> = (0..len).map(|number| number as u8).collect();
            std::fs::write(&path, &bytes).expect("room");
            assert!(block_on(whole(&path)).expect("a file") == bytes, "{len}");
        }
        // Its size is said to be zero.
        let status = block_on(whole(Path::new("/proc/self/status"))).expect("a file");
        assert!(status.starts_with(b"Name:"));
    }

    #[test]
    fn what_is_no_file_is_refused_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a new name");
        for (path, expected) in [
            (folder.path(), "a folder"),
            (&pipe, "a pipe"),
            (Path::new("/dev/null"), "a device"),
            (&folder.path().join("missing"), "No such file"),
        ] {
            let error = block_on(whole(path)).expect_err("no file").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
