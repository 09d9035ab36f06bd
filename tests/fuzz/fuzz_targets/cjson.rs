//! Any text is JSON that is read, or refused.
//!
//! Owns:    nothing; see `modules::cjson`.
//! Runs on: fuzzing.            Plane: data.
//! Bounds:  the input.
//! Never:   checks anything that the replay does not check.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| hekad_fuzz::modules::cjson(input));
