//! From a plan to what the shards share: who lives where, on which cores.
//!
//! Owns:    the choice of cores and homes.
//! Runs on: the main thread, at start.            Plane: control.
//! Bounds:  `limits::SHARDS_MAX` shards, `limits::CONSUMERS_MAX` consumers.
//! Never:   opens anything.
//!
//! Homes are given out in the order of the configuration: inputs from the first shard on, consumers likewise, so that neighbours in the file
//! share the work. One shard means that everything lives on it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;

use super::plan::{self, ConsumerPlan, DecoderPlan, InputPlan, Plan};
use crate::limits;
use crate::pack::{ConsumerId, ShardId};
use crate::plugin::options::{Buffering, HekadOptions};
use crate::plugin::{InPlace, Kind};
use crate::queue;
use crate::shard::claims::Claims;
use crate::shard::matchers::Matchers;
use crate::shard::places::Vacancy;
use crate::shard::topology::{
    CodecUnit, ConsumerUnit, InputUnit, LettersUnit, Load, Place, QueueSize, QueueUnit, Role,
    Topology,
};

/// Folder of all disk queues below `base_dir`, as in Heka.
const QUEUES: &str = "output_queue";

/// Folder of all dead letters below `base_dir`.
const DEAD_LETTERS: &str = "dead_letters";

/// Why a plan cannot be run here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlacementError {
    /// More shards are asked for than the process may use cores.
    TooFewCores {
        /// `[hekad] shards`.
        asked: usize,
        /// Cores that the process may run on.
        allowed: usize,
    },
    /// More filters and outputs than a shard can number.
    TooManyConsumers(usize),
}

impl std::fmt::Display for PlacementError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PlacementError::TooFewCores { asked, allowed } => write!(
                f,
                "[hekad] shards = {asked}, but this process may run on {allowed} core(s): lower it, or leave it at 0 for all of them"
            ),
            PlacementError::TooManyConsumers(count) => write!(
                f,
                "{count} filters and outputs: at most {} are possible",
                limits::CONSUMERS_MAX
            ),
        }
    }
}

impl std::error::Error for PlacementError {}

/// The cores for `shards` shards: the first ones that the process may run on, all of them for 0.
pub fn cores(shards: u32) -> Result<Vec<usize>, PlacementError> {
    let allowed: Vec<usize> = match sched_getaffinity(Pid::from_raw(0)) {
        Ok(set) => (0..CpuSet::count())
            .filter(|&core| set.is_set(core).unwrap_or(false))
            .collect(),
        Err(_) => (0..std::thread::available_parallelism().map_or(1, usize::from)).collect(),
    };
    let wanted = match shards as usize {
        0 => allowed.len().min(limits::SHARDS_MAX),
        asked if asked > allowed.len().min(limits::SHARDS_MAX) => {
            return Err(PlacementError::TooFewCores {
                asked,
                allowed: allowed.len(),
            });
        }
        asked => asked,
    };
    Ok(allowed[..wanted].to_vec())
}

/// The plan as `shards` shards see it.
pub fn topology(mut plan: Plan, shards: u16, hostname: String) -> Result<Topology, PlacementError> {
    let places = places(&plan);
    let count = plan.consumers.len() + places.len();
    if count > limits::CONSUMERS_MAX {
        return Err(PlacementError::TooManyConsumers(count));
    }
    let codecs = codecs(&plan);
    let reader = (!places.is_empty()).then(|| Arc::clone(&plan.reader));
    let matchers = match places.is_empty() {
        true => plan.matchers,
        false => set_of(&plan.consumers, places.len()),
    };
    let home = |index: usize| ShardId((index % shards as usize) as u16);
    let inputs: Vec<InputUnit> = plan
        .inputs
        .into_iter()
        .enumerate()
        .map(|(index, input)| input_unit(input, home(index)))
        .collect();
    let hekad = plan.hekad;
    let planned = std::mem::take(&mut plan.consumers);
    let consumers = planned
        .into_iter()
        .enumerate()
        .map(|(index, consumer)| consumer_unit(consumer, &hekad, home(index), shards));
    let mut consumers: Vec<ConsumerUnit> = consumers.collect();
    for manager in places {
        let unit = place_unit(manager, &consumers, home(consumers.len()));
        consumers.push(unit);
    }
    Ok(Topology {
        matchers: Arc::new(Matchers::new(matchers, &inputs)),
        codecs,
        reader,
        inputs,
        consumers,
        message_bytes_max: hekad.message_bytes_max(),
        loops_max: hekad.message_loops_max(),
        hostname,
        pid: std::process::id() as i32,
        shards,
        loads: (0..shards).map(|_| Load::default()).collect(),
        claims: Claims::default(),
    })
}

