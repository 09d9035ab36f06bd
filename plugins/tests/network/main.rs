//! Inputs on real shards, with real sockets and files.
//!
//! Owns:    nothing itself; it names the tests of each input.
//! Runs on: tests.            Plane: both.
//! Bounds:  see `daemon`.
//! Never:   leaves the loopback network, or its own folders.

#[path = "../certificates/authority.rs"]
mod authority;
mod daemon;
mod sockets;
mod tcp;
mod tls;
mod udp;
