//! Lua below mlua's safe layer.
//!
//! Owns:    the parts that use Lua's stack directly, because mlua's layer was measured to cost more than the work itself.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  those of its parts.
//! Never:   lets a raw pointer out.

pub(crate) mod frame;
