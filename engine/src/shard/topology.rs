//! What every shard knows of the plan: inputs, consumers, matchers, and who lives where.
//!
//! Owns:    `Topology`, shared read-only by all shards.
//! Runs on: made by the control plane, read by every shard.            Plane: data.
//! Bounds:  one entry per section of the configuration.
//! Never:   changes after start.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::time::Duration;

use super::claims::Claims;
use super::matchers::Matchers;
use super::pulse::Pulse;
use crate::limits;
use crate::pack::{ConsumerId, InputId, ShardId};
use crate::plugin::options::{FullAction, Retries};
use crate::plugin::{
    EncoderFactory, Fault, Figure, FilterFactory, FilterReader, InPlace, InputFactory, Kind,
    OutputFactory, Placement, SplitterFactory,
};

pub use crate::plugin::MakeDecoder;

/// An input of the plan.
pub struct InputUnit {
    /// Section name.
    pub name: String,
    /// Plugin type name.
    pub type_name: &'static str,
    /// Makes its instances.
    pub factory: Box<dyn InputFactory>,
    /// Makes its splitters.
    pub splitter: Arc<dyn SplitterFactory>,
    /// Makes its decoders.
    pub decoder: Option<MakeDecoder>,
    /// Deliver what the decoder refused, marked.
    pub send_decode_failures: bool,
    /// Log what the decoder refused.
    pub log_decode_failures: bool,
    /// It may end without ending the daemon.
    pub can_exit: bool,
    /// How it is started again.
    pub retries: Retries,
    /// Section of its splitter, for the log.
    pub splitter_name: String,
    /// Section of its decoder, for the log.
    pub decoder_name: String,
    /// Where the instance lives that opens it.
    pub home: ShardId,
}

/// What a consumer is.
pub enum Role {
    /// A filter.
    Filter(Box<dyn FilterFactory>),
    /// An output with its encoder.
    Output {
        /// Makes the output.
        factory: Box<dyn OutputFactory>,
        /// Makes its encoders, one per shard. Without one its parcels hold messages but no bytes.
        encoder: Option<Arc<dyn EncoderFactory>>,
        /// Frame the encoded bytes.
        framing: bool,
    },
}

/// The disk queue of a consumer.
#[derive(Debug)]
pub struct QueueUnit {
    /// Where it stands.
    pub folder: PathBuf,
    /// Bytes of one segment.
    pub segment_bytes_max: u64,
    /// Bytes of all of it; `None` for no limit.
    pub bytes_max: Option<u64>,
    /// What to do when there is no room.
    pub full_action: FullAction,
    /// Messages between two writes of a cursor.
    pub cursor_update_count: u64,
    /// How long messages may gather before a sync; `None` for not longer than the sync before takes.
    pub fsync_interval: Option<Duration>,
    /// Bytes that end that early.
    pub fsync_bytes: usize,
    /// Deliver from memory for as long as the consumer keeps up.
    pub memory_first: bool,
    /// Looks at a queue that was full at start before `full_action` `shutdown` ends the daemon.
    pub start_looks: u32,
    /// Bytes on the disk.
    pub size: QueueSize,
}

/// Where an output's dead letters are kept.
#[derive(Debug)]
pub struct LettersUnit {
    /// Where they stand.
    pub folder: PathBuf,
    /// Bytes of all of them.
    pub bytes_max: u64,
    /// Bytes on the disk.
    pub size: QueueSize,
}

/// How much of the disk a queue takes: differences of counters that only grow, each with one writer.
#[derive(Debug, Default)]
pub struct QueueSize {
    /// Bytes that each lane has ever taken, by shard; last, those of lanes that only drain.
    pub taken: Vec<AtomicU64>,
    /// Bytes that cursors have left behind.
    pub removed: AtomicU64,
}

impl QueueSize {
    /// A queue of `shards` lanes.
    pub fn new(shards: u16) -> QueueSize {
        QueueSize {
            taken: (0..=shards).map(|_| AtomicU64::new(0)).collect(),
            removed: AtomicU64::new(0),
        }
    }

    /// Notes how many bytes the lane of a shard has ever taken.
    pub fn took(&self, shard: ShardId, bytes: u64) {
        self.taken[shard.0 as usize].store(bytes, Ordering::Release);
    }

    /// Notes that the lane of a shard is about to have taken so many bytes altogether, if that leaves the queue within `most`: lanes that write at the same
    /// moment do not take the same room. Answers `false` if it does not; the lane's count is what it was before then, `bytes_taken`.
    pub fn reserve(&self, shard: ShardId, bytes_taken: u64, more: u64, most: u64) -> bool {
        self.took(shard, bytes_taken + more);
        // Of two that do this at once, at least one sees the other's.
        fence(Ordering::SeqCst);
        let fits = self.bytes() <= most;
        if !fits {
            self.took(shard, bytes_taken);
        }
        fits
    }

    /// Bytes on the disk.
    pub fn bytes(&self) -> u64 {
        // Removed first: what it has counted, the lanes have counted before.
        let removed = self.removed.load(Ordering::Acquire);
        let taken: u64 = self
            .taken
            .iter()
            .map(|lane| lane.load(Ordering::Acquire))
            .sum();
        // A file whose length could not be found out was counted as it should have been.
        taken.saturating_sub(removed)
    }
}

