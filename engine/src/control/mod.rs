//! The control plane: configuration, start, shutdown, reports.
//!
//! Owns:    everything that may allocate, format and log.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  each module says its own.
//! Never:   reaches into a shard other than by `shard::run::ToShard`.

pub mod config;
mod fit;
mod loading;
pub mod log;
mod panics;
pub mod placement;
pub mod plan;
pub mod problem;
pub mod queues;
pub mod reference;
pub mod report;
pub mod supervisor;
mod watchdog;
