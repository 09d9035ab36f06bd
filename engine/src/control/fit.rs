//! Holds the keys of a section against the schemas of its options: every mistake gets its place.
//!
//! Owns:    `Fit`, which turns written keys into complete options: what was given, over the defaults.
//! Runs on: build time.            Plane: control.
//! Bounds:  the depth of schemas, which types have, not configurations.
//! Never:   stops at the first mistake; knows a plugin.

use serde_json::{Map, Value};

use super::config::{Document, Entry, Item, Written};
use super::problem::{Problem, closest, did_you_mean, is_secret};
use crate::plugin::options::Duration;
use crate::plugin::spec::OptionSet;

pub(crate) mod expected;

use expected::Expected;

/// What unknown keys are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnknownKeys {
    /// Errors.
    Refused,
    /// Warnings: Heka did not look at the keys of such a type.
    Ignored,
}

/// The work on one section.
pub(crate) struct Fit<'a> {
    document: &'a Document,
    problems: &'a mut Vec<Problem>,
    /// How the section is called in messages.
    title: String,
    /// Top-level keys that were complained about; they keep their defaults.
    refused: Vec<String>,
}

/// Properties of one options struct with the values so far.
struct Half {
    properties: Map<String, Value>,
    values: Map<String, Value>,
}

impl Half {
    fn new(set: &OptionSet) -> Half {
        Half {
            properties: expected::properties(&set.schema()),
            values: set.defaults(),
        }
    }
}

impl<'a> Fit<'a> {
    /// For a section; `title` stands in messages ("TcpInput", "[hekad]").
    pub(crate) fn new(
        document: &'a Document,
        problems: &'a mut Vec<Problem>,
        title: impl Into<String>,
    ) -> Self {
        Fit {
            document,
            problems,
            title: title.into(),
            refused: Vec::new(),
        }
    }

    /// Top-level keys that were complained about. Whatever else is wrong with them comes from that.
    pub(crate) fn refused(self) -> Vec<String> {
        self.refused
    }

    /// The complete values of each set. Keys named in `skipped` are somebody else's.
    pub(crate) fn section<const N: usize>(
        &mut self,
        entries: &[Entry],
        sets: [&OptionSet; N],
        skipped: &[&str],
        unknown: UnknownKeys,
    ) -> [Value; N] {
        let mut halves = sets.map(Half::new);
        self.keys(entries, &mut halves, skipped, unknown, "");
        halves.map(|half| Value::Object(half.values))
    }

    fn keys(
        &mut self,
        entries: &[Entry],
        halves: &mut [Half],
        skipped: &[&str],
        unknown: UnknownKeys,
        above: &str,
    ) {
        let mut seen: Vec<(String, &Entry)> = Vec::new();
        for entry in entries {
            if skipped
                .iter()
                .any(|key| key.eq_ignore_ascii_case(&entry.key))
            {
                continue;
            }
            let found = halves.iter().enumerate().find_map(|(half, set)| {
                expected::find(&set.properties, &entry.key).map(|key| (half, key))
            });
            let Some((half, key)) = found else {
                self.unknown_key(entry, halves, skipped, unknown, above);
                continue;
            };
            if let Some((_, first)) = seen.iter().find(|(known, _)| *known == key) {
                let problem = Problem::error(format!("`{}` is given twice", entry.key))
                    .at(self.document.key_place(entry))
                    .also("it is here", self.document.key_place(first));
                self.problems.push(problem);
                continue;
            }
            let schema = halves[half].properties[&key].clone();
            if let Some(why) = schema.get("x-no-effect").and_then(Value::as_str) {
                let problem = Problem::warning(format!("`{above}{key}` has no effect: {why}"));
                self.problems
                    .push(problem.at(self.document.key_place(entry)));
            }
            let default = halves[half].values.get(&key).cloned().unwrap_or_default();
            let first = self.problems.len();
            if let Some(value) =
                self.value(&schema, &default, &entry.item, &format!("{above}{key}"))
            {
                halves[half].values.insert(key.clone(), value);
            }
            if above.is_empty()
                && self.problems[first..]
                    .iter()
                    .any(|problem| !problem.warning)
            {
                self.refused.push(key.clone());
            }
            seen.push((key, entry));
        }
    }

