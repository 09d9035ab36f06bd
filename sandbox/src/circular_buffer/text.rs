//! A buffer as text: the forms `cbuf` and `cbufd`, and the preserved one.
//!
//! Owns:    what is printed, preserved and restored.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  what it prints goes to the caller's buffer, which the caller limits.
//! Never:   restores half of a text.

use std::cell::Cell;
use std::io::Write;

use super::{CircularBuffer, Form, Word};
use crate::lua::userdata::Handle;
use crate::number::{print_number, read_number};
use crate::objects::preserve_if_missing;

/// Appends formatted text. Writing to a vector does not fail.
macro_rules! say {
    ($out:expr, $($what:tt)*) => {
        let _ = write!($out, $($what)*);
    };
}

/// Appends the buffer in its form; deltas are forgotten once they are printed.
pub(super) fn print(buffer: Handle<'_, CircularBuffer>, out: &mut Vec<u8>) {
    match buffer.form.get() {
        Form::Cbuf => {
            print_header(buffer, out);
            print_values(buffer, out);
        }
        Form::Cbufd if buffer.deltas().iter().any(is_changed) => {
            print_header(buffer, out);
            print_deltas(buffer, out);
        }
        Form::Cbufd => {}
    }
}

fn is_changed(cell: &Cell<Word>) -> bool {
    cell.get() != Word::UNCHANGED
}

fn print_header(buffer: Handle<'_, CircularBuffer>, out: &mut Vec<u8>) {
    say!(
        out,
        "{{\"time\":{},\"rows\":{},\"columns\":{},\"seconds_per_row\":{},\"column_info\":[",
        buffer.start_time(),
        buffer.rows,
        buffer.columns,
        buffer.seconds_per_row
    );
    for column in 0..buffer.columns as usize {
        if column > 0 {
            out.push(b',');
        }
        let header = buffer.header(column);
        out.extend_from_slice(b"{\"name\":\"");
        out.extend_from_slice(header.name());
        out.extend_from_slice(b"\",\"unit\":\"");
        out.extend_from_slice(header.unit());
        say!(
            out,
            "\",\"aggregation\":\"{}\"}}",
            header.aggregation().name()
        );
    }
    out.extend_from_slice(b"]}\n");
}

fn print_values(buffer: Handle<'_, CircularBuffer>, out: &mut Vec<u8>) {
    let mut row = buffer.first_row();
    for _ in 0..buffer.rows {
        for (column, cell) in buffer.row_of(buffer.values(), row).iter().enumerate() {
            if column > 0 {
                out.push(b'\t');
            }
            print_number(cell.get().number(), out);
        }
        out.push(b'\n');
        row = buffer.after(row);
    }
}

/// Rows of the buffer with their times, oldest first, as far as something in them has changed.
fn changed_rows<'s>(
    buffer: Handle<'s, CircularBuffer>,
) -> impl Iterator<Item = (i64, &'s [Cell<Word>])> {
    let deltas = buffer.deltas();
    let rows = if deltas.is_empty() { 0 } else { buffer.rows };
    let mut row = buffer.first_row();
    let mut time = buffer.start_time();
    (0..rows)
        .map(move |_| {
            let cells = (time, buffer.row_of(deltas, row));
            row = buffer.after(row);
            time = time.saturating_add(buffer.seconds_per_row.into());
            cells
        })
        .filter(|(_, cells)| cells.iter().any(is_changed))
}

fn print_deltas(buffer: Handle<'_, CircularBuffer>, out: &mut Vec<u8>) {
    for (time, cells) in changed_rows(buffer) {
        say!(out, "{time}");
        for cell in cells {
            out.push(b'\t');
            print_number(cell.replace(Word::UNCHANGED).number(), out);
        }
        out.push(b'\n');
    }
}

/// Appends a number that is read back as the same.
fn print_exact(number: f64, out: &mut Vec<u8>) {
    let size = number.abs();
    if !number.is_finite() || (size < 2e9 && size.trunc() == size) {
        print_number(number, out);
    } else if (1e-5..1e17).contains(&size) {
        say!(out, "{number}");
    } else {
        say!(out, "{number:e}");
    }
}

