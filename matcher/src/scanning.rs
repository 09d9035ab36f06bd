//! Many patterns on one text: which of them are worth trying, and those that are tried together.
//!
//! Owns:    the making of a `Scan`, and `Bundles`, one shard's automatons for patterns without literals.
//! Runs on: build time (making) and every shard (bundles).            Plane: data.
//! Bounds:  `BUNDLE_MAX` patterns an automaton, `BUNDLE_BYTES_MAX` of scratch each; one that keeps running out is left alone for a while.
//! Never:   compiles an automaton of patterns before a message needs it.
//!
//! Patterns of which every match contains a known text are tried only where that text was found: one pass (`windows`) finds all of
//! them. The others share lazy DFAs which answer for many patterns in one pass.

pub(crate) mod windows;

use std::collections::{BTreeMap, HashMap};

use regex_automata::hybrid::dfa;
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::{Input, PatternSet};

use self::windows::Literals;
use crate::engine::PatternForm;
use crate::literals::Required;
use crate::predicate::{Check, Terms};
use crate::set::Options;
use crate::tree::{Bundle, List, Owners, Scan, ScanEntry, Target, Tree};

/// Entries with literals that make a pass for them worth its while: fewer are faster by themselves.
const LITERAL_SCAN_MIN: usize = 4;

/// Entries without literals that make an automaton worth its while.
const BUNDLE_MIN: usize = 6;

/// Patterns of one automaton: more of them make more states than its memory holds.
const BUNDLE_MAX: usize = 128;

/// Scratch of one automaton, bytes per shard.
const BUNDLE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Searches that an automaton may give up before it is left alone for a while.
const FAILURES_MAX: u32 = 8;

/// For how many searches at first.
const PAUSE: u32 = 256;

/// How often that is doubled.
const PAUSE_DOUBLINGS_MAX: u32 = 8;

/// Makes a scan of these patterns.
pub(crate) fn scan(
    terms: &Terms,
    options: Options,
    tree: &mut Tree,
    entries: &[(Check, Target)],
) -> Scan {
    let mut scan = Scan {
        entries: entries
            .iter()
            .map(|&(check, target)| ScanEntry { check, target })
            .collect(),
        first: tree.scan_literals,
        literals: None,
        owners: Vec::new(),
        owned: Vec::new(),
        owned_bundles: Vec::new(),
        loose: Vec::new(),
        bundles: Vec::new(),
    };
    let (with, mut without) = chosen_literals(terms, options, entries);
    let mut by_literal = BTreeMap::<Vec<u8>, Vec<u32>>::new();
    if with.len() >= LITERAL_SCAN_MIN {
        for (entry, texts) in with {
            for text in texts {
                by_literal.entry(text).or_default().push(entry);
            }
        }
        let literals: Vec<&Vec<u8>> = by_literal.keys().collect();
        scan.literals = Some(Box::new(Literals::new(&literals)));
        tree.scan_literals += literals.len() as u32;
        for owners in by_literal.into_values() {
            let owners = owners_of(terms, options, tree, &mut scan, owners);
            scan.owners.push(owners);
        }
    } else {
        without.extend(with.into_iter().map(|(entry, _)| entry));
    }
    let (bundles, loose) = bundled(terms, options, tree, &scan, without);
    (scan.bundles, scan.loose) = (bundles, loose);
    scan
}

/// For each entry the set of literals that fewest others share, and the entries that have none.
fn chosen_literals(
    terms: &Terms,
    options: Options,
    entries: &[(Check, Target)],
) -> (Vec<(u32, Required)>, Vec<u32>) {
    let offered: Vec<Vec<Required>> = entries
        .iter()
        .map(|(check, _)| match check.pattern() {
            Some(pattern) if options.literal_scan => {
                terms.patterns[pattern as usize].required(terms)
            }
            _ => Vec::new(),
        })
        .collect();
    let mut shared: HashMap<&[u8], usize> = HashMap::new();
    for text in offered.iter().flatten().flatten() {
        *shared.entry(text).or_insert(0) += 1;
    }
    let crowd = |texts: &Required| {
        let counts = texts.iter().map(|text| shared[text.as_slice()]);
        counts.max().unwrap_or(0)
    };
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for (number, sets) in offered.iter().enumerate() {
        match sets.iter().min_by_key(|texts| crowd(texts)) {
            Some(texts) => with.push((number as u32, texts.clone())),
            None => without.push(number as u32),
        }
    }
    (with, without)
}

/// The entries of a literal: tried one by one, or together where many share it.
fn owners_of(
    terms: &Terms,
    options: Options,
    tree: &mut Tree,
    scan: &mut Scan,
    entries: Vec<u32>,
) -> Owners {
    let (bundles, entries) = bundled(terms, options, tree, scan, entries);
    Owners {
        entries: List::append(&mut scan.owned, entries),
        bundles: List::append(&mut scan.owned_bundles, bundles),
    }
}

