//! Which files are one stream, and in which order they were written: all that names say.
//!
//! Owns:    `Sorting` (pattern, translation, priority, differentiators), `LogFile`, `arrange`.
//! Runs on: made at build time; asked on the input's scanning thread.            Plane: data.
//! Bounds:  `FILES_MAX` files a stream, `STREAMS_MAX` streams.
//! Never:   touches the file system.

use std::collections::{BTreeMap, HashMap};

use engine::io::FileState;
use regex_automata::meta::Regex;
use regex_automata::util::captures::Captures;

/// Files of one stream.
pub(super) const FILES_MAX: usize = 16 * 1024;

/// Streams of one input.
pub(super) const STREAMS_MAX: usize = 16 * 1024;

/// What is added to the name of a file that is compressed.
const COMPRESSED: &str = ".gz";

/// How a capture's value is called that is not there.
pub(super) const MISSING: &str = "missing";

/// What a capture that is not there counts as, unless the translation says otherwise.
const MISSING_RANK: i64 = -1;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

const DAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// How the text of a capture becomes a number to sort by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ranking {
    /// The name of a month.
    Month,
    /// The name of a day.
    Day,
    /// Digits; other texts are -1.
    Number {
        /// What no text is.
        missing: i64,
    },
    /// A table, by lower-case text, which has to have every value that is met.
    Table {
        /// The capture's name, for the message.
        name: String,
        /// Its values.
        ranks: HashMap<String, i64>,
    },
}

impl Ranking {
    /// That of a capture, by its name and its translation map.
    pub(super) fn of(name: &str, translation: Option<&[(String, i64)]>) -> Ranking {
        match name {
            "MonthName" => return Ranking::Month,
            "DayName" => return Ranking::Day,
            _ => {}
        }
        match translation {
            None | Some([]) => Ranking::Number {
                missing: MISSING_RANK,
            },
            Some([(_, missing)]) => Ranking::Number { missing: *missing },
            Some(pairs) => Ranking::Table {
                name: name.to_owned(),
                ranks: pairs
                    .iter()
                    .map(|(text, rank)| (text.to_lowercase(), *rank))
                    .collect(),
            },
        }
    }

    /// The number of a text; nothing where the capture took no part, or matched nothing.
    fn rank(&self, text: &str) -> Result<i64, String> {
        let shown = if text.is_empty() { MISSING } else { text };
        match self {
            Ranking::Month => named(&MONTHS, shown)
                .map(|at| at + 1)
                .ok_or_else(|| format!("`{shown}` is no name of a month")),
            Ranking::Day => {
                named(&DAYS, shown).ok_or_else(|| format!("`{shown}` is no name of a day"))
            }
            Ranking::Number { missing } if text.is_empty() => Ok(*missing),
            Ranking::Number { .. } if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                Ok(text.parse().unwrap_or(i64::MAX))
            }
            // Heka asks the map for the word itself too.
            Ranking::Number { missing } if text.eq_ignore_ascii_case(MISSING) => Ok(*missing),
            Ranking::Number { .. } => Ok(MISSING_RANK),
            Ranking::Table { name, ranks } => ranks
                .get(&shown.to_lowercase())
                .copied()
                .ok_or_else(|| format!("`{shown}` is not in the translation map `{name}`")),
        }
    }
}

/// The place of an English name, whole or by its first three letters.
fn named(names: &[&str], text: &str) -> Option<i64> {
    let text = text.to_lowercase();
    let is_it = |name: &&str| **name == text || name[..3] == text;
    names.iter().position(is_it).map(|at| at as i64)
}

/// One thing to sort by, the most telling first.
#[derive(Clone, Debug)]
pub(super) struct Priority {
    /// The group of the pattern.
    pub(super) group: usize,
    /// What its text counts.
    pub(super) ranking: Ranking,
    /// The larger, the older.
    pub(super) descending: bool,
}

/// A part of a stream's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// As written.
    Literal(String),
    /// What this group of the pattern captured.
    Group(usize),
}

/// What names of files say, by the configuration.
#[derive(Clone, Debug)]
pub(super) struct Sorting {
    /// Matches a path below the folder from end to end.
    pub(super) pattern: Regex,
    /// What files of a stream are sorted by; nothing where a stream is one file.
    pub(super) priority: Vec<Priority>,
    /// What a stream's name is made of.
    pub(super) differentiator: Vec<Part>,
}

/// Where a file belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The stream.
    pub(super) stream: String,
    /// Its place there: ascending, oldest first.
    pub(super) key: Vec<i64>,
}

impl Sorting {
    /// The name of the stream, if whatever is found belongs to one.
    pub(super) fn only_stream(&self) -> Option<String> {
        let parts = self.differentiator.iter();
        parts
            .map(|part| match part {
                Part::Literal(text) => Some(text.as_str()),
                Part::Group(_) => None,
            })
            .collect()
    }

    /// Whether a path below the folder is of interest.
    pub(super) fn matches(&self, path: &str) -> bool {
        self.pattern.is_match(path)
    }

