//! Tasks of the simulated world.
//!
//! Owns:    `Tasks`: who there is, who is ready, whose each is.
//! Runs on: the world's thread; wakers may be called from anywhere on it.            Plane: data.
//! Bounds:  one entry a task that has not ended.
//! Never:   chooses: which of the ready tasks runs is the world's draw.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// What a task runs.
pub(super) type Work = Pin<Box<dyn Future<Output = ()>>>;

/// Who a task belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// A shard of the daemon, by the order of their starts: ends when the daemon crashes.
    Shard(u64),
    /// The world around the daemon: peers.
    Outside,
}

/// The numbers of those that were woken.
type Ready = Arc<Mutex<Vec<u64>>>;

struct TaskWaker {
    id: u64,
    is_ready: AtomicBool,
    ready: Ready,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_ready.swap(true, Ordering::Relaxed) {
            locked(&self.ready).push(self.id);
        }
    }
}

fn locked(ready: &Ready) -> MutexGuard<'_, Vec<u64>> {
    ready.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Task {
    owner: Owner,
    waker: Arc<TaskWaker>,
    /// Taken out while it runs.
    work: Option<Work>,
}

/// A task whose turn it is.
pub(super) struct Turn {
    pub(super) id: u64,
    pub(super) owner: Owner,
    pub(super) waker: Waker,
    pub(super) work: Work,
}

/// All tasks.
#[derive(Default)]
pub(super) struct Tasks {
    next: u64,
    all: BTreeMap<u64, Task>,
    ready: Ready,
}

impl Tasks {
    pub(super) fn add(&mut self, owner: Owner, work: Work) {
        let id = self.next;
        self.next += 1;
        let waker = Arc::new(TaskWaker {
            id,
            is_ready: AtomicBool::new(false),
            ready: Arc::clone(&self.ready),
        });
        waker.wake_by_ref();
        let work = Some(work);
        self.all.insert(id, Task { owner, waker, work });
    }

    pub(super) fn ready_count(&self) -> usize {
        locked(&self.ready).len()
    }

    /// Takes the ready task at `index` out to run it. `None`: it has ended meanwhile.
    pub(super) fn take(&mut self, index: usize) -> Option<Turn> {
        let id = locked(&self.ready).swap_remove(index);
        let task = self.all.get_mut(&id)?;
        task.waker.is_ready.store(false, Ordering::Relaxed);
        let work = task.work.take()?;
        Some(Turn {
            id,
            owner: task.owner,
            waker: Waker::from(Arc::clone(&task.waker)),
            work,
        })
    }

    /// Puts a task back that has not ended.
    pub(super) fn put_back(&mut self, id: u64, work: Work) {
        if let Some(task) = self.all.get_mut(&id) {
            task.work = Some(work);
        }
    }

    pub(super) fn ended(&mut self, id: u64) {
        self.all.remove(&id);
    }

    /// Takes out what the daemon's tasks run, for the caller to drop.
    pub(super) fn take_shards(&mut self) -> Vec<Work> {
        let ids: Vec<u64> = self
            .all
            .iter()
            .filter(|(_, task)| task.owner != Owner::Outside)
            .map(|(id, _)| *id)
            .collect();
        let tasks = ids.into_iter().filter_map(|id| self.all.remove(&id));
        tasks.filter_map(|task| task.work).collect()
    }

    /// Takes out all of them, for the caller to drop.
    pub(super) fn take_all(&mut self) -> Vec<Work> {
        let tasks = std::mem::take(&mut self.all).into_values();
        tasks.filter_map(|task| task.work).collect()
    }

    /// How many there are: of the shards, and outside.
    pub(super) fn counts(&self) -> (usize, usize) {
        let outside = self
            .all
            .values()
            .filter(|task| task.owner == Owner::Outside);
        let outside = outside.count();
        (self.all.len() - outside, outside)
    }
}
