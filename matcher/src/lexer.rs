//! Text to tokens.
//!
//! Owns:    `Lexer`, `Token` and everything that can be wrong below the level of the grammar.
//! Runs on: build time.            Plane: control.
//! Bounds:  one pass over the expression, which the parser bounds.
//! Never:   stops early in silence: what is not a token is an error.

use std::ops::Range;

use codecs::message::Header;

use crate::ast::{NumberHeader, Relation, Selector};
use crate::error::{Error, ErrorKind};
use crate::pattern::Pattern;
use crate::suggest;

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Text(Header),
    Number(NumberHeader),
    Field(Selector),
    Relation(Relation),
    And,
    Or,
    Open,
    Close,
    StringLiteral(String),
    NumberLiteral(f64),
    RegexLiteral(Pattern),
    Bool(bool),
    Nil,
    End,
}

/// A token and where it stood.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) span: Range<usize>,
}

/// Reads tokens from an expression, left to right.
pub(crate) struct Lexer<'e> {
    text: &'e str,
    at: usize,
}

impl<'e> Lexer<'e> {
    pub(crate) fn new(text: &'e str) -> Self {
        Lexer { text, at: 0 }
    }

    /// The expression.
    pub(crate) fn text(&self) -> &'e str {
        self.text
    }

    /// An error of this expression.
    pub(crate) fn error(
        &self,
        kind: ErrorKind,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Error {
        Error::new(kind, self.text, span, message)
    }

    fn rest(&self) -> &'e str {
        &self.text[self.at..]
    }

    /// The next token; `End` again and again after the last.
    pub(crate) fn next(&mut self) -> Result<Token, Error> {
        self.at += self.rest().len() - self.rest().trim_start_matches([' ', '\t']).len();
        let start = self.at;
        let Some(first) = self.rest().chars().next() else {
            return Ok(Token {
                kind: Kind::End,
                span: start..start,
            });
        };
        let kind = match first {
            'A'..='Z' | 'a'..='z' | '_' => self.word()?,
            '0'..='9' | '.' => self.number()?,
            '"' | '\'' => self.string(first)?,
            '/' => self.regex()?,
            '\n' | '\r' => self.line_break()?,
            _ => self.operator()?,
        };
        Ok(Token {
            kind,
            span: start..self.at,
        })
    }

    /// A line break ends an expression. At its end it is harmless; anything after it would not count.
    fn line_break(&mut self) -> Result<Kind, Error> {
        let after = self.rest().trim_start_matches([' ', '\t', '\r', '\n']);
        if after.is_empty() {
            self.at = self.text.len();
            return Ok(Kind::End);
        }
        let start = self.text.len() - after.len();
        let end = start + after.find(['\r', '\n']).unwrap_or(after.len());
        let error = self.error(
            ErrorKind::NewLine,
            start..end,
            "expected the end of the expression, found a second line",
        );
        Err(error.help("write the expression in one line"))
    }

    fn operator(&mut self) -> Result<Kind, Error> {
        const OPERATORS: [(&str, Kind); 12] = [
            ("==", Kind::Relation(Relation::Equal)),
            ("=~", Kind::Relation(Relation::Matches)),
            ("!=", Kind::Relation(Relation::NotEqual)),
            ("!~", Kind::Relation(Relation::NotMatches)),
            ("<=", Kind::Relation(Relation::LessOrEqual)),
            (">=", Kind::Relation(Relation::GreaterOrEqual)),
            ("<", Kind::Relation(Relation::Less)),
            (">", Kind::Relation(Relation::Greater)),
            ("&&", Kind::And),
            ("||", Kind::Or),
            ("(", Kind::Open),
            (")", Kind::Close),
        ];
        let rest = self.rest();
        if let Some((text, kind)) = OPERATORS
            .into_iter()
            .find(|(text, _)| rest.starts_with(text))
        {
            self.at += text.len();
            return Ok(kind);
        }
        let first = rest.chars().next().unwrap_or(' ');
        let error = self.error(
            ErrorKind::Character,
            self.at..self.at + first.len_utf8(),
            format!("unexpected character `{}`", first.escape_debug()),
        );
        Err(match suggest::for_characters(rest) {
            Some(help) => error.help(help),
            None => error,
        })
    }

    fn word(&mut self) -> Result<Kind, Error> {
        let rest = self.rest();
        let len = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(rest.len());
        let (word, start) = (&rest[..len], self.at);
        self.at += len;
        Ok(match word {
            "Uuid" => Kind::Text(Header::Uuid),
            "Type" => Kind::Text(Header::Type),
            "Logger" => Kind::Text(Header::Logger),
            "Payload" => Kind::Text(Header::Payload),
            "EnvVersion" => Kind::Text(Header::EnvVersion),
            "Hostname" => Kind::Text(Header::Hostname),
            "Timestamp" => Kind::Number(NumberHeader::Timestamp),
            "Severity" => Kind::Number(NumberHeader::Severity),
            "Pid" => Kind::Number(NumberHeader::Pid),
            "TRUE" => Kind::Bool(true),
            "FALSE" => Kind::Bool(false),
            "NIL" => Kind::Nil,
            "Fields" => return self.field(start),
            _ => {
                let next = self.rest().chars().next();
                let error = self.error(
                    ErrorKind::Word,
                    start..self.at,
                    format!("unknown word `{}`", clipped(word)),
                );
                return Err(match suggest::for_word(word, next) {
                    Some(help) => error.help(help),
                    None => error,
                });
            }
        })
    }

    /// What follows the word `Fields`, which began at `start`.
    fn field(&mut self, start: usize) -> Result<Kind, Error> {
        const FORM: &str = "fields are written `Fields[name]`, `Fields[name][index]` or `Fields[name][index][array index]`";
        let Some(name) = self.bracketed() else {
            let end = if self.rest().starts_with('[') {
                self.text.len()
            } else {
                self.at
            };
            let error = self.error(
                ErrorKind::Field,
                start..end,
                "expected `[name]` directly after `Fields`",
            );
            return Err(error.help(FORM));
        };
        let name_start = self.at - name.len() - 1;
        if name.is_empty() || name.contains(['\n', '\0']) {
            let what = if name.is_empty() {
                "a field's name is missing"
            } else {
                "a field's name cannot hold a line break"
            };
            return Err(self
                .error(ErrorKind::Field, start..self.at, what)
                .help(FORM));
        }
        debug_assert_eq!(&self.text[name_start..name_start + name.len()], name);
        let mut indexes = [0; 2];
        for index in &mut indexes {
            if !self.rest().starts_with('[') {
                break;
            }
            *index = self.index(FORM)?;
        }
        if self.rest().starts_with('[') {
            let error = self.error(
                ErrorKind::Field,
                self.at..self.at + 1,
                "a field has at most two indexes",
            );
            return Err(error.help(FORM));
        }
        Ok(Kind::Field(Selector {
            name: name.to_owned(),
            index: indexes[0],
            array_index: indexes[1],
        }))
    }

    fn index(&mut self, form: &str) -> Result<u64, Error> {
        let start = self.at;
        let digits = self.bracketed().unwrap_or("");
        let decimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        match digits.parse::<u64>() {
            Ok(index) if decimal && index <= i64::MAX as u64 => Ok(index),
            _ => {
                let end = self.at.max(start + 1);
                let error = self.error(
                    ErrorKind::Field,
                    start..end,
                    "expected a decimal index in brackets, 0 and above",
                );
                Err(error.help(form))
            }
        }
    }

    /// The text between brackets that begin here; `None`, and nothing read, where there are none.
    fn bracketed(&mut self) -> Option<&'e str> {
        let inner = self.rest().strip_prefix('[')?;
        let len = inner.find(']')?;
        self.at += len + 2;
        Some(&inner[..len])
    }

    fn number(&mut self) -> Result<Kind, Error> {
        let rest = self.rest();
        let len = rest
            .find(|c: char| !matches!(c, '0'..='9' | '.' | 'e' | '+' | '-'))
            .unwrap_or(rest.len());
        let (digits, start) = (&rest[..len], self.at);
        self.at += len;
        if self
            .rest()
            .starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        {
            let tail = self
                .rest()
                .find(|c: char| !c.is_ascii_alphanumeric())
                .unwrap_or(self.rest().len());
            let error = self.error(
                ErrorKind::Number,
                start..self.at + tail,
                format!("`{}` is not a number", clipped(&rest[..len + tail])),
            );
            let capital = self.rest().starts_with('E');
            return Err(error.help(if capital {
                "write the exponent with a small `e`"
            } else {
                "numbers are decimal: 10, .5, 1.5e+9"
            }));
        }
        match digits.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Kind::NumberLiteral(number)),
            Ok(_) => Err(self.error(
                ErrorKind::Number,
                start..self.at,
                "number too large for a double",
            )),
            Err(_) => {
                let message = format!("`{}` is not a number", clipped(digits));
                let error = self.error(ErrorKind::Number, start..self.at, message);
                Err(error.help("numbers are decimal: 10, .5, 1.5e+9; there is no arithmetic"))
            }
        }
    }

    fn string(&mut self, quote: char) -> Result<Kind, Error> {
        match self.delimited(quote) {
            Some(text) => Ok(Kind::StringLiteral(text)),
            None => {
                let error = self.error(
                    ErrorKind::String,
                    self.at..self.line_end(),
                    format!("this string has no closing {quote} in its line"),
                );
                Err(error.help(format!(
                    "a backslash before {quote} makes it part of the string"
                )))
            }
        }
    }

    fn regex(&mut self) -> Result<Kind, Error> {
        let start = self.at;
        let Some(source) = self.delimited('/') else {
            let span = start..self.line_end();
            let error = self.error(
                ErrorKind::Regex,
                span,
                "this regular expression has no closing / in its line",
            );
            return Err(error.help("write \\/ for a slash inside"));
        };
        Pattern::parse(&source)
            .map(Kind::RegexLiteral)
            .map_err(|fault| {
                let raw = &self.text[start + 1..self.at - 1];
                let span = start + 1 + raw_offset(raw, fault.span.start)
                    ..start + 1 + raw_offset(raw, fault.span.end);
                let error = self.error(
                    ErrorKind::Regex,
                    span,
                    format!("invalid regular expression: {}", fault.message),
                );
                match fault.help {
                    Some(help) => error.help(help),
                    None => error,
                }
            })
    }

    /// The text up to an unescaped `delimiter`, with escaped ones unescaped; `None` where the line ends first.
    fn delimited(&mut self, delimiter: char) -> Option<String> {
        let inner = &self.rest()[delimiter.len_utf8()..];
        let mut out = String::new();
        let mut rest = inner.char_indices();
        while let Some((at, c)) = rest.next() {
            match c {
                '\n' | '\0' => return None,
                '\\' => {
                    let (_, kept) = rest
                        .next()
                        .filter(|(_, kept)| !matches!(kept, '\n' | '\0'))?;
                    if kept != delimiter {
                        out.push('\\');
                    }
                    out.push(kept);
                }
                _ if c == delimiter => {
                    self.at += at + 2 * delimiter.len_utf8();
                    return Some(out);
                }
                _ => out.push(c),
            }
        }
        None
    }

    fn line_end(&self) -> usize {
        self.rest()
            .find('\n')
            .map_or(self.text.len(), |at| self.at + at)
    }
}

/// Offset in the written form of a regular expression for an offset in its unescaped form.
fn raw_offset(raw: &str, unescaped: usize) -> usize {
    let bytes = raw.as_bytes();
    let (mut at, mut left) = (0, unescaped);
    while left > 0 && at < bytes.len() {
        if bytes[at] == b'\\' && bytes.get(at + 1) == Some(&b'/') {
            at += 2;
            left -= 1;
        } else if bytes[at] == b'\\' {
            // The pair stays as two characters; the second is never the start of an escaped slash.
            let both = left.min(2);
            at += both;
            left -= both;
        } else {
            at += 1;
            left -= 1;
        }
    }
    at.min(raw.len())
}

/// A word, cut if it is long.
pub(crate) fn clipped(word: &str) -> String {
    const SHOWN: usize = 40;
    if word.chars().count() <= SHOWN {
        return word.to_owned();
    }
    let mut cut: String = word.chars().take(SHOWN).collect();
    cut.push_str("...");
    cut
}
