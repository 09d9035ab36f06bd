//! A table of plugins that do nothing, with every shape of option that a configuration can get wrong.
//!
//! Owns:    the types that the golden configurations name.
//! Runs on: tests.            Plane: control.
//! Bounds:  one of each kind, and what their references need.
//! Never:   moves a byte.

use codecs::splitter::{Split, Splitter};
use engine::io::Family;
use engine::plugin::options::{
    CodecOptions, Duration, FilterOptions, InputOptions, OutputOptions, SplitterOptions, Table, Tls,
};
use engine::plugin::{
    DecodeError, DecodeInput, Decoded, Decoder, DecoderFactory, DecoderPlugin, EncodeContext,
    EncodeFailure, Encoded, Encoder, EncoderFactory, EncoderPlugin, EncoderUse, Fault, Filter,
    FilterContext, FilterFactory, FilterPlugin, Input, InputFactory, InputPlugin, Listening,
    LocalFuture, Output, OutputFactory, OutputPlugin, Placement, PluginSpec, Protocol, Section,
    Selection, SplitterFactory, SplitterPlugin,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The table.
pub(crate) const ALL: &[PluginSpec] = &[
    PluginSpec::input::<SocketOptions>("SocketInput", "Listens."),
    PluginSpec::splitter::<Nothing>("NullSplitter", "Passes on.").auto(),
    PluginSpec::splitter::<PieceOptions>("PieceSplitter", "Cuts pieces.").auto(),
    PluginSpec::decoder::<Nothing>("PlainDecoder", "Decodes.")
        .auto()
        .any_key(),
    PluginSpec::decoder::<ChainOptions>("ChainDecoder", "Calls others."),
    PluginSpec::filter::<Nothing>("IdleFilter", "Looks.").ticks(),
    PluginSpec::encoder::<Nothing>("FrameEncoder", "Encodes, framed.").auto(),
    PluginSpec::encoder::<Nothing>("TextEncoder", "Encodes."),
    PluginSpec::output::<SinkOptions>("SinkOutput", "Takes."),
    PluginSpec::output::<Nothing>("OwnOutput", "Takes.").encoder_use(EncoderUse::Ignored),
];

/// No options.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Nothing {}

/// An input's.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SocketOptions {
    /// Listening address
    #[schemars(extend("x-required" = true))]
    address: String,
    /// Longest pause
    idle_timeout: Duration,
    /// Whether it speaks TLS
    use_tls: bool,
    /// TLS settings
    tls: Tls,
}

impl InputPlugin for SocketOptions {
    fn common() -> InputOptions {
        InputOptions {
            decoder: "PlainDecoder".to_owned(),
            ..InputOptions::default()
        }
    }

    fn build(self, section: &mut Section<'_, InputOptions>) -> Option<Box<dyn InputFactory>> {
        if self.use_tls {
            self.tls.check_server(section);
        }
        if !self.address.contains(':') {
            section
                .problem(&["address"], "must be HOST:PORT")
                .help("for example \"127.0.0.1:5565\"");
        }
        Some(Box::new(Made {
            address: Some(self.address),
            ..Made::default()
        }))
    }
}

/// A splitter's.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PieceOptions {
    /// Single byte that ends a piece
    delimiter: String,
    /// How many
    #[schemars(range(min = 1, max = 10))]
    count: u32,
    /// Keys by signer
    signer: Table<Key>,
}

/// A signer's key.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Key {
    /// Secret
    #[schemars(extend("x-required" = true))]
    hmac_key: Option<String>,
}

impl Default for PieceOptions {
    fn default() -> Self {
        PieceOptions {
            delimiter: "\n".to_owned(),
            count: 1,
            signer: Table::default(),
        }
    }
}

impl SplitterPlugin for PieceOptions {
    fn build(self, section: &mut Section<'_, SplitterOptions>) -> Option<Box<dyn SplitterFactory>> {
        if self.delimiter.len() != 1 {
            let extra = self.delimiter.len().min(1)..self.delimiter.len();
            section
                .problem(&["delimiter"], "must be a single byte")
                .within(extra);
        }
        let names = self
            .signer
            .iter()
            .map(|(name, _)| name.to_owned())
            .collect();
        Some(Box::new(Made {
            names,
            ..Made::default()
        }))
    }
}

/// A decoder's.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ChainOptions {
    /// Decoders to call
    #[schemars(extend("x-required" = true))]
    subs: Vec<String>,
}

impl DecoderPlugin for ChainOptions {
    fn build(self, _: &mut Section<'_, CodecOptions>) -> Option<Box<dyn DecoderFactory>> {
        Some(Box::new(Made {
            names: self.subs,
            ..Made::default()
        }))
    }
}

