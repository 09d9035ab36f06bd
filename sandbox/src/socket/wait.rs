//! Waiting: for a socket, for a time, for another thread; and what it may come to.
//!
//! Owns:    `Patience`, the time-outs of a socket; `Failure`, and its texts.
//! Runs on: the thread of an input or output.            Plane: data.
//! Bounds:  `SLICE` between two looks whether the script is to end.
//! Never:   counts as processor time of the script: the thread sleeps.

use std::borrow::Cow;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::{IntoLuaMulti, Lua, MultiValue, Value};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::arguments::Given;
use crate::clock;
use crate::state::State;

/// The longest wait without a look whether the script is to end.
pub(super) const SLICE: Duration = Duration::from_millis(100);

/// Why something did not work.
#[derive(Debug)]
pub(super) enum Failure {
    Closed,
    Timeout,
    /// The script is to end.
    Stopped,
    /// More than the script's memory holds.
    Memory,
    System(Errno),
    Said(Cow<'static, str>),
}

impl From<Errno> for Failure {
    fn from(error: Errno) -> Failure {
        Failure::System(error)
    }
}

impl Failure {
    /// In LuaSocket's words.
    pub(super) fn text(self) -> Cow<'static, str> {
        match self {
            Failure::Closed => "closed".into(),
            Failure::Timeout => "timeout".into(),
            Failure::Stopped => "shutting down".into(),
            Failure::Memory => "not enough memory".into(),
            Failure::Said(text) => text,
            Failure::System(Errno::ADDRINUSE) => "address already in use".into(),
            Failure::System(Errno::ISCONN) => "already connected".into(),
            Failure::System(Errno::ACCESS) => "permission denied".into(),
            Failure::System(Errno::CONNREFUSED) => "connection refused".into(),
            Failure::System(Errno::CONNABORTED | Errno::CONNRESET) => "closed".into(),
            Failure::System(Errno::TIMEDOUT) => "timeout".into(),
            Failure::System(error) => said_by_system(error).into(),
        }
    }

    /// The text for the script; an error for what no script is to go on after.
    pub(super) fn told(self) -> mlua::Result<Cow<'static, str>> {
        match self {
            Failure::Stopped | Failure::Memory => Err(self.raised()),
            other => Ok(other.text()),
        }
    }

    /// The error for what no script is to go on after.
    pub(super) fn raised(self) -> mlua::Error {
        match self {
            Failure::Memory => mlua::Error::MemoryError(self.text().into_owned()),
            other => mlua::Error::runtime(other.text()),
        }
    }
}

/// The system's text of an error, without its number.
pub(super) fn said_by_system(error: Errno) -> String {
    let text = std::io::Error::from(error).to_string();
    match text.rfind(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// Nil and the text of a failure.
pub(super) fn failed(lua: &Lua, failure: Failure) -> mlua::Result<MultiValue> {
    (Value::Nil, failure.told()?).into_lua_multi(lua)
}

/// 1, or nil and the text of a failure.
pub(super) fn done(lua: &Lua, done: Result<(), Failure>) -> mlua::Result<MultiValue> {
    match done {
        Ok(()) => 1.into_lua_multi(lua),
        Err(failure) => failed(lua, failure),
    }
}

/// A failure if the script is to end.
pub(super) fn look(lua: &Lua) -> Result<(), Failure> {
    match lua.app_data_ref::<Rc<State>>() {
        Some(state) if !state.spend(0) => Err(Failure::Stopped),
        _ => Ok(()),
    }
}

/// The time-outs of a socket. A time below nothing is none.
pub(super) struct Patience {
    /// Of each wait.
    pub(super) block: f64,
    /// Of a call as a whole.
    pub(super) total: f64,
    began: Instant,
}

impl Patience {
    /// What waits for ever.
    pub(super) fn endless() -> Patience {
        Patience::of(-1.0)
    }

    /// So many seconds.
    pub(super) fn of(seconds: f64) -> Patience {
        Patience {
            block: seconds,
            total: -1.0,
            began: clock::moment(),
        }
    }

    /// A call begins.
    pub(super) fn begin(&mut self) {
        self.began = clock::moment();
    }

    /// Whether it does not wait at all.
    pub(super) fn is_none(&self) -> bool {
        self.block == 0.0 || self.total == 0.0
    }

    /// What is left; `None` for any time. Both limits count from the beginning of the call, as in LuaSocket.
    fn left(&self) -> Option<Duration> {
        let limit = match (self.block >= 0.0, self.total >= 0.0) {
            (false, false) => return None,
            (true, false) => self.block,
            (false, true) => self.total,
            (true, true) => self.block.min(self.total),
        };
        // What is too long to be counted is for ever.
        let limit = Duration::try_from_secs_f64(limit).ok()?;
        Some(limit.saturating_sub(self.began.elapsed()))
    }
}

/// Waits until one of some descriptors is ready, or in error; what they are is in `sockets`. Answers how many.
pub(super) fn any_ready(
    lua: &Lua,
    sockets: &mut [PollFd<'_>],
    patience: &Patience,
) -> Result<usize, Failure> {
    loop {
        look(lua)?;
        let left = patience.left();
        let slice = left.map_or(SLICE, |left| left.min(SLICE));
        let slice = Timespec::try_from(slice).map_err(|_| Failure::Timeout)?;
        match poll(sockets, Some(&slice)) {
            Ok(0) if left.is_some_and(|left| left <= SLICE) => return Err(Failure::Timeout),
            Ok(0) | Err(Errno::INTR) => {}
            Ok(ready) => return Ok(ready),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits until a socket is ready for something; without waiting it is not.
pub(super) fn ready(
    lua: &Lua,
    socket: BorrowedFd<'_>,
    what: PollFlags,
    patience: &Patience,
) -> Result<(), Failure> {
    if patience.is_none() {
        return look(lua).and(Err(Failure::Timeout));
    }
    any_ready(lua, &mut [PollFd::from_borrowed_fd(socket, what)], patience).map(drop)
}

/// Tries something until it does not block.
pub(super) fn until_done<R>(
    lua: &Lua,
    socket: BorrowedFd<'_>,
    what: PollFlags,
    patience: &Patience,
    mut attempt: impl FnMut() -> Result<R, Errno>,
) -> Result<R, Failure> {
    loop {
        match attempt() {
            Ok(done) => return Ok(done),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => ready(lua, socket, what, patience)?,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits so many seconds.
pub(super) fn sleep(lua: &Lua, seconds: f64) -> Result<(), Failure> {
    match any_ready(lua, &mut [], &Patience::of(seconds.max(0.0))) {
        Err(Failure::Timeout) => Ok(()),
        other => other.map(drop),
    }
}

impl Patience {
    /// `gettimeout()`.
    pub(super) fn told(&self, given: &Given<'_>) -> mlua::Result<MultiValue> {
        (self.block, self.total).into_lua_multi(given.lua)
    }

    /// `settimeout(seconds, mode)`.
    pub(super) fn set(&mut self, given: &Given<'_>) -> mlua::Result<MultiValue> {
        let seconds = given.number_or(1, -1.0)?;
        let mode = given.text_or_none(2)?;
        let mode = mode.as_ref().map(|mode| mode.as_bytes());
        match mode.as_ref().map_or(Some(&b'b'), |mode| mode.first()) {
            Some(b'b') => self.block = seconds,
            Some(b't' | b'r') => self.total = seconds,
            _ => return Err(given.refuse(2, "invalid timeout mode")),
        }
        1.into_lua_multi(given.lua)
    }
}