/// A filter or output of the plan.
pub struct ConsumerUnit {
    /// Section name.
    pub name: String,
    /// Plugin type name.
    pub type_name: &'static str,
    /// Matcher as written, for reports.
    pub matcher: String,
    /// The signer that it asks for; empty for none.
    pub signer: String,
    /// If it is a place for a filter that is loaded later.
    pub place: Option<Place>,
    /// What it is.
    pub role: Role,
    /// Between ticks.
    pub ticker_interval: Option<Duration>,
    /// It may end without ending the daemon.
    pub can_exit: bool,
    /// Its disk queue, if it has one.
    pub queue: Option<QueueUnit>,
    /// Where it keeps what is refused for good, if it does.
    pub letters: Option<LettersUnit>,
    /// How it is started again.
    pub retries: Retries,
    /// Outputs: the section of its encoder, for the log.
    pub encoder_name: String,
    /// Where it lives.
    pub home: ShardId,
}

/// A place that is kept for a filter which another one loads. What stands there its shard knows; here it stands for the control plane.
#[derive(Debug)]
pub struct Place {
    /// The filter that loads it.
    pub manager: ConsumerId,
    /// What stands there.
    pub loaded: InPlace,
    /// The serial number of the filter that has ended there by itself last. Written by its shard.
    pub ended: AtomicU64,
}

/// Tells what somebody has counted.
pub type TellFigures = dyn Fn(&mut dyn FnMut(Figure)) + Send + Sync;

/// A decoder or encoder, as the control plane sees it.
pub struct CodecUnit {
    /// Section name.
    pub name: String,
    /// Decoder or encoder.
    pub kind: Kind,
    /// Whether instances can be made.
    pub probe: Box<dyn Fn() -> Result<(), Fault> + Send + Sync>,
    /// What instances have counted.
    pub figures: Box<TellFigures>,
    /// Ends the calls that instances are in.
    pub abort: Box<dyn Fn() + Send + Sync>,
}

/// The plan as the shards see it.
pub struct Topology {
    /// Inputs by `InputId`.
    pub inputs: Vec<InputUnit>,
    /// Consumers by `ConsumerId`.
    pub consumers: Vec<ConsumerUnit>,
    /// All matchers, as the plan has them.
    pub matchers: Arc<Matchers>,
    /// Decoders and encoders by section, each once.
    pub codecs: Vec<CodecUnit>,
    /// What understands the sections of filters that are loaded later; none where nothing loads any.
    pub reader: Option<Arc<dyn FilterReader>>,
    /// Largest message, bytes.
    pub message_bytes_max: usize,
    /// Injections that may lie behind a message.
    pub loops_max: u8,
    /// Name for messages made here.
    pub hostname: String,
    /// Process id for messages made here.
    pub pid: i32,
    /// Number of shards.
    pub shards: u16,
    /// What each shard shows of itself: its connections, for placing the next one, and its sign of life.
    pub loads: Vec<Load>,
    /// What inputs have for themselves.
    pub claims: Claims,
}

/// What one shard shows of itself. Connections are written once per connection, so sharing them between cores costs nothing that counts.
#[derive(Debug, Default)]
pub struct Load {
    /// Whether it lives, and what it runs.
    pub pulse: Pulse,
    /// Served there, or on their way.
    pub connections: AtomicU32,
    /// On their way there.
    pub in_transit: AtomicU32,
}

impl std::fmt::Debug for Topology {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Topology")
            .field("inputs", &self.inputs.len())
            .field("consumers", &self.consumers.len())
            .field("shards", &self.shards)
            .finish_non_exhaustive()
    }
}

impl ConsumerUnit {
    /// Parcels that all shards together may have given an output which it has not settled.
    pub(crate) fn parcels_max(&self, shards: u16) -> usize {
        let from_shards = limits::CONSUMER_CREDITS as usize * usize::from(shards);
        match self.queue {
            Some(_) => from_shards + limits::QUEUE_DELIVERIES,
            None => from_shards,
        }
    }
}

impl Topology {
    /// An input.
    #[inline]
    pub fn input(&self, id: InputId) -> &InputUnit {
        &self.inputs[id.0 as usize]
    }

    /// A consumer.
    #[inline]
    pub fn consumer(&self, id: ConsumerId) -> &ConsumerUnit {
        &self.consumers[id.0 as usize]
    }

    /// Batches of a consumer's disk queue that may stand in memory without having been read. None with `memory_first`: there the disk is for what the
    /// consumer has no room for.
    pub fn handed_batches(&self, consumer: ConsumerId) -> usize {
        match &self.consumer(consumer).queue {
            Some(queue) if !queue.memory_first => limits::handed_batches(self.message_bytes_max),
            _ => 0,
        }
    }

    /// Whether `shard` opens the input.
    pub fn opens(&self, input: InputId, shard: ShardId) -> bool {
        let unit = self.input(input);
        match unit.factory.placement() {
            Placement::EveryShard => true,
            Placement::OneShard => unit.home == shard,
        }
    }
}
