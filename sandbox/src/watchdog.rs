//! The watch over calls that take too long: one thread for all sandboxes of the process.
//!
//! Owns:    the watchdog's thread; `Desk`, what it and a thread that runs scripts share; `Watched`, what anybody and a sandbox share.
//! Runs on: a thread of its own; the others on the shard of the plugin too.            Plane: data.
//! Bounds:  one look at two words of each thread that runs scripts every `LOOK`, however many sandboxes there are; every `LOOK_IDLE` while nothing runs.
//! Never:   stops a script itself: it lets the script's next safepoint ask whether the call may go on.
//!
//! A call costs four stores to words that nobody else writes, one load of a word that seldom changes, and no look at a clock. While no script
//! runs the watchdog sleeps; the call that ends the silence wakes it. Should that call just miss it falling asleep, which takes a store that is on
//! its way between two processors, the watchdog finds the call `LOOK_IDLE` later.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::lua::Trigger;

/// Time between two looks. A call may be this much over its time before it is stopped.
const LOOK: Duration = Duration::from_millis(50);

/// The same while nothing runs.
const LOOK_IDLE: Duration = Duration::from_secs(1);

/// The watchdog sleeps, and wants to be woken by the next call.
static ASLEEP: AtomicBool = AtomicBool::new(false);

/// Where a thread says which sandbox it runs.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    /// Grows when a call begins and when one ends. Only the thread writes it.
    changes: AtomicU64,
    /// Number of the sandbox that runs; 0 for none. Only the thread writes it.
    runs: AtomicU64,
}

/// What a sandbox shares with other threads.
#[derive(Debug)]
pub(crate) struct Watched {
    /// Its number, from 1.
    number: u64,
    /// The change of the desk with which the call began that the watchdog found running at two looks.
    overdue: AtomicU64,
    /// Somebody wants the script to end.
    stop: AtomicBool,
    pub(crate) trigger: Trigger,
}

/// A sandbox's place at the desk of its thread.
#[derive(Debug)]
pub(crate) struct Place {
    desk: Arc<Desk>,
    pub(crate) watched: Arc<Watched>,
}

impl Place {
    /// A call begins. Answers which sandbox it interrupts, for `end`.
    #[inline]
    pub(crate) fn begin(&self) -> u64 {
        let before = self.desk.runs.load(Ordering::Relaxed);
        self.set(self.watched.number);
        if ASLEEP.load(Ordering::Relaxed) {
            wake();
        }
        before
    }

    /// It ends.
    #[inline]
    pub(crate) fn end(&self, before: u64) {
        self.set(before);
    }

    #[inline]
    fn set(&self, runs: u64) {
        let changes = self.desk.changes.load(Ordering::Relaxed);
        self.desk.changes.store(changes + 1, Ordering::Relaxed);
        self.desk.runs.store(runs, Ordering::Relaxed);
    }

    /// The call that runs, if the watchdog has found it long.
    pub(crate) fn overdue(&self) -> Option<u64> {
        let call = self.desk.changes.load(Ordering::Relaxed);
        (self.watched.overdue.load(Ordering::Relaxed) == call).then_some(call)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(watchdog) = WATCHDOG.get() {
            watchdog.lock().sandboxes.remove(&self.watched.number);
        }
    }
}

impl Watched {
    /// Whether somebody wants the script to end.
    #[inline]
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

/// Ends the call of a sandbox from another thread: an input's script may run for as long as the daemon does.
#[derive(Clone, Debug)]
pub struct Stopper(pub(crate) Arc<Watched>);

impl Stopper {
    /// Lets the script end at its next safepoint; further calls do not begin. The sandbox can still be preserved.
    pub fn stop(&self) {
        self.0.stop.store(true, Ordering::SeqCst);
        self.0.trigger.set(true);
    }
}

#[cold]
fn wake() {
    let watchdog = WATCHDOG.get().and_then(|watchdog| watchdog.thread.get());
    if let (true, Some(thread)) = (ASLEEP.swap(false, Ordering::SeqCst), watchdog) {
        thread.unpark();
    }
}

static WATCHDOG: OnceLock<Watchdog> = OnceLock::new();

#[derive(Default)]
struct Watchdog {
    seen: Mutex<Seen>,
    /// The thread, once it runs.
    thread: OnceLock<Thread>,
}

#[derive(Default)]
struct Seen {
    started: bool,
    /// Number of the last sandbox.
    last: u64,
    sandboxes: HashMap<u64, Arc<Watched>>,
    /// Threads that run scripts, each with the change that was seen last.
    desks: Vec<(Weak<Desk>, u64)>,
}

impl Watchdog {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        loop {
            if self.look() {
                thread::sleep(LOOK);
                continue;
            }
            ASLEEP.store(true, Ordering::SeqCst);
            thread::park_timeout(LOOK_IDLE);
            ASLEEP.store(false, Ordering::SeqCst);
        }
    }

    /// Looks at all threads. Answers whether something runs, or has run since the last look.
    fn look(&self) -> bool {
        let mut busy = false;
        let Seen {
            sandboxes, desks, ..
        } = &mut *self.lock();
        desks.retain_mut(|(desk, seen)| match desk.upgrade() {
            Some(desk) => {
                busy |= look(&desk, seen, sandboxes);
                true
            }
            None => false,
        });
        busy
    }
}

/// The same of one thread.
fn look(desk: &Desk, seen: &mut u64, sandboxes: &HashMap<u64, Arc<Watched>>) -> bool {
    let change = desk.changes.load(Ordering::Relaxed);
    if change == *seen
        && let Some(watched) = sandboxes.get(&desk.runs.load(Ordering::Relaxed))
    {
        // Should another call have begun meanwhile, its first safepoint finds that nothing is overdue.
        watched.overdue.store(change, Ordering::Relaxed);
        watched.trigger.set(true);
    }
    let is_silent = change == *seen && desk.runs.load(Ordering::Relaxed) == 0;
    *seen = change;
    !is_silent
}

thread_local! {
    static DESK: OnceCell<Arc<Desk>> = const { OnceCell::new() };
}

/// Has the calls of a new sandbox of this thread watched for as long as it lives.
pub(crate) fn watch() -> io::Result<Place> {
    let watchdog = WATCHDOG.get_or_init(Watchdog::default);
    let mut seen = watchdog.lock();
    if !seen.started {
        thread::Builder::new()
            .name("lua-watchdog".into())
            .stack_size(64 * 1024)
            .spawn(|| {
                watchdog.thread.get_or_init(thread::current);
                watchdog.run();
            })?;
        seen.started = true;
    }
    let desk = DESK.with(|desk| {
        let desk = desk.get_or_init(|| {
            let desk = Arc::default();
            seen.desks.push((Arc::downgrade(&desk), 0));
            desk
        });
        Arc::clone(desk)
    });
    seen.last += 1;
    let number = seen.last;
    let watched = Arc::new(Watched {
        number,
        overdue: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        trigger: Trigger::default(),
    });
    seen.sandboxes.insert(number, Arc::clone(&watched));
    Ok(Place { desk, watched })
}
