//! The binding to the Lua machine where mlua's safe layer is too slow: calls into scripts, functions that scripts call, the stop.
//!
//! Owns:    `Machine`, one Lua machine, and the only unsafe code of the crate.
//! Runs on: one core; `Arm` also on the watchdog's thread.            Plane: data.
//! Bounds:  a call into a script takes a few words of the machine's stack, a function of ours at most `DEPTH` slots beyond its arguments.
//! Never:   lets a panic cross a frame of the machine, or a Rust value with a destructor stand where the machine throws.
//!
//! Luau is C++ and raises errors by C++ exceptions (the build of `luau0-src` leaves `LUA_USE_LONGJMP` at 0). Functions of modules may raise anywhere,
//! behind `guard`. Those of the host, which are called for every message, run in two steps: the first, in Rust and under `catch_unwind`, uses only entries of Luau's API that never raise; the second pushes results or
//! raises the error, and holds nothing but plain words. The proofs below refer to these two steps as the *quiet* and the *loud* one.

#![expect(
    unsafe_code,
    reason = "the raw stack of the Lua machine: one message must not cost more than the work that the script does with it"
)]

pub(crate) mod frame;
mod guard;
pub(crate) mod userdata;

use std::any::Any;
use std::cell::Cell;
use std::ffi::{CStr, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mlua::ffi;
use mlua::{Lua, lua_State};

use crate::call::Call;
use crate::environment::PRELUDE;
use crate::state::State;

/// Stack slots beyond its arguments that a quiet step may use: a C function is promised `LUA_MINSTACK` (20).
const DEPTH: c_int = 12;

/// A function that scripts call.
pub(crate) trait Function: 'static {
    /// Its name, as scripts and error texts know it.
    const NAME: &'static CStr;

    /// The quiet step. `call` is what the running call lends; `None` while a script loads, or in a function called by nobody.
    fn call<'s>(
        arguments: Arguments<'s>,
        state: &'s State,
        call: Option<&'s mut Call<'_, '_>>,
    ) -> Result<Returns<'s>, Refused>;
}

/// A function refuses: the text of the error stands in `State::said`, see `State::refuse`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused;

/// A value for the script.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Push<'s> {
    Nil,
    Boolean(bool),
    Number(f64),
    Bytes(&'s [u8]),
    /// What stands in `State::said`.
    Said,
}

