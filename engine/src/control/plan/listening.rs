//! Inputs that would listen on the same address.
//!
//! Owns:    that check.
//! Runs on: build time.            Plane: control.
//! Bounds:  each section is compared with those before it.
//! Never:   resolves a name.

use super::super::config::Document;
use super::super::problem::{Place, Problem};
use super::complaints;
use super::sections::{Factory, Made};
use crate::plugin::Listening;

/// Notes inputs that would listen where another one does, as far as their sections say.
pub(super) fn check(document: &Document, sections: &[Made<'_>], problems: &mut Vec<Problem>) {
    let mut earlier: Vec<(Listening, &str, Place)> = Vec::new();
    for made in sections {
        let (Some(Factory::Input(factory, _)), Some(spec)) = (&made.factory, made.spec) else {
            continue;
        };
        let Some(listening) = factory.listens() else {
            continue;
        };
        let section = made.section;
        let place = complaints::place_of(document, section, spec, &["address"]);
        let other = earlier.iter().find(|(known, ..)| listening.meets(known));
        if let Some((known, name, there)) = other {
            let message = format!(
                "`{}` would listen where `{name}` does: {} for {}",
                section.name,
                known.address,
                known.protocol.name()
            );
            let problem = Problem::error(message).at(place.clone());
            let problem = problem.also(format!("`{name}` listens here"), there.clone());
            problems.push(problem.help("give one of them another address"));
        }
        earlier.push((listening, &section.name, place));
    }
}
