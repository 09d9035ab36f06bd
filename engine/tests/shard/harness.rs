//! Real shards under test plugins: an input that replays bytes, filters and outputs that record.
//!
//! Owns:    the `Daemon` that a test starts, asks and stops.
//! Runs on: the test's thread, and one thread a shard.            Plane: both.
//! Bounds:  every wait has a deadline and fails the test.
//! Never:   depends on speed.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use codecs::splitter::Splitter;
use engine::control::queues;
use engine::event::{DropCause, InputCounters};
use engine::io::{ByteStream, ShardThread, mesh_channel, start_shard};
use engine::limits;
use engine::pack::ShardId;
use engine::plugin::options::{self, Retries};
use engine::plugin::{
    DecodeError, DecodeInput, Decoded, Decoder, EncodeContext, EncodeFailure, Encoded, Encoder,
    EncoderFactory, Fault, Filter, FilterContext, FilterFactory, Input, InputFactory, LocalFuture,
    Output, OutputFactory, Placement, Selection, SplitterFactory,
};
use engine::shard::claims::Claims;
use engine::shard::delivery::{OutputContext, OutputEvent};
use engine::shard::intake::{Fill, InputContext};
use engine::shard::matchers::{Exchange, Matchers};
use engine::shard::run::{self, Launch, Snapshot, ToControl, ToShard};
use engine::shard::topology::{
    ConsumerUnit, InputUnit, LettersUnit, Load, MakeDecoder, QueueUnit, Role, Topology,
};
use matcher::{Consumer, Set};

use crate::flaky::Fuse;

/// Matches all but what the daemon itself says of a plugin that has ended.
pub(crate) const RECEIVED: &str = "Type != 'heka.terminated'";

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Restarts without end and without much of a wait.
fn quick() -> Retries {
    Retries {
        max_delay: options::Duration::milliseconds(20),
        delay: options::Duration::milliseconds(10),
        max_jitter: options::Duration::milliseconds(0),
        max_retries: -1,
    }
}

/// Bytes that are read as one stream, `piece` at a time.
#[derive(Clone)]
pub(crate) struct Replay {
    pub(crate) bytes: Arc<Vec<u8>>,
    pub(crate) piece: usize,
    pub(crate) repeat: usize,
}

pub(crate) struct ReplayStream {
    replay: Replay,
    at: usize,
    round: usize,
    /// Neither ends nor sends anything more.
    stays: bool,
    /// Burns where the stream ends.
    pub(crate) fuse: Option<Fuse>,
}

impl ReplayStream {
    pub(crate) fn new(replay: Replay) -> ReplayStream {
        ReplayStream {
            replay,
            at: 0,
            round: 0,
            stays: false,
            fuse: None,
        }
    }
}

impl ByteStream for ReplayStream {
    fn poll_read(&mut self, _cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.at == self.replay.bytes.len() {
            if let Some(fuse) = &self.fuse {
                fuse.blow();
            }
            self.round += 1;
            if self.round >= self.replay.repeat && self.stays {
                self.round = self.replay.repeat;
                return Poll::Pending;
            }
            if self.round >= self.replay.repeat {
                return Poll::Ready(Ok(0));
            }
            self.at = 0;
        }
        let rest = &self.replay.bytes[self.at..];
        let len = rest.len().min(buffer.len()).min(self.replay.piece);
        buffer[..len].copy_from_slice(&rest[..len]);
        self.at += len;
        Poll::Ready(Ok(len))
    }

