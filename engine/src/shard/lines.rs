//! Records that become messages without a decoder, many at once: lines, as a rule.
//!
//! Owns:    the way from a splitter's plain records to messages.
//! Runs on: every shard.            Plane: data.
//! Bounds:  `AT_ONCE` records at a time.
//! Never:   makes other messages than `Intake::make` does of one record after the other.

use codecs::message::{MessageTable, Template};

use super::headers::Shared;
use super::intake::{Intake, random_uuid};
use super::recovery::Work;

/// Records that are cut at a time.
const AT_ONCE: usize = 512;

/// Where records end: one list a shard, which a step borrows.
pub(super) type Ends = Vec<u32>;

/// A list for that many records.
pub(super) fn ends() -> Ends {
    Vec::with_capacity(AT_ONCE)
}

impl Intake {
    /// What all messages of a step say; `None` where a decoder makes them, where each needs something of its own, or where there is no room.
    pub(super) fn template(&self, table: &mut MessageTable, shared: &Shared) -> Option<Template> {
        if self.decoder.is_some() {
            return None;
        }
        let mark = table.mark();
        let mut draft = table.begin().ok()?;
        draft.set_timestamp(shared.now);
        let filled = shared.fill(&mut draft);
        let template = draft.template();
        table.rollback(mark);
        filled.ok().and(template)
    }

    /// Makes messages of the plain records that come next. Answers whether there were some and all had room: the rest is for the splitter to say.
    pub(super) fn split_plain(
        &mut self,
        table: &mut MessageTable,
        filled: usize,
        template: &Template,
        work: &mut Work,
    ) -> bool {
        work.consumed = 0;
        let mut ends = self.context.shard.ends.take();
        if ends.capacity() == 0 {
            // A splitter that panicked took it along.
            ends = self::ends();
        }
        ends.clear();
        self.splitter
            .split_plain(&table.bytes()[work.at..filled], &mut ends);
        let uuid = || random_uuid(&mut self.random);
        let fit = table.append_plain(template, work.at, &ends, uuid);
        if fit > 0 {
            work.at += ends[fit - 1] as usize;
            work.tally.messages += fit as u64;
        }
        if fit < ends.len() {
            self.splitter.reset();
        }
        let all = fit > 0 && fit == ends.len();
        self.context.shard.ends.set(ends);
        all
    }
}
