//! Filters whose sections come while the daemon runs, understood by the same rules as the configuration.
//!
//! Owns:    `Reader`: the table of plugins, and the daemon's options.
//! Runs on: the thread that loads filters.            Plane: control.
//! Bounds:  as for a configuration file.
//! Never:   starts anything; stops at the first mistake.

use std::sync::Arc;
use std::time::Duration;

use super::super::config::{Document, Entry, Section, Surroundings, Written};
use super::super::problem::{Place, Problem, Problems};
use super::sections::{self, Factory, Made};
use crate::plugin::options::{FilterOptions, HekadOptions};
use crate::plugin::{
    FilterFactory, FilterReader, Forced, LoadedFilter, PluginSpec, ReadFilter, WantedFilter,
};

/// Key of the type.
const TYPE: &str = "type";

/// Understands sections of filters.
pub(super) struct Reader {
    specs: &'static [PluginSpec],
    hekad: HekadOptions,
}

impl Reader {
    /// A reader of filters of these types.
    pub(super) fn new(specs: &'static [PluginSpec], hekad: HekadOptions) -> Reader {
        Reader { specs, hekad }
    }

    fn parse(file: &str, text: &str) -> Result<Document, String> {
        let texts = vec![(file.to_owned(), text.to_owned())];
        // What a message brings has no business with the daemon's environment.
        let surroundings = Surroundings {
            variable: Box::new(|_| None),
            hostname: String::new(),
        };
        Document::parse(texts, &surroundings).map_err(|problems| problems.render(false))
    }

    fn filter(
        &self,
        document: &Document,
        wanted: &WantedFilter<'_>,
        problems: &mut Vec<Problem>,
    ) -> Option<(&'static str, Box<dyn FilterFactory>, FilterOptions)> {
        let mut sections = document.sections.iter();
        let Some(written) = sections.find(|section| section.name == wanted.section) else {
            let start = Place {
                file: 0,
                range: 0..0,
            };
            let message = format!("there is no section `[{}]`", wanted.section);
            problems.push(Problem::error(message).at(start));
            return None;
        };
        let section = adapted(written, wanted);
        let before = problems.len();
        let made = sections::one(document, self.specs, &self.hekad, &section, problems);
        let type_name = made.spec.map_or("", |spec| spec.name);
        if made.spec.is_some() && type_name != wanted.type_name {
            // What another type says of options that were forced on it helps nobody.
            problems.truncate(before);
            let message = format!("only the type {} can be loaded", wanted.type_name);
            problems.push(Problem::error(message).at(section.place.clone()));
            return None;
        }
        let made = [made];
        sections::matchers(document, &made, problems)?;
        let [Made { factory, .. }] = made;
        let Some(Factory::Filter(factory, common)) = factory else {
            return None;
        };
        if common.use_buffering {
            let message =
                "`use_buffering` has no effect: filters that are loaded have no disk queue";
            problems.push(Problem::warning(message).at(section.place.clone()));
        }
        Some((type_name, factory, common))
    }
}

/// The section with its name, and with the options that it has no say in.
fn adapted(written: &Section, wanted: &WantedFilter<'_>) -> Section {
    let mut section = written.clone();
    let has_type = |entry: &Entry| entry.key.eq_ignore_ascii_case(TYPE);
    if !section.entries.iter().any(has_type) {
        // A section's name is its type where nothing else is said, as ever.
        let name = Written::Text(section.name.clone());
        section.entries.push(Entry::unwritten(TYPE, name));
    }
    section.name = wanted.name.to_owned();
    for (key, value) in wanted.forced {
        section
            .entries
            .retain(|entry| !entry.key.eq_ignore_ascii_case(key));
        let value = match value {
            Forced::Text(text) => Written::Text(text.clone()),
            Forced::Integer(number) => Written::Integer((*number).into()),
            Forced::Unset => continue,
        };
        section.entries.push(Entry::unwritten(key, value));
    }
    section
}

impl FilterReader for Reader {
    fn sections(&self, file: &str, text: &str) -> Result<Vec<String>, String> {
        let document = Reader::parse(file, text)?;
        let names = document.sections.iter();
        Ok(names.map(|section| section.name.clone()).collect())
    }

    fn read(&self, wanted: &WantedFilter<'_>) -> Result<ReadFilter, String> {
        let document = Reader::parse(wanted.file, wanted.text)?;
        let mut problems = document.warnings.clone();
        let filter = self.filter(&document, wanted, &mut problems);
        let problems = Problems::new(Arc::clone(&document.sources), problems);
        let (Some((type_name, factory, common)), 0) = (filter, problems.errors()) else {
            return Err(problems.render(false));
        };
        let seconds = u64::from(common.ticker_interval);
        Ok(ReadFilter {
            loaded: LoadedFilter {
                name: wanted.name.to_owned(),
                type_name,
                factory: factory.into(),
                ticker_interval: (seconds > 0).then(|| Duration::from_secs(seconds)),
                retries: common.retries,
                serial: 0,
            },
            matcher: common.message_matcher,
            signer: common.message_signer,
            warnings: problems.render(false),
        })
    }
}