/// Puts regular expressions into bundles if they are many; answers with what stays loose.
fn bundled(
    terms: &Terms,
    options: Options,
    tree: &mut Tree,
    scan: &Scan,
    entries: Vec<u32>,
) -> (Vec<Bundle>, Vec<u32>) {
    let pattern_of = |entry: &u32| scan.entries[*entry as usize].check.pattern();
    let is_regex = |entry: &u32| {
        pattern_of(entry).is_some_and(|pattern| {
            matches!(terms.patterns[pattern as usize], PatternForm::Regex(_))
        })
    };
    let (regexes, mut loose): (Vec<u32>, Vec<u32>) = entries.into_iter().partition(is_regex);
    if !options.bundles || regexes.len() < BUNDLE_MIN {
        loose.extend(regexes);
        return (Vec::new(), loose);
    }
    let bundles = regexes.chunks(BUNDLE_MAX).map(|entries| {
        tree.bundles
            .push(entries.iter().filter_map(pattern_of).collect());
        Bundle {
            number: tree.bundles.len() as u32 - 1,
            entries: entries.to_vec(),
        }
    });
    (bundles.collect(), loose)
}

/// An automaton for many patterns with its scratch.
#[derive(Debug)]
struct Automaton {
    dfa: dfa::DFA,
    cache: dfa::Cache,
    found: PatternSet,
    failures: u32,
    /// Searches for which it is left alone.
    pause: u32,
}

/// What one shard has compiled of the bundles: not yet, or an automaton, or none because it cannot be made.
#[derive(Debug)]
pub(crate) struct Bundles(Vec<Option<Option<Box<Automaton>>>>);

impl Bundles {
    pub(crate) fn new(tree: &Tree) -> Bundles {
        Bundles(tree.bundles.iter().map(|_| None).collect())
    }

    /// Takes over what another set's bundles compiled; `origin` says for each one which it was there.
    pub(crate) fn take_over(&mut self, old: &mut Bundles, origin: &[Option<u32>]) {
        for (slot, origin) in self.0.iter_mut().zip(origin) {
            if let Some(origin) = origin {
                *slot = old.0[*origin as usize].take();
            }
        }
    }

    /// Which patterns of a bundle match; `None` where each has to be tried by itself.
    pub(crate) fn search(
        &mut self,
        terms: &Terms,
        tree: &Tree,
        number: u32,
        text: &[u8],
    ) -> Option<&PatternSet> {
        let slot = &mut self.0[number as usize];
        let made = slot.get_or_insert_with(|| compile(terms, &tree.bundles[number as usize]));
        let automaton = made
            .as_mut()
            .filter(|automaton| automaton.failures < FAILURES_MAX)?;
        automaton.found.clear();
        let input = Input::new(text);
        // Most texts match none of them, which is found out faster than which ones match.
        let any = automaton
            .dfa
            .try_search_fwd(&mut automaton.cache, &input.clone().earliest(true));
        if let Ok(None) = any {
            return Some(&automaton.found);
        }
        let result = automaton.dfa.try_which_overlapping_matches(
            &mut automaton.cache,
            &input,
            &mut automaton.found,
        );
        if result.is_err() {
            automaton.failed();
            return None;
        }
        Some(&automaton.found)
    }
}

impl Automaton {
    /// It has run out of memory for its states. Texts that do that may be rare or an attack; after some it rests, longer each time.
    #[cold]
    fn failed(&mut self) {
        self.failures += 1;
        if self.failures >= FAILURES_MAX {
            self.pause = PAUSE << (self.failures - FAILURES_MAX).min(PAUSE_DOUBLINGS_MAX);
        }
    }
}

#[cold]
fn compile(terms: &Terms, patterns: &[u32]) -> Option<Box<Automaton>> {
    let mut hirs = Vec::with_capacity(patterns.len());
    for pattern in patterns {
        match &terms.patterns[*pattern as usize] {
            PatternForm::Regex(source) => hirs.push(&source.hir),
            _ => return None,
        }
    }
    let config = thompson::Config::new()
        .utf8(false)
        .nfa_size_limit(Some(crate::pattern::NFA_BYTES_MAX))
        .which_captures(WhichCaptures::None);
    let nfa = NFA::compiler()
        .configure(config)
        .build_many_from_hir(&hirs)
        .ok()?;
    let config = dfa::Config::new()
        .match_kind(regex_automata::MatchKind::All)
        .cache_capacity(BUNDLE_BYTES_MAX)
        .skip_cache_capacity_check(true)
        .minimum_cache_clear_count(Some(3))
        .minimum_bytes_per_state(Some(10));
    let dfa = dfa::Builder::new()
        .configure(config)
        .build_from_nfa(nfa)
        .ok()?;
    let cache = dfa.create_cache();
    let found = PatternSet::new(dfa.pattern_len());
    Some(Box::new(Automaton {
        dfa,
        cache,
        found,
        failures: 0,
        pause: 0,
    }))
}
