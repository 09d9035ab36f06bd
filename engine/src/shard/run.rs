//! A shard's life: connect, open, run, drain, end; always by order of the control plane.
//!
//! Owns:    the shard's main future, the frames between control and shard, snapshots of its counters.
//! Runs on: every shard.            Plane: data; it is where the control plane reaches in.
//! Bounds:  `limits::NEWS` items wait for the main thread.
//! Never:   decides anything: phases and deadlines are the supervisor's.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::intake::InputContext;
use super::matchers::Exchange;
use super::mesh::Frame;
use super::probe::Probe;
use super::pulse::Running;
use super::topology::{Role, Topology};
use super::{Ended, Notice, Shard, filtering, letters, queueing, restarts};
use crate::event::{ConsumerCounters, InputCounters, QueueCounters};
use crate::io::clock::Monotonic;
use crate::io::{MeshReceiver, MeshSender, UnconnectedReceiver, UnconnectedSender, Worker};
use crate::pack::{ConsumerId, InputId, ShardId};
use crate::plugin::{Fault, Input, LoadJob, LoadedFilter, Said};
use crate::queue::{Lane, OpenLane};

/// What a shard tells the control plane.
#[derive(Debug)]
pub enum ToControl {
    /// Its inputs are open, or these are not.
    Ready {
        /// Which shard.
        shard: ShardId,
        /// Input and error.
        errors: Vec<(String, Fault)>,
    },
    /// Something an operator should hear of.
    Notice(Notice),
    /// A plugin has ended.
    Ended(Ended),
    /// A shard has panicked, or its executor could not start (sent by the thread that watches it).
    Died {
        /// Which shard.
        shard: ShardId,
        /// Why.
        error: io::Error,
    },
    /// A shard stands still: it has not come back from what it runs (sent by the watchdog).
    Stalled {
        /// Which shard.
        shard: ShardId,
        /// What it runs.
        running: Running,
    },
    /// Something panicked that no shard answers for (sent by the panic hook).
    Panicked(String),
    /// A signal has come (sent by the signal thread).
    Signal(i32),
    /// A filter wants something of the thread that loads filters.
    Load(Load),
    /// A filter that was loaded has failed for good; its place is vacant.
    LoadedEnded {
        /// The place.
        consumer: ConsumerId,
        /// The filter.
        name: String,
        /// Why.
        error: String,
    },
}

/// A job of the thread that loads filters, on its way there.
pub struct Load(pub LoadJob);

impl From<LoadJob> for Load {
    fn from(job: LoadJob) -> Self {
        Load(job)
    }
}

impl std::fmt::Debug for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Load").finish()
    }
}

/// What the control plane tells a shard.
#[derive(Debug)]
pub enum ToShard {
    /// Begin to read and deliver.
    Start,
    /// Tell all counters.
    Snapshot(flume::Sender<Snapshot>),
    /// Stop inputs when nothing is waiting to be read.
    StopInputs,
    /// Inputs bring nothing more: what consumers with a disk queue hold in memory goes there if they do not get on.
    Spill,
    /// End outputs when their queues are empty.
    EndOutputs,
    /// Reopen what can be reopened.
    Reopen,
    /// Route by other matchers.
    Matchers(Box<Exchange>),
    /// Put a filter into a place, and answer whether it can work.
    Fill(ConsumerId, LoadedFilter, flume::Sender<Result<(), String>>),
    /// End the filter in a place, and answer when that is done.
    Vacate(ConsumerId, flume::Sender<()>),
    /// Inject a message of the daemon in the name of a filter that lives there.
    Say(ConsumerId, Said),
    /// Inputs bring nothing more: filters inject what they want to before the end.
    StopFilters,
    /// Another shard is gone for good: nothing is to be sent to it.
    Lost(ShardId),
    /// End now, whatever is under way.
    Quit,
}

