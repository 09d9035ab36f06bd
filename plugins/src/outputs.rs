//! Outputs: where messages leave the daemon.
//!
//! Owns:    one file per output.
//! Runs on: the output's home shard, and threads of their own where a call may block.            Plane: data.
//! Bounds:  what an output holds is bounded by the parcels that may be under way to it.
//! Never:   settles a parcel that was neither delivered nor counted as dropped.

pub mod file;
pub mod log;
mod parts;
pub mod sandbox;
pub mod tcp;
pub mod udp;