/// An output's.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SinkOptions {
    /// Where to
    address: String,
    /// Header names and values
    headers: Table<String>,
}

impl OutputPlugin for SinkOptions {
    fn common() -> OutputOptions {
        OutputOptions {
            use_framing: None,
            ..OutputOptions::default()
        }
    }

    fn build(self, _: &mut Section<'_, OutputOptions>) -> Option<Box<dyn OutputFactory>> {
        Some(Box::new(Made::default()))
    }
}

impl SplitterPlugin for Nothing {
    fn common() -> SplitterOptions {
        SplitterOptions {
            min_buffer_size: 65536,
            ..SplitterOptions::default()
        }
    }

    fn build(self, _: &mut Section<'_, SplitterOptions>) -> Option<Box<dyn SplitterFactory>> {
        Some(Box::new(Made::default()))
    }
}

impl DecoderPlugin for Nothing {
    fn build(self, _: &mut Section<'_, CodecOptions>) -> Option<Box<dyn DecoderFactory>> {
        Some(Box::new(Made::default()))
    }
}

impl FilterPlugin for Nothing {
    fn build(self, _: &mut Section<'_, FilterOptions>) -> Option<Box<dyn FilterFactory>> {
        Some(Box::new(Made::default()))
    }
}

impl EncoderPlugin for Nothing {
    fn build(self, section: &mut Section<'_, CodecOptions>) -> Option<Box<dyn EncoderFactory>> {
        Some(Box::new(Made {
            frames: section.name() == "FrameEncoder",
            ..Made::default()
        }))
    }
}

impl OutputPlugin for Nothing {
    fn build(self, _: &mut Section<'_, OutputOptions>) -> Option<Box<dyn OutputFactory>> {
        Some(Box::new(Made::default()))
    }
}

/// Every factory and every instance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Made {
    names: Vec<String>,
    frames: bool,
    address: Option<String>,
}

impl SplitterFactory for Made {
    fn make(&self) -> Box<dyn Splitter> {
        Box::new(self.clone())
    }
    fn use_message_bytes(&self) -> bool {
        false
    }
    fn signers(&self) -> &[String] {
        &self.names
    }
}

impl Splitter for Made {
    fn split(&mut self, _: &[u8], _: bool) -> Split {
        Split::More
    }
    fn reset(&mut self) {}
}

impl DecoderFactory for Made {
    fn subs(&self) -> &[String] {
        &self.names
    }
    fn make(&self, subs: Vec<Box<dyn Decoder>>) -> Box<dyn Decoder> {
        assert_eq!(subs.len(), self.names.len());
        Box::new(self.clone())
    }
}

impl Decoder for Made {
    fn decode(
        &mut self,
        _: &mut codecs::message::Draft<'_>,
        _: DecodeInput,
    ) -> Result<Decoded, DecodeError> {
        Ok(Decoded::Nothing)
    }
}

impl EncoderFactory for Made {
    fn make(&self) -> Box<dyn Encoder> {
        Box::new(self.clone())
    }
    fn frames_by_default(&self) -> bool {
        self.frames
    }
}

impl Encoder for Made {
    fn encode(
        &mut self,
        _: codecs::message::MessageRef<'_>,
        _: EncodeContext,
        _: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeFailure> {
        Ok(Encoded::Nothing)
    }
}

impl InputFactory for Made {
    fn placement(&self) -> Placement {
        Placement::OneShard
    }
    fn listens(&self) -> Option<Listening> {
        Some(Listening {
            protocol: Protocol::Tcp,
            address: self.address.clone()?,
            family: Family::Any,
        })
    }
    fn make(&self) -> Box<dyn Input> {
        Box::new(self.clone())
    }
}

impl Input for Made {
    fn open(&mut self, _: &engine::shard::intake::InputContext) -> Result<(), Fault> {
        Ok(())
    }
    fn run<'a>(
        &'a mut self,
        _: &'a engine::shard::intake::InputContext,
    ) -> LocalFuture<'a, Result<(), Fault>> {
        Box::pin(async { Ok(()) })
    }
}

impl FilterFactory for Made {
    fn make(&self) -> Box<dyn Filter> {
        Box::new(self.clone())
    }
}

impl Filter for Made {
    fn process(&mut self, _: Selection<'_>, _: &mut dyn FilterContext) -> Result<(), Fault> {
        Ok(())
    }
}

impl OutputFactory for Made {
    fn make(&self) -> Box<dyn Output> {
        Box::new(self.clone())
    }
}

impl Output for Made {
    fn run<'a>(
        &'a mut self,
        _: &'a mut engine::shard::delivery::OutputContext,
    ) -> LocalFuture<'a, Result<(), Fault>> {
        Box::pin(async { Ok(()) })
    }
}
