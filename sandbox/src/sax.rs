//! The module `sax`: series of numbers as short words of letters, and the least distance of two words.
//!
//! Owns:    `Sax`, windows and words; the functions of the module.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  windows of `VALUES_MAX` values and `LETTERS_MAX` letters; words as long as the text that they are made of.
//! Never:   counts a value that is no number.

mod series;
mod symbols;

use std::cell::Cell;
use std::io::Write;

use mlua::{Lua, Value};

use crate::lua::frame::{Answer, Frame, Is};
use crate::lua::userdata::{Entry, Handle, Kind, function, method, register, register_kind};
use crate::number::print_number;
use crate::objects::{Object, preserve_if_missing};
use series::{Moments, average_of, moments_of};
use symbols::{CARDINALITY_MAX, distance, far_apart, symbol};

/// Values of a window, or of the array that a word is made of.
const VALUES_MAX: usize = 4096;

/// Letters of what is made of values.
const LETTERS_MAX: usize = 2048;

/// What `version` answers: that of the library whose behaviour this has.
const VERSION: &str = "0.4.0";

/// A window or a word. Behind it stand its symbols, one a cell, and a window's values.
///
/// Both are one kind, because Lua compares only objects of one kind with each other.
pub(crate) struct Sax {
    /// How many values it is of; 0 where that is not known.
    values: usize,
    letters: usize,
    cardinality: u8,
    /// A window goes on with further values.
    window: Option<Ring>,
}

/// Where a window stands in its values.
struct Ring {
    /// The oldest value.
    first: Cell<usize>,
    moments: Cell<Moments>,
}

impl Kind for Sax {
    const TAG: i32 = 115;
    const NAME: &'static str = "sax.window or sax.word";
    type Item = f64;
}

impl<'s> Handle<'s, Sax> {
    fn symbols(&self) -> &'s [Cell<f64>] {
        &self.cells()[..self.letters]
    }

    /// A window's values, the oldest first.
    fn series(&self) -> impl Iterator<Item = f64> + Clone + 's {
        let values = &self.cells()[self.letters..];
        let first = self.window.as_ref().map_or(0, |ring| ring.first.get());
        let (new, old) = values.split_at(first.min(values.len()));
        old.iter().chain(new).map(Cell::get)
    }

    /// The word as letters; a part of a series without a number is `#`.
    fn print_letters(&self, out: &mut Vec<u8>) {
        out.extend(self.symbols().iter().map(|symbol| {
            let symbol = symbol.get() as u8;
            match symbol >= self.cardinality {
                true => b'#',
                false => b'A' + (self.cardinality - symbol - 1),
            }
        }));
    }

    /// Makes the word of a series.
    fn spell(&self, mut series: impl Iterator<Item = f64>, moments: Moments) {
        let part = self.values / self.letters;
        for cell in self.symbols() {
            let average = average_of(series.by_ref().take(part), moments);
            cell.set(symbol(average, self.cardinality).into());
        }
    }

    fn clear(&self, ring: &Ring) {
        ring.first.set(0);
        ring.moments.set(Moments::default());
        let (symbols, values) = self.cells().split_at(self.letters);
        symbols
            .iter()
            .for_each(|cell| cell.set(self.cardinality.into()));
        values.iter().for_each(|cell| cell.set(f64::NAN));
    }

    fn push_value(&self, ring: &Ring, value: f64) {
        let first = ring.first.get();
        let old = self.cells()[self.letters + first].replace(value);
        ring.first.set((first + 1) % self.values);
        ring.moments.set(ring.moments.get().moved(old, value));
    }

    fn equals(&self, other: Handle<'_, Sax>) -> bool {
        self.letters == other.letters
            && self.cardinality == other.cardinality
            && self
                .symbols()
                .iter()
                .zip(other.symbols())
                .all(|(one, other)| one.get() == other.get())
    }
}

impl Object for Handle<'_, Sax> {
    fn print(&self, out: &mut Vec<u8>) -> bool {
        self.print_letters(out);
        true
    }

    fn preserve(&self, name: &str, out: &mut Vec<u8>) -> bool {
        preserve_if_missing(name, out);
        // Writing to a vector does not fail.
        if self.window.is_none() {
            out.extend_from_slice(b"sax.word.new(\"");
            self.print_letters(out);
            let _ = writeln!(out, "\", {}) end", self.cardinality);
            return true;
        }
        let _ = writeln!(
            out,
            "sax.window.new({}, {}, {}) end",
            self.values, self.letters, self.cardinality
        );
        if self.series().all(f64::is_nan) {
            return true;
        }
        let _ = write!(out, "{name}:clear()\n{name}:add({{");
        for (index, value) in self.series().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            match value {
                _ if value.is_nan() => out.extend_from_slice(b"0/0"),
                f64::INFINITY => out.extend_from_slice(b"1/0"),
                f64::NEG_INFINITY => out.extend_from_slice(b"-1/0"),
                _ if value.abs() < 2e9 && value.trunc() == value => print_number(value, out),
                _ => {
                    let _ = write!(out, "{value:e}");
                }
            }
        }
        out.extend_from_slice(b"})\n");
        true
    }
}

