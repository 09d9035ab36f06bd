//! Any stream is cut into frames without a panic.
//!
//! Owns:    nothing; see `checks::framing`.
//! Runs on: fuzzing.            Plane: data.
//! Bounds:  the input.
//! Never:   checks anything that the replay does not check.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| hekad_fuzz::checks::framing(input));
