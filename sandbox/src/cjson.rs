//! The module `cjson`: JSON as Heka's changed lua-cjson reads and writes it.
//!
//! Owns:    its switches, and the memory that it works in again and again.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  what is encoded by `output_limit`, or else by the script's memory; nesting by its own switches and Lua's stack.
//! Never:   follows metatables.

mod decode;
mod encode;

use std::cell::{Cell, RefCell};

use mlua::{Lua, Value};

use crate::limits::SandboxLimits;
use crate::lua::frame::{Answer, Frame, Is};
use crate::lua::userdata::{Entry, Owned, function, register_sharing, share};

/// Nesting that is read and written unless a script says otherwise.
const DEPTH_DEFAULT: i32 = 1000;

/// Significant digits of a number.
const PRECISION_DEFAULT: i32 = 14;
const PRECISION_MAX: i32 = 17;

/// Bytes of what is encoded where neither output nor memory is limited.
const ENCODED_BYTES_MAX: u64 = 1 << 30;

/// Bytes that stay for the next call.
const KEPT_BYTES_MAX: usize = 256 * 1024;

/// What the functions share.
struct Json {
    sparse_convert: Cell<i32>,
    sparse_ratio: Cell<i32>,
    sparse_safe: Cell<i32>,
    encode_max_depth: Cell<i32>,
    encode_precision: Cell<i32>,
    encode_invalid: Cell<i32>,
    decode_max_depth: Cell<i32>,
    decode_invalid: Cell<i32>,
    decode_null: Cell<i32>,
    /// Bytes of what is encoded, and what to say when it would be more.
    bytes_max: usize,
    full: &'static str,
    encoder: RefCell<encode::Encoder>,
    decoder: RefCell<decode::Decoder>,
}

impl Owned for Json {
    const TAG: i32 = 110;
}

const SWITCH: &[&str] = &["off", "on"];
const INVALID: &[&str] = &["off", "on", "null"];

const FUNCTIONS: &[Entry] = &[
    function(c"encode", encode::encode),
    function(c"decode", decode::decode),
    function(c"encode_sparse_array", encode_sparse_array),
    function(c"encode_max_depth", |frame| {
        number(frame, |json| &json.encode_max_depth, i32::MAX)
    }),
    function(c"decode_max_depth", |frame| {
        number(frame, |json| &json.decode_max_depth, i32::MAX)
    }),
    function(c"encode_number_precision", |frame| {
        number(frame, |json| &json.encode_precision, PRECISION_MAX)
    }),
    function(c"encode_invalid_numbers", |frame| {
        switch(frame, |json| &json.encode_invalid, INVALID)
    }),
    function(c"decode_invalid_numbers", |frame| {
        switch(frame, |json| &json.decode_invalid, SWITCH)
    }),
    function(c"decode_null", |frame| {
        switch(frame, |json| &json.decode_null, SWITCH)
    }),
];

/// The module. The limits of the sandbox stand in the machine's data as `SandboxLimits`.
pub(crate) fn open(lua: &Lua) -> mlua::Result<Value> {
    let limits = lua.app_data_ref::<SandboxLimits>().map(|limits| *limits);
    let (output, memory) =
        limits.map_or((0, 0), |limits| (limits.output_bytes, limits.memory_bytes));
    let (bytes_max, full) = match (output, memory) {
        (0, 0) => (ENCODED_BYTES_MAX, "strbuf_resize out of memory"),
        (0, memory) => (memory, "strbuf_resize out of memory"),
        (output, _) => (output, "strbuf output_limit exceeded"),
    };
    let json = Json {
        sparse_convert: Cell::new(0),
        sparse_ratio: Cell::new(2),
        sparse_safe: Cell::new(10),
        encode_max_depth: Cell::new(DEPTH_DEFAULT),
        encode_precision: Cell::new(PRECISION_DEFAULT),
        encode_invalid: Cell::new(0),
        decode_max_depth: Cell::new(DEPTH_DEFAULT),
        decode_invalid: Cell::new(1),
        decode_null: Cell::new(0),
        bytes_max: usize::try_from(bytes_max).unwrap_or(usize::MAX),
        full,
        encoder: RefCell::default(),
        decoder: RefCell::default(),
    };
    let module = register_sharing(lua, &share(lua, json)?, FUNCTIONS)?;
    module.raw_set("null", Value::NULL)?;
    module.raw_set("_NAME", "cjson")?;
    module.raw_set("_VERSION", "2.1.0")?;
    Ok(Value::Table(module))
}

/// Which switch a function turns.
type Which = fn(&Json) -> &Cell<i32>;

fn at_most(frame: &Frame<'_>, arguments: i32) -> Result<(), String> {
    match frame.len() <= arguments {
        true => Ok(()),
        false => Err(frame.refuse(arguments + 1, "found too many arguments")),
    }
}

/// Sets a number, if one is given.
fn set_number(
    frame: &Frame<'_>,
    argument: i32,
    setting: &Cell<i32>,
    least: i32,
    most: i32,
) -> Result<(), String> {
    if !frame.is_absent(argument) {
        let number = frame.integer(argument)?;
        if number < least || number > most {
            let why = format!("expected integer between {least} and {most}");
            return Err(frame.refuse(1, &why));
        }
        setting.set(number);
    }
    Ok(())
}

/// Sets one of a few words, where `true` is the second, if one is given.
fn set_word(
    frame: &Frame<'_>,
    argument: i32,
    setting: &Cell<i32>,
    words: &[&str],
) -> Result<(), String> {
    match frame.is(argument) {
        Is::None | Is::Nil => {}
        Is::Boolean => setting.set(frame.truth(argument).into()),
        _ => setting.set(frame.option(argument, None, words)? as i32),
    }
    Ok(())
}

/// Pushes which word is set.
fn push_word(frame: &mut Frame<'_>, setting: &Cell<i32>, words: &[&str]) {
    match setting.get() {
        set @ (0 | 1) => frame.push_boolean(set == 1),
        set => frame.push_text(words[set as usize].as_bytes()),
    }
}

fn switch(frame: &mut Frame<'_>, which: Which, words: &[&str]) -> Answer {
    at_most(frame, 1)?;
    let setting = which(frame.shared());
    set_word(frame, 1, setting, words)?;
    push_word(frame, setting, words);
    Ok(1)
}

fn number(frame: &mut Frame<'_>, which: Which, most: i32) -> Answer {
    at_most(frame, 1)?;
    let setting = which(frame.shared());
    set_number(frame, 1, setting, 1, most)?;
    frame.push_number(setting.get().into());
    Ok(1)
}

fn encode_sparse_array(frame: &mut Frame<'_>) -> Answer {
    at_most(frame, 3)?;
    let json = frame.shared::<Json>();
    set_word(frame, 1, &json.sparse_convert, SWITCH)?;
    set_number(frame, 2, &json.sparse_ratio, 0, i32::MAX)?;
    set_number(frame, 3, &json.sparse_safe, 0, i32::MAX)?;
    push_word(frame, &json.sparse_convert, SWITCH);
    frame.push_number(json.sparse_ratio.get().into());
    frame.push_number(json.sparse_safe.get().into());
    Ok(3)
}

#[cfg(test)]
mod tests;
