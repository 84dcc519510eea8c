//! A queue from the driver to a handle: what a burst of datagrams brings is put in, then whoever waits is woken, once.
//!
//! A channel that wakes at each message has the two tasks take turns for every one of them, which cost a receiver a quarter of its
//! processor time. Unbounded in number, bounded by [`Inflow`](crate::inflow::Inflow).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// The driver's end. Dropping it ends the queue behind what is in it.
#[derive(Debug)]
pub(crate) struct BurstSender<T> {
    queue: Arc<Queue<T>>,
    /// Something was put in that nobody was woken for.
    untold: bool,
}

/// The handle's end. Dropping it drops what is in the queue, and what is still to come.
#[derive(Debug)]
pub(crate) struct BurstReceiver<T> {
    queue: Arc<Queue<T>>,
    /// Taken out together, so that a burst costs one lock.
    taken: VecDeque<T>,
}

#[derive(Debug)]
struct Queue<T> {
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    waiting: Option<Waker>,
    /// The sender is gone.
    ended: bool,
    /// The receiver is gone.
    unwanted: bool,
}

/// Both ends of a new queue.
pub(crate) fn burst_queue<T>() -> (BurstSender<T>, BurstReceiver<T>) {
    let queue = Arc::new(Queue {
        state: Mutex::new(State {
            items: VecDeque::new(),
            waiting: None,
            ended: false,
            unwanted: false,
        }),
    });
    let sender = BurstSender {
        queue: Arc::clone(&queue),
        untold: false,
    };
    let taken = VecDeque::new();
    (sender, BurstReceiver { queue, taken })
}

impl<T> BurstSender<T> {
    /// Puts something in; [`BurstSender::tell`] is to follow.
    pub(crate) fn put(&mut self, item: T) {
        let mut state = self.queue.lock();
        if !state.unwanted {
            state.items.push_back(item);
            self.untold = true;
        }
    }

    /// Wakes who waits, if there is something new; whether somebody waited.
    pub(crate) fn tell(&mut self) -> bool {
        if !std::mem::take(&mut self.untold) {
            return false;
        }
        let waiting = self.queue.lock().waiting.take();
        waiting.map(Waker::wake).is_some()
    }
}

impl<T> BurstReceiver<T> {
    /// The next item; `None` once the sender is gone. Cancel-safe.
    pub(crate) async fn recv(&mut self) -> Option<T> {
        std::future::poll_fn(|context| {
            if let Some(item) = self.taken.pop_front() {
                return Poll::Ready(Some(item));
            }
            let mut state = self.queue.lock();
            std::mem::swap(&mut state.items, &mut self.taken);
            match self.taken.pop_front() {
                None if !state.ended => {
                    state.waiting = Some(context.waker().clone());
                    Poll::Pending
                }
                item => Poll::Ready(item),
            }
        })
        .await
    }

    /// Whether the sender is gone; there may be something left to take.
    pub(crate) fn is_ended(&self) -> bool {
        self.queue.lock().ended
    }
}

impl<T> Queue<T> {
    /// Never held over an await, nor while an item is dropped.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for BurstSender<T> {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.ended = true;
        let waiting = state.waiting.take();
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl<T> Drop for BurstReceiver<T> {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.unwanted = true;
        let left = std::mem::take(&mut state.items);
        drop(state);
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_burst_wakes_once() {
        let (mut sender, mut receiver) = burst_queue();
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        let mut poll =
            |receiver: &mut BurstReceiver<u32>| std::pin::pin!(receiver.recv()).poll(&mut context);
        assert_eq!(poll(&mut receiver), Poll::Pending);
        (0..100).for_each(|number| sender.put(number));
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        assert!(sender.tell());
        assert!(!sender.tell());
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        for number in 0..100 {
            assert_eq!(poll(&mut receiver), Poll::Ready(Some(number)));
        }
        assert_eq!(poll(&mut receiver), Poll::Pending);
        sender.put(100);
        drop(sender);
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        assert!(receiver.is_ended());
        assert_eq!(poll(&mut receiver), Poll::Ready(Some(100)));
        assert_eq!(poll(&mut receiver), Poll::Ready(None));
    }

    #[test]
    fn what_nobody_takes_is_dropped() {
        let (mut sender, receiver) = burst_queue();
        let item = Arc::new(());
        sender.put(Arc::clone(&item));
        drop(receiver);
        sender.put(Arc::clone(&item));
        assert_eq!(Arc::strong_count(&item), 1);
    }
}
