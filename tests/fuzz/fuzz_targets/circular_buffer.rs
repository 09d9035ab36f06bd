//! Any text is a preserved circular buffer that is restored, or refused.
//!
//! Owns:    nothing; see `modules::circular_buffer`.
//! Runs on: fuzzing.            Plane: data.
//! Bounds:  the input.
//! Never:   checks anything that the replay does not check.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| hekad_fuzz::modules::circular_buffer(input));
