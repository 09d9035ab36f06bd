//! SandboxManagerFilter: loads and unloads SandboxFilters while the daemon runs, by control messages.
//!
//! Owns:    the orders in control messages; the files of its filters in `working_directory`.
//! Runs on: its home shard; files and loading on the thread that loads filters.            Plane: both, as each item says.
//! Bounds:  `max_filters` filters, each with the limits of the manager.
//! Never:   trusts a control message by itself: `message_signer` says whose orders it takes.

mod files;

use std::collections::VecDeque;
use std::sync::Arc;

use codecs::field::Value;
use codecs::message::MessageRef;
use engine::plugin::options::FilterOptions;
use engine::plugin::{
    Fault, Filter, FilterContext, FilterFactory, FilterLoader, FilterPlugin, Forced, LoadJob,
    PluginSpec, Said, Section, Selection, WantedFilter,
};
use sandbox::SandboxLimits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sandbox::TERMINATED;
use crate::script::file_name;
use files::Files;

/// The only type that can be loaded.
const LOADED: &str = "SandboxFilter";

/// Orders are taken that are less than so old, or so far ahead; nanoseconds.
const SKEW_MAX: i64 = 5_000_000_000;

const SECOND: i64 = 1_000_000_000;

/// Orders that are remembered.
const TAKEN_MAX: usize = 1024;

/// Options of `SandboxManagerFilter`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Most filters that may run at a time; with 0 nothing can be loaded
    pub max_filters: u32,
    /// Folder of the scripts and configurations that were received; a relative one is below base_dir
    pub working_directory: String,
    /// Folders that require searches, separated by semicolons, for all loaded filters
    #[schemars(extend("x-default" = "<share_dir>/lua_modules"))]
    pub module_directory: String,
    /// Largest Lua heap of a loaded filter in bytes
    pub memory_limit: u64,
    /// VM safepoints per call of a loaded filter
    pub instruction_limit: u64,
    /// Largest output of a call of a loaded filter in bytes
    pub output_limit: u64,
}

impl Default for Options {
    fn default() -> Self {
        let limits = SandboxLimits::default();
        Options {
            max_filters: 0,
            working_directory: "sbxmgrs".to_owned(),
            module_directory: String::new(),
            memory_limit: limits.memory_bytes,
            instruction_limit: limits.instructions,
            output_limit: limits.output_bytes,
        }
    }
}

/// The table's line.
pub const SPEC: PluginSpec = PluginSpec::filter::<Options>(
    "SandboxManagerFilter",
    "Loads and unloads sandbox filters by control message",
)
.notes(&[
    "A control message has the field `action`. With `load` its payload is the script, and the field `config` the section of one SandboxFilter; with \
     `unload` the field `name` is the name of that section. `hekad sbmgr` sends such messages.",
    "Set `message_signer`, so that only messages with that signature are orders. One whose time differs from now by five seconds or more is \
     discarded, and so is one that was taken before.",
    "A loaded filter is called `<manager>-<section>`, both with an underscore for each character that is no letter or digit. A filter of the same \
     name that is loaded again is replaced, and goes on as it was if the new one cannot work.",
    "Script and configuration are kept in `working_directory`, and loaded again at the next start. What a filter with `preserve_data` preserves \
     stays when it is unloaded.",
    "The manager's limits and module folders hold whatever the section says. A filter that ends by an error is unloaded; it is loaded again at the \
     next start. Loaded filters have no disk queue.",
    "A filter that cannot be loaded is told of in the log, and in a message of Type `heka.sandbox-terminated` whose field `plugin` is the manager.",
]);

impl FilterPlugin for Options {
    fn common() -> FilterOptions {
        FilterOptions {
            message_matcher: "Type == 'heka.control.sandbox'".to_owned(),
            ..FilterOptions::default()
        }
    }

    fn build(self, section: &mut Section<'_, FilterOptions>) -> Option<Box<dyn FilterFactory>> {
        if section.common().message_signer.is_empty() {
            section
                .warning(&["message_signer"], "anybody who can send messages to this daemon can load scripts")
                .help("set `message_signer`, and the signer's key in the splitter of the input that orders come in by");
        }
        let number = |value: u64| Forced::Integer(i64::try_from(value).unwrap_or(i64::MAX));
        let hekad = section.hekad();
        let folder = hekad.below_base_dir(&self.working_directory);
        let forced = vec![
            ("module_directory", Forced::Text(self.module_directory)),
            ("memory_limit", number(self.memory_limit)),
            ("instruction_limit", number(self.instruction_limit)),
            ("output_limit", number(self.output_limit)),
        ];
        Some(Box::new(Factory {
            manager: Arc::new(Manager {
                name: section.name().to_owned(),
                files: Files::new(folder, section.name()),
                forced,
            }),
            max_filters: self.max_filters as usize,
        }))
    }
}

