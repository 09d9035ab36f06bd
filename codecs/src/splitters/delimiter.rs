//! A regular expression that ends records, searched for in bytes that arrive piece by piece.
//!
//! Owns:    compiled delimiters, and how far one stream was searched.
//! Runs on: compiled at start; searches on every shard, one a stream.            Plane: data.
//! Bounds:  every byte is looked at once by the automaton; its tables are at most `AUTOMATON_BYTES_MAX`.
//! Never:   decides on a match that further bytes could change.
//!
//! The end of a match comes from an automaton whose state is kept between reads: it knows when no further byte can
//! change the match, so that cutting a stream does not depend on how it was read. Only when a match has been found are
//! its start and its captured part searched for.

use std::fmt;
use std::sync::Arc;

use memchr::{memchr, memchr2, memchr3};
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::meta::{Cache, Regex};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::{NonMaxUsize, StateID};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};

/// Largest automaton of one delimiter, bytes. One line's end takes about a thousand.
const AUTOMATON_BYTES_MAX: usize = 4 << 20;

/// Bytes before the end of a match in which its captured part is searched for when the record's start is gone.
const LOOK_BACK_BYTES: usize = 256;

/// Why a regular expression cannot be used by a splitter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegexError {
    /// It is not a regular expression; the text shows where.
    Syntax(String),
    /// It has more than one capture group.
    Captures(String),
    /// It matches between any two bytes, so it ends nothing.
    MatchesEmpty(String),
    /// It cannot be compiled within the limits; the text says why.
    TooComplex(String),
    /// A record of no lines.
    MaxLines,
}

impl fmt::Display for RegexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegexError::Syntax(text) => f.write_str(text),
            RegexError::Captures(pattern) => {
                write!(
                    f,
                    "regex must not contain more than one capture group: {pattern}"
                )
            }
            RegexError::MatchesEmpty(pattern) => {
                write!(f, "delimiter must not match the empty text: {pattern}")
            }
            RegexError::TooComplex(text) => {
                write!(
                    f,
                    "regex cannot be compiled for streams, use a simpler one: {text}"
                )
            }
            RegexError::MaxLines => f.write_str("max_lines must be at least 1"),
        }
    }
}

impl std::error::Error for RegexError {}

/// How to read a pattern: as close to Go's syntax as may be, so classes such as `\s` are ASCII. A pattern that cannot
/// do without Unicode tables gets them.
fn syntax_of(pattern: &str) -> Result<syntax::Config, RegexError> {
    let ascii = syntax::Config::new().utf8(false).unicode(false);
    let unicode = ascii.unicode(true);
    if syntax::parse_with(pattern, &ascii).is_ok() {
        return Ok(ascii);
    }
    match syntax::parse_with(pattern, &unicode) {
        Ok(_) => Ok(unicode),
        Err(error) => Err(RegexError::Syntax(error.to_string())),
    }
}

/// A regular expression that is only asked whether it matches.
#[derive(Clone, Debug)]
pub(super) struct Test {
    regex: Arc<Regex>,
    cache: Cache,
}

impl Test {
    pub(super) fn new(pattern: &str) -> Result<Self, RegexError> {
        let regex = Regex::builder()
            .syntax(syntax_of(pattern)?)
            .configure(Regex::config().utf8_empty(false))
            .build(pattern)
            .map_err(|error| RegexError::TooComplex(error.to_string()))?;
        let cache = regex.create_cache();
        Ok(Test {
            regex: Arc::new(regex),
            cache,
        })
    }

    /// Whether it matches anywhere in `bytes`.
    pub(super) fn matches(&mut self, bytes: &[u8]) -> bool {
        let input = Input::new(bytes).earliest(true);
        self.regex
            .search_half_with(&mut self.cache, &input)
            .is_some()
    }
}

/// When the end of a match is certain although no byte follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settled {
    /// The match before the last byte stands.
    BeforeLastByte,
    /// The match that ends with the last byte stands.
    AtLastByte,
}