/// What a function returns to the script.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Returns<'s> {
    Nothing,
    One(Push<'s>),
    Two([Push<'s>; 2]),
    Five([Push<'s>; 5]),
    /// What the function that this one stands before returns for the same arguments, see `Machine::before`.
    Next,
}

/// An argument, or what stands in a table.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'s> {
    /// There is no such argument.
    None,
    Nil,
    Boolean(bool),
    Number(f64),
    Text(&'s [u8]),
    Table(Table),
    Object(Object),
    /// Another type, by name.
    Other(&'static str),
}

impl Value<'_> {
    /// The type's name as Lua's `type` gives it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Value::None => "no value",
            Value::Nil => "nil",
            Value::Boolean(_) => "boolean",
            Value::Number(_) => "number",
            Value::Text(_) => "string",
            Value::Table(_) => "table",
            Value::Object(_) => "userdata",
            Value::Other(name) => name,
        }
    }

    /// Whether it is absent or nil.
    pub(crate) fn is_nil(&self) -> bool {
        matches!(self, Value::None | Value::Nil)
    }
}

/// A table on the stack of a quiet step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table(c_int);

/// An object (userdata) on the stack of a quiet step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Object(c_int);

/// A string that the machine keeps for the host, see `State::keys`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pinned(c_int);

/// The arguments of a function, in its quiet step. Nothing here raises, runs Lua or lets go of what the arguments
/// reach, so texts stay where they are.
#[derive(Clone, Copy)]
pub(crate) struct Arguments<'s> {
    machine: NonNull<lua_State>,
    count: c_int,
    state: &'s State,
}

impl<'s> Arguments<'s> {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.count as usize
    }

    /// The argument at `index`, counted from 1.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> Value<'s> {
        if index == 0 || index > self.count as usize {
            return Value::None;
        }
        self.at(index as c_int)
    }

    /// What stands at an absolute index of the stack, which must not be above its top.
    #[inline]
    fn at(&self, index: c_int) -> Value<'s> {
        let machine = self.machine.as_ptr();
        // SAFETY: `machine` is the thread that runs this function, and `index` is between 1 and its top (callers in this file). None of these
        // entries raises: `lua_tolstring` allocates only for numbers, which are told apart before. A text is reachable from the arguments, which
        // nothing changes during the quiet step: it is not collected (`with_object` may collect other things), and lives for `'s`.
        unsafe {
            match ffi::lua_type(machine, index) {
                ffi::LUA_TSTRING => {
                    let mut len = 0;
                    let text = ffi::lua_tolstring(machine, index, &mut len);
                    Value::Text(std::slice::from_raw_parts(text.cast(), len))
                }
                ffi::LUA_TNUMBER => Value::Number(ffi::lua_tonumber(machine, index)),
                ffi::LUA_TNIL => Value::Nil,
                ffi::LUA_TBOOLEAN => Value::Boolean(ffi::lua_toboolean(machine, index) != 0),
                ffi::LUA_TTABLE => Value::Table(Table(index)),
                ffi::LUA_TUSERDATA => Value::Object(Object(index)),
                ffi::LUA_TFUNCTION => Value::Other("function"),
                ffi::LUA_TTHREAD => Value::Other("thread"),
                _ => Value::Other("userdata"),
            }
        }
    }

    /// Whether `table` still is one: handles may be kept longer than what they name.
    fn check(&self, table: Table) -> bool {
        let machine = self.machine.as_ptr();
        // SAFETY: `lua_gettop` and `lua_type` never raise, and the index is compared with the top first.
        unsafe {
            let top = ffi::lua_gettop(machine);
            table.0 <= top
                && top < self.count + DEPTH
                && ffi::lua_type(machine, table.0) == ffi::LUA_TTABLE
        }
    }

    /// Shows what a table has under one of the host's own keys.
    pub(crate) fn with_field<R>(
        &self,
        table: Table,
        key: Pinned,
        see: impl FnOnce(Value<'s>) -> R,
    ) -> R {
        if !self.check(table) {
            return see(Value::Nil);
        }
        let machine = self.machine.as_ptr();
        // SAFETY: there is a table at the index and room on the stack (`check`). Both reads are raw: they call nothing and allocate nothing.
        let index = unsafe {
            ffi::lua_rawgeti_(machine, ffi::LUA_REGISTRYINDEX, key.0);
            ffi::lua_rawget(machine, table.0);
            ffi::lua_gettop(machine)
        };
        let seen = see(self.at(index));
        // SAFETY: shrinks the stack to below what was pushed above.
        unsafe { ffi::lua_settop(machine, index - 1) };
        seen
    }

    /// Shows the item at `index` of a table.
    pub(crate) fn with_item<R>(
        &self,
        table: Table,
        index: i32,
        see: impl FnOnce(Value<'s>) -> R,
    ) -> R {
        if !self.check(table) {
            return see(Value::Nil);
        }
        let machine = self.machine.as_ptr();
        // SAFETY: as in `with_field`.
        let at = unsafe {
            ffi::lua_rawgeti_(machine, table.0, index);
            ffi::lua_gettop(machine)
        };
        let seen = see(self.at(at));
        // SAFETY: as in `with_field`.
        unsafe { ffi::lua_settop(machine, at - 1) };
        seen
    }

    /// Shows every key and value of a table, in its own order, until `see` refuses.
    pub(crate) fn each(
        &self,
        table: Table,
        mut see: impl FnMut(Value<'s>, Value<'s>) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        if !self.check(table) {
            return Ok(());
        }
        let machine = self.machine.as_ptr();
        // SAFETY: a table and room, see `check`. `lua_rawiter` counts positions instead of looking a key up, so there is none that it could
        // miss and raise for; it pushes key and value or answers -1.
        let base = unsafe { ffi::lua_gettop(machine) };
        let mut position = 0;
        loop {
            // SAFETY: as above.
            position = unsafe { ffi::lua_rawiter(machine, table.0, position) };
            if position < 0 {
                return Ok(());
            }
            let seen = see(self.at(base + 1), self.at(base + 2));
            // SAFETY: shrinks the stack to what it was.
            unsafe { ffi::lua_settop(machine, base) };
            seen?;
        }
    }

    /// Shows the object as mlua knows it; `None` from within a coroutine, whose stack mlua would not look at.
    pub(crate) fn with_object<R>(
        &self,
        object: Object,
        see: impl FnOnce(&mlua::Value) -> R,
    ) -> Option<R> {
        let machine = self.machine.as_ptr();
        let lua = self.state.lua()?;
        let found: mlua::Result<mlua::Value> = lua.exec_raw_lua(|raw| {
            // SAFETY: `lua_gettop` reads a word. There is room for two more values, see `DEPTH`; `pop` takes the copy off again, as a value that
            // mlua keeps on a stack of its own, which it has grown before (an error comes back as one). mlua works on the very thread
            // that runs this function, which is compared first.
            unsafe {
                let top = ffi::lua_gettop(machine);
                if raw.state() != machine || object.0 > top || top >= self.count + DEPTH {
                    return Ok(mlua::Value::Nil);
                }
                ffi::lua_pushvalue(machine, object.0);
                raw.pop()
            }
        });
        match found {
            Ok(mlua::Value::Nil) | Err(_) => None,
            Ok(object) => Some(see(&object)),
        }
    }
}

/// Enters a function from Lua: the quiet step, then the loud one.
unsafe extern "C-unwind" fn enter<F: Function>(machine: *mut lua_State) -> c_int {
    // SAFETY: only `Machine::add` makes closures of this function, with the address of a `State` as their upvalue, and that state lives
    // as long as the machine (`Machine::new` ties them). `machine` is not null: the machine calls us with its own thread.
    let state: &State =
        unsafe { &*ffi::lua_tolightuserdata(machine, ffi::lua_upvalueindex(1)).cast() };
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: not null, as above; `lua_gettop` reads words.
        let (thread, count) =
            unsafe { (NonNull::new_unchecked(machine), ffi::lua_gettop(machine)) };
        let arguments = Arguments {
            machine: thread,
            count,
            state,
        };
        // SAFETY: see `Lent::get`: the function takes it for as long as it runs, and functions of ours never call each other.
        let call = unsafe { state.lent.get() };
        F::call(arguments, state, call)
    }));
    let returns = match outcome {
        Ok(Ok(returns)) => returns,
        Ok(Err(Refused)) => {
            // SAFETY: loud step; what is held is the reference to the state and an empty value.
            unsafe { raise(machine, state) }
        }
        Err(panic) => {
            state.note_panic(panic);
            // SAFETY: as above; the panic was moved into the state.
            unsafe { raise(machine, state) }
        }
    };
    // SAFETY: loud step: pushing text may raise for want of memory, and what `Next` calls for whatever it likes; `returns` and `state` are
    // plain words. Only closures of `before` answer `Next`; others have no second upvalue, and none is called. A C function has room for
    // `LUA_MINSTACK` values above its arguments, and what the quiet step pushed was taken off again.
    unsafe {
        match returns {
            Returns::Nothing => 0,
            Returns::One(value) => {
                push(machine, state, value);
                1
            }
            Returns::Two(values) => {
                for value in values {
                    push(machine, state, value);
                }
                2
            }
            Returns::Five(values) => {
                for value in values {
                    push(machine, state, value);
                }
                5
            }
            Returns::Next => match ffi::lua_tocfunction(machine, ffi::lua_upvalueindex(2)) {
                // In the place of this one, so that it finds its arguments, and its caller where it says who is wrong.
                Some(next) => next(machine),
                None => 0,
            },
        }
    }
}

