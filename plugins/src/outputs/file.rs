//! FileOutput: encoded messages at the end of a file, in few large writes.
//!
//! Owns:    the open file, the parcels that wait for it, when it is flushed and when its name changes.
//! Runs on: its home shard; whatever may block, on two threads of its own (writing, and flushing beside it).            Plane: data.
//! Bounds:  `WRITE_BYTES` a write, or one parcel; what waits is bounded by the parcels that may be under way to an output.
//! Never:   copies a record, loses one to a full disk, or begins a file in the middle of one.
//!
//! A write takes whatever has come while the one before was under way: one system call for many parcels, straight from the memory
//! that they were received in. A parcel is settled once the file has all of it; the kernel then keeps it whatever becomes of the daemon.
//! A flush (fdatasync) makes that true for the host as well; where every message asks for one, parcels wait for it.

mod batch;
mod flush;
mod rotation;

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use codecs::time::{Strftime, Zone};
use engine::io::clock::{self, Monotonic};
use engine::io::{File, Worker, descriptors};
use engine::plugin::options::OutputOptions;
use engine::plugin::{
    Fault, LocalFuture, Output, OutputFactory, OutputPlugin, PluginSpec, Section,
};
use engine::shard::delivery::{OutputContext, OutputEvent};
use futures_lite::future::poll_once;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::batch::Batch;
use self::flush::{Flush, FlushPolicy};
use self::rotation::Rotation;

/// Bytes that are gathered for one write.
const WRITE_BYTES: usize = 1024 * 1024;

/// Longest wait for a change of the file's name before the wall clock is looked at again: it may be set.
const ROTATION_LOOK: Duration = Duration::from_secs(60);

/// How the interval and the count of flushes are combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum FlushOperator {
    /// Both must be reached.
    #[default]
    And,
    /// One is enough.
    Or,
}

/// Options of `FileOutput`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// File path; strftime codes are filled in when rotation is on
    #[schemars(extend("x-required" = true))]
    pub path: String,
    /// File mode, octal text
    pub perm: String,
    /// Hours between rotations, counted from midnight: 0 (never), 1, 4, 12 or 24
    pub rotation_interval: u32,
    /// Milliseconds between flushes; zero leaves them to the count
    pub flush_interval: u32,
    /// Messages before a flush
    #[schemars(range(min = 1))]
    pub flush_count: u32,
    /// Whether a flush needs both interval and count, or one of them
    pub flush_operator: FlushOperator,
    /// Mode of created folders, octal text
    pub folder_perm: String,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            path: String::new(),
            perm: "644".to_owned(),
            rotation_interval: 0,
            flush_interval: 1000,
            flush_count: 1,
            flush_operator: FlushOperator::And,
            folder_perm: "700".to_owned(),
        }
    }
}

/// The table's line.
pub const SPEC: PluginSpec = PluginSpec::output::<Options>(
    "FileOutput",
    "Writes encoded messages to a file",
)
.notes(&[
    "Messages are written as soon as the file is ready for them, many at a time under load, and count as delivered when the kernel has them: from then on they survive the daemon, whatever ends it.",
    "A flush (fdatasync) makes them survive the host as well. By default there is one a second while messages come; writing goes on meanwhile. Where each message asks for a flush (`flush_count = 1` with `flush_operator = \"OR\"` or `flush_interval = 0`), messages count as delivered only after it.",
    "When the disk is full or fails, messages wait, and hold back the inputs; `retries` says how often it is tried again. Nothing is lost or written twice, and no half message stays at the end of the file.",
    "A daemon that is killed, or a host that fails, in the midst of a write can leave half a record at the end of the file; that record did not count as delivered, and the next start writes behind the half. A line is then joined to the half before it. Of Heka frames only the half is lost to `hekad cat` and to inputs of hekad; other readers may take the bytes that follow for the rest of it.",
    "SIGHUP closes the file and opens its path again. A file that was removed is found out at the next write, which is then repeated in a new file; a file that was only renamed is written to until SIGHUP.",
    "A relative `path` counts from the daemon's working directory, not from `base_dir`.",
    "`rotation_interval`: hours are counted from midnight of the host's time zone. The first name is made of the time of the start, later ones of the time of the change.",
    "A path that cannot be opened when the daemon starts ends the output, and with it the daemon unless `can_exit`; later, or where the host is only short of descriptors or room, it is tried again.",
]);

