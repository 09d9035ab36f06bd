//! The module `struct`: values to bytes and back by a format, as Lua's struct library 0.2.
//!
//! Owns:    the format's options.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  what is packed is on the script's account while it grows.
//! Never:   reads beyond the text.

use mlua::{Lua, Value};

use crate::lua::frame::{Answer, Frame, Is};
use crate::lua::userdata::{Entry, function, register};

/// Largest size of an integer.
const INTEGER_BYTES_MAX: usize = 32;

/// Bytes that are packed without asking the account.
const FREE_BYTES: usize = 4096;

/// Alignment of `!` without a number: that of a double.
const ALIGN_DEFAULT: usize = 8;

const FUNCTIONS: &[Entry] = &[
    function(c"pack", pack),
    function(c"unpack", unpack),
    function(c"size", size),
];

/// The module.
pub(crate) fn open(lua: &Lua) -> mlua::Result<Value> {
    register(lua, FUNCTIONS).map(Value::Table)
}

/// What one option of a format says.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Item {
    Integer {
        bytes: usize,
        signed: bool,
    },
    Float,
    Double,
    Padding,
    /// So many bytes of a text; 0 for all of it, or as many as the number before says.
    Fixed(usize),
    /// A text and the zero that ends it.
    Terminated,
}

impl Item {
    /// Bytes, where they are fixed.
    fn bytes(self) -> usize {
        match self {
            Item::Integer { bytes, .. } => bytes,
            Item::Float => 4,
            Item::Double => 8,
            Item::Padding => 1,
            Item::Fixed(bytes) => bytes,
            Item::Terminated => 0,
        }
    }
}

/// Reads a format.
struct Format<'f> {
    rest: &'f [u8],
    big: bool,
    align: usize,
}

impl<'f> Format<'f> {
    /// The first argument.
    fn of(frame: &Frame<'f>) -> Result<Format<'f>, String> {
        let text = frame.text(1)?;
        // The library takes a C string.
        let end = text
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(text.len());
        Ok(Format {
            rest: &text[..end],
            big: cfg!(target_endian = "big"),
            align: 1,
        })
    }

    /// The number that follows.
    fn digits(&mut self) -> Option<usize> {
        let digits = self
            .rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        (digits > 0).then(|| {
            number.iter().fold(0, |sum: usize, digit| {
                (sum * 10 + usize::from(digit - b'0')).min(i32::MAX as usize)
            })
        })
    }

    /// The next item.
    fn next(&mut self, frame: &Frame<'_>) -> Result<Option<Item>, String> {
        while let Some((&option, rest)) = self.rest.split_first() {
            self.rest = rest;
            let integer = |bytes| Item::Integer {
                bytes,
                signed: option.is_ascii_lowercase(),
            };
            return Ok(Some(match option {
                b'b' | b'B' => integer(1),
                b'h' | b'H' => integer(2),
                b'l' | b'L' | b'T' => integer(8),
                b'i' | b'I' => {
                    let bytes = self.digits().unwrap_or(4);
                    if bytes > INTEGER_BYTES_MAX {
                        return Err(format!(
                            "integral size {bytes} is larger than limit of {INTEGER_BYTES_MAX}"
                        ));
                    }
                    integer(bytes)
                }
                b'f' => Item::Float,
                b'd' => Item::Double,
                b'x' => Item::Padding,
                b'c' => Item::Fixed(self.digits().unwrap_or(1)),
                b's' => Item::Terminated,
                _ => {
                    self.control(option, frame)?;
                    continue;
                }
            }));
        }
        Ok(None)
    }

    fn control(&mut self, option: u8, frame: &Frame<'_>) -> Result<(), String> {
        match option {
            b' ' => {}
            b'>' => self.big = true,
            b'<' => self.big = false,
            b'!' => {
                let align = self.digits().unwrap_or(ALIGN_DEFAULT);
                if !align.is_power_of_two() {
                    return Err(format!("alignment {align} is not a power of 2"));
                }
                self.align = align;
            }
            _ => {
                let option = option.escape_ascii();
                return Err(frame.refuse(1, &format!("invalid format option '{option}'")));
            }
        }
        Ok(())
    }

    /// Bytes to fill in front of an item at `at`.
    fn padding(&self, item: Item, at: usize) -> usize {
        let bytes = item.bytes().min(self.align);
        if bytes == 0 || matches!(item, Item::Fixed(_)) {
            return 0;
        }
        (bytes - (at & (bytes - 1))) & (bytes - 1)
    }
}

fn pack(frame: &mut Frame<'_>) -> Answer {
    let mut format = Format::of(frame)?;
    let mut out = Vec::new();
    let mut argument = 1;
    while let Some(item) = format.next(frame)? {
        make_room(frame, &mut out, 2 * INTEGER_BYTES_MAX);
        out.resize(out.len() + format.padding(item, out.len()), 0);
        if item == Item::Padding {
            out.push(0);
            continue;
        }
        argument += 1;
        match item {
            Item::Integer { bytes, .. } => {
                put_integer(frame.number(argument)?, bytes, format.big, &mut out);
            }
            Item::Float => {
                let bytes = (frame.number(argument)? as f32).to_le_bytes();
                put(bytes, format.big, &mut out);
            }
            Item::Double => put(frame.number(argument)?.to_le_bytes(), format.big, &mut out),
            Item::Fixed(bytes) => {
                let text = frame.text(argument)?;
                let text = match bytes {
                    0 => text,
                    _ => text
                        .get(..bytes)
                        .ok_or_else(|| frame.refuse(argument, "string too short"))?,
                };
                make_room(frame, &mut out, text.len());
                out.extend_from_slice(text);
            }
            Item::Terminated => {
                let text = frame.text(argument)?;
                make_room(frame, &mut out, text.len() + 1);
                out.extend_from_slice(text);
                out.push(0);
            }
            Item::Padding => {}
        }
    }
    frame.push_text(&out);
    Ok(1)
}

/// Makes room for so many bytes more, on the script's account: one text may be packed many times.
fn make_room(frame: &mut Frame<'_>, out: &mut Vec<u8>, more: usize) {
    let needed = out.len() + more;
    if needed > out.capacity() {
        let capacity = needed.max(2 * out.capacity());
        if capacity > FREE_BYTES {
            frame.pop_to(frame.len());
            frame.push_ballast(capacity);
        }
        out.reserve_exact(capacity - out.len());
    }
}

fn put<const N: usize>(mut bytes: [u8; N], big: bool, out: &mut Vec<u8>) {
    if big {
        bytes.reverse();
    }
    out.extend_from_slice(&bytes);
}

fn put_integer(number: f64, bytes: usize, big: bool, out: &mut Vec<u8>) {
    let value = match number < 0.0 {
        true => number as i64 as u64,
        false => number as u64,
    };
    let mut all = [0; INTEGER_BYTES_MAX];
    all[..8].copy_from_slice(&value.to_le_bytes());
    let all = &mut all[..bytes];
    if big {
        all.reverse();
    }
    out.extend_from_slice(all);
}

fn get<const N: usize>(text: &[u8], big: bool) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&text[..N]);
    if big {
        bytes.reverse();
    }
    bytes
}

