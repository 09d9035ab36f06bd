//! Records: their bytes on the disk.
//!
//! Owns:    `Entry`, `Meta`, `Header`.
//! Runs on: a `Worker`'s thread.            Plane: data.
//! Bounds:  lengths of 32 bits; whoever writes or reads has a lower limit.
//! Never:   copies a message's bytes.
//!
//! All numbers are little-endian. The header's checksum begins with a number that only the queue knows, so that no message can hold what looks like a record:
//! where the bytes between two records are damaged, the next record is found by its marker and believed for its checksums.

/// Begins every record.
pub(super) const MARKER: [u8; 4] = [0xa9, b'H', b'K', 0x1d];

/// Numbers of records, segments and bytes are below: a greater one is damage that has a right checksum.
pub(super) const NUMBERS_END: u64 = 1 << 62;

/// Bytes in front of a record's meta and message.
pub(crate) const HEADER_BYTES: usize = 36;

/// Longest cause of a dead letter that is kept, bytes; the rest is cut off.
pub const CAUSE_BYTES_MAX: usize = 1024;

/// Bytes of a meta in front of its cause.
const META_BYTES: usize = 4;

/// In a header's flags: in place of damaged records, put there by a repair. Its sequence is that of the record behind it, its body is what stood there.
const FILLER: u8 = 1;

/// What is to be put into a lane: one message.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The message's protobuf, without a frame.
    pub message: &'a [u8],
    /// How many injections lie behind it.
    pub loops: u8,
    /// What a dead letter says about itself.
    pub meta: Option<Meta<'a>>,
}

/// Why a message is a dead letter. When it became one is the time that it was appended at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta<'a> {
    /// What the far side said.
    pub cause: &'a str,
    /// How often it was tried.
    pub attempts: u32,
}

impl<'a> Meta<'a> {
    /// Reads what stands at `Item::meta`; nothing for a record without.
    pub fn read(bytes: &'a [u8]) -> Option<Meta<'a>> {
        let (attempts, cause) = bytes.split_first_chunk::<META_BYTES>()?;
        Some(Meta {
            cause: std::str::from_utf8(cause).ok()?,
            attempts: u32::from_le_bytes(*attempts),
        })
    }

    /// The cause as far as it is kept.
    fn kept(&self) -> &'a str {
        &self.cause[..self.cause.floor_char_boundary(CAUSE_BYTES_MAX)]
    }

    fn len(&self) -> usize {
        META_BYTES + self.kept().len()
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.attempts.to_le_bytes());
        out.extend_from_slice(self.kept().as_bytes());
    }
}

impl Entry<'_> {
    /// Bytes of its record.
    pub(super) fn record_bytes(&self) -> u64 {
        let meta = self.meta.map_or(0, |meta| meta.len());
        (HEADER_BYTES + meta + self.message.len()) as u64
    }

    /// Appends the record without its message to `out`.
    pub(super) fn write_head(&self, salted: u32, sequence: u64, time: i64, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; HEADER_BYTES]);
        if let Some(meta) = self.meta {
            meta.write(out);
        }
        let meta = &out[start + HEADER_BYTES..];
        let header = Header {
            sequence,
            time,
            message_bytes: self.message.len() as u32,
            meta_bytes: meta.len() as u16,
            flags: 0,
            loops: self.loops,
            body_sum: crc32c::crc32c_append(crc32c::crc32c(meta), self.message),
        };
        out[start..][..HEADER_BYTES].copy_from_slice(&header.encode(salted));
    }
}

/// What stands in front of a record's meta and message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) sequence: u64,
    pub(super) time: i64,
    pub(super) message_bytes: u32,
    pub(super) meta_bytes: u16,
    flags: u8,
    pub(super) loops: u8,
    body_sum: u32,
}

impl Header {
    /// One in place of `bytes` damaged bytes, itself included.
    pub(super) fn filler(bytes: u32, sequence: u64, time: i64) -> Header {
        Header {
            sequence,
            time,
            message_bytes: bytes - HEADER_BYTES as u32,
            meta_bytes: 0,
            flags: FILLER,
            loops: 0,
            body_sum: 0,
        }
    }