impl OutputPlugin for Options {
    fn common() -> OutputOptions {
        OutputOptions {
            use_framing: None,
            ..OutputOptions::default()
        }
    }

    fn build(self, section: &mut Section<'_, OutputOptions>) -> Option<Box<dyn OutputFactory>> {
        let mode = octal(section, "perm", &self.perm);
        let folder_mode = octal(section, "folder_perm", &self.folder_perm);
        if self.path.is_empty() {
            section.problem(&["path"], "must name a file");
        }
        let rotation = match self.rotation_interval {
            0 => {
                if Strftime::new(&self.path).is_ok_and(|format| !format.is_constant()) {
                    section
                        .warning(&["path"], "its strftime codes are not filled in")
                        .help("set `rotation_interval` to 1, 4, 12 or 24 hours");
                }
                None
            }
            hours @ (1 | 4 | 12 | 24) => match Strftime::new(&self.path) {
                Ok(format) => Some((format, hours as u8)),
                Err(error) => {
                    section.problem(&["path"], error.to_string());
                    None
                }
            },
            _ => {
                section.problem(&["rotation_interval"], "must be 0, 1, 4, 12 or 24 hours");
                None
            }
        };
        Some(Box::new(Factory(Arc::new(Settings {
            path: PathBuf::from(self.path),
            rotation,
            mode: mode?,
            folder_mode: folder_mode?,
            flush: FlushPolicy {
                interval: (self.flush_interval > 0)
                    .then(|| Duration::from_millis(self.flush_interval.into())),
                count: self.flush_count.into(),
                both: self.flush_operator == FlushOperator::And,
            },
        }))))
    }
}

/// A mode written in octal digits.
fn octal(section: &mut Section<'_, OutputOptions>, key: &str, text: &str) -> Option<u32> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o7777 => Some(mode),
        _ => {
            section
                .problem(&[key], "must be an octal number of up to four digits")
                .help("write it as \"644\" or \"0755\"");
            None
        }
    }
}

/// What the options come to.
struct Settings {
    path: PathBuf,
    rotation: Option<(Strftime, u8)>,
    mode: u32,
    folder_mode: u32,
    flush: FlushPolicy,
}

struct Factory(Arc<Settings>);

impl OutputFactory for Factory {
    fn make(&self) -> Box<dyn Output> {
        Box::new(FileOutput {
            settings: Arc::clone(&self.0),
        })
    }
}

struct FileOutput {
    settings: Arc<Settings>,
}

impl Output for FileOutput {
    fn run<'a>(&'a mut self, context: &'a mut OutputContext) -> LocalFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let mut running = Running::start(Arc::clone(&self.settings), context).await?;
            let result = running.serve(context).await;
            running.give_up();
            result
        })
    }
}

/// What the output waited for.
enum Step {
    Event(OutputEvent),
    Flushed(io::Result<()>),
}

/// An output at work.
struct Running {
    settings: Arc<Settings>,
    rotation: Option<Rotation>,
    path: PathBuf,
    writer: Worker,
    flusher: Rc<Worker>,
    /// `None` while it cannot be opened.
    file: Option<Arc<File>>,
    /// It is to be opened again.
    reopen: bool,
    waiting: Batch,
    flush: Flush,
    flushing: Option<LocalFuture<'static, io::Result<()>>>,
    /// Nothing is tried before this time.
    retry_at: Option<Monotonic>,
    ending: bool,
}

impl Running {
    /// Opens the file for the first time: what is wrong here is most likely wrong in the configuration, unless it is something that passes,
    /// or that was right for an instance before.
    async fn start(settings: Arc<Settings>, context: &mut OutputContext) -> Result<Running, Fault> {
        let now = clock::wall();
        let rotation = settings
            .rotation
            .as_ref()
            .map(|(format, hours)| Rotation::new(format.clone(), Zone::local(), *hours, now));
        let path = rotation
            .as_ref()
            .map_or_else(|| settings.path.clone(), |rotation| rotation.path(now));
        let mut running = Running {
            rotation,
            path,
            writer: Worker::start(context.name())?,
            flusher: Rc::new(Worker::start(context.name())?),
            file: None,
            reopen: false,
            waiting: Batch::default(),
            flush: Flush::new(settings.flush, Monotonic::now()),
            flushing: None,
            retry_at: None,
            ending: false,
            settings,
        };
        match running.open().await {
            Ok(file) => running.file = Some(Arc::new(file)),
            Err(error) => {
                let what = cannot_open(&running.path, &error);
                if !context.is_restart() && !passes(&error) {
                    return Err(Fault::for_good(what));
                }
                running.reopen = true;
                running.failed(context, &what)?;
            }
        }
        Ok(running)
    }

