//! NullSplitter: what a read returned is a record, or all of something that ends.
//!
//! Owns:    the choice between the two; the codecs pass bytes on.
//! Runs on: the factory at build time; one splitter a stream.            Plane: data.
//! Bounds:  a record is at most the largest one allowed; a longer read becomes several.
//! Never:   cuts by what stands in the bytes.

use codecs::splitter::Splitter;
use codecs::splitters::{NullSplitter, WholeSplitter};
use engine::plugin::options::SplitterOptions;
use engine::plugin::{PluginSpec, Section, SplitterFactory, SplitterPlugin};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cut;

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
    "On a connection this cuts wherever the network happened to; it is meant for inputs whose reads are whole records, such as datagrams.",
    "Of inputs that read something which ends, such as a file or the output of a command (FilePollingInput, ProcessInput), all of it becomes one record.",
]);

impl SplitterPlugin for Options {
    fn common() -> SplitterOptions {
        SplitterOptions {
            min_buffer_size: 64 * 1024,
            ..SplitterOptions::default()
        }
    }

    fn build(self, section: &mut Section<'_, SplitterOptions>) -> Option<Box<dyn SplitterFactory>> {
        Some(Box::new(Factory {
            of_reads: NullSplitter::new(cut(section)),
            of_streams: WholeSplitter::new(cut(section)),
            use_message_bytes: section.common().use_message_bytes,
        }))
    }
}

struct Factory {
    of_reads: NullSplitter,
    of_streams: WholeSplitter,
    use_message_bytes: bool,
}

impl SplitterFactory for Factory {
    fn make(&self) -> Box<dyn Splitter> {
        Box::new(self.of_reads.clone())
    }

    fn make_whole(&self) -> Box<dyn Splitter> {
        Box::new(self.of_streams.clone())
    }

    fn use_message_bytes(&self) -> bool {
        self.use_message_bytes
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
