//! One shard: everything that happens to messages on one core.
//!
//! Owns:    the shard's pools, streams, router, consumers, ledgers and its ends of the mesh.
//! Runs on: every shard, one instance.            Plane: data.
//! Bounds:  all memory is taken at start (`limits`); credits bound what is under way to each consumer.
//! Never:   allocates per message, locks, reads config, or awaits inside a step; only the loops of inputs and outputs await.
//!
//! Spec: docs/specs/delivery.md

mod acknowledgement;
pub mod claims;
mod connections;
pub mod containment;
mod datagrams;
pub mod delivery;
mod disk_wait;
mod encoding;
mod filtering;
pub mod headers;
mod injection;
pub mod intake;
mod letters;
mod lines;
pub mod matchers;
pub mod mesh;
mod nested;
pub mod parcel;
mod pausing;
pub(crate) mod places;
mod poison;
pub mod probe;
pub mod pulse;
pub(crate) mod queueing;
mod recovery;
mod refusal;
mod restarts;
pub mod router;
pub mod run;
mod settlement;
mod stop;
pub mod streams;
mod tasks;
pub mod topology;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use codecs::message::MessageRef;
use matcher::Capturing;

use self::connections::Source;
use self::mesh::Frame;
use self::parcel::Parcel;
use self::pausing::{Standing, Way};
use self::router::Router;
use self::streams::Streams;
use self::topology::{Role, Topology};
use crate::event::{ConsumerCounters, DropCause, InputCounters, QueueCounters};
use crate::io::MeshSender;
use crate::io::remember;
use crate::limits;
use crate::pack::pool::{Landed, Pool};
use crate::pack::{Batch, ConsumerId, Origin, PoolKind, ShardId, StreamId};
use crate::plugin::{Encoder, Filter, LoadedFilter};

/// What a shard keeps of one consumer.
struct Consumer {
    /// Deliveries that may still be sent towards it.
    credits: u16,
    /// Deliveries that wait for a credit, oldest first.
    blocked: VecDeque<(Arc<Batch>, u16)>,
    counters: ConsumerCounters,
    /// Outputs: this shard's encoder.
    encoder: Option<Box<dyn Encoder>>,
    /// Filters, on their home shard: the instance; taken out while it runs.
    filter: Option<Box<dyn Filter>>,
    /// What was loaded into the place that it is.
    loaded: Option<Rc<LoadedFilter>>,
    /// Dropped, it ends the ticks of what was loaded.
    ticker: Option<flume::Sender<()>>,
    /// Outputs, on their home shard: parcels to deliver.
    queue: VecDeque<Box<Parcel>>,
    /// Outputs, on their home shard: parcels that the instance has.
    lent: usize,
    /// The task of the output, or the one that restarts the filter.
    waker: Option<Waker>,
    /// The plugin has ended; what is sent to it is dropped.
    ended: bool,
    /// How this shard gets on with it.
    standing: Standing,
}

/// Something that an operator should hear of.
#[derive(Debug)]
pub struct Notice {
    /// The plugin.
    pub plugin: String,
    /// What happened.
    pub text: String,
}

/// A plugin that ended.
#[derive(Debug)]
pub struct Ended {
    /// The plugin.
    pub plugin: String,
    /// Why; `None` when it was told to.
    pub error: Option<String>,
    /// It may end without ending the daemon.
    pub can_exit: bool,
    /// What it was given and has not taken does not come back: nobody need wait for it.
    pub keeps: bool,
}

