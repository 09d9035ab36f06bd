//! What all shards know of an input's streams: which there are, of which files, and which journals are to be written.
//!
//! Owns:    `Settings`, `Registry`, `Slot`; the input's three threads (listing, opening, journals).
//! Runs on: every shard; locks are taken once a look at the end of a file, never while bytes are read.            Plane: data.
//! Bounds:  as `order`; one waiting journal a stream.
//! Never:   reads a log file.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use engine::io::{Worker, replace_all};
use engine::shard::claims::Claim;

use super::folder::Found;
use super::journal::{JOURNAL_MODE, Journal, file_name};
use super::order::{LogFile, Sorting};

/// What the options come to.
#[derive(Debug)]
pub(super) struct Settings {
    /// `log_directory`.
    pub(super) folder: PathBuf,
    /// `journal_directory`.
    pub(super) journals: PathBuf,
    /// Pattern and order.
    pub(super) sorting: Arc<Sorting>,
    /// The Hostname of messages.
    pub(super) hostname: String,
    /// Files that were not written to for longer are left out; `None` for none.
    pub(super) oldest: Option<Duration>,
    /// Between two lists of the folder; `None` for no more than one, unless a file has gone.
    pub(super) rescan: Option<Duration>,
    /// Between two looks at a file's end.
    pub(super) check: Duration,
    /// Streams without a journal that are there at the start are read from their end.
    pub(super) tail: bool,
}

impl Settings {
    /// Where the journal of a stream is kept.
    pub(super) fn journal(&self, stream: &str) -> PathBuf {
        self.journals.join(file_name(stream))
    }
}

/// The files of a stream, as last listed.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    /// Oldest first.
    pub(super) files: Arc<[LogFile]>,
    /// Which list it was.
    pub(super) list: u64,
}

/// A stream.
#[derive(Debug)]
pub(super) struct Slot {
    /// Its name.
    pub(super) name: String,
    /// It was there when the input started.
    pub(super) first: bool,
    listed: Mutex<Listed>,
    /// Nobody reads it (any more).
    ended: AtomicBool,
}

impl Slot {
    /// Its files.
    pub(super) fn listed(&self) -> Listed {
        lock(&self.listed).clone()
    }
}

/// Says that a stream is read no more, so that it is begun again if it is found again.
pub(super) struct Reading {
    slot: Arc<Slot>,
    /// To its journal.
    pub(super) claim: Option<Claim>,
}

impl Drop for Reading {
    fn drop(&mut self) {
        // Who begins it again claims it again.
        self.claim = None;
        self.slot.ended.store(true, Ordering::Release);
    }
}

/// The threads for what may block.
#[derive(Debug)]
pub(super) struct Threads {
    /// Lists the folder.
    pub(super) listing: Worker,
    /// Opens files, searches in them, fetches what is not in memory.
    pub(super) files: Arc<Worker>,
    /// Writes journals.
    journals: Worker,
}

#[derive(Debug, Default)]
struct Table {
    by_name: HashMap<String, Arc<Slot>>,
    by_number: HashMap<u64, Arc<Slot>>,
    numbers: u64,
    /// Problems that the operator knows of.
    told: HashSet<String>,
}

/// What became of a list.
#[derive(Debug, Default)]
pub(super) struct Published {
    /// Numbers of streams that nobody reads yet.
    pub(super) new: Vec<u64>,
    /// Problems that were not there before.
    pub(super) problems: Vec<String>,
}

/// The streams of one input.
#[derive(Debug)]
pub(super) struct Registry {
    /// What the options say.
    pub(super) settings: Settings,
    /// Of an open input; new ones each time that it is opened.
    threads: Mutex<Option<Arc<Threads>>>,
    /// Where the folder and that of the journals really are.
    places: OnceLock<(PathBuf, PathBuf)>,
    table: Mutex<Table>,
    /// Lists begun so far.
    begun: AtomicU64,
    wish: flume::Sender<()>,
    /// Somebody needs a list soon.
    pub(super) wishes: flume::Receiver<()>,
    /// Journals to be written, by stream.
    waiting: Mutex<BTreeMap<String, Journal>>,
    keeps: flume::Sender<()>,
    /// There are some.
    pub(super) kept: flume::Receiver<()>,
}

