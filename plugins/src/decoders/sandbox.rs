//! SandboxDecoder: a Lua script that makes messages of records.
//!
//! Owns:    the script's machine, which the streams of a shard share or have each for itself; its next life after an error.
//! Runs on: every shard.            Plane: data.
//! Bounds:  the script's limits; one record at a time.
//! Never:   gives a record to the script again because a batch was full, as far as the script's messages were made by `inject_message`.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use codecs::error::Full;
use codecs::field::Span;
use codecs::message::{Draft, Header};
use engine::plugin::options::CodecOptions;
use engine::plugin::{
    CodecEnd, DecodeError, DecodeInput, Decoded, Decoder, DecoderFactory, DecoderPlugin, Fault,
    Figure, PluginSpec, Remark, Section,
};
use sandbox::{Host, InjectError, Injected, Kind, Subject, Terminated};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::script::{Chosen, Last, Lives, Made, Script, fill, options, shared, told};

/// Room of a batch that a script is run for, bytes. What needs more is made again in a batch of its own.
const ROOM_BYTES: usize = 8 * 1024;

/// As the log and the field `decode_error` have it where nothing more is known.
const FAILED: DecodeError = DecodeError::failed("the script refused it");

/// Whose machine it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Instances {
    /// All streams of a shard share one.
    #[default]
    PerShard,
    /// Each stream has its own.
    PerStream,
}

options! {
    /// Options of `SandboxDecoder`.
    Options {
        /// Whether the daemon goes on when the script has ended by an error; it is then started again
        can_exit: bool = true,
        /// Decoders have no timer
        #[schemars(extend("x-no-effect" = "decoders have no timer"))]
        timer_event_on_shutdown: bool = false,
        /// Whether all streams of a shard share the script's globals (per_shard), or each stream has its own (per_stream)
        instances: Instances = Instances::PerShard,
        /// Whether the shipped decoders nginx_access and apache_access leave lines of the usual formats to Rust, which makes the same messages
        fast_path: bool = true,
    }
}

/// The table's line.
pub const SPEC: PluginSpec = PluginSpec::decoder::<Options>(
    "SandboxDecoder",
    "Runs a Lua script that decodes messages",
)
.notes(&[
    "The script changes the message by `write_message`, or replaces it by `inject_message`; further injections are further messages. \
     Where an injected message lacks Type, Logger, Hostname, Severity or Pid it has those of the message that the script was given.",
    "A status below 0 refuses the record: `Failed parsing: <text> payload: <payload>` is in the log and, with `send_decode_failures`, in the \
     field `decode_error`.",
    "An error of the script, a limit that it exceeds or a status above 0 ends its machine. With `can_exit` a new one is made, after a pause that \
     grows up to 30 seconds; records that come meanwhile are refused. Without it the daemon ends.",
    "Streams of one shard share the script's globals unless `instances` is `per_stream`, which takes a machine (about 100 KB at least) for each \
     connection or file.",
]);

impl DecoderPlugin for Options {
    fn build(self, section: &mut Section<'_, CodecOptions>) -> Option<Box<dyn DecoderFactory>> {
        let chosen = Chosen {
            fast_path: self.fast_path,
            ..self.chosen()
        };
        let script = Script::build(chosen, Kind::Decoder, section)?;
        Some(Box::new(Factory {
            script,
            instances: self.instances,
            can_exit: self.can_exit,
        }))
    }
}

struct Factory {
    script: Arc<Script>,
    instances: Instances,
    can_exit: bool,
}

impl DecoderFactory for Factory {
    fn make(&self, _subs: Vec<Box<dyn Decoder>>) -> Box<dyn Decoder> {
        let make = || RefCell::new(Machine::new(&self.script, self.can_exit));
        let machine = match self.instances {
            Instances::PerShard => shared(&self.script, make),
            Instances::PerStream => Rc::new(make()),
        };
        Box::new(SandboxDecoder {
            machine,
            name: self.script.name().into(),
            again: None,
            failed: Last::default(),
        })
    }

    fn probe(&self) -> Result<(), Fault> {
        self.script.probe()
    }

    fn figures(&self, tell: &mut dyn FnMut(Figure)) {
        self.script.figures(true, tell);
    }

    fn abort(&self) {
        self.script.abort();
    }
}

