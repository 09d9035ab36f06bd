//! From values to JSON.
//!
//! Owns:    `Encoder`: the text so far, and the tables that it is in.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  the text by `Json::bytes_max`; tables in tables by `encode_max_depth` and Lua's stack.
//! Never:   goes through what is in a table twice: where a table is no array after all, only its plain values were written.

use super::{Json, KEPT_BYTES_MAX};
use crate::lua::frame::{Answer, Frame, Is};
use crate::number::print_significant;

/// What is put in the place of a byte; empty where it stands for itself.
const ESCAPES: [&str; 256] = {
    let mut escapes = [""; 256];
    let controls = [
        "\\u0000", "\\u0001", "\\u0002", "\\u0003", "\\u0004", "\\u0005", "\\u0006", "\\u0007",
        "\\b", "\\t", "\\n", "\\u000b", "\\f", "\\r", "\\u000e", "\\u000f", "\\u0010", "\\u0011",
        "\\u0012", "\\u0013", "\\u0014", "\\u0015", "\\u0016", "\\u0017", "\\u0018", "\\u0019",
        "\\u001a", "\\u001b", "\\u001c", "\\u001d", "\\u001e", "\\u001f",
    ];
    let mut byte = 0;
    while byte < controls.len() {
        escapes[byte] = controls[byte];
        byte += 1;
    }
    escapes[b'"' as usize] = "\\\"";
    escapes[b'\\' as usize] = "\\\\";
    escapes[b'/' as usize] = "\\/";
    escapes[0x7f] = "\\u007f";
    escapes
};

/// The text so far, and the tables that it is in.
#[derive(Default)]
pub(super) struct Encoder {
    out: Vec<u8>,
    levels: Vec<Level>,
}

/// A table that is being written.
#[derive(Clone, Copy)]
struct Level {
    slot: i32,
    /// Where it begins in the text.
    start: usize,
    form: Form,
}

#[derive(Clone, Copy)]
enum Form {
    /// An array as far as it was seen: keys came one after the other, and no value was a table.
    Likely {
        position: i32,
        items: i32,
    },
    /// An array of so many items.
    Array {
        next: i32,
        items: i32,
    },
    Object {
        position: i32,
    },
}

/// The function.
pub(super) fn encode(frame: &mut Frame<'_>) -> Answer {
    if frame.len() != 1 {
        return Err(frame.refuse(1, "expected 1 argument"));
    }
    let json = frame.shared::<Json>();
    let mut encoder = json.encoder.borrow_mut();
    let encoder = &mut *encoder;
    encoder.out.clear();
    encoder.out.shrink_to(KEPT_BYTES_MAX);
    encoder.levels.clear();
    encoder.value(frame, json, 1)?;
    while encoder.advance(frame, json)? {
        let slot = frame.top();
        encoder.value(frame, json, slot)?;
    }
    frame.pop_to(1);
    frame.push_text(&encoder.out);
    Ok(1)
}

#[cold]
fn refuse(frame: &Frame<'_>, slot: i32, reason: &str) -> String {
    format!("Cannot serialise {}: {reason}", frame.type_name(slot))
}

impl Encoder {
    /// Writes a value; of a table, that it begins.
    #[inline]
    fn value(&mut self, frame: &mut Frame<'_>, json: &Json, slot: i32) -> Result<(), String> {
        match frame.is(slot) {
            Is::Text => self.text(frame, json, slot)?,
            Is::Number => self.number(frame, json, slot)?,
            Is::Boolean if frame.truth(slot) => self.out.extend_from_slice(b"true"),
            Is::Boolean => self.out.extend_from_slice(b"false"),
            Is::Nil | Is::Null => self.out.extend_from_slice(b"null"),
            Is::Table => return self.begin(frame, json, slot),
            Is::None | Is::Function | Is::Other => {
                return Err(refuse(frame, slot, "type not supported"));
            }
        }
        self.check(json)
    }

    #[inline]
    fn check(&self, json: &Json) -> Result<(), String> {
        match self.out.len() <= json.bytes_max {
            true => Ok(()),
            false => Err(json.full.into()),
        }
    }

    fn begin(&mut self, frame: &mut Frame<'_>, json: &Json, slot: i32) -> Result<(), String> {
        self.confirm(frame, json)?;
        // Where the table that it is in turned out to be an object, that begins again first.
        if frame.top() < slot {
            return Ok(());
        }
        let depth = self.levels.len() + 1;
        if depth as i64 > json.encode_max_depth.get().into() || !frame.try_reserve(3) {
            return Err(format!("Cannot serialise, excessive nesting ({depth})"));
        }
        self.levels.push(Level {
            slot,
            start: self.out.len(),
            form: Form::Likely {
                position: 0,
                items: 0,
            },
        });
        Ok(())
    }

    /// Makes sure that the innermost table is an array, if that is only likely so far. If it is not, it begins again.
    fn confirm(&mut self, frame: &mut Frame<'_>, json: &Json) -> Result<(), String> {
        let Some(level) = self.levels.last_mut() else {
            return Ok(());
        };
        let Form::Likely { items: before, .. } = level.form else {
            return Ok(());
        };
        match array_items(frame, json, level.slot)? {
            Some(items) => {
                level.form = Form::Array {
                    next: before + 1,
                    items,
                }
            }
            None => {
                level.form = Form::Object { position: 0 };
                self.out.truncate(level.start);
                frame.pop_to(level.slot);
            }
        }
        Ok(())
    }

