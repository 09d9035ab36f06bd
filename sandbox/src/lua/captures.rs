//! Lua's stack for functions written in Rust: what LPeg needs of it, safe to use.
//!
//! Owns:    `Stack`, tagged userdata, the frame that Rust functions are called through, the library's registration.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  every push makes room or raises Lua's "stack overflow"; memory is Lua's, within the sandbox's limit.
//! Never:   hands out a reference that outlives what it refers to.
//!
//! Three facts carry the proofs below.
//!
//! 1. Luau raises errors as C++ exceptions (luau0-src builds it so by default; mlua-sys sets nothing else). They pass through
//!    `extern "C-unwind"` functions and through Rust frames, whose values are dropped on the way. So a call that raises is like
//!    one that panics: no state may be left half-made across it.
//! 2. A function's frame begins at its first argument; nothing but the function itself changes the slots of its frame. A value
//!    in a slot is not collected, and strings and userdata do not move. `Stack` never changes slots up to `floor` once that is
//!    set, so what they hold lives until the function returns.
//! 3. Positive indices are valid or beyond the top, where Lua answers "none"; those handed in here are positive, and what is
//!    changed is checked to be above the floor and not above the top.

#![expect(unsafe_code, reason = "Lua's stack is a C interface")]

use std::ffi::{CStr, c_int, c_void};
use std::marker::PhantomData;
use std::ptr::NonNull;

use mlua::ffi::{self, lua_State};
use mlua::{Lua, Table};

use super::guard::{answer, guarded};
use crate::lpeg::Library;
use crate::lpeg::tree::Pattern;

/// Values that Lua owns as userdata, told apart by a tag. mlua uses the tags 0 and 1.
pub(crate) trait Tagged: Sized + 'static {
    const TAG: c_int;
}

impl Tagged for Pattern {
    const TAG: c_int = 101;
}

impl Tagged for Library {
    const TAG: c_int = 102;
}

/// Luau aligns userdata to sixteen bytes.
const fn fits<T: Tagged>() {
    assert!(align_of::<T>() <= 16);
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Is {
    None,
    Nil,
    Boolean,
    Number,
    Text,
    Table,
    Function,
    Other,
}

/// A function in Rust that Lua calls: answers how many results it left on top, or an error's text.
pub(crate) type Answer = Result<i32, String>;

/// The frame of one call.
pub(crate) struct Stack<'s> {
    state: *mut lua_State,
    /// Slots up to here stay as they are.
    floor: i32,
    call: PhantomData<&'s ()>,
}

/// A function as Lua takes it.
#[derive(Clone, Copy)]
pub(crate) struct Native(ffi::lua_CFunction);

