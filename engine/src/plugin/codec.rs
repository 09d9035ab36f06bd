//! Splitters, decoders and encoders as plugins: pure steps over messages.
//!
//! Owns:    their traits and factories.
//! Runs on: every shard that has an input or a consumer using them.            Plane: data.
//! Bounds:  a step sees one record or one message; output goes to the message table or to a caller's buffer.
//! Never:   awaits, logs, or does I/O.

use crate::words::counted;
use std::fmt;

use codecs::error::Full;
use codecs::field::Span;
use codecs::message::{Draft, IndexError, MessageRef};
use codecs::protobuf;
use codecs::splitter::Splitter;

use super::{Fault, Figure};

/// Makes splitters. One per splitter section.
pub trait SplitterFactory: Send + Sync {
    /// A splitter for one stream.
    fn make(&self) -> Box<dyn Splitter>;

    /// A splitter for a stream whose reads mean nothing (a file, a command's output). Where what a read returned is a record, all bytes
    /// until the stream's end are one instead.
    fn make_whole(&self) -> Box<dyn Splitter> {
        self.make()
    }

    /// Whether records go to the decoder as message bytes, not as a payload.
    fn use_message_bytes(&self) -> bool;

    /// Names of signers by `Record::signer - 1`.
    fn signers(&self) -> &[String] {
        &[]
    }
}

/// Why a decoder refused a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeFailure {
    /// Constant text, for the report and for the field `decode_error`.
    pub reason: &'static str,
}

/// Why `decode` did not make a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The record is not what this decoder reads. The draft may be half changed; the engine restores it.
    Failed(DecodeFailure),
    /// No room in the message table: the engine repeats the call in a fresh one.
    Full,
}

impl DecodeError {
    /// A failure with this reason.
    pub const fn failed(reason: &'static str) -> DecodeError {
        DecodeError::Failed(DecodeFailure { reason })
    }
}

impl From<Full> for DecodeError {
    fn from(_: Full) -> Self {
        DecodeError::Full
    }
}

impl From<IndexError> for DecodeError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Full => DecodeError::Full,
            IndexError::Damage(damage) => DecodeError::failed(damage.as_str()),
        }
    }
}

/// What a successful decode left in the draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A message; further ones may stand behind it in the table.
    Message,
    /// Nothing: the record was read and filtered out.
    Nothing,
}

/// What a decoder is told beside the draft.
#[derive(Clone, Copy, Debug)]
pub struct DecodeInput {
    /// The record's content (an encoded message, a line); also the payload unless `use_message_bytes`.
    pub content: Span,
    /// Now, nanoseconds since the Unix epoch.
    pub now: i64,
}

/// What went wrong inside of a decoder without failing the record: for the log, not for the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remark<'a> {
    /// Section of the decoder that it came from; empty for the input's own.
    pub decoder: &'a str,
    /// What went wrong.
    pub reason: &'a str,
    /// How often since it was last told.
    pub count: u64,
}

impl fmt::Display for Remark<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = if self.decoder.is_empty() {
            "its decoder"
        } else {
            self.decoder
        };
        write!(f, "{by}: {} ({})", self.reason, counted(self.count, "time"))
    }
}

/// Turns a record into a message, in place.
pub trait Decoder {
    /// Changes the draft, which begins as the input's own message (payload or nothing, headers of the input).
    fn decode(&mut self, draft: &mut Draft<'_>, input: DecodeInput)
    -> Result<Decoded, DecodeError>;

    /// What the last failure says beyond its reason, if it does.
    fn failure(&self) -> Option<&str> {
        None
    }

    /// Tells what went wrong since the last call and forgets it. Called once in a while, not once a record.
    fn take_remarks(&mut self, _tell: &mut dyn FnMut(Remark<'_>)) {}

    /// Why the daemon cannot go on with this decoder, told once. Asked after a failure.
    fn take_end(&mut self, _tell: &mut dyn FnMut(CodecEnd<'_>)) {}
}

/// The end of a decoder or encoder that the daemon must not go on without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecEnd<'a> {
    /// Its section.
    pub codec: &'a str,
    /// Why it has ended.
    pub error: &'a str,
}

/// Makes decoders. One per decoder section.
pub trait DecoderFactory: Send + Sync {
    /// Sections of the decoders that it calls, in order.
    fn subs(&self) -> &[String] {
        &[]
    }

    /// A decoder for one stream; `subs` are instances of `self.subs()`, in order.
    fn make(&self, subs: Vec<Box<dyn Decoder>>) -> Box<dyn Decoder>;

    /// Finds out before the daemon starts whether instances can be made.
    fn probe(&self) -> Result<(), Fault> {
        Ok(())
    }

    /// What its instances have counted, for reports. Called by the control plane.
    fn figures(&self, _tell: &mut dyn FnMut(Figure)) {}

    /// Ends the calls that its instances are in, where that can be done from outside.
    fn abort(&self) {}
}

/// Why an encoder refused a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeFailure {
    /// Constant text for the report.
    pub reason: &'static str,
}

/// What an encoder did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoded {
    /// It appended the bytes to `out`.
    Appended,
    /// The bytes stand in the message's table already: nothing was appended or copied.
    InPlace(Span),
    /// This message has no encoded form; the output skips it and it counts as taken.
    Nothing,
}

/// What an encoder is told beside the message.
#[derive(Clone, Copy, Debug)]
pub struct EncodeContext {
    /// Now, nanoseconds since the Unix epoch.
    pub now: i64,
}

/// Turns a message into bytes for an output.
pub trait Encoder {
    /// Appends the encoded message to `out`, or names where it stands already.
    fn encode(
        &mut self,
        message: MessageRef<'_>,
        context: EncodeContext,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeFailure>;

    /// What the last failure says beyond its reason, if it does.
    fn failure(&self) -> Option<&str> {
        None
    }

    /// Tells what went wrong since the last call and forgets it. Called once in a while, not once a message.
    fn take_remarks(&mut self, _tell: &mut dyn FnMut(Remark<'_>)) {}
}

/// The protobuf form of a message: the bytes that were received where nothing has changed, otherwise appended to `out`. Longer than
/// `message_bytes_max` it is refused.
#[inline]
pub fn encode_protobuf(
    message: MessageRef<'_>,
    message_bytes_max: usize,
    out: &mut Vec<u8>,
) -> Result<Encoded, EncodeFailure> {
    let encoded = message.head().encoded;
    if !encoded.is_empty() {
        return Ok(Encoded::InPlace(encoded));
    }
    if protobuf::encoded_len(message) > message_bytes_max {
        return Err(EncodeFailure {
            reason: "the encoded message is longer than max_message_size",
        });
    }
    protobuf::encode(message, out);
    Ok(Encoded::Appended)
}

/// Makes encoders. One per encoder section; every output has its own instance on every shard.
pub trait EncoderFactory: Send + Sync {
    /// An encoder for one output on one shard.
    fn make(&self) -> Box<dyn Encoder>;

    /// Finds out before the daemon starts whether instances can be made.
    fn probe(&self) -> Result<(), Fault> {
        Ok(())
    }

    /// What its instances have counted, for reports. Called by the control plane.
    fn figures(&self, _tell: &mut dyn FnMut(Figure)) {}

    /// Ends the calls that its instances are in, where that can be done from outside.
    fn abort(&self) {}

    /// Whether outputs frame its bytes when `use_framing` is not set (only ProtobufEncoder).
    fn frames_by_default(&self) -> bool {
        false
    }
}
