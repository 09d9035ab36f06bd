//! Userdata of modules: objects whose memory is all Lua's, values of Rust's that Lua keeps, and the registration of functions.
//!
//! Owns:    `Entry`, `Kind` and `Handle`, `Owned`, `register` and its relatives.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  an object by `OBJECT_BYTES_MAX`; all memory is Lua's, within the sandbox's limit.
//! Never:   lends anything but shared. The facts that the proofs name stand in `frame`.

#![expect(unsafe_code, reason = "Lua's stack is a C interface")]

use std::cell::Cell;
use std::ffi::{CStr, c_int, c_void};
use std::ops::Deref;

use mlua::ffi::{self, lua_State};
use mlua::{AnyUserData, Lua, Table, Value};

use super::frame::{Answer, Frame, enter};

/// Bytes of an object.
pub(crate) const OBJECT_BYTES_MAX: usize = 1 << 30;

/// A function of a module.
pub(crate) struct Entry {
    /// As scripts know it.
    pub(super) name: &'static CStr,
    /// Called with the object in front, as `object:name(...)`: the object does not count as an argument in texts.
    pub(super) method: bool,
    /// It may change its arguments, until `within`.
    pub(super) changes: bool,
    /// What it does.
    pub(super) run: fn(&mut Frame<'_>) -> Answer,
}

/// A function of a module's table.
pub(crate) const fn function(name: &'static CStr, run: fn(&mut Frame<'_>) -> Answer) -> Entry {
    Entry {
        name,
        method: false,
        changes: false,
        run,
    }
}

/// A function that changes its arguments before it looks at them.
pub(crate) const fn changing(name: &'static CStr, run: fn(&mut Frame<'_>) -> Answer) -> Entry {
    Entry {
        name,
        method: false,
        changes: true,
        run,
    }
}

/// A function that is called on an object.
pub(crate) const fn method(name: &'static CStr, run: fn(&mut Frame<'_>) -> Answer) -> Entry {
    Entry {
        name,
        method: true,
        changes: false,
        run,
    }
}

/// What any bits are one of, and nothing is to be done for when it ends.
pub(crate) trait Plain: Copy + 'static {}

impl Plain for u8 {}
impl Plain for u16 {}
impl Plain for f64 {}

/// A kind of object: a value, and behind it any number of cells, all in one piece of Lua's memory.
pub(crate) trait Kind: Sized + 'static {
    /// Told apart by; mlua uses 0 and 1.
    const TAG: c_int;
    /// In texts.
    const NAME: &'static str;
    /// What the cells are.
    type Item: Plain;
}

/// A value of Rust's that Lua keeps as userdata, and drops when nothing refers to it.
pub(crate) trait Owned: Sized + 'static {
    /// Told apart by; mlua uses 0 and 1.
    const TAG: c_int;
}

/// Luau aligns userdata to sixteen bytes.
pub(super) const fn fits<T: Owned>() {
    assert!(align_of::<T>() <= 16);
}

/// An object, lent.
pub(crate) struct Handle<'s, K: Kind> {
    value: &'s K,
    cells: &'s [Cell<K::Item>],
}

impl<K: Kind> Clone for Handle<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: Kind> Copy for Handle<'_, K> {}

impl<'s, K: Kind> Handle<'s, K> {
    /// The cells.
    #[inline]
    pub(crate) fn cells(&self) -> &'s [Cell<K::Item>] {
        self.cells
    }

    /// The value, for as long as the call lasts.
    pub(crate) fn lent(&self) -> &'s K {
        self.value
    }

    /// Whether both are the same object.
    pub(crate) fn is(&self, other: Handle<'_, K>) -> bool {
        std::ptr::eq(self.value, other.value)
    }
}

impl<'s, K: Kind> Deref for Handle<'s, K> {
    type Target = K;

    #[inline]
    fn deref(&self) -> &K {
        self.value
    }
}

/// Where the cells of an object begin.
pub(super) const fn cells_at<K: Kind>() -> usize {
    assert!(align_of::<K>() <= 8 && align_of::<K::Item>() <= 8);
    assert!(!std::mem::needs_drop::<K>());
    size_of::<K>().next_multiple_of(align_of::<K::Item>())
}

/// # Safety
///
/// `place` is that of an object of kind `K` and of `len` bytes, which lives and is not collected for `'s`.
#[inline]
pub(super) unsafe fn handle<'s, K: Kind>(place: *const c_void, len: usize) -> Handle<'s, K> {
    let at = const { cells_at::<K>() };
    // SAFETY: by the contract and fact 4 there is a value of the kind, and behind it as many cells as the rest has room for. `Cell` has the
    // form of what is in it.
    unsafe {
        Handle {
            value: &*place.cast::<K>(),
            cells: std::slice::from_raw_parts(
                place.byte_add(at).cast(),
                (len - at) / size_of::<K::Item>(),
            ),
        }
    }
}

