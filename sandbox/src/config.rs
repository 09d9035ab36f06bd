//! What a script is told and where it lives: the settings of a sandbox.
//!
//! Owns:    `Kind`, `ConfigValue`, `Settings`.
//! Runs on: build time.            Plane: control.
//! Bounds:  none beyond the configuration's own size.
//! Never:   reads a file.

use std::path::PathBuf;

use crate::limits::SandboxLimits;

/// What a script is used as; decides what its environment has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Makes messages; may use files and processes.
    Input,
    /// Changes the message it is given.
    Decoder,
    /// Reads messages and injects new ones.
    Filter,
    /// Makes bytes of a message.
    Encoder,
    /// Delivers messages; may use files and processes.
    Output,
}

impl Kind {
    /// Whether the script belongs to the operator and may use files, processes and coroutines.
    pub fn is_trusted(self) -> bool {
        matches!(self, Kind::Input | Kind::Output)
    }
}

/// A value of the plugin's subsection `config`, as `read_config` gives it. Values of other types are not there.
#[derive(Clone, Debug, PartialEq)]
pub enum ConfigValue {
    /// Text.
    Text(String),
    /// A number; integers become doubles.
    Number(f64),
    /// A truth value.
    Boolean(bool),
}

/// How a sandbox is made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the script is used as.
    pub kind: Kind,
    /// Name of the plugin, for people.
    pub name: String,
    /// What it may use. Of inputs and outputs neither instructions nor time are limited, as Heka.
    pub limits: SandboxLimits,
    /// Where `require` looks, besides the modules that are built in.
    pub module_directories: Vec<PathBuf>,
    /// The subsection `config`.
    pub config: Vec<(String, ConfigValue)>,
    /// Compile the script to native code.
    pub native: bool,
    /// Let Rust make what the shipped decoders of access logs make of the usual formats, record by record, where nothing is changed about them.
    pub fast_path: bool,
    /// Where globals are preserved (`preserve_data`); `None` for nowhere.
    pub preserve: Option<PathBuf>,
    /// One call of `process_message` in so many is timed (`sample_denominator`); 1 times every one (`profile`).
    pub sample_denominator: u32,
    /// Largest message, bytes (`max_message_size`): room for the copy that an encoder changes.
    pub message_bytes_max: usize,
}

impl Settings {
    /// Heka's defaults for a kind.
    pub fn new(kind: Kind, name: impl Into<String>) -> Settings {
        Settings {
            kind,
            name: name.into(),
            limits: SandboxLimits::default(),
            module_directories: Vec::new(),
            config: Vec::new(),
            native: true,
            fast_path: true,
            preserve: None,
            sample_denominator: 1000,
            message_bytes_max: codecs::limits::MESSAGE_BYTES_DEFAULT,
        }
    }
}
