//! Compiles the one function that is not Rust: `src/lua/guard.cpp` says why.

fn main() {
    println!("cargo::rerun-if-changed=src/lua/guard.cpp");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .warnings_into_errors(true)
        .file("src/lua/guard.cpp")
        .compile("sandbox_guard");
}
