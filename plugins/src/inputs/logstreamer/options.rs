//! The options of LogstreamerInput, and what is wrong with them.
//!
//! Owns:    `Options` and their way to `Settings`.
//! Runs on: build time.            Plane: control.
//! Bounds:  the pattern's compiled size, by the engine's limit.
//! Never:   looks at a file.

use std::path::PathBuf;
use std::sync::Arc;

use engine::plugin::options::{Duration, InputOptions, Table};
use engine::plugin::{InputFactory, InputPlugin, Section};
use regex_automata::PatternID;
use regex_automata::meta::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Factory;
use super::order::{MISSING, Part, Priority, Ranking, Sorting};
use super::registry::{Registry, Settings};

/// Where journals are kept below `base_dir`, as Heka's.
const JOURNALS: &str = "logstreamer";

/// Captures that Heka translates itself.
const BUILT_IN: [&str; 2] = ["MonthName", "DayName"];

/// Options of `LogstreamerInput`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Hostname put in messages; empty uses the global one
    pub hostname: String,
    /// Root folder scanned recursively
    pub log_directory: String,
    /// Folder of saved read positions
    #[schemars(extend("x-default" = "<base_dir>/logstreamer"))]
    pub journal_directory: String,
    /// Regular expression on the path below `log_directory`, which it has to match from end to end
    #[schemars(extend("x-required" = true))]
    pub file_match: String,
    /// Names of captures that files are sorted by, oldest first; ^ in front means that larger is older
    pub priority: Vec<String>,
    /// Parts of stream names: names of captures stand for what they matched, other texts for themselves; empty is the input's name
    pub differentiator: Vec<String>,
    /// Ignore files not modified within this span; zero ignores none
    pub oldest_duration: Duration,
    /// By capture, maps from matched text to the number to sort by; `missing` is for captures that matched nothing
    pub translation: Table<Table<i64>>,
    /// How often the folder is scanned for new files
    pub rescan_interval: Duration,
    /// How often the ends of files are looked at for more
    pub check_data_interval: Duration,
    /// Start streams that have no journal at the end of their newest file
    pub initial_tail: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            hostname: String::new(),
            log_directory: "/var/log".to_owned(),
            journal_directory: String::new(),
            file_match: String::new(),
            priority: Vec::new(),
            differentiator: Vec::new(),
            oldest_duration: Duration::seconds(720 * 3600),
            translation: Table::default(),
            rescan_interval: Duration::seconds(60),
            check_data_interval: Duration::milliseconds(250),
            initial_tail: false,
        }
    }
}

impl InputPlugin for Options {
    fn common() -> InputOptions {
        InputOptions {
            splitter: "TokenSplitter".to_owned(),
            ..InputOptions::default()
        }
    }

    fn build(self, section: &mut Section<'_, InputOptions>) -> Option<Box<dyn InputFactory>> {
        if self.check_data_interval.get().is_zero() {
            section
                .problem(&["check_data_interval"], "must be more than zero")
                .help("the default is \"250ms\"");
        }
        if self.log_directory.is_empty() {
            section.problem(&["log_directory"], "must name a folder");
        }
        self.check_translation(section);
        let pattern = self.pattern(section)?;
        let groups: Vec<Option<&str>> = pattern
            .group_info()
            .pattern_names(PatternID::ZERO)
            .collect();
        let group = |name: &str| groups.iter().position(|group| *group == Some(name));
        let priority = self.priority(section, &groups, &group)?;
        let differentiator = self.differentiator(section, &groups, &group);
        let sorting = Arc::new(Sorting {
            priority,
            differentiator,
            pattern,
        });
        let hekad = section.hekad();
        let some = |duration: Duration| (!duration.get().is_zero()).then_some(duration.get());
        let journals = match self.journal_directory.as_str() {
            "" => JOURNALS,
            folder => folder,
        };
        Some(Box::new(Factory(Arc::new(Registry::new(Settings {
            folder: PathBuf::from(&self.log_directory),
            journals: hekad.below_base_dir(journals),
            sorting,
            hostname: match self.hostname.as_str() {
                "" => hekad.hostname.clone(),
                hostname => hostname.to_owned(),
            },
            oldest: some(self.oldest_duration),
            rescan: some(self.rescan_interval),
            check: self.check_data_interval.get(),
            tail: self.initial_tail,
        })))))
    }
}