struct Factory {
    manager: Arc<Manager>,
    max_filters: usize,
}

impl FilterFactory for Factory {
    fn make(&self) -> Box<dyn Filter> {
        Box::new(SandboxManager {
            manager: Arc::clone(&self.manager),
            taken: Taken::default(),
        })
    }

    fn places(&self) -> usize {
        self.max_filters
    }

    fn first_load(&self) -> Option<LoadJob> {
        let manager = Arc::clone(&self.manager);
        Some(Box::new(move |loader| manager.restore(loader)))
    }
}

/// What is the same for the filter and for the thread that loads.
struct Manager {
    name: String,
    files: Files,
    /// Options that loaded filters have whatever they say.
    forced: Vec<(&'static str, Forced)>,
}

impl Manager {
    /// The name of a loaded filter, by that of its section.
    fn loaded_name(&self, section: &str) -> String {
        format!("{}-{}", file_name(&self.name), file_name(section))
    }

    /// Has a filter run whose files are there.
    fn run(
        &self,
        loader: &dyn FilterLoader,
        name: &str,
        section: &str,
        config: &str,
    ) -> Result<(), String> {
        let path = self.files.script(name).display().to_string();
        let mut forced = vec![("filename", Forced::Text(path))];
        forced.extend(self.forced.iter().cloned());
        loader.load(&WantedFilter {
            manager: &self.name,
            type_name: LOADED,
            name,
            file: &format!("{name}.toml"),
            text: config,
            section,
            forced: &forced,
        })
    }

    /// The first section of a configuration. That there are others is said, and no more.
    fn section(
        &self,
        loader: &dyn FilterLoader,
        file: &str,
        config: &str,
    ) -> Result<String, String> {
        let mut sections = loader.sections(file, config)?.into_iter();
        let none = || format!("{file}: there is no section");
        let first = sections.next().ok_or_else(none)?;
        let others: Vec<String> = sections.map(|name| format!("`[{name}]`")).collect();
        if !others.is_empty() {
            let others = others.join(", ");
            let text = format!("{file}: only the first section is loaded, not {others}");
            loader.notice(&self.name, text);
        }
        Ok(first)
    }

    /// An order to load a filter.
    fn load(&self, loader: &dyn FilterLoader, config: &str, script: &[u8]) {
        let result = self.section(loader, "the field `config`", config);
        let result = result.and_then(|section| {
            let name = self.loaded_name(&section);
            loader.notice(&self.name, format!("Loading: {name}"));
            let before = self.files.read(&name);
            let written = self.files.write(&name, config.as_bytes(), script);
            let loaded = written.and_then(|()| self.run(loader, &name, &section, config));
            loaded.map_err(|error| {
                // A filter that goes on, or that ends with the daemon, must be there at the next start as well.
                let is_there = loader.is_stopping() || loader.loaded(&self.name).contains(&name);
                match before.filter(|_| is_there) {
                    Some((config, script)) => {
                        if let Err(error) = self.files.write(&name, &config, &script) {
                            loader.notice(&self.name, error);
                        }
                    }
                    None => self.files.remove(&name),
                }
                format!("{name} is not loaded: {error}")
            })
        });
        if let Err(error) = result {
            loader.say(
                &self.name,
                Said {
                    message_type: TERMINATED,
                    payload: error.clone(),
                    fields: vec![("plugin", self.name.clone())],
                },
            );
            loader.notice(&self.name, error);
        }
    }

    /// An order to unload a filter.
    fn unload(&self, loader: &dyn FilterLoader, section: &str) {
        let name = self.loaded_name(section);
        match loader.unload(&self.name, &name) {
            Ok(true) => {
                self.files.remove(&name);
                loader.notice(&self.name, format!("Unloaded: {name}"));
            }
            Ok(false) => {
                // It may have ended by itself.
                self.files.remove(&name);
                loader.notice(&self.name, format!("{name} does not run"));
            }
            Err(error) => loader.notice(&self.name, format!("{name} is not unloaded: {error}")),
        }
    }

