//! What shards say to each other.
//!
//! Owns:    the closed set of frames.
//! Runs on: every shard.            Plane: data.
//! Bounds:  `limits::mesh_capacity` frames between two shards; a frame is at most 32 bytes.
//! Never:   waits: the credits behind each variant guarantee room, and no handler awaits another frame.

use std::sync::Arc;

use crate::event::DropCause;
use crate::io::Accepted;
use crate::pack::{Batch, ConsumerId, InputId};
use crate::queue::Position;
use crate::shard::parcel::Parcel;

/// One item between two shards.
#[derive(Debug)]
pub enum Frame {
    /// Messages for a filter that lives there. Room: the sender spent one of the consumer's credits.
    Messages {
        /// The batch.
        batch: Arc<Batch>,
        /// Which of its deliveries.
        delivery: u16,
    },
    /// Encoded messages for an output that lives there. Room: as `Messages`.
    Parcel(Box<Parcel>),
    /// A filter is done with a delivery. Room: answers one `Messages`.
    Release {
        /// The share, given back.
        batch: Arc<Batch>,
        /// Which of its deliveries.
        delivery: u16,
        /// The messages are dropped: the filter had ended, or failed over them.
        dropped: Option<DropCause>,
    },
    /// An output is done with a parcel. Room: answers one `Parcel`.
    ParcelBack(Box<Parcel>),
    /// A lane of a disk queue has more for its reader, which lives there. Room: one at a time for each lane.
    Written {
        /// Whose queue.
        consumer: ConsumerId,
        /// Which lane: the number of the shard that writes to it.
        lane: u16,
        /// How far it may be read.
        upto: Position,
    },
    /// All that was written to a lane has been handed to its consumer. Room: one for each `Written`.
    Drained {
        /// Whose queue.
        consumer: ConsumerId,
        /// How far it was read.
        upto: Position,
    },
    /// The reader knows. Room: answers one `Written`.
    WrittenSeen {
        /// Whose queue.
        consumer: ConsumerId,
    },
    /// The consumer has ended and the daemon goes on: its disk queue takes nothing any more. Room: one for each consumer.
    Closed {
        /// Whose queue.
        consumer: ConsumerId,
    },
    /// A connection to serve. Room: if there is none the sender serves it itself.
    Connection {
        /// The input that accepted it.
        input: InputId,
        /// The connection.
        connection: Accepted,
    },
    /// A stream to read. Room: as `Connection`.
    Stream {
        /// The input that found it.
        input: InputId,
        /// The input's number for it.
        number: u64,
    },
}

const _: () = assert!(
    size_of::<Frame>() <= 32,
    "frames wait in rings by the thousand"
);
