//! From JSON to values.
//!
//! Owns:    `Decoder`: room for texts with escapes, how large tables were.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  tables in tables by `decode_max_depth` and Lua's stack; a text with escapes by the input.
//! Never:   reads beyond a zero byte: there the library sees the end.

use super::{Json, KEPT_BYTES_MAX};
use crate::lua::frame::{Answer, Frame};
use crate::number::read_number;

/// Depths whose tables are made as large as the last one there was.
const DEPTHS: usize = 16;

/// Room that a table is made with at most.
const ROOM_MAX: u16 = 128;

/// What stays from call to call.
#[derive(Default)]
pub(super) struct Decoder {
    unescaped: Vec<u8>,
    levels: Vec<Level>,
    /// Items and fields of the last table at each depth.
    sizes: [(u16, u16); DEPTHS],
}

/// A table that is being read.
#[derive(Clone, Copy)]
struct Level {
    slot: i32,
    is_object: bool,
    /// Items or fields so far.
    count: i32,
}

#[derive(Clone, Copy)]
enum Token {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    /// From where to where.
    Plain {
        start: usize,
        end: usize,
    },
    /// A text that had escapes: in `Reader::unescaped`.
    Unescaped,
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    Error(&'static str),
}

impl Token {
    /// The names that stand in texts.
    fn name(self) -> &'static str {
        match self {
            Token::ObjectBegin => "T_OBJ_BEGIN",
            Token::ObjectEnd => "T_OBJ_END",
            Token::ArrayBegin => "T_ARR_BEGIN",
            Token::ArrayEnd => "T_ARR_END",
            Token::Plain { .. } | Token::Unescaped => "T_STRING",
            Token::Number(_) => "T_NUMBER",
            Token::Boolean(_) => "T_BOOLEAN",
            Token::Null => "T_NULL",
            Token::Colon => "T_COLON",
            Token::Comma => "T_COMMA",
            Token::End => "T_END",
            Token::Error(said) => said,
        }
    }
}

/// The text, and where the reader is.
struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    /// Where the last token begins, or what is wrong in it.
    place: usize,
    invalid_numbers: bool,
    unescaped: Vec<u8>,
}

/// The function.
pub(super) fn decode(frame: &mut Frame<'_>) -> Answer {
    if frame.len() != 1 {
        return Err(frame.refuse(1, "expected 1 argument"));
    }
    let json = frame.shared::<Json>();
    let text = frame.text(1)?;
    if text.len() >= 2 && (text[0] == 0 || text[1] == 0) {
        return Err("JSON parser does not support UTF-16 or UTF-32".into());
    }
    let mut decoder = json.decoder.borrow_mut();
    let decoder = &mut *decoder;
    let mut reader = Reader {
        text,
        at: 0,
        place: 0,
        invalid_numbers: json.decode_invalid.get() != 0,
        unescaped: std::mem::take(&mut decoder.unescaped),
    };
    decoder.levels.clear();
    let read = decoder.outermost(frame, json, &mut reader);
    decoder.unescaped = reader.unescaped;
    decoder.unescaped.clear();
    decoder.unescaped.shrink_to(KEPT_BYTES_MAX);
    read.map(|()| 1)
}

impl Decoder {
    fn outermost(
        &mut self,
        frame: &mut Frame<'_>,
        json: &Json,
        reader: &mut Reader<'_>,
    ) -> Result<(), String> {
        let mut token = reader.token();
        while let Some(next) = self.value(frame, json, reader, token)? {
            token = next;
        }
        match reader.token() {
            Token::End => Ok(()),
            found => Err(reader.expected("the end", found)),
        }
    }

    /// Reads a value that begins with a token, and what follows it up to the next; `None` at the end of the outermost value.
    #[inline]
    fn value(
        &mut self,
        frame: &mut Frame<'_>,
        json: &Json,
        reader: &mut Reader<'_>,
        token: Token,
    ) -> Result<Option<Token>, String> {
        match token {
            Token::Plain { start, end } => frame.push_text(&reader.text[start..end]),
            Token::Unescaped => frame.push_text(&reader.unescaped),
            Token::Number(number) => frame.push_number(number),
            Token::Boolean(truth) => frame.push_boolean(truth),
            Token::Null if json.decode_null.get() != 0 => frame.push_null(),
            Token::Null => frame.push_nil(),
            Token::ObjectBegin => {
                self.begin(frame, json, reader, true)?;
                return match reader.token() {
                    Token::ObjectEnd => self.end(frame, reader),
                    key => self.key(frame, reader, key).map(Some),
                };
            }
            Token::ArrayBegin => {
                self.begin(frame, json, reader, false)?;
                return match reader.token() {
                    Token::ArrayEnd => self.end(frame, reader),
                    first => Ok(Some(first)),
                };
            }
            _ => return Err(reader.expected("value", token)),
        }
        self.after(frame, reader)
    }

