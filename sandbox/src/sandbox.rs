//! A script that runs: one Lua machine on one core.
//!
//! Owns:    `Sandbox`, `Returned`, `LastState`.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  `Settings::limits`.
//! Never:   goes on after an error that the script did not catch.

use std::panic::resume_unwind;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use codecs::message::{MessageRef, MessageTable};
use mlua::{Lua, LuaOptions, StdLib};

use crate::call::{Batch, Call, Host, NoHost, Subject};
use crate::config::{Kind, Settings};
use crate::encode::KEYS;
use crate::error::{Cause, PreserveError, Terminated};
use crate::figures::Figures;
use crate::inject::{AddToPayload, InjectMessage, InjectPayload};
use crate::lua::{Back, First, Function, Machine, Pinned, Second, Target, pin};
use crate::program::Program;
use crate::read::{ReadConfig, ReadMessage, ReadNextField, SelectMessage};
use crate::state::{State, Stop};
use crate::watchdog::{self, Place, Stopper};
use crate::write::WriteMessage;
use crate::{clock, decode, environment, failure, preserve, require};

/// Memory that reading a preserved state may take besides what follows from the script's own and the file.
const RESTORE_BYTES_FREE: usize = 16 * 1024 * 1024;

/// What `process_message` answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Returned<'a> {
    /// 0 is success, below 0 a failure to be counted, above 0 ends the plugin.
    pub status: i32,
    /// The second value, if it was a text; not always UTF-8.
    pub text: Option<&'a [u8]>,
}

/// The globals of a sandbox that ends, on their way to the file.
#[derive(Debug)]
#[must_use]
pub struct LastState {
    path: PathBuf,
    state: Result<Vec<u8>, String>,
}

impl LastState {
    /// Writes the file, which is the old one or the new one at any time. Waits for the disk.
    pub fn write(self) -> Result<(), PreserveError> {
        let LastState { path, state } = self;
        let written = state
            .and_then(|bytes| preserve::replace(&path, &bytes).map_err(|error| error.to_string()));
        written.map_err(|message| {
            // It may not have been there.
            let _ = std::fs::remove_file(&path);
            PreserveError { path, message }
        })
    }
}

impl Returned<'_> {
    /// The end that a status above 0 is, with the script's text, or one that says there is none.
    pub fn end(&self) -> Terminated {
        let text = match self.text {
            Some(text) if !text.is_empty() => String::from_utf8_lossy(text).into_owned(),
            _ => format!(
                "process_message() returned {}, which ends the script, and no text",
                self.status
            ),
        };
        Terminated::new(Cause::Error, text)
    }
}

/// A script that runs.
pub struct Sandbox {
    machine: Machine,
    process_message: Pinned,
    process_messages: Pinned,
    timer_event: Pinned,
    settings: Settings,
    takes_batches: bool,
    /// Modules that were required.
    loaded: mlua::Table,
    /// Heap of the machine before the script: what the script uses is counted from there.
    base_memory: usize,
    /// The copy that is changed where the message itself cannot be.
    copy: Option<MessageTable>,
    /// The last text that a script returned.
    text: Vec<u8>,
    figures: Figures,
    /// Calls until the next one that is timed.
    until_sample: u32,
    ended: Option<Terminated>,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox")
            .field("name", &self.settings.name)
            .field("kind", &self.settings.kind)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Makes a machine, runs the script in it, and restores what was preserved.
    ///
    /// The script may read its configuration and load modules meanwhile, not inject.
    pub fn new(program: &Arc<Program>, settings: Settings) -> Result<Sandbox, Terminated> {
        let place = watchdog::watch().map_err(|error| {
            Terminated::new(
                Cause::Error,
                format!("the watchdog does not start: {error}"),
            )
        })?;
        let (machine, loaded) = open(&settings, place)
            .map_err(|error| Terminated::new(Cause::Error, failure::describe_error(&error)))?;
        let base_memory = machine.lua().used_memory();
        let pinned = |name: &str| {
            let text = machine.lua().create_string(name);
            text.and_then(|text| pin(machine.lua(), text))
                .map_err(|error| Terminated::new(Cause::Error, failure::describe_error(&error)))
        };
        let mut sandbox = Sandbox {
            process_message: pinned("process_message")?,
            process_messages: pinned("process_messages")?,
            timer_event: pinned("timer_event")?,
            machine,
            settings,
            takes_batches: false,
            loaded,
            base_memory,
            copy: None,
            text: Vec::new(),
            figures: Figures::default(),
            until_sample: 0,
            ended: None,
        };
        sandbox.load(program)?;
        sandbox.restore()?;
        Ok(sandbox)
    }

