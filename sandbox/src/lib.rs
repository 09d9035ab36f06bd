//! The host of sandboxed Lua plugins.
//!
//! Owns:    the host's parts: limits, modules, the objects that modules make.
//! Runs on: build time and the shard of the plugin.            Plane: data.
//! Bounds:  `limits::SandboxLimits`, what a script may use before it is stopped.
//! Never:   knows the engine.

mod bloom_filter;
mod circular_buffer;
mod cjson;
mod cuckoo_filter;
mod hashed_key;
mod hyperloglog;
pub mod limits;
mod lua;
mod modules;
mod number;
mod objects;
mod sax;
#[cfg(test)]
mod scripts;
mod struct_pack;

pub use modules::open_module;
