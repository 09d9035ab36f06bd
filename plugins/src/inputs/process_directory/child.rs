//! An input that a file describes, from its start to its end.
//!
//! Owns:    `Child`, its restarts by `retries`, and the news of its end.
//! Runs on: the shard of the ProcessDirectoryInput; one task a child.            Plane: data.
//! Bounds:  one instance at a time.
//! Never:   starts again what was told to stop.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use engine::io::clock::Monotonic;
use engine::plugin::LoadedInput;
use engine::shard::intake::InputContext;

use super::super::timer::wait;
use super::folder::Found;
use engine::plugin::Backoff;

/// An instance that has run for so long did not fail at once: the waits between attempts begin anew.
const STEADY: Duration = Duration::from_secs(60);

/// Inputs that have ended for good although they were not told to, and why.
#[derive(Default)]
pub(super) struct News {
    waiting: RefCell<VecDeque<(PathBuf, String)>>,
    waker: RefCell<Option<Waker>>,
}

impl News {
    /// The next one, if there is one; the caller is woken when there is.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Option<(PathBuf, String)> {
        *self.waker.borrow_mut() = Some(cx.waker().clone());
        self.waiting.borrow_mut().pop_front()
    }

    /// What was told of an input that is no more says nothing of its successor.
    pub(super) fn forget(&self, path: &Path) {
        self.waiting.borrow_mut().retain(|(told, _)| told != path);
    }

    fn tell(&self, path: PathBuf, error: String) {
        self.waiting.borrow_mut().push_back((path, error));
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// Whether a task has ended, and who waits for that.
#[derive(Default)]
struct End {
    has_come: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// Held by the task: it has ended when this is dropped, however that came about.
struct Ending(Rc<End>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.has_come.set(true);
        if let Some(waker) = self.0.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// An input that was started from a file.
pub(super) struct Child {
    found: Found,
    can_exit: bool,
    context: InputContext,
    end: Rc<End>,
}

impl Child {
    /// Starts it.
    pub(super) fn start(
        path: &Path,
        found: Found,
        loaded: LoadedInput,
        context: &InputContext,
        news: &Rc<News>,
    ) -> Child {
        let can_exit = loaded.can_exit;
        let loaded = Rc::new(loaded);
        let nested = context.nest(Rc::clone(&loaded));
        let end = Rc::new(End::default());
        let (own, ending) = (nested.clone(), Ending(Rc::clone(&end)));
        let (path, news) = (path.to_owned(), Rc::clone(news));
        context.spawn(async move {
            let failed = live(&loaded, &own).await;
            if let Some(error) = failed {
                news.tell(path, error);
            }
            drop(ending);
        });
        Child {
            found,
            can_exit,
            context: nested,
            end,
        }
    }

    /// Whether it is what a file says.
    pub(super) fn is_of(&self, found: &Found) -> bool {
        self.found == *found
    }

    /// Whether it may end without the others.
    pub(super) fn can_exit(&self) -> bool {
        self.can_exit
    }

    /// Tells it to stop.
    pub(super) fn stop(&self) {
        self.context.stop_nested();
    }

    /// Waits for its end.
    pub(super) async fn ended(&self) {
        poll_fn(|cx| {
            if self.end.has_come.get() {
                return Poll::Ready(());
            }
            *self.end.waker.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// Runs an input again and again until it is told to stop. Answers why, if it has used up its attempts.
async fn live(loaded: &LoadedInput, context: &InputContext) -> Option<String> {
    let mut backoff = Backoff::new(loaded.retries.clone());
    loop {
        let begun = Monotonic::now();
        let instance = context.contained(Box::pin(async {
            let mut input = loaded.factory.make();
            input.open(context)?;
            // With it goes all that it had started.
            input.run(context).await
        }));
        let fault = match instance.await {
            Err(fault) if !context.stopping() => fault,
            _ => return None,
        };
        if begun.elapsed() >= STEADY {
            backoff.succeeded();
        }
        let Some(pause) = backoff.failed(false) else {
            return Some(fault.message);
        };
        context.notice(|| format!("{fault}; starting it again in {pause:.1?}"));
        if !wait(context, pause).await {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_input_is_not_taken_for_that_of_its_successor() {
        let news = News::default();
        let (one, other) = (PathBuf::from("one"), PathBuf::from("other"));
        news.tell(one.clone(), "gone".to_owned());
        news.tell(other.clone(), "gone too".to_owned());
        news.forget(&one);
        let cx = Context::from_waker(Waker::noop());
        assert_eq!(news.poll(&cx), Some((other, "gone too".to_owned())));
        assert_eq!(news.poll(&cx), None);
    }
}
