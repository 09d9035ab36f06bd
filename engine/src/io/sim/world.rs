//! The simulated world: time, chance, tasks, and what a test may do to them.
//!
//! Owns:    `World`, the one of this thread; its clock, its generator, its trace.
//! Runs on: the thread of a test.            Plane: both: it is what both stand on.
//! Bounds:  one world a thread; its time ends when nothing is ready and no timer runs.
//! Never:   waits in earnest.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use super::net::Net;
pub use super::net::{NetFaults, Wire};
pub use super::tasks::Owner;
use super::tasks::{Tasks, Turn, Work};
use crate::io::clock;
use crate::io::disk::model::ModelDisk;

/// The wall clock at the beginning: 2024-11-24 14:54:53 UTC.
const BEGINNING: i64 = 1_732_460_093_000_000_000;

/// Longest time that one turn of a task takes, nanoseconds.
const TURN_MAX: u64 = 20_000;

/// Longest wait of a thread, nanoseconds, but for those that are slow.
const DISK_DELAY_MAX: u64 = 2_000_000;

/// Longest time that a core does something else, nanoseconds.
const STALL_MAX: u64 = 100_000_000;

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
    static OWNER: Cell<Owner> = const { Cell::new(Owner::Outside) };
}

/// Everything that there is on this thread.
pub struct World {
    random: fastrand::Rng,
    base: Instant,
    now: Duration,
    timers: BTreeMap<(Duration, u64), Waker>,
    timers_made: u64,
    pub(super) tasks: Tasks,
    pub(super) net: Net,
    disk: ModelDisk,
    shards: u64,
    /// Of 1,000 turns of shards so many begin a stall.
    stalls: u16,
    stalled: BTreeMap<Owner, Duration>,
    trace: DefaultHasher,
    steps: u64,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// The world of this thread, until it is dropped.
#[derive(Debug)]
pub struct Entered(());

impl Drop for Entered {
    fn drop(&mut self) {
        let works = World::with(|world| world.tasks.take_all());
        drop(works);
        WORLD.with(|world| world.borrow_mut().take());
    }
}

/// Makes this thread's world from a seed.
///
/// # Panics
/// In a thread that has one.
pub fn enter(seed: u64) -> Entered {
    fastrand::seed(seed);
    let mut random = fastrand::Rng::with_seed(seed);
    let world = World {
        base: clock::real(),
        now: Duration::ZERO,
        timers: BTreeMap::new(),
        timers_made: 0,
        tasks: Tasks::default(),
        net: Net::default(),
        disk: ModelDisk::new(random.u64(..)),
        shards: 0,
        stalls: 0,
        stalled: BTreeMap::new(),
        trace: DefaultHasher::new(),
        steps: 0,
        random,
    };
    WORLD.with(|slot| {
        let before = slot.borrow_mut().replace(world);
        assert!(before.is_none(), "one world a thread");
    });
    Entered(())
}

/// Lets one thing happen. `false`: nothing can happen any more.
pub fn step() -> bool {
    let taken = World::with(|world| {
        world.steps += 1;
        world.fire();
        if world.tasks.ready_count() == 0 {
            let (&(due, _), _) = world.timers.first_key_value()?;
            world.now = world.now.max(due);
            world.fire();
        }
        let count = world.tasks.ready_count();
        if count == 0 {
            return Some(None);
        }
        let index = world.random.usize(..count);
        let turn = world.random.u64(..TURN_MAX);
        world.now += Duration::from_nanos(turn);
        let taken = world.tasks.take(index);
        Some(taken.and_then(|turn| world.unless_stalled(turn)))
    });
    let Some(taken) = taken else {
        return false;
    };
    if let Some(mut turn) = taken {
        OWNER.set(turn.owner);
        let mut context = Context::from_waker(&turn.waker);
        let polled = turn.work.as_mut().poll(&mut context);
        OWNER.set(Owner::Outside);
        if polled.is_pending() {
            World::with(|world| world.tasks.put_back(turn.id, turn.work));
        } else {
            // What it owned may call the world when it is dropped.
            drop(turn.work);
            World::with(|world| world.tasks.ended(turn.id));
        }
    }
    true
}

/// Runs a task of the world around the daemon.
pub fn outside(work: impl Future<Output = ()> + 'static) {
    World::with(|world| world.tasks.add(Owner::Outside, Box::pin(work)));
}

/// The whole daemon is gone from one moment to the next: no task of it runs again, its connections break. What becomes of its disk is for
/// the caller to say.
pub fn crash() {
    let works = World::with(|world| {
        world.net.dies = true;
        world.tasks.take_shards()
    });
    drop(works);
    World::with(|world| world.net.dies = false);
}

/// The disk.
pub fn disk() -> ModelDisk {
    World::with(|world| world.disk.clone())
}

impl Default for ModelDisk {
    /// The disk of this thread's world.
    fn default() -> ModelDisk {
        disk()
    }
}

/// Time since the beginning.
pub fn now() -> Duration {
    World::with(|world| world.now)
}

/// A number that stands for all that has happened, in its order.
pub fn trace() -> u64 {
    World::with(|world| world.trace.finish())
}

/// Turns that were taken.
pub fn steps() -> u64 {
    World::with(|world| world.steps)
}

/// What the network does to connections from now on.
pub fn set_net_faults(faults: NetFaults) {
    World::with(|world| world.net.faults = faults);
}

/// Of 1,000 turns of shards so many begin a time in which that shard's core does something else.
pub fn set_stalls(stalls: u16) {
    World::with(|world| world.stalls = stalls);
}

/// A shard's core does something else for so long.
pub fn stall(shard: u64, time: Duration) {
    World::with(|world| {
        let until = world.now + time;
        world.stalled.insert(Owner::Shard(shard), until);
    });
}

/// The `number`th operation of the network from now on, counted from one, fails; zero: none does.
pub fn fail_net_operation(number: u64) {
    World::with(|world| world.net.fail_operation(number));
}

/// Operations of the daemon on the network so far, counted from the last `fail_net_operation` on.
pub fn net_operations() -> u64 {
    World::with(|world| world.net.operations())
}

/// Everything that was written to connections with the listener at `port`, by connection, in the order in which they were made.
pub fn wires(port: u16) -> Vec<Wire> {
    World::with(|world| world.net.wires(port))
}

/// A sentence about what there is, for one who finds that nothing moves.
pub fn dump() -> String {
    World::with(|world| {
        let (shards, outside) = world.tasks.counts();
        format!(
            "at {:?}: {shards} tasks of shards and {outside} outside wait, {} timers run; {}",
            world.now,
            world.timers.len(),
            world.net.dump(),
        )
    })
}

pub(super) fn start_shard(work: impl Future<Output = ()> + 'static) {
    World::with(|world| {
        let owner = Owner::Shard(world.shards);
        world.shards += 1;
        world.tasks.add(owner, Box::pin(work));
    });
}

pub(super) fn spawn(work: Work) {
    World::with(|world| world.tasks.add(OWNER.get(), work));
}

/// Whose task runs.
pub fn owner() -> Owner {
    OWNER.get()
}

impl World {
    /// Works on this thread's world. `work` must not drop a task or run one.
    ///
    /// # Panics
    /// In a thread that has none.
    pub(super) fn with<R>(work: impl FnOnce(&mut World) -> R) -> R {
        WORLD.with(|world| {
            let mut world = world.borrow_mut();
            work(world.as_mut().expect("this thread has entered a world"))
        })
    }

