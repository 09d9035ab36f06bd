//! Remembering the task that waits for something.
//!
//! Owns:    the rule that a waker is cloned only when another task waits than before.
//! Runs on: every shard.            Plane: data.
//! Bounds:  one task a place.
//! Never:   wakes anybody.

use std::task::{Context, Waker};

/// Remembers the task at hand as the one to wake.
#[inline]
pub fn remember(place: &mut Option<Waker>, cx: &Context<'_>) {
    match place {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *place = Some(cx.waker().clone()),
    }
}
