//! SandboxFilter: a Lua script that looks at messages and injects new ones.
//!
//! Owns:    the script's machine, and what it injects while nobody takes more.
//! Runs on: its home shard.            Plane: data.
//! Bounds:  the script's limits; `max_process_inject` and `max_timer_inject`; `HELD_BYTES` of injections that wait.
//! Never:   goes on after an error of the script: it says so in a message of type `heka.sandbox-terminated`, and ends.

use std::sync::Arc;

use codecs::error::Full;
use codecs::message::{Draft, Header, MessageRef, NewValue};
use engine::event::DropCause;
use engine::plugin::options::FilterOptions;
use engine::plugin::{
    Fault, Figure, Filter, FilterContext, FilterFactory, FilterPlugin, PluginSpec, Refusal,
    Section, Selection,
};
use engine::words::counted;
use sandbox::{Batch, Host, InjectError, Injected, Kind, Subject, Terminated};

use crate::script::{Item, Last, Made, Running, Script, fill, options, told};

/// Injections that wait until there is credit for them, bytes.
const HELD_BYTES: usize = 1024 * 1024;

/// Type of what `inject_payload` makes.
const OUTPUT: &str = "heka.sandbox-output";

/// What stands before the type of what `inject_message` makes.
const PREFIX: &[u8] = b"heka.sandbox.";

/// Type of the message about the end of a script.
pub(super) const TERMINATED: &str = "heka.sandbox-terminated";

/// Logger of the daemon's own messages.
const DAEMON: &str = "hekad";

options! {
    /// Options of `SandboxFilter`.
    Options {
        /// Call timer_event once more when the daemon stops
        timer_event_on_shutdown: bool = false,
    }
}

/// The table's line.
pub const SPEC: PluginSpec = PluginSpec::filter::<Options>(
    "SandboxFilter",
    "Runs a Lua script that filters or aggregates messages",
)
.ticks()
.notes(&[
    "The script's `process_message` is called for each message, `timer_event` every `ticker_interval` seconds. A script that defines \
     `process_messages(n)` gets all messages of a batch in one call, and says by `select_message(i)` which one it reads.",
    "What `inject_message` sends gets `heka.sandbox.` before its Type, the filter's name as Logger and this host's name. `inject_payload` makes a \
     message of Type `heka.sandbox-output` with the fields `payload_type` and `payload_name`. A call may inject as many messages as \
     `[hekad]` says in `max_process_inject` and `max_timer_inject` (`process_messages`: so many for each message).",
    "An error of the script, a limit that it exceeds or a status above 0 ends the filter; a message of Type `heka.sandbox-terminated` says why. \
     A status below 0 is counted; its text is in the log, at most once a second.",
    "It lives on one shard, so that the script sees every message that it matches.",
]);

impl FilterPlugin for Options {
    fn common() -> FilterOptions {
        FilterOptions {
            can_exit: true,
            ..FilterOptions::default()
        }
    }

    fn build(self, section: &mut Section<'_, FilterOptions>) -> Option<Box<dyn FilterFactory>> {
        let script = Script::build(self.chosen(), Kind::Filter, section)?;
        let hekad = section.hekad();
        Some(Box::new(Factory {
            script,
            rules: Rules {
                process_injections: hekad.max_process_inject,
                timer_injections: hekad.max_timer_inject,
                ticks_at_the_end: self.timer_event_on_shutdown,
            },
        }))
    }
}

/// What the configuration says beyond the script.
#[derive(Clone, Copy, Debug)]
struct Rules {
    /// Injections for each message.
    process_injections: u32,
    /// Injections for each tick.
    timer_injections: u32,
    ticks_at_the_end: bool,
}

struct Factory {
    script: Arc<Script>,
    rules: Rules,
}

impl FilterFactory for Factory {
    fn make(&self) -> Box<dyn Filter> {
        Box::new(SandboxFilter {
            script: Arc::clone(&self.script),
            rules: self.rules,
            running: None,
            held: Made::default(),
            last: Last::default(),
        })
    }

    fn figures(&self, tell: &mut dyn FnMut(Figure)) {
        self.script.figures(false, tell);
    }

    fn abort(&self) {
        self.script.abort();
    }
}

struct SandboxFilter {
    script: Arc<Script>,
    rules: Rules,
    /// Since it was opened.
    running: Option<Running>,
    /// Injections that wait for credit.
    held: Made,
    last: Last,
}

