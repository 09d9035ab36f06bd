//! LogOutput: each record as a line of the daemon's log, on standard error.
//!
//! Owns:    the text that waits to be written, and a thread that writes it.
//! Runs on: its home shard; writing on a thread of its own.            Plane: data.
//! Bounds:  `TEXT_BYTES` of text at a time, or one record; one write under way.
//! Never:   holds up the shard when the terminal or pipe does not take more: it waits, and with it what feeds it.

use std::io::{self, ErrorKind, Write};
use std::time::Duration;

use codecs::time::{Strftime, Zone};
use engine::io::{Worker, clock};
use engine::plugin::options::{OutputOptions, log_prefix};
use engine::plugin::{
    Fault, LocalFuture, Output, OutputFactory, OutputPlugin, PluginSpec, Section,
};
use engine::shard::delivery::{OutputContext, OutputEvent};
use engine::shard::parcel::Parcel;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Text that is gathered before it is written.
const TEXT_BYTES: usize = 256 * 1024;

/// Between two attempts to write to a log that takes nothing (a full disk behind it).
const PAUSE: Duration = Duration::from_secs(1);

/// Options of `LogOutput`: none.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {}

/// The table's line.
pub const SPEC: PluginSpec = PluginSpec::output::<Options>(
    "LogOutput",
    "Writes encoded messages to the daemon log",
)
.any_key()
.notes(&[
    "The log is standard error. Each message begins with what `log_flags` asks for and ends with a newline, which is added where the encoder left it out.",
    "If standard error is a pipe or terminal that is not read, the output waits, and with it the inputs that feed it.",
]);

impl OutputPlugin for Options {
    fn build(self, section: &mut Section<'_, OutputOptions>) -> Option<Box<dyn OutputFactory>> {
        Some(Box::new(Factory {
            log_flags: section.hekad().log_flags,
        }))
    }
}

struct Factory {
    log_flags: i64,
}

impl OutputFactory for Factory {
    fn make(&self) -> Box<dyn Output> {
        Box::new(LogOutput {
            lines: Lines {
                prefix: log_prefix(self.log_flags),
                zone: Zone::local(),
            },
            text: Vec::new(),
        })
    }
}

/// How a record becomes a part of the log.
struct Lines {
    prefix: Option<Strftime>,
    zone: Zone,
}

impl Lines {
    fn push(&self, record: &[u8], now: i64, text: &mut Vec<u8>) {
        if let Some(prefix) = &self.prefix {
            prefix.write(now, &self.zone, text);
        }
        text.extend_from_slice(record);
        if record.last() != Some(&b'\n') {
            text.push(b'\n');
        }
    }
}

struct LogOutput {
    lines: Lines,
    text: Vec<u8>,
}

impl Output for LogOutput {
    fn run<'a>(&'a mut self, context: &'a mut OutputContext) -> LocalFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let worker = Worker::start(context.name())?;
            loop {
                match context.next(None).await {
                    OutputEvent::Parcel(parcel) => self.deliver(&worker, context, parcel).await,
                    OutputEvent::End => return Ok(()),
                    OutputEvent::Deadline | OutputEvent::Tick | OutputEvent::Reopen => {}
                }
            }
        })
    }
}

impl LogOutput {
    async fn deliver(
        &mut self,
        worker: &Worker,
        context: &mut OutputContext,
        mut parcel: Box<Parcel>,
    ) {
        let now = clock::wall();
        let mut next = 0;
        while next < parcel.len() {
            let first = next;
            while next < parcel.len() && self.text.len() < TEXT_BYTES {
                self.lines.push(parcel.record(next), now, &mut self.text);
                next += 1;
            }
            if !self.write(worker, context).await {
                for index in first..next {
                    parcel.refuse_record(index, "nobody reads the standard error", 1);
                }
            }
        }
        context.settle(parcel);
    }

    /// Writes what was gathered. Answers `false` if nobody will ever read it.
    async fn write(&mut self, worker: &Worker, context: &OutputContext) -> bool {
        let mut at = 0;
        loop {
            let text = std::mem::take(&mut self.text);
            let (text, written, error) = worker
                .run(move || {
                    let (written, error) = write_from(&mut io::stderr().lock(), &text[at..]);
                    (text, written, error)
                })
                .await;
            self.text = text;
            at += written;
            match error {
                None => break,
                Some(error) if error.kind() == ErrorKind::BrokenPipe => {
                    self.text.clear();
                    return false;
                }
                Some(_) => {
                    context.count(|counters| counters.retries += 1);
                    context.pause(PAUSE).await;
                }
            }
        }
        self.text.clear();
        self.text.shrink_to(TEXT_BYTES);
        true
    }
}

/// Writes as much as it can; answers how much, and what kept it from writing the rest.
fn write_from(log: &mut impl Write, text: &[u8]) -> (usize, Option<io::Error>) {
    let mut written = 0;
    while written < text.len() {
        match log.write(&text[written..]) {
            Ok(0) => return (written, Some(ErrorKind::WriteZero.into())),
            Ok(n) => written += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (written, Some(error)),
        }
    }
    (written, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(flags: i64, record: &str) -> String {
        let lines = Lines {
            prefix: log_prefix(flags),
            zone: Zone::utc(),
        };
        let mut text = Vec::new();
        lines.push(record.as_bytes(), 1_416_840_893_000_000_000, &mut text);
        String::from_utf8(text).expect("text in, text out")
    }

    #[test]
    fn records_become_lines() {
        assert_eq!(text_of(0, "hello"), "hello\n");
        assert_eq!(text_of(0, "hello\n"), "hello\n");
        assert_eq!(text_of(0, ""), "\n");
        assert_eq!(text_of(3, "a\nb\n"), "2014/11/24 14:54:53 a\nb\n");
    }

    /// Takes `room` bytes, three at a time, then fails.
    struct Full {
        taken: Vec<u8>,
        room: usize,
    }

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n = bytes.len().min(3).min(self.room - self.taken.len());
            if n == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.taken.extend_from_slice(&bytes[..n]);
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_could_not_be_written_can_be_written_later_from_there() {
        let text = b"one line and another";
        let mut log = Full {
            taken: Vec::new(),
            room: 8,
        };
        let (written, error) = write_from(&mut log, text);
        assert_eq!(written, 8);
        assert!(error.is_some());
        log.room = 100;
        let (rest, error) = write_from(&mut log, &text[written..]);
        assert_eq!(written + rest, text.len());
        assert!(error.is_none());
        assert_eq!(log.taken, text);
    }
}