/// Makes a Rust function one that Lua can call.
pub(crate) fn native<F>(_: F) -> Native
where
    F: Fn(&mut Stack<'_>) -> Answer + Copy + 'static,
{
    const {
        assert!(
            size_of::<F>() == 0,
            "a function item, not a closure that holds something"
        )
    };
    Native(enter::<F>)
}

unsafe extern "C-unwind" fn enter<F>(state: *mut lua_State) -> c_int
where
    F: Fn(&mut Stack<'_>) -> Answer + Copy + 'static,
{
    // SAFETY: `native` was given a value of the type `F`, which has no bytes; every aligned pointer is one to such a value.
    let function = unsafe { NonNull::<F>::dangling().as_ref() };
    let mut stack = Stack {
        state,
        floor: 0,
        call: PhantomData,
    };
    let ended = guarded(|| function(&mut stack));
    // SAFETY: the function ends.
    unsafe { answer(state, ended) }
}

impl<'s> Stack<'s> {
    #[inline]
    pub(crate) fn top(&self) -> i32 {
        // SAFETY: reads a number of a live state.
        unsafe { ffi::lua_gettop(self.state) }
    }

    /// Does something for which the slots that there are stay as they are; afterwards they are what they were before.
    pub(crate) fn within<R>(&mut self, work: impl for<'t> FnOnce(&mut Stack<'t>) -> R) -> R {
        let mut inner = Stack {
            state: self.state,
            floor: self.top(),
            call: PhantomData,
        };
        work(&mut inner)
    }

    /// Asks that a slot may be changed.
    #[inline]
    fn changes(&self, slot: i32) {
        assert!(slot > self.floor && slot <= self.top(), "slot {slot}");
    }

    /// Asks that there are so many values above the floor.
    #[inline]
    fn has(&self, count: i32) {
        assert!(
            count >= 0 && count <= self.top() - self.floor,
            "{count} values"
        );
    }

    /// Drops or adds values, until there are so many.
    pub(crate) fn set_top(&mut self, top: i32) {
        let now = self.top();
        assert!(
            top >= self.floor && top <= now.max(self.floor) + 16,
            "top {top}"
        );
        self.reserve(16);
        // SAFETY: not below the floor; room for what is added was just made.
        unsafe { ffi::lua_settop(self.state, top) }
    }

    /// Makes room, or raises.
    pub(crate) fn reserve(&mut self, count: i32) {
        // SAFETY: raises where there is no room; the text is a C string.
        unsafe { ffi::luaL_checkstack_(self.state, count, c"too many captures".as_ptr()) }
    }

    #[inline]
    pub(crate) fn pop(&mut self, count: i32) {
        self.has(count);
        // SAFETY: there are so many values above the floor.
        unsafe { ffi::lua_pop(self.state, count) }
    }

    #[inline]
    pub(crate) fn is(&self, slot: i32) -> Is {
        assert!(slot > 0);
        // SAFETY: fact 3.
        match unsafe { ffi::lua_type(self.state, slot) } {
            ffi::LUA_TNONE => Is::None,
            ffi::LUA_TNIL => Is::Nil,
            ffi::LUA_TBOOLEAN => Is::Boolean,
            ffi::LUA_TNUMBER => Is::Number,
            ffi::LUA_TSTRING => Is::Text,
            ffi::LUA_TTABLE => Is::Table,
            ffi::LUA_TFUNCTION => Is::Function,
            _ => Is::Other,
        }
    }

    /// The name of what a value is.
    pub(crate) fn type_name(&self, slot: i32) -> &'static str {
        assert!(slot > 0);
        // SAFETY: fact 3; the names are constants of Luau.
        let name = unsafe { CStr::from_ptr(ffi::luaL_typename(self.state, slot)) };
        name.to_str().unwrap_or("value")
    }

    pub(crate) fn truth(&self, slot: i32) -> bool {
        assert!(slot > 0);
        // SAFETY: fact 3.
        unsafe { ffi::lua_toboolean(self.state, slot) != 0 }
    }

    /// A number, or a string that is one.
    pub(crate) fn number(&self, slot: i32) -> Option<f64> {
        assert!(slot > 0);
        let mut is_number = 0;
        // SAFETY: fact 3; the flag is a live integer.
        let number = unsafe { ffi::lua_tonumberx(self.state, slot, &mut is_number) };
        (is_number != 0).then_some(number)
    }

    /// A string's bytes; a number becomes a string in its slot.
    pub(crate) fn text(&mut self, slot: i32) -> Option<&[u8]> {
        match self.is(slot) {
            Is::Text => {}
            // The slot changes what it holds, but nothing can refer to a number.
            Is::Number => {}
            _ => return None,
        }
        // SAFETY: it is a string or becomes one; its bytes stay where they are as long as the slot holds it, and the slot
        // cannot change while the answer borrows the frame (fact 2).
        Some(unsafe { self.bytes_of(slot) })
    }

    /// A string's bytes for as long as the call lasts.
    pub(crate) fn sealed_text(&mut self, slot: i32) -> Option<&'s [u8]> {
        if slot > self.floor || !matches!(self.is(slot), Is::Text | Is::Number) {
            return None;
        }
        // SAFETY: it is a string or becomes one, in a slot that does not change until the call ends (fact 2).
        Some(unsafe { self.bytes_of(slot) })
    }

    /// # Safety
    ///
    /// The slot holds a string or a number, and does not change as long as the answer lives.
    unsafe fn bytes_of<'b>(&self, slot: i32) -> &'b [u8] {
        let mut len = 0;
        // SAFETY: a valid slot; the length is a live number; Luau's strings are so long and never null here.
        unsafe {
            let bytes = ffi::lua_tolstring(self.state, slot, &mut len);
            std::slice::from_raw_parts(bytes.cast(), len)
        }
    }

    #[inline]
    pub(crate) fn push_nil(&mut self) {
        // SAFETY: a push makes room or raises.
        unsafe { ffi::lua_pushnil(self.state) }
    }

    #[inline]
    pub(crate) fn push_number(&mut self, number: f64) {
        // SAFETY: a push makes room or raises.
        unsafe { ffi::lua_pushnumber(self.state, number) }
    }

    #[inline]
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) {
        // SAFETY: a push makes room or raises; the bytes are copied.
        unsafe { ffi::lua_pushlstring_(self.state, bytes.as_ptr().cast(), bytes.len()) }
    }

    /// Pushes what a slot holds.
    #[inline]
    pub(crate) fn push_copy(&mut self, slot: i32) {
        assert!(slot > 0 && slot <= self.top());
        // SAFETY: the slot exists; a push makes room or raises.
        unsafe { ffi::lua_pushvalue(self.state, slot) }
    }

    /// Moves the top value below those from `slot` on.
    pub(crate) fn insert(&mut self, slot: i32) {
        self.changes(slot);
        // SAFETY: the slot may be changed, and so may all above it.
        unsafe { ffi::lua_insert(self.state, slot) }
    }

    /// Moves the top value into a slot.
    pub(crate) fn replace(&mut self, slot: i32) {
        self.changes(slot);
        // SAFETY: the slot may be changed.
        unsafe { ffi::lua_replace(self.state, slot) }
    }

    pub(crate) fn remove(&mut self, slot: i32) {
        self.changes(slot);
        // SAFETY: the slot may be changed, and so may all above it.
        unsafe { ffi::lua_remove(self.state, slot) }
    }

    /// Calls the function below so many arguments; it and they are replaced by the results, so many or all.
    pub(crate) fn call(&mut self, arguments: i32, results: Option<i32>) {
        self.has(arguments + 1);
        self.reserve(results.unwrap_or(0).max(4));
        // SAFETY: the function and its arguments are there, there is room for the results; errors pass (fact 1).
        unsafe {
            ffi::lua_call(self.state, arguments, results.unwrap_or(ffi::LUA_MULTRET));
        }
    }

    /// Pushes a table with room for entries in a row and named ones.
    pub(crate) fn push_table(&mut self, row: u8, named: u8) {
        // SAFETY: a push makes room or raises.
        unsafe { ffi::lua_createtable(self.state, row.into(), named.into()) }
    }

    /// Pushes a table with room for so many entries in a row.
    pub(crate) fn push_row(&mut self, entries: i32) {
        assert!(entries >= 0);
        // SAFETY: a push makes room or raises.
        unsafe { ffi::lua_createtable(self.state, entries, 0) }
    }

    #[inline]
    fn is_table(&self, slot: i32) {
        assert!(self.is(slot) == Is::Table, "slot {slot} is no table");
    }

    /// Stores the top value in a table, and pops it.
    #[inline]
    pub(crate) fn set_index(&mut self, table: i32, index: i32) {
        self.is_table(table);
        self.has(1);
        // SAFETY: a table, and a value above the floor.
        unsafe { ffi::lua_rawseti_(self.state, table, index) }
    }

    /// Pushes a table's entry.
    #[inline]
    pub(crate) fn push_index(&mut self, table: i32, index: i32) {
        self.is_table(table);
        // SAFETY: a table; a push makes room or raises.
        unsafe {
            ffi::lua_rawgeti_(self.state, table, index);
        }
    }

    /// Stores the top value under the key below it, and pops both. Raises where the table must not be changed.
    #[inline]
    pub(crate) fn set_entry(&mut self, table: i32) {
        self.is_table(table);
        self.has(2);
        // SAFETY: a table, a key and a value above the floor; a key that cannot be one raises.
        unsafe { ffi::lua_rawset(self.state, table) }
    }

    /// Replaces the key on top by what indexing a value with it answers, metamethods and all.
    pub(crate) fn index(&mut self, slot: i32) {
        assert!(slot > 0 && slot <= self.top());
        self.has(1);
        // SAFETY: the slot exists, the key is above the floor; errors pass (fact 1).
        unsafe {
            ffi::lua_gettable(self.state, slot);
        }
    }

    /// Replaces the key on top by the table's entry.
    pub(crate) fn raw_index(&mut self, table: i32) {
        self.is_table(table);
        self.has(1);
        // SAFETY: a table; the key is above the floor.
        unsafe {
            ffi::lua_rawget(self.state, table);
        }
    }

    /// Replaces the key on top by the next key and value of a table; `false`, and no value, where there is none.
    pub(crate) fn next(&mut self, table: i32) -> bool {
        self.is_table(table);
        self.has(1);
        // SAFETY: a table; the key is above the floor; a key that is none of the table's raises.
        unsafe { ffi::lua_next(self.state, table) != 0 }
    }

    /// Whether two values are equal, by their metamethod where they have one.
    pub(crate) fn equal(&mut self, one: i32, other: i32) -> bool {
        assert!(one > 0 && other > 0);
        // SAFETY: fact 3; errors pass (fact 1).
        unsafe { ffi::lua_equal(self.state, one, other) != 0 }
    }

    /// Pushes the length of a string or a table, or what an object's `__len` answers; `false` where there is none.
    pub(crate) fn push_length(&mut self, slot: i32) -> bool {
        match self.is(slot) {
            Is::Text | Is::Table => {
                // SAFETY: a valid slot.
                let length = unsafe { ffi::lua_objlen(self.state, slot) };
                self.push_number(length as f64);
                true
            }
            // SAFETY: a valid slot; pushes a value where it answers so; errors pass (fact 1).
            _ => unsafe { ffi::luaL_callmeta(self.state, slot, c"__len".as_ptr()) != 0 },
        }
    }

    /// The userdata in a slot that stays as it is.
    pub(crate) fn sealed<T: Tagged>(&self, slot: i32) -> Option<&'s T> {
        if slot > self.floor {
            return None;
        }
        // SAFETY: userdata of this tag is made by `push_userdata` alone, which puts a `T` in before anybody sees it; it is
        // dropped when it is collected, which the slot prevents until the call ends (fact 2). It is never lent mutably.
        unsafe { self.tagged(slot) }
    }

    /// Whether a slot holds such userdata.
    pub(crate) fn holds<T: Tagged>(&self, slot: i32) -> bool {
        assert!(slot > 0);
        // SAFETY: as in `sealed`; the reference is not kept.
        unsafe { self.tagged::<T>(slot) }.is_some()
    }

    /// # Safety
    ///
    /// The slot keeps what it holds as long as the answer lives.
    unsafe fn tagged<'t, T: Tagged>(&self, slot: i32) -> Option<&'t T> {
        // SAFETY: any slot may be asked for; a tag stands for one type (see `sealed`).
        unsafe {
            ffi::lua_touserdatatagged(self.state, slot, T::TAG)
                .cast::<T>()
                .as_ref()
        }
    }

    /// Pushes userdata that Lua counts as `weight` bytes more than it is, for what it refers to.
    pub(crate) fn push_userdata<T: Tagged>(&mut self, value: T, weight: usize) {
        const { fits::<T>() };
        // SAFETY: Luau answers memory of at least that size, aligned (`fits`), with the tag's metatable and destructor, which
        // `register` has set. If it raises, `value` is dropped (fact 1) and there is no userdata. Nothing runs in between.
        unsafe {
            let bytes = size_of::<T>().saturating_add(weight);
            let place = ffi::lua_newuserdatataggedwithmetatable(self.state, bytes, T::TAG);
            place.cast::<T>().write(value);
        }
    }

    /// Pushes memory of so many bytes that nobody uses: what Rust holds for the script, on the script's account.
    pub(crate) fn push_ballast(&mut self, bytes: usize) {
        // SAFETY: plain userdata without a destructor; a push makes room or raises.
        unsafe {
            ffi::lua_newuserdatatagged(self.state, bytes, 0);
        }
    }

    /// Pushes the table that holds the values of the pattern in a slot.
    pub(crate) fn push_values(&mut self, slot: i32) {
        assert!(slot > 0);
        // SAFETY: fact 3; a metatable is pushed where it answers so.
        unsafe {
            if ffi::lua_getmetatable(self.state, slot) == 0 {
                ffi::lua_pushnil(self.state);
            }
        }
    }

    /// Pushes a copy of the table that holds the values of the pattern in a slot.
    pub(crate) fn push_values_copy(&mut self, slot: i32) {
        self.push_values(slot);
        self.is_table(self.top());
        // SAFETY: a table is on top; the copy takes its place.
        unsafe {
            ffi::lua_clonetable(self.state, -1);
            ffi::lua_remove(self.state, -2);
        }
    }

    /// Whether two patterns have their values in the same table.
    pub(crate) fn same_values(&mut self, one: i32, other: i32) -> bool {
        self.push_values(one);
        self.push_values(other);
        // SAFETY: two values are on top.
        let same = unsafe { ffi::lua_rawequal(self.state, -1, -2) != 0 };
        self.pop(2);
        same
    }

    /// Makes the table on top the one that holds the values of the pattern in a slot, and pops it.
    pub(crate) fn set_values(&mut self, slot: i32) {
        assert!(self.holds::<Pattern>(slot));
        self.is_table(self.top());
        self.has(1);
        // SAFETY: userdata and a table above the floor.
        unsafe {
            ffi::lua_setmetatable(self.state, slot);
        }
    }

    /// What all functions of the library share.
    pub(crate) fn library(&self) -> &'s Library {
        // SAFETY: `register` makes every function with the library as its first upvalue, and the running function is kept by
        // its frame until the call ends (fact 2).
        let library = unsafe { self.tagged(ffi::lua_upvalueindex(1)) };
        library.expect("functions are made with the library")
    }

    /// Lets the host stop what runs, by Luau's interrupt, if one is set.
    pub(crate) fn safepoint(&mut self) {
        // SAFETY: this is a function that Lua has called.
        unsafe { super::frame::safepoint(self.state) }
    }
}