    fn poll_write(&mut self, _cx: &mut Context<'_>, _bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }

    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// An input that replays one stream per shard that it lives on.
pub(crate) struct ReplayInput {
    pub(crate) replay: Replay,
    pub(crate) placement: Placement,
}

impl InputFactory for ReplayInput {
    fn placement(&self) -> Placement {
        self.placement
    }

    fn make(&self) -> Box<dyn Input> {
        Box::new(ReplayInstance(self.replay.clone()))
    }
}

struct ReplayInstance(Replay);

impl Input for ReplayInstance {
    fn open(&mut self, _context: &InputContext) -> Result<(), Fault> {
        Ok(())
    }

    fn run<'a>(&'a mut self, context: &'a InputContext) -> LocalFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let mut intake = context
                .open_stream("replay")
                .ok_or_else(|| Fault::new("too many streams"))?;
            let mut stream = ReplayStream::new(self.0.clone());
            loop {
                match intake.fill(&mut stream).await? {
                    Fill::Received(_) => engine::io::yield_if_needed().await,
                    Fill::End | Fill::Stopped => return Ok(()),
                }
            }
        })
    }
}

/// An input of many streams that each replay the same bytes, once `begin` is set.
#[derive(Clone)]
pub(crate) struct Many {
    pub(crate) replay: Replay,
    pub(crate) streams: usize,
    /// Streams stay open when all is read.
    pub(crate) stay: bool,
    pub(crate) begin: Arc<AtomicBool>,
}

impl InputFactory for Many {
    fn placement(&self) -> Placement {
        Placement::OneShard
    }

    fn make(&self) -> Box<dyn Input> {
        Box::new(self.clone())
    }
}

impl Input for Many {
    fn open(&mut self, _context: &InputContext) -> Result<(), Fault> {
        Ok(())
    }

    fn run<'a>(&'a mut self, context: &'a InputContext) -> LocalFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            while !self.begin.load(Ordering::Acquire) {
                engine::io::sleep(Duration::from_millis(1)).await;
            }
            for _ in 0..self.streams {
                let mut intake = context
                    .open_stream("many")
                    .ok_or_else(|| Fault::new("too many streams"))?;
                let mut stream = ReplayStream {
                    stays: self.stay,
                    ..ReplayStream::new(self.replay.clone())
                };
                let input = context.clone();
                context.spawn(async move {
                    loop {
                        match intake.fill(&mut stream).await {
                            Ok(Fill::Received(_)) => engine::io::yield_if_needed().await,
                            Ok(Fill::End | Fill::Stopped) => return,
                            Err(_) => {
                                return input.count(|counters| counters.stream_errors += 1);
                            }
                        }
                    }
                });
            }
            Ok(())
        })
    }
}

/// A splitter made by a function.
pub(crate) struct SplitBy {
    pub(crate) make: fn() -> Box<dyn Splitter>,
    pub(crate) message_bytes: bool,
}

impl SplitterFactory for SplitBy {
    fn make(&self) -> Box<dyn Splitter> {
        (self.make)()
    }

    fn use_message_bytes(&self) -> bool {
        self.message_bytes
    }
}

/// Decodes a message from its protobuf.
pub(crate) struct FromProtobuf;

impl Decoder for FromProtobuf {
    fn decode(
        &mut self,
        draft: &mut codecs::message::Draft<'_>,
        input: DecodeInput,
    ) -> Result<Decoded, DecodeError> {
        draft.index_protobuf(input.content)?;
        Ok(Decoded::Message)
    }
}

/// A filter that counts, and on demand injects one message for each that it sees.
#[derive(Clone, Default)]
pub(crate) struct Count {
    pub(crate) seen: Arc<AtomicU64>,
    pub(crate) inject: bool,
}

impl FilterFactory for Count {
    fn make(&self) -> Box<dyn Filter> {
        Box::new(self.clone())
    }
}

impl Filter for Count {
    fn process(
        &mut self,
        messages: Selection<'_>,
        context: &mut dyn FilterContext,
    ) -> Result<(), Fault> {
        self.seen
            .fetch_add(messages.len() as u64, Ordering::Relaxed);
        if self.inject {
            for _ in 0..messages.len() {
                context.inject(&mut |draft| draft.set(codecs::message::Header::Type, "injected"));
            }
        }
        Ok(())
    }
}