/// # Safety
///
/// In a loud step, with room for a value on the stack.
#[inline]
unsafe fn push(machine: *mut lua_State, state: &State, value: Push<'_>) {
    // SAFETY: by the contract. The borrow of `said` ends before anything can raise; nothing changes it meanwhile.
    unsafe {
        match value {
            Push::Nil => ffi::lua_pushnil(machine),
            Push::Boolean(truth) => ffi::lua_pushboolean(machine, truth.into()),
            Push::Number(number) => ffi::lua_pushnumber(machine, number),
            Push::Bytes(bytes) => {
                ffi::lua_pushlstring_(machine, bytes.as_ptr().cast(), bytes.len());
            }
            Push::Said => {
                let (start, len) = state.said_parts();
                ffi::lua_pushlstring_(machine, start.cast(), len);
            }
        }
    }
}

/// Raises the error whose text stands in `State::said`, with the place in the script in front, as `luaL_error` does.
///
/// # Safety
///
/// In a loud step.
unsafe fn raise(machine: *mut lua_State, state: &State) -> ! {
    // SAFETY: by the contract; two slots of the promised twenty.
    unsafe {
        ffi::luaL_where(machine, 1);
        push(machine, state, Push::Said);
        ffi::lua_concat(machine, 2);
        ffi::lua_error(machine)
    }
}

