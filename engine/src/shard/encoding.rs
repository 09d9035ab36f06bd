//! Encoding a delivery for an output, and what happens when the encoder panics over a message.
//!
//! Owns:    the calls of encoders.
//! Runs on: the messages' home shard, which has an encoder of its own for every output.            Plane: data.
//! Bounds:  one parcel at a time.
//! Never:   gives an encoder a message again over which one panicked.

use std::sync::Arc;

use super::Shard;
use super::containment::Panicked;
use super::parcel::Parcel;
use super::pulse::Running;
use super::topology::Role;
use crate::event::DropCause;
use crate::io::clock;
use crate::limits;
use crate::pack::{Batch, ConsumerId};
use crate::plugin::{EncodeContext, Encoder};
use crate::words::{agrees, counted};

impl Shard {
    /// Encodes the messages of a delivery for an output.
    pub(super) fn encode(
        &self,
        consumer: ConsumerId,
        batch: Arc<Batch>,
        delivery: u16,
        framing: bool,
    ) -> Box<Parcel> {
        let mut parcel = self.empty_parcel();
        let context = EncodeContext { now: clock::wall() };
        let picks = batch.picks(delivery as usize);
        let mut next = 0;
        let mut failed = None;
        loop {
            let mut encoder = match self.encoder(consumer) {
                Ok(Some(encoder)) => encoder,
                Ok(None) => {
                    parcel.list(picks);
                    break;
                }
                Err(panicked) => {
                    parcel.skip(&picks[next..], DropCause::PluginFailed);
                    failed = Some(panicked);
                    break;
                }
            };
            let filled = self.contain(Running::Encoder(consumer), || {
                parcel.fill(&batch, picks, &mut next, &mut *encoder, framing, context);
            });
            match filled {
                Ok(()) => {
                    if parcel.dropped() > 0 {
                        self.tell_remarks(consumer, &mut *encoder, context.now);
                    }
                    self.consumers.borrow_mut()[consumer.0 as usize].encoder = Some(encoder);
                    break;
                }
                Err(panicked) => {
                    let _ = self.contain(Running::Encoder(consumer), || drop(encoder));
                    parcel.skip(&picks[next..=next], DropCause::PluginFailed);
                    next += 1;
                    failed = Some(panicked);
                }
            }
        }
        parcel.carry(batch, delivery);
        match failed {
            Some(panicked) => {
                let failed = parcel
                    .drops()
                    .filter(|(_, cause)| *cause == DropCause::PluginFailed);
                self.encoder_failed(consumer, &panicked, failed.count());
            }
            None => self.consumers.borrow_mut()[consumer.0 as usize]
                .standing
                .backoff
                .succeeded(),
        }
        parcel
    }

    /// Tells the operator what an encoder remarked, not more often than once a `limits::REMARKS_INTERVAL`.
    #[cold]
    fn tell_remarks(&self, consumer: ConsumerId, encoder: &mut dyn Encoder, now: i64) {
        {
            let mut consumers = self.consumers.borrow_mut();
            let due = &mut consumers[consumer.0 as usize].standing.remarks_at;
            if now < *due {
                return;
            }
            *due = now + limits::REMARKS_INTERVAL;
        }
        let name = &self.topology.consumer(consumer).name;
        // One that panics here will do so over a message, or is harmless.
        let _ = self.contain(Running::Encoder(consumer), || {
            encoder.take_remarks(&mut |remark| self.notice(name, || remark.to_string()));
        });
    }

    /// Drops all encoders of this shard, in order.
    pub(super) fn end_encoders(&self) {
        for index in 0..self.topology.consumers.len() {
            let encoder = self.consumers.borrow_mut()[index].encoder.take();
            let id = ConsumerId(index as u16);
            let _ = self.contain(Running::Encoder(id), || drop(encoder));
        }
    }

    /// The encoder of an output on this shard: the one that there is, or a new one. `None` for an output without.
    #[inline]
    fn encoder(&self, consumer: ConsumerId) -> Result<Option<Box<dyn Encoder>>, Panicked> {
        let encoder = self.consumers.borrow_mut()[consumer.0 as usize]
            .encoder
            .take();
        match (encoder, &self.topology.consumer(consumer).role) {
            (Some(encoder), _) => Ok(Some(encoder)),
            (
                None,
                Role::Output {
                    encoder: Some(factory),
                    ..
                },
            ) => {
                let make = || factory.make();
                self.contain(Running::Encoder(consumer), make).map(Some)
            }
            (None, _) => Ok(None),
        }
    }

    /// An output's encoder has panicked: the output gets nothing more from this shard for a while, or ever.
    #[cold]
    fn encoder_failed(&self, consumer: ConsumerId, panicked: &Panicked, dropped: usize) {
        let unit = self.topology.consumer(consumer);
        let encoder = &unit.encoder_name;
        let wait = {
            let mut consumers = self.consumers.borrow_mut();
            let backoff = &mut consumers[consumer.0 as usize].standing.backoff;
            backoff
                .failed(self.stopping())
                .ok_or_else(|| backoff.failures())
        };
        match wait {
            Ok(wait) => {
                self.pause_consumer(consumer, wait);
                self.notice(&unit.name, || {
                    format!(
                        "its encoder '{encoder}' {panicked}; {} of a batch {} dropped (plugin_failed), the next wait {wait:.1?} for a new encoder",
                        counted(dropped, "message"),
                        agrees(dropped, "is", "are")
                    )
                });
            }
            Err(failures) => {
                self.forsake(consumer);
                if unit.home == self.id {
                    self.close_queue(consumer);
                }
                let error = format!(
                    "its encoder '{encoder}' {panicked}; it is not made again after {failures} failures in a row (`max_retries`)"
                );
                self.tell_ended(&unit.name, Some(error), unit.can_exit);
            }
        }
    }
}
