//! What can go wrong with a script.
//!
//! Owns:    `ProgramError`, `Terminated` and its `Cause`, `PreserveError`.
//! Runs on: build time and the shard of the plugin.            Plane: data.
//! Bounds:  `ERROR_BYTES_MAX` of text, `TRACE_BYTES_MAX` of stack.
//! Never:   decides what becomes of the plugin: who owns the sandbox does.

use std::fmt;
use std::path::PathBuf;

/// Bytes of an error text; Heka keeps 255 and a zero.
pub const ERROR_BYTES_MAX: usize = 255;

/// Bytes of the stack that is shown with an error.
pub const TRACE_BYTES_MAX: usize = 2048;

/// Why a script is no program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramError {
    /// Name of the script, as given.
    pub name: String,
    /// The line that is wrong, from 1; 0 where it is no line.
    pub line: u32,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.name, self.message),
            line => write!(f, "{}:{line}: {}", self.name, self.message),
        }
    }
}

impl std::error::Error for ProgramError {}

/// What ended a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// An error that the script did not catch.
    Error,
    /// It asked for more memory than `memory_limit`.
    Memory,
    /// One call passed more safepoints than `instruction_limit`.
    Instructions,
    /// One call used more processor time, or took longer, than it may.
    Time,
    /// Its function is missing, or answered what it must not.
    Interface,
    /// Its preserved state could not be read.
    Preservation,
    /// No message table has room for what a decoder writes or injects. The sandbox goes on; nothing of the call is to be used.
    Full,
    /// An injection was told that the daemon ends: the state is still good and is preserved.
    Aborted,
    /// Its `Stopper` was used: the state is still good.
    Stopped,
}

/// A sandbox has ended: who owns it reports that and drops it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terminated {
    /// Why.
    pub cause: Cause,
    /// Heka's text, at most `ERROR_BYTES_MAX` bytes.
    pub text: String,
    /// Where the script was, innermost first, a line each; empty where it did not run.
    pub trace: String,
}

impl Terminated {
    /// With a text that is cut at `ERROR_BYTES_MAX`.
    pub(crate) fn new(cause: Cause, text: impl Into<String>) -> Terminated {
        let mut text = text.into();
        cut(&mut text, ERROR_BYTES_MAX);
        Terminated {
            cause,
            text,
            trace: String::new(),
        }
    }
}

impl fmt::Display for Terminated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Terminated {}

/// The globals of a sandbox could not be preserved: its next start begins without them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreserveError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub message: String,
}

impl fmt::Display for PreserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the script's state was not preserved in {}: {}; it starts without",
            self.path.display(),
            self.message
        )
    }
}

impl std::error::Error for PreserveError {}

/// Cuts a text at `bytes` or shortly before, where a character ends.
pub(crate) fn cut(text: &mut String, bytes: usize) {
    text.truncate(text.floor_char_boundary(bytes));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_where_a_character_ends() {
        let long = "ä".repeat(200);
        let ended = Terminated::new(Cause::Error, long);
        assert_eq!(ended.text.len(), 254);
        assert!(ended.text.chars().all(|one| one == 'ä'));
    }

    #[test]
    fn program_errors_name_file_and_line() {
        let mut error = ProgramError {
            name: "a.lua".into(),
            line: 3,
            message: "odd".into(),
        };
        assert_eq!(error.to_string(), "a.lua:3: odd");
        error.line = 0;
        assert_eq!(error.to_string(), "a.lua: odd");
    }
}