/// What the running call lends to functions that scripts call.
#[derive(Debug)]
pub(crate) struct Lent(Cell<*mut c_void>);

impl Lent {
    pub(crate) const fn new() -> Lent {
        Lent(Cell::new(ptr::null_mut()))
    }

    /// Lends `call` while `run` runs.
    pub(crate) fn during<R>(&self, call: &mut Call<'_, '_>, run: impl FnOnce() -> R) -> R {
        struct Back<'a>(&'a Cell<*mut c_void>, *mut c_void);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                self.0.set(self.1);
            }
        }
        let before = self.0.replace(ptr::from_mut(call).cast());
        let _back = Back(&self.0, before);
        run()
    }

    /// What is lent now.
    ///
    /// # Safety
    ///
    /// The answer must be gone before anybody asks again, and before the function called by the script returns.
    unsafe fn get<'s, 'm, 't>(&self) -> Option<&'s mut Call<'m, 't>> {
        let call: *mut Call<'m, 't> = self.0.get().cast();
        // SAFETY: not null only while `during` runs, whose borrow of the call is exclusive and handed on here to one taker at a time (by the
        // contract). Lifetimes are erased on the way: the taker is generic over `'m` and `'t`, so it cannot put anything of its own
        // into the call or keep anything from it.
        unsafe { call.as_mut() }
    }
}

thread_local! {
    /// The state of the machine that runs on this thread: what an interrupt belongs to.
    static RUNNING: Cell<*const State> = const { Cell::new(ptr::null()) };
}

/// The state of the machine that runs on this thread.
///
/// # Safety
///
/// The answer must be gone when the function returns that asks.
unsafe fn running_state<'a>() -> Option<&'a State> {
    // SAFETY: not null only while `Machine::running` runs, which holds the state.
    unsafe { RUNNING.get().as_ref() }
}

/// What is called.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// What the global of that name is now.
    Global(Pinned),
    /// A function that was pinned itself.
    Pinned(Pinned),
}

/// What a call into the script came back with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Back {
    /// There is no such function.
    Missing,
    /// It raised; the text stands in `State::said`.
    Raised { memory: bool },
    /// It returned.
    Returned(First, Second),
}

/// The first value that a script returned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum First {
    Number(f64),
    Other,
}

/// The second one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Second {
    Nil,
    /// A text, which stands in `State::said`.
    Text,
    Other,
}

/// One Lua machine.
pub(crate) struct Machine {
    lua: Lua,
    main: NonNull<lua_State>,
    state: Rc<State>,
    on_error: Pinned,
}

