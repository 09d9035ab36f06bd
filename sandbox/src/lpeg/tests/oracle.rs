//! The compiler and the machine against a plain interpreter of trees.
//!
//! Owns:    the interpreter, the random patterns.
//! Runs on: tests.            Plane: data.
//! Bounds:  patterns of a few dozen nodes, subjects of a dozen bytes, `FUEL` steps of the interpreter.
//! Never:   compiles.

use proptest::prelude::*;

use super::super::compile::compile;
use super::super::grammar::{self, Names, Rule};
use super::super::machine::{Capture, Host, Machine, OPEN};
use super::super::set::Set;
use super::super::tree::{Kind, Node, Pattern, children};

/// Steps after which a case is given up.
const FUEL: u32 = 20_000;

/// Entries of the machine's stack.
const STACK: usize = 10_000;

/// What was captured, as a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Captured {
    kind: Kind,
    key: u32,
    from: usize,
    to: usize,
    inside: Vec<Captured>,
}

/// Whether a match-time capture goes on at a place.
fn goes_on(function: u32, at: usize) -> bool {
    !(at as u32 + function).is_multiple_of(3)
}

/// Interprets a tree as the definition of its operators says.
struct Oracle<'a> {
    pattern: &'a Pattern,
    subject: &'a [u8],
    fuel: u32,
}

/// The case takes too long.
struct Exhausted;

type Matched = Result<Option<usize>, Exhausted>;

impl Oracle<'_> {
    fn at(&mut self, node: usize, at: usize, into: &mut Vec<Captured>) -> Matched {
        self.fuel = self.fuel.checked_sub(1).ok_or(Exhausted)?;
        let byte = self.subject.get(at).copied();
        let took = |is_in: bool| Ok(is_in.then_some(at + 1));
        match self.pattern.nodes[node] {
            Node::True => Ok(Some(at)),
            Node::False => Ok(None),
            Node::Any => took(byte.is_some()),
            Node::Byte(wanted) => took(byte == Some(wanted)),
            Node::Set(set) => {
                took(byte.is_some_and(|byte| self.pattern.sets[set as usize].has(byte)))
            }
            Node::Seq { .. } => {
                let mut at = at;
                for child in children(&self.pattern.nodes, node) {
                    match self.at(child, at, into)? {
                        Some(next) => at = next,
                        None => return Ok(None),
                    }
                }
                Ok(Some(at))
            }
            Node::Choice { .. } => {
                for child in children(&self.pattern.nodes, node) {
                    if let Some(end) = self.attempt(child, at, into)? {
                        return Ok(Some(end));
                    }
                }
                Ok(None)
            }
            Node::Star { .. } => self.repeat(node + 1, at, u32::MAX, into),
            Node::AtMost { times, .. } => self.repeat(node + 1, at, times, into),
            Node::And { .. } => {
                let matched = self.at(node + 1, at, &mut Vec::new())?;
                Ok(matched.map(|_| at))
            }
            Node::Not { .. } => {
                let matched = self.at(node + 1, at, &mut Vec::new())?;
                Ok(matched.is_none().then_some(at))
            }
            Node::Behind { width, .. } => match at.checked_sub(width.into()) {
                Some(before) => self.at(node + 1, before, into),
                None => Ok(None),
            },
            Node::Call { away } => self.at(node.wrapping_add_signed(away as isize), at, into),
            Node::Grammar { .. } | Node::Rule { .. } => self.at(node + 1, at, into),
            Node::Capture { kind, key, .. } => self.capture(node, kind, key, at, into),
            Node::Runtime { key, .. } => {
                let matched = self.at(node + 1, at, &mut Vec::new())?;
                Ok(matched.filter(|end| goes_on(key, *end)))
            }
            Node::Open { .. } => unreachable!("all are tied"),
        }
    }

    /// What fails captures nothing.
    fn attempt(&mut self, node: usize, at: usize, into: &mut Vec<Captured>) -> Matched {
        let before = into.len();
        let matched = self.at(node, at, into)?;
        if matched.is_none() {
            into.truncate(before);
        }
        Ok(matched)
    }

    fn repeat(&mut self, node: usize, at: usize, times: u32, into: &mut Vec<Captured>) -> Matched {
        let mut at = at;
        for _ in 0..times {
            match self.attempt(node, at, into)? {
                Some(next) => at = next,
                None => break,
            }
        }
        Ok(Some(at))
    }

    fn capture(
        &mut self,
        node: usize,
        kind: Kind,
        key: u32,
        at: usize,
        into: &mut Vec<Captured>,
    ) -> Matched {
        let mut inside = Vec::new();
        let matched = self.at(node + 1, at, &mut inside)?;
        if let Some(to) = matched {
            into.push(Captured {
                kind,
                key: if kind == Kind::Table { 0 } else { key },
                from: at,
                to,
                inside,
            });
        }
        Ok(matched)
    }
}

