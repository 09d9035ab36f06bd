//! What a file of a script reads from and writes to.
//!
//! Owns:    `Stream`: a file, a command or a standard stream, with what was read ahead and not yet written.
//! Runs on: the shard of the plugin, or the thread of an input.            Plane: data.
//! Bounds:  `BUFFER_BYTES` each way; a read as long as its caller allows.
//! Never:   knows Lua.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::process::{Child, ChildStdin, ChildStdout};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// Bytes read ahead, and bytes that wait to be written.
const BUFFER_BYTES: usize = 16 * 1024;

/// When written bytes go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Buffering {
    No,
    Line,
    Full,
}

enum Handle {
    File(File),
    From(ChildStdout),
    To(ChildStdin),
    Stdin,
    Stdout,
    Stderr,
}

/// An open stream.
pub(crate) struct Stream {
    handle: Handle,
    child: Option<Child>,
    ahead: Vec<u8>,
    /// Bytes of `ahead` that were taken.
    taken: usize,
    behind: Vec<u8>,
    buffering: Buffering,
    /// A write fails at once where it must, not when the buffer is full.
    writable: bool,
}

impl Stream {
    fn new(handle: Handle, child: Option<Child>, buffering: Buffering) -> Stream {
        Stream {
            handle,
            child,
            ahead: Vec::new(),
            taken: 0,
            behind: Vec::new(),
            buffering,
            writable: true,
        }
    }

    pub(crate) fn file(file: File) -> Stream {
        let flags = fcntl(&file, FcntlArg::F_GETFL).map_or(OFlag::O_RDWR, OFlag::from_bits_retain);
        let mut stream = Stream::new(Handle::File(file), None, Buffering::Full);
        stream.writable = flags & OFlag::O_ACCMODE != OFlag::O_RDONLY;
        stream
    }

    /// The output of a command, or its input where it has one to write to.
    pub(crate) fn command(mut child: Child) -> Option<Stream> {
        let handle = match (child.stdout.take(), child.stdin.take()) {
            (Some(output), _) => Handle::From(output),
            (None, Some(input)) => Handle::To(input),
            (None, None) => return None,
        };
        Some(Stream::new(handle, Some(child), Buffering::Full))
    }

    pub(crate) fn stdin() -> Stream {
        Stream::new(Handle::Stdin, None, Buffering::Full)
    }

    pub(crate) fn stdout() -> Stream {
        Stream::new(Handle::Stdout, None, Buffering::Line)
    }

    pub(crate) fn stderr() -> Stream {
        Stream::new(Handle::Stderr, None, Buffering::No)
    }

    /// Reads more ahead. Answers whether there was any.
    fn fill(&mut self) -> io::Result<bool> {
        if self.taken < self.ahead.len() {
            return Ok(true);
        }
        self.flush()?;
        self.taken = 0;
        self.ahead.resize(BUFFER_BYTES, 0);
        let read = loop {
            let read = match &mut self.handle {
                Handle::File(file) => file.read(&mut self.ahead),
                Handle::From(output) => output.read(&mut self.ahead),
                Handle::Stdin => io::stdin().lock().read(&mut self.ahead),
                Handle::To(_) | Handle::Stdout | Handle::Stderr => {
                    Err(nix::errno::Errno::EBADF.into())
                }
            };
            match read {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.ahead.truncate(*read.as_ref().unwrap_or(&0));
        read.map(|read| read > 0)
    }

    /// The next byte, left where it is.
    pub(crate) fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(if self.fill()? {
            self.ahead.get(self.taken).copied()
        } else {
            None
        })
    }

    /// Takes the byte that `peek` showed.
    pub(crate) fn skip(&mut self) {
        self.taken += 1;
    }

    /// Appends at most `count` bytes. Answers whether the stream had any left.
    pub(crate) fn read(&mut self, count: usize, out: &mut Vec<u8>) -> io::Result<bool> {
        let mut left = count;
        let mut any = false;
        while left > 0 && self.fill()? {
            let ready = &self.ahead[self.taken..];
            let part = &ready[..ready.len().min(left)];
            out.extend_from_slice(part);
            self.taken += part.len();
            left -= part.len();
            any = true;
        }
        Ok(any)
    }

    /// Appends a line without its end, of at most `limit` bytes. Answers whether there was one.
    pub(crate) fn read_line(&mut self, limit: usize, out: &mut Vec<u8>) -> io::Result<bool> {
        let mut any = false;
        while self.fill()? {
            any = true;
            let ready = &self.ahead[self.taken..];
            let end = memchr::memchr(b'\n', ready);
            let part = &ready[..end.unwrap_or(ready.len())];
            if out.len() + part.len() > limit {
                return Err(ErrorKind::OutOfMemory.into());
            }
            out.extend_from_slice(part);
            self.taken += part.len() + usize::from(end.is_some());
            if end.is_some() {
                break;
            }
        }
        Ok(any)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.writable {
            return Err(nix::errno::Errno::EBADF.into());
        }
        self.give_back()?;
        if self.behind.len() + bytes.len() > BUFFER_BYTES {
            self.flush()?;
        }
        if bytes.len() >= BUFFER_BYTES {
            return self.write_through(bytes);
        }
        self.behind.extend_from_slice(bytes);
        match self.buffering {
            Buffering::Full => Ok(()),
            Buffering::Line if !bytes.contains(&b'\n') => Ok(()),
            Buffering::Line | Buffering::No => self.flush(),
        }
    }

    fn write_through(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.handle {
            Handle::File(file) => file.write_all(bytes),
            Handle::To(input) => input.write_all(bytes),
            Handle::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(bytes).and_then(|()| out.flush())
            }
            Handle::Stderr => io::stderr().lock().write_all(bytes),
            Handle::From(_) | Handle::Stdin => Err(nix::errno::Errno::EBADF.into()),
        }
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.behind.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.behind);
        self.write_through(&bytes)
    }

    /// Forgets what was read ahead: the file stands where the script thinks it does.
    fn give_back(&mut self) -> io::Result<()> {
        let ahead = self.ahead.len() - self.taken;
        self.ahead.clear();
        self.taken = 0;
        match &mut self.handle {
            Handle::File(file) if ahead > 0 => {
                file.seek(SeekFrom::Current(-(ahead as i64))).map(drop)
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.flush()?;
        self.give_back()?;
        match &mut self.handle {
            Handle::File(file) => file.seek(to),
            _ => Err(nix::errno::Errno::ESPIPE.into()),
        }
    }

    pub(crate) fn set_buffering(&mut self, buffering: Buffering) -> io::Result<()> {
        self.buffering = buffering;
        self.flush()
    }

    /// Writes what waits and, of a command, waits for its end.
    pub(crate) fn close(mut self) -> io::Result<()> {
        let flushed = self.flush();
        if let Some(mut child) = self.child.take() {
            // The command sees the end of its input only when our side is gone.
            self.handle = Handle::Stderr;
            child.wait()?;
        }
        flushed
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Nobody is left to hear of it.
        let _ = self.flush();
        if let Some(mut child) = self.child.take() {
            self.handle = Handle::Stderr;
            let _ = child.wait();
        }
    }
}
