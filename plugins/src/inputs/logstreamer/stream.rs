//! One stream at work: read what is there, wait for more, go from file to file, have positions journalled.
//!
//! Owns:    the stream's intake, its open file, what it has told the operator.
//! Runs on: one shard, for as long as the stream is read; files are opened, looked at and searched on the input's file thread.            Plane: data.
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
use super::content::{Content, Patience};
use super::journal::{Journal, Kept};
use super::order::LogFile;
use super::position::{Refused, Start, begin, find, fingerprint, first_with_content, open_listed};
use super::reader::{Halt, Reader};
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
    let Some((slot, mut reading)) = registry.take(number) else {
        return;
    };
    let journal = registry.settings.journal(&slot.name);
    match context.claim(&registry.journal_place(&slot.name)) {
        Ok(claim) => reading.claim = Some(claim),
        Err(other) => {
            context.count(|counters| counters.stream_errors += 1);
            context.notice(|| said::shared(&slot.name, &other, &journal));
            return;
        }
    }
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
        told: None,
        ready: None,
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
    /// What was told last.
    told: Option<String>,
    /// The files that were of interest last, while this one was read.
    ready: Option<(Option<Identity>, Listed)>,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waited {
    Enough,
    Stop,
}

impl Waiting {
    /// The files that are of interest: old ones only if one of them is being read.
    fn listed(&mut self, current: Option<Identity>) -> Listed {
        let listed = self.slot.listed();
        if let Some((of, ready)) = &self.ready
            && (*of, ready.list) == (current, listed.list)
        {
            return ready.clone();
        }
        let wanted = |file: &LogFile| !file.old || current == Some(file.state.identity);
        let ready = if listed.files.iter().all(wanted) {
            listed
        } else {
            let files = listed.files.iter().filter(|file| wanted(file));
            Listed {
                files: files.cloned().collect(),
                list: listed.list,
            }
        };
        self.ready = Some((current, ready.clone()));
        ready
    }

    /// Opens the stream's first file; `None` if the input is to stop.
    async fn begin(&mut self) -> Option<(Start, Listed)> {
        // A list in which nothing was to be read.
        let mut vain = None;
        // A beginning that a newer list has to confirm, and the last list that had been begun then.
        let mut doubtful: Option<(Start, u64)> = None;
        loop {
            let listed = self.listed(None);
            let first = self.first_with_content(&listed.files, 0).await?;
            doubtful = match doubtful {
                Some((mut start, begun)) if listed.list > begun => {
                    let identity = start.content.opened().identity;
                    let confirmed =
                        first.filter(|&first| listed.files[first].state.identity == identity);
                    if let Some(index) = confirmed {
                        start.index = index;
                        return Some((start, listed));
                    }
                    None
                }
                doubtful => doubtful,
            };
            // The end of an empty file is a start as well.
            let ready = first.is_some() || self.begins_at_the_end();
            if doubtful.is_none() && ready && vain != Some(listed.list) {
                vain = Some(listed.list);
                if let Some(start) = self.try_begin(&listed).await {
                    if !is_in_doubt(&start, &listed) {
                        return Some((start, listed));
                    }
                    doubtful = Some((start, self.registry.begun()));
                }
            }
            if doubtful.is_some() {
                self.registry.ask_for_list();
            }
            if self.wait().await == Waited::Stop {
                return None;
            }
        }
    }

    /// As `position::first_with_content`; `None` if the input is to stop. Most often the list has the answer.
    async fn first_with_content(
        &self,
        files: &Arc<[LogFile]>,
        from: usize,
    ) -> Option<Option<usize>> {
        match files.get(from) {
            None => return Some(None),
            Some(file) if file.state.size > 0 => return Some(Some(from)),
            Some(_) => {}
        }
        let (files, threads) = (Arc::clone(files), self.registry.threads());
        let looked = threads.files.run(move || first_with_content(&files, from));
        self.unless_stopped(looked).await
    }

    fn begins_at_the_end(&self) -> bool {
        self.registry.settings.tail && self.slot.first
    }

