//! From the formulas of all consumers to one tree.
//!
//! Owns:    which lookups a node makes, and what is left of each formula behind them.
//! Runs on: build time.            Plane: control.
//! Bounds:  `DEPTH_MAX` deep; work in proportion to the length of the expressions, then formulas are run as they were written.
//! Never:   loses a consumer: whatever is not behind a lookup is run at its node.
//!
//! At a node every formula is put behind the lookups of its guards (`guard`). Behind a lookup more is known, so less of the formula is left:
//! often nothing, which means that the consumer accepts. What is left is treated the same way, one node further down.

use std::collections::{BTreeMap, HashMap};

use crate::formula::{FALSE, FormulaId, Formulas, TRUE};
use crate::guard::{self, Guard, Key, Range, Variety};
use crate::predicate::{Check, Sample, Subject, Terms, Text};
use crate::program::Program;
use crate::scanning;
use crate::set::Options;
use crate::table::TextTable;
use crate::tree::{
    Affixes, Branch, FieldBranch, Goal, List, Node, NumberIndex, Run, Scan, Target, TextIndex, Tree,
};

/// Deepest node.
const DEPTH_MAX: u32 = 12;

/// Formulas that are run one after the other rather than looked up.
const RUNS_MAX: usize = 2;

/// Formulas that make a lookup by their subject worth its while.
const LOOKUP_MIN: usize = 3;

/// Work allowed for each part of a formula, and for the whole at least.
const WORK_PER_PART: usize = 64;
const WORK_MIN: usize = 1_000_000;

/// Nodes with at most so many formulas are found again where the same ones are left.
const SHARED_ITEMS_MAX: usize = 64;

/// What is left of the formula that a group of consumers has in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Item {
    formula: FormulaId,
    group: u32,
    /// Run it where it is: another lookup would not take it further.
    closed: bool,
}

/// Makes a tree.
pub(crate) struct Compiler<'a> {
    terms: &'a Terms,
    formulas: &'a mut Formulas,
    program: &'a mut Program,
    options: Options,
    /// Consumers by group: they have one formula.
    groups: Vec<Vec<u32>>,
    originals: Vec<FormulaId>,
    tree: Tree,
    known: HashMap<Vec<Item>, Target>,
    work: usize,
    work_max: usize,
}

/// Compiles the formulas of consumers; those that are constant are not among them.
pub(crate) fn compile(
    terms: &Terms,
    formulas: &mut Formulas,
    program: &mut Program,
    options: Options,
    consumers: &[(FormulaId, u32)],
) -> Tree {
    let mut by_formula: BTreeMap<FormulaId, Vec<u32>> = BTreeMap::new();
    for &(formula, consumer) in consumers {
        by_formula.entry(formula).or_default().push(consumer);
    }
    let originals: Vec<_> = by_formula.keys().copied().collect();
    let size: usize = originals
        .iter()
        .map(|formula| formulas.parts(*formula).len())
        .sum();
    let mut compiler = Compiler {
        terms,
        formulas,
        program,
        options,
        groups: by_formula.into_values().collect(),
        tree: Tree::empty(),
        known: HashMap::new(),
        work: 0,
        work_max: WORK_MIN + WORK_PER_PART * size,
        originals,
    };
    let items = (0..compiler.groups.len() as u32)
        .map(|group| compiler.original(group, false))
        .collect();
    compiler.tree.root = if options.tree {
        compiler.grow(items, 0)
    } else {
        compiler.leaf(items)
    };
    compiler.tree
}

/// The formulas behind the lookups of one subject.
#[derive(Default)]
struct Behind {
    signers: BTreeMap<u32, Vec<Item>>,
    texts: BTreeMap<Text, Vec<Item>>,
    affixes: BTreeMap<(bool, u32, Text), Vec<Item>>,
    ranges: Vec<(Range, Item)>,
    truth: Vec<Item>,
    present: Vec<Item>,
    patterns: BTreeMap<u32, Vec<Item>>,
    /// What is left of everything that a field of the value `false` satisfies.
    falsehood: Vec<Item>,
    /// Of this it is known already.
    falsehood_of: Option<Item>,
}

