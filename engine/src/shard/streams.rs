//! The streams of one shard: order, watermark, and who waits for what.
//!
//! Owns:    a slot per open stream: its input, the batches it has issued and which of them are settled, its waker.
//! Runs on: every shard.            Plane: data.
//! Bounds:  `limits::STREAMS_MAX` slots; a stream has at most as many unsettled batches as the pool has.
//! Never:   awaits; it only says who is to be woken.
//!
//! The watermark of a stream is the number of its first batch that is not settled: everything before has been taken by every
//! destination or dropped with a cause. It moves only when the shard frees a batch, that is when the last hold is gone.
//! What is acknowledged follows it in bytes of the stream, until a batch comes back whose messages somebody who had to take them did not
//! take: from there on nothing more of the stream is acknowledged.

use std::collections::VecDeque;
use std::task::{Context, Waker};

use crate::io::remember;
use crate::limits;
use crate::pack::{InputId, StreamId};

/// A batch that a stream has issued.
#[derive(Clone, Copy, Debug)]
struct Issued {
    settled: bool,
    /// Bytes of the stream, from its beginning, that are dealt with once this batch and all before it are settled.
    end: u64,
}

#[derive(Debug)]
struct Slot {
    input: InputId,
    open: bool,
    /// Somebody still asks how far it is acknowledged.
    kept: bool,
    issued: u64,
    watermark: u64,
    /// Batches from the watermark on.
    under_way: VecDeque<Issued>,
    /// Bytes of the stream that may be acknowledged.
    acknowledged: u64,
    /// What will never be acknowledged begins here.
    limit: u64,
    /// The task that waits for `acknowledged` to move.
    journal: Option<Waker>,
    /// Deliveries of this stream that wait for a consumer's credit.
    blocked: u32,
    waits_for_batch: bool,
    /// Bytes of the unfinished record that the stream keeps.
    rest_bytes: usize,
    /// The stream is to end, because unfinished records take too much memory and its own is the longest.
    evicted: bool,
    waker: Option<Waker>,
}

impl Slot {
    /// The stream is dealt with up to `end`.
    fn advance(&mut self, end: u64) {
        self.acknowledged = end.min(self.limit);
        if let Some(waker) = self.journal.take() {
            waker.wake();
        }
    }
}

/// The streams of one shard.
#[derive(Debug, Default)]
pub struct Streams {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Streams that wait for a batch, longest first. An entry whose stream no longer waits is passed over.
    queue: VecDeque<StreamId>,
    open: usize,
    /// Slots that are kept.
    kept: usize,
    /// Bytes that streams which are to end will give back.
    evicted_bytes: usize,
}

impl Streams {
    /// Opens a stream; `None` when there are too many.
    pub fn open(&mut self, input: InputId) -> Option<StreamId> {
        let id = match self.free.pop() {
            Some(id) => id,
            None if self.slots.len() < limits::STREAMS_MAX => {
                self.slots.push(Slot {
                    input,
                    open: false,
                    kept: false,
                    issued: 0,
                    watermark: 0,
                    under_way: VecDeque::new(),
                    acknowledged: 0,
                    limit: u64::MAX,
                    journal: None,
                    blocked: 0,
                    waits_for_batch: false,
                    rest_bytes: 0,
                    evicted: false,
                    waker: None,
                });
                self.slots.len() as u32 - 1
            }
            None => return None,
        };
        let slot = &mut self.slots[id as usize];
        slot.input = input;
        slot.open = true;
        slot.issued = 0;
        slot.watermark = 0;
        slot.acknowledged = 0;
        slot.limit = u64::MAX;
        slot.waits_for_batch = false;
        slot.rest_bytes = 0;
        slot.evicted = false;
        self.open += 1;
        Some(StreamId(id))
    }

    /// Closes a stream. Its slot is reused when the last of its batches is settled.
    pub fn close(&mut self, id: StreamId) {
        let slot = &mut self.slots[id.0 as usize];
        if slot.evicted {
            self.evicted_bytes -= slot.rest_bytes;
        }
        slot.open = false;
        slot.waker = None;
        slot.journal = None;
        slot.waits_for_batch = false;
        self.open -= 1;
        self.reuse(id);
    }