impl Machine {
    /// Ties a machine and a state together.
    pub(crate) fn new(lua: Lua, state: Rc<State>) -> mlua::Result<Machine> {
        let main = lua.exec_raw_lua(|raw| raw.state());
        // The machine may outlive this value where somebody holds a clone of `lua`: the state must too.
        lua.set_app_data(Rc::clone(&state));
        state.tie(&lua);
        // SAFETY: `exec_raw` runs the closure protected. The closure's address is the state's, which the machine now holds.
        let on_error = unsafe {
            lua.exec_raw::<mlua::Function>((), |machine| {
                ffi::lua_pushlightuserdata(machine, Rc::as_ptr(&state) as *mut c_void);
                ffi::lua_pushcclosurek(machine, note_error, c"error".as_ptr(), 1, None);
            })
        }?;
        let on_error = pin(&lua, on_error)?;
        // SAFETY: the machine lives; the address stays the same for as long as it does.
        let slot = unsafe { &raw mut (*ffi::lua_callbacks(main)).interrupt };
        *state.watched.trigger.lock() = Some(Arm(slot.cast()));
        let main = NonNull::new(main).expect("a machine has a main thread");
        Ok(Machine {
            lua,
            main,
            state,
            on_error,
        })
    }

    /// The safe side.
    pub(crate) fn lua(&self) -> &Lua {
        &self.lua
    }

    /// What belongs to it.
    pub(crate) fn state(&self) -> &Rc<State> {
        &self.state
    }

    /// Makes a function that scripts can call.
    pub(crate) fn function<F: Function>(&self) -> mlua::Result<mlua::Function> {
        // SAFETY: as in `new`; `enter` finds the state at its upvalue.
        unsafe {
            self.lua.exec_raw((), |machine| {
                ffi::lua_pushlightuserdata(machine, Rc::as_ptr(&self.state) as *mut c_void);
                ffi::lua_pushcclosurek(machine, enter::<F>, F::NAME.as_ptr(), 1, None);
            })
        }
    }

    /// Makes a function that stands before one in C without upvalues, and may leave a call to it.
    pub(crate) fn before<F: Function>(&self, next: mlua::Function) -> mlua::Result<mlua::Function> {
        // SAFETY: as in `new`; `next` is the closure's second upvalue, which `enter` calls for `Returns::Next`.
        unsafe {
            self.lua.exec_raw(next, |machine| {
                ffi::lua_pushlightuserdata(machine, Rc::as_ptr(&self.state) as *mut c_void);
                ffi::lua_insert(machine, 1);
                ffi::lua_pushcclosurek(machine, enter::<F>, F::NAME.as_ptr(), 2, None);
            })
        }
    }

    /// Promises the compiler of native code that nobody has replaced a function of the base library; `setfenv` and `getfenv` take it back.
    pub(crate) fn promise_base(&self) -> mlua::Result<()> {
        // SAFETY: `exec_raw` runs the closure protected; the globals are a table.
        unsafe {
            self.lua.exec_raw((), |machine| {
                ffi::lua_setsafeenv(machine, ffi::LUA_GLOBALSINDEX, 1);
            })
        }
    }

    /// Calls a function, lending `call`.
    pub(crate) fn call(
        &self,
        target: Target,
        argument: Option<f64>,
        call: &mut Call<'_, '_>,
    ) -> Back {
        let main = self.main.as_ptr();
        self.running(|| {
            self.state.lent.during(call, || {
                // SAFETY: the main thread of a machine that this value keeps alive and nobody runs: `Machine` is not `Sync`, and functions of
                // ours are never handed the machine. Its stack has `LUA_MINSTACK` slots, of which five are used. Raw reads and pushes of
                // words do not raise; what the script raises ends in `lua_pcall`.
                unsafe {
                    let base = ffi::lua_gettop(main);
                    ffi::lua_rawgeti_(main, ffi::LUA_REGISTRYINDEX, self.on_error.0);
                    match target {
                        Target::Global(name) => {
                            ffi::lua_rawgeti_(main, ffi::LUA_REGISTRYINDEX, name.0);
                            ffi::lua_rawget(main, ffi::LUA_GLOBALSINDEX);
                        }
                        Target::Pinned(function) => {
                            ffi::lua_rawgeti_(main, ffi::LUA_REGISTRYINDEX, function.0);
                        }
                    }
                    if ffi::lua_type(main, -1) != ffi::LUA_TFUNCTION {
                        ffi::lua_settop(main, base);
                        return Back::Missing;
                    }
                    if let Some(number) = argument {
                        ffi::lua_pushnumber(main, number);
                    }
                    let status = ffi::lua_pcall(main, argument.is_some().into(), 2, base + 1);
                    let back = self.read_back(status, base + 2);
                    ffi::lua_settop(main, base);
                    back
                }
            })
        })
    }

