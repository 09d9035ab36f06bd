//! The frame of a function in Rust that scripts call, and objects whose memory is all Lua's.
//!
//! Owns:    `Frame`, `Handle`, the registration of a module's functions.
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
//!    never changes the slots of the arguments, but for numbers that become their text, so what they hold lives as long as the call.
//! 3. `Frame` counts in `top` what is on its part of the stack, and in `room` the slots that there are. Every slot that is read or
//!    written is compared with them first.
//! 4. Objects are made by `push_object` alone, tagged with their kind: a value of the kind, then cells, initialised before anything else can
//!    run. They are only ever lent shared, and change through `Cell`; a machine runs on one thread at a time.

#![expect(unsafe_code, reason = "Lua's stack is a C interface")]

use std::cell::Cell;
use std::ffi::{CStr, c_int, c_void};
use std::marker::PhantomData;
use std::ops::Deref;

use mlua::ffi::{self, lua_State};
use mlua::{AnyUserData, Lua, Table};

use super::guard::{answer, guarded};

/// Bytes of an object.
pub(crate) const OBJECT_BYTES_MAX: usize = 1 << 30;

/// Slots that a function finds free above its arguments.
const SLOTS_AT_FIRST: i32 = ffi::LUA_MINSTACK;

/// Slots that are asked for at once when those run out.
const SLOTS_MORE: i32 = 32;

/// An answer of a function: how many results it left on top, or the text of an error.
pub(crate) type Answer = Result<i32, String>;

/// A function of a module.
pub(crate) struct Entry {
    /// As scripts know it.
    pub(crate) name: &'static CStr,
    /// Called with the object in front, as `object:name(...)`: the object does not count as an argument in texts.
    pub(crate) method: bool,
    /// What it does.
    pub(crate) run: fn(&mut Frame<'_>) -> Answer,
}

/// A function of a module's table.
pub(crate) const fn function(name: &'static CStr, run: fn(&mut Frame<'_>) -> Answer) -> Entry {
    Entry {
        name,
        method: false,
        run,
    }
}

