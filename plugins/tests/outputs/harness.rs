//! A daemon of one shard: a socket that lines are fed through, and one output under test.
//!
//! Owns:    `Rig`.
//! Runs on: the test's thread, and one thread for the shard.            Plane: both.
//! Bounds:  every wait ends after `PATIENCE` and fails the test.
//! Never:   depends on speed.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use codecs::message::{Header, MessageRef};
use codecs::splitter::{Splitter, SplitterOptions};
use codecs::splitters::TokenSplitter;
use engine::event::InputCounters;
use engine::io::{RawStream, ShardThread, start_shard};
use engine::pack::ShardId;
use engine::plugin::options::{HekadOptions, OutputOptions, Retries};
use engine::plugin::section::Report;
use engine::plugin::spec::Checked;
use engine::plugin::{
    Build, EncodeContext, EncodeFailure, Encoded, Encoder, EncoderFactory, Fault, Input,
    InputFactory, LocalFuture, OutputFactory, Placement, SplitterFactory,
};
use engine::shard::claims::Claims;
use engine::shard::intake::{Fill, InputContext};
use engine::shard::matchers::Matchers;
use engine::shard::run::{self, Launch, Snapshot, ToControl, ToShard};
use engine::shard::topology::{ConsumerUnit, InputUnit, Load, Role, Topology};
use serde_json::Value;

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

struct Lines;

impl SplitterFactory for Lines {
    fn make(&self) -> Box<dyn Splitter> {
        let splitter = TokenSplitter::new("\n", 1, SplitterOptions::default());
        Box::new(splitter.expect("a valid splitter"))
    }

    fn use_message_bytes(&self) -> bool {
        false
    }
}

/// Reads the socket that the test writes to.
struct Fed(Mutex<Option<UnixStream>>);

impl InputFactory for Fed {
    fn placement(&self) -> Placement {
        Placement::OneShard
    }

    fn make(&self) -> Box<dyn Input> {
        Box::new(FedInstance(self.0.lock().expect("no panic").take()))
    }
}

struct FedInstance(Option<UnixStream>);

impl Input for FedInstance {
    fn open(&mut self, _context: &InputContext) -> Result<(), Fault> {
        Ok(())
    }

    fn run<'a>(&'a mut self, context: &'a InputContext) -> LocalFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let socket = self.0.take().expect("one instance");
            let mut stream = RawStream::from_socket(OwnedFd::from(socket).into())?;
            let mut intake = context.open_stream("test").expect("room for a stream");
            loop {
                match intake.fill(&mut stream).await? {
                    Fill::Received(_) => engine::io::yield_if_needed().await,
                    Fill::End | Fill::Stopped => return Ok(()),
                }
            }
        })
    }
}

/// The payload where it stands, or a copy of it.
pub(crate) enum Payload {
    InPlace,
    Copied,
}

impl EncoderFactory for Payload {
    fn make(&self) -> Box<dyn Encoder> {
        Box::new(match self {
            Payload::InPlace => Payload::InPlace,
            Payload::Copied => Payload::Copied,
        })
    }
}

impl Encoder for Payload {
    fn encode(
        &mut self,
        message: MessageRef<'_>,
        _context: EncodeContext,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeFailure> {
        match self {
            Payload::InPlace => Ok(Encoded::InPlace(
                message.head().text(Header::Payload).unwrap_or_default(),
            )),
            Payload::Copied => {
                out.extend_from_slice(message.payload());
                Ok(Encoded::Appended)
            }
        }
    }
}

/// An output of the table with its options, and what the table says about it.
pub(crate) fn build(type_name: &str, own: &Value, common: &Value) -> Result<Built, Vec<String>> {
    let spec = plugins::ALL
        .iter()
        .find(|spec| spec.name == type_name)
        .expect("a plugin of the table");
    let with = |defaults: serde_json::Map<String, Value>, given: &Value| {
        let mut options = defaults;
        for (key, value) in given.as_object().expect("a table of options") {
            assert!(options.contains_key(key), "{type_name} has no option {key}");
            options.insert(key.clone(), value.clone());
        }
        Value::Object(options)
    };
    let mut report = Report::default();
    let hekad = HekadOptions::default();
    let Build::Output(build) = spec.build else {
        panic!("{type_name} is no output");
    };
    let built = build(Checked {
        name: "under_test",
        own: with(spec.own.defaults(), own),
        common: with(spec.common.defaults(), common),
        hekad: &hekad,
        report: &mut report,
    });
    let complaints: Vec<String> = report
        .into_complaints()
        .into_iter()
        .map(|complaint| format!("{}: {}", complaint.path.join("."), complaint.message))
        .collect();
    match built {
        Some((factory, common)) => Ok(Built {
            factory,
            common,
            warnings: complaints,
        }),
        None => Err(complaints),
    }
}

/// What came of an output's options.
pub(crate) struct Built {
    pub(crate) factory: Box<dyn OutputFactory>,
    pub(crate) common: OutputOptions,
    pub(crate) warnings: Vec<String>,
}

fn consumer(built: Built, encoder: Payload) -> ConsumerUnit {
    ConsumerUnit {
        name: "under_test".to_owned(),
        type_name: "Output",
        matcher: "TRUE".to_owned(),
        signer: String::new(),
        place: None,
        role: Role::Output {
            factory: built.factory,
            encoder: Some(Arc::new(encoder)),
            framing: false,
        },
        ticker_interval: None,
        can_exit: true,
        queue: None,
        letters: None,
        retries: built.common.retries,
        encoder_name: "encoder".to_owned(),
        home: ShardId(0),
    }
}

/// A running shard with one input and one output.
pub(crate) struct Rig {
    pub(crate) feed: Option<UnixStream>,
    orders: flume::Sender<ToShard>,
    news: flume::Receiver<ToControl>,
    thread: ShardThread<Snapshot>,
    heard: String,
}

impl Rig {
    /// Starts an output of the table.
    pub(crate) fn start(type_name: &str, own: &Value, common: &Value, encoder: Payload) -> Rig {
        Rig::start_after(type_name, own, common, encoder, || ())
    }

