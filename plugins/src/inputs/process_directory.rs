//! ProcessDirectoryInput: runs the ProcessInputs that stand in files, as the files come, change and go.
//!
//! Owns:    what runs by file; a thread for what may wait for the disk.
//! Runs on: one shard, with all that it runs.            Plane: data; files are understood on the thread, by the control plane's rules.
//! Bounds:  `FILES_MAX` files; one input a file.
//! Never:   ends an input because its file has become unreadable or wrong: the last good version goes on.

mod child;
mod folder;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use engine::io::Worker;
use engine::plugin::options::InputOptions;
use engine::plugin::{
    Fault, Input, InputFactory, InputLoader, InputPlugin, LoadedInput, LocalFuture, Placement,
    PluginSpec, Section, Wanted,
};
use engine::shard::intake::InputContext;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::timer::Timer;
use child::{Child, News};
use folder::{Found, Scan};

/// Most files that are looked at.
const FILES_MAX: usize = 1024;

/// Type of what the files describe.
const TYPE: &str = "ProcessInput";

/// Options of `ProcessDirectoryInput`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Folder tree to scan; relative to `share_dir`
    pub process_dir: String,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            process_dir: "processes".to_owned(),
        }
    }
}

/// The table's line.
pub const SPEC: PluginSpec = PluginSpec::input::<Options>(
    "ProcessDirectoryInput",
    "Runs ProcessInputs found in interval-named folders",
)
.ticks()
.notes(&[
    "Each folder in `process_dir` is named by a number, the seconds between two runs (0: run once, and again when that has ended); each file in it \
     whose name ends in `.toml` has a section `[ProcessInput]` with the options of that input. A `ticker_interval` there has no effect. Its \
     splitter and decoder are sections of the daemon's own configuration. `%ENV[NAME]` is replaced as there.",
    "The tree is looked at when the daemon starts and then every `ticker_interval` seconds (0: only at the start). An input whose file was \
     changed is stopped and started anew, one whose file has gone is stopped. A file with mistakes is told in the log, with line and caret; if \
     an earlier version of it is running, that goes on.",
    "The path of the file is the input's name: its Logger, the beginning of `ProcessInputName`, and its name in the log. What it does counts \
     in the report of this input.",
    "An input here that fails is started again by its own `retries`. When these are used up the others go on, unless its file says \
     `can_exit = false`: then this input fails with it.",
]);

impl InputPlugin for Options {
    fn common() -> InputOptions {
        InputOptions {
            ticker_interval: 300,
            ..InputOptions::default()
        }
    }

    fn build(self, section: &mut Section<'_, InputOptions>) -> Option<Box<dyn InputFactory>> {
        if self.process_dir.is_empty() {
            section
                .problem(&["process_dir"], "`process_dir` is empty")
                .help("leave it out for `processes` in `share_dir`");
        }
        let interval = Duration::from_secs(section.common().ticker_interval.into());
        Some(Box::new(Factory {
            root: Path::new(&section.hekad().share_dir).join(&self.process_dir),
            interval: Some(interval).filter(|interval| !interval.is_zero()),
            loader: None,
        }))
    }
}

#[derive(Clone)]
struct Factory {
    root: PathBuf,
    /// Without one the tree is looked at once.
    interval: Option<Duration>,
    loader: Option<Arc<dyn InputLoader>>,
}

impl InputFactory for Factory {
    fn placement(&self) -> Placement {
        Placement::OneShard
    }

    fn make(&self) -> Box<dyn Input> {
        Box::new(Directory {
            settings: self.clone(),
            worker: None,
            children: BTreeMap::new(),
            refused: BTreeMap::new(),
            told: Vec::new(),
            news: Rc::default(),
        })
    }

    fn use_loader(&mut self, loader: &Arc<dyn InputLoader>) -> bool {
        self.loader = Some(Arc::clone(loader));
        true
    }
}

struct Directory {
    settings: Factory,
    worker: Option<Rc<Worker>>,
    /// What runs, or has ended and waits for a change, by file.
    children: BTreeMap<PathBuf, Child>,
    /// Files with mistakes, as they were when these were told.
    refused: BTreeMap<PathBuf, Found>,
    /// Complaints of the last look.
    told: Vec<String>,
    news: Rc<News>,
}

impl Input for Directory {
    fn open(&mut self, context: &InputContext) -> Result<(), Fault> {
        self.worker = Some(Rc::new(Worker::start(context.name())?));
        Ok(())
    }

    fn run<'a>(&'a mut self, context: &'a InputContext) -> LocalFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let result = self.keep(context).await;
            for child in self.children.values() {
                child.stop();
            }
            for child in self.children.values() {
                child.ended().await;
            }
            result
        })
    }
}

/// What a wait has brought.
enum Event {
    Stop,
    Look,
    /// An input has ended for good.
    Ended(PathBuf, String),
}

impl Directory {
    /// Runs what the tree says, until the input is to stop.
    async fn keep(&mut self, context: &InputContext) -> Result<(), Fault> {
        let interval = self.settings.interval;
        let mut timer = interval.map(|interval| Timer::new(interval, false));
        self.look(context).await;
        loop {
            match self.next(context, &mut timer).await {
                Event::Stop => return Ok(()),
                Event::Look => self.look(context).await,
                Event::Ended(path, error) => self.gone(&path, &error, context)?,
            }
        }
    }

    async fn next(&self, context: &InputContext, timer: &mut Option<Timer>) -> Event {
        let mut tick = std::pin::pin!(async {
            match timer {
                Some(timer) => timer.tick(context).await,
                None => context.until_stop(|_| Poll::Pending).await.unwrap_or(false),
            }
        });
        poll_fn(|cx| {
            if let Some((path, error)) = self.news.poll(cx) {
                return Poll::Ready(Event::Ended(path, error));
            }
            tick.as_mut().poll(cx).map(|is_due| match is_due {
                true => Event::Look,
                false => Event::Stop,
            })
        })
        .await
    }

