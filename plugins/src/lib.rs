//! Everything that a config file can name, one file each.
//!
//! Owns:    `ALL`, the table of plugins, and what they need beyond one plugin.
//! Runs on: factories at build time; what they make, on shards.            Plane: both, as each plugin says.
//! Bounds:  one line a plugin.
//! Never:   uses unsafe code, or registers anything anywhere else.
#![forbid(unsafe_code)]

#[cfg(test)]
mod configured;
pub mod decoders;
pub mod encoders;
pub mod filters;
pub mod inputs;
pub mod net;
pub mod outputs;
mod script;
pub mod splitters;

use engine::plugin::PluginSpec;

/// The plugins, by kind and name. `README.md` says how to add one.
#[rustfmt::skip]
pub const ALL: &[PluginSpec] = &[
    inputs::file_polling::SPEC,
    inputs::process::SPEC,
    inputs::logstreamer::SPEC,
    inputs::process_directory::SPEC,
    inputs::sandbox::SPEC,
    inputs::tcp::SPEC,
    inputs::udp::SPEC,
    splitters::heka_framing::SPEC,
    splitters::null::SPEC,
    splitters::pattern_grouping::SPEC,
    splitters::regex::SPEC,
    splitters::token::SPEC,
    decoders::multi::SPEC,
    decoders::payload_regex::SPEC,
    decoders::protobuf::SPEC,
    decoders::sandbox::SPEC,
    decoders::scribble::SPEC,
    filters::counter::SPEC,
    filters::sandbox::SPEC,
    filters::sandbox_manager::SPEC,
    encoders::payload::SPEC,
    encoders::protobuf::SPEC,
    encoders::rst::SPEC,
    encoders::sandbox::SPEC,
    outputs::file::SPEC,
    outputs::log::SPEC,
    outputs::sandbox::SPEC,
    outputs::tcp::SPEC,
    outputs::udp::SPEC,
];

/// The reference pages below `docs/reference`: path and text.
pub fn pages() -> Vec<(String, String)> {
    let mut pages = engine::control::reference::pages(ALL);
    pages.push(("lua.md".to_owned(), sandbox::reference::page()));
    pages
}

/// The text of a script that comes with the daemon, by its `filename`.
pub fn script(filename: &str) -> Option<&'static [u8]> {
    sandbox::library::script(filename).map(|shipped| shipped.source)
}