/// A compiled delimiter, shared by all streams.
#[derive(Debug)]
struct Compiled {
    automaton: dense::DFA<Vec<u32>>,
    start: StateID,
    /// States in which a match is certain without a further byte, in order of state.
    settled: Vec<(StateID, Settled)>,
    regex: Regex,
    len_min: usize,
    len_max: Option<usize>,
    captures: bool,
}

/// Offsets of a match and of its captured part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) start: usize,
    pub(super) end: usize,
    /// `None` without a capture group, or where it took no part.
    pub(super) capture: Option<(usize, usize)>,
}

impl Match {
    /// The match, with offsets from `by` bytes further ahead.
    pub(super) fn moved(self, by: usize) -> Match {
        let capture = self.capture.map(|(start, end)| (start + by, end + by));
        Match {
            start: self.start + by,
            end: self.end + by,
            capture,
        }
    }
}

/// A delimiter and how far one stream was searched for it.
#[derive(Clone, Debug)]
pub(super) struct Delimiter {
    compiled: Arc<Compiled>,
    cache: Option<Box<Cache>>,
    state: StateID,
    /// Bytes behind `state`.
    looked: usize,
    /// End of the best match so far.
    best: Option<usize>,
    /// Bytes before the place reached that may be needed to find a captured part.
    keep_back: usize,
}

impl Delimiter {
    /// A delimiter of records of at most `record_bytes_max`.
    pub(super) fn new(pattern: &str, record_bytes_max: usize) -> Result<Self, RegexError> {
        let compiled = Compiled::new(pattern)?;
        let keep_back = match compiled.captures {
            true => LOOK_BACK_BYTES.min(record_bytes_max / 2),
            false => 0,
        };
        let by_length = !compiled.captures && compiled.len_max == Some(compiled.len_min);
        let cache = (!by_length).then(|| Box::new(compiled.regex.create_cache()));
        let state = compiled.start;
        Ok(Delimiter {
            compiled: Arc::new(compiled),
            cache,
            state,
            looked: 0,
            best: None,
            keep_back,
        })
    }

    /// Begins a new search.
    pub(super) fn restart(&mut self) {
        (self.state, self.looked, self.best) = (self.compiled.start, 0, None);
    }

    /// Looks on in `bytes`, which begin where the search began: the end of the first match. `last` says that the decision
    /// cannot wait for more bytes. `None` is to be asked again with more.
    pub(super) fn find_end(&mut self, bytes: &[u8], last: bool) -> Option<usize> {
        let automaton = &self.compiled.automaton;
        let (mut at, mut state) = (self.looked.min(bytes.len()), self.state);
        if automaton.is_accel_state(state) {
            at = next_needle(automaton.accelerator(state), bytes, at);
        }
        while let Some(&byte) = bytes.get(at) {
            state = automaton.next_state(state, byte);
            at += 1;
            if !automaton.is_special_state(state) {
                continue;
            }
            if automaton.is_match_state(state) {
                // The automaton reports a match one byte late.
                self.best = Some(at - 1);
            } else if automaton.is_dead_state(state) {
                if self.best.is_some() {
                    return self.best;
                }
                at = bytes.len();
            }
            if automaton.is_accel_state(state) {
                at = next_needle(automaton.accelerator(state), bytes, at);
            }
        }
        (self.looked, self.state) = (at, state);
        if last {
            let at_end = automaton.is_match_state(automaton.next_eoi_state(state));
            return if at_end { Some(at) } else { self.best };
        }
        match self.compiled.settled(state)? {
            Settled::BeforeLastByte => self.best,
            Settled::AtLastByte => Some(at),
        }
    }

    /// The match in `bytes` that ends at `end`, as `find_end` said, and begins not before `from`.
    pub(super) fn locate(&mut self, bytes: &[u8], from: usize, end: usize) -> Match {
        let compiled = &*self.compiled;
        let shortest = Match {
            start: end.saturating_sub(compiled.len_min),
            end,
            capture: None,
        };
        let Some(cache) = &mut self.cache else {
            return shortest;
        };
        let from = compiled
            .len_max
            .map_or(from, |len| from.max(end.saturating_sub(len)));
        let mut slots: [Option<NonMaxUsize>; 4] = [None; 4];
        let used = if compiled.captures { 4 } else { 2 };
        let input = Input::new(bytes).range(from..end);
        if compiled
            .regex
            .search_slots_with(cache, &input, &mut slots[..used])
            .is_none()
        {
            return shortest;
        }
        let slot = |index: usize| slots[index].map(NonMaxUsize::get);
        Match {
            start: slot(0).unwrap_or(shortest.start),
            end,
            capture: slot(2).zip(slot(3)),
        }
    }

