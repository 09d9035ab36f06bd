//! The names by which sections call each other: splitters, decoders, encoders.
//!
//! Owns:    the lookup of names, the types that need no section, chains of decoders.
//! Runs on: build time.            Plane: control.
//! Bounds:  `DECODER_DEPTH_MAX`, `DECODER_INSTANCES_MAX`.
//! Never:   complains twice about one mistake: what failed before is passed over.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::super::config::{Document, Section};
use super::super::problem::{Place, Problem, did_you_mean};
use super::sections::{Factory, Made, factory, lower_buffer};
use super::{
    ConsumerPlan, DECODER_DEPTH_MAX, DECODER_INSTANCES_MAX, DecoderPlan, InputPlan, Role,
    complaints, known_types,
};
use crate::plugin::options::{HekadOptions, InputOptions, OutputOptions, SplitterOptions};
use crate::plugin::spec::Checked;
use crate::plugin::{
    DecoderFactory, EncoderFactory, EncoderUse, InputFactory, Kind, OutputFactory, PluginSpec,
    Report, SplitterFactory,
};

/// The splitter of an input that names none, as in Heka.
const DEFAULT_SPLITTER: &str = "NullSplitter";

type Splitters = HashMap<String, (Arc<dyn SplitterFactory>, SplitterOptions)>;

/// What a decoder is on the way to its plan.
enum Link {
    /// Not looked at yet.
    Waiting(Box<dyn DecoderFactory>),
    /// Being looked at: whoever meets it again has closed a circle.
    Open,
    /// Done.
    Done(Arc<DecoderPlan>),
    /// Complained about.
    Failed,
}

struct Resolver<'a, 'p> {
    document: &'a Document,
    specs: &'static [PluginSpec],
    problems: &'p mut Vec<Problem>,
    /// Kind of every section by name; `None` if it has no known kind.
    kinds: HashMap<&'a str, Option<Kind>>,
    splitters: Splitters,
    encoders: HashMap<String, Arc<dyn EncoderFactory>>,
    decoders: HashMap<String, Link>,
    decoder_sections: HashMap<&'a str, (&'a Section, &'static PluginSpec)>,
    used: HashSet<String>,
}

/// Who works with whom.
pub(super) struct Resolved {
    pub(super) inputs: Vec<InputPlan>,
    pub(super) consumers: Vec<ConsumerPlan>,
    /// Names by which sections call splitters, decoders and encoders.
    pub(super) used: HashSet<String>,
    /// What inputs can call that are not there yet.
    pub(super) names: Names,
}

/// What an input can call.
pub(super) struct Names {
    kinds: HashMap<String, Option<Kind>>,
    splitters: Splitters,
    decoders: HashMap<String, Arc<DecoderPlan>>,
}

impl Names {
    /// Puts together an input of another document with what it calls here.
    pub(super) fn input(
        &self,
        document: &Document,
        specs: &'static [PluginSpec],
        hekad: &HekadOptions,
        made: Made<'_>,
        problems: &mut Vec<Problem>,
    ) -> Option<InputPlan> {
        let done = |(name, plan): (&String, &Arc<DecoderPlan>)| {
            (name.clone(), Link::Done(Arc::clone(plan)))
        };
        let kinds = self.kinds.iter().map(|(name, kind)| (name.as_str(), *kind));
        let mut resolver = Resolver {
            document,
            specs,
            problems,
            kinds: kinds.collect(),
            splitters: self.splitters.clone(),
            encoders: HashMap::new(),
            decoders: self.decoders.iter().map(done).collect(),
            decoder_sections: HashMap::new(),
            used: HashSet::new(),
        };
        match (made.factory, made.spec) {
            (Some(Factory::Input(factory, common)), Some(spec)) => {
                resolver.input(made.section, spec, factory, common, hekad)
            }
            _ => None,
        }
    }
}

/// Takes the factories out of the sections and puts together who works with whom.
pub(super) fn resolve<'a>(
    document: &'a Document,
    specs: &'static [PluginSpec],
    hekad: &HekadOptions,
    sections: &mut [Made<'a>],
    problems: &mut Vec<Problem>,
) -> Resolved {
    let kinds = sections
        .iter()
        .map(|made| (made.section.name.as_str(), made.kind))
        .collect();
    let mut resolver = Resolver {
        document,
        specs,
        problems,
        kinds,
        splitters: HashMap::new(),
        encoders: HashMap::new(),
        decoders: HashMap::new(),
        decoder_sections: HashMap::new(),
        used: HashSet::new(),
    };
    resolver.without_section(hekad);
    let mut waiting = Vec::new();
    for made in sections {
        if let (Some(Kind::Decoder), Some(spec)) = (made.kind, made.spec) {
            resolver
                .decoder_sections
                .insert(&made.section.name, (made.section, spec));
        }
        match (made.factory.take(), made.spec) {
            (Some(Factory::Input(factory, common)), Some(spec)) => {
                waiting.push((made.section, spec, Waiting::Input(factory, common)));
            }
            (Some(Factory::Filter(factory, common)), Some(spec)) => {
                waiting.push((
                    made.section,
                    spec,
                    Waiting::Role(Role::Filter { factory, common }),
                ));
            }
            (Some(Factory::Output(factory, common)), Some(spec)) => {
                waiting.push((made.section, spec, Waiting::Output(factory, common)));
            }
            (Some(codec), _) => resolver.register(made.section.name.clone(), codec),
            (None, Some(spec)) => resolver.failed(made, spec),
            (None, None) => {}
        }
    }
    resolver.link_all();
    resolver.plans(waiting, hekad)
}

