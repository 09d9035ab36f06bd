//! What belongs to a Lua machine on our side: what its functions need, and what they leave behind.
//!
//! Owns:    `State`.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  the output buffer by `output_limit`; a text of an error by `SAID_BYTES_MAX`.
//! Never:   calls into the script.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mlua::{Lua, WeakLua};

use crate::clock;
use crate::config::{ConfigValue, Settings};
use crate::environment::PRELUDE;
use crate::error::TRACE_BYTES_MAX;
use crate::limits::SandboxLimits;
use crate::lua::{Arguments, Lent, Panic, Pinned, Push, Refused, Value};
use crate::watchdog::{Place, Watched};

/// Bytes of an error text that are kept; more is cut when it is told anyway.
const SAID_BYTES_MAX: usize = 4096;

/// Processor time for what is the host's own: a preserved state of the largest size takes less.
const OWN_TIME: Duration = Duration::from_secs(5);

/// Why a script is being stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Instructions,
    CpuTime,
    WallTime,
    Asked,
}

/// The long call that is being timed: number, processor time and moment when it was first found long.
#[derive(Clone, Copy)]
struct Long {
    call: u64,
    cpu: Duration,
    since: Instant,
}

/// One machine's state on our side.
pub(crate) struct State {
    pub(crate) limits: SandboxLimits,
    /// The subsection `config`, sorted by name.
    config: Vec<(String, ConfigValue)>,
    /// What the running call lends.
    pub(crate) lent: Lent,
    /// What the other threads see.
    pub(crate) watched: Arc<Watched>,
    place_of_calls: Place,
    /// The sandbox that the running call has interrupted.
    interrupted: Cell<u64>,
    /// The text of an error, or of an answer, on its way to the script or to the host.
    said: RefCell<Vec<u8>>,
    /// What `add_to_payload` gathers.
    pub(crate) output: RefCell<Vec<u8>>,
    /// The message that `inject_message` makes.
    pub(crate) encoded: RefCell<Vec<u8>>,
    pub(crate) max_output: Cell<usize>,
    pub(crate) injections: Cell<u64>,
    /// An injection was told that the daemon ends.
    pub(crate) aborted: Cell<bool>,
    /// The message table was found full.
    pub(crate) full: Cell<bool>,
    pub(crate) message_bytes_max: usize,
    /// Safepoints that the call may still pass.
    safepoints: Cell<u64>,
    /// What runs is the host's own: preserved state, which has `OWN_TIME`.
    own: Cell<bool>,
    stop: Cell<Option<Stop>>,
    long: Cell<Option<Long>>,
    place: RefCell<String>,
    trace: RefCell<String>,
    panic: Cell<Option<Panic>>,
    lua: RefCell<Option<WeakLua>>,
    /// Strings that tables are asked for.
    pub(crate) keys: RefCell<Vec<Pinned>>,
}

impl State {
    pub(crate) fn new(settings: &Settings, place_of_calls: Place) -> Rc<State> {
        let mut config = settings.config.clone();
        config.sort_by(|a, b| a.0.cmp(&b.0));
        Rc::new(State {
            limits: match settings.kind.is_trusted() {
                true => settings.limits.with_instructions(0),
                false => settings.limits,
            },
            config,
            lent: Lent::new(),
            watched: Arc::clone(&place_of_calls.watched),
            place_of_calls,
            interrupted: Cell::new(0),
            said: RefCell::default(),
            output: RefCell::default(),
            encoded: RefCell::default(),
            max_output: Cell::new(0),
            injections: Cell::new(0),
            aborted: Cell::new(false),
            full: Cell::new(false),
            message_bytes_max: settings.message_bytes_max,
            safepoints: Cell::new(0),
            own: Cell::new(false),
            stop: Cell::new(None),
            long: Cell::new(None),
            place: RefCell::default(),
            trace: RefCell::default(),
            panic: Cell::new(None),
            lua: RefCell::new(None),
            keys: RefCell::default(),
        })
    }

    /// Remembers the machine that it belongs to.
    pub(crate) fn tie(&self, lua: &Lua) {
        *self.lua.borrow_mut() = Some(lua.weak());
    }

