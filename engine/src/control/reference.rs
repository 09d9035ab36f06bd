//! The plugin table for people and programs: text, JSON, JSON Schema, pages.
//!
//! Owns:    `OptionRow` and the four renderings of it.
//! Runs on: on demand.            Plane: control.
//! Bounds:  the table's length.
//! Never:   holds text about a plugin; it all comes from the table and its option structs.

mod page;

use std::fmt::Write;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::config::HEKAD_SECTION;
use super::fit::expected::{self, Expected};
use super::plan::HEKAD;
use crate::plugin::spec::OptionSet;
use crate::plugin::{Kind, PluginSpec};

pub use page::{index_page, page, pages};

/// An option as the reference shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OptionRow {
    /// Name; of a subsection's option with the subsection's name before it.
    pub name: String,
    /// Type, in Heka's words.
    #[serde(rename = "type")]
    pub kind: String,
    /// Default as text; empty for none.
    pub default: String,
    /// What it does.
    pub about: String,
    /// The values it takes, if they are few.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// Whether it must be given.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// Other spellings that are taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// Why it has no effect, if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_effect: Option<String>,
}

/// The options of `[hekad]`.
pub fn hekad_rows() -> Vec<OptionRow> {
    rows(&HEKAD)
}

/// The options of a set, those of subsections behind their subsection.
pub fn rows(set: &OptionSet) -> Vec<OptionRow> {
    let mut rows = Vec::new();
    add_rows(
        &expected::properties(&set.schema()),
        &set.defaults(),
        "",
        &mut rows,
    );
    rows
}

fn add_rows(
    properties: &Map<String, Value>,
    defaults: &Map<String, Value>,
    above: &str,
    rows: &mut Vec<OptionRow>,
) {
    for (name, schema) in properties {
        let default = defaults.get(name);
        rows.push(row(format!("{above}{name}"), schema, default));
        match Expected::of(schema) {
            Expected::Struct(inner) => {
                let inner_defaults = default
                    .and_then(Value::as_object)
                    .cloned()
                    .unwrap_or_default();
                add_rows(&inner, &inner_defaults, &format!("{above}{name}."), rows);
            }
            Expected::Table(values) => {
                let inner = expected::properties(&values);
                let inner_defaults = expected::defaults(&values);
                let inner_defaults = inner_defaults.as_object().cloned().unwrap_or_default();
                add_rows(
                    &inner,
                    &inner_defaults,
                    &format!("{above}{name}.<name>."),
                    rows,
                );
            }
            _ => {}
        }
    }
}

fn row(name: String, schema: &Value, default: Option<&Value>) -> OptionRow {
    let text = |key: &str| schema.get(key).and_then(Value::as_str).map(str::to_owned);
    let default =
        text("x-default").unwrap_or_else(|| default.map(default_text).unwrap_or_default());
    let also = schema
        .get("x-also")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    OptionRow {
        name,
        kind: Expected::of(schema).word(),
        default,
        about: text("description").unwrap_or_default().replace('\n', " "),
        values: expected::choices(schema).unwrap_or_default(),
        required: expected::is_required(schema),
        also: also
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        no_effect: text("x-no-effect"),
    }
}

