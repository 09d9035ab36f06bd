//! Tests of the whole: end to end, and of the code's own rules.
//!
//! Owns:    the harness of the end-to-end tests.
//! Runs on: tests.            Plane: both.
//! Bounds:  every wait has a deadline.
//! Never:   depended on by another crate.
#![forbid(unsafe_code)]
