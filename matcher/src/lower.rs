//! From what was written to formulas: tests become checks, and tests of one subject are held against each other.
//!
//! Owns:    the meaning of every kind of test, and what is found wrong with an expression that is right.
//! Runs on: build time.            Plane: control.
//! Bounds:  each joint compares at most `TESTS_COMPARED_MAX` tests of a subject.
//! Never:   changes which messages an expression accepts.

use std::collections::HashMap;

use codecs::message::Header;

use crate::ast::{Expression, Literal, Node, NodeId, NumberHeader, Relation, Test, Variable};
use crate::formula::{FALSE, Formula, FormulaId, Formulas, Joint, TRUE};
use crate::pattern::{Pattern, PlainText, TooLarge};
use crate::predicate::{Check, Interner, Number, PatternKey, Subject};
use crate::samples::{self, Verdict};

/// Tests of one subject in one joint that are compared with each other; more are left as they are.
const TESTS_COMPARED_MAX: usize = 24;

/// Texts of one pattern that become tests of their own.
const TEXTS_APART_MAX: usize = 32;

/// Characters of a pattern, repetitions written out, from which on it is remarked upon.
const POSITIONS_REMARKED: usize = 500;

/// Something about an expression that its author may not have meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// No message can match.
    Never,
    /// Every message matches.
    Always,
    /// Tests that stand together can never hold, or always do.
    Decided {
        /// The first of them, by its number in the expression.
        first: u32,
        /// The last of them.
        last: u32,
        /// Whether they always hold.
        value: bool,
    },
    /// A pattern whose counted repetitions make every byte of a text made for it dear.
    Slow {
        /// The test.
        test: u32,
    },
    /// A test makes no difference beside another one; their numbers in the expression.
    Shadowed {
        /// The one without effect.
        test: u32,
        /// The one that decides.
        by: u32,
    },
}

/// Lowers expressions into one set of formulas.
#[derive(Debug)]
pub(crate) struct Lowering {
    pub(crate) interner: Interner,
    pub(crate) formulas: Formulas,
    /// Compare tests with each other.
    pub(crate) simplify: bool,
}

/// A node of the expression, lowered: its formula, and the test that it is, if it is one.
#[derive(Clone, Copy)]
struct Lowered {
    formula: FormulaId,
    test: Option<u32>,
}

impl Lowering {
    pub(crate) fn new(simplify: bool) -> Lowering {
        Lowering {
            interner: Interner::new(),
            formulas: Formulas::new(),
            simplify,
        }
    }

    /// The formula of an expression, and what was found in it.
    ///
    /// Errors: the number of the test whose regular expression is too large.
    pub(crate) fn lower(
        &mut self,
        expression: &Expression,
    ) -> Result<(FormulaId, Vec<Finding>), (u32, TooLarge)> {
        let mut findings = Vec::new();
        let mut lowered: Vec<Lowered> = Vec::with_capacity(expression.nodes().len());
        for node in expression.nodes() {
            let result = match *node {
                Node::Constant(value) => Lowered {
                    formula: if value { TRUE } else { FALSE },
                    test: None,
                },
                Node::Test(test) => Lowered {
                    formula: self
                        .test(&expression.tests()[test as usize])
                        .map_err(|error| (test, error))?,
                    test: Some(test),
                },
                Node::All(children) => {
                    let children = expression.children(children);
                    self.join(Joint::All, children, &lowered, &mut findings)
                }
                Node::Any(children) => {
                    let children = expression.children(children);
                    self.join(Joint::Any, children, &lowered, &mut findings)
                }
            };
            lowered.push(result);
        }
        let formula = lowered[expression.root() as usize].formula;
        let written =
            expression.nodes().len() > 1 || !matches!(expression.nodes(), [Node::Constant(_)]);
        match formula {
            FALSE if written => findings = vec![Finding::Never],
            TRUE if written => findings = vec![Finding::Always],
            _ => findings.extend(slow(expression)),
        }
        Ok((formula, findings))
    }

    /// The formula guarded by a signer.
    pub(crate) fn signed(&mut self, formula: FormulaId, signer: u32) -> FormulaId {
        let guard = self.literal(Check::Signer(signer), true);
        self.formulas.join(Joint::All, &[guard, formula])
    }