    /// Keeps a stream's slot beyond its end, until it is forgotten.
    pub fn keep(&mut self, id: StreamId) {
        self.slot(id).kept = true;
        self.kept += 1;
    }

    /// Lets go of a slot that was kept.
    pub fn forget(&mut self, id: StreamId) {
        let slot = self.slot(id);
        slot.kept = false;
        slot.journal = None;
        self.kept -= 1;
        self.reuse(id);
    }

    fn reuse(&mut self, id: StreamId) {
        let slot = &self.slots[id.0 as usize];
        if !slot.open && !slot.kept && slot.under_way.is_empty() {
            self.free.push(id.0);
        }
    }

    fn slot(&mut self, id: StreamId) -> &mut Slot {
        &mut self.slots[id.0 as usize]
    }

    /// Numbers the next batch of a stream; it reaches to the byte `end` of the stream.
    pub fn issue(&mut self, id: StreamId, end: u64) -> u64 {
        let slot = self.slot(id);
        let sequence = slot.issued;
        slot.issued += 1;
        slot.under_way.push_back(Issued {
            settled: false,
            end,
        });
        sequence
    }

    /// Notes that the stream's bytes up to `end` are dealt with, those behind its last batch without a message.
    pub fn reach(&mut self, id: StreamId, end: u64) {
        let slot = self.slot(id);
        match slot.under_way.back_mut() {
            Some(last) => last.end = end,
            None => slot.advance(end),
        }
    }

    /// Notes that a batch is settled, and moves the watermark. Without `taken` nothing from this batch on is acknowledged any more.
    pub fn settle(&mut self, id: StreamId, sequence: u64, taken: bool) {
        let slot = self.slot(id);
        let index = (sequence - slot.watermark) as usize;
        slot.under_way[index].settled = true;
        if !taken {
            let before = index.checked_sub(1).map(|index| slot.under_way[index].end);
            slot.limit = slot.limit.min(before.unwrap_or(slot.acknowledged));
        }
        while let Some(first) = slot.under_way.front().filter(|first| first.settled) {
            let end = first.end;
            slot.under_way.pop_front();
            slot.watermark += 1;
            slot.advance(end);
        }
        self.reuse(id);
    }

    /// Bytes of the stream, from its beginning, that may be acknowledged.
    pub fn acknowledged(&self, id: StreamId) -> u64 {
        self.slots[id.0 as usize].acknowledged
    }

    /// Whether there is nothing more to wait for: everything is acknowledged, or will never be.
    pub fn is_settled(&self, id: StreamId) -> bool {
        self.slots[id.0 as usize].under_way.is_empty()
    }

    /// Remembers the task that waits for `acknowledged` to move.
    pub fn register_journal(&mut self, id: StreamId, cx: &Context<'_>) {
        let slot = self.slot(id);
        remember(&mut slot.journal, cx);
    }

    /// The first batch that is not settled, and how many have been issued.
    pub fn watermark(&self, id: StreamId) -> (u64, u64) {
        let slot = &self.slots[id.0 as usize];
        (slot.watermark, slot.issued)
    }

    /// Remembers the task that reads the stream.
    #[inline]
    pub fn register(&mut self, id: StreamId, cx: &Context<'_>) {
        let slot = self.slot(id);
        remember(&mut slot.waker, cx);
    }

    /// Queues the stream for a batch.
    pub fn wait_for_batch(&mut self, id: StreamId) {
        let slot = self.slot(id);
        if !slot.waits_for_batch {
            slot.waits_for_batch = true;
            self.queue.push_back(id);
        }
    }

    /// Notes that the stream has a batch.
    #[inline]
    pub fn has_batch(&mut self, id: StreamId) {
        self.slot(id).waits_for_batch = false;
    }

