//! Fragments become messages.
//!
//! A message in the making is one buffer that grows at its end. Fragments that arrive in order are copied into it straight
//! from the datagram; those that come early lie by themselves until the one before them is there. So a fragment is looked
//! at twice at most, whatever the order.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{OVERHEAD, Violation};
use crate::packet::{Data, Order};

/// A whole message, on its way to its place in the stream.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) stream: u16,
    pub(super) unordered: bool,
    pub(super) order: Order,
    pub(super) ppid: u32,
    pub(super) payload: Bytes,
}

/// The place of a fragment: the next one's is the same with the next number.
///
/// With DATA a TSN is enough, for the fragments of a message have consecutive ones (RFC 9260 §6.9): the rest is zero. With
/// I-DATA it is the fragment's number within the message (RFC 8260 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    stream: u16,
    unordered: bool,
    mid: u32,
    number: u64,
}

impl Place {
    fn of(at: u64, data: &Data<'_>) -> Self {
        match data.order {
            Order::Sequence { .. } => Self::tsn(at),
            Order::Interleaved { mid, fsn } => Self {
                stream: data.stream,
                unordered: data.unordered,
                mid,
                number: fsn.into(),
            },
        }
    }

    fn tsn(at: u64) -> Self {
        Self {
            stream: 0,
            unordered: false,
            mid: 0,
            number: at,
        }
    }

    fn next(self) -> Self {
        let number = self.number + 1;
        Self { number, ..self }
    }
}

/// What all fragments of a message have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Message {
    stream: u16,
    unordered: bool,
    /// The SSN or MID.
    number: u32,
}

impl Message {
    fn of(data: &Data<'_>) -> Self {
        let number = match data.order {
            // An unordered message has no SSN; the field means nothing (RFC 9260 §3.3.1).
            Order::Sequence { .. } if data.unordered => 0,
            Order::Sequence { ssn } => ssn.into(),
            Order::Interleaved { mid, .. } => mid,
        };
        Self {
            stream: data.stream,
            unordered: data.unordered,
            number,
        }
    }
}

/// A message in the making, from its beginning to the fragment before `next`.
#[derive(Debug)]
struct Open {
    next: Place,
    message: Message,
    order: Order,
    ppid: u32,
    buffer: Vec<u8>,
}

/// A fragment that came before its predecessor.
#[derive(Debug)]
struct Early {
    message: Message,
    ending: bool,
    payload: Box<[u8]>,
}

/// Messages in the making.
#[derive(Debug)]
pub(super) struct Assembly {
    max_message_size: usize,
    /// The message that grew last: mostly it grows next. It is not among the others.
    current: Option<Open>,
    /// The others, by the place of the fragment they wait for.
    open: BTreeMap<Place, Open>,
    early: BTreeMap<Place, Early>,
    held: usize,
    /// How long the last message of several fragments was: a good guess for the next one.
    typical: usize,
}

impl Assembly {
    pub(super) fn new(max_message_size: usize) -> Self {
        Self {
            max_message_size,
            current: None,
            open: BTreeMap::new(),
            early: BTreeMap::new(),
            held: 0,
            typical: 0,
        }
    }

    /// What is held, overhead included.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// The same, counted anew.
    #[cfg(test)]
    pub(super) fn recount(&self) -> usize {
        let open = self.open.values().chain(&self.current);
        let open = open.map(|open| OVERHEAD + open.buffer.len());
        let early = self.early.values();
        open.chain(early.map(|early| OVERHEAD + early.payload.len()))
            .sum()
    }

    /// Takes the fragment whose TSN has the position `at`; the message, if it was the last that was missing.
    pub(super) fn add(&mut self, at: u64, data: &Data<'_>) -> Result<Option<Whole>, Violation> {
        if data.payload.len() > self.max_message_size {
            return Err(Violation::TooLong);
        }
        if data.beginning && data.ending {
            return Ok(Some(Whole {
                stream: data.stream,
                unordered: data.unordered,
                order: data.order,
                ppid: data.ppid,
                payload: Bytes::copy_from_slice(data.payload),
            }));
        }
        let place = Place::of(at, data);
        if data.beginning {
            self.begin(place, data);
        } else if self.continues(place) {
            self.append(Message::of(data), data.payload)?;
        } else {
            self.keep(place, data)?;
            return Ok(None);
        }
        self.complete(data.ending)
    }

    /// Drops what can never become whole: with DATA, whatever waits for a TSN that counts as arrived and did not bring it
    /// (RFC 3758 §3.6).
    pub(super) fn sweep(&mut self, cumulative: u64) {
        let end = Place::tsn(cumulative);
        if self.current.as_ref().is_some_and(|open| open.next <= end) {
            self.close_current();
        }
        while let Some(first) = self.open.first_entry()
            && *first.key() <= end
        {
            self.held -= OVERHEAD + first.remove().buffer.len();
        }
        while let Some(first) = self.early.first_entry()
            && *first.key() <= end
        {
            self.held -= OVERHEAD + first.remove().payload.len();
        }
    }

