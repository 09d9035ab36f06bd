//! Prints the messages that a matcher accepts, in one of the forms that `hekad cat` knows.
//!
//! Owns:    `Printer`.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  printed bytes are to be handed on at `PRINT_BYTES`.
//! Never:   reads anything.

use std::io::{self, Write};

use codecs::message::MessageRef;
use codecs::time::Zone;
use codecs::{json, text};
use matcher::{Consumer, Row, Scratch, Set};

use crate::cli::CatFormat;
use crate::failure::Failure;

/// Printed bytes that are gathered before they are written.
const PRINT_BYTES: usize = 64 * 1024;

/// Prints messages.
pub(crate) struct Printer {
    set: Set,
    scratch: Scratch,
    accepted: Row,
    format: CatFormat,
    /// Times are printed as this host's clocks show them.
    zone: Zone,
    printed: Vec<u8>,
    matched: u64,
}

impl Printer {
    /// One for the messages that an expression, the value of `--match`, accepts.
    pub(crate) fn new(expression: &str, format: CatFormat) -> Result<Printer, Failure> {
        let consumer = Consumer {
            expression,
            signer: None,
        };
        let set = Set::build(&[consumer]).map_err(|errors| {
            let texts: Vec<String> = errors.iter().map(|(_, error)| error.to_string()).collect();
            Failure::usage(format!("--match: {}", texts.join("\n")))
        })?;
        Ok(Printer {
            scratch: set.scratch(),
            accepted: set.row(),
            set,
            format,
            zone: Zone::local(),
            printed: Vec::with_capacity(PRINT_BYTES),
            matched: 0,
        })
    }

    /// Messages that were accepted.
    pub(crate) fn matched(&self) -> u64 {
        self.matched
    }

    /// Prints a message if it is accepted; `frame` appends its frame. Answers where in what is printed it begins.
    pub(crate) fn take(
        &mut self,
        message: MessageRef<'_>,
        frame: impl FnOnce(&mut Vec<u8>),
    ) -> Option<usize> {
        self.set
            .search(&mut self.scratch, message, None, &mut self.accepted);
        if !self.accepted.contains(0) {
            return None;
        }
        self.matched += 1;
        let start = self.printed.len();
        match self.format {
            CatFormat::Text => text::write_text(message, &self.zone, &mut self.printed),
            CatFormat::Json => json::write_json(message, &mut self.printed),
            CatFormat::Heka => frame(&mut self.printed),
            CatFormat::Count => {}
        }
        Some(start)
    }

    /// Puts a text before something that is printed already.
    pub(crate) fn insert(&mut self, at: usize, text: &[u8]) {
        self.printed.splice(at..at, text.iter().copied());
    }

    /// This host's zone.
    pub(crate) fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The form.
    pub(crate) fn format(&self) -> CatFormat {
        self.format
    }

    /// Whether it is time to flush.
    pub(crate) fn is_full(&self) -> bool {
        self.printed.len() >= PRINT_BYTES
    }

    /// Prints what comes at the end.
    pub(crate) fn finish(&mut self) {
        if self.format == CatFormat::Count {
            self.printed = format!("{}\n", self.matched).into_bytes();
        }
    }

    /// Hands on what is printed.
    pub(crate) fn flush(&mut self, output: &mut dyn Write) -> io::Result<()> {
        let result = output
            .write_all(&self.printed)
            .and_then(|()| output.flush());
        self.printed.clear();
        result
    }
}