/// Lends what an object is to somebody outside of a call.
pub(crate) fn lend<K: Kind>(object: &AnyUserData, see: &mut dyn FnMut(Handle<'_, K>)) -> bool {
    let Some(lua) = object.weak_lua().try_upgrade() else {
        return false;
    };
    let mut place = (std::ptr::null(), 0);
    // SAFETY: `exec_raw` runs the closure protected, with the object in slot 1, and leaves nothing.
    let found = unsafe {
        lua.exec_raw::<()>(object, |machine| {
            place = (
                ffi::lua_touserdatatagged(machine, 1, K::TAG).cast_const(),
                ffi::lua_objlen(machine, 1),
            );
            ffi::lua_settop(machine, 0);
        })
    };
    if found.is_err() || place.0.is_null() {
        return false;
    }
    // SAFETY: an object of that tag is one of the kind (fact 4), and `object` keeps it while it is lent.
    see(unsafe { handle(place.0, place.1) });
    true
}

unsafe extern "C" fn drop_owned<T: Owned>(_: *mut lua_State, value: *mut c_void) {
    // SAFETY: Luau calls this once for userdata of this tag, which holds a `T` (fact 4), when nothing refers to it.
    unsafe { value.cast::<T>().drop_in_place() }
}

/// Gives Lua a value that functions share, see `Frame::shared`.
pub(crate) fn share<T: Owned>(lua: &Lua, value: T) -> mlua::Result<Value> {
    const { fits::<T>() };
    let mut value = Some(value);
    // SAFETY: the closure runs protected and leaves one value. The destructor is set before the first userdata of the tag is made, and the value
    // is written before anything else runs.
    unsafe {
        lua.exec_raw((), |machine| {
            if let Some(value) = value.take() {
                ffi::lua_setuserdatadtor(machine, T::TAG, Some(drop_owned::<T>));
                let place = ffi::lua_newuserdatatagged(machine, size_of::<T>(), T::TAG);
                place.cast::<T>().write(value);
            }
        })
    }
}

/// # Safety
///
/// In a protected call, with a table on top and what functions share in slot 1.
unsafe fn fill(machine: *mut lua_State, entries: &'static [Entry]) {
    for entry in entries {
        // SAFETY: by the contract; four slots of the twenty that there are. Entries and their names live for ever.
        unsafe {
            ffi::lua_pushlightuserdata(machine, (entry as *const Entry).cast_mut().cast());
            ffi::lua_pushvalue(machine, 1);
            ffi::lua_pushcclosurek(machine, enter, entry.name.as_ptr(), 2, None);
            ffi::lua_rawsetfield(machine, -2, entry.name.as_ptr());
        }
    }
}

/// Makes a table of functions that share nothing.
pub(crate) fn register(lua: &Lua, functions: &'static [Entry]) -> mlua::Result<Table> {
    register_sharing(lua, &Value::Nil, functions)
}

/// Makes a table of functions that share a value.
pub(crate) fn register_sharing(
    lua: &Lua,
    shared: &Value,
    functions: &'static [Entry],
) -> mlua::Result<Table> {
    // SAFETY: the closure runs protected, with the value in slot 1, and leaves one table.
    unsafe {
        lua.exec_raw(shared, |machine| {
            ffi::lua_createtable(machine, 0, functions.len() as c_int + 1);
            fill(machine, functions);
            ffi::lua_remove(machine, 1);
        })
    }
}

/// Makes the metatable of values of Rust's, once a machine. Scripts are shown a copy that they cannot change: a value may have a metatable of
/// its own later, in which it keeps what is Lua's.
pub(crate) fn register_owned<T: Owned>(
    lua: &Lua,
    shared: &Value,
    operators: &'static [Entry],
    index: &Table,
) -> mlua::Result<()> {
    // SAFETY: the closure runs protected, with what is shared in slot 1 and the table in slot 2, and leaves nothing. The destructor is set
    // before the first userdata of the tag is made.
    unsafe {
        lua.exec_raw((shared, index), |machine| {
            ffi::lua_setuserdatadtor(machine, T::TAG, Some(drop_owned::<T>));
            ffi::lua_createtable(machine, 0, operators.len() as c_int + 2);
            fill(machine, operators);
            ffi::lua_pushvalue(machine, 2);
            ffi::lua_rawsetfield(machine, -2, c"__index".as_ptr());
            ffi::lua_clonetable(machine, -1);
            ffi::lua_setreadonly(machine, -1, 1);
            ffi::lua_rawsetfield(machine, -2, c"__metatable".as_ptr());
            ffi::lua_setuserdatametatable(machine, T::TAG);
            ffi::lua_settop(machine, 0);
        })
    }
}

/// Makes the metatable of a kind, once a machine.
pub(crate) fn register_kind<K: Kind>(lua: &Lua, methods: &'static [Entry]) -> mlua::Result<()> {
    // SAFETY: the closure runs protected and leaves nothing. The metatable of a tag is set only where there is none.
    unsafe {
        lua.exec_raw((), |machine| {
            ffi::lua_getuserdatametatable(machine, K::TAG);
            if ffi::lua_type(machine, -1) != ffi::LUA_TNIL {
                ffi::lua_settop(machine, 0);
                return;
            }
            // The nil in slot 1 is what methods share.
            ffi::lua_createtable(machine, 0, methods.len() as c_int + 1);
            fill(machine, methods);
            ffi::lua_pushvalue(machine, -1);
            ffi::lua_rawsetfield(machine, -2, c"__index".as_ptr());
            ffi::lua_setuserdatametatable(machine, K::TAG);
            ffi::lua_settop(machine, 0);
        })
    }
}