/// An encoder that gives the payload as it stands.
pub(crate) struct Payload;

impl EncoderFactory for Payload {
    fn make(&self) -> Box<dyn Encoder> {
        Box::new(Payload)
    }
}

impl Encoder for Payload {
    fn encode(
        &mut self,
        message: codecs::message::MessageRef<'_>,
        _context: EncodeContext,
        _out: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeFailure> {
        let span = message
            .head()
            .text(codecs::message::Header::Payload)
            .unwrap_or_default();
        Ok(Encoded::InPlace(span))
    }
}

/// An output that keeps what it gets, while its gate is open.
#[derive(Clone, Default)]
pub(crate) struct Keep {
    pub(crate) kept: Arc<Mutex<Vec<u8>>>,
    pub(crate) closed: Arc<AtomicBool>,
    pub(crate) drop_every: Option<usize>,
    /// End with an error for good at the first parcel.
    pub(crate) fail: bool,
    /// Panic at every parcel.
    pub(crate) panic: bool,
}

impl OutputFactory for Keep {
    fn make(&self) -> Box<dyn Output> {
        Box::new(self.clone())
    }
}

impl Output for Keep {
    fn run<'a>(&'a mut self, context: &'a mut OutputContext) -> LocalFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            loop {
                match context.next(None).await {
                    OutputEvent::Parcel(mut parcel) => {
                        assert!(!self.panic, "told to panic");
                        if self.fail {
                            parcel.drop_from(0, DropCause::DestinationEnded);
                            context.settle(parcel);
                            return Err(Fault::for_good("told to fail"));
                        }
                        while self.closed.load(Ordering::Acquire) {
                            engine::io::sleep(Duration::from_millis(1)).await;
                        }
                        for index in 0..parcel.len() {
                            match self.drop_every {
                                Some(every) if index % every == 0 => {
                                    parcel.drop_record(index, DropCause::Refused)
                                }
                                _ => self
                                    .kept
                                    .lock()
                                    .expect("no panic")
                                    .extend_from_slice(parcel.record(index)),
                            }
                        }
                        context.settle(parcel);
                    }
                    OutputEvent::End => return Ok(()),
                    OutputEvent::Deadline | OutputEvent::Tick | OutputEvent::Reopen => {}
                }
            }
        })
    }
}

/// A plan under construction.
pub(crate) struct Plan {
    pub(crate) inputs: Vec<InputUnit>,
    pub(crate) consumers: Vec<ConsumerUnit>,
    pub(crate) shards: u16,
    pub(crate) message_bytes_max: usize,
}

impl Plan {
    pub(crate) fn new(shards: u16) -> Plan {
        Plan {
            inputs: Vec::new(),
            consumers: Vec::new(),
            shards,
            message_bytes_max: codecs::limits::MESSAGE_BYTES_DEFAULT,
        }
    }

    pub(crate) fn input(
        mut self,
        factory: impl InputFactory + 'static,
        splitter: SplitBy,
        decoder: Option<MakeDecoder>,
    ) -> Plan {
        self.inputs.push(InputUnit {
            name: format!("input{}", self.inputs.len()),
            type_name: "ReplayInput",
            factory: Box::new(factory),
            splitter: Arc::new(splitter),
            decoder,
            send_decode_failures: false,
            log_decode_failures: true,
            can_exit: true,
            retries: quick(),
            splitter_name: "splitter".to_owned(),
            decoder_name: "decoder".to_owned(),
            home: ShardId(0),
        });
        self
    }

    pub(crate) fn consumer(mut self, role: Role, matcher: &str, home: u16) -> Plan {
        self.consumers.push(ConsumerUnit {
            name: format!("consumer{}", self.consumers.len()),
            type_name: "Test",
            matcher: matcher.to_owned(),
            signer: String::new(),
            place: None,
            role,
            ticker_interval: None,
            can_exit: true,
            queue: None,
            letters: None,
            retries: quick(),
            encoder_name: "encoder".to_owned(),
            home: ShardId(home),
        });
        self
    }

