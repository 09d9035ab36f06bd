//! How a case is written, and its comparison with what a script did.
//!
//! Owns:    `Case`, its steps and what they expect.
//! Runs on: tests.            Plane: control.
//! Bounds:  one file.
//! Never:   runs a script.
//!
//! A line `=== HEAD` begins a section; what is before the first one is a comment. The sections, in this order:
//!
//! - `config`: the plugin's config in TOML; `settings`: `logger`, `now` (nanoseconds), `memory_limit`, `output_limit`, `instruction_limit`.
//! - `load fails TEXT`: the script does not load, and the error contains the text.
//! - Steps. `message` is a message, in lines `HEADER: VALUE` and `Fields[NAME]: VALUE`, that is processed; `payload` its payload as it is, or without a
//!   `message` a message that has only that; `timer NANOSECONDS` a tick.
//! - What a step expects: `injects` a message in the same lines, with `of payload` its payload as it is; `injects payload TYPE NAME` a text,
//!   `injects json TYPE NAME` one that is compared line by line as JSON; `written`, the message itself after the step; `returns STATUS TEXT`, 0 where it is
//!   not there; `terminates TEXT`. What is not listed is not injected; a header that is not listed is unset, but Uuid and Timestamp may be anything.
//!
//! Values are written as in JSON, `int 5`, `bytes "..."`, `nan`, `inf`, lists in brackets, the representation behind in braces; `*` is any value. Lines that
//! begin with `#` are comments. A text as it is ends before the newline in front of the next section.

use serde_json::Value as Json;

use crate::Kept;
use crate::said::Said;

/// A case as it is written.
#[derive(Default)]
pub(crate) struct Case {
    pub(crate) config: toml::Table,
    pub(crate) settings: toml::Table,
    pub(crate) load_fails: Option<String>,
    pub(crate) steps: Vec<Step>,
}

/// Something that is done to a script, and what is to come of it.
pub(crate) struct Step {
    pub(crate) work: Work,
    pub(crate) expectations: Vec<Expectation>,
}

pub(crate) enum Work {
    Message(Said),
    Timer(i64),
}

pub(crate) enum Expectation {
    Returns(String),
    Terminates(String),
    Written(Said),
    Injects(Injection),
}

pub(crate) enum Injection {
    Message(Said),
    Payload {
        text: String,
        payload_type: String,
        name: String,
        json: bool,
    },
}

struct Section<'a> {
    head: &'a str,
    text: String,
}

fn sections(text: &str) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for line in text.split('\n') {
        if let Some(head) = line.strip_prefix("=== ") {
            sections.push(Section {
                head,
                text: String::new(),
            });
        } else if let Some(section) = sections.last_mut() {
            section.text.push_str(line);
            section.text.push('\n');
        }
    }
    let last = sections.len().saturating_sub(1);
    for (at, section) in sections.iter_mut().enumerate() {
        // The newline before the next section, and the one that ends the file, are not part of the text.
        section.text.pop();
        if at == last && section.text.ends_with('\n') {
            section.text.pop();
        }
    }
    sections
}

impl Case {
    pub(crate) fn parse(text: &str) -> Result<Case, String> {
        let mut case = Case::default();
        let sections = sections(text);
        let mut at = 0;
        while let Some(section) = sections.get(at) {
            at += 1;
            let text = section.text.as_str();
            let next_is = |head: &str| sections.get(at).filter(|next| next.head == head);
            let (word, rest) = section.head.split_once(' ').unwrap_or((section.head, ""));
            match (section.head, word) {
                ("config", _) => case.config = toml_of(text)?,
                ("settings", _) => case.settings = toml_of(text)?,
                ("message", _) => {
                    let mut message = Said::parse(text)?;
                    if let Some(payload) = next_is("payload") {
                        message.set_payload(&payload.text);
                        at += 1;
                    }
                    case.begin(Work::Message(message));
                }
                ("payload", _) => {
                    let mut message = Said::default();
                    message.set_payload(text);
                    case.begin(Work::Message(message));
                }
                ("injects", _) => {
                    let mut message = Said::parse(text)?;
                    if let Some(payload) = next_is("of payload") {
                        message.set_payload(&payload.text);
                        at += 1;
                    }
                    case.expect(Expectation::Injects(Injection::Message(message)))?;
                }
                (_, "injects") => case.expect(Expectation::Injects(payload(rest, text)?))?,
                ("written", _) => case.expect(Expectation::Written(Said::parse(text)?))?,
                (_, "returns") => case.expect(Expectation::Returns(rest.to_owned()))?,
                (_, "terminates") => case.expect(Expectation::Terminates(rest.to_owned()))?,
                (_, "timer") => {
                    let time = rest.parse().map_err(|_| format!("no time: {rest}"))?;
                    case.begin(Work::Timer(time));
                }
                (_, "load") => {
                    let wanted = rest.strip_prefix("fails ").ok_or("load fails TEXT")?;
                    case.load_fails = Some(wanted.to_owned());
                }
                (head, _) => return Err(format!("no such section: {head}")),
            }
        }
        if case.steps.is_empty() && case.load_fails.is_none() {
            return Err("the case does nothing".to_owned());
        }
        Ok(case)
    }