/// All counters of one shard at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Which shard.
    pub shard: ShardId,
    /// By input, then by consumer for what it injected, then by consumer for what was read from its disk queue.
    pub ledgers: Vec<InputCounters>,
    /// By consumer.
    pub consumers: Vec<ConsumerCounters>,
    /// By consumer: what was put into its disk queue.
    pub disk_queues: Vec<QueueCounters>,
    /// Nothing is to be read from the disk queues that are read here, and nothing of what was read is under way.
    pub disk_queues_idle: bool,
    /// Deliveries queued, by consumer.
    pub queues: Vec<u32>,
    /// Batches in use.
    pub batches_in_use: usize,
    /// Injection batches in use.
    pub injections_in_use: usize,
    /// Nothing is under way, but for what shards hold that are gone.
    pub idle: bool,
    /// Open streams.
    pub streams: usize,
    /// Streams that have been read and wait to be acknowledged, so that this can be written down.
    pub streams_left: usize,
    /// Batches that the pool has.
    pub batches: usize,
    /// Inputs and outputs that still run, those who work for disk queues, and what is to become dead letters.
    pub plugins_running: usize,
    /// Inputs among them.
    pub inputs_running: usize,
    /// The same by input.
    pub of_inputs: Vec<u32>,
    /// By consumer: its output, and those who work for its disk queue.
    pub of_consumers: Vec<u32>,
    /// Sampled timings.
    pub probe: Probe,
}

/// The parts of an open disk queue that one shard works with.
#[derive(Debug)]
pub struct QueueEnds {
    /// Whose queue.
    pub consumer: ConsumerId,
    /// The lane that the shard writes to.
    pub lane: Lane,
    /// What it is for.
    pub purpose: Purpose,
}

/// What a lane is for.
#[derive(Debug)]
pub enum Purpose {
    /// What the consumer has not had yet. On its home: all lanes, to read.
    Queue(Vec<OpenLane>),
    /// What it refused.
    DeadLetters,
}

/// What a shard is started with.
pub struct Launch {
    /// Its number.
    pub id: ShardId,
    /// The plan.
    pub topology: Arc<Topology>,
    /// Sending ends to each other shard.
    pub senders: Vec<Option<UnconnectedSender<Frame>>>,
    /// Receiving ends from each other shard.
    pub receivers: Vec<Option<UnconnectedReceiver<Frame>>>,
    /// Disk queues, open.
    pub queues: Vec<QueueEnds>,
    /// Orders.
    pub orders: flume::Receiver<ToShard>,
    /// News.
    pub news: flume::Sender<ToControl>,
}

impl std::fmt::Debug for Launch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Launch")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A shard's main future. Its answer is the last state of its counters.
pub async fn main(launch: Launch) -> io::Result<Snapshot> {
    let (topology, id) = (Arc::clone(&launch.topology), launch.id);
    let mut life = std::pin::pin!(live(launch));
    // It is woken at a steady pace (docs/adr/0003-executor-heartbeat.md) unless something else keeps the core.
    poll_fn(|cx| {
        topology.loads[id.0 as usize].pulse.beat();
        life.as_mut().poll(cx)
    })
    .await
}

async fn live(launch: Launch) -> io::Result<Snapshot> {
    let shard = Shard::new(launch.id, Arc::clone(&launch.topology), launch.news.clone());
    let receivers = connect(&shard, launch.senders, launch.receivers).await;
    for receiver in receivers {
        receive(&shard, receiver);
    }
    let running = Rc::new(Plugins::new(&shard.topology));
    let (inputs, mut errors) = open_inputs(&shard);
    open_filters(&shard, &mut errors);
    let _ = launch
        .news
        .send_async(ToControl::Ready {
            shard: launch.id,
            errors,
        })
        .await;
    let mut inputs = Some(inputs);
    let mut queues = launch.queues;
    while let Ok(order) = launch.orders.recv_async().await {
        match order {
            ToShard::Start => {
                start_queues(&shard, std::mem::take(&mut queues), &running)?;
                start(&shard, inputs.take().unwrap_or_default(), &running);
            }
            ToShard::Snapshot(reply) => {
                let _ = reply.try_send(snapshot(&shard, &running));
            }
            ToShard::StopInputs => shard.stop_inputs(),
            ToShard::Spill => shard.spill(),
            ToShard::StopFilters => shard.stop_filters(),
            ToShard::EndOutputs => {
                shard.end_filters();
                shard.end_outputs();
            }
            ToShard::Reopen => shard.reopen(),
            ToShard::Matchers(exchange) => shard.exchange_matchers(*exchange),
            ToShard::Fill(place, loaded, reply) => {
                let _ = reply.try_send(shard.fill_place(place, loaded));
            }
            ToShard::Vacate(place, reply) => {
                shard.vacate(place);
                let _ = reply.try_send(());
            }
            ToShard::Say(by, said) => shard.say(by, &said),
            ToShard::Lost(other) => shard.lose(other),
            ToShard::Quit => break,
        }
    }
    let last = snapshot(&shard, &running);
    shard.end_encoders();
    Ok(last)
}

