//! What is known of a pattern before it is matched.
//!
//! Owns:    `Fact`, and the facts of every node of a tree.
//! Runs on: the shard of the plugin, while patterns are made and compiled.            Plane: control.
//! Bounds:  passes over the nodes, backwards, until nothing changes: at most a few more than there are rules.
//! Never:   recurses.

use super::pace::Pace;
use super::tree::{Kind, Node, children};

const NULLABLE: u8 = 1;
const NEVER_FAILS: u8 = 2;
const CAPTURES: u8 = 4;
const HEAD_FAIL: u8 = 8;

/// How many bytes a match takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    /// Nothing is known yet: a rule that was not looked at.
    Unknown,
    Fixed(u32),
    Varies,
}

/// What is known of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    flags: u8,
    width: Width,
}

impl Fact {
    /// What is known of a rule before it was looked at.
    const NOTHING: Fact = Fact {
        flags: 0,
        width: Width::Unknown,
    };

    /// It may succeed without taking a byte.
    pub(crate) fn nullable(self) -> bool {
        self.flags & NULLABLE != 0
    }

    pub(crate) fn never_fails(self) -> bool {
        self.flags & NEVER_FAILS != 0
    }

    pub(crate) fn captures(self) -> bool {
        self.flags & CAPTURES != 0
    }

    /// If it fails, it fails at the first byte.
    pub(crate) fn head_fail(self) -> bool {
        self.flags & HEAD_FAIL != 0
    }

    /// Bytes of every match.
    pub(crate) fn width(self) -> Option<u32> {
        match self.width {
            Width::Fixed(width) => Some(width),
            _ => None,
        }
    }

    pub(crate) fn of_leaf(node: Node) -> Fact {
        let (flags, width) = match node {
            Node::True => (NULLABLE | NEVER_FAILS, Width::Fixed(0)),
            Node::False => (HEAD_FAIL, Width::Fixed(0)),
            Node::Any | Node::Byte(_) | Node::Set(_) => (HEAD_FAIL, Width::Fixed(1)),
            _ => (0, Width::Varies),
        };
        Fact { flags, width }
    }

    /// A sequence of more than one byte.
    pub(crate) fn of_bytes(count: u32) -> Fact {
        Fact {
            flags: 0,
            width: Width::Fixed(count),
        }
    }

    pub(crate) fn with_captures(self) -> Fact {
        Fact {
            flags: self.flags | CAPTURES,
            ..self
        }
    }

    pub(crate) fn of_seq(first: Fact, second: Fact) -> Fact {
        let mut flags = first.flags & second.flags & (NULLABLE | NEVER_FAILS);
        flags |= (first.flags | second.flags) & CAPTURES;
        if second.never_fails() {
            flags |= first.flags & HEAD_FAIL;
        }
        let width = match (first.width, second.width) {
            (Width::Varies, _) | (_, Width::Varies) => Width::Varies,
            (Width::Fixed(a), Width::Fixed(b)) => {
                a.checked_add(b).map_or(Width::Varies, Width::Fixed)
            }
            _ => Width::Unknown,
        };
        Fact { flags, width }
    }

    pub(crate) fn of_choice(first: Fact, second: Fact) -> Fact {
        let either = (first.flags | second.flags) & (NULLABLE | NEVER_FAILS | CAPTURES);
        let width = match (first.width, second.width) {
            (Width::Unknown, known) | (known, Width::Unknown) => known,
            (Width::Fixed(a), Width::Fixed(b)) if a == b => Width::Fixed(a),
            _ => Width::Varies,
        };
        Fact {
            flags: either | first.flags & second.flags & HEAD_FAIL,
            width,
        }
    }

    pub(crate) fn of_star(body: Fact) -> Fact {
        Fact {
            flags: NULLABLE | NEVER_FAILS | body.flags & CAPTURES,
            width: Width::Varies,
        }
    }

    pub(crate) fn of_at_most(body: Fact) -> Fact {
        Fact {
            width: match body.width {
                Width::Fixed(0) => Width::Fixed(0),
                // What is known of a rule must only grow, or the passes would never end.
                Width::Unknown => Width::Unknown,
                _ => Width::Varies,
            },
            ..Fact::of_star(body)
        }
    }

    pub(crate) fn of_not(body: Fact) -> Fact {
        Fact {
            flags: NULLABLE | body.flags & CAPTURES,
            width: Width::Fixed(0),
        }
    }

    pub(crate) fn of_and(body: Fact) -> Fact {
        Fact {
            flags: NULLABLE | body.flags & (NEVER_FAILS | CAPTURES | HEAD_FAIL),
            width: Width::Fixed(0),
        }
    }

    pub(crate) fn of_behind() -> Fact {
        Fact {
            flags: NULLABLE,
            width: Width::Fixed(0),
        }
    }

    pub(crate) fn of_runtime(body: Fact) -> Fact {
        Fact {
            flags: CAPTURES | body.flags & NULLABLE,
            width: Width::Varies,
        }
    }
}

/// The fact of every node. `Open` is taken for a rule that may fail and takes a byte.
pub(super) fn of_nodes(nodes: &[Node], pace: &mut Pace<'_>) -> Vec<Fact> {
    let mut facts = vec![Fact::NOTHING; nodes.len()];
    loop {
        let mut changed = false;
        for at in (0..nodes.len()).rev() {
            pace.pass(1);
            let fact = of_node(nodes, at, &facts);
            // Only what is called can be asked for before it was looked at.
            changed |= fact != facts[at] && matches!(nodes[at], Node::Rule { .. });
            facts[at] = fact;
        }
        if !changed {
            break;
        }
    }
    // A rule of which nothing became known calls nothing but itself.
    for fact in &mut facts {
        if fact.width == Width::Unknown {
            fact.width = Width::Varies;
        }
    }
    facts
}

fn of_node(nodes: &[Node], at: usize, facts: &[Fact]) -> Fact {
    let child = |place: usize| facts[place];
    match nodes[at] {
        Node::Seq { .. } => join(nodes, at, facts, Fact::of_seq),
        Node::Choice { .. } => join(nodes, at, facts, Fact::of_choice),
        Node::Star { .. } => Fact::of_star(child(at + 1)),
        Node::AtMost { .. } => Fact::of_at_most(child(at + 1)),
        Node::And { .. } => Fact::of_and(child(at + 1)),
        Node::Not { .. } => Fact::of_not(child(at + 1)),
        Node::Behind { .. } => Fact::of_behind(),
        Node::Call { away } => child(at.wrapping_add_signed(away as isize)),
        Node::Grammar { .. } | Node::Rule { .. } => child(at + 1),
        Node::Capture { kind, .. } => {
            debug_assert!(!matches!(kind, Kind::Value | Kind::Close));
            child(at + 1).with_captures()
        }
        Node::Runtime { .. } => Fact::of_runtime(child(at + 1)),
        leaf => Fact::of_leaf(leaf),
    }
}

/// Joins the facts of all children. From the last one on: whether a sequence fails at its head depends on what follows.
fn join(nodes: &[Node], at: usize, facts: &[Fact], pair: fn(Fact, Fact) -> Fact) -> Fact {
    children(nodes, at)
        .map(|child| facts[child])
        .reduce(pair)
        .unwrap_or(Fact::of_leaf(Node::True))
}
