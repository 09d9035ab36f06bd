//! Records: their bytes on the disk.
//!
//! Owns:    `Entry`, `Meta`.
//! Runs on: a `Worker`'s thread.            Plane: data.
//! Bounds:  a message of at most `Settings::message_bytes_max`.
//! Never:   copies a message's bytes.

/// Longest cause of a dead letter that is kept, bytes; the rest is cut off.
pub const CAUSE_BYTES_MAX: usize = 1024;

/// Bytes in front of a record's meta and message.
pub(crate) const HEADER_BYTES: usize = 36;

/// What is to be put into a lane: one message.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The message's protobuf, without a frame.
    pub message: &'a [u8],
    /// How many injections lie behind it.
    pub loops: u8,
    /// What a dead letter says about itself.
    pub meta: Option<Meta<'a>>,
}

/// Why a message is a dead letter. When it became one is the time that it was appended at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta<'a> {
    /// What the far side said.
    pub cause: &'a str,
    /// How often it was tried.
    pub attempts: u32,
}

impl<'a> Meta<'a> {
    /// Reads what stands at [`super::Item::meta`]; nothing for a record without.
    pub fn read(bytes: &'a [u8]) -> Option<Meta<'a>> {
        let _ = bytes;
        unimplemented!()
    }
}

/// The smallest buffer that a reader can work with, for a limit on messages.
pub const fn record_bytes_max(message_bytes_max: usize) -> usize {
    HEADER_BYTES + 4 + CAUSE_BYTES_MAX + message_bytes_max
}
