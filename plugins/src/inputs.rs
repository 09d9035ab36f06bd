//! The inputs, one file each.
//!
//! Owns:    nothing itself; it names them.
//! Runs on: the shards that an input's placement names.            Plane: data.
//! Bounds:  see each input.
//! Never:   holds received bytes: they go straight into the engine's batches.

pub mod file_polling;
pub mod logstreamer;
pub mod process;
pub mod process_directory;
pub mod sandbox;
pub mod tcp;
mod timer;
pub mod udp;
