//! What is wrong with an expression, said to the person who wrote it.
//!
//! Owns:    `Error`, `ErrorKind` and the rendering with a caret.
//! Runs on: build time.            Plane: control.
//! Bounds:  the excerpt shows at most `EXCERPT_CHARS` characters of the expression.
//! Never:   seen by the data path.

use std::fmt;
use std::ops::Range;

/// Characters of the expression that an error shows.
const EXCERPT_CHARS: usize = 100;

/// Classes of errors, for callers that treat them differently and for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Nothing was written.
    Empty,
    /// Longer than `EXPRESSION_BYTES_MAX`.
    TooLong,
    /// Something follows a line break.
    NewLine,
    /// A character or operator that the grammar does not have.
    Character,
    /// A word that the grammar does not have.
    Word,
    /// A string without its closing quote.
    String,
    /// A number that is none, or is too large.
    Number,
    /// A wrongly written `Fields[...]`.
    Field,
    /// A regular expression that is unterminated or not valid in Go's syntax.
    Regex,
    /// A regular expression whose compiled form is too large.
    RegexSize,
    /// A known word or value in a place where it cannot stand.
    Syntax,
    /// A parenthesis without its other half.
    Parenthesis,
    /// More than `CONSUMERS_MAX` consumers.
    Consumers,
}

/// An error in an expression: what, where, and what to write instead.
///
/// `Display` prints the message, the line with a caret under the column, and the suggestion.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    kind: ErrorKind,
    span: Range<usize>,
    message: String,
    help: Option<String>,
    line: usize,
    column: usize,
    excerpt: String,
    caret: Range<usize>,
}

impl Error {
    /// An error at the bytes `span` of `expression`.
    pub(crate) fn new(
        kind: ErrorKind,
        expression: &str,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Error {
        let start = floor(expression, span.start);
        let end = floor(expression, span.end).max(start);
        let before = &expression[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_end = expression[start..]
            .find('\n')
            .map_or(expression.len(), |at| start + at);
        let column = expression[line_start..start].chars().count();
        let marked = expression[start..end.min(line_end).max(start)]
            .chars()
            .count();
        let (excerpt, caret) = excerpt(&expression[line_start..line_end], column, marked);
        Error(Box::new(Inner {
            kind,
            span: start..end,
            message: message.into(),
            help: None,
            line: before.matches('\n').count() + 1,
            column: column + 1,
            excerpt,
            caret,
        }))
    }

    /// The same error with a suggestion.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Error {
        self.0.help = Some(help.into());
        self
    }

    /// Its class.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The bytes of the expression that are wrong; empty at the end of the expression.
    pub fn span(&self) -> Range<usize> {
        self.0.span.clone()
    }

    /// Line of the expression, counted from 1.
    pub fn line(&self) -> usize {
        self.0.line
    }

    /// Column in characters, counted from 1.
    pub fn column(&self) -> usize {
        self.0.column
    }

    /// What is wrong, in one line, with what was expected.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to write instead, where that can be guessed.
    pub fn suggestion(&self) -> Option<&str> {
        self.0.help.as_deref()
    }
}

/// The largest character boundary of `text` at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The part of a line around a mark, and where the mark stands in it; both in characters.
fn excerpt(line: &str, column: usize, marked: usize) -> (String, Range<usize>) {
    let total = line.chars().count();
    let first = if total <= EXCERPT_CHARS {
        0
    } else {
        column.saturating_sub(EXCERPT_CHARS * 2 / 3)
    };
    let cut_before = first > 0;
    let cut_after = total > first + EXCERPT_CHARS;
    let shown = line.chars().skip(first).take(EXCERPT_CHARS);
    let mut text = String::from(if cut_before { "..." } else { "" });
    text.extend(shown.map(|c| if c.is_control() { ' ' } else { c }));
    let start = column - first + if cut_before { 3 } else { 0 };
    let room = text.chars().count().saturating_sub(start);
    if cut_after {
        text.push_str("...");
    }
    (text, start..start + marked.min(room).max(1))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        let number = inner.line.to_string();
        let margin = " ".repeat(number.len());
        writeln!(f, "{}", inner.message)?;
        writeln!(f, "{margin} |")?;
        writeln!(f, "{number} | {}", inner.excerpt)?;
        let (indent, carets) = (" ".repeat(inner.caret.start), "^".repeat(inner.caret.len()));
        write!(f, "{margin} | {indent}{carets}")?;
        match &inner.help {
            Some(help) => write!(f, "\n{margin} = help: {help}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {:?}: {self}", self.0.kind, self.0.span)
    }
}

impl std::error::Error for Error {}