    /// Puts the value on top into the table that it is in, and reads on.
    #[inline]
    fn after(
        &mut self,
        frame: &mut Frame<'_>,
        reader: &mut Reader<'_>,
    ) -> Result<Option<Token>, String> {
        let Some(level) = self.levels.last_mut() else {
            return Ok(None);
        };
        level.count += 1;
        if level.is_object {
            frame.set(level.slot);
            match reader.token() {
                Token::Comma => {
                    let key = reader.token();
                    self.key(frame, reader, key).map(Some)
                }
                Token::ObjectEnd => self.end(frame, reader),
                found => Err(reader.expected("comma or object end", found)),
            }
        } else {
            frame.set_item(level.slot, level.count);
            match reader.token() {
                Token::Comma => Ok(Some(reader.token())),
                Token::ArrayEnd => self.end(frame, reader),
                found => Err(reader.expected("comma or array end", found)),
            }
        }
    }

    fn begin(
        &mut self,
        frame: &mut Frame<'_>,
        json: &Json,
        reader: &Reader<'_>,
        is_object: bool,
    ) -> Result<(), String> {
        let depth = self.levels.len() + 1;
        if depth as i64 > json.decode_max_depth.get().into() || !frame.try_reserve(3) {
            let at = reader.at;
            return Err(format!(
                "Found too many nested data structures ({depth}) at character {at}"
            ));
        }
        let (items, fields) = self.sizes[self.levels.len() % DEPTHS];
        match is_object {
            true => frame.push_table(0, fields),
            false => frame.push_table(items, 0),
        }
        self.levels.push(Level {
            slot: frame.top(),
            is_object,
            count: 0,
        });
        Ok(())
    }

    /// A table ends, and is a value itself.
    fn end(
        &mut self,
        frame: &mut Frame<'_>,
        reader: &mut Reader<'_>,
    ) -> Result<Option<Token>, String> {
        if let Some(level) = self.levels.pop() {
            let count = u16::try_from(level.count).unwrap_or(ROOM_MAX).min(ROOM_MAX);
            let size = &mut self.sizes[self.levels.len() % DEPTHS];
            match level.is_object {
                true => size.1 = count,
                false => size.0 = count,
            }
        }
        self.after(frame, reader)
    }

    /// Pushes a key, and answers the token behind its colon.
    #[inline]
    fn key(
        &mut self,
        frame: &mut Frame<'_>,
        reader: &mut Reader<'_>,
        token: Token,
    ) -> Result<Token, String> {
        match token {
            Token::Plain { start, end } => frame.push_text(&reader.text[start..end]),
            Token::Unescaped => frame.push_text(&reader.unescaped),
            _ => return Err(reader.expected("object key string", token)),
        }
        match reader.token() {
            Token::Colon => Ok(reader.token()),
            found => Err(reader.expected("colon", found)),
        }
    }
}

