//! The host of sandboxed Lua plugins.
//!
//! Owns:    the host's parts: limits, modules, the objects that modules make.
//! Runs on: build time and the shard of the plugin.            Plane: data.
//! Bounds:  `limits::SandboxLimits`, what a script may use before it is stopped.
//! Never:   knows the engine.

pub mod limits;
mod lpeg;
mod lua;
mod modules;
mod objects;
pub mod trial;
