//! Inputs and outputs that are tried without a daemon.
//!
//! Owns:    `InputTrial`, `OutputTrial`.
//! Runs on: the thread of whoever tries them, which may wait.            Plane: control.
//! Bounds:  one call at a time.
//! Never:   runs in a daemon.

use codecs::message::MessageRef;

use super::Fault;

/// An input whose messages are looked at.
pub trait InputTrial {
    /// Makes messages once, and gives each to `take`, encoded; where that answers `false` it is to end. Answers what it complains about.
    fn run(&mut self, take: &mut dyn FnMut(&[u8]) -> bool) -> Result<Option<String>, Fault>;
}

/// An output that is given messages.
pub trait OutputTrial {
    /// Delivers a message. Answers why it is refused, if it is.
    fn deliver(&mut self, message: MessageRef<'_>) -> Result<Option<String>, Fault>;

    /// As at `ticker_interval`.
    fn tick(&mut self) -> Result<(), Fault>;
}