impl Options {
    /// The pattern for a whole path below the folder.
    fn pattern(&self, section: &mut Section<'_, InputOptions>) -> Option<Regex> {
        const KEY: &[&str] = &["file_match"];
        // Alone first: what is wrong is shown in its own place.
        section.pattern(KEY, &self.file_match)?;
        let below = self
            .file_match
            .strip_prefix('/')
            .unwrap_or(&self.file_match);
        let whole = section.pattern(KEY, &format!("^(?:{below})$"))?;
        match whole.compile_capturing() {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                section.problem(KEY, error.message());
                None
            }
        }
    }

    fn check_translation(&self, section: &mut Section<'_, InputOptions>) {
        for (name, map) in self.translation.iter() {
            let path = ["translation", name];
            if let [(only, _)] = map.0.as_slice()
                && only.to_lowercase() != MISSING
            {
                section
                    .problem(
                        &path,
                        format!("a map with one entry must have it for `{MISSING}`"),
                    )
                    .help(
                        "a map with other entries must have every text that the capture can match",
                    );
            }
            if BUILT_IN.contains(&name) {
                section.warning(&path, "has no effect: this capture is translated by itself");
            } else if !self.priority.iter().any(|key| bare(key) == name) {
                section
                    .warning(
                        &path,
                        "has no effect: `priority` does not name this capture",
                    )
                    .help("case counts");
            }
        }
    }

    fn priority(
        &self,
        section: &mut Section<'_, InputOptions>,
        groups: &[Option<&str>],
        group: &dyn Fn(&str) -> Option<usize>,
    ) -> Option<Vec<Priority>> {
        let mut priority = Vec::new();
        for (at, key) in self.priority.iter().enumerate() {
            let name = bare(key);
            match group(name) {
                Some(group) => priority.push(Priority {
                    group,
                    ranking: Ranking::of(
                        name,
                        self.translation.get(name).map(|map| map.0.as_slice()),
                    ),
                    descending: key.starts_with('^'),
                }),
                None => {
                    section
                        .problem(
                            &["priority", &at.to_string()],
                            format!("`file_match` has no capture named `{name}`"),
                        )
                        .help(captures(groups));
                }
            }
        }
        (priority.len() == self.priority.len()).then_some(priority)
    }

    fn differentiator(
        &self,
        section: &mut Section<'_, InputOptions>,
        groups: &[Option<&str>],
        group: &dyn Fn(&str) -> Option<usize>,
    ) -> Vec<Part> {
        if self.differentiator.is_empty() {
            return vec![Part::Literal(section.name().to_owned())];
        }
        let mut parts = Vec::new();
        for (at, text) in self.differentiator.iter().enumerate() {
            let part = group(text).map_or_else(|| Part::Literal(text.clone()), Part::Group);
            let near = groups.iter().flatten();
            if let (Part::Literal(_), Some(near)) = (
                &part,
                near.into_iter()
                    .find(|near| near.eq_ignore_ascii_case(text)),
            ) {
                section
                    .warning(
                        &["differentiator", &at.to_string()],
                        format!("stands for itself: the capture is named `{near}`"),
                    )
                    .help("case counts");
            }
            parts.push(part);
        }
        if parts
            .iter()
            .all(|part| *part == Part::Literal(String::new()))
        {
            section.problem(
                &["differentiator"],
                "names nothing: streams would have no name",
            );
        }
        parts
    }
}

/// The name in a key of `priority`.
fn bare(key: &str) -> &str {
    key.strip_prefix('^').unwrap_or(key)
}

/// Which captures there are.
fn captures(groups: &[Option<&str>]) -> String {
    let names: Vec<&str> = groups.iter().flatten().copied().collect();
    if names.is_empty() {
        "it has none; one is written (?P<Name>...)".to_owned()
    } else {
        format!("it has {}", names.join(", "))
    }
}

#[cfg(test)]
mod tests;
