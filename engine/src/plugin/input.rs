//! Inputs as plugins: what brings bytes in.
//!
//! Owns:    the `Input` trait and its factory.
//! Runs on: the shards that its placement names.            Plane: data.
//! Bounds:  an input holds no bytes of its own; it reads into the intake's batch.
//! Never:   splits, decodes or routes by itself.

use super::{Fault, LocalFuture};
use crate::io::Accepted;
use crate::shard::intake::InputContext;

/// Where an input lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// On one shard, which the plan chooses; it may hand connections to others.
    OneShard,
    /// One instance on every shard (datagram sockets with SO_REUSEPORT).
    EveryShard,
}

/// Brings bytes in.
pub trait Input {
    /// Opens what it reads from (binds, opens files). Called on its shard before any `run` begins.
    fn open(&mut self, context: &InputContext) -> Result<(), Fault>;

    /// Reads until the context says stop. An error ends the input; the supervisor decides what then.
    fn run<'a>(&'a mut self, context: &'a InputContext) -> LocalFuture<'a, Result<(), Fault>>;
}

/// Makes inputs. One per input section.
pub trait InputFactory: Send + Sync {
    /// Where it lives.
    fn placement(&self) -> Placement;

    /// The instance for a shard that it lives on.
    fn make(&self) -> Box<dyn Input>;

    /// Serves a connection that the input's instance accepted, on this shard or on another. Refuses it by default.
    fn serve(&self, connection: Accepted, _context: InputContext) -> LocalFuture<'static, ()> {
        Box::pin(async move { connection.refuse() })
    }

    /// Reads a stream that the input's instance has found and placed, on this shard or on another. Inputs that place none need not say.
    fn serve_stream(&self, _number: u64, _context: InputContext) -> LocalFuture<'static, ()> {
        Box::pin(async {})
    }

    /// What it would read if it started now, found out without changing anything. Inputs whose configuration says that already have none.
    fn survey(&self) -> Option<Survey> {
        None
    }
}

/// What an input would read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// For people, lines.
    pub text: String,
    /// How many problems it tells of.
    pub problems: usize,
}
