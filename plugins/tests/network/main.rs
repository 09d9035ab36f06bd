//! Network inputs on real shards, with real sockets.

mod daemon;
mod tcp;
mod udp;
