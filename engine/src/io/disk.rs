//! Files and folders that must survive a crash: the operations whose failures the disk queue has to answer for.
//!
//! Owns:    `Disk`, `DiskFile`, and `OsDisk`, which does them.
//! Runs on: a `Worker`'s thread, and the main thread at start: every call may block for as long as the disk likes.            Plane: data.
//! Bounds:  as many parts a write as the kernel takes (`PARTS_MAX`).
//! Never:   tries again by itself, or hides an error.
//!
//! The trait is as small as what can go wrong: a test, or a simulated daemon, puts a disk in its place that loses, tears and refuses.

#[cfg(any(test, sim, fuzzing))]
pub mod model;

use std::fmt::Debug;
use std::fs::{self, DirBuilder, OpenOptions, TryLockError};
use std::io::{self, IoSlice};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

/// Parts that one write may have (`IOV_MAX`).
pub const PARTS_MAX: usize = 1024;

/// Permissions of new folders, less the umask.
const FOLDER_MODE: u32 = 0o750;

/// Permissions of new files, less the umask.
const FILE_MODE: u32 = 0o640;

/// What stands in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name; what is no UTF-8 has replacement characters.
    pub name: String,
    /// A regular file.
    pub is_file: bool,
    /// Bytes of a file.
    pub bytes: u64,
}

/// Where files are kept.
pub trait Disk: Clone + Debug + Send + Sync + 'static {
    /// An open file.
    type File: DiskFile;
    /// What keeps others out for as long as it lives.
    type Lock: Debug + Send + Sync + 'static;

    /// Whether several threads may use it at once. What happens on a model follows from a seed only if they do so in turn.
    const CONCURRENT: bool = false;

    /// Makes a folder; one that is there stays. Answers whether it had to be made.
    fn make_folder(&self, path: &Path) -> io::Result<bool>;

    /// What stands in a folder, ordered by name.
    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>>;

    /// Makes a file that must not be there yet, for reading and writing.
    fn create_new(&self, path: &Path) -> io::Result<Self::File>;

    /// Opens a file that is there; for writing as well if asked.
    fn open(&self, path: &Path, write: bool) -> io::Result<Self::File>;

    /// Gives a file another name, taking the place of what had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty folder.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;

    /// Waits until names that were made, changed or removed in a folder are on the disk.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;

    /// Takes the lock that a file stands for, making the file where it is missing; `None` if somebody has it.
    fn lock(&self, path: &Path) -> io::Result<Option<Self::Lock>>;
}

/// An open file. All positions are the caller's: the file remembers none.
pub trait DiskFile: Debug + Send + 'static {
    /// Writes the parts one behind the other from `at` on; may write less than all of them.
    fn write_at(&self, parts: &[IoSlice<'_>], at: u64) -> io::Result<usize>;

    /// Reads from `at` on; may read less than asked, and reads nothing at the end.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;

    /// Its length.
    fn len(&self) -> io::Result<u64>;

    /// Whether it has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Asks for bytes that were written to be brought to the disk while the caller does something else. A hint: what comes of it `sync_data` says.
    fn begin_sync(&self, _from: u64, _bytes: u64) {}

    /// Waits until its contents and length are on the disk. After an error they may not be, whatever a later call says.
    fn sync_data(&self) -> io::Result<()>;

    /// Cuts it to a length.
    fn truncate(&self, len: u64) -> io::Result<()>;
}

/// The operating system's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

/// The disk that this build works on.
#[cfg(not(sim))]
pub type SystemDisk = OsDisk;

/// The disk that this build works on: a model.
#[cfg(sim)]
pub type SystemDisk = model::ModelDisk;

impl Disk for OsDisk {
    type File = fs::File;
    type Lock = fs::File;

    const CONCURRENT: bool = true;

    fn make_folder(&self, path: &Path) -> io::Result<bool> {
        match DirBuilder::new().mode(FOLDER_MODE).create(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            // A file may have gone since it was listed.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            entries.push(Entry {
                name: entry.file_name().to_string_lossy().into_owned(),
                is_file: metadata.is_file(),
                bytes: metadata.len(),
            });
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    fn create_new(&self, path: &Path) -> io::Result<fs::File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(path)
    }

    fn open(&self, path: &Path, write: bool) -> io::Result<fs::File> {
        OpenOptions::new().read(true).write(write).open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        match fs::File::open(path)?.sync_all() {
            // A file system without such a thing: it has nothing better to offer.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            result => result,
        }
    }

    fn lock(&self, path: &Path) -> io::Result<Option<fs::File>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl DiskFile for fs::File {
    fn write_at(&self, parts: &[IoSlice<'_>], at: u64) -> io::Result<usize> {
        let at = i64::try_from(at).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let parts = &parts[..parts.len().min(PARTS_MAX)];
        Ok(nix::sys::uio::pwritev(self, parts, at)?)
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, at)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn begin_sync(&self, from: u64, bytes: u64) {
        // Linux starts to write what it is told not to keep. What is on its way to the disk stays in memory, for whoever reads it soon.
        if let (Ok(from), Ok(bytes)) = (i64::try_from(from), i64::try_from(bytes)) {
            let _ = posix_fadvise(self, from, bytes, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        fs::File::sync_data(self)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_read_and_cut_anywhere() {
        let base = tempfile::tempdir().expect("a folder");
        let folder = base.path().join("a");
        assert!(OsDisk.make_folder(&folder.join("b")).is_err());
        assert!(OsDisk.make_folder(&folder).expect("room"));
        assert!(!OsDisk.make_folder(&folder).expect("there"));
        let path = folder.join("file");
        let file = OsDisk.create_new(&path).expect("room");
        assert!(OsDisk.create_new(&path).is_err());
        let parts = [IoSlice::new(b"one"), IoSlice::new(b"two")];
        assert_eq!(DiskFile::write_at(&file, &parts, 0).expect("room"), 6);
        assert_eq!(DiskFile::write_at(&file, &parts[1..], 4).expect("room"), 3);
        DiskFile::sync_data(&file).expect("a disk");
        file.truncate(6).expect("a file");
        let mut buffer = [0; 16];
        let read = DiskFile::read_at(&file, &mut buffer, 1).expect("open");
        assert_eq!(&buffer[..read], b"nettw");
        let entries = OsDisk.list(&folder).expect("there");
        assert_eq!(entries.len(), 1);
        assert_eq!((entries[0].is_file, entries[0].bytes), (true, 6));
        OsDisk.sync_folder(&folder).expect("a disk");
    }

    #[test]
    fn a_lock_keeps_others_out_while_it_lives() {
        let base = tempfile::tempdir().expect("a folder");
        let path = base.path().join("lock");
        let lock = OsDisk.lock(&path).expect("room");
        assert!(lock.is_some());
        assert!(OsDisk.lock(&path).expect("room").is_none());
        drop(lock);
        assert!(OsDisk.lock(&path).expect("room").is_some());
    }
}
