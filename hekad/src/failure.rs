//! An error on its way to the user: text and exit status.
//!
//! Owns:    `Failure` and the exit statuses that commands share.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  one line or a few; ends the process.
//! Never:   used where the caller could go on.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// Wrong arguments, or input that cannot be used.
pub(crate) const EXIT_USAGE: u8 = 2;

/// A config file is wrong (`EX_CONFIG` of sysexits).
pub(crate) const EXIT_CONFIG: u8 = 78;

/// Ended by SIGINT before the work was done (128 + 2, as a shell would show it).
pub(crate) const EXIT_INTERRUPTED: u8 = 130;

/// Why a command ends, and with which status.
#[derive(Debug)]
pub(crate) struct Failure {
    status: u8,
    text: String,
}

impl Failure {
    /// A failure with an exit status and a text that says what, where and what to do.
    pub(crate) fn new(status: u8, text: impl Into<String>) -> Failure {
        Failure {
            status,
            text: text.into(),
        }
    }

    /// Wrong arguments or unusable input: status 2.
    pub(crate) fn usage(text: impl Into<String>) -> Failure {
        Failure::new(EXIT_USAGE, text)
    }

    /// A wrong config file: status 78.
    pub(crate) fn config(text: impl Into<String>) -> Failure {
        Failure::new(EXIT_CONFIG, text)
    }

    /// Prints the text on stderr and gives the exit status. A closed stderr is no further error.
    pub(crate) fn report(&self) -> ExitCode {
        let _ = writeln!(io::stderr(), "hekad: {}", self.text);
        ExitCode::from(self.status)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
