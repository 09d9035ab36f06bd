//! Small files that are replaced as a whole: positions, cursors.
//!
//! Owns:    `replace`, `replace_all`, `sync_folder`.
//! Runs on: a `Worker`'s thread: every call may block for as long as the disk likes.            Plane: data.
//! Bounds:  two files at a time for each path, the old one and the new.
//! Never:   leaves anything but the whole old content or the whole new one at a path, whatever ends the process or the host.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Files from which on the whole file system is synced once instead of each file by itself: a journalling file system takes about as long
/// for one as for the other.
const SYNCED_TOGETHER: usize = 16;

/// The new content under a name of its own, until it is complete: a dot before, `.new` behind.
fn unfinished(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(".new");
    Ok(path.with_file_name(hidden))
}

/// Writes the new content beside the old one; what it is in, and under which name.
fn write_beside(path: &Path, content: &[u8], mode: u32) -> io::Result<(File, PathBuf)> {
    let unfinished = unfinished(path)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&unfinished)?;
    file.write_all(content)?;
    Ok((file, unfinished))
}

/// Replaces the file at `path`, or makes it with `mode` less the umask. Its content is on the disk when this returns; that its name is, only
/// after `sync_folder`.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let (file, unfinished) = write_beside(path, content, mode)?;
    file.sync_data()?;
    fs::rename(&unfinished, path)
}

/// Replaces many files of one folder. Those without an error have their new content and name on the disk when this returns.
pub fn replace_all(folder: &Path, files: &[(PathBuf, Vec<u8>)], mode: u32) -> Vec<io::Result<()>> {
    let together = files.len() >= SYNCED_TOGETHER;
    let written: Vec<io::Result<PathBuf>> = files
        .iter()
        .map(|(path, content)| {
            let (file, unfinished) = write_beside(path, content, mode)?;
            if !together {
                file.sync_data()?;
            }
            Ok(unfinished)
        })
        .collect();
    let synced = if together {
        sync_file_system(folder)
    } else {
        Ok(())
    };
    let synced = synced.and_then(|()| {
        let moved = written.into_iter().zip(files);
        let moved: Vec<io::Result<()>> = moved
            .map(|(unfinished, (path, _))| fs::rename(unfinished?, path))
            .collect();
        sync_folder(folder)?;
        Ok(moved)
    });
    synced.unwrap_or_else(|error| {
        let error = || io::Error::new(error.kind(), error.to_string());
        files.iter().map(|_| Err(error())).collect()
    })
}

fn sync_file_system(folder: &Path) -> io::Result<()> {
    rustix::fs::syncfs(File::open(folder)?).map_err(io::Error::from)
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

    #[test]
    fn many_files_are_replaced_and_one_that_cannot_be_keeps_none_from_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |number: usize| folder.path().join(number.to_string());
        fs::create_dir(path(3)).expect("a folder");
        for count in [5, SYNCED_TOGETHER + 5] {
            let content = |number: usize| format!("{number} of {count}").into_bytes();
            let files: Vec<_> = (0..count)
                .map(|number| (path(number), content(number)))
                .collect();
            let replaced = replace_all(folder.path(), &files, 0o600);
            for (number, replaced) in replaced.iter().enumerate() {
                assert_eq!(replaced.is_err(), number == 3, "{replaced:?}");
                if number != 3 {
                    assert_eq!(fs::read(path(number)).expect("there"), content(number));
                }
            }
        }
        let none = folder.path().join("none");
        let files = vec![(none.join("a"), Vec::new()); SYNCED_TOGETHER];
        assert!(replace_all(&none, &files, 0o600).iter().all(Result::is_err));
    }
}
