//! SandboxOutput: a Lua script that delivers messages.
//!
//! Owns:    a thread on which the script runs: it may use files, processes and sockets, and wait for them.
//! Runs on: its home shard; the script on the thread.            Plane: data.
//! Bounds:  the script's memory; one batch at a time, while further ones wait as for any output; `GRACE` for a call once the daemon stops.
//! Never:   gives the script a message twice.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use codecs::message::MessageRef;
use engine::event::DropCause;
use engine::io::{Resident, clock, sleep};
use engine::plugin::options::OutputOptions;
use engine::plugin::spec::EncoderUse;
use engine::plugin::{
    Fault, Figure, LocalFuture, Output, OutputFactory, OutputPlugin, OutputTrial, PluginSpec,
    Section, Times,
};
use engine::shard::delivery::{OutputContext, OutputEvent};
use engine::shard::parcel::Parcel;
use futures_lite::future::or;
use sandbox::{Cause, Kind, NoHost, Stopper, Subject, Terminated};

use crate::script::{Last, Running, Script, options, told};

/// How long one call of the script may last once the daemon stops.
const GRACE: Duration = Duration::from_secs(5);

/// How long an output sleeps that waits for the daemon to stop, which wakes it anyway.
const LONG: Duration = Duration::from_secs(3600);

options! {
    /// Options of `SandboxOutput`.
    Options {
        /// Call timer_event once more when the daemon stops
        timer_event_on_shutdown: bool = false,
    }
}

/// The table's line.
pub const SPEC: PluginSpec = PluginSpec::output::<Options>(
    "SandboxOutput",
    "Runs a Lua script that delivers messages",
)
.ticks()
.encoder_use(EncoderUse::Ignored)
.notes(&[
    "The script runs on a thread of its own and may use `io`, `os` and whatever else blocks; the instruction limit does not hold for it. \
     `process_message` is called for each message, `timer_event` every `ticker_interval` seconds.",
    "A status below 0 refuses the message: it is counted as `refused`, becomes a dead letter where the output keeps them, and the text is in the \
     log, at most once a second. It is not given to the script again.",
    "An error of the script, or a status above 0, ends the output.",
    "A call that still lasts five seconds after the daemon was told to stop is ended at its next safepoint, or at once if it waits for a socket; \
     its message, and those behind it, stay in the queue of an output that has one, and are dropped (`destination_ended`) otherwise.",
]);

impl OutputPlugin for Options {
    fn common() -> OutputOptions {
        OutputOptions {
            can_exit: true,
            ..OutputOptions::default()
        }
    }

    fn build(self, section: &mut Section<'_, OutputOptions>) -> Option<Box<dyn OutputFactory>> {
        let script = Script::build(self.chosen(), Kind::Output, section)?;
        Some(Box::new(Factory {
            script,
            ticks_at_the_end: self.timer_event_on_shutdown,
        }))
    }
}

struct Factory {
    script: Arc<Script>,
    ticks_at_the_end: bool,
}

impl OutputFactory for Factory {
    fn make(&self) -> Box<dyn Output> {
        Box::new(SandboxOutput {
            script: Arc::clone(&self.script),
            ticks_at_the_end: self.ticks_at_the_end,
            calls: Arc::default(),
            stopper: None,
        })
    }

    fn trial(&self) -> Option<Result<Box<dyn OutputTrial>, Fault>> {
        let mut machine = Machine::default();
        let opened = machine.open(&self.script, Arc::default());
        Some(opened.map(|_| Box::new(machine) as _))
    }

    fn figures(&self, tell: &mut dyn FnMut(Figure)) {
        self.script.figures(tell);
    }
}

struct SandboxOutput {
    script: Arc<Script>,
    ticks_at_the_end: bool,
    /// Calls that the script has come back from.
    calls: Arc<AtomicU64>,
    stopper: Option<Stopper>,
}

impl Drop for SandboxOutput {
    fn drop(&mut self) {
        // What a queue keeps is not waited for: the script may be in the middle of a call, whose batch must come back.
        if let Some(stopper) = &self.stopper {
            stopper.stop();
        }
    }
}

/// What lives on the thread.
#[derive(Default)]
struct Machine {
    running: Option<Running>,
    last: Last,
    calls: Arc<AtomicU64>,
}

/// What has become of a batch.
struct Delivered {
    parcel: Box<Parcel>,
    /// What the script has complained about, and how often, if it is time to tell.
    complaint: Option<(String, u64)>,
    /// The script has ended.
    ended: Option<String>,
}

/// What has become of a message.
enum Given {
    Taken,
    Refused(String),
    /// The daemon has ended the script.
    Stopped(Terminated),
    /// The script has ended: what it said of the message, and of its end.
    Ended {
        text: String,
        why: String,
    },
}

fn give(running: &mut Running, subject: Subject<'_, '_>) -> Given {
    match running.sandbox().process_message(subject, &mut NoHost) {
        Ok(returned) if returned.status == 0 => Given::Taken,
        Ok(returned) if returned.status > 0 => {
            let text = returned.end().text;
            Given::Ended {
                why: format!("FATAL: {text}"),
                text,
            }
        }
        Ok(returned) => {
            let text = returned.text.unwrap_or_default();
            Given::Refused(String::from_utf8_lossy(text).into_owned())
        }
        Err(end) if end.cause == Cause::Stopped => Given::Stopped(end),
        Err(end) => Given::Ended {
            why: format!("FATAL: {}", told(&end)),
            text: end.text,
        },
    }
}

