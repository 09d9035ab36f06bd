//! The watch over calls that take too long: one thread for all sandboxes of the process.
//!
//! Owns:    the watchdog's thread, and `Watched`, what it and a sandbox share.
//! Runs on: a thread of its own; `Watched` on the shard of the plugin too.            Plane: data.
//! Bounds:  one look at a word of each sandbox every `LOOK`.
//! Never:   stops a script itself: it lets the script's next safepoint ask whether the call may go on.
//!
//! A call costs two stores of a word that nobody else writes, and no look at a clock.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use crate::lua::Trigger;

/// Time between two looks. A call may be this much over its time before it is stopped.
const LOOK: Duration = Duration::from_millis(50);

/// What the watchdog sees of one sandbox.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// Number of the call: odd while one runs. Only the sandbox writes it.
    call: AtomicU64,
    /// The call that the watchdog found running at two looks.
    overdue: AtomicU64,
    /// Somebody wants the script to end.
    stop: AtomicBool,
    pub(crate) trigger: Trigger,
}

impl Watched {
    /// A call begins.
    #[inline]
    pub(crate) fn begin(&self) {
        let call = self.call.load(Ordering::Relaxed);
        self.call.store(call.wrapping_add(1), Ordering::Relaxed);
    }

    /// It ends.
    #[inline]
    pub(crate) fn end(&self) {
        self.begin();
    }

    /// The call that runs, if the watchdog has found it long.
    pub(crate) fn overdue(&self) -> Option<u64> {
        let call = self.call.load(Ordering::Relaxed);
        (self.overdue.load(Ordering::Relaxed) == call).then_some(call)
    }

    /// Whether somebody wants the script to end.
    #[inline]
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Ends what runs, and keeps anything else from beginning.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.trigger.set(true);
    }
}

/// Ends the call of a sandbox from another thread: an input's script may run for as long as the daemon does.
#[derive(Clone, Debug)]
pub struct Stopper(pub(crate) Arc<Watched>);

impl Stopper {
    /// Lets the script end at its next safepoint; further calls do not begin. The sandbox can still be preserved.
    pub fn stop(&self) {
        self.0.stop();
    }
}

struct Watchdog {
    /// Sandboxes, each with the call that was seen last.
    all: Mutex<Vec<(Weak<Watched>, u64)>>,
    /// There is something to watch again.
    more: Condvar,
}

impl Watchdog {
    fn lock(&self) -> MutexGuard<'_, Vec<(Weak<Watched>, u64)>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut all = self.lock();
        loop {
            all = if all.is_empty() {
                self.more.wait(all).unwrap_or_else(PoisonError::into_inner)
            } else {
                let waited = self.more.wait_timeout(all, LOOK);
                waited.unwrap_or_else(PoisonError::into_inner).0
            };
            all.retain_mut(|(watched, seen)| match watched.upgrade() {
                Some(watched) => {
                    look(&watched, seen);
                    true
                }
                None => false,
            });
        }
    }
}

fn look(watched: &Watched, seen: &mut u64) {
    let call = watched.call.load(Ordering::Relaxed);
    if call % 2 == 1 && call == *seen {
        watched.overdue.store(call, Ordering::Relaxed);
        watched.trigger.set(true);
    }
    *seen = call;
}

/// Has the calls of a sandbox watched for as long as it lives.
pub(crate) fn watch(watched: &Arc<Watched>) -> io::Result<()> {
    static WATCHDOG: OnceLock<Watchdog> = OnceLock::new();
    static STARTED: Mutex<bool> = Mutex::new(false);
    let watchdog = WATCHDOG.get_or_init(|| Watchdog {
        all: Mutex::new(Vec::new()),
        more: Condvar::new(),
    });
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    if !*started {
        thread::Builder::new()
            .name("lua-watchdog".into())
            .stack_size(64 * 1024)
            .spawn(|| watchdog.run())?;
        *started = true;
    }
    watchdog.lock().push((Arc::downgrade(watched), 0));
    watchdog.more.notify_one();
    Ok(())
}
