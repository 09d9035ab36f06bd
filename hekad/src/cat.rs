//! `hekad cat`: reads a framed stream, filters it, prints it.
//!
//! Owns:    the read loop over one buffer, the counts, and the exit status.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  one buffer of two records of the largest size; printed bytes are handed on at `PRINT_BYTES`.
//! Never:   stops at damage: it is skipped and counted.

mod printer;

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use codecs::field::Span;
use codecs::limits;
use codecs::message::{MessageTable, TableLimits};
use codecs::signing::Keys;
use codecs::splitter::{Record, SkipCause, Split, Splitter, SplitterOptions};
use codecs::splitters::HekaFramingSplitter;

use crate::cli::CatArgs;
use crate::failure::Failure;
use engine::words::counted;

pub(crate) use printer::Printer;

/// Smallest read buffer, bytes.
const BUFFER_BYTES_MIN: usize = 1024 * 1024;

/// Pause before looking again for what was appended to a file.
const TAIL_EVERY: Duration = Duration::from_millis(200);

/// Exit status when nothing matched.
const EXIT_NO_MATCH: u8 = 1;

/// What was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    processed: u64,
    /// Records that were lost: too long, cut off, or no message.
    damaged: u64,
    /// Bytes that belong to no message.
    skipped_bytes: u64,
}

/// Why reading ended early.
enum Stop {
    /// Nobody reads what is printed any more.
    OutputClosed,
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failed(failure)
    }
}

/// Runs the command.
pub(crate) fn cat(args: &CatArgs) -> Result<ExitCode, Failure> {
    let mut cat = Cat::new(args)?;
    let mut input = open_input(&args.input, args.offset)?;
    refuse_overwriting(&args.input, args.output.as_deref())?;
    let mut output = open_output(args.output.as_deref())?;
    let stop = Arc::new(AtomicBool::new(false));
    if args.tail {
        signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&stop))
            .map_err(|error| Failure::new(1, format!("cannot handle signals: {error}")))?;
    }
    let tail = args.tail && args.input != Path::new("-");
    match cat.run(&mut *input, &mut *output, tail, &stop) {
        Ok(()) => {
            let counts = cat.counts;
            let _ = writeln!(
                io::stderr(),
                "processed {}, matched {}; skipped {} and {}",
                counted(counts.processed, "message"),
                cat.printer.matched(),
                counted(counts.damaged, "damaged record"),
                counted(counts.skipped_bytes, "byte")
            );
            if let Some(remark) = remark(counts) {
                let _ = writeln!(io::stderr(), "{remark}");
            }
        }
        Err(Stop::OutputClosed) => {}
        Err(Stop::Failed(failure)) => return Err(failure),
    }
    Ok(if cat.printer.matched() > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_NO_MATCH)
    })
}

/// What a reader should know of a stream without messages.
fn remark(counts: Counts) -> Option<&'static str> {
    match (counts.processed, counts.skipped_bytes) {
        (0, 0) => Some("the input is empty"),
        (0, _) => Some(
            "no message was found: `hekad cat` reads Heka-framed protobuf, as FileOutput writes it with ProtobufEncoder",
        ),
        _ => None,
    }
}

/// Opening the output empties it: it must not be the input.
fn refuse_overwriting(input: &Path, output: Option<&Path>) -> Result<(), Failure> {
    let identity = |path: &Path| {
        let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        Some((metadata.dev(), metadata.ino()))
    };
    let Some(output) = output else {
        return Ok(());
    };
    if identity(output).is_some_and(|file| identity(input) == Some(file)) {
        return Err(Failure::usage(format!(
            "--output {}: that is the input, and would be emptied; name another file",
            output.display()
        )));
    }
    Ok(())
}

fn open_input(path: &Path, offset: u64) -> Result<Box<dyn Read>, Failure> {
    let wrong = |error| Failure::usage(format!("cannot read {}: {error}", path.display()));
    if path == Path::new("-") {
        let mut input = io::stdin();
        io::copy(&mut (&mut input).take(offset), &mut io::sink()).map_err(wrong)?;
        return Ok(Box::new(input));
    }
    let mut file = File::open(path).map_err(wrong)?;
    let metadata = fs::metadata(path).map_err(wrong)?;
    if metadata.is_dir() {
        return Err(Failure::usage(format!(
            "cannot read {}: it is a folder; name a file in it",
            path.display()
        )));
    }
    if metadata.is_file() && offset > metadata.len() {
        return Err(Failure::usage(format!(
            "--offset {offset}: {} has only {} bytes",
            path.display(),
            metadata.len()
        )));
    }
    if offset > 0 {
        file.seek(SeekFrom::Start(offset)).map_err(wrong)?;
    }
    Ok(Box::new(file))
}

fn open_output(path: Option<&Path>) -> Result<Box<dyn Write>, Failure> {
    match path {
        None => Ok(Box::new(io::stdout())),
        Some(path) => match File::create(path) {
            Ok(file) => Ok(Box::new(file)),
            Err(error) => Err(Failure::usage(format!(
                "cannot write {}: {error}",
                path.display()
            ))),
        },
    }
}

