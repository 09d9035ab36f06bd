//! The configuration as written: files read, variables put in, TOML parsed, sections found. No meaning yet.
//!
//! Owns:    `Document`, `Source`, `Section`, `Item`; the only place that names the TOML reader.
//! Runs on: build time.            Plane: control.
//! Bounds:  `CONFIG_BYTES_MAX` a file, `CONFIG_FILES_MAX` files; the reader bounds the depth of values.
//! Never:   stops at the first mistake; panics, whatever the text.
//!
//! Positions are ranges of the text that was parsed; `Source::place` turns them into ranges of the text as written.

mod edits;
mod environment;
mod old_toml;
mod quoted;
mod read;

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::problem::{Place, Problem, Problems};
use edits::Edited;
pub(super) use environment::Values;
use environment::{Substituted, Variable};

/// Largest configuration file, bytes. Real ones have a few kilobytes.
pub const CONFIG_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Most files in a configuration folder.
pub const CONFIG_FILES_MAX: usize = 4096;

/// Most errors of syntax, or of variables, that are told of one file.
const SYNTAX_ERRORS_MAX: usize = 100;

/// Name of the section with the daemon's own options.
pub const HEKAD_SECTION: &str = "hekad";

/// Says what a variable of the environment holds.
pub type Variables = Box<dyn Fn(&str) -> Option<String>>;

/// What a configuration takes from outside its files.
pub struct Surroundings {
    /// The value of a variable of the environment.
    pub variable: Variables,
    /// This machine's name, for `hostname` where it is not configured.
    pub hostname: String,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_process() -> Surroundings {
        let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let hostname = match hostname.trim() {
            "" => "localhost",
            name => name,
        };
        Surroundings {
            variable: Box::new(|name| std::env::var(name).ok()),
            hostname: hostname.to_owned(),
        }
    }
}

/// A configuration file.
#[derive(Debug)]
pub struct Source {
    /// Its path as it was given.
    pub name: String,
    /// Its text as written.
    pub written: String,
    /// With the environment's variables.
    substituted: Edited,
    /// These.
    variables: Vec<Variable>,
    /// In TOML 1; this is what was parsed.
    modern: Edited,
}

impl Source {
    /// Where a range of the parsed text stands in the text as written.
    fn written_range(&self, parsed: &Range<usize>) -> Range<usize> {
        self.substituted
            .written(self.modern.written(parsed.clone()))
    }

    /// The variables of the environment that stand in it.
    pub(super) fn variables(&self) -> &[Variable] {
        &self.variables
    }
}

/// A value with its place.
#[derive(Clone, Debug)]
pub struct Item {
    /// The value.
    pub value: Written,
    /// Its bytes in the parsed text.
    span: Range<usize>,
    /// Number of its source.
    file: usize,
}

/// A value as TOML has it.
#[derive(Clone, Debug)]
pub enum Written {
    /// String.
    Text(String),
    /// Integer; beyond 128 bits the nearest that there is.
    Integer(i128),
    /// Float.
    Float(f64),
    /// Boolean.
    Bool(bool),
    /// Date or time, as text.
    Date(String),
    /// Array.
    Array(Vec<Item>),
    /// Table.
    Table(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key as written.
    pub key: String,
    /// Its bytes in the parsed text.
    key_span: Range<usize>,
    /// The value.
    pub item: Item,
}

impl Entry {
    /// A key that nobody has written.
    pub(super) fn unwritten(key: &str, value: Written) -> Entry {
        Entry {
            key: key.to_owned(),
            key_span: 0..0,
            item: Item {
                value,
                span: 0..0,
                file: 0,
            },
        }
    }
}

/// A section: one plugin.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// Where the name stands.
    pub place: Place,
    /// Its keys in order.
    pub entries: Vec<Entry>,
}

/// A configuration as written, of one file or several.
#[derive(Debug)]
pub struct Document {
    /// The files.
    pub sources: Arc<[Source]>,
    /// The plugins' sections, in order of files and lines.
    pub sections: Vec<Section>,
    /// The keys of `[hekad]`; of a key given in several files the last one.
    pub hekad: Vec<Entry>,
    /// This machine's name.
    pub hostname: String,
    /// What works, but hardly as its writer thinks.
    pub warnings: Vec<Problem>,
}

impl Document {
    /// Reads a file, or the `*.toml` files of a folder in the order of their names.
    pub fn load(path: &Path, surroundings: &Surroundings) -> Result<Document, Problems> {
        Document::parse(read::texts(path)?, surroundings)
    }

    /// The text of a file.
    pub fn text(path: &Path) -> Result<String, Box<Problem>> {
        read::text(path)
    }

    /// Parses texts, each with the name under which problems are reported.
    pub fn parse(
        texts: Vec<(String, String)>,
        surroundings: &Surroundings,
    ) -> Result<Document, Problems> {
        let mut problems = Vec::new();
        let sources: Vec<Source> = texts
            .into_iter()
            .enumerate()
            .map(|(file, (name, text))| source(file, name, text, surroundings, &mut problems))
            .collect();
        let sources: Arc<[Source]> = sources.into();
        let warnings = unset(&sources);
        let mut gather = Gather {
            places: HashMap::new(),
            sources: &sources,
            sections: Vec::new(),
            hekad: Vec::new(),
            problems,
        };
        for (file, source) in sources.iter().enumerate() {
            gather.file(file, &source.modern.text);
        }
        let Gather {
            sections,
            hekad,
            mut problems,
            ..
        } = gather;
        if problems.is_empty() {
            Ok(Document {
                sources,
                sections,
                hekad,
                hostname: surroundings.hostname.clone(),
                warnings,
            })
        } else {
            problems.extend(warnings);
            Err(Problems::new(sources, problems))
        }
    }