    /// Reads what a call left on the stack from `at` on.
    ///
    /// # Safety
    ///
    /// Right after `lua_pcall` on the main thread, with two results.
    unsafe fn read_back(&self, status: c_int, at: c_int) -> Back {
        let main = self.main.as_ptr();
        if status != ffi::LUA_OK {
            return Back::Raised {
                memory: status == ffi::LUA_ERRMEM,
            };
        }
        // SAFETY: by the contract two values stand there; `lua_tolstring` is asked only for texts.
        unsafe {
            let first = match ffi::lua_type(main, at) {
                ffi::LUA_TNUMBER => First::Number(ffi::lua_tonumber(main, at)),
                _ => First::Other,
            };
            let second = match ffi::lua_type(main, at + 1) {
                ffi::LUA_TNIL => Second::Nil,
                ffi::LUA_TSTRING => {
                    let mut len = 0;
                    let text = ffi::lua_tolstring(main, at + 1, &mut len);
                    self.state
                        .say(std::slice::from_raw_parts(text.cast::<u8>(), len));
                    Second::Text
                }
                _ => Second::Other,
            };
            Back::Returned(first, second)
        }
    }

    /// Marks the machine as the one that runs on this thread, so that interrupts find it.
    pub(crate) fn running<R>(&self, run: impl FnOnce() -> R) -> R {
        struct Before(*const State);
        impl Drop for Before {
            fn drop(&mut self) {
                RUNNING.set(self.0);
            }
        }
        let _before = Before(RUNNING.replace(Rc::as_ptr(&self.state)));
        run()
    }
}

/// Keeps a value in the registry for as long as the machine lives.
pub(crate) fn pin(lua: &Lua, value: impl mlua::IntoLua) -> mlua::Result<Pinned> {
    let mut at = 0;
    // SAFETY: `exec_raw` runs the closure protected, with the value on the stack.
    unsafe { lua.exec_raw::<()>(value, |machine| at = ffi::lua_ref(machine, -1)) }?;
    Ok(Pinned(at))
}

/// Where a machine looks at every safepoint whether it has to ask.
#[derive(Clone, Copy, Debug)]
struct Arm(*mut *mut ());

// SAFETY: only an address; who uses it vouches for the machine, see `store`.
unsafe impl Send for Arm {}

impl Arm {
    /// Sets or clears the interrupt, from any thread.
    ///
    /// # Safety
    ///
    /// The machine must live until this returns.
    unsafe fn store(self, on: bool) {
        const _: () = assert!(size_of::<Option<Interrupt>>() == size_of::<*mut ()>());
        let value = if on {
            interrupt as Interrupt as *mut ()
        } else {
            ptr::null_mut()
        };
        // SAFETY: an aligned word of a live machine (contract). Luau allows the interrupt to be set from any thread (`lua.h`, `lua_Callbacks`): it
        // reads the word once at a safepoint and calls what it read, and all that we ever store is null and one function.
        unsafe { AtomicPtr::from_ptr(self.0) }.store(value, Ordering::Relaxed);
    }
}

type Interrupt = unsafe extern "C-unwind" fn(*mut lua_State, c_int);

