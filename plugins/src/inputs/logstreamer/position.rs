//! Positions in files, found again by what stands before them.
//!
//! Owns:    the hash of Heka's journals, `Mark`, `begin` (where a stream starts) and `find` (where its position went).
//! Runs on: the input's file thread, and the main thread for `hekad logstreamer`.            Plane: data.
//! Bounds:  one file is open at a time; a compressed one is uncompressed up to the position.
//! Never:   takes a file that cannot be read for one that does not have the position.

use std::io::{self, ErrorKind};
use std::path::Path;

use engine::io::FileState;
use sha1::{Digest, Sha1};

use super::content::{Content, Patience};
use super::journal::Journal;
use super::order::LogFile;

/// Bytes before a position that it is found again by.
pub(super) const WINDOW: usize = 500;

/// SHA-1 in hexadecimal digits.
pub(super) fn hex_digest(bytes: &[u8]) -> String {
    Sha1::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Heka's hash of what stands before a position: of `WINDOW` bytes, zeros in front where there are not as many.
pub(super) fn fingerprint(before: &[u8]) -> String {
    let mut window = [0; WINDOW];
    let last = &before[before.len().saturating_sub(WINDOW)..];
    window[WINDOW - last.len()..].copy_from_slice(last);
    hex_digest(&window)
}

/// What a position is recognised by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// A journal's hash.
    Hash(String),
    /// The bytes before it themselves.
    Bytes(Vec<u8>),
}

impl Mark {
    fn fits(&self, before: &[u8]) -> bool {
        match self {
            Mark::Hash(hash) => *hash == fingerprint(before),
            Mark::Bytes(bytes) => bytes == before,
        }
    }
}

/// A position that is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Bytes of the content before it.
    pub(super) seek: u64,
    /// What they end with.
    pub(super) mark: Mark,
    /// A file that has it is read from its beginning nevertheless.
    pub(super) from_the_beginning: bool,
}

impl Wanted {
    /// The file, at the position, if it has it.
    pub(super) fn open(&self, file: &LogFile) -> io::Result<Option<Content>> {
        let mut content = open_listed(file)?;
        if !content.skip_to(self.seek)? {
            return Ok(None);
        }
        let before = content.before(self.seek, Patience::Wait)?;
        if !before.is_some_and(|before| self.mark.fits(&before)) {
            return Ok(None);
        }
        if self.from_the_beginning {
            return open_listed(file).map(Some);
        }
        Ok(Some(content))
    }
}

/// Opens a file, if it still is the one that was listed; else an error of kind `NotFound`.
pub(super) fn open_listed(file: &LogFile) -> io::Result<Content> {
    let content = Content::open(Path::new(&file.path))?;
    if content.opened().identity == file.state.identity {
        Ok(content)
    } else {
        Err(io::Error::new(
            ErrorKind::NotFound,
            "another file has its name by now",
        ))
    }
}

/// A file that cannot be read.
#[derive(Debug)]
pub(super) struct Refused {
    /// Its path.
    pub(super) path: String,
    /// Why.
    pub(super) error: io::Error,
}

impl Refused {
    pub(super) fn new(file: &LogFile, error: io::Error) -> Refused {
        let path = file.path.clone();
        Refused { path, error }
    }
}

/// Looks for a position in files, in this order. An error if it was found nowhere and one could not be looked into.
pub(super) fn find(
    files: &[LogFile],
    order: impl IntoIterator<Item = usize>,
    wanted: &Wanted,
) -> Result<Option<(usize, Content)>, Refused> {
    let mut refused = None;
    for index in order {
        match wanted.open(&files[index]) {
            Ok(Some(content)) => return Ok(Some((index, content))),
            Ok(None) => {}
            Err(error) if is_no_log(&error) => {}
            Err(error) => {
                refused.get_or_insert(Refused::new(&files[index], error));
            }
        }
    }
    refused.map_or(Ok(None), Err)
}

/// Whether an error says that it is no file that could have the position.
fn is_no_log(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::IsADirectory | ErrorKind::InvalidInput | ErrorKind::InvalidData
    )
}

