//! A set in a form that people read: its tree, each consumer's normal form, and what decided for a message.
//!
//! Owns:    the texts and the drawing; nothing else depends on how they look.
//! Runs on: tools.            Plane: control.
//! Bounds:  a lookup shows at most `ENTRIES_SHOWN` of what it leads to; formulas may be as deep as they were written.
//! Never:   on the data path.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write;

use codecs::field::Value;
use codecs::message::{Header, MessageRef};

use crate::ast::{NumberHeader, Relation, Variable, escaped_slashes, header_name, quoted};
use crate::engine::PatternForm;
use crate::formula::{FALSE, Formula, FormulaId, Joint, TRUE};
use crate::lower::uuid_text;
use crate::predicate::{Check, Subject, Text};
use crate::search::Scratch;
use crate::set::{Set, SignerId};
use crate::tree::{Branch, FieldBranch, Goal, Node, NumberIndex, Scan, Target, TextIndex};

/// What a lookup leads to is shown for so many values; the rest is counted.
const ENTRIES_SHOWN: usize = 12;

/// Characters of a text that are shown.
const TEXT_SHOWN: usize = 80;

/// Why a consumer does or does not accept a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// Whether it accepts.
    pub accepts: bool,
    /// The tests that decided.
    pub decided: Vec<Decided>,
}

/// A test that decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// In normal form.
    pub test: String,
    /// Whether it holds.
    pub holds: bool,
    /// What the message has there; `None` where it has no such field.
    pub found: Option<String>,
}

/// One line of the tree.
struct Line {
    depth: usize,
    /// What leads here: a value of the lookup above.
    by: String,
    says: String,
}

impl Set {
    /// A consumer's expression in normal form: without what makes no difference, cheap tests first.
    pub fn normal_form(&self, consumer: usize) -> String {
        self.formula_text(self.wanted[consumer])
    }

    /// Whether a consumer accepts a message, and which of its tests decided so.
    pub fn why(
        &self,
        scratch: &mut Scratch,
        message: MessageRef<'_>,
        signer: Option<SignerId>,
        consumer: usize,
    ) -> Why {
        let root = self.wanted[consumer];
        let mut values: HashMap<FormulaId, bool> = HashMap::from([(TRUE, true), (FALSE, false)]);
        for part in self.formulas.parts(root) {
            let value = match self.formulas.get(part) {
                Formula::Constant(value) => value,
                Formula::Literal(check, positive) => {
                    let check = &self.compiled.terms.checks[check as usize];
                    let signer = signer.map(|signer| signer.0);
                    self.compiled.holds(scratch, message, signer, check) == positive
                }
                Formula::All(members) => {
                    let members = self.formulas.members(members);
                    members.iter().all(|member| values[member])
                }
                Formula::Any(members) => {
                    let members = self.formulas.members(members);
                    members.iter().any(|member| values[member])
                }
            };
            values.insert(part, value);
        }
        Why {
            accepts: values[&root],
            decided: self.decided(root, &values, message, signer),
        }
    }

    /// The checks on which a formula's value rests.
    fn decided(
        &self,
        root: FormulaId,
        values: &HashMap<FormulaId, bool>,
        message: MessageRef<'_>,
        signer: Option<SignerId>,
    ) -> Vec<Decided> {
        let mut decided = Vec::new();
        let mut rest = vec![root];
        while let Some(id) = rest.pop() {
            match self.formulas.joint(id) {
                None => {
                    if let Formula::Literal(check, _) = self.formulas.get(id) {
                        let check = &self.compiled.terms.checks[check as usize];
                        decided.push(Decided {
                            test: self.formula_text(id),
                            holds: values[&id],
                            found: self.found(check.subject(), message, signer),
                        });
                    }
                }
                Some((joint, members)) => {
                    // One member settles a joint, or all of them do together.
                    let alone = joint.decisive() == if values[&id] { TRUE } else { FALSE };
                    let value = values[&id];
                    let mut settling = members
                        .iter()
                        .rev()
                        .filter(|member| values[*member] == value);
                    if alone {
                        rest.extend(settling.next_back());
                    } else {
                        rest.extend(settling);
                    }
                }
            }
        }
        decided
    }

