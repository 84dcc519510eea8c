//! Whole messages wait for their turn in the stream, then for the application (RFC 9260 §6.5, §6.6).

use std::collections::{BTreeMap, VecDeque};

use super::{OVERHEAD, Received, assembly::Whole};
use crate::packet::Order;

/// Whole messages.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    streams: BTreeMap<u16, Stream>,
    ready: VecDeque<Received>,
    held: usize,
}

/// An ordered stream. Numbers of messages are unwrapped: they only grow.
#[derive(Debug, Default)]
struct Stream {
    next: u64,
    waiting: BTreeMap<u64, Received>,
    /// The last unordered message that was given up, by its MID, until numbers have gone so far that it would seem to lie ahead.
    given_up: Option<u32>,
}

impl Stream {
    /// How far ahead of the next message this one is; `None` if its turn is over.
    fn ahead(&self, order: Order) -> Option<u64> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the lower part wraps as the wire's number does"
        )]
        match order {
            Order::Sequence { ssn } => {
                let ahead = ssn.wrapping_sub(self.next as u16);
                (ahead <= u16::MAX / 2).then_some(ahead.into())
            }
            Order::Interleaved { mid, .. } => {
                let ahead = mid.wrapping_sub(self.next as u32);
                (ahead <= u32::MAX / 2).then_some(ahead.into())
            }
        }
    }
}

impl Delivery {
    /// What is held, overhead included.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// The same, counted anew.
    #[cfg(test)]
    pub(super) fn recount(&self) -> usize {
        let waiting = self.streams.values().flat_map(|one| one.waiting.values());
        waiting.chain(&self.ready).map(charge).sum()
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Messages whose turn has come.
    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    pub(super) fn poll(&mut self) -> Option<Received> {
        let message = self.ready.pop_front()?;
        self.held -= charge(&message);
        Some(message)
    }

    /// Nobody waits for this fragment any more: its message was given up, though not this TSN.
    pub(super) fn is_over(&mut self, stream: u16, unordered: bool, mid: u32) -> bool {
        let Some(stream) = self.streams.get_mut(&stream) else {
            return false;
        };
        if !unordered {
            return stream.ahead(Order::Interleaved { mid, fsn: 0 }).is_none();
        }
        let ahead = stream
            .given_up
            .map(|last| mid.wrapping_sub(last).cast_signed());
        if ahead.is_some_and(|ahead| ahead > i32::MAX / 2) {
            stream.given_up = None;
        }
        ahead.is_some_and(|ahead| ahead <= 0)
    }

    pub(super) fn add(&mut self, whole: Whole) {
        let message = Received {
            stream: whole.stream,
            ppid: whole.ppid,
            payload: whole.payload,
            unordered: whole.unordered,
        };
        self.held += charge(&message);
        if message.unordered {
            self.ready.push_back(message);
            return;
        }
        let stream = self.streams.entry(message.stream).or_default();
        match stream.ahead(whole.order) {
            Some(0) => {
                stream.next += 1;
                self.ready.push_back(message);
                while let Some(first) = stream.waiting.first_entry()
                    && *first.key() == stream.next
                {
                    stream.next += 1;
                    self.ready.push_back(first.remove());
                }
            }
            Some(ahead) => {
                if let Some(other) = stream.waiting.insert(stream.next + ahead, message) {
                    self.held -= charge(&other);
                }
            }
            // Its number was given up, or was used before: nobody waits for it.
            None => self.held -= charge(&message),
        }
    }

    /// The stream goes on behind the message given up. What is whole before it is delivered: that was not given up.
    pub(super) fn skip(&mut self, stream: u16, last: Order) {
        let stream = self.streams.entry(stream).or_default();
        let Some(ahead) = stream.ahead(last) else {
            return;
        };
        stream.next += ahead + 1;
        while let Some(first) = stream.waiting.first_entry()
            && *first.key() <= stream.next
        {
            stream.next = stream.next.max(first.key() + 1);
            self.ready.push_back(first.remove());
        }
    }

    /// Unordered messages of the stream were given up, to this one (RFC 8260 §2.3.1).
    pub(super) fn give_up_unordered(&mut self, stream: u16, last: u32) {
        self.streams.entry(stream).or_default().given_up = Some(last);
    }

    /// The stream begins anew at zero.
    pub(super) fn reset(&mut self, stream: u16) {
        if let Some(stream) = self.streams.remove(&stream) {
            self.held -= stream.waiting.values().map(charge).sum::<usize>();
        }
    }

    pub(super) fn reset_all(&mut self) {
        self.streams.clear();
        self.held = self.ready.iter().map(charge).sum();
    }
}

fn charge(message: &Received) -> usize {
    OVERHEAD + message.payload.len()
}
