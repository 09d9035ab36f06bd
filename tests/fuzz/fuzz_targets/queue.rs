//! Any files make a disk queue that works.
//!
//! Owns:    nothing; see `engine::queue::check`.
//! Runs on: fuzzing.            Plane: data.
//! Bounds:  the input.
//! Never:   checks anything that the replay does not check.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| engine::queue::check::files(input));
