//! The folder of a queue: whose it is, who works on it, and where damaged bytes are kept.
//!
//! Owns:    `Home`, the owner's file, the lock, the folder `damaged`.
//! Runs on: a `Worker`'s thread, or the main thread at start.            Plane: data.
//! Bounds:  `DAMAGED_BYTES_MAX` of damaged bytes are kept.
//! Never:   takes a folder of another plugin or format; touches Heka's files.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::segment::{FORMAT, Listing, SegmentHeader, lane_folder, parse_lane, segment_name};
use super::slots::write_all;
use super::{Kind, QueueError};
use crate::io::disk::{Disk, DiskFile};

/// Says whose the folder is.
pub(super) const OWNER_NAME: &str = "owner.toml";

/// Is locked by who works on the folder.
pub(super) const LOCK_NAME: &str = "lock";

/// Folder of bytes that were no records.
pub(super) const DAMAGED_NAME: &str = "damaged";

/// Damaged bytes that are kept, all together; of more only the notes.
const DAMAGED_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Notes that are kept; a disk that fails everywhere must not fill a folder.
const DAMAGED_NOTES_MAX: usize = 1000;

const UNUSABLE: &str = "the queue cannot be used";

/// Bytes that are copied at a time.
const COPY_BYTES: usize = 64 * 1024;

/// What the owner's file says.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Owner {
    pub(super) format: u16,
    pub(super) owner: String,
    /// The number that checksums begin with, in hexadecimal digits.
    salt: String,
    /// Over the other three.
    checksum: u32,
}

impl Owner {
    fn new(owner: &str, salt: u64) -> Owner {
        let mut owner = Owner {
            format: FORMAT,
            owner: owner.to_owned(),
            salt: format!("{salt:016x}"),
            checksum: 0,
        };
        owner.checksum = owner.sum(FORMAT);
        owner
    }

    fn sum(&self, format: u16) -> u32 {
        crc32c::crc32c(format!("{format}\n{}\n{}", self.owner, self.salt).as_bytes())
    }

    fn salt(&self) -> Option<u64> {
        u64::from_str_radix(&self.salt, 16).ok()
    }

    fn text(&self) -> String {
        let table = toml::to_string(self).expect("a flat table");
        format!(
            "# The disk queue of a plugin of hekad: `hekad buffer ls` shows what is in it.\n{table}"
        )
    }
}

/// A queue's folder.
#[derive(Debug)]
pub(super) struct Home<D: Disk> {
    pub(super) disk: D,
    pub(super) folder: PathBuf,
    pub(super) salt: u64,
    pub(super) owner: String,
    /// Held by who may change things; a mere onlooker has none.
    lock: Option<D::Lock>,
    /// Held while something is set aside: lanes may be opened at the same time, and share what room there is.
    setting_aside: Mutex<()>,
}

impl<D: Disk> Home<D> {
    /// Takes the folder, which is made where it is missing.
    pub(super) fn take(
        disk: D,
        folder: &Path,
        owner: &str,
        notices: &mut Vec<String>,
    ) -> Result<Home<D>, QueueError> {
        make_folders(&disk, folder)
            .map_err(|error| QueueError::disk("make the folder", folder, &error, UNUSABLE))?;
        let lock = take_lock(&disk, folder)?;
        let salt = match read_owner(&disk, folder)? {
            Found::Owner(found, _) if found.owner != owner => {
                return Err(other_owner(folder, &found.owner, owner));
            }
            Found::Owner(_, salt) => Ok(salt),
            Found::Damaged(perhaps) => {
                notices.push(format!(
                    "{} was damaged: it is written again, the queue is taken for that of '{owner}'",
                    folder.join(OWNER_NAME).display()
                ));
                Err(perhaps)
            }
            Found::Nothing => Err(None),
        };
        let salt = match salt {
            Ok(salt) => salt,
            Err(perhaps) => {
                // Segments remember it, and those of them whose header is damaged need it.
                let salt = remembered_salt(&disk, folder)
                    .or(perhaps)
                    .unwrap_or_else(|| fastrand::u64(..));
                write_owner(&disk, folder, owner, salt).map_err(|error| {
                    QueueError::disk("write", &folder.join(OWNER_NAME), &error, UNUSABLE)
                })?;
                salt
            }
        };
        Ok(Home {
            disk,
            folder: folder.to_owned(),
            salt,
            owner: owner.to_owned(),
            lock: Some(lock),
            setting_aside: Mutex::default(),
        })
    }

    /// Takes the folder of whomever it belongs to. What is no queue is an error.
    pub(super) fn take_found(disk: D, folder: &Path) -> Result<Home<D>, QueueError> {
        let mut home = Home::look(disk, folder)?;
        home.lock = Some(take_lock(&home.disk, folder)?);
        Ok(home)
    }

