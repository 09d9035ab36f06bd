//! What a message says, as a case writes it: headers and fields in lines.
//!
//! Owns:    `Said`: from lines, from a message, into a message, and its differences.
//! Runs on: tests.            Plane: control.
//! Bounds:  one message.
//! Never:   looks at how a message is encoded.

use std::collections::BTreeMap;
use std::fmt;

use codecs::field::{Value, ValueType};
use codecs::message::{Draft, Header, MessageRef, NewValue};
use serde_json::Value as Json;

const TEXTS: &[(&str, Header)] = &[
    ("Uuid", Header::Uuid),
    ("Type", Header::Type),
    ("Logger", Header::Logger),
    ("Payload", Header::Payload),
    ("EnvVersion", Header::EnvVersion),
    ("Hostname", Header::Hostname),
];
const NUMBERS: &[&str] = &["Timestamp", "Severity", "Pid"];
/// Headers that may be anything where a case does not list them.
const FREE: &[&str] = &["Uuid", "Timestamp"];

/// A value of a header or field.
#[derive(Clone, Debug, PartialEq)]
enum One {
    Text(String),
    Bytes(String),
    Integer(i64),
    Double(f64),
    Bool(bool),
}

/// What is wanted of a header or field, or what it has.
#[derive(Clone, Debug)]
enum Values {
    Any,
    These(Vec<One>, String),
}

/// What a message says.
#[derive(Default)]
pub(crate) struct Said {
    headers: BTreeMap<String, Values>,
    fields: Vec<(String, Values)>,
}

impl Said {
    /// Of a message.
    pub(crate) fn of(message: MessageRef<'_>) -> Said {
        let mut said = Said::default();
        for (name, header) in TEXTS {
            let text = lossy(message.header(*header));
            if !text.is_empty() {
                said.set(name, One::Text(text));
            }
        }
        let numbers = [
            message.timestamp_opt(),
            message.severity_opt().map(i64::from),
            message.pid_opt().map(i64::from),
        ];
        for (name, number) in NUMBERS.iter().zip(numbers) {
            if let Some(number) = number {
                said.set(name, One::Double(number as f64));
            }
        }
        for field in message.fields() {
            let values = (0..field.len()).filter_map(|index| field.value(index));
            let values = values.map(|value| match value {
                Value::String(text) => One::Text(lossy(text)),
                Value::Bytes(bytes) => One::Bytes(lossy(bytes)),
                Value::Integer(number) => One::Integer(number),
                Value::Double(number) => One::Double(number),
                Value::Bool(truth) => One::Bool(truth),
            });
            let representation = field.representation().map(lossy).unwrap_or_default();
            let values = Values::These(values.collect(), representation);
            said.fields.push((lossy(field.name()), values));
        }
        said
    }

    /// Of the lines of a section.
    pub(crate) fn parse(text: &str) -> Result<Said, String> {
        let mut said = Said::default();
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        for line in lines {
            let (name, value) = line
                .split_once(": ")
                .ok_or_else(|| format!("bad line: {line}"))?;
            let values = parse_values(value).ok_or_else(|| format!("bad value: {line}"))?;
            let field = name
                .strip_prefix("Fields[")
                .and_then(|name| name.strip_suffix(']'));
            if let Some(field) = field {
                said.fields.push((field.to_owned(), values));
            } else if NUMBERS.contains(&name) || TEXTS.iter().any(|(text, _)| *text == name) {
                said.headers.insert(name.to_owned(), values);
            } else {
                return Err(format!("no such header: {line}"));
            }
        }
        Ok(said)
    }

    pub(crate) fn set_payload(&mut self, text: &str) {
        self.set("Payload", One::Text(text.to_owned()));
    }

    fn set(&mut self, name: &str, value: One) {
        let values = Values::These(vec![value], String::new());
        self.headers.insert(name.to_owned(), values);
    }

    fn first(&self, name: &str) -> Option<&One> {
        match self.headers.get(name)? {
            Values::Any => None,
            Values::These(values, _) => values.first(),
        }
    }

    /// Makes the message.
    pub(crate) fn fill(&self, draft: &mut Draft<'_>) {
        for (name, header) in TEXTS {
            match (header, self.first(name)) {
                (Header::Uuid, Some(One::Text(text))) => {
                    draft.set(*header, &uuid(text)[..]).expect("room");
                }
                (_, Some(One::Text(text))) => draft.set(*header, text.as_str()).expect("room"),
                _ => {}
            }
        }
        let number = |name| match self.first(name) {
            Some(One::Double(number)) => Some(*number as i64),
            _ => None,
        };
        if let Some(time) = number("Timestamp") {
            draft.set_timestamp(time);
        }
        if let Some(severity) = number("Severity") {
            draft.set_severity(severity as i32);
        }
        if let Some(pid) = number("Pid") {
            draft.set_pid(pid as i32);
        }
        for (name, values) in &self.fields {
            let Values::These(values, representation) = values else {
                continue;
            };
            let representation =
                (!representation.is_empty()).then(|| representation.as_str().into());
            if let [value] = &values[..] {
                let value = match value {
                    One::Text(text) => NewValue::String(text.as_str().into()),
                    One::Bytes(bytes) => NewValue::Bytes(bytes.as_str().into()),
                    One::Integer(number) => NewValue::Integer(*number),
                    One::Double(number) => NewValue::Double(*number),
                    One::Bool(truth) => NewValue::Bool(*truth),
                };
                draft
                    .add_field(name.as_str(), value, representation)
                    .expect("room");
            } else {
                let values: Vec<Value<'_>> = values.iter().map(One::borrowed).collect();
                let kind = values.first().map_or(ValueType::String, Value::value_type);
                draft
                    .add_array(name.as_str(), kind, &values, representation)
                    .expect("room");
            }
        }
    }

