//! The splitters, one file each.
//!
//! Owns:    what the options common to splitters mean to the codec.
//! Runs on: factories at build time; what they make, on every shard that has an input.            Plane: data.
//! Bounds:  a record is at most a message of `max_message_size` in its frame.
//! Never:   cuts anything itself: the codec does.

use engine::plugin::Section;
use engine::plugin::options::SplitterOptions;

pub mod heka_framing;
pub mod token;

/// The common options of a section as the codec takes them. Complains about a `min_buffer_size` beyond the largest record.
fn cut(section: &mut Section<'_, SplitterOptions>) -> codecs::splitter::SplitterOptions {
    let common = section.common();
    let record_bytes_max = section.hekad().record_bytes_max();
    if common.min_buffer_size > record_bytes_max as u64 {
        section
            .problem(
                &["min_buffer_size"],
                format!("is above the largest record, which has {record_bytes_max} bytes"),
            )
            .help("lower it, or raise `max_message_size` in [hekad]");
    }
    codecs::splitter::SplitterOptions {
        record_bytes_max,
        keep_truncated: common.keep_truncated,
        deliver_incomplete_final: common.deliver_incomplete_final,
    }
}
