//! Tasks that an instance of an input runs beside itself: they end with it when it fails, and it fails with them.
//!
//! Owns:    `Tasks`, the tasks of one instance.
//! Runs on: the shard that the input lives on.            Plane: data.
//! Bounds:  one slot a task, reused.
//! Never:   ends a task of an instance that ended in order.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::Shard;
use super::containment::{Contained, Panicked};
use super::intake::InputContext;
use super::pulse::Running;
use crate::io::remember;
use crate::pack::InputId;

/// The tasks of one instance of an input.
pub(super) struct Tasks {
    shard: Rc<Shard>,
    input: InputId,
    /// The instance has failed: they are to end.
    over: Cell<bool>,
    /// The instance has ended in order: nobody waits for them.
    alone: Cell<bool>,
    running: Cell<usize>,
    panicked: RefCell<Option<Panicked>>,
    /// The instance's own task.
    keeper: RefCell<Option<Waker>>,
    /// Of the tasks, by slot.
    wakers: RefCell<Vec<Option<Waker>>>,
    free: RefCell<Vec<usize>>,
}

impl std::fmt::Debug for Tasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tasks")
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}

impl Tasks {
    pub(super) fn new(shard: &Rc<Shard>, input: InputId) -> Rc<Tasks> {
        Rc::new(Tasks {
            shard: Rc::clone(shard),
            input,
            over: Cell::new(false),
            alone: Cell::new(false),
            running: Cell::new(0),
            panicked: RefCell::default(),
            keeper: RefCell::default(),
            wakers: RefCell::default(),
            free: RefCell::default(),
        })
    }

    /// Those of an instance, or for the task of a connection, which nobody waits for.
    pub(super) fn of(context: &InputContext) -> Rc<Tasks> {
        context.tasks.clone().unwrap_or_else(|| {
            let tasks = Tasks::new(&context.shard, context.input);
            tasks.leave_alone();
            tasks
        })
    }

    /// Runs a task.
    pub(super) fn spawn(self: &Rc<Self>, task: impl Future<Output = ()> + 'static) {
        let slot = self.free.borrow_mut().pop().unwrap_or_else(|| {
            let mut wakers = self.wakers.borrow_mut();
            wakers.push(None);
            wakers.len() - 1
        });
        self.running.update(|count| count + 1);
        let who = Running::Input(self.input);
        crate::io::spawn(Task {
            slot,
            future: Contained::new(&self.shard, who, Box::pin(task)),
            tasks: Rc::clone(self),
        });
    }

    /// Ready when one of them has panicked.
    pub(super) fn poll_failed(&self, cx: &Context<'_>) -> Poll<Panicked> {
        if let Some(panicked) = self.panicked.borrow_mut().take() {
            return Poll::Ready(panicked);
        }
        self.register(cx);
        Poll::Pending
    }

    fn register(&self, cx: &Context<'_>) {
        let mut keeper = self.keeper.borrow_mut();
        remember(&mut keeper, cx);
    }

    /// The instance has ended in order; they go on.
    pub(super) fn leave_alone(&self) {
        self.alone.set(true);
    }

    /// Ends them, and waits until they have.
    pub(super) async fn end(&self) {
        self.over.set(true);
        for waker in self.wakers.borrow().iter().flatten() {
            waker.wake_by_ref();
        }
        poll_fn(|cx| {
            if self.running.get() == 0 {
                return Poll::Ready(());
            }
            self.register(cx);
            Poll::Pending
        })
        .await;
    }

    /// A task has ended.
    fn ended(&self, slot: usize, result: Result<(), Panicked>) {
        self.wakers.borrow_mut()[slot] = None;
        self.free.borrow_mut().push(slot);
        self.running.update(|count| count - 1);
        if let Err(panicked) = result {
            if self.alone.get() {
                self.shard.connection_failed(self.input, &panicked);
            } else {
                *self.panicked.borrow_mut() = Some(panicked);
            }
        }
        let keeper = self.keeper.borrow_mut().take();
        if let Some(keeper) = keeper {
            keeper.wake();
        }
    }
}

/// One of them.
struct Task {
    slot: usize,
    future: Contained<'static, ()>,
    tasks: Rc<Tasks>,
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let result = if self.tasks.over.get() {
            self.future.end();
            Ok(())
        } else {
            let slot = self.slot;
            remember(&mut self.tasks.wakers.borrow_mut()[slot], cx);
            match Pin::new(&mut self.future).poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(result) => result,
            }
        };
        self.tasks.ended(self.slot, result);
        Poll::Ready(())
    }
}