    /// What a message has at a subject.
    fn found(
        &self,
        subject: Subject,
        message: MessageRef<'_>,
        signer: Option<SignerId>,
    ) -> Option<String> {
        let text = |bytes: &[u8]| quoted(&shortened(&String::from_utf8_lossy(bytes)));
        Some(match subject {
            Subject::Signer => match signer {
                Some(signer) => quoted(&self.signers[signer.0 as usize]),
                None => "nobody".to_owned(),
            },
            Subject::Text(Header::Uuid) => text(uuid_text(message.uuid(), &mut [0; 36])),
            Subject::Text(header) => text(message.header(header)),
            Subject::Number(NumberHeader::Timestamp) => message.timestamp().to_string(),
            Subject::Number(NumberHeader::Severity) => message.severity().to_string(),
            Subject::Number(NumberHeader::Pid) => message.pid().to_string(),
            Subject::Field(place) => {
                let place = &self.compiled.terms.places[place as usize];
                let name = self.compiled.terms.text(place.name);
                let field = message.field(name, place.index as usize)?;
                match field.value(place.array_index as usize)? {
                    Value::String(value) | Value::Bytes(value) => text(value),
                    Value::Integer(number) => number.to_string(),
                    Value::Double(number) => number.to_string(),
                    Value::Bool(value) => value.to_string(),
                }
            }
        })
    }

    /// The tree as indented text; `name` says what a consumer is called.
    pub fn tree_text(&self, name: &dyn Fn(usize) -> String) -> String {
        let mut text = String::new();
        let always: Vec<usize> = self.always().collect();
        if !always.is_empty() {
            let _ = writeln!(text, "every message: {}", names(&always, name));
        }
        for line in self.lines(name) {
            let indent = "  ".repeat(line.depth);
            let by = if line.by.is_empty() {
                String::new()
            } else {
                format!("{} -> ", line.by)
            };
            let _ = writeln!(text, "{indent}{by}{}", line.says);
        }
        text
    }

    /// The tree as a graph in the language of Graphviz.
    pub fn tree_dot(&self, name: &dyn Fn(usize) -> String) -> String {
        let mut text = String::from(
            "digraph matchers {\n  rankdir=LR;\n  node [shape=box, fontname=\"monospace\"];\n  start [label=\"message\"];\n",
        );
        let always: Vec<usize> = self.always().collect();
        if !always.is_empty() {
            let label = dot_text(&names(&always, name));
            let _ = writeln!(
                text,
                "  always [label=\"{label}\"];\n  start -> always [label=\"always\"];"
            );
        }
        let mut above: Vec<usize> = Vec::new();
        for (number, line) in self.lines(name).iter().enumerate() {
            above.truncate(line.depth);
            let parent = above
                .last()
                .map_or_else(|| "start".to_owned(), |parent| format!("n{parent}"));
            let (label, by) = (dot_text(&line.says), dot_text(&line.by));
            let _ = writeln!(
                text,
                "  n{number} [label=\"{label}\"];\n  {parent} -> n{number} [label=\"{by}\"];"
            );
            above.push(number);
        }
        text.push_str("}\n");
        text
    }

    fn lines(&self, name: &dyn Fn(usize) -> String) -> Vec<Line> {
        let mut lines = Vec::new();
        let writer = Writer {
            set: self,
            name,
            shown: RefCell::default(),
        };
        writer.target(self.compiled.tree.root, String::new(), 0, &mut lines);
        lines
    }

    // ---- formulas ----

