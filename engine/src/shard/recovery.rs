//! A stream whose splitter or decoder panics: what is dropped, and how it goes on.
//!
//! Owns:    `Work`, how far a step has come; `Trouble`, the time that a stream is given.
//! Runs on: every shard.            Plane: data.
//! Bounds:  one catch a step; a stream that panics in step after step is read ever more slowly, by its input's `retries`.
//! Never:   gives a record to a decoder again over which one panicked, or lets a peer's bytes end more than its own stream.

use std::io;
use std::task::{Context, Poll, ready};

use codecs::message::MessageTable;

use super::containment::Panicked;
use super::headers::Shared;
use super::intake::{Cut, Intake, StepEnd, Tally};
use super::pulse::Running;
use crate::event::DropCause;
use crate::plugin::{Backoff, LocalFuture};

/// How far a step has come. It is kept outside of the plugins' calls, for the case that one does not return.
#[derive(Default)]
pub(super) struct Work {
    /// Where the bytes begin that are not dealt with.
    pub(super) at: usize,
    /// Bytes of the record there; 0 while the splitter looks for one.
    pub(super) consumed: usize,
    pub(super) tally: Tally,
}

/// A stream whose splitter or decoder has panicked.
pub(super) struct Trouble {
    /// Steps in a row in which that happened.
    backoff: Backoff,
    /// It happened in the step that was last.
    again: bool,
    /// Nothing is read before this is over.
    pause: Option<LocalFuture<'static, ()>>,
    /// The stream is given up for this reason.
    lost: Option<String>,
}

impl From<Panicked> for io::Error {
    fn from(panicked: Panicked) -> Self {
        io::Error::other(panicked.to_string())
    }
}

impl Intake {
    /// Cuts `from..filled` into records and makes messages of them.
    pub(super) fn cut(
        &mut self,
        table: &mut MessageTable,
        from: usize,
        filled: usize,
        end: bool,
        shared: &Shared,
    ) -> Cut {
        let shard = std::rc::Rc::clone(&self.context.shard);
        let who = Running::Stream(self.context.input);
        let before = table.len();
        let mut work = Work {
            at: from,
            ..Work::default()
        };
        loop {
            let split = shard.contain(who, || self.split(table, filled, end, shared, &mut work));
            let end = match split {
                Ok(end) => end,
                Err(panicked) => {
                    table.truncate(before + work.tally.messages as usize);
                    let is_over = work.consumed == 0;
                    self.skip(filled, &mut work, &panicked);
                    if !is_over {
                        continue;
                    }
                    StepEnd::Rest(filled)
                }
            };
            if self.trouble.is_some() {
                self.judge(&work.tally);
            }
            return Cut {
                end,
                tally: work.tally,
            };
        }
    }

    /// Drops the record over which the decoder panicked, or all bytes over which the splitter did, and makes another one.
    #[cold]
    fn skip(&mut self, filled: usize, work: &mut Work, panicked: &Panicked) {
        let shard = &self.context.shard;
        let (splitter, decoder) = self.context.codec_names();
        let who = Running::Stream(self.context.input);
        work.tally.drops.add(DropCause::PluginFailed, 1);
        let made = if work.consumed > 0 {
            work.at += work.consumed;
            self.context.notice(|| {
                format!(
                    "its decoder '{decoder}' {panicked}; the record is dropped (plugin_failed), a new decoder goes on behind it"
                )
            });
            let context = self.context.clone();
            shard.contain(who, || {
                self.decoder = context.decoder().map(|make| make());
            })
        } else {
            let bytes = filled - work.at;
            // One of them is the record that is counted; how many there are nobody can say.
            work.tally.garbage_bytes += bytes as u64;
            work.at = filled;
            self.context.notice(|| {
                format!(
                    "its splitter '{splitter}' {panicked}; the {bytes} bytes that were read are dropped (plugin_failed), a new splitter goes on behind them"
                )
            });
            let context = self.context.clone();
            shard.contain(who, || self.splitter = context.make_splitter(self.whole))
        };
        let trouble = self.trouble.get_or_insert_with(|| {
            Box::new(Trouble {
                backoff: Backoff::new(self.context.retries().clone()),
                again: false,
                pause: None,
                lost: None,
            })
        });
        trouble.again = true;
        if let Err(panicked) = made {
            trouble.lost = Some(format!("a new one cannot be made: {panicked}"));
        }
    }

    /// After a step of a stream in trouble: it is given time, or given up, or all is well again.
    #[cold]
    fn judge(&mut self, tally: &Tally) {
        let stopping = self.context.stopping();
        let Some(trouble) = &mut self.trouble else {
            return;
        };
        if !std::mem::take(&mut trouble.again) {
            if tally.messages > 0 && trouble.lost.is_none() {
                self.trouble = None;
            }
            return;
        }
        match trouble.backoff.failed(stopping) {
            Some(wait) => trouble.pause = Some(Box::pin(crate::io::sleep(wait))),
            None => {
                let failures = trouble.backoff.failures();
                trouble.lost.get_or_insert_with(|| {
                    format!("its splitter or decoder panicked in {failures} reads in a row (`max_retries`)")
                });
            }
        }
    }

    /// Ready once the stream may be read; an error when it is given up.
    #[inline]
    pub(super) fn poll_recovered(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.trouble {
            None => Poll::Ready(Ok(())),
            Some(_) => self.poll_pause(cx),
        }
    }

    #[cold]
    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(trouble) = &mut self.trouble else {
            return Poll::Ready(Ok(()));
        };
        if let Some(lost) = &trouble.lost {
            return Poll::Ready(Err(io::Error::other(lost.clone())));
        }
        if let Some(pause) = &mut trouble.pause
            && !self.context.shard.stopping()
        {
            // The order to stop ends the pause.
            self.context
                .shard
                .streams
                .borrow_mut()
                .register(self.stream, cx);
            ready!(pause.as_mut().poll(cx));
        }
        trouble.pause = None;
        Poll::Ready(Ok(()))
    }

    /// Waits until a stream of datagrams may be read. It is never given up: each datagram is a stream of its own, and the next may do.
    pub(super) async fn recovered(&mut self) {
        let recovered = std::future::poll_fn(|cx| self.poll_recovered(cx)).await;
        if recovered.is_err()
            && let Some(trouble) = self.trouble.take()
        {
            self.context.shard.pause(trouble.backoff.steady()).await;
        }
    }
}
