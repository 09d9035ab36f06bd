//! Dead letters: messages that a destination refuses for good are kept with the reason, instead of being dropped.
//!
//! Owns:    `Letters`, the parcels that wait until what was refused of them is on the disk; the loop that brings it there.
//! Runs on: the shard that the messages are on; writes and syncs on a thread of its own.            Plane: data.
//! Bounds:  a parcel that waits keeps its credit, so at most as many wait as may be under way.
//! Never:   acknowledges a refused message before it is safe; drops one without saying so.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use codecs::protobuf;

use super::Shard;
use super::disk_wait::DiskWait;
use super::parcel::Parcel;
use crate::event::DropCause;
use crate::io::{Worker, clock, remember};
use crate::pack::ConsumerId;
use crate::queue::{Entry, Kind, Lane, Meta, QueueError, Synced};
use crate::words::{agrees, counted};

/// What a shard keeps for the dead letters of one output.
#[derive(Debug, Default)]
pub(super) struct Letters {
    waiting: VecDeque<Box<Parcel>>,
    /// Parcels that wait or are being written.
    under_way: usize,
    waker: Option<Waker>,
}

/// Whether the message itself is to blame, so that somebody may want to see it and send it again.
const fn makes_letter(cause: DropCause) -> bool {
    matches!(
        cause,
        DropCause::Refused | DropCause::EncodeFailed | DropCause::PluginFailed
    )
}

impl Shard {
    /// Keeps a parcel that came back if something of it is to become a dead letter first; answers it if not.
    pub(super) fn post(&self, consumer: ConsumerId, parcel: Box<Parcel>) -> Option<Box<Parcel>> {
        let is_kept = self.topology.consumer(consumer).letters.is_some()
            && parcel.drops().any(|(_, cause)| makes_letter(cause));
        if !is_kept {
            return Some(parcel);
        }
        let mut letters = self.letters.borrow_mut();
        let letters = &mut letters[consumer.0 as usize];
        letters.waiting.push_back(parcel);
        letters.under_way += 1;
        letters.waker.iter().for_each(Waker::wake_by_ref);
        None
    }

    fn poll_letters(&self, consumer: ConsumerId, cx: &Context<'_>) -> Poll<Box<Parcel>> {
        let mut letters = self.letters.borrow_mut();
        let letters = &mut letters[consumer.0 as usize];
        if let Some(parcel) = letters.waiting.pop_front() {
            return Poll::Ready(parcel);
        }
        remember(&mut letters.waker, cx);
        Poll::Pending
    }

    /// Parcels of which something is to become a dead letter and is not yet.
    pub(crate) fn letters_under_way(&self) -> usize {
        let letters = self.letters.borrow();
        letters.iter().map(|letters| letters.under_way).sum()
    }
}

/// What is needed to keep one dead letter.
struct Letter {
    message: u16,
    loops: u8,
    bytes: Vec<u8>,
    reason: String,
    attempts: u32,
}

/// Keeps what comes back refused, until the shard ends.
pub(crate) async fn write_letters(
    shard: Rc<Shard>,
    consumer: ConsumerId,
    worker: Worker,
    mut lane: Lane,
) {
    loop {
        let mut parcel = poll_fn(|cx| shard.poll_letters(consumer, cx)).await;
        let mut letters = letters_of(&parcel);
        let unit = &shard.topology.consumer(consumer);
        let name = &unit.name;
        let refused = letters.len();
        letters.retain(|letter| lane.takes(letter.bytes.len()));
        if letters.len() < refused {
            shard.notice(name, || {
                format!(
                    "{} {} dropped: longer than a message may be (`max_message_size`)",
                    counted(refused - letters.len(), "refused message"),
                    agrees(refused - letters.len(), "is", "are")
                )
            });
        }
        let bytes: u64 = letters.iter().map(|letter| letter.bytes.len() as u64).sum();
        let room = unit.letters.as_ref().expect("it has a lane for them");
        let kept = if room.size.bytes() + bytes > room.bytes_max {
            shard.notice(name, || {
                format!(
                    "{} {} dropped: its dead letters take {} of at most {} bytes (`max_dead_letter_size`)",
                    counted(letters.len(), "refused message"),
                    agrees(letters.len(), "is", "are"),
                    room.size.bytes(),
                    room.bytes_max
                )
            });
            None
        } else {
            let (back, kept) = keep(&shard, name, &worker, lane, letters).await;
            lane = back;
            room.size.took(shard.id, lane.bytes_taken());
            kept
        };
        if let Some((letters, synced)) = kept {
            let numbers = letters.iter().map(|letter| letter.message);
            parcel.mark_kept(numbers, &synced);
        }
        shard.letters.borrow_mut()[consumer.0 as usize].under_way -= 1;
        shard.parcel_settled(parcel);
        shard.pump_injected();
    }
}

/// The refused messages of a parcel, in protobuf.
fn letters_of(parcel: &Parcel) -> Vec<Letter> {
    let refused = parcel
        .reasons()
        .filter(|(_, cause, _, _)| makes_letter(*cause));
    refused
        .map(|(message, cause, reason, attempts)| {
            let view = parcel.batch().table.get(message as usize);
            let mut bytes = Vec::new();
            match view.encoded() {
                Some(encoded) => bytes.extend_from_slice(encoded),
                None => protobuf::encode(view, &mut bytes),
            }
            Letter {
                message,
                loops: view.head().loops,
                bytes,
                reason: match reason {
                    Some(reason) => format!("{}: {reason}", cause.name()),
                    None => cause.name().to_owned(),
                },
                attempts,
            }
        })
        .collect()
}

/// Writes letters until the disk has them; nothing if there is no room for them.
async fn keep(
    shard: &Shard,
    name: &str,
    worker: &Worker,
    mut lane: Lane,
    mut letters: Vec<Letter>,
) -> (Lane, Option<(Vec<Letter>, Synced)>) {
    let mut wait = DiskWait::new();
    loop {
        let now = clock::wall();
        let done = worker.run(move || {
            let written = write(&mut lane, &letters, now);
            (lane, letters, written)
        });
        let written;
        (lane, letters, written) = done.await;
        match written {
            Ok(synced) => return (lane, Some((letters, synced))),
            Err(error) if error.kind() == Kind::Full => {
                shard.notice(name, || {
                    format!(
                        "{} refused messages are dropped, not kept as dead letters: {error}",
                        letters.len()
                    )
                });
                return (lane, None);
            }
            Err(error) => {
                shard.notice(name, || {
                    format!("dead letters cannot be written: {error}; trying again in {wait}")
                });
            }
        }
        wait.pause().await;
    }
}

fn write(lane: &mut Lane, letters: &[Letter], now: i64) -> Result<Synced, QueueError> {
    let entries = letters.iter().map(|letter| Entry {
        message: &letter.bytes,
        loops: letter.loops,
        meta: Some(Meta {
            cause: &letter.reason,
            attempts: letter.attempts,
        }),
    });
    lane.append(entries, now)?;
    lane.commit()
}