    // ---- joints ----

    fn join(
        &mut self,
        joint: Joint,
        children: &[NodeId],
        lowered: &[Lowered],
        findings: &mut Vec<Finding>,
    ) -> Lowered {
        let mut parts: Vec<Lowered> = children
            .iter()
            .map(|child| lowered[*child as usize])
            .collect();
        if self.simplify {
            self.compare_tests(joint, &mut parts, findings);
        }
        let formulas: Vec<_> = parts.iter().map(|part| part.formula).collect();
        Lowered {
            formula: self.formulas.join(joint, &formulas),
            test: None,
        }
    }

    /// Holds the tests of one subject against each other: a joint that they decide becomes constant, a test that changes nothing goes.
    fn compare_tests(
        &mut self,
        joint: Joint,
        parts: &mut Vec<Lowered>,
        findings: &mut Vec<Finding>,
    ) {
        // In the order in which they were written, so that findings are, too.
        let mut of_subject: HashMap<Subject, usize> = HashMap::new();
        let mut by_subject: Vec<Vec<usize>> = Vec::new();
        for (position, part) in parts.iter().enumerate() {
            if let Formula::Literal(check, _) = self.formulas.get(part.formula) {
                let subject = self.interner.terms.checks[check as usize].subject();
                let next = by_subject.len();
                let at = *of_subject.entry(subject).or_insert(next);
                if at == next {
                    by_subject.push(Vec::new());
                }
                by_subject[at].push(position);
            }
        }
        let mut gone = vec![false; parts.len()];
        for positions in &by_subject {
            if positions.len() < 2 || positions.len() > TESTS_COMPARED_MAX {
                continue;
            }
            let literals: Vec<(Check, bool)> = positions
                .iter()
                .filter_map(
                    |position| match self.formulas.get(parts[*position].formula) {
                        Formula::Literal(check, positive) => {
                            Some((self.interner.terms.checks[check as usize], positive))
                        }
                        _ => None,
                    },
                )
                .collect();
            match samples::compare(&self.interner.terms, joint, &literals) {
                Verdict::Decided => {
                    let tests = positions.iter().filter_map(|at| parts[*at].test);
                    if let (Some(first), Some(last)) = (tests.clone().min(), tests.max()) {
                        findings.push(Finding::Decided {
                            first,
                            last,
                            value: joint == Joint::Any,
                        });
                    }
                    parts.clear();
                    parts.push(Lowered {
                        formula: joint.decisive(),
                        test: None,
                    });
                    return;
                }
                Verdict::Without(shadowed) => {
                    for (test, by) in shadowed {
                        gone[positions[test]] = true;
                        let numbers = (parts[positions[test]].test, parts[positions[by]].test);
                        if let (Some(test), Some(by)) = numbers {
                            findings.push(Finding::Shadowed { test, by });
                        }
                    }
                }
            }
        }
        let mut position = 0;
        parts.retain(|_| {
            position += 1;
            !gone[position - 1]
        });
    }

    // ---- tests ----

    fn literal(&mut self, check: Check, positive: bool) -> FormulaId {
        let cost = self.cost(&check);
        let number = self.interner.check(check);
        self.formulas.literal(number, positive, cost)
    }

    /// A rank: what is cheap is tested first.
    fn cost(&self, check: &Check) -> u8 {
        let pattern_cost = |pattern: u32| self.interner.terms.patterns[pattern as usize].cost();
        match *check {
            Check::Signer(_) => 0,
            Check::Number(..) => 1,
            Check::HeaderIs(..) | Check::UuidPresent => 2,
            Check::HeaderBefore(..) | Check::HeaderAfter(..) => 3,
            Check::UuidBefore(_) | Check::UuidAfter(_) => 5,
            Check::FieldPresent(_)
            | Check::FieldText(..)
            | Check::FieldNumber(..)
            | Check::FieldBool(..) => 4,
            Check::HeaderMatches(_, pattern, _) => 3 + pattern_cost(pattern),
            Check::FieldMatches(_, pattern, ..) => 5 + pattern_cost(pattern),
        }
    }

