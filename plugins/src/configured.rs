//! Plugins as a configuration makes them, for tests: real sections through the real plan.
//!
//! Owns:    a plan around one decoder or splitter, and a message table to decode into.
//! Runs on: tests.            Plane: both.
//! Bounds:  one record at a time.
//! Never:   opens what a plan names.

use std::sync::Arc;

use codecs::field::Span;
use codecs::message::{Header, MessageRef, MessageTable, TableLimits};
use codecs::splitter::Split;
use engine::control::config::{Document, Surroundings};
use engine::control::plan::Plan;
use engine::plugin::{DecodeError, DecodeInput, Decoded, Decoder, SplitterFactory};

/// The plan of some sections, or the mistakes in them as people see them.
pub(crate) fn plan(sections: &str) -> Result<Plan, String> {
    let surroundings = Surroundings {
        variable: Box::new(|_| None),
        hostname: "here".to_owned(),
    };
    let texts = vec![("hekad.toml".to_owned(), sections.to_owned())];
    Document::parse(texts, &surroundings)
        .and_then(|document| Plan::build(&document, crate::ALL))
        .map_err(|problems| problems.render(false))
}

/// The mistakes in some sections, which must have some.
pub(crate) fn mistakes(sections: &str) -> String {
    plan(sections).expect_err("these sections should be refused")
}

/// The splitter of the section `[splitter]`.
pub(crate) fn splitter(sections: &str) -> Arc<dyn SplitterFactory> {
    let input = "[input]\ntype = 'TcpInput'\naddress = ':0'\nsplitter = 'splitter'\n";
    let plan = plan(&format!("{input}{sections}"));
    let mut plan = plan.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    plan.inputs.remove(0).splitter
}

/// Contents of the records of a stream, captured delimiters included.
pub(crate) fn records(factory: &dyn SplitterFactory, stream: &str) -> Vec<String> {
    let mut splitter = factory.make();
    let mut rest = stream;
    let mut records = Vec::new();
    loop {
        match splitter.split(rest.as_bytes(), true) {
            Split::Record(record) => {
                let parts = [record.before, record.content, record.after];
                let text = parts.map(|part| &rest[part.start as usize..part.end()]);
                records.push(text.concat());
                rest = &rest[record.consumed..];
            }
            Split::Skip { consumed, .. } => rest = &rest[consumed..],
            Split::More => return records,
        }
    }
}

/// The decoder of the section `[decoder]`, given payloads as an input gives them.
pub(crate) struct Decoding {
    decoder: Box<dyn Decoder>,
    table: MessageTable,
}

impl Decoding {
    /// When records arrive: 2024-11-24 14:54:53 UTC.
    pub(crate) const NOW: i64 = 1_732_460_093_000_000_000;

    pub(crate) fn new(sections: &str) -> Decoding {
        let input = "[input]\ntype = 'TcpInput'\naddress = ':0'\ndecoder = 'decoder'\n";
        let plan = plan(&format!("{input}{sections}"));
        let plan = plan.unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let decoder = plan.inputs[0].decoder.as_ref().expect("named above");
        Decoding {
            decoder: decoder.instantiate(),
            table: MessageTable::new(TableLimits {
                received_bytes: 1024,
                arena_bytes: 1024,
                messages: 16,
                fields: 64,
            }),
        }
    }

    pub(crate) fn decoder(&mut self) -> &mut dyn Decoder {
        &mut *self.decoder
    }

    /// Decodes one record. What it made stays until the next.
    pub(crate) fn decode(&mut self, payload: &str) -> Result<Decoded, DecodeError> {
        self.table.clear();
        self.table.received_mut()[..payload.len()].copy_from_slice(payload.as_bytes());
        let content = Span::new(0, payload.len());
        let mut draft = self.table.begin().expect("an empty table");
        draft.set(Header::Payload, content).expect("no copy");
        draft.set_timestamp(Decoding::NOW);
        let now = Decoding::NOW;
        self.decoder
            .decode(&mut draft, DecodeInput { content, now })
    }

    pub(crate) fn message(&self, index: usize) -> MessageRef<'_> {
        self.table.get(index)
    }

    /// A text field's value.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let field = self.message(0).field(name.as_bytes(), 0)?;
        match field.first()? {
            codecs::field::Value::String(text) => std::str::from_utf8(text).ok(),
            _ => None,
        }
    }
}
