//! Grammars: rules put together, non-terminals tied to their rules, and what no grammar may do.
//!
//! Owns:    the construction of a grammar, its checks.
//! Runs on: the shard of the plugin, while its script makes patterns.            Plane: control.
//! Bounds:  `RULES_MAX` rules; recursion only as deep as a pattern may be.
//! Never:   lets a grammar through that could run for ever without taking a byte.

use super::facts::{self, Fact};
use super::pace::Pace;
use super::tree::{NODES_MAX, Node, Pattern, children};

/// Rules of a grammar.
pub(crate) const RULES_MAX: usize = 1000;

/// A rule to be put in.
pub(crate) struct Rule<'a> {
    pub(crate) pattern: &'a Pattern,
    /// Where the values of its pattern begin among all values.
    pub(crate) shift: u32,
    /// The value that is its name.
    pub(crate) name: u32,
}

/// Why there is no grammar; numbers are those of values that are names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Undefined(u32),
    LeftRecursive(u32),
    EmptyLoop(u32),
    TooManyRules,
    Tree(String),
}

/// What the construction asks of whoever wants the grammar.
pub(crate) trait Names {
    /// The rule of a name.
    fn rule(&mut self, name: u32) -> Option<usize>;

    /// Whether to go on: if not, this does not come back.
    fn pause(&mut self);
}

/// Makes a grammar whose initial rule is the first.
pub(crate) fn build(
    rules: &[Rule<'_>],
    values: u32,
    names: &mut impl Names,
) -> Result<Pattern, Fault> {
    if rules.len() > RULES_MAX {
        return Err(Fault::TooManyRules);
    }
    let len = 1 + rules
        .iter()
        .map(|rule| rule.pattern.nodes.len() + 1)
        .sum::<usize>();
    if len > NODES_MAX {
        let said = format!("pattern too large (more than {NODES_MAX} nodes)");
        return Err(Fault::Tree(said));
    }
    let mut nodes = Vec::with_capacity(len);
    nodes.push(Node::Grammar { len: len as u32 });
    let (mut sets, mut places, mut depth) = (Vec::new(), Vec::new(), 0);
    for rule in rules {
        places.push(nodes.len());
        nodes.push(Node::Rule {
            key: rule.name,
            len: rule.pattern.nodes.len() as u32 + 1,
        });
        let moved = rule.pattern.shifted_nodes(rule.shift, sets.len() as u32);
        nodes.extend(moved);
        sets.extend_from_slice(&rule.pattern.sets);
        depth = depth.max(rule.pattern.depth);
    }
    for (at, node) in nodes.iter_mut().enumerate() {
        if let Node::Open { key } = *node {
            let rule = names.rule(key).ok_or(Fault::Undefined(key))?;
            let away = places[rule] as i64 - at as i64;
            *node = Node::Call { away: away as i32 };
        }
    }
    let mut ask = || names.pause();
    let facts = facts::of_nodes(&nodes, &mut Pace::new(&mut ask));
    check_left_recursion(&nodes, &facts, &places)?;
    check_loops(&nodes, &facts, &places)?;
    Pattern::new(nodes, sets, values, facts[0], depth + 2).map_err(Fault::Tree)
}

fn name_of(nodes: &[Node], place: usize) -> u32 {
    match nodes[place] {
        Node::Rule { key, .. } => key,
        _ => 0,
    }
}

/// A rule must not come to itself again without a byte taken.
fn check_left_recursion(nodes: &[Node], facts: &[Fact], places: &[usize]) -> Result<(), Fault> {
    let left: Vec<Vec<usize>> = places
        .iter()
        .map(|&place| {
            let mut calls = Vec::new();
            left_calls(nodes, facts, place + 1, &mut calls);
            let number = |rule: &usize| places.binary_search(rule).unwrap_or(0);
            calls.iter().map(number).collect()
        })
        .collect();
    // Depth first; a path holds a rule and how many of its calls were followed.
    let (mut done, mut on_path) = (vec![false; places.len()], vec![false; places.len()]);
    for start in 0..places.len() {
        let mut path = vec![(start, 0)];
        while let Some((rule, followed)) = path.last_mut() {
            let rule = *rule;
            on_path[rule] = true;
            match left[rule].get(*followed) {
                Some(&next) if on_path[next] => {
                    return Err(Fault::LeftRecursive(name_of(nodes, places[next])));
                }
                Some(&next) => {
                    *followed += 1;
                    if !done[next] {
                        path.push((next, 0));
                    }
                }
                None => {
                    (done[rule], on_path[rule]) = (true, false);
                    path.pop();
                }
            }
        }
    }
    Ok(())
}

/// Collects the rules that the pattern at `at` calls before it took a byte; answers whether it may end without one.
fn left_calls(nodes: &[Node], facts: &[Fact], at: usize, calls: &mut Vec<usize>) -> bool {
    match nodes[at] {
        Node::True | Node::Behind { .. } => true,
        Node::Seq { .. } => children(nodes, at).all(|child| left_calls(nodes, facts, child, calls)),
        Node::Choice { .. } => children(nodes, at).fold(false, |nullable, child| {
            left_calls(nodes, facts, child, calls) | nullable
        }),
        Node::Star { .. } | Node::AtMost { .. } | Node::And { .. } | Node::Not { .. } => {
            left_calls(nodes, facts, at + 1, calls);
            true
        }
        Node::Capture { .. } | Node::Runtime { .. } => left_calls(nodes, facts, at + 1, calls),
        Node::Call { away } => {
            let rule = at.wrapping_add_signed(away as isize);
            calls.push(rule);
            facts[rule].nullable()
        }
        // It was checked when it was made, and calls nothing outside.
        Node::Grammar { .. } => facts[at].nullable(),
        _ => false,
    }
}

/// A repetition must take a byte each time.
fn check_loops(nodes: &[Node], facts: &[Fact], places: &[usize]) -> Result<(), Fault> {
    for &place in places {
        let (mut at, end) = (place + 1, place + nodes[place].len());
        while at < end {
            match nodes[at] {
                Node::Star { .. } if facts[at + 1].nullable() => {
                    return Err(Fault::EmptyLoop(name_of(nodes, place)));
                }
                Node::Grammar { len } => at += len as usize,
                _ => at += 1,
            }
        }
    }
    Ok(())
}
