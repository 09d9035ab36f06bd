//! Each section by itself: its type, its keys, its factory, its matcher.
//!
//! Owns:    `Made`, what a section became; the checks that concern every plugin of a kind.
//! Runs on: build time.            Plane: control.
//! Bounds:  one section at a time.
//! Never:   looks at another section.

use serde_json::Value;

use super::super::config::{Document, Section, Written};
use super::super::fit::{self, Fit, UnknownKeys};
use super::super::placement;
use super::super::problem::{Problem, did_you_mean};
use super::{complaints, known_types};
use crate::plugin::options::{
    Buffering, CodecOptions, FilterOptions, HekadOptions, InputOptions, OutputOptions,
    SplitterOptions,
};
use crate::plugin::spec::{Built, Checked};
use crate::plugin::{
    Build, Complaint, DecoderFactory, EncoderFactory, FilterFactory, InputFactory, Kind,
    OutputFactory, PluginSpec, Report, SplitterFactory,
};

/// A factory with the common options of its section.
pub(super) enum Factory {
    Input(Box<dyn InputFactory>, InputOptions),
    Splitter(Box<dyn SplitterFactory>, SplitterOptions),
    Decoder(Box<dyn DecoderFactory>),
    Filter(Box<dyn FilterFactory>, FilterOptions),
    Encoder(Box<dyn EncoderFactory>),
    Output(Box<dyn OutputFactory>, OutputOptions),
}

/// What a section became.
pub(super) struct Made<'a> {
    pub(super) section: &'a Section,
    /// By the end of its type; `None` if that is no kind.
    pub(super) kind: Option<Kind>,
    /// Its type, where the table holds it.
    pub(super) spec: Option<&'static PluginSpec>,
    /// `None` after a complaint.
    pub(super) factory: Option<Factory>,
    /// Values common to its kind.
    pub(super) common: Value,
}

/// Every section of a document.
pub(super) fn build<'a>(
    document: &'a Document,
    specs: &'static [PluginSpec],
    hekad: &HekadOptions,
    problems: &mut Vec<Problem>,
) -> Vec<Made<'a>> {
    let sections = document.sections.iter();
    sections
        .map(|section| one(document, specs, hekad, section, problems))
        .collect()
}

/// One section.
pub(super) fn one<'a>(
    document: &'a Document,
    specs: &'static [PluginSpec],
    hekad: &HekadOptions,
    section: &'a Section,
    problems: &mut Vec<Problem>,
) -> Made<'a> {
    let mut made = Made {
        section,
        kind: None,
        spec: None,
        factory: None,
        common: Value::Null,
    };
    let Some(type_name) = type_of(document, section, problems) else {
        return made;
    };
    made.kind = Kind::of_type(&type_name);
    made.spec = specs.iter().find(|spec| spec.name == type_name);
    let Some(spec) = made.spec else {
        problems.push(unknown_type(document, specs, section, &type_name));
        return made;
    };
    let first = problems.len();
    let (own, common, refused) = keys(document, hekad, section, spec, problems);
    made.common = common.clone();
    let mut report = Report::default();
    let checked = Checked {
        name: &section.name,
        own,
        common,
        hekad,
        report: &mut report,
    };
    made.factory = factory(spec, checked);
    let complaints = report.into_complaints().into_iter();
    let is_news = |complaint: &Complaint| {
        !complaint
            .path
            .first()
            .is_some_and(|key| refused.contains(key))
    };
    problems.extend(
        complaints
            .filter(is_news)
            .map(|complaint| complaints::problem(document, section, spec, complaint)),
    );
    check_common(document, hekad, &mut made, problems);
    if problems[first..].iter().any(|problem| !problem.warning) {
        made.factory = None;
    }
    made
}

/// Its own values, those common to its kind, and the keys that were complained about.
fn keys(
    document: &Document,
    hekad: &HekadOptions,
    section: &Section,
    spec: &PluginSpec,
    problems: &mut Vec<Problem>,
) -> (Value, Value, Vec<String>) {
    let unknown = if spec.any_key {
        UnknownKeys::Ignored
    } else {
        UnknownKeys::Refused
    };
    let mut fit = Fit::new(document, problems, spec.name);
    let [own, mut common] = fit.section(
        &section.entries,
        [&spec.own, &spec.common],
        &["type"],
        unknown,
    );
    let mut refused = fit.refused();
    for (key, about) in fit::missing(
        &[(&spec.own, &own), (&spec.common, &common)],
        &section.entries,
    ) {
        let problem = Problem::error(format!("`{}` lacks `{key}`", section.name));
        let place = complaints::place_of(document, section, spec, &[&key]);
        problems.push(problem.at(place).help(format!("{key}: {about}")));
        refused.push(key);
    }
    if !complaints::is_written(document, section, spec, MIN_BUFFER_SIZE) {
        lower_buffer(&mut common, hekad);
    }
    (own, common, refused)
}

