//! Opening disk queues: before anything runs, and all of them or none.
//!
//! Owns:    the way from the plan's queues to the parts that shards work with.
//! Runs on: the main thread, at start.            Plane: control.
//! Bounds:  one queue a consumer.
//! Never:   goes on without a queue that the plan has: its messages would not be safe.

use std::sync::atomic::Ordering;

use crate::io::clock;
use crate::io::disk::SystemDisk;
use crate::pack::ConsumerId;
use crate::queue::{Queue, QueueError, Recovery, Settings};
use crate::shard::run::QueueEnds;
use crate::shard::topology::{QueueUnit, Topology};

/// What the shards are started with, by shard, and what an operator should hear.
#[derive(Debug, Default)]
pub(super) struct Opened {
    pub(super) ends: Vec<Vec<QueueEnds>>,
    /// Plugin and sentence.
    pub(super) notices: Vec<(String, String)>,
}

/// Opens every queue of the plan. All that fail are told of at once, by plugin.
pub(super) fn open(topology: &Topology) -> Result<Opened, Vec<(String, QueueError)>> {
    let shards = usize::from(topology.shards);
    let mut opened = Opened {
        ends: (0..shards).map(|_| Vec::new()).collect(),
        notices: Vec::new(),
    };
    let mut errors = Vec::new();
    for (index, unit) in topology.consumers.iter().enumerate() {
        let Some(queue_unit) = &unit.queue else {
            continue;
        };
        let settings = Settings {
            owner: unit.name.clone(),
            lanes: topology.shards,
            max_file_size: queue_unit.segment_bytes_max,
            message_bytes_max: topology.message_bytes_max,
        };
        match Queue::open(
            SystemDisk::default(),
            &queue_unit.folder,
            &settings,
            clock::wall(),
        ) {
            Ok(queue) => {
                let said = sentences(&queue.recovery, queue_unit);
                let said = said.into_iter().map(|text| (unit.name.clone(), text));
                opened.notices.extend(said);
                hand_out(queue, ConsumerId(index as u16), topology, &mut opened.ends);
            }
            Err(error) => errors.push((unit.name.clone(), error)),
        }
    }
    if errors.is_empty() {
        Ok(opened)
    } else {
        Err(errors)
    }
}

/// Each shard gets the lane that it writes to, the consumer's home all of them to read.
fn hand_out(
    mut queue: Queue,
    consumer: ConsumerId,
    topology: &Topology,
    ends: &mut [Vec<QueueEnds>],
) {
    let unit = topology.consumer(consumer);
    let size = &unit.queue.as_ref().expect("it was opened").size;
    for lane in &mut queue.lanes {
        let Some(writer) = lane.writer.take() else {
            if let Some(rest) = size.taken.last() {
                rest.fetch_add(lane.recovery.bytes, Ordering::Release);
            }
            continue;
        };
        let shard = usize::from(lane.number);
        size.taken[shard].store(writer.bytes_taken(), Ordering::Release);
        ends[shard].push(QueueEnds {
            consumer,
            lane: writer,
            lanes: Vec::new(),
        });
    }
    if let Some(home) = ends[usize::from(unit.home.0)].last_mut() {
        home.lanes = queue.lanes;
    }
}

fn sentences(recovery: &Recovery, unit: &QueueUnit) -> Vec<String> {
    let mut said = recovery.notices.clone();
    if recovery.total.pending_records > 0 {
        said.push(format!(
            "{} messages wait in its disk queue {} and are delivered first",
            recovery.total.pending_records,
            unit.folder.display()
        ));
    }
    said
}
