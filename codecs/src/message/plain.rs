//! Messages that are made of payloads and have all but those in common: many at once.
//!
//! Owns:    `Template`, and `MessageTable::append_plain`.
//! Runs on: every shard.            Plane: data.
//! Bounds:  as many as the table has room for.
//! Never:   copies a payload.

use super::{Draft, Head, Header, MessageTable};
use crate::field::Span;

/// Bytes of a uuid.
const UUID_BYTES: usize = 16;

/// What many messages of one table have in common.
#[derive(Clone, Copy, Debug)]
pub struct Template(Head);

impl Draft<'_> {
    /// The message as a template, `None` if it has fields: each message has its own.
    pub fn template(&self) -> Option<Template> {
        let head = self.table.heads[self.index];
        (head.fields_len == 0).then_some(Template(head))
    }
}

impl MessageTable {
    /// Appends messages like the template, one for each of the ranges which begin at `start` and end, one behind the other, `ends` bytes after that. Such
    /// a range is a message's record and its payload. Answers how many there was room for.
    #[inline]
    pub fn append_plain(
        &mut self,
        template: &Template,
        start: usize,
        ends: &[u32],
        mut uuid: impl FnMut() -> [u8; UUID_BYTES],
    ) -> usize {
        let limits = &self.limits;
        let arena = limits.received_bytes + limits.arena_bytes - self.bytes.len();
        let room = (limits.messages - self.heads.len()).min(arena / UUID_BYTES);
        let ends = &ends[..ends.len().min(room)];
        let mut uuid_at = self.bytes.len();
        for _ in ends {
            self.bytes.extend_from_slice(&uuid());
        }
        let mut head = template.0;
        head.fields_start = self.fields.len() as u32;
        head.encoded = Span::EMPTY;
        let mut at = start;
        self.heads.extend(ends.iter().map(|&end| {
            let record = Span::new(at, start + end as usize);
            at = record.end();
            head.record = record;
            head.set_text(Header::Payload, record);
            head.set_text(Header::Uuid, Span::new(uuid_at, uuid_at + UUID_BYTES));
            uuid_at += UUID_BYTES;
            head
        }));
        ends.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::TableLimits;
    use super::*;
    use crate::message::NewValue;

    fn table(messages: usize, arena_bytes: usize) -> MessageTable {
        let mut table = MessageTable::new(TableLimits {
            received_bytes: 8,
            arena_bytes,
            messages,
            fields: 2,
        });
        table.received_mut().copy_from_slice(b"a\nbc\n\nd\n");
        table
    }

    fn template(table: &mut MessageTable) -> Template {
        let mut draft = table.begin().expect("room");
        draft.set(Header::Logger, Span::new(0, 1)).expect("room");
        draft.set_timestamp(7);
        let template = draft.template().expect("no fields");
        draft.discard();
        template
    }

    #[test]
    fn ranges_become_messages_as_far_as_there_is_room() {
        for (messages, arena, fit) in [(8, 64, 4), (3, 64, 3), (8, 63, 3), (8, 0, 0)] {
            let mut table = table(messages, arena);
            let template = template(&mut table);
            let mut next = 0;
            let uuid = || {
                next += 1;
                [next; UUID_BYTES]
            };
            assert_eq!(table.append_plain(&template, 0, &[2, 5, 6, 8], uuid), fit);
            assert_eq!(table.len(), fit);
            let payloads: [&[u8]; 4] = [b"a\n", b"bc\n", b"\n", b"d\n"];
            for (number, message) in table.iter().enumerate() {
                assert_eq!(message.payload(), payloads[number]);
                assert_eq!(message.record(), payloads[number]);
                assert_eq!(message.uuid(), [number as u8 + 1; UUID_BYTES]);
                assert_eq!(message.header(Header::Logger), b"a");
                assert_eq!((message.timestamp(), message.fields().len()), (7, 0));
            }
        }
    }

    #[test]
    fn a_message_with_fields_is_no_template() {
        let mut table = table(2, 64);
        let mut draft = table.begin().expect("room");
        draft
            .add_field("name", NewValue::Bool(true), None)
            .expect("room");
        assert!(draft.template().is_none());
    }

    #[test]
    fn fields_that_are_added_later_are_the_messages_own() {
        let mut table = table(4, 128);
        let template = template(&mut table);
        table.append_plain(&template, 2, &[3, 4], || [0; UUID_BYTES]);
        assert_eq!(table.get(0).payload(), b"bc\n");
        for index in [0, 1] {
            let mut draft = table.draft(index);
            draft
                .add_field("n", NewValue::Integer(index as i64), None)
                .expect("room");
        }
        let counts: Vec<_> = table.iter().map(|message| message.fields().len()).collect();
        assert_eq!(counts, [1, 1]);
    }
}
