//! What is worth counting: the closed vocabulary of drops, and the counters of inputs, filters and outputs.
//!
//! Owns:    `DropCause`, `InputCounters`, `ConsumerCounters`.
//! Runs on: every shard.            Plane: data.
//! Bounds:  one plain `u64` per cause; one writer each.
//! Never:   strings made at run time, atomics, decrements.

use codecs::splitter::SkipCause;

/// Why a message, or what should have become one, was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DropCause {
    /// A record longer than the limit.
    TooLong,
    /// A frame that other frames stand in: its header was damaged.
    BadFrame,
    /// A wrong signature of a known signer.
    WrongSignature,
    /// A signature by a signer or version without a configured key.
    UnknownSigner,
    /// The unfinished rest at the end of a stream.
    Incomplete,
    /// The decoder refused it.
    DecodeFailed,
    /// The decoder took it and made no message of it.
    DecodedToNothing,
    /// It does not fit an empty message table.
    DoesNotFit,
    /// It was injected more often than `max_message_loops` allows.
    LoopLimit,
    /// An encoder could not encode it for a destination.
    EncodeFailed,
    /// A destination refused it for good (too large a datagram, for example).
    Refused,
    /// A destination ended with it undelivered.
    DestinationEnded,
    /// The kernel dropped the datagram before it was read.
    KernelDrop,
    /// A datagram that is longer than the receive buffer.
    DatagramTruncated,
    /// A destination's disk queue was full, and its `full_action` is `drop`.
    QueueFull,
    /// A plugin failed or panicked while it had it, and would perhaps do so again.
    PluginFailed,
    /// A filter made it while so much waited that it had injected before that it could keep no more.
    NoCredit,
}

impl DropCause {
    /// All causes, in the order of their numbers.
    pub const ALL: [DropCause; 17] = [
        DropCause::TooLong,
        DropCause::BadFrame,
        DropCause::WrongSignature,
        DropCause::UnknownSigner,
        DropCause::Incomplete,
        DropCause::DecodeFailed,
        DropCause::DecodedToNothing,
        DropCause::DoesNotFit,
        DropCause::LoopLimit,
        DropCause::EncodeFailed,
        DropCause::Refused,
        DropCause::DestinationEnded,
        DropCause::KernelDrop,
        DropCause::DatagramTruncated,
        DropCause::QueueFull,
        DropCause::PluginFailed,
        DropCause::NoCredit,
    ];

    /// Its name in reports and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            DropCause::TooLong => "too_long",
            DropCause::BadFrame => "bad_frame",
            DropCause::WrongSignature => "wrong_signature",
            DropCause::UnknownSigner => "unknown_signer",
            DropCause::Incomplete => "incomplete",
            DropCause::DecodeFailed => "decode_failed",
            DropCause::DecodedToNothing => "decoded_to_nothing",
            DropCause::DoesNotFit => "does_not_fit",
            DropCause::LoopLimit => "loop_limit",
            DropCause::EncodeFailed => "encode_failed",
            DropCause::Refused => "refused",
            DropCause::DestinationEnded => "destination_ended",
            DropCause::KernelDrop => "kernel_drop",
            DropCause::DatagramTruncated => "datagram_truncated",
            DropCause::QueueFull => "queue_full",
            DropCause::PluginFailed => "plugin_failed",
            DropCause::NoCredit => "no_credit",
        }
    }

    /// What an operator can do about it, for the report.
    pub const fn advice(self) -> &'static str {
        match self {
            DropCause::TooLong => "raise max_message_size or set keep_truncated on the splitter",
            DropCause::BadFrame => {
                "the sender or the path to it damages frames, or sends something between them"
            }
            DropCause::WrongSignature => {
                "the sender's hmac_key differs, or the path damages messages"
            }
            DropCause::UnknownSigner => "add the signer and version to the splitter's signer table",
            DropCause::Incomplete => {
                "a stream ended inside a record; set deliver_incomplete_final to keep such rests"
            }
            DropCause::DecodeFailed => {
                "the input's decoder does not fit what is sent; send_decode_failures shows the messages"
            }
            DropCause::DecodedToNothing => {
                "the decoder's rules filter these out; nothing to do if that is meant"
            }
            DropCause::DoesNotFit => {
                "the message has more fields or values than one batch holds; send fewer in one message"
            }
            DropCause::LoopLimit => {
                "a filter's matcher accepts what filters inject; narrow it or raise max_message_loops"
            }
            DropCause::EncodeFailed => {
                "the output's encoder does not fit the messages that its matcher accepts"
            }
            DropCause::Refused => {
                "an output's far side does not take them: nobody listens there, or they are too long for a datagram; the output's own lines in the log say which"
            }
            DropCause::DestinationEnded => "a filter or output ended; its error is in the log",
            DropCause::KernelDrop => {
                "datagrams arrive faster than they are read; raise net.core.rmem_max"
            }
            DropCause::DatagramTruncated => {
                "a datagram is longer than its slot; raise max_message_size"
            }
            DropCause::QueueFull => {
                "an output's disk queue is full; raise max_buffer_size, or set full_action to block"
            }
            DropCause::PluginFailed => {
                "a plugin failed over them and goes on without; its own lines in the log say how"
            }
            DropCause::NoCredit => {
                "a filter injects more than those take who ask for it; inject less, or see what holds them up"
            }
        }
    }
}

