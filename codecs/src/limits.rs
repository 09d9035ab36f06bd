//! Every bound of the wire formats, each with its reason.
//!
//! Owns:    the constants that decide what input is refused for its size.
//! Runs on: build time and every shard.            Plane: data.
//! Bounds:  is the place where they stand.
//! Never:   holds state.

/// Largest header protobuf of a frame, bytes: its length travels in one byte.
pub const FRAME_HEADER_BYTES_MAX: usize = 255;

/// Bytes of a frame that are neither header nor message: 0x1E, length, 0x1F.
pub const FRAME_OVERHEAD_BYTES: usize = 3;

/// Largest message unless `max_message_size` says otherwise, bytes (64 KiB, as Heka).
pub const MESSAGE_BYTES_DEFAULT: usize = 64 * 1024;

/// Smallest value that `max_message_size` may take, bytes, exclusive.
pub const MESSAGE_BYTES_MIN: usize = 1024;

/// Largest value that `max_message_size` may take, bytes: spans are 32 bits wide and a
/// buffer holds one partial record beside what is being received.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Names of signers that a process can tell apart: a message carries their number plus one in a byte.
pub const SIGNERS_MAX: usize = 255;

/// Signatures that are computed at most while a damaged stretch of a framed stream is searched for whole frames: a
/// sender without a key could otherwise make every byte cost a hash over a whole message.
pub const RESYNC_SIGNATURES_MAX: u32 = 16;

/// Fields that one table holds. A field takes at least four bytes on the wire, so a message
/// of the default size always fits.
pub const TABLE_FIELDS_MAX: usize = 16 * 1024;

/// Messages that one table holds.
pub const TABLE_MESSAGES_MAX: usize = 1024;

/// Bytes of values made here (not received) that one table holds beyond a record's own size.
pub const TABLE_ARENA_BYTES: usize = 64 * 1024;

/// Largest record for a message limit: the message, its frame header and the frame's own bytes.
pub const fn record_bytes_max(message_bytes_max: usize) -> usize {
    message_bytes_max + FRAME_HEADER_BYTES_MAX + FRAME_OVERHEAD_BYTES
}

const _: () = assert!(record_bytes_max(MESSAGE_BYTES_DEFAULT) == 65_794);
const _: () = assert!(TABLE_FIELDS_MAX * 4 >= MESSAGE_BYTES_DEFAULT);
const _: () = assert!(MESSAGE_BYTES_MAX < u32::MAX as usize / 4);
