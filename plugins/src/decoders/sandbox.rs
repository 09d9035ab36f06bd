//! SandboxDecoder: a Lua script that makes messages of records.
//!
//! Owns:    the script's machine, which the streams of a shard share or have each for itself; its next life after an error.
//! Runs on: every shard.            Plane: data.
//! Bounds:  the script's limits; one record at a time.
//! Never:   gives a record to the script again because a batch was full.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use codecs::error::Full;
use codecs::field::Span;
use codecs::limits::{TABLE_ARENA_BYTES, TABLE_FIELDS_MAX, TABLE_MESSAGES_MAX, record_bytes_max};
use codecs::message::{Draft, Header, MessageRef, MessageTable, TableLimits};
use codecs::protobuf;
use engine::plugin::options::CodecOptions;
use engine::plugin::{
    CodecEnd, DecodeError, DecodeInput, Decoded, Decoder, DecoderFactory, DecoderPlugin, Fault,
    Figure, PluginSpec, Remark, Section,
};
use sandbox::{Cause, Host, InjectError, Injected, Kind, Subject, Terminated};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::script::{Chosen, Last, Lives, Made, Script, fill, options, shared, told};

/// Room of a batch that a script is run for, bytes. What needs more is placed in the next one.
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
        self.script.figures(tell);
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
    /// Where messages are made that a batch has no room for; made when the first one comes.
    spill: Option<MessageTable>,
    encoded: Vec<u8>,
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
            spill: None,
            encoded: Vec::new(),
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
    /// What an empty batch has room for, bytes.
    bytes_max: usize,
    last: &'a mut Last,
    now: i64,
}

