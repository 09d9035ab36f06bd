//! Monotonic time that two processes can compare, and the processor that a process runs on.
//!
//! Owns:    the clock's reading, and pinning.
//! Runs on: every process of a run.            Plane: control.
//! Bounds:  one system call each.
//! Never:   reads the wall clock.

use std::io;
use std::process::{Child, Command};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

/// Nanoseconds of the system's monotonic clock.
pub(crate) fn monotonic_nanoseconds() -> u64 {
    let Ok(now) = clock_gettime(ClockId::CLOCK_MONOTONIC) else {
        unreachable!("every Linux has a monotonic clock");
    };
    now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
}

/// Starts a program on one processor, from its first instruction on: a child inherits the affinity of the thread that
/// starts it, which is then given back its own.
pub(crate) fn spawn_pinned(command: &mut Command, cpu: usize) -> io::Result<Child> {
    let me = Pid::from_raw(0);
    let before = sched_getaffinity(me)?;
    let mut only = CpuSet::new();
    only.set(cpu)?;
    sched_setaffinity(me, &only)?;
    let child = command.spawn();
    sched_setaffinity(me, &before)?;
    child
}

/// Keeps the calling thread on one processor.
pub(crate) fn pin(cpu: usize) -> io::Result<()> {
    let mut only = CpuSet::new();
    only.set(cpu)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &only)?)
}

/// The processors that this process may use.
pub(crate) fn processors() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count())
        .filter(|&cpu| set.is_set(cpu).unwrap_or(false))
        .collect())
}
