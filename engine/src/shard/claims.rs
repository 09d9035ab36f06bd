//! What an input has for itself while it works on it, whichever shard it is on.
//!
//! Owns:    `Claims`, the names of such things; `Claim`, the right to one.
//! Runs on: every shard, once a stream; the lock is held for a look at a map.            Plane: data.
//! Bounds:  one entry a claim.
//! Never:   gives one thing to two.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::intake::InputContext;
use super::topology::Topology;

/// What is claimed, and the inputs that have it.
#[derive(Debug, Default)]
pub struct Claims(Mutex<BTreeMap<PathBuf, String>>);

impl Claims {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<PathBuf, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something that nobody else may work on until this is dropped.
#[derive(Debug)]
pub struct Claim {
    topology: Arc<Topology>,
    path: PathBuf,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.topology.claims.lock().remove(&self.path);
    }
}

impl InputContext {
    /// Claims a file that only one may write. Answers who has it, if somebody has.
    pub fn claim(&self, path: &Path) -> Result<Claim, String> {
        let topology = &self.shard.topology;
        let mut claims = topology.claims.lock();
        if let Some(owner) = claims.get(path) {
            return Err(owner.clone());
        }
        claims.insert(path.to_owned(), self.name().to_owned());
        Ok(Claim {
            topology: Arc::clone(topology),
            path: path.to_owned(),
        })
    }
}
