//! Real shards, threads and rings under test plugins; no sockets.
//!
//! Owns:    the list of its parts.
//! Runs on: tests.            Plane: both.
//! Bounds:  as the harness.
//! Never:   holds a test itself.

mod allocation;
mod delivery;
mod failing;
mod failing_queues;
mod flaky;
mod handing;
mod harness;
mod keeping;
mod many_streams;
mod matchers;
mod queueing;
mod supervision;
