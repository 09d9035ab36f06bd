//! Filters that another filter loads while the daemon runs.
//!
//! Owns:    `FilterLoader`, what loads them; `LoadJob`, what is asked of it; `LoadedFilter`, what stands in a place.
//! Runs on: one thread for all of them, which may wait for the disk and for the shards.            Plane: control.
//! Bounds:  as many filters as places were kept for (`FilterFactory::places`).
//! Never:   runs on a shard.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::FilterFactory;
use super::options::Retries;

/// Something to do on the thread that loads filters.
pub type LoadJob = Box<dyn FnOnce(&dyn FilterLoader) + Send>;

/// Loads filters into the places of those that manage them. Its calls may take long.
pub trait FilterLoader {
    /// Names of the sections of a configuration text, in its order. An error is for people, with file, line and caret.
    fn sections(&self, file: &str, text: &str) -> Result<Vec<String>, String>;

    /// Understands a section and has the filter that it describes run. An error is for people; then nothing has changed.
    fn load(&self, wanted: &WantedFilter<'_>) -> Result<(), String>;

    /// Ends a filter. Answers whether there was one.
    fn unload(&self, manager: &str, name: &str) -> Result<bool, String>;

    /// Names of the filters that a manager has loaded and that run.
    fn loaded(&self, manager: &str) -> Vec<String>;

    /// Whether the daemon stops: what fails now may work at the next start.
    fn is_stopping(&self) -> bool;

    /// Has the manager inject a message of the daemon: Type, Payload and text fields.
    fn say(&self, manager: &str, message: Said);

    /// Tells the operator of something about a plugin.
    fn notice(&self, plugin: &str, text: String);
}

/// What is to be loaded.
#[derive(Clone, Copy, Debug)]
pub struct WantedFilter<'a> {
    /// The section of the filter that loads it.
    pub manager: &'a str,
    /// The only type that it may have.
    pub type_name: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Where the text comes from, for people.
    pub file: &'a str,
    /// The text of its configuration.
    pub text: &'a str,
    /// Its section there.
    pub section: &'a str,
    /// Options that the text has no say in.
    pub forced: &'a [(&'a str, Forced)],
}

/// The value of an option that a loaded filter has whatever its text says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forced {
    /// Text.
    Text(String),
    /// A number.
    Integer(i64),
    /// Not even written: the default holds.
    Unset,
}

/// A message of the daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Type.
    pub message_type: &'static str,
    /// Payload.
    pub payload: String,
    /// Text fields.
    pub fields: Vec<(&'static str, String)>,
}

impl Said {
    /// That a plugin of this name and type has ended.
    pub fn terminated(name: &str, type_name: &str, why: &str) -> Said {
        Said {
            message_type: "heka.terminated",
            payload: format!("{name} (type {type_name}) terminated. Error: {why}"),
            fields: vec![("plugin", name.to_owned())],
        }
    }
}

/// Understands sections of filters while the daemon runs, by the same rules as the configuration.
pub trait FilterReader: Send + Sync {
    /// Names of the sections of a text, in its order. An error is for people, with file, line and caret.
    fn sections(&self, file: &str, text: &str) -> Result<Vec<String>, String>;

    /// The filter that a section describes. An error is for people, with file, line and caret.
    fn read(&self, wanted: &WantedFilter<'_>) -> Result<ReadFilter, String>;
}

/// What stands in a place, for the control plane, which alone reads and writes it.
#[derive(Debug, Default)]
pub struct InPlace(RwLock<Option<ReadFilter>>);

impl InPlace {
    /// What stands there.
    pub fn get(&self) -> Option<ReadFilter> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Notes what stands there now.
    pub fn set(&self, what: Option<ReadFilter>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = what;
    }
}

/// A filter that was read, with its matcher.
#[derive(Clone, Debug)]
pub struct ReadFilter {
    /// What its place is given.
    pub loaded: LoadedFilter,
    /// Its matcher, as written.
    pub matcher: String,
    /// The signer that it asks for; empty for none.
    pub signer: String,
    /// What works, but hardly as its writer thinks; empty, or a text for people.
    pub warnings: String,
}

/// A filter that stands in a place.
#[derive(Clone)]
pub struct LoadedFilter {
    /// Its name.
    pub name: String,
    /// Its type.
    pub type_name: &'static str,
    /// Makes its instances.
    pub factory: Arc<dyn FilterFactory>,
    /// Between ticks.
    pub ticker_interval: Option<Duration>,
    /// How it is started again.
    pub retries: Retries,
    /// Which of all that were ever put into a place it is, from 1; 0 for one that was not.
    pub serial: u64,
}

impl std::fmt::Debug for LoadedFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedFilter")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
