//! One stream at work: read what is there, wait for more, go from file to file, have positions journalled.
//!
//! Owns:    the stream's intake, its open file, what it has told the operator.
//! Runs on: one shard, for as long as the stream is read; files are opened and searched on the input's file thread.            Plane: data.
//! Bounds:  one open file; a look at its end each `check_data_interval`.
//! Never:   lets a position be journalled before what was read before it is acknowledged, or goes on behind a file that cannot be read.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use engine::io::clock::{self, Monotonic};
use engine::io::{self as seam, FileKind, FileState, Identity};
use engine::shard::headers::{StreamHeaders, StreamOptions};
use engine::shard::intake::{Fill, InputContext, Intake};

use super::checkpoints::Checkpoints;
use super::content::{Content, Patience, plain_before};
use super::journal::{Journal, Kept};
use super::order::LogFile;
use super::position::{Mark, Refused, Start, Wanted, begin, find, fingerprint};
use super::reader::{Halt, Reader, Seen};
use super::registry::{Listed, Reading, Registry, Slot};
use super::rotation::{Rotation, Sight, Step};
use super::said;

/// Type of the messages, as Heka's.
const MESSAGE_TYPE: &str = "logfile";

/// Least time between two positions of a stream that is read without a pause.
const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(100);

/// A file that was not written to for this long is not waited for if there is a newer one.
const AGED: Duration = Duration::from_secs(10);

/// The same of a compressed file whose end is not there: somebody may be compressing it.
const AGED_CUT: Duration = Duration::from_secs(60);

/// Reads a stream until it is over or the input stops.
pub(super) async fn serve(registry: Arc<Registry>, number: u64, context: InputContext) {
    let Some((slot, reading)) = registry.take(number) else {
        return;
    };
    let hostname = &registry.settings.hostname;
    let options = StreamOptions {
        headers: StreamHeaders {
            message_type: Some(MESSAGE_TYPE.into()),
            logger: Some((&*slot.name).into()),
            ..StreamHeaders::with_hostname(hostname)
        },
        ..StreamOptions::default()
    };
    let Some(intake) = context.open_stream_with(options) else {
        context.notice(|| said::too_many(&slot.name));
        return;
    };
    let mut waiting = Waiting {
        registry,
        slot,
        context,
        intake,
        checkpoints: Checkpoints::default(),
        refused: None,
    };
    match waiting.begin().await {
        Some((start, listed)) => {
            let mut stream = Stream::new(waiting, start, &listed);
            let read = stream.read_all().await;
            if let Err(error) = read {
                stream.failed(&error);
            }
            // The last position: what is unfinished stays in the file.
            stream.checkpoint().await;
            stream.base.leave(reading);
        }
        None => waiting.leave(reading),
    }
}

/// What a stream has before and beside its file.
struct Waiting {
    registry: Arc<Registry>,
    slot: Arc<Slot>,
    context: InputContext,
    intake: Intake,
    checkpoints: Checkpoints,
    /// What was said last of files that cannot be read.
    refused: Option<String>,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waited {
    Enough,
    Stop,
}

impl Waiting {
    /// The files that are of interest: old ones only if one of them is being read.
    fn listed(&self, current: Option<&FileState>) -> Listed {
        let mut listed = self.slot.listed();
        let wanted = |file: &LogFile| {
            !file.old || current.is_some_and(|current| current.identity == file.state.identity)
        };
        if !listed.files.iter().all(wanted) {
            listed.files = listed
                .files
                .iter()
                .filter(|file| wanted(file))
                .cloned()
                .collect();
        }
        listed
    }

    /// Opens the stream's first file; `None` if the input is to stop.
    async fn begin(&mut self) -> Option<(Start, Listed)> {
        let mut tried = None;
        loop {
            let listed = self.listed(None);
            if !listed.files.is_empty() && tried != Some(listed.list) {
                tried = Some(listed.list);
                if let Some(start) = self.try_begin(&listed).await {
                    return Some((start, listed));
                }
            }
            if self.wait().await == Waited::Stop {
                return None;
            }
        }
    }

