//! ProcessInput: runs commands, each reading what the one before wrote, and reads what the last one writes.
//!
//! Owns:    the options, when the commands run, the two streams.
//! Runs on: one shard; the commands on a thread of the io seam.            Plane: data.
//! Bounds:  one run at a time; of its output no more than a few buffers are here, then the commands wait.
//! Never:   leaves a command behind when it stops.

mod outcome;
mod run;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use engine::io::Command;
use engine::plugin::options::{InputOptions, Table};
use engine::plugin::{
    Fault, Input, InputFactory, InputPlugin, LocalFuture, Placement, PluginSpec, Section,
};
use engine::shard::intake::InputContext;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::timer::Timer;
use outcome::Outcome;
use run::Streams;

/// Options of `ProcessInput`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Numbered commands forming a pipe, from 0
    #[schemars(extend("x-required" = true))]
    pub command: Table<CommandOptions>,
    /// Run at start instead of at the first tick
    pub immediate_start: bool,
    /// Seconds before a run is ended; zero means never
    pub timeout: u32,
    /// Read the standard output of the last command
    pub stdout: bool,
    /// Read the standard error of the last command
    pub stderr: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            command: Table::default(),
            immediate_start: false,
            timeout: 0,
            stdout: true,
            stderr: false,
        }
    }
}

/// One command.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CommandOptions {
    /// Path of the program, or its name in a folder of PATH
    #[schemars(extend("x-required" = true))]
    pub bin: String,
    /// Arguments
    pub args: Vec<String>,
    /// `NAME=value` for each variable of its environment; empty means the daemon's environment
    pub env: Vec<String>,
    /// Working directory; empty means the daemon's
    pub directory: String,
}

/// The table's line.
pub const SPEC: PluginSpec =
    PluginSpec::input::<Options>("ProcessInput", "Runs commands on a timer and reads their output")
        .ticks()
        .notes(&[
            "Command 0 reads nothing, every other one reads what the one before it writes; the last one's output is read. What the others write to \
             standard error, and outputs that are not asked for, is thrown away. Without a splitter all that a run writes is one message.",
            "Messages have the Type `ProcessInput`, the input's name as Logger, this host's name, the daemon's process number, and the fields \
             `ProcessInputName` (the input's name with `.stdout` or `.stderr`), `ExitStatus` and, where there is something to say, \
             `SubcmdErrors`; with a splitter that has `use_message_bytes` the decoder makes all of it.",
            "`ExitStatus` is that of the last command, -1 if a signal ended it; `SubcmdErrors` has one line for each command that failed: \
             `Subcommand[0] returned an error: [exit status 1]`. What is delivered when a run has ended, which without a splitter is all of it, \
             tells of that run; what is delivered while the commands still run tells of the run before, at first `0`.",
            "`ticker_interval` is the time between the beginnings of two runs. A run that takes longer delays the next one; two never run at \
             once. With zero the commands run once, and their end is the end of the input: it is started again by `retries`.",
            "When the time of a run is up, and when the daemon stops, command 0 gets SIGTERM, so that the others read to its end; a second later all \
             commands and what they have started in turn get it, and SIGKILL another second later. What they have written until then is still \
             read. A command can escape that only by starting a session of its own.",
            "While messages are not taken, the output is not read, and the commands wait in the middle of their writing.",
        ]);

impl InputPlugin for Options {
    fn common() -> InputOptions {
        InputOptions {
            ticker_interval: 15,
            ..InputOptions::default()
        }
    }

    fn build(self, section: &mut Section<'_, InputOptions>) -> Option<Box<dyn InputFactory>> {
        let commands = settings::commands(&self.command, section);
        if !self.stdout && !self.stderr {
            section
                .warning(&["stdout"], "with neither `stdout` nor `stderr` the commands run, but there will be no message")
                .help("set one of them to true");
        }
        let seconds =
            |seconds: u32| Some(Duration::from_secs(seconds.into())).filter(|time| !time.is_zero());
        Some(Box::new(Factory {
            settings: Arc::new(Settings {
                commands: commands?.into(),
                interval: seconds(section.common().ticker_interval),
                immediate_start: self.immediate_start,
                timeout: seconds(self.timeout),
                stdout: self.stdout,
                stderr: self.stderr,
            }),
        }))
    }
}

