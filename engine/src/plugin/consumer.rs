//! Filters and outputs as plugins: what takes messages.
//!
//! Owns:    the `Filter` and `Output` traits and their factories.
//! Runs on: the consumer's home shard.            Plane: data.
//! Bounds:  a filter sees one batch at a time; an output awaits its next parcel and settles each exactly once.
//! Never:   touches another shard.

use codecs::message::{Draft, MessageRef, MessageTable};

use super::{Fault, LocalFuture};
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
}

/// Looks at messages and may inject new ones.
pub trait Filter {
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
}

/// Makes filters. One per filter section.
pub trait FilterFactory: Send + Sync {
    /// The filter, on its home shard.
    fn make(&self) -> Box<dyn Filter>;
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
}
