//! What golden configurations do not show: bounds.
//!
//! Owns:    the claims about limits on plugins and matchers.
//! Runs on: tests.            Plane: control.
//! Bounds:  one plan a test.
//! Never:   starts a shard.

use std::fmt::Write;

use super::super::config::Surroundings;
use super::*;
use crate::plugin::options::CodecOptions;
use crate::plugin::{DecodeError, DecodeInput, Decoded, DecoderPlugin, Section};

#[derive(Debug, Default, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Chain {
    subs: Vec<String>,
}

struct Factory(Vec<String>);

impl DecoderPlugin for Chain {
    fn build(self, _: &mut Section<'_, CodecOptions>) -> Option<Box<dyn DecoderFactory>> {
        Some(Box::new(Factory(self.subs)))
    }
}

impl DecoderFactory for Factory {
    fn subs(&self) -> &[String] {
        &self.0
    }

    fn make(&self, _: Vec<Box<dyn Decoder>>) -> Box<dyn Decoder> {
        struct Idle;
        impl Decoder for Idle {
            fn decode(
                &mut self,
                _: &mut codecs::message::Draft<'_>,
                _: DecodeInput,
            ) -> Result<Decoded, DecodeError> {
                Ok(Decoded::Nothing)
            }
        }
        Box::new(Idle)
    }
}

const ALL: &[PluginSpec] = &[PluginSpec::decoder::<Chain>(
    "ChainDecoder",
    "Calls others.",
)];

/// Decoders `d0` to `d<last>`, each calling the next one `fan` times.
fn chain(last: usize, fan: usize) -> Result<Plan, Problems> {
    let mut text = String::new();
    for number in 0..=last {
        let subs =
            vec![format!("'d{}'", number + 1); if number == last { 0 } else { fan }].join(", ");
        let _ = writeln!(text, "[d{number}]\ntype = 'ChainDecoder'\nsubs = [{subs}]");
    }
    let surroundings = Surroundings {
        variable: Box::new(|_| None),
        hostname: "here".to_owned(),
    };
    let document = Document::parse(vec![("x".to_owned(), text)], &surroundings)?;
    Plan::build(&document, ALL)
}

#[test]
fn decoders_may_be_deep_but_not_too_deep() {
    chain(DECODER_DEPTH_MAX - 1, 1).expect("as deep as allowed");
    let problems = chain(5000, 1).unwrap_err().render(false);
    assert!(problems.contains("more than 32 deep"), "{problems}");
}

#[test]
fn decoders_may_be_many_but_not_too_many() {
    chain(11, 2).expect("4095 of them");
    let problems = chain(12, 2).unwrap_err();
    assert_eq!(problems.errors(), 1, "{}", problems.render(false));
    assert!(problems.render(false).contains("more than 4096 decoders"));
}

#[test]
fn the_daemons_own_defaults_need_no_section() {
    let plan = chain(0, 0).expect("a decoder alone");
    assert_eq!(
        (plan.hekad.hostname.as_str(), plan.hekad.message_bytes_max()),
        ("here", 65536)
    );
    let about_sections = ["is not used", "there is no input"];
    for warning in plan.warnings.list() {
        let message = &warning.message;
        assert!(
            about_sections.iter().any(|about| message.contains(about)),
            "{message}"
        );
    }
}
