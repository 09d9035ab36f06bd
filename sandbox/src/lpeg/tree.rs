//! Patterns as trees, and how trees are put together.
//!
//! Owns:    `Node`, `Pattern`, the construction of every kind of pattern but grammars.
//! Runs on: the shard of the plugin, while its script makes patterns.            Plane: control.
//! Bounds:  `NODES_MAX` nodes, `DEPTH_MAX` levels: whoever walks a tree by recursion is safe.
//! Never:   sees a Lua value: values are numbers of a list that the pattern's owner keeps.
//!
//! A tree is flat: a node is followed by its children, and an inner node knows how many nodes its tree has. Sequences and
//! choices have any number of children, so that a long one is not a deep one. Trees are copied when they are joined.

use std::cell::OnceCell;

use super::code::Code;
use super::facts::Fact;
use super::set::Set;

/// Nodes of a pattern.
pub(crate) const NODES_MAX: usize = 1 << 20;

/// Levels of a pattern.
pub(crate) const DEPTH_MAX: u32 = 300;

/// How far `lpeg.B` may look back.
pub(crate) const BEHIND_MAX: u32 = 255;

/// What a capture makes of what it matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `Cp`.
    Position,
    /// `Cc`; key: the value.
    Constant,
    /// `Carg`; key: which.
    Argument,
    /// `Cb`; key: the name.
    Back,
    /// `C`.
    Simple,
    /// `Ct`; key: which table capture of the pattern, once compiled.
    Table,
    /// `/ function`; key: the function.
    Function,
    /// `% function`; key: the function.
    Accumulator,
    /// `/ table`; key: the table.
    Query,
    /// `/ string`; key: the string.
    Text,
    /// `/ number`; key: the number.
    Number,
    /// `Cs`.
    Substitution,
    /// `Cf`; key: the function.
    Fold,
    /// `Cg`; key: the name, 0 for none.
    Group,
    /// A value that a match-time capture made; key: where it is on the Lua stack. Never in a tree.
    Value,
    /// The end of a capture. Never in a tree.
    Close,
}

impl Kind {
    /// Whether the key is the number of a value.
    pub(crate) fn holds_value(self) -> bool {
        !matches!(self, Kind::Argument | Kind::Number | Kind::Table)
    }
}

/// One node; `len` is the number of nodes of its tree, itself included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    True,
    False,
    Any,
    Byte(u8),
    /// One of the pattern's sets.
    Set(u32),
    Seq {
        len: u32,
    },
    Choice {
        len: u32,
    },
    /// As often as possible.
    Star {
        len: u32,
    },
    /// So often at most.
    AtMost {
        times: u32,
        len: u32,
    },
    And {
        len: u32,
    },
    Not {
        len: u32,
    },
    Behind {
        width: u8,
        len: u32,
    },
    /// A non-terminal of a grammar that is not there yet; key: its name.
    Open {
        key: u32,
    },
    /// A non-terminal: its rule is so many nodes away.
    Call {
        away: i32,
    },
    /// Its children are rules, the first one the initial rule.
    Grammar {
        len: u32,
    },
    /// Key: its name.
    Rule {
        key: u32,
        len: u32,
    },
    Capture {
        kind: Kind,
        key: u32,
        len: u32,
    },
    /// `Cmt`; key: the function.
    Runtime {
        key: u32,
        len: u32,
    },
}

impl Node {
    /// Nodes of its tree.
    #[inline]
    pub(crate) fn len(self) -> usize {
        match self {
            Node::Seq { len }
            | Node::Choice { len }
            | Node::Star { len }
            | Node::AtMost { len, .. }
            | Node::And { len }
            | Node::Not { len }
            | Node::Behind { len, .. }
            | Node::Grammar { len }
            | Node::Rule { len, .. }
            | Node::Capture { len, .. }
            | Node::Runtime { len, .. } => len as usize,
            _ => 1,
        }
    }

    /// The same node in a tree whose values and sets begin later.
    fn moved(self, values: u32, sets: u32) -> Node {
        match self {
            Node::Set(set) => Node::Set(set + sets),
            Node::Open { key } => Node::Open { key: key + values },
            Node::Rule { key, len } => Node::Rule {
                key: key + values,
                len,
            },
            Node::Runtime { key, len } => Node::Runtime {
                key: key + values,
                len,
            },
            Node::Capture { kind, key, len } if key != 0 && kind.holds_value() => Node::Capture {
                kind,
                key: key + values,
                len,
            },
            other => other,
        }
    }
}