/// A safepoint was passed while the interrupt was set.
unsafe extern "C-unwind" fn interrupt(machine: *mut lua_State, collecting: c_int) {
    if collecting >= 0 {
        // The collector's own steps are no safepoints of the script, and must not raise.
        return;
    }
    // SAFETY: it is not kept.
    let Some(state) = (unsafe { running_state() }) else {
        return;
    };
    if state.may_go_on() {
        return;
    }
    // SAFETY: `machine` runs; reading where it stands fills a structure of ours, see `note_place`.
    unsafe { note_place(machine, state) };
    // SAFETY: a loud step; a word is all that is held. Where no room is left for the text, that is raised instead.
    unsafe {
        ffi::lua_rawcheckstack(machine, 1);
        push(machine, state, Push::Bytes(state.stop_text().as_bytes()));
        ffi::lua_error(machine)
    }
}

/// Notes the first place at which a stopped script was.
///
/// # Safety
///
/// On a thread of the machine that runs.
unsafe fn note_place(machine: *mut lua_State, state: &State) {
    if state.has_place() {
        return;
    }
    let place = catch_unwind(AssertUnwindSafe(|| {
        let mut level = 0;
        // SAFETY: by the contract; `place` does not raise.
        while let Some((source, line)) = unsafe { place(machine, level) } {
            // What stands below functions of the host is where the script was.
            if line > 0 && source != PRELUDE {
                state.note_place(source, line);
                break;
            }
            level += 1;
        }
    }));
    drop(place);
}

/// The place in the script at a level of the stack: source and line. Does not raise.
///
/// # Safety
///
/// On a thread of the machine that runs. The text lives as long as the function that it names.
unsafe fn place<'a>(machine: *mut lua_State, level: c_int) -> Option<(&'a str, i32)> {
    // SAFETY: all zero is a valid structure of words and nullable pointers; `lua_getinfo` fills what is asked for and neither allocates
    // nor raises for `s` and `l`.
    unsafe {
        let mut about: ffi::lua_Debug = std::mem::zeroed();
        if ffi::lua_getinfo(machine, level, c"sl".as_ptr(), &mut about) == 0 {
            return None;
        }
        let source = match about.source.is_null() {
            true => "?",
            false => CStr::from_ptr(about.source).to_str().unwrap_or("?"),
        };
        let source = source.strip_prefix(['@', '=']).unwrap_or(source);
        Some((source, about.currentline))
    }
}

/// The handler of errors that no script caught: notes the text and the stack while it still stands.
unsafe extern "C-unwind" fn note_error(machine: *mut lua_State) -> c_int {
    // SAFETY: only `Machine::new` makes the closure, with its state, which lives as long as the machine.
    let state: &State =
        unsafe { &*ffi::lua_tolightuserdata(machine, ffi::lua_upvalueindex(1)).cast() };
    let noted = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the handler runs on the machine's thread with the error as its argument; nothing here raises (see `Arguments::at`, `place`).
        unsafe {
            let count = ffi::lua_gettop(machine);
            let arguments = Arguments {
                machine: NonNull::new_unchecked(machine),
                count,
                state,
            };
            state.note_error(arguments);
            let mut level = 1;
            while let Some((source, line)) = place(machine, level) {
                if !state.note_level(source, line) {
                    break;
                }
                level += 1;
            }
        }
    }));
    if let Err(panic) = noted {
        state.note_panic(panic);
    }
    1
}

/// A panic on its way around the machine.
pub(crate) type Panic = Box<dyn Any + Send>;

/// Sets a machine's interrupt from any thread, for as long as there is a machine.
#[derive(Debug, Default)]
pub(crate) struct Trigger(Mutex<Option<Arm>>);

impl Trigger {
    /// Lets the machine ask at its next safepoint, or no longer.
    pub(crate) fn set(&self, on: bool) {
        if let Some(arm) = *self.lock() {
            // SAFETY: `Machine` puts the place in when it begins and takes it out, under this lock, before it ends.
            unsafe { arm.store(on) }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arm>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        *self.state.watched.trigger.lock() = None;
    }
}
