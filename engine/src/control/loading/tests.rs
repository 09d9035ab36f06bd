//! The thread that loads filters, against a shard that only answers.
//!
//! Owns:    the claims about what stands in which place after filters end, fail and are replaced.
//! Runs on: tests.            Plane: control.
//! Bounds:  one manager with one or two places.
//! Never:   depends on what comes first between two threads.

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use matcher::Capturing;

use super::*;
use crate::pack::ShardId;
use crate::plugin::options::{Duration as Seconds, Retries};
use crate::plugin::{Fault, FilterReader, InPlace, LastWork};
use crate::shard::claims::Claims;
use crate::shard::places::Vacancy;
use crate::shard::probe::Probe;
use crate::shard::run::Snapshot;
use crate::shard::topology::{Load, Place};

/// Reads sections whose text is the matcher.
struct Reader;

impl FilterReader for Reader {
    fn sections(&self, _file: &str, text: &str) -> Result<Vec<String>, String> {
        Ok(vec![text.to_owned()])
    }

    fn read(&self, wanted: &WantedFilter<'_>) -> Result<ReadFilter, String> {
        Ok(ReadFilter {
            loaded: LoadedFilter {
                name: wanted.name.to_owned(),
                type_name: "Test",
                factory: Arc::new(Vacancy),
                ticker_interval: None,
                retries: retries(),
                serial: 0,
            },
            matcher: wanted.text.to_owned(),
            signer: String::new(),
            warnings: String::new(),
        })
    }
}

fn retries() -> Retries {
    Retries {
        delay: Seconds::seconds(0),
        ..Retries::default()
    }
}

fn unit(place: Option<Place>) -> ConsumerUnit {
    ConsumerUnit {
        name: "manager".to_owned(),
        type_name: "Test",
        matcher: NOTHING.to_owned(),
        signer: String::new(),
        place,
        role: Role::Filter(Box::new(Vacancy)),
        ticker_interval: None,
        can_exit: true,
        queue: None,
        letters: None,
        retries: retries(),
        encoder_name: String::new(),
        home: ShardId(0),
    }
}

fn topology(places: usize) -> Arc<Topology> {
    let place = || Place {
        manager: ConsumerId(0),
        loaded: InPlace::default(),
        ended: AtomicU64::new(0),
    };
    let mut consumers = vec![unit(None)];
    consumers.extend((0..places).map(|_| unit(Some(place()))));
    let nothing: Vec<_> = consumers.iter().map(|_| wanted(NOTHING, "")).collect();
    let set = matcher::Set::build(&nothing).expect("valid expressions");
    Arc::new(Topology {
        inputs: Vec::new(),
        consumers,
        matchers: Arc::new(Matchers::new(set, &[])),
        codecs: Vec::new(),
        reader: Some(Arc::new(Reader)),
        message_bytes_max: 65_536,
        loops_max: 4,
        hostname: String::new(),
        pid: 1,
        shards: 1,
        loads: vec![Load::default()],
        claims: Claims::default(),
    })
}

/// What the shard was told, and what its filters leave to be done.
type Heard = Arc<Mutex<Vec<String>>>;

/// A loader, and the shard that it talks to.
fn start(topology: &Arc<Topology>) -> (Loader, Heard) {
    let (orders, told) = flume::bounded(8);
    let (news, _) = flume::bounded(8);
    let heard = Heard::default();
    let (own, own_heard) = (Arc::clone(topology), Arc::clone(&heard));
    std::thread::spawn(move || answer(&own, &told, &own_heard));
    (Loader::new(topology, vec![orders], news), heard)
}