    /// Gives the last consumer a disk queue.
    pub(crate) fn queued(mut self, queue: QueueUnit) -> Plan {
        self.consumers.last_mut().expect("a consumer").queue = Some(queue);
        self
    }

    /// How often the last consumer is started again.
    pub(crate) fn max_retries(mut self, max_retries: i64) -> Plan {
        let consumer = self.consumers.last_mut().expect("a consumer");
        consumer.retries.max_retries = max_retries;
        self
    }

    /// The daemon cannot do without the last consumer.
    pub(crate) fn needed(mut self) -> Plan {
        self.consumers.last_mut().expect("a consumer").can_exit = false;
        self
    }

    /// Has the last consumer keep dead letters.
    pub(crate) fn letters(mut self, letters: LettersUnit) -> Plan {
        self.consumers.last_mut().expect("a consumer").letters = Some(letters);
        self
    }

    pub(crate) fn filter(self, filter: Count, matcher: &str, home: u16) -> Plan {
        self.consumer(Role::Filter(Box::new(filter)), matcher, home)
    }

    pub(crate) fn output(self, output: Keep, matcher: &str, home: u16) -> Plan {
        let role = Role::Output {
            factory: Box::new(output),
            encoder: Some(Arc::new(Payload)),
            framing: false,
        };
        self.consumer(role, matcher, home)
    }

    pub(crate) fn start(self) -> Daemon {
        Daemon::start(Arc::new(self.topology()))
    }

    pub(crate) fn topology(self) -> Topology {
        let expressions: Vec<Consumer<'_>> = self
            .consumers
            .iter()
            .map(|unit| Consumer {
                expression: &unit.matcher,
                signer: None,
            })
            .collect();
        let set = Set::build(&expressions).expect("valid expressions");
        let matchers = Arc::new(Matchers::new(set, &self.inputs));
        Topology {
            inputs: self.inputs,
            consumers: self.consumers,
            matchers,
            codecs: Vec::new(),
            reader: None,
            message_bytes_max: self.message_bytes_max,
            loops_max: 4,
            hostname: "test.example".into(),
            pid: 7,
            shards: self.shards,
            loads: (0..self.shards).map(|_| Load::default()).collect(),
            claims: Claims::default(),
        }
    }
}

/// Running shards.
pub(crate) struct Daemon {
    pub(crate) topology: Arc<Topology>,
    threads: Vec<ShardThread<Snapshot>>,
    orders: Vec<flume::Sender<ToShard>>,
    pub(crate) news: flume::Receiver<ToControl>,
}

impl Daemon {
    fn start(topology: Arc<Topology>) -> Daemon {
        let count = topology.shards as usize;
        let (news_sender, news) = flume::bounded(1024);
        let mut senders: Vec<Vec<_>> = (0..count)
            .map(|_| (0..count).map(|_| None).collect())
            .collect();
        let mut receivers: Vec<Vec<_>> = (0..count)
            .map(|_| (0..count).map(|_| None).collect())
            .collect();
        for from in 0..count {
            for to in (0..count).filter(|&to| to != from) {
                let ends = mesh_channel(limits::mesh_capacity(topology.consumers.len()));
                senders[from][to] = Some(ends.sender);
                receivers[to][from] = Some(ends.receiver);
            }
        }
        let (mut threads, mut orders) = (Vec::new(), Vec::new());
        let opened = queues::open(&topology);
        assert!(opened.errors.is_empty(), "{:?}", opened.errors);
        let ends = senders.into_iter().zip(receivers).zip(opened.ends);
        for (id, ((senders, receivers), queues)) in ends.enumerate() {
            let (order_sender, order_receiver) = flume::bounded(64);
            let launch = Launch {
                id: ShardId(id as u16),
                topology: Arc::clone(&topology),
                senders,
                receivers,
                queues,
                orders: order_receiver,
                news: news_sender.clone(),
            };
            threads.push(start_shard("test", None, move || run::main(launch)).expect("a shard"));
            orders.push(order_sender);
        }
        let daemon = Daemon {
            topology,
            threads,
            orders,
            news,
        };
        for _ in 0..count {
            match daemon.news.recv_timeout(PATIENCE).expect("ready") {
                ToControl::Ready { errors, .. } => assert!(errors.is_empty(), "{errors:?}"),
                other => panic!("unexpected {other:?}"),
            }
        }
        daemon.tell(|| ToShard::Start);
        daemon
    }

