//! What a schema asks for, in the few shapes that option types have.
//!
//! Owns:    the reading of the schemas that `plugin::spec` makes, and the words for types.
//! Runs on: build time.            Plane: control.
//! Bounds:  schemas come from types of this program, never from a file.
//! Never:   follows references; there are none.

use serde_json::{Map, Value};

use super::super::config::{Entry, Written};

/// The shape of an option.
pub(crate) enum Expected {
    Anything,
    Bool,
    Text,
    Duration,
    Float,
    Integer { min: i128, max: i128 },
    Choice(Vec<String>),
    Array(Value),
    Table(Value),
    Struct(Map<String, Value>),
}

impl Expected {
    pub(crate) fn of(schema: &Value) -> Expected {
        let schema = without_null(schema);
        if let Some(choices) = choices(schema) {
            return Expected::Choice(choices);
        }
        let format = schema
            .get("format")
            .and_then(Value::as_str)
            .unwrap_or_default();
        match type_name(schema) {
            "boolean" => Expected::Bool,
            "string" if format == "go-duration" => Expected::Duration,
            "string" => Expected::Text,
            "number" => Expected::Float,
            "integer" => integer(schema, format),
            "array" => Expected::Array(schema.get("items").cloned().unwrap_or(Value::Bool(true))),
            "object" => match schema.get("additionalProperties") {
                Some(values) if *values != Value::Bool(false) => Expected::Table(values.clone()),
                _ => Expected::Struct(properties(schema)),
            },
            _ => Expected::Anything,
        }
    }

    /// For a sentence: "must be ...".
    pub(crate) fn describe(&self) -> String {
        match self {
            Expected::Anything => "a value".to_owned(),
            Expected::Bool => "true or false".to_owned(),
            Expected::Text => "a string".to_owned(),
            Expected::Duration => "a duration such as \"30s\" or \"1h30m\"".to_owned(),
            Expected::Float => "a number".to_owned(),
            Expected::Integer { .. } => "an integer".to_owned(),
            Expected::Choice(choices) => format!("one of \"{}\"", choices.join("\", \"")),
            Expected::Array(items) => format!(
                "an array, each of its values {}",
                Expected::of(items).describe()
            ),
            Expected::Table(_) | Expected::Struct(_) => "a table".to_owned(),
        }
    }

    /// One word for references: Heka's names of types.
    pub(crate) fn word(&self) -> String {
        match self {
            Expected::Anything => "any".to_owned(),
            Expected::Bool => "bool".to_owned(),
            Expected::Text | Expected::Choice(_) => "string".to_owned(),
            Expected::Duration => "duration".to_owned(),
            Expected::Float => "float".to_owned(),
            Expected::Integer { min: 0.., .. } => "uint".to_owned(),
            Expected::Integer { .. } => "int".to_owned(),
            Expected::Array(items) => format!("{}s", Expected::of(items).word()),
            Expected::Table(_) | Expected::Struct(_) => "table".to_owned(),
        }
    }

    /// How the value would be right, where that is evident.
    pub(crate) fn help(&self, found: &Written) -> Option<String> {
        let unquoted =
            |text: &str, fits: bool| fits.then(|| format!("write it without quotes: {text}"));
        match (self, found) {
            (Expected::Bool, Written::Text(text)) => {
                unquoted(text, text == "true" || text == "false")
            }
            (Expected::Integer { .. }, Written::Text(text)) => {
                unquoted(text, text.parse::<i64>().is_ok())
            }
            (Expected::Float, Written::Text(text)) => unquoted(text, text.parse::<f64>().is_ok()),
            (Expected::Text, Written::Integer(value)) => {
                Some(format!("write it in quotes: \"{value}\""))
            }
            (Expected::Text, Written::Float(value)) => {
                Some(format!("write it in quotes: \"{value}\""))
            }
            (Expected::Text, Written::Bool(value)) => {
                Some(format!("write it in quotes: \"{value}\""))
            }
            (Expected::Duration, Written::Integer(value)) => {
                Some(format!("if you mean seconds: \"{value}s\""))
            }
            (Expected::Array(_), Written::Text(_) | Written::Integer(_)) => {
                Some("put it in brackets: [ ]".to_owned())
            }
            _ => None,
        }
    }
}

/// A written value's type, for a sentence.
pub(crate) fn describe(value: &Written) -> &'static str {
    match value {
        Written::Text(_) => "a string",
        Written::Integer(_) => "an integer",
        Written::Float(_) => "a number with a fraction",
        Written::Bool(true) => "true",
        Written::Bool(false) => "false",
        Written::Date(_) => "a date",
        Written::Array(_) => "an array",
        Written::Table(_) => "a table",
    }
}

