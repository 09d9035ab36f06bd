//! A daemon in the test's process: a configuration, its shards, and an output that keeps what arrives.
//!
//! Owns:    `Daemon`, which a test starts, asks and stops.
//! Runs on: the test's thread, and one thread a shard.            Plane: both.
//! Bounds:  every wait has a deadline and fails the test.
//! Never:   depends on speed, or on a port that another test could take.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use codecs::field::Value;
use codecs::message::{Header, MessageRef};
use engine::control::config::{Document, Surroundings};
use engine::control::placement;
use engine::control::plan::{Plan, Role};
use engine::event::InputCounters;
use engine::io::clock::Monotonic;
use engine::io::{ShardThread, mesh_channel, sleep, start_shard};
use engine::limits;
use engine::pack::ShardId;
use engine::plugin::{
    EncodeContext, EncodeFailure, Encoded, Encoder, EncoderFactory, Fault, LocalFuture, Output,
    OutputFactory,
};
use engine::shard::delivery::{OutputContext, OutputEvent};
use engine::shard::run::{self, Launch, Snapshot, ToControl, ToShard};
use engine::shard::topology::Topology;

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Messages as `Type|Logger|Hostname|Payload|signer number`, and then `|pid` and `|name=value` for each field.
#[derive(Clone, Default)]
pub(crate) struct Kept {
    pub(crate) messages: Arc<Mutex<Vec<String>>>,
    /// Nothing is taken meanwhile.
    pub(crate) closed: Arc<AtomicBool>,
    /// What comes is not settled.
    pub(crate) withholding: Arc<AtomicBool>,
}

/// Between two looks of the output whether it is to settle what it has.
const SETTLE_LOOK: Duration = Duration::from_millis(2);

struct Shown;

impl EncoderFactory for Shown {
    fn make(&self) -> Box<dyn Encoder> {
        Box::new(Shown)
    }
}

impl Encoder for Shown {
    fn encode(
        &mut self,
        message: MessageRef<'_>,
        _context: EncodeContext,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeFailure> {
        for header in [
            Header::Type,
            Header::Logger,
            Header::Hostname,
            Header::Payload,
        ] {
            out.extend_from_slice(message.header(header));
            out.push(b'|');
        }
        write!(out, "{}", message.head().signer).expect("a Vec takes all");
        if let Some(pid) = message.pid_opt() {
            write!(out, "|{pid}").expect("a Vec takes all");
        }
        for field in message.fields() {
            out.push(b'|');
            out.extend_from_slice(field.name());
            match field.first() {
                Some(Value::String(text)) => out.extend_from_slice(&[b"=", text].concat()),
                Some(Value::Integer(number)) => {
                    write!(out, "={number}").expect("a Vec takes all");
                }
                other => panic!("no input makes {other:?}"),
            }
        }
        Ok(Encoded::Appended)
    }
}

impl OutputFactory for Kept {
    fn make(&self) -> Box<dyn Output> {
        Box::new(self.clone())
    }
}

impl Output for Kept {
    fn run<'a>(&'a mut self, context: &'a mut OutputContext) -> LocalFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let mut withheld = Vec::new();
            loop {
                let look = (!withheld.is_empty()).then(|| Monotonic::now().after(SETTLE_LOOK));
                let event = context.next(look).await;
                let ending = matches!(event, OutputEvent::End);
                if let OutputEvent::Parcel(parcel) = event {
                    while self.closed.load(Ordering::Acquire) {
                        sleep(Duration::from_millis(1)).await;
                    }
                    let records = (0..parcel.len()).map(|index| parcel.record(index));
                    let texts = records.map(|record| String::from_utf8_lossy(record).into_owned());
                    self.messages.lock().expect("no panic").extend(texts);
                    withheld.push(parcel);
                }
                if ending || !self.withholding.load(Ordering::Acquire) {
                    withheld.drain(..).for_each(|parcel| context.settle(parcel));
                }
                if ending {
                    return Ok(());
                }
            }
        })
    }
}

/// Running shards.
pub(crate) struct Daemon {
    threads: Vec<ShardThread<Snapshot>>,
    orders: Vec<flume::Sender<ToShard>>,
    pub(crate) news: flume::Receiver<ToControl>,
    pub(crate) kept: Kept,
    pub(crate) notices: Mutex<Vec<String>>,
}

impl Daemon {
    /// Starts shards under the given sections, which name one input first.
    pub(crate) fn start(shards: u16, sections: &str) -> Daemon {
        Daemon::try_start(shards, sections).unwrap_or_else(|errors| panic!("{errors:?}"))
    }

