//! All consumers of a plan, searched at once.
//!
//! Owns:    `Set` (immutable, shared), the interned signer names, what was found wrong with right expressions.
//! Runs on: build time (`build`) and every shard (`search`).            Plane: data.
//! Bounds:  `CONSUMERS_MAX`; what `compile` and `search` say.
//! Never:   changes after `build`; says what a consumer is.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use codecs::message::MessageRef;

use crate::ast::Expression;
use crate::captures::{self, Captured, Capturing};
use crate::compile::compile;
use crate::consumer_set::Row;
use crate::error::{Error, ErrorKind};
use crate::formula::{FALSE, FormulaId, Formulas, TRUE};
use crate::looks::Looks;
use crate::lower::{Finding, Lowering};
use crate::program::Program;
use crate::search::{Compiled, Names, Scratch};
use crate::{CONSUMERS_MAX, SET_BYTES_MAX};

/// What one consumer wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consumer<'a> {
    /// Its `message_matcher`.
    pub expression: &'a str,
    /// Its `message_signer`: only messages authenticated by that signer. `None` or empty asks for none.
    pub signer: Option<&'a str>,
}

/// Number of a signer name within one set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignerId(pub(crate) u32);

/// What makes a set fast. Each can be left out; the answers stay the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Compare the tests of an expression with each other and drop those without effect.
    pub simplify: bool,
    /// Find consumers by lookups; without it each one's expression is run.
    pub tree: bool,
    /// Look for the literals of all patterns at once, and try only patterns whose literal was found.
    pub literal_scan: bool,
    /// Run patterns without literals as one automaton.
    pub bundles: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            simplify: true,
            tree: true,
            literal_scan: true,
            bundles: true,
        }
    }
}

/// All consumers of a plan, compiled together.
#[derive(Debug)]
pub struct Set {
    pub(crate) compiled: Compiled,
    pub(crate) formulas: Formulas,
    /// Each consumer's formula.
    pub(crate) wanted: Vec<FormulaId>,
    /// The consumers that accept every message: words of a row, with their numbers.
    always: Vec<(u32, u64)>,
    looks: Looks,
    pub(crate) signers: Vec<String>,
    remarks: Vec<(usize, Remark)>,
    /// Each consumer's tests that capture, where it has some.
    captures: HashMap<usize, Vec<Captured>>,
    /// Held by every scratch made here, to tell a foreign one.
    identity: Arc<()>,
}

/// Something about a right expression that its author may not have meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The bytes of the expression that it is about.
    pub span: Range<usize>,
    /// What was found.
    pub message: String,
}

/// Which patterns of a set were in another one.
#[derive(Clone, Debug)]
pub struct Origins {
    patterns: Vec<Option<u32>>,
    bundles: Vec<Option<u32>>,
    /// Identity of the other set.
    of: Arc<()>,
}

