//! Patterns at work: plain text by search for it, everything else by an automaton that is built at first use.
//!
//! Owns:    `PatternForm` (shared, what a pattern is), `Engines` (one shard's automatons and their scratch).
//! Runs on: build time (forms) and every shard (engines).            Plane: data.
//! Bounds:  `pattern::NFA_BYTES_MAX` compiled and `pattern::LAZY_DFA_BYTES_MAX` of scratch for each pattern that a shard has used.
//! Never:   compiles a regular expression before a message needs it.

use aho_corasick::{AhoCorasick, packed};
use memchr::memmem;
use regex_automata::nfa::thompson::WhichCaptures;
use regex_automata::{Input, meta};
use regex_syntax::hir::Hir;

use crate::literals::{self, Required};
use crate::pattern::{self, Pattern};
use crate::predicate::{Interner, PatternKey, Terms, Text};

/// What a pattern is.
#[derive(Debug)]
pub(crate) enum PatternForm {
    /// Matches any text.
    Everything,
    /// How the text begins.
    Starts(Text),
    /// How the text ends.
    Ends(Text),
    /// What the text contains; not empty.
    Contains(Text, Box<memmem::Finder<'static>>),
    /// Several texts, one of which it contains.
    ContainsAny(Box<Texts>),
    /// A regular expression.
    Regex(Box<Source>),
}

/// Finds any of a few texts: by vector instructions where the processor has them and the texts are few, else by an automaton.
#[derive(Debug)]
pub(crate) enum AnyText {
    Vector(packed::Searcher),
    Automaton(AhoCorasick),
}

impl AnyText {
    fn new(texts: &[Vec<u8>]) -> AnyText {
        match packed::Searcher::new(texts) {
            Some(searcher) => AnyText::Vector(searcher),
            None => AnyText::Automaton(
                AhoCorasick::new(texts).expect("few short texts fit an automaton"),
            ),
        }
    }

    #[inline]
    fn is_in(&self, text: &[u8]) -> bool {
        match self {
            AnyText::Vector(searcher) => searcher.find(text).is_some(),
            AnyText::Automaton(automaton) => automaton.is_match(text),
        }
    }
}

/// Several texts, and the pattern that they were written as.
#[derive(Debug)]
pub(crate) struct Texts {
    pub(crate) source: String,
    texts: Vec<Text>,
    finder: AnyText,
}

/// A regular expression, not compiled.
#[derive(Debug)]
pub(crate) struct Source {
    /// As written.
    pub(crate) text: String,
    pub(crate) hir: Hir,
    /// Sets of texts, lower case, of each of which one stands in every match whatever its case.
    pub(crate) required: Vec<Required>,
}

impl PatternForm {
    pub(crate) fn new(interner: &mut Interner, key: &PatternKey, written: &Pattern) -> PatternForm {
        match key {
            PatternKey::Everything => PatternForm::Everything,
            PatternKey::Starts(text) => PatternForm::Starts(interner.text(text)),
            PatternKey::Ends(text) => PatternForm::Ends(interner.text(text)),
            PatternKey::Contains(texts) => match texts.as_slice() {
                [only] => {
                    let finder = memmem::Finder::new(only).into_owned();
                    PatternForm::Contains(interner.text(only), Box::new(finder))
                }
                several => PatternForm::ContainsAny(Box::new(Texts {
                    source: written.source().to_owned(),
                    texts: several.iter().map(|text| interner.text(text)).collect(),
                    finder: AnyText::new(several),
                })),
            },
            PatternKey::Regex(text) => PatternForm::Regex(Box::new(Source {
                text: text.clone(),
                hir: written.hir().clone(),
                required: literals::required(written.hir()),
            })),
        }
    }

    /// Whether it matches, where that takes no automaton.
    pub(crate) fn decide(&self, terms: &Terms, text: &[u8]) -> Option<bool> {
        Some(match self {
            PatternForm::Everything => true,
            PatternForm::Starts(start) => text.starts_with(terms.text(*start)),
            PatternForm::Ends(end) => text.ends_with(terms.text(*end)),
            PatternForm::Contains(_, finder) => finder.find(text).is_some(),
            PatternForm::ContainsAny(texts) => texts.finder.is_in(text),
            PatternForm::Regex(_) => return None,
        })
    }

    /// A regular expression as it was written.
    pub(crate) fn source(&self) -> Option<&str> {
        match self {
            PatternForm::Regex(source) => Some(&source.text),
            _ => None,
        }
    }

    /// What trying it costs, as a rank.
    pub(crate) fn cost(&self) -> u8 {
        match self {
            PatternForm::Everything | PatternForm::Starts(_) | PatternForm::Ends(_) => 0,
            PatternForm::Contains(..) => 3,
            PatternForm::ContainsAny(_) => 4,
            PatternForm::Regex(_) => 5,
        }
    }

    /// Sets of texts, lower case, of each of which one stands in every text that matches, whatever its case.
    pub(crate) fn required(&self, terms: &Terms) -> Vec<Required> {
        let one = |texts: &[Text]| {
            let texts = texts.iter().map(|text| terms.text(*text));
            let texts = texts.map(<[u8]>::to_ascii_lowercase).collect();
            literals::useful(texts).into_iter().collect()
        };
        match self {
            PatternForm::Everything => Vec::new(),
            PatternForm::Starts(text)
            | PatternForm::Ends(text)
            | PatternForm::Contains(text, _) => one(&[*text]),
            PatternForm::ContainsAny(texts) => one(&texts.texts),
            PatternForm::Regex(source) => source.required.clone(),
        }
    }
}

/// One compiled regular expression with its scratch.
#[derive(Debug)]
struct Compiled {
    regex: meta::Regex,
    cache: meta::Cache,
}

/// What one shard has compiled, by the number of the pattern.
#[derive(Debug)]
pub(crate) struct Engines(Vec<Option<Box<Compiled>>>);

impl Engines {
    pub(crate) fn new(terms: &Terms) -> Engines {
        Engines(terms.patterns.iter().map(|_| None).collect())
    }

    /// Takes over what another set's engines compiled; `origin` says for each pattern which one it was there.
    pub(crate) fn take_over(&mut self, old: &mut Engines, origin: &[Option<u32>]) {
        for (slot, origin) in self.0.iter_mut().zip(origin) {
            if let Some(origin) = origin {
                *slot = old.0[*origin as usize].take();
            }
        }
    }

    /// Whether a pattern matches.
    #[inline]
    pub(crate) fn is_match(&mut self, terms: &Terms, pattern: u32, text: &[u8]) -> bool {
        let form = &terms.patterns[pattern as usize];
        match form {
            PatternForm::Regex(source) => self.search(pattern, source, text),
            _ => form.decide(terms, text).unwrap_or(false),
        }
    }

    fn search(&mut self, pattern: u32, source: &Source, text: &[u8]) -> bool {
        let compiled =
            self.0[pattern as usize].get_or_insert_with(|| Box::new(compile(&source.hir)));
        let input = Input::new(text).earliest(true);
        compiled
            .regex
            .search_half_with(&mut compiled.cache, &input)
            .is_some()
    }
}

#[cold]
fn compile(hir: &Hir) -> Compiled {
    let regex = pattern::compile_measured(hir, WhichCaptures::Implicit);
    let cache = regex.create_cache();
    Compiled { regex, cache }
}
