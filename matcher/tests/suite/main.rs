//! All tests of the matcher through its public face, in one binary.
//!
//! Owns:    the modules below.
//! Runs on: tests.            Plane: control.
//! Bounds:  seconds.
//! Never:   depends on time or speed.

/// What holds for any text, shared with the fuzz target.
pub mod checks;
/// The hand-written cases against the evaluator and the set.
mod corpus;
/// Deep and long expressions, and arbitrary text.
mod depth;
/// What sets say to people, and what named groups capture.
mod explain;
/// Building messages.
mod message;
/// Generated expressions and messages: the evaluator against the set.
mod property;
/// Sets: signers, rows, errors of many consumers at once.
mod set;
/// What can be left out of a set.
pub mod variants;