    fn begin(&mut self, work: Work) {
        self.steps.push(Step {
            work,
            expectations: Vec::new(),
        });
    }

    fn expect(&mut self, expectation: Expectation) -> Result<(), String> {
        let step = self
            .steps
            .last_mut()
            .ok_or("an expectation without a step")?;
        step.expectations.push(expectation);
        Ok(())
    }
}

fn toml_of(text: &str) -> Result<toml::Table, String> {
    text.parse().map_err(|error| format!("{error}"))
}

/// `payload TYPE NAME` or `json TYPE NAME`; the name may stand in quotes.
fn payload(head: &str, text: &str) -> Result<Injection, String> {
    let (form, rest) = head.split_once(' ').unwrap_or((head, ""));
    let (payload_type, name) = rest.split_once(' ').unwrap_or((rest, ""));
    let name = match serde_json::from_str(name) {
        Ok(Json::String(name)) => name,
        _ => name.to_owned(),
    };
    if form != "payload" && form != "json" {
        return Err(format!("no such section: injects {head}"));
    }
    Ok(Injection::Payload {
        text: text.to_owned(),
        payload_type: if payload_type.is_empty() {
            "txt"
        } else {
            payload_type
        }
        .to_owned(),
        name,
        json: form == "json",
    })
}

impl Injection {
    /// What is wrong with what was injected, if anything was.
    pub(crate) fn differences(&self, kept: Option<&Kept>) -> Vec<String> {
        match (self, kept) {
            (_, None) => vec!["an injection is missing".to_owned()],
            (Injection::Message(wanted), Some(Kept::Message(said))) => wanted.differences(said),
            (
                Injection::Payload {
                    text,
                    payload_type,
                    name,
                    json,
                },
                Some(Kept::Payload {
                    text: kept_text,
                    payload_type: kept_type,
                    name: kept_name,
                }),
            ) => {
                let mut wrong = Vec::new();
                if (payload_type, name) != (kept_type, kept_name) {
                    wrong.push(format!("injects payload {kept_type} {kept_name:?}"));
                }
                let equal = if *json {
                    same_json(text, kept_text)
                } else {
                    text == kept_text
                };
                if !equal {
                    wrong.push(format!("wanted:\n{text}\n--- injects:\n{kept_text}\n---"));
                }
                wrong
            }
            (_, Some(other)) => vec![format!("injects {}", show(other))],
        }
    }
}

pub(crate) fn show(kept: &Kept) -> String {
    match kept {
        Kept::Message(said) => format!("a message:\n{said}"),
        Kept::Payload {
            text,
            payload_type,
            name,
        } => format!("payload {payload_type} {name:?}:\n{text}"),
    }
}

/// Whether texts have the same lines, those of JSON whatever the order of their keys.
fn same_json(wanted: &str, text: &str) -> bool {
    let mut lines = text.split('\n');
    let same = wanted.split('\n').all(|wanted| {
        let line = lines.next();
        let json = |text: &str| serde_json::from_str::<Json>(text).ok();
        match (json(wanted), line.and_then(json)) {
            (Some(wanted), Some(found)) => same_value(&wanted, &found),
            _ => line == Some(wanted),
        }
    });
    same && lines.next().is_none()
}

fn same_value(one: &Json, other: &Json) -> bool {
    match (one, other) {
        (Json::Number(one), Json::Number(other)) => one.as_f64() == other.as_f64(),
        (Json::Array(one), Json::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| same_value(a, b))
        }
        (Json::Object(one), Json::Object(other)) => {
            let has = |(key, value): (&String, &Json)| {
                other.get(key).is_some_and(|found| same_value(value, found))
            };
            one.len() == other.len() && one.iter().all(has)
        }
        _ => one == other,
    }
}