    /// Runs the script itself.
    fn load(&mut self, program: &Program) -> Result<(), Terminated> {
        let chunk = self.limited(|lua| {
            let chunk = program.load(lua)?;
            pin(lua, chunk)
        })?;
        let back = self.enter(
            Target::Pinned(chunk),
            None,
            Subject::Nothing,
            None,
            &mut NoHost,
        );
        match self.settle(back, "")? {
            Back::Returned(..) => {}
            Back::Missing | Back::Raised { .. } => {
                return Err(self.end(Terminated::new(Cause::Interface, "the script is gone")));
            }
        }
        let lua = self.machine.lua();
        // A full collection, as Heka after loading; what the script keeps is what is left.
        lua.gc_collect()
            .map_err(|error| Terminated::new(Cause::Error, failure::describe_error(&error)))?;
        let batches: mlua::Result<mlua::Value> = lua.globals().raw_get("process_messages");
        self.takes_batches = matches!(batches, Ok(mlua::Value::Function(_)));
        self.note_memory();
        Ok(())
    }

    /// Does something in the machine on the script's behalf.
    fn limited<R>(&mut self, work: impl FnOnce(&Lua) -> mlua::Result<R>) -> Result<R, Terminated> {
        work(self.machine.lua()).map_err(|error| {
            let cause = match error {
                mlua::Error::MemoryError(_) => Cause::Memory,
                _ => Cause::Error,
            };
            self.end(Terminated::new(cause, failure::describe_error(&error)))
        })
    }

