//! `hekad buffer cat`: prints the messages of a queue.
//!
//! Owns:    what is printed of a dead letter beside its message.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  as the walk and the printer.
//! Never:   marks anything as delivered.

use std::io::{self, ErrorKind, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;

use codecs::field::Span;
use codecs::framing;
use codecs::limits;
use codecs::message::MessageTable;
use codecs::signing::Keys;
use codecs::splitter::{Split, Splitter, SplitterOptions};
use codecs::splitters::HekaFramingSplitter;
use codecs::time::format_go;
use engine::queue::{Item, Meta, Passed, View};
use engine::words::counted;

use super::{Flow, Walk, chosen, look, say, say_all};
use crate::cat::Printer;
use crate::cli::{BufferCatArgs, CatFormat, ChosenArgs};
use crate::failure::Failure;

/// Exit status when nothing matched.
const EXIT_NO_MATCH: u8 = 1;

/// Runs the command.
pub(super) fn cat(args: &BufferCatArgs) -> Result<ExitCode, Failure> {
    let view = look(&args.dir)?;
    say_all(&view.notices);
    let mut printing = Printing::new(&args.chosen, args.format, Box::new(io::stdout()))?;
    printing.all(&view)?;
    Ok(if printing.printer.matched() > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_NO_MATCH)
    })
}

/// Prints the messages of a queue that were asked for.
pub(super) struct Printing<'a> {
    chosen: &'a ChosenArgs,
    pub(super) printer: Printer,
    output: Box<dyn Write>,
    /// Records whose bytes are no message, and bytes of Heka's files that are no frame.
    damaged: u64,
    /// Nobody reads what is printed any more.
    closed: bool,
}

impl<'a> Printing<'a> {
    pub(super) fn new(
        chosen: &'a ChosenArgs,
        format: CatFormat,
        output: Box<dyn Write>,
    ) -> Result<Printing<'a>, Failure> {
        Ok(Printing {
            chosen,
            printer: Printer::new(&chosen.expression, format)?,
            output,
            damaged: 0,
            closed: false,
        })
    }

    /// Prints; says on standard error how much it was. Answers whether something was damaged.
    pub(super) fn all(&mut self, view: &View) -> Result<bool, Failure> {
        let mut walk = Walk::new(self.chosen.max_message_size)?;
        let mut flow = Flow::On;
        for (lane, mut reader) in chosen(view, self.chosen.lane, self.chosen.all)? {
            if flow == Flow::On {
                flow = walk.lane(&mut reader, lane.published, |table, item| {
                    self.record(table, item)
                })?;
            }
        }
        if flow == Flow::On
            && self.chosen.lane.is_none()
            && let Some(mut stream) = view.heka_stream()
        {
            let mut frames = Frames::new(self.chosen.max_message_size);
            frames.each(&mut *stream, |table, content| {
                self.message(table, content, None)
            })?;
            self.damaged += frames.skipped;
        }
        self.printer.finish();
        self.flush()?;
        if !self.closed {
            self.say_what_it_was(walk.passed);
        }
        Ok(walk.is_damaged() || self.damaged > 0)
    }

    fn say_what_it_was(&self, passed: Passed) {
        let mut text = counted(self.printer.matched(), "message");
        if passed.damaged_records > 0 || passed.damaged_bytes > 0 {
            text += &format!(
                "; {} and {} are damaged",
                counted(passed.damaged_records, "record"),
                counted(passed.damaged_bytes, "byte")
            );
        }
        if passed.too_long_records > 0 {
            text += &format!(
                "; {} are longer than --max-message-size",
                passed.too_long_records
            );
        }
        if self.damaged > 0 {
            text += &format!("; {} are no messages", self.damaged);
        }
        say(&text);
    }

    fn record(&mut self, table: &mut MessageTable, item: &Item) -> Result<Flow, Failure> {
        let meta = Meta::read(item.meta.of(table.bytes()))
            .map(|meta| (meta.cause.to_owned(), meta.attempts, item.time));
        self.message(table, item.message, meta)
    }

    /// Prints the message whose bytes stand at `content`.
    fn message(
        &mut self,
        table: &mut MessageTable,
        content: Span,
        meta: Option<(String, u32, i64)>,
    ) -> Result<Flow, Failure> {
        if self.limit_is_reached() {
            return Ok(Flow::Stop);
        }
        table.clear();
        let decoded = table
            .begin()
            .is_ok_and(|mut draft| draft.index_protobuf(content).is_ok());
        if !decoded {
            self.damaged += 1;
            return Ok(Flow::On);
        }
        let bytes = content.of(table.bytes());
        let at = self.printer.take(table.get(0), |out| {
            framing::write_frame(bytes, None, limits::MESSAGE_BYTES_MAX, out)
                .expect("a message that was read is not too long");
        });
        if let (Some(at), Some(meta)) = (at, meta) {
            self.dead_letter(at, meta);
        }
        if self.printer.is_full() {
            self.flush()?;
        }
        if self.closed || self.limit_is_reached() {
            return Ok(Flow::Stop);
        }
        Ok(Flow::On)
    }

    fn limit_is_reached(&self) -> bool {
        let limit = self.chosen.limit.unwrap_or(u64::MAX);
        self.printer.matched() >= limit
    }

    /// Says why a message is a dead letter, in front of it.
    fn dead_letter(&mut self, at: usize, (cause, attempts, time): (String, u32, i64)) {
        match self.printer.format() {
            CatFormat::Text => {
                let mut text = b"Dead since: ".to_vec();
                format_go(time, self.printer.zone(), &mut text);
                text.extend(format!("\nCause: {cause}\nAttempts: {attempts}\n").bytes());
                self.printer.insert(at, &text);
            }
            CatFormat::Json => {
                let letter =
                    serde_json::json!({"cause": cause, "attempts": attempts, "time": time});
                self.printer
                    .insert(at + 1, format!("\"dead_letter\":{letter},").as_bytes());
            }
            CatFormat::Heka | CatFormat::Count => {}
        }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        match self.printer.flush(&mut *self.output) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            Err(error) => Err(Failure::usage(format!("cannot write the output: {error}"))),
            Ok(()) => Ok(()),
        }
    }
}

