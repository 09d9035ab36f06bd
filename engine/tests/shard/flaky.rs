//! Test plugins that fail in a chosen place, so often, and then work.
//!
//! Owns:    `Fuse`, and one plugin of each kind that burns it.
//! Runs on: shards of tests.            Plane: data.
//! Bounds:  as many failures as a test asks for.
//! Never:   fails once the fuse is burnt.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use codecs::error::Full;
use codecs::message::{Draft, Header, MessageRef};
use codecs::splitter::{Split, Splitter, SplitterOptions};
use codecs::splitters::TokenSplitter;
use engine::event::DropCause;
use engine::io::Worker;
use engine::plugin::{
    DecodeError, DecodeInput, Decoded, Decoder, EncodeContext, EncodeFailure, Encoded, Encoder,
    EncoderFactory, Fault, Filter, FilterContext, FilterFactory, Input, InputFactory, LocalFuture,
    Output, OutputFactory, Placement, Selection,
};
use engine::shard::delivery::{OutputContext, OutputEvent};
use engine::shard::intake::{Fill, InputContext};
use engine::shard::parcel::Parcel;

use engine::shard::topology::Role;

use crate::harness::{Keep, Replay, ReplayStream};

/// How a plugin fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Panic,
    Fault,
}

/// How often a plugin still fails, all instances together.
#[derive(Clone)]
pub(crate) struct Fuse {
    left: Arc<AtomicU32>,
    how: How,
}

impl Fuse {
    pub(crate) fn new(failures: u32, how: How) -> Fuse {
        Fuse {
            left: Arc::new(AtomicU32::new(failures)),
            how,
        }
    }

    pub(crate) fn left(&self) -> u32 {
        self.left.load(Ordering::Acquire)
    }

    /// Fails if it is to.
    pub(crate) fn burn(&self) -> Result<(), Fault> {
        if !self.is_to_fail() {
            return Ok(());
        }
        match self.how {
            How::Panic => panic!("told to panic"),
            How::Fault => Err(Fault::new("told to fail")),
        }
    }

    /// As `burn`, where only a panic is possible.
    pub(crate) fn blow(&self) {
        assert!(!self.is_to_fail(), "told to panic");
    }

    fn is_to_fail(&self) -> bool {
        let burn = |left: u32| left.checked_sub(1);
        self.left
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, burn)
            .is_ok()
    }
}

/// Where an output fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// When it is made.
    Make,
    /// Before it has a future.
    Run,
    /// Before it takes anything.
    Begin,
    /// With one parcel in hand.
    One,
    /// With all parcels in hand that are there, and the first half written.
    Many,
    /// While a thread of its own has its parcels, which it lets go of when `release` is set.
    Thread,
    /// When it looks at poison, whatever else it has.
    Poison,
    /// When it is told that nothing more comes.
    End,
}

/// An output that keeps what it gets.
#[derive(Clone)]
pub(crate) struct FlakyOutput {
    pub(crate) kept: Arc<Mutex<Vec<u8>>>,
    pub(crate) moment: Moment,
    pub(crate) fuse: Fuse,
    pub(crate) release: Arc<AtomicBool>,
    /// Fail with all of a parcel's records but the first delivered for good.
    pub(crate) first: bool,
}

impl FlakyOutput {
    pub(crate) fn new(moment: Moment, fuse: &Fuse) -> FlakyOutput {
        FlakyOutput {
            kept: Arc::default(),
            moment,
            fuse: fuse.clone(),
            release: Arc::default(),
            first: false,
        }
    }

    fn fail_at(&self, moment: Moment) -> Result<(), Fault> {
        if self.moment == moment {
            self.fuse.burn()?;
        }
        Ok(())
    }

    fn keep(&self, parcel: &Parcel) {
        let mut kept = self.kept.lock().expect("no panic while it is locked");
        for record in parcel.records() {
            kept.extend_from_slice(record);
        }
    }

