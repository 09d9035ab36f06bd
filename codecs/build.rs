//! Compiles `proto/message.proto` to Rust types, without protoc.
//!
//! Owns:    the generated `message.rs`.
//! Runs on: build time.            Plane: neither.
//! Bounds:  one file.
//! Never:   reaches outside of the crate.

use std::error::Error;

const PROTO: &str = "proto/message.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO}");
    let descriptors = protox::compile([PROTO], ["proto"])?;
    prost_build::Config::new().compile_fds(descriptors)?;
    Ok(())
}