    /// As `with`, for what may be dropped after the world.
    pub(super) fn try_with(work: impl FnOnce(&mut World)) {
        let _ = WORLD.try_with(|world| world.borrow_mut().as_mut().map(work));
    }

    /// A turn that may be taken now; one of a stalled shard comes again.
    fn unless_stalled(&mut self, turn: Turn) -> Option<Turn> {
        let stalls = self.stalls;
        if turn.owner != Owner::Outside && self.chance(stalls) {
            let until = self.now + Duration::from_nanos(self.below(STALL_MAX));
            self.stalled.insert(turn.owner, until);
        }
        let until = self.stalled.get(&turn.owner).copied();
        if let Some(until) = until.filter(|until| *until > self.now) {
            self.wake_at(until, &turn.waker);
            self.tasks.put_back(turn.id, turn.work);
            return None;
        }
        (turn.id, self.now).hash(&mut self.trace);
        Some(turn)
    }

    pub(super) fn now(&self) -> Duration {
        self.now
    }

    pub(super) fn instant(&self) -> Instant {
        self.base + self.now
    }

    pub(super) fn wall(&self) -> i64 {
        BEGINNING + self.now.as_nanos() as i64
    }

    /// Wakes whoever is ready by `due`.
    pub(super) fn wake_at(&mut self, due: Duration, waker: &Waker) {
        self.timers_made += 1;
        self.timers.insert((due, self.timers_made), waker.clone());
    }

    /// Wakes those whose time has come.
    fn fire(&mut self) {
        while let Some(entry) = self.timers.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            entry.remove().wake();
        }
    }

    pub(super) fn chance(&mut self, of_thousand: u16) -> bool {
        of_thousand > 0 && self.random.u16(..1000) < of_thousand
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.random.u64(..end.max(1))
    }

    /// How long a thread takes: mostly little, now and then long.
    pub(super) fn disk_delay(&mut self) -> Duration {
        let slow = if self.chance(20) { 50 } else { 1 };
        Duration::from_nanos(self.random.u64(..DISK_DELAY_MAX) * slow)
    }
}