    pub(crate) fn tell(&self, order: impl Fn() -> ToShard) {
        for shard in &self.orders {
            shard.send(order()).expect("a shard takes orders");
        }
    }

    /// Puts other matchers into force on every shard; answers when they are.
    pub(crate) fn exchange(&self, expressions: &[&str]) {
        let consumers: Vec<Consumer<'_>> = expressions
            .iter()
            .map(|expression| Consumer {
                expression,
                signer: None,
            })
            .collect();
        let set = Set::build(&consumers).expect("valid expressions");
        let next = Arc::new(Matchers::new(set, &self.topology.inputs));
        let (done, retired) = flume::bounded(self.orders.len());
        self.tell(|| {
            let current = &self.topology.matchers;
            ToShard::Matchers(Box::new(Exchange::prepare(current, &next, done.clone())))
        });
        for _ in &self.orders {
            retired.recv_timeout(PATIENCE).expect("an exchange");
        }
    }

    pub(crate) fn snapshots(&self) -> Vec<Snapshot> {
        let (reply, answers) = flume::bounded(self.orders.len());
        self.tell(|| ToShard::Snapshot(reply.clone()));
        self.orders
            .iter()
            .map(|_| answers.recv_timeout(PATIENCE).expect("an answer"))
            .collect()
    }

    /// The ledger of one input (or, after them, of one consumer's injections), over all shards.
    pub(crate) fn ledger(&self, index: usize) -> InputCounters {
        let mut sum = InputCounters::default();
        for snapshot in self.snapshots() {
            sum.merge(&snapshot.ledgers[index]);
        }
        sum
    }

    pub(crate) fn wait_for(
        &self,
        what: &str,
        mut condition: impl FnMut(&[Snapshot]) -> bool,
    ) -> Vec<Snapshot> {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let snapshots = self.snapshots();
            if condition(&snapshots) {
                return snapshots;
            }
            assert!(
                std::time::Instant::now() < deadline,
                "no {what}: {snapshots:?}"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until the inputs have ended and nothing is in flight.
    pub(crate) fn wait_until_idle(&self) -> Vec<Snapshot> {
        self.wait_for("rest", |snapshots| {
            let running: usize = snapshots
                .iter()
                .map(|snapshot| snapshot.inputs_running)
                .sum();
            running == 0
                && snapshots.iter().all(|snapshot| {
                    snapshot.batches_in_use == 0
                        && snapshot.injections_in_use == 0
                        && snapshot.streams == 0
                })
        })
    }

    pub(crate) fn stop(self) -> Vec<Snapshot> {
        self.tell(|| ToShard::EndOutputs);
        self.wait_for("end", |snapshots| {
            snapshots
                .iter()
                .all(|snapshot| snapshot.plugins_running == 0)
        });
        self.tell(|| ToShard::Quit);
        self.join()
    }

    /// Ends at once. What its tasks had, files and locks among it, stays open until the process ends.
    pub(crate) fn quit(self) -> Vec<Snapshot> {
        self.tell(|| ToShard::Quit);
        self.join()
    }

    fn join(self) -> Vec<Snapshot> {
        self.threads
            .into_iter()
            .map(|thread| thread.join().expect("a shard ends in order"))
            .collect()
    }
}