    /// What another message says otherwise than this one wants.
    pub(crate) fn differences(&self, said: &Said) -> Vec<String> {
        let mut wrong = Vec::new();
        let names = NUMBERS.iter().chain(TEXTS.iter().map(|(name, _)| name));
        for name in names {
            match (self.headers.get(*name), said.headers.get(*name)) {
                (None, None) => {}
                (None, Some(_)) if FREE.contains(name) => {}
                (None, Some(found)) => wrong.push(format!("also has {name}: {found}")),
                (Some(wanted), None) if wanted.is_empty_text() => {}
                (Some(wanted), None) => wrong.push(format!("lacks {name}: {wanted}")),
                (Some(wanted), Some(found)) if wanted.allows(found) => {}
                (Some(wanted), Some(found)) => {
                    wrong.push(format!("wanted {name}: {wanted}; has {found}"))
                }
            }
        }
        let mut left: Vec<&(String, Values)> = said.fields.iter().collect();
        for (name, wanted) in &self.fields {
            match left.iter().position(|(other, _)| other == name) {
                None => wrong.push(format!("lacks Fields[{name}]: {wanted}")),
                Some(at) => {
                    let (_, found) = left.remove(at);
                    if !wanted.allows(found) {
                        wrong.push(format!("wanted Fields[{name}]: {wanted}; has {found}"));
                    }
                }
            }
        }
        wrong.extend(
            left.iter()
                .map(|(name, found)| format!("also has Fields[{name}]: {found}")),
        );
        wrong
    }
}

impl Values {
    fn allows(&self, found: &Values) -> bool {
        match (self, found) {
            (Values::Any, _) => true,
            (Values::These(wanted, representation), Values::These(values, other)) => {
                representation == other
                    && wanted.len() == values.len()
                    && wanted
                        .iter()
                        .zip(values)
                        .all(|(one, other)| one.same(other))
            }
            (Values::These(..), Values::Any) => false,
        }
    }

    fn is_empty_text(&self) -> bool {
        matches!(self, Values::These(values, _) if values[..] == [One::Text(String::new())])
    }
}

impl One {
    fn same(&self, other: &One) -> bool {
        match (self, other) {
            (One::Double(one), One::Double(other)) => {
                one == other || one.is_nan() && other.is_nan()
            }
            _ => self == other,
        }
    }

    fn borrowed(&self) -> Value<'_> {
        match self {
            One::Text(text) => Value::String(text.as_bytes()),
            One::Bytes(bytes) => Value::Bytes(bytes.as_bytes()),
            One::Integer(number) => Value::Integer(*number),
            One::Double(number) => Value::Double(*number),
            One::Bool(truth) => Value::Bool(*truth),
        }
    }
}

/// `*`, or values with or without a representation behind them.
fn parse_values(text: &str) -> Option<Values> {
    if text == "*" {
        return Some(Values::Any);
    }
    if let Some(values) = parse_list(text) {
        return Some(Values::These(values, String::new()));
    }
    let (values, representation) = text.rsplit_once(" {")?;
    let values = parse_list(values)?;
    Some(Values::These(
        values,
        representation.strip_suffix('}')?.to_owned(),
    ))
}

fn parse_list(text: &str) -> Option<Vec<One>> {
    let (form, json) = match text.split_once(' ') {
        Some((form @ ("int" | "bytes"), rest)) => (form, rest),
        _ => ("", text),
    };
    let beyond_json = [
        ("nan", f64::NAN),
        ("inf", f64::INFINITY),
        ("-inf", f64::NEG_INFINITY),
    ];
    if let Some((_, number)) = beyond_json.iter().find(|(name, _)| *name == json) {
        return Some(vec![One::Double(*number)]);
    }
    let list = match serde_json::from_str(json).ok()? {
        Json::Array(list) => list,
        one => vec![one],
    };
    let one = |json: Json| match (form, json) {
        ("bytes", Json::String(text)) => Some(One::Bytes(text)),
        ("", Json::String(text)) => Some(One::Text(text)),
        ("int", Json::Number(number)) => number.as_i64().map(One::Integer),
        ("", Json::Number(number)) => number.as_f64().map(One::Double),
        ("", Json::Bool(truth)) => Some(One::Bool(truth)),
        _ => None,
    };
    list.into_iter().map(one).collect()
}

/// The bytes of a UUID that is written in hexadecimal digits and hyphens; other texts are taken as they are.
fn uuid(text: &str) -> Vec<u8> {
    let digits = text.replace('-', "");
    let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
    bytes
        .filter(|bytes| bytes.len() == 16)
        .unwrap_or_else(|| text.as_bytes().to_vec())
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl fmt::Display for One {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            One::Text(text) => write!(f, "{text:?}"),
            One::Bytes(bytes) => write!(f, "bytes {bytes:?}"),
            One::Integer(number) => write!(f, "int {number}"),
            One::Double(number) => write!(f, "{number}"),
            One::Bool(truth) => write!(f, "{truth}"),
        }
    }
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Values::These(values, representation) = self else {
            return f.write_str("*");
        };
        let texts: Vec<String> = values.iter().map(One::to_string).collect();
        match &texts[..] {
            [one] => f.write_str(one)?,
            several => write!(f, "[{}]", several.join(", "))?,
        }
        if representation.is_empty() {
            return Ok(());
        }
        write!(f, " {{{representation}}}")
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, values) in &self.headers {
            writeln!(f, "{name}: {values}")?;
        }
        for (name, values) in &self.fields {
            writeln!(f, "Fields[{name}]: {values}")?;
        }
        Ok(())
    }
}