    /// Leaves a parcel to a thread that is slow with it, and does not wait.
    async fn hand_over(&self, worker: &Worker, parcel: Box<Parcel>) {
        let release = Arc::clone(&self.release);
        let job = worker.run(move || {
            while !release.load(Ordering::Acquire) {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            drop(parcel);
        });
        futures_lite::future::poll_once(Box::pin(job)).await;
    }

    async fn take(
        &self,
        context: &mut OutputContext,
        worker: &Worker,
        mut parcel: Box<Parcel>,
    ) -> Result<(), Fault> {
        if self.moment == Moment::Thread && self.fuse.left() > 0 {
            self.hand_over(worker, parcel).await;
            return self.fuse.burn();
        }
        if self.first && self.fuse.left() > 0 && parcel.len() > 1 {
            let rest = parcel.len() - 1;
            self.kept
                .lock()
                .expect("no panic while it is locked")
                .extend(parcel.records().take(rest).flatten());
            parcel.took(rest);
        }
        self.fail_at(Moment::One)?;
        if self.moment == Moment::Poison {
            let mut parcels = vec![parcel];
            parcels.extend(std::iter::from_fn(|| context.next_ready()));
            for parcel in parcels {
                if parcel.records().any(is_poison) {
                    self.fuse.burn()?;
                }
                self.keep(&parcel);
                context.settle(parcel);
            }
            return Ok(());
        }
        if self.moment != Moment::Many {
            self.keep(&parcel);
            context.settle(parcel);
            return Ok(());
        }
        let mut parcels = vec![parcel];
        while let Some(parcel) = context.next_ready() {
            parcels.push(parcel);
        }
        // In the opposite order: what comes back has to be in the right one nevertheless.
        parcels.reverse();
        self.fail_at(Moment::Many)?;
        for parcel in parcels.into_iter().rev() {
            self.keep(&parcel);
            context.settle(parcel);
        }
        Ok(())
    }
}

impl OutputFactory for FlakyOutput {
    fn make(&self) -> Box<dyn Output> {
        if self.moment == Moment::Make {
            self.fuse.blow();
        }
        Box::new(self.clone())
    }
}

impl Output for FlakyOutput {
    fn run<'a>(&'a mut self, context: &'a mut OutputContext) -> LocalFuture<'a, Result<(), Fault>> {
        if self.moment == Moment::Run {
            self.fuse.blow();
        }
        Box::pin(async move {
            self.fail_at(Moment::Begin)?;
            let worker = Worker::start(context.name())?;
            loop {
                match context.next(None).await {
                    OutputEvent::Parcel(parcel) => self.take(context, &worker, parcel).await?,
                    OutputEvent::End => {
                        self.fail_at(Moment::End)?;
                        return Ok(());
                    }
                    OutputEvent::Deadline | OutputEvent::Tick | OutputEvent::Reopen => {}
                }
            }
        })
    }
}

/// Where an input fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// When the second and later instances are made.
    Make,
    /// When the second and later instances open.
    Open,
    /// Between two pieces.
    Run,
    /// In a task beside it.
    Task,
    /// While the stream is read.
    Read,
}

/// An input that replays pieces, one after the other, each as a stream of its own. It fails after each one.
#[derive(Clone)]
pub(crate) struct FlakyInput {
    pub(crate) pieces: Arc<Vec<Vec<u8>>>,
    pub(crate) next: Arc<AtomicUsize>,
    pub(crate) part: Part,
    pub(crate) fuse: Fuse,
    /// Tasks beside it that were dropped.
    pub(crate) dropped: Arc<AtomicUsize>,
}

impl InputFactory for FlakyInput {
    fn placement(&self) -> Placement {
        Placement::OneShard
    }

    fn make(&self) -> Box<dyn Input> {
        if self.part == Part::Make && self.is_again() {
            self.fuse.blow();
        }
        Box::new(self.clone())
    }
}

impl FlakyInput {
    fn is_again(&self) -> bool {
        self.next.load(Ordering::Acquire) > 0
    }

    /// One piece as a stream.
    async fn replay(&self, context: &InputContext, piece: &[u8]) -> Result<(), Fault> {
        let mut intake = context
            .open_stream("flaky")
            .ok_or_else(|| Fault::new("too many streams"))?;
        let replay = Replay {
            bytes: Arc::new(piece.to_vec()),
            piece: usize::MAX,
            repeat: 1,
        };
        let mut stream = ReplayStream::new(replay);
        if self.part == Part::Read {
            stream.fuse = Some(self.fuse.clone());
        }
        loop {
            match intake.fill(&mut stream).await? {
                Fill::Received(_) => engine::io::yield_if_needed().await,
                Fill::End | Fill::Stopped => return Ok(()),
            }
        }
    }
}

struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

impl Input for FlakyInput {
    fn open(&mut self, _context: &InputContext) -> Result<(), Fault> {
        if self.part == Part::Open && self.is_again() {
            self.fuse.burn()?;
        }
        Ok(())
    }

    fn run<'a>(&'a mut self, context: &'a InputContext) -> LocalFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            // Never ends by itself.
            let beside = Dropped(Arc::clone(&self.dropped));
            if self.fuse.left() > 0 {
                context.spawn(async move {
                    let _beside = beside;
                    std::future::pending::<()>().await;
                });
            }
            loop {
                let at = self.next.fetch_add(1, Ordering::AcqRel);
                let Some(piece) = self.pieces.get(at) else {
                    return Ok(());
                };
                self.replay(context, piece).await?;
                match self.part {
                    Part::Run => self.fuse.burn()?,
                    Part::Task if self.fuse.left() > 0 => {
                        let fuse = self.fuse.clone();
                        context.spawn(async move { fuse.blow() });
                        std::future::pending::<()>().await;
                    }
                    // The next instance is the one that fails.
                    Part::Make | Part::Open if self.fuse.left() > 0 => {
                        return Err(Fault::new("ends, so that another one begins"));
                    }
                    _ => {}
                }
            }
        })
    }
}

/// An input of two parts: one panics each time that it begins, the other replays.
#[derive(Clone)]
pub(crate) struct TwoParts {
    pub(crate) replay: Replay,
    /// What became of the one.
    pub(crate) faults: Arc<Mutex<Vec<String>>>,
}

impl InputFactory for TwoParts {
    fn placement(&self) -> Placement {
        Placement::OneShard
    }

    fn make(&self) -> Box<dyn Input> {
        Box::new(self.clone())
    }
}

impl Input for TwoParts {
    fn open(&mut self, _context: &InputContext) -> Result<(), Fault> {
        Ok(())
    }

    fn run<'a>(&'a mut self, context: &'a InputContext) -> LocalFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let (own, faults) = (context.clone(), Arc::clone(&self.faults));
            context.spawn(async move {
                for _ in 0..3 {
                    let part: Result<(), Fault> = own
                        .contained(Box::pin(async {
                            engine::io::yield_if_needed().await;
                            panic!("told to panic")
                        }))
                        .await;
                    let fault = part.expect_err("it panics").to_string();
                    faults.lock().expect("no panic").push(fault);
                }
            });
            let mut intake = context
                .open_stream("parts")
                .ok_or_else(|| Fault::new("too many streams"))?;
            let mut stream = ReplayStream::new(self.replay.clone());
            loop {
                match intake.fill(&mut stream).await? {
                    Fill::Received(_) => engine::io::yield_if_needed().await,
                    Fill::End | Fill::Stopped => return Ok(()),
                }
            }
        })
    }
}

/// Where a filter fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Make,
    Process,
    /// While it fills in the second message that it injects.
    Inject,
    Tick,
}

/// A filter that notes the messages it gets.
#[derive(Clone)]
pub(crate) struct FlakyFilter {
    pub(crate) seen: Arc<Mutex<Vec<u8>>>,
    pub(crate) call: Call,
    pub(crate) fuse: Fuse,
    /// Instances that have been made.
    pub(crate) made: Arc<AtomicU32>,
}

impl FlakyFilter {
    pub(crate) fn new(call: Call, fuse: &Fuse) -> FlakyFilter {
        FlakyFilter {
            seen: Arc::default(),
            call,
            fuse: fuse.clone(),
            made: Arc::default(),
        }
    }
}

impl FilterFactory for FlakyFilter {
    fn make(&self) -> Box<dyn Filter> {
        let made = self.made.fetch_add(1, Ordering::AcqRel);
        // The first one is made with its shard.
        if self.call == Call::Make && made > 0 {
            self.fuse.blow();
        }
        Box::new(self.clone())
    }
}

