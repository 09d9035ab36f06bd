//! Any text is expressions that are read or refused, and a set answers as the plain evaluator.
//!
//! Owns:    nothing; see `expressions::expressions`.
//! Runs on: fuzzing.            Plane: control.
//! Bounds:  the input.
//! Never:   checks anything that the replay does not check.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| hekad_fuzz::expressions::expressions(input));
