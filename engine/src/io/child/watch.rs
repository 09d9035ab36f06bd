//! A running chain on its thread: its outputs, its ends, its time.
//!
//! Owns:    the loop that waits for output, for the end of commands, for orders and for deadlines at once.
//! Runs on: the thread of the chain.            Plane: data.
//! Bounds:  an output is read only into a free buffer; after `GIVE_UP` no kill is waited for.
//! Never:   signals a process group that could be another one by now: one of its commands is always left to be waited for.

use std::io::{PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::super::clock::Monotonic;
use super::start::{Failure, Started, start};
use super::{CHAIN_GRACE, ChainEnd, Chunk, Command, Control, KILL, OutputSide, RUN};

/// How long a killed command is waited for: one that waits for a device may not end before the device answers.
const GIVE_UP: Duration = Duration::from_secs(2);

/// What tells a command to end. One that was stopped hears of it only when it goes on.
const TERMINATION: [Signal; 2] = [Signal::SIGTERM, Signal::SIGCONT];

/// How long a chain may run, and who says so.
pub(super) struct Watch {
    control: Arc<Control>,
    timeout: Option<Duration>,
}

impl Watch {
    pub(super) fn new(control: Arc<Control>, timeout: Option<Duration>) -> Watch {
        Watch { control, timeout }
    }

    /// Runs the commands to their end.
    pub(super) fn run(
        self,
        commands: &[Command],
        stdout: Option<OutputSide>,
        stderr: Option<OutputSide>,
    ) -> ChainEnd {
        let deadline = self.timeout.map(|timeout| Monotonic::now().after(timeout));
        let started = start(commands, stdout.is_some(), stderr.is_some());
        let started = match started {
            Ok(started) => started,
            Err(Failure { link, why }) => return ChainEnd::NotStarted { link, why },
        };
        let group = started.group();
        let Started {
            children,
            stdout: stdout_pipe,
            stderr: stderr_pipe,
        } = started;
        let outputs = [(stdout_pipe, stdout), (stderr_pipe, stderr)];
        let outputs = outputs.into_iter().filter_map(|(pipe, side)| {
            Some(Output {
                pipe: Some(pipe?),
                side: side?,
                is_ready: false,
            })
        });
        let mut watched = Watched {
            control: self.control,
            group,
            outputs: outputs.collect(),
            phase: Phase::Running { deadline },
            timed_out: false,
            links: children.into_iter().map(Link::new).collect(),
        };
        watched.watch();
        watched.end()
    }
}

/// What a chain is up to.
#[derive(Clone, Copy)]
enum Phase {
    /// It runs, until then at most.
    Running { deadline: Option<Monotonic> },
    /// Its first command was told to end, so that the others read to its end. Then all of them are.
    Draining { all: Monotonic, kill: Monotonic },
    /// All were told to end, and will be killed then.
    Ending { kill: Monotonic },
    /// It was killed, and is waited for until then.
    Killed { give_up: Monotonic },
}

struct Link {
    child: Child,
    /// Becomes readable when the command has ended.
    pidfd: OwnedFd,
    state: State,
}

enum State {
    Running,
    /// It has ended, but is not waited for yet: it keeps the group's number from being used again.
    Ended,
    Gone(Option<ExitStatus>),
}

impl Link {
    fn new((child, pidfd): (Child, OwnedFd)) -> Link {
        Link {
            child,
            pidfd,
            state: State::Running,
        }
    }

    fn is_running(&self) -> bool {
        matches!(self.state, State::Running)
    }

    fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone(_))
    }
}

struct Output {
    /// Gone when it has ended.
    pipe: Option<PipeReader>,
    side: OutputSide,
    is_ready: bool,
}

impl Output {
    /// The pipe, if there is a buffer to read it into.
    fn readable(&mut self) -> Option<BorrowedFd<'_>> {
        if self.side.full.is_disconnected() {
            // Nobody wants it any more: let the command know.
            self.pipe = None;
        }
        self.side.free.extend(self.side.empty.try_iter());
        self.pipe
            .as_ref()
            .filter(|_| !self.side.free.is_empty())
            .map(AsFd::as_fd)
    }

    /// Reads once what is there.
    fn read(&mut self) {
        let (Some(pipe), Some(mut bytes)) = (&mut self.pipe, self.side.free.pop()) else {
            return;
        };
        match pipe.read(&mut bytes) {
            Ok(len) if len > 0 => {
                // There is room for every buffer; if nobody wants it any more, that is found out next time.
                let _ = self.side.full.try_send(Chunk { bytes, len });
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {
                self.side.free.push(bytes);
            }
            Ok(_) | Err(_) => self.pipe = None,
        }
    }
}

struct Watched {
    control: Arc<Control>,
    group: Option<Pid>,
    links: Vec<Link>,
    outputs: Vec<Output>,
    phase: Phase,
    timed_out: bool,
}

impl Watched {
    fn watch(&mut self) {
        loop {
            self.wait();
            self.reap();
            self.obey();
            for output in &mut self.outputs {
                if std::mem::take(&mut output.is_ready) {
                    output.read();
                }
            }
            let is_open = self.outputs.iter().any(|output| output.pipe.is_some());
            if !self.is_running() && !is_open || self.is_given_up() {
                return;
            }
        }
    }

