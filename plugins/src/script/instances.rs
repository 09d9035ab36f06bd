//! Machines that several streams of one shard share.
//!
//! Owns:    the machines of this thread that are shared, while anybody has them.
//! Runs on: every shard, each with its own.            Plane: data.
//! Bounds:  one machine for each script and shard.
//! Never:   keeps a machine alive by itself.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use super::Script;

thread_local! {
    /// By script: what its streams on this shard share.
    static SHARED: RefCell<Vec<(usize, Weak<dyn std::any::Any>)>> = const { RefCell::new(Vec::new()) };
}

/// What the streams of this shard share of a script: what is there, or what `make` makes.
pub(crate) fn shared<T: 'static>(script: &Arc<Script>, make: impl FnOnce() -> T) -> Rc<T> {
    // It holds the script, so the address is its own for as long as it lives.
    let key = Arc::as_ptr(script) as usize;
    let known = SHARED.with_borrow_mut(|shared| {
        shared.retain(|(_, machine)| machine.strong_count() > 0);
        let mut known = shared.iter().filter(|(known, _)| *known == key);
        known.find_map(|(_, machine)| machine.upgrade()?.downcast::<T>().ok())
    });
    known.unwrap_or_else(|| {
        let made = Rc::new(make());
        let any: Rc<dyn std::any::Any> = Rc::clone(&made) as _;
        SHARED.with_borrow_mut(|shared| shared.push((key, Rc::downgrade(&any))));
        made
    })
}