const FUNCTIONS: &[Entry] = &[function(c"mindist", mindist), function(c"version", version)];
const WINDOW_FUNCTIONS: &[Entry] = &[function(c"new", new_window)];
const WORD_FUNCTIONS: &[Entry] = &[function(c"new", new_word)];

const METHODS: &[Entry] = &[
    method(c"add", add),
    method(c"clear", clear),
    method(c"get_word", get_word),
    method(c"__tostring", tostring),
    method(c"__eq", equal),
];

/// The module.
pub(crate) fn open(lua: &Lua) -> mlua::Result<Value> {
    register_kind::<Sax>(lua, METHODS)?;
    let module = register(lua, FUNCTIONS)?;
    module.raw_set("window", register(lua, WINDOW_FUNCTIONS)?)?;
    module.raw_set("word", register(lua, WORD_FUNCTIONS)?)?;
    Ok(Value::Table(module))
}

/// Refuses another number of arguments.
fn counts(frame: &Frame<'_>, arguments: i32) -> Result<(), String> {
    match frame.len() == arguments {
        true => Ok(()),
        false => Err(frame.refuse(0, "incorrect number of args")),
    }
}

/// Values, letters and cardinality, if they go together.
fn check(
    frame: &Frame<'_>,
    values: usize,
    letters: i32,
    cardinality: i32,
    argument: i32,
) -> Result<(usize, u8), String> {
    let refuse = |why| Err(frame.refuse(argument, why));
    if values <= 1 || values > VALUES_MAX {
        return refuse("n is out of range");
    }
    if letters <= 1 || letters > LETTERS_MAX as i32 {
        return refuse("w is out of range");
    }
    if !values.is_multiple_of(letters as usize) {
        return refuse("n must be evenly divisible by w");
    }
    if cardinality <= 1 || cardinality > CARDINALITY_MAX.into() {
        return refuse("cardinality is out of range");
    }
    Ok((letters as usize, cardinality as u8))
}

fn new_window(frame: &mut Frame<'_>) -> Answer {
    counts(frame, 3)?;
    let values = frame.integer(1)?.max(0) as usize;
    let (letters, cardinality) = (frame.integer(2)?, frame.integer(3)?);
    let (letters, cardinality) = check(frame, values, letters, cardinality, 1)?;
    let window = Sax {
        values,
        letters,
        cardinality,
        window: Some(Ring {
            first: Cell::new(0),
            moments: Cell::default(),
        }),
    };
    let window = frame.push_object(window, letters + values, f64::NAN)?;
    if let Some(ring) = &window.window {
        window.clear(ring);
    }
    Ok(1)
}

/// Pushes a word of nothing so far.
fn push_word<'f>(
    frame: &'f mut Frame<'_>,
    values: usize,
    letters: usize,
    cardinality: u8,
) -> Result<Handle<'f, Sax>, String> {
    let word = Sax {
        values,
        letters,
        cardinality,
        window: None,
    };
    frame.push_object(word, letters, cardinality.into())
}

fn new_word(frame: &mut Frame<'_>) -> Answer {
    match frame.len() {
        2 => word_of_text(frame),
        3 => word_of_values(frame),
        _ => Err(frame.refuse(0, "incorrect number of arguments")),
    }
}

fn word_of_text(frame: &mut Frame<'_>) -> Answer {
    let text = frame.text(1)?;
    if text.len() <= 1 {
        return Err(frame.refuse(1, "length of SAX string should be > 1"));
    }
    let illegal = "illegal symbols for given cardinality or bad cardinality itself";
    let cardinality = frame.integer(2)?;
    if !(2..=i32::from(CARDINALITY_MAX)).contains(&cardinality) {
        return Err(frame.refuse(1, illegal));
    }
    let cardinality = cardinality as u8;
    let legal = |letter: &u8| *letter == b'#' || (b'A'..b'A' + cardinality).contains(letter);
    if !text.iter().all(legal) {
        return Err(frame.refuse(1, illegal));
    }
    let word = push_word(frame, 0, text.len(), cardinality)?;
    for (cell, &letter) in word.symbols().iter().zip(text) {
        if letter != b'#' {
            cell.set((cardinality - (letter - b'A') - 1).into());
        }
    }
    Ok(1)
}

