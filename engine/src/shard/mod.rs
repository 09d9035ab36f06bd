//! Shards.

pub mod delivery;
pub mod intake;
