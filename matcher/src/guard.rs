//! Guards: what of a formula must hold for the formula to hold, so that it need not be looked at where none of it does.
//!
//! Owns:    `Guard`, and the choice among the guards that a formula offers.
//! Runs on: build time.            Plane: control.
//! Bounds:  `GUARDS_MAX` guards a formula; a formula that would need more has none.
//! Never:   misses: a formula holds only where one of its guards does.
//!
//! Of joined members by `&&` each is a guard of the whole, and the best one is taken; by `||` it takes the guards of all. The best is
//! what one lookup finds and what few others share: a text before a number, a number before a pattern.

use std::collections::{HashMap, HashSet};

use codecs::message::Header;

use crate::ast::Relation;
use crate::engine::PatternForm;
use crate::formula::{Formula, FormulaId, Formulas, Joint};
use crate::predicate::{Check, Subject, Terms, Text};

/// Guards of one formula.
const GUARDS_MAX: usize = 16 * 1024;

/// A range of numbers by its ends, each with whether it belongs to the range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    pub(crate) low: (f64, bool),
    pub(crate) high: (f64, bool),
}

impl Range {
    fn of(relation: Relation, number: f64) -> Option<Range> {
        let (low, high) = ((f64::NEG_INFINITY, true), (f64::INFINITY, true));
        Some(match relation {
            Relation::Equal => Range {
                low: (number, true),
                high: (number, true),
            },
            Relation::Less => Range {
                low,
                high: (number, false),
            },
            Relation::LessOrEqual => Range {
                low,
                high: (number, true),
            },
            Relation::Greater => Range {
                low: (number, false),
                high,
            },
            Relation::GreaterOrEqual => Range {
                low: (number, true),
                high,
            },
            Relation::NotEqual | Relation::Matches | Relation::NotMatches => return None,
        })
    }

    /// What both allow.
    fn and(self, other: Range) -> Range {
        let later = |a: (f64, bool), b: (f64, bool)| {
            if a.0 > b.0 || a.0 == b.0 && !a.1 {
                a
            } else {
                b
            }
        };
        let earlier = |a: (f64, bool), b: (f64, bool)| {
            if a.0 < b.0 || a.0 == b.0 && !a.1 {
                a
            } else {
                b
            }
        };
        Range {
            low: later(self.low, other.low),
            high: earlier(self.high, other.high),
        }
    }
}

/// What is looked up.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Key {
    Signer(u32),
    /// The whole text.
    Text(Text),
    /// How a text begins or ends (`true`).
    Affix(Text, bool),
    /// A number within a range.
    Range(Range),
    /// A truth value, or its name.
    Truth(bool),
    /// Any value of a field.
    Present,
    /// A pattern that is tried.
    Pattern,
}

/// One guard.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    pub(crate) subject: Subject,
    pub(crate) key: Key,
    /// The checks that hold where it does.
    pub(crate) checks: Vec<u32>,
    /// The formula holds where it does.
    pub(crate) sufficient: bool,
}

/// How many different things the formulas of one node ask of each subject.
#[derive(Debug, Default)]
pub(crate) struct Variety(HashMap<Subject, HashSet<u32>>);

impl Variety {
    /// Counts the checks of these formulas.
    pub(crate) fn of(formulas: &Formulas, terms: &Terms, roots: &[FormulaId]) -> Variety {
        let mut variety = Variety::default();
        for &root in roots {
            for part in formulas.parts(root) {
                if let Formula::Literal(check, true) = formulas.get(part) {
                    let subject = terms.checks[check as usize].subject();
                    variety.0.entry(subject).or_default().insert(check);
                }
            }
        }
        variety
    }

    fn count(&self, subject: Subject) -> usize {
        self.0.get(&subject).map_or(1, HashSet::len).max(1)
    }
}

/// Guards of a part, and how good they are: less is better.
#[derive(Clone)]
struct Offer {
    score: f64,
    guards: Vec<Guard>,
}

/// The best guards of a formula; `None` where it has none.
pub(crate) fn guards(
    formulas: &Formulas,
    terms: &Terms,
    variety: &Variety,
    root: FormulaId,
) -> Option<Vec<Guard>> {
    let parts = formulas.parts(root);
    let mut offers: HashMap<FormulaId, Option<Offer>> = HashMap::with_capacity(parts.len());
    for part in parts {
        let offer = match formulas.get(part) {
            Formula::Constant(_) | Formula::Literal(_, false) => None,
            Formula::Literal(check, true) => offer(terms, variety, check),
            Formula::All(members) => {
                let members = formulas.members(members);
                best_of(formulas, terms, variety, members, &offers)
            }
            Formula::Any(members) => all_of(formulas.members(members), &offers),
        };
        offers.insert(part, offer);
    }
    let mut guards = offers.remove(&root)??.guards;
    let enough: HashSet<u32> = match formulas.joint(root) {
        None => [root]
            .iter()
            .filter_map(|root| check_of(formulas, *root))
            .collect(),
        Some((Joint::Any, members)) => members
            .iter()
            .filter_map(|member| check_of(formulas, *member))
            .collect(),
        Some((Joint::All, _)) => HashSet::new(),
    };
    for guard in &mut guards {
        guard.sufficient = guard.checks.iter().any(|check| enough.contains(check));
    }
    Some(guards)
}

