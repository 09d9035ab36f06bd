//! What plugins themselves have counted, and the names of filters that were loaded while the daemon runs.
//!
//! Owns:    the lines and objects that these become in a report.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  what the plugins of the plan tell.
//! Never:   asks a shard.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::plugin::{Figure, Kind};
use crate::shard::topology::{CodecUnit, ConsumerUnit, InputUnit, Role, Topology};

/// The name of a consumer: that of the filter in its place, where it is one.
pub(super) fn name(topology: &Topology, index: usize) -> String {
    let unit = &topology.consumers[index];
    match &unit.place {
        None => unit.name.clone(),
        Some(place) => match place.loaded.get() {
            Some(standing) => standing.loaded.name,
            None => format!("{} (unloaded, place {index})", unit.name),
        },
    }
}

/// How many filters a consumer has loaded; `None` if it is none that loads any.
pub(super) fn running(topology: &Topology, index: usize) -> Option<usize> {
    let is_manager =
        matches!(&topology.consumers[index].role, Role::Filter(factory) if factory.places() > 0);
    let places = topology
        .consumers
        .iter()
        .filter_map(|unit| unit.place.as_ref());
    let own = places.filter(|place| usize::from(place.manager.0) == index);
    is_manager.then(|| own.filter(|place| place.loaded.get().is_some()).count())
}

/// What the instances of a consumer have counted.
pub(super) fn of_consumer(unit: &ConsumerUnit) -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut tell = |figure| figures.push(figure);
    match (&unit.place, &unit.role) {
        (Some(place), _) => {
            if let Some(standing) = place.loaded.get() {
                standing.loaded.factory.figures(&mut tell);
            }
        }
        (None, Role::Filter(factory)) => factory.figures(&mut tell),
        (None, Role::Output { factory, .. }) => factory.figures(&mut tell),
    }
    figures
}

/// What the instances of an input have counted.
pub(super) fn of_input(unit: &InputUnit) -> Vec<Figure> {
    let mut figures = Vec::new();
    unit.factory.figures(&mut |figure| figures.push(figure));
    figures
}

/// The decoders or encoders that have something to report.
pub(super) fn of_codecs(topology: &Topology, kind: Kind) -> Vec<(&str, Vec<Figure>)> {
    let counted = |codec: &CodecUnit| {
        let mut figures = Vec::new();
        (codec.figures)(&mut |figure| figures.push(figure));
        figures
    };
    let codecs = topology.codecs.iter().filter(|codec| codec.kind == kind);
    codecs
        .map(|codec| (codec.name.as_str(), counted(codec)))
        .filter(|(_, figures)| !figures.is_empty())
        .collect()
}

/// A line for each figure; durations with their unit, as the report's own.
pub(super) fn lines(out: &mut String, figures: &[Figure]) {
    for Figure { name, value, unit } in figures {
        let unit = if *unit == "ns" { " ns" } else { "" };
        let _ = writeln!(out, "    {name}: {value}{unit}");
    }
}

/// A part of the report about decoders or encoders, where there is something to say.
pub(super) fn section(out: &mut String, title: &str, codecs: &[(&str, Vec<Figure>)]) {
    if codecs.is_empty() {
        return;
    }
    let _ = writeln!(out, "===={title}====");
    for (name, figures) in codecs {
        let _ = writeln!(out, "{name}:");
        lines(out, figures);
    }
}

/// Figures as an object by name.
pub(super) fn json(figures: &[Figure]) -> Value {
    let by_name = figures
        .iter()
        .map(|figure| (figure.name.to_owned(), figure.value.into()));
    Value::Object(by_name.collect())
}

/// Figures of decoders or encoders, by section.
pub(super) fn codecs_json(codecs: &[(&str, Vec<Figure>)]) -> Value {
    let by_name = codecs
        .iter()
        .map(|(name, figures)| ((*name).to_owned(), json(figures)));
    Value::Object(by_name.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_their_unit() {
        let figure = |name, value, unit| Figure { name, value, unit };
        let mut out = String::new();
        lines(
            &mut out,
            &[
                figure("MaxMemory", 16_360, "B"),
                figure("TimerEventAvgDuration", 350, "ns"),
            ],
        );
        assert_eq!(
            out,
            "    MaxMemory: 16360\n    TimerEventAvgDuration: 350 ns\n"
        );
    }
}
