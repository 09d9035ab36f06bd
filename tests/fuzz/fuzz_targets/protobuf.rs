//! Any bytes are the same message to us and to prost.
//!
//! Owns:    nothing; see `checks::protobuf`.
//! Runs on: fuzzing.            Plane: data.
//! Bounds:  the input.
//! Never:   checks anything that the replay does not check.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| hekad_fuzz::checks::protobuf(input));
