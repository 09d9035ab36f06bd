//! The plan: a configuration understood. Pure and immutable; nothing outside is touched to make it.
//!
//! Owns:    `Plan` and its parts, what of a section concerns every plugin of its kind.
//! Runs on: build time.            Plane: control.
//! Bounds:  `DECODER_DEPTH_MAX`, `DECODER_INSTANCES_MAX`.
//! Never:   stops at the first mistake; opens, resolves or starts anything; names a plugin.
//!
//! Steps: `[hekad]`, then each section by itself (`sections`), then names that sections call each other by (`references`),
//! then all matchers at once; then what nothing uses (`unused`).

mod complaints;
mod filters;
mod known_types;
mod listening;
mod loader;
mod owned;
mod queues;
mod references;
mod sections;
mod unused;

use std::sync::Arc;

use serde_json::Value;

use super::config::{Document, HEKAD_SECTION};
use super::fit::{self, Fit, UnknownKeys};
use super::problem::{Problem, Problems};
use crate::plugin::options::{
    Buffering, FilterOptions, HekadOptions, InputOptions, OutputOptions, SplitterOptions,
};
use crate::plugin::spec::OptionSet;
use crate::plugin::{
    Decoder, DecoderFactory, EncoderFactory, FilterFactory, FilterReader, InputFactory,
    InputLoader, OutputFactory, PluginSpec, SplitterFactory,
};
use loader::Loader;
use references::Resolved;

/// How deep decoders may call decoders.
pub const DECODER_DEPTH_MAX: usize = 32;

/// Most decoders that one stream may take, itself and all that it calls.
pub const DECODER_INSTANCES_MAX: usize = 4096;

/// A configuration understood.
pub struct Plan {
    /// The daemon's own options; `hostname` is filled in.
    pub hekad: HekadOptions,
    /// Inputs in the order of the configuration.
    pub inputs: Vec<InputPlan>,
    /// Filters and outputs in the order of the configuration. The index is the consumer's number in `matchers`.
    pub consumers: Vec<ConsumerPlan>,
    /// All message matchers.
    pub matchers: matcher::Set,
    /// Understands the sections of filters that are loaded later.
    pub reader: Arc<dyn FilterReader>,
    /// What works, but hardly as its writer thinks.
    pub warnings: Problems,
}

/// An input with what works for it.
pub struct InputPlan {
    /// Section name.
    pub name: String,
    /// Type.
    pub type_name: &'static str,
    /// Options common to inputs.
    pub common: InputOptions,
    /// Makes it.
    pub factory: Box<dyn InputFactory>,
    /// Makes the splitter of each of its streams.
    pub splitter: Arc<dyn SplitterFactory>,
    /// Options common to splitters; `min_buffer_size` is at most `record_bytes_max`.
    pub splitter_options: SplitterOptions,
    /// Longest record, bytes.
    pub record_bytes_max: usize,
    /// Decoder, if it has one.
    pub decoder: Option<Arc<DecoderPlan>>,
}

/// A decoder with those that it calls.
pub struct DecoderPlan {
    /// Section name.
    pub name: String,
    /// Makes it.
    pub factory: Box<dyn DecoderFactory>,
    /// Those it calls, in order.
    pub subs: Vec<Arc<DecoderPlan>>,
    /// It and all below it.
    instances: usize,
}

impl DecoderPlan {
    /// A decoder for one stream, with those that it calls.
    pub fn instantiate(&self) -> Box<dyn Decoder> {
        self.factory
            .make(self.subs.iter().map(|sub| sub.instantiate()).collect())
    }
}

/// A filter or an output.
pub struct ConsumerPlan {
    /// Section name.
    pub name: String,
    /// Type.
    pub type_name: &'static str,
    /// Which of the two, with what belongs to it.
    pub role: Role,
}

/// What a consumer is.
pub enum Role {
    /// It looks at messages.
    Filter {
        /// Makes it.
        factory: Box<dyn FilterFactory>,
        /// Options common to filters.
        common: FilterOptions,
    },
    /// It delivers them.
    Output {
        /// Makes it.
        factory: Box<dyn OutputFactory>,
        /// Options common to outputs.
        common: OutputOptions,
        /// Makes its encoders.
        encoder: Option<Arc<dyn EncoderFactory>>,
        /// Whether encoded messages are framed.
        framing: bool,
    },
}

impl ConsumerPlan {
    /// The signer whose messages it takes; empty for anybody's.
    pub fn signer(&self) -> &str {
        match &self.role {
            Role::Filter { common, .. } => &common.message_signer,
            Role::Output { common, .. } => &common.message_signer,
        }
    }

