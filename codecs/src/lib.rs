//! Bytes to messages and back.
//!
//! Owns:    the message model, its wire formats, splitters and timestamps.
//! Runs on: build time and every shard.            Plane: data.
//! Bounds:  see `limits`.
//! Never:   does I/O, reads a clock, starts a thread, or uses unsafe code.
#![forbid(unsafe_code)]

pub mod error;
pub mod field;
pub mod framing;
pub mod limits;
pub mod message;
pub mod plain_header;
pub mod protobuf;
pub mod signing;
pub mod splitter;
pub mod splitters;
pub mod time;
mod wire;