    fn test(&mut self, test: &Test) -> Result<FormulaId, TooLarge> {
        let relation = test.relation;
        Ok(match (&test.variable, &test.literal) {
            (Variable::Text(Header::Uuid), Literal::Text(text)) => self.uuid(relation, text),
            (Variable::Text(header), Literal::Text(text)) => {
                let text = self.interner.text(text.as_bytes());
                let (is, before, after) = (
                    Check::HeaderIs(*header, text),
                    Check::HeaderBefore(*header, text),
                    Check::HeaderAfter(*header, text),
                );
                self.ordered(relation, is, before, after)
            }
            (Variable::Text(header), Literal::Regex(pattern)) => self.matches(
                Subject::Text(*header),
                pattern,
                relation == Relation::Matches,
            )?,
            (Variable::Number(header), Literal::Number(number)) => {
                self.number(*header, relation, *number)
            }
            (Variable::Field(selector), literal) => {
                let place = self.interner.place(selector);
                self.field(place, relation, literal)?
            }
            // The parser makes no other test.
            _ => FALSE,
        })
    }

    fn number(&mut self, header: NumberHeader, relation: Relation, number: f64) -> FormulaId {
        // Of a number header there is always a value, so that `!=` is the negation of `==`.
        let (relation, positive) = match relation {
            Relation::NotEqual => (Relation::Equal, false),
            other => (other, true),
        };
        self.literal(
            Check::Number(header, relation, Number::new(number)),
            positive,
        )
    }

    fn field(
        &mut self,
        place: u32,
        relation: Relation,
        literal: &Literal,
    ) -> Result<FormulaId, TooLarge> {
        Ok(match literal {
            Literal::Text(text) => {
                let text = self.interner.text(text.as_bytes());
                self.literal(Check::FieldText(place, relation, text), true)
            }
            Literal::Number(number) => {
                let number = Number::new(*number);
                self.literal(Check::FieldNumber(place, relation, number), true)
            }
            Literal::Bool(value) => self.literal(Check::FieldBool(place, *value), true),
            Literal::Nil => self.literal(Check::FieldPresent(place), relation != Relation::Equal),
            Literal::Regex(pattern) => self.matches(
                Subject::Field(place),
                pattern,
                relation == Relation::Matches,
            )?,
        })
    }

    /// A relation between texts by three tests and their negations: texts are totally ordered.
    fn ordered(&mut self, relation: Relation, is: Check, before: Check, after: Check) -> FormulaId {
        match relation {
            Relation::Equal => self.literal(is, true),
            Relation::NotEqual => self.literal(is, false),
            Relation::Less => self.literal(before, true),
            Relation::GreaterOrEqual => self.literal(before, false),
            Relation::Greater => self.literal(after, true),
            Relation::LessOrEqual => self.literal(after, false),
            // The parser joins these with regular expressions only.
            Relation::Matches | Relation::NotMatches => FALSE,
        }
    }

    fn uuid(&mut self, relation: Relation, text: &str) -> FormulaId {
        let equality = matches!(relation, Relation::Equal | Relation::NotEqual);
        let equal = relation == Relation::Equal;
        if equality && text.is_empty() {
            return self.literal(Check::UuidPresent, !equal);
        }
        if equality {
            return match uuid_bytes(text) {
                None if equal => FALSE,
                None => TRUE,
                Some(bytes) => {
                    let bytes = self.interner.text(&bytes);
                    self.literal(Check::HeaderIs(Header::Uuid, bytes), equal)
                }
            };
        }
        let text = self.interner.text(text.as_bytes());
        let (before, after) = (Check::UuidBefore(text), Check::UuidAfter(text));
        self.ordered(relation, Check::UuidPresent, before, after)
    }

    // ---- patterns ----

