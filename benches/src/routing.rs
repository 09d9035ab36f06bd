//! The router of a shard: batches from received bytes to lists of messages for each consumer.
//!
//! Owns:    a plan, one router, and one batch that is filled again and again.
//! Runs on: the calling thread; no shard is started.            Plane: data.
//! Bounds:  batches of 64 KiB.
//! Never:   opens what the plan names.

use std::fmt::Write;
use std::sync::Arc;

use codecs::field::Span;
use engine::control::config::{Document, Surroundings};
use engine::control::placement;
use engine::control::plan::Plan;
use engine::limits;
use engine::pack::pool::Pool;
use engine::pack::{PoolKind, ShardId};
use engine::shard::router::Router;

use crate::matching::expressions;
use crate::measure::{Digest, Pass, Size};
use crate::messages;

const BATCH_BYTES: usize = 64 * 1024;
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// The plan of a configuration.
pub(crate) fn plan(text: &str) -> Plan {
    let surroundings = Surroundings {
        variable: Box::new(|_| None),
        hostname: "bench".to_owned(),
    };
    let texts = vec![("bench.toml".to_owned(), text.to_owned())];
    Document::parse(texts, &surroundings)
        .and_then(|document| Plan::build(&document, plugins::ALL))
        .unwrap_or_else(|problems| panic!("{}", problems.render(false)))
}

pub(crate) fn ten(size: Size) -> Box<dyn FnMut() -> Pass> {
    let mut text = String::new();
    for (number, expression) in expressions(10).iter().enumerate() {
        let _ = writeln!(
            text,
            "[counter_{number}]\ntype = 'CounterFilter'\nmessage_matcher = \"{expression}\""
        );
    }
    let topology = placement::topology(plan(&text), 1, "bench".to_owned()).expect("one shard");
    let mut router = Router::new(&topology);
    let mut pool = Pool::new(
        1,
        limits::batch_limits(MESSAGE_BYTES_MAX),
        ShardId(0),
        PoolKind::Received,
    );
    let records = messages::encoded(size.items(), 256);
    Box::new(move || {
        let mut digest = Digest::default();
        let mut rest = &records[..];
        while !rest.is_empty() {
            let mut batch = pool.take().expect("it was given back");
            let owned = Arc::get_mut(&mut batch).expect("nobody else has it");
            let (mut at, mut count) = (0, 0);
            while let Some(record) = rest.get(count)
                && at + record.len() <= BATCH_BYTES
            {
                let end = at + record.len();
                owned.table.received_mut()[at..end].copy_from_slice(record);
                let mut draft = owned.table.begin().expect("room for a batch");
                draft
                    .index_protobuf(Span::new(at, end))
                    .expect("a whole message");
                at = end;
                count += 1;
            }
            let routed = router.route(owned);
            digest.add(routed.matched.into());
            for delivery in 0..owned.deliveries().len() {
                let picks = owned.picks(delivery);
                digest.add(picks.len() as u64);
                digest.add(picks.last().copied().unwrap_or(0).into());
            }
            pool.give_back(batch);
            rest = &rest[count..];
        }
        Pass {
            items: records.len() as u64,
            bytes: records.iter().map(|record| record.len() as u64).sum(),
            digest: digest.value(),
        }
    })
}
