//! Any format and any bytes are unpacked, or refused.
//!
//! Owns:    nothing; see `modules::struct_pack`.
//! Runs on: fuzzing.            Plane: data.
//! Bounds:  the input.
//! Never:   checks anything that the replay does not check.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| hekad_fuzz::modules::struct_pack(input));