/// Connects all ends at once: each waits for its other side, so one after the other could wait in a circle.
async fn connect(
    shard: &Rc<Shard>,
    senders: Vec<Option<UnconnectedSender<Frame>>>,
    receivers: Vec<Option<UnconnectedReceiver<Frame>>>,
) -> Vec<MeshReceiver<Frame>> {
    let (sender_done, connected_senders) =
        flume::bounded::<(usize, MeshSender<Frame>)>(senders.len().max(1));
    let mut connected: Vec<Option<MeshSender<Frame>>> = senders.iter().map(|_| None).collect();
    let mut expected = 0;
    for (target, sender) in senders.into_iter().enumerate() {
        if let Some(sender) = sender {
            expected += 1;
            let done = sender_done.clone();
            crate::io::spawn(async move {
                let sender = sender.connect().await;
                let _ = done.send((target, sender));
            });
        }
    }
    let mut receiving = Vec::new();
    for receiver in receivers.into_iter().flatten() {
        receiving.push(receiver.connect().await);
    }
    for _ in 0..expected {
        let (target, sender) = connected_senders
            .recv_async()
            .await
            .expect("every connect task answers");
        connected[target] = Some(sender);
    }
    shard.connect_mesh(connected);
    receiving
}

/// Handles the frames of one other shard.
fn receive(shard: &Rc<Shard>, receiver: MeshReceiver<Frame>) {
    let shard = Rc::clone(shard);
    crate::io::spawn(async move {
        while let Some(frame) = receiver.receive().await {
            shard.handle(frame);
            crate::io::yield_if_needed().await;
        }
    });
}

type OpenInputs = Vec<(InputId, (InputContext, Box<dyn Input>))>;

fn open_inputs(shard: &Rc<Shard>) -> (OpenInputs, Vec<(String, Fault)>) {
    let mut open = Vec::new();
    let mut errors = Vec::new();
    for index in 0..shard.topology.inputs.len() {
        let id = InputId(index as u16);
        if !shard.topology.opens(id, shard.id) {
            continue;
        }
        match restarts::open_input(shard, id) {
            Ok(opened) => open.push((id, opened)),
            Err(failure) => {
                let name = shard.topology.input(id).name.clone();
                errors.push((name, Fault::new(failure.to_string())));
            }
        }
    }
    (open, errors)
}

/// Opens the filters of this shard.
fn open_filters(shard: &Rc<Shard>, errors: &mut Vec<(String, Fault)>) {
    for index in 0..shard.topology.consumers.len() {
        let id = ConsumerId(index as u16);
        let Role::Filter(factory) = &shard.topology.consumer(id).role else {
            continue;
        };
        if shard.topology.consumer(id).home != shard.id {
            continue;
        }
        match shard.make_filter(id, &**factory) {
            Ok(filter) => shard.consumers.borrow_mut()[index].filter = Some(filter),
            Err(failure) => {
                let name = shard.topology.consumer(id).name.clone();
                errors.push((name, Fault::new(failure.to_string())));
            }
        }
    }
}

/// What runs on a shard.
#[derive(Debug)]
struct Plugins {
    /// By input.
    inputs: Vec<Cell<u32>>,
    /// By consumer: its output, and those who write to its disk queue and keep its cursors.
    consumers: Vec<Cell<u32>>,
}

impl Plugins {
    fn new(topology: &Topology) -> Plugins {
        Plugins {
            inputs: vec![Cell::new(0); topology.inputs.len()],
            consumers: vec![Cell::new(0); topology.consumers.len()],
        }
    }
}

/// Starts those who work for disk queues.
fn start_queues(
    shard: &Rc<Shard>,
    queues: Vec<QueueEnds>,
    running: &Rc<Plugins>,
) -> io::Result<()> {
    for ends in queues {
        let consumer = ends.consumer;
        let name = shard.topology.consumer(consumer).name.clone();
        let worker = Worker::start(&name)?;
        let Purpose::Queue(lanes) = ends.purpose else {
            let writer = letters::write_letters(Rc::clone(shard), consumer, worker, ends.lane);
            crate::io::spawn(writer);
            continue;
        };
        work_for_queue(
            running,
            consumer,
            queueing::write_lane(Rc::clone(shard), consumer, worker, ends.lane),
        );
        if lanes.is_empty() {
            continue;
        }
        let (readers, cursors) = queueing::begin(shard, consumer, lanes);
        let worker = Worker::start(&name)?;
        let reader = queueing::read_queue(Rc::clone(shard), consumer, worker, readers);
        crate::io::spawn(reader);
        let worker = Worker::start(&name)?;
        let keeper = queueing::keep_cursors(Rc::clone(shard), consumer, worker, cursors);
        work_for_queue(running, consumer, keeper);
    }
    Ok(())
}