/// Appends Lua that makes the buffer again.
pub(super) fn preserve(buffer: Handle<'_, CircularBuffer>, name: &str, out: &mut Vec<u8>) {
    preserve_if_missing(name, out);
    say!(
        out,
        "circular_buffer.new({}, {}, {}{}) end\n",
        buffer.rows,
        buffer.columns,
        buffer.seconds_per_row,
        if buffer.deltas { ", true" } else { "" }
    );
    for column in 0..buffer.columns as usize {
        let header = buffer.header(column);
        say!(out, "{name}:set_header({}, \"", column + 1);
        out.extend_from_slice(header.name());
        out.extend_from_slice(b"\", \"");
        out.extend_from_slice(header.unit());
        say!(out, "\", \"{}\")\n", header.aggregation().name());
    }
    say!(
        out,
        "{name}:fromstring(\"{} {}",
        buffer.current_time.get(),
        buffer.current_row.get()
    );
    for cell in buffer.values() {
        out.push(b' ');
        print_exact(cell.get().number(), out);
    }
    for (time, cells) in changed_rows(buffer) {
        say!(out, " {time}");
        for cell in cells {
            out.push(b' ');
            match is_changed(cell) {
                true => print_exact(cell.get().number(), out),
                // Heka writes a zero, too.
                false => out.push(b'0'),
            }
        }
    }
    out.extend_from_slice(b"\")\n");
}

/// Reads numbers one after the other.
#[derive(Clone, Copy)]
struct Numbers<'t>(&'t [u8]);

impl Iterator for Numbers<'_> {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        let text = self.trimmed();
        let (number, bytes) = read_number(text)?;
        self.0 = &text[bytes..];
        Some(number)
    }
}

impl<'t> Numbers<'t> {
    fn trimmed(&self) -> &'t [u8] {
        let space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
        let blank = self.0.iter().take_while(|byte| space(byte)).count();
        &self.0[blank..]
    }

    /// A whole number; 0 where there is none.
    fn whole(&mut self) -> i64 {
        let text = self.trimmed();
        let sign = usize::from(matches!(text.first(), Some(b'-' | b'+')));
        let digits = text[sign..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if digits == 0 {
            return 0;
        }
        let (number, rest) = text.split_at(sign + digits);
        self.0 = rest;
        let negative = number[0] == b'-';
        number[sign..].iter().fold(0_i64, |sum, digit| {
            let digit = i64::from(digit - b'0');
            let sum = sum.saturating_mul(10);
            match negative {
                true => sum.saturating_sub(digit),
                false => sum.saturating_add(digit),
            }
        })
    }
}

/// Takes time, row, values and deltas from a text.
pub(super) fn restore(buffer: Handle<'_, CircularBuffer>, text: &[u8]) -> Result<(), String> {
    let end = text
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(text.len());
    let mut numbers = Numbers(&text[..end]);
    let time = numbers.whole();
    let row = numbers.whole();
    let expected = buffer.values().len();
    let mut rest = numbers;
    let found = rest.by_ref().take(expected).count();
    if found < expected {
        return Err(format!(
            "fromstring() too few values: {found}, expected {expected}"
        ));
    }
    if buffer.deltas {
        if !rest.count().is_multiple_of(buffer.columns as usize + 1) {
            return Err("fromstring() invalid delta".into());
        }
    } else if rest.next().is_some() {
        return Err(format!(
            "fromstring() too many values, more than: {expected}"
        ));
    }
    if row < 0 || row >= buffer.rows.into() {
        return Err(format!("fromstring() invalid row: {row}"));
    }
    buffer.current_time.set(time);
    buffer.current_row.set(row as u32);
    for (cell, number) in buffer.values().iter().zip(&mut numbers) {
        cell.set(Word::of(number));
    }
    while let Some(time) = numbers.next() {
        let row = buffer.row(time * 1e9);
        for column in 0..buffer.columns as usize {
            if let (Some(row), Some(change)) = (row, numbers.next()) {
                buffer.add_delta(buffer.place(row, column), change);
            }
        }
    }
    Ok(())
}
