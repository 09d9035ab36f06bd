//! Regular expressions as Go reads them, rewritten for the engine that runs them.
//!
//! Owns:    the syntax differences: classes of ASCII only, `\Q..\E`, octal escapes, literal braces and brackets,
//!          which escapes and flags exist.
//! Runs on: build time.            Plane: control.
//! Bounds:  one pass; the result is at most a few times as long as the source.
//! Never:   lets a construct through that would mean something else than in Go.
//!
//! Source of the rules: the syntax page of Go's `regexp/syntax` package with flags `Perl`.

use std::iter::Peekable;
use std::ops::Range;
use std::str::CharIndices;

/// Largest count in `{n,m}`, as in Go.
const REPEAT_MAX: u32 = 1000;

/// What is wrong with a pattern; offsets count bytes of the pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The bytes that are wrong.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<&'static str>,
}

impl Fault {
    fn new(span: Range<usize>, message: impl Into<String>) -> Fault {
        Fault {
            span,
            message: message.into(),
            help: None,
        }
    }

    fn help(mut self, help: &'static str) -> Fault {
        self.help = Some(help);
        self
    }
}

/// A rewritten pattern.
#[derive(Debug)]
pub(crate) struct Rewritten {
    pub(crate) text: String,
    /// For each byte of `text` the byte of the source that it came from.
    origin: Vec<u32>,
    source_len: usize,
}

impl Rewritten {
    /// The bytes of the source that a range of the text came from.
    pub(crate) fn source_span(&self, span: Range<usize>) -> Range<usize> {
        let place = |at: usize| {
            self.origin
                .get(at)
                .map_or(self.source_len, |at| *at as usize)
        };
        let start = place(span.start);
        start..place(span.end).max(start)
    }
}

/// What stands before the current place, as far as repetition cares.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    /// Nothing that can be repeated.
    Nothing,
    /// Something that can be repeated.
    Item,
    /// A repetition.
    Repetition,
}

struct Rewriter<'s> {
    source: &'s str,
    rest: Peekable<CharIndices<'s>>,
    out: Rewritten,
    /// Where the construct being rewritten began.
    start: usize,
    before: Before,
}

/// Rewrites a pattern in Go's syntax.
///
/// Errors: what Go refuses and the engine would not, or would read differently. Other errors are left to the engine's parser.
pub(crate) fn rewrite(source: &str) -> Result<Rewritten, Fault> {
    let mut rewriter = Rewriter {
        source,
        rest: source.char_indices().peekable(),
        out: Rewritten {
            text: String::with_capacity(source.len() + 16),
            origin: Vec::with_capacity(source.len() + 16),
            source_len: source.len(),
        },
        start: 0,
        before: Before::Nothing,
    };
    while let Some((at, c)) = rewriter.rest.next() {
        rewriter.start = at;
        rewriter.item(c)?;
    }
    Ok(rewriter.out)
}