    /// Looks on for the end of a record whose start is gone. Its bytes may go as well, but for `keep_back`.
    ///
    /// With `full` the bytes cannot become more unless some go: then an undecided match is taken as it is.
    pub(super) fn find_rest(&mut self, bytes: &[u8], end: bool, full: bool) -> Rest {
        let mut found = self.find_end(bytes, end);
        let gone = self
            .best
            .unwrap_or(bytes.len())
            .saturating_sub(self.keep_back);
        if found.is_none() && gone == 0 && full {
            found = self.find_end(bytes, true);
        }
        if let Some(end) = found {
            return Rest::End(end);
        }
        self.forget(gone);
        Rest::Gone(gone)
    }

    /// Moves the search along when the first `gone` bytes are forgotten.
    pub(super) fn forget(&mut self, gone: usize) {
        self.looked = self.looked.saturating_sub(gone);
        self.best = self.best.map(|end| end.saturating_sub(gone));
    }

    /// Bytes before the place reached that may be needed to find a captured part.
    pub(super) fn keep_back(&self) -> usize {
        self.keep_back
    }
}

/// What became of a record whose start is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// Its delimiter ends here.
    End(usize),
    /// It goes on; that many bytes are of no more use.
    Gone(usize),
}

/// Where the next byte stands that changes an automaton's state.
#[inline]
fn next_needle(needles: &[u8], bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let found = match *needles {
        [a] => memchr(a, rest),
        [a, b] => memchr2(a, b, rest),
        [a, b, c] => memchr3(a, b, c, rest),
        _ => return at,
    };
    found.map_or(bytes.len(), |found| at + found)
}

impl Compiled {
    fn new(pattern: &str) -> Result<Self, RegexError> {
        let too_complex = |text: String| RegexError::TooComplex(text);
        let syntax = syntax_of(pattern)?;
        let hir = syntax::parse_with(pattern, &syntax)
            .map_err(|error| RegexError::Syntax(error.to_string()))?;
        let properties = hir.properties();
        if properties.explicit_captures_len() > 1 {
            return Err(RegexError::Captures(pattern.to_owned()));
        }
        let len_min = properties.minimum_len().unwrap_or(0);
        if len_min == 0 {
            return Err(RegexError::MatchesEmpty(pattern.to_owned()));
        }
        let automaton = dense::Builder::new()
            .syntax(syntax)
            .thompson(thompson::Config::new().utf8(false))
            .configure(
                dense::Config::new()
                    .start_kind(StartKind::Unanchored)
                    .dfa_size_limit(Some(AUTOMATON_BYTES_MAX))
                    .determinize_size_limit(Some(2 * AUTOMATON_BYTES_MAX)),
            )
            .build(pattern)
            .map_err(|error| too_complex(error.to_string()))?;
        let start = automaton
            .start_state_forward(&Input::new(b"").anchored(Anchored::No))
            .map_err(|error| too_complex(error.to_string()))?;
        let regex = Regex::builder()
            .syntax(syntax)
            .configure(Regex::config().utf8_empty(false))
            .build(pattern)
            .map_err(|error| too_complex(error.to_string()))?;
        Ok(Compiled {
            settled: settled_states(&automaton, start),
            automaton,
            start,
            regex,
            len_min,
            len_max: properties.maximum_len(),
            captures: properties.explicit_captures_len() == 1,
        })
    }

    fn settled(&self, state: StateID) -> Option<Settled> {
        let at = self
            .settled
            .binary_search_by_key(&state, |(known, _)| *known)
            .ok()?;
        Some(self.settled[at].1)
    }
}