fn answer(topology: &Topology, told: &flume::Receiver<ToShard>, heard: &Heard) {
    let mut matchers = Arc::clone(&topology.matchers);
    let (mut scratch, mut row) = (matchers.set().scratch(), matchers.set().row());
    let mut capturing = Capturing::default();
    let note = |what: String| heard.lock().expect("no panic").push(what);
    for order in told {
        match order {
            ToShard::Matchers(exchange) => {
                exchange.apply(&mut matchers, &mut scratch, &mut row, &mut capturing);
            }
            ToShard::Fill(place, loaded, reply) => {
                note(format!("fill {} {}", place.0, loaded.name));
                let _ = reply.send(Ok(()));
            }
            ToShard::Vacate(place, reply) => {
                note(format!("vacate {}", place.0));
                let heard = Arc::clone(heard);
                let last: LastWork = Box::new(move || {
                    let mut heard = heard.lock().expect("no panic");
                    heard.push("its state is written".to_owned());
                    Err(Fault::new("no disk"))
                });
                let _ = reply.send(Some(last));
            }
            ToShard::Snapshot(reply) => {
                let _ = reply.send(Snapshot {
                    shard: ShardId(0),
                    ledgers: Vec::new(),
                    consumers: vec![ConsumerCounters::default(); topology.consumers.len()],
                    disk_queues: Vec::new(),
                    disk_queues_idle: true,
                    queues: Vec::new(),
                    batches_in_use: 0,
                    injections_in_use: 0,
                    idle: true,
                    streams: 0,
                    streams_left: 0,
                    batches: 0,
                    plugins_running: 0,
                    inputs_running: 0,
                    of_inputs: Vec::new(),
                    of_consumers: vec![0; topology.consumers.len()],
                    probe: Probe::new(0, 0),
                });
            }
            ToShard::Say(by, said) => note(format!("say {} {}", by.0, said.payload)),
            other => panic!("unexpected {other:?}"),
        }
    }
}

fn load(loader: &Loader, name: &str, matcher: &str) -> Result<(), String> {
    loader.load(&WantedFilter {
        manager: "manager",
        type_name: "Test",
        name,
        file: "text",
        text: matcher,
        section: name,
        forced: &[],
    })
}

/// What the shard notes when what stands in a place ends by itself.
fn ends(topology: &Topology, place: u16) {
    let place = topology.consumer(ConsumerId(place)).place.as_ref();
    let place = place.expect("a place");
    let standing = place.loaded.get().expect("a filter");
    (place.ended).store(standing.loaded.serial, Ordering::Release);
}

#[test]
fn a_filter_that_ends_while_it_is_replaced_does_not_take_the_next_one_with_it() {
    let topology = topology(1);
    let (loader, _) = start(&topology);
    assert_eq!(load(&loader, "one", "TRUE"), Ok(()));
    ends(&topology, 1);
    // The order was there before the news of the end.
    assert_eq!(load(&loader, "one", "TRUE"), Ok(()));
    loader.sweep();
    assert_eq!(loader.loaded("manager"), ["one"]);
    ends(&topology, 1);
    loader.sweep();
    assert_eq!(loader.loaded("manager"), [""; 0]);
    assert_eq!(load(&loader, "two", "TRUE"), Ok(()));
    assert_eq!(loader.loaded("manager"), ["two"]);
}

#[test]
fn a_filter_whose_matcher_cannot_be_put_into_force_leaves_its_place() {
    let topology = topology(1);
    let (loader, heard) = start(&topology);
    let error = load(&loader, "one", "no matcher").expect_err("it cannot be compiled");
    assert!(!error.is_empty());
    assert_eq!(loader.loaded("manager"), [""; 0]);
    assert_eq!(load(&loader, "two", "TRUE"), Ok(()));
    let error = load(&loader, "two", "no matcher").expect_err("it cannot be compiled");
    assert!(error.contains("goes on as it was"), "{error}");
    assert_eq!(loader.loaded("manager"), ["two"]);
    let heard = heard.lock().expect("no panic");
    assert_eq!(heard[..2], ["fill 1 one", "vacate 1"]);
}

#[test]
fn what_a_filter_leaves_is_done_before_the_next_one_stands_there() {
    let topology = topology(2);
    let (loader, heard) = start(&topology);
    assert_eq!(load(&loader, "one", "TRUE"), Ok(()));
    assert_eq!(load(&loader, "one", "TRUE"), Ok(()));
    assert_eq!(loader.unload("manager", "one"), Ok(true));
    // Orders are taken in turn.
    assert_eq!(loader.under_way(ConsumerId(1)), Some(0));
    assert_eq!(
        *heard.lock().expect("no panic"),
        [
            "fill 1 one",
            "vacate 1",
            "its state is written",
            "say 0 one (type Test) terminated. Error: Filter unloaded.",
            "fill 1 one",
            "vacate 1",
            "its state is written",
            "say 0 one (type Test) terminated. Error: Filter unloaded.",
        ]
    );
}
