//! `hekad lua`: runs a script over a sample and prints what it makes.
//!
//! Owns:    the way of the sample: lines or frames, a decoder, then a filter or encoder.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  one record at a time.
//! Never:   starts a daemon: the plugins are the daemon's own, what they inject is printed instead of routed.

mod bench;
mod section;

use std::io::{self, Write};
use std::process::ExitCode;

use codecs::field::Span;
use codecs::message::{Header, MessageRef, MessageTable, TableLimits};
use codecs::time::Zone;
use codecs::{json, text};
use engine::plugin::{
    DecodeError, DecodeInput, Decoded, Decoder, EncodeContext, Encoded, Encoder, Figure, Filter,
    Selection,
};
use engine::words::counted;
use matcher::{Row, Scratch, Set};

use crate::cli::{LuaArgs, MessageFormat};
use crate::failure::Failure;
use bench::{Bench, now};
use section::{Made, Stage};

/// Largest message of the sample, bytes.
const MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// Type and logger of messages that are made of lines.
const SAMPLE: &str = "sample";

/// Runs the command.
pub(crate) fn lua(args: &LuaArgs) -> Result<ExitCode, Failure> {
    let made = section::build(args)?;
    let sample = section::read(&args.input)?;
    let mut bench = Bench::new();
    if let Some(expression) = &args.expression {
        bench.watch(expression)?;
    }
    let mut run = Run::new(made, bench, args.format)?;
    let mut stdout = io::stdout().lock();
    let result = run
        .all(&sample)
        .and_then(|()| run.ticks(args.ticks))
        .and_then(|()| run.finish());
    // A reader that has seen enough is no error.
    let _ = stdout.write_all(&run.printed).and_then(|()| stdout.flush());
    run.summary();
    if let Err(ended) = result {
        return Err(Failure::new(1, ended));
    }
    Ok(ExitCode::from(u8::from(run.refused > 0)))
}

/// A run of a script.
struct Run {
    decoder: Option<Box<dyn Decoder>>,
    stage: Stage,
    filter: Option<Box<dyn Filter>>,
    encoder: Option<Box<dyn Encoder>>,
    bench: Bench,
    set: Set,
    scratch: Scratch,
    row: Row,
    table: MessageTable,
    format: MessageFormat,
    zone: Zone,
    printed: Vec<u8>,
    records: u64,
    messages: u64,
    refused: u64,
}

impl Run {
    fn new(mut made: Made, bench: Bench, format: MessageFormat) -> Result<Run, Failure> {
        let mut filter = made.stage.filter.as_ref().map(|factory| factory.make());
        if let Some(filter) = &mut filter {
            let opened = filter.open();
            opened.map_err(|fault| Failure::new(1, fault.to_string()))?;
        }
        made.stage.probe()?;
        Ok(Run {
            decoder: made.decoder.take().map(|decoder| decoder.instantiate()),
            encoder: made.stage.encoder.as_ref().map(|factory| factory.make()),
            filter,
            stage: made.stage,
            bench,
            scratch: made.matchers.scratch(),
            row: made.matchers.row(),
            set: made.matchers,
            table: MessageTable::new(TableLimits {
                received_bytes: MESSAGE_BYTES,
                arena_bytes: MESSAGE_BYTES,
                messages: codecs::limits::TABLE_MESSAGES_MAX,
                fields: codecs::limits::TABLE_FIELDS_MAX,
            }),
            format,
            zone: Zone::local(),
            printed: Vec::new(),
            records: 0,
            messages: 0,
            refused: 0,
        })
    }

    /// All records of the sample.
    fn all(&mut self, sample: &[u8]) -> Result<(), String> {
        let framed = section::is_framed(sample);
        let mut number = 0;
        for record in section::records(sample, framed) {
            number += 1;
            self.record(record, framed, number)?;
        }
        Ok(())
    }

    fn record(&mut self, record: &[u8], framed: bool, number: u64) -> Result<(), String> {
        self.records += 1;
        if record.len() > MESSAGE_BYTES {
            self.refuse(number, "longer than 4 MiB");
            return Ok(());
        }
        if let Err(refusal) = self.message(record, framed) {
            self.refuse(number, &refusal);
            return Ok(());
        }
        let table = std::mem::replace(
            &mut self.table,
            MessageTable::new(TableLimits {
                received_bytes: 0,
                arena_bytes: 0,
                messages: 0,
                fields: 0,
            }),
        );
        let mut result = Ok(());
        for index in 0..table.len() {
            result = self.use_message(&table, index, number);
            if result.is_err() {
                break;
            }
        }
        self.table = table;
        result
    }

