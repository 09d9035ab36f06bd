//! The module `mime.core`: coders that take a text piece by piece.
//!
//! Owns:    base64, quoted-printable, line breaks, the stuffing of dots.
//! Runs on: the thread of an input or output.            Plane: data.
//! Bounds:  what a call makes is at most the script's memory.
//! Never:   keeps anything: what a piece leaves undecided is handed back, and in again with the next.

use mlua::{IntoLuaMulti, Lua, MultiValue, Value};

use super::arguments::{Given, add};
use super::wait::Failure;
use crate::files::read_bytes_max;

const VERSION: &str = "MIME 1.0.3";

const CRLF: &[u8] = b"\r\n";

/// A soft line break of quoted-printable.
const SOFT_BREAK: &[u8] = b"=\r\n";

/// Bytes of a line, where the script does not say.
const LINE_BYTES: f64 = 76.0;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const HEXADECIMAL: &[u8; 16] = b"0123456789ABCDEF";

/// The module `mime.core`.
pub(crate) fn open(lua: &Lua) -> mlua::Result<Value> {
    let module = lua.create_table()?;
    module.raw_set("_VERSION", VERSION)?;
    add(lua, &module, "b64", |given| coded(given, encode_base64))?;
    add(lua, &module, "unb64", |given| coded(given, decode_base64))?;
    add(lua, &module, "qp", |given| coded(given, encode_quoted))?;
    add(lua, &module, "unqp", |given| coded(given, decode_quoted))?;
    add(lua, &module, "wrp", |given| wrap(given, CRLF, wrap_text))?;
    add(lua, &module, "qpwrp", |given| {
        wrap(given, SOFT_BREAK, wrap_quoted)
    })?;
    add(lua, &module, "eol", normalize)?;
    add(lua, &module, "dot", stuff)?;
    Ok(Value::Table(module))
}

/// What a coder writes to.
struct Out {
    bytes: Vec<u8>,
    limit: usize,
}

impl Out {
    fn new(lua: &Lua) -> Out {
        Out {
            bytes: Vec::new(),
            limit: read_bytes_max(lua),
        }
    }

    fn put(&mut self, bytes: &[u8]) -> mlua::Result<()> {
        self.bytes.extend_from_slice(bytes);
        match self.bytes.len() > self.limit {
            true => Err(Failure::Memory.raised()),
            false => Ok(()),
        }
    }
}

/// Codes what it can of a text, with a marker for line breaks; answers what is left. The last piece is all coded.
type Coder = fn(&[u8], bool, &[u8], &mut Out) -> mlua::Result<Vec<u8>>;

/// `coder(left from before, piece, marker)`: what was made, and what is left for the next time. Without a piece it was the last one.
fn coded(given: &Given<'_>, coder: Coder) -> mlua::Result<MultiValue> {
    let lua = given.lua;
    let (before, piece) = (given.text_or_none(1)?, given.text_or_none(2)?);
    let marker = marker(given)?;
    let Some(before) = before else {
        return (Value::Nil, Value::Nil).into_lua_multi(lua);
    };
    let mut all = before.as_bytes().to_vec();
    if let Some(piece) = &piece {
        all.extend_from_slice(&piece.as_bytes());
    }
    let mut out = Out::new(lua);
    let left = coder(&all, piece.is_none(), &marker, &mut out)?;
    if piece.is_none() {
        let made = (!out.bytes.is_empty()).then(|| lua.create_string(&out.bytes));
        return (made.transpose()?, Value::Nil).into_lua_multi(lua);
    }
    (lua.create_string(&out.bytes)?, lua.create_string(left)?).into_lua_multi(lua)
}

fn marker(given: &Given<'_>) -> mlua::Result<Vec<u8>> {
    Ok(match given.text_or_none(3)? {
        Some(marker) => marker.as_bytes().to_vec(),
        None => CRLF.to_vec(),
    })
}

fn encode_base64(text: &[u8], last: bool, _marker: &[u8], out: &mut Out) -> mlua::Result<Vec<u8>> {
    let (groups, rest) = text.as_chunks::<3>();
    for group in groups {
        out.put(&letters(*group))?;
    }
    if last && !rest.is_empty() {
        let mut group = [0; 3];
        group[..rest.len()].copy_from_slice(rest);
        let mut letters = letters(group);
        letters[rest.len() + 1..].fill(b'=');
        out.put(&letters)?;
    }
    Ok(rest.to_vec())
}

fn letters([first, second, third]: [u8; 3]) -> [u8; 4] {
    let all = u32::from_be_bytes([0, first, second, third]);
    [18, 12, 6, 0].map(|shift| ALPHABET[(all >> shift) as usize & 63])
}

/// The six bits of a letter; of padding, none are set.
fn bits(letter: u8) -> Option<u32> {
    let letter = match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        b'=' => 0,
        _ => return None,
    };
    Some(letter.into())
}

fn decode_base64(text: &[u8], _last: bool, _marker: &[u8], out: &mut Out) -> mlua::Result<Vec<u8>> {
    // Line breaks, and whatever else is no letter, count for nothing.
    let letters: Vec<u8> = text
        .iter()
        .copied()
        .filter(|&letter| bits(letter).is_some())
        .collect();
    let (groups, rest) = letters.as_chunks::<4>();
    for group in groups {
        let all = group
            .iter()
            .fold(0, |all, &letter| all << 6 | bits(letter).unwrap_or(0));
        let count = match group {
            [_, _, b'=', _] => 1,
            [_, _, _, b'='] => 2,
            _ => 3,
        };
        out.put(&u32::to_be_bytes(all)[1..=count])?;
    }
    Ok(rest.to_vec())
}

