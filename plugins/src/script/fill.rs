//! From what a script injects to a message.
//!
//! Owns:    the two forms of injections as messages.
//! Runs on: every shard.            Plane: data.
//! Bounds:  what the table has room for.
//! Never:   decides who made the message: the plugin does.

use codecs::error::Full;
use codecs::message::{Draft, Header, IndexError, NewValue};

/// What `inject_payload` makes of a message: its payload, and two fields that say what it is.
pub(crate) fn payload(
    draft: &mut Draft<'_>,
    text: &[u8],
    payload_type: &[u8],
    name: &[u8],
) -> Result<(), Full> {
    draft.set(Header::Payload, text)?;
    let payload_type = NewValue::String(payload_type.into());
    draft.add_field("payload_type", payload_type, Some("file-extension".into()))?;
    draft.add_field("payload_name", NewValue::String(name.into()), None)
}

/// Replaces a message by an encoded one. Answers `false` where the bytes are none.
pub(crate) fn message(draft: &mut Draft<'_>, bytes: &[u8]) -> Result<bool, Full> {
    let span = draft.store(bytes)?;
    match draft.index_protobuf(span) {
        Ok(()) => Ok(true),
        Err(IndexError::Full) => Err(Full),
        Err(IndexError::Damage(_)) => Ok(false),
    }
}
