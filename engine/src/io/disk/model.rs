//! A disk in memory that loses, tears and refuses what a disk may lose, tear and refuse.
//!
//! Owns:    `ModelDisk`, `Faults`.
//! Runs on: tests, and simulated shards.            Plane: data.
//! Bounds:  the memory of what is written to it.
//! Never:   compiled into a release; does the same seed's work differently.
//!
//! Every file has two contents: what readers see, and what is on the disk; between the two stand the writes that were not synced. A crash applies some of
//! them, in pieces of a sector. A failed sync forgets some of them, so that no later sync brings them to the disk, while readers still see them. Names in folders
//! are the same: until the folder is synced, a crash may undo what was made, renamed or removed in it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Disk, DiskFile, Entry};

/// What is written or lost as a whole.
const SECTOR_BYTES: usize = 512;

/// How often an operation fails: in so many of 1,000 calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// A write fails, having written a part.
    pub write: u16,
    /// A write writes less than it was given.
    pub short_write: u16,
    /// A write, or the making of a file, finds no room.
    pub full: u16,
    /// A sync of a file or folder fails, and some of it is lost.
    pub sync: u16,
    /// A read fails, this time.
    pub read: u16,
    /// A read gives less than was asked.
    pub short_read: u16,
    /// Making, opening, renaming, removing or cutting a file fails, or listing a folder.
    pub other: u16,
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct ModelDisk(Arc<Mutex<World>>);

/// An open file.
#[derive(Debug)]
pub struct ModelFile {
    disk: ModelDisk,
    inode: usize,
    write: bool,
}

/// A lock that is held.
#[derive(Debug)]
pub struct ModelLock {
    disk: ModelDisk,
    path: PathBuf,
}

#[derive(Debug)]
struct World {
    random: fastrand::Rng,
    faults: Faults,
    inodes: Vec<Inode>,
    /// What names lead to now, and what they lead to on the disk.
    names: BTreeMap<PathBuf, Node>,
    durable_names: BTreeMap<PathBuf, Node>,
    changes: Vec<Change>,
    locks: BTreeSet<PathBuf>,
    /// Sectors that cannot be read.
    bad: BTreeSet<(usize, u64)>,
    read_only: bool,
    /// Bytes that all files together may have.
    room: u64,
    operations: u64,
    operations_max: u64,
    /// Which operation fails, and whether it is the one at hand; zero: none.
    fails_at: u64,
    fails_now: bool,
    /// The last operation before the power fails.
    power_until: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Folder,
    File(usize),
}

/// A change of names that is not synced.
#[derive(Clone, Debug)]
enum Change {
    Make(PathBuf, Node),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf, Node),
}

impl Change {
    fn path(&self) -> &Path {
        match self {
            Change::Make(path, _) | Change::Remove(path) | Change::Rename(_, path, _) => path,
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Change::Make(path, node) => drop(names.insert(path.clone(), *node)),
            Change::Remove(path) => drop(names.remove(path)),
            Change::Rename(from, to, node) => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
        }
    }
}

#[derive(Debug, Default)]
struct Inode {
    seen: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Update>,
}

/// A change of a file's bytes that is not synced.
#[derive(Clone, Debug)]
enum Update {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

impl Update {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Update::Write(at, written) => {
                let end = at + written.len();
                if bytes.len() < *at {
                    bytes.resize(*at, 0);
                }
                let over = (bytes.len() - at).min(written.len());
                bytes[*at..at + over].copy_from_slice(&written[..over]);
                bytes.extend_from_slice(&written[over..]);
                debug_assert!(bytes.len() >= end);
            }
            Update::Truncate(len) => bytes.resize(*len, 0),
        }
    }

    /// The same in pieces that a crash may take one by one.
    fn sectors(&self) -> Vec<Update> {
        let Update::Write(at, written) = self else {
            return vec![self.clone()];
        };
        let mut pieces = Vec::new();
        let mut start = 0;
        while start < written.len() {
            let to_boundary = SECTOR_BYTES - (at + start) % SECTOR_BYTES;
            let end = written.len().min(start + to_boundary);
            pieces.push(Update::Write(at + start, written[start..end].to_vec()));
            start = end;
        }
        pieces
    }
}

