//! One call into a script: the message it is about, and the host that takes what it injects.
//!
//! Owns:    `Subject`, `Host`, `Injected`, `InjectError`, and `Call`, which lends them to the functions of the script.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  one message, or one batch of them.
//! Never:   keeps what was lent.

use codecs::message::{Draft, MessageRef, MessageTable};

use crate::clock;

/// The messages of a batch that a script takes at once (`process_messages`).
pub trait Batch {
    /// How many.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The one at `index`, from 0.
    fn get(&self, index: usize) -> MessageRef<'_>;
}

/// What a call is about.
pub enum Subject<'a, 't> {
    /// No message: inputs, timers.
    Nothing,
    /// A message to read; an encoder's writes go to a copy that the sandbox keeps.
    Message(MessageRef<'a>),
    /// The decoder's message, to read and write.
    Draft(&'a mut Draft<'t>),
    /// The copy of the message that an encoder has changed, or a decoder whose table has no room. The sandbox makes it.
    Copy(Draft<'a>),
}

impl Subject<'_, '_> {
    /// The message as it is now.
    #[inline]
    pub fn view(&self) -> Option<MessageRef<'_>> {
        match self {
            Subject::Nothing => None,
            Subject::Message(message) => Some(*message),
            Subject::Draft(draft) => Some(draft.view()),
            Subject::Copy(draft) => Some(draft.view()),
        }
    }

    /// The message, as long as there is no copy.
    pub(crate) fn original(&self) -> Option<MessageRef<'_>> {
        match self {
            Subject::Copy(_) => None,
            _ => self.view(),
        }
    }
}

/// What a script injects.
#[derive(Clone, Copy, Debug)]
pub enum Injected<'a> {
    /// `inject_message`: a protobuf message. It was not looked at where the script made the bytes itself.
    Message(&'a [u8]),
    /// `inject_payload`.
    Payload {
        /// The text.
        text: &'a [u8],
        /// `txt` unless the script says otherwise.
        payload_type: &'a [u8],
        /// Empty unless the script says otherwise.
        name: &'a [u8],
    },
}

/// Why an injection was refused; the script gets an error with Heka's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InjectError {
    /// The bytes are no message.
    Unmarshal,
    /// More than `max_process_inject` or `max_timer_inject`.
    Count,
    /// The message came through more than `max_message_loops` injections.
    Loops,
    /// The script is being loaded: nobody takes messages yet.
    Loading,
    /// The filter would take what it injects.
    Circular,
    /// The daemon ends.
    Aborted,
    /// The message table has no room, see `Cause::Full`.
    Full,
}

impl InjectError {
    /// Heka's text, without the name of the function.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            InjectError::Unmarshal => "protobuf unmarshal failed",
            InjectError::Count => "exceeded InjectMessage count",
            InjectError::Loading => "is not possible while the script loads",
            InjectError::Loops => "exceeded MaxMsgLoops",
            InjectError::Circular => {
                "creates a circular reference (matches this plugin's message_matcher)"
            }
            InjectError::Aborted => "aborted",
            InjectError::Full => "the message table is full",
        }
    }
}

/// Who runs a sandbox: takes what the script injects.
///
/// What Heka does with an injected message is the host's work, because it differs by kind:
/// - a filter puts `heka.sandbox.` before the type, its own name into the logger, and this host's name into the hostname; a payload
///   becomes a message of type `heka.sandbox-output` with the fields `payload_type` (representation `file-extension`) and `payload_name`;
/// - a decoder fills the draft (`subject`) with the first one and appends messages for further ones; where Type, Hostname, Logger, Severity
///   or Pid are missing, they are the original's;
/// - an encoder's last injection is its output;
/// - decoders and inputs move the timestamp when their option `tz` is not UTC.
pub trait Host {
    /// Takes what the script injects. `subject` is what the running call is about.
    fn inject(
        &mut self,
        injected: Injected<'_>,
        subject: &mut Subject<'_, '_>,
    ) -> Result<(), InjectError>;

    /// Now, nanoseconds since the Unix epoch.
    fn now(&self) -> i64 {
        clock::system()
    }

    /// Hears why a function refused what the script asked for, where the script itself is told only `failed`. For the log.
    fn explain(&mut self, _why: &str) {}
}

/// A host that takes nothing: for calls that may not inject, and for tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHost;

impl Host for NoHost {
    fn inject(
        &mut self,
        _injected: Injected<'_>,
        _subject: &mut Subject<'_, '_>,
    ) -> Result<(), InjectError> {
        Err(InjectError::Loading)
    }
}

/// What the running call lends to the functions of the script.
pub(crate) struct Call<'a, 't> {
    pub(crate) subject: Subject<'a, 't>,
    pub(crate) host: &'a mut dyn Host,
    /// The batch that `select_message` selects from.
    pub(crate) batch: Option<&'a dyn Batch>,
    /// Fields that `read_next_field` has gone past.
    pub(crate) next_field: usize,
    /// Where a copy is made; taken when it is.
    pub(crate) copy: Option<&'a mut Option<MessageTable>>,
}
