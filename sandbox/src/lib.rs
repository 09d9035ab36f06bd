//! The host of sandboxed Lua plugins.
//!
//! Owns:    the host's parts: programs, sandboxes and their limits, the functions and modules that scripts use.
//! Runs on: build time and the shard of the plugin.            Plane: data.
//! Bounds:  `limits::SandboxLimits`, what a script may use before it is stopped.
//! Never:   knows the engine.
//!
//! A `Program` is a script that was checked and compiled once. A `Sandbox` runs it: `process_message` for every message, `timer_event` at
//! every tick. What the script injects goes to the `Host` that the call is given, which decides what becomes of it.

mod bloom_filter;
mod call;
mod circular_buffer;
mod cjson;
mod clock;
mod config;
mod costly;
mod cuckoo_filter;
mod decode;
mod encode;
mod environment;
mod error;
mod failure;
mod fast_path;
mod figures;
mod files;
mod find;
mod hashed_key;
mod hyperloglog;
mod inject;
pub mod library;
pub mod limits;
mod lpeg;
mod lua;
mod modules;
mod number;
mod objects;
mod operating_system;
mod preserve;
mod program;
mod read;
pub mod reference;
mod require;
mod sandbox;
mod sax;
#[cfg(test)]
mod scripts;
mod socket;
mod state;
mod struct_pack;
pub mod trial;
mod watchdog;
mod write;

pub use call::{Batch, Host, InjectError, Injected, NoHost, Subject};
pub use config::{ConfigValue, Kind, Settings};
pub use error::{Cause, ERROR_BYTES_MAX, PreserveError, ProgramError, TRACE_BYTES_MAX, Terminated};
pub use figures::Figures;
pub use limits::SandboxLimits;
pub use preserve::STATE_BYTES_MAX;
pub use program::{Program, SOURCE_BYTES_MAX};
pub use sandbox::{LastState, Returned, Sandbox};
pub use watchdog::Stopper;