/// The section's type: its key `type`, or its own name.
fn type_of(document: &Document, section: &Section, problems: &mut Vec<Problem>) -> Option<String> {
    let Some(entry) = section
        .entries
        .iter()
        .find(|entry| entry.key.eq_ignore_ascii_case("type"))
    else {
        return Some(section.name.clone());
    };
    match &entry.item.value {
        Written::Text(name) if name.is_empty() => Some(section.name.clone()),
        Written::Text(name) => Some(name.clone()),
        _ => {
            let problem = Problem::error("`type` must be a string, the name of a plugin type");
            problems.push(problem.at(document.place(&entry.item)));
            None
        }
    }
}

fn unknown_type(
    document: &Document,
    specs: &'static [PluginSpec],
    section: &Section,
    type_name: &str,
) -> Problem {
    let entry = section
        .entries
        .iter()
        .find(|entry| entry.key.eq_ignore_ascii_case("type"));
    let place = match entry {
        Some(entry) => document.place(&entry.item),
        None => section.place.clone(),
    };
    if known_types::is_hekas(type_name) {
        let message = format!("{type_name} is a Heka plugin that this version does not have yet");
        return Problem::error(message)
            .at(place)
            .help("`hekad plugins` lists those that it has");
    }
    let names = specs
        .iter()
        .map(|spec| spec.name)
        .chain(known_types::names());
    let guess = match entry {
        Some(_) => did_you_mean(type_name, names),
        None => did_you_mean(type_name, names.chain(["hekad"])),
    };
    let problem = match (Kind::of_type(type_name), entry) {
        (Some(_), _) => Problem::error(format!("there is no plugin type `{type_name}`")),
        (None, Some(_)) => Problem::error(format!("`{type_name}` is no plugin type")),
        (None, None) => Problem::error(format!(
            "`{type_name}` has no `type`, and its name is no plugin type"
        )),
    };
    let kinds = "a type ends in Input, Splitter, Decoder, Filter, Encoder or Output; `hekad plugins` lists them";
    problem
        .at(place)
        .help(guess.unwrap_or_else(|| kinds.to_owned()))
}

/// Calls the type's `build`.
pub(super) fn factory(spec: &PluginSpec, checked: Checked<'_>) -> Option<Factory> {
    fn codec<F: ?Sized>(built: Built<F, CodecOptions>) -> Option<Box<F>> {
        built.map(|(factory, _)| factory)
    }
    match spec.build {
        Build::Input(build) => {
            build(checked).map(|(factory, common)| Factory::Input(factory, common))
        }
        Build::Splitter(build) => {
            build(checked).map(|(factory, common)| Factory::Splitter(factory, common))
        }
        Build::Decoder(build) => codec(build(checked)).map(Factory::Decoder),
        Build::Filter(build) => {
            build(checked).map(|(factory, common)| Factory::Filter(factory, common))
        }
        Build::Encoder(build) => codec(build(checked)).map(Factory::Encoder),
        Build::Output(build) => {
            build(checked).map(|(factory, common)| Factory::Output(factory, common))
        }
    }
}

/// What a disk queue needs beside the longest records, bytes: one read's worth of short messages, and beginnings of segments.
const BUFFER_BYTES_MIN: u64 = 1024 * 1024;

const MIN_BUFFER_SIZE: &str = "min_buffer_size";

/// A default that is above the largest record only means all of it.
pub(super) fn lower_buffer(common: &mut Value, hekad: &HekadOptions) {
    if let Some(size) = common.get_mut(MIN_BUFFER_SIZE) {
        let record_bytes_max = hekad.record_bytes_max() as u64;
        *size = size
            .as_u64()
            .unwrap_or(record_bytes_max)
            .min(record_bytes_max)
            .into();
    }
}

