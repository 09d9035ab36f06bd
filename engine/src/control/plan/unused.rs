//! What a configuration has and nothing uses, and what it lacks to move any message.
//!
//! Owns:    these warnings.
//! Runs on: build time.            Plane: control.
//! Bounds:  one warning a section.
//! Never:   warns where there are errors: a mistyped name leaves the section that was meant unused.

use std::collections::HashSet;

use super::super::config::Document;
use super::super::problem::{Place, Problem};
use super::sections::Made;
use crate::plugin::Kind;

/// Warnings about these sections, of which `used` are named by others.
pub(super) fn warnings(
    document: &Document,
    sections: &[Made<'_>],
    used: &HashSet<String>,
) -> Vec<Problem> {
    let unused = sections
        .iter()
        .filter(|made| !used.contains(&made.section.name))
        .filter_map(unused);
    unused.chain(nothing_moves(document, sections)).collect()
}

/// A section that works for others only, and for none.
fn unused(made: &Made<'_>) -> Option<Problem> {
    let (kind, users) = match made.kind? {
        Kind::Splitter => ("splitter", "input"),
        Kind::Decoder => ("decoder", "input or decoder"),
        Kind::Encoder => ("encoder", "output"),
        Kind::Input | Kind::Filter | Kind::Output => return None,
    };
    let name = &made.section.name;
    let message = format!("{kind} `{name}` is not used: no {users} names it");
    let help = format!("write `{kind} = \"{name}\"` where it is to be used, or remove the section");
    Some(
        Problem::warning(message)
            .at(made.section.place.clone())
            .help(help),
    )
}

/// Without inputs nothing is received; without filters and outputs nobody gets it.
fn nothing_moves(document: &Document, sections: &[Made<'_>]) -> Option<Problem> {
    let first = |wanted: fn(Kind) -> bool| {
        let made = sections.iter().find(|made| made.kind.is_some_and(wanted));
        made.map(|made| made.section.place.clone())
    };
    let input = first(|kind| kind == Kind::Input);
    let consumer = first(|kind| matches!(kind, Kind::Filter | Kind::Output));
    let beginning = || Place {
        file: 0,
        range: 0..0,
    };
    let (place, message, help) = match (input, consumer) {
        (Some(_), Some(_)) => return None,
        (Some(input), None) => (
            input,
            "there is no filter and no output, so nobody gets what is received",
            "add a section of an output",
        ),
        (None, Some(consumer)) => (
            consumer,
            "there is no input, so nothing is received",
            "add a section of an input",
        ),
        (None, None) => (
            document
                .sections
                .first()
                .map_or_else(beginning, |section| section.place.clone()),
            "there is no input, no filter and no output, so nothing will happen",
            "add a section of an input and one of an output",
        ),
    };
    let help = format!("{help}; `hekad plugins` lists them, `hekad plugins NAME` explains one");
    Some(Problem::warning(message).at(place).help(help))
}
