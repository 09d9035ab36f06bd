//! SandboxOutput: a Lua script that delivers messages.
//!
//! Owns:    a thread on which the script runs: it may use files, processes and sockets, and wait for them.
//! Runs on: its home shard; the script on the thread.            Plane: data.
//! Bounds:  the script's memory; one batch at a time, while further ones wait as for any output.
//! Never:   gives the script a message twice.

use std::sync::Arc;

use engine::event::DropCause;
use engine::io::{Resident, clock};
use engine::plugin::options::OutputOptions;
use engine::plugin::spec::EncoderUse;
use engine::plugin::{
    Fault, Figure, LocalFuture, Output, OutputFactory, OutputPlugin, PluginSpec, Section,
};
use engine::shard::delivery::{OutputContext, OutputEvent};
use engine::shard::parcel::Parcel;
use engine::words::counted;
use sandbox::{Kind, NoHost, Subject};

use crate::script::{Last, Running, Script, options, told};

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
        })
    }

    fn figures(&self, tell: &mut dyn FnMut(Figure)) {
        self.script.figures(false, tell);
    }
}

struct SandboxOutput {
    script: Arc<Script>,
    ticks_at_the_end: bool,
}

/// What lives on the thread.
#[derive(Default)]
struct Machine {
    running: Option<Running>,
    last: Last,
}

/// What has become of a batch.
struct Delivered {
    parcel: Box<Parcel>,
    /// What the script has complained about, and how often, if it is time to tell.
    complaint: Option<(String, u64)>,
    /// The script has ended.
    ended: Option<String>,
}

impl Machine {
    fn open(&mut self, script: &Arc<Script>) -> Result<(), Fault> {
        match script.start() {
            Ok(running) => {
                running.count();
                self.running = Some(running);
                Ok(())
            }
            Err(ended) => Err(Fault::for_good(told(&ended))),
        }
    }

    fn deliver(&mut self, mut parcel: Box<Parcel>) -> Delivered {
        let mut ended = None;
        if let Some(running) = &mut self.running {
            for index in 0..parcel.len() {
                let subject = Subject::Message(parcel.message(index));
                let returned = running.sandbox().process_message(subject, &mut NoHost);
                let text = match returned {
                    Ok(returned) if returned.status == 0 => continue,
                    Ok(returned) => {
                        let text = returned.text.unwrap_or_default();
                        let text = String::from_utf8_lossy(text).into_owned();
                        if returned.status > 0 {
                            ended = Some(format!("FATAL: {text}"));
                        } else {
                            self.last.note(&[text.as_bytes()]);
                        }
                        text
                    }
                    Err(end) => {
                        ended = Some(format!("FATAL: {}", told(&end)));
                        end.text
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
        running.count();
        ticked.map_err(|ended| Fault::for_good(format!("FATAL: {}", told(&ended))))
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

impl Output for SandboxOutput {
    fn run<'a>(&'a mut self, context: &'a mut OutputContext) -> LocalFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let machine = Resident::start(context.name(), Machine::default)?;
            let script = Arc::clone(&self.script);
            machine.run(move |machine| machine.open(&script)).await?;
            loop {
                match context.next(None).await {
                    OutputEvent::Parcel(parcel) => {
                        let delivered = machine.run(move |machine| machine.deliver(parcel)).await;
                        context.settle(delivered.parcel);
                        if let Some((text, count)) = delivered.complaint {
                            context.notice(|| {
                                format!(
                                    "process_message() failed: {text} ({})",
                                    counted(count, "time")
                                )
                            });
                        }
                        if let Some(ended) = delivered.ended {
                            return Err(Fault::for_good(ended));
                        }
                    }
                    OutputEvent::Tick => machine.run(Machine::timer_event).await?,
                    OutputEvent::End => {
                        let ticks = self.ticks_at_the_end;
                        return machine.run(move |machine| machine.end(ticks)).await;
                    }
                    OutputEvent::Deadline | OutputEvent::Reopen => {}
                }
            }
        })
    }
}