/// Why a stream starts where it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// There is no journal: at the beginning.
    Oldest,
    /// There is no journal, and it is to start at the end.
    Tail,
    /// Where the journal says.
    Journal,
    /// Where the journal says, in a file that has another name by now.
    Moved,
    /// What the journal speaks of is not there any more: at the beginning.
    Lost,
}

impl Reason {
    /// Whether it is at the beginning of the oldest file that there is: one that was not listed yet could be older.
    pub(super) fn is_the_beginning(self) -> bool {
        matches!(self, Reason::Oldest | Reason::Lost)
    }
}

/// Where a stream starts.
#[derive(Debug)]
pub(super) struct Start {
    /// The file.
    pub(super) index: usize,
    /// Its content, at the position.
    pub(super) content: Content,
    /// What stands before the position.
    pub(super) before: Vec<u8>,
    /// Why there.
    pub(super) reason: Reason,
}

/// The first file that has content, now if not when it was listed.
pub(super) fn first_with_content(files: &[LogFile], from: usize) -> Option<usize> {
    let has_content = |&index: &usize| {
        let file = &files[index];
        let now = || FileState::at(Path::new(&file.path));
        file.state.size > 0
            || now().is_ok_and(|now| now.identity == file.state.identity && now.size > 0)
    };
    (from..files.len()).find(has_content)
}

/// Where to start in a stream's files: where its journal says, or at one of its ends. `None` while there is nothing to read.
pub(super) fn begin(
    files: &[LogFile],
    journal: Option<&Journal>,
    at_the_end: bool,
) -> Result<Option<Start>, Refused> {
    let found = match journal {
        Some(journal) => by_journal(files, journal)?,
        None if at_the_end => at_end(files)?,
        None => at_beginning(files, Reason::Oldest)?,
    };
    let Some((index, content, reason)) = found else {
        return Ok(None);
    };
    let before = content.before(content.seek(), Patience::Wait);
    let before = before.map_err(|error| Refused::new(&files[index], error))?;
    Ok(Some(Start {
        index,
        content,
        before: before.unwrap_or_default(),
        reason,
    }))
}

type Found = Option<(usize, Content, Reason)>;

fn open(files: &[LogFile], index: usize) -> Result<Content, Refused> {
    open_listed(&files[index]).map_err(|error| Refused::new(&files[index], error))
}

fn at_beginning(files: &[LogFile], reason: Reason) -> Result<Found, Refused> {
    let Some(index) = first_with_content(files, 0) else {
        return Ok(None);
    };
    Ok(Some((index, open(files, index)?, reason)))
}

fn at_end(files: &[LogFile]) -> Result<Found, Refused> {
    let Some(newest) = files.len().checked_sub(1) else {
        return Ok(None);
    };
    let mut content = open(files, newest)?;
    let skipped = content.skip_to_end();
    skipped.map_err(|error| Refused::new(&files[newest], error))?;
    Ok(Some((newest, content, Reason::Tail)))
}

fn by_journal(files: &[LogFile], journal: &Journal) -> Result<Found, Refused> {
    let named = files.iter().position(|file| file.path == journal.file_name);
    let same = files
        .iter()
        .position(|file| Some(file.state.identity) == journal.identity());
    // Its number first: the beginnings of log files are often the same.
    let first: Vec<usize> = same.into_iter().chain(named).collect();
    let reason = |index: usize| {
        if Some(index) == named {
            Reason::Journal
        } else {
            Reason::Moved
        }
    };
    if journal.seek == 0 {
        // Every file has the beginning of a file.
        return match first.first() {
            Some(&index) => Ok(Some((index, open(files, index)?, reason(index)))),
            None => at_beginning(files, Reason::Lost),
        };
    }
    let wanted = Wanted {
        seek: journal.seek,
        mark: Mark::Hash(journal.last_hash.clone()),
        from_the_beginning: false,
    };
    let others = (0..files.len()).rev().filter(|at| !first.contains(at));
    let order: Vec<usize> = first.iter().copied().chain(others).collect();
    match find(files, order, &wanted)? {
        Some((index, content)) => Ok(Some((index, content, reason(index)))),
        None => at_beginning(files, Reason::Lost),
    }
}

#[cfg(test)]
mod tests;
