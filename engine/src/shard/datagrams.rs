//! Datagrams: streams of their own that are gathered in one batch.
//!
//! Owns:    how a stream's intake takes them.
//! Runs on: every shard.            Plane: data.
//! Bounds:  one batch; a datagram that does not fit waits for the next one, one with more records than a batch holds takes several.
//! Never:   takes a part of a datagram and loses the rest, or lets one that holds nothing use anything up.

use std::future::poll_fn;
use std::sync::Arc;

use codecs::error::Full;

use super::intake::{Cut, Intake, StepEnd, Tally};
use crate::event::DropCause;
use crate::io::clock;

impl Intake {
    /// Waits until a datagram can be taken.
    pub async fn ready_for_datagrams(&mut self) {
        if self.datagrams.is_none() {
            self.recovered().await;
            let batch = poll_fn(|cx| self.poll_batch(cx)).await;
            self.datagrams = Some((batch, 0));
        }
    }

    /// Takes one datagram as a stream of its own. `hostname` replaces the stream's. Answers `false`, having taken nothing, when the
    /// batch has no room: `flush_datagrams`, wait and repeat.
    pub fn datagram(&mut self, bytes: &[u8], hostname: Option<&[u8]>) -> bool {
        // It holds no record, whatever the splitter. Thousands of them would use up a batch that looks unused.
        if bytes.is_empty() {
            return true;
        }
        let Some((mut batch, filled)) = self.datagrams.take() else {
            return false;
        };
        let whole = bytes.len();
        let bytes = &bytes[self.resume..];
        let unique = Arc::get_mut(&mut batch).expect("a taken batch is not shared");
        let room = unique.table.received_mut().len() - filled;
        if room < bytes.len() && filled > 0 {
            self.datagrams = Some((batch, filled));
            return false;
        }
        let taken = bytes.len().min(room);
        let end = filled + taken;
        unique.table.received_mut()[filled..end].copy_from_slice(&bytes[..taken]);
        let mark = unique.table.mark();
        if self.pending.is_none() {
            self.splitter.reset();
        }
        let cut = self
            .shared(&mut unique.table, hostname)
            .map(|shared| self.cut(&mut unique.table, filled, end, true, &shared));
        match cut {
            Ok(Cut {
                end: StepEnd::Rest(_),
                tally,
            }) => self.count_tally(&tally),
            // All of the datagram goes to the next batch, so nothing of it may count here.
            _ if filled > 0 => {
                unique.table.rollback(mark);
                self.datagrams = Some((batch, filled));
                return false;
            }
            // More records than a batch of its own can hold: the next batch goes on where this one is full.
            Ok(Cut {
                end: StepEnd::Overflow(at, record),
                tally,
            }) => {
                self.count_tally(&tally);
                self.pending = Some(record);
                self.resume += at;
                self.datagrams = Some((batch, end));
                return false;
            }
            Err(Full) => {
                let mut tally = Tally::default();
                tally.drops.add(DropCause::DoesNotFit, 1);
                self.count_tally(&tally);
            }
        }
        self.resume = 0;
        self.context
            .count(|counters| counters.bytes += whole as u64);
        self.datagrams = Some((batch, end));
        true
    }

    /// Routes and delivers the datagrams taken so far.
    pub fn flush_datagrams(&mut self) {
        if let Some((batch, filled)) = self.datagrams.take() {
            if filled == 0 {
                self.context.shard.give_back(batch);
            } else {
                self.send(batch);
            }
            self.tell_remarks(clock::wall());
        }
    }
}
