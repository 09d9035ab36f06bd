//! SandboxInput: a Lua script that makes messages.
//!
//! Owns:    a thread on which the script runs, as long as it likes, and the way of its messages to the shard.
//! Runs on: its home shard; the script on the thread.            Plane: data.
//! Bounds:  the script's memory; `handed::BUFFERS` buffers of messages on their way: then the script waits in `inject_message`.
//! Never:   waits for ever for a script that does not end.

mod handed;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use engine::io::{Resident, timeout};
use engine::plugin::options::InputOptions;
use engine::plugin::{
    Fault, Figure, Input, InputFactory, InputPlugin, InputTrial, LocalFuture, Placement,
    PluginSpec, Section,
};
use engine::shard::intake::{Fill, InputContext, Intake};
use futures_lite::future::{or, zip};
use sandbox::{Cause, Host, Kind, Stopper, Subject};

use super::timer::Timer;
use crate::script::{Running, Script, options, told};
use handed::{Handed, Hands, Shown};

/// What cuts the messages out of what the script hands over, and what reads them.
const SPLITTER: &str = "HekaFramingSplitter";
const DECODER: &str = "ProtobufDecoder";

/// How long a script that was told to end is waited for.
const GRACE: Duration = Duration::from_secs(5);

options! {
    /// Options of `SandboxInput`.
    Options {
        /// Inputs have no timer_event
        #[schemars(extend("x-no-effect" = "inputs have no timer_event"))]
        timer_event_on_shutdown: bool = false,
    }
}

/// The table's line.
pub const SPEC: PluginSpec =
    PluginSpec::input::<Options>("SandboxInput", "Runs a Lua script that makes messages")
        .ticks()
        .notes(&[
            "The script runs on a thread of its own and may use `io`, `os` and whatever else blocks; the instruction limit does not hold for it. \
             `process_message` is called once, or again every `ticker_interval` seconds; it may also go on for ever.",
            "`inject_message` sends a message as it is; while messages are not taken, it waits. It fails with `aborted` when the daemon stops.",
            "A status of 0 or below ends the input when there is no `ticker_interval`; the text of one below 0 is in the log. An error, or a status \
             above 0, ends it with that error. When the daemon stops, a script that goes on is ended at its next safepoint.",
            "What the script makes are whole messages: `splitter` and `decoder` stay as they are.",
        ]);

impl InputPlugin for Options {
    fn common() -> InputOptions {
        InputOptions {
            splitter: SPLITTER.to_owned(),
            decoder: DECODER.to_owned(),
            can_exit: true,
            ..InputOptions::default()
        }
    }

    fn build(self, section: &mut Section<'_, InputOptions>) -> Option<Box<dyn InputFactory>> {
        let common = section.common();
        for (key, given, fixed) in [
            ("splitter", &common.splitter, SPLITTER),
            ("decoder", &common.decoder, DECODER),
        ] {
            if given != fixed {
                section
                    .problem(&[key], format!("a SandboxInput has no use for a `{key}`"))
                    .help("its script injects whole messages: leave this key out");
            }
        }
        let seconds = u64::from(common.ticker_interval);
        let script = Script::build(self.chosen(), Kind::Input, section)?;
        Some(Box::new(Factory {
            script,
            interval: (seconds > 0).then(|| Duration::from_secs(seconds)),
        }))
    }
}

struct Factory {
    script: Arc<Script>,
    interval: Option<Duration>,
}

impl InputFactory for Factory {
    fn placement(&self) -> Placement {
        Placement::OneShard
    }

    fn make(&self) -> Box<dyn Input> {
        Box::new(SandboxInput {
            script: Arc::clone(&self.script),
            interval: self.interval,
        })
    }

    fn trial(&self) -> Option<Result<Box<dyn InputTrial>, Fault>> {
        let mut machine = Machine::default();
        let opened = machine.open(&self.script);
        Some(opened.map(|_| {
            let script = Arc::clone(&self.script);
            Box::new(Trial { machine, script }) as _
        }))
    }

    fn figures(&self, tell: &mut dyn FnMut(Figure)) {
        self.script.figures(tell);
    }
}

/// One that is tried.
struct Trial {
    machine: Machine,
    script: Arc<Script>,
}

impl InputTrial for Trial {
    fn run(&mut self, take: &mut dyn FnMut(&[u8]) -> bool) -> Result<Option<String>, Fault> {
        match self.machine.call(&mut Shown::new(&self.script, take)) {
            Outcome::Done(complaint) => Ok(complaint),
            Outcome::Stopped => Ok(None),
            Outcome::Ended(text) => Err(Fault::for_good(text)),
        }
    }
}

struct SandboxInput {
    script: Arc<Script>,
    interval: Option<Duration>,
}

/// What lives on the thread.
#[derive(Default)]
struct Machine {
    running: Option<Running>,
}

/// What a call has come to.
enum Outcome {
    /// It may be called again. The text of a failure.
    Done(Option<String>),
    /// The script was told to end.
    Stopped,
    /// The script has ended.
    Ended(String),
}

