//! What has arrived and nobody has taken yet, over all queues of one connection: a bound in bytes.
//!
//! Beyond it the driver stops reading messages, the receive window closes, and the other side's sends wait. Acknowledgements, pings and
//! own sends go on meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Bytes held for the application, beyond which reading stops.
const MOST: usize = 8 << 20;
/// What a message costs besides its bytes, about.
const MESSAGE_COST: usize = 128;

/// The count, shared by the driver and whoever takes.
#[derive(Debug, Default)]
pub(crate) struct Inflow {
    held: AtomicUsize,
    eased: Notify,
}

/// A part of what is held; given back when dropped.
#[derive(Debug)]
pub(crate) struct Held {
    inflow: Arc<Inflow>,
    bytes: usize,
}

impl Inflow {
    /// Counts a message of so many bytes until the result is dropped.
    pub(crate) fn hold(self: &Arc<Self>, bytes: usize) -> Held {
        let bytes = bytes + MESSAGE_COST;
        self.held.fetch_add(bytes, Ordering::Relaxed);
        Held {
            inflow: Arc::clone(self),
            bytes,
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.held.load(Ordering::Relaxed) > MOST
    }

    /// Until something was taken; cancel-safe.
    pub(crate) async fn eased(&self) {
        self.eased.notified().await;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let before = self.inflow.held.fetch_sub(self.bytes, Ordering::Relaxed);
        if before > MOST && before - self.bytes <= MOST {
            self.inflow.eased.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_taken_wakes_who_stopped_reading() {
        let inflow = Arc::new(Inflow::default());
        let large = inflow.hold(MOST);
        assert!(inflow.is_full());
        let small = inflow.hold(0);
        drop(small);
        assert!(inflow.is_full(), "not by a little");
        drop(large);
        inflow.eased().await;
        assert!(!inflow.is_full());
    }

    #[test]
    fn empty_messages_count_too() {
        let inflow = Arc::new(Inflow::default());
        let held: Vec<Held> = (0..=MOST / MESSAGE_COST).map(|_| inflow.hold(0)).collect();
        assert!(inflow.is_full());
        drop(held);
        assert_eq!(inflow.held.load(Ordering::Relaxed), 0);
    }
}
