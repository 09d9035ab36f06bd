//! What several network plugins need.
//!
//! Owns:    nothing itself; it names it.
//! Runs on: as each file says.            Plane: both.
//! Bounds:  see each file.
//! Never:   holds what only one plugin needs.

pub(crate) mod listen;
pub mod tls;