    async fn serve(&mut self, context: &mut OutputContext) -> Result<(), Fault> {
        while !(self.ending && self.waiting.is_empty()) {
            match self.next(context).await {
                Some(Step::Event(OutputEvent::Parcel(parcel))) => {
                    self.waiting.push(parcel);
                    while self.waiting.bytes_left() < WRITE_BYTES
                        && let Some(parcel) = context.next_ready()
                    {
                        self.waiting.push(parcel);
                    }
                }
                Some(Step::Event(OutputEvent::Reopen)) => {
                    self.reopen = true;
                    self.retry_at = None;
                }
                Some(Step::Event(OutputEvent::End)) => self.ending = true,
                Some(Step::Flushed(result)) => self.flushed(context, result),
                Some(Step::Event(OutputEvent::Deadline | OutputEvent::Tick)) | None => {}
            }
            self.advance(context).await?;
        }
        self.flush_all(context).await;
        Ok(())
    }

    /// Does what is due.
    async fn advance(&mut self, context: &mut OutputContext) -> Result<(), Fault> {
        if let Some(path) = self
            .rotation
            .as_mut()
            .and_then(|rotation| rotation.changed(clock::wall()))
        {
            self.path = path;
            self.reopen = true;
            self.retry_at = None;
        }
        if self.may_try() {
            self.retry_at = None;
            if self.reopen {
                self.reopen(context).await?;
            }
            if self.file.is_some() && !self.waiting.is_empty() {
                self.write(context).await?;
            }
        }
        self.begin_flush();
        Ok(())
    }

    fn may_try(&self) -> bool {
        self.retry_at.is_none_or(|at| at.remaining().is_zero())
    }

    /// Waits for something to do; `None` when opening or writing can go on at once.
    async fn next(&mut self, context: &mut OutputContext) -> Option<Step> {
        if self.ending {
            // Only a file that fails keeps it from ending.
            let wait = self.retry_at.map_or(Duration::ZERO, Monotonic::remaining);
            context.pause(wait).await;
            return None;
        }
        if (self.reopen || !self.waiting.is_empty()) && self.may_try() {
            return poll_once(context.next(None)).await.map(Step::Event);
        }
        let deadline = self.deadline();
        let mut event = std::pin::pin!(context.next(deadline));
        let flushing = &mut self.flushing;
        let step = poll_fn(|cx| {
            if let Some(flush) = flushing
                && let Poll::Ready(result) = flush.as_mut().poll(cx)
            {
                *flushing = None;
                return Poll::Ready(Step::Flushed(result));
            }
            event.as_mut().poll(cx).map(Step::Event)
        });
        Some(step.await)
    }

    /// When something is due without anything new.
    fn deadline(&self) -> Option<Monotonic> {
        let rotation = self.rotation.as_ref().map(|rotation| {
            let left = u64::try_from(rotation.next().saturating_sub(clock::wall())).unwrap_or(0);
            Monotonic::now().after(Duration::from_nanos(left).min(ROTATION_LOOK))
        });
        let flush = self.flush.due().filter(|_| self.flushing.is_none());
        [rotation, flush, self.retry_at].into_iter().flatten().min()
    }

    // ---- writing ----

