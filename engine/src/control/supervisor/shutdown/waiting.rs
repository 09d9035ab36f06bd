//! Whom a phase of the shutdown waited for in vain.
//!
//! Owns:    the words.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  `NAMED_MAX` plugins a phase.
//! Never:   asks a shard: it goes by what was told last.

use super::super::Running;
use crate::control::report::Report;
use crate::shard::run::Snapshot;
use crate::shard::topology::{Role, Topology};
use crate::words::counted;

/// Plugins that are named.
const NAMED_MAX: usize = 10;

/// What is to stand behind "did not finish": the plugins, what they have, and their peers where these are known.
pub(super) fn missing(
    phase: &str,
    shards: &[Running],
    report: &Report,
    topology: &Topology,
) -> String {
    let told = shards.iter().filter(|shard| !shard.lost);
    let told: Vec<&Snapshot> = told.filter_map(|shard| shard.known.as_ref()).collect();
    let sum = |of: fn(&Snapshot) -> &[u32], index: usize| -> u32 {
        told.iter().map(|snapshot| of(snapshot)[index]).sum()
    };
    let mut named = Vec::new();
    for (index, unit) in topology.inputs.iter().enumerate() {
        let (running, streams) = (sum(|it| &it.of_inputs, index), report.streams_of(index));
        if phase != "deliveries" && (running > 0 || streams > 0 && phase == "inputs") {
            let streams = match streams {
                0 => String::new(),
                streams => format!(" ({})", counted(streams, "open stream")),
            };
            named.push(format!("Plugin '{}'{streams}", unit.name));
        }
    }
    for (index, unit) in topology.consumers.iter().enumerate() {
        let messages = report.waiting_for(index, topology);
        let is_waited_for = match phase {
            "outputs" => sum(|it| &it.of_consumers, index) > 0,
            _ => messages > 0,
        };
        if is_waited_for {
            let peer = match &unit.role {
                Role::Output { factory, .. } => factory.peer(),
                Role::Filter(_) => None,
            };
            let peer = peer.map_or(String::new(), |peer| format!(" for {peer}"));
            let has = match messages {
                0 if peer.is_empty() => String::new(),
                _ => format!(" ({}{peer})", counted(messages, "message")),
            };
            named.push(format!("Plugin '{}'{has}", unit.name));
        }
    }
    if named.is_empty() {
        return String::new();
    }
    let more = named.len().saturating_sub(NAMED_MAX);
    named.truncate(NAMED_MAX);
    let others = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("; waited for {}{others}", named.join(", "))
}
