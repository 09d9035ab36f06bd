//! One message against the tree.
//!
//! Owns:    `Scratch` (what one shard remembers while it searches), and the loop.
//! Runs on: every shard.            Plane: data.
//! Bounds:  each node that the message leads to is visited, and scans its text once; a run is run, and a pattern tried on a subject, at most once a
//!          message.
//! Never:   allocates, but for automatons and their scratch at their first uses.

use std::collections::BTreeMap;
use std::sync::Arc;

use codecs::field::Value;
use codecs::message::{Header, MessageRef};
use regex_automata::PatternID;

use crate::ast::NumberHeader;
use crate::consumer_set::Row;
use crate::engine::Engines;
use crate::lower::uuid_text;
use crate::predicate::{Check, Terms, Text, compare};
use crate::program::{ACCEPT, Program, REJECT};
use crate::scanning::Bundles;
use crate::table::TextTable;
use crate::tree::{
    Branch, Bundle, FieldBranch, Goal, Node, NumberIndex, Scan, ScanEntry, Target, TextIndex, Tree,
};

/// Lookups by field at one node up to which each is tried, whether the message has the field or not.
const FIELDS_TRIED_MAX: usize = 8;

/// The names of all fields that a set asks for, and the places that have them.
#[derive(Debug)]
pub(crate) struct Names {
    table: TextTable,
    /// For each name its places, sorted by index.
    places: Vec<Vec<(u32, u32)>>,
}

impl Names {
    pub(crate) fn new(terms: &Terms) -> Names {
        let mut by_name: BTreeMap<Text, Vec<(u32, u32)>> = BTreeMap::new();
        for (number, place) in terms.places.iter().enumerate() {
            let places = by_name.entry(place.name).or_default();
            places.push((place.index, number as u32));
        }
        let names = by_name.keys().enumerate();
        let entries: Vec<_> = names.map(|(number, name)| (*name, number as u32)).collect();
        Names {
            table: TextTable::new(&terms.bytes, &entries),
            places: by_name
                .into_values()
                .map(|mut places| {
                    places.sort_unstable();
                    places
                })
                .collect(),
        }
    }
}

/// Everything that a search reads.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) terms: Terms,
    pub(crate) names: Names,
    pub(crate) program: Program,
    pub(crate) tree: Tree,
}

/// A number that is that of the message at hand, or old.
type Stamp = u32;

/// Which field of the message a place is.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    stamp: Stamp,
    field: u32,
}

/// What a shard needs to search a set: the state of regular expressions, and what is known of the message at hand. It belongs to the set that
/// made it.
#[derive(Debug)]
pub struct Scratch {
    engines: Engines,
    bundles: Bundles,
    /// The message at hand.
    now: Stamp,
    /// Answers of patterns: the stamp, then the answer in the lowest bit.
    answers: Vec<u64>,
    /// Whether the fields of the message at hand have been found.
    fields_of: Stamp,
    found: Vec<Found>,
    /// Places that the message has, in the order of its fields.
    present: Vec<u32>,
    /// How many fields of each name were seen.
    seen: Vec<(Stamp, u32)>,
    /// Literals of scans that have been found.
    literals_found: Vec<Stamp>,
    /// Runs that have been run.
    ran: Vec<Stamp>,
    pub(crate) identity: Arc<()>,
}

impl Scratch {
    /// Takes over what another set's scratch has compiled; the slices say for each pattern and bundle which one it was there.
    pub(crate) fn take_over(
        &mut self,
        old: &mut Scratch,
        patterns: &[Option<u32>],
        bundles: &[Option<u32>],
    ) {
        self.engines.take_over(&mut old.engines, patterns);
        self.bundles.take_over(&mut old.bundles, bundles);
    }

    pub(crate) fn new(compiled: &Compiled, identity: &Arc<()>) -> Scratch {
        Scratch {
            engines: Engines::new(&compiled.terms),
            bundles: Bundles::new(&compiled.tree),
            now: 0,
            answers: vec![0; compiled.terms.memories as usize],
            fields_of: 0,
            found: vec![Found::default(); compiled.terms.places.len()],
            present: Vec::with_capacity(compiled.terms.places.len()),
            seen: vec![(0, 0); compiled.names.places.len()],
            literals_found: vec![0; compiled.tree.scan_literals as usize],
            ran: vec![0; compiled.tree.runs.len()],
            identity: Arc::clone(identity),
        }
    }