    /// Where a file belongs, by its path below the folder; `None` if it is of no interest, an error if it cannot be said.
    pub(super) fn place(&self, path: &str) -> Option<Result<Place, String>> {
        let mut captures = self.pattern.create_captures();
        self.pattern.captures(path, &mut captures);
        captures.is_match().then(|| self.place_of(path, &captures))
    }

    fn place_of(&self, path: &str, captures: &Captures) -> Result<Place, String> {
        let text = |group: usize| {
            let span = captures.get_group(group);
            span.and_then(|span| path.get(span.range()))
                .unwrap_or_default()
        };
        let key = self.priority.iter().map(|priority| {
            let rank = priority.ranking.rank(text(priority.group))?;
            Ok(if priority.descending { !rank } else { rank })
        });
        let key = key.collect::<Result<Vec<i64>, String>>()?;
        let stream: String = self
            .differentiator
            .iter()
            .map(|part| match part {
                Part::Literal(literal) => literal.as_str(),
                Part::Group(group) => text(*group),
            })
            .collect();
        if stream.is_empty() {
            return Err("its stream would have no name: `differentiator` captured nothing".into());
        }
        Ok(Place { stream, key })
    }
}

/// A file of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogFile {
    /// Its path from the root of the system.
    pub(super) path: String,
    /// Its place in the stream.
    pub(super) key: Vec<i64>,
    /// What it was when the folder was scanned.
    pub(super) state: FileState,
    /// The path is a symbolic link.
    pub(super) link: bool,
    /// It has not been written to for longer than `oldest_duration`.
    pub(super) old: bool,
}

/// Streams by name, their files oldest first.
#[derive(Debug, Default)]
pub(super) struct Arranged {
    /// The streams.
    pub(super) streams: BTreeMap<String, Vec<LogFile>>,
    /// What is wrong, and what becomes of it.
    pub(super) problems: Vec<String>,
    /// Streams that cannot be read now because their order is not known.
    pub(super) unordered: Vec<String>,
}

/// Sorts files into streams. `sorted` says that there is something to sort by.
pub(super) fn arrange(files: Vec<(String, LogFile)>, sorted: bool) -> Arranged {
    let mut arranged = Arranged::default();
    for (stream, file) in files {
        if !arranged.streams.contains_key(&stream) && arranged.streams.len() == STREAMS_MAX {
            arranged.problems.push(format!(
                "{}: not read, because there are {STREAMS_MAX} streams already; a narrower `file_match` or several inputs help",
                file.path
            ));
            continue;
        }
        arranged.streams.entry(stream).or_default().push(file);
    }
    let Arranged {
        streams,
        problems,
        unordered,
    } = &mut arranged;
    streams.retain(|name, files| {
        // The path decides what nothing else does, so that the order is always the same.
        files.sort_by(|a, b| a.key.cmp(&b.key).then_with(|| a.path.cmp(&b.path)));
        keep_one_name(files);
        drop_compressed_copies(files);
        if files.len() > 1 && !sorted {
            problems.push(format!(
                "stream {name} has several files and no `priority` to sort them by; it is not read: {}",
                some_paths(files)
            ));
            unordered.push(name.clone());
            return false;
        }
        if files.len() > FILES_MAX {
            let left = files.len() - FILES_MAX;
            problems.push(format!(
                "stream {name} has more than {FILES_MAX} files; the oldest {left} are not read"
            ));
            files.drain(..left);
        }
        true
    });
    arranged
}

/// Of a file with several names, keeps one: rather its own than a link, rather a newer than an older one.
fn keep_one_name(files: &mut Vec<LogFile>) {
    let mut kept: HashMap<_, (usize, bool)> = HashMap::with_capacity(files.len());
    for (at, file) in files.iter().enumerate() {
        let better = kept
            .get(&file.state.identity)
            .is_none_or(|&(_, link)| link || !file.link);
        if better {
            kept.insert(file.state.identity, (at, file.link));
        }
    }
    let mut at = 0;
    files.retain(|file| {
        let keep = kept
            .get(&file.state.identity)
            .is_some_and(|kept| kept.0 == at);
        at += 1;
        keep
    });
}

/// Drops the compressed form of a file that is there as well, in the same place: it is just being made.
fn drop_compressed_copies(files: &mut Vec<LogFile>) {
    if !files.iter().any(|file| file.path.ends_with(COMPRESSED)) {
        return;
    }
    let places: HashMap<String, Vec<i64>> = files
        .iter()
        .map(|file| (format!("{}{COMPRESSED}", file.path), file.key.clone()))
        .collect();
    files.retain(|file| places.get(&file.path) != Some(&file.key));
}

/// The first few paths of a stream.
fn some_paths(files: &[LogFile]) -> String {
    const SHOWN: usize = 4;
    let mut text: Vec<&str> = files.iter().map(|file| &*file.path).take(SHOWN).collect();
    if files.len() > SHOWN {
        text.push("...");
    }
    text.join(", ")
}

#[cfg(test)]
mod tests;
