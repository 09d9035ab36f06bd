//! The disk queue of one consumer: what it takes is on the disk before anybody is told so, and is read back whatever happened.
//!
//! Owns:    the folder of a queue, its lanes, and their recovery.
//! Runs on: a `Worker`'s thread, or the main thread at start: every call may block for as long as the disk likes.            Plane: data.
//! Bounds:  one segment open a lane; a reader has only the caller's buffer; recovery scans what was written since the last index of the newest segment.
//! Never:   says that something is safe before a sync of file and folder has succeeded; stops at damage; panics at what stands on the disk.
//!
//! Spec: docs/specs/disk-queue.md
//!
//! A queue is a folder with one lane for each shard that writes to it. A `Lane` appends records to segments; `Lane::commit` answers a `Synced`, from
//! which alone, besides delivery, an acknowledgement may be made. A `Reader` reads whole records into a buffer of its caller's, as far as a `Position` that
//! the lane has published. A `Cursor` remembers how far records were delivered, and removes what lies behind. The three parts of a lane may live on
//! different threads: they share nothing but the files and the folder's lock; positions travel by value.

#[cfg(any(test, fuzzing))]
pub mod check;
mod cursor;
mod error;
mod heka;
mod home;
mod lane;
mod position;
#[cfg(test)]
mod proof;
mod reader;
mod record;
mod recovery;
mod repair;
mod scan;
mod segment;
mod slots;
mod survey;
mod view;

pub use error::{Kind, QueueError};
pub use heka::HekaFiles;
pub use lane::Synced;
pub use position::Position;
pub use reader::{Item, Passed};
pub(crate) use record::HEADER_BYTES;
pub use record::{CAUSE_BYTES_MAX, Entry, Meta, record_bytes_max};
pub use recovery::{LaneRecovery, Recovery, Settings, folder_name};
pub use repair::Repaired;
pub use view::SegmentView;

use crate::io::disk::SystemDisk;

/// An open queue on this build's disk.
pub type Queue = recovery::Queue<SystemDisk>;
/// One lane of it.
pub type OpenLane = recovery::OpenLane<SystemDisk>;
/// A queue that is looked at, while a daemon may work on it.
pub type View = view::View<SystemDisk>;
/// One lane of a queue that is looked at.
pub type LaneView = view::LaneView<SystemDisk>;
/// The writing part of a lane.
pub type Lane = lane::Lane<SystemDisk>;
/// The reading part of a lane.
pub type Reader = reader::Reader<SystemDisk>;
/// What a lane has delivered.
pub type Cursor = cursor::Cursor<SystemDisk>;