/// The states in which every further byte, and the end of the stream, tell the same match.
fn settled_states(automaton: &dense::DFA<Vec<u32>>, start: StateID) -> Vec<(StateID, Settled)> {
    let next = |state: StateID| (0..=u8::MAX).map(move |byte| automaton.next_state(state, byte));
    let mut known = std::collections::BTreeSet::from([start]);
    let mut waiting = vec![start];
    while let Some(state) = waiting.pop() {
        for state in next(state) {
            if known.insert(state) {
                waiting.push(state);
            }
        }
    }
    let ends_here = |state: StateID| {
        automaton.is_match_state(state)
            && next(state).all(|state| automaton.is_dead_state(state))
            && !automaton.is_match_state(automaton.next_eoi_state(state))
    };
    let ends_next = |state: StateID| {
        next(state).all(&ends_here) && automaton.is_match_state(automaton.next_eoi_state(state))
    };
    let mut settled = Vec::new();
    for &state in &known {
        if ends_here(state) {
            settled.push((state, Settled::BeforeLastByte));
        } else if ends_next(state) {
            settled.push((state, Settled::AtLastByte));
        }
    }
    settled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_that_cannot_grow_needs_no_further_byte() {
        for (pattern, bytes) in [
            ("\n", "ab\n"),
            ("\\r?\n", "ab\n"),
            ("\\r?\n", "ab\r\n"),
            ("(--)+\n", "a----\n"),
        ] {
            let mut delimiter = Delimiter::new(pattern, 99).unwrap();
            assert_eq!(
                delimiter.find_end(bytes.as_bytes(), false),
                Some(bytes.len()),
                "{pattern}"
            );
        }
    }

    #[test]
    fn a_match_that_may_grow_waits() {
        let mut delimiter = Delimiter::new("\n+", 99).unwrap();
        assert_eq!(delimiter.find_end(b"ab\n", false), None);
        assert_eq!(delimiter.find_end(b"ab\n\n", false), None);
        assert_eq!(delimiter.find_end(b"ab\n\nc", false), Some(4));
        assert_eq!(
            delimiter.locate(b"ab\n\nc", 0, 4),
            Match {
                start: 2,
                end: 4,
                capture: None
            }
        );
        delimiter.restart();
        assert_eq!(delimiter.find_end(b"ab\n", true), Some(3));
        // An earlier alternative may still win, from an earlier start.
        let mut delimiter = Delimiter::new("a[^;]*z|b", 99).unwrap();
        assert_eq!(delimiter.find_end(b"-ab-", false), None);
        assert_eq!(delimiter.find_end(b"-ab-;", false), Some(3));
        delimiter.restart();
        assert_eq!(delimiter.find_end(b"-ab-z;", false), Some(5));
    }

    #[test]
    fn every_byte_is_looked_at_once() {
        let mut delimiter = Delimiter::new("xyz", 99).unwrap();
        assert_eq!(delimiter.find_end(b"abcxy", false), None);
        assert_eq!(delimiter.looked, 5);
        assert_eq!(delimiter.find_end(b"abcxyz", false), Some(6));
    }

    #[test]
    fn patterns_of_no_use_are_refused() {
        let refuse = |pattern: &str| Delimiter::new(pattern, 99).unwrap_err();
        assert!(matches!(refuse("("), RegexError::Syntax(_)));
        assert_eq!(
            refuse("(\\r)(\\n)").to_string(),
            "regex must not contain more than one capture group: (\\r)(\\n)"
        );
        assert!(matches!(refuse("\n*"), RegexError::MatchesEmpty(_)));
        assert!(matches!(refuse("\\b"), RegexError::MatchesEmpty(_)));
        assert!(matches!(refuse("a.{9000}b"), RegexError::TooComplex(_)));
    }

    #[test]
    fn classes_are_ascii_and_unicode_is_there_where_it_is_asked_for() {
        let find = |pattern: &str, text: &str| {
            Delimiter::new(pattern, 99)
                .unwrap()
                .find_end(text.as_bytes(), true)
        };
        assert_eq!(find("\\s", "a\u{2003}b c"), Some(6));
        assert_eq!(find("\\p{Greek}", "aβc"), Some(3));
        assert_eq!(find("é", "aéc"), Some(3));
    }
}