struct Cat {
    printer: Printer,
    splitter: HekaFramingSplitter,
    table: MessageTable,
    counts: Counts,
}

impl Cat {
    fn new(args: &CatArgs) -> Result<Cat, Failure> {
        let largest = args.max_message_size;
        check_largest(largest)?;
        let record_bytes_max = limits::record_bytes_max(largest);
        let options = SplitterOptions {
            record_bytes_max,
            ..SplitterOptions::default()
        };
        Ok(Cat {
            printer: Printer::new(&args.expression, args.format)?,
            // Who reads a recorded stream has no keys at hand: signatures are not checked.
            splitter: HekaFramingSplitter::new(options, Arc::new(Keys::new()), true),
            table: table((2 * record_bytes_max).max(BUFFER_BYTES_MIN), largest),
            counts: Counts::default(),
        })
    }

    /// Reads to the end of the input, or until stopped.
    fn run(
        &mut self,
        input: &mut dyn Read,
        output: &mut dyn Write,
        tail: bool,
        stop: &AtomicBool,
    ) -> Result<(), Stop> {
        let mut filled = 0;
        loop {
            let read = match input.read(&mut self.table.received_mut()[filled..]) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Err(Failure::usage(format!("cannot read the input: {error}")).into());
                }
            };
            filled += read;
            let end = read == 0 && (!tail || stop.load(Ordering::Relaxed));
            let consumed = self.split(filled, end, output)?;
            self.table.received_mut().copy_within(consumed..filled, 0);
            filled -= consumed;
            if end {
                // What the splitter leaves at the end of a stream is no record.
                self.counts.skipped_bytes += filled as u64;
                break;
            }
            if read == 0 {
                self.flush(output)?;
                thread::sleep(TAIL_EVERY);
            }
        }
        self.printer.finish();
        self.flush(output)
    }

    /// Takes apart the first `filled` bytes of the buffer; answers how many of them are done with.
    fn split(&mut self, filled: usize, end: bool, output: &mut dyn Write) -> Result<usize, Stop> {
        let mut at = 0;
        loop {
            match self.splitter.split(&self.table.bytes()[at..filled], end) {
                Split::Record(record) => {
                    self.record(at, record);
                    at += record.consumed;
                    if self.printer.is_full() {
                        self.flush(output)?;
                    }
                }
                Split::Skip { consumed, cause } => {
                    self.skip(consumed, cause);
                    at += consumed;
                }
                Split::More => return Ok(at),
            }
        }
    }

    fn skip(&mut self, bytes: usize, cause: SkipCause) {
        self.counts.skipped_bytes += bytes as u64;
        self.counts.damaged += u64::from(cause.loses_record());
    }

    /// Decodes, matches and prints the record that starts at byte `at` of the buffer.
    fn record(&mut self, at: usize, record: Record) {
        let moved = |span: Span| Span::new(at + span.start as usize, at + span.end());
        self.table.clear();
        let decoded = self
            .table
            .begin()
            .is_ok_and(|mut draft| draft.index_protobuf(moved(record.content)).is_ok());
        if !decoded {
            self.counts.skipped_bytes += u64::from(record.whole.len);
            self.counts.damaged += 1;
            return;
        }
        self.counts.processed += 1;
        let message = self.table.get(0);
        let whole = moved(record.whole).of(self.table.bytes());
        self.printer
            .take(message, |out| out.extend_from_slice(whole));
    }

    fn flush(&mut self, output: &mut dyn Write) -> Result<(), Stop> {
        match self.printer.flush(output) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Stop::OutputClosed),
            Err(error) => Err(Failure::usage(format!("cannot write the output: {error}")).into()),
        }
    }
}

/// Refuses a size that no message can have.
pub(crate) fn check_largest(largest: usize) -> Result<(), Failure> {
    if largest <= limits::MESSAGE_BYTES_MIN || largest > limits::MESSAGE_BYTES_MAX {
        return Err(Failure::usage(format!(
            "--max-message-size {largest}: must be above {} and at most {}",
            limits::MESSAGE_BYTES_MIN,
            limits::MESSAGE_BYTES_MAX
        )));
    }
    Ok(())
}