/// A pattern.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub(crate) nodes: Vec<Node>,
    pub(crate) sets: Vec<Set>,
    /// Lua values that the pattern's owner keeps for it; keys count from 1.
    pub(crate) values: u32,
    /// Of the whole.
    pub(crate) fact: Fact,
    pub(crate) depth: u32,
    /// Made when it is first matched.
    pub(crate) code: OnceCell<Box<Code>>,
}

/// Where the children of the inner node at `at` are.
pub(crate) fn children(nodes: &[Node], at: usize) -> impl Iterator<Item = usize> + Clone + '_ {
    let end = at + nodes[at].len();
    let mut next = at + 1;
    std::iter::from_fn(move || {
        let child = next;
        (child < end).then(|| {
            next += nodes[child].len();
            child
        })
    })
}

impl Pattern {
    pub(crate) fn new(
        nodes: Vec<Node>,
        sets: Vec<Set>,
        values: u32,
        fact: Fact,
        depth: u32,
    ) -> Result<Pattern, String> {
        if nodes.len() > NODES_MAX {
            return Err(format!("pattern too large (more than {NODES_MAX} nodes)"));
        }
        if depth > DEPTH_MAX {
            return Err(format!(
                "pattern nested too deeply (more than {DEPTH_MAX} levels)"
            ));
        }
        Ok(Pattern {
            nodes,
            sets,
            values,
            fact,
            depth,
            code: OnceCell::new(),
        })
    }

    fn leaf(node: Node, sets: Vec<Set>, values: u32) -> Pattern {
        Pattern {
            fact: Fact::of_leaf(node),
            nodes: vec![node],
            sets,
            values,
            depth: 0,
            code: OnceCell::new(),
        }
    }

    pub(crate) fn constant(succeeds: bool) -> Pattern {
        let node = if succeeds { Node::True } else { Node::False };
        Pattern::leaf(node, Vec::new(), 0)
    }

    /// A non-terminal; its name is value 1.
    pub(crate) fn open() -> Pattern {
        Pattern::leaf(Node::Open { key: 1 }, Vec::new(), 1)
    }

    pub(crate) fn set(set: Set) -> Pattern {
        match set.len() {
            0 => Pattern::constant(false),
            1 => Pattern::leaf(Node::Byte(set.bytes().next().unwrap_or(0)), Vec::new(), 0),
            256 => Pattern::leaf(Node::Any, Vec::new(), 0),
            _ => Pattern::leaf(Node::Set(0), vec![set], 0),
        }
    }

    pub(crate) fn text(text: &[u8]) -> Result<Pattern, String> {
        Pattern::row(text.iter().map(|&byte| Node::Byte(byte)), text.len())
    }

    /// So many bytes.
    pub(crate) fn any(count: usize) -> Result<Pattern, String> {
        Pattern::row(std::iter::repeat_n(Node::Any, count.min(NODES_MAX)), count)
    }

    /// A sequence of leaves of one byte each.
    fn row(leaves: impl Iterator<Item = Node>, count: usize) -> Result<Pattern, String> {
        let mut nodes = vec![Node::Seq {
            len: count.min(NODES_MAX) as u32 + 1,
        }];
        nodes.extend(leaves);
        match nodes[..] {
            [_] => Ok(Pattern::constant(true)),
            [_, leaf] => Ok(Pattern::leaf(leaf, Vec::new(), 0)),
            _ => {
                let fact = Fact::of_bytes(count as u32);
                Pattern::new(nodes, Vec::new(), 0, fact, 1)
            }
        }
    }

    /// The set that this pattern is, where it matches one byte of a set and does nothing else.
    pub(crate) fn as_set(&self) -> Option<Set> {
        match self.nodes[..] {
            [node] => set_of(node, &self.sets),
            _ => None,
        }
    }

    /// The nodes below a header of its own kind, or all of them.
    fn parts(&self, header: fn(Node) -> bool) -> (&[Node], u32) {
        if header(self.nodes[0]) {
            (&self.nodes[1..], self.depth - 1)
        } else {
            (&self.nodes, self.depth)
        }
    }

