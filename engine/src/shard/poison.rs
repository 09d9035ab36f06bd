//! Messages over which an output panics again and again: they are found, and kept as dead letters.
//!
//! Owns:    `Suspicion`: how often an output has panicked with nothing settled between, and what it is therefore given record by record.
//! Runs on: the output's home shard.            Plane: data.
//! Bounds:  a few words an output.
//! Never:   blames a message that was not the only one which the output had, or one that cannot be kept.
//!
//! Why it is as it is: docs/adr/0009-restarts-and-panics.md

use super::parcel::Parcel;
use crate::event::DropCause;

/// Panics with nothing settled between, after which the output is given one record at a time.
const PANICS_UNTIL_CARE: u32 = 2;

/// Panics over one record after which it is given up.
const PANICS_MAX: u32 = 3;

/// What an output's panics say of its messages.
#[derive(Debug, Default)]
pub(super) struct Suspicion {
    /// Panics since something was settled.
    panics: u32,
    /// Parcels, the next ones, that the output is given record by record.
    parcels: usize,
}

impl Suspicion {
    /// Whether the output is given one record at a time.
    #[inline]
    pub(super) fn is_careful(&self) -> bool {
        self.parcels > 0
    }

    /// The output has settled a parcel. Answers whether it was only a part of one, which has to be delivered further.
    #[inline]
    pub(super) fn settled(&mut self, parcel: &mut Parcel) -> bool {
        self.panics = 0;
        self.is_careful() && self.is_part(parcel)
    }

    fn is_part(&mut self, parcel: &mut Parcel) -> bool {
        let goes_on = parcel.next_part();
        if !goes_on {
            self.parcels -= 1;
        }
        goes_on
    }

    /// The output has panicked while it had these parcels. Answers after how many panics the first record of the first one is to be given
    /// up, if it is.
    pub(super) fn panicked(&mut self, had: &[Box<Parcel>]) -> Option<u32> {
        if had.is_empty() {
            return None;
        }
        self.panics = self.panics.saturating_add(1);
        if !self.is_careful() && self.panics >= PANICS_UNTIL_CARE {
            self.parcels = had.len();
            return None;
        }
        let is_alone = had.len() == 1 && had[0].len() == 1;
        (self.is_careful() && is_alone && self.panics >= PANICS_MAX)
            .then(|| std::mem::take(&mut self.panics))
    }

    /// Gives the only record that is shown of a parcel up. Answers whether there are others in it.
    pub(super) fn give_up(&mut self, parcel: &mut Parcel, panics: u32, why: &str) -> bool {
        let why = format!("the output panicked over it {panics} times: {why}");
        parcel.give_up_record(0, DropCause::PluginFailed, why, panics);
        self.is_part(parcel)
    }
}