    /// As `start`, with something done before the output begins.
    pub(crate) fn start_after(
        type_name: &str,
        own: &Value,
        common: &Value,
        encoder: Payload,
        prepare: impl FnOnce(),
    ) -> Rig {
        let built = build(type_name, own, common).unwrap_or_else(|errors| panic!("{errors:?}"));
        let (feed, source) = UnixStream::pair().expect("a pair of sockets");
        let inputs = vec![input(source)];
        let set = matcher::Set::build(&[matcher::Consumer {
            expression: "TRUE",
            signer: None,
        }])
        .expect("a valid expression");
        let topology = Topology {
            matchers: Arc::new(Matchers::new(set, &inputs)),
            inputs,
            consumers: vec![consumer(built, encoder)],
            codecs: Vec::new(),
            reader: None,
            message_bytes_max: codecs::limits::MESSAGE_BYTES_DEFAULT,
            loops_max: 4,
            hostname: "test.example".into(),
            pid: 7,
            shards: 1,
            loads: vec![Load::default()],
            claims: Claims::default(),
        };
        let (orders, order_receiver) = flume::bounded(64);
        let (news_sender, news) = flume::bounded(1024);
        let launch = Launch {
            id: ShardId(0),
            topology: Arc::new(topology),
            senders: vec![None],
            receivers: vec![None],
            queues: Vec::new(),
            orders: order_receiver,
            news: news_sender,
        };
        let thread = start_shard("test", None, move || run::main(launch)).expect("a shard");
        let rig = Rig {
            feed: Some(feed),
            orders,
            news,
            thread,
            heard: String::new(),
        };
        let ready = rig.news.recv_timeout(PATIENCE).expect("ready");
        assert!(matches!(ready, ToControl::Ready { .. }), "{ready:?}");
        prepare();
        rig.tell(ToShard::Start);
        rig
    }

    pub(crate) fn tell(&self, order: ToShard) {
        self.orders.send(order).expect("a shard takes orders");
    }

    /// Writes lines to the input.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let feed = self.feed.as_mut().expect("the feed is open");
        feed.write_all(bytes).expect("the input reads");
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let (reply, answer) = flume::bounded(1);
        self.tell(ToShard::Snapshot(reply));
        answer.recv_timeout(PATIENCE).expect("an answer")
    }

    pub(crate) fn ledger(&self) -> InputCounters {
        self.snapshot().ledgers[0]
    }

    pub(crate) fn wait_for(&self, what: &str, condition: impl Fn(&Snapshot) -> bool) -> Snapshot {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let snapshot = self.snapshot();
            if condition(&snapshot) {
                return snapshot;
            }
            assert!(Instant::now() < deadline, "no {what}: {snapshot:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until the output says something with `text` in it that it has not said before.
    pub(crate) fn wait_notice(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = match self.news.recv_deadline(deadline) {
                Ok(ToControl::Notice(notice)) => notice.text,
                Ok(ToControl::Ended(ended)) => ended.error.unwrap_or_default(),
                Ok(_) => continue,
                Err(_) => panic!("nothing said of `{text}`, last of `{}`", self.heard),
            };
            if said.contains(text) {
                return said;
            }
            self.heard = said;
        }
    }

    /// Closes the feed, waits until everything was delivered, ends the output; answers the last counters.
    pub(crate) fn stop(mut self) -> Snapshot {
        self.feed = None;
        self.wait_for("end of the input", |snapshot| {
            snapshot.streams == 0 && snapshot.batches_in_use == 0
        });
        self.tell(ToShard::StopInputs);
        self.tell(ToShard::EndOutputs);
        self.wait_for("end of the output", |snapshot| {
            snapshot.plugins_running == 0
        });
        self.quit()
    }

    /// Ends at once.
    pub(crate) fn quit(self) -> Snapshot {
        self.tell(ToShard::Quit);
        self.thread.join().expect("a shard ends in order")
    }
}

fn input(source: UnixStream) -> InputUnit {
    InputUnit {
        name: "feed".to_owned(),
        type_name: "Feed",
        factory: Box::new(Fed(Mutex::new(Some(source)))),
        splitter: Arc::new(Lines),
        decoder: None,
        send_decode_failures: false,
        log_decode_failures: true,
        can_exit: true,
        retries: Retries::default(),
        splitter_name: "splitter".to_owned(),
        decoder_name: String::new(),
        home: ShardId(0),
    }
}

/// Lines `from..to`, each its number padded to `width` bytes, newline included.
pub(crate) fn lines(from: usize, to: usize, width: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity((to - from) * width);
    for number in from..to {
        let line = format!("{number:0>digits$}\n", digits = width - 1);
        bytes.extend_from_slice(line.as_bytes());
    }
    bytes
}

/// The numbers of lines, which must all be whole.
pub(crate) fn numbers(bytes: &[u8], width: usize) -> Vec<usize> {
    assert_eq!(bytes.len() % width, 0, "half a line at the end");
    bytes
        .chunks(width)
        .map(|line| {
            let text = std::str::from_utf8(line).expect("digits");
            let digits = text.strip_suffix('\n').expect("a whole line");
            digits.parse().expect("a number")
        })
        .collect()
}
