//! Feeds a splitter a stream piece by piece, as an input does, and holds it to its contract.
//!
//! Owns:    `drive` and what it reports.
//! Runs on: tests and fuzz targets.            Plane: data.
//! Bounds:  the stream.
//! Never:   hides a broken promise: it panics.

use codecs::field::Span;
use codecs::splitter::{SkipCause, Split, Splitter};

/// What came out of a stream, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A record with the parts of its content put together.
    Record {
        /// Captured part before it, content, captured part after it.
        bytes: Vec<u8>,
        /// As in `Record`.
        signer: u8,
        /// As in `Record`.
        truncated: bool,
    },
    /// A record was lost.
    Lost(SkipCause),
}

/// Everything that a splitter made of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Records and losses.
    pub events: Vec<Event>,
    /// Bytes that were skipped, lost records included.
    pub skipped: usize,
}

impl Outcome {
    /// The records alone.
    pub fn records(&self) -> Vec<&[u8]> {
        let records = self.events.iter().filter_map(|event| match event {
            Event::Record { bytes, .. } => Some(&**bytes),
            Event::Lost(_) => None,
        });
        records.collect()
    }

    /// How many records were lost.
    pub fn lost(&self) -> usize {
        self.events
            .iter()
            .filter(|event| matches!(event, Event::Lost(_)))
            .count()
    }
}

/// Feeds `stream` to the splitter, ending pieces at `cuts` (in ascending order), and then its end.
///
/// `record_bytes_max` is the splitter's: with as many bytes it must make progress.
pub fn drive(
    splitter: &mut dyn Splitter,
    stream: &[u8],
    cuts: impl IntoIterator<Item = usize>,
    record_bytes_max: usize,
) -> Outcome {
    drive_plain(splitter, stream, cuts, record_bytes_max, 0)
}

/// As `drive`, with up to `plain` records at once wherever the splitter finds some. Of as many, the last one is left to it again.
pub fn drive_plain(
    splitter: &mut dyn Splitter,
    stream: &[u8],
    cuts: impl IntoIterator<Item = usize>,
    record_bytes_max: usize,
    plain: usize,
) -> Outcome {
    let mut ends = Vec::with_capacity(plain);
    let mut outcome = Outcome::default();
    let mut start = 0;
    let pieces = cuts.into_iter().map(|cut| (cut.min(stream.len()), false));
    for (filled, end) in pieces.chain([(stream.len(), true)]) {
        loop {
            start += steps(splitter, &stream[start..filled], &mut ends, &mut outcome);
            match step(splitter, &stream[start..filled], end, &mut outcome) {
                Some(consumed) => start += consumed,
                None => break,
            }
        }
        let waiting = filled - start;
        assert!(
            waiting < record_bytes_max,
            "no progress with {waiting} bytes"
        );
    }
    assert_eq!(
        start,
        stream.len(),
        "the end of the stream leaves bytes behind"
    );
    outcome
}

/// Many records of the splitter, if it finds some; the bytes that they consume.
fn steps(
    splitter: &mut dyn Splitter,
    unconsumed: &[u8],
    ends: &mut Vec<u32>,
    outcome: &mut Outcome,
) -> usize {
    if ends.capacity() == 0 {
        return 0;
    }
    ends.clear();
    splitter.split_plain(unconsumed, ends);
    if ends.len() > 1 && ends.len() == ends.capacity() {
        ends.pop();
        splitter.reset();
    }
    let mut start = 0;
    for &end in &*ends {
        let end = end as usize;
        assert!(end > start, "a record of nothing");
        outcome.events.push(Event::Record {
            bytes: unconsumed[start..end].to_vec(),
            signer: 0,
            truncated: false,
        });
        start = end;
    }
    start
}

/// One answer of the splitter; the bytes that it consumes, or `None` for `More`.
fn step(
    splitter: &mut dyn Splitter,
    unconsumed: &[u8],
    end: bool,
    outcome: &mut Outcome,
) -> Option<usize> {
    match splitter.split(unconsumed, end) {
        Split::More => None,
        Split::Skip { consumed, cause } => {
            assert!(
                consumed > 0 && consumed <= unconsumed.len(),
                "skip of {consumed} bytes"
            );
            outcome.skipped += consumed;
            if cause.loses_record() {
                outcome.events.push(Event::Lost(cause));
            }
            Some(consumed)
        }
        Split::Record(record) => {
            let of = |span: Span| span.of(unconsumed);
            assert!(record.consumed > 0 && record.consumed <= unconsumed.len());
            assert!(record.truncated || record.content.end() <= record.consumed);
            assert!(record.whole.end() >= record.content.end());
            let bytes = [of(record.before), of(record.content), of(record.after)].concat();
            let (signer, truncated) = (record.signer, record.truncated);
            outcome.events.push(Event::Record {
                bytes,
                signer,
                truncated,
            });
            Some(record.consumed)
        }
    }
}
