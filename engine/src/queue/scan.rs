//! Walking along the records of a segment, over whatever lies between them.
//!
//! Owns:    `Walker`, `Step`.
//! Runs on: a `Worker`'s thread, or the main thread at start.            Plane: data.
//! Bounds:  the caller's buffer; a stretch of damage is looked through once.
//! Never:   answers a record with a wrong checksum or a sequence out of bounds; stays at the same place.

use std::io;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::record::{HEADER_BYTES, Header, MARKER};
use crate::io::disk::DiskFile;

/// What a disk can or cannot read at once: a block.
pub(super) const PIECE_BYTES: usize = 4096;

static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(&MARKER));

/// The bytes of a file up to an end. Bytes that are not there are a hole like others.
#[derive(Debug)]
pub(super) struct Stretch<'f, F> {
    pub(super) file: &'f F,
    pub(super) salted: u32,
    pub(super) end: u64,
    /// What cannot be read is taken for zeros; otherwise it is an error.
    pub(super) tolerant: bool,
    /// Something could not be read.
    pub(super) unreadable: bool,
}

impl<F: DiskFile> Stretch<'_, F> {
    /// Reads from `at` on: as much as the buffer holds, unless the stretch or the file ends before.
    fn read(&mut self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let wanted = usize::try_from(self.end.saturating_sub(at))
            .map_or(buffer.len(), |left| left.min(buffer.len()));
        let mut filled = 0;
        while filled < wanted {
            match self
                .file
                .read_at(&mut buffer[filled..wanted], at + filled as u64)
            {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) if self.tolerant => {
                    filled += self.read_piece(&mut buffer[filled..wanted], at + filled as u64);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Reads up to the end of a block; zeros where that fails.
    fn read_piece(&mut self, buffer: &mut [u8], at: u64) -> usize {
        let left = PIECE_BYTES - (at % PIECE_BYTES as u64) as usize;
        let len = buffer.len().min(left);
        let buffer = &mut buffer[..len];
        match self.file.read_at(buffer, at) {
            Ok(read) if read > 0 => read,
            _ => {
                buffer.fill(0);
                self.unreadable = true;
                len
            }
        }
    }

    /// The checksum of `len` bytes from `at` on, by way of the buffer; `None` if they are not there.
    fn sum(&mut self, buffer: &mut [u8], mut at: u64, len: u64) -> io::Result<Option<u32>> {
        let to = at + len;
        let mut sum = 0;
        while at < to {
            let wanted =
                usize::try_from(to - at).map_or(buffer.len(), |left| left.min(buffer.len()));
            let read = self.read(&mut buffer[..wanted], at)?;
            if read == 0 {
                return Ok(None);
            }
            sum = crc32c::crc32c_append(sum, &buffer[..read]);
            at += read as u64;
        }
        Ok(Some(sum))
    }
}

/// What stands next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A whole record at `at`. Its body stands in the buffer at `body`, or is longer than the buffer.
    Record {
        header: Header,
        at: u64,
        body: Option<usize>,
    },
    /// Something that is no record, up to the next one or the end.
    Hole { from: u64, to: u64 },
    /// What stands next is not in the buffer, and the buffer is not to be filled again.
    Full,
    /// The end of the stretch.
    End,
}

/// Walks along a stretch.
#[derive(Debug)]
pub(super) struct Walker<'f, 'b, F> {
    pub(super) stretch: Stretch<'f, F>,
    buffer: &'b mut [u8],
    /// Where the bytes in the buffer start in the file, and how many there are.
    window: (u64, usize),
    pub(super) at: u64,
    /// A record's sequence must be below: that of the next segment, or of what is not published.
    below: u64,
    /// A record in the buffer is in use.
    hold: bool,
}

impl<'f, 'b, F: DiskFile> Walker<'f, 'b, F> {
    pub(super) fn new(
        stretch: Stretch<'f, F>,
        buffer: &'b mut [u8],
        at: u64,
        below: u64,
    ) -> Walker<'f, 'b, F> {
        Walker {
            stretch,
            buffer,
            window: (at, 0),
            at,
            below,
            hold: false,
        }
    }

    /// From now on what stands in the buffer stays there.
    pub(super) fn hold(&mut self) {
        self.hold = true;
    }

    /// Gives the buffer back.
    pub(super) fn into_buffer(self) -> &'b mut [u8] {
        self.buffer
    }

    /// Takes one step. After an error it may be tried again.
    pub(super) fn next(&mut self) -> io::Result<Step> {
        if self.at >= self.stretch.end {
            return Ok(Step::End);
        }
        match self.whole(self.at)? {
            Whole::Record { header, body } => {
                let at = self.at;
                self.at += header.record_bytes();
                Ok(Step::Record { header, at, body })
            }
            Whole::Full => Ok(Step::Full),
            Whole::No if self.hold => Ok(Step::Full),
            Whole::No => {
                let from = self.at;
                let to = self.find(from + 1)?.unwrap_or(self.stretch.end);
                self.at = to;
                Ok(Step::Hole { from, to })
            }
        }
    }

    /// The bytes in the buffer from `at` on, at least `len` of them unless the stretch has fewer. `None` if they would have to be read but must not.
    fn bytes(&mut self, at: u64, len: usize) -> io::Result<Option<usize>> {
        let (start, filled) = self.window;
        let offset = usize::try_from(at.wrapping_sub(start)).unwrap_or(usize::MAX);
        let there = offset.checked_add(len).is_some_and(|end| end <= filled);
        let reaches_end = start + filled as u64 >= self.stretch.end && offset <= filled;
        if there || reaches_end {
            return Ok(Some(offset));
        }
        if self.hold {
            return Ok(None);
        }
        self.window = (at, 0);
        let filled = self.stretch.read(self.buffer, at)?;
        // What the file has no more is a part of the stretch without bytes.
        self.window = (at, filled);
        Ok(Some(0))
    }

    /// The record at `at`.
    fn whole(&mut self, at: u64) -> io::Result<Whole> {
        let Some(start) = self.bytes(at, HEADER_BYTES)? else {
            return Ok(Whole::Full);
        };
        let header = Header::read(&self.buffer[start..self.window.1], self.stretch.salted);
        let Some(header) = header else {
            return Ok(Whole::No);
        };
        let len = header.record_bytes();
        if header.sequence >= self.below.saturating_add(u64::from(header.is_filler()))
            || len > self.stretch.end - at
        {
            return Ok(Whole::No);
        }
        if header.is_filler() {
            return Ok(Whole::Record { header, body: None });
        }
        match usize::try_from(len) {
            Ok(len) if len <= self.buffer.len() => {
                let Some(start) = self.bytes(at, len)? else {
                    return Ok(Whole::Full);
                };
                let body = start + HEADER_BYTES..start + len;
                let whole = body.end <= self.window.1
                    && header.has_body(crc32c::crc32c(&self.buffer[body.clone()]));
                Ok(if whole {
                    Whole::Record {
                        header,
                        body: Some(body.start),
                    }
                } else {
                    Whole::No
                })
            }
            _ if self.hold => Ok(Whole::Full),
            _ => {
                self.window = (at, 0);
                let body = at + HEADER_BYTES as u64;
                let sum = self.stretch.sum(self.buffer, body, header.body_bytes())?;
                Ok(if sum.is_some_and(|sum| header.has_body(sum)) {
                    Whole::Record { header, body: None }
                } else {
                    Whole::No
                })
            }
        }
    }

    /// The first whole record that starts at `from` or behind.
    fn find(&mut self, mut from: u64) -> io::Result<Option<u64>> {
        while from + HEADER_BYTES as u64 <= self.stretch.end {
            let Some(start) = self.bytes(from, HEADER_BYTES)? else {
                return Ok(None);
            };
            let window = &self.buffer[start.min(self.window.1)..self.window.1];
            if window.len() < HEADER_BYTES {
                // The file ends before the stretch does.
                return Ok(None);
            }
            match FINDER.find(window) {
                Some(found) => {
                    let at = from + found as u64;
                    if let Whole::Record { .. } = self.whole(at)? {
                        return Ok(Some(at));
                    }
                    from = at + 1;
                }
                // A marker may begin in the last bytes.
                None => from += (window.len() - (MARKER.len() - 1)) as u64,
            }
        }
        Ok(None)
    }
}

enum Whole {
    Record { header: Header, body: Option<usize> },
    Full,
    No,
}
