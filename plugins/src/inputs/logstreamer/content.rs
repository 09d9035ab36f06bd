//! The content of one file from some position on, uncompressed where it is compressed.
//!
//! Owns:    `Content`: the open file, how far it was read, what was read last.
//! Runs on: the shard of the stream; whatever may wait for the disk, on the input's file thread.            Plane: data.
//! Bounds:  of a plain file nothing is kept; of a compressed one the last bytes, from `WINDOW` before what `forget_before` said.
//! Never:   copies a byte of a plain file that is in memory: it goes straight to the caller's buffer.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use engine::io::{FileState, TailFile};

use super::gunzip::{Gunzip, MAGIC, Piece};
use super::position::WINDOW;
use super::reader::Seen;

/// Bytes that are skipped at a time.
const SKIP_BYTES: usize = 64 * 1024;

/// Whether a read may wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// No: an error of kind `WouldBlock` instead.
    Now,
    /// Yes.
    Wait,
}

/// What a read found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Got {
    /// So many bytes.
    Bytes(usize),
    /// The end, as things are now.
    End,
}

/// What the file's bytes are.
#[derive(Debug)]
enum Form {
    /// Too few have been there to tell.
    Unknown,
    /// The content itself.
    Plain,
    /// The content compressed.
    Gzip(Box<Compressed>),
}

#[derive(Debug)]
struct Compressed {
    gunzip: Gunzip,
    /// The content before `seek`, as much of it as is kept.
    recent: Vec<u8>,
    /// What is wrong with it; nothing more is read then.
    damage: Option<String>,
}

/// Bytes of the file as it is.
#[derive(Debug)]
struct Raw {
    file: Arc<TailFile>,
    /// Where the next read begins.
    at: u64,
    /// What was read beforehand, from `at` on.
    ahead: Vec<u8>,
    /// How much of that has been used.
    used: usize,
}

impl Raw {
    fn go_to(&mut self, at: u64) {
        self.at = at;
        self.ahead = Vec::new();
        self.used = 0;
    }

    fn read(&mut self, buffer: &mut [u8], patience: Patience) -> io::Result<usize> {
        if self.used < self.ahead.len() {
            let rest = &self.ahead[self.used..];
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            self.used += count;
            self.at += count as u64;
            return Ok(count);
        }
        let count = match patience {
            Patience::Now => self.file.read_now(self.at, buffer),
            Patience::Wait => self.file.read(self.at, buffer),
        }?;
        self.at += count as u64;
        Ok(count)
    }
}

/// A file's content.
#[derive(Debug)]
pub(super) struct Content {
    raw: Raw,
    form: Form,
    /// Bytes of the file that were too few to tell.
    head: u64,
    /// Bytes of the content that have been handed out or skipped.
    seek: u64,
    /// What was known of the file when it was opened.
    opened: FileState,
}

impl Content {
    /// Opens a file, at its beginning.
    pub(super) fn open(path: &Path) -> io::Result<Content> {
        let file = TailFile::open(path)?;
        let opened = file.state()?;
        Ok(Content {
            raw: Raw {
                file: Arc::new(file),
                at: 0,
                ahead: Vec::new(),
                used: 0,
            },
            form: Form::Unknown,
            head: 0,
            seek: 0,
            opened,
        })
    }

    /// The file.
    pub(super) fn file(&self) -> &Arc<TailFile> {
        &self.raw.file
    }

    /// Which file it is, and what it was when it was opened.
    pub(super) fn opened(&self) -> FileState {
        self.opened
    }

    /// Bytes of the content before what is read next.
    pub(super) fn seek(&self) -> u64 {
        self.seek
    }

    /// Bytes of the file before what is read next.
    pub(super) fn raw_at(&self) -> u64 {
        self.raw.at
    }

    /// Whether it is compressed, as far as is known.
    pub(super) fn is_compressed(&self) -> bool {
        matches!(self.form, Form::Gzip(_))
    }

    /// Whether a file of this size has more than was read.
    pub(super) fn has_more(&self, size: u64) -> bool {
        match &self.form {
            Form::Unknown => size > self.head,
            Form::Plain => size > self.raw.at,
            Form::Gzip(compressed) => compressed.damage.is_none() && size > self.raw.at,
        }
    }

    /// Whether a file that looks like this must be compared with what was read of it: it is as long, and was written to.
    pub(super) fn may_differ(&self, state: &FileState, seen: &Seen) -> bool {
        state.size >= self.raw.at
            && !self.is_compressed()
            && seen.file != Some((state.size, state.modified))
    }

    /// Whether what is compressed has no end where the file ends.
    pub(super) fn is_cut(&self) -> bool {
        match &self.form {
            Form::Gzip(compressed) => {
                compressed.damage.is_none() && !compressed.gunzip.is_between()
            }
            Form::Unknown | Form::Plain => false,
        }
    }

    /// What is wrong with what is compressed.
    pub(super) fn damage(&self) -> Option<&str> {
        match &self.form {
            Form::Gzip(compressed) => compressed.damage.as_deref(),
            Form::Unknown | Form::Plain => None,
        }
    }

    /// Reads what comes next. Damage is an end.
    pub(super) fn read(&mut self, buffer: &mut [u8], patience: Patience) -> io::Result<Got> {
        let got = match &mut self.form {
            Form::Plain => self.raw.read(buffer, patience)?,
            Form::Gzip(compressed) => compressed.read(&mut self.raw, buffer, patience)?,
            Form::Unknown => return self.read_first(buffer, patience),
        };
        Ok(self.counted(got))
    }

    fn counted(&mut self, count: usize) -> Got {
        self.seek += count as u64;
        if count == 0 {
            Got::End
        } else {
            Got::Bytes(count)
        }
    }

