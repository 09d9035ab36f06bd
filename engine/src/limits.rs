//! Every bound of the engine, each with its reason.
//!
//! Owns:    constants, and the sums that derive pool and channel sizes from named parts.
//! Runs on: build time and start.            Plane: data.
//! Bounds:  is the place where they stand.
//! Never:   holds state.

use codecs::limits::{TABLE_ARENA_BYTES, TABLE_FIELDS_MAX, TABLE_MESSAGES_MAX, record_bytes_max};
use codecs::message::TableLimits;

/// Bytes that one receive asks for. Measured: 64 KiB is the best size for a stream read here.
pub const READ_BYTES: usize = 64 * 1024;

/// Batches of received messages per shard. A batch is held from the read until its last destination has settled it,
/// so this bounds both memory and what one stopped output can keep from moving. Simulated shards are to run out of them.
pub const BATCHES: usize = if cfg!(sim) { BATCHES_MIN } else { 128 };

/// Batches that the streams of one input may always have under way on a shard, however many inputs there are.
pub const INPUT_BATCHES_MIN: usize = 8;

/// Fewest batches per shard, for plans with very large messages.
pub const BATCHES_MIN: usize = 16;

/// Bytes that the batches of one shard may reserve together where that leaves `BATCHES_MIN`. What is never used is never touched.
pub const BATCH_BYTES_RESERVED: usize = 1024 * 1024 * 1024;

/// Batches of injected messages per shard: their own credit, so that a filter can inject while inputs wait for batches.
pub const INJECTION_BATCHES: usize = 16;

/// Batches that one shard may have under way to one consumer at a time.
pub const CONSUMER_CREDITS: u16 = 16;

/// Batches that one shard may have under way to the disk queue of a consumer: those being synced, and those that gather meanwhile.
pub const QUEUE_CREDITS: u16 = 64;

/// Batches that the home of a consumer may have read from its disk queue and not settled. Each takes as much memory as the longest message needs.
pub const QUEUE_READS: usize = 8;

/// Batches out of its disk queue that a consumer may have: of what need not be read as many as one without a queue, beside those that were read.
pub const QUEUE_DELIVERIES: usize = CONSUMER_CREDITS as usize + QUEUE_READS;

/// How long nothing of a disk queue is delivered, once the daemon is stopping, until the rest is left for the next start.
pub const QUEUES_STAND: std::time::Duration = std::time::Duration::from_secs(1);

/// How long a stream is waited for altogether once the daemon is stopping: the end of those whose sender goes on, little by little,
/// although it was told that nobody listens any more.
pub const STOP_GRACE: std::time::Duration = std::time::Duration::from_secs(1);

/// How long a stream is quiet, once the daemon is stopping, until nothing more is expected of it. A relay that is told of the end answers
/// with its own; this is the time that the way there and back, and the relay's turn on a busy core, may take.
pub const STOP_QUIET: std::time::Duration = std::time::Duration::from_millis(200);

/// What is read of a stream that never pauses, once the daemon is stopping: more than the socket buffers of both sides hold by default.
pub const STOP_BYTES: usize = 64 * 1024 * 1024;

/// Connections that may be on their way to one shard from all others.
pub const CONNECTIONS_IN_TRANSIT: usize = 256;

/// Open streams (connections, files) per shard.
pub const STREAMS_MAX: usize = 16 * 1024;

/// Bytes of unfinished records that the streams of one shard may keep together; a stream that needs more is ended.
pub const TAIL_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Consumers (filters and outputs) of a plan.
pub const CONSUMERS_MAX: usize = 16 * 1024;

/// Shards.
pub const SHARDS_MAX: usize = 256;

/// News that wait for the main thread.
pub const NEWS: usize = 1024;

/// Notices among them; more are counted and dropped, which leaves room for what must not be lost (a plugin's end, a signal).
pub const NOTICES: usize = 512;

/// Bytes that a stream's buffer for unfinished records may keep while the stream is idle and has none.
pub const REST_BYTES_KEPT: usize = 4 * 1024;

/// Least time between two looks at what one decoder, encoder or script remarked, nanoseconds.
pub const REMARKS_INTERVAL: i64 = 1_000_000_000;

/// Fields that a stream can give all its messages.
pub const STREAM_FIELDS_MAX: usize = 8;

/// Longest text among what a stream gives all its messages, bytes; longer ones are cut off.
pub const STREAM_TEXT_BYTES_MAX: usize = 4 * 1024;

/// Memory of one batch for a message limit.
pub const fn batch_limits(message_bytes_max: usize) -> TableLimits {
    TableLimits {
        // An unfinished record of full length, and one whole read behind it.
        received_bytes: record_bytes_max(message_bytes_max) + READ_BYTES,
        // What a script makes of a record of full length, and what is made of others beside it.
        arena_bytes: record_bytes_max(message_bytes_max) + TABLE_ARENA_BYTES,
        messages: TABLE_MESSAGES_MAX,
        fields: TABLE_FIELDS_MAX,
    }
}

/// Batches per shard for a message limit.
pub const fn batches(message_bytes_max: usize) -> usize {
    let affordable = BATCH_BYTES_RESERVED / batch_limits(message_bytes_max).received_bytes;
    if affordable > BATCHES {
        BATCHES
    } else if affordable < BATCHES_MIN {
        BATCHES_MIN
    } else {
        affordable
    }
}

/// Batches of a consumer's disk queue that stand in memory at its home since they were synced: `CONSUMER_CREDITS` with the consumer, the others wait. With
/// messages of usual length there is room for all that is synced at once, so that none of it need be read.
pub const fn handed_batches(message_bytes_max: usize) -> usize {
    batches(message_bytes_max) / 2
}

/// Memory of one batch of injected messages: no received bytes, arena for a few messages of full length.
pub const fn injection_limits(message_bytes_max: usize) -> TableLimits {
    TableLimits {
        received_bytes: 0,
        arena_bytes: record_bytes_max(message_bytes_max) + TABLE_ARENA_BYTES,
        messages: TABLE_MESSAGES_MAX,
        fields: TABLE_FIELDS_MAX,
    }
}

/// Frames that can wait between two shards. With this many a send cannot fail, so no frame handler ever waits:
/// every consumer's deliveries in one direction, their releases in the other, words about its disk queue, and connections.
pub const fn mesh_capacity(consumers: usize) -> usize {
    let deliveries = consumers * CONSUMER_CREDITS as usize;
    let releases = consumers * CONSUMER_CREDITS as usize;
    deliveries + releases + 4 * consumers + CONNECTIONS_IN_TRANSIT
}

const _: () = assert!(batches(codecs::limits::MESSAGE_BYTES_DEFAULT) == BATCHES);
const _: () = assert!(
    cfg!(sim) || handed_batches(codecs::limits::MESSAGE_BYTES_DEFAULT) == QUEUE_CREDITS as usize
);
const _: () = assert!((STREAM_FIELDS_MAX + 3) * STREAM_TEXT_BYTES_MAX < TABLE_ARENA_BYTES);
const _: () = assert!(TABLE_MESSAGES_MAX <= u16::MAX as usize);
const _: () = assert!(CONSUMERS_MAX <= u16::MAX as usize);
