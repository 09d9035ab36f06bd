//! LogstreamerInput: follows groups of log files through every kind of rotation, each group as one stream.
//!
//! Owns:    the list of the folder, and the pace at which it is renewed and journals are written.
//! Runs on: one shard; each stream on the shard with the fewest.            Plane: data.
//! Bounds:  `order`: streams and files; `folder`: what is looked through.
//! Never:   passes over a byte that it was to read, or journals one that is not acknowledged.
//!
//! `order` sorts names into streams, `folder` finds them, `registry` hands them out. On its shard `stream` reads: `content` (and `gunzip`) is one
//! file, `reader` gives it to the engine, `rotation` decides at its end, `checkpoints` and `journal` keep how far it is acknowledged, and `position`
//! finds that again.

mod checkpoints;
mod content;
mod folder;
mod gunzip;
mod journal;
mod options;
mod order;
mod position;
mod reader;
mod registry;
mod rotation;
mod said;
mod stream;
mod survey;

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use engine::io::clock::{self, Monotonic};
use engine::plugin::{Fault, Input, InputFactory, LocalFuture, Placement, PluginSpec, Survey};
use engine::shard::intake::InputContext;
use engine::words::counted;

use self::folder::{Search, scan};
pub use self::options::Options;
use self::registry::{Registry, Settings};

/// Between two rounds of writing journals.
const JOURNAL_INTERVAL: Duration = Duration::from_secs(1);

/// Between two lists that streams have asked for.
const LIST_PAUSE: Duration = Duration::from_millis(100);

/// Problems of one list that are told.
const PROBLEMS_TOLD: usize = 20;

/// Mode of the journals' folder.
const FOLDER_MODE: u32 = 0o750;

/// The table's line.
pub const SPEC: PluginSpec = PluginSpec::input::<Options>(
    "LogstreamerInput",
    "Follows rotating, grouped log files with saved positions",
)
.notes(&[
    "How to describe files and their order, with examples, and what happens at rotations: `docs/logstreamer.md`. `hekad logstreamer --config PATH` shows \
     what a configuration would read.",
    "Two inputs with one `journal_directory` must not have streams of the same name: where the configuration says both names, it is refused; where they depend on files, the second stream is not read, and the log says so.",
    "Where the splitter does not have `use_message_bytes`, messages get the Type `logfile` and the stream's name as Logger.",
    "A position is journalled when everything before it has been delivered or durably queued, at most once a second and at the end. After a crash at most \
     what was read since then comes again; nothing is passed over.",
    "Files that begin with gzip's magic are uncompressed, whatever they are called. Positions count uncompressed bytes.",
    "`initial_tail` concerns streams that are there when the daemon starts and have no journal; one that appears later is read from its beginning.",
    "`rescan_interval = \"0s\"` lists the folder once, and again only when a file is gone from its place.",
]);

struct Factory(Arc<Registry>);

impl InputFactory for Factory {
    fn placement(&self) -> Placement {
        Placement::OneShard
    }

    fn make(&self) -> Box<dyn Input> {
        Box::new(Logstreamer(Arc::clone(&self.0)))
    }

    fn serve_stream(&self, number: u64, context: InputContext) -> LocalFuture<'static, ()> {
        Box::pin(stream::serve(Arc::clone(&self.0), number, context))
    }

    fn writes(&self) -> Vec<PathBuf> {
        let settings = &self.0.settings;
        let only = settings.sorting.only_stream();
        only.map(|stream| settings.journal(&stream))
            .into_iter()
            .collect()
    }

    fn survey(&self) -> Option<Survey> {
        Some(survey::survey(&self.0.settings))
    }
}

struct Logstreamer(Arc<Registry>);

impl Input for Logstreamer {
    fn open(&mut self, context: &InputContext) -> Result<(), Fault> {
        let settings = &self.0.settings;
        if self.0.has_been_open() {
            // By now the shard has other work, which a file system that hangs must not hold up; lists and journals tell what is wrong.
            self.0.start_threads(context.name())?;
            return Ok(());
        }
        let root = std::fs::canonicalize(&settings.folder).map_err(|error| {
            let folder = settings.folder.display();
            Fault::new(format!(
                "`log_directory` {folder}: {error}; it must be there when the daemon starts"
            ))
        })?;
        let prepared = prepare(&settings.journals, context.name());
        let journals = prepared.and_then(|()| std::fs::canonicalize(&settings.journals));
        let journals = journals.map_err(|error| {
            let folder = settings.journals.display();
            Fault::new(format!(
                "`journal_directory` {folder}: {error}; the daemon must be able to write there"
            ))
        })?;
        self.0.start_threads(context.name())?;
        self.0.found(root, journals);
        Ok(())
    }

