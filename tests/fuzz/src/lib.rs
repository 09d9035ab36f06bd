//! The checks that the fuzz targets run: the same files that `cargo test` runs over the committed corpus.
//!
//! Owns:    nothing.
//! Runs on: fuzzing.            Plane: data.
//! Bounds:  the input.
//! Never:   checks anything that the replay does not check.

#[path = "../../../codecs/tests/properties/checks.rs"]
pub mod checks;
#[path = "../../../codecs/tests/properties/driver.rs"]
pub mod driver;
#[path = "../../../matcher/tests/suite/checks.rs"]
pub mod expressions;
#[path = "../../../sandbox/tests/host/hostile.rs"]
pub mod hostile;
#[path = "../../../sandbox/tests/bytes/checks.rs"]
pub mod modules;
#[path = "../../../matcher/tests/suite/variants.rs"]
pub mod variants;
