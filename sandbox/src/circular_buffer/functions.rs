//! The functions as scripts call them: arguments, errors, results.
//!
//! Owns:    the texts of the errors.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  none of its own.
//! Never:   changes a buffer when it refuses.

use super::columns::{AGGREGATIONS, Aggregation, Header};
use super::rank::mann_whitney;
use super::statistics::{NAMES, Statistic};
use super::{CircularBuffer, Form, Word, text};
use crate::lua::frame::{Answer, Frame, Is};
use crate::lua::userdata::Handle;

/// A column by its number, from 1.
fn column(frame: &Frame<'_>, buffer: &CircularBuffer, argument: i32) -> Result<usize, String> {
    let column = frame.integer(argument)?;
    match column >= 1 && column as u32 <= buffer.columns {
        true => Ok(column as usize - 1),
        false => Err(frame.refuse(argument, "column out of range")),
    }
}

pub(super) fn new(frame: &mut Frame<'_>) -> Answer {
    frame.counts(3..=4)?;
    let at_least = |argument, least, why| {
        let number = frame.integer(argument)?;
        match number >= least {
            true => Ok(number as u32),
            false => Err(frame.refuse(argument, why)),
        }
    };
    let rows = at_least(1, 2, "rows must be > 1")?;
    let columns = at_least(2, 1, "columns must be > 0")?;
    let seconds = at_least(3, 1, "seconds_per_row is out of range")?;
    let buffer = CircularBuffer::new(rows, columns, seconds, frame.truth(4));
    let cells = buffer.cells_needed().unwrap_or(usize::MAX);
    frame.push_object(buffer, cells, Word::NAN)?.initialise();
    Ok(1)
}

fn push_or_nil(frame: &mut Frame<'_>, number: Option<f64>) -> Answer {
    match number {
        Some(number) => frame.push_number(number),
        None => frame.push_nil(),
    }
    Ok(1)
}

pub(super) fn add(frame: &mut Frame<'_>) -> Answer {
    let buffer = frame.receiver::<CircularBuffer>(4..=i32::MAX)?;
    let time = frame.number(2)?;
    let column = column(frame, &buffer, 3)?;
    let number = frame.number(4)?;
    let row = buffer.reach(time);
    let now = row.map(|row| buffer.add(buffer.place(row, column), number));
    push_or_nil(frame, now)
}

pub(super) fn set(frame: &mut Frame<'_>) -> Answer {
    let buffer = frame.receiver::<CircularBuffer>(4..=i32::MAX)?;
    let time = frame.number(2)?;
    let column = column(frame, &buffer, 3)?;
    let number = frame.number(4)?;
    let row = buffer.reach(time);
    let now = row.map(|row| buffer.set(buffer.place(row, column), number));
    push_or_nil(frame, now)
}

pub(super) fn get(frame: &mut Frame<'_>) -> Answer {
    let buffer = frame.receiver::<CircularBuffer>(3..=i32::MAX)?;
    let time = frame.number(2)?;
    let column = column(frame, &buffer, 3)?;
    let row = buffer.row(time);
    push_or_nil(
        frame,
        row.map(|row| buffer.value(buffer.place(row, column))),
    )
}

pub(super) fn get_configuration(frame: &mut Frame<'_>) -> Answer {
    let buffer = frame.receiver::<CircularBuffer>(1..=i32::MAX)?;
    for number in [buffer.rows, buffer.columns, buffer.seconds_per_row] {
        frame.push_number(number.into());
    }
    Ok(3)
}

pub(super) fn set_header(frame: &mut Frame<'_>) -> Answer {
    let buffer = frame.receiver::<CircularBuffer>(3..=i32::MAX)?;
    let column = column(frame, &buffer, 2)?;
    let name = frame.text(3)?;
    let unit = match frame.is_absent(4) {
        true => b"count",
        false => frame.text(4)?,
    };
    let aggregation = Aggregation::at(frame.option(5, Some(0), &AGGREGATIONS)?);
    buffer.set_header(column, &Header::new(name, unit, aggregation));
    frame.push_number((column + 1) as f64);
    Ok(1)
}

pub(super) fn get_header(frame: &mut Frame<'_>) -> Answer {
    let buffer = frame.receiver::<CircularBuffer>(2..=i32::MAX)?;
    let header = buffer.header(column(frame, &buffer, 2)?);
    frame.push_text(header.name());
    frame.push_text(header.unit());
    frame.push_text(header.aggregation().name().as_bytes());
    Ok(3)
}

