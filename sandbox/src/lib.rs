//! Limits of sandboxed Lua plugins.
//!
//! Owns:    `limits::SandboxLimits`, what a script may use before it is stopped.
//! Runs on: build time and the shard of the plugin.            Plane: data.
//! Bounds:  is the place where a script's bounds stand.
//! Never:   knows the engine.

pub mod limits;
