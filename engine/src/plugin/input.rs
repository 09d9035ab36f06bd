//! Inputs as plugins: what brings bytes in.
//!
//! Owns:    the `Input` trait and its factory.
//! Runs on: the shards that its placement names.            Plane: data.
//! Bounds:  an input holds no bytes of its own; it reads into the intake's batch.
//! Never:   splits, decodes or routes by itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::options::Retries;
use super::{Decoder, Fault, Figure, Listening, LocalFuture, SplitterFactory};
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

    /// Is given what reads further inputs from files, at the end of the plan. Answers whether it will use that.
    fn use_loader(&mut self, _loader: &Arc<dyn InputLoader>) -> bool {
        false
    }

    /// Reads a stream that the input's instance has found and placed, on this shard or on another. Inputs that place none need not say.
    fn serve_stream(&self, _number: u64, _context: InputContext) -> LocalFuture<'static, ()> {
        Box::pin(async {})
    }

    /// Files that it writes and nobody else may, as far as its configuration says which.
    fn writes(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Where it listens, as its configuration says.
    fn listens(&self) -> Option<Listening> {
        None
    }

    /// What it would read if it started now, found out without changing anything. Inputs whose configuration says that already have none.
    fn survey(&self) -> Option<Survey> {
        None
    }

    /// What its instances have counted, for reports. Called by the control plane.
    fn figures(&self, _tell: &mut dyn FnMut(Figure)) {}
}

/// What an input would read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// For people, lines.
    pub text: String,
    /// How many problems it tells of.
    pub problems: usize,
}

/// Makes decoder instances, sub-decoders included.
pub type MakeDecoder = Box<dyn Fn() -> Box<dyn Decoder> + Send + Sync>;

/// Reads inputs from files of their own while the daemon runs. Its calls may wait for the disk.
pub trait InputLoader: Send + Sync {
    /// The text of a file; an error for people.
    fn read(&self, path: &Path) -> Result<String, String>;

    /// The input that a text describes. An error is for people, with file, line and caret.
    fn load(&self, wanted: Wanted<'_>) -> Result<LoadedInput, String>;
}

/// What is to be loaded.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Type of the input, and the name of its section in the text. Other sections are not looked at.
    pub type_name: &'a str,
    /// The file, which is also the name of the input.
    pub path: &'a Path,
    /// What stands there.
    pub text: &'a str,
    /// Its `ticker_interval`, whatever the text says.
    pub ticker_interval: u32,
}

/// An input that another one runs.
pub struct LoadedInput {
    /// Its name.
    pub name: String,
    /// Makes its instances.
    pub factory: Box<dyn InputFactory>,
    /// Makes its splitters.
    pub splitter: Arc<dyn SplitterFactory>,
    /// Makes its decoders.
    pub decoder: Option<MakeDecoder>,
    /// Section of its splitter.
    pub splitter_name: String,
    /// Section of its decoder; empty for none.
    pub decoder_name: String,
    /// Deliver what the decoder refused, marked.
    pub send_decode_failures: bool,
    /// It may end without ending the one that runs it; unless written otherwise it may.
    pub can_exit: bool,
    /// How it is started again after a failure.
    pub retries: Retries,
    /// What works, but hardly as its writer thinks; empty, or a text for people.
    pub warnings: String,
}

impl std::fmt::Debug for LoadedInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedInput")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