    fn unknown_key(
        &mut self,
        entry: &Entry,
        halves: &[Half],
        skipped: &[&str],
        unknown: UnknownKeys,
        above: &str,
    ) {
        let place = self.document.key_place(entry);
        let known = halves
            .iter()
            .flat_map(|half| half.properties.keys().map(String::as_str));
        let suggestion = did_you_mean(&entry.key, known.chain(skipped.iter().copied()));
        let name = format!("{above}{}", entry.key);
        let problem = match unknown {
            UnknownKeys::Ignored => Problem::warning(format!(
                "`{name}` has no effect: {} has no such option",
                self.title
            )),
            UnknownKeys::Refused => {
                Problem::error(format!("{} has no option `{name}`", self.title))
            }
        };
        let problem = problem.at(place);
        self.problems.push(match suggestion {
            Some(help) => problem.help(help),
            None if above.is_empty() => problem,
            None => {
                let known: Vec<_> = halves
                    .iter()
                    .flat_map(|half| half.properties.keys())
                    .cloned()
                    .collect();
                problem.help(format!(
                    "`{}` takes {}",
                    above.trim_end_matches('.'),
                    known.join(", ")
                ))
            }
        });
    }

    /// The JSON form of a written value that fits the schema; `None` after a complaint.
    fn value(&mut self, schema: &Value, default: &Value, item: &Item, name: &str) -> Option<Value> {
        let expected = Expected::of(schema);
        match (&expected, &item.value) {
            (Expected::Anything, _) => self.anything(item, name),
            (Expected::Struct(properties), Written::Table(entries)) => {
                let values = default.as_object().cloned().unwrap_or_default();
                let mut halves = [Half {
                    properties: properties.clone(),
                    values,
                }];
                self.keys(
                    entries,
                    &mut halves,
                    &[],
                    UnknownKeys::Refused,
                    &format!("{name}."),
                );
                let [Half { properties, values }] = halves;
                let missing = expected::not_given(&properties, &values, entries);
                self.nothing_missing(&missing, item, name)
                    .then_some(Value::Object(values))
            }
            (Expected::Table(schema), Written::Table(entries)) => {
                let pairs = entries.iter().map(|entry| {
                    let default = expected::defaults(schema);
                    let value = self.value(
                        schema,
                        &default,
                        &entry.item,
                        &format!("{name}.{}", entry.key),
                    );
                    value.map(|value| (entry.key.clone(), value))
                });
                let pairs: Vec<_> = pairs.collect();
                pairs
                    .into_iter()
                    .collect::<Option<Map<_, _>>>()
                    .map(Value::Object)
            }
            (Expected::Array(schema), Written::Array(items)) => {
                let values = items
                    .iter()
                    .map(|item| self.value(schema, &Value::Null, item, name));
                let values: Vec<_> = values.collect();
                values
                    .into_iter()
                    .collect::<Option<Vec<_>>>()
                    .map(Value::Array)
            }
            (Expected::Bool, Written::Bool(value)) => Some((*value).into()),
            (Expected::Text, Written::Text(text)) => Some(text.clone().into()),
            (Expected::Duration, Written::Text(text)) => self.duration(text, item, name),
            (Expected::Choice(choices), Written::Text(text)) => {
                self.choice(choices, text, item, name)
            }
            (Expected::Integer { min, max }, Written::Integer(value)) => {
                self.integer(*min, *max, *value, item, name)
            }
            (Expected::Float, Written::Integer(value)) => self.float(*value as f64, item, name),
            (Expected::Float, Written::Float(value)) => self.float(*value, item, name),
            _ => {
                self.wrong_type(&expected, item, name);
                None
            }
        }
    }

    /// Whether a subsection has its required keys.
    fn nothing_missing(&mut self, missing: &[(String, String)], item: &Item, name: &str) -> bool {
        for (key, about) in missing {
            let help = format!("{key}: {about}");
            self.refuse(item, format!("`{name}` lacks `{key}`")).help = Some(help);
        }
        missing.is_empty()
    }

    fn refuse(&mut self, item: &Item, message: String) -> &mut Problem {
        let problem = Problem::error(message).at(self.document.place(item));
        self.problems.push(problem);
        let last = self.problems.len() - 1;
        &mut self.problems[last]
    }

