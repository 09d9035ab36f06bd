//! Shards, io seam, routing, delivery, configuration and reports.
//!
//! Owns:    everything between a plugin table and the kernel.
//! Runs on: every shard (data plane) and the main thread (control plane).            Plane: both, by folder.
//! Bounds:  see `limits`.
//! Never:   names a plugin.
//!
//! Modules, each using only those before it: `limits, event, words` <- `io` <- `pack` <- `plugin` <- `queue` <- `shard` <- `control`.

pub mod control;
pub mod event;
pub mod io;
pub mod limits;
pub mod pack;
pub mod plugin;
pub mod queue;
pub mod shard;
pub mod words;
