//! The decision tree: nodes that say who accepts, what to try, and what to look up next.
//!
//! Owns:    `Tree` and its parts.
//! Runs on: made by `compile`, read by every shard.            Plane: data.
//! Bounds:  `compile::DEPTH_MAX` deep.
//! Never:   changes once it is made.

use codecs::message::Header;

use crate::ast::NumberHeader;
use crate::formula::FormulaId;
use crate::predicate::Check;
use crate::scanning::windows::Literals;
use crate::table::TextTable;

/// Where a lookup leads: to a consumer that accepts, to one program to run, to a node, or nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target(u32);

/// A target, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    Nowhere,
    Consumer(u32),
    Run(u32),
    Node(u32),
}

const KIND_BITS: u32 = 30;
const KIND_MASK: u32 = (1 << KIND_BITS) - 1;

impl Target {
    pub(crate) const NOWHERE: Target = Target(u32::MAX);

    pub(crate) fn new(goal: Goal) -> Target {
        match goal {
            Goal::Nowhere => Target::NOWHERE,
            Goal::Node(number) => Target(number),
            Goal::Consumer(number) => Target(1 << KIND_BITS | number),
            Goal::Run(number) => Target(2 << KIND_BITS | number),
        }
    }

    #[inline]
    pub(crate) fn goal(self) -> Goal {
        match self.0 >> KIND_BITS {
            0 => Goal::Node(self.0),
            1 => Goal::Consumer(self.0 & KIND_MASK),
            2 => Goal::Run(self.0 & KIND_MASK),
            _ => Goal::Nowhere,
        }
    }

    #[inline]
    pub(crate) fn from_table(number: u32) -> Target {
        Target(number)
    }

    pub(crate) fn number(self) -> u32 {
        self.0
    }
}

/// A range of one of the tree's lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct List {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl List {
    #[inline]
    pub(crate) fn of<T>(self, all: &[T]) -> &[T] {
        &all[self.start as usize..][..self.len as usize]
    }

    /// Puts items at the end of a list.
    pub(crate) fn append<T>(all: &mut Vec<T>, items: impl IntoIterator<Item = T>) -> List {
        let start = all.len() as u32;
        all.extend(items);
        List {
            start,
            len: all.len() as u32 - start,
        }
    }
}

/// A place in the tree: what is known there has been found by the lookups on the way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    /// Consumers that accept.
    pub(crate) accept: List,
    /// Programs to run.
    pub(crate) runs: List,
    /// Lookups.
    pub(crate) branches: List,
    /// Lookups by field, sorted by place.
    pub(crate) fields: List,
}

/// A program and the consumers that accept if it holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) entry: u32,
    pub(crate) consumers: List,
}

/// A lookup by something that every message has.
#[derive(Debug)]
pub(crate) enum Branch {
    /// By the signer's number.
    Signer(Vec<Target>),
    Text(Header, TextIndex),
    Number(NumberHeader, NumberIndex),
}

/// A lookup by a field's value.
#[derive(Debug)]
pub(crate) struct FieldBranch {
    pub(crate) place: u32,
    /// Whatever the value.
    pub(crate) present: Target,
    pub(crate) text: Option<TextIndex>,
    pub(crate) number: Option<NumberIndex>,
    pub(crate) truth: Target,
    /// `false` satisfies every test against anything but `TRUE`.
    pub(crate) falsehood: Target,
}

/// What a text leads to.
#[derive(Debug, Default)]
pub(crate) struct TextIndex {
    /// By the whole text.
    pub(crate) whole: Option<TextTable>,
    /// By how it begins or ends.
    pub(crate) affixes: Vec<Affixes>,
    /// By what it contains or matches.
    pub(crate) scan: Option<Scan>,
}

/// Beginnings or ends of one length.
#[derive(Debug)]
pub(crate) struct Affixes {
    pub(crate) len: u32,
    pub(crate) at_end: bool,
    pub(crate) table: TextTable,
}