    /// Goes to the next value, and pushes it; `false` at the end.
    fn advance(&mut self, frame: &mut Frame<'_>, json: &Json) -> Result<bool, String> {
        while let Some(level) = self.levels.last_mut() {
            frame.pop_to(level.slot);
            match &mut level.form {
                Form::Likely { position, items } => match frame.push_next(level.slot, *position) {
                    Some(next) if is_key(frame, *items + 1) => {
                        *position = next;
                        *items += 1;
                        self.out.push(if *items == 1 { b'[' } else { b',' });
                        return Ok(true);
                    }
                    Some(_) => {
                        self.scattered(frame, json)?;
                        continue;
                    }
                    None if *items == 0 => self.out.extend_from_slice(b"{}"),
                    None => self.out.push(b']'),
                },
                Form::Array { next, items } => {
                    if *next <= *items {
                        self.out.push(if *next == 1 { b'[' } else { b',' });
                        frame.push_item(level.slot, *next);
                        *next += 1;
                        return Ok(true);
                    }
                    self.out.push(b']');
                }
                Form::Object { position } => {
                    if let Some(next) = frame.push_next(level.slot, *position) {
                        self.out.push(if *position == 0 { b'{' } else { b',' });
                        *position = next;
                        self.key(frame, json)?;
                        return Ok(true);
                    }
                    self.out.push(b'}');
                }
            }
            self.check(json)?;
            self.levels.pop();
        }
        Ok(false)
    }

    /// The innermost table has other keys than one number after the other: writes it anew.
    fn scattered(&mut self, frame: &mut Frame<'_>, json: &Json) -> Result<(), String> {
        let Some(level) = self.levels.last_mut() else {
            return Ok(());
        };
        frame.pop_to(level.slot);
        self.out.truncate(level.start);
        level.form = match array_items(frame, json, level.slot)? {
            Some(items) => Form::Array { next: 1, items },
            None => Form::Object { position: 0 },
        };
        Ok(())
    }

    /// Writes the key below the value on top.
    fn key(&mut self, frame: &Frame<'_>, json: &Json) -> Result<(), String> {
        let slot = frame.top() - 1;
        match frame.is(slot) {
            Is::Text => self.text(frame, json, slot)?,
            Is::Number => {
                self.out.push(b'"');
                self.number(frame, json, slot)?;
                self.out.push(b'"');
            }
            _ => {
                return Err(refuse(frame, slot, "table key must be a number or string"));
            }
        }
        self.out.push(b':');
        Ok(())
    }

    fn text(&mut self, frame: &Frame<'_>, json: &Json, slot: i32) -> Result<(), String> {
        let out = &mut self.out;
        let fits = frame.with_text(slot, |text| {
            if out.len() + text.len() + 2 > json.bytes_max {
                return false;
            }
            write_text(text, out);
            true
        });
        match fits {
            Some(true) => Ok(()),
            _ => Err(json.full.into()),
        }
    }

    fn number(&mut self, frame: &Frame<'_>, json: &Json, slot: i32) -> Result<(), String> {
        let number = frame.number(slot)?;
        if number.is_finite() {
            print_significant(number, json.encode_precision.get() as usize, &mut self.out);
            return Ok(());
        }
        let text: &[u8] = match json.encode_invalid.get() {
            0 => return Err(refuse(frame, slot, "must not be NaN or Infinity")),
            1 if number.is_nan() => b"NaN",
            1 if number < 0.0 => b"-Infinity",
            1 => b"Infinity",
            _ => b"null",
        };
        self.out.extend_from_slice(text);
        Ok(())
    }
}

fn write_text(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = rest
        .iter()
        .position(|&byte| !ESCAPES[byte as usize].is_empty())
    {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(ESCAPES[rest[at] as usize].as_bytes());
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Whether the key below the value on top is that number.
#[inline]
fn is_key(frame: &Frame<'_>, number: i32) -> bool {
    let slot = frame.top() - 1;
    frame.is(slot) == Is::Number && frame.as_number(slot) == Some(number.into())
}

/// How many items a table has as an array; `None` for an object.
fn array_items(frame: &mut Frame<'_>, json: &Json, slot: i32) -> Result<Option<i32>, String> {
    let (mut most, mut items) = (0_i64, 0_i64);
    let mut position = 0;
    let top = frame.top();
    while let Some(next) = frame.push_next(slot, position) {
        position = next;
        let key = match frame.is(top + 1) {
            Is::Number => frame.as_number(top + 1),
            _ => None,
        };
        frame.pop_to(top);
        match key {
            Some(key) if key >= 1.0 && key.trunc() == key => {
                most = most.max(key.min(i32::MAX.into()) as i64);
                items += 1;
            }
            _ => return Ok(None),
        }
    }
    let ratio = i64::from(json.sparse_ratio.get());
    if ratio > 0 && most > items * ratio && most > json.sparse_safe.get().into() {
        return match json.sparse_convert.get() {
            0 => Err(refuse(frame, slot, "excessively sparse array")),
            _ => Ok(None),
        };
    }
    Ok((most > 0).then_some(most as i32))
}
