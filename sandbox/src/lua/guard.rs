//! The border between panics and errors of Lua's: a call of Rust by Lua, in which both may happen.
//!
//! Owns:    `guarded`.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  a call costs two landing pads and no allocation.
//! Never:   lets a panic into a frame of the machine, or an error of Lua's into `catch_unwind`, which would end the process.

use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use mlua::ffi::{self, lua_State};

use super::{Panic, running_state};

type Work = unsafe extern "C-unwind" fn(*mut c_void);

// SAFETY: both are in `guard.cpp`, with these parameters.
unsafe extern "C-unwind" {
    fn sandbox_guard_call(work: Work, about: *mut c_void, raised: *mut *mut c_void) -> bool;
    fn sandbox_guard_raise(raised: *mut *mut c_void) -> !;
}

/// What Lua raised: an exception that is on its way to the machine's next frame.
pub(super) struct Raised(*mut c_void);

impl Raised {
    /// Lets it go on.
    ///
    /// # Safety
    ///
    /// In a function that Lua has called, in which nothing is held but what the passing of an exception may drop.
    pub(super) unsafe fn raise(mut self) -> ! {
        // SAFETY: `guarded` had the place filled, and nobody has emptied it: this takes the value.
        unsafe { sandbox_guard_raise(&raw mut self.0) }
    }
}

/// How a call ended that did not come back.
pub(super) enum Broken {
    Raised(Raised),
    Panicked(Panic),
}

/// Does something in which Lua may raise, and Rust may panic.
#[inline]
pub(super) fn guarded<R>(work: impl FnOnce() -> R) -> Result<R, Broken> {
    let mut place = Place {
        work: Some(work),
        done: None,
    };
    let mut raised = ptr::null_mut();
    let called = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `call_place` is given the place that it is made for, which lives until it returns, and the other is written at most once.
        unsafe { sandbox_guard_call(call_place(&place), (&raw mut place).cast(), &raw mut raised) }
    }));
    match (called, place.done) {
        (Err(panic), _) => Err(Broken::Panicked(panic)),
        (Ok(false), Some(done)) => Ok(done),
        (Ok(_), _) => Err(Broken::Raised(Raised(raised))),
    }
}

/// What a function answers that Lua has called: results on top of the stack, the text of an error, or nothing because it broke.
///
/// # Safety
///
/// The last thing that the function does, which was called with `machine`.
pub(super) unsafe fn answer(
    machine: *mut lua_State,
    ended: Result<Result<i32, String>, Broken>,
) -> c_int {
    let said = match ended {
        Ok(Ok(results)) => return results,
        Ok(Err(said)) => said,
        // SAFETY: by the contract; nothing else is held.
        Err(Broken::Raised(raised)) => unsafe { raised.raise() },
        Err(Broken::Panicked(panic)) => {
            // SAFETY: it is not kept.
            if let Some(state) = unsafe { running_state() } {
                state.note_panic(panic);
            }
            "the host failed".to_owned()
        }
    };
    // SAFETY: by the contract. Pushes make room or raise; what raises before has the text dropped.
    unsafe {
        ffi::luaL_where(machine, 1);
        ffi::lua_pushlstring_(machine, said.as_ptr().cast(), said.len());
        drop(said);
        ffi::lua_concat(machine, 2);
        ffi::lua_error(machine)
    }
}

struct Place<W, R> {
    work: Option<W>,
    done: Option<R>,
}

fn call_place<W: FnOnce() -> R, R>(_: &Place<W, R>) -> Work {
    unsafe extern "C-unwind" fn call<W: FnOnce() -> R, R>(place: *mut c_void) {
        // SAFETY: `guarded` alone hands this out, with the place that it is made for, which nobody else uses meanwhile.
        let place = unsafe { &mut *place.cast::<Place<W, R>>() };
        if let Some(work) = place.work.take() {
            place.done = Some(work());
        }
    }
    call::<W, R>
}

#[cfg(test)]
mod tests {
    use crate::lua::userdata::{Entry, function, register};
    use crate::scripts::Script;

    const FUNCTIONS: &[Entry] = &[
        function(c"panics", |_| panic!("on purpose")),
        function(c"refuses", |_| Err("no".into())),
        function(c"raises", |frame| {
            let _drops = String::from("dropped");
            frame.reserve(1 << 20);
            Ok(0)
        }),
    ];

    #[test]
    fn panics_and_errors_become_errors_and_the_machine_goes_on() {
        let script = Script::new();
        let functions = register(&script.0, FUNCTIONS).expect("memory");
        script.0.globals().set("t", functions).expect("memory");
        script.run(
            r#"
            local function is(wanted, ...)
                local fine, said = pcall(...)
                assert(not fine and tostring(said):find(wanted, 1, true), said)
            end
            for _ = 1, 100 do
                for name, wanted in pairs({ panics = "the host failed", refuses = "no", raises = "stack overflow" }) do
                    is(wanted, t[name])
                    is(wanted, table.sort, { 3, 2, 1 }, t[name])
                    is(wanted, string.gsub, "abc", ".", t[name])
                    is(wanted, lpeg.match, lpeg.C(1) / t[name], "a")
                    is(wanted, lpeg.match, lpeg.Cmt(1, t[name]), "a")
                    is(wanted, coroutine.wrap(t[name]))
                    is(wanted, function() return setmetatable({}, { __index = t[name] }).x end)
                end
            end
            "#,
        );
    }
}