    fn wrong_type(&mut self, expected: &Expected, item: &Item, name: &str) {
        let found = expected::describe(&item.value);
        let help = if is_secret(name) {
            None
        } else {
            expected.help(&item.value)
        };
        let message = format!(
            "`{name}` must be {}, but this is {found}",
            expected.describe()
        );
        self.refuse(item, message).help = help;
    }

    fn duration(&mut self, text: &str, item: &Item, name: &str) -> Option<Value> {
        match text.parse::<Duration>() {
            Ok(_) => Some(text.into()),
            Err(error) => {
                self.refuse(item, format!("`{name}`: {error}"));
                None
            }
        }
    }

    fn choice(&mut self, choices: &[String], text: &str, item: &Item, name: &str) -> Option<Value> {
        if choices.iter().any(|choice| choice == text) {
            return Some(text.into());
        }
        let names = choices
            .iter()
            .map(|choice| format!("\"{choice}\""))
            .collect::<Vec<_>>()
            .join(", ");
        let guess = closest(text, choices.iter().map(String::as_str));
        let help = guess.map(|guess| format!("did you mean \"{guess}\"?"));
        self.refuse(item, format!("`{name}` must be one of {names}"))
            .help = help;
        None
    }

    fn integer(
        &mut self,
        min: i128,
        max: i128,
        value: i128,
        item: &Item,
        name: &str,
    ) -> Option<Value> {
        if (min..=max).contains(&value) {
            let unsigned = u64::try_from(value).map(Value::from);
            return unsigned
                .or_else(|_| i64::try_from(value).map(Value::from))
                .ok();
        }
        let message = match (value < min, min) {
            (true, 0) => format!("`{name}` cannot be negative"),
            (true, min) => format!("`{name}` must be at least {min}"),
            (false, _) => format!("`{name}` must be at most {max}"),
        };
        self.refuse(item, message);
        None
    }

    fn float(&mut self, value: f64, item: &Item, name: &str) -> Option<Value> {
        let number = serde_json::Number::from_f64(value).map(Value::Number);
        if number.is_none() {
            self.refuse(item, format!("`{name}` must be a finite number"));
        }
        number
    }

    fn anything(&mut self, item: &Item, name: &str) -> Option<Value> {
        match &item.value {
            Written::Text(text) | Written::Date(text) => Some(text.clone().into()),
            Written::Integer(value) => {
                self.integer(i64::MIN.into(), i64::MAX.into(), *value, item, name)
            }
            Written::Float(value) => self.float(*value, item, name),
            Written::Bool(value) => Some((*value).into()),
            Written::Array(items) => {
                let values: Vec<_> = items.iter().map(|item| self.anything(item, name)).collect();
                values
                    .into_iter()
                    .collect::<Option<Vec<_>>>()
                    .map(Value::Array)
            }
            Written::Table(entries) => {
                let pairs = entries.iter().map(|entry| {
                    let value = self.anything(&entry.item, &format!("{name}.{}", entry.key));
                    value.map(|value| (entry.key.clone(), value))
                });
                let pairs: Vec<_> = pairs.collect();
                pairs
                    .into_iter()
                    .collect::<Option<Map<_, _>>>()
                    .map(Value::Object)
            }
        }
    }
}

/// The keys of these sets that must be given and are not, each with what it is for.
pub(crate) fn missing(sets: &[(&OptionSet, &Value)], entries: &[Entry]) -> Vec<(String, String)> {
    let mut missing = Vec::new();
    for (set, values) in sets {
        if let Some(values) = values.as_object() {
            missing.extend(expected::not_given(
                &expected::properties(&set.schema()),
                values,
                entries,
            ));
        }
    }
    missing
}

/// The entry for a key of these options, whatever its case or spelling.
pub(crate) fn entry<'e>(entries: &'e [Entry], sets: &[&OptionSet], key: &str) -> Option<&'e Entry> {
    entries.iter().find(|entry| {
        let known =
            |set: &&OptionSet| expected::find(&expected::properties(&set.schema()), &entry.key);
        entry.key.eq_ignore_ascii_case(key)
            || sets
                .iter()
                .find_map(known)
                .is_some_and(|known| known == key)
    })
}

#[cfg(test)]
mod tests;
