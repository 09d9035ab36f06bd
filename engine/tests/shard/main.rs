//! Real shards, threads and rings under test plugins; no sockets.

mod allocation;
mod delivery;
mod harness;
