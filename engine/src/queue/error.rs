//! What a queue cannot do, in words for people.
//!
//! Owns:    `QueueError`, `Kind`.
//! Runs on: a `Worker`'s thread, or the main thread at start.            Plane: data.
//! Bounds:  one text.
//! Never:   made where things go well.

use std::fmt;
use std::io;
use std::path::Path;

/// What a caller may do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No room on the disk (or in a quota): `full_action` says what to do; trying again later may help.
    Full,
    /// The disk has failed to do something: trying again may help.
    Disk,
    /// Another process works on the folder.
    Locked,
    /// The folder belongs to another plugin.
    OtherOwner,
    /// The folder was written by another version of the format.
    OtherVersion,
    /// There is no queue in the folder.
    NoQueue,
    /// A record that is longer than the queue may hold: `Lane::takes` would have said so.
    TooLong,
}

/// An error of a queue. Its text names the path and says what happens to the data next.
#[derive(Debug)]
pub struct QueueError {
    kind: Kind,
    text: String,
}

impl QueueError {
    /// What a caller may do about it.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn new(kind: Kind, text: String) -> QueueError {
        QueueError { kind, text }
    }

    /// The disk refused to do something to a path; `next` says what that means for the data.
    pub(super) fn disk(doing: &str, path: &Path, error: &io::Error, next: &str) -> QueueError {
        let full = matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        );
        QueueError {
            kind: if full { Kind::Full } else { Kind::Disk },
            text: format!("cannot {doing} {}: {error}; {next}", path.display()),
        }
    }
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for QueueError {}