/// Whether a byte may stand for itself, wherever it is.
fn is_plain(byte: u8) -> bool {
    matches!(byte, 33..=60 | 62..=126)
}

fn quote(byte: u8, out: &mut Out) -> mlua::Result<()> {
    let digit = |four: u8| HEXADECIMAL[usize::from(four)];
    out.put(&[b'=', digit(byte >> 4), digit(byte & 15)])
}

fn encode_quoted(text: &[u8], last: bool, marker: &[u8], out: &mut Out) -> mlua::Result<Vec<u8>> {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let behind = &text[at + 1..];
        match byte {
            b'\r' => match behind.first() {
                None => break,
                Some(b'\n') => {
                    out.put(marker)?;
                    at += 1;
                }
                Some(_) => quote(byte, out)?,
            },
            // White space is quoted where it ends a line.
            b' ' | b'\t' => match behind.get(..2) {
                None => break,
                Some(CRLF) => {
                    quote(byte, out)?;
                    out.put(marker)?;
                    at += 2;
                }
                Some(_) => out.put(&[byte])?,
            },
            _ if is_plain(byte) => out.put(&[byte])?,
            _ => quote(byte, out)?,
        }
        at += 1;
    }
    if last && at < text.len() {
        for &byte in &text[at..] {
            match is_plain(byte) {
                true => out.put(&[byte])?,
                false => quote(byte, out)?,
            }
        }
        out.put(SOFT_BREAK)?;
    }
    Ok(text[at..].to_vec())
}

fn decode_quoted(text: &[u8], _last: bool, _marker: &[u8], out: &mut Out) -> mlua::Result<Vec<u8>> {
    let mut rest = text;
    loop {
        let taken = match rest {
            [b'=', b'\r', b'\n', ..] => 3,
            [b'=', high, low, ..] => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                match (digit(*high), digit(*low)) {
                    (Some(high), Some(low)) => out.put(&[(high << 4 | low) as u8])?,
                    // What is no quotation is left as it is.
                    _ => out.put(&rest[..3])?,
                }
                3
            }
            [b'\r', b'\n', ..] => {
                out.put(CRLF)?;
                2
            }
            [b'\r', _, ..] => 2,
            [b'=' | b'\r', ..] | [] => return Ok(rest.to_vec()),
            [byte, ..] => {
                if matches!(byte, b'\t' | 32..=126) {
                    out.put(&[*byte])?;
                }
                1
            }
        };
        rest = &rest[taken..];
    }
}

/// Bytes that must still fit into the line for this one to be put there.
type Needs = fn(u8) -> f64;

fn wrap_text(_byte: u8) -> f64 {
    1.0
}

/// A quotation stays whole, and there is room for what ends a soft line.
fn wrap_quoted(byte: u8) -> f64 {
    match byte {
        b'=' => 4.0,
        _ => 2.0,
    }
}

/// `wrap(left in the line, piece, length)`: the piece in lines, and what is left in the last of them.
fn wrap(given: &Given<'_>, line_break: &[u8], needs: Needs) -> mlua::Result<MultiValue> {
    let lua = given.lua;
    let mut left = given.number(1)?.trunc();
    let length = given.number_or(3, LINE_BYTES)?.trunc();
    let Some(piece) = given.text_or_none(2)? else {
        let end = (left < length).then(|| lua.create_string(line_break));
        return (end.transpose()?, length).into_lua_multi(lua);
    };
    let mut out = Out::new(lua);
    for &byte in piece.as_bytes().iter() {
        match byte {
            b'\r' => {}
            b'\n' => {
                out.put(CRLF)?;
                left = length;
            }
            _ => {
                if left < needs(byte) {
                    out.put(line_break)?;
                    left = length;
                }
                out.put(&[byte])?;
                left -= 1.0;
            }
        }
    }
    (lua.create_string(&out.bytes)?, left).into_lua_multi(lua)
}

/// `eol(context, piece, marker)`: every kind of line break becomes the marker. The context is half a line break, or 0.
fn normalize(given: &Given<'_>) -> mlua::Result<MultiValue> {
    let lua = given.lua;
    let mut context = given.number(1)? as u8;
    let piece = given.text_or_none(2)?;
    let marker = marker(given)?;
    let Some(piece) = piece else {
        return (Value::Nil, 0).into_lua_multi(lua);
    };
    let mut out = Out::new(lua);
    for &byte in piece.as_bytes().iter() {
        let half = matches!(context, b'\r' | b'\n');
        context = match byte {
            b'\r' | b'\n' if half => {
                if byte == context {
                    out.put(&marker)?;
                }
                0
            }
            b'\r' | b'\n' => {
                out.put(&marker)?;
                byte
            }
            _ => {
                out.put(&[byte])?;
                0
            }
        };
    }
    (lua.create_string(&out.bytes)?, context).into_lua_multi(lua)
}

/// `dot(bytes of a line break before, piece)`: a dot that begins a line is doubled.
fn stuff(given: &Given<'_>) -> mlua::Result<MultiValue> {
    let lua = given.lua;
    let mut before = given.number(1)? as u8;
    let Some(piece) = given.text_or_none(2)? else {
        return (Value::Nil, 2).into_lua_multi(lua);
    };
    let mut out = Out::new(lua);
    for &byte in piece.as_bytes().iter() {
        out.put(&[byte])?;
        before = match (byte, before) {
            (b'\r', _) => 1,
            (b'\n', 1) => 2,
            (b'.', 2) => {
                out.put(b".")?;
                0
            }
            _ => 0,
        };
    }
    (lua.create_string(&out.bytes)?, before).into_lua_multi(lua)
}
