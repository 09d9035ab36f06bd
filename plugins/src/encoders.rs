//! Encoders: messages to bytes.
//!
//! Owns:    one file per encoder.
//! Runs on: every shard, one instance per output.            Plane: data.
//! Bounds:  as each encoder says.
//! Never:   does I/O.

pub mod payload;
pub mod protobuf;
pub mod rst;
pub mod sandbox;