/// What is behind a lock stays whole if its holder panics.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    /// Without any stream.
    pub(super) fn new(settings: Settings) -> Registry {
        let (wish, wishes) = flume::bounded(1);
        let (keeps, kept) = flume::bounded(1);
        Registry {
            settings,
            threads: Mutex::default(),
            places: OnceLock::new(),
            table: Mutex::default(),
            begun: AtomicU64::new(0),
            wish,
            wishes,
            waiting: Mutex::default(),
            keeps,
            kept,
        }
    }

    /// Notes where the folder and that of the journals really are.
    pub(super) fn found(&self, root: PathBuf, journals: PathBuf) {
        // An input that is started again goes on with what it has.
        let _ = self.places.set((root, journals));
    }

    /// Whether the input was open before: it is started again.
    pub(super) fn has_been_open(&self) -> bool {
        self.places.get().is_some()
    }

    /// Starts the threads, which are named after the input.
    pub(super) fn start_threads(&self, name: &str) -> io::Result<()> {
        let threads = Threads {
            listing: Worker::start(name)?,
            files: Arc::new(Worker::start(name)?),
            journals: Worker::start(name)?,
        };
        *lock(&self.threads) = Some(Arc::new(threads));
        Ok(())
    }

    /// The threads of an open input.
    pub(super) fn threads(&self) -> Arc<Threads> {
        lock(&self.threads).clone().expect("the input is open")
    }

    /// The folder of an open input.
    pub(super) fn root(&self) -> &Path {
        &self.places.get().expect("the input is open").0
    }

    /// Where the journal of a stream really is, whatever links lead there.
    pub(super) fn journal_place(&self, stream: &str) -> PathBuf {
        let (_, journals) = self.places.get().expect("the input is open");
        journals.join(file_name(stream))
    }

    // ---- lists ----

    /// Begins a list; answers its number.
    pub(super) fn begin_list(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// The last list that was begun.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Acquire)
    }

    /// Asks for a list soon.
    pub(super) fn ask_for_list(&self) {
        // One wish stands for many.
        let _ = self.wish.try_send(());
    }

    /// Gives every stream its files.
    pub(super) fn publish(&self, found: Found, list: u64) -> Published {
        let mut table = lock(&self.table);
        let mut published = Published::default();
        let unordered: BTreeSet<String> = found.arranged.unordered.into_iter().collect();
        let mut streams = found.arranged.streams;
        table.by_name.retain(|name, slot| {
            if slot.ended.load(Ordering::Acquire) {
                return false;
            }
            let mut listed = lock(&slot.listed);
            listed.list = list;
            if let Some(files) = streams.remove(name) {
                listed.files = files.into();
            } else if !unordered.contains(name) {
                listed.files = Arc::from([]);
            }
            true
        });
        for (name, files) in streams {
            if files.iter().any(|file| !file.old) {
                let number = table.numbers;
                table.numbers += 1;
                let slot = Arc::new(Slot {
                    name: name.clone(),
                    first: list == 1,
                    listed: Mutex::new(Listed {
                        files: files.into(),
                        list,
                    }),
                    ended: AtomicBool::new(false),
                });
                table.by_number.insert(number, Arc::clone(&slot));
                table.by_name.insert(name, slot);
                published.new.push(number);
            }
        }
        let problems: HashSet<String> = found.arranged.problems.into_iter().collect();
        published.problems = problems.difference(&table.told).cloned().collect();
        published.problems.sort();
        table.told = problems;
        published
    }

    /// A stream that is to be read here from now on.
    pub(super) fn take(&self, number: u64) -> Option<(Arc<Slot>, Reading)> {
        let slot = lock(&self.table).by_number.remove(&number)?;
        let reading = Reading {
            slot: Arc::clone(&slot),
            claim: None,
        };
        Some((slot, reading))
    }

    // ---- journals ----

    /// Has a position written soon.
    pub(super) fn keep(&self, stream: &str, position: Journal) {
        let mut waiting = lock(&self.waiting);
        match waiting.get_mut(stream) {
            Some(earlier) => *earlier = position,
            None => drop(waiting.insert(stream.to_owned(), position)),
        }
        drop(waiting);
        self.ask_for_journals();
    }

    fn ask_for_journals(&self) {
        // One word stands for many.
        let _ = self.keeps.try_send(());
    }

    /// Writes all positions that wait; when this returns they are on the disk. Answers why not, if some
    /// could not be written: they are tried again.
    pub(super) async fn write_journals(self: &Arc<Self>) -> Option<String> {
        let registry = Arc::clone(self);
        let threads = self.threads();
        threads.journals.run(move || registry.write_now()).await
    }

    fn write_now(&self) -> Option<String> {
        let waiting = std::mem::take(&mut *lock(&self.waiting));
        if waiting.is_empty() {
            return None;
        }
        let path = |stream: &String| self.settings.journal(stream);
        let files: Vec<(PathBuf, Vec<u8>)> = waiting
            .iter()
            .map(|(stream, position)| (path(stream), position.text().into_bytes()))
            .collect();
        let written = replace_all(&self.settings.journals, &files, JOURNAL_MODE);
        let failures: Vec<(&String, io::Error)> = waiting
            .keys()
            .zip(written)
            .filter_map(|(stream, written)| Some((stream, written.err()?)))
            .collect();
        let mut again = lock(&self.waiting);
        for (stream, _) in &failures {
            let position = &waiting[*stream];
            again
                .entry((*stream).clone())
                .or_insert_with(|| position.clone());
        }
        drop(again);
        let first = failures.first();
        if first.is_some() {
            self.ask_for_journals();
        }
        first.map(|(stream, error)| format!("{}: {error}", path(stream).display()))
    }
}
