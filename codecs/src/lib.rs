//! Bytes to messages and back.
//!
//! Owns:    the message model, its wire formats, the forms that people read, splitters and timestamps.
//! Runs on: build time and every shard.            Plane: data.
//! Bounds:  see `limits`.
//! Never:   does I/O (but for the host's time zone data, at build time), reads a clock, starts a thread, or uses
//!          unsafe code.
#![forbid(unsafe_code)]

mod digits;
pub mod error;
pub mod field;
pub mod framing;
pub mod json;
pub mod limits;
pub mod message;
mod message_copy;
pub mod plain_header;
mod printed;
#[cfg(test)]
mod printed_sample;
pub mod proto;
pub mod protobuf;
pub mod rst;
pub mod signing;
pub mod splitter;
pub mod splitters;
pub mod text;
pub mod time;
pub mod wire;
