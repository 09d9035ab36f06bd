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
use regex_syntax::hir::{Class, Hir, HirKind, Look};

use crate::literals;
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

/// A pattern that needs no automaton: a few texts, and where one of them has to stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PlainText {
    /// Matches any text.
    Everything,
    /// The whole text is one of these.
    Exact(Vec<Vec<u8>>),
    /// The text begins with one of these, none empty.
    Starts(Vec<Vec<u8>>),
    /// The text ends with one of these, none empty.
    Ends(Vec<Vec<u8>>),
    /// The text contains one of these, none empty.
    Contains(Vec<Vec<u8>>),
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

    /// Its parsed form.
    pub(crate) fn hir(&self) -> &Hir {
        &self.hir
    }

    /// Characters that it goes through when every repetition is written out: what a step of the slow engine may cost.
    pub(crate) fn positions(&self) -> usize {
        positions(&self.hir)
    }

    /// Whether it has named groups.
    pub(crate) fn has_names(&self) -> bool {
        let mut rest = vec![&self.hir];
        while let Some(hir) = rest.pop() {
            match hir.kind() {
                HirKind::Capture(capture) if capture.name.is_some() => return true,
                HirKind::Capture(capture) => rest.push(&capture.sub),
                HirKind::Repetition(repetition) => rest.push(&repetition.sub),
                HirKind::Concat(parts) | HirKind::Alternation(parts) => rest.extend(parts),
                HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => {}
            }
        }
        false
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
        let texts = literals::exact(&Hir::concat(parts.to_vec()))?;
        if texts.is_empty() {
            return None;
        }
        Some(match (start, end) {
            (true, true) => PlainText::Exact(texts),
            _ if texts.iter().any(Vec::is_empty) => PlainText::Everything,
            (true, false) => PlainText::Starts(texts),
            (false, true) => PlainText::Ends(texts),
            (false, false) => PlainText::Contains(texts),
        })
    }

    /// Whether its compiled form keeps to `NFA_BYTES_MAX`. Patterns of ordinary size are not compiled to learn that.
    pub(crate) fn measure(&self) -> Result<(), TooLarge> {
        // A kilobyte for what surrounds the pattern.
        if nfa_bytes(&self.hir).saturating_add(1024) <= NFA_BYTES_MAX {
            return Ok(());
        }
        self.simulate()?;
        let reverse = thompson::Config::new()
            .utf8(false)
            .reverse(true)
            .nfa_size_limit(Some(NFA_BYTES_MAX))
            .which_captures(WhichCaptures::None);
        let nfa = NFA::compiler().configure(reverse).build_from_hir(&self.hir);
        nfa.map(drop).map_err(|_| TooLarge)
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

/// The fast engine for a pattern that was measured: both of its automatons keep to the bound, so none is set here. Unless groups are asked for, it
/// only says where a match is: keeping track of groups would cost each step of the slow engine a copy of all of them.
pub(crate) fn compile_measured(hir: &Hir, groups: WhichCaptures) -> meta::Regex {
    let config = meta::Config::new()
        .utf8_empty(false)
        .nfa_size_limit(None)
        .onepass(false)
        .which_captures(groups)
        .hybrid_cache_capacity(LAZY_DFA_BYTES_MAX);
    meta::Builder::new()
        .configure(config)
        .build_from_hir(hir)
        .expect("size is all that could be wrong with a parsed pattern")
}

fn positions(hir: &Hir) -> usize {
    let sum = |parts: &[Hir]| {
        let parts = parts.iter().map(positions);
        parts.fold(0, |sum: usize, part| sum.saturating_add(part))
    };
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 0,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(_) => 1,
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min).max(1);
            positions(&repetition.sub).saturating_mul(times as usize)
        }
        HirKind::Capture(capture) => positions(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => sum(parts),
    }
}

/// More bytes than the compiled form of a pattern takes, forward or backward.
fn nfa_bytes(hir: &Hir) -> usize {
    /// What a state takes, with what it is referred to by.
    const STATE: usize = 64;
    /// What a range of characters takes: it shares most of its ranges of bytes with its neighbours.
    const RANGE: usize = 160;
    let sum = |parts: &[Hir]| {
        let bytes = parts.iter().map(nfa_bytes);
        bytes.fold(0, |sum: usize, bytes| sum.saturating_add(bytes))
    };
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => STATE,
        HirKind::Literal(literal) => literal.0.len().saturating_mul(STATE),
        HirKind::Class(Class::Unicode(class)) => (class.ranges().len() + 1) * RANGE,
        HirKind::Class(Class::Bytes(class)) => (class.ranges().len() + 1) * STATE,
        HirKind::Repetition(repetition) => {
            let times = repetition
                .max
                .unwrap_or(repetition.min.saturating_add(1))
                .max(1);
            nfa_bytes(&repetition.sub)
                .saturating_add(2 * STATE)
                .saturating_mul(times as usize)
        }
        HirKind::Capture(capture) => nfa_bytes(&capture.sub).saturating_add(2 * STATE),
        HirKind::Concat(parts) => sum(parts),
        HirKind::Alternation(parts) => sum(parts).saturating_add(parts.len() * STATE),
    }
}

fn fault(span: std::ops::Range<usize>, message: String) -> Fault {
    Fault {
        span,
        message,
        help: None,
    }
}
