//! Small files that are replaced as a whole: positions, cursors.
//!
//! Owns:    `replace`, `sync_folder`.
//! Runs on: a `Worker`'s thread: every call may block for as long as the disk likes.            Plane: data.
//! Bounds:  two files at a time, the old one and the new.
//! Never:   leaves anything but the whole old content or the whole new one at the path, whatever ends the process or the host.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The new content under a name of its own, until it is complete: a dot before, `.new` behind.
fn unfinished(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".new");
    Ok(path.with_file_name(hidden))
}

/// Replaces the file at `path`, or makes it with `mode` less the umask. Its content is on the disk when this returns; that its name is, only
/// after `sync_folder`: so many files of one folder are made durable together.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let unfinished = unfinished(path)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&unfinished)?;
    file.write_all(content)?;
    file.sync_data()?;
    fs::rename(&unfinished, path)
}

/// Makes the names in a folder durable.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        // File systems that cannot sync a folder have nothing to wait for.
        Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("position");
        for text in ["a long first text", "short"] {
            replace(&path, text.as_bytes(), 0o600).expect("room");
            sync_folder(folder.path()).expect("a disk");
            assert_eq!(fs::read_to_string(&path).expect("there"), text);
        }
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn what_an_earlier_attempt_left_is_in_nobodys_way() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("position");
        fs::write(folder.path().join(".position.new"), "half of a much longer").expect("room");
        replace(&path, b"whole", 0o600).expect("room");
        assert_eq!(fs::read_to_string(&path).expect("there"), "whole");
        assert!(replace(&folder.path().join("none/position"), b"", 0o600).is_err());
    }
}