/// The check that a formula is.
fn check_of(formulas: &Formulas, formula: FormulaId) -> Option<u32> {
    match formulas.get(formula) {
        Formula::Literal(check, true) => Some(check),
        _ => None,
    }
}

fn offer(terms: &Terms, variety: &Variety, number: u32) -> Option<Offer> {
    let check = &terms.checks[number as usize];
    let subject = check.subject();
    let (rank, key) = match *check {
        Check::Signer(signer) => (0.0, Key::Signer(signer)),
        Check::HeaderIs(_, text) | Check::FieldText(_, Relation::Equal, text) => {
            (0.0, Key::Text(text))
        }
        Check::FieldBool(_, value) => (1.0, Key::Truth(value)),
        Check::Number(_, relation, value) | Check::FieldNumber(_, relation, value) => {
            match Range::of(relation, value.value()) {
                Some(range) if relation == Relation::Equal => (0.5, Key::Range(range)),
                Some(range) => (2.5, Key::Range(range)),
                None => (4.0, Key::Present),
            }
        }
        Check::HeaderMatches(Header::Uuid, ..) => return None,
        Check::HeaderMatches(_, pattern, _) | Check::FieldMatches(_, pattern, true, _) => {
            match &terms.patterns[pattern as usize] {
                PatternForm::Starts(text) => (1.0, Key::Affix(*text, false)),
                PatternForm::Ends(text) => (1.0, Key::Affix(*text, true)),
                PatternForm::Everything => (4.0, Key::Present),
                form if form.required(terms).is_some() => (5.0, Key::Pattern),
                _ => (6.0, Key::Pattern),
            }
        }
        Check::FieldPresent(_) | Check::FieldText(..) | Check::FieldMatches(_, _, false, _) => {
            (4.0, Key::Present)
        }
        Check::HeaderBefore(..)
        | Check::HeaderAfter(..)
        | Check::UuidPresent
        | Check::UuidBefore(_)
        | Check::UuidAfter(_) => return None,
    };
    if key == Key::Present && !matches!(subject, Subject::Field(_)) {
        return None;
    }
    // That a value is there says nothing of what it is.
    let checks = match (&key, check) {
        (Key::Present, Check::FieldPresent(_)) => vec![number],
        (Key::Present, _) => Vec::new(),
        _ => vec![number],
    };
    Some(Offer {
        score: rank + 1.0 / variety.count(subject) as f64,
        guards: vec![Guard {
            subject,
            key,
            checks,
            sufficient: false,
        }],
    })
}

/// For members joined by `&&`: the best offer, or a range that several of them make together.
fn best_of(
    formulas: &Formulas,
    terms: &Terms,
    variety: &Variety,
    members: &[FormulaId],
    offers: &HashMap<FormulaId, Option<Offer>>,
) -> Option<Offer> {
    let mut best: Option<&Offer> = None;
    let mut ranges: Vec<(Subject, Range, Vec<u32>)> = Vec::new();
    for member in members {
        let Some(offer) = &offers[member] else {
            continue;
        };
        if best.is_none_or(|best| offer.score < best.score) {
            best = Some(offer);
        }
        if let (Formula::Literal(check, true), [guard]) =
            (formulas.get(*member), offer.guards.as_slice())
            && let Key::Range(range) = guard.key
            && matches!(
                terms.checks[check as usize],
                Check::Number(..) | Check::FieldNumber(..)
            )
        {
            match ranges.iter_mut().find(|known| known.0 == guard.subject) {
                Some((_, known, checks)) => {
                    *known = known.and(range);
                    checks.push(check);
                }
                None => ranges.push((guard.subject, range, vec![check])),
            }
        }
    }
    let mut best = best.cloned();
    for (subject, range, checks) in ranges {
        let score = 2.0 + 1.0 / variety.count(subject) as f64;
        if checks.len() > 1 && best.as_ref().is_none_or(|best| score < best.score) {
            best = Some(Offer {
                score,
                guards: vec![Guard {
                    subject,
                    key: Key::Range(range),
                    checks,
                    sufficient: false,
                }],
            });
        }
    }
    best
}

/// For members joined by `||`: the offers of all, as good as the worst.
fn all_of(members: &[FormulaId], offers: &HashMap<FormulaId, Option<Offer>>) -> Option<Offer> {
    let mut together = Offer {
        score: 0.0,
        guards: Vec::new(),
    };
    for member in members {
        let offer = offers[member].as_ref()?;
        together.score = together.score.max(offer.score);
        together.guards.extend_from_slice(&offer.guards);
        if together.guards.len() > GUARDS_MAX {
            return None;
        }
    }
    Some(together)
}
