//! What a plugin is: the traits that plugins implement, and their specification for the table.
//!
//! Owns:    the vocabulary between `plugins` and the engine.
//! Runs on: factories at build time; what they make, on shards.            Plane: both, as each item says.
//! Bounds:  a plugin sees batches, never the pool, the mesh or another shard.
//! Never:   names a plugin.
//!
//! Two steps, always: a *factory* is made once per plan from checked options; it is immutable, `Send + Sync`, and touches nothing.
//! On each shard where the plugin lives, the factory makes the *instance*, which is single-threaded and owns its state.

mod backoff;
pub mod codec;
pub mod consumer;
pub mod input;
mod listening;
pub mod loading;
pub mod options;
pub mod section;
pub mod spec;

pub use backoff::Backoff;
pub use codec::{
    CodecEnd, DecodeError, DecodeFailure, DecodeInput, Decoded, Decoder, DecoderFactory,
    EncodeContext, EncodeFailure, Encoded, Encoder, EncoderFactory, Remark, SplitterFactory,
    encode_protobuf,
};
pub use consumer::{
    Filter, FilterContext, FilterFactory, Output, OutputFactory, Refusal, Selection,
};
pub use input::{
    Input, InputFactory, InputLoader, LoadedInput, MakeDecoder, Placement, Survey, Wanted,
};
pub use listening::{Listening, Protocol};
pub use loading::{
    FilterLoader, FilterReader, Forced, InPlace, LoadJob, LoadedFilter, ReadFilter, Said,
    WantedFilter,
};
pub use section::{Complaint, Report, Section};
pub use spec::{
    Build, DecoderPlugin, EncoderPlugin, EncoderUse, FilterPlugin, InputPlugin, Kind, Options,
    OutputPlugin, PluginSpec, SplitterPlugin,
};

/// A future that lives on one shard.
pub type LocalFuture<'a, T> = std::pin::Pin<Box<dyn std::future::Future<Output = T> + 'a>>;

/// Something that a plugin has counted, for reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Its name in reports, as Heka's.
    pub name: &'static str,
    /// The value.
    pub value: u64,
    /// What it is measured in: `count`, `B`, `ns`.
    pub unit: &'static str,
}

/// Why a running plugin failed. Who recovers: its shard, which makes another instance by the plugin's `retries`; when these are used up, or
/// nothing is to be hoped from another instance, the supervisor, by `can_exit`.
#[derive(Debug)]
pub struct Fault {
    /// What happened, with the peer or path, and what an operator can do.
    pub message: String,
    /// Another instance would fail likewise: only another configuration helps.
    pub for_good: bool,
}

impl Fault {
    /// A fault with this text, after which another instance may do better.
    pub fn new(message: impl Into<String>) -> Self {
        Fault {
            message: message.into(),
            for_good: false,
        }
    }

    /// A fault with this text that every other instance would have too.
    pub fn for_good(message: impl Into<String>) -> Self {
        Fault {
            message: message.into(),
            for_good: true,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Fault::new(error.to_string())
    }
}
