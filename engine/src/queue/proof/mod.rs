//! Proof of the disk queue, over a disk that loses, tears and refuses.
//!
//! Owns:    the list of its parts.
//! Runs on: tests.            Plane: data.
//! Bounds:  as its parts.
//! Never:   waits for time to pass.

mod around;
mod bad_input;
mod corpus;
mod fixture;
mod oracle;
mod room;
mod schedule;
