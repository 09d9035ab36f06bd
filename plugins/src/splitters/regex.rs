//! RegexSplitter: a regular expression stands between records.
//!
//! Owns:    the compiled expression.
//! Runs on: the factory at build time; one splitter a stream.            Plane: data.
//! Bounds:  as the codec's splitter.
//! Never:   compiles anything for a stream.

use codecs::splitters::RegexSplitter;
use engine::plugin::options::SplitterOptions;
use engine::plugin::{PluginSpec, Section, SplitterFactory, SplitterPlugin};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Copies, cut, read_pattern, refuse_pattern};

/// Options of `RegexSplitter`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Regular expression that separates records, in Go's syntax, with at most one group that captures
    pub delimiter: String,
    /// What the group captured ends the record before it; if false it begins the record after it
    pub delimiter_eol: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            delimiter: "\n".to_owned(),
            delimiter_eol: true,
        }
    }
}

/// The table's line.
pub const SPEC: PluginSpec =
    PluginSpec::splitter::<Options>("RegexSplitter", "Splits on a regular expression").notes(&[
        "What the delimiter matches is dropped, except for what its group captured. Records without any byte are passed over.",
        "A match counts once no further byte could make it longer, so how the stream was read does not change the records.",
    ]);

impl SplitterPlugin for Options {
    fn build(self, section: &mut Section<'_, SplitterOptions>) -> Option<Box<dyn SplitterFactory>> {
        let delimiter = read_pattern(section, "delimiter", &self.delimiter)?;
        match RegexSplitter::new(&delimiter, self.delimiter_eol, cut(section)) {
            Ok(splitter) => Some(Copies::of(splitter, section)),
            Err(error) => {
                refuse_pattern(section, "delimiter", &error);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::configured::{mistakes, records, splitter};

    fn section(options: &str) -> String {
        format!("[splitter]\ntype = 'RegexSplitter'\n{options}")
    }

    #[test]
    fn patterns_are_read_as_go_reads_them() {
        // In Go `&&` in a class is two ampersands; elsewhere it is an intersection.
        let ampersands = splitter(&section("delimiter = '[x&&y]'"));
        assert_eq!(records(&*ampersands, "a&bxc&"), ["a", "b", "c"]);
    }

    #[test]
    fn what_was_captured_stays_where_it_is_asked_for() {
        let stream = "one\n\ntwo; three\n";
        let plain = splitter(&section(""));
        assert_eq!(records(&*plain, stream), ["one", "two; three"]);
        let end = splitter(&section("delimiter = '(; )|\\n'"));
        assert_eq!(records(&*end, stream), ["one", "two; ", "three"]);
        let start = splitter(&section("delimiter = '(; )|\\n'\ndelimiter_eol = false"));
        assert_eq!(records(&*start, stream), ["one", "two", "; three"]);
    }

    #[test]
    fn an_unfinished_rest_is_delivered_on_request() {
        let dropping = splitter(&section(""));
        assert_eq!(records(&*dropping, "one\nrest"), ["one"]);
        let keeping = splitter(&section("deliver_incomplete_final = true"));
        assert_eq!(records(&*keeping, "one\nrest"), ["one", "rest"]);
    }

    #[test]
    fn delimiters_that_cannot_be_are_mistakes() {
        for (delimiter, expected) in [("(a)(b)", "capture"), ("x*", "empty"), ("(", "delimiter")] {
            let found = mistakes(&section(&format!("delimiter = '{delimiter}'")));
            assert!(found.contains(expected), "{expected}: {found}");
        }
    }
}
