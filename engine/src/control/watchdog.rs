//! Finds shards that stand still: a thread that looks at their signs of life and depends on none of them.
//!
//! Owns:    `Watchdog`, its thread, how long each shard has stood still.
//! Runs on: a thread of its own.            Plane: control.
//! Bounds:  `LOOKS` looks in the time that a shard may stand still.
//! Never:   takes a pause of the whole process (a stopped container, a sleeping host) for one of a shard: it counts its own looks, not time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::pack::ShardId;
use crate::shard::pulse::{Pulse, Running};
use crate::shard::run::ToControl;
use crate::shard::topology::Topology;

/// Looks in the time that a shard may stand still.
const LOOKS: u32 = 30;

/// The thread at work; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Watchdog {
    _until: flume::Sender<()>,
}

impl Watchdog {
    /// Watches all shards from now on. One that stands still for `stall` is told of, once.
    pub(super) fn start(
        topology: Arc<Topology>,
        stall: Duration,
        news: flume::Sender<ToControl>,
    ) -> io::Result<Watchdog> {
        let (until, ended) = flume::bounded(1);
        std::thread::Builder::new()
            .name("watchdog".into())
            .spawn(move || {
                let mut watch = Watch::new(topology.loads.len());
                while let Err(flume::RecvTimeoutError::Timeout) = ended.recv_timeout(stall / LOOKS)
                {
                    for (index, load) in topology.loads.iter().enumerate() {
                        if let Some(running) = watch.look(index, &load.pulse) {
                            let shard = ShardId(index as u16);
                            // There is room: a shard is told of once.
                            let _ = news.send(ToControl::Stalled { shard, running });
                        }
                    }
                }
            })?;
        Ok(Watchdog { _until: until })
    }
}

/// What was seen of each shard.
struct Watch(Vec<Seen>);

#[derive(Clone, Copy, Default)]
struct Seen {
    beats: u64,
    /// Looks at which nothing had changed.
    still: u32,
}

impl Watch {
    fn new(shards: usize) -> Watch {
        Watch(vec![Seen::default(); shards])
    }

    /// Looks at a shard; answers what it runs if it has just been found to stand still.
    fn look(&mut self, shard: usize, pulse: &Pulse) -> Option<Running> {
        let seen = &mut self.0[shard];
        let beats = pulse.beats();
        if beats != seen.beats {
            *seen = Seen { beats, still: 0 };
            return None;
        }
        seen.still = seen.still.saturating_add(1);
        (seen.still == LOOKS).then(|| pulse.running())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_that_stands_still_is_found_once_and_one_that_moves_never() {
        let (still, moving) = (Pulse::default(), Pulse::default());
        let mut watch = Watch::new(2);
        let mut found = Vec::new();
        for look in 0..LOOKS * 3 {
            if look % (LOOKS - 1) == 0 {
                moving.beat();
            }
            found.extend(watch.look(0, &still).map(|running| (look, running)));
            assert_eq!(watch.look(1, &moving), None);
        }
        assert_eq!(found, [(LOOKS - 1, Running::Engine)]);
    }
}