    /// Forgets the message before.
    #[inline]
    fn begin(&mut self) {
        self.now = self.now.wrapping_add(1);
        if self.now == 0 {
            self.begin_again();
        }
    }

    /// The stamps have run out: old ones must not be taken for new ones.
    #[cold]
    fn begin_again(&mut self) {
        self.now = 1;
        self.fields_of = 0;
        self.answers.fill(0);
        self.found.fill(Found::default());
        self.seen.fill((0, 0));
        self.literals_found.fill(0);
        self.ran.fill(0);
    }
}

/// A search under way.
struct Search<'s, 'm> {
    set: &'s Compiled,
    scratch: &'s mut Scratch,
    message: MessageRef<'m>,
    signer: Option<u32>,
    row: &'s mut Row,
}

impl Compiled {
    /// Adds the consumers that accept the message to the row.
    #[inline(always)]
    pub(crate) fn search(
        &self,
        scratch: &mut Scratch,
        message: MessageRef<'_>,
        signer: Option<u32>,
        row: &mut Row,
    ) {
        scratch.begin();
        let mut search = Search {
            set: self,
            scratch,
            message,
            signer,
            row,
        };
        search.visit(self.tree.root);
    }

    /// Whether one check holds.
    pub(crate) fn holds(
        &self,
        scratch: &mut Scratch,
        message: MessageRef<'_>,
        signer: Option<u32>,
        check: &Check,
    ) -> bool {
        scratch.begin();
        let mut search = Search {
            set: self,
            scratch,
            message,
            signer,
            row: &mut Row::default(),
        };
        search.check(check)
    }
}

