//! The rows: which time is where, what is added and set, what has changed.
//!
//! Owns:    how values and deltas stand in the buffer.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  time only goes forward; at most every row is cleared for one value.
//! Never:   looks at a clock.

use std::cell::Cell;

use super::columns::{Aggregation, HEADER_WORDS, Header};
use super::{CircularBuffer, Form, Word};
use crate::lua::userdata::Handle;

/// Seconds that a time may be from the epoch; none that is more can be counted in rows.
const SECONDS_MAX: f64 = 9.2e18;

/// The place of a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Of the value among the values, and of its delta among the deltas.
    index: usize,
    column: usize,
}

impl CircularBuffer {
    /// A buffer without its cells. None of the three is 0, rows are at least 2.
    pub(super) fn new(
        rows: u32,
        columns: u32,
        seconds_per_row: u32,
        deltas: bool,
    ) -> CircularBuffer {
        CircularBuffer {
            rows,
            columns,
            seconds_per_row,
            deltas,
            current_time: Cell::new(i64::from(seconds_per_row) * i64::from(rows - 1)),
            current_row: Cell::new(rows - 1),
            form: Cell::new(Form::Cbuf),
        }
    }

    /// Cells that it needs; `None` where they cannot be counted.
    pub(super) fn cells_needed(&self) -> Option<usize> {
        let columns = self.columns as usize;
        let values = columns.checked_mul(self.rows as usize)?;
        let all = values.checked_mul(if self.deltas { 2 } else { 1 })?;
        all.checked_add(columns.checked_mul(HEADER_WORDS)?)
    }

    fn seconds_per_row(&self) -> i64 {
        self.seconds_per_row.into()
    }

    /// Time of the oldest row, seconds since the epoch.
    pub(super) fn start_time(&self) -> i64 {
        let back = self.seconds_per_row() * i64::from(self.rows - 1);
        self.current_time.get().saturating_sub(back)
    }

    /// The row that follows.
    pub(super) fn after(&self, row: u32) -> u32 {
        match row + 1 >= self.rows {
            true => 0,
            false => row + 1,
        }
    }

    /// The oldest row.
    pub(super) fn first_row(&self) -> u32 {
        self.after(self.current_row.get())
    }

    /// The row of a time, and by how many rows it is after the newest.
    fn locate(&self, nanoseconds: f64) -> Option<(i64, i64)> {
        let seconds = nanoseconds / 1e9;
        if seconds.is_nan() || seconds.abs() > SECONDS_MAX {
            return None;
        }
        let row = seconds as i64 / self.seconds_per_row();
        let newest = self.current_time.get() / self.seconds_per_row();
        Some((row, row.saturating_sub(newest)))
    }

    /// The row of a time, if it is in the buffer.
    pub(super) fn row(&self, nanoseconds: f64) -> Option<u32> {
        let (row, ahead) = self.locate(nanoseconds)?;
        if ahead > 0 || ahead <= -i64::from(self.rows) {
            return None;
        }
        Some(row.rem_euclid(self.rows.into()) as u32)
    }
}

impl<'s> Handle<'s, CircularBuffer> {
    fn headers_len(&self) -> usize {
        self.columns as usize * HEADER_WORDS
    }

    fn values_len(&self) -> usize {
        self.columns as usize * self.rows as usize
    }