/// Options as they are used.
struct Settings {
    commands: Arc<[Command]>,
    /// Without one there is one run.
    interval: Option<Duration>,
    immediate_start: bool,
    timeout: Option<Duration>,
    stdout: bool,
    stderr: bool,
}

struct Factory {
    settings: Arc<Settings>,
}

impl InputFactory for Factory {
    fn placement(&self) -> Placement {
        Placement::OneShard
    }

    fn make(&self) -> Box<dyn Input> {
        Box::new(ProcessInput {
            settings: Arc::clone(&self.settings),
            last: Outcome::default(),
        })
    }
}

struct ProcessInput {
    settings: Arc<Settings>,
    /// How the last run ended.
    last: Outcome,
}

impl Input for ProcessInput {
    /// Whether the commands can be started is found out when they are: they may be installed by then, and gone later.
    fn open(&mut self, _context: &InputContext) -> Result<(), Fault> {
        Ok(())
    }

    fn run<'a>(&'a mut self, context: &'a InputContext) -> LocalFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let mut streams = Streams::open(&self.settings, context)?;
            let Some(interval) = self.settings.interval else {
                return self.run_once(&mut streams, context).await;
            };
            let mut timer = Timer::new(interval, self.settings.immediate_start);
            while timer.tick(context).await {
                let outcome = streams.run(&self.settings, context).await?;
                self.ended(outcome, context);
            }
            Ok(())
        })
    }
}

impl ProcessInput {
    /// Runs the commands that are meant never to end.
    async fn run_once(
        &mut self,
        streams: &mut Streams,
        context: &InputContext,
    ) -> Result<(), Fault> {
        let outcome = streams.run(&self.settings, context).await?;
        if context.stopping() {
            return Ok(());
        }
        Err(Fault::new(format!(
            "its commands, which run once (`ticker_interval = 0`), have ended: {outcome}"
        )))
    }

    /// Tells of errors that the run before did not have.
    fn ended(&mut self, outcome: Outcome, context: &InputContext) {
        if outcome.errors.is_some() && outcome != self.last && !context.stopping() {
            context.notice(|| {
                format!("{outcome}; the commands run again at the next tick, and this is told again only after a change")
            });
        }
        self.last = outcome;
    }
}

#[cfg(test)]
mod tests {
    use crate::configured::{mistakes, plan};

    fn section(options: &str) -> String {
        format!("[ProcessInput]\n{options}")
    }

    #[test]
    fn options_that_cannot_be_are_mistakes() {
        let zero = "[ProcessInput.command.0]\nbin = 'true'\n";
        for (options, expected) in [
            ("", "command"),
            ("[ProcessInput.command]", "lacks `command`"),
            (
                "[ProcessInput.command.1]\nbin = 'true'",
                "there is no command 0",
            ),
            (
                &format!("{zero}[ProcessInput.command.2]\nbin = 'true'"),
                "there is no command 1",
            ),
            (
                &format!("{zero}[ProcessInput.command.one]\nbin = 'true'"),
                "`one` is no number",
            ),
            (
                &format!("{zero}[ProcessInput.command.00]\nbin = 'true'"),
                "`00` is no number",
            ),
            ("[ProcessInput.command.0]\nargs = []", "lacks `bin`"),
            ("[ProcessInput.command.0]\nbin = ''", "lacks `bin`"),
            ("[ProcessInput.command.0]\nbin = \"a\\u0000b\"", "zero byte"),
            (&format!("{zero}env = ['PATH']"), "NAME=value"),
            (&format!("{zero}env = ['=x']"), "NAME=value"),
            (&format!("timeout = -1\n{zero}"), "timeout"),
        ] {
            let found = mistakes(&section(options));
            assert!(found.contains(expected), "{options}: {found}");
        }
        let many: String = (0..65)
            .map(|number| format!("[ProcessInput.command.{number}]\nbin = 'true'\n"))
            .collect();
        let found = mistakes(&section(&many));
        assert!(found.contains("at most 64"), "{found}");
    }

    #[test]
    fn commands_that_nobody_listens_to_are_warned_about() {
        let options = "stdout = false\n[ProcessInput.command.0]\nbin = 'true'";
        let warnings = plan(&section(options)).unwrap().warnings.render(false);
        assert!(warnings.contains("no message"), "{warnings}");
    }
}