    /// The task of the stream that has waited longest for a batch, among those whose input may take one.
    pub fn next_waiting(&mut self, may_take: impl Fn(InputId) -> bool) -> Option<Waker> {
        let mut passed_over = 0;
        while passed_over < self.queue.len() {
            let id = self.queue[passed_over];
            let slot = &mut self.slots[id.0 as usize];
            if !slot.waits_for_batch {
                self.queue.remove(passed_over);
            } else if may_take(slot.input) {
                slot.waits_for_batch = false;
                let waker = slot.waker.clone();
                self.queue.remove(passed_over);
                return waker;
            } else {
                passed_over += 1;
            }
        }
        None
    }

    /// Notes how many bytes of an unfinished record the stream keeps.
    #[inline]
    pub fn set_rest(&mut self, id: StreamId, bytes: usize) {
        let slot = &mut self.slots[id.0 as usize];
        if !slot.evicted {
            slot.rest_bytes = bytes;
        }
    }

    /// Picks the stream that keeps the longest unfinished record, to end it; answers its task.
    pub fn evict_longest_rest(&mut self) -> Option<Waker> {
        let longest = self
            .slots
            .iter_mut()
            .filter(|slot| slot.open && !slot.evicted)
            .max_by_key(|slot| slot.rest_bytes)?;
        longest.evicted = true;
        self.evicted_bytes += longest.rest_bytes;
        longest.waker.clone()
    }

    /// Bytes that streams which are to end will give back.
    pub fn evicted_bytes(&self) -> usize {
        self.evicted_bytes
    }

    /// Whether the stream is to end.
    #[inline]
    pub fn is_evicted(&self, id: StreamId) -> bool {
        self.slots[id.0 as usize].evicted
    }

    /// Notes that a delivery of the stream waits for a consumer.
    pub fn block(&mut self, id: StreamId) {
        self.slot(id).blocked += 1;
    }

    /// Notes that such a delivery has gone; answers the task to wake when it was the last.
    pub fn unblock(&mut self, id: StreamId) -> Option<Waker> {
        let slot = self.slot(id);
        slot.blocked -= 1;
        if slot.blocked == 0 {
            slot.waker.clone()
        } else {
            None
        }
    }

    /// Whether the stream must wait for a consumer.
    #[inline]
    pub fn is_blocked(&self, id: StreamId) -> bool {
        self.slots[id.0 as usize].blocked > 0
    }

    /// Streams that are open.
    pub fn open_count(&self) -> usize {
        self.open
    }

    /// Streams whose acknowledgements somebody waits for although they have been read.
    pub fn kept_count(&self) -> usize {
        self.kept
    }

    /// Tasks of all open streams, to be told to stop.
    pub fn wakers(&self) -> impl Iterator<Item = &Waker> {
        self.slots.iter().filter_map(|slot| slot.waker.as_ref())
    }
}

/// How many batches the streams of each input may have under way, so that one input whose destination has stopped leaves
/// batches for the others.
#[derive(Debug)]
pub struct InputShares {
    taken: Vec<u32>,
    most: u32,
}

impl InputShares {
    /// Equal shares of a pool; an only input has all of it.
    pub fn new(inputs: usize, batches: usize) -> InputShares {
        let most = (batches / inputs.max(1)).max(limits::INPUT_BATCHES_MIN);
        InputShares {
            taken: vec![0; inputs],
            most: most as u32,
        }
    }

    /// Whether streams of the input may take a batch.
    #[inline]
    pub fn may_take(&self, input: InputId) -> bool {
        self.taken[input.0 as usize] < self.most
    }

    /// Notes that a batch of the input is under way.
    #[inline]
    pub fn take(&mut self, input: InputId) {
        self.taken[input.0 as usize] += 1;
    }

