//! PatternGroupingSplitter: lines, of which neighbours that match a pattern make one record.
//!
//! Owns:    the compiled expressions.
//! Runs on: the factory at build time; one splitter a stream.            Plane: data.
//! Bounds:  a record is at most `max_lines` lines.
//! Never:   compiles anything for a stream.

use codecs::splitters::{PatternGroupingSplitter, RegexError};
use engine::plugin::options::SplitterOptions;
use engine::plugin::{PluginSpec, Section, SplitterFactory, SplitterPlugin};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Copies, cut, read_pattern, refuse_pattern};

/// Options of `PatternGroupingSplitter`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Regular expression that ends a line
    pub delimiter: String,
    /// Regular expression that lines match which belong together; the empty one matches all
    pub grouping: String,
    /// Most lines in one record
    #[schemars(range(min = 1))]
    pub max_lines: u32,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            delimiter: "\n".to_owned(),
            grouping: String::new(),
            max_lines: 99,
        }
    }
}

/// The table's line.
pub const SPEC: PluginSpec = PluginSpec::splitter::<Options>(
    "PatternGroupingSplitter",
    "Groups consecutive lines that match a pattern",
)
.auto()
.notes(&[
    "Lines that do not match `grouping` are records by themselves. Delimiters stay in their records.",
    "A group is complete when a line that does not match, the `max_lines`th line or the end of the stream is seen; until then it waits.",
]);

impl SplitterPlugin for Options {
    fn build(self, section: &mut Section<'_, SplitterOptions>) -> Option<Box<dyn SplitterFactory>> {
        let delimiter = read_pattern(section, "delimiter", &self.delimiter);
        let grouping = read_pattern(section, "grouping", &self.grouping);
        let (delimiter, grouping) = (delimiter?, grouping?);
        let cut = cut(section);
        match PatternGroupingSplitter::new(&delimiter, &grouping, self.max_lines, cut) {
            Ok(splitter) => Some(Copies::of(splitter, section)),
            Err(error) => {
                let key = match &error {
                    RegexError::MaxLines => "max_lines",
                    _ if PatternGroupingSplitter::new(&delimiter, "", 1, cut).is_ok() => "grouping",
                    _ => "delimiter",
                };
                refuse_pattern(section, key, &error);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::configured::{mistakes, records, splitter};

    fn section(options: &str) -> String {
        format!("[splitter]\ntype = 'PatternGroupingSplitter'\n{options}")
    }

    #[test]
    fn neighbours_that_match_are_one_record() {
        let splitter = splitter(&section("grouping = '^\\s'\nmax_lines = 3"));
        let stream = "one\n a\n b\ntwo\n a\n b\n c\n d\n";
        let expected = ["one\n", " a\n b\n", "two\n", " a\n b\n c\n", " d\n"];
        assert_eq!(records(&*splitter, stream), expected);
    }

    #[test]
    fn patterns_that_cannot_be_are_mistakes() {
        for (options, expected) in [
            ("delimiter = 'x*'", "`delimiter`"),
            ("delimiter = '('\ngrouping = '['", "grouping"),
            ("max_lines = 0", "max_lines"),
        ] {
            let found = mistakes(&section(options));
            let expected = expected.trim_matches('`');
            assert!(found.contains(expected), "{expected}: {found}");
        }
    }
}
