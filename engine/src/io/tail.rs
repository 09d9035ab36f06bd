//! Files that somebody else writes, read while they grow.
//!
//! Owns:    `TailFile`, `FileState`, `Identity`.
//! Runs on: `read_now` on every shard; everything else on a `Worker`'s thread, because it may wait for the disk, or for a network file
//!          system that hangs. Builds with debug assertions find out who does it on a shard.
//! Plane:   data.
//! Bounds:  as many bytes a read as the caller's buffer has.
//! Never:   writes, waits for the other end of a pipe, or changes what it reads.
//!
//! `read_now` takes from the page cache what is there, straight into the caller's buffer, and says so if it would have to wait: then the
//! caller has a `Worker` read the same bytes, which brings them into the cache.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, IoSliceMut};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;
use rustix::io::{Errno, ReadWriteFlags};

use super::ring;

/// Which file it is, whatever it is called. Of no two files at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// The file system.
    pub device: u64,
    /// The file's number there.
    pub inode: u64,
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Bytes.
    Regular,
    /// A folder.
    Folder,
    /// A pipe, a socket, a device.
    Other,
}

/// What can be known of a file without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileState {
    /// Which file.
    pub identity: Identity,
    /// What it is.
    pub kind: FileKind,
    /// Bytes.
    pub size: u64,
    /// When it was last written to, nanoseconds since the Unix epoch.
    pub modified: i64,
}

impl FileState {
    /// What stands at `path`; symbolic links are followed.
    pub fn at(path: &Path) -> io::Result<FileState> {
        debug_assert!(ring::may_block(), "it may hold up a shard");
        std::fs::metadata(path).map(|data| FileState::of(&data))
    }

    fn of(data: &Metadata) -> FileState {
        FileState {
            identity: Identity {
                device: data.dev(),
                inode: data.ino(),
            },
            kind: if data.is_file() {
                FileKind::Regular
            } else if data.is_dir() {
                FileKind::Folder
            } else {
                FileKind::Other
            },
            size: data.len(),
            modified: data
                .mtime()
                .saturating_mul(1_000_000_000)
                .saturating_add(data.mtime_nsec()),
        }
    }
}

/// A regular file, open for reading.
#[derive(Debug)]
pub struct TailFile {
    inner: File,
}

impl TailFile {
    /// Opens a file. What is none is an error of kind `IsADirectory` or `InvalidInput`.
    pub fn open(path: &Path) -> io::Result<TailFile> {
        debug_assert!(ring::may_block(), "it may hold up a shard");
        let inner = OpenOptions::new()
            .read(true)
            // A pipe without a writer must not hold the thread, nor a terminal become the daemon's own.
            .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
            .open(path)?;
        match FileState::of(&inner.metadata()?).kind {
            FileKind::Regular => Ok(TailFile { inner }),
            FileKind::Folder => Err(ErrorKind::IsADirectory.into()),
            FileKind::Other => Err(io::Error::new(
                ErrorKind::InvalidInput,
                "not a regular file",
            )),
        }
    }

    /// What is known of it now.
    pub fn state(&self) -> io::Result<FileState> {
        debug_assert!(ring::may_block(), "it may hold up a shard");
        self.inner.metadata().map(|data| FileState::of(&data))
    }

    /// Reads what follows `offset` into the first buffer and then into the second; 0 at the end.
    pub fn read(&self, offset: u64, first: &mut [u8], second: &mut [u8]) -> io::Result<usize> {
        debug_assert!(ring::may_block(), "it may hold up a shard");
        self.read_by(offset, first, second, ReadWriteFlags::empty())
    }

    /// As `read`, of what is in memory: an error of kind `WouldBlock` if the disk would have to be waited for, and always where the file
    /// system cannot tell. It may read less than there is.
    pub fn read_now(&self, offset: u64, first: &mut [u8], second: &mut [u8]) -> io::Result<usize> {
        self.read_by(offset, first, second, ReadWriteFlags::NOWAIT)
    }

    fn read_by(
        &self,
        offset: u64,
        first: &mut [u8],
        second: &mut [u8],
        flags: ReadWriteFlags,
    ) -> io::Result<usize> {
        let mut parts = [IoSliceMut::new(first), IoSliceMut::new(second)];
        loop {
            match rustix::io::preadv2(&self.inner, &mut parts, offset, flags) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS)
                    if flags == ReadWriteFlags::NOWAIT =>
                {
                    return Err(ErrorKind::WouldBlock.into());
                }
                result => return result.map_err(io::Error::from),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_is_read_while_it_grows_and_keeps_its_identity() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let mut writer = File::create(&path).expect("a file");
        writer.write_all(b"one\n").expect("room");
        let file = TailFile::open(&path).expect("it is there");
        let mut buffer = [0; 16];
        // Whether it is in memory is the system's business.
        let read = file.read(0, &mut [], &mut buffer).expect("readable");
        assert_eq!(&buffer[..read], b"one\n");
        if let Ok(read) = file.read_now(0, &mut [], &mut buffer) {
            assert_eq!(&buffer[..read], b"one\n");
        }
        assert_eq!(file.read(4, &mut [], &mut buffer).expect("readable"), 0);
        let before = file.state().expect("open");
        std::fs::rename(&path, folder.path().join("log.1")).expect("same folder");
        writer.write_all(b"two\n").expect("room");
        let after = file.state().expect("open");
        assert_eq!((before.identity, 8), (after.identity, after.size));
        assert!(FileState::at(&path).is_err());
        let moved = FileState::at(&folder.path().join("log.1")).expect("moved");
        assert_eq!(moved.identity, after.identity);
        let (first, second) = buffer.split_at_mut(3);
        assert_eq!(file.read(2, first, second).expect("readable"), 6);
        assert_eq!((&*first, &second[..3]), (&b"e\nt"[..], &b"wo\n"[..]));
    }

    #[cfg(all(debug_assertions, not(sim)))]
    #[test]
    fn what_may_wait_for_the_disk_is_not_done_on_a_shard() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        std::fs::write(&path, "one\n").expect("room");
        let file = TailFile::open(&path).expect("it is there");
        let shard = ring::start_shard("test", None, move || async move {
            let panics = |call: &mut dyn FnMut()| {
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).is_err()
            };
            Ok([
                panics(&mut || drop(file.state())),
                panics(&mut || drop(file.read(0, &mut [0], &mut []))),
                panics(&mut || drop(FileState::at(&path))),
                panics(&mut || drop(TailFile::open(&path))),
                panics(&mut || drop(file.read_now(0, &mut [0], &mut []))),
            ])
        });
        let found = shard.expect("a shard starts").join().expect("it ends");
        assert_eq!(found, [true, true, true, true, false]);
    }

    #[test]
    fn what_is_no_file_is_refused_and_a_pipe_is_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let refused = |path: &Path| TailFile::open(path).expect_err("no file").kind();
        assert_eq!(refused(folder.path()), ErrorKind::IsADirectory);
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        assert_eq!(refused(&pipe), ErrorKind::InvalidInput);
        assert_eq!(refused(&folder.path().join("none")), ErrorKind::NotFound);
    }
}
