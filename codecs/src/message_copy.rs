//! A message copied from one table into another.
//!
//! Owns:    `MessageTable::copy`.
//! Runs on: every shard.            Plane: data.
//! Bounds:  the arena of the table that it is copied to.
//! Never:   leaves half a message behind.

use crate::error::Full;
use crate::field::{Field, FieldRef, Span, Value};
use crate::message::{Draft, Header, MessageRef, MessageTable};

impl MessageTable {
    /// Appends a copy of a message that may stand in another table; record and encoded form stay behind.
    pub fn copy(&mut self, message: MessageRef<'_>) -> Result<Draft<'_>, Full> {
        let before = self.mark();
        let index = self.len();
        let copied = self.begin().and_then(|mut draft| fill(&mut draft, message));
        match copied {
            Ok(()) => Ok(self.draft(index)),
            Err(full) => {
                self.rollback(before);
                Err(full)
            }
        }
    }
}

fn fill(draft: &mut Draft<'_>, message: MessageRef<'_>) -> Result<(), Full> {
    for header in Header::ALL {
        if let Some(text) = message.header_opt(header) {
            draft.set(header, text)?;
        }
    }
    if let Some(timestamp) = message.timestamp_opt() {
        draft.set_timestamp(timestamp);
    }
    if let Some(severity) = message.severity_opt() {
        draft.set_severity(severity);
    }
    if let Some(pid) = message.pid_opt() {
        draft.set_pid(pid);
    }
    draft.set_signer(message.head().signer);
    draft.set_loops(message.head().loops);
    for field in message.fields() {
        let copy = copy_field(draft, field)?;
        draft.push_field(copy)?;
    }
    Ok(())
}

fn copy_field(draft: &mut Draft<'_>, field: FieldRef<'_>) -> Result<Field, Full> {
    let stored = *field.stored();
    let name = draft.store(field.name())?;
    let representation = match field.representation() {
        Some(text) => Some(draft.store(text)?),
        None => None,
    };
    if field.len() > 1 {
        let body = draft.store(field.body())?;
        return Ok(crate::protobuf::array_field(
            draft.bytes(),
            body,
            name,
            representation,
            stored.value_type,
        ));
    }
    let first = match field.first() {
        Some(Value::String(text) | Value::Bytes(text)) => Field::pack_span(draft.store(text)?),
        _ => stored.first,
    };
    Ok(Field {
        name,
        representation,
        body: Span::EMPTY,
        first,
        ..stored
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::ValueType;
    use crate::message::{NewValue, TableLimits};

    fn table(arena_bytes: usize) -> MessageTable {
        MessageTable::new(TableLimits {
            received_bytes: 0,
            arena_bytes,
            messages: 4,
            fields: 16,
        })
    }

    fn example(table: &mut MessageTable) {
        let mut draft = table.begin().expect("room");
        draft.set(Header::Uuid, &[7_u8; 16][..]).expect("room");
        draft.set(Header::Type, "t").expect("room");
        draft.set_timestamp(-5);
        draft.set_severity(3);
        draft.set_pid(9);
        draft
            .add_field("s", NewValue::String("text".into()), Some("r".into()))
            .expect("room");
        draft
            .add_field("d", NewValue::Double(1.5), None)
            .expect("room");
        let values = [Value::Integer(1), Value::Integer(-2)];
        draft
            .add_array("a", ValueType::Integer, &values, None)
            .expect("room");
    }

    #[test]
    fn a_copy_says_the_same() {
        let mut from = table(1024);
        example(&mut from);
        let mut to = table(1024);
        to.copy(from.get(0)).expect("room");
        let mut bytes = [Vec::new(), Vec::new()];
        crate::protobuf::encode(from.get(0), &mut bytes[0]);
        crate::protobuf::encode(to.get(0), &mut bytes[1]);
        assert_eq!(bytes[0], bytes[1]);
    }

    #[test]
    fn a_copy_that_does_not_fit_leaves_nothing() {
        let mut from = table(1024);
        example(&mut from);
        for arena in 0..40 {
            let mut to = table(arena);
            let before = to.mark();
            if to.copy(from.get(0)).is_err() {
                assert_eq!(to.mark(), before);
            }
        }
    }
}
