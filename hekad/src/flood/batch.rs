//! Frames to be sent, in one buffer that is patched instead of written anew.
//!
//! Owns:    the buffer, where its frames and their changing parts stand, and the counts of what is in it.
//! Runs on: one sending thread.            Plane: data.
//! Bounds:  `BATCH_BYTES`, or one frame if that is larger.
//! Never:   allocates once every shape of message was seen; a message that has the shape of the one that stood in its
//!          place before costs only the patching of uuid, time and sequence (and its signature).

use std::collections::HashMap;

use codecs::framing;
use codecs::limits::MESSAGE_BYTES_MAX;

use crate::failure::Failure;
use crate::flood::message::{self, OVERSIZED, TIMESTAMP_AT, TIMESTAMP_BYTES, UUID_AT, UUID_BYTES};
use crate::flood::mix::{Kind, Mix};
use crate::flood::settings::Settings;

/// Bytes written at once: with smaller writes the sender becomes the limit.
const BATCH_BYTES: usize = 1024 * 1024;

/// Everything that decides which bytes of a frame stand where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Shape {
    body: u8,
    seq_width: u8,
    signed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    start: usize,
    message: usize,
    end: usize,
    shape: Shape,
    corrupt: bool,
}

/// How many messages of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Messages.
    pub(crate) messages: u64,
    /// Bytes with framing.
    pub(crate) bytes: u64,
    /// With one byte changed.
    pub(crate) corrupt: u64,
    /// With one byte changed and signed: a receiver that knows the key drops exactly these.
    pub(crate) corrupt_signed: u64,
    /// Signed.
    pub(crate) signed: u64,
    /// Over the receiver's limit.
    pub(crate) oversized: u64,
}

impl Counts {
    /// Adds other counts.
    pub(crate) fn add(&mut self, other: Counts) {
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.corrupt += other.corrupt;
        self.corrupt_signed += other.corrupt_signed;
        self.signed += other.signed;
        self.oversized += other.oversized;
    }
}

/// A buffer of frames.
pub(crate) struct Batch<'s> {
    settings: &'s Settings,
    mix: &'s Mix,
    /// Room for one frame header while a message is signed.
    header: Vec<u8>,
    templates: HashMap<Shape, Vec<u8>>,
    bytes: Vec<u8>,
    slots: Vec<Slot>,
    used: usize,
    /// Changed bytes and what they were, to be put back.
    damage: Vec<(usize, u8)>,
    random: fastrand::Rng,
}

