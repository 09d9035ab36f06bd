//! A thread of one plugin for calls that may block for long: files, standard error, renames, syncs.
//!
//! Owns:    `Worker`, and `Resident`, a thread with something on it that cannot leave it.
//! Runs on: a thread of its own; callers wait on their shard without holding it up.            Plane: data.
//! Bounds:  `JOBS_WAITING` jobs wait; further ones wait with their callers.
//! Never:   shared between plugins: a disk or terminal that hangs holds up nobody but its own plugin.
//!
//! A job that never returns does not keep the process from ending: the thread is not waited for.

use std::io;

#[cfg(not(sim))]
use nix::sched::{sched_getaffinity, sched_setaffinity};
#[cfg(not(sim))]
use nix::unistd::Pid;

/// Jobs that may wait for the thread.
const JOBS_WAITING: usize = 4;

/// A thread that runs jobs one after the other. It ends when the worker is dropped and its job is done.
#[derive(Debug)]
pub struct Worker(Resident<()>);

impl Worker {
    /// Starts the thread. The system shows the first 15 bytes of `name`.
    pub fn start(name: &str) -> io::Result<Worker> {
        Resident::start(name, || ()).map(Worker)
    }

    /// Runs `work` on the thread and waits for its result.
    ///
    /// # Panics
    /// If `work` panicked.
    pub async fn run<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> R {
        self.0.run(|()| work()).await
    }
}

type Job<S> = Box<dyn FnOnce(&mut S) + Send>;

/// A thread with something that lives on it, and runs jobs with that. It ends when this is dropped and its job is done.
pub struct Resident<S> {
    jobs: flume::Sender<Job<S>>,
}

impl<S> std::fmt::Debug for Resident<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resident").finish_non_exhaustive()
    }
}

impl<S: 'static> Resident<S> {
    /// Starts the thread and makes there what lives on it. The system shows the first 15 bytes of `name`.
    pub fn start(name: &str, make: impl FnOnce() -> S + Send + 'static) -> io::Result<Resident<S>> {
        let (jobs, waiting) = flume::bounded::<Job<S>>(JOBS_WAITING);
        live(name, make, waiting)?;
        Ok(Resident { jobs })
    }

    /// Runs `work` on the thread and waits for its result.
    ///
    /// # Panics
    /// If `work` panicked.
    pub async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut S) -> R + Send + 'static,
    ) -> R {
        let (done, result) = flume::bounded(1);
        let job: Job<S> = Box::new(move |resident| {
            // Nobody waits any more if the plugin was ended meanwhile.
            let _ = done.send(work(resident));
        });
        let accepted = self.jobs.send_async(job).await.is_ok();
        assert!(accepted, "an earlier job on this thread panicked");
        result
            .recv_async()
            .await
            .expect("a job on this thread does not panic")
    }
}

#[cfg(not(sim))]
fn live<S: 'static>(
    name: &str,
    make: impl FnOnce() -> S + Send + 'static,
    waiting: flume::Receiver<Job<S>>,
) -> io::Result<()> {
    std::thread::Builder::new()
        .name(name.replace('\0', ""))
        .spawn(move || {
            leave_core();
            let mut resident = make();
            waiting.into_iter().for_each(|job| job(&mut resident));
        })
        .map(drop)
}

/// Lets the calling thread run on whatever core the process may use. It was born with the affinity of its shard, whose core it would take from
/// it for every copy into the page cache, while others may be idle. Where the system refuses, it stays there.
#[cfg(not(sim))]
fn leave_core() {
    // The main thread has the affinity that the process was started with.
    if let Ok(allowed) = sched_getaffinity(Pid::this()) {
        let _ = sched_setaffinity(Pid::from_raw(0), &allowed);
    }
}

#[cfg(sim)]
fn live<S: 'static>(
    _name: &str,
    make: impl FnOnce() -> S + Send + 'static,
    waiting: flume::Receiver<Job<S>>,
) -> io::Result<()> {
    super::sim::live(make, waiting);
    Ok(())
}

#[cfg(all(test, not(sim)))]
mod tests {
    use super::*;
    use futures_lite::future::block_on;

    #[test]
    fn a_resident_never_leaves_its_thread() {
        let counter = Resident::start("test", || std::rc::Rc::new(std::cell::Cell::new(0)));
        let counter = counter.expect("a thread starts");
        for expected in 1..=3 {
            let count = counter.run(|count| {
                count.set(count.get() + 1);
                count.get()
            });
            assert_eq!(block_on(count), expected);
        }
    }

    #[test]
    fn jobs_run_elsewhere_in_order_and_answer() {
        let worker = Worker::start("test").expect("a thread starts");
        let here = std::thread::current().id();
        let first = block_on(worker.run(|| std::thread::current().id()));
        let second = block_on(worker.run(|| std::thread::current().id()));
        assert_ne!(first, here);
        assert_eq!(first, second);
        assert_eq!(block_on(worker.run(|| vec![1, 2, 3])), [1, 2, 3]);
    }
}