    /// An input has ended although it was not told to, and is not started again.
    fn gone(&mut self, path: &Path, error: &str, context: &InputContext) -> Result<(), Fault> {
        let shown = path.display();
        let Some(child) = self.children.get(path) else {
            return Ok(());
        };
        if !child.can_exit() {
            return Err(Fault::new(format!(
                "{shown}, which may not end (`can_exit = false`), has ended: {error}"
            )));
        }
        context.notice(|| {
            format!("{shown} has ended: {error}; it is started again when its file has changed")
        });
        Ok(())
    }

    /// Looks at the tree, and has run what it says.
    async fn look(&mut self, context: &InputContext) {
        let root = self.settings.root.clone();
        let loader = self.loader();
        let Some(mut scan) = self
            .elsewhere(context, move || folder::scan(&root, &*loader, FILES_MAX))
            .await
        else {
            return;
        };
        self.complain(std::mem::take(&mut scan.complaints), context);
        self.stop_those_gone(&scan, context).await;
        for (path, found) in scan.found {
            let is_known = |found: &Found| {
                self.children
                    .get(&path)
                    .is_some_and(|child| child.is_of(found))
            };
            if is_known(&found) {
                self.refused.remove(&path);
            } else if self.refused.get(&path) != Some(&found) {
                self.load(path, found, context).await;
            }
        }
    }

    fn loader(&self) -> Arc<dyn InputLoader> {
        let loader = self.settings.loader.as_ref();
        Arc::clone(loader.expect("the plan gives its loader to every factory"))
    }

    /// Runs `work` on the thread. `None`: the input is to stop.
    async fn elsewhere<T: Send + 'static>(
        &self,
        context: &InputContext,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let worker = self.worker.as_ref().expect("opened before it runs");
        let mut working = std::pin::pin!(worker.run(work));
        context.until_stop(|cx| working.as_mut().poll(cx)).await
    }

    /// Tells what is wrong with the tree, and was not at the last look.
    fn complain(&mut self, complaints: Vec<String>, context: &InputContext) {
        for complaint in complaints
            .iter()
            .filter(|complaint| !self.told.contains(complaint))
        {
            context.notice(|| complaint.clone());
        }
        self.told = complaints;
    }

    async fn stop_those_gone(&mut self, scan: &Scan, context: &InputContext) {
        self.refused.retain(|path, _| scan.has(path));
        let gone: Vec<PathBuf> = self
            .children
            .keys()
            .filter(|path| !scan.has(path))
            .cloned()
            .collect();
        for path in &gone {
            self.children[path].stop();
        }
        for path in gone {
            if let Some(child) = self.children.remove(&path) {
                child.ended().await;
                self.news.forget(&path);
                context.notice(|| format!("{}: its file has gone, it is stopped", path.display()));
            }
        }
    }

    /// Starts what a file says, instead of what it said before.
    async fn load(&mut self, path: PathBuf, found: Found, context: &InputContext) {
        let loader = self.loader();
        let (wanted_path, wanted) = (path.clone(), found.clone());
        let loaded = self.elsewhere(context, move || {
            loader.load(Wanted {
                type_name: TYPE,
                path: &wanted_path,
                text: &wanted.text,
                ticker_interval: wanted.interval,
            })
        });
        match loaded.await {
            None => {}
            Some(Ok(loaded)) => {
                self.refused.remove(&path);
                self.start(path, found, loaded, context).await;
            }
            Some(Err(why)) => {
                let what_now = match self.children.contains_key(&path) {
                    true => "what it said before goes on",
                    false => "nothing of it runs",
                };
                context.notice(|| format!("{} has mistakes; {what_now}:\n{why}", path.display()));
                self.refused.insert(path, found);
            }
        }
    }

    async fn start(
        &mut self,
        path: PathBuf,
        found: Found,
        loaded: LoadedInput,
        context: &InputContext,
    ) {
        let warnings = &loaded.warnings;
        if !warnings.is_empty() {
            context.notice(|| format!("{}:\n{warnings}", path.display()));
        }
        let start = |path: &Path| Child::start(path, found, loaded, context, &self.news);
        match self.children.entry(path) {
            Entry::Occupied(mut running) => {
                running.get().stop();
                running.get().ended().await;
                self.news.forget(running.key());
                context.notice(|| {
                    format!(
                        "{}: its file has changed, it is started anew",
                        running.key().display()
                    )
                });
                let child = start(running.key());
                running.insert(child);
            }
            Entry::Vacant(new) => {
                context.notice(|| format!("{}: started", new.key().display()));
                let child = start(new.key());
                new.insert(child);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::configured::{mistakes, plan};

    #[test]
    fn an_empty_folder_is_a_mistake() {
        let found = mistakes("[ProcessDirectoryInput]\nprocess_dir = ''");
        assert!(found.contains("`process_dir` is empty"), "{found}");
    }

    #[test]
    fn splitters_and_decoders_may_be_meant_for_what_it_runs() {
        let codecs = "[lines]\ntype = 'TokenSplitter'\n[clean]\ntype = 'ScribbleDecoder'\n";
        for (input, expected) in [
            ("[ProcessDirectoryInput]\n", false),
            ("[TcpInput]\naddress = ':0'\n", true),
        ] {
            let plan = plan(&format!("{input}{codecs}")).expect("right");
            let warnings = plan.warnings.render(false);
            assert_eq!(warnings.contains("is not used"), expected, "{warnings}");
        }
    }
}