    async fn write(&mut self, context: &mut OutputContext) -> Result<(), Fault> {
        let Some(file) = self.file.clone() else {
            return Ok(());
        };
        let sync = self.settings.flush.every_message();
        let mut batch = std::mem::take(&mut self.waiting);
        let (batch, result) = self
            .writer
            .run(move || {
                let result = batch.write(&file, sync);
                (batch, result)
            })
            .await;
        self.waiting = batch;
        while let Some(parcel) = self.waiting.pop_written() {
            if !sync {
                self.flush.wrote(parcel.len() as u64);
            }
            context.settle(parcel);
        }
        match result {
            Ok(false) => {
                let path = self.path.display();
                context.notice(|| format!("{path} was removed; opening it again"));
                self.reopen = true;
                Ok(())
            }
            Ok(true) => {
                if context.failures() > 0 {
                    context.notice(|| format!("writing to {} again", self.path.display()));
                }
                context.succeeded();
                Ok(())
            }
            Err(error) => {
                let what = format!("cannot write to {}: {error}", self.path.display());
                self.failed(context, &what)
            }
        }
    }

    fn failed(&mut self, context: &mut OutputContext, what: &str) -> Result<(), Fault> {
        let wait = context.failed(what)?;
        self.retry_at = Some(Monotonic::now().after(wait));
        Ok(())
    }

    /// Gives back what the file does not have. Nothing is left after an orderly end.
    fn give_up(&mut self) {
        while let Some((mut parcel, whole)) = self.waiting.pop() {
            parcel.took(whole);
        }
    }

    // ---- opening ----

    async fn open(&self) -> io::Result<File> {
        let path = self.path.clone();
        let (mode, folder_mode) = (self.settings.mode, self.settings.folder_mode);
        self.writer
            .run(move || File::append(&path, mode, folder_mode))
            .await
    }

    /// Closes the file, flushed, and opens the path as it is now.
    async fn reopen(&mut self, context: &mut OutputContext) -> Result<(), Fault> {
        self.flush_all(context).await;
        self.file = None;
        self.waiting.begin_at_record();
        match self.open().await {
            Ok(file) => {
                self.file = Some(Arc::new(file));
                self.reopen = false;
                Ok(())
            }
            Err(error) => self.failed(context, &cannot_open(&self.path, &error)),
        }
    }

    // ---- flushing ----

    fn begin_flush(&mut self) {
        let due = self
            .flush
            .due()
            .is_some_and(|due| due.remaining().is_zero());
        if due && self.flushing.is_none() {
            self.flushing = self.flush();
        }
    }

    /// A flush of what was written until now.
    fn flush(&mut self) -> Option<LocalFuture<'static, io::Result<()>>> {
        let file = self.file.clone()?;
        let flusher = Rc::clone(&self.flusher);
        self.flush.begin(Monotonic::now());
        Some(Box::pin(
            async move { flusher.run(move || file.sync()).await },
        ))
    }

    /// Waits until all that was written is on the disk.
    async fn flush_all(&mut self, context: &OutputContext) {
        if let Some(flush) = self.flushing.take() {
            let result = flush.await;
            self.flushed(context, result);
        }
        if self.flush.unflushed() > 0
            && let Some(flush) = self.flush()
        {
            let result = flush.await;
            self.flushed(context, result);
        }
    }

    fn flushed(&self, context: &OutputContext, result: io::Result<()>) {
        let path = self.path.display();
        if let Err(error) = result {
            context.notice(|| {
                format!("cannot flush {path}: {error}; messages written since the last flush may not be on the disk")
            });
        }
    }
}

/// Whether the host may do better in a while: no descriptors or memory left, a disk that is full or fails.
fn passes(error: &io::Error) -> bool {
    let kinds = [
        ErrorKind::StorageFull,
        ErrorKind::QuotaExceeded,
        ErrorKind::OutOfMemory,
        ErrorKind::Interrupted,
        ErrorKind::StaleNetworkFileHandle,
        ErrorKind::TimedOut,
    ];
    descriptors::advice(error).is_some() || kinds.contains(&error.kind())
}

fn cannot_open(path: &Path, error: &io::Error) -> String {
    if let Some(advice) = descriptors::advice(error) {
        return format!("cannot open {}: {error} ({advice})", path.display());
    }
    let advice = match error.kind() {
        ErrorKind::PermissionDenied => " (the daemon's user may not write there)",
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            " (a part of the path is a file, not a folder)"
        }
        ErrorKind::IsADirectory => " (`path` must name a file, not a folder)",
        _ => "",
    };
    format!("cannot open {}: {error}{advice}", path.display())
}
