//! What a filter meets in place of a shard.
//!
//! Owns:    `Bench`: a table for what is injected, and what is said.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  one call at a time.
//! Never:   routes.

use std::time::{SystemTime, UNIX_EPOCH};

use codecs::error::Full;
use codecs::message::{Draft, Header, MessageRef, MessageTable, TableLimits};
use engine::event::DropCause;
use engine::plugin::{FilterContext, LoadJob, Refusal};
use matcher::{Consumer, Row, Scratch, Set};

use crate::failure::Failure;

/// Name of the filter, and so the logger of what it injects.
pub(super) const FILTER: &str = "filter";

/// Now, nanoseconds since the Unix epoch.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    })
}

/// A random (version 4) UUID.
pub(super) fn uuid() -> [u8; 16] {
    let mut uuid = fastrand::u128(..).to_le_bytes();
    uuid[6] = uuid[6] & 0x0f | 0x40;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    uuid
}

/// In place of a shard.
pub(super) struct Bench {
    injected: MessageTable,
    /// The filter's own matcher.
    own: Option<(Set, Scratch, Row)>,
    hostname: String,
    now: i64,
}

fn table(messages: usize) -> MessageTable {
    MessageTable::new(TableLimits {
        received_bytes: 0,
        arena_bytes: if messages == 0 {
            0
        } else {
            super::MESSAGE_BYTES
        },
        messages,
        fields: if messages == 0 {
            0
        } else {
            codecs::limits::TABLE_FIELDS_MAX
        },
    })
}

impl Bench {
    pub(super) fn new() -> Bench {
        let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Bench {
            injected: table(codecs::limits::TABLE_MESSAGES_MAX),
            own: None,
            hostname: hostname.trim().to_owned(),
            now: 0,
        }
    }

    /// Before a call.
    pub(super) fn begin(&mut self) {
        self.injected.clear();
        self.now = now();
    }

    /// Has messages refused that this matcher accepts.
    pub(super) fn watch(&mut self, expression: &str) -> Result<(), Failure> {
        let consumer = Consumer {
            expression,
            signer: None,
        };
        // The plan has found mistakes in it before.
        let own = Set::build(&[consumer]).map_err(|errors| {
            let texts: Vec<String> = errors.iter().map(|(_, error)| error.to_string()).collect();
            Failure::usage(format!("--match: {}", texts.join("\n")))
        })?;
        let (scratch, row) = (own.scratch(), own.row());
        self.own = Some((own, scratch, row));
        Ok(())
    }

    /// What was injected.
    pub(super) fn take(&mut self) -> MessageTable {
        std::mem::replace(&mut self.injected, table(0))
    }

    /// The table, to be used again.
    pub(super) fn give_back(&mut self, injected: MessageTable) {
        self.injected = injected;
    }
}

impl FilterContext for Bench {
    fn now(&self) -> i64 {
        self.now
    }

    fn captures(&mut self, _: MessageRef<'_>, _: &mut dyn FnMut(&str, &[u8])) {}

    fn inject(&mut self, fill: &mut dyn FnMut(&mut Draft<'_>) -> Result<(), Full>) -> bool {
        self.inject_as(0, fill).is_ok()
    }

    fn loops(&self) -> u8 {
        0
    }

    fn is_loaded(&self) -> bool {
        false
    }

    fn inject_as(
        &mut self,
        _: u8,
        fill: &mut dyn FnMut(&mut Draft<'_>) -> Result<(), Full>,
    ) -> Result<(), Refusal> {
        let mark = self.injected.mark();
        let filled = self.injected.begin().and_then(|mut draft| {
            draft.set(Header::Uuid, &uuid()[..])?;
            draft.set(Header::Logger, FILTER)?;
            draft.set(Header::Hostname, self.hostname.as_str())?;
            draft.set_timestamp(self.now);
            fill(&mut draft)
        });
        if filled.is_err() {
            self.injected.rollback(mark);
            return Err(Refusal::DoesNotFit);
        }
        if let Some((set, scratch, row)) = &mut self.own {
            let last = self.injected.get(self.injected.len() - 1);
            set.search(scratch, last, None, row);
            if row.contains(0) {
                self.injected.rollback(mark);
                return Err(Refusal::Circular);
            }
        }
        Ok(())
    }

    fn give_up(&mut self, cause: DropCause) {
        eprintln!("an injected message is dropped ({})", cause.name());
    }

    fn notice(&mut self, text: &mut dyn FnMut() -> String) {
        eprintln!("{}", text());
    }

    fn load(&mut self, _: LoadJob) -> bool {
        false
    }
}
