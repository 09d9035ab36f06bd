//! CounterFilter: counts messages and says how many come a second.
//!
//! Owns:    the count, and the rates of the reports since the last summary.
//! Runs on: its home shard.            Plane: data.
//! Bounds:  `SUMMARY_REPORTS` rates are kept; at most two messages a tick.
//! Never:   says anything while nothing comes.

use std::fmt::Write;

use codecs::message::Header;
use engine::plugin::options::FilterOptions;
use engine::plugin::{
    Fault, Filter, FilterContext, FilterFactory, FilterPlugin, PluginSpec, Section, Selection,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Type of what it injects.
const TYPE: &str = "heka.counter-output";

/// Reports that one summary is about.
const SUMMARY_REPORTS: usize = 10;

const NANOSECONDS: f64 = 1e9;

/// `CounterFilter` has no options of its own, but its own defaults for `message_matcher` and `ticker_interval`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {}

/// The table's line.
pub const SPEC: PluginSpec =
    PluginSpec::filter::<Options>("CounterFilter", "Counts messages and reports throughput")
        .ticks()
        .notes(&[
            "Every `ticker_interval` seconds it injects a message of Type `heka.counter-output` with the payload \
             `Got N messages. X.XX msg/sec`: N counts since the start, the rate is that since the last report. \
             An interval without messages is passed over.",
            "After every ten reports there is a summary of their rates: `AGG Sum. Min: A    Max: B    Mean: C`.",
            "A matcher that accepts `heka.counter-output` makes it count its own reports.",
        ]);

impl FilterPlugin for Options {
    fn common() -> FilterOptions {
        FilterOptions {
            message_matcher: format!("Type != '{TYPE}'"),
            ticker_interval: 5,
            ..FilterOptions::default()
        }
    }

    fn build(self, section: &mut Section<'_, FilterOptions>) -> Option<Box<dyn FilterFactory>> {
        let interval = i64::from(section.common().ticker_interval) * 1_000_000_000;
        Some(Box::new(Factory { interval }))
    }
}

struct Factory {
    interval: i64,
}

impl FilterFactory for Factory {
    fn make(&self) -> Box<dyn Filter> {
        Box::new(Counter {
            interval: self.interval,
            count: 0,
            reported: 0,
            reported_at: None,
            rates: Vec::with_capacity(SUMMARY_REPORTS),
            text: String::with_capacity(128),
        })
    }
}

struct Counter {
    /// Between ticks, nanoseconds.
    interval: i64,
    /// Messages so far.
    count: u64,
    /// What `count` was at the last report, and when that was.
    reported: u64,
    reported_at: Option<i64>,
    /// Messages a second, by report.
    rates: Vec<f64>,
    text: String,
}

impl Filter for Counter {
    fn process(
        &mut self,
        messages: Selection<'_>,
        _context: &mut dyn FilterContext,
    ) -> Result<(), Fault> {
        self.count += messages.len() as u64;
        Ok(())
    }

    fn tick(&mut self, context: &mut dyn FilterContext) -> Result<(), Fault> {
        let now = context.now();
        // The first tick comes one interval after the start.
        let since = *self.reported_at.get_or_insert(now - self.interval);
        if self.count == self.reported {
            return Ok(());
        }
        // A clock that was set back says nothing; then the interval is as good a guess as any.
        let elapsed = if now > since {
            now - since
        } else {
            self.interval.max(1)
        };
        let rate = (self.count - self.reported) as f64 / (elapsed as f64 / NANOSECONDS);
        if !self.report(context, |text, count| {
            write!(text, "Got {count} messages. {rate:.2} msg/sec")
        }) {
            return Ok(());
        }
        (self.reported, self.reported_at) = (self.count, Some(now));
        self.rates.push(rate);
        if self.rates.len() == SUMMARY_REPORTS {
            let min = self.rates.iter().copied().fold(f64::INFINITY, f64::min);
            let max = self.rates.iter().copied().fold(0.0, f64::max);
            let mean = self.rates.iter().sum::<f64>() / SUMMARY_REPORTS as f64;
            self.rates.clear();
            self.report(context, |text, _| {
                write!(
                    text,
                    "AGG Sum. Min: {min:.2}    Max: {max:.2}    Mean: {mean:.2}"
                )
            });
        }
        Ok(())
    }
}

impl Counter {
    /// Injects a message with the text that `write` makes of the count. Answers whether it was taken.
    fn report(
        &mut self,
        context: &mut dyn FilterContext,
        write: impl FnOnce(&mut String, u64) -> std::fmt::Result,
    ) -> bool {
        self.text.clear();
        write(&mut self.text, self.count).expect("a String takes any text");
        context.inject(&mut |draft| {
            draft.set(Header::Type, TYPE)?;
            draft.set(Header::Payload, self.text.as_str())
        })
    }
}

#[cfg(test)]
mod tests {
    use codecs::error::Full;
    use codecs::message::{Draft, MessageRef, MessageTable, TableLimits};
    use engine::event::DropCause;
    use engine::plugin::{LoadJob, Refusal};

    use super::*;

    struct Shard {
        now: i64,
        has_credit: bool,
        injected: MessageTable,
    }

    impl FilterContext for Shard {
        fn now(&self) -> i64 {
            self.now
        }

        fn captures(&mut self, _: MessageRef<'_>, _: &mut dyn FnMut(&str, &[u8])) {}

        fn inject(&mut self, fill: &mut dyn FnMut(&mut Draft<'_>) -> Result<(), Full>) -> bool {
            if self.has_credit {
                fill(&mut self.injected.begin().unwrap()).unwrap();
            }
            self.has_credit
        }

        fn is_loaded(&self) -> bool {
            false
        }

        fn loops(&self) -> u8 {
            0
        }

        fn inject_as(
            &mut self,
            _: u8,
            fill: &mut dyn FnMut(&mut Draft<'_>) -> Result<(), Full>,
        ) -> Result<(), Refusal> {
            match self.inject(fill) {
                true => Ok(()),
                false => Err(Refusal::NoCredit),
            }
        }

        fn give_up(&mut self, _: DropCause) {}

        fn notice(&mut self, _: &mut dyn FnMut() -> String) {}

        fn load(&mut self, _: LoadJob) -> bool {
            false
        }
    }

    impl Shard {
        fn new() -> Shard {
            Shard {
                now: 1_000_000_000,
                has_credit: true,
                injected: table(0, 64),
            }
        }

        /// Payloads injected since the last call.
        fn said(&mut self) -> Vec<String> {
            let said = self
                .injected
                .iter()
                .map(|message| {
                    assert_eq!(message.header(Header::Type), TYPE.as_bytes());
                    String::from_utf8(message.payload().to_vec()).unwrap()
                })
                .collect();
            self.injected.clear();
            said
        }

        fn pass(&mut self, filter: &mut dyn Filter, messages: u16, nanoseconds: i64) {
            let table = filled(messages);
            let picks: Vec<u16> = (0..messages).collect();
            filter
                .process(Selection::new(&table, &picks), self)
                .unwrap();
            self.now += nanoseconds;
            filter.tick(self).unwrap();
        }
    }

    fn table(messages: usize, arena_bytes: usize) -> MessageTable {
        MessageTable::new(TableLimits {
            received_bytes: 0,
            arena_bytes: arena_bytes * 64,
            messages: messages.max(64),
            fields: 0,
        })
    }

    fn filled(messages: u16) -> MessageTable {
        let mut table = table(usize::from(messages), 0);
        for _ in 0..messages {
            table.begin().unwrap();
        }
        table
    }

    fn filter() -> Box<dyn Filter> {
        Factory {
            interval: 5_000_000_000,
        }
        .make()
    }

    const FIVE: i64 = 5_000_000_000;

    #[test]
    fn reports_count_and_rate_and_keeps_quiet_when_idle() {
        let (mut shard, mut filter) = (Shard::new(), filter());
        shard.pass(&mut *filter, 0, FIVE);
        assert_eq!(shard.said(), [""; 0]);
        shard.pass(&mut *filter, 7, FIVE);
        // Since the start: the interval without messages counts.
        assert_eq!(shard.said(), ["Got 7 messages. 0.70 msg/sec"]);
        shard.pass(&mut *filter, 1, FIVE);
        assert_eq!(shard.said(), ["Got 8 messages. 0.20 msg/sec"]);
        shard.pass(&mut *filter, 0, FIVE);
        shard.pass(&mut *filter, 1000, FIVE / 2);
        assert_eq!(shard.said(), ["Got 1008 messages. 133.33 msg/sec"]);
    }

    #[test]
    fn the_first_report_is_over_one_interval() {
        let (mut shard, mut filter) = (Shard::new(), filter());
        shard.pass(&mut *filter, 10, FIVE);
        assert_eq!(shard.said(), ["Got 10 messages. 2.00 msg/sec"]);
    }

    #[test]
    fn ten_reports_have_a_summary() {
        let (mut shard, mut filter) = (Shard::new(), filter());
        for round in 1..=10 {
            shard.pass(&mut *filter, 5 * round, FIVE);
            let said = shard.said();
            assert_eq!(said.len(), if round < 10 { 1 } else { 2 });
            if round == 10 {
                assert_eq!(said[0], "Got 275 messages. 10.00 msg/sec");
                assert_eq!(said[1], "AGG Sum. Min: 1.00    Max: 10.00    Mean: 5.50");
            }
        }
        shard.pass(&mut *filter, 5, FIVE);
        assert_eq!(shard.said().len(), 1);
    }

    #[test]
    fn a_refused_report_is_made_up_for_by_the_next() {
        let (mut shard, mut filter) = (Shard::new(), filter());
        shard.has_credit = false;
        shard.pass(&mut *filter, 10, FIVE);
        shard.has_credit = true;
        shard.pass(&mut *filter, 0, FIVE);
        assert_eq!(shard.said(), ["Got 10 messages. 1.00 msg/sec"]);
    }

    #[test]
    fn a_clock_set_back_makes_no_negative_rate() {
        let (mut shard, mut filter) = (Shard::new(), filter());
        shard.pass(&mut *filter, 10, FIVE);
        shard.said();
        shard.pass(&mut *filter, 10, -3 * FIVE);
        assert_eq!(shard.said(), ["Got 20 messages. 2.00 msg/sec"]);
    }
}