unsafe extern "C" fn drop_tagged<T: Tagged>(_: *mut lua_State, value: *mut c_void) {
    // SAFETY: Luau calls this once for userdata of this tag, which holds a `T` (see `push_userdata`), when nothing refers to it.
    unsafe { value.cast::<T>().drop_in_place() }
}

/// Makes the library's table, with `functions` in it, and the metatable of patterns, with `operators`.
pub(crate) fn register(
    lua: &Lua,
    library: Library,
    functions: &[(&CStr, Native)],
    operators: &[(&CStr, Native)],
    length: Native,
) -> mlua::Result<Table> {
    let mut library = Some(library);
    // SAFETY: the closure leaves one table on the empty stack that it was given. What it calls with a
    // table or with upvalues has just been pushed. Tags are set up before the first userdata of theirs is made.
    unsafe {
        lua.exec_raw((), |state| {
            ffi::lua_setuserdatadtor(state, Pattern::TAG, Some(drop_tagged::<Pattern>));
            ffi::lua_setuserdatadtor(state, Library::TAG, Some(drop_tagged::<Library>));
            let place = ffi::lua_newuserdatatagged(state, size_of::<Library>(), Library::TAG);
            if let Some(library) = library.take() {
                place.cast::<Library>().write(library);
            }
            // The library is at 1.
            let fill = |list: &[(&CStr, Native)]| {
                for (name, function) in list {
                    ffi::lua_pushvalue(state, 1);
                    ffi::lua_pushcclosurek(state, function.0, name.as_ptr(), 1, None);
                    ffi::lua_rawsetfield(state, -2, name.as_ptr());
                }
            };
            ffi::lua_createtable(state, 0, functions.len() as c_int + 2);
            fill(functions);
            ffi::lua_createtable(state, 0, 0);
            ffi::lua_createtable(state, 0, 1);
            fill(&[(c"__pow", length)]);
            ffi::lua_setmetatable(state, -2);
            ffi::lua_rawsetfield(state, -2, c"length".as_ptr());
            ffi::lua_createtable(state, 0, operators.len() as c_int + 2);
            fill(operators);
            ffi::lua_pushvalue(state, 2);
            ffi::lua_rawsetfield(state, -2, c"__index".as_ptr());
            // What scripts are shown is a copy: a pattern's own metatable holds its values, and must not change.
            ffi::lua_clonetable(state, -1);
            ffi::lua_setreadonly(state, -1, 1);
            ffi::lua_rawsetfield(state, -2, c"__metatable".as_ptr());
            ffi::lua_setuserdatametatable(state, Pattern::TAG);
            ffi::lua_replace(state, 1);
            ffi::lua_settop(state, 1);
        })
    }
}
