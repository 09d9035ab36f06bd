//! Inputs of files and commands on real shards, with real files and processes.
//!
//! Owns:    nothing itself; it names the tests of each input.
//! Runs on: tests.            Plane: both.
//! Bounds:  see `daemon`.
//! Never:   leaves a process or a file behind.

mod arrivals;
#[path = "../network/daemon.rs"]
mod daemon;
mod file_polling;
mod logs;
mod logstreamer;
mod logstreamer_model;
mod process;
mod process_directory;
mod questions;