    /// Looks at a folder without taking it. What is no queue is an error.
    pub(super) fn look(disk: D, folder: &Path) -> Result<Home<D>, QueueError> {
        let (owner, salt) = match read_owner(&disk, folder)? {
            Found::Owner(found, salt) => (found.owner, salt),
            Found::Damaged(perhaps) => (String::new(), perhaps.unwrap_or(0)),
            Found::Nothing => {
                return Err(QueueError::new(
                    Kind::NoQueue,
                    format!(
                        "{} is no disk queue: it has no {OWNER_NAME}",
                        folder.display()
                    ),
                ));
            }
        };
        Ok(Home {
            disk,
            folder: folder.to_owned(),
            salt,
            owner,
            lock: None,
            setting_aside: Mutex::default(),
        })
    }

    /// Whether this is the one who may change things.
    pub(super) fn is_taken(&self) -> bool {
        self.lock.is_some()
    }

    /// Keeps a copy of damaged bytes, with a note. Answers where they are, as the end of a sentence.
    pub(super) fn set_aside(&self, file: &D::File, place: &Place, note: &str) -> String {
        if !self.is_taken() {
            return "they stay where they are".to_owned();
        }
        let _turn = (self.setting_aside.lock()).unwrap_or_else(PoisonError::into_inner);
        match self.copy_aside(file, place, note) {
            Ok(path) => format!("they are kept in {}", path.display()),
            Err(error) => format!("they are not kept: {error}"),
        }
    }

    fn copy_aside(&self, file: &D::File, place: &Place, note: &str) -> io::Result<PathBuf> {
        let folder = self.folder.join(DAMAGED_NAME);
        if self.disk.make_folder(&folder)? {
            self.disk.sync_folder(&self.folder)?;
        }
        let name = format!("lane-{}-{:012}-{}", place.lane, place.segment, place.from);
        let kept = self.disk.list(&folder)?;
        let path = folder.join(format!("{name}.bytes"));
        if kept.iter().any(|entry| entry.name == format!("{name}.txt")) {
            return Ok(path);
        }
        let bytes: u64 = kept.iter().map(|entry| entry.bytes).sum();
        if kept.len() >= 2 * DAMAGED_NOTES_MAX {
            return Err(io::Error::other(format!(
                "{} holds {DAMAGED_NOTES_MAX} already",
                folder.display()
            )));
        }
        let fits = bytes + (place.to - place.from) <= DAMAGED_BYTES_MAX;
        if fits {
            self.copy(file, place, &path)?;
        }
        let note = self
            .disk
            .create_new(&folder.join(format!("{name}.txt")))
            .and_then(|file| {
                write_all(
                    &file,
                    &mut [IoSlice::new(note.as_bytes()), IoSlice::new(b"\n")],
                    0,
                )?;
                file.sync_data()
            });
        note.and_then(|()| self.disk.sync_folder(&folder))?;
        if fits {
            Ok(path)
        } else {
            Err(io::Error::other(format!(
                "{} would grow beyond {DAMAGED_BYTES_MAX} bytes",
                folder.display()
            )))
        }
    }

    fn copy(&self, from: &D::File, place: &Place, path: &Path) -> io::Result<()> {
        let to = match self.disk.create_new(path) {
            // Of an attempt that has come so far.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.disk.open(path, true)?
            }
            made => made?,
        };
        let mut buffer = vec![0; COPY_BYTES];
        let mut at = place.from;
        while at < place.to {
            let wanted =
                usize::try_from(place.to - at).map_or(COPY_BYTES, |left| left.min(COPY_BYTES));
            let read = match from.read_at(&mut buffer[..wanted], at) {
                Ok(0) => break,
                Ok(read) => read,
                // What cannot be read is zeros in the copy.
                Err(_) => {
                    let piece = wanted.min(super::scan::PIECE_BYTES);
                    buffer[..piece].fill(0);
                    piece
                }
            };
            write_all(&to, &mut [IoSlice::new(&buffer[..read])], at - place.from)?;
            at += read as u64;
        }
        to.sync_data()
    }
}

/// A stretch of a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) lane: u16,
    pub(super) segment: u64,
    pub(super) from: u64,
    pub(super) to: u64,
}