/// What concerns every plugin of a kind.
fn check_common(
    document: &Document,
    hekad: &HekadOptions,
    made: &mut Made<'_>,
    problems: &mut Vec<Problem>,
) {
    let Some(spec) = made.spec else {
        return;
    };
    let ticks = made
        .common
        .get("ticker_interval")
        .and_then(Value::as_u64)
        .unwrap_or(0);
    if ticks > 0 && !spec.ticks {
        let place = complaints::place_of(document, made.section, spec, &["ticker_interval"]);
        let problem = match spec.kind {
            Kind::Input => Problem::warning(format!(
                "`ticker_interval` has no effect: {} has no timer",
                spec.name
            )),
            _ => Problem::error(format!(
                "{} has no timer, so `ticker_interval` cannot be set",
                spec.name
            )),
        };
        problems.push(problem.at(place));
    }
    let record_bytes_max = hekad.record_bytes_max() as u64;
    let wrong_size = |problems: &mut Vec<Problem>, path: &[&str], message: String| {
        let place = complaints::place_of(document, made.section, spec, path);
        problems.push(Problem::error(message).at(place));
    };
    match &mut made.factory {
        Some(Factory::Splitter(_, common)) if common.min_buffer_size > record_bytes_max => {
            let message = format!(
                "`{MIN_BUFFER_SIZE}` is above the largest record, {record_bytes_max} bytes"
            );
            wrong_size(problems, &[MIN_BUFFER_SIZE], message);
        }
        Some(
            Factory::Filter(_, FilterOptions { buffering, .. })
            | Factory::Output(_, OutputOptions { buffering, .. }),
        ) => {
            if buffering.max_file_size == 0 {
                buffering.max_file_size = Buffering::default().max_file_size;
            }
            let least = record_bytes_max * 2 + BUFFER_BYTES_MIN;
            if buffering.max_buffer_size > 0 && buffering.max_buffer_size < least {
                let message = format!(
                    "`max_buffer_size` is below {least} bytes, the least that a queue can work with: that is what it may take"
                );
                let path = ["buffering", "max_buffer_size"];
                let place = complaints::place_of(document, made.section, spec, &path);
                problems.push(Problem::warning(message).at(place));
                buffering.max_buffer_size = least;
            }
            buffering.cursor_update_count = buffering.cursor_update_count.max(1);
            if buffering.max_file_size < record_bytes_max {
                let message = format!(
                    "`max_file_size` is below the largest record, {record_bytes_max} bytes"
                );
                wrong_size(problems, &["buffering", "max_file_size"], message);
            }
        }
        _ => {}
    }
}

/// All matchers at once; `None` after complaints. A consumer whose matcher is missing has been complained about.
pub(super) fn matchers(
    document: &Document,
    sections: &[Made<'_>],
    problems: &mut Vec<Problem>,
) -> Option<matcher::Set> {
    let is_consumer = |made: &&Made<'_>| {
        matches!(made.kind, Some(Kind::Filter | Kind::Output)) && made.spec.is_some()
    };
    let consumers: Vec<_> = sections.iter().filter(is_consumer).collect();
    let text = |made: &'_ Made<'_>, key: &str| {
        made.common
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let texts: Vec<(String, String)> = consumers
        .iter()
        .map(|made| (text(made, "message_matcher"), text(made, "message_signer")))
        .collect();
    let wanted: Vec<_> = texts
        .iter()
        .map(|(expression, signer)| placement::wanted(expression, signer))
        .collect();
    let mut complain = |number: usize, complaint: Complaint| {
        let made: &Made<'_> = consumers[number];
        if let Some(spec) = made.spec {
            problems.push(complaints::problem(document, made.section, spec, complaint));
        }
    };
    let path = || vec!["message_matcher".to_owned()];
    match matcher::Set::build(&wanted) {
        Ok(set) => {
            for (number, remark) in set.remarks() {
                let complaint = Complaint {
                    path: path(),
                    within: Some(remark.span.clone()),
                    message: remark.message.clone(),
                    help: None,
                    warning: true,
                };
                complain(*number, complaint);
            }
            Some(set)
        }
        Err(errors) => {
            for (number, error) in errors {
                let complaint = Complaint {
                    path: path(),
                    within: Some(error.span()),
                    message: error.message().to_owned(),
                    help: error.suggestion().map(str::to_owned),
                    warning: false,
                };
                complain(number, complaint);
            }
            None
        }
    }
}