/// What the script injects into during one call.
struct Shard<'a> {
    context: &'a mut dyn FilterContext,
    held: &'a mut Made,
    last: &'a mut Last,
    /// Injections that the call may still make.
    left: u64,
}

impl Shard<'_> {
    fn take(&mut self, item: Item<'_>) -> Result<(), InjectError> {
        match send(self.context, item) {
            Ok(()) => Ok(()),
            Err(Refused::NotAMessage) => Err(InjectError::Unmarshal),
            Err(Refused::By(Refusal::Loops)) => Err(InjectError::Loops),
            Err(Refused::By(Refusal::Circular)) => Err(InjectError::Circular),
            Err(Refused::By(Refusal::NoCredit)) => {
                self.hold(item);
                Ok(())
            }
            Err(Refused::By(Refusal::DoesNotFit)) => {
                self.context.give_up(DropCause::DoesNotFit);
                Ok(())
            }
        }
    }

    /// Keeps an injection until there is credit for it.
    #[cold]
    fn hold(&mut self, item: Item<'_>) {
        if self.held.bytes() < HELD_BYTES {
            self.held.push(item.loops, item.what);
        } else {
            self.context.give_up(DropCause::NoCredit);
        }
    }
}

impl Host for Shard<'_> {
    fn inject(
        &mut self,
        injected: Injected<'_>,
        _subject: &mut Subject<'_, '_>,
    ) -> Result<(), InjectError> {
        if self.left == 0 {
            return Err(InjectError::Count);
        }
        self.left -= 1;
        let item = Item {
            loops: self.context.loops(),
            what: injected,
        };
        if self.held.is_empty() {
            return self.take(item);
        }
        // Nothing overtakes what waits.
        self.hold(item);
        Ok(())
    }

    fn now(&self) -> i64 {
        self.context.now()
    }

    fn explain(&mut self, why: &str) {
        self.last.note(&[why.as_bytes()]);
    }
}

/// Why an injection was not taken.
enum Refused {
    NotAMessage,
    By(Refusal),
}

/// Injects what the script has made.
fn send(context: &mut dyn FilterContext, item: Item<'_>) -> Result<(), Refused> {
    let mut is_message = true;
    let sent = context.inject_as(item.loops, &mut |draft| match item.what {
        Injected::Message(bytes) => {
            is_message = message(draft, bytes)?;
            if is_message { Ok(()) } else { Err(Full) }
        }
        Injected::Payload {
            text,
            payload_type,
            name,
        } => {
            draft.set(Header::Type, OUTPUT)?;
            fill::payload(draft, text, payload_type, name)
        }
    });
    match sent {
        Ok(()) => Ok(()),
        Err(_) if !is_message => Err(Refused::NotAMessage),
        Err(refusal) => Err(Refused::By(refusal)),
    }
}

/// A message that the script made, with what it has no say in: logger, host, and the beginning of the type.
fn message(draft: &mut Draft<'_>, bytes: &[u8]) -> Result<bool, Full> {
    let made = draft.view().head();
    let logger = made.text(Header::Logger).unwrap_or_default();
    let hostname = made.text(Header::Hostname).unwrap_or_default();
    if !fill::message(draft, bytes)? {
        return Ok(false);
    }
    let given = draft.view().head().text(Header::Type).unwrap_or_default();
    let prefix = draft.store(PREFIX)?;
    let message_type = draft.gather(&[prefix, given])?;
    draft.set(Header::Type, message_type)?;
    draft.set(Header::Logger, logger)?;
    draft.set(Header::Hostname, hostname)?;
    Ok(true)
}

/// A selection as the script's host sees it.
struct Messages<'a>(Selection<'a>);

impl Batch for Messages<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, index: usize) -> MessageRef<'_> {
        self.0.get(index)
    }
}

impl SandboxFilter {
    /// Sends what waits, as far as there is credit.
    fn flush(&mut self, context: &mut dyn FilterContext) {
        while let Some(item) = self.held.first() {
            match send(context, item) {
                Err(Refused::By(Refusal::NoCredit)) => return,
                Ok(()) => {}
                Err(Refused::By(Refusal::Loops | Refusal::Circular)) => {
                    context.give_up(DropCause::LoopLimit);
                }
                Err(Refused::By(Refusal::DoesNotFit) | Refused::NotAMessage) => {
                    context.give_up(DropCause::DoesNotFit);
                }
            }
            self.held.pop();
        }
    }

