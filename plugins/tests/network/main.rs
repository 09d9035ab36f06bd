//! Network inputs on real shards, with real sockets.
//!
//! Owns:    nothing itself; it names the tests of each input.
//! Runs on: tests.            Plane: both.
//! Bounds:  see `daemon`.
//! Never:   leaves the loopback network.

#[path = "../certificates/authority.rs"]
mod authority;
mod daemon;
mod sockets;
mod tcp;
mod tls;
mod udp;