impl OutputTrial for Machine {
    fn deliver(&mut self, message: MessageRef<'_>) -> Result<Option<String>, Fault> {
        let Some(running) = &mut self.running else {
            return Ok(None);
        };
        let given = give(running, Subject::Message(message));
        running.count();
        match given {
            Given::Taken => Ok(None),
            Given::Refused(text) => Ok(Some(text)),
            Given::Stopped(end) => Err(Fault::for_good(told(&end))),
            Given::Ended { why, .. } => Err(Fault::for_good(why)),
        }
    }

    fn tick(&mut self) -> Result<(), Fault> {
        self.timer_event()
    }
}

impl Machine {
    fn open(&mut self, script: &Arc<Script>, calls: Arc<AtomicU64>) -> Result<Stopper, Fault> {
        match script.start() {
            Ok(mut running) => {
                running.count();
                let stopper = running.sandbox().stopper();
                self.running = Some(running);
                self.calls = calls;
                Ok(stopper)
            }
            Err(ended) => Err(Fault::for_good(told(&ended))),
        }
    }

    fn deliver(&mut self, mut parcel: Box<Parcel>) -> Delivered {
        let mut ended = None;
        if let Some(running) = &mut self.running {
            for index in 0..parcel.len() {
                let subject = Subject::Message(parcel.message(index));
                let given = give(running, subject);
                self.calls.fetch_add(1, Ordering::Relaxed);
                let text = match given {
                    Given::Taken => continue,
                    Given::Refused(text) => {
                        self.last.note(&[text.as_bytes()]);
                        text
                    }
                    Given::Stopped(end) => {
                        ended = Some(stopped(running, &end));
                        parcel.drop_from(index, DropCause::DestinationEnded);
                        break;
                    }
                    Given::Ended { text, why } => {
                        ended = Some(why);
                        text
                    }
                };
                parcel.refuse_record(index, text, 1);
                if ended.is_some() {
                    parcel.drop_from(index + 1, DropCause::DestinationEnded);
                    break;
                }
            }
            running.count();
        }
        let complaint = self.last.take(clock::wall());
        Delivered {
            complaint: complaint.map(|(text, count)| (text.to_owned(), count)),
            parcel,
            ended,
        }
    }

    fn timer_event(&mut self) -> Result<(), Fault> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        let ticked = running.sandbox().timer_event(clock::wall(), &mut NoHost);
        self.calls.fetch_add(1, Ordering::Relaxed);
        running.count();
        ticked.map_err(|end| {
            Fault::for_good(match end.cause {
                Cause::Stopped => stopped(running, &end),
                _ => format!("FATAL: {}", told(&end)),
            })
        })
    }

    fn end(&mut self, ticks: bool) -> Result<(), Fault> {
        let ticked = if ticks { self.timer_event() } else { Ok(()) };
        let preserved = match self.running.take() {
            Some(mut running) => running.preserve(),
            None => Ok(()),
        };
        ticked.and(preserved.map_err(Fault::for_good))
    }
}

/// Preserves the state of a script that was ended because the daemon stops, which is as good as before the call. Answers what to tell.
fn stopped(running: &mut Running, end: &Terminated) -> String {
    let text = format!("its script did not come back from a call: {}", told(end));
    match running.preserve() {
        Ok(()) => text,
        Err(why) => format!("{text}; {why}"),
    }
}

/// Waits until a call of the script lasts for longer than it may while the daemon stops.
async fn until_stuck(context: &OutputContext, calls: &AtomicU64) {
    while !context.stopping() {
        context.pause(LONG).await;
    }
    loop {
        let before = calls.load(Ordering::Relaxed);
        sleep(GRACE).await;
        if calls.load(Ordering::Relaxed) == before {
            return;
        }
    }
}

impl SandboxOutput {
    /// Runs something on the script's thread; a call in it that does not come back when the daemon stops is ended.
    async fn call<R: Send + 'static>(
        &self,
        context: &OutputContext,
        machine: &Resident<Machine>,
        work: impl FnOnce(&mut Machine) -> R + Send + 'static,
    ) -> R {
        let mut call = pin!(machine.run(work));
        let stuck = async {
            until_stuck(context, &self.calls).await;
            None
        };
        if let Some(returned) = or(async { Some(call.as_mut().await) }, stuck).await {
            return returned;
        }
        if let Some(stopper) = &self.stopper {
            stopper.stop();
        }
        call.await
    }
}

impl Output for SandboxOutput {
    fn run<'a>(&'a mut self, context: &'a mut OutputContext) -> LocalFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let machine = Resident::start(context.name(), Machine::default)?;
            let (script, calls) = (Arc::clone(&self.script), Arc::clone(&self.calls));
            let opened = machine.run(move |machine| machine.open(&script, calls));
            self.stopper = Some(opened.await?);
            loop {
                match context.next(None).await {
                    OutputEvent::Parcel(parcel) => {
                        let work = move |machine: &mut Machine| machine.deliver(parcel);
                        let delivered = self.call(context, &machine, work).await;
                        context.settle(delivered.parcel);
                        if let Some((text, count)) = delivered.complaint {
                            context.notice(|| {
                                format!(
                                    "process_message() failed: {}{}",
                                    text.trim_end(),
                                    Times(count)
                                )
                            });
                        }
                        if let Some(ended) = delivered.ended {
                            return Err(Fault::for_good(ended));
                        }
                    }
                    OutputEvent::Tick => {
                        self.call(context, &machine, Machine::timer_event).await?;
                    }
                    OutputEvent::End => {
                        let ticks = self.ticks_at_the_end;
                        let work = move |machine: &mut Machine| machine.end(ticks);
                        return self.call(context, &machine, work).await;
                    }
                    OutputEvent::Deadline | OutputEvent::Reopen => {}
                }
            }
        })
    }
}