impl Filter for FlakyFilter {
    fn process(
        &mut self,
        messages: Selection<'_>,
        context: &mut dyn FilterContext,
    ) -> Result<(), Fault> {
        match self.call {
            Call::Process => self.fuse.burn()?,
            Call::Make if self.fuse.left() > 0 => {
                return Err(Fault::new("ends, so that another one is made"));
            }
            Call::Inject => {
                let fill = |draft: &mut Draft<'_>| draft.set(Header::Type, "injected");
                context.inject(&mut { fill });
                context.inject(&mut |draft| -> Result<(), Full> {
                    draft.set(Header::Type, "half")?;
                    self.fuse.blow();
                    Ok(())
                });
            }
            Call::Make | Call::Tick => {}
        }
        let mut seen = self.seen.lock().expect("no panic while it is locked");
        for message in messages.iter() {
            seen.extend_from_slice(message.payload());
        }
        Ok(())
    }

    fn tick(&mut self, _context: &mut dyn FilterContext) -> Result<(), Fault> {
        match self.call {
            Call::Tick => self.fuse.burn(),
            _ => Ok(()),
        }
    }
}

/// Panics over every message whose payload holds this.
pub(crate) const POISON: &[u8] = b"poison";

/// Whether a text holds the poison.
pub(crate) fn is_poison(text: &[u8]) -> bool {
    text.windows(POISON.len()).any(|part| part == POISON)
}

/// A decoder that changes nothing and panics over poison, after it has added to the message.
pub(crate) struct FlakyDecoder;

impl Decoder for FlakyDecoder {
    fn decode(
        &mut self,
        draft: &mut Draft<'_>,
        input: DecodeInput,
    ) -> Result<Decoded, DecodeError> {
        draft.set(Header::Type, "decoded")?;
        draft.add_field(
            "half",
            codecs::message::NewValue::String("done".into()),
            None,
        )?;
        assert!(!is_poison(input.content.of(draft.bytes())), "told to panic");
        Ok(Decoded::Message)
    }
}

/// A splitter by line that panics where poison is next.
pub(crate) struct FlakySplitter(TokenSplitter);

impl FlakySplitter {
    pub(crate) fn make() -> Box<dyn Splitter> {
        let lines = TokenSplitter::new("\n", 1, SplitterOptions::default());
        Box::new(FlakySplitter(lines.expect("a valid splitter")))
    }
}

impl Splitter for FlakySplitter {
    fn split(&mut self, bytes: &[u8], end: bool) -> Split {
        assert!(!bytes.starts_with(POISON), "told to panic");
        self.0.split(bytes, end)
    }

    fn reset(&mut self) {
        self.0.reset();
    }
}

/// An encoder that copies the payload, and panics over poison after the half of it.
pub(crate) struct FlakyEncoder {
    pub(crate) fuse: Fuse,
}

impl EncoderFactory for FlakyEncoder {
    fn make(&self) -> Box<dyn Encoder> {
        Box::new(FlakyEncoder {
            fuse: self.fuse.clone(),
        })
    }
}

impl Encoder for FlakyEncoder {
    fn encode(
        &mut self,
        message: MessageRef<'_>,
        _context: EncodeContext,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeFailure> {
        let payload = message.payload();
        let (first, second) = payload.split_at(payload.len() / 2);
        out.extend_from_slice(first);
        if is_poison(payload) {
            self.fuse.blow();
        }
        out.extend_from_slice(second);
        Ok(Encoded::Appended)
    }
}

/// Two outputs of which one settles what the other was given, which no output may do.
#[derive(Clone, Default)]
pub(crate) struct Thieves {
    stolen: Arc<Mutex<Option<Box<Parcel>>>>,
}

impl OutputFactory for Thieves {
    fn make(&self) -> Box<dyn Output> {
        Box::new(self.clone())
    }
}

impl Output for Thieves {
    fn run<'a>(&'a mut self, context: &'a mut OutputContext) -> LocalFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            while let OutputEvent::Parcel(mut parcel) = context.next(None).await {
                let stolen = self.stolen.lock().expect("no panic").take();
                let Some(stolen) = stolen else {
                    *self.stolen.lock().expect("no panic") = Some(parcel);
                    continue;
                };
                parcel.drop_from(0, DropCause::Refused);
                context.settle(parcel);
                context.settle(stolen);
            }
            Ok(())
        })
    }
}

/// An output whose encoder panics at each poisoned message.
pub(crate) fn encoded_by_a_flaky_one(keep: &Keep) -> Role {
    Role::Output {
        factory: Box::new(keep.clone()),
        encoder: Some(Arc::new(FlakyEncoder {
            fuse: Fuse::new(u32::MAX, How::Panic),
        })),
        framing: false,
    }
}
