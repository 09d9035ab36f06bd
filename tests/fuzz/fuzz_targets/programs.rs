//! Any program ends or is ended, and its host goes on.
//!
//! Owns:    nothing; see `hostile::programs`.
//! Runs on: fuzzing.            Plane: data.
//! Bounds:  the input.
//! Never:   checks anything that the replay does not check.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| hekad_fuzz::hostile::programs(input));
