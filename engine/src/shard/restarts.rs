//! Plugins that fail, and what follows: another instance after a while, or the end.
//!
//! Owns:    the lives of outputs and inputs, one instance after the other; the choice between a restart and the end.
//! Runs on: the plugin's home shard.            Plane: data.
//! Bounds:  waits by the plugin's `retries`; one instance at a time.
//! Never:   begins an instance before everything of the one before is gone, or decides whether the daemon goes on.
//!
//! Why it is as it is: docs/adr/0009-restarts-and-panics.md

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures_lite::future::or;

use super::Shard;
use super::containment::{Contained, Panicked};
use super::delivery::OutputContext;
use super::intake::InputContext;
use super::parcel::Parcel;
use super::pulse::Running;
use super::tasks::Tasks;
use super::topology::Role;
use crate::event::DropCause;
use crate::io::clock::Monotonic;
use crate::pack::{ConsumerId, InputId};
use crate::plugin::{Backoff, Fault, Input};

/// Why an instance has ended before its time.
#[derive(Debug)]
pub(super) enum Failure {
    Fault(Fault),
    Panicked(Panicked),
}

impl Failure {
    /// What a plugin's call has come to.
    pub(super) fn of(result: Result<Result<(), Fault>, Panicked>) -> Result<(), Failure> {
        match result {
            Ok(Ok(())) => Ok(()),
            Ok(Err(fault)) => Err(Failure::Fault(fault)),
            Err(panicked) => Err(Failure::Panicked(panicked)),
        }
    }

    fn is_for_good(&self) -> bool {
        matches!(self, Failure::Fault(fault) if fault.for_good)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Fault(fault) => fault.fmt(f),
            Failure::Panicked(panicked) => panicked.fmt(f),
        }
    }
}

impl From<Panicked> for Failure {
    fn from(panicked: Panicked) -> Self {
        Failure::Panicked(panicked)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Failure::Fault(fault)
    }
}

/// What follows from the failure of an instance that has run for `ran`: how long to wait for the next one, or why there is none.
pub(super) fn decide(
    backoff: &mut Backoff,
    failure: &Failure,
    ran: Duration,
    shard: &Shard,
) -> Result<Duration, String> {
    // It may have used up its attempts by itself.
    if failure.is_for_good() || backoff.is_exhausted() || shard.ending() {
        return Err(failure.to_string());
    }
    if ran >= backoff.steady() {
        backoff.succeeded();
    }
    backoff
        .failed(shard.stopping())
        .ok_or_else(|| match backoff.failures() {
            1 => format!("{failure}; it is not started again (`max_retries` is 0)"),
            failures => format!(
                "{failure}; it is not started again after {failures} failures in a row (`max_retries`)"
            ),
        })
}

/// Runs an output until it ends. Answers why, if it failed for good.
pub(super) async fn run_output(shard: &Rc<Shard>, id: ConsumerId) -> Option<String> {
    let mut context = OutputContext::new(Rc::clone(shard), id);
    let mut leaves = pin!(shard.leaves_rest_to_queue(id));
    loop {
        let begun = Monotonic::now();
        let left = async {
            leaves.as_mut().await;
            Ok(())
        };
        let result = or(one_output(shard, id, &mut context), left).await;
        let mut back = take_back(shard, id, &mut context).await;
        if let Err(Failure::Panicked(panicked)) = &result {
            find_poison(shard, id, &mut context, &mut back, panicked);
        }
        back.iter_mut().for_each(|parcel| parcel.show_all());
        shard.put_back(id, back);
        let failure = match result {
            Ok(()) => return None,
            Err(failure) => failure,
        };
        let wait = match decide(&mut context.backoff, &failure, begun.elapsed(), shard) {
            Ok(wait) => wait,
            Err(error) => return Some(error),
        };
        context.notice(|| format!("{failure}; starting it again in {wait:.1?}, messages wait"));
        let left = async {
            leaves.as_mut().await;
            true
        };
        let pause = async {
            shard.pause(wait).await;
            false
        };
        if or(left, pause).await {
            return None;
        }
        context.restarts = context.restarts.saturating_add(1);
        context.begin();
    }
}

async fn one_output(
    shard: &Rc<Shard>,
    id: ConsumerId,
    context: &mut OutputContext,
) -> Result<(), Failure> {
    let who = Running::Output(id);
    let Role::Output { factory, .. } = &shard.topology.consumer(id).role else {
        unreachable!("only outputs are run");
    };
    let mut output = shard.contain(who, || factory.make())?;
    let result = match shard.contain(who, || output.run(context)) {
        Ok(run) => Failure::of(Contained::new(shard, who, run).await),
        Err(panicked) => Err(panicked.into()),
    };
    // What a failed instance says when it is dropped adds nothing.
    let _ = shard.contain(who, || drop(output));
    result
}

/// Waits for what an instance had and did not settle.
async fn take_back(
    shard: &Rc<Shard>,
    id: ConsumerId,
    context: &mut OutputContext,
) -> Vec<Box<Parcel>> {
    let lent = context.lent();
    let mut back = Box::pin(context.take_back());
    match futures_lite::future::poll_once(&mut back).await {
        Some(parcels) => parcels,
        None => {
            shard.notice(&shard.topology.consumer(id).name, || {
                format!(
                    "waiting until a thread of the instance that ended is done with {}",
                    if lent == 1 {
                        "its batch".to_owned()
                    } else {
                        format!("{lent} batches")
                    }
                )
            });
            back.await
        }
    }
}

