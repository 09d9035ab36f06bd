//! What the machines of one script have counted, where reports can see it.
//!
//! Owns:    `Counted`, a slot for each machine.
//! Runs on: slots are written where their machine runs, and read by the control plane.            Plane: data.
//! Bounds:  as many slots as machines have run at a time; one writer each.
//! Never:   orders anything: a reader may see a store late.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use engine::plugin::Figure;
use sandbox::{Figures, Kind, Stopper};

/// Numbers that a machine tells, in the order of `values`.
const NUMBERS: usize = 11;

/// What one machine shows.
pub(crate) struct Slot {
    number: usize,
    is_taken: AtomicBool,
    values: [AtomicU64; NUMBERS],
    /// What machines before have counted; those of the present one start at zero.
    before: [AtomicU64; NUMBERS],
    stopper: Mutex<Option<Stopper>>,
}

fn values(figures: &Figures) -> [u64; NUMBERS] {
    [
        figures.memory,
        figures.max_memory,
        figures.max_instructions,
        figures.max_output,
        figures.process_message_count,
        figures.process_message_failures,
        figures.process_message_samples,
        figures.process_message_duration,
        figures.inject_message_count,
        figures.timer_event_samples,
        figures.timer_event_duration,
    ]
}

impl Slot {
    fn new(number: usize) -> Slot {
        Slot {
            number,
            is_taken: AtomicBool::new(true),
            values: Default::default(),
            before: Default::default(),
            stopper: Mutex::new(None),
        }
    }

    /// Number of the machine among those that run at the same time.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// A machine runs.
    pub(super) fn begin(&self, stopper: Stopper) {
        *lock(&self.stopper) = Some(stopper);
    }

    /// Shows what the machine has counted.
    #[inline]
    pub(super) fn set(&self, figures: &Figures) {
        for (shown, value) in self.values.iter().zip(values(figures)) {
            shown.store(value, Ordering::Relaxed);
        }
    }

    /// The machine is gone. What it has counted stays.
    pub(super) fn end(&self) {
        *lock(&self.stopper) = None;
        for (at, value) in self.values.iter().enumerate() {
            let value = value.swap(0, Ordering::Relaxed);
            let before = self.before[at].load(Ordering::Relaxed);
            self.before[at].store(joined(at, before, value), Ordering::Relaxed);
        }
        self.is_taken.store(false, Ordering::Release);
    }
}

/// What two machines, one after the other, have counted together. Memory in use ends with a machine.
fn joined(at: usize, before: u64, now: u64) -> u64 {
    match at {
        0 => 0,
        1..=3 => before.max(now),
        _ => before + now,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Slots of all machines of one script.
#[derive(Default)]
pub(super) struct Counted {
    slots: Mutex<Vec<Arc<Slot>>>,
    /// Machines whose state could not be preserved.
    unpreserved: AtomicU64,
}

impl Counted {
    /// The slot with the lowest number that no machine has.
    pub(super) fn claim(&self) -> Arc<Slot> {
        let mut slots = lock(&self.slots);
        for slot in slots.iter() {
            if !slot.is_taken.swap(true, Ordering::Acquire) {
                return Arc::clone(slot);
            }
        }
        let slot = Arc::new(Slot::new(slots.len()));
        slots.push(Arc::clone(&slot));
        slot
    }

    /// The state of a machine could not be preserved.
    pub(super) fn unpreserved(&self) {
        self.unpreserved.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends what machines are running now.
    pub(super) fn abort(&self) {
        for slot in lock(&self.slots).iter() {
            if let Some(stopper) = &*lock(&slot.stopper) {
                stopper.stop();
            }
        }
    }

    /// Tells all figures under Heka's names.
    ///
    /// The engine counts the messages of inputs, filters and outputs, and what a filter injects.
    pub(super) fn tell(&self, kind: Kind, profile: bool, tell: &mut dyn FnMut(Figure)) {
        let is_codec = matches!(kind, Kind::Decoder | Kind::Encoder);
        let is_input = matches!(kind, Kind::Input);
        let mut sums = [0_u64; NUMBERS];
        for slot in lock(&self.slots).iter() {
            for (at, sum) in sums.iter_mut().enumerate() {
                let now = slot.values[at].load(Ordering::Relaxed);
                let before = slot.before[at].load(Ordering::Relaxed);
                *sum = match at {
                    1..=3 => (*sum).max(before).max(now),
                    _ => *sum + before + now,
                };
            }
        }
        let mean = |total: u64, samples: u64| total.checked_div(samples).unwrap_or(0);
        let mut one = |name, value, unit| tell(Figure { name, value, unit });
        let [
            memory,
            max_memory,
            max_instructions,
            max_output,
            count,
            failures,
            samples,
            duration,
            injected,
            ticks,
            tick_duration,
        ] = sums;
        one("Memory", memory, "B");
        one("MaxMemory", max_memory, "B");
        one("MaxInstructions", max_instructions, "count");
        one("MaxOutput", max_output, "B");
        if is_codec {
            one("ProcessMessageCount", count, "count");
        }
        if is_codec || is_input {
            one("InjectMessageCount", injected, "count");
        }
        one("ProcessMessageFailures", failures, "count");
        one("ProcessMessageSamples", samples, "count");
        if is_codec || is_input {
            one("ProcessMessageAvgDuration", mean(duration, samples), "ns");
        }
        let unpreserved = self.unpreserved.load(Ordering::Relaxed);
        if unpreserved > 0 {
            one("PreservationFailures", unpreserved, "count");
        }
        if profile {
            one("ProfileMessageSamples", samples, "count");
            one("ProfileMessageAvgDuration", mean(duration, samples), "ns");
        }
        if ticks > 0 {
            one("TimerEventSamples", ticks, "count");
            one("TimerEventAvgDuration", mean(tick_duration, ticks), "ns");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_told_twice_beside_what_the_engine_counts() {
        let counted = Counted::default();
        let names = |kind| {
            let mut names = Vec::new();
            counted.tell(kind, false, &mut |figure| names.push(figure.name));
            names
        };
        assert!(names(Kind::Decoder).contains(&"ProcessMessageCount"));
        assert!(names(Kind::Input).contains(&"InjectMessageCount"));
        for kind in [Kind::Input, Kind::Filter, Kind::Output] {
            assert!(!names(kind).contains(&"ProcessMessageCount"), "{kind:?}");
        }
        assert!(!names(Kind::Filter).contains(&"InjectMessageCount"));
    }
}
