//! How work that a pattern costs before it matches asks whether it may go on.
//!
//! Owns:    `Pace`.
//! Runs on: the shard of the plugin, while patterns are made and compiled.            Plane: control.
//! Bounds:  a question every `NODES` nodes.
//! Never:   decides; whoever is asked raises an error of Lua's to stop it.

/// Nodes looked at between two questions: some ten microseconds each hundred.
const NODES: usize = 20_000;

/// Counts nodes that were looked at.
pub(super) struct Pace<'a> {
    left: usize,
    ask: &'a mut dyn FnMut(),
}

impl<'a> Pace<'a> {
    pub(super) fn new(ask: &'a mut dyn FnMut()) -> Pace<'a> {
        Pace { left: NODES, ask }
    }

    /// So many nodes are looked at.
    #[inline]
    pub(super) fn pass(&mut self, nodes: usize) {
        match self.left.checked_sub(nodes) {
            Some(left) => self.left = left,
            None => {
                self.left = NODES;
                (self.ask)();
            }
        }
    }
}