    /// The first read, which shows what the bytes are.
    fn read_first(&mut self, buffer: &mut [u8], patience: Patience) -> io::Result<Got> {
        let mut head = [0; MAGIC.len()];
        let count = self.raw.read(&mut head, patience)?;
        // Whatever they are, they are read again.
        self.raw.at = 0;
        self.raw.used = 0;
        self.head = count as u64;
        let head = &head[..count];
        if head == MAGIC {
            self.form = Form::Gzip(Box::new(Compressed {
                gunzip: Gunzip::new(),
                recent: Vec::new(),
                damage: None,
            }));
        } else if MAGIC.starts_with(head) {
            return Ok(Got::End);
        } else {
            self.form = Form::Plain;
        }
        self.read(buffer, patience)
    }

    /// Puts bytes of the file that were read elsewhere, from `raw_at` on, where the next read takes them.
    pub(super) fn put_ahead(&mut self, bytes: Vec<u8>) {
        self.raw.ahead = bytes;
        self.raw.used = 0;
    }

    /// Goes to a position; answers whether the content is as long. May wait for the disk.
    pub(super) fn skip_to(&mut self, seek: u64) -> io::Result<bool> {
        if seek > 0 && matches!(self.form, Form::Unknown) {
            self.find_form()?;
        }
        match &self.form {
            Form::Unknown => Ok(seek == 0),
            Form::Plain => {
                if self.raw.file.state()?.size < seek {
                    return Ok(false);
                }
                self.raw.go_to(seek);
                self.seek = seek;
                Ok(true)
            }
            Form::Gzip(_) => {
                let mut skipped = vec![0; SKIP_BYTES];
                while self.seek < seek {
                    let left = usize::try_from(seek - self.seek).unwrap_or(usize::MAX);
                    let room = left.min(SKIP_BYTES);
                    if self.read(&mut skipped[..room], Patience::Wait)? == Got::End {
                        return match self.damage() {
                            Some(damage) => Err(io::Error::new(ErrorKind::InvalidData, damage)),
                            None => Ok(false),
                        };
                    }
                    self.forget_before(self.seek);
                }
                Ok(true)
            }
        }
    }

    /// Goes to the end. May wait for the disk.
    pub(super) fn skip_to_end(&mut self) -> io::Result<()> {
        self.find_form()?;
        if let Form::Plain = self.form {
            let size = self.raw.file.state()?.size;
            self.raw.go_to(size);
            self.seek = size;
            return Ok(());
        }
        let mut skipped = vec![0; SKIP_BYTES];
        while let Got::Bytes(_) = self.read(&mut skipped, Patience::Wait)? {
            self.forget_before(self.seek);
        }
        Ok(())
    }

    fn find_form(&mut self) -> io::Result<()> {
        if let Form::Unknown = self.form {
            // A read of nothing finds it out.
            self.read_first(&mut [], Patience::Wait)?;
        }
        Ok(())
    }

    /// The bytes before a position, at most `WINDOW`, from what is in memory or at hand. `None` if the file does not have them (any more).
    pub(super) fn before(&self, seek: u64) -> io::Result<Option<Vec<u8>>> {
        self.before_by(seek, Patience::Wait)
    }

    /// As `before`, without waiting for the disk.
    pub(super) fn before_now(&self, seek: u64) -> io::Result<Option<Vec<u8>>> {
        self.before_by(seek, Patience::Now)
    }

    fn before_by(&self, seek: u64, patience: Patience) -> io::Result<Option<Vec<u8>>> {
        if let Form::Gzip(compressed) = &self.form {
            let behind = usize::try_from(self.seek - seek).unwrap_or(usize::MAX);
            let recent = &compressed.recent;
            let count = seek.min(WINDOW as u64) as usize;
            let end = recent.len().checked_sub(behind);
            return Ok(end
                .and_then(|end| recent.get(end.checked_sub(count)?..end))
                .map(<[u8]>::to_vec));
        }
        plain_before(&self.raw.file, seek, patience)
    }

    /// Says that nobody will ask for what stands before a position that is further back than this one.
    pub(super) fn forget_before(&mut self, seek: u64) {
        if let Form::Gzip(compressed) = &mut self.form {
            let behind = usize::try_from(self.seek - seek).unwrap_or(usize::MAX);
            let kept = behind.saturating_add(WINDOW);
            let recent = &mut compressed.recent;
            recent.drain(..recent.len().saturating_sub(kept));
        }
    }
}

/// As `Content::before`, of a file that is not compressed.
pub(super) fn plain_before(
    file: &TailFile,
    seek: u64,
    patience: Patience,
) -> io::Result<Option<Vec<u8>>> {
    let count = seek.min(WINDOW as u64) as usize;
    let (mut bytes, mut filled) = (vec![0; count], 0);
    while filled < count {
        let from = seek - (count - filled) as u64;
        let read = match patience {
            Patience::Now => file.read_now(from, &mut bytes[filled..]),
            Patience::Wait => file.read(from, &mut bytes[filled..]),
        }?;
        if read == 0 {
            return Ok(None);
        }
        filled += read;
    }
    Ok(Some(bytes))
}

impl Compressed {
    fn read(&mut self, raw: &mut Raw, buffer: &mut [u8], patience: Patience) -> io::Result<usize> {
        if self.damage.is_some() || buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match self.gunzip.read(buffer) {
                Ok(Piece::Bytes(count)) => {
                    self.recent.extend_from_slice(&buffer[..count]);
                    return Ok(count);
                }
                Ok(Piece::Hungry) => {
                    if self.gunzip.feed(|to| raw.read(to, patience))? == 0 {
                        return Ok(0);
                    }
                }
                Err(error) => {
                    self.damage = Some(error.to_string());
                    return Ok(0);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
