//! Panics of plugins, caught where the plugin was called.
//!
//! Owns:    `Shard::contain` for calls, `Contained` for futures, what is remembered of a panic until its sentence is written.
//! Runs on: every shard; the panic hook's part on the thread that panics.            Plane: data.
//! Bounds:  one call or poll at a time, never one message.
//! Never:   catches a panic of the engine itself (`EngineStep`): what it was doing is half done, and the shard must end.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::Shard;
use super::intake::InputContext;
use super::pulse::Running;
use crate::plugin::{Fault, LocalFuture};

thread_local! {
    /// Calls of plugins that this thread is in.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Where the panic happened that is being caught.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Longest text of a panic that is passed on, bytes.
const TEXT_BYTES: usize = 1000;

/// A plugin panicked.
#[derive(Debug)]
pub(crate) struct Panicked {
    /// What it said, and where if that is known.
    pub(crate) text: String,
}

impl Panicked {
    fn new(payload: &(dyn Any + Send)) -> Panicked {
        let place = PLACE.with_borrow_mut(Option::take);
        let text = text_of(payload);
        Panicked {
            text: match place {
                Some(place) => format!("{text} ({place})"),
                None => text,
            },
        }
    }
}

impl std::fmt::Display for Panicked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "panicked: {}", self.text)
    }
}

/// What a panic said, on one line.
fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = match (
        payload.downcast_ref::<&str>(),
        payload.downcast_ref::<String>(),
    ) {
        (Some(text), _) => text,
        (_, Some(text)) => text.as_str(),
        _ => "without a text",
    };
    let end = text.floor_char_boundary(TEXT_BYTES);
    text[..end].replace(['\n', '\r'], " ")
}

/// For a panic hook: the sentence about a panic that nobody catches; `None` where a caller of a plugin will tell of it.
pub fn sentence(info: &PanicHookInfo<'_>) -> Option<String> {
    let place = info
        .location()
        .map(|place| format!("{}:{}", place.file(), place.line()));
    if DEPTH.get() > 0 {
        PLACE.set(place);
        return None;
    }
    let thread = std::thread::current();
    Some(format!(
        "thread '{}' panicked: {} ({})",
        thread.name().unwrap_or("without a name"),
        text_of(info.payload()),
        place.as_deref().unwrap_or("at an unknown place"),
    ))
}

#[inline]
fn caught<T>(call: impl FnOnce() -> T) -> std::thread::Result<T> {
    DEPTH.set(DEPTH.get() + 1);
    // What the plugin left half done is thrown away with it; the engine's own state is `EngineStep`'s concern.
    let result = catch_unwind(AssertUnwindSafe(call));
    DEPTH.set(DEPTH.get() - 1);
    result
}

impl Shard {
    /// Calls a plugin, and notes meanwhile that it runs.
    #[inline]
    pub(super) fn contain<T>(&self, who: Running, call: impl FnOnce() -> T) -> Result<T, Panicked> {
        let before = self.pulse().enter(who);
        let result = caught(call);
        self.pulse().leave(before);
        result.map_err(|payload| self.judge(payload))
    }

    /// A panic that came out of a plugin's call: the plugin's own, or the engine's on the way through.
    #[cold]
    fn judge(&self, payload: Box<dyn Any + Send>) -> Panicked {
        if self.broken.get() {
            resume_unwind(payload);
        }
        Panicked::new(&*payload)
    }

    /// Marks a step of the engine that plugins call into.
    #[inline]
    pub(super) fn engine_step(&self) -> EngineStep<'_> {
        EngineStep {
            broken: &self.broken,
            unwinding: std::thread::panicking(),
        }
    }
}

/// A step of the engine. Left by a panic, it marks the shard as broken: no caller of a plugin catches that panic.
pub(super) struct EngineStep<'a> {
    broken: &'a Cell<bool>,
    /// A plugin's panic was on its way before the step began: it is called by a destructor.
    unwinding: bool,
}

impl Drop for EngineStep<'_> {
    #[inline]
    fn drop(&mut self) {
        if std::thread::panicking() && !self.unwinding {
            self.broken.set(true);
        }
    }
}

/// A plugin's future. After a panic it is dropped and never polled again.
pub(super) struct Contained<'a, T> {
    shard: Rc<Shard>,
    who: Running,
    future: Option<LocalFuture<'a, T>>,
}

impl<'a, T> Contained<'a, T> {
    pub(super) fn new(shard: &Rc<Shard>, who: Running, future: LocalFuture<'a, T>) -> Self {
        Contained {
            shard: Rc::clone(shard),
            who,
            future: Some(future),
        }
    }

    /// Drops the future. What it says in doing so is of no interest any more.
    pub(super) fn end(&mut self) {
        if let Some(future) = self.future.take() {
            let _ = self.shard.contain(self.who, || drop(future));
        }
    }
}

impl<T> Future for Contained<'_, T> {
    type Output = Result<T, Panicked>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(future) = &mut this.future else {
            return Poll::Pending;
        };
        match this.shard.contain(this.who, || future.as_mut().poll(cx)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(result)) => {
                this.end();
                Poll::Ready(Ok(result))
            }
            Err(panicked) => {
                this.end();
                Poll::Ready(Err(panicked))
            }
        }
    }
}

impl<T> Drop for Contained<'_, T> {
    fn drop(&mut self) {
        self.end();
    }
}

impl InputContext {
    /// Runs a part of an input that may fail alone: its panic is that part's fault, the rest goes on.
    pub async fn contained<T>(&self, part: LocalFuture<'_, Result<T, Fault>>) -> Result<T, Fault> {
        let who = Running::Input(self.input);
        match Contained::new(&self.shard, who, part).await {
            Ok(result) => result,
            Err(panicked) => Err(Fault::new(panicked.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contain<T>(call: impl FnOnce() -> T) -> Result<T, Panicked> {
        caught(call).map_err(|payload| Panicked::new(&*payload))
    }

    #[test]
    fn a_panic_becomes_a_line() {
        let caught = contain(|| panic!("first\nsecond {}", 2)).expect_err("it panics");
        assert!(caught.text.starts_with("first second 2"), "{}", caught.text);
        let caught = contain(|| std::panic::panic_any(7)).expect_err("it panics");
        assert!(caught.text.starts_with("without a text"), "{}", caught.text);
        assert_eq!(contain(|| 7).expect("no panic"), 7);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let text: Box<dyn Any + Send> = Box::new("ü".repeat(TEXT_BYTES));
        let cut = text_of(&*text);
        assert_eq!(cut, "ü".repeat(TEXT_BYTES / 2));
    }

    #[test]
    fn a_step_that_is_left_by_a_panic_is_noticed_and_one_that_a_destructor_takes_is_not() {
        struct OnDrop<'a>(&'a Cell<bool>);
        impl Drop for OnDrop<'_> {
            fn drop(&mut self) {
                drop(EngineStep {
                    broken: self.0,
                    unwinding: std::thread::panicking(),
                });
            }
        }
        let broken = Cell::new(false);
        let _ = contain(|| {
            let _held = OnDrop(&broken);
            panic!("of the plugin");
        });
        assert!(!broken.get());
        let _ = contain(|| {
            let _step = EngineStep {
                broken: &broken,
                unwinding: std::thread::panicking(),
            };
            panic!("of the engine");
        });
        assert!(broken.get());
    }
}