    /// A formula as an expression. Walks with a stack of its own: formulas may be deep.
    pub(crate) fn formula_text(&self, root: FormulaId) -> String {
        enum Piece {
            Text(&'static str),
            Formula(FormulaId),
        }
        let mut text = String::new();
        let mut rest = vec![Piece::Formula(root)];
        while let Some(piece) = rest.pop() {
            let id = match piece {
                Piece::Text(piece) => {
                    text.push_str(piece);
                    continue;
                }
                Piece::Formula(id) => id,
            };
            let (joint, members) = match (self.formulas.get(id), self.formulas.joint(id)) {
                (Formula::Literal(check, positive), _) => {
                    let check = self.compiled.terms.checks[check as usize];
                    text.push_str(&self.check_text(&check, positive));
                    continue;
                }
                (_, Some(joint)) => joint,
                (formula, None) => {
                    text.push_str(if formula == Formula::Constant(true) {
                        "TRUE"
                    } else {
                        "FALSE"
                    });
                    continue;
                }
            };
            for (position, &member) in members.iter().enumerate().rev() {
                let inner = self.formulas.joint(member).map(|(joint, _)| joint);
                let bare = inner.is_none() || (inner, joint) == (Some(Joint::All), Joint::Any);
                if bare {
                    rest.push(Piece::Formula(member));
                } else {
                    rest.extend([Piece::Text(")"), Piece::Formula(member), Piece::Text("(")]);
                }
                if position > 0 {
                    rest.push(Piece::Text(match joint {
                        Joint::All => " && ",
                        Joint::Any => " || ",
                    }));
                }
            }
        }
        text
    }

    fn check_text(&self, check: &Check, positive: bool) -> String {
        let (subject, relation, value) = self.check_parts(check);
        let relation = if positive {
            relation
        } else {
            opposite(relation)
        };
        format!("{subject} {} {value}", relation.as_str())
    }

    /// What a check compares, how, and with what.
    fn check_parts(&self, check: &Check) -> (String, Relation, String) {
        let text = |text: Text| quoted(&String::from_utf8_lossy(self.compiled.terms.text(text)));
        let header = |header: Header| header_name(header).to_owned();
        let uuid = || header(Header::Uuid);
        let matches = |wanted: bool| {
            if wanted {
                Relation::Matches
            } else {
                Relation::NotMatches
            }
        };
        let truth = |value: bool| if value { "TRUE" } else { "FALSE" }.to_owned();
        let (place, pattern) = (|at| self.place_text(at), |at| self.pattern_text(at));
        match *check {
            Check::Signer(signer) => (
                "message_signer".to_owned(),
                Relation::Equal,
                quoted(&self.signers[signer as usize]),
            ),
            Check::HeaderIs(Header::Uuid, bytes) => {
                let mut room = [0; 36];
                let value = uuid_text(self.compiled.terms.text(bytes), &mut room);
                let value = quoted(&String::from_utf8_lossy(value));
                (uuid(), Relation::Equal, value)
            }
            Check::HeaderIs(name, value) => (header(name), Relation::Equal, text(value)),
            Check::HeaderBefore(name, value) => (header(name), Relation::Less, text(value)),
            Check::HeaderAfter(name, value) => (header(name), Relation::Greater, text(value)),
            Check::HeaderMatches(name, at, _) => (header(name), matches(true), pattern(at)),
            Check::UuidPresent => (uuid(), Relation::NotEqual, "\"\"".to_owned()),
            Check::UuidBefore(value) => (uuid(), Relation::Less, text(value)),
            Check::UuidAfter(value) => (uuid(), Relation::Greater, text(value)),
            Check::Number(name, relation, number) => (
                Variable::Number(name).to_string(),
                relation,
                number.value().to_string(),
            ),
            Check::FieldPresent(at) => (place(at), Relation::NotEqual, "NIL".to_owned()),
            Check::FieldText(at, relation, value) => (place(at), relation, text(value)),
            Check::FieldNumber(at, relation, number) => {
                (place(at), relation, number.value().to_string())
            }
            Check::FieldBool(at, value) => (place(at), Relation::Equal, truth(value)),
            Check::FieldMatches(at, number, wanted, _) => {
                (place(at), matches(wanted), pattern(number))
            }
        }
    }

    fn place_text(&self, place: u32) -> String {
        let place = &self.compiled.terms.places[place as usize];
        let name = String::from_utf8_lossy(self.compiled.terms.text(place.name));
        match (place.index, place.array_index) {
            (0, 0) => format!("Fields[{name}]"),
            (index, 0) => format!("Fields[{name}][{index}]"),
            (index, array_index) => format!("Fields[{name}][{index}][{array_index}]"),
        }
    }

    fn pattern_text(&self, pattern: u32) -> String {
        let terms = &self.compiled.terms;
        let literal =
            |text: &Text| regex_syntax::escape(&String::from_utf8_lossy(terms.text(*text)));
        let source = match &terms.patterns[pattern as usize] {
            PatternForm::Everything => String::new(),
            PatternForm::Starts(text) => format!("^{}", literal(text)),
            PatternForm::Ends(text) => format!("{}$", literal(text)),
            PatternForm::Contains(text, _) => literal(text),
            PatternForm::ContainsAny(texts) => texts.source.clone(),
            PatternForm::Regex(source) => source.text.clone(),
        };
        format!("/{}/", escaped_slashes(&source))
    }
}

fn opposite(relation: Relation) -> Relation {
    match relation {
        Relation::Equal => Relation::NotEqual,
        Relation::NotEqual => Relation::Equal,
        Relation::Less => Relation::GreaterOrEqual,
        Relation::GreaterOrEqual => Relation::Less,
        Relation::Greater => Relation::LessOrEqual,
        Relation::LessOrEqual => Relation::Greater,
        Relation::Matches => Relation::NotMatches,
        Relation::NotMatches => Relation::Matches,
    }
}

fn names(consumers: &[usize], name: &dyn Fn(usize) -> String) -> String {
    let shown: Vec<String> = consumers
        .iter()
        .take(ENTRIES_SHOWN)
        .map(|consumer| name(*consumer))
        .collect();
    let more = consumers.len() - shown.len();
    if more > 0 {
        format!("{} and {more} more", shown.join(", "))
    } else {
        shown.join(", ")
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(TEXT_SHOWN) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

fn dot_text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// Writes the lines of a tree.
struct Writer<'a> {
    set: &'a Set,
    name: &'a dyn Fn(usize) -> String,
    /// Nodes that have been written, with their numbers on paper.
    shown: RefCell<HashMap<u32, usize>>,
}

impl Writer<'_> {
    fn target(&self, target: Target, by: String, depth: usize, lines: &mut Vec<Line>) {
        let tree = &self.set.compiled.tree;
        match target.goal() {
            Goal::Nowhere => {}
            Goal::Consumer(consumer) => lines.push(Line {
                depth,
                by,
                says: (self.name)(consumer as usize),
            }),
            Goal::Run(run) => self.run(run as usize, by, depth, lines),
            Goal::Node(number) => {
                // Many ways may lead to one node; what lies behind it is shown once.
                let known = self.shown.borrow().get(&number).copied();
                if let Some(known) = known {
                    let says = format!("as at #{known}");
                    lines.push(Line { depth, by, says });
                    return;
                }
                let shown = self.shown.borrow().len() + 1;
                self.shown.borrow_mut().insert(number, shown);
                let node = &tree.nodes[number as usize];
                let accepts = self.consumers(node.accept.of(&tree.accepts));
                let says = match accepts.as_str() {
                    "" => format!("#{shown} look further"),
                    some => format!("#{shown} {some}"),
                };
                lines.push(Line { depth, by, says });
                self.node(node, depth + 1, lines);
            }
        }
    }

    fn consumers(&self, consumers: &[u32]) -> String {
        let consumers: Vec<usize> = consumers
            .iter()
            .map(|consumer| *consumer as usize)
            .collect();
        names(&consumers, self.name)
    }

    fn run(&self, run: usize, by: String, depth: usize, lines: &mut Vec<Line>) {
        let tree = &self.set.compiled.tree;
        let formula = self.set.formula_text(tree.run_formulas[run]);
        let consumers = self.consumers(tree.runs[run].consumers.of(&tree.accepts));
        lines.push(Line {
            depth,
            by,
            says: format!("{consumers} if {}", shortened(&formula)),
        });
    }

    fn node(&self, node: &Node, depth: usize, lines: &mut Vec<Line>) {
        let tree = &self.set.compiled.tree;
        let runs = node.runs.start as usize..(node.runs.start + node.runs.len) as usize;
        let more = runs.len().saturating_sub(ENTRIES_SHOWN);
        for run in runs.take(ENTRIES_SHOWN) {
            self.run(run, String::new(), depth, lines);
        }
        count_more(more, depth, lines);
        for branch in node.branches.of(&tree.branches) {
            let heading = |says: String, lines: &mut Vec<Line>| {
                lines.push(Line {
                    depth,
                    by: String::new(),
                    says,
                });
            };
            match branch {
                Branch::Signer(targets) => {
                    heading("by message_signer".to_owned(), lines);
                    for (signer, target) in targets.iter().enumerate() {
                        let by = quoted(&self.set.signers[signer]);
                        self.target(*target, by, depth + 1, lines);
                    }
                }
                Branch::Text(header, index) => {
                    heading(format!("by {}", header_name(*header)), lines);
                    self.text(index, depth + 1, lines);
                }
                Branch::Number(header, index) => {
                    let name = Variable::Number(*header);
                    heading(format!("by {name}"), lines);
                    self.number(index, depth + 1, lines);
                }
            }
        }
        let fields = node.fields.of(&tree.fields);
        for field in fields.iter().take(ENTRIES_SHOWN) {
            self.field(field, depth, lines);
        }
        count_more(fields.len().saturating_sub(ENTRIES_SHOWN), depth, lines);
    }

    fn field(&self, field: &FieldBranch, depth: usize, lines: &mut Vec<Line>) {
        lines.push(Line {
            depth,
            by: String::new(),
            says: format!("by {}", self.set.place_text(field.place)),
        });
        self.target(field.present, "any value".to_owned(), depth + 1, lines);
        if let Some(index) = &field.text {
            self.text(index, depth + 1, lines);
        }
        if let Some(index) = &field.number {
            self.number(index, depth + 1, lines);
        }
        self.target(field.truth, "TRUE".to_owned(), depth + 1, lines);
        self.target(field.falsehood, "FALSE".to_owned(), depth + 1, lines);
    }

    fn text(&self, index: &TextIndex, depth: usize, lines: &mut Vec<Line>) {
        let text =
            |text: Text| String::from_utf8_lossy(self.set.compiled.terms.text(text)).into_owned();
        if let Some(whole) = &index.whole {
            self.entries(
                whole.entries(),
                |value| quoted(&shortened(&text(value))),
                depth,
                lines,
            );
        }
        for affixes in &index.affixes {
            let by = |value: Text| {
                let value = quoted(&shortened(&text(value)));
                if affixes.at_end {
                    format!("ends with {value}")
                } else {
                    format!("begins with {value}")
                }
            };
            self.entries(affixes.table.entries(), by, depth, lines);
        }
        if let Some(scan) = &index.scan {
            self.scan(scan, depth, lines);
        }
    }

    fn entries(
        &self,
        entries: &[(Text, u32)],
        by: impl Fn(Text) -> String,
        depth: usize,
        lines: &mut Vec<Line>,
    ) {
        for (value, target) in entries.iter().take(ENTRIES_SHOWN) {
            self.target(Target::from_table(*target), by(*value), depth, lines);
        }
        count_more(entries.len().saturating_sub(ENTRIES_SHOWN), depth, lines);
    }

    fn scan(&self, scan: &Scan, depth: usize, lines: &mut Vec<Line>) {
        let bundled: usize = scan.bundles.iter().map(|bundle| bundle.entries.len()).sum();
        let found = scan.entries.len() - bundled - scan.loose.len();
        for (count, how) in [
            (found, "found by a text that they need"),
            (bundled, "tried together"),
        ] {
            if count > 0 {
                lines.push(Line {
                    depth,
                    by: String::new(),
                    says: format!("{count} patterns {how}"),
                });
            }
        }
        for entry in scan.entries.iter().take(ENTRIES_SHOWN) {
            if let Some(pattern) = entry.check.pattern() {
                let by = format!("matches {}", shortened(&self.set.pattern_text(pattern)));
                self.target(entry.target, by, depth, lines);
            }
        }
        count_more(
            scan.entries.len().saturating_sub(ENTRIES_SHOWN),
            depth,
            lines,
        );
    }

    fn number(&self, index: &NumberIndex, depth: usize, lines: &mut Vec<Line>) {
        let classes = index.segments.len() / 2;
        let mut used = Vec::new();
        for (at, &target) in index.segments.iter().enumerate() {
            if target == Target::NOWHERE {
                continue;
            }
            // The leaves below a node of the segment tree are the classes that it stands for.
            let (mut low, mut high) = (at, at);
            while low < classes {
                (low, high) = (2 * low, 2 * high + 1);
            }
            used.push((low - classes, high - classes, target));
        }
        used.sort_unstable_by_key(|(low, high, _)| (*low, *high));
        for &(low, high, target) in used.iter().take(ENTRIES_SHOWN) {
            let by = range_text(&index.bounds, low, high);
            self.target(target, by, depth, lines);
        }
        count_more(used.len().saturating_sub(ENTRIES_SHOWN), depth, lines);
    }
}

fn count_more(more: usize, depth: usize, lines: &mut Vec<Line>) {
    if more > 0 {
        lines.push(Line {
            depth,
            by: String::new(),
            says: format!("and {more} more"),
        });
    }
}

/// The numbers of the classes `low..=high`.
fn range_text(bounds: &[f64], low: usize, high: usize) -> String {
    if low == high && low % 2 == 1 {
        return bounds[low / 2].to_string();
    }
    let from = match low {
        0 => String::new(),
        odd if odd % 2 == 1 => format!(">= {}", bounds[odd / 2]),
        even => format!("> {}", bounds[even / 2 - 1]),
    };
    let to = match high {
        odd if odd % 2 == 1 => format!("<= {}", bounds[odd / 2]),
        even if even / 2 < bounds.len() => format!("< {}", bounds[even / 2]),
        _ => String::new(),
    };
    match (from.as_str(), to.as_str()) {
        ("", "") => "any number".to_owned(),
        ("", only) | (only, "") => only.to_owned(),
        (from, to) => format!("{from} and {to}"),
    }
}