/// Runs a task that must have ended before its shard does.
fn work_for_queue(
    running: &Rc<Plugins>,
    consumer: ConsumerId,
    task: impl Future<Output = ()> + 'static,
) {
    let running = Rc::clone(running);
    running.consumers[consumer.0 as usize].update(|count| count + 1);
    crate::io::spawn(async move {
        task.await;
        running.consumers[consumer.0 as usize].update(|count| count - 1);
    });
}

fn start(shard: &Rc<Shard>, inputs: OpenInputs, running: &Rc<Plugins>) {
    for index in 0..shard.topology.consumers.len() {
        let id = ConsumerId(index as u16);
        if shard.topology.consumer(id).home == shard.id {
            start_consumer(shard, id, running);
        }
    }
    for (id, opened) in inputs {
        let shard = Rc::clone(shard);
        let running = Rc::clone(running);
        running.inputs[id.0 as usize].update(|count| count + 1);
        crate::io::spawn(async move {
            let error = restarts::run_input(&shard, id, Some(opened)).await;
            running.inputs[id.0 as usize].update(|count| count - 1);
            let unit = shard.topology.input(id);
            shard.tell_ended(&unit.name, error, unit.can_exit);
        });
    }
}

fn start_consumer(shard: &Rc<Shard>, id: ConsumerId, running: &Rc<Plugins>) {
    let shard = Rc::clone(shard);
    match &shard.topology.consumer(id).role {
        Role::Filter(_) => {
            if let Some(interval) = shard.topology.consumer(id).ticker_interval {
                crate::io::spawn(tick_filter(Rc::clone(&shard), id, interval));
            }
            crate::io::spawn(filtering::keep_filter(shard, id));
        }
        Role::Output { .. } => {
            let running = Rc::clone(running);
            running.consumers[id.0 as usize].update(|count| count + 1);
            crate::io::spawn(async move {
                let error = restarts::run_output(&shard, id).await;
                running.consumers[id.0 as usize].update(|count| count - 1);
                shard.consumer_ended(id, error);
            });
        }
    }
}

/// Ticks a loaded filter for as long as it stands in its place.
pub(super) async fn tick_loaded(
    shard: Rc<Shard>,
    id: ConsumerId,
    loaded: Rc<LoadedFilter>,
    interval: Duration,
) {
    let is_there = |shard: &Shard| {
        let now = shard.loaded(id);
        now.is_some_and(|now| Rc::ptr_eq(&now, &loaded))
    };
    let mut due = Monotonic::now().after(interval);
    loop {
        crate::io::sleep(due.remaining()).await;
        if shard.ending() || !is_there(&shard) || !shard.tick_filter(id) {
            break;
        }
        due = due.next_after(interval);
    }
}

async fn tick_filter(shard: Rc<Shard>, id: ConsumerId, interval: Duration) {
    let mut due = Monotonic::now().after(interval);
    loop {
        crate::io::sleep(due.remaining()).await;
        if shard.ending() || !shard.tick_filter(id) {
            break;
        }
        due = due.next_after(interval);
    }
}

fn snapshot(shard: &Shard, running: &Plugins) -> Snapshot {
    // A connection counts from the moment that it was placed here, even if its task has not begun.
    let load = &shard.topology.loads[shard.id.0 as usize];
    let connections = load.connections.load(Ordering::Relaxed) as usize;
    let of_inputs: Vec<u32> = running.inputs.iter().map(Cell::get).collect();
    let of_consumers: Vec<u32> = running.consumers.iter().map(Cell::get).collect();
    let inputs_running = of_inputs.iter().sum::<u32>() as usize;
    Snapshot {
        shard: shard.id,
        ledgers: shard.ledgers.borrow().clone(),
        consumers: shard.consumer_counters(),
        disk_queues: shard.queue_counters(),
        disk_queues_idle: shard.queues_idle(),
        queues: shard.consumer_queues(),
        batches_in_use: shard.pool.borrow().in_use(),
        injections_in_use: shard.injections.borrow().in_use(),
        idle: shard.is_idle(),
        streams: shard.streams.borrow().open_count().max(connections),
        streams_left: shard.streams.borrow().kept_count(),
        batches: shard.pool.borrow().size(),
        plugins_running: inputs_running
            + of_consumers.iter().sum::<u32>() as usize
            + shard.letters_under_way(),
        inputs_running,
        of_inputs,
        of_consumers,
        probe: shard.probe.borrow().clone(),
    }
}