/// Patterns that are tried on one text.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) entries: Vec<ScanEntry>,
    /// Number of its first literal among those of all scans.
    pub(crate) first: u32,
    /// Finds which entries are worth trying.
    pub(crate) literals: Option<Box<Literals>>,
    /// For each literal the entries that need it.
    pub(crate) owners: Vec<Owners>,
    pub(crate) owned: Vec<u32>,
    pub(crate) owned_bundles: Vec<Bundle>,
    /// Entries without a literal, tried each time.
    pub(crate) loose: Vec<u32>,
    /// Entries without a literal, tried many at once.
    pub(crate) bundles: Vec<Bundle>,
}

/// What is to be tried where a literal was found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Owners {
    pub(crate) entries: List,
    /// Of the many patterns of a literal that many share.
    pub(crate) bundles: List,
}

/// A pattern and where it leads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScanEntry {
    pub(crate) check: Check,
    pub(crate) target: Target,
}

/// Entries whose patterns run as one automaton.
#[derive(Debug)]
pub(crate) struct Bundle {
    /// Its number among those of all scans.
    pub(crate) number: u32,
    /// For each pattern of the automaton its entry.
    pub(crate) entries: Vec<u32>,
}

/// What a number leads to: a segment tree over the classes that the bounds make.
///
/// Class `2i + 1` is the `i`th bound itself, `2i` what lies before it. A range of classes is the union of few nodes of the segment tree; a
/// number belongs to the nodes from its class up to the root.
#[derive(Debug)]
pub(crate) struct NumberIndex {
    pub(crate) bounds: Vec<f64>,
    pub(crate) segments: Vec<Target>,
}

impl NumberIndex {
    /// The class of a number.
    #[inline]
    pub(crate) fn class(&self, number: f64) -> usize {
        let at = self.bounds.partition_point(|bound| *bound < number);
        2 * at + usize::from(self.bounds.get(at) == Some(&number))
    }
}

/// All nodes and what they consist of.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) root: Target,
    pub(crate) nodes: Vec<Node>,
    pub(crate) accepts: Vec<u32>,
    pub(crate) runs: Vec<Run>,
    /// What the runs test, for people.
    pub(crate) run_formulas: Vec<FormulaId>,
    pub(crate) branches: Vec<Branch>,
    pub(crate) fields: Vec<FieldBranch>,
    /// Literals of all scans.
    pub(crate) scan_literals: u32,
    /// Bundles of all scans, by the numbers of their patterns.
    pub(crate) bundles: Vec<Vec<u32>>,
}

impl Tree {
    pub(crate) fn empty() -> Tree {
        Tree {
            root: Target::NOWHERE,
            nodes: Vec::new(),
            accepts: Vec::new(),
            runs: Vec::new(),
            run_formulas: Vec::new(),
            branches: Vec::new(),
            fields: Vec::new(),
            scan_literals: 0,
            bundles: Vec::new(),
        }
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        let text = |index: &TextIndex| {
            let affixes = index.affixes.iter().map(|affixes| affixes.table.bytes());
            let scan = index.scan.as_ref().map_or(0, |scan| {
                scan.entries.len() * size_of::<ScanEntry>()
                    + scan.owned.len() * size_of::<u32>()
                    + scan
                        .literals
                        .as_ref()
                        .map_or(0, |literals| literals.bytes())
            });
            index.whole.as_ref().map_or(0, TextTable::bytes) + affixes.sum::<usize>() + scan
        };
        let number = |index: &NumberIndex| {
            index.segments.len() * size_of::<Target>() + index.bounds.len() * 8
        };
        let branches = self.branches.iter().map(|branch| match branch {
            Branch::Signer(targets) => targets.len() * size_of::<Target>(),
            Branch::Text(_, index) => text(index),
            Branch::Number(_, index) => number(index),
        });
        let fields = self.fields.iter().map(|branch| {
            branch.text.as_ref().map_or(0, text) + branch.number.as_ref().map_or(0, number)
        });
        self.nodes.len() * size_of::<Node>()
            + self.accepts.len() * size_of::<u32>()
            + self.runs.len() * (size_of::<Run>() + size_of::<FormulaId>())
            + self.branches.len() * size_of::<Branch>()
            + self.fields.len() * size_of::<FieldBranch>()
            + branches.sum::<usize>()
            + fields.sum::<usize>()
    }
}