    async fn try_begin(&mut self, listed: &Listed) -> Option<Start> {
        let journal = self.registry.settings.journal(&self.slot.name);
        let tail = self.registry.settings.tail && self.slot.first;
        let files = Arc::clone(&listed.files);
        let threads = self.registry.threads();
        let begun = threads.files.run(move || {
            let kept = Journal::read(&journal).map_err(|error| Refused {
                path: journal.display().to_string(),
                error,
            })?;
            let position = match &kept {
                Kept::Position(position) => Some(position),
                Kept::Nothing | Kept::Damaged(_) => None,
            };
            // Somebody had a journal: nothing may be passed over.
            let tail = tail && kept == Kept::Nothing;
            let start = begin(&files, position, tail)?;
            Ok::<_, Refused>((start, kept))
        });
        match begun.await {
            Ok((start, kept)) => {
                let name = &self.slot.name;
                let journal = self.registry.settings.journal(name);
                if let Some(text) = said::start(name, &journal, &kept, &start, &listed.files) {
                    self.context.notice(|| text);
                }
                self.refused = None;
                Some(start)
            }
            Err(refused) => {
                self.refused(&refused);
                None
            }
        }
    }

    /// Tells of a file that cannot be read, once.
    fn refused(&mut self, refused: &Refused) {
        if is_passing(&refused.error) {
            self.registry.ask_for_list();
            return;
        }
        let text = said::refused(&self.slot.name, refused);
        if self.refused.as_ref() != Some(&text) {
            self.context.notice(|| text.clone());
            self.context.count(|counters| counters.stream_errors += 1);
            self.refused = Some(text);
        }
    }

    /// Waits for one `check_data_interval`; positions that are acknowledged meanwhile go to be journalled.
    async fn wait(&mut self) -> Waited {
        let mut timer = pin!(seam::sleep(self.registry.settings.check));
        loop {
            let intake = &self.intake;
            let next = self.checkpoints.next().filter(|_| !intake.is_settled());
            let woken = poll_fn(|cx| {
                if intake.poll_stop(cx).is_ready() {
                    return Poll::Ready(Some(Waited::Stop));
                }
                if let Some(next) = next
                    && intake.poll_acknowledged(next - 1, cx).is_ready()
                {
                    return Poll::Ready(None);
                }
                timer.as_mut().poll(cx).map(|()| Some(Waited::Enough))
            });
            let woken = woken.await;
            self.keep();
            if let Some(waited) = woken {
                return waited;
            }
        }
    }

    /// Has the last position that is acknowledged journalled.
    fn keep(&mut self) {
        let acknowledged = self.intake.acknowledged();
        if let Some(position) = self.checkpoints.acknowledge(acknowledged) {
            self.registry.keep(&self.slot.name, position);
        }
    }

    /// Ends the stream. What was read goes on to be acknowledged, and that to be journalled.
    fn leave(self, reading: Reading) {
        let Waiting {
            registry,
            slot,
            context,
            intake,
            mut checkpoints,
            ..
        } = self;
        let progress = intake.leave();
        let task = context.clone();
        context.spawn(async move {
            loop {
                let settled = progress.is_settled();
                if let Some(position) = checkpoints.acknowledge(progress.acknowledged()) {
                    registry.keep(&slot.name, position);
                }
                if settled || task.stopping() {
                    for failure in registry.write_journals().await {
                        task.notice(|| said::journal_failed(&failure));
                    }
                }
                if settled {
                    break;
                }
                let next = checkpoints.next().unwrap_or(u64::MAX);
                poll_fn(|cx| progress.poll_acknowledged(next - 1, cx)).await;
            }
            drop(progress);
            drop(reading);
        });
    }
}

/// Whether an error says that a file was moved just now.
fn is_passing(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound
}

/// What an attempt to read came to.
enum Event {
    Received,
    Halted(Halt),
    Stop,
}

/// A stream with its file.
struct Stream {
    base: Waiting,
    reader: Reader,
    /// The file's path, as far as is known.
    path: String,
    rotation: Rotation,
    checkpoint_at: Monotonic,
    /// Something was said of the file's end.
    told: bool,
    /// Something was read since the end was last reached.
    progressed: bool,
}

impl Stream {
    fn new(mut base: Waiting, start: Start, listed: &Listed) -> Stream {
        let path = listed.files[start.index].path.clone();
        let identity = start.content.opened().identity;
        let seek = start.content.seek();
        base.checkpoints.begin_file(0, seek);
        let files = base.registry.threads();
        let seen = Seen::new(seek, start.before);
        let stream = Stream {
            rotation: Rotation::new(&listed.files, start.index, identity),
            reader: Reader::new(start.content, seen, Arc::clone(&files.files)),
            base,
            path,
            checkpoint_at: Monotonic::now(),
            told: false,
            progressed: true,
        };
        if seek > 0 {
            // One that starts at the end of its files must not start at another end after a crash.
            let position = stream.position(seek, &stream.reader.seen().before);
            stream.base.registry.keep(&stream.base.slot.name, position);
        }
        stream
    }