    /// The machine, while there is one.
    pub(crate) fn lua(&self) -> Option<Lua> {
        self.lua.borrow().as_ref().and_then(WeakLua::try_upgrade)
    }

    /// A value of the subsection `config`.
    pub(crate) fn config(&self, name: &[u8]) -> Option<&ConfigValue> {
        let found = self
            .config
            .binary_search_by(|(known, _)| known.as_bytes().cmp(name));
        found.ok().map(|at| &self.config[at].1)
    }

    /// Refuses with a text.
    pub(crate) fn refuse(&self, text: fmt::Arguments<'_>) -> Refused {
        let mut said = self.said.borrow_mut();
        said.clear();
        // Writing to a vector does not fail.
        let _ = std::io::Write::write_fmt(&mut *said, text);
        said.truncate(SAID_BYTES_MAX);
        Refused
    }

    /// Refuses an argument in the words of Lua 5.1.
    pub(crate) fn refuse_argument(&self, function: &str, at: usize, why: &str) -> Refused {
        self.refuse(format_args!("bad argument #{at} to '{function}' ({why})"))
    }

    /// Refuses an argument for its type.
    pub(crate) fn refuse_type(
        &self,
        function: &str,
        at: usize,
        expected: &str,
        got: Value<'_>,
    ) -> Refused {
        let got = got.type_name();
        self.refuse(format_args!(
            "bad argument #{at} to '{function}' ({expected} expected, got {got})"
        ))
    }

    /// Sets what is said.
    pub(crate) fn say(&self, bytes: &[u8]) {
        let mut said = self.said.borrow_mut();
        said.clear();
        said.extend_from_slice(bytes);
    }