impl<'s> Batch<'s> {
    /// An empty batch; `connection` only makes uuids differ.
    pub(crate) fn new(settings: &'s Settings, mix: &'s Mix, connection: usize) -> Batch<'s> {
        Batch {
            settings,
            mix,
            header: Vec::new(),
            templates: HashMap::new(),
            bytes: Vec::with_capacity(BATCH_BYTES),
            slots: Vec::new(),
            used: 0,
            damage: Vec::new(),
            random: fastrand::Rng::with_seed(
                settings.seed ^ (connection as u64) << 32 ^ message::now() as u64,
            ),
        }
    }

    /// Puts in messages `first`, `first + stride` ... as many as fit, at least 1 and at most `messages_max`.
    pub(crate) fn fill(
        &mut self,
        first: u64,
        stride: u64,
        messages_max: u64,
    ) -> Result<(), Failure> {
        for (at, byte) in self.damage.drain(..) {
            self.bytes[at] = byte;
        }
        let now = message::now() as u64;
        self.used = 0;
        while (self.used as u64) < messages_max {
            let sequence = first + self.used as u64 * stride;
            let kind = self.mix.kind(sequence);
            if !self.place(shape_of(self.settings, kind, sequence))? {
                break;
            }
            self.patch(self.used, sequence, kind, now)?;
            self.used += 1;
        }
        Ok(())
    }

    /// Makes the next slot one of that shape; `false` if the batch is full.
    fn place(&mut self, shape: Shape) -> Result<bool, Failure> {
        if let Some(slot) = self.slots.get(self.used) {
            if slot.shape == shape {
                return Ok(true);
            }
            // From here on the frames stand elsewhere.
            self.bytes.truncate(slot.start);
            self.slots.truncate(self.used);
        }
        if !self.templates.contains_key(&shape) {
            let encoded = message::encode(self.settings, shape.body, usize::from(shape.seq_width))?;
            self.templates.insert(shape, encoded);
        }
        let template = &self.templates[&shape];
        let start = self.bytes.len();
        let signer = self.settings.signer.as_ref().filter(|_| shape.signed);
        framing::write_frame(template, signer, MESSAGE_BYTES_MAX, &mut self.bytes)
            .map_err(unframed)?;
        if self.bytes.len() > BATCH_BYTES && self.used > 0 {
            self.bytes.truncate(start);
            return Ok(false);
        }
        let end = self.bytes.len();
        self.slots.push(Slot {
            start,
            message: end - template.len(),
            end,
            shape,
            corrupt: false,
        });
        Ok(true)
    }

    /// Writes what differs from message to message.
    fn patch(&mut self, index: usize, sequence: u64, kind: Kind, now: u64) -> Result<(), Failure> {
        let slot = &mut self.slots[index];
        slot.corrupt = kind.corrupt;
        let (header, encoded) =
            self.bytes[slot.start..slot.end].split_at_mut(slot.message - slot.start);
        if !self.settings.fixed {
            let mut uuid = (u128::from(self.random.u64(..)) << 64
                | u128::from(self.random.u64(..)))
            .to_le_bytes();
            uuid[6] = uuid[6] & 0x0f | 0x40;
            uuid[8] = uuid[8] & 0x3f | 0x80;
            encoded[UUID_AT..][..UUID_BYTES].copy_from_slice(&uuid);
            message::patch_varint(&mut encoded[TIMESTAMP_AT..][..TIMESTAMP_BYTES], now);
            let seq_at = encoded.len() - usize::from(slot.shape.seq_width);
            message::patch_varint(&mut encoded[seq_at..], sequence);
            if slot.shape.signed {
                self.header.clear();
                framing::write_frame_header(
                    encoded,
                    self.settings.signer.as_ref(),
                    MESSAGE_BYTES_MAX,
                    &mut self.header,
                )
                .map_err(unframed)?;
                header.copy_from_slice(&self.header);
            }
        }
        if kind.corrupt {
            let at = slot.message + self.random.usize(..slot.end - slot.message);
            self.damage.push((at, self.bytes[at]));
            self.bytes[at] ^= self.random.u8(1..);
        }
        Ok(())
    }

    /// The bytes of all frames.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.slots[..self.used].last().map_or(0, |slot| slot.end)]
    }

    /// Each frame, for networks that send them one by one.
    pub(crate) fn frames(&self) -> impl Iterator<Item = &[u8]> {
        self.slots[..self.used]
            .iter()
            .map(|slot| &self.bytes[slot.start..slot.end])
    }

    /// How many frames lie wholly within the first `bytes` bytes.
    pub(crate) fn whole_frames(&self, bytes: usize) -> usize {
        self.slots[..self.used].partition_point(|slot| slot.end <= bytes)
    }

    /// Where the frame ends that byte `at` belongs to; `at` itself if it begins one.
    pub(crate) fn frame_end(&self, at: usize) -> usize {
        let whole = self.whole_frames(at);
        match self.slots[..self.used].get(whole) {
            Some(slot) if slot.start < at => slot.end,
            _ => at,
        }
    }

    /// Counts of the first `frames` frames.
    pub(crate) fn counts(&self, frames: usize) -> Counts {
        let mut counts = Counts::default();
        for slot in &self.slots[..frames] {
            counts.messages += 1;
            counts.bytes += (slot.end - slot.start) as u64;
            counts.corrupt += u64::from(slot.corrupt);
            counts.corrupt_signed += u64::from(slot.corrupt && slot.shape.signed);
            counts.signed += u64::from(slot.shape.signed);
            counts.oversized += u64::from(slot.shape.body == OVERSIZED);
        }
        counts
    }
}

/// Sizes were checked with the settings; what is left is a signer's name that is too long for a header.
fn unframed(error: framing::FrameError) -> Failure {
    Failure::usage(format!("{error}: shorten the signer's name"))
}

fn shape_of(settings: &Settings, kind: Kind, sequence: u64) -> Shape {
    Shape {
        body: if kind.oversized {
            OVERSIZED
        } else {
            kind.variant
        },
        seq_width: if settings.fixed {
            0
        } else {
            message::varint_len(sequence) as u8
        },
        signed: kind.signed,
    }
}
