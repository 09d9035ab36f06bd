//! Segments: the files of a lane, what they begin with, and what an index says of one.
//!
//! Owns:    `SegmentHeader`, `Index`, `Listing`, and the names of files.
//! Runs on: a `Worker`'s thread.            Plane: data.
//! Bounds:  one listing of a lane's folder.
//! Never:   believes a header or an index whose checksum is wrong.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use rkyv::{Archive, Deserialize, Serialize};

use super::record::{NUMBERS_END, salted};
use super::slots::Slots;
use crate::io::disk::{Disk, DiskFile};

/// Bytes in front of a segment's first record.
pub(super) const SEGMENT_HEADER_BYTES: usize = 64;

/// Version of the whole format.
pub(super) const FORMAT: u16 = 1;

const MAGIC: [u8; 8] = *b"hekaseg\n";

/// What a segment begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) lane: u16,
    pub(super) number: u64,
    /// Sequence of its first record.
    pub(super) first_sequence: u64,
    /// The segment that is read before it; 0 for none. Segments between the two hold nothing that counts.
    pub(super) previous: u64,
    /// Where that one ends: what stands behind is the rest of something that failed.
    pub(super) previous_bytes: u64,
    /// The number that the checksums of the queue begin with.
    pub(super) salt: u64,
    /// When it was begun, nanoseconds since the Unix epoch.
    pub(super) created: i64,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.lane.to_le_bytes());
        for (at, number) in [
            (16, self.number),
            (24, self.first_sequence),
            (32, self.previous),
            (40, self.previous_bytes),
            (48, self.salt),
            (56, self.created.cast_unsigned()),
        ] {
            bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        let sum = checksum(&bytes);
        bytes[12..16].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<SegmentHeader> {
        let bytes = bytes.first_chunk::<SEGMENT_HEADER_BYTES>()?;
        let short = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let long = |at: usize| {
            u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|byte: usize| bytes[at + byte]))
        };
        let sum = u32::from_le_bytes([12, 13, 14, 15].map(|at: usize| bytes[at]));
        let too_great = [16, 24, 32, 40].iter().any(|&at| long(at) >= NUMBERS_END);
        if bytes[..8] != MAGIC || short(8) != FORMAT || sum != checksum(bytes) || too_great {
            return None;
        }
        Some(SegmentHeader {
            lane: short(10),
            number: long(16),
            first_sequence: long(24),
            previous: long(32),
            previous_bytes: long(40),
            salt: long(48),
            created: long(56).cast_signed(),
        })
    }

    /// Reads the header of a segment; `None` if it is damaged or not there.
    pub(super) fn read(file: &impl DiskFile) -> io::Result<Option<SegmentHeader>> {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        let mut read = 0;
        while read < bytes.len() {
            match file.read_at(&mut bytes[read..], read as u64)? {
                0 => break,
                more => read += more,
            }
        }
        Ok(SegmentHeader::decode(&bytes[..read]))
    }

    pub(super) fn salted(&self) -> u32 {
        salted(self.salt, self.lane, self.number)
    }
}

/// Over everything but itself.
fn checksum(bytes: &[u8; SEGMENT_HEADER_BYTES]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..])
}

/// What is known of a segment without reading it: everything up to `bytes` was synced once.
#[derive(Archive, Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Index {
    pub(super) number: u64,
    /// As in the segment's header, of which it says that it is the same segment.
    pub(super) created: i64,
    pub(super) first_sequence: u64,
    /// Sequence behind its last record.
    pub(super) sequence: u64,
    pub(super) bytes: u64,
}

impl Index {
    /// The index of a segment, if there is a whole one.
    pub(super) fn load<D: Disk>(disk: &D, folder: &Path, number: u64) -> Option<Index> {
        let loaded = Slots::load(disk, folder.join(index_name(number)), false).ok()?;
        let content = loaded.1.content?;
        let index = rkyv::access::<ArchivedIndex, rkyv::rancor::Error>(&content).ok()?;
        let index = rkyv::deserialize::<Index, rkyv::rancor::Error>(index).ok()?;
        let sane = index.first_sequence <= index.sequence
            && index.sequence < NUMBERS_END
            && index.bytes >= SEGMENT_HEADER_BYTES as u64;
        (index.number == number && sane).then_some(index)
    }

