//! Positions in files, found again by what stands before them.
//!
//! Owns:    the hash of Heka's journals, `Mark`, `begin` (where a stream starts) and `find` (where its position went).
//! Runs on: the input's file thread, and the main thread for `hekad logstreamer`.            Plane: data.
//! Bounds:  one file is open at a time; a compressed one is uncompressed up to the position.
//! Never:   takes a file that cannot be read for one that does not have the position.

use std::io::{self, ErrorKind};
use std::path::Path;

use sha1::{Digest, Sha1};

use super::content::Content;
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
}

impl Wanted {
    /// The file at `path`, at the position, if it has it.
    pub(super) fn open(&self, path: &str) -> io::Result<Option<Content>> {
        let mut content = Content::open(Path::new(path))?;
        if !content.skip_to(self.seek)? {
            return Ok(None);
        }
        let before = content.before(self.seek)?;
        Ok(before
            .is_some_and(|before| self.mark.fits(&before))
            .then_some(content))
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

/// Looks for a position in files, in this order. An error if it was found nowhere and one could not be looked into.
pub(super) fn find(
    files: &[LogFile],
    order: impl IntoIterator<Item = usize>,
    wanted: &Wanted,
) -> Result<Option<(usize, Content)>, Refused> {
    let mut refused = None;
    for index in order {
        let path = &files[index].path;
        match wanted.open(path) {
            Ok(Some(content)) => return Ok(Some((index, content))),
            Ok(None) => {}
            Err(error) if is_gone(&error) => {}
            Err(error) => {
                refused.get_or_insert(Refused {
                    path: path.clone(),
                    error,
                });
            }
        }
    }
    refused.map_or(Ok(None), Err)
}

/// Whether an error says that the file is not there any more, or is not one that could have the position.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::InvalidInput
            | ErrorKind::InvalidData
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

/// Where to start in a stream's files (at least one): where its journal says, or at one of its ends.
pub(super) fn begin(
    files: &[LogFile],
    journal: Option<&Journal>,
    at_the_end: bool,
) -> Result<Start, Refused> {
    let (index, content, reason) = match journal {
        Some(journal) => by_journal(files, journal)?,
        None if at_the_end => {
            let newest = files.len() - 1;
            let mut content = open(files, newest)?;
            let skipped = content.skip_to_end();
            skipped.map_err(|error| refused(files, newest, error))?;
            (newest, content, Reason::Tail)
        }
        None => (0, open(files, 0)?, Reason::Oldest),
    };
    let before = content.before(content.seek());
    let before = before.map_err(|error| refused(files, index, error))?;
    Ok(Start {
        index,
        content,
        before: before.unwrap_or_default(),
        reason,
    })
}

fn refused(files: &[LogFile], index: usize, error: io::Error) -> Refused {
    let path = files[index].path.clone();
    Refused { path, error }
}

fn open(files: &[LogFile], index: usize) -> Result<Content, Refused> {
    Content::open(Path::new(&files[index].path)).map_err(|error| refused(files, index, error))
}

fn by_journal(files: &[LogFile], journal: &Journal) -> Result<(usize, Content, Reason), Refused> {
    let named = files.iter().position(|file| file.path == journal.file_name);
    let same = files
        .iter()
        .position(|file| Some(file.state.identity) == journal.identity());
    // Its number first: the beginnings of log files are often the same.
    let first: Vec<usize> = same.into_iter().chain(named).collect();
    if journal.seek == 0 {
        // Every file has the beginning of a file.
        return Ok(match first.first() {
            Some(&index) => (index, open(files, index)?, Reason::Journal),
            None => (0, open(files, 0)?, Reason::Lost),
        });
    }
    let wanted = Wanted {
        seek: journal.seek,
        mark: Mark::Hash(journal.last_hash.clone()),
    };
    let others = (0..files.len()).rev().filter(|at| !first.contains(at));
    let order: Vec<usize> = first.iter().copied().chain(others).collect();
    Ok(match find(files, order, &wanted)? {
        Some((index, content)) if Some(index) == named => (index, content, Reason::Journal),
        Some((index, content)) => (index, content, Reason::Moved),
        None => (0, open(files, 0)?, Reason::Lost),
    })
}

#[cfg(test)]
mod tests;
