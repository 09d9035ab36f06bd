//! The specification of a plugin: its line in the table.
//!
//! Owns:    `PluginSpec`, `Kind`, `Build`, and one trait a kind by which an options struct becomes a factory.
//! Runs on: build time.            Plane: control.
//! Bounds:  one constant a plugin.
//! Never:   does I/O.
//!
//! A plugin is an options struct that implements the trait of its kind, and a constant:
//! `pub const SPEC: PluginSpec = PluginSpec::splitter::<Options>("TokenSplitter", "Splits ...").auto();`

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::options::{
    CodecOptions, FilterOptions, HekadOptions, InputOptions, OutputOptions, SplitterOptions,
};
use super::section::{Report, Section};
use super::{
    DecoderFactory, EncoderFactory, FilterFactory, InputFactory, OutputFactory, SplitterFactory,
};

/// The six kinds of plugins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Brings bytes in.
    Input,
    /// Cuts them into records.
    Splitter,
    /// Turns records into messages.
    Decoder,
    /// Looks at messages.
    Filter,
    /// Turns messages into bytes.
    Encoder,
    /// Delivers bytes.
    Output,
}

impl Kind {
    /// All kinds, in the order of a message's way.
    pub const ALL: [Kind; 6] = [
        Kind::Input,
        Kind::Splitter,
        Kind::Decoder,
        Kind::Filter,
        Kind::Encoder,
        Kind::Output,
    ];

    /// The kind's name, which is also the end of the name of each of its types.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Input => "Input",
            Kind::Splitter => "Splitter",
            Kind::Decoder => "Decoder",
            Kind::Filter => "Filter",
            Kind::Encoder => "Encoder",
            Kind::Output => "Output",
        }
    }

    /// The kind's name in a sentence, with its article.
    pub const fn with_article(self) -> &'static str {
        match self {
            Kind::Input => "an input",
            Kind::Splitter => "a splitter",
            Kind::Decoder => "a decoder",
            Kind::Filter => "a filter",
            Kind::Encoder => "an encoder",
            Kind::Output => "an output",
        }
    }

    /// The kind that a type's name ends in.
    pub fn of_type(type_name: &str) -> Option<Kind> {
        Kind::ALL
            .into_iter()
            .find(|kind| type_name.ends_with(kind.name()))
    }
}

/// What every options struct is: `#[serde(default, deny_unknown_fields)]`, a `Default`, and a schema.
///
/// Implemented for all that qualify. Marks that a field may carry with `#[schemars(extend("x-..." = ...))]`:
/// `x-required = true` (refused when not given), `x-also = ["other_spelling"]`, `x-no-effect = "why"` (accepted with a
/// warning), `x-default = "text"` (how the reference shows a default that depends on the rest).
pub trait Options: Default + Serialize + DeserializeOwned + JsonSchema {}

impl<T: Default + Serialize + DeserializeOwned + JsonSchema> Options for T {}

/// The keys of an options struct, its types and its defaults, without its type.
#[derive(Clone, Copy, Debug)]
pub struct OptionSet {
    schema: fn() -> Value,
    defaults: fn() -> Value,
}

impl OptionSet {
    /// Those of `T`.
    pub const fn of<T: Options>() -> OptionSet {
        OptionSet {
            schema: schema_of::<T>,
            defaults: defaults_of::<T>,
        }
    }

    /// JSON Schema of the struct, without references.
    pub fn schema(&self) -> Value {
        (self.schema)()
    }

    /// Every key with its default.
    pub fn defaults(&self) -> Map<String, Value> {
        match (self.defaults)() {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }
}

fn schema_of<T: Options>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

fn defaults_of<T: Options>() -> Value {
    serde_json::to_value(T::default()).unwrap_or_default()
}

/// Values of a section that fit the schemas, every key present, on their way into typed structs.
#[derive(Debug)]
pub struct Checked<'a> {
    /// The section's name.
    pub name: &'a str,
    /// The plugin's own options.
    pub own: Value,
    /// The options common to its kind.
    pub common: Value,
    /// The `[hekad]` section.
    pub hekad: &'a HekadOptions,
    /// Where complaints go.
    pub report: &'a mut Report,
}

impl Checked<'_> {
    fn typed<T: Options>(value: Value, report: &mut Report) -> Option<T> {
        match serde_json::from_value(value) {
            Ok(options) => Some(options),
            Err(error) => {
                report.problem(&[], error.to_string());
                None
            }
        }
    }
}

/// A factory with the common options of its section; `None` when the report says why not.
pub type Built<F, C> = Option<(Box<F>, C)>;

