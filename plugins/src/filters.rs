//! The filters, one file each.
//!
//! Owns:    nothing itself; it names them.
//! Runs on: a filter's home shard.            Plane: data.
//! Bounds:  see each filter.
//! Never:   awaits.

pub mod counter;
pub mod sandbox;
pub mod sandbox_manager;
