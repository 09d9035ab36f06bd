//! The content of one file from some position on, uncompressed where it is compressed.
//!
//! Owns:    `Content`: the open file, how far it was read, what stands before that.
//! Runs on: the shard of the stream; whatever may wait for the disk, on the input's file thread.            Plane: data.
//! Bounds:  of the file, `WINDOW` bytes are kept; of compressed content the last bytes, from `WINDOW` before what `forget_before` said.
//! Never:   copies a byte of a plain file that is in memory: it goes straight to the caller's buffer; or reads on in a file whose bytes before
//!          the position are not those that were read: each read has them read once more, by the same call.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use engine::io::{FileState, TailFile};

use super::gunzip::{Gunzip, MAGIC, Piece};
use super::position::{Mark, WINDOW, Wanted};

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
    /// Other bytes than those that were read before: the file was replaced where it stood.
    Replaced,
}

fn read(
    file: &TailFile,
    offset: u64,
    first: &mut [u8],
    second: &mut [u8],
    patience: Patience,
) -> io::Result<usize> {
    match patience {
        Patience::Now => file.read_now(offset, first, second),
        Patience::Wait => file.read(offset, first, second),
    }
}

/// What stands before a place of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Window {
    /// The place.
    at: u64,
    /// The bytes before it, `WINDOW` of them or all.
    bytes: Vec<u8>,
}

impl Window {
    /// That of a file; `None` if it is not as long.
    fn of(file: &TailFile, at: u64, patience: Patience) -> io::Result<Option<Window>> {
        let count = at.min(WINDOW as u64);
        let mut bytes = vec![0; count as usize];
        let mut filled = 0;
        while filled < bytes.len() {
            let from = at - (bytes.len() - filled) as u64;
            match read(file, from, &mut bytes[filled..], &mut [], patience)? {
                0 => return Ok(None),
                more => filled += more,
            }
        }
        Ok(Some(Window { at, bytes }))
    }

    /// Whether it stands in the file.
    fn stands_in(&self, file: &TailFile, patience: Patience) -> io::Result<bool> {
        Ok(Window::of(file, self.at, patience)?.as_ref() == Some(self))
    }

    /// Goes on by these bytes.
    fn advance(&mut self, bytes: &[u8]) {
        self.at += bytes.len() as u64;
        let kept = WINDOW.saturating_sub(bytes.len());
        let forgotten = self.bytes.len().saturating_sub(kept);
        self.bytes.drain(..forgotten);
        let last = bytes.len().saturating_sub(WINDOW);
        self.bytes.extend_from_slice(&bytes[last..]);
    }
}

/// Bytes of the file as it is.
#[derive(Debug)]
struct Raw {
    file: Arc<TailFile>,
    /// What stands before the next read.
    window: Window,
    /// What the file began with when it was opened; the first read has to find it again.
    head: Vec<u8>,
    /// What was read beforehand, and how much of it has been used.
    ahead: (Vec<u8>, usize),
    /// What was read beforehand ended with the file.
    ended: bool,
    replaced: bool,
}

impl Raw {
    /// Reads what comes next; nothing at the end, or if the file was replaced.
    fn read(&mut self, buffer: &mut [u8], patience: Patience) -> io::Result<usize> {
        if self.replaced {
            return Ok(0);
        }
        let (ahead, used) = &mut self.ahead;
        let count = if *used < ahead.len() {
            let rest = &ahead[*used..];
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            *used += count;
            count
        } else if std::mem::take(&mut self.ended) {
            0
        } else {
            self.read_file(buffer, patience)?
        };
        self.window.advance(&buffer[..count]);
        Ok(count)
    }

    fn read_file(&mut self, buffer: &mut [u8], patience: Patience) -> io::Result<usize> {
        let mut before = [0; WINDOW];
        let before = &mut before[..self.window.bytes.len()];
        let from = self.window.at - before.len() as u64;
        let count = read(&self.file, from, before, buffer, patience)?;
        let Some(count) = count.checked_sub(before.len()) else {
            return self.shorter(self.window.at, patience);
        };
        if *before != self.window.bytes {
            self.replaced = true;
            return Ok(0);
        }
        if self.window.at == 0 && !self.head.is_empty() {
            let expected = &self.head[..self.head.len().min(buffer.len())];
            if count < expected.len() {
                return self.shorter(expected.len() as u64, patience);
            }
            if buffer[..expected.len()] != *expected {
                self.replaced = true;
                return Ok(0);
            }
        }
        Ok(count)
    }