    /// Loads what was loaded when the daemon ended.
    fn restore(&self, loader: &dyn FilterLoader) {
        for error in self.files.recover() {
            loader.notice(&self.name, error);
        }
        let names = match self.files.names() {
            Ok(names) => names,
            Err(error) => {
                loader.notice(&self.name, error);
                return;
            }
        };
        for name in names {
            if loader.is_stopping() {
                return;
            }
            let Some((config, _)) = self.files.read(&name) else {
                continue;
            };
            let config = String::from_utf8_lossy(&config);
            loader.notice(&self.name, format!("Loading: {name}"));
            let section = self.section(loader, &format!("{name}.toml"), &config);
            let loaded = section.and_then(|section| self.run(loader, &name, &section, &config));
            if let Err(error) = loaded {
                let folder = self.files.folder().display();
                let text = format!("{name} is not loaded, its files stay in {folder}: {error}");
                loader.notice(&self.name, text);
            }
        }
    }
}

/// The filter that takes orders.
struct SandboxManager {
    manager: Arc<Manager>,
    taken: Taken,
}

/// Orders that were taken not long ago, each by its time and uuid: one that somebody has listened to and sends again is none.
#[derive(Debug, Default)]
struct Taken(VecDeque<(i64, [u8; 16])>);

impl Taken {
    /// Whether an order comes for the first time. Forgets those that would be too old by now in any case.
    fn is_new(&mut self, message: MessageRef<'_>, now: i64) -> bool {
        let is_old = |&(taken, _): &(i64, _)| now.saturating_sub(taken) > 2 * SKEW_MAX;
        while self.0.front().is_some_and(is_old) || self.0.len() == TAKEN_MAX {
            self.0.pop_front();
        }
        let Ok(uuid) = <[u8; 16]>::try_from(message.uuid()) else {
            return true;
        };
        if self.0.iter().any(|(_, known)| *known == uuid) {
            return false;
        }
        self.0.push_back((now, uuid));
        true
    }
}

/// The text of a field.
fn text<'a>(message: MessageRef<'a>, name: &str) -> Option<&'a [u8]> {
    match message.field(name.as_bytes(), 0)?.first()? {
        Value::String(text) => Some(text),
        _ => None,
    }
}

impl SandboxManager {
    /// What a control message orders. An error is for people.
    fn job(&mut self, message: MessageRef<'_>, now: i64) -> Result<LoadJob, String> {
        let skew = now.saturating_sub(message.timestamp());
        if skew.saturating_abs() >= SKEW_MAX {
            return Err(format!(
                "Discarded control message: {} seconds skew",
                skew / SECOND
            ));
        }
        if !self.taken.is_new(message, now) {
            return Err("Discarded control message: it was taken before".to_owned());
        }
        let manager = Arc::clone(&self.manager);
        let lacks =
            |field: &str| format!("Discarded control message: it lacks the field `{field}`");
        let owned = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
        match text(message, "action") {
            Some(b"load") => {
                let config = owned(text(message, "config").ok_or_else(|| lacks("config"))?);
                let script = message.payload().to_vec();
                Ok(Box::new(move |loader| {
                    manager.load(loader, &config, &script)
                }))
            }
            Some(b"unload") => {
                let name = owned(text(message, "name").ok_or_else(|| lacks("name"))?);
                Ok(Box::new(move |loader| manager.unload(loader, &name)))
            }
            Some(other) => Err(format!(
                "Discarded control message: the action `{}` is neither `load` nor `unload`",
                owned(other)
            )),
            None => Err(lacks("action")),
        }
    }
}

impl Filter for SandboxManager {
    fn process(
        &mut self,
        messages: Selection<'_>,
        context: &mut dyn FilterContext,
    ) -> Result<(), Fault> {
        for message in messages.iter() {
            match self.job(message, context.now()) {
                Ok(job) => {
                    if !context.load(job) {
                        context.notice(&mut || "an order is dropped: too many wait".to_owned());
                    }
                }
                Err(error) => context.notice(&mut || error.clone()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use codecs::message::{Header, MessageTable, NewValue, TableLimits};

    use super::*;

    #[test]
    fn an_order_is_taken_once_and_at_its_time() {
        let mut manager = SandboxManager {
            manager: Arc::new(Manager {
                name: "M".to_owned(),
                files: Files::new("nowhere".into(), "M"),
                forced: Vec::new(),
            }),
            taken: Taken::default(),
        };
        let mut table = MessageTable::new(TableLimits {
            received_bytes: 0,
            arena_bytes: 1000,
            messages: 2,
            fields: 4,
        });
        for number in 0..2 {
            let mut draft = table.begin().unwrap();
            draft.set(Header::Uuid, &[number; 16][..]).unwrap();
            draft.set_timestamp(100 * SECOND);
            for (name, value) in [("action", "unload"), ("name", "F")] {
                let value = NewValue::String(value.into());
                draft.add_field(name, value, None).unwrap();
            }
        }
        let mut ask = |index, second| {
            let job = manager.job(table.get(index), second * SECOND);
            job.err().unwrap_or_default()
        };
        assert_eq!(ask(0, 95), "Discarded control message: -5 seconds skew");
        assert_eq!(ask(0, 96), "");
        assert_eq!(ask(1, 97), "");
        for second in [96, 100, 104] {
            let said = ask(0, second);
            assert_eq!(said, "Discarded control message: it was taken before");
        }
        assert_eq!(ask(1, 105), "Discarded control message: 5 seconds skew");
    }
}
