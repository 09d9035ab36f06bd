//! What scripts have injected and nobody has taken yet.
//!
//! Owns:    `Made`: a queue of injections in one buffer.
//! Runs on: where the script runs.            Plane: data.
//! Bounds:  by whoever fills it; `KEPT_BYTES` stay when it is empty.
//! Never:   allocates once it has grown to what is needed.

use std::ops::Range;

use sandbox::Injected;

/// Bytes that an empty queue keeps.
const KEPT_BYTES: usize = 256 * 1024;

/// Injections in their order.
#[derive(Debug, Default)]
pub(crate) struct Made {
    bytes: Vec<u8>,
    items: Vec<Held>,
    /// Those that were taken.
    taken: usize,
}

#[derive(Clone, Debug)]
struct Held {
    loops: u8,
    /// Message or text; then type and name, where it is a payload.
    text: Range<usize>,
    payload: Option<(Range<usize>, Range<usize>)>,
}

/// One injection, with the number of those behind what it is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item<'a> {
    pub(crate) loops: u8,
    pub(crate) what: Injected<'a>,
}

impl Made {
    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.items.len() - self.taken
    }

    /// Whether there is none.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of all of them.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets all.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        self.items.clear();
        self.taken = 0;
    }

    /// Adds one at the end.
    pub(crate) fn push(&mut self, loops: u8, what: Injected<'_>) {
        let held = match what {
            Injected::Message(bytes) => Held {
                loops,
                text: self.store(bytes),
                payload: None,
            },
            Injected::Payload {
                text,
                payload_type,
                name,
            } => Held {
                loops,
                text: self.store(text),
                payload: Some((self.store(payload_type), self.store(name))),
            },
        };
        self.items.push(held);
    }

    fn store(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    /// The oldest.
    pub(crate) fn first(&self) -> Option<Item<'_>> {
        self.items.get(self.taken).map(|held| self.item(held))
    }

    /// All of them in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Item<'_>> {
        self.items[self.taken..].iter().map(|held| self.item(held))
    }

    fn item(&self, held: &Held) -> Item<'_> {
        let of = |range: &Range<usize>| &self.bytes[range.clone()];
        let text = of(&held.text);
        Item {
            loops: held.loops,
            what: match &held.payload {
                None => Injected::Message(text),
                Some((payload_type, name)) => Injected::Payload {
                    text,
                    payload_type: of(payload_type),
                    name: of(name),
                },
            },
        }
    }

    /// Takes the oldest out.
    pub(crate) fn pop(&mut self) {
        self.taken += 1;
        if self.is_empty() {
            self.clear();
        }
    }
}
