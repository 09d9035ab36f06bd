//! Timestamps: text to nanoseconds and back.
//!
//! Owns:    the layouts of `timestamp_layout`, the conversions of strftime, the two forms that tools print.
//! Runs on: compiled at build time, used on every shard.            Plane: data.
//! Bounds:  `LAYOUT_BYTES_MAX`, `FORMAT_BYTES_MAX`; a timestamp is nanoseconds since 1970 in an i64 (1677 to 2262).
//! Never:   reads a clock (the caller passes now), allocates while parsing or writing, or panics on odd text.
//!
//! A layout or format is compiled once to a short list of steps (`TimestampParser`, `Strftime`) that any
//! thread may use. The data of a time zone is looked up when a `Zone` is made, never afterwards: first on the
//! host, then in the copy that is built in.

mod epoch;
mod go_layout;
mod go_read;
mod named_layouts;
mod names;
mod stamp;
mod strftime;
mod strftime_compile;
mod timestamp;
mod zone;

pub use epoch::EpochLayout;
pub use stamp::{format_go, format_rfc3339};
pub use strftime::Strftime;
pub use strftime_compile::{FORMAT_BYTES_MAX, FormatError, FormatFault};
pub use timestamp::{
    LAYOUT_BYTES_MAX, LayoutError, TimestampError, TimestampFault, TimestampParser,
};
pub use zone::{UnknownZone, Zone};

/// Nanoseconds in a second.
pub(crate) const NANOSECONDS: i64 = 1_000_000_000;

/// Whole seconds (rounded down) and the nanoseconds above them.
#[inline]
pub(crate) const fn split(ns: i64) -> (i64, u32) {
    (
        ns.div_euclid(NANOSECONDS),
        ns.rem_euclid(NANOSECONDS) as u32,
    )
}