    /// Calls `process_message` for one message, or for none (inputs).
    ///
    /// An error ends the sandbox: every further call answers the same.
    pub fn process_message(
        &mut self,
        subject: Subject<'_, '_>,
        host: &mut dyn Host,
    ) -> Result<Returned<'_>, Terminated> {
        self.figures.process_message_count += 1;
        self.process(
            self.process_message,
            "process_message()",
            None,
            subject,
            None,
            host,
        )
    }

    /// Calls `process_messages` for all messages of a batch at once, if the script has that function; see `takes_batches`.
    ///
    /// The script is given their number and says by `select_message(i)` which one `read_message` and `read_next_field` are about;
    /// it begins with the first. What it returns is for the batch as a whole.
    pub fn process_messages(
        &mut self,
        batch: &dyn Batch,
        host: &mut dyn Host,
    ) -> Result<Returned<'_>, Terminated> {
        if batch.is_empty() {
            return Ok(Returned {
                status: 0,
                text: None,
            });
        }
        self.figures.process_message_count += batch.len() as u64;
        let count = Some(batch.len() as f64);
        let first = Subject::Message(batch.get(0));
        self.process(
            self.process_messages,
            "process_messages()",
            count,
            first,
            Some(batch),
            host,
        )
    }

    /// Whether the script defined `process_messages` when it was loaded, and so wants batches.
    pub fn takes_batches(&self) -> bool {
        self.takes_batches
    }

    fn process(
        &mut self,
        name: Pinned,
        called: &str,
        argument: Option<f64>,
        subject: Subject<'_, '_>,
        batch: Option<&dyn Batch>,
        host: &mut dyn Host,
    ) -> Result<Returned<'_>, Terminated> {
        if let Some(ended) = &self.ended {
            return Err(ended.clone());
        }
        let started = self.begin_sample();
        let back = self.enter(Target::Global(name), argument, subject, batch, host);
        if let Some(started) = started {
            self.figures.process_message_samples += 1;
            self.figures.process_message_duration += nanoseconds(started);
            self.note_memory();
        }
        let back = self.settle(back, called)?;
        let (First::Number(status), second) = (match back {
            Back::Returned(first, second) => (first, second),
            Back::Missing => return Err(self.end(missing(called))),
            Back::Raised { .. } => (First::Other, Second::Other),
        }) else {
            return Err(self.end(Terminated::new(
                Cause::Interface,
                format!("{called} must return a numeric status code"),
            )));
        };
        let text = match second {
            Second::Nil => None,
            Second::Text => {
                self.text.clear();
                self.text.extend_from_slice(&self.machine.state().said());
                Some(&self.text[..])
            }
            Second::Other => {
                return Err(self.end(Terminated::new(
                    Cause::Interface,
                    format!("{called} must return a nil or string error message"),
                )));
            }
        };
        let status = status as i32;
        if status < 0 {
            self.figures.process_message_failures += 1;
        }
        Ok(Returned { status, text })
    }

    /// Calls `timer_event` with the time, nanoseconds since the Unix epoch.
    pub fn timer_event(&mut self, now: i64, host: &mut dyn Host) -> Result<(), Terminated> {
        const CALLED: &str = "timer_event()";
        if let Some(ended) = &self.ended {
            return Err(ended.clone());
        }
        let started = clock::moment();
        let back = self.enter(
            Target::Global(self.timer_event),
            Some(now as f64),
            Subject::Nothing,
            None,
            host,
        );
        self.figures.timer_event_samples += 1;
        self.figures.timer_event_duration += nanoseconds(started);
        match self.settle(back, CALLED)? {
            Back::Missing => return Err(self.end(missing(CALLED))),
            Back::Raised { .. } | Back::Returned(..) => {}
        }
        self.note_memory();
        self.limited(Lua::gc_collect)
    }

    /// One call into the script.
    fn enter(
        &mut self,
        target: Target,
        argument: Option<f64>,
        subject: Subject<'_, '_>,
        batch: Option<&dyn Batch>,
        host: &mut dyn Host,
    ) -> Back {
        if let Some(table) = &mut self.copy {
            table.clear();
        }
        let mut call = Call {
            subject,
            host,
            batch,
            next_field: 0,
            copy: Some(&mut self.copy),
        };
        self.machine.state().begin();
        self.machine.call(target, argument, &mut call)
    }

    /// Ends a call: goes on with a panic, and makes an error the end of the sandbox.
    fn settle(&mut self, back: Back, called: &str) -> Result<Back, Terminated> {
        let state = Rc::clone(self.machine.state());
        let stopped = state.end();
        self.figures.max_instructions = self.figures.max_instructions.max(state.passed());
        if let Some(panic) = state.take_panic() {
            self.ended = Some(Terminated::new(Cause::Error, "the host failed"));
            resume_unwind(panic);
        }
        if state.full.take() {
            return Err(Terminated::new(
                Cause::Full,
                format!("{called} the message table is full"),
            ));
        }
        let memory = match (stopped, back) {
            (None, Back::Returned(..) | Back::Missing) => return Ok(back),
            (_, Back::Raised { memory }) => memory,
            (Some(_), _) => false,
        };
        let mut ended = Terminated::new(Cause::Error, "");
        let text = match stopped {
            Some(stop) => {
                ended.cause = cause_of(stop);
                format!("{}{}", state.place(), state.stop_text())
            }
            None => {
                let text = String::from_utf8_lossy(&state.said()).into_owned();
                if memory || text.ends_with("not enough memory") {
                    ended.cause = Cause::Memory;
                } else if state.aborted.take() && text.ends_with("aborted") {
                    ended.cause = Cause::Aborted;
                }
                text
            }
        };
        let separator = if called.is_empty() { "" } else { " " };
        ended = Terminated::new(ended.cause, format!("{called}{separator}{text}"));
        ended.trace = state.trace();
        if matches!(ended.cause, Cause::Aborted | Cause::Stopped) {
            // The state is as good as before the call, and is preserved.
            return Err(ended);
        }
        Err(self.end(ended))
    }

    /// Reads what an earlier sandbox preserved, if it did.
    fn restore(&mut self) -> Result<(), Terminated> {
        let Some(path) = self.settings.preserve.clone() else {
            return Ok(());
        };
        let name = path.display().to_string();
        let failed = |why: String| {
            Terminated::new(
                Cause::Preservation,
                format!("lsb_restore_global_data {why}"),
            )
        };
        let bytes = match preserve::read(&path) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(()),
            Err(error) => return Err(self.end(failed(format!("{name}: {error}")))),
        };
        // What a file makes was within the script's memory once, and is there twice while it becomes global.
        let room = match self.settings.limits.memory_bytes as usize {
            0 => 0,
            limit => {
                let more = limit.saturating_add(bytes.len().saturating_mul(4));
                let more = more.saturating_mul(2).saturating_add(RESTORE_BYTES_FREE);
                self.machine.lua().used_memory().saturating_add(more)
            }
        };
        let restored = self.own(room, |lua, loaded| {
            preserve::restore(lua, loaded, &name, &bytes)
        });
        restored.map_err(|why| self.end(failed(why)))?;
        self.note_memory();
        Ok(())
    }

    /// Preserves the globals where `Settings::preserve` says. Answers whether there was anything to do: not without such a place, and not
    /// after an error of the script, whose state cannot be trusted.
    ///
    /// Where the state cannot be written the file is removed, as Heka does: an older state would be worse than none.
    pub fn preserve(&mut self) -> Result<bool, PreserveError> {
        match self.last_state() {
            Some(state) => state.write().map(|()| true),
            None => Ok(false),
        }
    }

    /// As `preserve`, but for the writing, which may be done elsewhere. `None` where there is nothing to do.
    pub fn last_state(&mut self) -> Option<LastState> {
        let path = self.settings.preserve.clone()?;
        if self.ended.is_some() {
            return None;
        }
        let state = self.own(0, preserve::write_state);
        Some(LastState { path, state })
    }

    /// Does something in the machine that is the host's own: with so much memory, 0 for as much as it takes, and `State::own`'s time.
    fn own<R>(
        &mut self,
        memory: usize,
        work: impl FnOnce(&Lua, &mlua::Table) -> Result<R, String>,
    ) -> Result<R, String> {
        let lua = self.machine.lua();
        let told = |error: mlua::Error| failure::describe_error(&error);
        let limit = lua.set_memory_limit(memory).map_err(told)?;
        let state = self.machine.state();
        let done = self
            .machine
            .running(|| state.own(|| work(lua, &self.loaded)));
        lua.gc_collect().map_err(told)?;
        lua.set_memory_limit(limit).map_err(told)?;
        done
    }

    /// Marks the sandbox as ended.
    fn end(&mut self, ended: Terminated) -> Terminated {
        self.ended = Some(ended.clone());
        ended
    }

    /// Why the sandbox has ended; `None` while it runs.
    pub fn ended(&self) -> Option<&Terminated> {
        self.ended.as_ref()
    }

    /// What the script made by `write_message` of the message of the last call, where that is a copy: in an encoder, unless it wrote nothing;
    /// in a decoder only where the message's table had no room for it.
    pub fn written(&self) -> Option<MessageRef<'_>> {
        let table = self.copy.as_ref()?;
        (!table.is_empty()).then(|| table.get(0))
    }

    /// Ends the running call, and any further one, from another thread.
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.machine.state().watched))
    }

    /// What it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What it has used.
    pub fn figures(&self) -> Figures {
        let state = self.machine.state();
        let memory = self.memory();
        Figures {
            memory: if self.ended.is_some() { 0 } else { memory },
            max_memory: self.figures.max_memory.max(memory),
            max_output: state.max_output.get() as u64,
            inject_message_count: state.injections.get(),
            ..self.figures
        }
    }

    /// What the script uses, bytes.
    fn memory(&self) -> u64 {
        let used = self.machine.lua().used_memory();
        used.saturating_sub(self.base_memory) as u64
    }

    fn note_memory(&mut self) {
        let memory = self.memory();
        self.figures.max_memory = self.figures.max_memory.max(memory);
    }

    /// The moment, if this call is to be timed.
    fn begin_sample(&mut self) -> Option<Instant> {
        if self.until_sample > 0 {
            self.until_sample -= 1;
            return None;
        }
        // At random, so that sandboxes made together are not timed together.
        let denominator = self.settings.sample_denominator.max(1);
        self.until_sample = fastrand::u32(0..2 * denominator - 1);
        Some(clock::moment())
    }
}