/// Room for one message at a time of at most `largest` bytes, in a buffer.
pub(crate) fn table(buffer_bytes: usize, largest: usize) -> MessageTable {
    MessageTable::new(TableLimits {
        received_bytes: buffer_bytes,
        arena_bytes: 0,
        messages: 1,
        // A field takes at least four bytes.
        fields: limits::TABLE_FIELDS_MAX.max(largest / 4),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use codecs::framing;
    use codecs::message::{Header, NewValue};

    use super::*;
    use crate::cli::{Cli, Command};

    fn args(extra: &[&str]) -> CatArgs {
        let Command::Cat(args) = Cli::parse_from(["hekad", "cat"].iter().chain(extra)).chosen()
        else {
            panic!("not cat");
        };
        args
    }

    fn frame(number: i64, payload: &str) -> Vec<u8> {
        let mut table = MessageTable::new(TableLimits {
            received_bytes: 0,
            arena_bytes: payload.len() + 100,
            messages: 1,
            fields: 1,
        });
        let mut draft = table.begin().unwrap();
        draft.set(Header::Uuid, &[1u8; 16][..]).unwrap();
        draft.set_timestamp(number);
        draft
            .set(Header::Type, if number % 2 == 0 { "even" } else { "odd" })
            .unwrap();
        draft.set(Header::Payload, payload).unwrap();
        draft
            .add_field("n", NewValue::Integer(number), None)
            .unwrap();
        let mut frame = Vec::new();
        framing::encode_frame(table.get(0), None, limits::MESSAGE_BYTES_MAX, &mut frame).unwrap();
        frame
    }

    /// Gives a byte at a time.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = usize::from(!self.0.is_empty());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn run(args: &CatArgs, input: &mut dyn Read) -> (Counts, u64, Vec<u8>) {
        let mut cat = Cat::new(args).unwrap();
        let mut output = Vec::new();
        assert!(
            cat.run(input, &mut output, false, &AtomicBool::new(false))
                .is_ok()
        );
        (cat.counts, cat.printer.matched(), output)
    }

    #[test]
    fn heka_format_copies_the_matching_frames() {
        let frames: Vec<Vec<u8>> = (0..100).map(|number| frame(number, "x")).collect();
        let args = args(&[
            "--match",
            "Type == 'even' && Fields[n] >= 50",
            "--format",
            "heka",
            "f",
        ]);
        let (counts, matched, output) = run(&args, &mut &*frames.concat());
        assert_eq!((counts.processed, matched), (100, 25));
        let expected: Vec<u8> = frames
            .iter()
            .skip(50)
            .step_by(2)
            .flatten()
            .copied()
            .collect();
        assert_eq!(output, expected);
    }

    #[test]
    fn damage_is_skipped_and_counted() {
        let mut bytes = b"garbage".to_vec();
        bytes.extend(frame(0, "a"));
        // A frame whose content is no message.
        bytes.extend([0x1e, 2, 8, 3, 0x1f, 0xff, 0xff, 0xff]);
        bytes.extend(frame(1, "b"));
        let cut = frame(2, "c");
        bytes.extend(&cut[..cut.len() - 1]);
        let args = args(&["--format", "count", "f"]);
        for input in [&mut &*bytes as &mut dyn Read, &mut Trickle(&bytes)] {
            let (counts, matched, output) = run(&args, input);
            assert_eq!(output, b"2\n");
            assert_eq!((counts.processed, matched, counts.damaged), (2, 2, 2));
            assert_eq!(counts.skipped_bytes, (7 + 8 + cut.len() - 1) as u64);
        }
    }

    #[test]
    fn memory_is_bounded_by_the_largest_message() {
        let large = frame(0, &"x".repeat(100_000));
        let bytes = [large.clone(), frame(1, "small"), large].concat();
        let args = args(&["--format", "count", "--max-message-size", "65536", "f"]);
        let (counts, ..) = run(&args, &mut &*bytes);
        assert_eq!((counts.processed, counts.damaged), (1, 2));
    }

    #[test]
    fn text_and_json_hold_one_entry_a_message() {
        let bytes = [frame(7, "hello"), frame(8, "world")].concat();
        let (_, _, text) = run(&args(&["f"]), &mut &*bytes);
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("hello") && text.contains("world"));
        let (_, _, json) = run(&args(&["--format", "json", "f"]), &mut &*bytes);
        let lines: Vec<serde_json::Value> = String::from_utf8(json)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn a_closed_output_ends_quietly() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let bytes = frame(0, "x");
        let mut cat = Cat::new(&args(&["--format", "heka", "f"])).unwrap();
        let result = cat.run(&mut &*bytes, &mut Closed, false, &AtomicBool::new(false));
        assert!(matches!(result, Err(Stop::OutputClosed)));
    }

    #[test]
    fn the_input_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&file, "kept").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for output in [&file, &link] {
            assert!(refuse_overwriting(&file, Some(output)).is_err());
        }
        assert!(refuse_overwriting(&file, Some(&folder.path().join("c"))).is_ok());
        assert!(open_input(&file, 4).is_ok() && open_input(&file, 5).is_err());
    }

    #[test]
    fn a_stream_without_messages_is_remarked_on() {
        let (counts, ..) = run(&args(&["f"]), &mut &b"plain text"[..]);
        assert!(remark(counts).unwrap().contains("Heka-framed"));
        let (counts, ..) = run(&args(&["f"]), &mut &b""[..]);
        assert!(remark(counts).unwrap().contains("empty"));
        let (counts, ..) = run(&args(&["f"]), &mut &*frame(1, "x"));
        assert_eq!(remark(counts), None);
    }

    #[test]
    fn wrong_arguments_are_status_2() {
        assert!(Cat::new(&args(&["--match", "Type ==", "f"])).is_err());
        assert!(Cat::new(&args(&["--max-message-size", "10", "f"])).is_err());
        assert!(open_input(Path::new("/nonexistent"), 0).is_err());
        assert!(open_input(Path::new("/"), 0).is_err());
    }
}
