//! Chains of commands: children whose outputs are connected, as a shard sees them.
//!
//! Owns:    `Command`, `Chain` (one run of some commands), `ChildOutput` (what is read of it), `ChainEnd`.
//! Runs on: handles on a shard; the chain on a thread of its own (`watch`).            Plane: data.
//! Bounds:  `CHAIN_LINKS_MAX` commands; an output has `CHUNKS` buffers, and is not read while they wait here: then the child waits.
//! Never:   leaves a child behind: a chain that is dropped is killed, and whatever has ended is waited for.
//!
//! Why a thread: to start a process, to wait for its end and to read a pipe only block, and the executor waits for sockets alone. Children get
//! pipes, not sockets, because programs open `/dev/stdout` (docs/adr/0011-commands-on-threads.md).

mod start;
mod watch;

use std::future::poll_fn;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use flume::r#async::RecvStream;
use futures_lite::Stream;
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::stream::ByteStream;
use watch::Watch;

/// Most commands in a chain.
pub const CHAIN_LINKS_MAX: usize = 64;

/// How long a chain that was told to end has for that before it is killed. Its first command is told at once, the others after half of that
/// if they have not ended with it.
pub const CHAIN_GRACE: Duration = Duration::from_secs(2);

/// Bytes of one buffer: as much as a pipe holds.
const CHUNK_BYTES: usize = 64 * 1024;

/// Buffers of an output: one is filled while the other is taken.
const CHUNKS: usize = 2;

/// A command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// Path of the program, or its name in a folder of `PATH`.
    pub program: String,
    /// Its arguments, without its name.
    pub arguments: Vec<String>,
    /// Its environment; empty for this process's own.
    pub environment: Vec<(String, String)>,
    /// Its working directory; `None` for this process's own.
    pub directory: Option<PathBuf>,
}

/// What is wanted of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChainOptions {
    /// Read the last command's standard output; thrown away otherwise.
    pub stdout: bool,
    /// Read the last command's standard error; thrown away otherwise.
    pub stderr: bool,
    /// End the run after this.
    pub timeout: Option<Duration>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainEnd {
    /// A command could not be started; those before it were killed.
    NotStarted {
        /// Its number.
        link: usize,
        /// Why.
        why: String,
    },
    /// All commands have ended, and their outputs are read.
    Ended {
        /// By command; `None` for one that even killing does not end.
        statuses: Vec<Option<ExitStatus>>,
        /// It took longer than it may, and was ended.
        timed_out: bool,
    },
}

/// Tells the thread of a run what to do.
struct Control {
    order: AtomicU8,
    wake: EventFd,
}

/// Nothing special.
const RUN: u8 = 0;
/// End it, in order if it ends in time.
const TERMINATE: u8 = 1;
/// End it at once.
const KILL: u8 = 2;

impl Control {
    fn order(&self, order: u8) {
        self.order.fetch_max(order, Ordering::AcqRel);
        self.wake();
    }

    fn wake(&self) {
        // It fails only when it is woken already, some 2^64 times.
        let _ = self.wake.write(1);
    }
}

/// A running chain.
pub struct Chain {
    control: Arc<Control>,
    end: flume::Receiver<ChainEnd>,
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chain").finish_non_exhaustive()
    }
}

/// A chain that was started, with the outputs that were asked for.
#[derive(Debug)]
pub struct Started {
    /// The chain.
    pub chain: Chain,
    /// Standard output of the last command.
    pub stdout: Option<ChildOutput>,
    /// Standard error of the last command.
    pub stderr: Option<ChildOutput>,
}

