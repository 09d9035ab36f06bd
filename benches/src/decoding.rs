//! Decoders: from records to messages.
//!
//! Owns:    the tables that messages are made in.
//! Runs on: the calling thread.            Plane: data.
//! Bounds:  one table for all records of a pass.
//! Never:   times how records come into a table.

use codecs::field::Span;
use codecs::message::{Header, MessageRef, MessageTable, TableLimits};
use engine::plugin::{DecodeInput, Decoded};

use crate::measure::{Digest, Pass, Size};
use crate::{messages, routing};

pub(crate) fn index_1024(size: Size) -> Box<dyn FnMut() -> Pass> {
    index(&messages::encoded(size.items(), 1024))
}

pub(crate) fn index_256(size: Size) -> Box<dyn FnMut() -> Pass> {
    index(&messages::encoded(size.items(), 256))
}

fn index(records: &[Vec<u8>]) -> Box<dyn FnMut() -> Pass> {
    let (mut table, spans) = table_of(records);
    Box::new(move || {
        table.clear();
        for &span in &spans {
            let mut draft = table.begin().expect("room for all");
            draft.index_protobuf(span).expect("a whole message");
        }
        summary(&table, &spans)
    })
}

pub(crate) fn regex(size: Size) -> Box<dyn FnMut() -> Pass> {
    let plan = routing::plan(
        "[In]\ntype = 'UdpInput'\naddress = '127.0.0.1:5140'\ndecoder = 'access'\n\
         [access]\ntype = 'PayloadRegexDecoder'\n\
         match_regex = '^(?P<host>\\S+) \\S+ (?P<user>\\S+) \\[(?P<Timestamp>[^\\]]+)\\] \"(?P<verb>\\S+) (?P<path>\\S+) [^\"]*\" (?P<status>\\d+) (?P<bytes>\\d+)'\n\
         timestamp_layout = '02/Jan/2006:15:04:05 -0700'\n\
         [access.message_fields]\nType = 'access'\nhost = '%host%'\nverb = '%verb%'\npath = '%path%'\n\
         status = '%status%'\nbytes = '%bytes%'\n",
    );
    let decoder = plan.inputs[0].decoder.as_ref().expect("the input has one");
    let mut decoder = decoder.factory.make(Vec::new());
    let records: Vec<Vec<u8>> = (0..size.items()).map(messages::access_line).collect();
    let (mut table, spans) = table_of(&records);
    Box::new(move || {
        table.clear();
        for &span in &spans {
            let mut draft = table.begin().expect("room for all");
            draft
                .set(Header::Payload, span)
                .expect("a range needs no room");
            let input = DecodeInput {
                content: span,
                now: messages::NOW,
            };
            let decoded = decoder
                .decode(&mut draft, input)
                .expect("the lines fit the expression");
            assert_eq!(decoded, Decoded::Message);
        }
        summary(&table, &spans)
    })
}

/// A table with the records as received bytes, and where each is.
pub(crate) fn table_of(records: &[Vec<u8>]) -> (MessageTable, Vec<Span>) {
    let bytes = records.concat();
    let mut table = MessageTable::new(TableLimits {
        received_bytes: bytes.len(),
        arena_bytes: 64 * records.len(),
        messages: records.len(),
        fields: 8 * records.len(),
    });
    table.received_mut().copy_from_slice(&bytes);
    let mut start = 0;
    let spans = records.iter().map(|record| {
        let span = Span::new(start, start + record.len());
        start += record.len();
        span
    });
    let spans = spans.collect();
    (table, spans)
}

fn summary(table: &MessageTable, spans: &[Span]) -> Pass {
    let mut digest = Digest::default();
    table
        .iter()
        .for_each(|message| take_in(&mut digest, message));
    Pass {
        items: table.len() as u64,
        bytes: spans.iter().map(|span| u64::from(span.len)).sum(),
        digest: digest.value(),
    }
}

fn take_in(digest: &mut Digest, message: MessageRef<'_>) {
    digest.add(message.timestamp() as u64);
    digest.add(message.severity() as u64);
    digest.add(message.payload().len() as u64);
    digest.add(message.fields().len() as u64);
    if let Some(last) = message.fields().last() {
        digest.add_bytes(last.name());
    }
}