/// The places to keep: for each the filter that loads what is to stand there.
fn places(plan: &Plan) -> Vec<ConsumerId> {
    let consumers = plan.consumers.iter().enumerate();
    consumers
        .flat_map(|(index, consumer)| {
            let count = match &consumer.role {
                plan::Role::Filter { factory, .. } => factory.places(),
                plan::Role::Output { .. } => 0,
            };
            // One more than can be numbered is as good as any number of them.
            std::iter::repeat_n(
                ConsumerId(index as u16),
                count.min(limits::CONSUMERS_MAX + 1),
            )
        })
        .collect()
}

/// The matchers of the plan's consumers, and places that nobody is in.
fn set_of(consumers: &[ConsumerPlan], places: usize) -> matcher::Set {
    let planned = consumers
        .iter()
        .map(|consumer| (consumer.matcher(), consumer.signer()));
    let wanted: Vec<_> = planned
        .chain(std::iter::repeat_n((NOTHING, ""), places))
        .map(|(expression, signer)| wanted(expression, signer))
        .collect();
    matcher::Set::build(&wanted).expect("the plan has compiled these")
}

/// The matcher of a place that nobody is in.
pub(super) const NOTHING: &str = "FALSE";

/// A matcher as the set takes it.
pub(super) fn wanted<'a>(expression: &'a str, signer: &'a str) -> matcher::Consumer<'a> {
    matcher::Consumer {
        expression: if expression.trim().is_empty() {
            "TRUE"
        } else {
            expression
        },
        signer: Some(signer).filter(|signer| !signer.is_empty()),
    }
}

/// Decoders and encoders that somebody uses, each once.
fn codecs(plan: &Plan) -> Vec<CodecUnit> {
    let mut units: Vec<CodecUnit> = Vec::new();
    let mut waiting: Vec<Arc<DecoderPlan>> = plan
        .inputs
        .iter()
        .filter_map(|input| input.decoder.clone())
        .collect();
    while let Some(decoder) = waiting.pop() {
        if units.iter().any(|unit| unit.name == decoder.name) {
            continue;
        }
        waiting.extend(decoder.subs.iter().cloned());
        let (counted, aborted) = (Arc::clone(&decoder), Arc::clone(&decoder));
        units.push(CodecUnit {
            name: decoder.name.clone(),
            kind: Kind::Decoder,
            probe: Box::new(move || decoder.factory.probe()),
            figures: Box::new(move |tell| counted.factory.figures(tell)),
            abort: Box::new(move || aborted.factory.abort()),
        });
    }
    for consumer in &plan.consumers {
        let plan::Role::Output {
            encoder: Some(encoder),
            common,
            ..
        } = &consumer.role
        else {
            continue;
        };
        if units.iter().any(|unit| unit.name == common.encoder) {
            continue;
        }
        let [probed, counted, aborted] = [(); 3].map(|()| Arc::clone(encoder));
        units.push(CodecUnit {
            name: common.encoder.clone(),
            kind: Kind::Encoder,
            probe: Box::new(move || probed.probe()),
            figures: Box::new(move |tell| counted.figures(tell)),
            abort: Box::new(move || aborted.abort()),
        });
    }
    units
}