fn word_of_values(frame: &mut Frame<'_>) -> Answer {
    let (letters, cardinality) = (frame.integer(2)?, frame.integer(3)?);
    if frame.is(1) != Is::Table {
        return Err(frame.refuse(1, "array-like table expected"));
    }
    let values = frame.items(1);
    let (letters, cardinality) = check(frame, values, letters, cardinality, 2)?;
    let series = array(frame, 1, 0, values)?;
    let word = push_word(frame, values, letters, cardinality)?;
    word.spell(series.iter().copied(), moments_of(&series));
    Ok(1)
}

/// The numbers of a table from one position to another; all before have to be numbers, too.
fn array(frame: &mut Frame<'_>, table: i32, from: usize, to: usize) -> Result<Vec<f64>, String> {
    let mut numbers = Vec::with_capacity(to - from);
    for index in 0..to {
        let top = frame.top();
        frame.push_item(table, i32::try_from(index + 1).unwrap_or(i32::MAX));
        let number = frame.as_number(frame.top());
        frame.pop_to(top);
        let number = number.ok_or_else(|| frame.refuse(1, "expected array of numbers as input"))?;
        if index >= from {
            numbers.push(number);
        }
    }
    Ok(numbers)
}

/// The window that a method was called on.
fn window<'s>(frame: &Frame<'s>) -> Result<(Handle<'s, Sax>, &'s Ring), String> {
    let window = frame.object::<Sax>(1)?;
    match &window.lent().window {
        Some(ring) => Ok((window, ring)),
        None => Err(frame.refuse(1, "sax.window expected, got sax.word")),
    }
}

fn add(frame: &mut Frame<'_>) -> Answer {
    counts(frame, 2)?;
    let (window, ring) = window(frame)?;
    if let Some(number) = frame.as_number(2) {
        window.push_value(ring, number);
    } else {
        if frame.is(2) != Is::Table {
            return Err(frame.refuse(2, "number or array-like table expected"));
        }
        let len = frame.items(2);
        if len == 0 {
            return Ok(0);
        }
        let from = len.saturating_sub(window.values);
        for number in array(frame, 2, from, len)? {
            window.push_value(ring, number);
        }
    }
    window.spell(window.series(), ring.moments.get());
    Ok(0)
}

fn clear(frame: &mut Frame<'_>) -> Answer {
    counts(frame, 1)?;
    let (window, ring) = window(frame)?;
    window.clear(ring);
    Ok(0)
}

fn get_word(frame: &mut Frame<'_>) -> Answer {
    counts(frame, 1)?;
    let (window, _) = window(frame)?;
    let word = push_word(frame, window.values, window.letters, window.cardinality)?;
    for (to, from) in word.symbols().iter().zip(window.symbols()) {
        to.set(from.get());
    }
    Ok(1)
}

fn tostring(frame: &mut Frame<'_>) -> Answer {
    let word = frame.object::<Sax>(1)?;
    let mut letters = Vec::with_capacity(word.letters);
    word.print_letters(&mut letters);
    frame.push_text(&letters);
    Ok(1)
}

fn equal(frame: &mut Frame<'_>) -> Answer {
    let equal = match (frame.as_object::<Sax>(1), frame.as_object::<Sax>(2)) {
        (Some(one), Some(other)) => one.equals(other),
        _ => false,
    };
    frame.push_boolean(equal);
    Ok(1)
}

fn mindist(frame: &mut Frame<'_>) -> Answer {
    counts(frame, 2)?;
    let (one, other) = (frame.object::<Sax>(1)?, frame.object::<Sax>(2)?);
    let comparable = one.cardinality == other.cardinality
        && one.letters == other.letters
        && (one.values == other.values || one.values == 0 || other.values == 0);
    if !comparable {
        frame.push_nil();
        return Ok(1);
    }
    let (mut above, mut below) = (0.0, 0.0);
    let cardinality = one.cardinality;
    for (one, other) in one.symbols().iter().zip(other.symbols()) {
        let (one, other) = far_apart(one.get() as u8, other.get() as u8, cardinality);
        let square = f64::from(distance(one, other, cardinality)).powi(2);
        // Symbols count downwards: a smaller one is a letter further up.
        match one < other {
            true => above += square,
            false => below += square,
        }
    }
    let values = match one.values.max(other.values) {
        0 => one.letters,
        values => values,
    };
    let compression = (values as f64 / one.letters as f64).sqrt();
    frame.push_number(compression * (above + below).sqrt());
    frame.push_number(compression * above.sqrt());
    frame.push_number(compression * below.sqrt());
    Ok(3)
}

fn version(frame: &mut Frame<'_>) -> Answer {
    frame.push_text(VERSION.as_bytes());
    Ok(1)
}

#[cfg(test)]
mod tests;