    /// Its message matcher.
    pub fn matcher(&self) -> &str {
        match &self.role {
            Role::Filter { common, .. } => &common.message_matcher,
            Role::Output { common, .. } => &common.message_matcher,
        }
    }

    /// Seconds between its timer events; zero for none.
    pub fn ticker_interval(&self) -> u32 {
        match &self.role {
            Role::Filter { common, .. } => common.ticker_interval,
            Role::Output { common, .. } => common.ticker_interval,
        }
    }

    /// The settings of its disk queue, if it has one.
    pub fn buffering(&self) -> Option<&Buffering> {
        let (used, buffering) = match &self.role {
            Role::Filter { common, .. } => (common.use_buffering, &common.buffering),
            Role::Output { common, .. } => (common.use_buffering, &common.buffering),
        };
        used.then_some(buffering)
    }

    /// How many bytes of dead letters it keeps, if it does.
    pub fn dead_letter_bytes(&self) -> Option<u64> {
        match &self.role {
            Role::Filter { .. } => None,
            Role::Output { common, .. } => {
                let kept = common.dead_letters.unwrap_or(common.use_buffering);
                kept.then_some(common.max_dead_letter_size)
            }
        }
    }

    /// Whether the daemon goes on when it has ended.
    pub fn can_exit(&self) -> bool {
        match &self.role {
            Role::Filter { common, .. } => common.can_exit,
            Role::Output { common, .. } => common.can_exit,
        }
    }
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let inputs: Vec<_> = self.inputs.iter().map(|input| &input.name).collect();
        let consumers: Vec<_> = self
            .consumers
            .iter()
            .map(|consumer| &consumer.name)
            .collect();
        f.debug_struct("Plan")
            .field("inputs", &inputs)
            .field("consumers", &consumers)
            .finish_non_exhaustive()
    }
}

impl Plan {
    /// Understands a configuration, given the table of plugins. Errors come all at once, together with the warnings.
    pub fn build(document: &Document, specs: &'static [PluginSpec]) -> Result<Plan, Problems> {
        let mut problems = document.warnings.clone();
        let hekad = hekad_options(document, &mut problems);
        let mut sections = sections::build(document, specs, &hekad, &mut problems);
        queues::check(&sections, &mut problems);
        owned::check(&sections, &mut problems);
        listening::check(document, &sections, &mut problems);
        let matchers = sections::matchers(document, &sections, &mut problems);
        let Resolved {
            mut inputs,
            consumers,
            used,
            names,
        } = references::resolve(document, specs, &hekad, &mut sections, &mut problems);
        let loader: Arc<dyn InputLoader> = Arc::new(Loader::new(specs, hekad.clone(), names));
        let mut may_load = false;
        for input in &mut inputs {
            may_load |= input.factory.use_loader(&loader);
        }
        // What is loaded later may use anything.
        if problems.iter().all(|problem| problem.warning) && !may_load {
            problems.extend(unused::warnings(document, &sections, &used));
        }
        let problems = Problems::new(Arc::clone(&document.sources), problems);
        let reader = Arc::new(filters::Reader::new(specs, hekad.clone()));
        match matchers {
            Some(matchers) if problems.errors() == 0 => Ok(Plan {
                reader,
                hekad,
                inputs,
                consumers,
                matchers,
                warnings: problems,
            }),
            _ => Err(problems),
        }
    }
}

/// The options of `[hekad]`.
pub(crate) const HEKAD: OptionSet = OptionSet::of::<HekadOptions>();

fn hekad_options(document: &Document, problems: &mut Vec<Problem>) -> HekadOptions {
    let mut fit = Fit::new(document, problems, format!("[{HEKAD_SECTION}]"));
    let [values] = fit.section(&document.hekad, [&HEKAD], &[], UnknownKeys::Refused);
    let mut options: HekadOptions = typed(values, problems);
    let size = options.max_message_size;
    let least = codecs::limits::MESSAGE_BYTES_MIN as u64;
    if size != 0
        && size <= least
        && let Some(entry) = fit::entry(&document.hekad, &[&HEKAD], "max_message_size")
    {
        let message = format!("`max_message_size` must be more than {least}, or 0 for the default");
        problems.push(Problem::error(message).at(document.place(&entry.item)));
        options.max_message_size = 0;
    }
    if options.hostname.is_empty() {
        options.hostname.clone_from(&document.hostname);
    }
    options
}

/// Values that fit a schema, as the type that the schema came from.
fn typed<T: crate::plugin::Options>(values: Value, problems: &mut Vec<Problem>) -> T {
    serde_json::from_value(values).unwrap_or_else(|error| {
        problems.push(Problem::error(error.to_string()));
        T::default()
    })
}

#[cfg(test)]
mod tests;
