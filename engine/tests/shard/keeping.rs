//! Filters that make more messages than are taken.
//!
//! Owns:    the claims about filters that wait for injection credit, and about what they keep meanwhile.
//! Runs on: tests.            Plane: data.
//! Bounds:  one daemon a test.
//! Never:   uses a socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use codecs::message::Header;
use engine::event::DropCause;
use engine::limits;
use engine::plugin::{Fault, Filter, FilterContext, FilterFactory, Refusal, Selection};
use engine::shard::topology::Role;

use crate::delivery::{by_line, lines, replay};
use crate::harness::{Keep, Plan};

/// A filter that injects until nothing more is taken, and wants nothing when it may go on.
#[derive(Clone, Default)]
struct Greedy {
    waiting: Arc<AtomicU64>,
    resumed: Arc<AtomicBool>,
}

impl FilterFactory for Greedy {
    fn make(&self) -> Box<dyn Filter> {
        Box::new(self.clone())
    }
}

impl Filter for Greedy {
    fn process(&mut self, _: Selection<'_>, context: &mut dyn FilterContext) -> Result<(), Fault> {
        let mut made = Ok(());
        while made.is_ok() {
            made = context.inject_as(0, &mut |draft| draft.set(Header::Type, "made"));
        }
        assert_eq!(made, Err(Refusal::NoCredit));
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn resume(&mut self, _: &mut dyn FilterContext) -> Result<(), Fault> {
        self.resumed.store(true, Ordering::Relaxed);
        Ok(())
    }
}

#[test]
fn credit_that_a_filter_has_no_use_for_goes_to_the_next_one() {
    let keep = Keep::default();
    keep.closed.store(true, Ordering::Relaxed);
    let waiting = Arc::new(AtomicU64::new(0));
    // More of them than batches that can come back.
    let filters: Vec<Greedy> = (0..limits::INJECTION_BATCHES + 3)
        .map(|_| Greedy {
            waiting: Arc::clone(&waiting),
            resumed: Arc::default(),
        })
        .collect();
    let mut plan = Plan::new(1).input(replay(lines(1), 100), by_line(), None);
    for filter in &filters {
        let role = Role::Filter(Box::new(filter.clone()));
        plan = plan.consumer(role, "Payload =~ /line/", 0);
    }
    let daemon = plan.output(keep.clone(), "Type == 'made'", 0).start();
    daemon.wait_for("want of credit", |_| {
        waiting.load(Ordering::Relaxed) == filters.len() as u64
    });
    keep.closed.store(false, Ordering::Release);
    daemon.wait_for("credit for all", |_| {
        filters.iter().all(|it| it.resumed.load(Ordering::Relaxed))
    });
    daemon.stop();
}

/// A filter that keeps what it makes, and fails at its second call.
#[derive(Clone, Default)]
struct Keeps {
    kept: usize,
}

impl FilterFactory for Keeps {
    fn make(&self) -> Box<dyn Filter> {
        Box::new(self.clone())
    }
}

impl Filter for Keeps {
    fn process(&mut self, messages: Selection<'_>, _: &mut dyn FilterContext) -> Result<(), Fault> {
        self.kept += messages.len();
        match self.kept {
            1..=10 => Ok(()),
            _ => Err(Fault::for_good("it has enough")),
        }
    }

    fn kept(&self) -> usize {
        self.kept
    }
}

#[test]
fn what_a_filter_keeps_when_it_ends_is_counted_as_lost() {
    for (count, dropped) in [(3, 3), (20, 20)] {
        let plan = Plan::new(1)
            .input(replay(lines(count), 1000), by_line(), None)
            .consumer(Role::Filter(Box::new(Keeps::default())), "TRUE", 0);
        let daemon = plan.start();
        daemon.wait_for("messages", |snapshots| {
            let all = snapshots.iter().map(|it| it.ledgers[0].received);
            all.sum::<u64>() == count as u64
        });
        let snapshots = daemon.stop();
        let ledger = &snapshots[0].ledgers[1];
        assert_eq!(ledger.dropped.get(DropCause::NoCredit), dropped);
        assert_eq!(ledger.received, dropped + u64::from(count > 10));
    }
}