impl Rewriter<'_> {
    /// Offset of the next character.
    fn at(&mut self) -> usize {
        self.rest.peek().map_or(self.source.len(), |(at, _)| *at)
    }

    fn peek(&mut self) -> Option<char> {
        self.rest.peek().map(|(_, c)| *c)
    }

    fn take(&mut self, wanted: char) -> bool {
        self.rest.next_if(|(_, c)| *c == wanted).is_some()
    }

    /// Skips to the byte offset `end`, a character boundary.
    fn skip_to(&mut self, end: usize) {
        while self.rest.next_if(|(at, _)| *at < end).is_some() {}
    }

    fn emit(&mut self, text: &str) {
        self.out.text.push_str(text);
        self.out
            .origin
            .resize(self.out.text.len(), self.start as u32);
    }

    /// Emits text that stands just so in the source at `from`.
    fn copy(&mut self, from: usize, text: &str) {
        self.out.text.push_str(text);
        self.out
            .origin
            .extend((0..text.len()).map(|offset| (from + offset) as u32));
    }

    fn emit_literal(&mut self, c: char) {
        if c.is_ascii_alphanumeric() || c > '\x7F' {
            self.emit(c.encode_utf8(&mut [0; 4]));
        } else {
            self.emit(&format!("\\x{:02X}", c as u32));
        }
        self.before = Before::Item;
    }

    /// The span from where the construct began to here.
    fn span(&mut self) -> Range<usize> {
        self.start..self.at()
    }

    fn item(&mut self, c: char) -> Result<(), Fault> {
        match c {
            '(' => self.group(),
            ')' => {
                self.emit(")");
                self.before = Before::Item;
                Ok(())
            }
            '|' => {
                self.emit("|");
                self.before = Before::Nothing;
                Ok(())
            }
            '^' | '$' | '.' => {
                self.emit(c.encode_utf8(&mut [0; 4]));
                self.before = Before::Item;
                Ok(())
            }
            '[' => self.class(),
            '\\' => self.escape(),
            '*' | '+' | '?' => self.repetition(c.encode_utf8(&mut [0; 4])),
            '{' => match self.counts()? {
                Some(counts) => self.repetition(&counts),
                None => {
                    self.emit_literal('{');
                    Ok(())
                }
            },
            _ => {
                self.emit_literal(c);
                Ok(())
            }
        }
    }

    fn repetition(&mut self, operator: &str) -> Result<(), Fault> {
        let lazy = self.take('?');
        match self.before {
            Before::Item => {}
            Before::Nothing => {
                let span = self.span();
                return Err(Fault::new(span, "nothing to repeat")
                    .help("put a backslash before it to mean the character itself"));
            }
            Before::Repetition => {
                let span = self.span();
                return Err(Fault::new(span, "a repetition cannot be repeated")
                    .help("put the inner one in (?:...)"));
            }
        }
        self.emit(operator);
        if lazy {
            self.emit("?");
        }
        self.before = Before::Repetition;
        Ok(())
    }

    /// Reads `n}`, `n,}` or `n,m}` after a brace; anything else makes the brace a literal.
    fn counts(&mut self) -> Result<Option<String>, Fault> {
        let tail = &self.source[self.start + 1..];
        let Some(len) = tail.find('}') else {
            return Ok(None);
        };
        let inner = &tail[..len];
        let (low, high) = match inner.split_once(',') {
            Some((low, "")) => (low, None),
            Some((low, high)) => (low, Some(high)),
            None => (inner, Some(inner)),
        };
        let plain = |digits: &str| {
            let leading = digits.len() > 1 && digits.starts_with('0');
            !digits.is_empty() && !leading && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !plain(low) || !high.is_none_or(plain) {
            return Ok(None);
        }
        self.skip_to(self.start + 1 + len + 1);
        let count = |digits: &str| {
            digits
                .parse::<u32>()
                .ok()
                .filter(|count| *count <= REPEAT_MAX)
        };
        let valid = match (count(low), high.map(count)) {
            (Some(_), None) => true,
            (Some(low), Some(Some(high))) => low <= high,
            _ => false,
        };
        if !valid {
            let message = format!("invalid repeat count (at most {REPEAT_MAX}, the smaller first)");
            return Err(Fault::new(self.span(), message));
        }
        Ok(Some(format!("{{{inner}}}")))
    }

    fn group(&mut self) -> Result<(), Fault> {
        self.before = Before::Nothing;
        if !self.take('?') {
            self.emit("(");
            return Ok(());
        }
        let tail = &self.source[self.start + 2..];
        if tail.starts_with("P<")
            || (tail.starts_with('<') && !tail.starts_with("<=") && !tail.starts_with("<!"))
        {
            let Some(len) = tail.find('>') else {
                return Err(Fault::new(
                    self.start..self.source.len(),
                    "the name of this group has no closing >",
                ));
            };
            self.skip_to(self.start + 2 + len + 1);
            self.emit("(?");
            self.copy(self.start + 2, &tail[..=len]);
            return Ok(());
        }
        self.flags()
    }

    /// Reads the flags of `(?flags)` or `(?flags:`.
    fn flags(&mut self) -> Result<(), Fault> {
        let mut flags = String::new();
        let (mut negated, mut any) = (false, false);
        loop {
            match self.rest.next().map(|(_, c)| c) {
                Some(c @ ('i' | 'm' | 's' | 'U')) => {
                    flags.push(c);
                    any = true;
                }
                Some('-') if !negated => {
                    flags.push('-');
                    negated = true;
                    any = false;
                }
                Some(c @ (')' | ':')) if any || !negated => {
                    // Without flags `(?)` is an empty group.
                    let end = match c {
                        ')' if flags.is_empty() => ":)",
                        ')' => ")",
                        _ => ":",
                    };
                    self.emit("(?");
                    self.emit(&flags);
                    self.emit(end);
                    return Ok(());
                }
                _ => {
                    let fault = Fault::new(self.span(), "this kind of group does not exist");
                    return Err(fault.help("flags are i, m, s and U; there is no look-around"));
                }
            }
        }
    }

    /// An escape outside a class.
    fn escape(&mut self) -> Result<(), Fault> {
        self.before = Before::Item;
        match self.peek() {
            Some(c @ ('A' | 'z')) => {
                self.rest.next();
                self.emit(if c == 'A' { "\\A" } else { "\\z" });
            }
            Some(c @ ('b' | 'B')) => {
                self.rest.next();
                // Word boundaries are those of ASCII.
                self.emit(if c == 'b' { "(?-u:\\b)" } else { "(?-u:\\B)" });
            }
            Some('Q') => {
                self.rest.next();
                let from = self.at();
                let len = self.source[from..].find("\\E");
                let end = len.map_or(self.source.len(), |len| from + len);
                while let Some((at, c)) = self.rest.next_if(|(at, _)| *at < end) {
                    self.start = at;
                    self.emit_literal(c);
                }
                self.skip_to(end + 2);
            }
            _ => {
                if !self.class_escape()? {
                    let c = self.character()?;
                    self.emit_literal(c);
                }
            }
        }
        Ok(())
    }

    /// Rewrites `\d \s \w \p` and their negations after a backslash; whether it was one.
    fn class_escape(&mut self) -> Result<bool, Fault> {
        let Some(c) = self.peek() else {
            return Ok(false);
        };
        let class = match c {
            'd' => "[0-9]",
            'D' => "[^0-9]",
            's' => "[\\t\\n\\f\\r ]",
            'S' => "[^\\t\\n\\f\\r ]",
            'w' => "[0-9A-Za-z_]",
            'W' => "[^0-9A-Za-z_]",
            'p' | 'P' => {
                self.rest.next();
                self.unicode_class(c == 'P')?;
                return Ok(true);
            }
            _ => return Ok(false),
        };
        self.rest.next();
        self.emit(class);
        Ok(true)
    }

    fn unicode_class(&mut self, mut negated: bool) -> Result<(), Fault> {
        let from = self.at();
        let name = match self.rest.next().map(|(_, c)| c) {
            Some('{') => {
                let Some(len) = self.source[from + 1..].find('}') else {
                    return Err(Fault::new(
                        self.start..self.source.len(),
                        "the name of this class has no closing }",
                    ));
                };
                self.skip_to(from + 1 + len + 1);
                &self.source[from + 1..from + 1 + len]
            }
            Some(c) if c.is_ascii_alphabetic() => &self.source[from..=from],
            _ => {
                return Err(Fault::new(
                    self.span(),
                    "expected the name of a class of characters",
                ));
            }
        };
        let bare = name.strip_prefix('^').unwrap_or(name);
        negated ^= bare.len() != name.len();
        if bare.is_empty()
            || !bare
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            return Err(Fault::new(self.span(), "unknown class of characters"));
        }
        self.emit(if negated { "\\P{" } else { "\\p{" });
        self.emit(bare);
        self.emit("}");
        Ok(())
    }

    /// The character that an escape means, after its backslash.
    fn character(&mut self) -> Result<char, Fault> {
        let Some((_, c)) = self.rest.next() else {
            return Err(Fault::new(self.span(), "a backslash at the end")
                .help("write \\\\ for a backslash"));
        };
        match c {
            'a' => Ok('\x07'),
            'f' => Ok('\x0C'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'v' => Ok('\x0B'),
            'x' => self.hexadecimal(),
            '0' => Ok(self.octal(0)),
            '1'..='7' if matches!(self.peek(), Some('0'..='7')) => {
                Ok(self.octal(c as u32 - '0' as u32))
            }
            '1'..='9' => Err(Fault::new(
                self.span(),
                "references to groups do not exist here",
            )),
            _ if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok(c),
            _ => Err(Fault::new(self.span(), format!("unknown escape \\{c}"))),
        }
    }

    /// Up to two more octal digits.
    fn octal(&mut self, first: u32) -> char {
        let mut value = first;
        for _ in 0..2 {
            let Some((_, digit)) = self.rest.next_if(|(_, c)| ('0'..='7').contains(c)) else {
                break;
            };
            value = value * 8 + (digit as u32 - '0' as u32);
        }
        char::from_u32(value).unwrap_or('\0')
    }

    fn hexadecimal(&mut self) -> Result<char, Fault> {
        let tail = &self.source[self.at()..];
        let (digits, len) = match tail.strip_prefix('{') {
            Some(inner) => match inner.find('}') {
                Some(len) => (&inner[..len], len + 2),
                None => ("", 1),
            },
            None => (tail.get(..2).unwrap_or(""), 2),
        };
        let valid = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        match u32::from_str_radix(digits, 16)
            .ok()
            .filter(|_| valid)
            .and_then(char::from_u32)
        {
            Some(c) => {
                let end = self.at() + len;
                self.skip_to(end);
                Ok(c)
            }
            None => Err(Fault::new(self.span(), "invalid hexadecimal escape")
                .help("write \\x7F or \\x{10FFFF}")),
        }
    }

    fn class(&mut self) -> Result<(), Fault> {
        let open = self.start;
        self.emit("[");
        if self.take('^') {
            self.emit("^");
        }
        let mut first = true;
        loop {
            self.start = self.at();
            let Some((at, c)) = self.rest.next() else {
                return Err(Fault::new(
                    open..self.source.len(),
                    "this class of characters has no closing ]",
                ));
            };
            match c {
                ']' if !first => break,
                '[' if self.peek() == Some(':') && self.source[at + 2..].contains(":]") => {
                    self.posix_class(at)?
                }
                '\\' if self.class_escape()? => {}
                _ => self.class_range(c)?,
            }
            first = false;
        }
        self.emit("]");
        self.before = Before::Item;
        Ok(())
    }

    fn posix_class(&mut self, at: usize) -> Result<(), Fault> {
        const NAMES: [&str; 14] = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print",
            "punct", "space", "upper", "word", "xdigit",
        ];
        let inner = &self.source[at + 2..];
        let len = inner.find(":]").unwrap_or(inner.len());
        let name = &inner[..len];
        self.skip_to(at + 2 + len + 2);
        if !NAMES.contains(&name.strip_prefix('^').unwrap_or(name)) {
            return Err(Fault::new(self.span(), "unknown class of characters"));
        }
        self.emit("[:");
        self.emit(name);
        self.emit(":]");
        Ok(())
    }

    /// A character or a range in a class; its first character was `c`.
    fn class_range(&mut self, c: char) -> Result<(), Fault> {
        let low = if c == '\\' { self.character()? } else { c };
        let dash = self.at();
        self.emit_literal(low);
        let tail = &self.source[dash..];
        if !tail.starts_with('-') || tail.starts_with("-]") || tail.len() == 1 {
            return Ok(());
        }
        self.rest.next();
        let high = match self.rest.next() {
            Some((_, '\\')) => self.character()?,
            Some((_, high)) => high,
            None => low,
        };
        if high < low {
            return Err(Fault::new(self.span(), "the range ends before it begins"));
        }
        self.emit("-");
        self.emit_literal(high);
        Ok(())
    }
}
