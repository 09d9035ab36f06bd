//! Filters and outputs as plugins: what takes messages.
//!
//! Owns:    the `Filter` and `Output` traits and their factories.
//! Runs on: the consumer's home shard.            Plane: data.
//! Bounds:  a filter sees one batch at a time; an output awaits its next parcel and settles each exactly once.
//! Never:   touches another shard.

use codecs::message::{Draft, MessageRef, MessageTable};

use super::{Fault, Figure, LoadJob, LocalFuture};
use crate::event::DropCause;
use crate::shard::delivery::OutputContext;

/// The messages of one batch that a consumer asked for.
#[derive(Clone, Copy, Debug)]
pub struct Selection<'a> {
    table: &'a MessageTable,
    picks: &'a [u16],
}

impl<'a> Selection<'a> {
    /// A view of the picked messages of a table.
    pub fn new(table: &'a MessageTable, picks: &'a [u16]) -> Self {
        Selection { table, picks }
    }

    /// How many.
    #[inline]
    pub fn len(&self) -> usize {
        self.picks.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.picks.is_empty()
    }

    /// The message at `index`, from 0.
    ///
    /// Panics where there is none.
    #[inline]
    pub fn get(&self, index: usize) -> MessageRef<'a> {
        self.table.get(self.picks[index] as usize)
    }

    /// The messages in order.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = MessageRef<'a>> {
        let table = self.table;
        self.picks
            .iter()
            .map(move |&index| table.get(index as usize))
    }
}

/// What a filter can do while it runs.
pub trait FilterContext {
    /// Now, nanoseconds since the Unix epoch.
    fn now(&self) -> i64;

    /// Calls `each` with what the named groups of the filter's matcher captured of a message: `Payload =~ /user=(?P<user>\w+)/` gives
    /// `user`. A filter that never asks pays nothing.
    fn captures(&mut self, message: MessageRef<'_>, each: &mut dyn FnMut(&str, &[u8]));

    /// Injects a message. `fill` sets what it says; uuid, timestamp, hostname, pid and logger are set before.
    ///
    /// Returns whether it was taken: `false` when the filter has used up its injection credit.
    fn inject(
        &mut self,
        fill: &mut dyn FnMut(&mut Draft<'_>) -> Result<(), codecs::error::Full>,
    ) -> bool;

    /// Injections behind the messages that the filter is looking at; 0 while it ticks.
    fn loops(&self) -> u8;

    /// As `inject`, for a filter that is told why a message is refused, and that must not make what it would take itself. `loops` are the
    /// injections behind what the message is about.
    fn inject_as(
        &mut self,
        loops: u8,
        fill: &mut dyn FnMut(&mut Draft<'_>) -> Result<(), codecs::error::Full>,
    ) -> Result<(), Refusal>;

    /// Counts a message that the filter has made and gives up.
    fn give_up(&mut self, cause: DropCause);

    /// Tells the operator. Repeated notices of one filter are merged by the control plane; a filter must not say something of each message.
    fn notice(&mut self, text: &mut dyn FnMut() -> String);

    /// Has a job done on the thread that loads filters while the daemon runs, behind those that wait there. `false`: too many wait.
    fn load(&mut self, job: LoadJob) -> bool;
}

/// Why an injected message was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No injection credit is left: `Filter::resume` is called when there is some again.
    NoCredit,
    /// It has been injected too often.
    Loops,
    /// The filter's own matcher accepts it.
    Circular,
    /// It does not fit an empty batch.
    DoesNotFit,
}

/// Looks at messages and may inject new ones.
pub trait Filter {
    /// Makes ready for messages. An error at the start keeps the daemon from starting.
    fn open(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    /// Takes the messages of one batch.
    fn process(
        &mut self,
        messages: Selection<'_>,
        context: &mut dyn FilterContext,
    ) -> Result<(), Fault>;

    /// Called every `ticker_interval` seconds.
    fn tick(&mut self, _context: &mut dyn FilterContext) -> Result<(), Fault> {
        Ok(())
    }

    /// Called once when there is injection credit again, after an injection was refused for want of it.
    fn resume(&mut self, _context: &mut dyn FilterContext) -> Result<(), Fault> {
        Ok(())
    }

    /// The daemon is stopping, and inputs bring nothing more: what is injected now is still delivered. Messages that other filters inject
    /// may still come.
    fn stop(&mut self, _context: &mut dyn FilterContext) -> Result<(), Fault> {
        Ok(())
    }

    /// The filter ends: nothing comes any more. Called once before it is dropped, unless it has failed.
    fn end(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

/// Makes filters. One per filter section.
pub trait FilterFactory: Send + Sync {
    /// The filter, on its home shard.
    fn make(&self) -> Box<dyn Filter>;

    /// What its instances have counted, for reports. Called by the control plane.
    fn figures(&self, _tell: &mut dyn FnMut(Figure)) {}

    /// Ends the calls that its instances are in, where that can be done from outside.
    fn abort(&self) {}

    /// How many filters it may have loaded at a time while the daemon runs: so many places are kept for them.
    fn places(&self) -> usize {
        0
    }

    /// What is to be loaded when the daemon has started: the first job of the thread that loads filters.
    fn first_load(&self) -> Option<LoadJob> {
        None
    }
}

/// Delivers encoded messages.
pub trait Output {
    /// Runs until the context says that the shard is done: takes parcels, delivers them, settles them. It may gather several, but must
    /// settle what it has in its own time if no other comes: after panics it is given one record, and nothing more before that is settled.
    ///
    /// An error ends the output; the supervisor decides what then.
    fn run<'a>(&'a mut self, context: &'a mut OutputContext) -> LocalFuture<'a, Result<(), Fault>>;
}

/// Makes outputs. One per output section.
pub trait OutputFactory: Send + Sync {
    /// The output, on its home shard.
    fn make(&self) -> Box<dyn Output>;

    /// Whom it delivers to, for people, where that is one peer.
    fn peer(&self) -> Option<&str> {
        None
    }

    /// What its instances have counted, for reports. Called by the control plane.
    fn figures(&self, _tell: &mut dyn FnMut(Figure)) {}
}