/// An output has panicked. If it has done so again and again over one message that can be kept as a dead letter, that becomes one.
#[expect(
    clippy::vec_box,
    reason = "parcels cross shards as boxes and stay boxed"
)]
fn find_poison(
    shard: &Shard,
    id: ConsumerId,
    context: &mut OutputContext,
    back: &mut Vec<Box<Parcel>>,
    panicked: &Panicked,
) {
    let unit = shard.topology.consumer(id);
    let can_keep = (unit.letters.as_ref()).is_some_and(|it| it.size.bytes() < it.bytes_max);
    if !can_keep {
        return;
    }
    let suspicion = &mut context.suspicion;
    let Some(panics) = suspicion.panicked(back) else {
        return;
    };
    let Some(mut parcel) = back.pop() else {
        return;
    };
    if suspicion.give_up(&mut parcel, panics, &panicked.text) {
        back.push(parcel);
    } else {
        shard.finish_parcel(id, parcel);
    }
    context.notice(|| {
        format!(
            "it panicked {panics} times over the same message, which becomes a dead letter (plugin_failed); the next ones go on"
        )
    });
}

/// Runs an input, which is open, until it ends. Answers why, if it failed for good.
pub(super) async fn run_input(
    shard: &Rc<Shard>,
    id: InputId,
    mut opened: Option<(InputContext, Box<dyn Input>)>,
) -> Option<String> {
    let unit = shard.topology.input(id);
    let mut backoff = Backoff::new(unit.retries.clone());
    loop {
        let begun = Monotonic::now();
        let instance = match opened.take() {
            Some(instance) => Ok(instance),
            None => open_input(shard, id),
        };
        let result = match instance {
            Ok((context, input)) => one_input(shard, id, context, input).await,
            Err(failure) => Err(failure),
        };
        let failure = match result {
            Ok(()) => return None,
            Err(failure) => failure,
        };
        let decision = match shard.stopping() {
            true => Err(failure.to_string()),
            false => decide(&mut backoff, &failure, begun.elapsed(), shard),
        };
        let wait = match decision {
            Ok(wait) => wait,
            Err(error) => return Some(error),
        };
        shard.notice(&unit.name, || {
            format!("{failure}; starting it again in {wait:.1?}")
        });
        shard.pause(wait).await;
        if shard.stopping() {
            return None;
        }
    }
}

/// Makes and opens an instance of an input on this shard.
pub(super) fn open_input(
    shard: &Rc<Shard>,
    id: InputId,
) -> Result<(InputContext, Box<dyn Input>), Failure> {
    let who = Running::Input(id);
    let factory = &shard.topology.input(id).factory;
    let context = InputContext::new(Rc::clone(shard), id, Some(Tasks::new(shard, id)));
    let mut input = shard.contain(who, || factory.make())?;
    match Failure::of(shard.contain(who, || input.open(&context))) {
        Ok(()) => Ok((context, input)),
        Err(failure) => {
            let _ = shard.contain(who, || drop(input));
            Err(failure)
        }
    }
}

async fn one_input(
    shard: &Rc<Shard>,
    id: InputId,
    context: InputContext,
    mut input: Box<dyn Input>,
) -> Result<(), Failure> {
    let who = Running::Input(id);
    let tasks = context.tasks.clone().expect("an instance has its tasks");
    let result = match shard.contain(who, || input.run(&context)) {
        Ok(run) => {
            let mut run = Contained::new(shard, who, run);
            poll_fn(|cx| match tasks.poll_failed(cx) {
                Poll::Ready(panicked) => Poll::Ready(Err(panicked.into())),
                Poll::Pending => std::pin::Pin::new(&mut run).poll(cx).map(Failure::of),
            })
            .await
        }
        Err(panicked) => Err(panicked.into()),
    };
    let _ = shard.contain(who, || drop(input));
    match result {
        Ok(()) => tasks.leave_alone(),
        Err(_) => tasks.end().await,
    }
    result
}

impl Shard {
    /// Puts parcels that an output had before all that came later.
    pub(super) fn put_back(
        &self,
        consumer: ConsumerId,
        parcels: impl IntoIterator<Item = Box<Parcel>, IntoIter: DoubleEndedIterator>,
    ) {
        let mut consumers = self.consumers.borrow_mut();
        let queue = &mut consumers[consumer.0 as usize].queue;
        for parcel in parcels.into_iter().rev() {
            queue.push_front(parcel);
        }
    }

    /// A consumer of this shard has ended; what waits for it is dropped and counted.
    pub(crate) fn consumer_ended(&self, consumer: ConsumerId, error: Option<String>) {
        let (queued, held) = {
            let mut consumers = self.consumers.borrow_mut();
            let state = &mut consumers[consumer.0 as usize];
            state.ended = true;
            state.filter = None;
            state.standing.down = false;
            let held = std::mem::take(&mut state.standing.held);
            (std::mem::take(&mut state.queue), held)
        };
        for mut parcel in queued {
            parcel.drop_from(0, DropCause::DestinationEnded);
            self.finish_parcel(consumer, parcel);
        }
        for (batch, delivery) in held {
            let cause = DropCause::DestinationEnded;
            // What has one goes there after all.
            if self.topology.consumer(consumer).queue.is_none() {
                self.count_refused(&batch, delivery, cause);
            }
            self.return_filtered(batch, delivery, Some(cause));
        }
        self.close_queue(consumer);
        self.pump_injected();
        let unit = self.topology.consumer(consumer);
        self.tell_ended(&unit.name, error, unit.can_exit);
    }
}
