//! One run of the commands: their outputs into the streams, and the order to end when the input is to stop.
//!
//! Owns:    `Streams`, which last as long as the input: decoders keep their state from run to run.
//! Runs on: the input's home shard.            Plane: data.
//! Bounds:  one run at a time.
//! Never:   ends the last record of a run before it is known how the run ended.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::task::Poll;

use engine::io::{ChainEnd, ChainOptions, ChildOutput, Started, start_chain, yield_if_needed};
use engine::plugin::Fault;
use engine::shard::headers::{StreamField, StreamHeaders, StreamOptions};
use engine::shard::intake::{Fill, InputContext, Intake};
use futures_lite::future::{or, try_zip};

use super::Settings;
use super::outcome::Outcome;

/// Type of the messages.
const MESSAGE_TYPE: &str = "ProcessInput";

/// Where the outputs go that are wanted.
pub(super) struct Streams {
    stdout: Option<Stream>,
    stderr: Option<Stream>,
}

impl Streams {
    pub(super) fn open(settings: &Settings, context: &InputContext) -> Result<Streams, Fault> {
        let open = |wanted: bool, output: &str| match wanted {
            true => Stream::open(context, output).map(Some),
            false => Ok(None),
        };
        Ok(Streams {
            stdout: open(settings.stdout, "stdout")?,
            stderr: open(settings.stderr, "stderr")?,
        })
    }

    /// Runs the commands to their end, which the input's own stop brings about.
    pub(super) async fn run(
        &mut self,
        settings: &Settings,
        context: &InputContext,
    ) -> Result<Outcome, Fault> {
        let options = ChainOptions {
            stdout: settings.stdout,
            stderr: settings.stderr,
            timeout: settings.timeout,
        };
        let commands = Arc::clone(&settings.commands);
        let Started {
            chain,
            mut stdout,
            mut stderr,
        } = start_chain(context.name(), commands, options)
            .map_err(|error| Fault::new(format!("there is no thread for its commands: {error}")))?;
        let stop = async {
            context.until_stop(|_| Poll::<()>::Pending).await;
            chain.terminate();
            pending().await
        };
        let running = async {
            let stdout = read(&mut stdout, &mut self.stdout, context);
            let stderr = read(&mut stderr, &mut self.stderr, context);
            try_zip(stdout, stderr).await?;
            io::Result::Ok(chain.end().await)
        };
        let outcome = match or(running, stop).await? {
            ChainEnd::NotStarted { link, why } => {
                let program = &settings.commands[link].program;
                let text = format!("command {link} (`{program}`) cannot be started: {why}");
                return Err(Fault::new(text));
            }
            ChainEnd::Ended {
                statuses,
                timed_out,
            } => Outcome::new(&statuses, settings.timeout.filter(|_| timed_out)),
        };
        for (output, stream) in [(stdout, &mut self.stdout), (stderr, &mut self.stderr)] {
            if let Some(stream) = stream {
                stream.end(output, &outcome).await?;
            }
        }
        Ok(outcome)
    }
}

/// Reads an output as long as its commands run.
async fn read(
    output: &mut Option<ChildOutput>,
    stream: &mut Option<Stream>,
    context: &InputContext,
) -> io::Result<()> {
    let (Some(source), Some(stream)) = (output.as_mut(), stream) else {
        return Ok(());
    };
    while source.ready().await {
        match stream.intake.fill(source).await? {
            Fill::Received(_) => yield_if_needed().await,
            Fill::End => return Ok(()),
            Fill::Stopped => {
                // Closed, so that the commands notice.
                *output = None;
                context.notice(|| {
                    "its commands write without end although the daemon stops; what comes now is not read"
                        .to_owned()
                });
                return Ok(());
            }
        }
    }
    Ok(())
}

/// An output's way into messages.
struct Stream {
    intake: Intake,
    /// Value of the field `ProcessInputName`.
    name: Box<str>,
}

impl Stream {
    fn open(context: &InputContext, output: &str) -> Result<Stream, Fault> {
        let name: Box<str> = format!("{}.{output}", context.name()).into();
        let options = StreamOptions {
            headers: StreamHeaders {
                message_type: Some(MESSAGE_TYPE.into()),
                hostname: context.hostname().into(),
                pid: Some(context.pid()),
                fields: fields(&name, &Outcome::default()),
                ..StreamHeaders::default()
            },
            whole: true,
        };
        let intake = context
            .open_stream_with(options)
            .ok_or_else(|| Fault::new("this shard has as many streams as it can"))?;
        Ok(Stream { intake, name })
    }

    /// Ends a run's stream, whose messages from now on tell how the run ended.
    async fn end(&mut self, output: Option<ChildOutput>, outcome: &Outcome) -> io::Result<()> {
        self.intake.headers().fields = fields(&self.name, outcome);
        if let Some(mut output) = output
            && self.intake.fill(&mut output).await? == Fill::End
        {
            return Ok(());
        }
        self.intake.finish().await;
        Ok(())
    }
}

fn fields(name: &str, outcome: &Outcome) -> Vec<StreamField> {
    let mut fields = vec![
        StreamField::text("ProcessInputName", name),
        StreamField::integer("ExitStatus", outcome.exit_status.into()),
    ];
    if let Some(errors) = &outcome.errors {
        fields.push(StreamField::text("SubcmdErrors", errors.as_str()));
    }
    fields
}
