//! Options of plugins that run a script.
//!
//! Owns:    the options that all of them have, and what they mean.
//! Runs on: build time.            Plane: control.
//! Bounds:  as each option says.
//! Never:   reads a file.

use std::path::PathBuf;

use codecs::time::Zone;
use engine::plugin::Section;
use engine::plugin::options::{HekadOptions, Table};
use sandbox::{ConfigValue, Kind, SandboxLimits};
use serde_json::Value;

/// The key of `config` that the host itself looks at.
const TZ: &str = "tz";

/// Options as they were given, whatever the kind of plugin.
#[derive(Clone, Copy)]
pub(crate) struct Chosen<'a> {
    pub(crate) script_type: &'a str,
    pub(crate) filename: &'a str,
    pub(crate) preserve_data: bool,
    pub(crate) memory_limit: u64,
    pub(crate) instruction_limit: Option<u64>,
    pub(crate) output_limit: u64,
    pub(crate) module_directory: &'a str,
    pub(crate) profile: bool,
    pub(crate) native: bool,
    pub(crate) fast_path: bool,
    pub(crate) config: &'a Table<Value>,
}

/// Defines an options struct: those of all scripts, and what is written behind.
macro_rules! options {
    ($(#[$about:meta])* $name:ident { $($(#[$meta:meta])* $field:ident: $type:ty = $default:expr,)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// Script language; only lua exists
            pub script_type: String,
            /// Path of the script; a relative one is looked for under share_dir, then among the scripts that come with hekad
            pub filename: String,
            /// Save the script's globals at the end and restore them at the start
            pub preserve_data: bool,
            /// Largest Lua heap in bytes; zero is unlimited
            pub memory_limit: u64,
            /// VM safepoints (loop rounds, calls, returns, steps of the pattern matcher) per call, counted exactly where this is written; zero is unlimited. Where it is not, a call may take half a second of processor time
            #[schemars(extend("x-default" = "1000000"))]
            pub instruction_limit: Option<u64>,
            /// Largest output of a call in bytes; zero is unlimited
            pub output_limit: u64,
            /// Folders that require searches, separated by semicolons
            #[schemars(extend("x-default" = "<share_dir>/lua_modules"))]
            pub module_directory: String,
            /// Time process_message on every call instead of sampling
            pub profile: bool,
            /// Compile the script to native code
            pub native: bool,
            /// Keys and values that the script reads with read_config: strings, numbers and truth values. `tz` names the zone of times without one
            pub config: engine::plugin::options::Table<serde_json::Value>,
            /// Internal to Heka
            #[schemars(extend("x-no-effect" = "it is internal to Heka"))]
            pub globals: engine::plugin::options::Table<serde_json::Value>,
            /// Internal to Heka
            #[schemars(extend("x-no-effect" = "it is internal to Heka"))]
            pub plugintype: String,
            $($(#[$meta])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                let limits = sandbox::SandboxLimits::default();
                $name {
                    script_type: "lua".to_owned(),
                    filename: String::new(),
                    preserve_data: false,
                    memory_limit: limits.memory_bytes,
                    instruction_limit: None,
                    output_limit: limits.output_bytes,
                    module_directory: String::new(),
                    profile: false,
                    native: true,
                    config: Default::default(),
                    globals: Default::default(),
                    plugintype: String::new(),
                    $($field: $default,)*
                }
            }
        }

        impl $name {
            fn chosen(&self) -> $crate::script::Chosen<'_> {
                $crate::script::Chosen {
                    script_type: &self.script_type,
                    filename: &self.filename,
                    preserve_data: self.preserve_data,
                    memory_limit: self.memory_limit,
                    instruction_limit: self.instruction_limit,
                    output_limit: self.output_limit,
                    module_directory: &self.module_directory,
                    profile: self.profile,
                    native: self.native,
                    fast_path: true,
                    config: &self.config,
                }
            }
        }
    };
}
pub(crate) use options;

impl Chosen<'_> {
    /// What the script may use.
    pub(super) fn limits(&self, kind: Kind) -> SandboxLimits {
        let limits = SandboxLimits {
            memory_bytes: self.memory_limit,
            output_bytes: self.output_limit,
            ..SandboxLimits::default()
        };
        match self.instruction_limit {
            _ if kind.is_trusted() => limits.with_instructions(0),
            Some(instructions) => limits.with_instructions(instructions),
            None => limits,
        }
    }

    /// Where `require` looks.
    pub(super) fn module_directories(&self, hekad: &HekadOptions) -> Vec<PathBuf> {
        let written = self.module_directory.split(';').map(str::trim);
        let mut folders: Vec<PathBuf> = written
            .filter(|folder| !folder.is_empty())
            .map(|folder| hekad.below_share_dir(folder))
            .collect();
        if folders.is_empty() {
            folders.push(hekad.below_share_dir("lua_modules"));
        }
        folders
    }

    /// What `read_config` knows.
    pub(super) fn config(&self) -> Vec<(String, ConfigValue)> {
        let values = self.config.iter().filter_map(|(key, value)| {
            let value = match value {
                Value::String(text) => ConfigValue::Text(text.clone()),
                Value::Number(number) => ConfigValue::Number(number.as_f64()?),
                Value::Bool(truth) => ConfigValue::Boolean(*truth),
                Value::Null | Value::Array(_) | Value::Object(_) => return None,
            };
            Some((key.to_owned(), value))
        });
        values.collect()
    }

    /// Warns of values that no script can read, as in Heka.
    pub(super) fn warn_of_config<C>(&self, section: &mut Section<'_, C>) {
        for (key, value) in self.config.iter() {
            let what = match value {
                Value::Array(_) => "an array",
                Value::Object(_) => "a table",
                Value::Null => "nothing",
                Value::String(_) | Value::Number(_) | Value::Bool(_) => continue,
            };
            section
                .warning(
                    &["config", key],
                    format!("`read_config(\"{key}\")` is nil: the value is {what}"),
                )
                .help("scripts read strings, numbers and truth values");
        }
    }

    fn tz(&self) -> &str {
        let tz = self.config.get(TZ).and_then(Value::as_str);
        tz.unwrap_or_default()
    }

    /// Whether times that are injected are in UTC already.
    pub(super) fn is_utc(&self) -> bool {
        matches!(self.tz(), "" | "UTC")
    }

    /// The zone of the times that the script injects.
    pub(super) fn zone<C>(&self, section: &mut Section<'_, C>) -> Option<Zone> {
        match Zone::named(self.tz()) {
            Ok(zone) => Some(zone),
            Err(unknown) => {
                section
                    .problem(&["config", TZ], unknown.to_string())
                    .help("name a zone as `Europe/Berlin`, or `UTC`, or `Local`");
                None
            }
        }
    }
}