impl DropCause {
    /// The drop that a splitter's skip is; `None` for garbage, which never was a record.
    pub const fn of_skip(cause: SkipCause) -> Option<DropCause> {
        match cause {
            SkipCause::Garbage | SkipCause::Rest | SkipCause::Empty => None,
            SkipCause::TooLong => Some(DropCause::TooLong),
            SkipCause::BadFrame => Some(DropCause::BadFrame),
            SkipCause::WrongSignature => Some(DropCause::WrongSignature),
            SkipCause::UnknownSigner => Some(DropCause::UnknownSigner),
            SkipCause::Incomplete => Some(DropCause::Incomplete),
        }
    }
}

/// Drops by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops([u64; DropCause::ALL.len()]);

impl Drops {
    /// Counts `n` drops.
    #[inline]
    pub fn add(&mut self, cause: DropCause, n: u64) {
        self.0[cause as usize] += n;
    }

    /// Drops of one cause.
    pub fn get(&self, cause: DropCause) -> u64 {
        self.0[cause as usize]
    }

    /// Drops of all causes.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The causes that occurred, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (DropCause, u64)> {
        DropCause::ALL
            .into_iter()
            .map(|cause| (cause, self.get(cause)))
            .filter(|(_, count)| *count > 0)
    }

    /// Adds another shard's drops.
    pub fn merge(&mut self, other: &Drops) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
}

/// The ledger of one input on one shard. `received = delivered + unmatched + dropped + dead-lettered + in flight`, always. A destination
/// with a disk queue has taken a message when the queue has it for good; from there on the queue has a ledger of the same kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InputCounters {
    /// Messages made of what was read, and records that were lost before they became one.
    pub received: u64,
    /// Messages that every destination which asked for them has taken.
    pub delivered: u64,
    /// Messages that nobody asked for.
    pub unmatched: u64,
    /// Messages and records dropped, by cause.
    pub dropped: Drops,
    /// Messages that a destination refused for good and that are kept as its dead letters.
    pub dead_lettered: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Bytes that were no record.
    pub garbage_bytes: u64,
    /// Decoder failures, whether the message was dropped or delivered marked.
    pub decode_failures: u64,
    /// Connections or streams begun.
    pub streams_opened: u64,
    /// Connections or streams ended.
    pub streams_closed: u64,
    /// Streams that ended with an error.
    pub stream_errors: u64,
    /// Connections refused at a limit, or still waiting to be accepted when the input stopped.
    pub streams_refused: u64,
    /// Times that connections had to wait because none could be accepted.
    pub accept_failures: u64,
}

impl InputCounters {
    /// Messages that some destination still holds.
    pub fn in_flight(&self) -> u64 {
        self.received - self.delivered - self.unmatched - self.dropped.total() - self.dead_lettered
    }

    /// Adds another shard's counters.
    pub fn merge(&mut self, other: &InputCounters) {
        self.received += other.received;
        self.delivered += other.delivered;
        self.unmatched += other.unmatched;
        self.dropped.merge(&other.dropped);
        self.dead_lettered += other.dead_lettered;
        self.bytes += other.bytes;
        self.garbage_bytes += other.garbage_bytes;
        self.decode_failures += other.decode_failures;
        self.streams_opened += other.streams_opened;
        self.streams_closed += other.streams_closed;
        self.stream_errors += other.stream_errors;
        self.streams_refused += other.streams_refused;
        self.accept_failures += other.accept_failures;
    }
}

/// The counters of one filter or output on one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsumerCounters {
    /// Messages matched here and handed towards the consumer.
    pub matched: u64,
    /// Messages that the consumer has taken for good.
    pub processed: u64,
    /// Messages that it, or its encoder, gave up.
    pub dropped: Drops,
    /// Messages that it refused and that are kept as dead letters.
    pub dead_lettered: u64,
    /// Bytes delivered.
    pub bytes: u64,
    /// Messages injected (filters).
    pub injected: u64,
    /// Failed attempts that were or will be tried again.
    pub retries: u64,
}

impl ConsumerCounters {
    /// Messages that matched and that it is not done with, of a consumer without a disk queue. The counters of all shards together; those of
    /// one alone say nothing.
    pub fn in_flight(&self) -> u64 {
        // Shards do not tell their counters at the same moment.
        self.matched
            .saturating_sub(self.processed + self.dropped.total() + self.dead_lettered)
    }

    /// Adds another shard's counters.
    pub fn merge(&mut self, other: &ConsumerCounters) {
        self.matched += other.matched;
        self.processed += other.processed;
        self.dropped.merge(&other.dropped);
        self.dead_lettered += other.dead_lettered;
        self.bytes += other.bytes;
        self.injected += other.injected;
        self.retries += other.retries;
    }
}

/// The disk queue of one consumer on one shard: what the shard put in, and on the consumer's home what was there before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCounters {
    /// Messages that were in the queue when the daemon started.
    pub recovered: u64,
    /// Messages put into the queue for good.
    pub queued: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Times that the queue was made durable.
    pub syncs: u64,
    /// Messages that the consumer was given from memory as soon as they were durable.
    pub handed_over: u64,
    /// Messages that were damaged on the disk, as far as their number is known.
    pub damaged: u64,
}

impl QueueCounters {
    /// Adds another shard's counters.
    pub fn merge(&mut self, other: &QueueCounters) {
        self.recovered += other.recovered;
        self.queued += other.queued;
        self.bytes += other.bytes;
        self.syncs += other.syncs;
        self.handed_over += other.handed_over;
        self.damaged += other.damaged;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_causes_share_a_name_or_an_advice() {
        for (number, cause) in DropCause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, number);
            for other in &DropCause::ALL[..number] {
                assert_ne!(cause.name(), other.name());
                assert_ne!(cause.advice(), other.advice());
            }
        }
    }
}