    /// Makes an answer of bytes that do not live as long as the function.
    pub(crate) fn answer(&self, write: impl FnOnce(&mut Vec<u8>)) -> Push<'static> {
        let mut said = self.said.borrow_mut();
        said.clear();
        write(&mut said);
        Push::Said
    }

    /// Where what is said stands, and how long it is; valid until something is said again.
    pub(crate) fn said_parts(&self) -> (*const u8, usize) {
        let said = self.said.borrow();
        (said.as_ptr(), said.len())
    }

    /// What is said.
    pub(crate) fn said(&self) -> std::cell::Ref<'_, Vec<u8>> {
        self.said.borrow()
    }

    /// Notes how long the output was.
    #[inline]
    pub(crate) fn note_output(&self, bytes: usize) {
        self.max_output.set(self.max_output.get().max(bytes));
    }

    /// A call begins: nothing is counted yet.
    #[inline]
    pub(crate) fn begin(&self) {
        if self.limits.counts_instructions {
            self.safepoints.set(self.limits.instructions);
            self.watched.trigger.set(true);
        }
        self.interrupted.set(self.place_of_calls.begin());
    }

    /// A call ends. Answers why it was stopped, if it was.
    #[inline]
    pub(crate) fn end(&self) -> Option<Stop> {
        self.place_of_calls.end(self.interrupted.get());
        if self.limits.counts_instructions {
            self.watched.trigger.set(false);
        }
        self.stop.get()
    }

    /// Safepoints that the last call passed, where they are counted.
    pub(crate) fn passed(&self) -> u64 {
        match self.limits.counts_instructions {
            true => self.limits.instructions - self.safepoints.get(),
            false => 0,
        }
    }

    /// A safepoint was passed while the interrupt was set: may the call go on?
    pub(crate) fn may_go_on(&self) -> bool {
        self.spend(1)
    }

    /// The script, or a module on its behalf, passes safepoints: may the call go on?
    pub(crate) fn spend(&self, safepoints: u64) -> bool {
        if self.stop.get().is_some() {
            return false;
        }
        if self.limits.counts_instructions && !self.own.get() {
            let left = self.safepoints.get();
            if left < safepoints {
                self.safepoints.set(0);
                return self.stop_for(Stop::Instructions);
            }
            self.safepoints.set(left - safepoints);
        } else {
            self.watched.trigger.set(false);
        }
        if self.watched.is_stopped() {
            return self.stop_for(Stop::Asked);
        }
        match self.place_of_calls.overdue() {
            Some(call) => self.time(call),
            None => true,
        }
    }

    /// Whether a long call has used up its time.
    fn time(&self, call: u64) -> bool {
        let (cpu_limit, wall_limit) = match self.own.get() {
            true => (OWN_TIME, Duration::ZERO),
            false => (self.limits.cpu_time, self.limits.wall_time),
        };
        let cpu = clock::of_thread();
        match self.long.get() {
            Some(long) if long.call == call => {
                if over(cpu.saturating_sub(long.cpu), cpu_limit) {
                    return self.stop_for(Stop::CpuTime);
                }
                if over(long.since.elapsed(), wall_limit) {
                    return self.stop_for(Stop::WallTime);
                }
            }
            _ => self.long.set(Some(Long {
                call,
                cpu,
                since: clock::moment(),
            })),
        }
        true
    }

    fn stop_for(&self, why: Stop) -> bool {
        self.stop.set(Some(why));
        // From here on every safepoint raises, so no `pcall` can go on.
        self.watched.trigger.set(true);
        false
    }

    /// Runs something of the host's own, which has other limits than the script.
    pub(crate) fn own<R>(&self, run: impl FnOnce() -> R) -> R {
        self.stop.set(None);
        self.own.set(true);
        let before = self.place_of_calls.begin();
        let done = run();
        self.place_of_calls.end(before);
        self.own.set(false);
        self.stop.set(None);
        self.watched.trigger.set(false);
        done
    }

    /// What a stopped script hears.
    pub(crate) fn stop_text(&self) -> &'static str {
        match self.stop.get() {
            Some(Stop::CpuTime) => {
                "instruction_limit exceeded (the call used up its processor time)"
            }
            Some(Stop::WallTime) => "instruction_limit exceeded (the call took too long)",
            Some(Stop::Asked) => "shutting down",
            Some(Stop::Instructions) | None => "instruction_limit exceeded",
        }
    }

    /// Whether it is known where a stopped script was.
    pub(crate) fn has_place(&self) -> bool {
        !self.place.borrow().is_empty()
    }

    /// Notes where a stopped script was.
    pub(crate) fn note_place(&self, source: &str, line: i32) {
        let mut place = self.place.borrow_mut();
        // Writing to a string does not fail.
        let _ = write!(place, "{source}:{line}: ");
    }

    /// Where a stopped script was, `script.lua:3: `; empty where that is not known.
    pub(crate) fn place(&self) -> String {
        self.place.borrow().clone()
    }

    /// An error that no script caught: its text, before the stack is gone.
    pub(crate) fn note_error(&self, arguments: Arguments<'_>) {
        self.trace.borrow_mut().clear();
        match arguments.get(1) {
            Value::Text(text) => self.say(text),
            Value::Number(number) => self.say(crate::number::format(number).as_bytes()),
            Value::Object(object) => {
                let text = arguments.with_object(object, crate::failure::describe);
                self.say(text.flatten().unwrap_or_default().as_bytes());
            }
            other => {
                self.refuse(format_args!(
                    "error object is a {} value",
                    other.type_name()
                ));
            }
        }
    }

    /// Notes a level of the stack, innermost first; answers whether there is room for more.
    pub(crate) fn note_level(&self, source: &str, line: i32) -> bool {
        let mut trace = self.trace.borrow_mut();
        let before = trace.len();
        if line > 0 && source != PRELUDE {
            // Writing to a string does not fail.
            let _ = writeln!(trace, "{source}:{line}");
        }
        if trace.len() > TRACE_BYTES_MAX {
            trace.truncate(before);
            return false;
        }
        true
    }

    /// The stack of the last error.
    pub(crate) fn trace(&self) -> String {
        self.trace.borrow().trim_end().to_owned()
    }

    /// A panic in a function of ours, on its way around the machine.
    pub(crate) fn note_panic(&self, panic: Panic) {
        self.say(b"the host failed");
        self.panic.set(Some(panic));
    }

    /// The panic, to go on with.
    pub(crate) fn take_panic(&self) -> Option<Panic> {
        self.panic.take()
    }
}

fn over(used: Duration, limit: Duration) -> bool {
    !limit.is_zero() && used >= limit
}
