//! NullSplitter: what a read returned is a record.
//!
//! Owns:    nothing; the codec passes bytes on.
//! Runs on: the factory at build time; one splitter a stream.            Plane: data.
//! Bounds:  a record is at most the largest one allowed; a longer read becomes several.
//! Never:   keeps bytes back.

use codecs::splitters::NullSplitter;
use engine::plugin::options::SplitterOptions;
use engine::plugin::{PluginSpec, Section, SplitterFactory, SplitterPlugin};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Copies, cut};

/// `NullSplitter` has no options of its own, but its own default for `min_buffer_size`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {}

/// The table's line.
pub const SPEC: PluginSpec = PluginSpec::splitter::<Options>(
    "NullSplitter",
    "Passes whatever each read returned as one record",
)
.auto()
.notes(&[
    "On a stream this cuts wherever the network happened to; it is meant for inputs whose reads are whole records, such as datagrams.",
]);

impl SplitterPlugin for Options {
    fn common() -> SplitterOptions {
        SplitterOptions {
            min_buffer_size: 64 * 1024,
            ..SplitterOptions::default()
        }
    }

    fn build(self, section: &mut Section<'_, SplitterOptions>) -> Option<Box<dyn SplitterFactory>> {
        Some(Copies::of(NullSplitter::new(cut(section)), section))
    }
}

#[cfg(test)]
mod tests {
    use crate::configured::{records, splitter};

    #[test]
    fn a_read_is_a_record_up_to_the_limit() {
        let section = "[splitter]\ntype = 'NullSplitter'\n[hekad]\nmax_message_size = 2000";
        let splitter = splitter(section);
        assert_eq!(records(&*splitter, "two\nlines\n"), ["two\nlines\n"]);
        let long = "x".repeat(3000);
        let lengths: Vec<_> = records(&*splitter, &long).iter().map(String::len).collect();
        assert_eq!(lengths, [2258, 742]);
    }
}
