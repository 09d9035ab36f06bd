//! Parcels on their way out over a connection: one write for many, and what became of it.
//!
//! Owns:    `Outgoing`: parcels in order, and how far the connection at hand has taken them.
//! Runs on: the output's home shard.            Plane: data.
//! Bounds:  whatever the output puts in.
//! Never:   copies a byte, or lets go of a parcel of which a byte was not taken.

use std::collections::VecDeque;

use engine::shard::parcel::Parcel;

/// Parcels that belong onto a connection.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    parcels: VecDeque<Box<Parcel>>,
    /// Bytes of all of them, from the start of the first.
    bytes: usize,
    /// Records of the first parcel that connections before this one took, and ended in order.
    from: usize,
    /// Bytes behind these that the connection at hand has taken.
    taken: usize,
}

impl Outgoing {
    pub(super) fn push(&mut self, parcel: Box<Parcel>) {
        self.bytes += parcel.bytes();
        self.parcels.push_back(parcel);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    /// Bytes of the parcels, those included that were taken of the first.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The bytes to send next, of at most `records` records from the first on that the connection has not taken whole parcels of.
    pub(super) fn runs(&self, records: u64) -> impl Iterator<Item = &[u8]> {
        let (mut from, mut left, mut skip) = (self.from, records, self.taken);
        self.parcels
            .iter()
            .flat_map(move |parcel| {
                let begin = std::mem::take(&mut from);
                let end = end_of(parcel, begin, left);
                left -= (end - begin) as u64;
                parcel.runs_of(begin, end)
            })
            .map(move |run| {
                let skipped = skip.min(run.len());
                skip -= skipped;
                &run[skipped..]
            })
    }

    /// Notes that the connection, which may take `records` more, has taken `bytes`. Answers how many whole records that makes
    /// (those of unfinished parcels not yet counted); parcels that it has all of go to `settle`.
    pub(super) fn took(
        &mut self,
        bytes: usize,
        records: u64,
        mut settle: impl FnMut(Box<Parcel>),
    ) -> u64 {
        self.taken += bytes;
        let mut whole = 0;
        while let Some(parcel) = self.parcels.front() {
            let end = end_of(parcel, self.from, records - whole);
            let size: usize = parcel.runs_of(self.from, end).map(<[u8]>::len).sum();
            if size > self.taken {
                break;
            }
            self.taken -= size;
            whole += (end - self.from) as u64;
            if end < parcel.len() {
                self.from = end;
                break;
            }
            self.from = 0;
            self.bytes -= parcel.bytes();
            self.parcels.pop_front().map(&mut settle);
        }
        whole
    }

    /// Forgets what a connection that broke had taken of parcels that it did not take whole: all of it is sent again.
    pub(super) fn begin_again(&mut self) {
        self.taken = 0;
    }

    /// The oldest parcel, with the number of its records that were taken for good. For an output that gives up.
    pub(super) fn pop(&mut self) -> Option<(Box<Parcel>, usize)> {
        let parcel = self.parcels.pop_front()?;
        self.bytes -= parcel.bytes();
        self.taken = 0;
        Some((parcel, std::mem::take(&mut self.from)))
    }
}

/// Where `records` records from `begin` on end, or the parcel does.
fn end_of(parcel: &Parcel, begin: usize, records: u64) -> usize {
    let left = parcel.len() - begin;
    begin + usize::try_from(records).unwrap_or(usize::MAX).min(left)
}