    /// Tells the log what the script has complained about.
    fn tell(&mut self, context: &mut dyn FilterContext) {
        if let Some((text, count)) = self.last.take(context.now()) {
            context.notice(&mut || {
                format!(
                    "process_message() failed: {text} ({})",
                    counted(count, "time")
                )
            });
        }
    }

    /// The script has ended: says so in a message. Answers the fault that ends the filter.
    #[cold]
    fn terminated(&mut self, ended: &Terminated, context: &mut dyn FilterContext) -> Fault {
        let name = self.script.name();
        // Where there is no credit the log tells of it all the same.
        context.inject(&mut |draft| {
            draft.set(Header::Type, TERMINATED)?;
            draft.set(Header::Logger, DAEMON)?;
            draft.set(Header::Payload, ended.text.as_str())?;
            draft.add_field("plugin", NewValue::String(name.into()), None)
        });
        Fault::for_good(told(ended))
    }

    /// Gives the script the messages of a batch.
    fn give(
        &mut self,
        messages: Selection<'_>,
        context: &mut dyn FilterContext,
    ) -> Result<(), Terminated> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        let sandbox = running.sandbox();
        let each = u64::from(self.rules.process_injections);
        let mut shard = Shard {
            context,
            held: &mut self.held,
            last: &mut self.last,
            left: 0,
        };
        if sandbox.takes_batches() {
            shard.left = each * messages.len() as u64;
            let returned = sandbox.process_messages(&Messages(messages), &mut shard)?;
            return judge(returned, shard.last);
        }
        for message in messages.iter() {
            shard.left = each;
            let returned = sandbox.process_message(Subject::Message(message), &mut shard)?;
            judge(returned, shard.last)?;
        }
        Ok(())
    }

    fn timer_event(&mut self, context: &mut dyn FilterContext) -> Result<(), Terminated> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        let now = context.now();
        let mut shard = Shard {
            context,
            held: &mut self.held,
            last: &mut self.last,
            left: u64::from(self.rules.timer_injections),
        };
        running.sandbox().timer_event(now, &mut shard)
    }

    fn count(&self) {
        if let Some(running) = &self.running {
            running.count();
        }
    }
}

/// What follows from what a script has returned.
#[inline]
fn judge(returned: sandbox::Returned<'_>, last: &mut Last) -> Result<(), Terminated> {
    match returned.status {
        0 => Ok(()),
        ..0 => {
            if let Some(text) = returned.text {
                last.note(&[text]);
            }
            Ok(())
        }
        1.. => Err(Terminated {
            cause: sandbox::Cause::Error,
            text: String::from_utf8_lossy(returned.text.unwrap_or_default()).into_owned(),
            trace: String::new(),
        }),
    }
}

impl Filter for SandboxFilter {
    fn open(&mut self) -> Result<(), Fault> {
        match self.script.start() {
            Ok(running) => {
                running.count();
                self.running = Some(running);
                Ok(())
            }
            Err(ended) => Err(Fault::for_good(told(&ended))),
        }
    }

    fn process(
        &mut self,
        messages: Selection<'_>,
        context: &mut dyn FilterContext,
    ) -> Result<(), Fault> {
        if !self.held.is_empty() {
            self.flush(context);
        }
        let given = self.give(messages, context);
        self.count();
        self.tell(context);
        given.map_err(|ended| self.terminated(&ended, context))
    }

    fn tick(&mut self, context: &mut dyn FilterContext) -> Result<(), Fault> {
        self.flush(context);
        let ticked = self.timer_event(context);
        self.count();
        self.tell(context);
        ticked.map_err(|ended| self.terminated(&ended, context))
    }

    fn resume(&mut self, context: &mut dyn FilterContext) -> Result<(), Fault> {
        self.flush(context);
        Ok(())
    }

    fn stop(&mut self, context: &mut dyn FilterContext) -> Result<(), Fault> {
        self.flush(context);
        if !self.rules.ticks_at_the_end {
            return Ok(());
        }
        let ticked = self.timer_event(context);
        self.count();
        ticked.map_err(|ended| Fault::for_good(format!("FATAL: {}", told(&ended))))
    }

    fn end(&mut self) -> Result<(), Fault> {
        match &mut self.running {
            Some(running) => running.preserve().map_err(Fault::for_good),
            None => Ok(()),
        }
    }
}