    /// Less was read than was there before.
    fn shorter(&mut self, expected: u64, patience: Patience) -> io::Result<usize> {
        // Perhaps only a part of it is in memory. Asking may wait for the disk: who fetches the rest finds out.
        if patience == Patience::Now || self.file.state()?.size >= expected {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.replaced = true;
        Ok(0)
    }

    /// Goes to a place; answers whether the file is as long. May wait for the disk.
    fn go_to(&mut self, at: u64) -> io::Result<bool> {
        let Some(window) = Window::of(&self.file, at, Patience::Wait)? else {
            return Ok(false);
        };
        self.window = window;
        self.ahead = (Vec::new(), 0);
        Ok(true)
    }
}

/// What the file's bytes are.
#[derive(Debug)]
enum Form {
    /// Too few have been there to tell: so many.
    Unknown(u64),
    /// The content itself.
    Plain,
    /// The content compressed.
    Gzip(Box<Compressed>),
}

impl Form {
    fn of(head: &[u8]) -> Form {
        if head.starts_with(&MAGIC) {
            Form::Gzip(Box::new(Compressed {
                gunzip: Gunzip::new(),
                recent: Vec::new(),
                damage: None,
            }))
        } else if MAGIC.starts_with(head) {
            Form::Unknown(head.len() as u64)
        } else {
            Form::Plain
        }
    }
}

#[derive(Debug)]
struct Compressed {
    gunzip: Gunzip,
    /// The content before `seek`, as much of it as is kept.
    recent: Vec<u8>,
    /// What is wrong with it; nothing more is read then.
    damage: Option<String>,
}

impl Compressed {
    fn read(&mut self, raw: &mut Raw, buffer: &mut [u8], patience: Patience) -> io::Result<usize> {
        if self.damage.is_some() {
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

    /// The content before a position that is `behind` bytes back, if that much is kept.
    fn before(&self, behind: usize, count: usize) -> Option<Vec<u8>> {
        let end = self.recent.len().checked_sub(behind)?;
        Some(self.recent[end.checked_sub(count)?..end].to_vec())
    }
}

/// A file's content.
#[derive(Debug)]
pub(super) struct Content {
    raw: Raw,
    form: Form,
    /// Bytes of the content that have been handed out or skipped.
    seek: u64,
    /// What was known of the file when it was opened.
    opened: FileState,
}

impl Content {
    /// Opens a file, at its beginning. May wait for the disk.
    pub(super) fn open(path: &Path) -> io::Result<Content> {
        let file = TailFile::open(path)?;
        let opened = file.state()?;
        let mut head = vec![0; WINDOW];
        let count = file.read(0, &mut head, &mut [])?;
        head.truncate(count);
        Ok(Content {
            form: Form::of(&head),
            raw: Raw {
                file: Arc::new(file),
                window: Window::default(),
                head,
                ahead: (Vec::new(), 0),
                ended: false,
                replaced: false,
            },
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

    /// Whether the file had no byte when it was opened.
    pub(super) fn was_empty(&self) -> bool {
        self.raw.head.is_empty()
    }

    /// Bytes of the content before what is read next.
    pub(super) fn seek(&self) -> u64 {
        self.seek
    }

    /// Where in the file a part of it has to be fetched that is not in memory.
    pub(super) fn fetch_at(&self) -> u64 {
        self.raw.window.at - self.raw.window.bytes.len() as u64
    }

    /// Whether a file of this size has more than was read, or less. Behind damage nothing counts.
    pub(super) fn differs(&self, size: u64) -> bool {
        let at = self.raw.window.at;
        match &self.form {
            Form::Unknown(head) => size != *head,
            Form::Plain => size != at,
            Form::Gzip(compressed) => size != at && compressed.damage.is_none(),
        }
    }

    /// Whether what is compressed has no end where the file ends.
    pub(super) fn is_cut(&self) -> bool {
        match &self.form {
            Form::Gzip(compressed) => {
                compressed.damage.is_none() && !compressed.gunzip.is_between()
            }
            Form::Unknown(_) | Form::Plain => false,
        }
    }

    /// What is wrong with what is compressed.
    pub(super) fn damage(&self) -> Option<&str> {
        match &self.form {
            Form::Gzip(compressed) => compressed.damage.as_deref(),
            Form::Unknown(_) | Form::Plain => None,
        }
    }

    /// Reads what comes next. Damage is an end.
    pub(super) fn read(&mut self, buffer: &mut [u8], patience: Patience) -> io::Result<Got> {
        if matches!(self.form, Form::Unknown(_)) {
            self.find_form(patience)?;
        }
        let count = match &mut self.form {
            Form::Plain => self.raw.read(buffer, patience)?,
            Form::Gzip(compressed) => compressed.read(&mut self.raw, buffer, patience)?,
            Form::Unknown(_) => 0,
        };
        self.seek += count as u64;
        Ok(match count {
            0 if self.raw.replaced => Got::Replaced,
            0 => Got::End,
            count => Got::Bytes(count),
        })
    }

    fn find_form(&mut self, patience: Patience) -> io::Result<()> {
        let mut head = [0; MAGIC.len()];
        let count = read(&self.raw.file, 0, &mut head, &mut [], patience)?;
        self.form = Form::of(&head[..count]);
        Ok(())
    }

    /// Puts bytes of the file that were read elsewhere, from `fetch_at` on, where the next read takes them.
    pub(super) fn put_ahead(&mut self, bytes: Vec<u8>) {
        let raw = &mut self.raw;
        if raw.replaced {
            return;
        }
        let known = raw.window.bytes.len();
        if bytes.starts_with(&raw.window.bytes)
            && (raw.window.at > 0 || bytes.starts_with(&raw.head))
        {
            raw.ended = bytes.len() == known;
            raw.ahead = (bytes, known);
        } else {
            raw.replaced = true;
        }
    }

    /// Goes to a position; answers whether the content is as long. May wait for the disk.
    pub(super) fn skip_to(&mut self, seek: u64) -> io::Result<bool> {
        match &self.form {
            Form::Unknown(_) => Ok(seek == 0),
            Form::Plain => {
                let there = self.raw.go_to(seek)?;
                if there {
                    self.seek = seek;
                }
                Ok(there)
            }
            Form::Gzip(_) => self.skip_compressed(Some(seek)),
        }
    }

    /// Goes to the end. May wait for the disk.
    pub(super) fn skip_to_end(&mut self) -> io::Result<()> {
        if let Form::Gzip(_) = self.form {
            return self.skip_compressed(None).map(drop);
        }
        loop {
            let size = self.raw.file.state()?.size;
            if self.skip_to(size)? {
                return Ok(());
            }
        }
    }

    /// Uncompresses up to a position, or to the end.
    fn skip_compressed(&mut self, seek: Option<u64>) -> io::Result<bool> {
        let mut skipped = vec![0; SKIP_BYTES];
        while seek.is_none_or(|seek| self.seek < seek) {
            let left = seek.map_or(u64::MAX, |seek| seek - self.seek);
            let room = usize::try_from(left).unwrap_or(usize::MAX).min(SKIP_BYTES);
            match self.read(&mut skipped[..room], Patience::Wait)? {
                Got::Bytes(_) => self.forget_before(self.seek),
                Got::End | Got::Replaced => {
                    return match self.damage() {
                        Some(damage) if seek.is_some() => {
                            Err(io::Error::new(ErrorKind::InvalidData, damage))
                        }
                        _ => Ok(false),
                    };
                }
            }
        }
        Ok(true)
    }

    /// The bytes before a position that was read, at most `WINDOW`. `None` if the file does not have them any more.
    pub(super) fn before(&self, seek: u64, patience: Patience) -> io::Result<Option<Vec<u8>>> {
        match &self.form {
            Form::Gzip(compressed) => {
                let behind = usize::try_from(self.seek - seek).unwrap_or(usize::MAX);
                let count = seek.min(WINDOW as u64) as usize;
                Ok(compressed.before(behind, count))
            }
            Form::Unknown(_) | Form::Plain => self.place(seek).before(patience),
        }
    }

    /// A place of a plain file, to be asked on another thread.
    pub(super) fn place(&self, seek: u64) -> Place {
        Place {
            file: Arc::clone(&self.raw.file),
            read: self.raw.window.clone(),
            seek,
        }
    }

    /// What is looked for when the file has been replaced, or is gone; `None` if nothing was ever known of it.
    pub(super) fn wanted(&self) -> Option<Wanted> {
        if self.seek == 0 {
            // Of a compressed file it is not the content, and of no use.
            let plain = matches!(self.form, Form::Plain) && !self.was_empty();
            return plain.then(|| Wanted {
                seek: self.raw.head.len() as u64,
                mark: Mark::Bytes(self.raw.head.clone()),
                from_the_beginning: true,
            });
        }
        let bytes = match &self.form {
            Form::Gzip(compressed) => {
                let count = self.seek.min(WINDOW as u64) as usize;
                compressed.before(0, count)?
            }
            Form::Unknown(_) | Form::Plain => self.raw.window.bytes.clone(),
        };
        Some(Wanted {
            seek: self.seek,
            mark: Mark::Bytes(bytes),
            from_the_beginning: false,
        })
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

/// A position in a plain file that was read further.
#[derive(Debug)]
pub(super) struct Place {
    file: Arc<TailFile>,
    /// Where it was read to.
    read: Window,
    seek: u64,
}

impl Place {
    /// The bytes before it; `None` if the file has other bytes by now where it was read last.
    pub(super) fn before(self, patience: Patience) -> io::Result<Option<Vec<u8>>> {
        if self.seek == self.read.at {
            return Ok(Some(self.read.bytes));
        }
        let Some(window) = Window::of(&self.file, self.seek, patience)? else {
            return Ok(None);
        };
        // Afterwards: what is right now was right before, for a file that is replaced stays so.
        let right = self.read.stands_in(&self.file, patience)?;
        Ok(right.then_some(window.bytes))
    }
}

#[cfg(test)]
mod tests;