    /// Drops the messages of a stream up to one that was given up (RFC 8260 §2.3.1).
    pub(super) fn skip(&mut self, stream: u16, unordered: bool, last: u32) {
        // Half of all numbers lie at or before the last; they may wrap within.
        let first = last.wrapping_sub(u32::MAX / 2);
        let place = |mid, number| Place {
            stream,
            unordered,
            mid,
            number,
        };
        if first <= last {
            self.drop_range(place(first, 0), place(last, u64::MAX));
        } else {
            self.drop_range(place(0, 0), place(last, u64::MAX));
            self.drop_range(place(first, 0), place(u32::MAX, u64::MAX));
        }
    }

    /// Drops what is left of a stream of I-DATA that begins anew.
    pub(super) fn reset(&mut self, stream: u16) {
        let place = |unordered, mid, number| Place {
            stream,
            unordered,
            mid,
            number,
        };
        self.drop_range(place(false, 0, 0), place(true, u32::MAX, u64::MAX));
    }

    pub(super) fn reset_all(&mut self) {
        *self = Self::new(self.max_message_size);
    }

    fn begin(&mut self, place: Place, data: &Data<'_>) {
        self.set_aside();
        let mut buffer = Vec::new();
        if self.open.is_empty() {
            // Only one at a time, or a guess for each of many beginnings would be memory for the asking.
            buffer.reserve_exact(self.typical.max(data.payload.len()));
        }
        buffer.extend_from_slice(data.payload);
        self.held += OVERHEAD + buffer.len();
        self.current = Some(Open {
            next: place.next(),
            message: Message::of(data),
            order: data.order,
            ppid: data.ppid,
            buffer,
        });
    }

    /// Makes the message current that waits for this place, if there is one.
    fn continues(&mut self, place: Place) -> bool {
        if self.current.as_ref().is_some_and(|open| open.next == place) {
            return true;
        }
        let Some(open) = self.open.remove(&place) else {
            return false;
        };
        self.set_aside();
        self.current = Some(open);
        true
    }

    fn set_aside(&mut self) {
        let Some(open) = self.current.take() else {
            return;
        };
        if let Some(other) = self.open.insert(open.next, open) {
            // Two beginnings of one message; only one of them can be continued.
            self.held -= OVERHEAD + other.buffer.len();
        }
    }

    fn append(&mut self, message: Message, payload: &[u8]) -> Result<(), Violation> {
        let Some(open) = &mut self.current else {
            return Ok(());
        };
        if open.message != message {
            return Err(Violation::Fragment);
        }
        if open.buffer.len() + payload.len() > self.max_message_size {
            return Err(Violation::TooLong);
        }
        open.buffer.extend_from_slice(payload);
        open.next = open.next.next();
        self.held += payload.len();
        Ok(())
    }

    fn keep(&mut self, place: Place, data: &Data<'_>) -> Result<(), Violation> {
        let early = Early {
            message: Message::of(data),
            ending: data.ending,
            payload: data.payload.into(),
        };
        self.held += OVERHEAD + early.payload.len();
        if let Some(other) = self.early.insert(place, early) {
            self.held -= OVERHEAD + other.payload.len();
            return Err(Violation::Fragment);
        }
        Ok(())
    }

    /// Adds what came early to the current message, as far as it fits.
    fn complete(&mut self, mut ending: bool) -> Result<Option<Whole>, Violation> {
        while !ending {
            let Some(open) = &self.current else {
                return Ok(None);
            };
            let Some(early) = self.early.remove(&open.next) else {
                return Ok(None);
            };
            self.held -= OVERHEAD + early.payload.len();
            self.append(early.message, &early.payload)?;
            ending = early.ending;
        }
        Ok(self.close_current().map(|open| {
            self.typical = open.buffer.len();
            open.into_whole()
        }))
    }

    fn close_current(&mut self) -> Option<Open> {
        let open = self.current.take()?;
        self.held -= OVERHEAD + open.buffer.len();
        Some(open)
    }

    fn drop_range(&mut self, first: Place, last: Place) {
        self.set_aside();
        while let Some((&place, open)) = self.open.range(first..=last).next() {
            self.held -= OVERHEAD + open.buffer.len();
            self.open.remove(&place);
        }
        while let Some((&place, early)) = self.early.range(first..=last).next() {
            self.held -= OVERHEAD + early.payload.len();
            self.early.remove(&place);
        }
    }
}

impl Open {
    fn into_whole(mut self) -> Whole {
        // A guess that was far too high is not held for as long as the application keeps the message.
        if self.buffer.capacity() > 2 * self.buffer.len() {
            self.buffer.shrink_to_fit();
        }
        Whole {
            stream: self.message.stream,
            unordered: self.message.unordered,
            order: self.order,
            ppid: self.ppid,
            payload: self.buffer.into(),
        }
    }
}
