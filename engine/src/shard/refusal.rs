//! Records that a decoder refuses: what it says of them, and the marked message that may go on instead.
//!
//! Owns:    the fields `decode_failure` and `decode_error`.
//! Runs on: every shard.            Plane: data.
//! Bounds:  `DECODE_ERROR_BYTES` of text.
//! Never:   allocates for a text, once it has grown to what decoders say.

use codecs::error::Full;
use codecs::message::{MessageTable, NewValue};
use codecs::splitter::Record;

use super::headers::Shared;
use super::intake::{Intake, place_content, shift};

/// Longest text in the field `decode_error`, bytes, as Heka.
const DECODE_ERROR_BYTES: usize = 500;

impl Intake {
    /// What the decoder says of the record that it has refused, and whether it has ended over it.
    pub(super) fn hear_refusal(&mut self) {
        self.refusal.clear();
        if let Some(decoder) = &mut self.decoder {
            self.refusal.push_str(decoder.failure().unwrap_or_default());
            let shard = &self.context.shard;
            decoder.take_end(&mut |end| shard.codec_ended(end));
        }
    }

    /// The message as the input makes it, marked with what the decoder said.
    pub(super) fn make_marked(
        &mut self,
        table: &mut MessageTable,
        at: usize,
        record: &Record,
        shared: &Shared,
        reason: &str,
    ) -> Result<(), Full> {
        let name = self.context.name();
        let shared = match shared.is_nothing() {
            true => &self.headers.place(table, name, None, shared.now)?,
            false => shared,
        };
        let mut draft = table.begin()?;
        draft.set_record(shift(record.whole, at));
        draft.set_signer(record.signer);
        let content = place_content(&mut draft, at, record)?;
        self.fill_headers(&mut draft, content, shared)?;
        let reason = &reason[..reason.floor_char_boundary(DECODE_ERROR_BYTES)];
        draft.add_field("decode_failure", NewValue::Bool(true), None)?;
        draft.add_field("decode_error", NewValue::String(reason.into()), None)
    }
}
