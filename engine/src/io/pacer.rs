//! The heartbeat of a shard: a thread that wakes its executor at a steady pace.
//!
//! Owns:    one thread a shard, which does nothing but wake.
//! Runs on: a thread of its own; the future that it wakes, on the shard.            Plane: data.
//! Bounds:  one wake-up a period; the thread ends with the shard.
//! Never:   touches a message.
//!
//! Why a thread and not a timer of the executor: `docs/adr/0003-executor-heartbeat.md`.

use std::future::{Future, poll_fn};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::remember;

/// What the thread and the future share.
#[derive(Debug, Default)]
struct Beat {
    waker: Mutex<Option<Waker>>,
    ended: AtomicBool,
}

/// Says that the shard has ended.
struct End(Arc<Beat>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Release);
    }
}

/// Starts the thread. The future is to run on the shard; it never ends, and it is woken once a `period` whatever else happens.
pub(super) fn start(period: Duration) -> io::Result<impl Future<Output = ()>> {
    let beat = Arc::new(Beat::default());
    let end = End(Arc::clone(&beat));
    std::thread::Builder::new()
        .name("pacer".into())
        .spawn(move || pace(&beat, period))?;
    Ok(async move {
        poll_fn(|cx| {
            let mut waker = end.0.waker.lock().unwrap_or_else(PoisonError::into_inner);
            remember(&mut waker, cx);
            Poll::Pending
        })
        .await
    })
}

fn pace(beat: &Beat, period: Duration) {
    while !beat.ended.load(Ordering::Acquire) {
        std::thread::sleep(period);
        let waker = beat.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waker) = &*waker {
            waker.wake_by_ref();
        }
    }
}
