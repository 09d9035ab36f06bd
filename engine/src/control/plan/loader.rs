//! Inputs that are read from files of their own while the daemon runs, by the same rules as the configuration.
//!
//! Owns:    `Loader`: what such a section may call, and the daemon's options.
//! Runs on: a thread of the input that loads others.            Plane: control.
//! Bounds:  as for a configuration file.
//! Never:   starts anything; stops at the first mistake.

use std::path::Path;
use std::sync::Arc;

use super::super::config::{Document, Entry, Section, Surroundings, Written};
use super::super::problem::{Place, Problem, Problems};
use super::references::Names;
use super::{InputPlan, sections};
use crate::plugin::options::HekadOptions;
use crate::plugin::{InputLoader, LoadedInput, MakeDecoder, PluginSpec, Wanted};

/// Key of the time between ticks.
const TICKER_INTERVAL: &str = "ticker_interval";

/// Key of the type.
const TYPE: &str = "type";

/// Key that says whether the end of an input matters to others.
const CAN_EXIT: &str = "can_exit";

/// Reads inputs from files.
pub(super) struct Loader {
    specs: &'static [PluginSpec],
    hekad: HekadOptions,
    names: Names,
}

impl Loader {
    /// A loader of inputs that may call what a configuration has.
    pub(super) fn new(specs: &'static [PluginSpec], hekad: HekadOptions, names: Names) -> Loader {
        Loader {
            specs,
            hekad,
            names,
        }
    }

    fn plan(
        &self,
        document: &Document,
        wanted: Wanted<'_>,
        problems: &mut Vec<Problem>,
    ) -> Option<InputPlan> {
        let Wanted { type_name, .. } = wanted;
        let (mut mine, others): (Vec<&Section>, Vec<&Section>) = document
            .sections
            .iter()
            .partition(|section| section.name == type_name);
        problems.extend(others.iter().map(|section| {
            let message = format!("only `[{type_name}]` is looked at in this file");
            Problem::warning(message).at(section.place.clone())
        }));
        let Some(section) = mine.pop() else {
            let start = Place {
                file: 0,
                range: 0..0,
            };
            let message = format!("there is no section `[{type_name}]`");
            let help = format!("begin the file with `[{type_name}]`");
            problems.push(Problem::error(message).at(start).help(help));
            return None;
        };
        let section = Loader::adapted(document, section, wanted, problems);
        let made = sections::one(document, self.specs, &self.hekad, &section, problems);
        if made.spec.is_some_and(|spec| spec.name != type_name) {
            let message = format!("this file is for the type {type_name} alone");
            problems.push(Problem::error(message).at(section.place.clone()));
        }
        self.names
            .input(document, self.specs, &self.hekad, made, problems)
    }

    /// The section with the name and the options that are not its own to say.
    fn adapted(
        document: &Document,
        written: &Section,
        wanted: Wanted<'_>,
        problems: &mut Vec<Problem>,
    ) -> Section {
        let mut section = written.clone();
        section.name = wanted.path.display().to_string();
        let is = |entry: &Entry, key: &str| entry.key.eq_ignore_ascii_case(key);
        for entry in written
            .entries
            .iter()
            .filter(|entry| is(entry, TICKER_INTERVAL))
        {
            let message =
                format!("`{TICKER_INTERVAL}` has no effect: the name of the folder says it");
            problems.push(Problem::warning(message).at(document.key_place(entry)));
        }
        section.entries.retain(|entry| !is(entry, TICKER_INTERVAL));
        let ticker_interval = Written::Integer(wanted.ticker_interval.into());
        let unwritten = [
            (TICKER_INTERVAL, ticker_interval),
            (TYPE, Written::Text(wanted.type_name.to_owned())),
            (CAN_EXIT, Written::Bool(true)),
        ];
        for (key, value) in unwritten {
            if !section.entries.iter().any(|entry| is(entry, key)) {
                section.entries.push(Entry::unwritten(key, value));
            }
        }
        section
    }
}

impl InputLoader for Loader {
    fn read(&self, path: &Path) -> Result<String, String> {
        Document::text(path).map_err(|problem| problem.message)
    }

    fn load(&self, wanted: Wanted<'_>) -> Result<LoadedInput, String> {
        let texts = vec![(wanted.path.display().to_string(), wanted.text.to_owned())];
        let document = Document::parse(texts, &Surroundings::of_process())
            .map_err(|problems| problems.render(false))?;
        let mut problems = document.warnings.clone();
        let plan = self.plan(&document, wanted, &mut problems);
        let problems = Problems::new(Arc::clone(&document.sources), problems);
        match plan {
            Some(plan) if problems.errors() == 0 => Ok(loaded(plan, problems.render(false))),
            _ => Err(problems.render(false)),
        }
    }
}

fn loaded(plan: InputPlan, warnings: String) -> LoadedInput {
    let decoder = plan
        .decoder
        .map(|decoder| -> MakeDecoder { Box::new(move || decoder.instantiate()) });
    LoadedInput {
        name: plan.name,
        factory: plan.factory,
        splitter: plan.splitter,
        decoder,
        splitter_name: plan.common.splitter,
        decoder_name: plan.common.decoder,
        send_decode_failures: plan.common.send_decode_failures,
        can_exit: plan.common.can_exit,
        retries: plan.common.retries,
        warnings,
    }
}
