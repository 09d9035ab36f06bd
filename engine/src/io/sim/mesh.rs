//! Channels between simulated shards.
//!
//! Owns:    both ends of a channel, before and after they are connected.
//! Runs on: the world's thread.            Plane: data.
//! Bounds:  as many items as the channel was made for.
//! Never:   loses or reorders an item; when it is seen is the scheduler's draw.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use super::register;

struct Channel<T> {
    items: VecDeque<T>,
    capacity: usize,
    /// Sender and receiver.
    connected: [bool; 2],
    gone: [bool; 2],
    wakers: [Option<Waker>; 2],
}

const SENDER: usize = 0;
const RECEIVER: usize = 1;

/// One end of a channel; which one, its wrapper knows.
struct End<T> {
    channel: Arc<Mutex<Channel<T>>>,
    side: usize,
}

impl<T> End<T> {
    fn channel(&self) -> MutexGuard<'_, Channel<T>> {
        self.channel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_other(&self) {
        let other = self.channel().wakers[1 - self.side].take();
        if let Some(waker) = other {
            waker.wake();
        }
    }

    async fn connect(self) -> End<T> {
        self.channel().connected[self.side] = true;
        self.wake_other();
        poll_fn(|cx| {
            let mut channel = self.channel();
            if channel.connected[1 - self.side] || channel.gone[1 - self.side] {
                return Poll::Ready(());
            }
            register(&mut channel.wakers[self.side], cx.waker());
            Poll::Pending
        })
        .await;
        self
    }
}

impl<T> Drop for End<T> {
    fn drop(&mut self) {
        self.channel().gone[self.side] = true;
        self.wake_other();
        if self.side == RECEIVER {
            let items = std::mem::take(&mut self.channel().items);
            drop(items);
        }
    }
}

/// Both unconnected ends of a channel between two shards.
pub struct MeshEndpoints<T: Send + 'static> {
    /// For the sending shard.
    pub sender: UnconnectedSender<T>,
    /// For the receiving shard.
    pub receiver: UnconnectedReceiver<T>,
}

/// Sending end before its shard runs.
pub struct UnconnectedSender<T: Send + 'static>(End<T>);

/// Receiving end before its shard runs.
pub struct UnconnectedReceiver<T: Send + 'static>(End<T>);

/// The sending end on its shard.
pub struct MeshSender<T: Send + 'static>(End<T>);

/// The receiving end on its shard.
pub struct MeshReceiver<T: Send + 'static>(End<T>);

macro_rules! opaque {
    ($($name:ident),*) => {$(
        impl<T: Send + 'static> std::fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}

opaque!(MeshEndpoints, MeshSender, MeshReceiver);

/// A bounded channel from one shard to one other.
pub fn mesh_channel<T: Send + 'static>(capacity: usize) -> MeshEndpoints<T> {
    let channel = Arc::new(Mutex::new(Channel {
        items: VecDeque::new(),
        capacity,
        connected: [false; 2],
        gone: [false; 2],
        wakers: [None, None],
    }));
    let end = |side| End {
        channel: Arc::clone(&channel),
        side,
    };
    MeshEndpoints {
        sender: UnconnectedSender(end(SENDER)),
        receiver: UnconnectedReceiver(end(RECEIVER)),
    }
}

impl<T: Send + 'static> UnconnectedSender<T> {
    /// Waits for the other shard to connect its end.
    pub async fn connect(self) -> MeshSender<T> {
        MeshSender(self.0.connect().await)
    }
}

impl<T: Send + 'static> UnconnectedReceiver<T> {
    /// Waits for the other shard to connect its end.
    pub async fn connect(self) -> MeshReceiver<T> {
        MeshReceiver(self.0.connect().await)
    }
}

impl<T: Send + 'static> MeshSender<T> {
    /// Sends, or gives the item back if the channel is full or the other shard is gone.
    pub fn send(&self, item: T) -> Result<(), T> {
        let mut channel = self.0.channel();
        if channel.gone[RECEIVER] || channel.items.len() == channel.capacity {
            return Err(item);
        }
        channel.items.push_back(item);
        drop(channel);
        self.0.wake_other();
        Ok(())
    }
}

impl<T: Send + 'static> MeshReceiver<T> {
    /// The next item; `None` when the other shard is gone.
    pub async fn receive(&self) -> Option<T> {
        poll_fn(|cx| {
            let mut channel = self.0.channel();
            if let Some(item) = channel.items.pop_front() {
                return Poll::Ready(Some(item));
            }
            if channel.gone[SENDER] {
                return Poll::Ready(None);
            }
            register(&mut channel.wakers[RECEIVER], cx.waker());
            Poll::Pending
        })
        .await
    }
}
