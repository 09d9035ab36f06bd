//! Heka's own queue files, where a folder has them: looked at and read, never touched.
//!
//! Owns:    `HekaFiles`, `HekaStream`.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  one open file.
//! Never:   changes or removes anything.
//!
//! Heka writes framed records to `<id>.log`, and where it has delivered up to into `checkpoint.txt`, as `<id> <byte>`.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::io::disk::{Disk, DiskFile, Entry};

/// Name of the file that says where reading begins.
pub(super) const CHECKPOINT_NAME: &str = "checkpoint.txt";

/// Files of Heka in a queue's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HekaFiles {
    folder: PathBuf,
    /// Numbers and bytes of the files that are not delivered yet, ascending.
    files: Vec<(u64, u64)>,
    /// Byte of the first one where reading begins.
    offset: u64,
    /// What is wrong with the checkpoint.
    notice: Option<String>,
}

impl HekaFiles {
    /// Looks for them.
    pub(super) fn find<D: Disk>(disk: &D, folder: &Path, entries: &[Entry]) -> Option<HekaFiles> {
        let mut files: Vec<(u64, u64)> = entries
            .iter()
            .filter(|entry| entry.is_file)
            .filter_map(|entry| Some((number(entry.name.strip_suffix(".log")?)?, entry.bytes)))
            .collect();
        files.sort_unstable();
        let path = folder.join(CHECKPOINT_NAME);
        let text = entries
            .iter()
            .any(|entry| entry.is_file && entry.name == CHECKPOINT_NAME)
            .then(|| read_text(disk, &path));
        if files.is_empty() && text.is_none() {
            return None;
        }
        let mut notice = None;
        let checkpoint = match text {
            None => None,
            Some(Ok(text)) => match parse(&text) {
                Ok(checkpoint) => Some(checkpoint),
                Err(what) => {
                    notice = Some(format!(
                        "{}: {what}: Heka's files are read from the oldest one on",
                        path.display()
                    ));
                    None
                }
            },
            Some(Err(error)) => {
                notice = Some(format!("{}: {error}", path.display()));
                None
            }
        };
        let (from, mut offset) = checkpoint.unwrap_or((0, 0));
        files.retain(|&(id, _)| id >= from);
        if files.first().is_some_and(|&(id, _)| id != from) {
            // The file of the checkpoint has gone: Heka goes on with the next one.
            offset = 0;
        }
        Some(HekaFiles {
            folder: folder.to_owned(),
            files,
            offset,
            notice,
        })
    }

    /// Bytes that Heka has not delivered, frames included.
    pub fn pending_bytes(&self) -> u64 {
        let bytes: u64 = self.files.iter().map(|&(_, bytes)| bytes).sum();
        bytes.saturating_sub(self.offset)
    }

    /// Files that hold them.
    pub fn files(&self) -> usize {
        self.files.len()
    }

    /// What is wrong with the checkpoint.
    pub fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }

    /// Reads them from the checkpoint on: a stream of Heka frames.
    pub(super) fn stream<D: Disk>(&self, disk: D) -> HekaStream<D> {
        HekaStream {
            disk,
            paths: self
                .files
                .iter()
                .rev()
                .map(|(id, _)| self.folder.join(format!("{id}.log")))
                .collect(),
            open: None,
            at: self.offset,
        }
    }
}

/// The undelivered bytes of Heka's files, one behind the other.
#[derive(Debug)]
pub(super) struct HekaStream<D: Disk> {
    disk: D,
    /// The last one is next.
    paths: Vec<PathBuf>,
    open: Option<D::File>,
    at: u64,
}

impl<D: Disk> Read for HekaStream<D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(file) = &self.open {
                let read = file.read_at(buffer, self.at)?;
                self.at += read as u64;
                if read > 0 || buffer.is_empty() {
                    return Ok(read);
                }
                (self.open, self.at) = (None, 0);
            }
            match self.paths.pop() {
                Some(path) => self.open = Some(self.disk.open(&path, false)?),
                None => return Ok(0),
            }
        }
    }
}

fn number(text: &str) -> Option<u64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

fn parse(text: &str) -> Result<(u64, u64), &'static str> {
    let (id, offset) = text
        .trim()
        .split_once(' ')
        .ok_or("invalid checkpoint format")?;
    Ok((
        number(id).ok_or("invalid checkpoint id")?,
        number(offset).ok_or("invalid checkpoint offset")?,
    ))
}

fn read_text<D: Disk>(disk: &D, path: &Path) -> io::Result<String> {
    let file = disk.open(path, false)?;
    let mut bytes = [0; 64];
    let mut len = 0;
    while len < bytes.len() {
        match file.read_at(&mut bytes[len..], len as u64)? {
            0 => break,
            more => len += more,
        }
    }
    Ok(String::from_utf8_lossy(&bytes[..len]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_are_read_as_heka_does() {
        assert_eq!(parse("3 120"), Ok((3, 120)));
        assert_eq!(parse("3 120\n"), Ok((3, 120)));
        assert_eq!(parse("3"), Err("invalid checkpoint format"));
        assert_eq!(parse("x 1"), Err("invalid checkpoint id"));
        assert_eq!(parse("3 -1"), Err("invalid checkpoint offset"));
    }
}