    fn run<'a>(&'a mut self, context: &'a InputContext) -> LocalFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let (registry, task) = (Arc::clone(&self.0), context.clone());
            context.spawn(async move { write_journals(&registry, &task).await });
            while !context.stopping() {
                let begun = Monotonic::now();
                list(&self.0, context).await;
                if !wait(&self.0, context, begun).await {
                    break;
                }
            }
            Ok(())
        })
    }
}

/// Makes the journals' folder, and finds out whether it can be written to by an input of this name.
fn prepare(folder: &Path, name: &str) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(folder)?;
    // No journal's name begins with a dot; other inputs may keep theirs in the same folder.
    let (name, process) = (journal::file_name(name), std::process::id());
    let attempt = folder.join(format!(".{name}.{process}"));
    engine::io::replace(&attempt, b"", 0o600)?;
    std::fs::remove_file(attempt)
}

/// What is to be listed now.
fn search(settings: &Settings, root: &Path) -> Search {
    Search {
        root: root.to_owned(),
        sorting: Arc::clone(&settings.sorting),
        oldest: settings.oldest.map(|oldest| {
            let oldest = i64::try_from(oldest.as_nanos()).unwrap_or(i64::MAX);
            clock::wall().saturating_sub(oldest)
        }),
    }
}

/// Lists the folder, and has new streams read.
async fn list(registry: &Arc<Registry>, context: &InputContext) {
    let number = registry.begin_list();
    let search = search(&registry.settings, registry.root());
    let threads = registry.threads();
    let found = match threads.listing.run(move || scan(&search)).await {
        Ok(found) => found,
        Err(error) => {
            context.notice(|| said::cannot_list(registry.root(), &error));
            return;
        }
    };
    let (files, old, streams) = (found.files, found.old, found.arranged.streams.len());
    let published = registry.publish(found, number);
    if number == 1 {
        context.notice(|| {
            let folder = registry.root().display();
            let (streams, files) = (counted(streams, "stream"), counted(files, "file"));
            let left_out = match old {
                0 => String::new(),
                _ => format!(", {old} of them left out: not written to within `oldest_duration`"),
            };
            format!("{folder}: {streams} in {files}{left_out}")
        });
    }
    let told = published.problems.iter().take(PROBLEMS_TOLD);
    for problem in told {
        context.notice(|| problem.clone());
    }
    if published.problems.len() > PROBLEMS_TOLD {
        let more = published.problems.len() - PROBLEMS_TOLD;
        context.notice(|| {
            format!(
                "{} with files; `hekad logstreamer` shows all",
                counted(more, "further problem")
            )
        });
    }
    if context.stopping() {
        return;
    }
    for number in published.new {
        context.place_stream(number);
    }
}

/// Waits until the folder is to be listed again; `false` if the input is to stop.
async fn wait(registry: &Registry, context: &InputContext, begun: Monotonic) -> bool {
    let mut due = registry
        .settings
        .rescan
        .map(|interval| Box::pin(engine::io::sleep(begun.after(interval).remaining())));
    let mut wish = pin!(registry.wishes.recv_async());
    let waited = context.until_stop(|cx| {
        if let Some(due) = &mut due
            && due.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(());
        }
        wish.as_mut().poll(cx).map(drop)
    });
    if waited.await.is_none() {
        return false;
    }
    let mut pause = pin!(engine::io::sleep(begun.after(LIST_PAUSE).remaining()));
    context
        .until_stop(|cx| pause.as_mut().poll(cx))
        .await
        .is_some()
}

/// Writes journals, until the input stops; streams that end write their own. The first is written at once: a daemon that crashes again and
/// again must not read the same lines each time.
async fn write_journals(registry: &Arc<Registry>, context: &InputContext) {
    loop {
        let mut kept = pin!(registry.kept.recv_async());
        let kept = context.until_stop(|cx| kept.as_mut().poll(cx).map(drop));
        if kept.await.is_none() {
            return;
        }
        if let Some(failure) = registry.write_journals().await {
            context.notice(|| said::journal_failed(&failure));
        }
        let mut pause = pin!(engine::io::sleep(JOURNAL_INTERVAL));
        let paused = context.until_stop(|cx| pause.as_mut().poll(cx)).await;
        if paused.is_none() {
            return;
        }
    }
}