/// What the streams of a shard share: the script's machines, and what is known of those before.
struct Machine {
    lives: Lives,
    can_exit: bool,
    /// What the call at hand has made.
    made: Made,
    /// Ends that the log does not know of yet.
    ends: Last,
    /// The end that the daemon must not go on after.
    end: Option<String>,
}

impl Machine {
    fn new(script: &Arc<Script>, can_exit: bool) -> Machine {
        Machine {
            lives: Lives::new(script),
            can_exit,
            made: Made::default(),
            ends: Last::default(),
            end: None,
        }
    }

    /// The script has ended: what follows.
    #[cold]
    fn ended(&mut self, ended: &Terminated) {
        let told = told(ended);
        self.ends.note(&[b"terminated: ", told.as_bytes()]);
        if !self.can_exit {
            self.end = Some(told);
        }
    }
}

/// What the script injects into during one call.
struct Record<'a> {
    made: &'a mut Made,
    last: &'a mut Last,
    now: i64,
}

impl Host for Record<'_> {
    fn inject(
        &mut self,
        injected: Injected<'_>,
        _subject: &mut Subject<'_, '_>,
    ) -> Result<(), InjectError> {
        self.made.push(0, injected);
        Ok(())
    }

    fn now(&self) -> i64 {
        self.now
    }

    fn explain(&mut self, why: &str) {
        self.last.set(&[why.as_bytes()]);
    }
}

/// The decoder of one stream.
struct SandboxDecoder {
    machine: Rc<RefCell<Machine>>,
    name: Box<str>,
    /// What the script has made of the record that found no room; it comes again.
    again: Option<Made>,
    /// What the last record was refused for.
    failed: Last,
}

/// Headers that an injected message has from the one that the script was given.
#[derive(Clone, Copy)]
struct Original {
    texts: [(Header, Option<Span>); 3],
    severity: Option<i32>,
    pid: Option<i32>,
}

impl Original {
    fn of(draft: &Draft<'_>) -> Original {
        let message = draft.view();
        let text = |header| (header, message.head().text(header));
        Original {
            texts: [
                text(Header::Type),
                text(Header::Logger),
                text(Header::Hostname),
            ],
            severity: message.severity_opt(),
            pid: message.pid_opt(),
        }
    }

    /// Gives a message what it lacks.
    fn complete(&self, draft: &mut Draft<'_>) -> Result<(), Full> {
        for (header, text) in self.texts {
            if let Some(text) = text
                && draft.view().header_opt(header).is_none()
            {
                draft.set(header, text)?;
            }
        }
        if let Some(severity) = self.severity
            && draft.view().severity_opt().is_none()
        {
            draft.set_severity(severity);
        }
        if let Some(pid) = self.pid
            && draft.view().pid_opt().is_none()
        {
            draft.set_pid(pid);
        }
        Ok(())
    }
}

/// Why what was made is no message.
enum Unmade {
    Full,
    NotAMessage,
}

impl From<Full> for Unmade {
    fn from(_: Full) -> Self {
        Unmade::Full
    }
}

/// Makes messages of what the script has injected: the first in the draft, further ones behind it.
fn place(draft: &mut Draft<'_>, made: &Made, script: &Script) -> Result<(), Unmade> {
    let original = Original::of(draft);
    for (number, item) in made.iter().enumerate() {
        if number == 0 {
            place_one(draft, item.what, &original, script)?;
            continue;
        }
        let mut next = draft.table().begin()?;
        if matches!(item.what, Injected::Payload { .. }) {
            let uuid: [u8; 16] = random_uuid();
            next.set(Header::Uuid, &uuid[..])?;
            next.set_timestamp(0);
        }
        place_one(&mut next, item.what, &original, script)?;
    }
    Ok(())
}

fn random_uuid() -> [u8; 16] {
    let mut uuid = fastrand::u128(..).to_le_bytes();
    uuid[6] = uuid[6] & 0x0f | 0x40;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    uuid
}

fn place_one(
    draft: &mut Draft<'_>,
    what: Injected<'_>,
    original: &Original,
    script: &Script,
) -> Result<(), Unmade> {
    match what {
        Injected::Message(bytes) => {
            if !fill::message(draft, bytes)? {
                return Err(Unmade::NotAMessage);
            }
            if !script.is_utc {
                let shown = draft.view().timestamp();
                draft.set_timestamp(script.zone.of_utc_clock(shown));
            }
        }
        Injected::Payload {
            text,
            payload_type,
            name,
        } => fill::payload(draft, text, payload_type, name)?,
    }
    original.complete(draft)?;
    Ok(())
}