impl ModelDisk {
    /// An empty disk whose faults follow from a seed.
    pub fn new(seed: u64) -> ModelDisk {
        let names = BTreeMap::from([(PathBuf::from("/"), Node::Folder)]);
        ModelDisk(Arc::new(Mutex::new(World {
            random: fastrand::Rng::with_seed(seed),
            faults: Faults::default(),
            inodes: Vec::new(),
            durable_names: names.clone(),
            names,
            changes: Vec::new(),
            locks: BTreeSet::new(),
            bad: BTreeSet::new(),
            read_only: false,
            room: u64::MAX,
            operations: 0,
            operations_max: u64::MAX,
            fails_at: 0,
            fails_now: false,
            power_until: u64::MAX,
        })))
    }

    /// What fails from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.world().faults = faults;
    }

    /// Whether nothing may be changed from now on.
    pub fn set_read_only(&self, read_only: bool) {
        self.world().read_only = read_only;
    }

    /// Bytes that all files together may have from now on.
    pub fn set_room(&self, bytes: u64) {
        self.world().room = bytes;
    }

    /// Operations that may still be done.
    ///
    /// # Panics
    /// The one after that: somebody goes on for ever.
    pub fn allow_operations(&self, operations: u64) {
        let mut world = self.world();
        world.operations = 0;
        world.operations_max = operations;
    }

    /// The `number`th operation from now on fails; zero: none does.
    pub fn fail_operation(&self, number: u64) {
        let mut world = self.world();
        world.operations = 0;
        world.fails_at = number;
    }

    /// Operations since they were last counted from zero.
    pub fn operations(&self) -> u64 {
        self.world().operations
    }

    /// After so many more operations the power fails: none does anything any more until the crash that follows.
    pub fn cut_power_after(&self, operations: u64) {
        let mut world = self.world();
        world.power_until = world.operations + operations;
    }

    /// Whether the power has failed.
    pub fn is_off(&self) -> bool {
        let world = self.world();
        world.operations > world.power_until
    }

    /// The power fails: of what was not synced some is on the disk, and nobody holds a lock. Open files must not be used any more.
    pub fn crash(&self) {
        let mut world = self.world();
        world.locks.clear();
        world.power_until = u64::MAX;
        let way = world.random.u8(..4);
        let World {
            random,
            inodes,
            names,
            durable_names,
            changes,
            ..
        } = &mut *world;
        for change in changes.drain(..) {
            if survives(way, random) {
                change.apply(durable_names);
            }
        }
        // What stands in a folder that is lost is lost.
        let all = durable_names.clone();
        durable_names.retain(|path, _| {
            path.ancestors()
                .skip(1)
                .all(|above| all.get(above) == Some(&Node::Folder))
        });
        *names = durable_names.clone();
        for inode in inodes {
            let updates = std::mem::take(&mut inode.unsynced);
            for update in updates.iter().flat_map(Update::sectors) {
                if survives(way, random) {
                    update.apply(&mut inode.durable);
                }
            }
            inode.seen.clone_from(&inode.durable);
        }
    }

    /// Flips a bit of a file that has bytes on the disk, if there is one below `folder`. Answers the file and the byte.
    pub fn flip_somewhere(&self, folder: &Path) -> Option<(PathBuf, u64)> {
        let mut world = self.world();
        let files: Vec<(PathBuf, usize)> = world
            .names
            .iter()
            .filter(|(path, _)| path.starts_with(folder))
            .filter_map(|(path, node)| match node {
                Node::File(inode) if !world.inodes[*inode].durable.is_empty() => {
                    Some((path.clone(), *inode))
                }
                _ => None,
            })
            .collect();
        if files.is_empty() {
            return None;
        }
        let (path, inode) = files[world.random.usize(..files.len())].clone();
        let bytes = world.inodes[inode].durable.len();
        let at = world.random.usize(..bytes);
        let bit = 1 << world.random.u8(..8);
        world.flip(inode, at, bit);
        Some((path, at as u64))
    }

    /// Flips bits of one byte of a file.
    ///
    /// # Panics
    /// Without that byte.
    pub fn flip(&self, path: &Path, at: u64, bits: u8) {
        let mut world = self.world();
        let inode = world.inode(path).expect("a file");
        world.flip(inode, at as usize, bits);
    }

    /// Makes a file, or replaces its bytes, on the disk at once.
    ///
    /// # Panics
    /// Where its folder is missing.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        let mut world = self.world();
        assert!(world.is_folder(path.parent().expect("a folder")));
        let inode = world.inodes.len();
        world.inodes.push(Inode {
            seen: bytes.to_vec(),
            durable: bytes.to_vec(),
            unsynced: Vec::new(),
        });
        for names in [true, false] {
            let names = if names {
                &mut world.names
            } else {
                &mut world.durable_names
            };
            names.insert(path.to_owned(), Node::File(inode));
        }
    }

    /// The bytes of a file, as readers see them.
    pub fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        let world = self.world();
        let inode = world.inode(path)?;
        Some(world.inodes[inode].seen.clone())
    }

    /// From now on the block of a file that holds a byte cannot be read, if it is `bad`.
    ///
    /// # Panics
    /// Without that file.
    pub fn set_bad(&self, path: &Path, at: u64, bad: bool) {
        let mut world = self.world();
        let place = (world.inode(path).expect("a file"), at / SECTOR_BYTES as u64);
        if bad {
            world.bad.insert(place);
        } else {
            world.bad.remove(&place);
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().expect("nobody has panicked")
    }
}