/// Match-time captures as the interpreter has them.
struct Stub;

impl Host for Stub {
    fn safepoint(&mut self) -> Result<(), String> {
        Ok(())
    }

    fn grown(&mut self, _: usize) -> Result<(), String> {
        Ok(())
    }

    fn at_match_time(
        &mut self,
        function: u32,
        captures: &mut Vec<Capture>,
        at: usize,
    ) -> Result<Option<usize>, String> {
        captures.push(Capture {
            at: 0,
            len: 0,
            key: 0,
            kind: Kind::Close,
        });
        let open = super::super::values::open_of(captures, captures.len() - 1);
        captures.truncate(open);
        Ok(goes_on(function, at).then_some(at))
    }

    fn given_up(&mut self, _: &[Capture]) {}
}

/// The machine's list as a tree.
fn tree_of(captures: &mut impl Iterator<Item = Capture>) -> (Vec<Captured>, usize) {
    let mut all = Vec::new();
    while let Some(capture) = captures.next() {
        if capture.kind == Kind::Close {
            return (all, capture.at as usize);
        }
        let from = capture.at as usize;
        let (inside, to) = match capture.len {
            OPEN => tree_of(captures),
            len => (Vec::new(), from + len as usize),
        };
        let key = if capture.kind == Kind::Table {
            0
        } else {
            capture.key
        };
        let kind = capture.kind;
        all.push(Captured {
            kind,
            key,
            from,
            to,
            inside,
        });
    }
    (all, 0)
}

/// A pattern, and for each of its values the rule that it is the name of.
#[derive(Debug)]
struct Made {
    pattern: Pattern,
    names: Vec<usize>,
}

/// How a pattern is made: numbers choose, and what cannot be made is made simpler.
#[derive(Clone, Debug)]
enum Recipe {
    Bytes(Vec<u8>),
    Set(u8),
    Any(usize),
    Constant(bool),
    Rule(usize),
    Position,
    Then(Box<Recipe>, Box<Recipe>),
    Or(Box<Recipe>, Box<Recipe>),
    Minus(Box<Recipe>, Box<Recipe>),
    AtLeast(usize, Box<Recipe>),
    AtMost(u32, Box<Recipe>),
    Not(Box<Recipe>),
    And(Box<Recipe>),
    Behind(Box<Recipe>),
    Capture(u8, Box<Recipe>),
    Runtime(Box<Recipe>),
    Grammar(Vec<Recipe>),
}

const RULES: usize = 3;

fn recipe() -> impl Strategy<Value = Recipe> {
    let leaf = prop_oneof![
        4 => proptest::collection::vec(b'a'..=b'c', 1..4).prop_map(Recipe::Bytes),
        3 => (1_u8..8).prop_map(Recipe::Set),
        1 => (1_usize..3).prop_map(Recipe::Any),
        1 => any::<bool>().prop_map(Recipe::Constant),
        3 => (0..RULES).prop_map(Recipe::Rule),
        1 => Just(Recipe::Position),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let one = inner.clone().prop_map(Box::new);
        let pair = (one.clone(), one.clone());
        prop_oneof![
            6 => pair.clone().prop_map(|(a, b)| Recipe::Then(a, b)),
            6 => pair.clone().prop_map(|(a, b)| Recipe::Or(a, b)),
            2 => pair.prop_map(|(a, b)| Recipe::Minus(a, b)),
            4 => (0_usize..3, one.clone()).prop_map(|(n, a)| Recipe::AtLeast(n, a)),
            3 => (1_u32..4, one.clone()).prop_map(|(n, a)| Recipe::AtMost(n, a)),
            1 => one.clone().prop_map(Recipe::Not),
            1 => one.clone().prop_map(Recipe::And),
            1 => one.clone().prop_map(Recipe::Behind),
            4 => (0_u8..5, one.clone()).prop_map(|(n, a)| Recipe::Capture(n, a)),
            1 => one.prop_map(Recipe::Runtime),
            1 => proptest::collection::vec(inner, RULES).prop_map(Recipe::Grammar),
        ]
    })
}

type Join = fn(&Pattern, &Pattern, u32, u32) -> Result<Pattern, String>;

fn joined(a: &Recipe, b: &Recipe, join: Join) -> Made {
    let (a, b) = (made(a), made(b));
    let shift = a.names.len() as u32;
    let names = [a.names, b.names].concat();
    let joined = join(&a.pattern, &b.pattern, shift, names.len() as u32);
    let mut pattern = joined.expect("small patterns");
    pattern.values = names.len() as u32;
    Made { pattern, names }
}

