//! The decoders, one file each.
//!
//! Owns:    nothing itself; it names them.
//! Runs on: every shard that has an input.            Plane: data.
//! Bounds:  see each decoder.
//! Never:   awaits.

mod message_fields;
pub mod multi;
pub mod payload_regex;
pub mod protobuf;
pub mod sandbox;
pub mod scribble;
