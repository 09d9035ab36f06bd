//! Options that plugins share, as typed structs: what a kind has in common, and subsections used by several.
//!
//! Owns:    the common options of the six kinds, `Retries`, `Buffering`, `Table`; `Duration`, `Tls`, `HekadOptions` below.
//! Runs on: build time.            Plane: control.
//! Bounds:  none beyond the configuration's own size.
//! Never:   reads a file; paths in options are only text here.
//!
//! Doc comments of fields are what `hekad plugins` and the reference pages print.

mod duration;
mod hekad;
mod table;
mod tls;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use duration::Duration;
pub use hekad::{HekadOptions, log_prefix};
pub use table::Table;
pub use tls::{CIPHERS, CIPHERS_RETIRED, ClientAuth, Tls, TlsVersion};

/// Options shared by every input.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InputOptions {
    /// Seconds between timer ticks; zero disables
    pub ticker_interval: u32,
    /// Section name of the decoder applied to each message
    pub decoder: String,
    /// Section name of the splitter that cuts the stream; empty means NullSplitter
    pub splitter: String,
    /// Decode inside the input's own thread of control
    #[schemars(extend("x-no-effect" = "decoding always happens where the bytes arrive"))]
    pub synchronous_decode: bool,
    /// Deliver messages that the decoder refused, marked with the fields decode_failure and decode_error
    pub send_decode_failures: bool,
    /// Log decoder errors
    pub log_decode_failures: bool,
    /// Plugin may stop without shutting down the daemon
    pub can_exit: bool,
    /// How it is tried again after a failure, and started again when it has ended with one
    pub retries: Retries,
}

impl Default for InputOptions {
    fn default() -> Self {
        InputOptions {
            ticker_interval: 0,
            decoder: String::new(),
            splitter: String::new(),
            synchronous_decode: false,
            send_decode_failures: false,
            log_decode_failures: true,
            can_exit: false,
            retries: Retries::default(),
        }
    }
}

/// Options shared by every splitter.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SplitterOptions {
    /// Deliver over-long records cut off at the limit instead of dropping them
    pub keep_truncated: bool,
    /// Give the record to the decoder as message bytes, not as the message's payload
    pub use_message_bytes: bool,
    /// Initial read buffer size in bytes; at most the size of the largest record
    pub min_buffer_size: u64,
    /// Deliver leftover bytes when the stream ends
    pub deliver_incomplete_final: bool,
}

impl Default for SplitterOptions {
    fn default() -> Self {
        SplitterOptions {
            keep_truncated: false,
            use_message_bytes: false,
            min_buffer_size: 8 * 1024,
            deliver_incomplete_final: false,
        }
    }
}

/// Decoders and encoders share no option beyond `type`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CodecOptions {}

/// Options shared by every filter.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FilterOptions {
    /// Message matcher expression that selects the messages to take
    #[schemars(extend("x-required" = true))]
    pub message_matcher: String,
    /// Only accept messages authenticated by this signer name
    pub message_signer: String,
    /// Seconds between timer events; zero disables
    pub ticker_interval: u32,
    /// Plugin may stop without shutting down the daemon
    pub can_exit: bool,
    /// Queue matched messages on disk before processing
    pub use_buffering: bool,
    /// Disk queue settings
    pub buffering: Buffering,
    /// How it is tried again after a failure, and started again when it has ended with one
    pub retries: Retries,
    /// Accepted for filters too, but has no use
    #[schemars(extend("x-no-effect" = "filters do not encode"))]
    pub encoder: String,
    /// Accepted for filters too, but has no use
    #[schemars(extend("x-no-effect" = "filters do not encode"))]
    pub use_framing: bool,
}

/// Options shared by every output.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OutputOptions {
    /// Message matcher expression that selects the messages to deliver
    #[schemars(extend("x-required" = true))]
    pub message_matcher: String,
    /// Only accept messages authenticated by this signer name
    pub message_signer: String,
    /// Seconds between timer events; zero disables
    pub ticker_interval: u32,
    /// Section name of the encoder that produces the output's bytes
    pub encoder: String,
    /// Put each encoded message into a Heka stream frame
    pub use_framing: Option<bool>,
    /// Plugin may stop without shutting down the daemon
    pub can_exit: bool,
    /// Queue matched messages on disk before delivery
    pub use_buffering: bool,
    /// Disk queue settings
    pub buffering: Buffering,
    /// Keep messages that are refused for good on disk, with the reason, instead of dropping them
    #[schemars(extend("x-default" = "<use_buffering>"))]
    pub dead_letters: Option<bool>,
    /// Total bytes of dead letters allowed on disk; what is refused beyond that is dropped
    pub max_dead_letter_size: u64,
    /// How it is tried again after a failure, and started again when it has ended with one
    pub retries: Retries,
}

impl Default for OutputOptions {
    /// `use_framing` is off; an output for which the encoder decides has `None` instead.
    fn default() -> Self {
        OutputOptions {
            message_matcher: String::new(),
            message_signer: String::new(),
            ticker_interval: 0,
            encoder: String::new(),
            use_framing: Some(false),
            can_exit: false,
            use_buffering: false,
            buffering: Buffering::default(),
            dead_letters: None,
            max_dead_letter_size: 1024 * 1024 * 1024,
            retries: Retries::default(),
        }
    }
}

/// Restart and retry behaviour of inputs, filters and outputs: one count of failures in a row, whether of attempts or of instances.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retries {
    /// Upper bound of the exponential retry delay
    pub max_delay: Duration,
    /// First retry delay, doubled each attempt
    pub delay: Duration,
    /// Random extra wait added to each delay
    pub max_jitter: Duration,
    /// Failures in a row before giving up; negative means forever
    pub max_retries: i64,
}

impl Default for Retries {
    fn default() -> Self {
        Retries {
            max_delay: Duration::seconds(30),
            delay: Duration::milliseconds(250),
            max_jitter: Duration::milliseconds(500),
            max_retries: -1,
        }
    }
}

/// What to do when a disk queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FullAction {
    /// Stop the daemon.
    #[default]
    Shutdown,
    /// Drop what does not fit, counted.
    Drop,
    /// Hold back the inputs until there is room.
    Block,
}

/// Disk queue of a filter or output.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Buffering {
    /// Bytes per queue file before going on to the next; zero means 512 MiB
    pub max_file_size: u64,
    /// Total bytes allowed on disk; zero is unlimited
    pub max_buffer_size: u64,
    /// What to do when the queue is full
    pub full_action: FullAction,
    /// Messages delivered between writes of the queue's position, which are also at least 100 ms apart
    pub cursor_update_count: u64,
    /// How long messages may gather before they are made durable together; zero: only as long as the disk is busy with those before
    pub fsync_interval: Duration,
    /// Bytes that end `fsync_interval` early
    pub fsync_bytes: u64,
    /// Deliver from memory for as long as the plugin keeps up, and put only the rest on disk
    pub memory_first: bool,
}

impl Default for Buffering {
    fn default() -> Self {
        Buffering {
            max_file_size: 512 * 1024 * 1024,
            max_buffer_size: 0,
            full_action: FullAction::Shutdown,
            cursor_update_count: 1,
            fsync_interval: Duration::seconds(0),
            fsync_bytes: 1024 * 1024,
            memory_first: false,
        }
    }
}