impl<'m> Search<'_, 'm> {
    #[inline]
    fn visit(&mut self, target: Target) {
        match target.goal() {
            Goal::Nowhere => {}
            Goal::Consumer(consumer) => self.row.insert(consumer as usize),
            Goal::Run(run) => self.try_run(run),
            Goal::Node(node) => self.node(&self.set.tree.nodes[node as usize]),
        }
    }

    fn node(&mut self, node: &Node) {
        let tree = &self.set.tree;
        for consumer in node.accept.of(&tree.accepts) {
            self.row.insert(*consumer as usize);
        }
        for run in node.runs.start..node.runs.start + node.runs.len {
            self.try_run(run);
        }
        for branch in node.branches.of(&tree.branches) {
            match branch {
                Branch::Signer(targets) => {
                    let target = self.signer.and_then(|signer| targets.get(signer as usize));
                    if let Some(target) = target {
                        self.visit(*target);
                    }
                }
                Branch::Text(header, index) => self.text(index, self.message.header(*header)),
                Branch::Number(header, index) => {
                    let number = self.number_header(*header);
                    self.number(index, number);
                }
            }
        }
        let fields = node.fields.of(&tree.fields);
        if !fields.is_empty() {
            self.fields(fields);
        }
    }

    #[inline]
    fn try_run(&mut self, number: u32) {
        let ran = &mut self.scratch.ran[number as usize];
        if *ran == self.scratch.now {
            return;
        }
        *ran = self.scratch.now;
        let run = self.set.tree.runs[number as usize];
        if self.run(run.entry) {
            for consumer in run.consumers.of(&self.set.tree.accepts) {
                self.row.insert(*consumer as usize);
            }
        }
    }

    // ---- lookups ----

    fn text(&mut self, index: &TextIndex, text: &[u8]) {
        let pool = &self.set.terms.bytes;
        if let Some(whole) = &index.whole
            && let Some(target) = whole.get(pool, text)
        {
            self.visit(Target::from_table(target));
        }
        for affixes in &index.affixes {
            let len = affixes.len as usize;
            if text.len() < len {
                continue;
            }
            let affix = if affixes.at_end {
                &text[text.len() - len..]
            } else {
                &text[..len]
            };
            if let Some(target) = affixes.table.get(pool, affix) {
                self.visit(Target::from_table(target));
            }
        }
        if let Some(scan) = &index.scan {
            self.scan(scan, text);
        }
    }

    fn scan(&mut self, scan: &Scan, text: &[u8]) {
        if let Some(literals) = &scan.literals {
            literals.search(text, |literal| {
                let found = &mut self.scratch.literals_found[(scan.first + literal) as usize];
                if *found != self.scratch.now {
                    *found = self.scratch.now;
                    self.literal_found(scan, literal as usize, text);
                }
            });
        }
        for &entry in &scan.loose {
            self.try_entry(scan, entry, text);
        }
        for bundle in &scan.bundles {
            self.try_bundle(scan, bundle, text);
        }
    }

    /// Tries the patterns that need a literal.
    #[inline(never)]
    fn literal_found(&mut self, scan: &Scan, literal: usize, text: &[u8]) {
        let owners = &scan.owners[literal];
        for &entry in owners.entries.of(&scan.owned) {
            self.try_entry(scan, entry, text);
        }
        for bundle in owners.bundles.of(&scan.owned_bundles) {
            self.try_bundle(scan, bundle, text);
        }
    }

    fn try_bundle(&mut self, scan: &Scan, bundle: &Bundle, text: &[u8]) {
        self.search_bundle(scan, bundle, text);
        // What was found together is remembered; otherwise each is tried here.
        for &entry in &bundle.entries {
            self.try_entry(scan, entry, text);
        }
    }

    /// Tries the patterns of a bundle at once and remembers the answers, where that is possible.
    fn search_bundle(&mut self, scan: &Scan, bundle: &Bundle, text: &[u8]) {
        let scratch = &mut *self.scratch;
        let (terms, tree) = (&self.set.terms, &self.set.tree);
        let Some(found) = scratch.bundles.search(terms, tree, bundle.number, text) else {
            return;
        };
        for (number, entry) in bundle.entries.iter().enumerate() {
            let check = scan.entries[*entry as usize].check;
            if let Check::HeaderMatches(.., memory) | Check::FieldMatches(.., memory) = check {
                let found = found.contains(PatternID::must(number));
                scratch.answers[memory as usize] = answer(scratch.now, found);
            }
        }
    }

    #[inline]
    fn try_entry(&mut self, scan: &Scan, entry: u32, text: &[u8]) {
        let ScanEntry { check, target } = scan.entries[entry as usize];
        let (Check::HeaderMatches(_, pattern, memory) | Check::FieldMatches(_, pattern, _, memory)) =
            check
        else {
            return;
        };
        if self.matches(pattern, memory, text) {
            self.visit(target);
        }
    }

    fn number(&mut self, index: &NumberIndex, number: f64) {
        if number.is_nan() {
            return;
        }
        let classes = index.segments.len() / 2;
        let mut at = classes + index.class(number);
        while at > 0 {
            let target = index.segments[at];
            if target != Target::NOWHERE {
                self.visit(target);
            }
            at /= 2;
        }
    }

    fn fields(&mut self, branches: &[FieldBranch]) {
        if branches.len() <= FIELDS_TRIED_MAX {
            for branch in branches {
                self.field(branch);
            }
            return;
        }
        self.find_fields();
        // Deeper lookups only read what has been found.
        for number in 0..self.scratch.present.len() {
            let place = self.scratch.present[number];
            if let Ok(at) = branches.binary_search_by_key(&place, |branch| branch.place) {
                self.field(&branches[at]);
            }
        }
    }

    fn field(&mut self, branch: &FieldBranch) {
        let Some(value) = self.value(branch.place) else {
            return;
        };
        self.visit(branch.present);
        match value {
            Value::String(text) | Value::Bytes(text) => {
                if let Some(index) = &branch.text {
                    self.text(index, text);
                }
            }
            Value::Integer(number) => {
                if let Some(index) = &branch.number {
                    self.number(index, number as f64);
                }
            }
            Value::Double(number) => {
                if let Some(index) = &branch.number {
                    self.number(index, number);
                }
            }
            Value::Bool(true) => self.visit(branch.truth),
            Value::Bool(false) => self.visit(branch.falsehood),
        }
    }

    // ---- values ----

    #[inline]
    fn number_header(&self, header: NumberHeader) -> f64 {
        match header {
            NumberHeader::Timestamp => self.message.timestamp() as f64,
            NumberHeader::Severity => f64::from(self.message.severity()),
            NumberHeader::Pid => f64::from(self.message.pid()),
        }
    }

    /// Finds in one pass which fields of the message the set's places are.
    #[inline]
    fn find_fields(&mut self) {
        if self.scratch.fields_of != self.scratch.now {
            self.find_fields_now();
        }
    }

    fn find_fields_now(&mut self) {
        let scratch = &mut *self.scratch;
        scratch.fields_of = scratch.now;
        scratch.present.clear();
        for (number, field) in self.message.fields().enumerate() {
            let name = self
                .set
                .names
                .table
                .get(&self.set.terms.bytes, field.name());
            let Some(name) = name else {
                continue;
            };
            let (stamp, seen) = &mut scratch.seen[name as usize];
            if *stamp != scratch.now {
                (*stamp, *seen) = (scratch.now, 0);
            }
            let index = *seen;
            *seen += 1;
            let places = &self.set.names.places[name as usize];
            let first = places.partition_point(|(wanted, _)| *wanted < index);
            let here = places[first..].iter();
            for &(_, place) in here.take_while(|(wanted, _)| *wanted == index) {
                scratch.found[place as usize] = Found {
                    stamp: scratch.now,
                    field: number as u32,
                };
                scratch.present.push(place);
            }
        }
    }

    /// The value that a place names.
    #[inline]
    fn value(&mut self, place: u32) -> Option<Value<'m>> {
        self.find_fields();
        let found = self.scratch.found[place as usize];
        if found.stamp != self.scratch.now {
            return None;
        }
        let array_index = self.set.terms.places[place as usize].array_index as usize;
        self.message
            .fields()
            .nth(found.field as usize)?
            .value(array_index)
    }

    // ---- checks ----

    #[inline]
    fn run(&mut self, entry: u32) -> bool {
        let mut at = entry;
        while at < REJECT {
            let step = self.set.program.steps[at as usize];
            at = if self.check(&step.check) {
                step.yes
            } else {
                step.no
            };
        }
        at == ACCEPT
    }

    #[inline]
    fn check(&mut self, check: &Check) -> bool {
        let terms = &self.set.terms;
        let message = self.message;
        match *check {
            Check::Signer(wanted) => self.signer == Some(wanted),
            Check::HeaderIs(header, text) => {
                let value = message.header(header);
                value.len() == text.len as usize && value == terms.text(text)
            }
            Check::HeaderBefore(header, text) => message.header(header) < terms.text(text),
            Check::HeaderAfter(header, text) => message.header(header) > terms.text(text),
            Check::HeaderMatches(Header::Uuid, pattern, memory) => {
                self.matches(pattern, memory, uuid_text(message.uuid(), &mut [0; 36]))
            }
            Check::HeaderMatches(header, pattern, memory) => {
                self.matches(pattern, memory, message.header(header))
            }
            Check::UuidPresent => message.uuid().len() == 16,
            Check::UuidBefore(text) => uuid_text(message.uuid(), &mut [0; 36]) < terms.text(text),
            Check::UuidAfter(text) => uuid_text(message.uuid(), &mut [0; 36]) > terms.text(text),
            Check::Number(header, relation, number) => {
                compare(self.number_header(header), relation, number.value())
            }
            Check::FieldPresent(place)
            | Check::FieldText(place, ..)
            | Check::FieldNumber(place, ..)
            | Check::FieldBool(place, _)
            | Check::FieldMatches(place, ..) => match self.value(place) {
                Some(value) => {
                    let holds = terms.field_holds(check, value, |pattern, memory, text| {
                        Some(self.matches(pattern, memory, text))
                    });
                    holds == Some(true)
                }
                None => false,
            },
        }
    }

    /// Whether a pattern matches a subject's text; tried once a message.
    fn matches(&mut self, pattern: u32, memory: u32, text: &[u8]) -> bool {
        let scratch = &mut *self.scratch;
        let known = scratch.answers[memory as usize];
        if known >> 1 == u64::from(scratch.now) {
            return known & 1 == 1;
        }
        let found = scratch.engines.is_match(&self.set.terms, pattern, text);
        scratch.answers[memory as usize] = answer(scratch.now, found);
        found
    }
}

/// What is remembered of a pattern's answer for the message at hand.
#[inline]
fn answer(now: Stamp, found: bool) -> u64 {
    u64::from(now) << 1 | u64::from(found)
}