/// Everything that one core works with.
pub struct Shard {
    me: Weak<Shard>,
    pub(crate) id: ShardId,
    pub(crate) topology: Arc<Topology>,
    pub(crate) pool: RefCell<Pool>,
    pub(crate) injections: RefCell<Pool>,
    /// What is read from disk queues of consumers that live here, and what need not be.
    queued: RefCell<Pool>,
    handed: RefCell<Pool>,
    pub(crate) streams: RefCell<Streams>,
    /// Inputs first, then one per consumer for what it injects, then one per consumer for what is read from its disk queue.
    pub(crate) ledgers: RefCell<Vec<InputCounters>>,
    pub(crate) random: RefCell<fastrand::Rng>,
    pub(crate) probe: RefCell<probe::Probe>,
    /// Lent to a step that cuts lines.
    ends: Cell<lines::Ends>,
    router: RefCell<Router>,
    /// Of filters and outputs that ask what matchers captured.
    capturing: RefCell<Capturing>,
    consumers: RefCell<Vec<Consumer>>,
    /// By consumer.
    lanes: RefCell<Vec<queueing::Lane>>,
    /// By consumer; of those that live here.
    draws: RefCell<Vec<queueing::Draw>>,
    queue_counters: RefCell<Vec<QueueCounters>>,
    /// By consumer.
    letters: RefCell<Vec<letters::Letters>>,
    mesh: RefCell<Vec<Option<MeshSender<Frame>>>>,
    #[expect(
        clippy::vec_box,
        reason = "parcels cross shards as boxes; the pool keeps them boxed"
    )]
    parcels: RefCell<Vec<Box<Parcel>>>,
    injected: RefCell<VecDeque<Arc<Batch>>>,
    injecting: Cell<bool>,
    /// Filters that wait for injection credit.
    wanting: RefCell<VecDeque<ConsumerId>>,
    pub(crate) input_shares: RefCell<streams::InputShares>,
    rest_bytes: Cell<usize>,
    stopping: Cell<bool>,
    /// What consumers hold in memory that have a disk queue is to go there if they do not get on.
    spilling: Cell<bool>,
    ending: Cell<bool>,
    /// A panic has left a step of the engine half done.
    broken: Cell<bool>,
    /// Shards that are gone.
    lost: RefCell<Vec<ShardId>>,
    reopens: Cell<u32>,
    stop_wakers: RefCell<stop::StopWakers>,
    notices: flume::Sender<run::ToControl>,
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shard")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Shard {
    /// A shard with all its memory, not yet connected to the others.
    pub(crate) fn new(
        id: ShardId,
        topology: Arc<Topology>,
        notices: flume::Sender<run::ToControl>,
    ) -> Rc<Shard> {
        let consumers: Vec<Consumer> = (0..topology.consumers.len())
            .map(|index| make_consumer(&topology, ConsumerId(index as u16)))
            .collect();
        let needs = Needs::of(&topology, id);
        let parcels = (0..needs.parcels).map(|_| Parcel::empty()).collect();
        let count = topology.consumers.len();
        let bytes_max = topology.message_bytes_max;
        let pool = |kind, batches| {
            let limits = match kind {
                PoolKind::Injected => limits::injection_limits(bytes_max),
                PoolKind::Received | PoolKind::Queued | PoolKind::Handed => {
                    limits::batch_limits(bytes_max)
                }
            };
            RefCell::new(Pool::new(batches, limits, id, kind))
        };
        Rc::new_cyclic(|me| Shard {
            me: me.clone(),
            id,
            pool: pool(PoolKind::Received, limits::batches(bytes_max)),
            injections: pool(PoolKind::Injected, limits::INJECTION_BATCHES),
            queued: pool(PoolKind::Queued, needs.queued),
            handed: pool(PoolKind::Handed, needs.handed),
            streams: RefCell::default(),
            ledgers: RefCell::new(vec![
                InputCounters::default();
                topology.inputs.len() + 2 * count
            ]),
            lanes: RefCell::new(topology.consumers.iter().map(queueing::Lane::new).collect()),
            draws: RefCell::new((0..count).map(|_| queueing::Draw::default()).collect()),
            letters: RefCell::new((0..count).map(|_| letters::Letters::default()).collect()),
            queue_counters: RefCell::new(vec![QueueCounters::default(); count]),
            random: RefCell::new(fastrand::Rng::new()),
            ends: Cell::new(lines::ends()),
            probe: RefCell::new(probe::Probe::new(topology.inputs.len(), count)),
            capturing: RefCell::default(),
            router: RefCell::new(Router::new(&topology)),
            consumers: RefCell::new(consumers),
            mesh: RefCell::default(),
            parcels: RefCell::new(parcels),
            injected: RefCell::new(VecDeque::with_capacity(limits::INJECTION_BATCHES)),
            injecting: Cell::new(false),
            wanting: RefCell::default(),
            input_shares: RefCell::new(streams::InputShares::new(
                topology.inputs.len(),
                limits::batches(bytes_max),
            )),
            rest_bytes: Cell::new(0),
            stopping: Cell::new(false),
            spilling: Cell::new(false),
            ending: Cell::new(false),
            broken: Cell::new(false),
            lost: RefCell::default(),
            reopens: Cell::new(0),
            stop_wakers: RefCell::default(),
            notices,
            topology,
        })
    }

    pub(crate) fn connect_mesh(&self, senders: Vec<Option<MeshSender<Frame>>>) {
        *self.mesh.borrow_mut() = senders;
    }

    /// Routes by other matchers from now on.
    pub(crate) fn exchange_matchers(&self, exchange: matchers::Exchange) {
        let mut capturing = self.capturing.borrow_mut();
        self.router.borrow_mut().exchange(exchange, &mut capturing);
    }

    /// What the named groups of a consumer's matcher captured of a message.
    pub(crate) fn captures(
        &self,
        consumer: ConsumerId,
        message: MessageRef<'_>,
        each: &mut dyn FnMut(&str, &[u8]),
    ) {
        let matchers = Arc::clone(self.router.borrow().matchers());
        // Taken out while it is used: `each` is the plugin's.
        let mut capturing = self.capturing.take();
        let set = matchers.set();
        set.captures(&mut capturing, consumer.0 as usize, message, each);
        self.capturing.replace(capturing);
    }

    /// Whether a filter's matcher accepts a message.
    pub(crate) fn would_take(&self, consumer: ConsumerId, message: MessageRef<'_>) -> bool {
        self.router.borrow_mut().accepts(consumer, message)
    }

    /// Routes a filled batch and hands it to everybody who asked for messages of it.
    pub(crate) fn route_and_deliver(&self, mut batch: Arc<Batch>) {
        let _step = self.engine_step();
        let unique = Arc::get_mut(&mut batch).expect("a batch being routed is not shared");
        let sample = self.probe.borrow_mut().begin_match(unique.table.len());
        let routed = self.router.borrow_mut().route(unique);
        self.probe.borrow_mut().end_match(sample);
        let ledger = self.ledger_of(batch.origin);
        self.ledgers.borrow_mut()[ledger].unmatched += u64::from(routed.unmatched);
        let count = batch.deliveries().len();
        if count == 0 {
            let batch = self.land(Landed {
                batch,
                delivered: 0,
                withheld: false,
            });
            self.give_back(batch);
        } else {
            self.pool_of(&batch)
                .borrow_mut()
                .launch(&batch, count as u32, routed.matched);
            for delivery in 0..count - 1 {
                self.dispatch(Arc::clone(&batch), delivery as u16);
            }
            self.dispatch(batch, count as u16 - 1);
        }
        self.pump_injected();
    }

    /// Sends one delivery on its way, or queues it until the consumer has credit.
    fn dispatch(&self, batch: Arc<Batch>, delivery: u16) {
        let consumer = batch.deliveries()[delivery as usize].consumer;
        let messages = batch.picks(delivery as usize).len() as u64;
        let way = {
            let mut consumers = self.consumers.borrow_mut();
            let state = &mut consumers[consumer.0 as usize];
            state.counters.matched += messages;
            state.way(self.topology.consumer(consumer), self.id)
        };
        match way {
            Way::Call => {
                let dropped = self.run_filter(consumer, &batch, delivery);
                self.settle(batch, delivery, dropped);
            }
            Way::Wait => {
                if let Origin::Stream { stream, .. } = batch.origin {
                    self.streams.borrow_mut().block(stream);
                }
                self.consumers.borrow_mut()[consumer.0 as usize]
                    .blocked
                    .push_back((batch, delivery));
            }
            Way::Send => self.send(consumer, batch, delivery),
            Way::Refuse => self.refuse(consumer, batch, delivery),
        }
    }

    /// Spends a credit and sends a delivery: to the consumer's disk queue if it has one; else as it is to a filter, encoded to an output.
    fn send(&self, consumer: ConsumerId, batch: Arc<Batch>, delivery: u16) {
        let unit = self.topology.consumer(consumer);
        self.consumers.borrow_mut()[consumer.0 as usize].credits -= 1;
        if let Some(queue) = &unit.queue
            && !(queue.memory_first && self.goes_directly(consumer))
        {
            self.enqueue(consumer, batch, delivery);
            return;
        }
        let frame = match &unit.role {
            Role::Filter(_) => Frame::Messages { batch, delivery },
            Role::Output { framing, .. } => {
                Frame::Parcel(self.encode(consumer, batch, delivery, *framing))
            }
        };
        if unit.home == self.id {
            self.handle(frame);
        } else {
            self.send_frame(unit.home, frame);
        }
    }

    fn empty_parcel(&self) -> Box<Parcel> {
        self.parcels
            .borrow_mut()
            .pop()
            .expect("a parcel for every credit")
    }

    fn send_frame(&self, target: ShardId, frame: Frame) {
        let refused = match &self.mesh.borrow()[target.0 as usize] {
            Some(sender) if !self.is_lost(target) => sender.send(frame).err(),
            _ => Some(frame),
        };
        if let Some(frame) = refused {
            // The other shard has ended; the credits rule out a full ring.
            match frame {
                Frame::Messages { batch, delivery } => {
                    let cause = DropCause::DestinationEnded;
                    self.count_refused(&batch, delivery, cause);
                    self.released(batch, delivery, Some(cause));
                }
                Frame::Parcel(mut parcel) => {
                    parcel.drop_from(0, DropCause::DestinationEnded);
                    self.parcel_came_back(parcel);
                }
                Frame::Connection { input, connection } => {
                    self.serve_instead_of(target, input, Source::Connection(connection));
                }
                Frame::Stream { input, number } => {
                    self.serve_instead_of(target, input, Source::Stream(number));
                }
                Frame::Release { .. }
                | Frame::ParcelBack(_)
                | Frame::Written { .. }
                | Frame::Drained { .. }
                | Frame::WrittenSeen { .. }
                | Frame::Closed { .. } => {}
            }
        }
    }

    /// Takes a frame of another shard.
    pub(crate) fn handle(&self, frame: Frame) {
        match frame {
            Frame::Messages { batch, delivery } => self.filter(batch, delivery),
            Frame::Parcel(parcel) => self.queue_parcel(parcel),
            Frame::Release {
                batch,
                delivery,
                dropped,
            } => self.released(batch, delivery, dropped),
            Frame::ParcelBack(parcel) => self.parcel_came_back(parcel),
            Frame::Written {
                consumer,
                lane,
                upto,
            } => {
                self.written(consumer, lane, upto);
                self.send_frame(ShardId(lane), Frame::WrittenSeen { consumer });
            }
            Frame::WrittenSeen { consumer } => self.written_seen(consumer),
            Frame::Drained { consumer, upto } => self.lane_drained(consumer, upto),
            Frame::Closed { consumer } => self.close_lane(consumer),
            Frame::Connection { input, connection } => {
                self.arrived(input, Source::Connection(connection));
            }
            Frame::Stream { input, number } => self.arrived(input, Source::Stream(number)),
        }
    }

    pub(super) fn queue_parcel(&self, mut parcel: Box<Parcel>) {
        let consumer = parcel.batch().deliveries()[parcel.delivery() as usize].consumer;
        {
            let mut consumers = self.consumers.borrow_mut();
            let state = &mut consumers[consumer.0 as usize];
            if !state.ended {
                state.queue.push_back(parcel);
                if let Some(waker) = &state.waker {
                    waker.wake_by_ref();
                }
                return;
            }
        }
        parcel.drop_from(0, DropCause::DestinationEnded);
        self.finish_parcel(consumer, parcel);
    }

    /// The next parcel of an output of this shard; `None` when the shard is ending and none is left.
    pub(crate) fn poll_parcel(
        &self,
        consumer: ConsumerId,
        cx: &Context<'_>,
    ) -> Poll<Option<Box<Parcel>>> {
        let mut consumers = self.consumers.borrow_mut();
        let state = &mut consumers[consumer.0 as usize];
        match state.queue.pop_front() {
            Some(parcel) => Poll::Ready(Some(parcel)),
            None if self.ending.get() => Poll::Ready(None),
            None => {
                remember(&mut state.waker, cx);
                Poll::Pending
            }
        }
    }

    /// The next parcel of an output of this shard if one is there.
    pub(crate) fn ready_parcel(&self, consumer: ConsumerId) -> Option<Box<Parcel>> {
        self.consumers.borrow_mut()[consumer.0 as usize]
            .queue
            .pop_front()
    }

    /// An output of this shard has a parcel.
    fn lend(&self, consumer: ConsumerId) {
        self.consumers.borrow_mut()[consumer.0 as usize].lent += 1;
    }

    /// An output of this shard has one parcel less.
    fn lent_back(&self, consumer: ConsumerId) {
        let lent = &mut self.consumers.borrow_mut()[consumer.0 as usize].lent;
        let others = lent.checked_sub(1);
        *lent = others.expect("an output settles what it was given, once");
    }

    /// Parcels that an output of this shard has.
    fn lent(&self, consumer: ConsumerId) -> usize {
        self.consumers.borrow()[consumer.0 as usize].lent
    }

    /// An output, or whoever acts in its place, is done with a parcel.
    pub(crate) fn finish_parcel(&self, consumer: ConsumerId, parcel: Box<Parcel>) {
        let (taken, bytes) = (parcel.taken(), parcel.taken_bytes());
        self.count_consumer(consumer, |counters| {
            counters.processed += taken as u64;
            counters.bytes += bytes as u64;
        });
        self.settle_parcel(parcel);
    }

    /// Sends a parcel home.
    pub(crate) fn settle_parcel(&self, parcel: Box<Parcel>) {
        let home = parcel.batch().home;
        if home == self.id {
            self.parcel_came_back(parcel);
            self.pump_injected();
        } else {
            self.send_frame(home, Frame::ParcelBack(parcel));
        }
    }

    /// Whether a consumer of this shard has ended, or will never be given anything any more.
    fn has_ended(&self, consumer: ConsumerId) -> bool {
        let state = &self.consumers.borrow()[consumer.0 as usize];
        state.ended || state.standing.gone
    }

    /// Notes how many bytes streams keep as unfinished rests.
    pub(crate) fn change_rest(&self, by: isize) {
        self.rest_bytes
            .set(self.rest_bytes.get().saturating_add_signed(by));
    }

    /// Whether streams keep more than they may.
    fn rests_too_large(&self) -> bool {
        let leaving = self.streams.borrow().evicted_bytes();
        self.rest_bytes.get() > limits::TAIL_BYTES_MAX + leaving
    }

    /// Notes the unfinished rest that a stream keeps. When all together are too large, the stream with the longest is ended.
    pub(crate) fn keep_rest(&self, stream: StreamId, bytes: usize) {
        self.change_rest(bytes as isize);
        self.streams.borrow_mut().set_rest(stream, bytes);
        if self.rests_too_large() {
            let waker = self.streams.borrow_mut().evict_longest_rest();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Counts an injection that is refused for good.
    pub(crate) fn drop_injection(&self, by: ConsumerId, cause: DropCause) {
        let ledger = &mut self.ledgers.borrow_mut()[self.topology.inputs.len() + by.0 as usize];
        ledger.received += 1;
        ledger.dropped.add(cause, 1);
    }

    #[inline]
    fn pulse(&self) -> &pulse::Pulse {
        &self.topology.loads[self.id.0 as usize].pulse
    }

    pub(crate) fn stopping(&self) -> bool {
        self.stopping.get()
    }

    pub(crate) fn reopens(&self) -> u32 {
        self.reopens.get()
    }

    /// Inputs stop as soon as nothing is waiting to be read.
    pub(crate) fn stop_inputs(&self) {
        self.stopping.set(true);
        self.wake_inputs();
    }

    /// Has inputs look whether they are to stop.
    pub(crate) fn wake_inputs(&self) {
        self.stop_wakers.borrow().wake();
        self.streams.borrow().wakers().for_each(Waker::wake_by_ref);
        self.resume_all();
    }

    /// Whether outputs are to end, so that nothing new may be made.
    pub(crate) fn ending(&self) -> bool {
        self.ending.get()
    }

    /// Inputs bring nothing more: a consumer that was given messages past its disk queue and does not get on leaves them to it.
    pub(crate) fn spill(&self) {
        self.spilling.set(true);
        self.stop_wakers.borrow().wake();
    }

    pub(super) fn spilling(&self) -> bool {
        self.spilling.get()
    }

    /// Outputs end as soon as their queues are empty; nothing more is read from disk queues.
    pub(crate) fn end_outputs(&self) {
        self.ending.set(true);
        self.stop_wakers.borrow().wake();
        self.wake_outputs();
        self.wake_queues();
    }

    /// Outputs reopen what can be reopened.
    pub(crate) fn reopen(&self) {
        self.reopens.set(self.reopens.get().wrapping_add(1));
        self.wake_outputs();
    }

    fn wake_outputs(&self) {
        self.consumers
            .borrow()
            .iter()
            .filter_map(|state| state.waker.as_ref())
            .for_each(Waker::wake_by_ref);
    }

    pub(crate) fn count_consumer(
        &self,
        consumer: ConsumerId,
        change: impl FnOnce(&mut ConsumerCounters),
    ) {
        change(&mut self.consumers.borrow_mut()[consumer.0 as usize].counters);
    }

    pub(crate) fn count_queue(
        &self,
        consumer: ConsumerId,
        change: impl FnOnce(&mut QueueCounters),
    ) {
        change(&mut self.queue_counters.borrow_mut()[consumer.0 as usize]);
    }

    pub(crate) fn queue_counters(&self) -> Vec<QueueCounters> {
        self.queue_counters.borrow().clone()
    }

    pub(crate) fn consumer_counters(&self) -> Vec<ConsumerCounters> {
        self.consumers
            .borrow()
            .iter()
            .map(|state| state.counters)
            .collect()
    }

    /// Deliveries under way to or queued for each consumer.
    pub(crate) fn consumer_queues(&self) -> Vec<u32> {
        let (consumers, lanes) = (self.consumers.borrow(), self.lanes.borrow());
        let draws = self.draws.borrow();
        let queues = lanes.iter().zip(draws.iter());
        consumers
            .iter()
            .zip(queues)
            .map(|(state, (lane, draw))| {
                let here = state.queue.len() + state.blocked.len() + state.standing.held.len();
                (here + lane.waiting_count() + draw.waiting_count()) as u32
            })
            .collect()
    }

    pub(crate) fn notice(&self, plugin: &str, text: impl FnOnce() -> String) {
        if self.notices.len() < limits::NOTICES {
            let notice = Notice {
                plugin: plugin.to_owned(),
                text: text(),
            };
            if self
                .notices
                .try_send(run::ToControl::Notice(notice))
                .is_ok()
            {
                return;
            }
        }
        self.probe.borrow_mut().notices_lost += 1;
    }

    pub(crate) fn tell_ended(&self, plugin: &str, error: Option<String>, can_exit: bool) {
        self.tell_of_end(Ended {
            plugin: plugin.to_owned(),
            error,
            can_exit,
            keeps: false,
        });
    }

    fn tell_of_end(&self, ended: Ended) {
        if self.notices.try_send(run::ToControl::Ended(ended)).is_err() {
            self.probe.borrow_mut().notices_lost += 1;
        }
    }
}

/// What a shard needs for its consumers: parcels, and batches for what comes out of disk queues, read or not.
#[derive(Default)]
struct Needs {
    parcels: usize,
    queued: usize,
    handed: usize,
}

impl Needs {
    fn of(topology: &Topology, id: ShardId) -> Needs {
        let mut needs = Needs::default();
        for (index, unit) in topology.consumers.iter().enumerate() {
            let is_output = matches!(unit.role, Role::Output { .. });
            needs.parcels += match unit.queue {
                Some(_) => limits::QUEUE_CREDITS as usize,
                None if is_output => limits::CONSUMER_CREDITS as usize,
                None => 0,
            };
            if unit.queue.is_some() && unit.home == id {
                needs.queued += limits::QUEUE_READS;
                needs.handed += topology.handed_batches(ConsumerId(index as u16));
                if is_output {
                    needs.parcels += limits::QUEUE_DELIVERIES;
                }
            }
        }
        needs
    }
}

fn make_consumer(topology: &Topology, id: ConsumerId) -> Consumer {
    let unit = topology.consumer(id);
    let encoder = match &unit.role {
        Role::Output { encoder, .. } => encoder.as_ref().map(|factory| factory.make()),
        Role::Filter(_) => None,
    };
    Consumer {
        credits: match unit.queue {
            Some(_) => limits::QUEUE_CREDITS,
            None => limits::CONSUMER_CREDITS,
        },
        blocked: VecDeque::new(),
        counters: ConsumerCounters::default(),
        encoder,
        // It is made when the shard opens its plugins.
        filter: None,
        loaded: None,
        ticker: None,
        queue: VecDeque::with_capacity(unit.parcels_max(topology.shards)),
        lent: 0,
        waker: None,
        ended: false,
        standing: Standing::new(unit),
    }
}