fn get_integer(text: &[u8], signed: bool, big: bool) -> f64 {
    let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    let value = match big {
        true => text.iter().fold(0, fold),
        false => text.iter().rev().fold(0, fold),
    };
    if !signed {
        return value as f64;
    }
    let unused = 64_usize.saturating_sub(text.len() * 8);
    match unused {
        64 => 0.0,
        _ => (((value << unused) as i64) >> unused) as f64,
    }
}

fn unpack(frame: &mut Frame<'_>) -> Answer {
    let mut format = Format::of(frame)?;
    let text = frame.text(2)?;
    let start = frame.number_or(3, 1.0)?;
    if start < 1.0 {
        return Err(frame.refuse(3, "offset must be 1 or greater"));
    }
    let mut at = start as usize - 1;
    let mut results = 0;
    while let Some(item) = format.next(frame)? {
        at = at.saturating_add(format.padding(item, at));
        let short = |frame: &Frame<'_>| frame.refuse(2, "data string too short");
        let rest = text.get(at..).ok_or_else(|| short(frame))?;
        let field = rest.get(..item.bytes()).ok_or_else(|| short(frame))?;
        at += item.bytes();
        match item {
            Item::Padding => continue,
            Item::Integer { signed, .. } => {
                frame.push_number(get_integer(field, signed, format.big));
            }
            Item::Float => frame.push_number(f32::from_le_bytes(get(field, format.big)).into()),
            Item::Double => frame.push_number(f64::from_le_bytes(get(field, format.big))),
            Item::Fixed(0) => {
                let bytes = match frame.as_number(frame.top()) {
                    Some(bytes) if results > 0 && frame.is(frame.top()) == Is::Number => bytes,
                    _ => return Err("format 'c0' needs a previous size".into()),
                };
                frame.pop_to(frame.top() - 1);
                results -= 1;
                let bytes = match bytes >= 0.0 {
                    true => bytes as usize,
                    false => usize::MAX,
                };
                let field = rest.get(..bytes).ok_or_else(|| short(frame))?;
                frame.push_text(field);
                at += bytes;
            }
            Item::Fixed(_) => frame.push_text(field),
            Item::Terminated => {
                let end = rest.iter().position(|&byte| byte == 0);
                let end = end.ok_or("unfinished string in data")?;
                frame.push_text(&rest[..end]);
                at += end + 1;
            }
        }
        results += 1;
    }
    frame.push_number((at + 1) as f64);
    Ok(results + 1)
}

fn size(frame: &mut Frame<'_>) -> Answer {
    let mut format = Format::of(frame)?;
    let mut at = 0;
    while let Some(item) = format.next(frame)? {
        match item {
            Item::Terminated => return Err(frame.refuse(1, "option 's' has no fixed size")),
            Item::Fixed(0) => return Err(frame.refuse(1, "option 'c0' has no fixed size")),
            _ => at += format.padding(item, at) + item.bytes(),
        }
    }
    frame.push_number(at as f64);
    Ok(1)
}

#[cfg(test)]
mod tests;