    /// Where a value stands.
    pub fn place(&self, item: &Item) -> Place {
        Place {
            file: item.file,
            range: self.sources[item.file].written_range(&item.span),
        }
    }

    /// Where a key stands.
    pub fn key_place(&self, entry: &Entry) -> Place {
        let file = entry.item.file;
        Place {
            file,
            range: self.sources[file].written_range(&entry.key_span),
        }
    }

    /// Where some bytes of a text value stand; the whole value if it is no text.
    pub fn place_within(&self, item: &Item, within: &Range<usize>) -> Place {
        let source = &self.sources[item.file];
        let (Written::Text(_), Some(raw)) =
            (&item.value, source.modern.text.get(item.span.clone()))
        else {
            return self.place(item);
        };
        let start = item.span.start + quoted::offset_in_raw(raw, within.start);
        let end = item.span.start + quoted::offset_in_raw(raw, within.end);
        Place {
            file: item.file,
            range: source.written_range(&(start..end.max(start))),
        }
    }
}

fn source(
    file: usize,
    name: String,
    written: String,
    surroundings: &Surroundings,
    problems: &mut Vec<Problem>,
) -> Source {
    let Substituted {
        text: substituted,
        variables,
    } = environment::substitute(&written, &*surroundings.variable).unwrap_or_else(|errors| {
        for error in errors.into_iter().take(SYNTAX_ERRORS_MAX) {
            problems.push(Problem::error(error.message).at(Place {
                file,
                range: error.range,
            }));
        }
        Substituted::default()
    });
    let modern = old_toml::modernise(&substituted.text);
    Source {
        name,
        written,
        substituted,
        variables,
        modern,
    }
}

/// One warning for each variable that is not set, at its first place outside of comments.
fn unset(sources: &[Source]) -> Vec<Problem> {
    let mut told = HashSet::new();
    let mut warnings = Vec::new();
    for (file, source) in sources.iter().enumerate() {
        for variable in &source.variables {
            let name = variable.name.as_str();
            if variable.value.is_none() && !variable.in_comment && told.insert(name) {
                let message = format!(
                    "the environment has no variable `{name}`: nothing stands in its place"
                );
                let range = variable.range.clone();
                warnings.push(
                    Problem::warning(message).at(Place { file, range }).help(
                        "set it where the daemon is started (`Environment=` in a systemd unit)",
                    ),
                );
            }
        }
    }
    warnings
}

struct Gather<'a> {
    sources: &'a [Source],
    /// Where each section's name stands.
    places: HashMap<String, Place>,
    sections: Vec<Section>,
    hekad: Vec<Entry>,
    problems: Vec<Problem>,
}

impl Gather<'_> {
    fn file(&mut self, file: usize, text: &str) {
        let (entries, errors) = read::toml(file, text);
        if !errors.is_empty() {
            self.syntax_errors(file, errors);
            return;
        }
        for entry in entries {
            let place = Place {
                file,
                range: self.sources[file].written_range(&entry.key_span),
            };
            match entry.item.value {
                Written::Table(keys) if entry.key == HEKAD_SECTION => self.merge_hekad(keys),
                Written::Table(entries) => self.section(Section {
                    name: entry.key,
                    place,
                    entries,
                }),
                Written::Array(_) => {
                    let message = format!("`{}` is a list, not a section", entry.key);
                    let help = format!(
                        "a section begins with its name in single brackets: `[{}]`",
                        entry.key
                    );
                    self.problems
                        .push(Problem::error(message).at(place).help(help));
                }
                _ => {
                    let message = format!("`{}` stands outside of any section", entry.key);
                    let help = "begin a section above it: `[name]`, or `[hekad]` for options of the daemon";
                    self.problems
                        .push(Problem::error(message).at(place).help(help));
                }
            }
        }
    }

    fn section(&mut self, section: Section) {
        if let Some(first) = self.places.get(&section.name) {
            let problem =
                Problem::error(format!("a section named `{}` exists already", section.name))
                    .at(section.place)
                    .also("it is here", first.clone())
                    .help("names are unique across all files: rename one of the two");
            self.problems.push(problem);
            return;
        }
        self.places
            .insert(section.name.clone(), section.place.clone());
        self.sections.push(section);
    }

    /// Of a key given before, in an earlier file, the new one counts.
    fn merge_hekad(&mut self, keys: Vec<Entry>) {
        let names: HashSet<_> = keys
            .iter()
            .map(|entry| entry.key.to_ascii_lowercase())
            .collect();
        self.hekad
            .retain(|known| !names.contains(&known.key.to_ascii_lowercase()));
        self.hekad.extend(keys);
    }

    /// One problem a line: a broken line often breaks its own rest as well.
    fn syntax_errors(&mut self, file: usize, errors: Vec<read::SyntaxError>) {
        let source = &self.sources[file];
        let mut last_line = None;
        for error in errors.into_iter().take(SYNTAX_ERRORS_MAX) {
            let range = source.written_range(&error.span);
            let line = source.written[..range.start].matches('\n').count();
            if last_line == Some(line) {
                continue;
            }
            last_line = Some(line);
            let mut problem = Problem::error(error.message).at(Place { file, range });
            problem.help = error.help;
            self.problems.push(problem);
        }
    }
}

#[cfg(test)]
mod tests;
