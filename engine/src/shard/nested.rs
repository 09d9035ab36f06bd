//! Inputs that another input runs: a context of their own, under the other's ledger.
//!
//! Owns:    `Nested`: what such an input has instead of an entry in the topology, and the order to stop it alone.
//! Runs on: the shard of the input that runs it.            Plane: data.
//! Bounds:  as many as the other input takes.
//! Never:   changes what the plan says.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use codecs::splitter::Splitter;

use super::intake::InputContext;
use crate::plugin::options::Retries;
use crate::plugin::{LoadedInput, MakeDecoder, SplitterFactory};

/// An input that another one runs.
pub(super) struct Nested {
    pub(super) input: Rc<LoadedInput>,
    pub(super) is_stopping: Cell<bool>,
}

impl fmt::Debug for Nested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.input.fmt(f)
    }
}

impl InputContext {
    /// The view of an input that this one runs: its messages count here, but its name, splitter and decoder are its own.
    pub fn nest(&self, input: Rc<LoadedInput>) -> InputContext {
        let nested = Nested {
            input,
            is_stopping: Cell::new(false),
        };
        InputContext {
            nested: Some(Rc::new(nested)),
            ..self.clone()
        }
    }

    /// Stops an input that another one runs, as the end of the daemon would.
    pub fn stop_nested(&self) {
        if let Some(nested) = &self.nested {
            nested.is_stopping.set(true);
            self.shard.wake_inputs();
        }
    }

    pub(super) fn splitter(&self) -> &dyn SplitterFactory {
        match &self.nested {
            Some(nested) => &*nested.input.splitter,
            None => &*self.shard.topology.input(self.input).splitter,
        }
    }

    /// A splitter for a stream; `whole` as in `StreamOptions`.
    pub(super) fn make_splitter(&self, whole: bool) -> Box<dyn Splitter> {
        match whole {
            true => self.splitter().make_whole(),
            false => self.splitter().make(),
        }
    }

    /// Names of the sections of its splitter and its decoder.
    pub(super) fn codec_names(&self) -> (&str, &str) {
        match &self.nested {
            Some(nested) => (&nested.input.splitter_name, &nested.input.decoder_name),
            None => {
                let unit = self.shard.topology.input(self.input);
                (&unit.splitter_name, &unit.decoder_name)
            }
        }
    }

    /// How often, and when, it is tried again.
    pub(super) fn retries(&self) -> &Retries {
        match &self.nested {
            Some(nested) => &nested.input.retries,
            None => &self.shard.topology.input(self.input).retries,
        }
    }

    pub(super) fn decoder(&self) -> Option<&MakeDecoder> {
        match &self.nested {
            Some(nested) => nested.input.decoder.as_ref(),
            None => self.shard.topology.input(self.input).decoder.as_ref(),
        }
    }

    pub(super) fn sends_decode_failures(&self) -> bool {
        match &self.nested {
            Some(nested) => nested.input.send_decode_failures,
            None => self.shard.topology.input(self.input).send_decode_failures,
        }
    }
}
