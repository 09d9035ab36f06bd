//! FilePollingInput: a whole file, again and again.
//!
//! Owns:    one stream, and a thread for what may wait for the disk.
//! Runs on: one shard.            Plane: data.
//! Bounds:  one buffer while the file is read; a record is at most the largest one allowed.
//! Never:   ends because of the file: what is wrong with it is told, and it is read again at the next time.

use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use engine::event::DropCause;
use engine::io::{WholeFile, Worker, yield_if_needed};
use engine::plugin::options::InputOptions;
use engine::plugin::{
    Fault, Input, InputFactory, InputPlugin, LocalFuture, Placement, PluginSpec, Section,
};
use engine::shard::headers::{StreamField, StreamHeaders, StreamOptions};
use engine::shard::intake::{Fill, InputContext, Intake};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::timer::Timer;

/// Type of its messages.
const MESSAGE_TYPE: &str = "heka.file.polling";

/// Options of `FilePollingInput`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// File to read
    #[schemars(extend("x-required" = true))]
    pub file_path: String,
}

/// The table's line.
pub const SPEC: PluginSpec =
    PluginSpec::input::<Options>("FilePollingInput", "Reads a whole file at every tick")
        .ticks()
        .notes(&[
            "Without a splitter all of the file is one message. Messages have the Type `heka.file.polling`, the input's name as Logger, this \
             host's name, and the fields `TickerInterval` and `FilePath`; with a splitter that has `use_message_bytes` the decoder makes all of it.",
            "A file that is missing, cannot be read, is a folder or a pipe, or holds a record that is too long is told in the log, and read \
             again at the next tick. What comes of a file that fails half-way is dropped and counted, but for records that were complete.",
        ]);

impl InputPlugin for Options {
    fn common() -> InputOptions {
        InputOptions {
            ticker_interval: 5,
            ..InputOptions::default()
        }
    }

    fn build(self, section: &mut Section<'_, InputOptions>) -> Option<Box<dyn InputFactory>> {
        let interval = section.common().ticker_interval;
        if interval == 0 {
            section
                .problem(
                    &["ticker_interval"],
                    "with `ticker_interval = 0` the file would never be read",
                )
                .help("give the seconds between two readings, or leave it out for 5");
        }
        Some(Box::new(Factory {
            path: self.file_path.into(),
            interval,
        }))
    }
}

#[derive(Clone)]
struct Factory {
    path: PathBuf,
    /// Seconds.
    interval: u32,
}

impl InputFactory for Factory {
    fn placement(&self) -> Placement {
        Placement::OneShard
    }

    fn make(&self) -> Box<dyn Input> {
        Box::new(Polling {
            settings: self.clone(),
            worker: None,
            told: None,
        })
    }
}

struct Polling {
    settings: Factory,
    worker: Option<Rc<Worker>>,
    /// What was wrong at the last reading.
    told: Option<String>,
}

impl Input for Polling {
    fn open(&mut self, context: &InputContext) -> Result<(), Fault> {
        self.worker = Some(Rc::new(Worker::start(context.name())?));
        Ok(())
    }

    fn run<'a>(&'a mut self, context: &'a InputContext) -> LocalFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let worker = self.worker.take().expect("opened before it runs");
            let interval = Duration::from_secs(self.settings.interval.into());
            let mut timer = Timer::new(interval, false);
            let mut intake = None;
            while timer.tick(context).await {
                let trouble = match self.settings.open(&worker, context).await {
                    None => break,
                    Some(Err(error)) => Some(error.to_string()),
                    Some(Ok(file)) => self.settings.read(file, &mut intake, context).await?,
                };
                self.complain(trouble, context);
            }
            Ok(())
        })
    }
}

impl Factory {
    fn stream(&self, context: &InputContext) -> Result<Intake, Fault> {
        let path = self.path.to_string_lossy();
        let options = StreamOptions {
            headers: StreamHeaders {
                message_type: Some(MESSAGE_TYPE.into()),
                hostname: context.hostname().into(),
                fields: vec![
                    StreamField::integer("TickerInterval", self.interval.into()),
                    StreamField::text("FilePath", path),
                ],
                ..StreamHeaders::default()
            },
            whole: true,
        };
        context
            .open_stream_with(options)
            .ok_or_else(|| Fault::new("this shard has as many streams as it can"))
    }

    /// Opens the file. `None`: the input is to stop.
    async fn open(
        &self,
        worker: &Rc<Worker>,
        context: &InputContext,
    ) -> Option<io::Result<WholeFile>> {
        let mut opening = pin!(WholeFile::open(worker, &self.path));
        context.until_stop(|cx| opening.as_mut().poll(cx)).await
    }

    /// Reads the file to its end. Answers what was wrong with it.
    async fn read(
        &self,
        mut file: WholeFile,
        intake: &mut Option<Intake>,
        context: &InputContext,
    ) -> Result<Option<String>, Fault> {
        if intake.is_none() {
            *intake = Some(self.stream(context)?);
        }
        let too_long = dropped(context);
        while let Some(stream) = intake {
            match stream.fill(&mut file).await {
                Ok(Fill::Received(_)) => yield_if_needed().await,
                Ok(Fill::End | Fill::Stopped) => break,
                Err(error) => {
                    // With it goes the unfinished record.
                    *intake = None;
                    return Ok(Some(error.to_string()));
                }
            }
        }
        let max = context.message_bytes_max();
        Ok((dropped(context) > too_long).then(|| {
            format!(
                "it holds a record of more than {max} bytes (`max_message_size`), which is dropped"
            )
        }))
    }
}

impl Polling {
    /// Tells what is wrong with the file, unless it was at the last reading.
    fn complain(&mut self, trouble: Option<String>, context: &InputContext) {
        if let Some(why) = &trouble {
            context.count(|counters| counters.stream_errors += 1);
            if self.told != trouble {
                let Factory { path, interval } = &self.settings;
                context.notice(|| {
                    format!(
                        "{}: {why}; it is read again every {interval} s, and this is told again only after a change",
                        path.display()
                    )
                });
            }
        }
        self.told = trouble;
    }
}

/// Records that were too long until now.
fn dropped(context: &InputContext) -> u64 {
    let mut dropped = 0;
    context.count(|counters| dropped = counters.dropped.get(DropCause::TooLong));
    dropped
}

#[cfg(test)]
mod tests {
    use crate::configured::mistakes;

    #[test]
    fn options_that_cannot_be_are_mistakes() {
        for (options, expected) in [
            ("", "file_path"),
            ("file_path = '/f'\nticker_interval = 0", "never be read"),
            ("file_path = '/f'\nticker_interval = -1", "negative"),
        ] {
            let found = mistakes(&format!("[FilePollingInput]\n{options}"));
            assert!(found.contains(expected), "{options}: {found}");
        }
    }
}