    /// Notes that it is free again.
    #[inline]
    pub fn give_back(&mut self, input: InputId) {
        self.taken[input.0 as usize] -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_leaves_batches_for_the_others() {
        let mut shares = InputShares::new(2, 128);
        for _ in 0..64 {
            assert!(shares.may_take(InputId(0)));
            shares.take(InputId(0));
        }
        assert!(!shares.may_take(InputId(0)));
        assert!(shares.may_take(InputId(1)));
        shares.give_back(InputId(0));
        assert!(shares.may_take(InputId(0)));
    }

    #[test]
    fn the_longest_rest_is_evicted_first() {
        let mut streams = Streams::default();
        let ids: Vec<StreamId> = (0..3).filter_map(|_| streams.open(InputId(0))).collect();
        for (&id, bytes) in ids.iter().zip([10, 30, 20]) {
            streams.set_rest(id, bytes);
        }
        streams.evict_longest_rest();
        assert_eq!(
            ids.iter()
                .map(|&id| streams.is_evicted(id))
                .collect::<Vec<_>>(),
            [false, true, false]
        );
        streams.evict_longest_rest();
        assert!(streams.is_evicted(ids[2]));
    }

    #[test]
    fn the_watermark_waits_for_the_oldest() {
        let mut streams = Streams::default();
        let id = streams.open(InputId(0)).expect("room");
        let numbers: Vec<u64> = (1..4).map(|end| streams.issue(id, end * 10)).collect();
        assert_eq!(numbers, [0, 1, 2]);
        streams.settle(id, 1, true);
        streams.settle(id, 2, true);
        assert_eq!(
            (streams.watermark(id), streams.acknowledged(id)),
            ((0, 3), 0)
        );
        streams.reach(id, 35);
        streams.settle(id, 0, true);
        assert_eq!(
            (streams.watermark(id), streams.acknowledged(id)),
            ((3, 3), 35)
        );
        streams.reach(id, 36);
        assert_eq!(streams.acknowledged(id), 36);
    }

    #[test]
    fn nothing_is_acknowledged_behind_what_was_not_taken() {
        let mut streams = Streams::default();
        let id = streams.open(InputId(0)).expect("room");
        for end in 1..5 {
            streams.issue(id, end * 10);
        }
        streams.settle(id, 2, false);
        streams.settle(id, 3, true);
        streams.settle(id, 1, false);
        streams.settle(id, 0, true);
        assert_eq!(
            (streams.watermark(id), streams.acknowledged(id)),
            ((4, 4), 10)
        );
        streams.issue(id, 50);
        streams.settle(id, 4, true);
        streams.reach(id, 60);
        assert_eq!(streams.acknowledged(id), 10);
        assert!(streams.is_settled(id));
    }

    #[test]
    fn a_slot_is_reused_only_when_nothing_is_in_flight() {
        let mut streams = Streams::default();
        let first = streams.open(InputId(0)).expect("room");
        streams.issue(first, 1);
        streams.close(first);
        let second = streams.open(InputId(1)).expect("room");
        assert_ne!(first, second);
        streams.settle(first, 0, true);
        assert_eq!(streams.open(InputId(2)), Some(first));
    }

    #[test]
    fn a_slot_is_kept_for_those_who_ask_how_far_it_is_acknowledged() {
        let mut streams = Streams::default();
        let first = streams.open(InputId(0)).expect("room");
        streams.issue(first, 7);
        streams.keep(first);
        streams.close(first);
        assert_eq!((streams.open_count(), streams.kept_count()), (0, 1));
        streams.settle(first, 0, true);
        assert_eq!(streams.acknowledged(first), 7);
        assert_ne!(streams.open(InputId(0)), Some(first));
        streams.forget(first);
        assert_eq!(streams.kept_count(), 0);
        assert_eq!(streams.open(InputId(0)), Some(first));
    }

    #[test]
    fn waiting_streams_are_woken_once_each_in_order() {
        let mut streams = Streams::default();
        let (a, b) = (
            streams.open(InputId(0)).expect("room"),
            streams.open(InputId(0)).expect("room"),
        );
        let cx = Context::from_waker(Waker::noop());
        for id in [a, b] {
            streams.register(id, &cx);
            streams.wait_for_batch(id);
            streams.wait_for_batch(id);
        }
        streams.has_batch(a);
        assert!(streams.next_waiting(|_| false).is_none());
        assert!(streams.next_waiting(|_| true).is_some(), "b");
        assert!(streams.next_waiting(|_| true).is_none());
    }
}
