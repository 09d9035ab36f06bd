//! The steady state allocates nothing per message: four times the messages, the same allocations.
//!
//! Owns:    the allocator that counts.
//! Runs on: tests.            Plane: data.
//! Bounds:  two runs of one daemon.
//! Never:   depends on how much one batch takes.
#![expect(
    unsafe_code,
    reason = "an allocator is an unsafe trait; this one only counts and passes on"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use codecs::framing;
use codecs::message::{Header, MessageTable, NewValue, TableLimits};
use codecs::signing::Keys;
use codecs::splitter::SplitterOptions;
use codecs::splitters::HekaFramingSplitter;
use engine::plugin::Placement;

use crate::harness::{Count, FromProtobuf, Keep, Plan, Replay, ReplayInput, SplitBy};

struct Counting;

/// Allocations by threads of shards that run this test's plans.
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

/// Counts this thread's allocations from now on.
pub(crate) fn count_this_thread() {
    COUNTED.with(|counted| counted.set(true));
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator with the same arguments; counting touches no allocated memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if COUNTED.try_with(Cell::get).unwrap_or(false) {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` above, that is from the system's allocator, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn frames(count: usize) -> Vec<u8> {
    let mut table = MessageTable::new(TableLimits {
        received_bytes: 0,
        arena_bytes: 64 * 1024,
        messages: 1,
        fields: 16,
    });
    let mut out = Vec::new();
    for number in 0..count {
        table.clear();
        let mut draft = table.begin().expect("room");
        draft
            .set(Header::Uuid, &[number as u8; 16][..])
            .expect("room");
        draft.set(Header::Type, "test").expect("room");
        draft
            .set(Header::Payload, "some text that is carried along")
            .expect("room");
        draft.set_timestamp(number as i64);
        draft
            .add_field("number", NewValue::Integer(number as i64), None)
            .expect("room");
        framing::encode_frame(table.get(0), None, 65_536, &mut out).expect("small");
    }
    out
}

fn by_frame() -> SplitBy {
    SplitBy {
        make: || {
            count_this_thread();
            Box::new(HekaFramingSplitter::new(
                SplitterOptions::default(),
                Arc::new(Keys::default()),
                false,
            ))
        },
        message_bytes: true,
    }
}

fn allocations(repeat: usize, bytes: &Arc<Vec<u8>>) -> u64 {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let replay = ReplayInput {
        replay: Replay {
            bytes: Arc::clone(bytes),
            piece: usize::MAX,
            repeat,
        },
        placement: Placement::OneShard,
    };
    let mut plan = Plan::new(1).input(
        replay,
        by_frame(),
        Some(Box::new(|| Box::new(FromProtobuf))),
    );
    for number in 0..10 {
        plan = plan.filter(
            Count::default(),
            &format!("Fields[number] == {number} || Payload =~ /{number}/"),
            0,
        );
    }
    for matcher in [
        "Payload =~ /t[a-z]+ is car+ied/",
        "Payload =~ /(?i)SOME [a-z]+ that/",
        "Severity < 4 || Hostname =~ /^a/",
        "Pid >= 0 && Pid < 9 && Fields[other] == NIL",
    ] {
        plan = plan.filter(Count::default(), matcher, 0);
    }
    let daemon = plan
        .filter(Count::default(), "Type == 'test'", 0)
        .output(Keep::default(), "Pid > 4", 0)
        .start();
    daemon.wait_until_idle();
    daemon.stop();
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

#[test]
fn four_times_the_messages_take_no_more_allocations() {
    let bytes = Arc::new(frames(5000));
    let once = allocations(10, &bytes);
    let more = allocations(40, &bytes);
    // 150,000 further messages in some 300 further reads. What asks for a snapshot allocates, how often depends on speed.
    assert!(
        more < once + 2000,
        "{once} allocations for 50,000 messages, {more} for 200,000"
    );
}
