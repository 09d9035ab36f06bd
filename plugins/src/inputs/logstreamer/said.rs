//! What the input says to people.
//!
//! Owns:    the texts: each names the stream and the file, and says what becomes of the data.
//! Runs on: every shard, when something has happened.            Plane: data.
//! Bounds:  one text an event.
//! Never:   decides anything.

use engine::words::counted;
use std::io::ErrorKind;
use std::path::Path;

use super::journal::Kept;
use super::order::LogFile;
use super::position::{Reason, Refused, Start};

/// Of where a stream starts, if that is not where it was expected to.
pub(super) fn start(
    stream: &str,
    journal: &Path,
    kept: &Kept,
    start: &Start,
    files: &[LogFile],
) -> Option<String> {
    let path = &files[start.index].path;
    let journal = journal.display();
    match (start.reason, kept) {
        (Reason::Lost, Kept::Position(position)) => {
            let named = files.iter().find(|file| file.path == position.file_name);
            let seek = position.seek;
            let what = match named {
                None => "which is not among its files".to_owned(),
                Some(file) if file.state.size < seek => {
                    format!("which has only {}", counted(file.state.size, "byte"))
                }
                Some(_) => "where something else stands now".to_owned(),
            };
            Some(format!(
                "stream {stream}: its journal {journal} says byte {seek} of {}, {what}; no other of its files has what stood before that \
                 byte, so it is read from the beginning of its oldest file, {path}: messages may come again, none is passed over",
                position.file_name
            ))
        }
        (_, Kept::Damaged(why)) => Some(format!(
            "stream {stream}: its journal {journal} cannot be understood ({why}); it is read from the beginning of its oldest file, {path}: \
             messages may come again, none is passed over; the next position replaces the journal"
        )),
        _ => None,
    }
}

/// Of a file that cannot be read.
pub(super) fn refused(stream: &str, refused: &Refused) -> String {
    let Refused { path, error } = refused;
    let what = match error.kind() {
        ErrorKind::PermissionDenied => "the daemon's user may not read it".to_owned(),
        ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => error.to_string(),
    };
    format!(
        "stream {stream}: {path} cannot be read: {what}; the stream waits, so that nothing is passed over, and tries again when the folder is \
         scanned next"
    )
}

/// Of a folder in the place of the file that is read.
pub(super) fn folder(stream: &str, path: &str) -> String {
    format!(
        "stream {stream}: {path} is a folder now; the file that was there is read to its end, and the folder is not read"
    )
}

/// Of a compressed file that is damaged.
pub(super) fn damaged(stream: &str, path: &str, seek: u64, damage: &str) -> String {
    format!(
        "stream {stream}: {path} is damaged: {damage}; {seek} bytes of its content were read, the rest of it is lost; the next file is read when \
         there is one"
    )
}

/// Of a compressed file without its end.
pub(super) fn cut(stream: &str, path: &str) -> String {
    format!(
        "stream {stream}: {path} ends in the midst of compressed data and has not grown any more; what is missing is lost, the next file is read"
    )
}

/// Of a stream that cannot be read on.
pub(super) fn failed(stream: &str, path: &str, seek: u64, error: &std::io::Error) -> String {
    format!(
        "stream {stream}: reading {path} failed at byte {seek}: {error}; it is begun again from its journal when the folder is scanned next"
    )
}

/// Of a stream for which there is no room.
pub(super) fn too_many(stream: &str) -> String {
    format!(
        "stream {stream} is not read: this shard serves as many streams as it can; tried again when the folder is scanned next"
    )
}

/// Of a stream whose journal another input writes.
pub(super) fn shared(stream: &str, other: &str, journal: &Path) -> String {
    format!(
        "stream {stream} is not read: '{other}' has a stream of this name as well, and both would keep their position in {}; give one of the two \
         inputs another `journal_directory` or `differentiator`",
        journal.display()
    )
}

/// Of a journal that cannot be written.
pub(super) fn journal_failed(what: &str) -> String {
    format!(
        "a journal cannot be written: {what}; reading goes on and writing is tried again; after a crash, messages since the last journal come again"
    )
}

/// Of the folder itself.
pub(super) fn cannot_list(folder: &Path, error: &std::io::Error) -> String {
    format!(
        "{} cannot be listed: {error}; the files that are known are read on, new ones are not found until it can",
        folder.display()
    )
}
