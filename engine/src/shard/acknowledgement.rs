//! How far a stream is acknowledged: what an input may journal, commit or answer for.
//!
//! Owns:    `Taken`, the proof without which no share of a batch is acknowledged; an input's view of its stream's progress.
//! Runs on: every shard.            Plane: data.
//! Bounds:  one number a stream.
//! Never:   lets anything but a delivery for good, a synced queue or a counted drop acknowledge a message.

use std::task::{Context, Poll};

use super::intake::Intake;
use super::parcel::Parcel;
use crate::event::DropCause;

/// Proof that somebody has taken a share of a batch for good, or had no right to keep it waiting. Only this module makes one.
#[derive(Debug)]
#[must_use]
pub(super) struct Taken(());

impl Taken {
    /// By an output: it settled the parcel that has the share, which says that every record was delivered or dropped with a cause.
    /// `None` if it ended and the rest of the daemon cannot do without it.
    pub(super) fn by_output(parcel: &Parcel, may_lose: bool) -> Option<Taken> {
        let lost = parcel
            .drops()
            .any(|cause| cause == DropCause::DestinationEnded);
        (may_lose || !lost).then_some(Taken(()))
    }

    /// By a filter whose call has returned, or failed and will not be repeated. `None` if it had ended and the rest of the daemon cannot do
    /// without it.
    pub(super) fn by_filter(dropped: Option<DropCause>, may_lose: bool) -> Option<Taken> {
        (may_lose || dropped != Some(DropCause::DestinationEnded)).then_some(Taken(()))
    }

    /// Uses the proof up: it is good for one share.
    pub(super) fn spend(self) {}
}

impl Intake {
    /// Bytes of the stream, from its beginning, that the splitter has consumed; the rest of an unfinished record is not among them.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Bytes of the stream, from its beginning, that may be acknowledged: every message made of them has been delivered for good,
    /// durably queued, or dropped with a counted cause. Never more than `taken`.
    pub fn acknowledged(&self) -> u64 {
        let streams = self.context.shard.streams.borrow();
        streams.acknowledged(self.stream)
    }

    /// Whether no message of the stream is under way: what is not acknowledged then never will be.
    pub fn is_settled(&self) -> bool {
        let streams = self.context.shard.streams.borrow();
        streams.is_settled(self.stream)
    }

    /// Waits until more than `known` bytes are acknowledged, or nothing is under way any more; answers how many are.
    pub fn poll_acknowledged(&self, known: u64, cx: &Context<'_>) -> Poll<u64> {
        let mut streams = self.context.shard.streams.borrow_mut();
        let acknowledged = streams.acknowledged(self.stream);
        if acknowledged > known || streams.is_settled(self.stream) {
            return Poll::Ready(acknowledged);
        }
        streams.register_journal(self.stream, cx);
        Poll::Pending
    }
}