/// A place that nobody is in.
fn place_unit(manager: ConsumerId, consumers: &[ConsumerUnit], home: ShardId) -> ConsumerUnit {
    let owner = &consumers[manager.0 as usize];
    ConsumerUnit {
        name: owner.name.clone(),
        type_name: owner.type_name,
        matcher: NOTHING.to_owned(),
        signer: String::new(),
        place: Some(Place {
            manager,
            loaded: InPlace::default(),
            ended: AtomicU64::new(0),
        }),
        role: Role::Filter(Box::new(Vacancy)),
        ticker_interval: None,
        can_exit: true,
        queue: None,
        letters: None,
        retries: owner.retries.clone(),
        encoder_name: String::new(),
        home,
    }
}

fn input_unit(input: InputPlan, home: ShardId) -> InputUnit {
    InputUnit {
        name: input.name,
        type_name: input.type_name,
        factory: input.factory,
        splitter: input.splitter,
        decoder: input
            .decoder
            .map(|decoder| -> crate::shard::topology::MakeDecoder {
                Box::new(move || decoder.instantiate())
            }),
        send_decode_failures: input.common.send_decode_failures,
        log_decode_failures: input.common.log_decode_failures,
        can_exit: input.common.can_exit,
        retries: input.common.retries,
        splitter_name: input.common.splitter,
        decoder_name: input.common.decoder,
        home,
    }
}

fn consumer_unit(
    consumer: ConsumerPlan,
    hekad: &HekadOptions,
    home: ShardId,
    shards: u16,
) -> ConsumerUnit {
    let ticker_interval = match consumer.ticker_interval() {
        0 => None,
        seconds => Some(Duration::from_secs(u64::from(seconds))),
    };
    let (matcher, can_exit) = (consumer.matcher().to_owned(), consumer.can_exit());
    let signer = consumer.signer().to_owned();
    let queue = consumer
        .buffering()
        .map(|buffering| queue_unit(&consumer.name, buffering, hekad, shards));
    let letters = consumer.dead_letter_bytes().map(|bytes_max| LettersUnit {
        folder: hekad
            .below_base_dir(DEAD_LETTERS)
            .join(queue::folder_name(&consumer.name)),
        bytes_max,
        size: QueueSize::new(shards),
    });
    let (retries, encoder_name) = match &consumer.role {
        plan::Role::Filter { common, .. } => (common.retries.clone(), String::new()),
        plan::Role::Output { common, .. } => (common.retries.clone(), common.encoder.clone()),
    };
    let role = match consumer.role {
        plan::Role::Filter { factory, .. } => Role::Filter(factory),
        plan::Role::Output {
            factory,
            encoder,
            framing,
            ..
        } => Role::Output {
            factory,
            encoder,
            framing,
        },
    };
    ConsumerUnit {
        name: consumer.name,
        type_name: consumer.type_name,
        matcher,
        signer,
        place: None,
        role,
        ticker_interval,
        can_exit,
        queue,
        letters,
        retries,
        encoder_name,
        home,
    }
}

fn queue_unit(name: &str, buffering: &Buffering, hekad: &HekadOptions, shards: u16) -> QueueUnit {
    QueueUnit {
        folder: hekad.below_base_dir(QUEUES).join(queue::folder_name(name)),
        segment_bytes_max: buffering.max_file_size,
        bytes_max: Some(buffering.max_buffer_size).filter(|bytes| *bytes > 0),
        full_action: buffering.full_action,
        cursor_update_count: buffering.cursor_update_count,
        fsync_interval: Some(buffering.fsync_interval.get()).filter(|interval| !interval.is_zero()),
        fsync_bytes: usize::try_from(buffering.fsync_bytes).unwrap_or(usize::MAX),
        memory_first: buffering.memory_first,
        start_looks: hekad.full_buffer_max_retries,
        size: QueueSize::new(shards),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_those_of_the_process() {
        let all = cores(0).expect("at least one");
        assert!(!all.is_empty());
        assert_eq!(cores(1), Ok(all[..1].to_vec()));
        let asked = all.len() + 1;
        assert_eq!(
            cores(asked as u32),
            Err(PlacementError::TooFewCores {
                asked,
                allowed: all.len()
            })
        );
    }
}