impl Host for Record<'_> {
    fn inject(
        &mut self,
        injected: Injected<'_>,
        _subject: &mut Subject<'_, '_>,
    ) -> Result<(), InjectError> {
        if self.made.len() == TABLE_MESSAGES_MAX || self.made.bytes() > self.bytes_max {
            return Err(InjectError::Full);
        }
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
    again: Option<Again>,
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

/// What is known of a record that comes again.
enum Again {
    /// What the script has injected; it replaces the message.
    Injected(Made),
    /// The messages that it becomes.
    Messages(Made),
    /// No batch has room for it.
    TooLong,
}

impl Again {
    /// Whether the first message is the record's own, with something added.
    fn adds(&self) -> bool {
        let Again::Injected(made) = self else {
            return false;
        };
        matches!(
            made.first().map(|item| item.what),
            Some(Injected::Payload { .. })
        )
    }

    fn place(&self, draft: &mut Draft<'_>, script: &Script) -> Result<(), Unmade> {
        match self {
            Again::Injected(made) => place(draft, made, script),
            Again::Messages(messages) => place_whole(draft, messages),
            Again::TooLong => Err(Unmade::Full),
        }
    }

    /// The memory, to be used again.
    fn into_made(self) -> Made {
        match self {
            Again::Injected(made) | Again::Messages(made) => made,
            Again::TooLong => Made::default(),
        }
    }
}

/// What a run of the script has come to.
enum Ran {
    /// The message is in the draft, or to be made of what was injected.
    InDraft,
    /// As that, but the draft has no room for what the script has written: the message is a copy that the machine has.
    InCopy,
    /// It has written or injected more than any batch has room for.
    TooLong,
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

/// Replaces the draft by the first of these messages, and adds the others.
fn place_whole(draft: &mut Draft<'_>, messages: &Made) -> Result<(), Unmade> {
    for (number, item) in messages.iter().enumerate() {
        let Injected::Message(bytes) = item.what else {
            continue;
        };
        let is_message = match number {
            0 => fill::message(draft, bytes)?,
            _ => fill::message(&mut draft.table().begin()?, bytes)?,
        };
        if !is_message {
            return Err(Unmade::NotAMessage);
        }
    }
    Ok(())
}

/// Makes the messages of a record apart from its batch, and encodes them.
fn spilled(
    table: &mut Option<MessageTable>,
    encoded: &mut Vec<u8>,
    message: MessageRef<'_>,
    injected: &Made,
    script: &Script,
) -> Result<Made, Unmade> {
    let table = table.get_or_insert_with(|| {
        MessageTable::new(TableLimits {
            received_bytes: 0,
            arena_bytes: 2 * record_bytes_max(script.message_bytes_max()) + TABLE_ARENA_BYTES,
            messages: TABLE_MESSAGES_MAX,
            fields: TABLE_FIELDS_MAX,
        })
    });
    table.clear();
    let mut draft = table.copy(message)?;
    if draft.view().header_opt(Header::Uuid).is_none() {
        draft.set(Header::Uuid, &random_uuid()[..])?;
    }
    if draft.view().timestamp_opt().is_none() {
        draft.set_timestamp(0);
    }
    place(&mut draft, injected, script)?;
    let mut messages = Made::default();
    for index in 0..table.len() {
        encoded.clear();
        protobuf::encode(table.get(index), encoded);
        messages.push(0, Injected::Message(encoded));
    }
    Ok(messages)
}

impl SandboxDecoder {
    /// Runs the script over a record. What it injects is in `made`.
    fn run(
        &mut self,
        machine: &mut Machine,
        draft: &mut Draft<'_>,
        now: i64,
    ) -> Result<Ran, DecodeError> {
        machine.made.clear();
        if let Err(ended) = machine.lives.renew(now) {
            machine.ended(&ended);
        }
        let script = machine.lives.script();
        let bytes_max = record_bytes_max(script.message_bytes_max()) + TABLE_ARENA_BYTES;
        let Some(running) = machine.lives.running() else {
            let text = machine.ends.text();
            self.failed
                .set(&[b"SandboxDecoder has been ", text.as_bytes()]);
            return Err(FAILED);
        };
        let mut host = Record {
            made: &mut machine.made,
            bytes_max,
            last: &mut self.failed,
            now,
        };
        let subject = Subject::Draft(draft);
        let returned = running.sandbox().process_message(subject, &mut host);
        let judged = judge(returned, draft, &mut self.failed);
        running.count();
        match judged {
            Ok(()) if running.sandbox().written().is_some() => Ok(Ran::InCopy),
            Ok(()) => Ok(Ran::InDraft),
            Err(Some(ended)) if ended.cause == Cause::Full => Ok(Ran::TooLong),
            Err(Some(ended)) => {
                self.failed.set(&[b"FATAL: ", ended.text.as_bytes()]);
                machine.lives.end(now);
                machine.ended(&ended);
                Err(FAILED)
            }
            Err(None) => Err(FAILED),
        }
    }

    /// Runs the script over a record. What is still to be placed, if anything is.
    fn ask(
        &mut self,
        machine: &mut Machine,
        draft: &mut Draft<'_>,
        now: i64,
    ) -> Result<Option<Again>, DecodeError> {
        match self.run(machine, draft, now)? {
            Ran::InDraft if machine.made.is_empty() => Ok(None),
            Ran::InDraft => Ok(Some(Again::Injected(std::mem::take(&mut machine.made)))),
            Ran::InCopy => self.spill(machine, None).map(Some),
            Ran::TooLong => Ok(Some(Again::TooLong)),
        }
    }

    /// Makes the messages of a record apart from its batch: of the copy that the script has written to, or of a draft and what was injected.
    #[cold]
    fn spill(
        &mut self,
        machine: &mut Machine,
        draft: Option<(MessageRef<'_>, &Made)>,
    ) -> Result<Again, DecodeError> {
        let Machine {
            lives,
            made,
            spill,
            encoded,
            ..
        } = machine;
        let script = Arc::clone(lives.script());
        let copy = lives.running().and_then(|it| it.sandbox().written());
        let source = draft.or(copy.map(|message| (message, &*made)));
        let Some((message, injected)) = source else {
            return Ok(Again::TooLong);
        };
        match spilled(spill, encoded, message, injected, &script) {
            Ok(messages) => Ok(Again::Messages(messages)),
            Err(Unmade::Full) => Ok(Again::TooLong),
            Err(Unmade::NotAMessage) => Err(self.is_no_message()),
        }
    }

    #[cold]
    fn is_no_message(&mut self) -> DecodeError {
        self.failed
            .set(&[b"inject_message() protobuf unmarshal failed"]);
        FAILED
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
        1.. => Err(Some(returned.end())),
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
        let machine = &mut *machine.borrow_mut();
        let found = match self.again.take() {
            Some(again) => Some(again),
            None => self.ask(machine, draft, input.now)?,
        };
        let Some(found) = found else {
            return Ok(Decoded::Message);
        };
        let saved = found.adds().then(|| draft.save());
        match found.place(draft, machine.lives.script()) {
            Ok(()) => {
                machine.made = found.into_made();
                Ok(Decoded::Message)
            }
            // In an empty batch it is dropped; otherwise it comes again.
            Err(Unmade::Full) if is_first => Err(DecodeError::Full),
            Err(Unmade::Full) => {
                self.again = Some(match (found, saved) {
                    (Again::Injected(made), Some(saved)) => {
                        draft.restore(&saved);
                        self.spill(machine, Some((draft.view(), &made)))?
                    }
                    (found, _) => found,
                });
                Err(DecodeError::Full)
            }
            Err(Unmade::NotAMessage) => Err(self.is_no_message()),
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
