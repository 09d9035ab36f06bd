//! How far a stream is acknowledged: what an input may journal, commit or answer for.
//!
//! Owns:    `Taken`, the proof without which no share of a batch is acknowledged; an input's view of its stream's progress, and `Progress`,
//!          what is left of that view when the stream has been read.
//! Runs on: every shard.            Plane: data.
//! Bounds:  one number a stream.
//! Never:   lets anything but a delivery for good, a synced queue or a counted drop acknowledge a message.

use std::rc::Rc;
use std::task::{Context, Poll};

use super::Shard;
use super::intake::Intake;
use super::parcel::Parcel;
use crate::event::DropCause;
use crate::pack::StreamId;
use crate::queue::Synced;

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
            .any(|(_, cause)| cause == DropCause::DestinationEnded);
        (may_lose || !lost).then_some(Taken(()))
    }

    /// By a disk queue, which has synced it.
    pub(super) fn by_queue(_synced: &Synced) -> Taken {
        Taken(())
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
        acknowledged(&self.context.shard, self.stream)
    }

    /// Whether no message of the stream is under way: what is not acknowledged then never will be.
    pub fn is_settled(&self) -> bool {
        is_settled(&self.context.shard, self.stream)
    }

    /// Waits until more than `known` bytes are acknowledged, or nothing is under way any more; answers how many are.
    pub fn poll_acknowledged(&self, known: u64, cx: &Context<'_>) -> Poll<u64> {
        poll_acknowledged(&self.context.shard, self.stream, known, cx)
    }

    /// Ends the stream of a source that keeps what is unfinished: nothing of it counts as lost. How far the stream is acknowledged can be
    /// asked for as long as the answer is held; the daemon does not end before that, or its last deadline.
    pub fn leave(mut self) -> Progress {
        let shard = Rc::clone(&self.context.shard);
        shard.change_rest(-(self.rest.len() as isize));
        self.rest.clear();
        self.pending = None;
        shard.streams.borrow_mut().keep(self.stream);
        Progress {
            shard,
            stream: self.stream,
        }
    }
}

/// How far a stream that is not read any more is acknowledged.
pub struct Progress {
    shard: Rc<Shard>,
    stream: StreamId,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Progress")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

impl Progress {
    /// As `Intake::acknowledged`.
    pub fn acknowledged(&self) -> u64 {
        acknowledged(&self.shard, self.stream)
    }

    /// As `Intake::is_settled`.
    pub fn is_settled(&self) -> bool {
        is_settled(&self.shard, self.stream)
    }

    /// As `Intake::poll_acknowledged`.
    pub fn poll_acknowledged(&self, known: u64, cx: &Context<'_>) -> Poll<u64> {
        poll_acknowledged(&self.shard, self.stream, known, cx)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.shard.streams.borrow_mut().forget(self.stream);
    }
}

fn acknowledged(shard: &Shard, stream: StreamId) -> u64 {
    shard.streams.borrow().acknowledged(stream)
}

fn is_settled(shard: &Shard, stream: StreamId) -> bool {
    shard.streams.borrow().is_settled(stream)
}

fn poll_acknowledged(shard: &Shard, stream: StreamId, known: u64, cx: &Context<'_>) -> Poll<u64> {
    let mut streams = shard.streams.borrow_mut();
    let acknowledged = streams.acknowledged(stream);
    if acknowledged > known || streams.is_settled(stream) {
        return Poll::Ready(acknowledged);
    }
    streams.register_journal(stream, cx);
    Poll::Pending
}
