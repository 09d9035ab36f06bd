//! Any stream is cut the same way however it arrives.
//!
//! Owns:    nothing; see `checks::splitters`.
//! Runs on: fuzzing.            Plane: data.
//! Bounds:  the input.
//! Never:   checks anything that the replay does not check.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| hekad_fuzz::checks::splitters(input));
