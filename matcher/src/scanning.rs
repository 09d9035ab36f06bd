//! Many patterns on one text: which of them are worth trying, and those that are tried together.
//!
//! Owns:    the making of a `Scan`, and `Bundles`, one shard's automatons for patterns without literals.
//! Runs on: build time (making) and every shard (bundles).            Plane: data.
//! Bounds:  `BUNDLE_MAX` patterns an automaton, `BUNDLE_BYTES_MAX` of scratch each; one that keeps running out is given up on.
//! Never:   compiles an automaton of patterns before a message needs it.
//!
//! Patterns of which every match contains a known text are tried only where that text was found: one pass (`windows`) finds all of
//! them. The others share lazy DFAs which answer for many patterns in one pass.

pub(crate) mod windows;

use std::collections::BTreeMap;

use regex_automata::hybrid::dfa;
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::{Input, PatternSet};

use self::windows::Windows;
use crate::engine::PatternForm;
use crate::predicate::{Check, Terms};
use crate::set::Options;
use crate::tree::{Bundle, List, Scan, ScanEntry, Target, Tree};

/// Entries with literals that make a pass for them worth its while: fewer are faster by themselves.
const LITERAL_SCAN_MIN: usize = 4;

/// Entries without literals that make an automaton worth its while.
const BUNDLE_MIN: usize = 6;

/// Patterns of one automaton: more of them make more states than its memory holds.
const BUNDLE_MAX: usize = 128;

/// Scratch of one automaton, bytes per shard.
const BUNDLE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Searches that an automaton may give up before it is not asked again.
const FAILURES_MAX: u32 = 8;

/// Makes a scan of these patterns.
pub(crate) fn scan(
    terms: &Terms,
    options: Options,
    tree: &mut Tree,
    entries: &[(Check, Target)],
) -> Scan {
    let first = tree.scan_entries;
    tree.scan_entries += entries.len() as u32;
    let mut scan = Scan {
        entries: entries
            .iter()
            .map(|&(check, target)| ScanEntry { check, target })
            .collect(),
        first,
        literals: None,
        owners: Vec::new(),
        owned: Vec::new(),
        loose: Vec::new(),
        bundles: Vec::new(),
    };
    let (mut by_literal, mut without) = (BTreeMap::<Vec<u8>, Vec<u32>>::new(), Vec::new());
    let mut with = Vec::new();
    for (number, (check, _)) in entries.iter().enumerate() {
        let number = number as u32;
        let required = check
            .pattern()
            .and_then(|pattern| terms.patterns[pattern as usize].required(terms))
            .filter(|_| options.literal_scan);
        match required {
            Some(texts) => {
                with.push(number);
                for text in texts {
                    by_literal.entry(text).or_default().push(number);
                }
            }
            None => without.push(number),
        }
    }
    if with.len() >= LITERAL_SCAN_MIN {
        scan.literals = Some(Box::new(Windows::new(by_literal.keys())));
        for owners in by_literal.into_values() {
            let list = List::append(&mut scan.owned, owners);
            scan.owners.push(list);
        }
    } else {
        without.extend(with);
    }
    bundle(terms, options, tree, &mut scan, without);
    scan
}

/// Puts regular expressions into bundles, the rest stays loose.
fn bundle(terms: &Terms, options: Options, tree: &mut Tree, scan: &mut Scan, entries: Vec<u32>) {
    let is_regex = |entry: &u32| {
        let pattern = scan.entries[*entry as usize].check.pattern();
        pattern.is_some_and(|pattern| {
            matches!(terms.patterns[pattern as usize], PatternForm::Regex(_))
        })
    };
    let (regexes, others): (Vec<u32>, Vec<u32>) = entries.into_iter().partition(is_regex);
    scan.loose = others;
    if !options.bundles || regexes.len() < BUNDLE_MIN {
        scan.loose.extend(regexes);
        return;
    }
    for entries in regexes.chunks(BUNDLE_MAX) {
        let patterns = entries
            .iter()
            .filter_map(|entry| scan.entries[*entry as usize].check.pattern())
            .collect();
        tree.bundles.push(patterns);
        scan.bundles.push(Bundle {
            number: tree.bundles.len() as u32 - 1,
            entries: entries.to_vec(),
        });
    }
}

/// An automaton for many patterns with its scratch.
#[derive(Debug)]
struct Automaton {
    dfa: dfa::DFA,
    cache: dfa::Cache,
    found: PatternSet,
    failures: u32,
}

/// What one shard has compiled of the bundles: not yet, or an automaton, or none because it cannot be made.
#[derive(Debug)]
pub(crate) struct Bundles(Vec<Option<Option<Box<Automaton>>>>);

impl Bundles {
    pub(crate) fn new(tree: &Tree) -> Bundles {
        Bundles(tree.bundles.iter().map(|_| None).collect())
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
            automaton.failures += 1;
            return None;
        }
        Some(&automaton.found)
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
    }))
}
