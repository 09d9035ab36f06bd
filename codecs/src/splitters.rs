//! The five splitters and one more, one file each.
//!
//! Owns:    nothing itself; it names them.
//! Runs on: every shard, one splitter a stream.            Plane: data.
//! Bounds:  see `splitter`.
//! Never:   reads.
//!
//! A splitter is made once from its options, which may fail, and then cloned for every stream.

mod delimiter;
mod heka_framing;
mod null;
mod pattern_grouping;
mod regex;
mod token;
mod whole;

pub use delimiter::RegexError;
pub use heka_framing::HekaFramingSplitter;
pub use null::NullSplitter;
pub use pattern_grouping::PatternGroupingSplitter;
pub use regex::RegexSplitter;
pub use token::{TokenError, TokenSplitter};
pub use whole::WholeSplitter;