impl Compiler<'_> {
    fn original(&self, group: u32, closed: bool) -> Item {
        Item {
            formula: self.originals[group as usize],
            group,
            closed,
        }
    }

    /// A node for these formulas.
    fn grow(&mut self, mut items: Vec<Item>, depth: u32) -> Target {
        items.retain(|item| item.formula != FALSE);
        items.sort_unstable();
        items.dedup();
        let shared = items.len() <= SHARED_ITEMS_MAX;
        if shared && let Some(target) = self.known.get(&items) {
            return *target;
        }
        let open = items.iter().filter(|item| item.formula != TRUE).count();
        let target = if open <= RUNS_MAX || depth >= DEPTH_MAX || self.work > self.work_max {
            self.leaf(items.clone())
        } else {
            self.branch(items.clone(), depth)
        };
        if shared {
            self.known.insert(items, target);
        }
        target
    }

    /// A node without lookups.
    fn leaf(&mut self, items: Vec<Item>) -> Target {
        let node = self.node_of(items);
        self.place(node)
    }

    /// Accepting consumers and runs.
    fn node_of(&mut self, items: Vec<Item>) -> Node {
        let mut by_formula: BTreeMap<FormulaId, Vec<u32>> = BTreeMap::new();
        for item in items {
            let consumers = &self.groups[item.group as usize];
            by_formula
                .entry(item.formula)
                .or_default()
                .extend_from_slice(consumers);
        }
        by_formula.remove(&FALSE);
        let accept = by_formula.remove(&TRUE).unwrap_or_default();
        let mut runs = Vec::with_capacity(by_formula.len());
        self.tree.run_formulas.extend(by_formula.keys());
        for (formula, consumers) in by_formula {
            runs.push(Run {
                entry: self.program.entry(self.formulas, self.terms, formula),
                consumers: List::append(&mut self.tree.accepts, consumers),
            });
        }
        Node {
            accept: List::append(&mut self.tree.accepts, accept),
            runs: List::append(&mut self.tree.runs, runs),
            ..Node::default()
        }
    }

    /// The shortest way to say what a node says.
    fn place(&mut self, node: Node) -> Target {
        let goal = match (
            node.accept.len,
            node.runs.len,
            node.branches.len + node.fields.len,
        ) {
            (0, 0, 0) => Goal::Nowhere,
            (1, 0, 0) => Goal::Consumer(node.accept.of(&self.tree.accepts)[0]),
            (0, 1, 0) => Goal::Run(node.runs.start),
            _ => {
                self.tree.nodes.push(node);
                Goal::Node(self.tree.nodes.len() as u32 - 1)
            }
        };
        Target::new(goal)
    }

    /// A node with lookups.
    fn branch(&mut self, items: Vec<Item>, depth: u32) -> Target {
        let roots: Vec<_> = items.iter().map(|item| item.formula).collect();
        let variety = Variety::of(self.formulas, self.terms, &roots);
        let offers: Vec<Option<Vec<Guard>>> = items
            .iter()
            .map(|item| {
                if item.closed || item.formula == TRUE {
                    return None;
                }
                guard::guards(
                    self.formulas,
                    self.terms,
                    &variety,
                    item.formula,
                    &mut self.work,
                )
            })
            .collect();
        let population = population(&offers);
        let mut here = Vec::new();
        let mut behind: BTreeMap<(u8, u32), (Subject, Behind)> = BTreeMap::new();
        for (item, offer) in items.into_iter().zip(offers) {
            let guards = offer.filter(|guards| {
                guards
                    .iter()
                    .all(|guard| population[&class(guard.subject)] >= LOOKUP_MIN)
            });
            match guards {
                None => here.push(item),
                Some(guards) => {
                    for guard in guards {
                        let (_, behind) = behind
                            .entry(rank(guard.subject))
                            .or_insert_with(|| (guard.subject, Behind::default()));
                        self.put_behind(behind, item, &guard);
                    }
                }
            }
        }
        let mut node = self.node_of(here);
        let (mut branches, mut fields) = (Vec::new(), Vec::new());
        for (subject, behind) in behind.into_values() {
            match subject {
                Subject::Signer => branches.push(self.signers(behind.signers, depth)),
                Subject::Text(header) => {
                    let index = self.texts(behind.texts, behind.affixes, behind.patterns, depth);
                    branches.push(Branch::Text(header, index));
                }
                Subject::Number(header) => {
                    branches.push(Branch::Number(header, self.numbers(behind.ranges, depth)));
                }
                Subject::Field(place) => fields.push(self.field(place, behind, depth)),
            }
        }
        node.branches = List::append(&mut self.tree.branches, branches);
        node.fields = List::append(&mut self.tree.fields, fields);
        self.place(node)
    }

    /// Puts what is left of a formula behind one of its guards.
    fn put_behind(&mut self, behind: &mut Behind, item: Item, guard: &Guard) {
        let field = matches!(guard.subject, Subject::Field(_));
        let satisfied = field && guard.key != Key::Present && guard.key != Key::Truth(true);
        if satisfied && behind.falsehood_of != Some(item) {
            behind.falsehood_of = Some(item);
            let falsehood = Guard {
                key: Key::Truth(false),
                checks: Vec::new(),
                sufficient: false,
                ..guard.clone()
            };
            let left = self.left(item, &falsehood);
            behind.falsehood.push(left);
        }
        let left = self.left(item, guard);
        match &guard.key {
            Key::Signer(signer) => behind.signers.entry(*signer).or_default().push(left),
            Key::Text(text) => behind.texts.entry(*text).or_default().push(left),
            Key::Affix(text, at_end) => behind
                .affixes
                .entry((*at_end, text.len, *text))
                .or_default()
                .push(left),
            Key::Range(range) => behind.ranges.push((*range, left)),
            Key::Truth(value) => {
                if *value {
                    behind.truth.push(left);
                }
                let name = self.terms.truth_names[usize::from(*value)];
                let named = Guard {
                    key: Key::Text(name),
                    ..guard.clone()
                };
                let left = self.left(item, &named);
                behind.texts.entry(name).or_default().push(left);
            }
            Key::Present => behind.present.push(Item {
                closed: true,
                ..left
            }),
            Key::Pattern => {
                if let Some(check) = guard.checks.first() {
                    behind.patterns.entry(*check).or_default().push(left);
                }
            }
        }
    }

    fn left(&mut self, item: Item, guard: &Guard) -> Item {
        if self.work > self.work_max {
            // No more is found out about it: it is run as it was written.
            return self.original(item.group, true);
        }
        let formula = if guard.sufficient {
            TRUE
        } else {
            self.left_of(item.formula, guard)
        };
        Item { formula, ..item }
    }

    /// What is left of a formula where a guard holds.
    fn left_of(&mut self, formula: FormulaId, guard: &Guard) -> FormulaId {
        let terms = self.terms;
        let subject = guard.subject;
        let sample = match &guard.key {
            Key::Text(text) => Some(Sample::Text(terms.text(*text).to_vec())),
            Key::Truth(value) => Some(Sample::Bool(*value)),
            Key::Range(range) if range.low == range.high => Some(Sample::Number(range.low.0)),
            _ => None,
        };
        let known = |number: u32| {
            let check = &terms.checks[number as usize];
            if guard.checks.contains(&number) {
                return Some(true);
            }
            if check.subject() != subject {
                return None;
            }
            match (check, &guard.key, &sample) {
                (Check::Signer(signer), Key::Signer(wanted), _) => Some(signer == wanted),
                (Check::FieldPresent(_), ..) => Some(true),
                (_, _, Some(sample)) => terms.decide(check, sample),
                _ => None,
            }
        };
        self.formulas.restrict(formula, &known, &mut self.work)
    }

    // ---- lookups ----

    fn signers(&mut self, signers: BTreeMap<u32, Vec<Item>>, depth: u32) -> Branch {
        let last = signers.keys().next_back().copied().unwrap_or(0);
        let mut targets = vec![Target::NOWHERE; last as usize + 1];
        for (signer, items) in signers {
            targets[signer as usize] = self.grow(items, depth + 1);
        }
        Branch::Signer(targets)
    }

    fn table(&mut self, items: impl Iterator<Item = (Text, Vec<Item>)>, depth: u32) -> TextTable {
        let mut entries = Vec::new();
        for (text, items) in items {
            let target = self.grow(items, depth + 1);
            if target != Target::NOWHERE {
                entries.push((text, target.number()));
            }
        }
        TextTable::new(&self.terms.bytes, &entries)
    }

    fn texts(
        &mut self,
        texts: BTreeMap<Text, Vec<Item>>,
        affixes: BTreeMap<(bool, u32, Text), Vec<Item>>,
        patterns: BTreeMap<u32, Vec<Item>>,
        depth: u32,
    ) -> TextIndex {
        let whole = (!texts.is_empty()).then(|| self.table(texts.into_iter(), depth));
        let mut by_length: BTreeMap<(bool, u32), BTreeMap<Text, Vec<Item>>> = BTreeMap::new();
        for ((at_end, len, text), items) in affixes {
            by_length
                .entry((at_end, len))
                .or_default()
                .insert(text, items);
        }
        let mut lists = Vec::with_capacity(by_length.len());
        for ((at_end, len), items) in by_length {
            lists.push(Affixes {
                len,
                at_end,
                table: self.table(items.into_iter(), depth),
            });
        }
        TextIndex {
            whole,
            affixes: lists,
            scan: (!patterns.is_empty()).then(|| self.scan(patterns, depth)),
        }
    }

    fn scan(&mut self, patterns: BTreeMap<u32, Vec<Item>>, depth: u32) -> Scan {
        let mut entries = Vec::with_capacity(patterns.len());
        for (check, items) in patterns {
            let target = self.grow(items, depth + 1);
            if target != Target::NOWHERE {
                entries.push((self.terms.checks[check as usize], target));
            }
        }
        scanning::scan(self.terms, self.options, &mut self.tree, &entries)
    }

    /// Puts each range at the few nodes of the segment tree that make it up.
    fn numbers(&mut self, ranges: Vec<(Range, Item)>, depth: u32) -> NumberIndex {
        let mut bounds: Vec<f64> = ranges
            .iter()
            .flat_map(|(range, _)| [range.low.0, range.high.0])
            .filter(|bound| bound.is_finite())
            .collect();
        bounds.sort_unstable_by(f64::total_cmp);
        bounds.dedup();
        let classes = 2 * bounds.len() + 1;
        let place = |bound: f64| bounds.partition_point(|known| *known < bound);
        let mut segments: Vec<Vec<Item>> = vec![Vec::new(); 2 * classes];
        for (range, item) in ranges {
            let low = match range.low {
                (bound, _) if bound.is_infinite() => 0,
                (bound, included) => 2 * place(bound) + if included { 1 } else { 2 },
            };
            let high = match range.high {
                (bound, _) if bound.is_infinite() => classes - 1,
                (bound, included) => 2 * place(bound) + usize::from(included),
            };
            let (mut low, mut high) = (low + classes, high + 1 + classes);
            while low < high {
                if low % 2 == 1 {
                    segments[low].push(item);
                    low += 1;
                }
                if high % 2 == 1 {
                    high -= 1;
                    segments[high].push(item);
                }
                low /= 2;
                high /= 2;
            }
        }
        let segments = segments
            .into_iter()
            .map(|items| self.grow(items, depth + 1))
            .collect();
        NumberIndex { bounds, segments }
    }

    fn field(&mut self, place: u32, behind: Behind, depth: u32) -> FieldBranch {
        let has_texts =
            !(behind.texts.is_empty() && behind.affixes.is_empty() && behind.patterns.is_empty());
        FieldBranch {
            place,
            present: self.grow(behind.present, depth + 1),
            text: has_texts
                .then(|| self.texts(behind.texts, behind.affixes, behind.patterns, depth)),
            number: (!behind.ranges.is_empty()).then(|| self.numbers(behind.ranges, depth)),
            truth: self.grow(behind.truth, depth + 1),
            falsehood: self.grow(behind.falsehood, depth + 1),
        }
    }
}

/// How many formulas could be found by each class of subjects.
fn population(offers: &[Option<Vec<Guard>>]) -> HashMap<(u8, u32), usize> {
    let mut population = HashMap::new();
    for guards in offers.iter().flatten() {
        let mut classes: Vec<_> = guards.iter().map(|guard| class(guard.subject)).collect();
        classes.sort_unstable();
        classes.dedup();
        for class in classes {
            *population.entry(class).or_insert(0) += 1;
        }
    }
    population
}

/// All fields are looked up together, so that many fields with one formula each are worth it.
fn class(subject: Subject) -> (u8, u32) {
    match subject {
        Subject::Field(_) => (3, 0),
        other => rank(other),
    }
}

/// An order of subjects.
fn rank(subject: Subject) -> (u8, u32) {
    match subject {
        Subject::Signer => (0, 0),
        Subject::Number(header) => (1, header as u32),
        Subject::Text(header) => (2, header as u32),
        Subject::Field(place) => (3, place),
    }
}
