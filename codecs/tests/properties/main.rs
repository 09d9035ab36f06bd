//! Properties of the codecs, held against prost and against slower ways to do the same.
//!
//! Owns:    generators, the checks that the fuzz targets share, and the replay of their corpus.
//! Runs on: tests.            Plane: data.
//! Bounds:  a few hundred cases a property.
//! Never:   depends on timing or on what ran before.

pub mod checks;
mod corpus;
mod damage;
pub mod driver;
mod generators;
mod protobuf;
mod splitting;
