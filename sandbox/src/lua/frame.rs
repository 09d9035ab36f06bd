//! Lua's stack, for functions of modules: the frame of a function in Rust that scripts call.
//!
//! Owns:    `Frame`.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  every push makes room or raises Lua's "stack overflow"; all memory is Lua's, within the sandbox's limit.
//! Never:   hands out what outlives the call.
//!
//! Four facts carry the proofs below.
//!
//! 1. Luau raises errors as C++ exceptions (luau0-src builds it so). They pass through `extern "C-unwind"` functions and through
//!    Rust frames, whose values are dropped on the way. So a call that raises is like one that panics: nothing may be left half-made
//!    across it. What a function does runs in `guarded`, where panics end, too.
//! 2. The slots of a running function belong to it alone, and a value in a slot is not collected; strings and userdata do not move. `Frame`
//!    never changes slots up to `floor`, but for numbers that become their text, so what they hold lives as long as the call. These are the
//!    arguments; a function that changes some of them first has none such slots until it calls `within`.
//! 3. `Frame` counts in `top` what is on its part of the stack, and in `room` the slots that there are. Every slot that is read or
//!    written is compared with them first.
//! 4. Userdata of our tags is made by `push_object`, `push_owned` and `share` alone, and initialised before anything else can run: a value of the
//!    type that the tag stands for, and in objects the cells. It is only ever lent shared, and changes through `Cell`; a machine runs on one thread
//!    at a time.

#![expect(unsafe_code, reason = "Lua's stack is a C interface")]

use std::ffi::{CStr, c_int};
use std::marker::PhantomData;

use mlua::ffi::{self, lua_State};

use super::guard::{answer, guarded};
use super::userdata::{Entry, Handle, Kind, OBJECT_BYTES_MAX, Owned, cells_at, fits, handle};

/// Slots that a function finds free above its arguments.
const SLOTS_AT_FIRST: i32 = ffi::LUA_MINSTACK;

/// Slots that are asked for at once when those run out.
const SLOTS_MORE: i32 = 32;

/// An answer of a function: how many results it left on top, or the text of an error.
pub(crate) type Answer = Result<i32, String>;

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
    /// Light userdata that is null.
    Null,
    Other,
}

/// The frame of one call.
pub(crate) struct Frame<'s> {
    machine: *mut lua_State,
    entry: &'static Entry,
    count: i32,
    /// Slots up to here stay as they are.
    floor: i32,
    top: i32,
    room: i32,
    call: PhantomData<&'s ()>,
}

pub(super) unsafe extern "C-unwind" fn enter(machine: *mut lua_State) -> c_int {
    // SAFETY: only `register` makes closures of this function, with the address of an entry that lives for ever. The top is at least 0.
    let (entry, count) = unsafe {
        let entry = ffi::lua_tolightuserdata(machine, ffi::lua_upvalueindex(1));
        (&*entry.cast::<Entry>(), ffi::lua_gettop(machine))
    };
    let mut frame = Frame {
        machine,
        entry,
        count,
        floor: if entry.changes { 0 } else { count },
        top: count,
        room: count + SLOTS_AT_FIRST,
        call: PhantomData,
    };
    let ended = guarded(|| {
        let answer = (entry.run)(&mut frame);
        if let Ok(results) = answer {
            frame.has(results);
        }
        answer
    });
    // SAFETY: the function ends.
    unsafe { answer(machine, ended) }
}

impl<'s> Frame<'s> {
    /// Makes room, or raises.
    pub(crate) fn reserve(&mut self, slots: i32) {
        if !self.try_reserve(slots) {
            // SAFETY: raises, with a C string; the stack has room for what raises (Luau keeps it back).
            unsafe { ffi::luaL_error(self.machine, c"stack overflow".as_ptr()) }
        }
    }

    /// Makes room, where there can be more.
    pub(crate) fn try_reserve(&mut self, slots: i32) -> bool {
        if self.top + slots <= self.room {
            return true;
        }
        let more = slots.saturating_add(SLOTS_MORE);
        // SAFETY: the top is what is counted (fact 3); the entry answers whether there are so many slots above it.
        let made = unsafe { ffi::lua_checkstack(self.machine, more) != 0 };
        if made {
            self.room = self.top + more;
        }
        made
    }

