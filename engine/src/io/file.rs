//! Files that grow at their end.
//!
//! Owns:    `File`: opening with folders and permissions, writing many parts at once, syncing, taking back a part of a record.
//! Runs on: a `Worker`'s thread: every call here may block for as long as the disk likes.            Plane: data.
//! Bounds:  as many parts a write as the kernel takes (1024).
//! Never:   called on a shard.

use std::fs::{self, DirBuilder};
use std::io::{self, IoSlice, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// A file that is written at its end, through the page cache.
#[derive(Debug)]
pub struct File {
    inner: fs::File,
    /// It stood in a folder when it was opened (a path below `/proc` may name one that does not).
    named: bool,
}

impl File {
    /// Opens for appending. What is missing is made: the file with `mode`, folders above it with `folder_mode`, both less the umask.
    pub fn append(path: &Path, mode: u32, folder_mode: u32) -> io::Result<File> {
        if let Some(folder) = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            DirBuilder::new()
                .recursive(true)
                .mode(folder_mode)
                .create(folder)?;
        }
        let inner = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .mode(mode)
            .open(path)?;
        let named = is_named(&inner, path)?;
        Ok(File { inner, named })
    }

    /// Writes the parts at the end; may write less than all of them.
    pub fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        (&self.inner).write_vectored(parts)
    }

    /// Waits until what was written is on the disk. What is no regular file has nothing to wait for.
    pub fn sync(&self) -> io::Result<()> {
        match self.inner.sync_data() {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            result => result,
        }
    }

    /// Takes back the `bytes` that were written last, if nobody has written behind them. Answers whether it did.
    pub fn take_back(&self, bytes: u64) -> io::Result<bool> {
        // After a write the position is behind what it wrote, wherever the end was then.
        let end = (&self.inner).stream_position()?;
        if end < bytes || self.inner.metadata()?.len() != end {
            return Ok(false);
        }
        self.inner.set_len(end - bytes)?;
        Ok(true)
    }

    /// Whether no folder has it any more: what is written to it is lost when it is closed.
    pub fn is_removed(&self) -> io::Result<bool> {
        Ok(self.named && self.inner.metadata()?.nlink() == 0)
    }
}

/// Whether the file that `path` led to has, or had until it was removed just now, a place in a folder.
fn is_named(file: &fs::File, path: &Path) -> io::Result<bool> {
    let opened = file.metadata()?;
    // A path that leads to a file without a place in any folder is a link below `/proc`.
    let leads_there =
        |there: fs::Metadata| (there.dev(), there.ino()) == (opened.dev(), opened.ino());
    Ok(opened.nlink() > 0 || !fs::metadata(path).is_ok_and(leads_there))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::PermissionsExt;

    fn parts(text: &str) -> [IoSlice<'_>; 1] {
        [IoSlice::new(text.as_bytes())]
    }

    #[test]
    fn folders_and_file_are_made_with_their_modes_and_the_file_grows() {
        let base = tempfile::tempdir().expect("a folder");
        let path = base.path().join("a/b/file");
        for text in ["one\n", "two\n"] {
            let file = File::append(&path, 0o600, 0o700).expect("opens");
            assert_eq!(file.write(&parts(text)).expect("room"), 4);
            file.sync().expect("a disk");
        }
        assert_eq!(fs::read_to_string(&path).expect("there"), "one\ntwo\n");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&base.path().join("a"))), (0o600, 0o700));
    }

    #[test]
    fn only_ones_own_last_bytes_are_taken_back() {
        let base = tempfile::tempdir().expect("a folder");
        let path = base.path().join("file");
        let file = File::append(&path, 0o644, 0o700).expect("opens");
        file.write(&parts("whole\nhal")).expect("room");
        assert!(file.take_back(3).expect("a regular file"));
        assert_eq!(fs::read_to_string(&path).expect("there"), "whole\n");
        file.write(&parts("hal")).expect("room");
        let other = File::append(&path, 0o644, 0o700).expect("opens");
        other.write(&parts("other\n")).expect("room");
        assert!(!file.take_back(3).expect("a regular file"));
        assert!(!file.take_back(100).expect("a regular file"));
        assert_eq!(
            fs::read_to_string(&path).expect("there"),
            "whole\nhalother\n"
        );
    }

    #[test]
    fn removal_is_noticed() {
        let base = tempfile::tempdir().expect("a folder");
        let path = base.path().join("file");
        let file = File::append(&path, 0o644, 0o700).expect("opens");
        fs::rename(&path, base.path().join("moved")).expect("same folder");
        assert!(!file.is_removed().expect("open"));
        fs::remove_file(base.path().join("moved")).expect("there");
        assert!(file.is_removed().expect("open"));
        // Also when it was removed before anybody could look.
        assert!(is_named(&file.inner, &path).expect("open"));
        let nameless = format!("/proc/self/fd/{}", file.inner.as_raw_fd());
        let again = File::append(Path::new(&nameless), 0o644, 0o700).expect("opens");
        assert!(!again.is_removed().expect("open"));
    }
}
