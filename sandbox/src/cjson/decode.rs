//! From JSON to values.
//!
//! Owns:    `Decoder`: texts with escapes while they are put together, how large tables were.
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
    /// From where to where; escapes and all.
    Text {
        start: usize,
        end: usize,
        escapes: bool,
    },
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
            Token::Text { .. } => "T_STRING",
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
    let mut reader = Reader {
        text,
        at: 0,
        place: 0,
        invalid_numbers: json.decode_invalid.get() != 0,
    };
    let mut decoder = json.decoder.borrow_mut();
    let decoder = &mut *decoder;
    decoder.unescaped.clear();
    decoder.unescaped.shrink_to(KEPT_BYTES_MAX);
    decoder.levels.clear();
    let mut token = reader.token();
    while let Some(next) = decoder.value(frame, json, &mut reader, token)? {
        token = next;
    }
    match reader.token() {
        Token::End => Ok(1),
        found => Err(reader.expected("the end", found)),
    }
}

impl Decoder {
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
            Token::Text {
                start,
                end,
                escapes,
            } => self.push_text(frame, reader, start, end, escapes)?,
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
        let Token::Text {
            start,
            end,
            escapes,
        } = token
        else {
            return Err(reader.expected("object key string", token));
        };
        self.push_text(frame, reader, start, end, escapes)?;
        match reader.token() {
            Token::Colon => Ok(reader.token()),
            found => Err(reader.expected("colon", found)),
        }
    }

    #[inline]
    fn push_text(
        &mut self,
        frame: &mut Frame<'_>,
        reader: &Reader<'_>,
        start: usize,
        end: usize,
        escapes: bool,
    ) -> Result<(), String> {
        let text = &reader.text[start..end];
        if !escapes {
            frame.push_text(text);
            return Ok(());
        }
        self.unescaped.clear();
        unescape(text, &mut self.unescaped);
        frame.push_text(&self.unescaped);
        Ok(())
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
        let mut escapes = false;
        self.at = start;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0);
            self.at += rest.iter().position(special).unwrap_or(rest.len());
            match self.byte(0) {
                b'"' => {
                    let end = self.at;
                    self.at += 1;
                    return Token::Text {
                        start,
                        end,
                        escapes,
                    };
                }
                b'\\' => {
                    escapes = true;
                    let bytes = match self.byte(1) {
                        b'"' | b'\\' | b'/' | b'b' | b't' | b'n' | b'f' | b'r' => 2,
                        b'u' => match code_point(&self.text[self.at..]) {
                            Some((_, bytes)) => bytes,
                            None => return self.error("invalid unicode escape code"),
                        },
                        _ => return self.error("invalid escape code"),
                    };
                    self.at += bytes;
                }
                _ => return self.error("unexpected end of string"),
            }
        }
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
fn code_point(text: &[u8]) -> Option<(u32, usize)> {
    let high = unit(text)?;
    if high & 0xf800 != 0xd800 {
        return Some((high, 6));
    }
    if high & 0x400 != 0 {
        return None;
    }
    let low = unit(text.get(6..)?)?;
    (low & 0xfc00 == 0xdc00).then_some((((high & 0x3ff) << 10 | low & 0x3ff) + 0x1_0000, 12))
}

/// Appends a text whose escapes were checked.
fn unescape(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&byte| byte == b'\\') {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let plain = match rest.get(1) {
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                let (point, bytes) = code_point(rest).unwrap_or((0xfffd, 2));
                let point = char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(point.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[bytes..];
                continue;
            }
            Some(&byte) => byte,
            None => break,
        };
        out.push(plain);
        rest = &rest[2..];
    }
    out.extend_from_slice(rest);
}