/// The numbers of a column from one row to another, around the end.
fn numbers<'s>(
    buffer: Handle<'s, CircularBuffer>,
    column: usize,
    first: u32,
    last: u32,
) -> impl Iterator<Item = f64> + Clone + 's {
    let rows = buffer.rows;
    let count = (last + rows - first) % rows + 1;
    (0..count).map(move |ahead| {
        let row = (u64::from(first) + u64::from(ahead)) % u64::from(rows);
        buffer.value(buffer.place(row as u32, column))
    })
}

pub(super) fn compute(frame: &mut Frame<'_>) -> Answer {
    let buffer = frame.receiver::<CircularBuffer>(3..=i32::MAX)?;
    let statistic = Statistic::at(frame.option(2, None, &NAMES)?);
    let column = column(frame, &buffer, 3)?;
    let start = frame.number_or(4, buffer.start_time() as f64 * 1e9)?;
    let end = frame.number_or(5, buffer.current_time.get() as f64 * 1e9)?;
    if end < start {
        return Err(frame.refuse(5, "end must be >= start"));
    }
    let first = match frame.is_absent(4) {
        true => Some(buffer.first_row()),
        false => buffer.row(start),
    };
    let last = match frame.is_absent(5) {
        true => Some(buffer.current_row.get()),
        false => buffer.row(end),
    };
    let (result, active) = match (first, last) {
        (Some(first), Some(last)) => {
            let (result, active) = statistic.of(numbers(buffer, column, first, last));
            (Some(result), active)
        }
        _ => (None, 0),
    };
    push_or_nil(frame, result)?;
    frame.push_number(active.into());
    Ok(2)
}

pub(super) fn mannwhitneyu(frame: &mut Frame<'_>) -> Answer {
    let buffer = frame.receiver::<CircularBuffer>(6..=i32::MAX)?;
    if frame.len() > 7 {
        return Err(frame.refuse(0, "too many arguments"));
    }
    let column = column(frame, &buffer, 2)?;
    let (start_1, end_1) = (frame.number(3)?, frame.number(4)?);
    if end_1 < start_1 {
        return Err(frame.refuse(4, "end_1 must be >= start_1"));
    }
    let (start_2, end_2) = (frame.number(5)?, frame.number(6)?);
    if end_2 < start_2 {
        return Err(frame.refuse(6, "end_2 must be >= start_2"));
    }
    if end_1 >= start_2 && end_2 >= start_1 {
        return Err(frame.refuse(4, "ranges must not overlap"));
    }
    let continuity = match frame.is(7) {
        Is::None => true,
        Is::Boolean => frame.truth(7),
        _ => return Err(frame.refuse(7, "use_continuity must be a boolean")),
    };
    let rows = [start_1, end_1, start_2, end_2].map(|time| buffer.row(time));
    let [Some(first_1), Some(last_1), Some(first_2), Some(last_2)] = rows else {
        return Ok(0);
    };
    let tested = mann_whitney(
        numbers(buffer, column, first_1, last_1),
        numbers(buffer, column, first_2, last_2),
        continuity,
    );
    let Some((u, probability)) = tested else {
        return Ok(0);
    };
    frame.push_number(u);
    frame.push_number(probability);
    Ok(2)
}

pub(super) fn current_time(frame: &mut Frame<'_>) -> Answer {
    let buffer = frame.receiver::<CircularBuffer>(1..=i32::MAX)?;
    frame.push_number(buffer.current_time.get() as f64 * 1e9);
    Ok(1)
}

pub(super) fn format(frame: &mut Frame<'_>) -> Answer {
    let buffer = frame.receiver::<CircularBuffer>(2..=i32::MAX)?;
    frame.counts(2..=2)?;
    buffer
        .form
        .set(match frame.option(2, None, &["cbuf", "cbufd"])? {
            0 => Form::Cbuf,
            _ => Form::Cbufd,
        });
    frame.push_copy(1);
    Ok(1)
}

pub(super) fn fromstring(frame: &mut Frame<'_>) -> Answer {
    let buffer = frame.receiver::<CircularBuffer>(2..=i32::MAX)?;
    text::restore(buffer, frame.text(2)?)?;
    Ok(0)
}
