//! Parcels on their way into a file: one write for many, and what became of it.
//!
//! Owns:    `Batch`: parcels in order, and how far the file has them.
//! Runs on: filled and settled on the output's home shard; written on the output's thread.            Plane: data.
//! Bounds:  `RUNS` runs of bytes a system call.
//! Never:   copies a byte, or leaves a half record behind where it can take it back.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};

use engine::io::File;
use engine::shard::parcel::Parcel;

use super::super::parts::gather;

/// Runs of bytes that one system call writes.
const RUNS: usize = 512;

/// Parcels that belong into a file.
#[derive(Debug, Default)]
pub(super) struct Batch {
    parcels: VecDeque<Box<Parcel>>,
    /// Bytes of the parcels, from the start of the first.
    bytes: usize,
    /// How many of them the file has.
    written: usize,
}

impl Batch {
    pub(super) fn push(&mut self, parcel: Box<Parcel>) {
        self.bytes += parcel.bytes();
        self.parcels.push_back(parcel);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    /// Bytes that the file does not have yet.
    pub(super) fn bytes_left(&self) -> usize {
        self.bytes - self.written
    }

    /// The oldest parcel, if the file has all of it.
    pub(super) fn pop_written(&mut self) -> Option<Box<Parcel>> {
        let bytes = self.parcels.front()?.bytes();
        if bytes > self.written {
            return None;
        }
        self.bytes -= bytes;
        self.written -= bytes;
        self.parcels.pop_front()
    }

    /// The oldest parcel, with the number of its records that the file has whole. For an output that gives up.
    pub(super) fn pop(&mut self) -> Option<(Box<Parcel>, usize)> {
        let parcel = self.parcels.pop_front()?;
        let mut left = std::mem::take(&mut self.written);
        let whole = parcel.records().take_while(|record| {
            let fits = record.len() <= left;
            left = left.saturating_sub(record.len());
            fits
        });
        let whole = whole.count();
        Some((parcel, whole))
    }

    /// Forgets that the file has the beginning of a record: the next file begins with a whole one.
    pub(super) fn begin_at_record(&mut self) {
        self.written -= self.half_record();
    }

    /// Writes what the file does not have yet, and syncs it if asked to. Answers whether the file has it: one that was removed meanwhile
    /// counts as having nothing. An error leaves the batch at the start of a record, with what stands in the file of that record taken
    /// back; or in the midst of one if it could not be taken back.
    pub(super) fn write(&mut self, file: &File, sync: bool) -> io::Result<bool> {
        let before = self.written;
        if let Err(error) = self.write_rest(file) {
            self.take_back(file, self.half_record());
            return Err(error);
        }
        if sync && let Err(error) = file.sync() {
            // What a failed sync leaves on the disk is not known; all of it is written again.
            self.take_back(file, self.written - before);
            self.written = before;
            return Err(error);
        }
        let kept = !file.is_removed()?;
        if !kept {
            self.written = 0;
        }
        Ok(kept)
    }

    fn write_rest(&mut self, file: &File) -> io::Result<()> {
        let mut skip = self.written;
        let written = &mut self.written;
        let mut runs = self
            .parcels
            .iter()
            .flat_map(|parcel| parcel.runs())
            .map(|run| {
                let skipped = skip.min(run.len());
                skip -= skipped;
                &run[skipped..]
            });
        loop {
            let mut parts = [IoSlice::new(&[]); RUNS];
            let count = gather(&mut parts, &mut runs);
            if count == 0 {
                return Ok(());
            }
            let mut rest = &mut parts[..count];
            while !rest.is_empty() {
                match file.write(rest) {
                    Ok(0) => return Err(ErrorKind::WriteZero.into()),
                    Ok(taken) => {
                        *written += taken;
                        IoSlice::advance_slices(&mut rest, taken);
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }

    fn take_back(&mut self, file: &File, bytes: usize) {
        if bytes > 0 && matches!(file.take_back(bytes as u64), Ok(true)) {
            self.written -= bytes;
        }
    }

    /// Bytes of a record of which the file has only the beginning.
    fn half_record(&self) -> usize {
        let records = self.parcels.iter().flat_map(|parcel| parcel.records());
        half_of(records.map(<[u8]>::len), self.written)
    }
}

/// How far `written` reaches into a record.
fn half_of(records: impl Iterator<Item = usize>, written: usize) -> usize {
    let mut left = written;
    for record in records {
        if record > left {
            return left;
        }
        left -= record;
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn half_records_are_what_lies_behind_the_last_whole_one(
            records in proptest::collection::vec(0_usize..6, 1..20), at in 0.0_f64..=1.0,
        ) {
            let total: usize = records.iter().sum();
            let written = (total as f64 * at) as usize;
            let ends: Vec<usize> = records.iter().scan(0, |end, len| { *end += len; Some(*end) }).collect();
            let whole = ends.iter().copied().filter(|end| *end <= written).max().unwrap_or(0);
            prop_assert_eq!(half_of(records.into_iter(), written), written - whole);
        }
    }
}
