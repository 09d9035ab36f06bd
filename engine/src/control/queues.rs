//! Opening disk queues and dead letters: before anything runs, and all of them or none.
//!
//! Owns:    the way from the plan's queues to the parts that shards work with.
//! Runs on: the main thread, at start.            Plane: control.
//! Bounds:  one queue a consumer, and one for its dead letters.
//! Never:   goes on without a queue that the plan has: its messages would not be safe.

use std::path::Path;
use std::sync::atomic::Ordering;

use crate::io::disk::SystemDisk;
use crate::pack::{ConsumerId, ShardId};
use crate::plugin::options::Buffering;
use crate::queue::{OpenLane, Queue, QueueError, Settings};
use crate::shard::run::{Purpose, QueueEnds};
use crate::shard::topology::{ConsumerUnit, QueueSize, Topology};
use crate::words::{agrees, counted};

/// What the shards are started with, and what an operator should hear.
#[derive(Debug, Default)]
pub struct Opened {
    /// By shard.
    pub ends: Vec<Vec<QueueEnds>>,
    /// Plugin and sentence.
    pub notices: Vec<(String, String)>,
    /// Plugin and error.
    pub errors: Vec<(String, QueueError)>,
}

/// Opens every queue of the plan. All that fail are told of at once.
pub fn open(topology: &Topology) -> Opened {
    let mut opened = Opened {
        ends: (0..topology.shards).map(|_| Vec::new()).collect(),
        ..Opened::default()
    };
    for (index, unit) in topology.consumers.iter().enumerate() {
        let consumer = ConsumerId(index as u16);
        if let Some(queue) = &unit.queue {
            let bytes_max = queue.segment_bytes_max;
            if let Some(found) = opened.one(topology, unit, &queue.folder, bytes_max) {
                if found.recovery.total.pending_records > 0 {
                    let (count, folder) =
                        (found.recovery.total.pending_records, queue.folder.display());
                    opened.notices.push((
                        unit.name.clone(),
                        format!(
                            "{} {} in its disk queue {folder} and {} delivered first",
                            counted(count, "message"),
                            agrees(count, "waits", "wait"),
                            agrees(count, "is", "are")
                        ),
                    ));
                }
                let lanes = hand_out(found.lanes, &queue.size, |shard, lane| {
                    opened.ends[shard].push(QueueEnds {
                        consumer,
                        lane,
                        purpose: Purpose::Queue(Vec::new()),
                    });
                });
                if let Some(home) = opened.ends[usize::from(unit.home.0)].last_mut() {
                    home.purpose = Purpose::Queue(lanes);
                }
            }
        }
        if let Some(letters) = &unit.letters {
            let bytes_max = Buffering::default().max_file_size;
            if let Some(found) = opened.one(topology, unit, &letters.folder, bytes_max) {
                hand_out(found.lanes, &letters.size, |shard, lane| {
                    opened.ends[shard].push(QueueEnds {
                        consumer,
                        lane,
                        purpose: Purpose::DeadLetters,
                    });
                });
            }
        }
    }
    opened
}

impl Opened {
    fn one(
        &mut self,
        topology: &Topology,
        unit: &ConsumerUnit,
        folder: &Path,
        max_file_size: u64,
    ) -> Option<Queue> {
        let settings = Settings {
            owner: unit.name.clone(),
            lanes: topology.shards,
            max_file_size,
            message_bytes_max: topology.message_bytes_max,
        };
        match Queue::open(SystemDisk::default(), folder, &settings) {
            Ok(queue) => {
                let said = queue.recovery.notices.iter();
                self.notices
                    .extend(said.map(|text| (unit.name.clone(), text.clone())));
                Some(queue)
            }
            Err(error) => {
                self.errors.push((unit.name.clone(), error));
                None
            }
        }
    }
}

/// Each shard gets the lane that it writes to; what is left is to be read.
fn hand_out(
    mut lanes: Vec<OpenLane>,
    size: &QueueSize,
    mut to: impl FnMut(usize, crate::queue::Lane),
) -> Vec<OpenLane> {
    // What opening has removed was counted before.
    let removed = lanes.iter().map(|lane| lane.cursor.bytes_removed()).sum();
    size.removed.store(removed, Ordering::Release);
    for lane in &mut lanes {
        let shard = usize::from(lane.number);
        match lane.writer.take() {
            Some(writer) => {
                size.took(ShardId(lane.number), writer.bytes_taken());
                to(shard, writer);
            }
            None => {
                if let Some(rest) = size.taken.last() {
                    rest.fetch_add(lane.recovery.bytes, Ordering::Release);
                }
            }
        }
    }
    lanes
}