    /// Counts a value that was or will be pushed.
    #[inline]
    fn pushes(&mut self, values: i32) {
        if self.top + values > self.room {
            self.reserve(values);
        }
        self.top += values;
    }

    /// How many arguments there are.
    pub(crate) fn len(&self) -> i32 {
        self.count
    }

    /// How many values there are, arguments and pushed ones.
    pub(crate) fn top(&self) -> i32 {
        self.top
    }

    /// Takes values off again.
    #[inline]
    pub(crate) fn pop_to(&mut self, top: i32) {
        assert!(top >= self.floor && top <= self.top, "top {top}");
        self.top = top;
        // SAFETY: lower than it was (fact 3).
        unsafe { ffi::lua_settop(self.machine, top) }
    }

    #[inline]
    pub(crate) fn pop(&mut self, count: i32) {
        self.pop_to(self.top - count);
    }

    /// Takes values off or adds nils, until there are so many.
    pub(crate) fn set_top(&mut self, top: i32) {
        assert!(top >= self.floor, "top {top}");
        self.reserve((top - self.top).max(0));
        self.top = top;
        // SAFETY: not below the floor; there is room for what is added.
        unsafe { ffi::lua_settop(self.machine, top) }
    }

    /// Does something for which the slots that there are stay as they are; afterwards they are what they were before.
    pub(crate) fn within<R>(&mut self, work: impl for<'t> FnOnce(&mut Frame<'t>) -> R) -> R {
        let mut inner = Frame {
            floor: self.top,
            call: PhantomData,
            ..*self
        };
        let done = work(&mut inner);
        (self.top, self.room) = (inner.top, inner.room);
        done
    }

    /// Asks that a slot may be changed.
    #[inline]
    fn changes(&self, slot: i32) {
        assert!(slot > self.floor && slot <= self.top, "slot {slot}");
    }

    /// Asks that there are so many values above the floor.
    #[inline]
    fn has(&self, count: i32) {
        assert!(
            count >= 0 && count <= self.top - self.floor,
            "{count} values"
        );
    }

    #[inline]
    fn there(&self, slot: i32) -> i32 {
        assert!(slot >= 1 && slot <= self.top, "slot {slot}");
        slot
    }

    /// What stands in a slot.
    #[inline]
    pub(crate) fn is(&self, slot: i32) -> Is {
        if slot < 1 || slot > self.top {
            return Is::None;
        }
        // SAFETY: the slot is there.
        match unsafe { ffi::lua_type(self.machine, slot) } {
            ffi::LUA_TNIL => Is::Nil,
            ffi::LUA_TBOOLEAN => Is::Boolean,
            ffi::LUA_TNUMBER => Is::Number,
            ffi::LUA_TSTRING => Is::Text,
            ffi::LUA_TTABLE => Is::Table,
            ffi::LUA_TFUNCTION => Is::Function,
            ffi::LUA_TLIGHTUSERDATA => {
                // SAFETY: the slot is there.
                let address = unsafe { ffi::lua_touserdata(self.machine, slot) };
                if address.is_null() {
                    Is::Null
                } else {
                    Is::Other
                }
            }
            _ => Is::Other,
        }
    }

    /// The name of what stands in a slot, as Lua 5.1 has it.
    pub(crate) fn type_name(&self, slot: i32) -> &'static str {
        if slot < 1 || slot > self.top {
            return "no value";
        }
        // SAFETY: the slot is there; the names are constants of Luau.
        let name = unsafe {
            let kind = ffi::lua_type(self.machine, slot);
            CStr::from_ptr(ffi::lua_typename(self.machine, kind))
        };
        match name.to_bytes() {
            b"vector" | b"buffer" | b"integer" => "userdata",
            _ => name.to_str().unwrap_or("userdata"),
        }
    }

    /// The text of an error about an argument, as Lua 5.1 words it.
    #[cold]
    pub(crate) fn refuse(&self, argument: i32, why: &str) -> String {
        let name = self.entry.name.to_str().unwrap_or("?");
        match argument - i32::from(self.entry.method && argument > 0) {
            0 if argument == 1 => format!("calling '{name}' on bad self ({why})"),
            argument => format!("bad argument #{argument} to '{name}' ({why})"),
        }
    }

    #[cold]
    pub(crate) fn refuse_type(&self, argument: i32, expected: &str) -> String {
        let got = self.type_name(argument);
        self.refuse(argument, &format!("{expected} expected, got {got}"))
    }

    /// Refuses another number of arguments.
    pub(crate) fn counts(&self, counts: std::ops::RangeInclusive<i32>) -> Result<(), String> {
        match counts.contains(&self.count) {
            true => Ok(()),
            false => Err(self.refuse(0, "incorrect number of arguments")),
        }
    }

    /// Whether there is no such argument, or it is nil.
    pub(crate) fn is_absent(&self, argument: i32) -> bool {
        argument > self.count || matches!(self.is(argument), Is::None | Is::Nil)
    }

    /// The truth of an argument.
    pub(crate) fn truth(&self, argument: i32) -> bool {
        if argument < 1 || argument > self.top {
            return false;
        }
        // SAFETY: the slot is there.
        unsafe { ffi::lua_toboolean(self.machine, argument) != 0 }
    }

    /// A number, or a text that is one.
    #[inline]
    pub(crate) fn as_number(&self, slot: i32) -> Option<f64> {
        if slot < 1 || slot > self.top {
            return None;
        }
        let mut is_number = 0;
        // SAFETY: the slot is there; the flag is a live integer.
        let number = unsafe { ffi::lua_tonumberx(self.machine, slot, &mut is_number) };
        (is_number != 0).then_some(number)
    }

    /// A number.
    #[inline]
    pub(crate) fn number(&self, argument: i32) -> Result<f64, String> {
        self.as_number(argument)
            .ok_or_else(|| self.refuse_type(argument, "number"))
    }

    /// A number, or what stands for it where it is absent.
    pub(crate) fn number_or(&self, argument: i32, default: f64) -> Result<f64, String> {
        match self.is_absent(argument) {
            true => Ok(default),
            false => self.number(argument),
        }
    }

    /// A whole number: what is behind the point is cut off.
    #[inline]
    pub(crate) fn integer(&self, argument: i32) -> Result<i32, String> {
        self.number(argument).map(|number| number as i32)
    }

    /// One of a few words.
    pub(crate) fn option(
        &self,
        argument: i32,
        default: Option<usize>,
        words: &[&str],
    ) -> Result<usize, String> {
        if let (true, Some(default)) = (self.is_absent(argument), default) {
            return Ok(default);
        }
        let text = self.text(argument)?;
        words
            .iter()
            .position(|word| word.as_bytes() == text)
            .ok_or_else(|| {
                let text = String::from_utf8_lossy(text);
                self.refuse(argument, &format!("invalid option '{text}'"))
            })
    }

    /// The bytes of an argument that is a text; a number becomes one.
    pub(crate) fn text(&self, argument: i32) -> Result<&'s [u8], String> {
        self.as_text(argument)
            .ok_or_else(|| self.refuse_type(argument, "string"))
    }

    /// The bytes of a text that stays as it is; a number becomes one.
    #[inline]
    pub(crate) fn as_text(&self, slot: i32) -> Option<&'s [u8]> {
        if slot > self.floor || !matches!(self.is(slot), Is::Text | Is::Number) {
            return None;
        }
        // SAFETY: a string or a number, in a slot that does not change until the call ends (fact 2).
        Some(unsafe { self.bytes(slot) })
    }

    /// The bytes of a text in any slot; a number becomes one.
    pub(crate) fn bytes_at(&mut self, slot: i32) -> Option<&[u8]> {
        if !matches!(self.is(slot), Is::Text | Is::Number) {
            return None;
        }
        // SAFETY: a string or a number; the slot cannot change while the answer borrows the frame. That a number becomes its text is no change:
        // nothing can refer to a number.
        Some(unsafe { self.bytes(slot) })
    }

    /// # Safety
    ///
    /// The slot holds a string or a number, and does not change as long as the answer lives.
    #[inline]
    unsafe fn bytes<'b>(&self, slot: i32) -> &'b [u8] {
        let mut len = 0;
        // SAFETY: by the contract; Luau's strings are so long and never null here. Raises for want of memory where a number becomes a text.
        unsafe {
            let text = ffi::lua_tolstring(self.machine, slot, &mut len);
            std::slice::from_raw_parts(text.cast(), len)
        }
    }

    /// Shows the bytes of a text in any slot.
    #[inline]
    pub(crate) fn with_text<R>(&self, slot: i32, see: impl FnOnce(&[u8]) -> R) -> Option<R> {
        if self.is(slot) != Is::Text {
            return None;
        }
        let mut len = 0;
        // SAFETY: a string in a slot that is there. The bytes are lent no longer than the slot cannot change: `see` has no frame.
        unsafe {
            let text = ffi::lua_tolstring(self.machine, slot, &mut len);
            Some(see(std::slice::from_raw_parts(text.cast(), len)))
        }
    }

    /// An object of a kind.
    #[inline]
    pub(crate) fn object<K: Kind>(&self, argument: i32) -> Result<Handle<'s, K>, String> {
        self.as_object(argument)
            .ok_or_else(|| self.refuse_type(argument, K::NAME))
    }

    /// The object that a method was called on with so many arguments, itself among them.
    pub(crate) fn receiver<K: Kind>(
        &self,
        counts: std::ops::RangeInclusive<i32>,
    ) -> Result<Handle<'s, K>, String> {
        let object = self.object(1)?;
        self.counts(counts)?;
        Ok(object)
    }

    /// An object, if it is one of the kind.
    #[inline]
    pub(crate) fn as_object<K: Kind>(&self, argument: i32) -> Option<Handle<'s, K>> {
        if argument < 1 || argument > self.floor {
            return None;
        }
        // SAFETY: the slot is there and stays. An object of that tag is one of the kind (fact 4), it lives as long as the call (fact 2), and its length
        // is what Luau says.
        unsafe {
            let place = ffi::lua_touserdatatagged(self.machine, argument, K::TAG);
            if place.is_null() {
                return None;
            }
            Some(handle(place, ffi::lua_objlen(self.machine, argument)))
        }
    }

    /// A value of Rust's in a slot that stays as it is.
    pub(crate) fn owned<T: Owned>(&self, slot: i32) -> Option<&'s T> {
        if slot < 1 || slot > self.floor {
            return None;
        }
        // SAFETY: the slot keeps it until the call ends (fact 2).
        unsafe { self.tagged(slot) }
    }

    /// Whether a slot holds such a value.
    pub(crate) fn holds<T: Owned>(&self, slot: i32) -> bool {
        let is_there = slot >= 1 && slot <= self.top;
        // SAFETY: the reference is not kept.
        is_there && unsafe { self.tagged::<T>(slot) }.is_some()
    }

    /// What the functions of the module share.
    pub(crate) fn shared<T: Owned>(&self) -> &'s T {
        // SAFETY: `register` gives every function its module's shared value as the second upvalue; the running function is kept until it
        // ends.
        let shared = unsafe { self.tagged(ffi::lua_upvalueindex(2)) };
        shared.expect("functions are registered with what they share")
    }

    /// # Safety
    ///
    /// A slot or upvalue that is there, and that keeps what it holds as long as the answer lives.
    unsafe fn tagged<'t, T: Owned>(&self, slot: i32) -> Option<&'t T> {
        // SAFETY: by the contract. A tag stands for one type, and there is a value in all userdata that has it (fact 4).
        unsafe {
            ffi::lua_touserdatatagged(self.machine, slot, T::TAG)
                .cast::<T>()
                .as_ref()
        }
    }

    #[inline]
    pub(crate) fn push_nil(&mut self) {
        self.pushes(1);
        // SAFETY: there is room.
        unsafe { ffi::lua_pushnil(self.machine) }
    }

    /// Pushes light userdata that is null.
    pub(crate) fn push_null(&mut self) {
        self.pushes(1);
        // SAFETY: there is room.
        unsafe { ffi::lua_pushlightuserdata(self.machine, std::ptr::null_mut()) }
    }

    #[inline]
    pub(crate) fn push_boolean(&mut self, truth: bool) {
        self.pushes(1);
        // SAFETY: there is room.
        unsafe { ffi::lua_pushboolean(self.machine, truth.into()) }
    }

    #[inline]
    pub(crate) fn push_number(&mut self, number: f64) {
        self.pushes(1);
        // SAFETY: there is room.
        unsafe { ffi::lua_pushnumber(self.machine, number) }
    }

    #[inline]
    pub(crate) fn push_text(&mut self, text: &[u8]) {
        self.pushes(1);
        // SAFETY: there is room; raises for want of memory.
        unsafe { ffi::lua_pushlstring_(self.machine, text.as_ptr().cast(), text.len()) }
    }

    /// Pushes a copy of what stands in a slot.
    pub(crate) fn push_copy(&mut self, slot: i32) {
        let slot = self.there(slot);
        self.pushes(1);
        // SAFETY: the slot is there, and there is room.
        unsafe { ffi::lua_pushvalue(self.machine, slot) }
    }

    /// Pushes a new table with room for so many items and fields.
    #[inline]
    pub(crate) fn push_table(&mut self, items: u16, fields: u16) {
        self.pushes(1);
        // SAFETY: there is room; raises for want of memory.
        unsafe { ffi::lua_createtable(self.machine, items.into(), fields.into()) }
    }

    #[inline]
    fn table(&self, slot: i32) -> i32 {
        assert_eq!(self.is(slot), Is::Table, "slot {slot}");
        slot
    }

    /// Takes a key and a value off, into a table further down.
    #[inline]
    pub(crate) fn set(&mut self, table: i32) {
        self.has(2);
        let table = self.table(table);
        // SAFETY: a table, and two values above the floor; raises for want of memory, for a key that cannot be one and where the table must
        // not be changed.
        unsafe { ffi::lua_rawset(self.machine, table) }
        self.top -= 2;
    }

    /// Takes a value off, into a table further down.
    #[inline]
    pub(crate) fn set_item(&mut self, table: i32, index: i32) {
        self.has(1);
        let table = self.table(table);
        // SAFETY: as in `set`.
        unsafe { ffi::lua_rawseti_(self.machine, table, index) }
        self.top -= 1;
    }

    /// Pushes the item of a table.
    #[inline]
    pub(crate) fn push_item(&mut self, table: i32, index: i32) {
        let table = self.table(table);
        self.pushes(1);
        // SAFETY: a table, and room.
        unsafe { ffi::lua_rawgeti_(self.machine, table, index) };
    }

    /// Items of a table, as `#` counts them.
    pub(crate) fn items(&self, table: i32) -> usize {
        let table = self.table(table);
        // SAFETY: a table.
        unsafe { ffi::lua_objlen(self.machine, table) }
    }

    /// Pushes the next key and value of a table after a position that this answered, 0 at first.
    #[inline]
    pub(crate) fn push_next(&mut self, table: i32, position: i32) -> Option<i32> {
        assert!(position >= 0);
        let table = self.table(table);
        self.reserve(2);
        // SAFETY: a table, a position that is not negative, room for two. Luau counts positions of the table, so none can be wrong.
        let next = unsafe { ffi::lua_rawiter(self.machine, table, position) };
        if next < 0 {
            return None;
        }
        self.top += 2;
        Some(next)
    }

    /// Pushes a new table with room for so many items.
    pub(crate) fn push_row(&mut self, items: i32) {
        assert!(items >= 0);
        self.pushes(1);
        // SAFETY: there is room; raises for want of memory.
        unsafe { ffi::lua_createtable(self.machine, items, 0) }
    }

    /// Moves the top value below those from `slot` on.
    pub(crate) fn insert(&mut self, slot: i32) {
        self.changes(slot);
        // SAFETY: the slot may be changed, and so may all above it.
        unsafe { ffi::lua_insert(self.machine, slot) }
    }

    /// Moves the top value into a slot.
    pub(crate) fn replace(&mut self, slot: i32) {
        self.changes(slot);
        self.has(1);
        // SAFETY: the slot may be changed.
        unsafe { ffi::lua_replace(self.machine, slot) }
        self.top -= 1;
    }

    pub(crate) fn remove(&mut self, slot: i32) {
        self.changes(slot);
        // SAFETY: the slot may be changed, and so may all above it.
        unsafe { ffi::lua_remove(self.machine, slot) }
        self.top -= 1;
    }

    /// Calls the function below so many arguments; it and they are replaced by the results, so many or all.
    pub(crate) fn call(&mut self, arguments: i32, results: Option<i32>) {
        self.has(arguments + 1);
        self.reserve(results.unwrap_or(0).max(4));
        // SAFETY: the function and its arguments are there, and there is room for the results; errors pass (fact 1).
        unsafe {
            ffi::lua_call(self.machine, arguments, results.unwrap_or(ffi::LUA_MULTRET));
            self.top = ffi::lua_gettop(self.machine);
        }
        // Luau has made room for what a function returned.
        self.room = self.room.max(self.top);
    }

    /// Replaces the key on top by what indexing a value with it answers, metamethods and all.
    pub(crate) fn index(&mut self, slot: i32) {
        let slot = self.there(slot);
        self.has(1);
        // SAFETY: the slot is there, the key is above the floor; errors pass (fact 1).
        unsafe {
            ffi::lua_gettable(self.machine, slot);
        }
    }

    /// Replaces the key on top by the table's entry.
    pub(crate) fn raw_index(&mut self, table: i32) {
        let table = self.table(table);
        self.has(1);
        // SAFETY: a table; the key is above the floor.
        unsafe {
            ffi::lua_rawget(self.machine, table);
        }
    }

    /// Replaces the key on top by the next key and value of a table; `false`, and no value, where there is none.
    pub(crate) fn next(&mut self, table: i32) -> bool {
        let table = self.table(table);
        self.has(1);
        self.reserve(1);
        // SAFETY: a table, and room; the key is above the floor; one that is none of the table's raises.
        let more = unsafe { ffi::lua_next(self.machine, table) != 0 };
        self.top += if more { 1 } else { -1 };
        more
    }

    /// Whether two values are equal, by their metamethod where they have one.
    pub(crate) fn equal(&mut self, one: i32, other: i32) -> bool {
        let (one, other) = (self.there(one), self.there(other));
        // SAFETY: both slots are there; errors pass (fact 1).
        unsafe { ffi::lua_equal(self.machine, one, other) != 0 }
    }

    /// Pushes the length of a text or a table, or what an object's `__len` answers; `false` where there is none.
    pub(crate) fn push_length(&mut self, slot: i32) -> bool {
        let slot = self.there(slot);
        if matches!(self.is(slot), Is::Text | Is::Table) {
            // SAFETY: the slot is there.
            let length = unsafe { ffi::lua_objlen(self.machine, slot) };
            self.push_number(length as f64);
            return true;
        }
        self.reserve(2);
        // SAFETY: the slot is there, and room; pushes a value where it answers so; errors pass (fact 1).
        let pushed = unsafe { ffi::luaL_callmeta(self.machine, slot, c"__len".as_ptr()) != 0 };
        self.top += i32::from(pushed);
        pushed
    }

    /// Pushes a value of Rust's, which Lua counts as `weight` bytes more than it is, for what it refers to.
    pub(crate) fn push_owned<T: Owned>(&mut self, value: T, weight: usize) {
        const { fits::<T>() };
        self.pushes(1);
        // SAFETY: there is room. Luau answers memory of at least that size, aligned (`fits`), with the tag's metatable and destructor, which
        // `register_owned` has set. If it raises, `value` is dropped (fact 1) and there is no userdata. Nothing runs in between.
        unsafe {
            let bytes = size_of::<T>().saturating_add(weight);
            let place = ffi::lua_newuserdatataggedwithmetatable(self.machine, bytes, T::TAG);
            place.cast::<T>().write(value);
        }
    }

    /// Pushes the metatable of the value in a slot, or nil.
    pub(crate) fn push_metatable(&mut self, slot: i32) {
        let slot = self.there(slot);
        self.pushes(1);
        // SAFETY: the slot is there, and room; a metatable is pushed where it answers so.
        unsafe {
            if ffi::lua_getmetatable(self.machine, slot) == 0 {
                ffi::lua_pushnil(self.machine);
            }
        }
    }

    /// Pushes a copy of the metatable of the value in a slot.
    pub(crate) fn push_metatable_copy(&mut self, slot: i32) {
        self.push_metatable(slot);
        let metatable = self.table(self.top);
        self.pushes(1);
        // SAFETY: a table, and room; the copy takes its place. Raises for want of memory.
        unsafe {
            ffi::lua_clonetable(self.machine, metatable);
            ffi::lua_replace(self.machine, metatable);
        }
        self.top -= 1;
    }

    /// Whether two values have the same metatable.
    pub(crate) fn same_metatable(&mut self, one: i32, other: i32) -> bool {
        self.push_metatable(one);
        self.push_metatable(other);
        // SAFETY: two values are on top.
        let same = unsafe { ffi::lua_rawequal(self.machine, -1, -2) != 0 };
        self.pop(2);
        same
    }

    /// Makes the table on top the metatable of a value of Rust's, and takes it off.
    pub(crate) fn set_metatable<T: Owned>(&mut self, slot: i32) {
        assert!(self.holds::<T>(slot), "slot {slot}");
        self.has(1);
        self.table(self.top);
        // SAFETY: userdata, and a table above the floor.
        unsafe {
            ffi::lua_setmetatable(self.machine, slot);
        }
        self.top -= 1;
    }

    /// Lets the host stop what runs, by Luau's interrupt, if one is set.
    pub(crate) fn safepoint(&mut self) {
        self.reserve(1);
        // SAFETY: there is room; the call leaves nothing (see `interrupt`).
        unsafe { safepoint(self.machine) }
    }

    /// Pushes memory of so many bytes that nobody uses: what Rust holds for the script, on the script's account.
    pub(crate) fn push_ballast(&mut self, bytes: usize) {
        self.pushes(1);
        // SAFETY: there is room; plain userdata without a destructor; raises for want of memory.
        unsafe {
            ffi::lua_newuserdatatagged(self.machine, bytes, 0);
        }
    }

    /// Makes an object with so many cells, which all are `fill`, and pushes it; it is lent as long as nothing is done to the stack. Refuses what
    /// is larger than `OBJECT_BYTES_MAX`.
    pub(crate) fn push_object<K: Kind>(
        &mut self,
        value: K,
        cells: usize,
        fill: K::Item,
    ) -> Result<Handle<'_, K>, String> {
        let at = const { cells_at::<K>() };
        let bytes = cells
            .checked_mul(size_of::<K::Item>())
            .and_then(|bytes| bytes.checked_add(at))
            .filter(|&bytes| bytes <= OBJECT_BYTES_MAX);
        let Some(bytes) = bytes else {
            return Err(format!(
                "{}: one object cannot be larger than {OBJECT_BYTES_MAX} bytes",
                K::NAME
            ));
        };
        self.pushes(1);
        // SAFETY: there is room. Luau answers memory of that size, aligned to 8 at least, or raises; the tag's metatable was set when the module
        // was registered. Value and cells are written before anything else runs, and nothing of them needs to be dropped.
        unsafe {
            let place = ffi::lua_newuserdatataggedwithmetatable(self.machine, bytes, K::TAG);
            place.cast::<K>().write(value);
            let first = place.byte_add(at).cast::<K::Item>();
            for index in 0..cells {
                first.add(index).write(fill);
            }
            Ok(handle(place, bytes))
        }
    }
}

/// Lets the host stop what runs, by Luau's interrupt, if one is set.
///
/// # Safety
///
/// In a function that Lua has called.
unsafe fn safepoint(machine: *mut lua_State) {
    // SAFETY: reads a pointer of the live machine. The interrupt is run from a function of its own, below which nothing can yield, so that it
    // returns or raises.
    unsafe {
        if (*ffi::lua_callbacks(machine)).interrupt.is_some() {
            ffi::lua_pushcfunction(machine, interrupt);
            ffi::lua_call(machine, 0, 0);
        }
    }
}

unsafe extern "C-unwind" fn interrupt(machine: *mut lua_State) -> c_int {
    // SAFETY: the machine is live; -1 is what Luau itself says where it is not collecting garbage.
    unsafe {
        if let Some(interrupt) = (*ffi::lua_callbacks(machine)).interrupt {
            interrupt(machine, -1);
        }
    }
    0
}
