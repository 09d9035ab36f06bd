//! Names, types and defaults of every plugin against Heka's, as `docs/parity` has them.
//!
//! Owns:    the list of what differs, each with its reason.
//! Runs on: tests.            Plane: control.
//! Bounds:  what the table holds; what is missing from it is printed (`--nocapture`), not refused.
//! Never:   changes a table to fit the code.

use std::collections::BTreeMap;
use std::path::Path;

use engine::control::reference::{self, OptionRow};
use engine::plugin::options::Duration;
use engine::plugin::{Kind, PluginSpec};
use toml::{Table, Value};

/// Options that differ from Heka's, or that Heka did not have.
const DIFFERENT: &[(&str, &str, &str)] = &[
    ("[hekad]", "shards", "ours: cores to work on"),
    ("[hekad]", "shutdown_timeout", "ours: an orderly shutdown has a deadline"),
    ("tls", "sesion_ticket_key", "the misspelled key is taken beside the right one"),
    ("tls", "min_version", "absent instead of empty"),
    ("tls", "max_version", "absent instead of empty"),
];

fn parity(file: &str) -> Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/parity").join(file);
    let text = std::fs::read_to_string(path).expect("the parity table");
    text.parse().expect("it is TOML")
}

fn text<'a>(table: &'a Table, key: &str) -> &'a str {
    table.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn tables<'a>(table: &'a Table, key: &str) -> Vec<&'a Table> {
    let values = table.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    values.iter().filter_map(Value::as_table).collect()
}

/// What Heka has under a name.
#[derive(Clone, Debug)]
struct Wanted {
    kind: String,
    default: String,
    required: bool,
    may_be_required: bool,
}

fn wanted(options: &[&Table]) -> BTreeMap<String, Wanted> {
    let mut wanted = BTreeMap::new();
    for option in options {
        let name = text(option, "name").replace("<name>_<version>", "<name>");
        let default = text(option, "default");
        let required = default == "required";
        let note = text(option, "note");
        wanted.insert(name, Wanted {
            kind: text(option, "type").to_owned(),
            default: if required { String::new() } else { default.to_owned() },
            required,
            may_be_required: note.contains("required"),
        });
    }
    wanted
}

fn same_default(wanted: &Wanted, row: &OptionRow) -> bool {
    let duration = |text: &str| text.parse::<Duration>().ok();
    if wanted.kind == "duration" && duration(&wanted.default) == duration(&row.default) {
        return true;
    }
    wanted.default == row.default
}

/// What is wrong with the rows of one owner.
fn differences(owner: &str, wanted: &BTreeMap<String, Wanted>, rows: &[OptionRow]) -> Vec<String> {
    let known = |name: &str| DIFFERENT.iter().any(|(of, option, _)| *of == owner && *option == name);
    let mut found = Vec::new();
    for (name, wanted) in wanted.iter().filter(|(name, _)| !known(name)) {
        let Some(row) = rows.iter().find(|row| row.name == *name || row.also.contains(name)) else {
            found.push(format!("{owner}: `{name}` is missing"));
            continue;
        };
        if row.kind != wanted.kind {
            found.push(format!("{owner}: `{name}` is {}, Heka's is {}", row.kind, wanted.kind));
        }
        if !same_default(wanted, row) {
            found.push(format!("{owner}: `{name}` has the default {:?}, Heka's is {:?}", row.default, wanted.default));
        }
        let required = row.required && row.default.is_empty();
        if required != wanted.required && !(required && wanted.may_be_required) {
            found.push(format!("{owner}: `{name}` required: {required}, Heka's: {}", wanted.required));
        }
    }
    for row in rows.iter().filter(|row| !known(&row.name)) {
        if !wanted.contains_key(&row.name) && !row.also.iter().any(|name| wanted.contains_key(name)) {
            found.push(format!("{owner}: `{}` is not Heka's", row.name));
        }
    }
    found
}

/// Subsections that have a list of their own in the parity table.
const SUBSECTIONS: [&str; 3] = ["retries", "buffering", "tls"];

/// The rows below a subsection, without its name.
fn below(rows: &[OptionRow], subsection: &str) -> Vec<OptionRow> {
    let prefix = format!("{subsection}.");
    let below = rows.iter().filter_map(|row| {
        let name = row.name.strip_prefix(&prefix)?.to_owned();
        Some(OptionRow { name, ..row.clone() })
    });
    below.collect()
}