    fn position(&self, seek: u64, before: &[u8]) -> Journal {
        let identity = self.reader.content().opened().identity;
        Journal {
            seek,
            file_name: self.path.clone(),
            last_hash: fingerprint(before),
            device: Some(identity.device),
            inode: Some(identity.inode),
        }
    }

    /// Reads until the stream is over, or the input is to stop.
    async fn read_all(&mut self) -> io::Result<()> {
        loop {
            let goes_on = match self.fill().await? {
                Event::Received => {
                    self.received().await;
                    true
                }
                Event::Stop => false,
                Event::Halted(Halt::End) => {
                    self.note_end().await?;
                    self.wait_for_more().await?
                }
                Event::Halted(Halt::Pause) if self.is_replaced().await? => {
                    self.wait_for_more().await?
                }
                Event::Halted(Halt::Pause) => {
                    self.reader.trust();
                    true
                }
            };
            if !goes_on {
                return Ok(());
            }
        }
    }

    async fn fill(&mut self) -> io::Result<Event> {
        let (intake, reader) = (&mut self.base.intake, &mut self.reader);
        poll_fn(|cx| {
            if intake.poll_stop(cx).is_ready() {
                return Poll::Ready(Ok(Event::Stop));
            }
            match intake.poll_fill(cx, reader) {
                Poll::Ready(Ok(Fill::Received(_))) => Poll::Ready(Ok(Event::Received)),
                Poll::Ready(Ok(Fill::End | Fill::Stopped)) => Poll::Ready(Ok(Event::Stop)),
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Pending => match reader.take_halt() {
                    Some(halt) => Poll::Ready(Ok(Event::Halted(halt))),
                    None => Poll::Pending,
                },
            }
        })
        .await
    }

    async fn received(&mut self) {
        let base = &self.base;
        let seek = base.checkpoints.seek(base.intake.taken());
        self.reader.forget_before(seek);
        self.rotation.grew();
        self.progressed = true;
        if self.checkpoint_at.remaining().is_zero() {
            self.checkpoint().await;
        }
        seam::yield_if_needed().await;
    }

    /// Notes the position behind the last whole record.
    async fn checkpoint(&mut self) {
        self.checkpoint_at = Monotonic::now().after(CHECKPOINT_INTERVAL);
        let taken = self.base.intake.taken();
        if let Some(seek) = self.base.checkpoints.new_seek(taken)
            && self.is_sure().await
            && let Ok(Some(before)) = self.before(seek).await
        {
            let position = self.position(seek, &before);
            self.base.checkpoints.add(taken, position);
            self.reader.note(Seen::new(seek, before));
        }
        self.base.keep();
    }

    /// Whether the file certainly has what was read of it, so that a position in it means what it should.
    async fn is_sure(&self) -> bool {
        !self.reader.is_doubtful() || self.is_replaced().await.is_ok_and(|replaced| !replaced)
    }

