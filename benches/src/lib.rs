//! Micro-benchmarks of every crate, with the result of each checked.
//!
//! Owns:    the list of benchmarks and how they are timed.
//! Runs on: the calling thread.            Plane: data, by itself.
//! Bounds:  small sizes in tests; a run is long only where it was asked for.
//! Never:   depended on by another crate.
#![forbid(unsafe_code)]
