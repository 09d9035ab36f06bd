//! What every shard knows of the plan: inputs, consumers, matchers, and who lives where.
//!
//! Owns:    `Topology`, shared read-only by all shards.
//! Runs on: made by the control plane, read by every shard.            Plane: data.
//! Bounds:  one entry per section of the configuration.
//! Never:   changes after start.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use super::matchers::Matchers;
use super::pulse::Pulse;
use crate::pack::{ConsumerId, InputId, ShardId};
use crate::plugin::options::Retries;
use crate::plugin::{
    Decoder, EncoderFactory, FilterFactory, InputFactory, OutputFactory, Placement, SplitterFactory,
};

/// Makes decoder instances, sub-decoders included.
pub type MakeDecoder = Box<dyn Fn() -> Box<dyn Decoder> + Send + Sync>;

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

/// A filter or output of the plan.
pub struct ConsumerUnit {
    /// Section name.
    pub name: String,
    /// Plugin type name.
    pub type_name: &'static str,
    /// Matcher as written, for reports.
    pub matcher: String,
    /// What it is.
    pub role: Role,
    /// Between ticks.
    pub ticker_interval: Option<Duration>,
    /// It may end without ending the daemon.
    pub can_exit: bool,
    /// How it is started again.
    pub retries: Retries,
    /// Outputs: the section of its encoder, for the log.
    pub encoder_name: String,
    /// Where it lives.
    pub home: ShardId,
}

/// The plan as the shards see it.
pub struct Topology {
    /// Inputs by `InputId`.
    pub inputs: Vec<InputUnit>,
    /// Consumers by `ConsumerId`.
    pub consumers: Vec<ConsumerUnit>,
    /// All matchers, as the plan has them.
    pub matchers: Arc<Matchers>,
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

    /// Whether `shard` opens the input.
    pub fn opens(&self, input: InputId, shard: ShardId) -> bool {
        let unit = self.input(input);
        match unit.factory.placement() {
            Placement::EveryShard => true,
            Placement::OneShard => unit.home == shard,
        }
    }
}