impl Set {
    /// Compiles all consumers; consumer `i` of the slice is bit `i` of every answer.
    ///
    /// Errors: every expression that is wrong, with the number of its consumer; each with its first error.
    pub fn build(consumers: &[Consumer<'_>]) -> Result<Set, Vec<(usize, Error)>> {
        Set::build_with(consumers, Options::default())
    }

    /// `build`, with some of what makes it fast left out.
    pub fn build_with(
        consumers: &[Consumer<'_>],
        options: Options,
    ) -> Result<Set, Vec<(usize, Error)>> {
        if consumers.len() > CONSUMERS_MAX {
            let text = consumers[CONSUMERS_MAX].expression;
            let message = format!("{} consumers, limit {CONSUMERS_MAX}", consumers.len());
            return Err(vec![(
                CONSUMERS_MAX,
                Error::new(ErrorKind::Consumers, text, 0..0, message),
            )]);
        }
        // Texts are numbered by 32 bits.
        let bytes: usize = consumers
            .iter()
            .map(|consumer| consumer.expression.len())
            .sum();
        if bytes > SET_BYTES_MAX {
            let message =
                format!("all expressions together take {bytes} bytes, limit {SET_BYTES_MAX}");
            return Err(vec![(0, Error::new(ErrorKind::TooLong, "", 0..0, message))]);
        }
        let mut lowering = Lowering::new(options.simplify);
        let mut signers = Signers::default();
        let (mut wanted, mut remarks, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        let (mut captures, mut captured) = (HashMap::new(), 0);
        for (number, consumer) in consumers.iter().enumerate() {
            match lower(&mut lowering, consumer.expression) {
                Ok((expression, formula, found)) => {
                    let tests = captures::of_expression(&expression, &mut captured);
                    if !tests.is_empty() {
                        captures.insert(number, tests);
                    }
                    remarks.extend(found.into_iter().map(|remark| (number, remark)));
                    let signer = consumer.signer.filter(|name| !name.is_empty());
                    wanted.push(match signer {
                        Some(name) => lowering.signed(formula, signers.intern(name)),
                        None => formula,
                    });
                }
                Err(error) => errors.push((number, error)),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut set = assemble(lowering, wanted, options);
        set.signers = signers.names;
        set.remarks = remarks;
        set.captures = captures;
        Ok(set)
    }

    /// Number of consumers.
    pub fn consumers(&self) -> usize {
        self.wanted.len()
    }

    /// An empty row for the answers.
    pub fn row(&self) -> Row {
        Row::new(self.consumers())
    }

    /// What was found about right expressions, with the number of the consumer.
    pub fn remarks(&self) -> &[(usize, Remark)] {
        &self.remarks
    }

    /// Bytes that the tree and its programs take, regular expressions not counted: they are compiled by the shards that use them.
    pub fn memory(&self) -> usize {
        let compiled = &self.compiled;
        compiled.tree.bytes()
            + compiled.program.steps.len() * size_of::<crate::program::Step>()
            + compiled.terms.bytes.len()
    }

    /// The number under which `search` knows a signer; `None` for a name that no consumer asks for.
    pub fn signer_id(&self, name: &str) -> Option<SignerId> {
        self.signers
            .iter()
            .position(|known| known == name)
            .map(|at| SignerId(at as u32))
    }

    /// What of a message the consumers' expressions look at.
    pub fn looks(&self) -> Looks {
        self.looks
    }

    /// State for searching on one shard.
    pub fn scratch(&self) -> Scratch {
        Scratch::new(&self.compiled, &self.identity)
    }

    /// Where the patterns of this set stand in another one, for `take_over`.
    pub fn origins(&self, old: &Set) -> Origins {
        fn sources(set: &Set) -> impl Iterator<Item = Option<&str>> {
            let patterns = set.compiled.terms.patterns.iter();
            patterns.map(|pattern| pattern.source())
        }
        fn bundles(set: &Set) -> impl Iterator<Item = Vec<Option<&str>>> {
            let sources: Vec<Option<&str>> = sources(set).collect();
            let bundles = set.compiled.tree.bundles.iter();
            bundles.map(move |bundle| bundle.iter().map(|at| sources[*at as usize]).collect())
        }
        let known: HashMap<&str, u32> = sources(old)
            .zip(0..)
            .filter_map(|(text, number)| Some((text?, number)))
            .collect();
        let known_bundles: HashMap<_, u32> = bundles(old).zip(0..).collect();
        Origins {
            patterns: sources(self)
                .map(|text| known.get(text?).copied())
                .collect(),
            bundles: bundles(self)
                .map(|bundle| known_bundles.get(&bundle).copied())
                .collect(),
            of: Arc::clone(&old.identity),
        }
    }

    /// Moves what a shard has compiled for another set into the scratch of this one: a few instructions for each pattern. Where `old` is not a
    /// scratch of the set that the origins were asked for, nothing is moved and patterns are compiled again when they are needed.
    pub fn take_over(&self, scratch: &mut Scratch, old: &mut Scratch, origins: &Origins) {
        let fits = Arc::ptr_eq(&origins.of, &old.identity)
            && Arc::ptr_eq(&self.identity, &scratch.identity);
        if fits {
            scratch.take_over(old, &origins.patterns, &origins.bundles);
        }
    }

    /// Whether a consumer's regular expressions have named groups.
    pub fn has_captures(&self, consumer: usize) -> bool {
        self.captures.contains_key(&consumer)
    }

    /// Calls `each` with every name and text that the named groups of a consumer's `=~` tests captured of a message which it accepted.
    /// Nothing is compiled or run before this is called.
    pub fn captures(
        &self,
        capturing: &mut Capturing,
        consumer: usize,
        message: MessageRef<'_>,
        each: &mut dyn FnMut(&str, &[u8]),
    ) {
        if let Some(tests) = self.captures.get(&consumer) {
            capturing.run(tests, message, each);
        }
    }

    /// The consumers that accept every message.
    pub(crate) fn always(&self) -> impl Iterator<Item = usize> + '_ {
        let bits = |word: u64| (0..64).filter(move |bit| word >> bit & 1 == 1);
        self.always
            .iter()
            .flat_map(move |(number, word)| bits(*word).map(|bit| *number as usize * 64 + bit))
    }

    /// Sets `accepted` to the consumers that accept the message.
    ///
    /// `signer` is the signer that the message was authenticated by; `None` for none, or for one that no consumer asks for.
    /// The row is overwritten. Nothing is allocated, but for the state of a regular expression, which grows up to its bound
    /// during its first uses on a shard.
    ///
    /// Panics if the row has less room than the set has consumers, or if the scratch is another set's: errors of the caller.
    // Left to the compiler it is inlined only where it is called once: 12 ns a message at a router's loop.
    #[inline(always)]
    pub fn search(
        &self,
        scratch: &mut Scratch,
        message: MessageRef<'_>,
        signer: Option<SignerId>,
        accepted: &mut Row,
    ) {
        assert!(
            Arc::ptr_eq(&self.identity, &scratch.identity),
            "the scratch belongs to another set"
        );
        accepted.clear();
        for &(word, bits) in &self.always {
            accepted.insert_word(word, bits);
        }
        let signer = signer.map(|signer| signer.0);
        self.compiled.search(scratch, message, signer, accepted);
        accepted.sort();
    }
}

/// Names of signers, each once.
#[derive(Default)]
struct Signers {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Signers {
    fn intern(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }
}

fn lower(
    lowering: &mut Lowering,
    text: &str,
) -> Result<(Expression, FormulaId, Vec<Remark>), Error> {
    let expression = Expression::parse(text)?;
    match lowering.lower(&expression) {
        Ok((formula, findings)) => {
            let remarks = findings
                .into_iter()
                .map(|finding| remark(&expression, text, finding))
                .collect();
            Ok((expression, formula, remarks))
        }
        Err((test, error)) => {
            let help = "use smaller counts in {n,m}, or split the expression into two tests";
            let span = expression.span(test);
            Err(Error::new(ErrorKind::RegexSize, text, span, error.message()).help(help))
        }
    }
}

fn remark(expression: &Expression, text: &str, finding: Finding) -> Remark {
    let (span, message) = match finding {
        Finding::Never => (0..text.len(), "no message can match".to_owned()),
        Finding::Always => (
            0..text.len(),
            "every message matches; `TRUE` says so".to_owned(),
        ),
        Finding::Decided { first, last, value } => (
            expression.span(first).start..expression.span(last).end,
            if value {
                "one of these tests always holds".to_owned()
            } else {
                "these tests can never hold together".to_owned()
            },
        ),
        Finding::Slow { test } => (
            expression.span(test),
            "may take microseconds for each byte of a text made for it: its repetitions come to hundreds of characters"
                .to_owned(),
        ),
        Finding::Shadowed { test, by } => (
            expression.span(test),
            format!(
                "makes no difference beside `{}`",
                &text[expression.span(by)]
            ),
        ),
    };
    Remark { span, message }
}

fn assemble(lowering: Lowering, wanted: Vec<FormulaId>, options: Options) -> Set {
    let Lowering {
        interner,
        mut formulas,
        ..
    } = lowering;
    let mut terms = interner.terms;
    terms.bytes.shrink_to_fit();
    let mut always: Vec<(u32, u64)> = Vec::new();
    let mut live = Vec::new();
    for (number, &formula) in wanted.iter().enumerate() {
        match formula {
            TRUE => {
                let (word, bit) = (number as u32 / 64, 1 << (number % 64));
                match always.last_mut() {
                    Some((last, bits)) if *last == word => *bits |= bit,
                    _ => always.push((word, bit)),
                }
            }
            FALSE => {}
            _ => live.push((formula, number as u32)),
        }
    }
    let mut program = Program::default();
    let tree = compile(&terms, &mut formulas, &mut program, options, &live);
    program.finish();
    formulas.finish();
    Set {
        looks: Looks::of(&terms.checks),
        compiled: Compiled {
            names: Names::new(&terms),
            terms,
            program,
            tree,
        },
        formulas,
        wanted,
        always,
        signers: Vec::new(),
        remarks: Vec::new(),
        captures: HashMap::new(),
        identity: Arc::new(()),
    }
}