/// Whether an unsynced change is on the disk after a crash: none, all, about half, or nearly all.
fn survives(way: u8, random: &mut fastrand::Rng) -> bool {
    match way {
        0 => false,
        1 => true,
        2 => random.bool(),
        _ => random.u8(..8) > 0,
    }
}

fn error(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}

impl World {
    fn inode(&self, path: &Path) -> Option<usize> {
        match self.names.get(path) {
            Some(Node::File(inode)) => Some(*inode),
            _ => None,
        }
    }

    fn is_folder(&self, path: &Path) -> bool {
        self.names.get(path) == Some(&Node::Folder)
    }

    fn flip(&mut self, inode: usize, at: usize, bits: u8) {
        let inode = &mut self.inodes[inode];
        for bytes in [&mut inode.durable, &mut inode.seen] {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= bits;
            }
        }
    }

    fn fails(&mut self, of_thousand: u16) -> bool {
        std::mem::take(&mut self.fails_now)
            || of_thousand > 0 && self.random.u16(..1000) < of_thousand
    }

    /// Counts an operation, which may fail in a way that all may.
    fn begin(&mut self, changes: bool) -> io::Result<()> {
        self.operations += 1;
        if self.operations > self.operations_max {
            self.operations_max = u64::MAX;
            panic!("more disk operations than anybody may need: somebody goes on for ever");
        }
        if self.operations > self.power_until {
            return Err(error(libc::EIO));
        }
        self.fails_now = self.operations == self.fails_at;
        if changes && self.read_only {
            return Err(error(libc::EROFS));
        }
        Ok(())
    }

    fn begin_other(&mut self, changes: bool) -> io::Result<()> {
        self.begin(changes)?;
        let other = self.faults.other;
        if self.fails(other) {
            return Err(error(libc::EIO));
        }
        Ok(())
    }

    /// Room for so many more bytes; less of them may fit.
    fn room_for(&mut self, bytes: usize) -> usize {
        let used: u64 = self
            .names
            .values()
            .map(|node| match node {
                Node::File(inode) => self.inodes[*inode].seen.len() as u64,
                Node::Folder => 0,
            })
            .sum();
        let left = self.room.saturating_sub(used);
        usize::try_from(left).map_or(bytes, |left| left.min(bytes))
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }
}

impl Disk for ModelDisk {
    type File = ModelFile;
    type Lock = ModelLock;

    fn make_folder(&self, path: &Path) -> io::Result<bool> {
        let mut world = self.world();
        match world.names.get(path) {
            Some(Node::Folder) => return Ok(false),
            Some(Node::File(_)) => return Err(error(libc::EEXIST)),
            None => {}
        }
        world.begin_other(true)?;
        if !path.parent().is_some_and(|parent| world.is_folder(parent)) {
            return Err(error(libc::ENOENT));
        }
        world.change(Change::Make(path.to_owned(), Node::Folder));
        Ok(true)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        let mut world = self.world();
        world.begin_other(false)?;
        if !world.is_folder(folder) {
            return Err(error(libc::ENOENT));
        }
        let within = world
            .names
            .iter()
            .filter(|(path, _)| path.parent() == Some(folder));
        Ok(within
            .map(|(path, node)| Entry {
                name: path
                    .file_name()
                    .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
                is_file: *node != Node::Folder,
                bytes: match node {
                    Node::File(inode) => world.inodes[*inode].seen.len() as u64,
                    Node::Folder => 0,
                },
            })
            .collect())
    }