fn missing(called: &str) -> Terminated {
    Terminated::new(Cause::Interface, format!("{called} function was not found"))
}

fn cause_of(stop: Stop) -> Cause {
    match stop {
        Stop::Instructions => Cause::Instructions,
        Stop::CpuTime | Stop::WallTime => Cause::Time,
        Stop::Asked => Cause::Stopped,
    }
}

fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Makes a machine with all that a script of the kind finds there.
fn open(settings: &Settings, place: Place) -> mlua::Result<(Machine, mlua::Table)> {
    let libraries = StdLib::STRING | StdLib::TABLE | StdLib::MATH | StdLib::COROUTINE;
    let lua = Lua::new_with(libraries, LuaOptions::new().catch_rust_panics(false))?;
    // The host's own part is small and seldom called.
    lua.enable_jit(false);
    let state = State::new(settings, place);
    // For modules, which are lent the machine and nothing else.
    lua.set_app_data(state.limits);
    let machine = Machine::new(lua, state)?;
    let lua = machine.lua();
    let keys = KEYS
        .iter()
        .map(|key| pin(lua, lua.create_string(key)?))
        .collect::<mlua::Result<_>>()?;
    *machine.state().keys.borrow_mut() = keys;
    let libraries = environment::install(&machine, settings.kind)?;
    let loaded = libraries.loaded.clone();
    let globals = lua.globals();
    let require = require::function(lua, settings.kind, &settings.module_directories, libraries)?;
    globals.raw_set("require", require)?;
    globals.raw_set("decode_message", decode::function(lua)?)?;
    add_functions(&machine, settings.kind)?;
    lua.enable_jit(settings.native);
    machine.promise_base()?;
    lua.gc_collect()?;
    if settings.limits.memory_bytes != 0 {
        // An empty machine takes some hundred kilobytes, which Lua 5.1's did not: the limit is the script's.
        lua.set_memory_limit(lua.used_memory() + settings.limits.memory_bytes as usize)?;
    }
    Ok((machine, loaded))
}

/// The functions that scripts of the kind have.
fn add_functions(machine: &Machine, kind: Kind) -> mlua::Result<()> {
    add::<ReadConfig>(machine)?;
    if kind != Kind::Input {
        add::<ReadMessage>(machine)?;
        add::<ReadNextField>(machine)?;
    }
    if kind != Kind::Output {
        add::<InjectMessage>(machine)?;
    }
    if matches!(kind, Kind::Decoder | Kind::Encoder) {
        add::<WriteMessage>(machine)?;
    }
    if !kind.is_trusted() {
        add::<InjectPayload>(machine)?;
        add::<AddToPayload>(machine)?;
    }
    if kind == Kind::Filter {
        add::<SelectMessage>(machine)?;
    }
    Ok(())
}

fn add<F: Function>(machine: &Machine) -> mlua::Result<()> {
    let name = F::NAME.to_str().map_err(mlua::Error::external)?;
    machine
        .lua()
        .globals()
        .raw_set(name, machine.function::<F>()?)
}