fn default_text(value: &Value) -> String {
    match value {
        Value::Null | Value::Object(_) => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A default within a line: control characters written as in TOML.
fn shown(default: &str) -> String {
    default
        .escape_debug()
        .to_string()
        .replace("\\'", "'")
        .replace("\\\"", "\"")
}

/// The table, a line a plugin, for a terminal.
pub fn list(specs: &[PluginSpec]) -> String {
    let width = specs.iter().map(|spec| spec.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for kind in Kind::ALL {
        let of_kind: Vec<_> = specs.iter().filter(|spec| spec.kind == kind).collect();
        if !of_kind.is_empty() {
            let _ = writeln!(text, "{}s", kind.name());
        }
        for spec in of_kind {
            let _ = writeln!(text, "  {:width$}  {}", spec.name, spec.about);
        }
    }
    text
}

/// A plugin with its options, for a terminal.
pub fn text(spec: &PluginSpec) -> String {
    let mut text = format!("{}: {}\n", spec.name, spec.about);
    for note in spec.notes {
        let _ = writeln!(text, "\n{note}");
    }
    let common = rows(&spec.common);
    for (title, rows) in [
        ("Options", rows(&spec.own)),
        (common_title(spec.kind), common),
    ] {
        if rows.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n{title}:");
        add_text_rows(&mut text, &rows);
    }
    text
}

/// The options of `[hekad]`, for a terminal.
pub fn hekad_text() -> String {
    let mut text = "[hekad]: options of the daemon\n\n".to_owned();
    add_text_rows(&mut text, &hekad_rows());
    text
}

fn add_text_rows(text: &mut String, rows: &[OptionRow]) {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    for row in rows {
        let _ = writeln!(
            text,
            "  {:width$}  {:8}  {}",
            row.name,
            row.kind,
            remarks(row)
        );
    }
}

/// The plugin that a mistyped name most likely means.
pub fn closest(name: &str, specs: &[PluginSpec]) -> Option<&'static str> {
    super::problem::closest(name, specs.iter().map(|spec| spec.name))
}

/// What is said behind name and type.
fn remarks(row: &OptionRow) -> String {
    let mut text = row.about.clone();
    if row.required {
        text.push_str(" (required)");
    } else if !row.default.is_empty() {
        let _ = write!(text, " (default {})", shown(&row.default));
    }
    if !row.values.is_empty() {
        let _ = write!(text, "; one of {}", row.values.join(", "));
    }
    if !row.also.is_empty() {
        let _ = write!(text, "; also as {}", row.also.join(", "));
    }
    if let Some(why) = &row.no_effect {
        let _ = write!(text, "; no effect: {why}");
    }
    text
}

fn common_title(kind: Kind) -> &'static str {
    match kind {
        Kind::Input => "Options of every input",
        Kind::Splitter => "Options of every splitter",
        Kind::Decoder => "Options of every decoder",
        Kind::Filter => "Options of every filter",
        Kind::Encoder => "Options of every encoder",
        Kind::Output => "Options of every output",
    }
}

/// A plugin as JSON.
pub fn json(spec: &PluginSpec) -> Value {
    json!({
        "name": spec.name,
        "kind": spec.kind.name().to_lowercase(),
        "about": spec.about,
        "notes": spec.notes,
        "needs_section": !spec.auto,
        "options": rows(&spec.own),
        "common_options": rows(&spec.common),
    })
}

/// The options of `[hekad]` as JSON.
pub fn hekad_json() -> Value {
    json!({ "name": HEKAD_SECTION, "options": hekad_rows() })
}

/// JSON Schema of a whole configuration. It cannot say that keys may be written in any case.
pub fn schema(specs: &[PluginSpec]) -> Value {
    let mut sections = Map::new();
    sections.insert(HEKAD_SECTION.to_owned(), strict(&HEKAD.schema()));
    let mut kinds = Vec::new();
    for spec in specs {
        let named = section_schema(spec, false);
        sections.insert(spec.name.to_owned(), named);
        kinds.push(section_schema(spec, true));
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "hekad configuration",
        "type": "object",
        "properties": sections,
        "additionalProperties": { "oneOf": kinds },
    })
}

fn section_schema(spec: &PluginSpec, typed: bool) -> Value {
    let mut properties = Map::new();
    let of_type = json!({ "const": spec.name, "description": "Plugin type" });
    properties.insert("type".to_owned(), of_type);
    let mut required: Vec<Value> = if typed {
        vec!["type".into()]
    } else {
        Vec::new()
    };
    for set in [&spec.own, &spec.common] {
        let defaults = set.defaults();
        let Value::Object(all) = strict(&set.schema())
            .get("properties")
            .cloned()
            .unwrap_or_default()
        else {
            continue;
        };
        for (name, mut schema) in all {
            let default = defaults.get(&name).cloned().unwrap_or_default();
            if expected::is_required(&schema) && default_text(&default).is_empty() {
                required.push(name.clone().into());
            }
            schema["default"] = default;
            properties.insert(name, schema);
        }
    }
    json!({
        "title": spec.name,
        "description": spec.about,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": spec.any_key,
    })
}

/// The schema of a struct, with `required` where the marks say so.
fn strict(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(map) = schema.as_object_mut() {
        map.remove("title");
        map.remove("description");
    }
    schema
}

#[cfg(test)]
mod tests;