/// Starts commands, the standard output of each being the input of the next; the first one reads nothing. An error if there is no
/// thread for it; what becomes of the commands is told by `Chain::end`. The system shows the first 15 bytes of `name` for the thread.
pub fn start_chain(
    name: &str,
    commands: Arc<[Command]>,
    options: ChainOptions,
) -> io::Result<Started> {
    let control = Arc::new(Control {
        order: AtomicU8::new(RUN),
        wake: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
    });
    let (told, end) = flume::bounded(1);
    let output = |wanted: bool| wanted.then(|| output(&control)).unzip();
    let (stdout, stdout_side) = output(options.stdout);
    let (stderr, stderr_side) = output(options.stderr);
    let watch = Watch::new(Arc::clone(&control), options.timeout);
    std::thread::Builder::new()
        .name(name.replace('\0', ""))
        .spawn(move || {
            let end = watch.run(&commands, stdout_side, stderr_side);
            // Nobody listens any more if the chain was dropped.
            let _ = told.send(end);
        })?;
    Ok(Started {
        chain: Chain { control, end },
        stdout,
        stderr,
    })
}

/// Both sides of an output.
fn output(control: &Arc<Control>) -> (ChildOutput, OutputSide) {
    let (full_sender, full) = flume::bounded(CHUNKS);
    let (empty, empty_receiver) = flume::bounded(CHUNKS);
    let here = ChildOutput {
        full: Some(full.into_stream()),
        empty,
        chunk: Chunk::default(),
        taken: 0,
        control: Arc::clone(control),
    };
    let there = OutputSide {
        full: full_sender,
        empty: empty_receiver,
        free: (0..CHUNKS).map(|_| vec![0; CHUNK_BYTES]).collect(),
    };
    (here, there)
}

impl Chain {
    /// Tells the commands to end, and kills those that have not after `CHAIN_GRACE`. Their outputs are read to the end.
    pub fn terminate(&self) {
        self.control.order(TERMINATE);
    }

    /// How it ended. Comes when all commands have ended and all their output has been handed over.
    ///
    /// # Panics
    /// If the thread of the chain panicked.
    pub async fn end(&self) -> ChainEnd {
        self.end
            .recv_async()
            .await
            .expect("the thread of a chain says how it ended")
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        self.control.order(KILL);
    }
}

/// A buffer, and how far it is filled.
#[derive(Debug, Default)]
struct Chunk {
    bytes: Vec<u8>,
    len: usize,
}

/// The thread's side of an output.
struct OutputSide {
    full: flume::Sender<Chunk>,
    empty: flume::Receiver<Vec<u8>>,
    free: Vec<Vec<u8>>,
}

/// What the last command of a chain writes.
pub struct ChildOutput {
    /// `None` only while it is dropped.
    full: Option<RecvStream<'static, Chunk>>,
    empty: flume::Sender<Vec<u8>>,
    chunk: Chunk,
    /// Bytes of the chunk that were read.
    taken: usize,
    control: Arc<Control>,
}

impl std::fmt::Debug for ChildOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChildOutput").finish_non_exhaustive()
    }
}

impl ChildOutput {
    /// Waits until a read answers at once. `false`: all commands have ended, and nothing more will come.
    pub async fn ready(&mut self) -> bool {
        poll_fn(|cx| self.poll_ready(cx)).await
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.taken < self.chunk.len {
            return Poll::Ready(true);
        }
        let Some(full) = &mut self.full else {
            return Poll::Ready(false);
        };
        Pin::new(full).poll_next(cx).map(|chunk| match chunk {
            Some(chunk) => {
                self.chunk = chunk;
                self.taken = 0;
                true
            }
            None => false,
        })
    }

    fn give_back(&mut self) {
        let Chunk { bytes, .. } = std::mem::take(&mut self.chunk);
        self.taken = 0;
        // The thread is gone if the chain has ended.
        let _ = self.empty.try_send(bytes);
        self.control.wake();
    }
}

impl Drop for ChildOutput {
    fn drop(&mut self) {
        // Before the thread looks, so that it finds nobody.
        self.full = None;
        self.control.wake();
    }
}

impl ByteStream for ChildOutput {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_ready(cx).map(|there| {
            if !there {
                return Ok(0);
            }
            let rest = &self.chunk.bytes[self.taken..self.chunk.len];
            let len = rest.len().min(buffer.len());
            buffer[..len].copy_from_slice(&rest[..len]);
            self.taken += len;
            if self.taken == self.chunk.len {
                self.give_back();
            }
            Ok(len)
        })
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

#[cfg(test)]
mod tests;