/// The properties of a struct's schema.
pub(crate) fn properties(schema: &Value) -> Map<String, Value> {
    schema
        .get("properties")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default()
}

/// The property that a written key means: its name in any case, or another spelling.
pub(crate) fn find(properties: &Map<String, Value>, written: &str) -> Option<String> {
    let also = |schema: &Value| {
        let names = schema.get("x-also").and_then(Value::as_array);
        names.is_some_and(|names| {
            names
                .iter()
                .filter_map(Value::as_str)
                .any(|name| name.eq_ignore_ascii_case(written))
        })
    };
    let found = properties
        .iter()
        .find(|(name, schema)| name.eq_ignore_ascii_case(written) || also(schema));
    found.map(|(name, _)| name.clone())
}

/// Defaults of the properties of a struct's schema.
pub(crate) fn defaults(schema: &Value) -> Value {
    let defaults = properties(schema)
        .into_iter()
        .filter_map(|(key, schema)| Some((key, schema.get("default")?.clone())));
    Value::Object(defaults.collect())
}

/// Whether the option must be given.
pub(crate) fn is_required(schema: &Value) -> bool {
    schema.get("x-required") == Some(&Value::Bool(true))
}

/// Whether the option must be given and is not. Where it may be absent by its type, an empty value is a value.
fn is_missing(schema: &Value, value: Option<&Value>) -> bool {
    let empty = match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.trim().is_empty() && !is_nullable(schema),
        Some(Value::Array(values)) => values.is_empty() && !is_nullable(schema),
        Some(Value::Object(values)) => values.is_empty() && !is_nullable(schema),
        Some(_) => false,
    };
    is_required(schema) && empty
}

/// The required options that are not given, each with what it is for. What is given in a wrong way is another mistake.
pub(crate) fn not_given(
    properties: &Map<String, Value>,
    values: &Map<String, Value>,
    entries: &[Entry],
) -> Vec<(String, String)> {
    let says_something = |entry: &Entry| match &entry.item.value {
        Written::Text(text) => !text.trim().is_empty(),
        Written::Array(items) => !items.is_empty(),
        Written::Table(entries) => !entries.is_empty(),
        _ => true,
    };
    let given = |key: &str| {
        let mut entries = entries
            .iter()
            .filter(|entry| find(properties, &entry.key).is_some_and(|known| known == key));
        entries.any(says_something)
    };
    let missing = properties
        .iter()
        .filter(|(key, schema)| is_missing(schema, values.get(*key)) && !given(key));
    let about = |schema: &Value| {
        schema
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    missing
        .map(|(key, schema)| (key.clone(), about(schema)))
        .collect()
}

fn is_nullable(schema: &Value) -> bool {
    let types = schema.get("type").and_then(Value::as_array);
    schema.get("anyOf").is_some()
        || types.is_some_and(|types| types.iter().any(|name| name == "null"))
}

/// The values that a schema lists, if it lists some.
pub(crate) fn choices(schema: &Value) -> Option<Vec<String>> {
    let schema = without_null(schema);
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return Some(
            values
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
        );
    }
    let variants = schema.get("oneOf").and_then(Value::as_array)?;
    let values = variants.iter().map(|variant| {
        variant
            .get("const")
            .and_then(Value::as_str)
            .map(str::to_owned)
    });
    values.collect()
}

/// The schema of what is there, of an option that may be absent.
fn without_null(schema: &Value) -> &Value {
    let variants = schema
        .get("anyOf")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    variants
        .iter()
        .find(|variant| type_name(variant) != "null")
        .unwrap_or(schema)
}

fn type_name(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(name)) => name,
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(Value::as_str)
            .find(|name| *name != "null")
            .unwrap_or(""),
        _ => "",
    }
}

fn integer(schema: &Value, format: &str) -> Expected {
    let (min, max): (i128, i128) = match format {
        "uint8" => (0, u8::MAX.into()),
        "uint16" => (0, u16::MAX.into()),
        "uint32" => (0, u32::MAX.into()),
        "uint64" | "uint" => (0, u64::MAX.into()),
        "int8" => (i8::MIN.into(), i8::MAX.into()),
        "int16" => (i16::MIN.into(), i16::MAX.into()),
        "int32" => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN.into(), i64::MAX.into()),
    };
    let bound = |key: &str| {
        schema
            .get(key)
            .and_then(Value::as_f64)
            .map(|bound| bound as i128)
    };
    Expected::Integer {
        min: bound("minimum").unwrap_or(min).max(min),
        max: bound("maximum").unwrap_or(max).min(max),
    }
}
