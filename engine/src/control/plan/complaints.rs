//! From a plugin's complaint about a key to a problem with a place in a file.
//!
//! Owns:    the way down a path of keys.
//! Runs on: build time.            Plane: control.
//! Bounds:  the path's length.
//! Never:   fails: what is not written is shown at the nearest thing that is.

use serde_json::{Map, Value};

use super::super::config::{Document, Item, Section, Written};
use super::super::fit::expected;
use super::super::problem::{Place, Problem};
use crate::plugin::{Complaint, PluginSpec};

/// The problem that a complaint about a section is.
pub(super) fn problem(
    document: &Document,
    section: &Section,
    spec: &PluginSpec,
    complaint: Complaint,
) -> Problem {
    let mut place = section.place.clone();
    if let Some(target) = find(document, section, spec, &complaint.path) {
        place = match (&target, &complaint.within) {
            (Target::Value(item), Some(within)) => document.place_within(item, within),
            (Target::Value(item), None) => document.place(item),
            (Target::Above(place), _) => place.clone(),
        };
    }
    let message = titled(&complaint.path, complaint.message);
    Problem {
        warning: complaint.warning,
        help: complaint.help,
        ..Problem::error(message)
    }
    .at(place)
}

/// The message with the key that it is about, unless it names the key itself.
fn titled(path: &[String], message: String) -> String {
    let words = path.iter().filter(|key| key.parse::<usize>().is_err());
    match words.clone().next_back() {
        Some(key) if !message.contains(&format!("`{key}`")) => {
            let words: Vec<_> = words.map(String::as_str).collect();
            format!("`{}`: {message}", words.join("."))
        }
        _ => message,
    }
}

/// Where the value of a top-level key stands, or else the section's name.
pub(super) fn place_of(
    document: &Document,
    section: &Section,
    spec: &PluginSpec,
    path: &[&str],
) -> Place {
    let path: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
    match find(document, section, spec, &path) {
        Some(Target::Value(item)) => document.place(item),
        Some(Target::Above(place)) => place,
        None => section.place.clone(),
    }
}

/// Whether a top-level key is written.
pub(super) fn is_written(
    document: &Document,
    section: &Section,
    spec: &PluginSpec,
    key: &str,
) -> bool {
    matches!(
        find(document, section, spec, &[key.to_owned()]),
        Some(Target::Value(_))
    )
}

enum Target<'a> {
    Value(&'a Item),
    Above(Place),
}

fn find<'a>(
    document: &Document,
    section: &'a Section,
    spec: &PluginSpec,
    path: &[String],
) -> Option<Target<'a>> {
    let mut properties = expected::properties(&spec.own.schema());
    properties.extend(expected::properties(&spec.common.schema()));
    let mut entries = section.entries.as_slice();
    let mut items: &[Item] = &[];
    let mut found = None;
    for key in path {
        let (item, place) =
            if let Some(item) = key.parse().ok().and_then(|index: usize| items.get(index)) {
                (item, document.place(item))
            } else if let Some(entry) = entries
                .iter()
                .find(|entry| means(&properties, &entry.key, key))
            {
                (&entry.item, document.key_place(entry))
            } else {
                return found.map(|(_, place)| Target::Above(place));
            };
        properties = properties
            .get(key)
            .map(expected::properties)
            .unwrap_or_default();
        (entries, items) = match &item.value {
            Written::Table(entries) => (entries.as_slice(), &[][..]),
            Written::Array(items) => (&[][..], items.as_slice()),
            _ => (&[][..], &[][..]),
        };
        found = Some((item, place));
    }
    found.map(|(item, _)| Target::Value(item))
}

fn means(properties: &Map<String, Value>, written: &str, key: &str) -> bool {
    written.eq_ignore_ascii_case(key)
        || expected::find(properties, written).is_some_and(|known| known == key)
}