/// Makes a folder and those above it, each name synced where it stands. One that is there may have been made by an attempt that failed before the sync.
fn make_folders<D: Disk>(disk: &D, folder: &Path) -> io::Result<()> {
    let above = || {
        folder
            .ancestors()
            .skip(1)
            .take_while(|above| !above.as_os_str().is_empty())
    };
    let mut made = disk.make_folder(folder);
    let missing = |made: &io::Result<bool>| {
        made.as_ref()
            .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    if missing(&made) {
        let folders: Vec<&Path> = above().collect();
        for above in folders.into_iter().rev() {
            disk.make_folder(above)?;
        }
        made = disk.make_folder(folder);
    }
    made?;
    for above in above() {
        match disk.sync_folder(above) {
            Err(error) if !has_no_sync(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Folders that may not be opened, or that stand where nothing is written: whoever made them has seen to them.
fn has_no_sync(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::Unsupported
    )
}

fn take_lock<D: Disk>(disk: &D, folder: &Path) -> Result<D::Lock, QueueError> {
    let path = folder.join(LOCK_NAME);
    match disk.lock(&path) {
        Ok(Some(lock)) => Ok(lock),
        Ok(None) => Err(QueueError::new(
            Kind::Locked,
            format!(
                "another process works on the queue in {}: stop it first (`fuser {}` says which); nothing was touched",
                folder.display(),
                path.display()
            ),
        )),
        Err(error) => Err(QueueError::disk(
            "lock",
            &path,
            &error,
            "the queue cannot be used",
        )),
    }
}

enum Found {
    /// A whole file, and its salt.
    Owner(Owner, u64),
    /// A file that is not whole, and what stands in it as the salt.
    Damaged(Option<u64>),
    Nothing,
}

fn read_owner<D: Disk>(disk: &D, folder: &Path) -> Result<Found, QueueError> {
    let path = folder.join(OWNER_NAME);
    let read = || -> io::Result<Vec<u8>> {
        let file = disk.open(&path, false)?;
        let mut text = vec![0; COPY_BYTES];
        let mut len = 0;
        while len < text.len() {
            match file.read_at(&mut text[len..], len as u64)? {
                0 => break,
                more => len += more,
            }
        }
        text.truncate(len);
        Ok(text)
    };
    match read() {
        Ok(text) => parse_owner(&text, folder),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
        Err(error) => Err(QueueError::disk(
            "read",
            &path,
            &error,
            "the queue cannot be used",
        )),
    }
}

/// The salt that the first whole header among all segments has.
fn remembered_salt<D: Disk>(disk: &D, folder: &Path) -> Option<u64> {
    let lanes = disk.list(folder).ok()?;
    let lanes = lanes.iter().filter_map(|entry| parse_lane(&entry.name));
    lanes
        .map(|lane| lane_folder(folder, lane))
        .find_map(|folder| {
            let segments = Listing::read(disk, &folder).ok()?.segments;
            segments.keys().find_map(|&number| {
                let file = disk.open(&folder.join(segment_name(number)), false).ok()?;
                Some(SegmentHeader::read(&file).ok()??.salt)
            })
        })
}

/// A file of another format may be unlike ours in everything but the line of the format.
fn parse_owner(text: &[u8], folder: &Path) -> Result<Found, QueueError> {
    #[derive(Deserialize)]
    struct Format {
        format: u16,
    }
    let text = String::from_utf8_lossy(text);
    let owner = toml::from_str::<Owner>(&text).ok();
    let perhaps = owner.as_ref().and_then(Owner::salt);
    if let Some(owner) = owner {
        // If it is the number of the format that was damaged, the checksum is that of ours.
        let whole = owner.checksum == owner.sum(FORMAT);
        match perhaps {
            Some(salt) if whole && owner.format == FORMAT => return Ok(Found::Owner(owner, salt)),
            _ if whole => return Ok(Found::Damaged(perhaps)),
            _ => {}
        }
    }
    match toml::from_str::<Format>(&text) {
        Ok(Format { format }) if format != FORMAT => Err(other_version(folder, format)),
        _ => Ok(Found::Damaged(perhaps)),
    }
}

fn other_owner(folder: &Path, found: &str, owner: &str) -> QueueError {
    let folder = folder.display();
    QueueError::new(
        Kind::OtherOwner,
        format!(
            "the folder {folder} is the queue of the plugin '{found}': give '{owner}' another name or folder, or, if the plugin was renamed, \
             send what is in it with `hekad buffer replay {folder} --remove` and remove the folder; nothing in it was touched"
        ),
    )
}

fn other_version(folder: &Path, format: u16) -> QueueError {
    QueueError::new(
        Kind::OtherVersion,
        format!(
            "the queue in {} has format {format}, this hekad knows {FORMAT}: send what is in it with `hekad buffer replay` of the hekad that wrote it, \
             then remove the folder, or name another one; nothing in it was touched",
            folder.display(),
        ),
    )
}

fn write_owner<D: Disk>(disk: &D, folder: &Path, owner: &str, salt: u64) -> io::Result<()> {
    let new = folder.join(format!("{OWNER_NAME}.new"));
    match disk.remove(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create_new(&new)?;
    let text = Owner::new(owner, salt).text();
    write_all(&file, &mut [IoSlice::new(text.as_bytes())], 0)?;
    file.sync_data()?;
    disk.rename(&new, &folder.join(OWNER_NAME))?;
    disk.sync_folder(folder)
}
