//! The specification of a plugin: its line in the table.
//!
//! Owns:    `PluginSpec`, `Kind`, `Build`, `Section`.
//! Runs on: build time.            Plane: control.
//! Bounds:  one constant a plugin.
//! Never:   does I/O.

use super::{DecoderFactory, EncoderFactory, FilterFactory, InputFactory, OutputFactory, SplitterFactory};

/// The six kinds of plugins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Brings bytes in.
    Input,
    /// Cuts them into records.
    Splitter,
    /// Turns records into messages.
    Decoder,
    /// Looks at messages.
    Filter,
    /// Turns messages into bytes.
    Encoder,
    /// Delivers bytes.
    Output,
}

/// A plugin's section of the configuration, as its `build` function sees it.
#[derive(Debug)]
pub struct Section;

/// How a factory is made from a checked section, by kind.
#[derive(Clone, Copy)]
pub enum Build {
    /// Input.
    Input(fn(&mut Section) -> Option<Box<dyn InputFactory>>),
    /// Splitter.
    Splitter(fn(&mut Section) -> Option<Box<dyn SplitterFactory>>),
    /// Decoder.
    Decoder(fn(&mut Section) -> Option<Box<dyn DecoderFactory>>),
    /// Filter.
    Filter(fn(&mut Section) -> Option<Box<dyn FilterFactory>>),
    /// Encoder.
    Encoder(fn(&mut Section) -> Option<Box<dyn EncoderFactory>>),
    /// Output.
    Output(fn(&mut Section) -> Option<Box<dyn OutputFactory>>),
}

/// One line of the plugin table.
#[derive(Clone, Copy)]
pub struct PluginSpec {
    /// Type name as in the configuration.
    pub name: &'static str,
    /// Kind.
    pub kind: Kind,
    /// How it is made.
    pub build: Build,
}
