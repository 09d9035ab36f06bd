//! The daemon as its users meet it: the binary, sockets, files, signals.
//!
//! Owns:    the list of its parts.
//! Runs on: tests.            Plane: both.
//! Bounds:  as the harness.
//! Never:   holds a test itself.

#[path = "../../plugins/tests/certificates/authority.rs"]
mod authority;
mod back_pressure;
mod bad_input;
mod buffer;
mod chaos;
mod commands;
mod counts;
mod crash;
mod descriptors;
mod files;
mod full_queue;
mod isolation;
mod loading;
mod logstreamer;
mod lua;
mod lua_sockets;
mod network;
mod queued;
mod quickstart;
mod start_stop;