    /// The bytes before a position, wherever they are.
    async fn before(&self, seek: u64) -> io::Result<Option<Vec<u8>>> {
        let content = self.reader.content();
        match content.before_now(seek) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let file = Arc::clone(content.file());
                let threads = self.base.registry.threads();
                let before = threads
                    .files
                    .run(move || plain_before(&file, seek, Patience::Wait));
                before.await
            }
            result => result,
        }
    }

    // ---- the end of a file ----

    /// Notes what the end looks like.
    async fn note_end(&mut self) -> io::Result<()> {
        self.tell_damage();
        self.checkpoint().await;
        let state = self.reader.content().file().state()?;
        let seek = self.reader.content().seek();
        let before = self.before(seek).await?.unwrap_or_default();
        self.reader.note(Seen {
            seek,
            before,
            file: Some((state.size, state.modified)),
        });
        Ok(())
    }

    /// Waits for something to read. Answers whether there is; if not, the stream is over, or the input is to stop.
    async fn wait_for_more(&mut self) -> io::Result<bool> {
        let since = Monotonic::now();
        // A file that seems to have more and gives nothing must not keep the shard busy.
        if !std::mem::take(&mut self.progressed) && self.base.wait().await == Waited::Stop {
            return Ok(false);
        }
        loop {
            match self.look(since).await? {
                Look::Read => return Ok(true),
                Look::Over => {
                    self.finish_file().await;
                    return Ok(false);
                }
                Look::Wait => {}
            }
            if self.base.wait().await == Waited::Stop {
                return Ok(false);
            }
        }
    }

    /// Whether the file has other content where it was read.
    async fn is_replaced(&self) -> io::Result<bool> {
        let (content, seen) = (self.reader.content(), self.reader.seen());
        let state = content.file().state()?;
        if !content.may_differ(&state, seen) {
            return Ok(state.size < content.raw_at());
        }
        Ok(self.before(seen.seek).await?.as_ref() != Some(&seen.before))
    }

    fn tell_damage(&mut self) {
        let content = self.reader.content();
        if let Some(damage) = content.damage()
            && !self.told
        {
            let text = said::damaged(&self.base.slot.name, &self.path, content.seek(), damage);
            self.base.context.notice(|| text);
            self.base
                .context
                .count(|counters| counters.stream_errors += 1);
            self.told = true;
        }
    }

    /// Looks whether there is something to read by now, and makes it so where that takes another file.
    async fn look(&mut self, since: Monotonic) -> io::Result<Look> {
        let replaced = self.is_replaced().await?;
        let state = self.reader.content().file().state()?;
        if !replaced && self.reader.content().has_more(state.size) {
            return Ok(Look::Read);
        }
        let listed = self.base.listed(Some(&state));
        if let Some(index) = self.rotation.index(&listed.files) {
            self.path.clone_from(&listed.files[index].path);
        }
        let patience = if self.reader.content().is_cut() {
            AGED_CUT
        } else {
            AGED
        };
        let age = clock::wall().saturating_sub(state.modified);
        let sight = Sight {
            files: &listed.files,
            list: listed.list,
            begun: self.base.registry.begun(),
            next: self.next_with_content(&listed.files),
            at_path: self.at_path(),
            replaced,
            seek: self.reader.content().seek(),
            aged: age >= patience.as_nanos() as i64 || since.elapsed() >= patience,
            cut: self.reader.content().is_cut(),
        };
        let step = self.rotation.at_end(&sight);
        self.take(step, &sight).await
    }

    /// What stands at the file's path. Tells of a folder there.
    fn at_path(&mut self) -> Option<Identity> {
        let state = FileState::at(Path::new(&self.path)).ok()?;
        if state.kind == FileKind::Folder && !self.told {
            self.told = true;
            let text = said::folder(&self.base.slot.name, &self.path);
            self.base.context.notice(|| text);
        }
        Some(state.identity)
    }

    /// The first file behind the current one that has content, now if not when it was listed.
    fn next_with_content(&self, files: &[LogFile]) -> Option<usize> {
        let current = self.rotation.index(files)?;
        let has_content = |&index: &usize| {
            let file = &files[index];
            file.state.size > 0
                || FileState::at(Path::new(&file.path))
                    .is_ok_and(|state| state.identity == file.state.identity && state.size > 0)
        };
        (current + 1..files.len()).find(has_content)
    }

    async fn take(&mut self, step: Step, sight: &Sight<'_>) -> io::Result<Look> {
        match step {
            Step::Wait => Ok(Look::Wait),
            Step::List => {
                self.base.registry.ask_for_list();
                Ok(Look::Wait)
            }
            Step::Over => Ok(Look::Over),
            Step::Next(index) => self.next(sight.files, index).await,
            Step::Again => match self.rotation.index(sight.files) {
                Some(index) => self.next(sight.files, index).await,
                None => Ok(Look::Wait),
            },
            Step::Search => {
                let candidates = self.rotation.candidates(sight);
                if !candidates.is_empty() {
                    let found = self.search(sight.files, candidates).await;
                    match found {
                        Ok(Some((index, content))) => {
                            let seen = self.reader.seen();
                            let seen = Seen::new(seen.seek, seen.before.clone());
                            self.moved(sight.files, index, content, seen);
                            return Ok(Look::Read);
                        }
                        Ok(None) => {}
                        Err(refused) => {
                            self.base.refused(&refused);
                            return Ok(Look::Wait);
                        }
                    }
                }
                let step = self.rotation.not_found(sight);
                Box::pin(self.take(step, sight)).await
            }
        }
    }

    /// Looks for what was read last, and then for the position.
    async fn search(
        &self,
        files: &[LogFile],
        candidates: Vec<usize>,
    ) -> Result<Option<(usize, Content)>, Refused> {
        let seen = self.reader.seen();
        let wanted = Wanted {
            seek: seen.seek,
            mark: Mark::Bytes(seen.before.clone()),
        };
        let (files, seek) = (files.to_vec(), self.reader.content().seek());
        let threads = self.base.registry.threads();
        let found = threads.files.run(move || {
            let found = find(&files, candidates, &wanted)?;
            let there = found.and_then(|(index, mut content)| {
                let there = content.skip_to(seek).is_ok_and(|there| there);
                there.then_some((index, content))
            });
            Ok(there)
        });
        found.await
    }

    /// Goes on with a file from its beginning, if it still is the one that was listed.
    async fn next(&mut self, files: &[LogFile], index: usize) -> io::Result<Look> {
        let path = files[index].path.clone();
        let threads = self.base.registry.threads();
        let opened = threads.files.run({
            let path = path.clone();
            move || Content::open(Path::new(&path))
        });
        let content = match opened.await {
            Ok(content) => content,
            Err(error) => {
                self.base.refused(&Refused { path, error });
                return Ok(Look::Wait);
            }
        };
        if content.opened().identity != files[index].state.identity {
            self.base.registry.ask_for_list();
            return Ok(Look::Wait);
        }
        if self.reader.content().is_cut() {
            let text = said::cut(&self.base.slot.name, &self.path);
            self.base.context.notice(|| text);
        }
        if !self.finish_file().await {
            return Ok(Look::Wait);
        }
        // The end of the file that is left: from there the next run would go on to the next one.
        self.checkpoint().await;
        self.base
            .checkpoints
            .begin_file(self.base.intake.taken(), 0);
        self.moved(files, index, content, Seen::new(0, Vec::new()));
        Ok(Look::Read)
    }

    /// Deals with an unfinished record at the end of a file that is left. Answers `false` if the input is to stop instead.
    async fn finish_file(&mut self) -> bool {
        let context = &self.base.context;
        let mut finish = pin!(self.base.intake.finish());
        poll_fn(|cx| match finish.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(true),
            // The order wakes every stream.
            Poll::Pending if context.stopping() => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Goes on with another file's content.
    fn moved(&mut self, files: &[LogFile], index: usize, content: Content, seen: Seen) {
        self.path.clone_from(&files[index].path);
        self.rotation.moved(files, index, content.opened().identity);
        let threads = self.base.registry.threads();
        self.reader = Reader::new(content, seen, Arc::clone(&threads.files));
        self.base.refused = None;
        self.told = false;
        self.progressed = true;
    }

    /// Tells that the stream cannot be read; it is begun again when the folder is listed next.
    fn failed(&self, error: &io::Error) {
        let base = &self.base;
        base.context.count(|counters| counters.stream_errors += 1);
        let text = said::failed(
            &base.slot.name,
            &self.path,
            self.reader.content().seek(),
            error,
        );
        base.context.notice(|| text);
    }
}

/// What a look at the end found.
enum Look {
    /// There is something to read.
    Read,
    Wait,
    Over,
}