    /// Puts two patterns below one header. `shift` is where the values of the second begin behind those of the first.
    fn join(
        &self,
        other: &Pattern,
        shift: u32,
        values: u32,
        is_header: fn(Node) -> bool,
        header: fn(u32) -> Node,
        fact: Fact,
    ) -> Result<Pattern, String> {
        let (mine, my_depth) = self.parts(is_header);
        let (others, other_depth) = other.parts(is_header);
        let len = 1 + mine.len() + others.len();
        if len > NODES_MAX {
            return Err(format!("pattern too large (more than {NODES_MAX} nodes)"));
        }
        let mut nodes = Vec::with_capacity(len);
        nodes.push(header(len as u32));
        nodes.extend_from_slice(mine);
        let sets_before = self.sets.len() as u32;
        nodes.extend(others.iter().map(|node| node.moved(shift, sets_before)));
        let sets = [&self.sets[..], &other.sets[..]].concat();
        let depth = 1 + my_depth.max(other_depth);
        Pattern::new(nodes, sets, values, fact, depth)
    }

    /// The nodes as they are where values and sets begin later.
    pub(crate) fn shifted_nodes(&self, shift: u32, sets: u32) -> impl Iterator<Item = Node> + '_ {
        self.nodes.iter().map(move |node| node.moved(shift, sets))
    }

    /// A copy whose values begin later.
    pub(crate) fn shifted(&self, shift: u32, values: u32) -> Pattern {
        Pattern {
            nodes: self.shifted_nodes(shift, 0).collect(),
            sets: self.sets.clone(),
            values,
            fact: self.fact,
            depth: self.depth,
            code: OnceCell::new(),
        }
    }

    /// This, then the other.
    pub(crate) fn then(&self, other: &Pattern, shift: u32, values: u32) -> Result<Pattern, String> {
        match (self.nodes[0], other.nodes[0]) {
            (Node::False, _) | (_, Node::True) => Ok(self.shifted(0, values)),
            (Node::True, _) => Ok(other.shifted(shift, values)),
            _ => {
                let fact = Fact::of_seq(self.fact, other.fact);
                let is_header = |node| matches!(node, Node::Seq { .. });
                self.join(
                    other,
                    shift,
                    values,
                    is_header,
                    |len| Node::Seq { len },
                    fact,
                )
            }
        }
    }

    /// This or, where it fails, the other.
    pub(crate) fn or(&self, other: &Pattern, shift: u32, values: u32) -> Result<Pattern, String> {
        if let (Some(mine), Some(others)) = (self.as_set(), other.as_set()) {
            return Ok(Pattern::set(mine.or(&others)));
        }
        if self.fact.never_fails() || other.nodes[0] == Node::False {
            return Ok(self.shifted(0, values));
        }
        if self.nodes[0] == Node::False {
            return Ok(other.shifted(shift, values));
        }
        let fact = Fact::of_choice(self.fact, other.fact);
        let is_header = |node| matches!(node, Node::Choice { .. });
        self.join(
            other,
            shift,
            values,
            is_header,
            |len| Node::Choice { len },
            fact,
        )
    }

    /// This where the other does not match.
    pub(crate) fn minus(
        &self,
        other: &Pattern,
        shift: u32,
        values: u32,
    ) -> Result<Pattern, String> {
        if let (Some(mine), Some(others)) = (self.as_set(), other.as_set()) {
            return Ok(Pattern::set(mine.minus(&others)));
        }
        // The values keep their order: this one's first.
        let not = other.negated()?.shifted(shift, values);
        not.then(self, 0, values)
    }

    fn wrapped(&self, header: fn(u32) -> Node, fact: Fact) -> Result<Pattern, String> {
        self.below(header(self.nodes.len() as u32 + 1), fact, self.values)
    }

    /// This below a header that counts one node more than this has.
    pub(crate) fn below(&self, header: Node, fact: Fact, values: u32) -> Result<Pattern, String> {
        let mut nodes = Vec::with_capacity(self.nodes.len() + 1);
        nodes.push(header);
        nodes.extend_from_slice(&self.nodes);
        Pattern::new(nodes, self.sets.clone(), values, fact, self.depth + 1)
    }

    /// Where this does not match. Twice, it is where this matches.
    pub(crate) fn negated(&self) -> Result<Pattern, String> {
        if let Node::Not { len } = self.nodes[0] {
            let mut ahead = self.shifted(0, self.values);
            ahead.nodes[0] = Node::And { len };
            return Ok(ahead);
        }
        self.wrapped(|len| Node::Not { len }, Fact::of_not(self.fact))
    }

    pub(crate) fn ahead(&self) -> Result<Pattern, String> {
        self.wrapped(|len| Node::And { len }, Fact::of_and(self.fact))
    }

    /// Error: what `lpeg.B` says of its argument.
    pub(crate) fn behind(&self) -> Result<Pattern, String> {
        // A rule asked behind could ask itself again at the same place, for ever.
        let is_open = |node: &Node| matches!(node, Node::Open { .. });
        let width = match self.fact.width() {
            Some(width) if !self.nodes.iter().any(is_open) => width,
            _ => return Err("pattern may not have fixed length".into()),
        };
        if self.fact.captures() {
            return Err("pattern have captures".into());
        }
        if width > BEHIND_MAX {
            return Err("pattern too long to look behind".into());
        }
        let header = Node::Behind {
            width: width as u8,
            len: self.nodes.len() as u32 + 1,
        };
        self.below(header, Fact::of_behind(), self.values)
    }

    /// At least `least` times.
    pub(crate) fn at_least(&self, least: usize) -> Result<Pattern, String> {
        if self.fact.nullable() {
            return Err("loop body may accept empty string".into());
        }
        let star = self.wrapped(|len| Node::Star { len }, Fact::of_star(self.fact))?;
        if least == 0 {
            return Ok(star);
        }
        let (body, depth) = self.parts(|node| matches!(node, Node::Seq { .. }));
        let len = body.len().saturating_mul(least) + star.nodes.len() + 1;
        if len > NODES_MAX {
            return Err(format!("pattern too large (more than {NODES_MAX} nodes)"));
        }
        let mut nodes = Vec::with_capacity(len);
        nodes.push(Node::Seq { len: len as u32 });
        (0..least).for_each(|_| nodes.extend_from_slice(body));
        nodes.extend_from_slice(&star.nodes);
        let fact = Fact::of_seq(self.fact, star.fact);
        let depth = 1 + depth.max(star.depth);
        Pattern::new(nodes, self.sets.clone(), self.values, fact, depth)
    }

    /// At most `times` times, which is not 0.
    pub(crate) fn at_most(&self, times: u32) -> Result<Pattern, String> {
        let header = Node::AtMost {
            times,
            len: self.nodes.len() as u32 + 1,
        };
        self.below(header, Fact::of_at_most(self.fact), self.values)
    }

    /// A capture of this. Its key is `key`; a value's is behind those of the pattern, which `values` counts.
    pub(crate) fn captured(&self, kind: Kind, key: u32, values: u32) -> Result<Pattern, String> {
        let header = Node::Capture {
            kind,
            key,
            len: self.nodes.len() as u32 + 1,
        };
        self.below(header, self.fact.with_captures(), values)
    }

    /// A capture of this at match time; the function is the last of `values`.
    pub(crate) fn at_match_time(&self, values: u32) -> Result<Pattern, String> {
        let header = Node::Runtime {
            key: values,
            len: self.nodes.len() as u32 + 1,
        };
        self.below(header, Fact::of_runtime(self.fact), values)
    }

    /// Several constants, values 1 to `count`.
    pub(crate) fn constants(count: u32) -> Result<Pattern, String> {
        let mut nodes = vec![
            Node::Capture {
                kind: Kind::Group,
                key: 0,
                len: 2 * count + 2,
            },
            Node::Seq { len: 2 * count + 1 },
        ];
        for key in 1..=count {
            nodes.push(Node::Capture {
                kind: Kind::Constant,
                key,
                len: 2,
            });
            nodes.push(Node::True);
        }
        let fact = Fact::of_leaf(Node::True).with_captures();
        Pattern::new(nodes, Vec::new(), count, fact, 3)
    }

    /// Bytes that the pattern takes, for the account of the script.
    pub(crate) fn weight(&self) -> usize {
        self.nodes.len() * size_of::<Node>() + self.sets.len() * size_of::<Set>()
    }
}

/// The set that a node matches one byte of.
pub(crate) fn set_of(node: Node, sets: &[Set]) -> Option<Set> {
    match node {
        Node::Byte(byte) => Some(Set::of(byte)),
        Node::Any => Some(Set::FULL),
        Node::False => Some(Set::EMPTY),
        Node::Set(set) => Some(sets[set as usize]),
        _ => None,
    }
}