    fn matches(
        &mut self,
        subject: Subject,
        pattern: &Pattern,
        wanted: bool,
    ) -> Result<FormulaId, TooLarge> {
        let apart = |texts: &[Vec<u8>]| texts.len() <= TEXTS_APART_MAX;
        let keys: Vec<PatternKey> = match pattern.plain() {
            Some(PlainText::Everything) if matches!(subject, Subject::Text(_)) => {
                return Ok(if wanted { TRUE } else { FALSE });
            }
            Some(PlainText::Everything) => vec![PatternKey::Everything],
            Some(PlainText::Exact(texts)) if subject != Subject::Text(Header::Uuid) => {
                return Ok(self.one_of(subject, &texts, wanted));
            }
            Some(PlainText::Starts(texts)) if apart(&texts) => {
                texts.into_iter().map(PatternKey::Starts).collect()
            }
            Some(PlainText::Ends(texts)) if apart(&texts) => {
                texts.into_iter().map(PatternKey::Ends).collect()
            }
            Some(PlainText::Contains(texts)) => vec![PatternKey::Contains(texts)],
            _ => {
                pattern.measure()?;
                vec![PatternKey::Regex(pattern.source().to_owned())]
            }
        };
        let parts: Vec<_> = keys
            .into_iter()
            .map(|key| {
                let number = self.interner.pattern(key, pattern);
                self.matches_one(subject, number, wanted)
            })
            .collect();
        Ok(self.formulas.join(joint_of(wanted), &parts))
    }

    fn matches_one(&mut self, subject: Subject, pattern: u32, wanted: bool) -> FormulaId {
        let memory = self.interner.memory(subject, pattern);
        match subject {
            Subject::Text(header) => {
                self.literal(Check::HeaderMatches(header, pattern, memory), wanted)
            }
            Subject::Field(place) => {
                self.literal(Check::FieldMatches(place, pattern, wanted, memory), true)
            }
            // Only texts are matched.
            Subject::Signer | Subject::Number(_) => FALSE,
        }
    }

    /// The subject's whole text is one of these, or is not.
    fn one_of(&mut self, subject: Subject, texts: &[Vec<u8>], wanted: bool) -> FormulaId {
        let parts: Vec<_> = texts
            .iter()
            .map(|text| {
                let text = self.interner.text(text);
                match subject {
                    Subject::Field(place) => {
                        let relation = if wanted {
                            Relation::Equal
                        } else {
                            Relation::NotEqual
                        };
                        self.literal(Check::FieldText(place, relation, text), true)
                    }
                    Subject::Text(header) => self.literal(Check::HeaderIs(header, text), wanted),
                    Subject::Signer | Subject::Number(_) => FALSE,
                }
            })
            .collect();
        self.formulas.join(joint_of(wanted), &parts)
    }
}

fn slow(expression: &Expression) -> impl Iterator<Item = Finding> + '_ {
    let tests = expression.tests().iter().enumerate();
    tests.filter_map(|(number, test)| match &test.literal {
        Literal::Regex(pattern) if pattern.positions() >= POSITIONS_REMARKED => {
            Some(Finding::Slow {
                test: number as u32,
            })
        }
        _ => None,
    })
}

/// How several ways to match are joined: one is enough, and not to match is to match none.
fn joint_of(wanted: bool) -> Joint {
    if wanted { Joint::Any } else { Joint::All }
}

/// The bytes whose text form is exactly `text`.
fn uuid_bytes(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    let mut digits = 0;
    for c in text.bytes() {
        let value = match c {
            b'0'..=b'9' => c - b'0',
            b'a'..=b'f' => c - b'a' + 10,
            _ => continue,
        };
        *bytes.get_mut(digits / 2)? |= if digits % 2 == 0 { value << 4 } else { value };
        digits += 1;
    }
    (uuid_text(&bytes, &mut [0; 36]) == text.as_bytes()).then_some(bytes)
}

/// Writes the text form of a uuid; empty where the bytes are no uuid.
pub(crate) fn uuid_text<'b>(bytes: &[u8], out: &'b mut [u8; 36]) -> &'b [u8] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    if bytes.len() != 16 {
        return &[];
    }
    let mut at = 0;
    for (position, byte) in bytes.iter().enumerate() {
        if matches!(position, 4 | 6 | 8 | 10) {
            out[at] = b'-';
            at += 1;
        }
        out[at] = DIGITS[(byte >> 4) as usize];
        out[at + 1] = DIGITS[(byte & 15) as usize];
        at += 2;
    }
    out
}
