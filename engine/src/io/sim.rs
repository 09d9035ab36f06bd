//! The io seam over a simulated world: takes the place of `ring.rs` in a build with `--cfg sim`.
//!
//! Owns:    the names that `ring.rs` has: shards, tasks, timers, TCP, the channels of the mesh; and the world behind them.
//! Runs on: the one thread that calls `world::enter`; every shard is a set of tasks on it.            Plane: data.
//! Bounds:  channels and connections hold what they were made with; the rest grows with what a test does.
//! Never:   reads a clock, makes a thread, opens a descriptor, or does anything that does not follow from the seed.
//!
//! Everything a shard waits for is a task or a timer here. Which ready task runs next, how long anything takes, what the network and the disk
//! do to it: all of that is drawn from one generator, so that the seed tells the whole story.

mod mesh;
mod net;
mod tasks;
mod unsupported;
pub mod world;

use std::future::{Future, poll_fn};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

pub use self::mesh::{
    MeshEndpoints, MeshReceiver, MeshSender, UnconnectedReceiver, UnconnectedSender, mesh_channel,
};
pub use self::net::{Accepted, RawStream, TcpListener};
pub(super) use self::unsupported::{
    Arrived, ReceiveRoom, close_others_on_exec, inherited_socket, probe,
};

use self::world::World;

/// What a shard's future came to, once it has.
type Answer<T> = Arc<Mutex<Option<io::Result<T>>>>;

/// A running shard.
#[derive(Debug)]
pub struct ShardThread<T: Send + 'static> {
    answer: Answer<T>,
}

impl<T: Send + 'static> ShardThread<T> {
    /// Runs the world until the shard has ended.
    pub fn join(self) -> io::Result<T> {
        loop {
            if let Some(answer) = self.try_join() {
                return answer;
            }
            if !world::step() {
                return Err(io::Error::other("nothing moves any more"));
            }
        }
    }

    /// What the shard came to, if it has ended.
    pub fn try_join(&self) -> Option<io::Result<T>> {
        self.answer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// Whether this thread may wait: nothing waits here but the one who simulates.
pub(super) fn may_block() -> bool {
    true
}

/// Starts a shard: a task that may make others, which all end with the shard's crash.
pub fn start_shard<T, F>(
    _name: &str,
    _cpu: Option<usize>,
    main: impl FnOnce() -> F + Send + 'static,
) -> io::Result<ShardThread<T>>
where
    T: Send + 'static,
    F: Future<Output = io::Result<T>> + 'static,
{
    let answer: Answer<T> = Arc::default();
    let thread = ShardThread {
        answer: Arc::clone(&answer),
    };
    world::start_shard(async move {
        let result = main().await;
        *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    });
    Ok(thread)
}

/// Runs `future` on this shard beside the caller.
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    world::spawn(Box::pin(future));
}

/// Runs what a thread would run, one job after the other: each begins and ends a while later.
pub(super) fn live<S: 'static, J: FnOnce(&mut S) + 'static>(
    make: impl FnOnce() -> S + 'static,
    jobs: flume::Receiver<J>,
) {
    spawn(async move {
        let mut resident = make();
        while let Ok(job) = jobs.recv_async().await {
            sleep(World::with(World::disk_delay)).await;
            job(&mut resident);
            sleep(World::with(World::disk_delay)).await;
        }
    });
}

/// Waits.
pub async fn sleep(duration: Duration) {
    let due = World::with(|world| world.now() + duration);
    poll_fn(|cx| {
        World::with(|world| {
            if world.now() >= due {
                return Poll::Ready(());
            }
            world.wake_at(due, cx.waker());
            Poll::Pending
        })
    })
    .await;
}

/// Lets other tasks run, or does not.
pub async fn yield_if_needed() {
    let mut yields = World::with(|world| world.chance(500));
    poll_fn(|cx| {
        if std::mem::take(&mut yields) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    })
    .await;
}

/// Does `work` after a while.
pub async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    sleep(World::with(World::disk_delay)).await;
    work()
}

/// The world's monotonic clock.
pub(super) fn instant() -> Instant {
    World::with(|world| world.instant())
}

/// The world's wall clock, nanoseconds since the Unix epoch.
pub fn wall() -> i64 {
    World::with(|world| world.wall())
}

/// Keeps one waker of whoever waits now.
fn register(slot: &mut Option<Waker>, waker: &Waker) {
    match slot {
        Some(known) => known.clone_from(waker),
        None => *slot = Some(waker.clone()),
    }
}
