//! Regular expressions: checked when read, compiled once, and replaced by cheaper tests where they are plain text.
//!
//! Owns:    `Pattern` (a valid regular expression), its plain-text forms, and the settings of the engine that runs the others.
//! Runs on: build time.            Plane: control.
//! Bounds:  `NFA_BYTES_MAX` compiled, `LAZY_DFA_BYTES_MAX` of scratch, `NEST_MAX` deep.
//! Never:   takes more than linear time in the text, whatever the pattern.
//!
//! Syntax is Go's (`re2`); matching is unanchored over bytes. Classes and `.` match well-formed UTF-8 characters only.

use regex_automata::meta;
use regex_automata::nfa::thompson::WhichCaptures;
use regex_automata::nfa::thompson::pikevm::PikeVM;
use regex_automata::nfa::thompson::{self, NFA};
use regex_syntax::hir::{Hir, HirKind, Look};

use crate::re2::{self, Fault};

/// Largest compiled form of one regular expression, bytes. Ten thousand ordinary patterns stay far below it; it stops counted
/// repetitions of large classes, whose simulation would be slow as well.
pub const NFA_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Largest scratch for the states that one regular expression builds while it runs, bytes per shard.
pub const LAZY_DFA_BYTES_MAX: usize = 1024 * 1024;

/// Deepest nesting of groups in a regular expression.
pub const NEST_MAX: u32 = 200;

/// A regular expression that is valid, with its parsed form. Equality is that of the source.
#[derive(Clone, Debug)]
pub struct Pattern {
    source: String,
    hir: Hir,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.source == other.source
    }
}

/// A pattern that needs no automaton.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PlainText {
    /// Matches any text.
    Everything,
    /// The whole text.
    Exact(Vec<u8>),
    /// How the text begins.
    Starts(Vec<u8>),
    /// How the text ends.
    Ends(Vec<u8>),
    /// What the text contains; not empty.
    Contains(Vec<u8>),
}

/// The compiled form would be larger than `NFA_BYTES_MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

impl TooLarge {
    /// For the person who wrote the pattern.
    pub fn message(self) -> String {
        format!("regular expression too large: compiled it takes more than {NFA_BYTES_MAX} bytes")
    }
}

impl Pattern {
    /// Reads a pattern in Go's syntax.
    pub fn parse(source: &str) -> Result<Pattern, Fault> {
        let rewritten = re2::rewrite(source)?;
        let parsed = regex_syntax::ParserBuilder::new()
            .nest_limit(NEST_MAX)
            .utf8(false)
            .build()
            .parse(&rewritten.text);
        let hir = parsed.map_err(|error| {
            let (span, message) = match &error {
                regex_syntax::Error::Parse(error) => (error.span(), error.kind().to_string()),
                regex_syntax::Error::Translate(error) => (error.span(), error.kind().to_string()),
                _ => return fault(0..source.len(), error.to_string()),
            };
            fault(
                rewritten.source_span(span.start.offset..span.end.offset),
                message,
            )
        })?;
        Ok(Pattern {
            source: source.to_owned(),
            hir,
        })
    }

    /// The same pattern in the syntax of the `regex` crates, for engines that take text and do not read Go's.
    pub fn rust_syntax(&self) -> String {
        self.hir.to_string()
    }

    /// As written, slashes unescaped.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The plain test that it amounts to, if any.
    pub(crate) fn plain(&self) -> Option<PlainText> {
        let parts = match self.hir.kind() {
            HirKind::Concat(parts) => parts.as_slice(),
            _ => std::slice::from_ref(&self.hir),
        };
        let is_look =
            |part: &Hir, look| matches!(part.kind(), HirKind::Look(found) if *found == look);
        let (start, parts) = match parts {
            [first, rest @ ..] if is_look(first, Look::Start) => (true, rest),
            _ => (false, parts),
        };
        let (end, parts) = match parts {
            [rest @ .., last] if is_look(last, Look::End) => (true, rest),
            _ => (false, parts),
        };
        let text = match parts {
            [] => &[][..],
            [only] => match only.kind() {
                HirKind::Literal(literal) => &literal.0[..],
                HirKind::Empty => &[],
                _ => return None,
            },
            _ => return None,
        };
        Some(match (start, end, text) {
            (true, true, text) => PlainText::Exact(text.to_vec()),
            (_, _, []) => PlainText::Everything,
            (true, false, text) => PlainText::Starts(text.to_vec()),
            (false, true, text) => PlainText::Ends(text.to_vec()),
            (false, false, text) => PlainText::Contains(text.to_vec()),
        })
    }

    /// The fast engine for it.
    pub(crate) fn compile(&self) -> Result<meta::Regex, TooLarge> {
        let config = meta::Config::new()
            .utf8_empty(false)
            .nfa_size_limit(Some(NFA_BYTES_MAX))
            .onepass(false)
            .hybrid_cache_capacity(LAZY_DFA_BYTES_MAX);
        meta::Builder::new()
            .configure(config)
            .build_from_hir(&self.hir)
            .map_err(|_| TooLarge)
    }

    /// The fast engine for it that also says where its groups matched.
    pub fn compile_capturing(&self) -> Result<meta::Regex, TooLarge> {
        let config = meta::Config::new()
            .utf8_empty(false)
            .nfa_size_limit(Some(NFA_BYTES_MAX))
            .hybrid_cache_capacity(LAZY_DFA_BYTES_MAX);
        meta::Builder::new()
            .configure(config)
            .build_from_hir(&self.hir)
            .map_err(|_| TooLarge)
    }

    /// The simplest engine for it, for the oracle.
    pub(crate) fn simulate(&self) -> Result<PikeVM, TooLarge> {
        let config = thompson::Config::new()
            .utf8(false)
            .nfa_size_limit(Some(NFA_BYTES_MAX))
            .which_captures(WhichCaptures::Implicit);
        let nfa = NFA::compiler()
            .configure(config)
            .build_from_hir(&self.hir)
            .map_err(|_| TooLarge)?;
        PikeVM::new_from_nfa(nfa).map_err(|_| TooLarge)
    }
}

fn fault(span: std::ops::Range<usize>, message: String) -> Fault {
    Fault {
        span,
        message,
        help: None,
    }
}
