//! Connections and other streams: which shard serves one, and its task there.
//!
//! Owns:    the placement of accepted connections, and of streams that an input has found.
//! Runs on: every shard.            Plane: data.
//! Bounds:  `limits::CONNECTIONS_IN_TRANSIT` of them on their way to one shard.
//! Never:   moves one that is being served, or lets one that panics end another.

use std::rc::Rc;
use std::sync::atomic::Ordering;

use super::Shard;
use super::containment::{Contained, Panicked};
use super::intake::InputContext;
use super::mesh::Frame;
use super::pulse::Running;
use crate::io::Accepted;
use crate::limits;
use crate::pack::{InputId, ShardId};

/// What is to be served.
#[derive(Debug)]
pub(crate) enum Source {
    /// A connection.
    Connection(Accepted),
    /// A stream that its input knows by this number.
    Stream(u64),
}

impl Source {
    fn frame(self, input: InputId) -> Frame {
        match self {
            Source::Connection(connection) => Frame::Connection { input, connection },
            Source::Stream(number) => Frame::Stream { input, number },
        }
    }
}

impl Shard {
    /// Serves a source here or on the least-loaded shard.
    pub(crate) fn place(&self, input: InputId, source: Source) {
        let loads = &self.topology.loads;
        let mine = self.id.0 as usize;
        let mut target = (0..loads.len())
            .min_by_key(|&shard| {
                (
                    loads[shard].connections.load(Ordering::Relaxed),
                    shard != mine,
                )
            })
            .unwrap_or(mine);
        if target != mine {
            // The bound keeps connections from taking the room in the ring that deliveries have credit for.
            let in_transit = loads[target].in_transit.fetch_add(1, Ordering::Relaxed);
            if in_transit as usize >= limits::CONNECTIONS_IN_TRANSIT {
                loads[target].in_transit.fetch_sub(1, Ordering::Relaxed);
                target = mine;
            }
        }
        loads[target].connections.fetch_add(1, Ordering::Relaxed);
        if target == mine {
            self.serve(input, source);
        } else {
            self.send_frame(ShardId(target as u16), source.frame(input));
        }
    }

    /// Serves a source that another shard has sent.
    pub(super) fn arrived(&self, input: InputId, source: Source) {
        self.topology.loads[self.id.0 as usize]
            .in_transit
            .fetch_sub(1, Ordering::Relaxed);
        self.serve(input, source);
    }

    /// Serves a source that could not be sent to its shard.
    pub(super) fn serve_instead_of(&self, target: ShardId, input: InputId, source: Source) {
        let loads = &self.topology.loads;
        let theirs = &loads[target.0 as usize];
        theirs.in_transit.fetch_sub(1, Ordering::Relaxed);
        theirs.connections.fetch_sub(1, Ordering::Relaxed);
        loads[self.id.0 as usize]
            .connections
            .fetch_add(1, Ordering::Relaxed);
        self.serve(input, source);
    }

    /// Starts the task of a source.
    fn serve(&self, input: InputId, source: Source) {
        let shard = self.me.upgrade().expect("the shard is running");
        crate::io::spawn(async move {
            let who = Running::Input(input);
            let context = InputContext::new(Rc::clone(&shard), input, None);
            let factory = &shard.topology.input(input).factory;
            let serve = || match source {
                Source::Connection(connection) => factory.serve(connection, context),
                Source::Stream(number) => factory.serve_stream(number, context),
            };
            let served = match shard.contain(who, serve) {
                Ok(serving) => Contained::new(&shard, who, serving).await,
                Err(panicked) => Err(panicked),
            };
            if let Err(panicked) = served {
                shard.connection_failed(input, &panicked);
            }
            shard.topology.loads[shard.id.0 as usize]
                .connections
                .fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// What serves a connection has panicked. It is closed; a peer must not be able to take more with it.
    pub(super) fn connection_failed(&self, input: InputId, panicked: &Panicked) {
        self.ledgers.borrow_mut()[input.0 as usize].stream_errors += 1;
        self.notice(&self.topology.input(input).name, || {
            format!("a connection or stream {panicked}; it is closed, the others go on")
        });
    }
}