    /// The header that a text begins with, if its checksum is right.
    #[inline]
    pub(super) fn read(bytes: &[u8], salted: u32) -> Option<Header> {
        let bytes = bytes.first_chunk::<HEADER_BYTES>()?;
        let number = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| bytes[at + byte]));
        let long = |at: usize| u64::from(number(at)) | u64::from(number(at + 4)) << 32;
        let sum = crc32c::crc32c_append(salted, &bytes[8..]);
        if bytes[..4] != MARKER || number(4) != sum || long(8) >= NUMBERS_END {
            return None;
        }
        Some(Header {
            sequence: long(8),
            time: long(16).cast_signed(),
            message_bytes: number(24),
            meta_bytes: u16::from_le_bytes([bytes[28], bytes[29]]),
            flags: bytes[30],
            loops: bytes[31],
            body_sum: number(32),
        })
    }

    pub(super) fn encode(&self, salted: u32) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&MARKER);
        bytes[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.time.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.message_bytes.to_le_bytes());
        bytes[28..30].copy_from_slice(&self.meta_bytes.to_le_bytes());
        bytes[30] = self.flags;
        bytes[31] = self.loops;
        bytes[32..].copy_from_slice(&self.body_sum.to_le_bytes());
        let sum = crc32c::crc32c_append(salted, &bytes[8..]);
        bytes[4..8].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Bytes of meta and message.
    pub(super) fn body_bytes(&self) -> u64 {
        u64::from(self.message_bytes) + u64::from(self.meta_bytes)
    }

    /// Bytes of the record.
    pub(super) fn record_bytes(&self) -> u64 {
        HEADER_BYTES as u64 + self.body_bytes()
    }

    /// Whether it stands in place of damaged records.
    pub(super) fn is_filler(&self) -> bool {
        self.flags & FILLER != 0
    }

    /// Whether a body of this checksum is its own. Nobody reads a filler's.
    pub(super) fn has_body(&self, sum: u32) -> bool {
        self.is_filler() || self.body_sum == sum
    }
}

/// What the checksums of all headers in a segment begin with.
pub(super) fn salted(salt: u64, lane: u16, segment: u64) -> u32 {
    let sum = crc32c::crc32c(&salt.to_le_bytes());
    let sum = crc32c::crc32c_append(sum, &lane.to_le_bytes());
    crc32c::crc32c_append(sum, &segment.to_le_bytes())
}

/// The smallest buffer that a reader can work with, for a limit on messages.
pub const fn record_bytes_max(message_bytes_max: usize) -> usize {
    HEADER_BYTES + META_BYTES + CAUSE_BYTES_MAX + message_bytes_max
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_what_was_put_into_it() {
        let entry = Entry {
            message: b"message",
            loops: 3,
            meta: Some(Meta {
                cause: "refused",
                attempts: 7,
            }),
        };
        let mut bytes = b"before".to_vec();
        entry.write_head(42, 9, -5, &mut bytes);
        bytes.extend(entry.message);
        let record = &bytes[6..];
        assert_eq!(record.len() as u64, entry.record_bytes());
        let header = Header::read(record, 42).expect("a header");
        assert_eq!(header.record_bytes(), entry.record_bytes());
        assert_eq!((header.sequence, header.time, header.loops), (9, -5, 3));
        let body = &record[HEADER_BYTES..];
        assert!(header.has_body(crc32c::crc32c(body)));
        assert!(!header.has_body(crc32c::crc32c(&body[1..])));
        let (meta, message) = body.split_at(usize::from(header.meta_bytes));
        assert_eq!(Meta::read(meta), entry.meta);
        assert_eq!(message, entry.message);
        assert_eq!(Header::read(record, 41), None, "another queue's");
        for bit in 0..HEADER_BYTES * 8 {
            let mut damaged = record.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::read(&damaged, 42), None, "bit {bit}");
        }
        assert_eq!(Header::read(&record[..HEADER_BYTES - 1], 42), None);
    }

    #[test]
    fn the_format_does_not_change_unseen() {
        let entry = Entry {
            message: b"hello",
            loops: 1,
            meta: None,
        };
        let mut bytes = Vec::new();
        entry.write_head(
            salted(0x0123_4567_89ab_cdef, 2, 3),
            0x0102_0304,
            1_000_000_007,
            &mut bytes,
        );
        let expected = [
            0xa9, 0x48, 0x4b, 0x1d, 0, 0, 0, 0, 4, 3, 2, 1, 0, 0, 0, 0, 0x07, 0xca, 0x9a, 0x3b, 0,
            0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 1, 0x4c, 0xbb, 0x71, 0x9a,
        ];
        assert_eq!(bytes[8..], expected[8..]);
        assert_eq!(bytes[..4], expected[..4]);
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_long_cause_is_cut_between_characters() {
        let cause = "é".repeat(CAUSE_BYTES_MAX);
        let meta = Meta {
            cause: &cause,
            attempts: 1,
        };
        let mut bytes = Vec::new();
        meta.write(&mut bytes);
        assert!(bytes.len() <= META_BYTES + CAUSE_BYTES_MAX);
        assert_eq!(
            Meta::read(&bytes).map(|meta| meta.cause.len()),
            Some(CAUSE_BYTES_MAX)
        );
        assert_eq!(Meta::read(&[]), None);
    }
}
