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

/// What twice as many guards cost, as a score.
const MANY_COST: f64 = 0.1;

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

/// How good the guards of a part are, and where they come from.
#[derive(Clone, Copy)]
struct Offer {
    /// Less is better.
    score: f64,
    guards: usize,
    from: From,
}

/// Where the guards of a part come from.
#[derive(Clone, Copy)]
enum From {
    /// It is a check.
    Itself,
    /// One of its members.
    Member(FormulaId),
    /// The range of numbers that its members on this subject make together.
    Range(Subject),
    /// All its members.
    Members,
}

/// The best guards of a formula; `None` where it has none. Adds to `work` what it looked at.
pub(crate) fn guards(
    formulas: &Formulas,
    terms: &Terms,
    variety: &Variety,
    root: FormulaId,
    work: &mut usize,
) -> Option<Vec<Guard>> {
    let parts = formulas.parts(root);
    *work += parts.len();
    let mut offers: HashMap<FormulaId, Offer> = HashMap::with_capacity(parts.len());
    for part in parts {
        let offer = match formulas.get(part) {
            Formula::Constant(_) | Formula::Literal(_, false) => None,
            Formula::Literal(check, true) => {
                guard_of(terms, variety, check).map(|(score, _)| Offer {
                    score,
                    guards: 1,
                    from: From::Itself,
                })
            }
            Formula::All(members) => {
                let members = formulas.members(members);
                best_of(formulas, terms, variety, members, &offers)
            }
            Formula::Any(members) => all_of(formulas.members(members), &offers),
        };
        if let Some(offer) = offer {
            offers.insert(part, offer);
        }
    }
    let mut guards = Vec::new();
    let mut rest = vec![root];
    while let Some(part) = rest.pop() {
        match offers.get(&part)?.from {
            From::Itself => {
                let check = check_of(formulas, part)?;
                guards.push(guard_of(terms, variety, check)?.1);
            }
            From::Member(member) => rest.push(member),
            From::Range(subject) => {
                let (_, members) = formulas.joint(part)?;
                let ranges = ranges_of(formulas, terms, members);
                guards.extend(ranges.into_iter().find(|guard| guard.subject == subject));
            }
            From::Members => rest.extend_from_slice(formulas.joint(part)?.1),
        }
    }
    mark_sufficient(formulas, root, &mut guards);
    Some(guards)
}

/// Marks the guards whose check is the formula, or one of its alternatives.
fn mark_sufficient(formulas: &Formulas, root: FormulaId, guards: &mut [Guard]) {
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
    for guard in guards {
        guard.sufficient = guard.checks.iter().any(|check| enough.contains(check));
    }
}

/// The check that a formula is.
fn check_of(formulas: &Formulas, formula: FormulaId) -> Option<u32> {
    match formulas.get(formula) {
        Formula::Literal(check, true) => Some(check),
        _ => None,
    }
}

/// The guard that a check is, and its score.
fn guard_of(terms: &Terms, variety: &Variety, number: u32) -> Option<(f64, Guard)> {
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
                form if !form.required(terms).is_empty() => (5.0, Key::Pattern),
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
    let score = rank + 1.0 / variety.count(subject) as f64;
    let guard = Guard {
        subject,
        key,
        checks,
        sufficient: false,
    };
    Some((score, guard))
}

/// For members joined by `&&`: the best offer, or a range that several of them make together.
fn best_of(
    formulas: &Formulas,
    terms: &Terms,
    variety: &Variety,
    members: &[FormulaId],
    offers: &HashMap<FormulaId, Offer>,
) -> Option<Offer> {
    let mut best: Option<Offer> = None;
    for member in members {
        if let Some(offer) = offers.get(member)
            && best.is_none_or(|best| offer.score < best.score)
        {
            best = Some(Offer {
                from: From::Member(*member),
                ..*offer
            });
        }
    }
    for range in ranges_of(formulas, terms, members) {
        let score = 2.0 + 1.0 / variety.count(range.subject) as f64;
        if range.checks.len() > 1 && best.is_none_or(|best| score < best.score) {
            best = Some(Offer {
                score,
                guards: 1,
                from: From::Range(range.subject),
            });
        }
    }
    best
}

/// For each subject the range of numbers that the members joined by `&&` leave.
fn ranges_of(formulas: &Formulas, terms: &Terms, members: &[FormulaId]) -> Vec<Guard> {
    let mut ranges: Vec<Guard> = Vec::new();
    for member in members {
        let Some(number) = check_of(formulas, *member) else {
            continue;
        };
        let check = &terms.checks[number as usize];
        let (Check::Number(_, relation, value) | Check::FieldNumber(_, relation, value)) = *check
        else {
            continue;
        };
        let Some(range) = Range::of(relation, value.value()) else {
            continue;
        };
        let subject = check.subject();
        match ranges.iter_mut().find(|guard| guard.subject == subject) {
            Some(guard) => {
                if let Key::Range(known) = &mut guard.key {
                    *known = known.and(range);
                }
                guard.checks.push(number);
            }
            None => ranges.push(Guard {
                subject,
                key: Key::Range(range),
                checks: vec![number],
                sufficient: false,
            }),
        }
    }
    ranges
}

/// For members joined by `||`: the offers of all, as good as the worst, and less so the more there are: each is a place to keep the formula.
fn all_of(members: &[FormulaId], offers: &HashMap<FormulaId, Offer>) -> Option<Offer> {
    let mut together = Offer {
        score: 0.0,
        guards: 0,
        from: From::Members,
    };
    for member in members {
        let offer = offers.get(member)?;
        together.score = together.score.max(offer.score);
        together.guards += offer.guards;
        if together.guards > GUARDS_MAX {
            return None;
        }
    }
    together.score += MANY_COST * (together.guards as f64).log2();
    Some(together)
}