/// How a factory is made from a checked section, by kind.
#[derive(Clone, Copy)]
pub enum Build {
    /// Input.
    Input(fn(Checked<'_>) -> Built<dyn InputFactory, InputOptions>),
    /// Splitter.
    Splitter(fn(Checked<'_>) -> Built<dyn SplitterFactory, SplitterOptions>),
    /// Decoder.
    Decoder(fn(Checked<'_>) -> Built<dyn DecoderFactory, CodecOptions>),
    /// Filter.
    Filter(fn(Checked<'_>) -> Built<dyn FilterFactory, FilterOptions>),
    /// Encoder.
    Encoder(fn(Checked<'_>) -> Built<dyn EncoderFactory, CodecOptions>),
    /// Output.
    Output(fn(Checked<'_>) -> Built<dyn OutputFactory, OutputOptions>),
}

/// Whether an output works with an encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncoderUse {
    /// It does not run without one.
    Required,
    /// It can do without.
    Optional,
    /// It makes its bytes itself; naming one is pointless.
    Ignored,
}

/// One line of the plugin table.
#[derive(Clone, Copy)]
pub struct PluginSpec {
    /// Type name as in the configuration; ends in its kind.
    pub name: &'static str,
    /// Kind.
    pub kind: Kind,
    /// What it does, one line.
    pub about: &'static str,
    /// Paragraphs for its reference page.
    pub notes: &'static [&'static str],
    /// Whether it can be named without having a section.
    pub auto: bool,
    /// Whether `ticker_interval` does something.
    pub ticks: bool,
    /// Whether unknown keys are no error (types that had no options in Heka accepted any).
    pub any_key: bool,
    /// For outputs: whether it works with an encoder.
    pub encoder: EncoderUse,
    /// Its own options.
    pub own: OptionSet,
    /// Options common to its kind, with its own defaults for them.
    pub common: OptionSet,
    /// How it is made.
    pub build: Build,
}

macro_rules! kinds {
    ($($kind:ident $lower:ident $Trait:ident $Factory:ident $Common:ident $build:ident $defaults:ident $article:literal;)*) => {
        $(
            #[doc = concat!("An options struct that makes ", $article, ".")]
            pub trait $Trait: Options {
                /// The defaults of the options common to the kind, where this type has its own.
                fn common() -> $Common {
                    $Common::default()
                }

                /// The factory, or complaints. Touches nothing outside.
                fn build(self, section: &mut Section<'_, $Common>) -> Option<Box<dyn $Factory>>;
            }

            fn $build<T: $Trait>(checked: Checked<'_>) -> Built<dyn $Factory, $Common> {
                let own = Checked::typed::<T>(checked.own, checked.report);
                let common = Checked::typed::<$Common>(checked.common, checked.report);
                let (own, common) = (own?, common?);
                let mut section = Section::new(checked.name, &common, checked.hekad, checked.report);
                let factory = own.build(&mut section)?;
                (!checked.report.has_problems()).then_some((factory, common))
            }

            fn $defaults<T: $Trait>() -> Value {
                serde_json::to_value(T::common()).unwrap_or_default()
            }
        )*

        impl PluginSpec {
            $(
                #[doc = concat!("The line of ", $article, " with these options.")]
                pub const fn $lower<T: $Trait>(name: &'static str, about: &'static str) -> PluginSpec {
                    let common = OptionSet { schema: schema_of::<$Common>, defaults: $defaults::<T> };
                    PluginSpec::new(name, about, Kind::$kind, OptionSet::of::<T>(), common, Build::$kind($build::<T>))
                }
            )*
        }
    };
}

kinds! {
    Input input InputPlugin InputFactory InputOptions build_input input_defaults "an input";
    Splitter splitter SplitterPlugin SplitterFactory SplitterOptions build_splitter splitter_defaults "a splitter";
    Decoder decoder DecoderPlugin DecoderFactory CodecOptions build_decoder decoder_defaults "a decoder";
    Filter filter FilterPlugin FilterFactory FilterOptions build_filter filter_defaults "a filter";
    Encoder encoder EncoderPlugin EncoderFactory CodecOptions build_encoder encoder_defaults "an encoder";
    Output output OutputPlugin OutputFactory OutputOptions build_output output_defaults "an output";
}

impl PluginSpec {
    const fn new(
        name: &'static str,
        about: &'static str,
        kind: Kind,
        own: OptionSet,
        common: OptionSet,
        build: Build,
    ) -> PluginSpec {
        let encoder = EncoderUse::Required;
        PluginSpec {
            name,
            kind,
            about,
            notes: &[],
            auto: false,
            ticks: false,
            any_key: false,
            encoder,
            own,
            common,
            build,
        }
    }

    /// It can be named without having a section.
    pub const fn auto(mut self) -> Self {
        self.auto = true;
        self
    }

    /// `ticker_interval` does something.
    pub const fn ticks(mut self) -> Self {
        self.ticks = true;
        self
    }

    /// Unknown keys are a warning, not an error.
    pub const fn any_key(mut self) -> Self {
        self.any_key = true;
        self
    }

    /// Whether it works with an encoder (outputs; `Required` unless said otherwise).
    pub const fn encoder_use(mut self, encoder: EncoderUse) -> Self {
        self.encoder = encoder;
        self
    }

    /// Paragraphs for the reference page.
    pub const fn notes(mut self, notes: &'static [&'static str]) -> Self {
        self.notes = notes;
        self
    }
}

impl std::fmt::Debug for PluginSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PluginSpec")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
