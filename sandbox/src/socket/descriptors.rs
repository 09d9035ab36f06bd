//! Descriptors of sockets as numbers, which scripts are given by `getfd` and hand back.
//!
//! Owns:    the sockets of one machine by number; `Descriptor`, one of them or none.
//! Runs on: the thread of an input or output.            Plane: data.
//! Bounds:  one entry for each number that was ever given out.
//! Never:   takes a number for a socket that the script has not made.

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::{Rc, Weak};

use mlua::Lua;

use super::wait::Failure;

/// The number of a socket that is not open.
pub(super) const NONE: RawFd = -1;

/// The socket of an object, while it has one.
#[derive(Default)]
pub(super) struct Descriptor(Option<Rc<OwnedFd>>);

/// All sockets of a machine.
#[derive(Default)]
struct Open {
    known: HashMap<RawFd, Weak<OwnedFd>>,
    /// What a script took from its object by `setfd(-1)`: it will give the number to another.
    loose: HashMap<RawFd, Rc<OwnedFd>>,
}

/// Does something with the sockets of a machine.
fn with_open<R>(lua: &Lua, work: impl FnOnce(&mut Open) -> R) -> R {
    if lua.app_data_ref::<Open>().is_none() {
        lua.set_app_data(Open::default());
    }
    let mut open = lua
        .app_data_mut::<Open>()
        .expect("it was set, and is lent to nobody else");
    work(&mut open)
}

impl Descriptor {
    pub(super) fn new(lua: &Lua, socket: OwnedFd) -> Descriptor {
        let socket = Rc::new(socket);
        with_open(lua, |open| {
            open.known
                .insert(socket.as_raw_fd(), Rc::downgrade(&socket));
        });
        Descriptor(Some(socket))
    }

    /// As `getfd` tells it.
    pub(super) fn number(&self) -> RawFd {
        self.0.as_ref().map_or(NONE, |socket| socket.as_raw_fd())
    }

    pub(super) fn is_open(&self) -> bool {
        self.0.is_some()
    }

    /// To work with; a failure where there is none.
    pub(super) fn get(&self) -> Result<BorrowedFd<'_>, Failure> {
        match &self.0 {
            Some(socket) => Ok(socket.as_fd()),
            None => Err(Failure::Closed),
        }
    }

    /// The same for what LuaSocket asks the system without a look.
    pub(super) fn get_known(&self) -> Result<BorrowedFd<'_>, Failure> {
        self.get()
            .map_err(|_| Failure::System(rustix::io::Errno::BADF))
    }

    pub(super) fn close(&mut self) {
        self.0 = None;
    }

    /// Takes another socket by its number. Answers whether there is one.
    pub(super) fn set_number(&mut self, lua: &Lua, number: f64) -> bool {
        let number = number as RawFd;
        with_open(lua, |open| {
            if number < 0 {
                if let Some(socket) = self.0.take() {
                    open.loose.insert(socket.as_raw_fd(), socket);
                }
                return true;
            }
            let loose = open.loose.remove(&number);
            let Some(socket) = loose.or_else(|| open.known.get(&number)?.upgrade()) else {
                return false;
            };
            self.0 = Some(socket);
            true
        })
    }
}

/// The socket of a number, if it is one of the script's.
pub(super) fn find(lua: &Lua, number: f64) -> Option<Rc<OwnedFd>> {
    let number = number as RawFd;
    with_open(lua, |open| open.known.get(&number)?.upgrade())
}