    /// Waits until something happens.
    fn wait(&mut self) {
        let patience = self.patience();
        let mut polled = vec![PollFd::new(self.control.wake.as_fd(), PollFlags::POLLIN)];
        let mut watched = vec![Watching::Orders];
        for (index, link) in self.links.iter().enumerate() {
            if link.is_running() {
                polled.push(PollFd::new(link.pidfd.as_fd(), PollFlags::POLLIN));
                watched.push(Watching::Link(index));
            }
        }
        for (index, output) in self.outputs.iter_mut().enumerate() {
            if let Some(pipe) = output.readable() {
                polled.push(PollFd::new(pipe, PollFlags::POLLIN));
                watched.push(Watching::Output(index));
            }
        }
        // Interrupted by a signal it is repeated by the loop.
        let happened = poll(&mut polled, patience).unwrap_or(0);
        let ready: Vec<bool> = polled
            .iter()
            .map(|polled| happened > 0 && polled.any().unwrap_or(true))
            .collect();
        drop(polled);
        for (what, _) in watched.iter().zip(&ready).filter(|(_, ready)| **ready) {
            match *what {
                Watching::Orders => {
                    // Only to have it silent again.
                    let _ = self.control.wake.read();
                }
                Watching::Link(index) => self.links[index].state = State::Ended,
                Watching::Output(index) => self.outputs[index].is_ready = true,
            }
        }
        if matches!(self.phase, Phase::Killed { .. }) {
            self.close_silent(&watched, &ready);
        }
    }

    /// After a kill, an output that is silent although all commands have ended is held open by somebody who has left the group.
    fn close_silent(&mut self, watched: &[Watching], ready: &[bool]) {
        if self.is_running() {
            return;
        }
        for (what, ready) in watched.iter().zip(ready) {
            if let (Watching::Output(index), false) = (what, ready) {
                self.outputs[*index].pipe = None;
            }
        }
    }

    /// How long nothing need happen.
    fn patience(&mut self) -> PollTimeout {
        let until = match self.phase {
            Phase::Running { deadline } => deadline,
            Phase::Draining { all, .. } => Some(all),
            Phase::Ending { kill } => Some(kill),
            Phase::Killed { give_up } if self.is_running() => Some(give_up),
            // What is not there now will not come. An output without a free buffer is not asked yet.
            Phase::Killed { .. } => {
                let mut outputs = self.outputs.iter_mut();
                let is_asked = outputs.any(|output| output.readable().is_some());
                is_asked.then(Monotonic::now)
            }
        };
        until.map_or(PollTimeout::NONE, |until| {
            let patience = until.remaining();
            // A millisecond more, so that it is not asked again and again before the time has come.
            let millis = patience.as_millis() as u64 + u64::from(!patience.is_zero());
            PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
        })
    }

    /// Waits for the commands that have ended, but for one.
    fn reap(&mut self) {
        for index in 0..self.links.len() {
            let left = self.links.iter().filter(|link| !link.is_gone()).count();
            let link = &mut self.links[index];
            if matches!(link.state, State::Ended) && left > 1 {
                link.state = State::Gone(link.child.wait().ok());
            }
        }
    }

    fn is_running(&self) -> bool {
        self.links.iter().any(Link::is_running)
    }

    /// Does what was ordered, or what the time demands.
    fn obey(&mut self) {
        let now = Monotonic::now();
        let order = self.control.order.load(Ordering::Acquire);
        let due = |at: Option<Monotonic>| at.is_some_and(|at| at <= now);
        match self.phase {
            Phase::Killed { .. } => {}
            _ if order == KILL => self.kill(now),
            Phase::Ending { kill } if due(Some(kill)) => self.kill(now),
            Phase::Ending { .. } => {}
            Phase::Draining { all, kill } if due(Some(all)) => self.terminate_all(kill),
            Phase::Draining { .. } => {}
            Phase::Running { deadline } if order != RUN || due(deadline) => {
                self.timed_out = order == RUN;
                self.terminate(now);
            }
            Phase::Running { .. } => {}
        }
    }

    /// Tells the commands to end: at first the first one, if others read what it writes. They may have something of it left to write.
    fn terminate(&mut self, now: Monotonic) {
        let kill = now.after(CHAIN_GRACE);
        let others = self.links.iter().skip(1).any(Link::is_running);
        match self.links.first() {
            Some(first) if first.is_running() && others => {
                let first = Pid::from_raw(first.child.id() as i32);
                for signal in TERMINATION {
                    // It has not been waited for, so the number is its own.
                    let _ = nix::sys::signal::kill(first, signal);
                }
                self.phase = Phase::Draining {
                    all: now.after(CHAIN_GRACE / 2),
                    kill,
                };
            }
            _ => self.terminate_all(kill),
        }
    }

    fn terminate_all(&mut self, kill: Monotonic) {
        for signal in TERMINATION {
            self.signal(signal);
        }
        self.phase = Phase::Ending { kill };
    }

    fn kill(&mut self, now: Monotonic) {
        self.signal(Signal::SIGKILL);
        self.phase = Phase::Killed {
            give_up: now.after(GIVE_UP),
        };
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // An error says that all of the group have ended.
            let _ = killpg(group, signal);
        }
    }

    fn is_given_up(&self) -> bool {
        matches!(self.phase, Phase::Killed { give_up }
            if give_up <= Monotonic::now() && self.is_running())
    }

    fn end(self) -> ChainEnd {
        let statuses = self.links.into_iter().map(|mut link| match link.state {
            State::Gone(status) => status,
            State::Ended => link.child.wait().ok(),
            State::Running => None,
        });
        ChainEnd::Ended {
            statuses: statuses.collect(),
            timed_out: self.timed_out,
        }
    }
}

#[derive(Clone, Copy)]
enum Watching {
    Orders,
    Link(usize),
    Output(usize),
}