    fn refuse(&mut self, number: u64, why: &str) {
        self.refused += 1;
        eprintln!("{number}: {why}");
    }

    /// Makes messages of a record in the table.
    fn message(&mut self, record: &[u8], framed: bool) -> Result<(), String> {
        let now = now();
        self.table.clear();
        self.table.received_mut()[..record.len()].copy_from_slice(record);
        let content = Span::new(0, record.len());
        let full = |_| "it has more fields than fit".to_owned();
        let mut draft = self.table.begin().map_err(full)?;
        if framed {
            let indexed = draft.index_protobuf(content);
            indexed.map_err(|_| "it is no message".to_owned())?;
        } else {
            draft
                .set(Header::Uuid, &bench::uuid()[..])
                .and_then(|()| draft.set(Header::Type, SAMPLE))
                .and_then(|()| draft.set(Header::Logger, SAMPLE))
                .and_then(|()| draft.set(Header::Payload, content))
                .map_err(full)?;
            draft.set_timestamp(now);
        }
        let Some(decoder) = &mut self.decoder else {
            return Ok(());
        };
        match decoder.decode(&mut draft, DecodeInput { content, now }) {
            Ok(Decoded::Message) => Ok(()),
            Ok(Decoded::Nothing) => {
                self.table.clear();
                Ok(())
            }
            Err(DecodeError::Full) => Err("what the script makes of it is too long".to_owned()),
            Err(DecodeError::Failed(failure)) => {
                let text = decoder.failure().unwrap_or(failure.reason).to_owned();
                decoder.take_remarks(&mut |remark| eprintln!("{}", remark.reason));
                Err(text)
            }
        }
    }

    /// Prints a message, or gives it to the filter or encoder.
    fn use_message(
        &mut self,
        table: &MessageTable,
        index: usize,
        number: u64,
    ) -> Result<(), String> {
        let message = table.get(index);
        if self.stage.is_none() {
            self.print(message);
            return Ok(());
        }
        self.set
            .search(&mut self.scratch, message, None, &mut self.row);
        if !self.row.contains(0) {
            return Ok(());
        }
        if let Some(filter) = &mut self.filter {
            let picks = [index as u16];
            self.bench.begin();
            let called = filter.process(Selection::new(table, &picks), &mut self.bench);
            self.print_injected();
            return called.map_err(|fault| format!("record {number}: {fault}"));
        }
        if let Some(encoder) = &mut self.encoder {
            let start = self.printed.len();
            let context = EncodeContext { now: now() };
            match encoder.encode(message, context, &mut self.printed) {
                Ok(Encoded::Appended) => self.messages += 1,
                Ok(Encoded::InPlace(span)) => {
                    self.messages += 1;
                    self.printed.extend_from_slice(span.of(message.bytes()));
                }
                Ok(Encoded::Nothing) => self.printed.truncate(start),
                Err(failure) => {
                    self.printed.truncate(start);
                    let text = encoder.failure().unwrap_or(failure.reason).to_owned();
                    self.refuse(number, &text);
                }
            }
        }
        Ok(())
    }

    fn print(&mut self, message: MessageRef<'_>) {
        self.messages += 1;
        match self.format {
            MessageFormat::Text => text::write_text(message, &self.zone, &mut self.printed),
            MessageFormat::Json => json::write_json(message, &mut self.printed),
        }
    }

    /// Prints what the filter has injected and said in the last call.
    fn print_injected(&mut self) {
        let injected = self.bench.take();
        for message in injected.iter() {
            self.print(message);
        }
        self.bench.give_back(injected);
    }

    /// Calls the filter's timer.
    fn ticks(&mut self, count: u32) -> Result<(), String> {
        for _ in 0..count {
            let Some(filter) = &mut self.filter else {
                return Ok(());
            };
            self.bench.begin();
            let ticked = filter.tick(&mut self.bench);
            self.print_injected();
            ticked.map_err(|fault| fault.to_string())?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), String> {
        match &mut self.filter {
            Some(filter) => filter.end().map_err(|fault| fault.to_string()),
            None => Ok(()),
        }
    }

    fn summary(&self) {
        let mut figures: Vec<Figure> = Vec::new();
        self.stage.figures(&mut |figure| figures.push(figure));
        let of = |name: &str| figures.iter().find(|figure| figure.name == name);
        let value = |name: &str| of(name).map_or(0, |figure| figure.value);
        eprintln!(
            "{}, {}, {} refused; memory {} bytes (at most {}), output at most {} bytes",
            counted(self.records, "record"),
            counted(self.messages, "message"),
            self.refused,
            value("Memory"),
            value("MaxMemory"),
            value("MaxOutput"),
        );
    }
}