    async fn try_begin(&mut self, listed: &Listed) -> Option<Start> {
        let journal = self.registry.settings.journal(&self.slot.name);
        let tail = self.begins_at_the_end();
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
        match self.unless_stopped(begun).await? {
            Ok((start, kept)) => {
                let start = start?;
                let name = &self.slot.name;
                let journal = self.registry.settings.journal(name);
                if let Some(text) = said::start(name, &journal, &kept, &start, &listed.files) {
                    self.tell(text);
                }
                Some(start)
            }
            Err(refused) => {
                self.refused(&refused);
                None
            }
        }
    }

    /// Tells something, once until something else is told.
    fn tell(&mut self, text: String) {
        if self.told.as_ref() != Some(&text) {
            self.context.notice(|| text.clone());
            self.told = Some(text);
        }
    }

    /// Tells of a file that cannot be read, once.
    fn refused(&mut self, refused: &Refused) {
        if is_passing(&refused.error) {
            self.registry.ask_for_list();
            return;
        }
        let text = said::refused(&self.slot.name, refused);
        if self.told.as_ref() != Some(&text) {
            self.context.count(|counters| counters.stream_errors += 1);
        }
        self.tell(text);
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

    /// Waits for what a thread does; `None` if the input is to stop before that, which a file system that hangs does not keep it from.
    async fn unless_stopped<R>(&self, work: impl Future<Output = R>) -> Option<R> {
        let mut work = pin!(work);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending => self.intake.poll_stop(cx).map(|()| None),
        })
        .await
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
                if (settled || task.stopping())
                    && let Some(failure) = registry.write_journals().await
                {
                    task.notice(|| said::journal_failed(&failure));
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

/// Whether a file that was not listed yet may be older: the one that it starts with was written to since, and may have been copied and
/// truncated.
fn is_in_doubt(start: &Start, listed: &Listed) -> bool {
    start.reason.is_the_beginning() && was_changed(&start.content, &listed.files[start.index])
}

/// Whether a file was written to between its listing and its opening.
fn was_changed(content: &Content, file: &LogFile) -> bool {
    let now = content.opened();
    (now.size, now.modified) != (file.state.size, file.state.modified)
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

/// A file that a newer list has to confirm as the next one, and the last list that had been begun when it was opened.
struct Entering {
    content: Content,
    begun: u64,
}

/// A stream with its file.
struct Stream {
    base: Waiting,
    reader: Reader,
    /// The file's path, as far as is known.
    path: String,
    rotation: Rotation,
    checkpoint_at: Monotonic,
    /// The file was replaced.
    replaced: bool,
    /// Its size and time when its end was reached.
    noted: Option<(u64, i64)>,
    /// Something was read since the end was last reached.
    progressed: bool,
    entering: Option<Entering>,
}

impl Stream {
    fn new(mut base: Waiting, start: Start, listed: &Listed) -> Stream {
        let path = listed.files[start.index].path.clone();
        let identity = start.content.opened().identity;
        let seek = start.content.seek();
        base.checkpoints.begin_file(0, seek);
        let files = Arc::clone(&base.registry.threads().files);
        let stream = Stream {
            rotation: Rotation::new(&listed.files, start.index, identity),
            reader: Reader::new(start.content, files),
            base,
            path,
            checkpoint_at: Monotonic::now(),
            replaced: false,
            noted: None,
            progressed: true,
            entering: None,
        };
        if !start.reason.is_the_beginning() {
            // One that starts at the end of its files must not start at another end after a crash.
            let position = stream.position(seek, &start.before);
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
                Event::Halted(halt) => {
                    self.replaced = halt == Halt::Replaced;
                    self.checkpoint().await;
                    self.wait_for_more().await?
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
            && let Ok(Some(before)) = self.before(seek).await
        {
            let position = self.position(seek, &before);
            self.base.checkpoints.add(taken, position);
        }
        self.base.keep();
    }

    /// The bytes before a position, wherever they are; `None` if the file has been replaced.
    async fn before(&self, seek: u64) -> io::Result<Option<Vec<u8>>> {
        let content = self.reader.content();
        match content.before(seek, Patience::Now) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let place = content.place(seek);
                let threads = self.base.registry.threads();
                threads
                    .files
                    .run(move || place.before(Patience::Wait))
                    .await
            }
            result => result,
        }
    }

    // ---- the end of a file ----

    /// Waits for something to read. Answers whether there is; if not, the stream is over, or the input is to stop.
    async fn wait_for_more(&mut self) -> io::Result<bool> {
        self.tell_damage();
        let since = Monotonic::now();
        let Some(seen) = self.see().await else {
            return Ok(false);
        };
        let (state, _) = seen?;
        self.noted = Some((state.size, state.modified));
        // A file that seems to have more and gives nothing must not keep the shard busy.
        if !std::mem::take(&mut self.progressed) && self.base.wait().await == Waited::Stop {
            return Ok(false);
        }
        loop {
            let Some(seen) = self.see().await else {
                return Ok(false);
            };
            let (state, at_path) = seen?;
            match self.look(since, state, at_path).await? {
                Look::Read => return Ok(true),
                Look::Over => {
                    self.finish_file().await;
                    return Ok(false);
                }
                Look::Wait => {}
                Look::Stop => return Ok(false),
            }
            if self.base.wait().await == Waited::Stop {
                return Ok(false);
            }
        }
    }

    fn tell_damage(&mut self) {
        let content = self.reader.content();
        if let Some(damage) = content.damage() {
            let text = said::damaged(&self.base.slot.name, &self.path, content.seek(), damage);
            self.base.tell(text);
        }
    }

    /// Looks whether there is something to read by now, and makes it so where that takes another file.
    async fn look(
        &mut self,
        since: Monotonic,
        state: FileState,
        at_path: Option<FileState>,
    ) -> io::Result<Look> {
        if !self.replaced {
            // A read finds out what it is.
            let written = self.noted != Some((state.size, state.modified));
            if written || self.reader.content().differs(state.size) {
                self.noted = Some((state.size, state.modified));
                return Ok(Look::Read);
            }
        }
        let listed = self.base.listed(Some(state.identity));
        let index = self.rotation.index(&listed.files);
        if let Some(index) = index {
            self.path.clone_from(&listed.files[index].path);
        }
        let next = match index {
            Some(index) => self.base.first_with_content(&listed.files, index + 1).await,
            None => Some(None),
        };
        let Some(next) = next else {
            return Ok(Look::Stop);
        };
        let cut = self.reader.content().is_cut();
        let patience = if cut { AGED_CUT } else { AGED };
        let age = clock::wall().saturating_sub(state.modified);
        let sight = Sight {
            files: &listed.files,
            list: listed.list,
            begun: self.base.registry.begun(),
            next,
            at_path: at_path.map(|there| there.identity),
            replaced: self.replaced,
            seek: self.reader.content().seek(),
            aged: age >= patience.as_nanos() as i64 || since.elapsed() >= patience,
            cut,
        };
        let mut step = self.rotation.at_end(&sight);
        if step == Step::Search {
            match self.search(&sight).await {
                Ok(Some((index, content))) => {
                    self.moved(&listed.files, index, content);
                    return Ok(Look::Read);
                }
                Ok(None) => step = self.rotation.not_found(&sight),
                Err(refused) => {
                    self.base.refused(&refused);
                    step = Step::Wait;
                }
            }
        }
        Ok(self.take(step, &sight).await)
    }

    /// The file as it is now, and what stands at its path. `None` if the input is to stop, whether or not the file system answers.
    async fn see(&mut self) -> Option<Seen> {
        let file = Arc::clone(self.reader.content().file());
        let path = self.path.clone();
        let threads = self.base.registry.threads();
        let look = threads.files.run(move || {
            let state = file.state()?;
            Ok((state, FileState::at(Path::new(&path)).ok()))
        });
        let seen = self.base.unless_stopped(look).await;
        if let Some(Ok((_, Some(there)))) = &seen
            && there.kind == FileKind::Folder
        {
            let text = said::folder(&self.base.slot.name, &self.path);
            self.base.tell(text);
        }
        seen
    }

    async fn take(&mut self, step: Step, sight: &Sight<'_>) -> Look {
        let next = match step {
            Step::Next(index) => Some(index),
            Step::Again => self.rotation.index(sight.files),
            Step::Wait | Step::List | Step::Search | Step::Over => None,
        };
        match next {
            Some(index) => self.enter(sight, index).await,
            None => {
                self.entering = None;
                match step {
                    Step::Over => return Look::Over,
                    Step::List => self.base.registry.ask_for_list(),
                    _ => {}
                }
                Look::Wait
            }
        }
    }

    async fn search(&self, sight: &Sight<'_>) -> Result<Option<(usize, Content)>, Refused> {
        let candidates = self.rotation.candidates(sight);
        let Some(wanted) = self
            .reader
            .content()
            .wanted()
            .filter(|_| !candidates.is_empty())
        else {
            return Ok(None);
        };
        let files = sight.files.to_vec();
        let threads = self.base.registry.threads();
        let found = threads.files.run(move || find(&files, candidates, &wanted));
        self.base.unless_stopped(found).await.unwrap_or(Ok(None))
    }

    /// Goes on with a file from its beginning. If it was written to since it was listed, a newer list has to say that it still is the next
    /// one: it may have been copied and truncated, and then its copy is.
    async fn enter(&mut self, sight: &Sight<'_>, index: usize) -> Look {
        let file = &sight.files[index];
        let entering = self.entering.take();
        let same = |entering: &Entering| entering.content.opened().identity == file.state.identity;
        if let Some(entering) = entering.filter(same) {
            if sight.list > entering.begun {
                return self.go_on(sight.files, index, entering.content).await;
            }
            self.entering = Some(entering);
            self.base.registry.ask_for_list();
            return Look::Wait;
        }
        let threads = self.base.registry.threads();
        let listed = file.clone();
        let opened = threads.files.run(move || open_listed(&listed));
        let content = match self.base.unless_stopped(opened).await {
            None => return Look::Stop,
            Some(Ok(content)) => content,
            Some(Err(error)) => {
                self.base.refused(&Refused::new(file, error));
                return Look::Wait;
            }
        };
        if content.was_empty() {
            return Look::Wait;
        }
        if !was_changed(&content, file) {
            return self.go_on(sight.files, index, content).await;
        }
        let begun = self.base.registry.begun();
        self.entering = Some(Entering { content, begun });
        self.base.registry.ask_for_list();
        Look::Wait
    }

    /// Leaves the file for the next one.
    async fn go_on(&mut self, files: &[LogFile], index: usize, content: Content) -> Look {
        if self.reader.content().is_cut() {
            let text = said::cut(&self.base.slot.name, &self.path);
            self.base.tell(text);
        }
        if !self.finish_file().await {
            return Look::Wait;
        }
        // The end of the file that is left: from there the next run would go on to the next one.
        self.checkpoint().await;
        self.base
            .checkpoints
            .begin_file(self.base.intake.taken(), 0);
        self.moved(files, index, content);
        Look::Read
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
    fn moved(&mut self, files: &[LogFile], index: usize, content: Content) {
        self.path.clone_from(&files[index].path);
        self.rotation.moved(files, index, content.opened().identity);
        let threads = self.base.registry.threads();
        self.reader = Reader::new(content, Arc::clone(&threads.files));
        self.replaced = false;
        self.progressed = true;
        self.entering = None;
    }

    /// Tells that the stream cannot be read; it is begun again when the folder is listed next.
    fn failed(&self, error: &io::Error) {
        let base = &self.base;
        base.context.count(|counters| counters.stream_errors += 1);
        let seek = self.reader.content().seek();
        let text = said::failed(&base.slot.name, &self.path, seek, error);
        base.context.notice(|| text);
    }
}

/// A file, and what stands at its path.
type Seen = io::Result<(FileState, Option<FileState>)>;

/// What a look at the end found.
enum Look {
    /// There is something to read.
    Read,
    Wait,
    Over,
    /// The input is to stop.
    Stop,
}