/// The messages of a framed stream.
pub(super) struct Frames {
    splitter: HekaFramingSplitter,
    table: MessageTable,
    /// Bytes that belong to no frame.
    pub(super) skipped: u64,
}

impl Frames {
    pub(super) fn new(largest: usize) -> Frames {
        let record_bytes_max = limits::record_bytes_max(largest);
        let options = SplitterOptions {
            record_bytes_max,
            ..SplitterOptions::default()
        };
        Frames {
            splitter: HekaFramingSplitter::new(options, Arc::new(Keys::new()), true),
            table: crate::cat::table((2 * record_bytes_max).max(super::BUFFER_BYTES_MIN), largest),
            skipped: 0,
        }
    }

    /// Hands each message to `each`, which may ask to stop.
    pub(super) fn each(
        &mut self,
        input: &mut dyn Read,
        mut each: impl FnMut(&mut MessageTable, Span) -> Result<Flow, Failure>,
    ) -> Result<(), Failure> {
        let mut filled = 0;
        loop {
            let read = input
                .read(&mut self.table.received_mut()[filled..])
                .map_err(|error| Failure::usage(format!("cannot read Heka's files: {error}")))?;
            filled += read;
            let mut at = 0;
            loop {
                match self
                    .splitter
                    .split(&self.table.bytes()[at..filled], read == 0)
                {
                    Split::Record(record) => {
                        let content = record.content;
                        let content = Span::new(at + content.start as usize, at + content.end());
                        if each(&mut self.table, content)? == Flow::Stop {
                            return Ok(());
                        }
                        at += record.consumed;
                    }
                    Split::Skip { consumed, .. } => {
                        self.skipped += consumed as u64;
                        at += consumed;
                    }
                    Split::More => break,
                }
            }
            self.table.received_mut().copy_within(at..filled, 0);
            filled -= at;
            if read == 0 {
                self.skipped += filled as u64;
                return Ok(());
            }
        }
    }
}
