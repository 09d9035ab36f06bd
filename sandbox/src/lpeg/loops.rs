//! Repetitions as code.
//!
//! Owns:    `star` and `at_most`.
//! Runs on: the shard of the plugin, when a pattern is first matched.            Plane: control.
//! Bounds:  as `compile`.
//! Never:   changes what a repetition takes.
//!
//! A repetition of alternatives, the first of which is one byte of a set, takes all bytes of the set at once before it
//! looks at the others. `(1 - p)^0` is such a one: bytes that `p` cannot begin with need no look at `p`.

use super::code::Inst;
use super::compile::{Compiler, Fault};
use super::first::Empty;
use super::set::Set;
use super::tree::{Node, children, set_of};

/// A target that is not known yet.
const PENDING: u32 = u32::MAX;

/// The body of a repetition, taken apart.
struct Body {
    /// Bytes that can be taken at once.
    span: Set,
    /// What is looked at where none of them follows.
    rest: Vec<usize>,
}

/// The body as often as possible.
pub(super) fn star(to: &mut Compiler<'_>, body: usize, follow: &Set) -> Result<(), Fault> {
    let Body { span, rest } = take_apart(to, body);
    let has_span = !span.is_empty();
    if rest.is_empty() {
        return take_all(to, &span);
    }
    let first = to.firsts.of_choice(rest.iter().copied(), follow);
    // Bytes of the span are not there when the rest is looked at.
    let seen = first.set.minus(&span);
    let again = first.set.or(&span).or(follow);
    let tested = first.empty == Empty::Fails;
    let alone =
        tested && (rest.iter().all(|&part| to.facts[part].head_fail()) || seen.disjoint(follow));
    if alone {
        let start = to.here();
        if has_span {
            take_all(to, &span)?;
        }
        let miss = to.test(&seen)?;
        to.choice(&rest, &again, Some(&seen))?;
        to.put(Inst::Repeat(start))?;
        to.land(miss);
        return Ok(());
    }
    if has_span {
        take_all(to, &span)?;
    }
    let mut misses = Vec::new();
    if tested {
        misses.push(to.test(&seen)?);
    }
    misses.push(to.put(Inst::Choice(PENDING))?);
    let start = to.here();
    to.choice(&rest, &Set::FULL, None)?;
    if has_span {
        take_all(to, &span)?;
    }
    to.put(Inst::PartialCommit(start))?;
    to.land_all(&misses);
    Ok(())
}

/// Takes bytes of a set as long as there are any.
pub(super) fn take_all(to: &mut Compiler<'_>, set: &Set) -> Result<(), Fault> {
    let stops: Vec<u8> = set.not().bytes().take(4).collect();
    let inst = match stops[..] {
        [] => Inst::Rest,
        [a] => Inst::Until1(a),
        [a, b] => Inst::Until2([a, b]),
        [a, b, c] => Inst::Until3([a, b, c]),
        _ => Inst::Span(to.code.class(set)),
    };
    to.put(inst).map(drop)
}

fn take_apart(to: &mut Compiler<'_>, body: usize) -> Body {
    let nodes = &to.pattern.nodes;
    let of = |at: usize| set_of(nodes[at], &to.pattern.sets);
    if let Some(span) = of(body) {
        let rest = Vec::new();
        return Body { span, rest };
    }
    let parts: Vec<usize> = match nodes[body] {
        Node::Choice { .. } => children(nodes, body).collect(),
        _ => vec![body],
    };
    if let Some(span) = span_of(to, &parts) {
        // The set itself, where it stands first, has no bytes left to take.
        let from = usize::from(of(parts[0]).is_some());
        let rest = parts[from..].to_vec();
        return Body { span, rest };
    }
    // Not something, then a byte: what the thing cannot begin with is taken at once.
    let inner: Vec<usize> = match nodes[parts[0]] {
        Node::Seq { .. } => children(nodes, parts[0]).take(3).collect(),
        _ => Vec::new(),
    };
    if let [not, byte] = inner[..]
        && let (Node::Not { .. }, Some(taken)) = (nodes[not], of(byte))
    {
        let first = to.firsts.of(not + 1, &Set::FULL);
        if first.empty == Empty::Fails {
            return Body {
                span: taken.minus(&first.set),
                rest: parts,
            };
        }
    }
    Body {
        span: Set::EMPTY,
        rest: parts,
    }
}

/// The bytes of which it is known that one of these alternatives takes them, one at a time: those of the first that is a
/// set, where none before can begin with them.
fn span_of(to: &mut Compiler<'_>, parts: &[usize]) -> Option<Set> {
    let mut before = Set::EMPTY;
    for &part in parts {
        if let Some(set) = set_of(to.pattern.nodes[part], &to.pattern.sets) {
            return Some(set.minus(&before));
        }
        let first = to.firsts.of(part, &Set::FULL);
        if first.empty != Empty::Fails {
            return None;
        }
        before = before.or(&first.set);
    }
    None
}

/// The bytes that a rule takes by calling itself behind them, where it comes to nothing else: `rule <- ... / . rule`.
pub(super) fn span_of_rule(to: &mut Compiler<'_>, rule: usize) -> Option<Set> {
    let nodes = &to.pattern.nodes;
    let Node::Choice { .. } = nodes[rule + 1] else {
        return None;
    };
    let parts: Vec<usize> = children(nodes, rule + 1).collect();
    let (&last, before) = parts.split_last()?;
    let Node::Seq { len: 3 } = nodes[last] else {
        return None;
    };
    let taken = set_of(nodes[last + 1], &to.pattern.sets)?;
    match nodes[last + 2] {
        Node::Call { away } if (last + 2).wrapping_add_signed(away as isize) == rule => {}
        _ => return None,
    }
    let mut others = Set::EMPTY;
    for &part in before {
        let first = to.firsts.of(part, &Set::FULL);
        if first.empty != Empty::Fails {
            return None;
        }
        others = others.or(&first.set);
    }
    Some(taken.minus(&others))
}

/// The body, so many times at most.
pub(super) fn at_most(
    to: &mut Compiler<'_>,
    body: usize,
    times: u32,
    follow: &Set,
) -> Result<(), Fault> {
    let first = to.firsts.of(body, &Set::FULL);
    let again = first.set.or(follow);
    let tested = first.empty == Empty::Fails;
    let mut misses = Vec::new();
    if tested && (to.facts[body].head_fail() || first.set.disjoint(follow)) {
        for _ in 0..times {
            misses.push(to.test(&first.set)?);
            to.node(body, &again, Some(&first.set))?;
        }
        to.land_all(&misses);
        return Ok(());
    }
    if to.facts[body].never_fails() {
        // It has no need of a way out.
        return (0..times).try_for_each(|_| to.node(body, &again, None));
    }
    if tested {
        misses.push(to.test(&first.set)?);
    }
    misses.push(to.put(Inst::Choice(PENDING))?);
    for left in (0..times).rev() {
        to.node(body, &Set::FULL, None)?;
        if left > 0 {
            let next = to.here() + 1;
            to.put(Inst::PartialCommit(next))?;
        }
    }
    let end = to.put(Inst::Commit(PENDING))?;
    misses.push(end);
    to.land_all(&misses);
    Ok(())
}