/// A function that is called on an object.
pub(crate) const fn method(name: &'static CStr, run: fn(&mut Frame<'_>) -> Answer) -> Entry {
    Entry {
        name,
        method: true,
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

/// What functions of a module share, kept by Lua as long as one of them is.
pub(crate) trait Shared: Sized + 'static {
    /// Told apart by; mlua uses 0 and 1.
    const TAG: c_int;
}

/// What functions share that share nothing.
pub(crate) enum Nothing {}

impl Shared for Nothing {
    const TAG: c_int = 0;
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
const fn cells_at<K: Kind>() -> usize {
    assert!(align_of::<K>() <= 8 && align_of::<K::Item>() <= 8);
    assert!(!std::mem::needs_drop::<K>());
    size_of::<K>().next_multiple_of(align_of::<K::Item>())
}

/// # Safety
///
/// `place` is that of an object of kind `K` and of `len` bytes, which lives and is not collected for `'s`.
#[inline]
unsafe fn handle<'s, K: Kind>(place: *const c_void, len: usize) -> Handle<'s, K> {
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

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Is {
    None,
    Nil,
    Boolean,
    Number,
    Text,
    Table,
    /// Light userdata that is null.
    Null,
    Other,
}

/// The frame of one call.
pub(crate) struct Frame<'s> {
    machine: *mut lua_State,
    entry: &'static Entry,
    count: i32,
    top: i32,
    room: i32,
    call: PhantomData<&'s ()>,
}

unsafe extern "C-unwind" fn enter(machine: *mut lua_State) -> c_int {
    // SAFETY: only `register` makes closures of this function, with the address of an entry that lives for ever. The top is at least 0.
    let (entry, count) = unsafe {
        let entry = ffi::lua_tolightuserdata(machine, ffi::lua_upvalueindex(1));
        (&*entry.cast::<Entry>(), ffi::lua_gettop(machine))
    };
    let mut frame = Frame {
        machine,
        entry,
        count,
        top: count,
        room: count + SLOTS_AT_FIRST,
        call: PhantomData,
    };
    let ended = guarded(|| {
        let answer = (entry.run)(&mut frame);
        if let Ok(results) = answer {
            assert!(results <= frame.top - count, "{results} results");
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
        assert!(top >= self.count && top <= self.top, "top {top}");
        self.top = top;
        // SAFETY: lower than it was (fact 3).
        unsafe { ffi::lua_settop(self.machine, top) }
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
        let text = match self.is(argument) {
            Is::Text | Is::Number if argument <= self.count => self.bytes(argument),
            _ => None,
        };
        text.ok_or_else(|| self.refuse_type(argument, "string"))
    }

    #[inline]
    fn bytes(&self, slot: i32) -> Option<&'s [u8]> {
        let mut len = 0;
        // SAFETY: a string or a number, in a slot of the arguments, which keeps it until the call ends (fact 2). It may raise for want of
        // memory where a number becomes a text.
        unsafe {
            let text = ffi::lua_tolstring(self.machine, slot, &mut len);
            (!text.is_null()).then(|| std::slice::from_raw_parts(text.cast(), len))
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
        if argument < 1 || argument > self.count {
            return None;
        }
        // SAFETY: the slot is there. An object of that tag is one of the kind (fact 4), it lives as long as the call (fact 2), and its length
        // is what Luau says.
        unsafe {
            let place = ffi::lua_touserdatatagged(self.machine, argument, K::TAG);
            if place.is_null() {
                return None;
            }
            Some(handle(place, ffi::lua_objlen(self.machine, argument)))
        }
    }

    /// What the functions of the module share.
    pub(crate) fn shared<T: Shared>(&self) -> &'s T {
        // SAFETY: `register` gives every function its module's shared value as the second upvalue; the running function is kept until it
        // ends. Only a value of type `T` has its tag.
        let shared = unsafe {
            ffi::lua_touserdatatagged(self.machine, ffi::lua_upvalueindex(2), T::TAG)
                .cast::<T>()
                .as_ref()
        };
        shared.expect("functions are registered with what they share")
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
        assert!(table > self.count && table <= self.top - 2);
        let table = self.table(table);
        // SAFETY: a table that this call made, and two values above it; raises for want of memory, or for a key that cannot be one.
        unsafe { ffi::lua_rawset(self.machine, table) }
        self.top -= 2;
    }

    /// Takes a value off, into a table further down.
    #[inline]
    pub(crate) fn set_item(&mut self, table: i32, index: i32) {
        assert!(table > self.count && table < self.top);
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

    /// Makes an object with so many cells, which all are `fill`, and pushes it. Refuses what is larger than `OBJECT_BYTES_MAX`.
    pub(crate) fn push_object<K: Kind>(
        &mut self,
        value: K,
        cells: usize,
        fill: K::Item,
    ) -> Result<Handle<'s, K>, String> {
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
pub(super) unsafe fn safepoint(machine: *mut lua_State) {
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

unsafe extern "C" fn drop_shared<T: Shared>(_: *mut lua_State, value: *mut c_void) {
    // SAFETY: Luau calls this once for userdata of this tag, which `register` put a `T` in, when nothing refers to it.
    unsafe { value.cast::<T>().drop_in_place() }
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

/// Makes a table of functions that share a value; those that share nothing hand in `None`.
pub(crate) fn register<T: Shared>(
    lua: &Lua,
    shared: Option<T>,
    functions: &'static [Entry],
) -> mlua::Result<Table> {
    let mut shared = shared;
    // SAFETY: the closure runs protected and leaves one table. The destructor is set before the first userdata of the tag is made, and the value
    // is written before anything else runs; without a value, nil stands in its place.
    unsafe {
        lua.exec_raw((), |machine| {
            match shared.take() {
                Some(value) => {
                    ffi::lua_setuserdatadtor(machine, T::TAG, Some(drop_shared::<T>));
                    let place = ffi::lua_newuserdatatagged(machine, size_of::<T>(), T::TAG);
                    place.cast::<T>().write(value);
                }
                None => ffi::lua_pushnil(machine),
            }
            ffi::lua_createtable(machine, 0, functions.len() as c_int + 1);
            fill(machine, functions);
            ffi::lua_remove(machine, 1);
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
