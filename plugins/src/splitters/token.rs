//! TokenSplitter: one byte ends a record.
//!
//! Owns:    nothing; each stream gets a copy of the codec's splitter.
//! Runs on: the factory at build time; one splitter a stream.            Plane: data.
//! Bounds:  as the codec's splitter.
//! Never:   cuts anything itself: the codec does.

use codecs::splitters::TokenSplitter;
use engine::plugin::options::SplitterOptions;
use engine::plugin::{PluginSpec, Section, SplitterFactory, SplitterPlugin};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Copies, cut};

/// Options of `TokenSplitter`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Single byte ending a record
    pub delimiter: String,
    /// Delimiters that make one record
    #[schemars(range(min = 1))]
    pub count: u32,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            delimiter: "\n".to_owned(),
            count: 1,
        }
    }
}

/// The table's line.
pub const SPEC: PluginSpec =
    PluginSpec::splitter::<Options>("TokenSplitter", "Splits on a single byte")
        .auto()
        .notes(&["The delimiter is kept at the end of the record."]);

impl SplitterPlugin for Options {
    fn build(self, section: &mut Section<'_, SplitterOptions>) -> Option<Box<dyn SplitterFactory>> {
        let cut = cut(section);
        if self.delimiter.len() != 1 {
            section
                .problem(&["delimiter"], "must be a single byte")
                .help("RegexSplitter splits on more than one byte, or on a pattern");
            return None;
        }
        match TokenSplitter::new(&self.delimiter, self.count, cut) {
            Ok(splitter) => Some(Copies::of(splitter, section)),
            Err(error) => {
                section.problem(&[], error.to_string());
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codecs::splitter::Split;
    use engine::plugin::Report;
    use engine::plugin::options::HekadOptions;

    fn build(
        options: Options,
        common: &SplitterOptions,
    ) -> Result<Box<dyn SplitterFactory>, Report> {
        let (hekad, mut report) = (HekadOptions::default(), Report::default());
        let mut section = Section::new("s", common, &hekad, &mut report);
        options.build(&mut section).ok_or(report)
    }

    #[test]
    fn each_stream_has_its_own() {
        let common = SplitterOptions {
            use_message_bytes: true,
            ..SplitterOptions::default()
        };
        let options = Options {
            delimiter: ";".to_owned(),
            count: 2,
        };
        let factory = build(options, &common).expect("the options are right");
        assert!(factory.use_message_bytes());
        let (mut one, mut other) = (factory.make(), factory.make());
        assert_eq!(one.split(b"a;b", false), Split::More);
        assert_eq!(other.split(b"b", false), Split::More);
        let Split::Record(record) = one.split(b"a;b;c", false) else {
            panic!("two delimiters are there");
        };
        assert_eq!(record.content.of(b"a;b;c"), b"a;b;");
    }

    #[test]
    fn longer_delimiters_are_refused() {
        let options = Options {
            delimiter: "\r\n".to_owned(),
            count: 1,
        };
        let report = build(options, &SplitterOptions::default())
            .err()
            .expect("two bytes");
        assert_eq!(report.into_complaints()[0].path, ["delimiter"]);
    }
}