impl Reader<'_> {
    #[inline]
    fn byte(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    #[cold]
    fn expected(&self, what: &str, found: Token) -> String {
        let (found, at) = (found.name(), self.place + 1);
        format!("Expected {what} but found {found} at character {at}")
    }

    #[inline]
    fn token(&mut self) -> Token {
        while matches!(self.byte(0), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        self.place = self.at;
        let token = match self.byte(0) {
            b'"' => return self.text_token(),
            b'-' | b'0'..=b'9' => return self.number_token(false),
            b'{' => Token::ObjectBegin,
            b'}' => Token::ObjectEnd,
            b'[' => Token::ArrayBegin,
            b']' => Token::ArrayEnd,
            b':' => Token::Colon,
            b',' => Token::Comma,
            0 => return Token::End,
            _ => return self.word_token(),
        };
        self.at += 1;
        token
    }

    fn text_token(&mut self) -> Token {
        let start = self.at + 1;
        self.at = start + plain_bytes(&self.text[start..]);
        if self.byte(0) == b'"' {
            let end = self.at;
            self.at += 1;
            return Token::Plain { start, end };
        }
        self.unescaped.clear();
        self.unescaped.extend_from_slice(&self.text[start..self.at]);
        self.escaped_text_token()
    }

    /// Goes on with a text at what is no plain byte.
    fn escaped_text_token(&mut self) -> Token {
        loop {
            match self.byte(0) {
                b'"' => {
                    self.at += 1;
                    return Token::Unescaped;
                }
                b'\\' => {
                    if let Err(said) = self.unescape() {
                        return self.error(said);
                    }
                }
                _ => return self.error("unexpected end of string"),
            }
            let rest = self.text.get(self.at..).unwrap_or_default();
            let plain = plain_bytes(rest);
            self.unescaped.extend_from_slice(&rest[..plain]);
            self.at += plain;
        }
    }

    /// Reads an escape.
    fn unescape(&mut self) -> Result<(), &'static str> {
        let byte = match self.byte(1) {
            byte @ (b'"' | b'\\' | b'/') => byte,
            b'b' => 8,
            b't' => b'\t',
            b'n' => b'\n',
            b'f' => 12,
            b'r' => b'\r',
            b'u' => {
                let (point, bytes) =
                    code_point(&self.text[self.at..]).ok_or("invalid unicode escape code")?;
                let mut utf8 = [0; 4];
                let utf8 = point.encode_utf8(&mut utf8);
                self.unescaped.extend_from_slice(utf8.as_bytes());
                self.at += bytes;
                return Ok(());
            }
            _ => return Err("invalid escape code"),
        };
        self.unescaped.push(byte);
        self.at += 2;
        Ok(())
    }

    #[cold]
    fn error(&mut self, said: &'static str) -> Token {
        self.place = self.at;
        Token::Error(said)
    }

    fn number_token(&mut self, checked: bool) -> Token {
        let rest = &self.text[self.at..];
        if !checked && !self.invalid_numbers && is_invalid(rest) {
            return self.error("invalid number");
        }
        match read_number(rest) {
            Some((number, bytes)) => {
                self.at += bytes;
                Token::Number(number)
            }
            None => self.error("invalid number"),
        }
    }

    fn word_token(&mut self) -> Token {
        let rest = &self.text[self.at..];
        for (word, token) in [
            (&b"true"[..], Token::Boolean(true)),
            (b"false", Token::Boolean(false)),
            (b"null", Token::Null),
        ] {
            if rest.starts_with(word) {
                self.at += word.len();
                return token;
            }
        }
        let begins = matches!(rest.first(), Some(b'+' | b'i' | b'I' | b'n' | b'N'));
        if begins && self.invalid_numbers && is_invalid(rest) {
            return self.number_token(true);
        }
        self.error("invalid token")
    }
}

/// Whether what C would read as a number is none in JSON: a plus in front, hexadecimal digits, zeros in front, infinity and no number.
fn is_invalid(text: &[u8]) -> bool {
    let text = match text.first() {
        Some(b'+') => return true,
        Some(b'-') => &text[1..],
        _ => text,
    };
    match text {
        [b'0', second, ..] => matches!(second, b'x' | b'X' | b'0'..=b'9'),
        [first, ..] if *first <= b'9' => false,
        _ => text.get(..3).is_some_and(|start| {
            start.eq_ignore_ascii_case(b"inf") || start.eq_ignore_ascii_case(b"nan")
        }),
    }
}

fn unit(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |sum, &digit| {
        Some(sum << 4 | char::from(digit).to_digit(16)?)
    })
}

/// The code point of an escape, and how many bytes spell it: two escapes for those that UTF-16 writes as a pair.
fn code_point(text: &[u8]) -> Option<(char, usize)> {
    let high = unit(text)?;
    if high & 0xf800 != 0xd800 {
        return Some((char::from_u32(high)?, 6));
    }
    if high & 0x400 != 0 {
        return None;
    }
    let low = unit(text.get(6..)?)?;
    if low & 0xfc00 != 0xdc00 {
        return None;
    }
    let point = ((high & 0x3ff) << 10 | low & 0x3ff) + 0x1_0000;
    Some((char::from_u32(point)?, 12))
}

/// Bytes in front of the next quotation mark, escape or zero.
#[inline]
fn plain_bytes(text: &[u8]) -> usize {
    text.iter()
        .position(|byte| matches!(byte, b'"' | b'\\' | 0))
        .unwrap_or(text.len())
}
