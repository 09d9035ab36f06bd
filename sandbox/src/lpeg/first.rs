//! Which bytes a pattern may begin with.
//!
//! Owns:    `Firsts`, with what was found out for every rule.
//! Runs on: the shard of the plugin, while patterns are compiled.            Plane: control.
//! Bounds:  `LOOKS`; recursion by `DEEP_MAX`.
//! Never:   leaves out a byte; says more bytes than there are where it would take long to know.

use super::facts::Fact;
use super::pace::Pace;
use super::set::Set;
use super::tree::{DEPTH_MAX, Node, children, set_of};

/// How a pattern may succeed where no byte of its first set follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Empty {
    /// It fails.
    Fails,
    /// It may succeed.
    Succeeds,
    /// It must be run, because a function decides.
    Decides,
}

/// The bytes that a match begins with, and what happens without one of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct First {
    pub(crate) set: Set,
    pub(crate) empty: Empty,
}

const UNKNOWN: First = First {
    set: Set::FULL,
    empty: Empty::Decides,
};

/// Nodes that are looked into from within each other, through rules: what a thread of two megabytes has room for by far, and deeper than a
/// pattern without rules can be.
const DEEP_MAX: u32 = 2 * DEPTH_MAX;

/// Looks at nodes, for each node of a pattern; a pattern that needs more is not known so well.
const LOOKS: usize = 256;

impl First {
    /// What one of two begins with.
    pub(crate) fn or(&self, other: &First) -> First {
        First {
            set: self.set.or(&other.set),
            empty: either(self.empty, other.empty),
        }
    }
}

pub(crate) struct Firsts<'a> {
    nodes: &'a [Node],
    sets: &'a [Set],
    facts: &'a [Fact],
    /// By the place of a rule: what it begins with if anything follows it, or if nothing does. The former must not say more than is
    /// so: code relies on it where a pattern fails at its first byte or not at all.
    rules: std::collections::HashMap<(usize, bool), First>,
    deep: u32,
    /// Nodes that may still be looked at.
    looks: usize,
    pub(super) pace: Pace<'a>,
}

impl<'a> Firsts<'a> {
    pub(super) fn new(
        nodes: &'a [Node],
        sets: &'a [Set],
        facts: &'a [Fact],
        pace: Pace<'a>,
    ) -> Firsts<'a> {
        Firsts {
            nodes,
            sets,
            facts,
            rules: Default::default(),
            deep: 0,
            looks: nodes.len().max(64) * LOOKS,
            pace,
        }
    }

    /// What the pattern at `at` begins with if `follow` is what may follow it.
    pub(crate) fn of(&mut self, at: usize, follow: &Set) -> First {
        let Some(looks) = self.looks.checked_sub(1) else {
            return UNKNOWN;
        };
        if self.deep >= DEEP_MAX {
            return UNKNOWN;
        }
        self.looks = looks;
        self.pace.pass(1);
        self.deep += 1;
        let first = self.look(at, follow);
        self.deep -= 1;
        first
    }

    fn look(&mut self, at: usize, follow: &Set) -> First {
        let node = self.nodes[at];
        if let Some(set) = set_of(node, self.sets) {
            let empty = Empty::Fails;
            return First { set, empty };
        }
        match node {
            Node::Choice { .. } => {
                let parts = children(self.nodes, at);
                self.of_choice(parts, follow)
            }
            Node::Seq { .. } => self.of_seq(at, follow),
            Node::Star { .. } | Node::AtMost { .. } => {
                let body = self.of(at + 1, follow);
                First {
                    set: body.set.or(follow),
                    empty: Empty::Succeeds,
                }
            }
            Node::Capture { .. } | Node::Rule { .. } | Node::Grammar { .. } => {
                self.of(at + 1, follow)
            }
            Node::Runtime { .. } => {
                let body = self.of(at + 1, &Set::FULL);
                First {
                    set: body.set,
                    empty: match body.empty {
                        Empty::Fails => Empty::Fails,
                        _ => Empty::Decides,
                    },
                }
            }
            Node::Call { away } => self.of_rule(at.wrapping_add_signed(away as isize), follow),
            Node::And { .. } => {
                let body = self.of(at + 1, follow);
                First {
                    set: body.set.and(follow),
                    ..body
                }
            }
            Node::Not { .. } => self.of_not(at, follow),
            Node::Behind { .. } => First {
                set: *follow,
                empty: Empty::Succeeds,
            },
            _ => First {
                set: *follow,
                empty: Empty::Succeeds,
            },
        }
    }

    pub(crate) fn of_choice(&mut self, parts: impl Iterator<Item = usize>, follow: &Set) -> First {
        let mut whole = First {
            set: Set::EMPTY,
            empty: Empty::Fails,
        };
        for part in parts {
            whole = whole.or(&self.of(part, follow));
        }
        whole
    }

    fn of_seq(&mut self, at: usize, follow: &Set) -> First {
        let parts: Vec<usize> = children(self.nodes, at).collect();
        self.pace.pass(parts.len());
        self.of_parts(&parts, follow)
    }

    /// What a sequence of these begins with.
    pub(crate) fn of_parts(&mut self, parts: &[usize], follow: &Set) -> First {
        let taken = parts.iter().position(|&part| !self.facts[part].nullable());
        // What is behind a part that takes a byte cannot be reached without one.
        let (mut whole, rest) = match taken {
            Some(last) => (self.of(parts[last], &Set::FULL), &parts[..last]),
            None => {
                let empty = Empty::Succeeds;
                (
                    First {
                        set: *follow,
                        empty,
                    },
                    parts,
                )
            }
        };
        for &part in rest.iter().rev() {
            let one = self.of(part, &whole.set);
            whole = First {
                set: one.set,
                empty: match (one.empty, whole.empty) {
                    (Empty::Fails, _) => Empty::Fails,
                    (Empty::Decides, _) | (_, Empty::Decides) => Empty::Decides,
                    (Empty::Succeeds, rest) => rest,
                },
            };
        }
        whole
    }

    fn of_not(&mut self, at: usize, follow: &Set) -> First {
        if let Some(set) = set_of(self.nodes[at + 1], self.sets) {
            return First {
                set: set.not().and(follow),
                empty: Empty::Succeeds,
            };
        }
        let body = self.of(at + 1, &Set::FULL);
        First {
            set: *follow,
            empty: either(body.empty, Empty::Succeeds),
        }
    }

    fn of_rule(&mut self, rule: usize, follow: &Set) -> First {
        let nullable = self.facts[rule].nullable();
        let full = *follow == Set::FULL || !nullable;
        let known = match self.rules.get(&(rule, full)) {
            Some(known) => *known,
            None => {
                // Whoever asks again before it is known learns nothing.
                self.rules.insert((rule, full), UNKNOWN);
                let found = self.of(rule + 1, if full { &Set::FULL } else { &Set::EMPTY });
                self.rules.insert((rule, full), found);
                found
            }
        };
        First {
            set: if full {
                known.set
            } else {
                known.set.or(follow)
            },
            ..known
        }
    }
}

/// What may happen in either of two ways.
fn either(a: Empty, b: Empty) -> Empty {
    match (a, b) {
        (Empty::Decides, _) | (_, Empty::Decides) => Empty::Decides,
        (Empty::Succeeds, _) | (_, Empty::Succeeds) => Empty::Succeeds,
        _ => Empty::Fails,
    }
}