    /// Writes it down without waiting: it says nothing that could not be found out again. So failures do not matter either.
    pub(super) fn store<D: Disk>(&self, disk: &D, folder: &Path) {
        let path = folder.join(index_name(self.number));
        if let (Ok((mut slots, _)), Ok(content)) = (
            Slots::load(disk, path, true),
            rkyv::to_bytes::<rkyv::rancor::Error>(self),
        ) {
            let _ = slots.store(&content, false);
        }
    }
}

/// What stands in a lane's folder.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Numbers of segments, and their bytes.
    pub(super) segments: BTreeMap<u64, u64>,
    /// Numbers of indexes.
    pub(super) indexes: Vec<u64>,
    /// Names that nothing here has made.
    pub(super) strange: Vec<String>,
}

impl Listing {
    pub(super) fn read<D: Disk>(disk: &D, folder: &Path) -> io::Result<Listing> {
        let mut listing = Listing::default();
        for entry in disk.list(folder)? {
            match parse_name(&entry.name) {
                Some((number, true)) if entry.is_file => {
                    listing.segments.insert(number, entry.bytes);
                }
                Some((number, false)) if entry.is_file => listing.indexes.push(number),
                _ if entry.is_file && entry.name == CURSOR_NAME => {}
                _ => listing.strange.push(entry.name),
            }
        }
        Ok(listing)
    }
}

/// Name of a lane's cursor.
pub(super) const CURSOR_NAME: &str = "cursor";

pub(super) fn segment_name(number: u64) -> String {
    format!("{number:012}.seg")
}

pub(super) fn index_name(number: u64) -> String {
    format!("{number:012}.idx")
}

/// Folder of a lane.
pub(super) fn lane_folder(queue: &Path, lane: u16) -> PathBuf {
    queue.join(format!("lane-{lane}"))
}

/// The lane whose folder has this name.
pub(super) fn parse_lane(name: &str) -> Option<u16> {
    let lane: u16 = name.strip_prefix("lane-")?.parse().ok()?;
    (name == format!("lane-{lane}")).then_some(lane)
}

/// The number that a name stands for, and whether it is a segment's.
fn parse_name(name: &str) -> Option<(u64, bool)> {
    let (number, kind) = name.split_once('.')?;
    let number: u64 = number.parse().ok()?;
    if number == 0 || number >= NUMBERS_END {
        return None;
    }
    match kind {
        "seg" if name == segment_name(number) => Some((number, true)),
        "idx" if name == index_name(number) => Some((number, false)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_whole_or_none() {
        let header = SegmentHeader {
            lane: 2,
            number: 3,
            first_sequence: 4,
            previous: 1,
            previous_bytes: 500,
            salt: u64::MAX,
            created: -6,
        };
        let bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Some(header));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&damaged), None, "bit {bit}");
        }
        assert_eq!(SegmentHeader::decode(&bytes[..63]), None);
    }

    #[test]
    fn names_are_taken_only_as_they_are_given() {
        assert_eq!(segment_name(7), "000000000007.seg");
        let last = NUMBERS_END - 1;
        assert_eq!(parse_name(&segment_name(last)), Some((last, true)));
        assert_eq!(parse_name(&segment_name(NUMBERS_END)), None);
        assert_eq!(parse_name(&index_name(7)), Some((7, false)));
        for wrong in [
            "7.seg",
            "000000000000.seg",
            "000000000007.log",
            "cursor",
            "+00000000007.seg",
            "000000000007.seg.old",
        ] {
            assert_eq!(parse_name(wrong), None, "{wrong}");
        }
        assert_eq!(parse_lane("lane-12"), Some(12));
        for wrong in ["lane-", "lane-012", "lane-70000", "lane-1x", "lanes-1"] {
            assert_eq!(parse_lane(wrong), None, "{wrong}");
        }
    }
}
