//! The splitters, one file each.
//!
//! Owns:    what the options common to splitters mean to the codec, and the factory of those that need no more.
//! Runs on: factories at build time; what they make, on every shard that has an input.            Plane: data.
//! Bounds:  a record is at most a message of `max_message_size` in its frame.
//! Never:   cuts anything itself: the codec does.

use codecs::splitter::Splitter;
use codecs::splitters::RegexError;
use engine::plugin::options::SplitterOptions;
use engine::plugin::{Section, SplitterFactory};

pub mod heka_framing;
pub mod null;
pub mod pattern_grouping;
pub mod regex;
pub mod token;

/// The common options of a section as the codec takes them.
fn cut(section: &Section<'_, SplitterOptions>) -> codecs::splitter::SplitterOptions {
    let common = section.common();
    codecs::splitter::SplitterOptions {
        record_bytes_max: section.hekad().record_bytes_max(),
        keep_truncated: common.keep_truncated,
        deliver_incomplete_final: common.deliver_incomplete_final,
    }
}

/// Gives every stream a copy of one splitter.
struct Copies<S> {
    splitter: S,
    use_message_bytes: bool,
}

impl<S: Splitter + Clone + Send + Sync + 'static> Copies<S> {
    fn of(splitter: S, section: &Section<'_, SplitterOptions>) -> Box<dyn SplitterFactory> {
        Box::new(Copies {
            splitter,
            use_message_bytes: section.common().use_message_bytes,
        })
    }
}

impl<S: Splitter + Clone + Send + Sync + 'static> SplitterFactory for Copies<S> {
    fn make(&self) -> Box<dyn Splitter> {
        Box::new(self.splitter.clone())
    }

    fn use_message_bytes(&self) -> bool {
        self.use_message_bytes
    }
}

/// A regular expression in Go's syntax as the splitters' engine reads it, or a complaint.
fn read_pattern(
    section: &mut Section<'_, SplitterOptions>,
    key: &str,
    source: &str,
) -> Option<String> {
    Some(section.pattern(&[key], source)?.rust_syntax())
}

/// Complains about a regular expression that cannot be searched for in a stream.
fn refuse_pattern(section: &mut Section<'_, SplitterOptions>, key: &str, error: &RegexError) {
    let complaint = section.problem(&[key], error.to_string());
    match error {
        RegexError::Captures(_) => {
            complaint.help("groups that capture nothing are written (?:...)");
        }
        RegexError::MatchesEmpty(_) => {
            complaint.help("write + where there is *");
        }
        RegexError::Syntax(_) | RegexError::TooComplex(_) | RegexError::MaxLines => {}
    }
}
