//! SandboxEncoder: a Lua script that makes bytes of messages.
//!
//! Owns:    the script's machine, and its next life after an error.
//! Runs on: every shard, one instance an output.            Plane: data.
//! Bounds:  the script's limits; one message at a time.
//! Never:   changes the message: `write_message` works on a copy.

use std::sync::Arc;

use codecs::message::MessageRef;
use codecs::protobuf;
use engine::plugin::options::CodecOptions;
use engine::plugin::{
    EncodeContext, EncodeFailure, Encoded, Encoder, EncoderFactory, EncoderPlugin, Fault, Figure,
    PluginSpec, Remark, Section, encode_protobuf,
};
use sandbox::{Host, InjectError, Injected, Kind, Subject, Terminated};

use crate::script::{Last, Lives, Script, options, told};

/// The status of a script that has nothing to send.
const NOTHING: i32 = -2;

/// As the report has it where nothing more is known.
const FAILED: EncodeFailure = EncodeFailure {
    reason: "the script refused it",
};

options! {
    /// Options of `SandboxEncoder`.
    Options {}
}

/// The table's line.
pub const SPEC: PluginSpec = PluginSpec::encoder::<Options>(
    "SandboxEncoder",
    "Runs a Lua script that encodes messages",
)
.notes(&[
    "What the script injects last is the output: the text of `inject_payload`, or the bytes of `inject_message`. A script that injects nothing \
     sends the message itself in protobuf, with what it wrote by `write_message`.",
    "A status of -2 sends nothing for this message, and is no error. Any other below 0 is `Failed serializing: <text>`: the message is dropped, or \
     kept as a dead letter, and the text is in the log, at most once a second.",
    "An error of the script, a limit that it exceeds or a status above 0 ends its machine; a new one is made, after a pause that grows up to 30 \
     seconds. Messages that come meanwhile fail as above.",
    "Each output has an instance of its own on each shard.",
]);

impl EncoderPlugin for Options {
    fn build(self, section: &mut Section<'_, CodecOptions>) -> Option<Box<dyn EncoderFactory>> {
        let script = Script::build(self.chosen(), Kind::Encoder, section)?;
        Some(Box::new(Factory { script }))
    }
}

struct Factory {
    script: Arc<Script>,
}

impl EncoderFactory for Factory {
    fn make(&self) -> Box<dyn Encoder> {
        Box::new(SandboxEncoder {
            lives: Lives::new(&self.script),
            failed: Last::default(),
        })
    }

    fn probe(&self) -> Result<(), Fault> {
        self.script.probe()
    }

    fn figures(&self, tell: &mut dyn FnMut(Figure)) {
        self.script.figures(tell);
    }

    fn abort(&self) {
        self.script.abort();
    }
}

struct SandboxEncoder {
    lives: Lives,
    failed: Last,
}

/// What the script injects into during one call.
struct Output<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    injected: bool,
    now: i64,
}

impl Host for Output<'_> {
    fn inject(
        &mut self,
        injected: Injected<'_>,
        _subject: &mut Subject<'_, '_>,
    ) -> Result<(), InjectError> {
        let bytes = match injected {
            Injected::Message(bytes) => bytes,
            Injected::Payload { text, .. } => text,
        };
        self.out.truncate(self.start);
        self.out.extend_from_slice(bytes);
        self.injected = true;
        Ok(())
    }

    fn now(&self) -> i64 {
        self.now
    }
}

impl SandboxEncoder {
    /// The script has ended: what follows.
    #[cold]
    fn ended(&mut self, ended: &Terminated, now: i64) -> EncodeFailure {
        self.failed.note(&[b"FATAL: ", told(ended).as_bytes()]);
        self.lives.end(now);
        FAILED
    }
}

/// What became of a call.
enum Outcome {
    Injected,
    /// Nothing was injected: the message itself is the output, with what was written.
    Passed,
    Nothing,
    Failed,
    Ended(Terminated),
}

fn judge(
    returned: Result<sandbox::Returned<'_>, Terminated>,
    injected: bool,
    failed: &mut Last,
) -> Outcome {
    let returned = match returned {
        Ok(returned) => returned,
        Err(ended) => return Outcome::Ended(ended),
    };
    let text = returned.text.unwrap_or_default();
    match returned.status {
        0 if injected => Outcome::Injected,
        0 => Outcome::Passed,
        NOTHING => Outcome::Nothing,
        ..0 => {
            failed.note(&[b"Failed serializing: ", text]);
            Outcome::Failed
        }
        1.. => Outcome::Ended(returned.end()),
    }
}

impl Encoder for SandboxEncoder {
    fn encode(
        &mut self,
        message: MessageRef<'_>,
        context: EncodeContext,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeFailure> {
        let now = context.now;
        if let Err(ended) = self.lives.renew(now) {
            return Err(self.ended(&ended, now));
        }
        let bytes_max = self.lives.script().message_bytes_max();
        let Some(running) = self.lives.running() else {
            self.failed.count();
            return Err(FAILED);
        };
        let mut host = Output {
            start: out.len(),
            out,
            injected: false,
            now,
        };
        let subject = Subject::Message(message);
        let returned = running.sandbox().process_message(subject, &mut host);
        let injected = host.injected;
        let outcome = judge(returned, injected, &mut self.failed);
        running.count();
        match outcome {
            Outcome::Injected => Ok(Encoded::Appended),
            Outcome::Passed => match running.sandbox().written() {
                Some(written) if protobuf::encoded_len(written) > bytes_max => Err(EncodeFailure {
                    reason: "the message that the script made is longer than max_message_size",
                }),
                Some(written) => {
                    protobuf::encode(written, out);
                    Ok(Encoded::Appended)
                }
                None => encode_protobuf(message, bytes_max, out),
            },
            Outcome::Nothing => Ok(Encoded::Nothing),
            Outcome::Failed => Err(FAILED),
            Outcome::Ended(ended) => Err(self.ended(&ended, now)),
        }
    }

    fn failure(&self) -> Option<&str> {
        Some(self.failed.text()).filter(|text| !text.is_empty())
    }

    fn take_remarks(&mut self, tell: &mut dyn FnMut(Remark<'_>)) {
        if let Some((reason, count)) = self.failed.take_now() {
            tell(Remark {
                decoder: self.lives.script().name(),
                reason,
                count,
            });
        }
    }
}