    fn create_new(&self, path: &Path) -> io::Result<ModelFile> {
        let mut world = self.world();
        world.begin_other(true)?;
        let full = world.faults.full;
        if world.fails(full) {
            return Err(error(libc::ENOSPC));
        }
        if world.names.contains_key(path) {
            return Err(error(libc::EEXIST));
        }
        if !path.parent().is_some_and(|parent| world.is_folder(parent)) {
            return Err(error(libc::ENOENT));
        }
        let inode = world.inodes.len();
        world.inodes.push(Inode::default());
        world.change(Change::Make(path.to_owned(), Node::File(inode)));
        Ok(ModelFile {
            disk: self.clone(),
            inode,
            write: true,
        })
    }

    fn open(&self, path: &Path, write: bool) -> io::Result<ModelFile> {
        let mut world = self.world();
        match world.names.get(path) {
            None => return Err(error(libc::ENOENT)),
            Some(Node::Folder) if write => return Err(error(libc::EISDIR)),
            _ => {}
        }
        world.begin_other(write)?;
        let inode = world.inode(path).ok_or_else(|| error(libc::EISDIR))?;
        Ok(ModelFile {
            disk: self.clone(),
            inode,
            write,
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.begin_other(true)?;
        let node = *world.names.get(from).ok_or_else(|| error(libc::ENOENT))?;
        world.change(Change::Rename(from.to_owned(), to.to_owned(), node));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.begin_other(true)?;
        match world.names.get(path) {
            None => Err(error(libc::ENOENT)),
            Some(Node::Folder) => Err(error(libc::EISDIR)),
            Some(Node::File(_)) => {
                world.change(Change::Remove(path.to_owned()));
                Ok(())
            }
        }
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.begin_other(true)?;
        if world.names.keys().any(|name| name.parent() == Some(path)) {
            return Err(error(libc::ENOTEMPTY));
        }
        world.change(Change::Remove(path.to_owned()));
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.begin(false)?;
        let sync = world.faults.sync;
        if world.fails(sync) {
            return Err(error(libc::EIO));
        }
        let changes = std::mem::take(&mut world.changes);
        let (here, elsewhere): (Vec<Change>, Vec<Change>) = changes
            .into_iter()
            .partition(|change| change.path().parent() == Some(path));
        for change in here {
            change.apply(&mut world.durable_names);
        }
        world.changes = elsewhere;
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<ModelLock>> {
        let mut world = self.world();
        world.begin_other(true)?;
        if !world.locks.insert(path.to_owned()) {
            return Ok(None);
        }
        if !world.names.contains_key(path) {
            let inode = world.inodes.len();
            world.inodes.push(Inode::default());
            world.change(Change::Make(path.to_owned(), Node::File(inode)));
        }
        Ok(Some(ModelLock {
            disk: self.clone(),
            path: path.to_owned(),
        }))
    }
}

impl Drop for ModelLock {
    fn drop(&mut self) {
        // After a panic in the middle of an operation nobody cares.
        if let Ok(mut world) = self.disk.0.lock() {
            world.locks.remove(&self.path);
        }
    }
}

impl DiskFile for ModelFile {
    fn write_at(&self, parts: &[IoSlice<'_>], at: u64) -> io::Result<usize> {
        let mut world = self.disk.world();
        world.begin(true)?;
        if !self.write {
            return Err(error(libc::EBADF));
        }
        let at = at as usize;
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend_from_slice(part);
        }
        let wanted = bytes.len();
        let Faults {
            write,
            short_write,
            full,
            ..
        } = world.faults;
        let mut refused = None;
        if world.fails(write) {
            refused = Some(libc::EIO);
        } else if world.fails(full) {
            refused = Some(libc::ENOSPC);
        }
        if refused.is_some() || world.fails(short_write) {
            let len = world.random.usize(..=wanted);
            bytes.truncate(len.max(usize::from(refused.is_none())));
        }
        let grows = (at + bytes.len()).saturating_sub(world.inodes[self.inode].seen.len());
        let fits = world.room_for(grows);
        if fits < grows {
            bytes.truncate(bytes.len().saturating_sub(grows - fits));
            if bytes.is_empty() {
                return Err(error(libc::ENOSPC));
            }
        }
        let written = bytes.len();
        if written > 0 {
            let update = Update::Write(at, bytes);
            let inode = &mut world.inodes[self.inode];
            update.apply(&mut inode.seen);
            inode.unsynced.push(update);
        }
        match refused {
            Some(errno) => Err(error(errno)),
            None => Ok(written),
        }
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let mut world = self.disk.world();
        world.begin(false)?;
        let Faults {
            read, short_read, ..
        } = world.faults;
        if world.fails(read) {
            return Err(error(libc::EIO));
        }
        let short = world.fails(short_read) && !buffer.is_empty();
        let at = at as usize;
        let there = world.inodes[self.inode].seen.len().saturating_sub(at);
        let mut len = there.min(buffer.len());
        if short {
            len = world.random.usize(..=len).max(usize::from(len > 0));
        }
        if len == 0 {
            return Ok(0);
        }
        let first = (at / SECTOR_BYTES) as u64;
        let last = ((at + len - 1) / SECTOR_BYTES) as u64;
        let bad = (self.inode, first)..=(self.inode, last);
        if world.bad.range(bad).next().is_some() {
            return Err(error(libc::EIO));
        }
        buffer[..len].copy_from_slice(&world.inodes[self.inode].seen[at..at + len]);
        Ok(len)
    }

    fn len(&self) -> io::Result<u64> {
        let mut world = self.disk.world();
        world.begin(false)?;
        Ok(world.inodes[self.inode].seen.len() as u64)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut world = self.disk.world();
        world.begin(false)?;
        let sync = world.faults.sync;
        let fails = world.fails(sync);
        let World { random, inodes, .. } = &mut *world;
        let inode = &mut inodes[self.inode];
        if fails {
            // Pages that could not be written count as written from now on.
            inode
                .unsynced
                .retain(|update| matches!(update, Update::Truncate(_)) || random.bool());
            return Err(error(libc::EIO));
        }
        for update in std::mem::take(&mut inode.unsynced) {
            update.apply(&mut inode.durable);
        }
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut world = self.disk.world();
        world.begin_other(true)?;
        let update = Update::Truncate(len as usize);
        let inode = &mut world.inodes[self.inode];
        update.apply(&mut inode.seen);
        inode.unsynced.push(update);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(disk: &ModelDisk, path: &str, bytes: &[u8]) -> ModelFile {
        let file = disk.create_new(Path::new(path)).expect("room");
        file.write_at(&[IoSlice::new(bytes)], 0).expect("room");
        file
    }

    #[test]
    fn what_is_synced_stays_and_what_is_not_may_go() {
        let (mut kept, mut lost, mut torn) = (0, 0, 0);
        for seed in 0..64 {
            let disk = ModelDisk::new(seed);
            let synced = file(&disk, "/synced", &[1; 2000]);
            synced.sync_data().expect("a disk");
            disk.sync_folder(Path::new("/")).expect("a disk");
            synced
                .write_at(&[IoSlice::new(&[2; 2000])], 2000)
                .expect("room");
            let nameless = file(&disk, "/nameless", &[3; 10]);
            nameless.sync_data().expect("a disk");
            disk.crash();
            let bytes = disk.bytes(Path::new("/synced")).expect("synced");
            assert_eq!(bytes[..2000], [1; 2000]);
            match bytes[2000..].iter().filter(|&&byte| byte == 2).count() {
                2000 => kept += 1,
                0 => lost += 1,
                _ => torn += 1,
            }
            if let Some(bytes) = disk.bytes(Path::new("/nameless")) {
                assert_eq!(bytes, [3; 10]);
            }
        }
        assert!(kept > 0 && lost > 0 && torn > 0, "{kept} {lost} {torn}");
    }

    #[test]
    fn a_failed_sync_is_not_made_good_by_a_later_one() {
        let mut lost = 0;
        for seed in 0..64 {
            let disk = ModelDisk::new(seed);
            let file = file(&disk, "/file", b"bytes");
            disk.sync_folder(Path::new("/")).expect("a disk");
            disk.set_faults(Faults {
                sync: 1000,
                ..Faults::default()
            });
            assert!(file.sync_data().is_err());
            disk.set_faults(Faults::default());
            file.sync_data().expect("a disk");
            assert_eq!(disk.bytes(Path::new("/file")).expect("there"), b"bytes");
            disk.crash();
            lost += usize::from(disk.bytes(Path::new("/file")).expect("there").is_empty());
        }
        assert!(lost > 0);
    }

    #[test]
    fn a_full_disk_takes_what_fits() {
        let disk = ModelDisk::new(0);
        disk.set_room(7);
        let file = disk.create_new(Path::new("/file")).expect("a name");
        let write = |at| file.write_at(&[IoSlice::new(b"12345")], at);
        assert_eq!(write(0).expect("room"), 5);
        assert_eq!(write(5).expect("some room"), 2);
        let full = write(7).expect_err("full");
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        disk.set_read_only(true);
        assert_eq!(
            write(0).expect_err("no").kind(),
            io::ErrorKind::ReadOnlyFilesystem
        );
    }
}