impl Machine {
    fn open(&mut self, script: &Arc<Script>) -> Result<Stopper, Fault> {
        match script.start() {
            Ok(mut running) => {
                running.count();
                let stopper = running.sandbox().stopper();
                self.running = Some(running);
                Ok(stopper)
            }
            Err(ended) => Err(Fault::for_good(told(&ended))),
        }
    }

    fn process(&mut self, script: &Script, hands: &Hands) -> Outcome {
        let mut giving = hands.giving(script);
        let outcome = self.call(&mut giving);
        giving.flush();
        outcome
    }

    fn call(&mut self, host: &mut dyn Host) -> Outcome {
        let Some(running) = &mut self.running else {
            return Outcome::Stopped;
        };
        let sandbox = running.sandbox();
        let returned = sandbox.process_message(Subject::Nothing, host);
        let outcome = match returned {
            Ok(returned) => {
                let text = returned.text.unwrap_or_default();
                let text = String::from_utf8_lossy(text).into_owned();
                match returned.status {
                    0 => Outcome::Done(None),
                    ..0 => Outcome::Done(Some(text)),
                    1.. if text.ends_with("shutting down") => Outcome::Stopped,
                    1.. => Outcome::Ended(returned.end().text),
                }
            }
            Err(ended) if matches!(ended.cause, Cause::Stopped | Cause::Aborted) => {
                Outcome::Stopped
            }
            Err(ended) => Outcome::Ended(told(&ended)),
        };
        running.count();
        outcome
    }

    fn end(&mut self) -> Result<(), Fault> {
        match self.running.take() {
            Some(mut running) => running.preserve().map_err(Fault::for_good),
            None => Ok(()),
        }
    }
}

impl Input for SandboxInput {
    fn open(&mut self, _context: &InputContext) -> Result<(), Fault> {
        Ok(())
    }

    fn run<'a>(&'a mut self, context: &'a InputContext) -> LocalFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let machine = Resident::start(context.name(), Machine::default)?;
            let script = Arc::clone(&self.script);
            let stopper = machine.run(move |machine| machine.open(&script)).await?;
            let mut intake = context
                .open_stream("")
                .ok_or_else(|| Fault::new("this shard has as many streams as it can"))?;
            let (hands, handed) = handed::ends();
            let driving = self.drive(context, machine, stopper, hands);
            let (read, ended) = zip(read(&mut intake, handed), driving).await;
            ended.and(read)
        })
    }
}

/// Reads what the script hands over, until there is nothing more.
async fn read(intake: &mut Intake, mut handed: Handed) -> Result<(), Fault> {
    loop {
        match intake.fill(&mut handed).await? {
            Fill::Received(_) => engine::io::yield_if_needed().await,
            Fill::End | Fill::Stopped => return Ok(()),
        }
    }
}

impl SandboxInput {
    /// Calls the script, once or at every tick, until the input is to stop or the script has ended.
    async fn drive(
        &self,
        context: &InputContext,
        machine: Resident<Machine>,
        stopper: Stopper,
        hands: Hands,
    ) -> Result<(), Fault> {
        let mut timer = self.interval.map(|interval| Timer::new(interval, false));
        let mut result = Ok(());
        loop {
            let outcome = self.call(context, &machine, &stopper, &hands).await;
            match outcome {
                Outcome::Stopped => break,
                Outcome::Ended(text) => {
                    result = Err(Fault::for_good(text));
                    break;
                }
                Outcome::Done(failure) => {
                    if let Some(text) = failure {
                        context.notice(|| format!("process_message() failed: {text}"));
                    }
                }
            }
            match &mut timer {
                Some(timer) => {
                    if !timer.tick(context).await {
                        break;
                    }
                }
                None => {
                    context.notice(|| "single run completed".to_owned());
                    break;
                }
            }
        }
        // With the last end of it gone, reading comes to its end.
        drop(hands);
        let ended = timeout(GRACE, async { Ok(machine.run(Machine::end).await) }).await;
        result.and(ended.unwrap_or(Ok(())))
    }

    /// One call. A script that does not come back when the input is to stop is left behind.
    async fn call(
        &self,
        context: &InputContext,
        machine: &Resident<Machine>,
        stopper: &Stopper,
        hands: &Hands,
    ) -> Outcome {
        let (script, own) = (Arc::clone(&self.script), hands.clone());
        let mut call = pin!(machine.run(move |machine| machine.process(&script, &own)));
        let stop = async {
            let _: Option<()> = context.until_stop(|_| std::task::Poll::Pending).await;
            None
        };
        let returned = or(async { Some(call.as_mut().await) }, stop).await;
        if let Some(outcome) = returned {
            return outcome;
        }
        stopper.stop();
        match timeout(GRACE, async { Ok(call.await) }).await {
            Ok(outcome) => outcome,
            Err(_) => {
                context.notice(|| {
                    "its script does not come back although the daemon stops; its state is not preserved".to_owned()
                });
                Outcome::Stopped
            }
        }
    }
}