fn common<'a>(parity: &'a Table, kind: &str) -> Vec<&'a Table> {
    let of_kind = tables(parity, "common").into_iter().filter(|table| text(table, "kind") == kind);
    of_kind.flat_map(|table| tables(table, "option")).collect()
}

fn plugin_differences(parity: &Table, spec: &PluginSpec) -> Vec<String> {
    let Some(plugin) = tables(parity, "plugin").into_iter().find(|plugin| text(plugin, "name") == spec.name) else {
        return vec![format!("{} is not Heka's", spec.name)];
    };
    let mut found = Vec::new();
    let kind = spec.kind.name().to_lowercase();
    if text(plugin, "kind") != kind {
        found.push(format!("{} is {kind}, Heka's is {}", spec.name, text(plugin, "kind")));
    }
    let mut options = common(parity, &kind);
    options.extend(tables(plugin, "option"));
    let mut rows = reference::rows(&spec.own);
    rows.extend(reference::rows(&spec.common));
    for subsection in SUBSECTIONS {
        let below = below(&rows, subsection);
        if below.is_empty() {
            continue;
        }
        let own_defaults = DIFFERENT.iter().filter(|(of, _, _)| *of == spec.name).map(|(_, option, _)| *option);
        let own_defaults: Vec<_> = own_defaults.filter_map(|name| name.strip_prefix(subsection)?.strip_prefix('.')).collect();
        let (differing, same): (Vec<_>, Vec<_>) =
            below.into_iter().partition(|row| own_defaults.contains(&row.name.as_str()));
        let mut wanted = wanted(&common(parity, subsection));
        wanted.retain(|name, _| !differing.iter().any(|row| row.name == *name));
        found.extend(differences(subsection, &wanted, &same).into_iter().map(|text| format!("{}: {text}", spec.name)));
    }
    rows.retain(|row| !SUBSECTIONS.iter().any(|subsection| row.name.starts_with(&format!("{subsection}."))));
    found.extend(differences(spec.name, &wanted(&options), &rows));
    found
}

#[test]
fn every_plugin_has_hekas_names_and_defaults() {
    let parity = parity("plugins.toml");
    let found: Vec<_> = plugins::ALL.iter().flat_map(|spec| plugin_differences(&parity, spec)).collect();
    assert!(found.is_empty(), "add a line with its reason to DIFFERENT, or mend:\n{}", found.join("\n"));
    let missing = tables(&parity, "plugin");
    let missing = missing.iter().filter(|plugin| !plugins::ALL.iter().any(|spec| spec.name == text(plugin, "name")));
    let missing: Vec<_> = missing.map(|plugin| format!("{} ({})", text(plugin, "name"), text(plugin, "impl"))).collect();
    println!("{} of Heka's plugins are not there yet:\n{}", missing.len(), missing.join("\n"));
}

#[test]
fn the_hekad_section_has_hekas_names_and_defaults() {
    let parity = parity("hekad.toml");
    let hekad = parity.get("hekad").and_then(Value::as_table).expect("[hekad]");
    let found = differences("[hekad]", &wanted(&tables(hekad, "option")), &reference::hekad_rows());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn what_is_said_to_differ_exists() {
    let owners: Vec<_> = plugins::ALL.iter().map(|spec| spec.name).chain(SUBSECTIONS).chain(["[hekad]"]).collect();
    for (owner, option, reason) in DIFFERENT {
        assert!(owners.contains(owner) && !reason.is_empty(), "{owner} {option}");
    }
}

#[test]
fn the_table_is_consistent() {
    for (index, spec) in plugins::ALL.iter().enumerate() {
        assert_eq!(Kind::of_type(spec.name), Some(spec.kind), "{} ends in its kind", spec.name);
        assert!(plugins::ALL[..index].iter().all(|other| other.name != spec.name), "{} is there twice", spec.name);
        assert!(!spec.about.is_empty() && !spec.about.contains('\n'), "{} says what it is in a line", spec.name);
        let common = reference::rows(&spec.common);
        for row in reference::rows(&spec.own) {
            assert!(common.iter().all(|other| other.name != row.name), "{}: `{}` is a common option", spec.name, row.name);
            assert!(!row.about.is_empty(), "{}: `{}` has no description", spec.name, row.name);
        }
        let mut kinds = plugins::ALL[..index].iter().map(|other| other.kind);
        assert!(kinds.all(|kind| kind <= spec.kind), "{}: the table is ordered by kind", spec.name);
    }
}