    /// As `start`; answers what the inputs could not open.
    pub(crate) fn try_start(shards: u16, sections: &str) -> Result<Daemon, Vec<String>> {
        let keep =
            "[keep]\ntype = 'LogOutput'\nmessage_matcher = 'TRUE'\nencoder = 'ProtobufEncoder'\n";
        let texts = vec![("hekad.toml".to_owned(), format!("{sections}\n{keep}"))];
        let surroundings = Surroundings {
            variable: Box::new(|_| None),
            hostname: "here".to_owned(),
        };
        let plan = Document::parse(texts, &surroundings)
            .and_then(|document| Plan::build(&document, plugins::ALL));
        let mut plan = plan.unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        let kept = Kept::default();
        for consumer in &mut plan.consumers {
            if let Role::Output {
                factory,
                encoder,
                framing,
                ..
            } = &mut consumer.role
            {
                *factory = Box::new(kept.clone());
                *encoder = Some(Arc::new(Shown));
                *framing = false;
            }
        }
        let topology = placement::topology(plan, shards, "here".to_owned()).expect("few consumers");
        Daemon::launch(&Arc::new(topology), kept)
    }

    fn launch(topology: &Arc<Topology>, kept: Kept) -> Result<Daemon, Vec<String>> {
        let count = topology.shards as usize;
        let (news_sender, news) = flume::bounded(1024);
        let none = |count| (0..count).map(|_| None).collect::<Vec<_>>();
        let mut senders: Vec<Vec<_>> = (0..count).map(|_| none(count)).collect();
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
        for (id, (senders, receivers)) in senders.into_iter().zip(receivers).enumerate() {
            let (order_sender, order_receiver) = flume::bounded(64);
            let launch = Launch {
                id: ShardId(id as u16),
                topology: Arc::clone(topology),
                senders,
                receivers,
                queues: Vec::new(),
                orders: order_receiver,
                news: news_sender.clone(),
            };
            threads.push(start_shard("test", None, move || run::main(launch)).expect("a shard"));
            orders.push(order_sender);
        }
        let daemon = Daemon {
            threads,
            orders,
            news,
            kept,
            notices: Mutex::default(),
        };
        let mut faults = Vec::new();
        let mut opening = count;
        while opening > 0 {
            match daemon.news.recv_timeout(PATIENCE).expect("ready") {
                ToControl::Ready { errors, .. } => {
                    opening -= 1;
                    faults.extend(errors.into_iter().map(|(_, fault)| fault.message));
                }
                ToControl::Notice(notice) => {
                    daemon.notices.lock().expect("no panic").push(notice.text);
                }
                other => panic!("unexpected {other:?}"),
            }
        }
        if faults.is_empty() {
            daemon.tell(|| ToShard::Start);
            return Ok(daemon);
        }
        daemon.quit();
        Err(faults)
    }

    pub(crate) fn tell(&self, order: impl Fn() -> ToShard) {
        for shard in &self.orders {
            shard.send(order()).expect("a shard takes orders");
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

    /// The input's ledger, over all shards.
    pub(crate) fn ledger(&self) -> InputCounters {
        let mut sum = InputCounters::default();
        for snapshot in self.snapshots() {
            sum.merge(&snapshot.ledgers[0]);
        }
        sum
    }

    /// A number of the input's ledger on each shard.
    pub(crate) fn by_shard(&self, number: impl Fn(&InputCounters) -> u64) -> Vec<u64> {
        let ledgers = self.snapshots();
        ledgers
            .iter()
            .map(|snapshot| number(&snapshot.ledgers[0]))
            .collect()
    }

    /// Waits until the ledger is as asked for.
    pub(crate) fn wait_for(
        &self,
        what: &str,
        mut condition: impl FnMut(&InputCounters) -> bool,
    ) -> InputCounters {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ledger = self.ledger();
            if condition(&ledger) {
                return ledger;
            }
            assert!(Instant::now() < deadline, "no {what}: {ledger:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until so many messages have been delivered and nothing is in flight; they come sorted.
    pub(crate) fn messages(&self, count: u64) -> Vec<String> {
        let ledger = self.wait_for("delivery", |ledger| ledger.delivered >= count);
        assert_eq!((ledger.delivered, ledger.in_flight()), (count, 0));
        let mut kept = self.kept.messages.lock().expect("no panic").clone();
        kept.sort();
        kept
    }

    /// Waits for a notice that contains a text.
    pub(crate) fn wait_for_notice(&self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut notices = self.notices.lock().expect("no panic");
        loop {
            if let Some(notice) = notices.iter().find(|notice| notice.contains(text)) {
                return notice.clone();
            }
            match self.news.recv_deadline(deadline) {
                Ok(ToControl::Notice(notice)) => notices.push(notice.text),
                Ok(_) => {}
                Err(_) => panic!("no notice about {text:?}: {notices:?}"),
            }
        }
    }

    /// Has the inputs stop, waits until they have, and ends the shards.
    pub(crate) fn stop(self) -> InputCounters {
        self.tell(|| ToShard::StopInputs);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let snapshots = self.snapshots();
            let running: usize = snapshots.iter().map(|shard| shard.plugins_running).sum();
            let streams: usize = snapshots
                .iter()
                .map(|shard| shard.streams + shard.streams_left)
                .sum();
            // The output is what still runs.
            if (running, streams) == (1, 0) {
                break;
            }
            assert!(
                Instant::now() < deadline,
                "inputs do not stop: {snapshots:?}"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        let ledger = self.ledger();
        self.quit();
        ledger
    }

    pub(crate) fn quit(self) {
        self.tell(|| ToShard::Quit);
        for thread in self.threads {
            thread.join().expect("a shard ends in order");
        }
    }
}
