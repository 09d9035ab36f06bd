//! Outputs on real shards, fed by lines, delivering to real sockets and files.
//!
//! Owns:    the list of modules.
//! Runs on: `cargo test`.            Plane: both.
//! Bounds:  every wait has a deadline and fails its test.
//! Never:   depends on speed.

#[path = "../certificates/authority.rs"]
mod authority;
mod file;
mod harness;
mod tcp;
mod tls;
mod udp;
