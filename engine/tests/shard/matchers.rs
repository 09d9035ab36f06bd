//! Matchers at work on real shards: exchanged while messages flow, and asked for what they captured.
//!
//! Owns:    the claims about exchanges and captures.
//! Runs on: tests.            Plane: both.
//! Bounds:  one daemon a test.
//! Never:   uses a socket.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use engine::plugin::{Fault, Filter, FilterContext, FilterFactory, Placement, Selection};
use engine::shard::run::ToShard;
use engine::shard::topology::Role;

use crate::delivery::{by_line, lines, replay};
use crate::harness::{Count, Plan, Replay, ReplayInput};

#[test]
fn matchers_are_exchanged_while_messages_flow() {
    let (before, after) = (Count::default(), Count::default());
    let endless = ReplayInput {
        replay: Replay {
            bytes: Arc::new(lines(1000)),
            piece: 10_000,
            repeat: usize::MAX,
        },
        placement: Placement::OneShard,
    };
    let plan = Plan::new(2)
        .input(endless, by_line(), None)
        .filter(before.clone(), "Payload =~ /l[a-z]+e/", 0)
        .filter(after.clone(), "FALSE", 1);
    let daemon = plan.start();
    daemon.wait_for("messages", |_| before.seen.load(Ordering::Relaxed) > 0);
    daemon.exchange(&["FALSE", "Payload =~ /l[a-z]+e/ || Type == 'x'"]);
    daemon.wait_for("messages elsewhere", |_| {
        after.seen.load(Ordering::Relaxed) > 0
    });
    daemon.tell(|| ToShard::StopInputs);
    daemon.wait_until_idle();
    let ledger = daemon.ledger(0);
    daemon.stop();
    let seen = before.seen.load(Ordering::Relaxed) + after.seen.load(Ordering::Relaxed);
    assert_eq!((ledger.unmatched, ledger.dropped.total()), (0, 0));
    assert_eq!((ledger.received, ledger.delivered), (seen, seen));
}

/// A filter that keeps what its matcher captured.
#[derive(Clone, Default)]
struct Captor(Arc<Mutex<Vec<String>>>);

impl FilterFactory for Captor {
    fn make(&self) -> Box<dyn Filter> {
        Box::new(self.clone())
    }
}

impl Filter for Captor {
    fn process(
        &mut self,
        messages: Selection<'_>,
        context: &mut dyn FilterContext,
    ) -> Result<(), Fault> {
        for message in messages.iter() {
            context.captures(message, &mut |name, text| {
                let text = String::from_utf8_lossy(text);
                self.0
                    .lock()
                    .expect("no panic")
                    .push(format!("{name}={text}"));
            });
        }
        Ok(())
    }
}

#[test]
fn a_filter_gets_what_its_matcher_captured() {
    let captor = Captor::default();
    let role = Role::Filter(Box::new(captor.clone()));
    let plan = Plan::new(2)
        .input(replay(lines(30), usize::MAX), by_line(), None)
        .consumer(role, r"Payload =~ /(?P<word>\w+) (?P<number>\d7)/", 1);
    let daemon = plan.start();
    daemon.wait_until_idle();
    daemon.stop();
    let kept = captor.0.lock().expect("no panic").clone();
    assert_eq!(kept, ["word=line", "number=17", "word=line", "number=27"]);
}
