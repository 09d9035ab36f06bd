//! The matchers in force, and their exchange while messages flow.
//!
//! Owns:    `Matchers` (the set, and its numbers for the signers of each input), `Exchange` (new ones for one shard, made ready elsewhere).
//! Runs on: made by the control plane, read by every shard.            Plane: data.
//! Bounds:  an exchange moves what the shard has compiled, a few instructions for each pattern, and frees nothing on the shard.
//! Never:   compiles an expression on a shard.

use std::sync::Arc;

use matcher::{Capturing, Origins, Row, Scratch, Set, SignerId};

use super::topology::InputUnit;
use crate::pack::InputId;

/// All matchers of the consumers, compiled together.
#[derive(Debug)]
pub struct Matchers {
    set: Set,
    /// For each input the set's number of each signer of its splitter.
    signers: Vec<Vec<Option<SignerId>>>,
}

impl Matchers {
    /// The matchers of a set for these inputs.
    pub fn new(set: Set, inputs: &[InputUnit]) -> Matchers {
        let signers = inputs
            .iter()
            .map(|input| {
                let names = input.splitter.signers().iter();
                names.map(|name| set.signer_id(name)).collect()
            })
            .collect();
        Matchers { set, signers }
    }

    /// The set.
    #[inline]
    pub fn set(&self) -> &Set {
        &self.set
    }

    /// The set's number for each signer that an input's splitter knows.
    #[inline]
    pub(crate) fn signers(&self, input: InputId) -> &[Option<SignerId>] {
        &self.signers[input.0 as usize]
    }
}

/// New matchers on their way to a shard, with everything that the shard needs to use them at once.
#[derive(Debug)]
pub struct Exchange {
    pub(crate) matchers: Arc<Matchers>,
    pub(crate) scratch: Scratch,
    pub(crate) row: Row,
    origins: Origins,
    done: flume::Sender<Retired>,
}

/// What an exchange has replaced, and what only the exchange needed; whoever gets it frees it.
#[derive(Debug)]
pub struct Retired {
    _matchers: Arc<Matchers>,
    _scratch: Scratch,
    _row: Row,
    _origins: Origins,
    _capturing: Capturing,
}

impl Exchange {
    /// Makes `next` ready to take the place of `current` on one shard, which answers on `done` when it has. `done` must have room for
    /// the answers of all shards.
    ///
    /// Panics if the two are not for the same consumers and inputs: an error of the caller.
    pub fn prepare(
        current: &Matchers,
        next: &Arc<Matchers>,
        done: flume::Sender<Retired>,
    ) -> Exchange {
        assert!(
            current.set.consumers() == next.set.consumers()
                && current.signers.len() == next.signers.len(),
            "matchers for other consumers or inputs"
        );
        Exchange {
            scratch: next.set.scratch(),
            row: next.set.row(),
            origins: next.set.origins(&current.set),
            matchers: Arc::clone(next),
            done,
        }
    }

    /// Puts what it brings in the place of what was in force, and gives that away.
    pub(crate) fn apply(
        mut self,
        matchers: &mut Arc<Matchers>,
        scratch: &mut Scratch,
        row: &mut Row,
        capturing: &mut Capturing,
    ) {
        self.matchers
            .set
            .take_over(&mut self.scratch, scratch, &self.origins);
        let retired = Retired {
            _matchers: std::mem::replace(matchers, self.matchers),
            _scratch: std::mem::replace(scratch, self.scratch),
            _row: std::mem::replace(row, self.row),
            _origins: self.origins,
            _capturing: std::mem::take(capturing),
        };
        // Where nobody waits any more it is freed here.
        let _ = self.done.try_send(retired);
    }
}
