//! Formulas as flat rows of steps.
//!
//! Owns:    `Program`, and the laying out of formulas as steps.
//! Runs on: build time (laying out); `search` runs the steps on every shard.            Plane: data.
//! Bounds:  a step only jumps forward, so a run visits each step at most once.
//! Never:   lays out a formula twice.
//!
//! A step is one check with the place to go on for either outcome: `&&`, `||` and negation are in the jumps, not in the
//! checks. `Type == "a" && Severity < 4` is
//!
//! ```text
//! 0: Severity < 4   yes -> 1         no -> REJECT
//! 1: Type == "a"    yes -> ACCEPT    no -> REJECT
//! ```

use std::collections::HashMap;

use crate::formula::{Formula, FormulaId, Formulas, Joint};
use crate::predicate::{Check, Terms};

/// The formula holds.
pub(crate) const ACCEPT: u32 = u32::MAX;
/// The formula does not hold.
pub(crate) const REJECT: u32 = u32::MAX - 1;

/// A check and where its outcomes lead: a step, `ACCEPT` or `REJECT`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) check: Check,
    pub(crate) yes: u32,
    pub(crate) no: u32,
}

const _: () = assert!(
    size_of::<Step>() <= 24,
    "more than two steps share a cache line"
);

/// The steps of many formulas.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(crate) steps: Vec<Step>,
    entries: HashMap<FormulaId, u32>,
}

/// What is left to lay out: a formula, or the members of a joint that stand before those laid out already.
enum Walk {
    Formula {
        formula: FormulaId,
        yes: u32,
        no: u32,
    },
    Before {
        joint: FormulaId,
        left: usize,
        /// Where the joint leads when it is decided early.
        exit: u32,
    },
}

impl Program {
    /// The first step of a formula.
    pub(crate) fn entry(&mut self, formulas: &Formulas, terms: &Terms, formula: FormulaId) -> u32 {
        if let Some(entry) = self.entries.get(&formula) {
            return *entry;
        }
        let entry = self.lay_out(formulas, terms, formula);
        self.entries.insert(formula, entry);
        entry
    }

    /// Lays out a formula from its last check to its first, so that the targets of every jump are known.
    fn lay_out(&mut self, formulas: &Formulas, terms: &Terms, root: FormulaId) -> u32 {
        let first = self.steps.len();
        let mut walk = vec![Walk::Formula {
            formula: root,
            yes: ACCEPT,
            no: REJECT,
        }];
        let mut entry = ACCEPT;
        while let Some(next) = walk.pop() {
            match next {
                Walk::Formula { formula, yes, no } => match formulas.get(formula) {
                    Formula::Constant(value) => entry = if value { yes } else { no },
                    Formula::Literal(check, positive) => {
                        let (yes, no) = if positive { (yes, no) } else { (no, yes) };
                        let check = terms.checks[check as usize];
                        self.steps.push(Step { check, yes, no });
                        entry = (self.steps.len() - 1 - first) as u32;
                    }
                    Formula::All(members) | Formula::Any(members) => {
                        let all = matches!(formulas.get(formula), Formula::All(_));
                        // The last member decides what the others leave open.
                        entry = if all { yes } else { no };
                        walk.push(Walk::Before {
                            joint: formula,
                            left: formulas.members(members).len(),
                            exit: if all { no } else { yes },
                        });
                    }
                },
                Walk::Before { left: 0, .. } => {}
                Walk::Before { joint, left, exit } => {
                    let Some((kind, members)) = formulas.joint(joint) else {
                        continue;
                    };
                    walk.push(Walk::Before {
                        joint,
                        left: left - 1,
                        exit,
                    });
                    let (yes, no) = match kind {
                        Joint::All => (entry, exit),
                        Joint::Any => (exit, entry),
                    };
                    walk.push(Walk::Formula {
                        formula: members[left - 1],
                        yes,
                        no,
                    });
                }
            }
        }
        self.turn_round(first, entry)
    }

    /// Steps were laid out from the last to the first, counting backwards; turns them round and answers the first one.
    fn turn_round(&mut self, first: usize, entry: u32) -> u32 {
        let steps = &mut self.steps[first..];
        steps.reverse();
        let last = (first + steps.len()) as u32;
        let forward = |target: u32| {
            if target >= REJECT {
                target
            } else {
                last - 1 - target
            }
        };
        for step in steps {
            step.yes = forward(step.yes);
            step.no = forward(step.no);
        }
        forward(entry)
    }

    /// Frees what only laying out needs.
    pub(crate) fn finish(&mut self) {
        self.entries = HashMap::new();
        self.steps.shrink_to_fit();
    }
}