/// What is made of a pattern, or the pattern where nothing can be.
fn wrapped(a: &Recipe, wrap: impl FnOnce(&Pattern) -> Result<Pattern, String>) -> Made {
    let a = made(a);
    match wrap(&a.pattern) {
        Ok(pattern) => Made { pattern, ..a },
        Err(_) => a,
    }
}

fn plain(pattern: Result<Pattern, String>) -> Made {
    Made {
        pattern: pattern.expect("small patterns"),
        names: Vec::new(),
    }
}

fn made(recipe: &Recipe) -> Made {
    match recipe {
        Recipe::Bytes(bytes) => plain(Pattern::text(bytes)),
        Recipe::Set(bits) => {
            let mut set = Set::EMPTY;
            let bytes = (0..3).filter(|bit| bits >> bit & 1 == 1);
            bytes.for_each(|bit| set.add(b'a' + bit));
            plain(Ok(Pattern::set(set)))
        }
        Recipe::Any(count) => plain(Pattern::any(*count)),
        Recipe::Constant(succeeds) => plain(Ok(Pattern::constant(*succeeds))),
        Recipe::Rule(rule) => Made {
            pattern: Pattern::open(),
            names: vec![*rule],
        },
        Recipe::Position => plain(Pattern::constant(true).captured(Kind::Position, 0, 0)),
        Recipe::Then(a, b) => joined(a, b, Pattern::then),
        Recipe::Or(a, b) => joined(a, b, Pattern::or),
        Recipe::Minus(a, b) => joined(a, b, Pattern::minus),
        Recipe::AtLeast(least, a) => wrapped(a, |a| a.at_least(*least)),
        Recipe::AtMost(most, a) => wrapped(a, |a| a.at_most(*most)),
        Recipe::Not(a) => wrapped(a, Pattern::negated),
        Recipe::And(a) => wrapped(a, Pattern::ahead),
        Recipe::Behind(a) => wrapped(a, Pattern::behind),
        Recipe::Capture(number, a) => {
            let (kind, key) = match number {
                0 | 1 => (Kind::Simple, 0),
                2 => (Kind::Table, 0),
                3 => (Kind::Substitution, 0),
                _ => (Kind::Number, 7),
            };
            wrapped(a, |a| a.captured(kind, key, a.values))
        }
        Recipe::Runtime(a) => {
            let mut runtime = wrapped(a, |a| a.at_match_time(a.values + 1));
            runtime
                .names
                .resize(runtime.pattern.values as usize, usize::MAX);
            runtime
        }
        Recipe::Grammar(rules) => tied(rules),
    }
}

/// A grammar of these rules; one that none may be made of is left out.
fn tied(rules: &[Recipe]) -> Made {
    let rules: Vec<Made> = rules.iter().map(made).collect();
    let (mut names, mut parts) = (Vec::new(), Vec::new());
    for (number, rule) in rules.iter().enumerate() {
        let shift = names.len() as u32;
        names.extend_from_slice(&rule.names);
        names.push(number);
        parts.push(Rule {
            pattern: &rule.pattern,
            shift,
            name: names.len() as u32,
        });
    }
    let built = grammar::build(&parts, names.len() as u32, &mut Numbers(&names));
    let pattern = match built {
        Ok(pattern) => pattern,
        Err(_) => {
            let mut nothing = Pattern::any(1).expect("small");
            nothing.values = names.len() as u32;
            nothing
        }
    };
    names.fill(usize::MAX);
    Made { pattern, names }
}

/// The rule of each name, or none.
struct Numbers<'a>(&'a [usize]);

impl Names for Numbers<'_> {
    fn rule(&mut self, name: u32) -> Option<usize> {
        let rule = self.0[name as usize - 1];
        (rule < RULES).then_some(rule)
    }

    fn pause(&mut self) {}
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn the_machine_does_what_the_tree_says(
        rules in proptest::collection::vec(recipe(), RULES),
        subjects in proptest::collection::vec("[a-c]{0,12}", 6),
    ) {
        let made = tied(&rules);
        let code = compile(&made.pattern, &mut || {}).expect("all rules are there");
        let mut machine = Machine::default();
        for subject in &subjects {
            let subject = subject.as_bytes();
            let (mut wanted, mut oracle) = (Vec::new(), Oracle { pattern: &made.pattern, subject, fuel: FUEL });
            let Ok(end) = oracle.at(0, 0, &mut wanted) else { continue };
            let found = machine.run(&code, subject, 0, STACK, &mut Stub);
            let found = found.map_err(TestCaseError::fail)?;
            prop_assert_eq!(found, end, "{:?}\n{:?}", made.pattern.nodes, code.insts);
            if end.is_some() {
                let (captured, _) = tree_of(&mut machine.captures.iter().copied());
                prop_assert_eq!(captured, wanted, "{:?}\n{:?}", made.pattern.nodes, code.insts);
            }
        }
    }
}