impl SandboxDecoder {
    /// Runs the script over a record. What it injects is in `made`.
    fn run(
        &mut self,
        machine: &mut Machine,
        draft: &mut Draft<'_>,
        now: i64,
    ) -> Result<(), DecodeError> {
        machine.made.clear();
        if let Err(ended) = machine.lives.renew(now) {
            machine.ended(&ended);
        }
        let Some(running) = machine.lives.running() else {
            let text = machine.ends.text();
            self.failed
                .set(&[b"SandboxDecoder has been ", text.as_bytes()]);
            return Err(FAILED);
        };
        let mut host = Record {
            made: &mut machine.made,
            last: &mut self.failed,
            now,
        };
        let subject = Subject::Draft(draft);
        let returned = running.sandbox().process_message(subject, &mut host);
        let judged = judge(returned, draft, &mut self.failed);
        running.count();
        judged.map_err(|ended| {
            if let Some(ended) = ended {
                self.failed.set(&[b"FATAL: ", ended.text.as_bytes()]);
                machine.lives.end(now);
                machine.ended(&ended);
            }
            FAILED
        })
    }
}

/// What follows from what the script has returned: `None` for a record that it refuses, or its end.
fn judge(
    returned: Result<sandbox::Returned<'_>, Terminated>,
    draft: &Draft<'_>,
    failed: &mut Last,
) -> Result<(), Option<Terminated>> {
    let returned = returned.map_err(Some)?;
    let text = returned.text.unwrap_or_default();
    match returned.status {
        0 => Ok(()),
        ..0 => {
            let payload = draft.view().payload();
            failed.set(&[b"Failed parsing: ", text, b" payload: ", payload]);
            Err(None)
        }
        1.. => Err(Some(Terminated {
            cause: sandbox::Cause::Error,
            text: String::from_utf8_lossy(text).into_owned(),
            trace: String::new(),
        })),
    }
}

impl Decoder for SandboxDecoder {
    fn decode(
        &mut self,
        draft: &mut Draft<'_>,
        input: DecodeInput,
    ) -> Result<Decoded, DecodeError> {
        let is_first = draft.index() == 0;
        if !is_first && draft.table().room() < ROOM_BYTES {
            return Err(DecodeError::Full);
        }
        let machine = Rc::clone(&self.machine);
        let mut machine = machine.borrow_mut();
        let made = match self.again.take() {
            Some(made) => made,
            None => {
                self.run(&mut machine, draft, input.now)?;
                if machine.made.is_empty() {
                    return Ok(Decoded::Message);
                }
                std::mem::take(&mut machine.made)
            }
        };
        let placed = place(draft, &made, machine.lives.script());
        let replaces = matches!(
            made.first().map(|item| item.what),
            Some(Injected::Message(_))
        );
        match placed {
            Ok(()) => {
                machine.made = made;
                Ok(Decoded::Message)
            }
            Err(Unmade::Full) => {
                // In an empty batch it is dropped; otherwise it comes again.
                if !is_first && replaces {
                    self.again = Some(made);
                }
                Err(DecodeError::Full)
            }
            Err(Unmade::NotAMessage) => {
                machine.made = made;
                self.failed
                    .set(&[b"inject_message() protobuf unmarshal failed"]);
                Err(FAILED)
            }
        }
    }

    fn failure(&self) -> Option<&str> {
        Some(self.failed.text()).filter(|text| !text.is_empty())
    }

    fn take_remarks(&mut self, tell: &mut dyn FnMut(Remark<'_>)) {
        let mut machine = self.machine.borrow_mut();
        if let Some((reason, count)) = machine.ends.take_now() {
            tell(Remark {
                decoder: &self.name,
                reason,
                count,
            });
        }
    }

    fn take_end(&mut self, tell: &mut dyn FnMut(CodecEnd<'_>)) {
        if let Some(error) = self.machine.borrow_mut().end.take() {
            tell(CodecEnd {
                codec: &self.name,
                error: &error,
            });
        }
    }
}