    /// The words of a column's header.
    fn header_words(&self, column: usize) -> &'s [Cell<Word>] {
        &self.cells()[column * HEADER_WORDS..][..HEADER_WORDS]
    }

    pub(super) fn header(&self, column: usize) -> Header {
        Header::read(self.header_words(column))
    }

    pub(super) fn set_header(&self, column: usize, header: &Header) {
        header.write(self.header_words(column));
    }

    /// The values, row by row.
    pub(super) fn values(&self) -> &'s [Cell<Word>] {
        &self.cells()[self.headers_len()..][..self.values_len()]
    }

    /// The deltas, in the same order; none where they are not kept.
    pub(super) fn deltas(&self) -> &'s [Cell<Word>] {
        &self.cells()[self.headers_len() + self.values_len()..]
    }

    /// One row of values or deltas.
    pub(super) fn row_of(&self, cells: &'s [Cell<Word>], row: u32) -> &'s [Cell<Word>] {
        let columns = self.columns as usize;
        &cells[row as usize * columns..][..columns]
    }

    /// Gives new cells their content.
    pub(super) fn initialise(&self) {
        for column in 0..self.columns as usize {
            let name = format!("Column_{}", column + 1);
            self.set_header(
                column,
                &Header::new(name.as_bytes(), b"count", Aggregation::Sum),
            );
        }
        self.values().iter().for_each(|cell| cell.set(Word::NAN));
        self.deltas()
            .iter()
            .for_each(|cell| cell.set(Word::UNCHANGED));
    }

    fn clear(&self, rows: i64) {
        let mut row = self.current_row.get();
        for _ in 0..rows.min(self.rows.into()) {
            row = self.after(row);
            for cell in self.row_of(self.values(), row) {
                cell.set(Word::NAN);
            }
            if self.deltas {
                for cell in self.row_of(self.deltas(), row) {
                    cell.set(Word::UNCHANGED);
                }
            }
        }
    }

    /// The row of a time; goes forward to it where it is newer than the buffer.
    pub(super) fn reach(&self, nanoseconds: f64) -> Option<u32> {
        let (row, ahead) = self.locate(nanoseconds)?;
        if ahead > 0 {
            self.clear(ahead);
            self.current_time.set(row * self.seconds_per_row());
            self.current_row
                .set(row.rem_euclid(self.rows.into()) as u32);
        }
        self.row(nanoseconds)
    }

    pub(super) fn place(&self, row: u32, column: usize) -> Place {
        Place {
            index: row as usize * self.columns as usize + column,
            column,
        }
    }

    pub(super) fn value(&self, place: Place) -> f64 {
        self.values()[place.index].get().number()
    }

    /// Adds to a value; answers what it is then.
    pub(super) fn add(&self, place: Place, number: f64) -> f64 {
        let cell = &self.values()[place.index];
        let old = cell.get().number();
        let new = if old.is_nan() { number } else { old + number };
        cell.set(Word::of(new));
        if self.deltas && number != 0.0 {
            match self.header(place.column).aggregation() {
                Aggregation::Sum => self.add_delta(place, number),
                _ => self.add_delta(place, new),
            }
        }
        new
    }

    /// Sets a value, which minima and maxima follow only downwards or upwards; answers what it is then.
    pub(super) fn set(&self, place: Place, number: f64) -> f64 {
        let cell = &self.values()[place.index];
        let old = cell.get().number();
        let follows = match self.header(place.column).aggregation() {
            Aggregation::Min => old.is_nan() || number < old,
            Aggregation::Max => old.is_nan() || number > old,
            Aggregation::Sum | Aggregation::None => {
                cell.set(Word::of(number));
                if self.deltas {
                    let change = if old.is_finite() {
                        number - old
                    } else {
                        number
                    };
                    self.add_delta(place, change);
                }
                return number;
            }
        };
        if !follows {
            return old;
        }
        cell.set(Word::of(number));
        if self.deltas {
            self.add_delta(place, number);
        }
        number
    }

    /// Notes a change. For minima and maxima it is what the value is now, for the others what is to be added.
    pub(super) fn add_delta(&self, place: Place, change: f64) {
        let cell = &self.deltas()[place.index];
        let old = cell.get();
        let new = match self.header(place.column).aggregation() {
            Aggregation::Min | Aggregation::Max => change,
            _ if old == Word::UNCHANGED => change,
            _ => old.number() + change,
        };
        cell.set(Word::of(new));
    }
}
