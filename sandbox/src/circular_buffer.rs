//! The module `circular_buffer`: a matrix of numbers over the last so many rows of time.
//!
//! Owns:    `CircularBuffer`, the functions of the module.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  rows and columns as they were asked for, within the script's memory and `OBJECT_BYTES_MAX`.
//! Never:   keeps a row that is older than the buffer is long, nor its deltas.

mod columns;
mod functions;
mod rank;
mod statistics;
mod text;
mod window;

use std::cell::Cell;

use mlua::{Lua, Value};

use crate::lua::userdata::{Entry, Handle, Kind, Plain, function, method, register, register_kind};
use crate::objects::Object;

/// What a buffer is; behind it stand its columns' headers, its values row by row, and the deltas in the same order, if there are any.
pub(crate) struct CircularBuffer {
    rows: u32,
    columns: u32,
    seconds_per_row: u32,
    /// Whether changes are kept until they are printed.
    deltas: bool,
    /// Time of the newest row, seconds since the Unix epoch.
    current_time: Cell<i64>,
    /// Where it is.
    current_row: Cell<u32>,
    form: Cell<Form>,
}

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Every row.
    Cbuf,
    /// What has changed since it was printed last.
    Cbufd,
}

/// Eight bytes: a number, or a part of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(u64);

impl Plain for Word {}

impl Word {
    const NAN: Word = Word::of(f64::NAN);
    /// Nothing was added yet: one of the numbers that are none, which no calculation makes.
    const UNCHANGED: Word = Word(0x7ff8_6375_6e63_6867);

    const fn of(number: f64) -> Word {
        // Sign and payload of what is no number mean nothing.
        match number.is_nan() {
            true => Word(0x7ff8_0000_0000_0000),
            false => Word(number.to_bits()),
        }
    }

    fn number(self) -> f64 {
        f64::from_bits(self.0)
    }
}

impl Kind for CircularBuffer {
    const TAG: i32 = 111;
    const NAME: &'static str = "circular_buffer";
    type Item = Word;
}

impl Object for Handle<'_, CircularBuffer> {
    fn print(&self, out: &mut Vec<u8>) -> bool {
        text::print(*self, out);
        true
    }

    fn preserve(&self, name: &str, out: &mut Vec<u8>) -> bool {
        text::preserve(*self, name, out);
        true
    }
}

const FUNCTIONS: &[Entry] = &[function(c"new", functions::new)];

const METHODS: &[Entry] = &[
    method(c"add", functions::add),
    method(c"get", functions::get),
    method(c"set", functions::set),
    method(c"get_configuration", functions::get_configuration),
    method(c"get_header", functions::get_header),
    method(c"set_header", functions::set_header),
    method(c"compute", functions::compute),
    method(c"mannwhitneyu", functions::mannwhitneyu),
    method(c"current_time", functions::current_time),
    method(c"format", functions::format),
    method(c"fromstring", functions::fromstring),
];

/// The module.
pub(crate) fn open(lua: &Lua) -> mlua::Result<Value> {
    register_kind::<CircularBuffer>(lua, METHODS)?;
    register(lua, FUNCTIONS).map(Value::Table)
}

#[cfg(test)]
mod tests;