enum Waiting {
    Input(Box<dyn InputFactory>, InputOptions),
    Output(Box<dyn OutputFactory>, OutputOptions),
    Role(Role),
}

impl<'a> Resolver<'a, '_> {
    /// The types that can be named without having a section.
    fn without_section(&mut self, hekad: &HekadOptions) {
        for spec in self.specs.iter().filter(|spec| spec.auto) {
            if self.kinds.contains_key(spec.name) {
                continue;
            }
            let mut report = Report::default();
            let mut common = Value::Object(spec.common.defaults());
            lower_buffer(&mut common, hekad);
            let own = Value::Object(spec.own.defaults());
            let built = factory(
                spec,
                Checked {
                    name: spec.name,
                    own,
                    common,
                    hekad,
                    report: &mut report,
                },
            );
            for complaint in report.into_complaints() {
                self.problems.push(Problem::error(format!(
                    "{}: {}",
                    spec.name, complaint.message
                )));
            }
            if let Some(factory) = built {
                self.register(spec.name.to_owned(), factory);
            }
        }
    }

    fn register(&mut self, name: String, factory: Factory) {
        match factory {
            Factory::Splitter(factory, common) => {
                self.splitters.insert(name, (factory.into(), common));
            }
            Factory::Encoder(factory) => {
                self.encoders.insert(name, factory.into());
            }
            Factory::Decoder(factory) => {
                self.decoders.insert(name, Link::Waiting(factory));
            }
            Factory::Input(..) | Factory::Filter(..) | Factory::Output(..) => {}
        }
    }

    /// A section with mistakes of its own: the names in it are looked at all the same.
    fn failed(&mut self, made: &Made<'a>, spec: &'static PluginSpec) {
        let name = |key: &str| {
            made.common
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        match spec.kind {
            Kind::Input => {
                self.named(
                    made.section,
                    spec,
                    "splitter",
                    Kind::Splitter,
                    &name("splitter"),
                );
                self.named(
                    made.section,
                    spec,
                    "decoder",
                    Kind::Decoder,
                    &name("decoder"),
                );
            }
            Kind::Output => {
                self.named(
                    made.section,
                    spec,
                    "encoder",
                    Kind::Encoder,
                    &name("encoder"),
                );
            }
            Kind::Splitter | Kind::Decoder | Kind::Filter | Kind::Encoder => {}
        }
    }

    /// Whether a name can be used as that kind; complains unless it is empty.
    fn named(
        &mut self,
        section: &Section,
        spec: &PluginSpec,
        key: &str,
        kind: Kind,
        name: &str,
    ) -> bool {
        let place = complaints::place_of(self.document, section, spec, &[key]);
        !name.is_empty() && self.usable(kind, name, place)
    }

    fn usable(&mut self, kind: Kind, name: &str, place: Place) -> bool {
        self.used.insert(name.to_owned());
        let auto = |spec: &&PluginSpec| spec.auto && spec.kind == kind;
        let problem = match self.kinds.get(name) {
            Some(Some(found)) if *found == kind => return true,
            Some(None) => return true,
            Some(Some(found)) => {
                let found = found.with_article();
                Problem::error(format!("`{name}` is {found}, not {}", kind.with_article()))
            }
            None if self.specs.iter().filter(auto).any(|spec| spec.name == name) => return true,
            None if Kind::of_type(name) == Some(kind) && self.is_type(name) => {
                self.type_as_name(kind, name)
            }
            None => {
                let names = self.names(kind);
                let help = did_you_mean(name, names.iter().copied()).unwrap_or_else(|| match names
                    .is_empty()
                {
                    true => format!(
                        "add a section `[{name}]` with the type of {}",
                        kind.with_article()
                    ),
                    false => format!("there is: {}", names.join(", ")),
                });
                Problem::error(format!(
                    "there is no {} named `{name}`",
                    kind.name().to_lowercase()
                ))
                .help(help)
            }
        };
        self.problems.push(problem.at(place));
        false
    }

    /// Everything that can be named as that kind.
    fn names(&self, kind: Kind) -> Vec<&'a str> {
        let sections = self
            .kinds
            .iter()
            .filter(|(_, found)| **found == Some(kind))
            .map(|(name, _)| *name);
        let auto = self
            .specs
            .iter()
            .filter(|spec| spec.auto && spec.kind == kind)
            .map(|spec| spec.name);
        let mut names: Vec<_> = sections.chain(auto).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn is_type(&self, name: &str) -> bool {
        self.specs.iter().any(|spec| spec.name == name) || known_types::is_hekas(name)
    }

    /// A type is named as if it were a section.
    fn type_as_name(&self, kind: Kind, name: &str) -> Problem {
        if self.specs.iter().any(|spec| spec.name == name) {
            let message = format!("there is no {} named `{name}`", kind.name().to_lowercase());
            Problem::error(message).help(format!("this type needs a section: add `[{name}]`"))
        } else {
            Problem::error(format!(
                "{name} is a Heka plugin that this version does not have yet"
            ))
        }
    }

    /// Links every decoder, also those that nobody uses, so that all are checked.
    fn link_all(&mut self) {
        let mut names: Vec<String> = self.decoders.keys().cloned().collect();
        names.sort_by_key(|name| {
            self.decoder_sections
                .get(name.as_str())
                .map(|(section, _)| place_key(&section.place))
        });
        for name in names {
            self.link(&name, &mut Vec::new());
        }
    }

    fn link(&mut self, name: &str, path: &mut Vec<String>) -> Option<Arc<DecoderPlan>> {
        let factory = match self.decoders.insert(name.to_owned(), Link::Open)? {
            Link::Waiting(factory) => factory,
            Link::Done(plan) => {
                self.decoders
                    .insert(name.to_owned(), Link::Done(Arc::clone(&plan)));
                return Some(plan);
            }
            Link::Failed | Link::Open => {
                self.decoders.insert(name.to_owned(), Link::Failed);
                return None;
            }
        };
        path.push(name.to_owned());
        let subs: Vec<_> = factory.subs().to_vec();
        let linked: Vec<_> = subs
            .iter()
            .enumerate()
            .map(|(position, sub)| self.sub(name, position, sub, path))
            .collect();
        path.pop();
        let plan = linked.into_iter().collect::<Option<Vec<_>>>().and_then(|subs| {
            let instances = subs.iter().fold(1_usize, |sum, sub| sum.saturating_add(sub.instances));
            if instances > DECODER_INSTANCES_MAX {
                let message = format!("`{name}` and all that it calls are more than {DECODER_INSTANCES_MAX} decoders");
                let place = self.sub_place(name, None);
                self.push(Problem::error(message), place);
                return None;
            }
            Some(Arc::new(DecoderPlan { name: name.to_owned(), factory, subs, instances }))
        });
        let link = plan
            .as_ref()
            .map_or(Link::Failed, |plan| Link::Done(Arc::clone(plan)));
        self.decoders.insert(name.to_owned(), link);
        plan
    }

    /// A decoder that another one calls.
    fn sub(
        &mut self,
        of: &str,
        position: usize,
        name: &str,
        path: &mut Vec<String>,
    ) -> Option<Arc<DecoderPlan>> {
        let place = self.sub_place(of, Some(position));
        if let Some(start) = path.iter().position(|known| known == name) {
            let circle: Vec<_> = path[start..]
                .iter()
                .map(String::as_str)
                .chain([name])
                .collect();
            let message = format!(
                "decoders call each other in a circle: {}",
                circle.join(" -> ")
            );
            self.push(Problem::error(message), place);
            return None;
        }
        if path.len() >= DECODER_DEPTH_MAX {
            let message = format!("decoders call each other more than {DECODER_DEPTH_MAX} deep");
            self.push(Problem::error(message), place);
            return None;
        }
        let place = place?;
        if !self.usable(Kind::Decoder, name, place) {
            None
        } else {
            self.link(name, path)
        }
    }

    fn sub_place(&self, of: &str, position: Option<usize>) -> Option<Place> {
        let (section, spec) = self.decoder_sections.get(of)?;
        Some(match position {
            Some(position) => complaints::place_of(
                self.document,
                section,
                spec,
                &["subs", &position.to_string()],
            ),
            None => section.place.clone(),
        })
    }

    fn push(&mut self, problem: Problem, place: Option<Place>) {
        self.problems.push(Problem { place, ..problem });
    }

    fn plans(
        mut self,
        waiting: Vec<(&'a Section, &'static PluginSpec, Waiting)>,
        hekad: &HekadOptions,
    ) -> Resolved {
        let (mut inputs, mut consumers) = (Vec::new(), Vec::new());
        for (section, spec, waiting) in waiting {
            let name = section.name.clone();
            let role = match waiting {
                Waiting::Input(factory, common) => {
                    inputs.extend(self.input(section, spec, factory, common, hekad));
                    continue;
                }
                Waiting::Output(factory, common) => self.output(section, spec, factory, common),
                Waiting::Role(role) => Some(role),
            };
            consumers.extend(role.map(|role| ConsumerPlan {
                name,
                type_name: spec.name,
                role,
            }));
        }
        self.unknown_signers(&consumers);
        let done = |(name, link)| match link {
            Link::Done(plan) => Some((name, plan)),
            Link::Waiting(_) | Link::Open | Link::Failed => None,
        };
        let kinds = self.kinds.into_iter();
        Resolved {
            inputs,
            consumers,
            used: self.used,
            names: Names {
                kinds: kinds.map(|(name, kind)| (name.to_owned(), kind)).collect(),
                splitters: self.splitters,
                decoders: self.decoders.into_iter().filter_map(done).collect(),
            },
        }
    }

    fn input(
        &mut self,
        section: &Section,
        spec: &'static PluginSpec,
        factory: Box<dyn InputFactory>,
        mut common: InputOptions,
        hekad: &HekadOptions,
    ) -> Option<InputPlan> {
        if common.splitter.is_empty() {
            common.splitter = DEFAULT_SPLITTER.to_owned();
        }
        let has_splitter = self.named(section, spec, "splitter", Kind::Splitter, &common.splitter);
        let has_decoder = self.named(section, spec, "decoder", Kind::Decoder, &common.decoder);
        let decoder = match self.decoders.get(&common.decoder) {
            Some(Link::Done(plan)) if has_decoder => Some(Arc::clone(plan)),
            _ => None,
        };
        let (splitter, splitter_options) = self
            .splitters
            .get(&common.splitter)
            .filter(|_| has_splitter)?
            .clone();
        Some(InputPlan {
            name: section.name.clone(),
            type_name: spec.name,
            common,
            factory,
            splitter,
            splitter_options,
            record_bytes_max: hekad.record_bytes_max(),
            decoder,
        })
    }

    fn output(
        &mut self,
        section: &Section,
        spec: &'static PluginSpec,
        factory: Box<dyn OutputFactory>,
        common: OutputOptions,
    ) -> Option<Role> {
        let place = complaints::place_of(self.document, section, spec, &["encoder"]);
        match (spec.encoder, common.encoder.is_empty()) {
            (EncoderUse::Required, true) => {
                let help = match self.names(Kind::Encoder).join(", ").as_str() {
                    "" => "add a section of an encoder, and `encoder = \"NAME\"` here".to_owned(),
                    names => format!("add `encoder = \"NAME\"`; there is: {names}"),
                };
                let problem = Problem::error(format!("`{}` lacks `encoder`", section.name));
                self.problems.push(problem.at(place).help(help));
                return None;
            }
            (EncoderUse::Ignored, false) => {
                let message = format!(
                    "`encoder` has no effect: {} makes its bytes itself",
                    spec.name
                );
                self.problems.push(Problem::warning(message).at(place));
            }
            _ => {}
        }
        let has_encoder = self.named(section, spec, "encoder", Kind::Encoder, &common.encoder);
        let encoder = self
            .encoders
            .get(&common.encoder)
            .filter(|_| has_encoder)
            .cloned();
        if encoder.is_none() && has_encoder {
            return None;
        }
        let by_encoder = encoder
            .as_ref()
            .is_some_and(|encoder| encoder.frames_by_default());
        let framing = common.use_framing.unwrap_or(by_encoder);
        Some(Role::Output {
            factory,
            common,
            encoder,
            framing,
        })
    }

    /// A consumer that asks for a signer whose key nobody has gets nothing.
    fn unknown_signers(&mut self, consumers: &[ConsumerPlan]) {
        for consumer in consumers {
            let signer = match &consumer.role {
                Role::Filter { common, .. } => &common.message_signer,
                Role::Output { common, .. } => &common.message_signer,
            };
            let known =
                |(splitter, _): &(Arc<dyn SplitterFactory>, _)| splitter.signers().contains(signer);
            if signer.is_empty() || self.splitters.values().any(known) {
                continue;
            }
            let section = self
                .document
                .sections
                .iter()
                .find(|section| section.name == consumer.name);
            let spec = self
                .specs
                .iter()
                .find(|spec| spec.name == consumer.type_name);
            if let (Some(section), Some(spec)) = (section, spec) {
                let place = complaints::place_of(self.document, section, spec, &["message_signer"]);
                let message =
                    format!("no splitter has a key of signer `{signer}`, so this gets no message");
                self.problems.push(Problem::warning(message).at(place));
            }
        }
    }
}

fn place_key(place: &Place) -> (usize, usize) {
    (place.file, place.range.start)
}
