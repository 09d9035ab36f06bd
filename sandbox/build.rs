//! Compiles the two functions that are not Rust: `src/lua/guard.cpp` says why.
//!
//! Owns:    nothing.
//! Runs on: build time.            Plane: control.
//! Bounds:  one file.
//! Never:   runs where the file has not changed.

fn main() {
    println!("cargo::rerun-if-changed=src/lua/guard.cpp");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .warnings_into_errors(true)
        .file("src/lua/guard.cpp")
        .compile("sandbox_guard");
}
