//! Messages waiting to be sent: one queue a stream, a scheduler over the streams, fragments cut as room comes.
//!
//! Streams share by weighted fair queueing (RFC 8260 §3.6): each has a virtual time that grows with what it sent divided by its
//! priority, and the lowest goes next. With I-DATA the choice falls anew for every fragment; without it a message, once begun, is
//! finished first, because fragments of DATA need consecutive TSNs (RFC 9260 §6.9).
//!
//! Messages that are sent at once must fit the peer's window together, or it is full of parts of which none becomes whole, for ever:
//! a message that would pass half of it is not begun, its stream parked, until others are finished. Small ones pass it by.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Instant,
};

use bytes::Bytes;

use super::{Limit, SendOptions};
use crate::packet::Order;

/// The least that is cut off a message to fill a packet that has room left.
const SMALLEST_FRAGMENT: usize = 64;

/// Names a message for as long as parts of it are in the queue or in flight.
pub(super) type MessageId = u64;

/// A part of a message, ready to be given a TSN.
#[derive(Debug)]
pub(super) struct Fragment {
    pub(super) message: MessageId,
    pub(super) limit: Limit,
    pub(super) stream: u16,
    pub(super) ppid: u32,
    pub(super) unordered: bool,
    pub(super) beginning: bool,
    pub(super) ending: bool,
    pub(super) order: Order,
    pub(super) payload: Bytes,
}

/// All that waits.
#[derive(Debug)]
pub(super) struct Queue {
    interleaving: bool,
    streams: BTreeMap<u16, Stream>,
    /// Streams with something to send, by virtual time.
    active: Schedule,
    /// Streams with something to send that have to wait for messages of others to be finished.
    parked: VecDeque<u16>,
    virtual_time: u64,
    /// The stream whose message must be finished first (without interleaving).
    begun: Option<u16>,
    /// Whole lengths of the messages that are begun and not finished, and what they may come to (with interleaving).
    unfinished: usize,
    most_unfinished: usize,
    next_message: MessageId,
    buffered: usize,
    /// How many messages wait, wholly or in part.
    waiting: usize,
    /// Messages whose lifetime ended before any of them was sent.
    expired: u64,
    /// Streams whose buffered amount fell since last asked.
    fell: Vec<u16>,
}

/// Streams in the order of their virtual time. The first lies apart: alone, as it mostly is, it costs no tree.
#[derive(Debug, Default)]
struct Schedule {
    first: Option<(u64, u16)>,
    rest: BTreeSet<(u64, u16)>,
}

impl Schedule {
    fn first(&self) -> Option<u16> {
        self.first.map(|(_, stream)| stream)
    }

    fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    fn insert(&mut self, entry: (u64, u16)) {
        match self.first {
            None => self.first = Some(entry),
            Some(first) if entry < first => {
                self.first = Some(entry);
                self.rest.insert(first);
            }
            Some(_) => {
                self.rest.insert(entry);
            }
        }
    }

    fn remove(&mut self, entry: (u64, u16)) {
        if self.first == Some(entry) {
            self.first = self.rest.pop_first();
        } else {
            self.rest.remove(&entry);
        }
    }
}

#[derive(Debug, Default)]
struct Stream {
    messages: VecDeque<Message>,
    buffered: usize,
    virtual_time: u64,
    next_ssn: u16,
    next_mid: u32,
    next_unordered_mid: u32,
    fell: bool,
}

#[derive(Debug)]
struct Message {
    id: MessageId,
    rest: Bytes,
    /// Its whole length.
    length: usize,
    ppid: u32,
    unordered: bool,
    limit: Limit,
    priority: u16,
    /// Set with the first fragment.
    sequence: Option<Sequence>,
    next_fsn: u32,
}

/// A stream sequence number, or a message id of I-DATA.
#[derive(Debug, Clone, Copy)]
struct Sequence(u32);

impl Queue {
    pub(super) fn new(interleaving: bool) -> Self {
        Self {
            interleaving,
            streams: BTreeMap::new(),
            active: Schedule::default(),
            parked: VecDeque::new(),
            virtual_time: 0,
            begun: None,
            unfinished: 0,
            most_unfinished: usize::MAX,
            next_message: 0,
            buffered: 0,
            waiting: 0,
            expired: 0,
            fell: Vec::new(),
        }
    }

    /// Whether fragments of several messages may mix, and what the peer can hold: known once the handshake is done, before anything
    /// was sent.
    pub(super) fn set_interleaving(&mut self, interleaving: bool, peer_window: u32) {
        self.interleaving = interleaving;
        self.most_unfinished = peer_window as usize / 2;
    }

    pub(super) fn push(
        &mut self,
        now: Instant,
        stream: u16,
        ppid: u32,
        payload: Bytes,
        options: &SendOptions,
    ) {
        let id = self.next_message;
        self.next_message += 1;
        self.buffered += payload.len();
        self.waiting += 1;
        let state = self.streams.entry(stream).or_default();
        state.buffered += payload.len();
        if state.messages.is_empty() {
            state.virtual_time = state.virtual_time.max(self.virtual_time);
            self.active.insert((state.virtual_time, stream));
        }
        state.messages.push_back(Message {
            id,
            length: payload.len(),
            rest: payload,
            ppid,
            unordered: options.unordered,
            limit: Limit::new(now, options.reliability),
            priority: options.priority.max(1),
            sequence: None,
            next_fsn: 0,
        });
    }

    /// Bytes of a stream's messages that are in no packet yet.
    pub(super) fn buffered(&self, stream: u16) -> usize {
        self.streams.get(&stream).map_or(0, |state| state.buffered)
    }

    pub(super) const fn total_buffered(&self) -> usize {
        self.buffered
    }

    /// Messages that are not wholly in packets.
    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) const fn expired(&self) -> u64 {
        self.expired
    }

    pub(super) fn is_empty(&self) -> bool {
        self.active.is_empty() && self.parked.is_empty()
    }

    /// A stream whose buffered amount fell since this was last asked.
    pub(super) fn poll_fell(&mut self) -> Option<u16> {
        let stream = self.fell.pop()?;
        if let Some(state) = self.streams.get_mut(&stream) {
            state.fell = false;
        }
        Some(stream)
    }

    /// The next fragment that fits into `room` bytes of payload, in a packet that could hold `whole`.
    pub(super) fn next(&mut self, now: Instant, room: usize, whole: usize) -> Option<Fragment> {
        loop {
            let stream = match self.begun {
                Some(stream) => stream,
                None => self.active.first()?,
            };
            let state = self.streams.get_mut(&stream).expect("active streams exist");
            let message = state
                .messages
                .front_mut()
                .expect("active streams have messages");
            if message.sequence.is_none() && message.limit.has_expired(now) {
                self.drop_front(stream);
                self.expired += 1;
                continue;
            }
            let length = cut(message.rest.len(), room, whole)?;
            let whole_length = message.length;
            let begins = message.sequence.is_none() && length < whole_length;
            if begins && !self.may_begin(whole_length) {
                self.park(stream);
                continue;
            }
            return Some(self.take(stream, length));
        }
    }

    /// Drops what is left of a message that was given up. If there was something left, an empty fragment comes back that stands for it.
    pub(super) fn abandon(&mut self, stream: u16, message: MessageId) -> Option<Fragment> {
        let state = self.streams.get_mut(&stream)?;
        let front = state
            .messages
            .front_mut()
            .filter(|front| front.id == message)?;
        let Sequence(number) = front.sequence?;
        let rest = Fragment {
            message,
            limit: front.limit,
            stream,
            ppid: front.ppid,
            unordered: front.unordered,
            beginning: false,
            ending: true,
            order: if self.interleaving {
                Order::Interleaved {
                    mid: number,
                    fsn: front.next_fsn,
                }
            } else {
                Order::Sequence { ssn: number as u16 }
            },
            payload: Bytes::new(),
        };
        self.drop_front(stream);
        Some(rest)
    }

    /// The stream begins anew: its sequence numbers start at zero. Nothing may wait on it.
    pub(super) fn restart(&mut self, stream: u16) {
        debug_assert_eq!(
            self.buffered(stream),
            0,
            "a stream is reset after its messages went out"
        );
        self.streams.remove(&stream);
    }

    fn take(&mut self, stream: u16, length: usize) -> Fragment {
        let state = self.streams.get_mut(&stream).expect("the caller saw it");
        let message = state.messages.front_mut().expect("the caller saw it");
        let beginning = message.sequence.is_none();
        let Sequence(number) = *message.sequence.get_or_insert_with(|| {
            let counter = match (self.interleaving, message.unordered) {
                (true, true) => &mut state.next_unordered_mid,
                (true, false) => &mut state.next_mid,
                (false, true) => return Sequence(0),
                (false, false) => {
                    let ssn = state.next_ssn;
                    state.next_ssn = ssn.wrapping_add(1);
                    return Sequence(u32::from(ssn));
                }
            };
            let mid = *counter;
            *counter = mid.wrapping_add(1);
            Sequence(mid)
        });
        let order = if self.interleaving {
            Order::Interleaved {
                mid: number,
                fsn: message.next_fsn,
            }
        } else {
            Order::Sequence { ssn: number as u16 }
        };
        message.next_fsn = message.next_fsn.wrapping_add(1);
        let payload = message.rest.split_to(length);
        let ending = message.rest.is_empty();
        match (beginning, ending) {
            (true, false) => self.unfinished += message.length,
            (false, true) => self.unfinished -= message.length,
            _ => {}
        }
        let fragment = Fragment {
            message: message.id,
            limit: message.limit,
            stream,
            ppid: message.ppid,
            unordered: message.unordered,
            beginning,
            ending,
            order,
            payload,
        };
        let cost = (length as u64 * 1024) / u64::from(message.priority) + 1;
        if ending {
            state.messages.pop_front();
            self.waiting -= 1;
        }
        state.buffered -= length;
        self.buffered -= length;
        if !state.fell {
            state.fell = true;
            self.fell.push(stream);
        }
        self.begun = (!ending && !self.interleaving).then_some(stream);
        self.charge(stream, cost);
        if ending {
            self.unpark();
        }
        fragment
    }

    /// Moves a stream back in the schedule by what it sent.
    fn charge(&mut self, stream: u16, cost: u64) {
        let state = self.streams.get_mut(&stream).expect("the caller saw it");
        self.active.remove((state.virtual_time, stream));
        self.virtual_time = self.virtual_time.max(state.virtual_time);
        state.virtual_time += cost;
        if !state.messages.is_empty() {
            self.active.insert((state.virtual_time, stream));
        }
    }

    /// Whether a message of several fragments fits the peer's window beside those that are begun. One always does.
    fn may_begin(&self, length: usize) -> bool {
        let all = self.unfinished.saturating_add(length);
        !self.interleaving || self.unfinished == 0 || all <= self.most_unfinished
    }

    fn park(&mut self, stream: u16) {
        let state = self.streams.get(&stream).expect("the caller saw it");
        self.active.remove((state.virtual_time, stream));
        self.parked.push_back(stream);
    }

    /// Brings back what may begin now; the one that has waited longest first. No credit is kept for the time in between.
    fn unpark(&mut self) {
        let mut taken = 0;
        while let Some(&stream) = self.parked.front() {
            let state = self.streams.get_mut(&stream).expect("parked streams exist");
            let length = state.messages.front().map_or(0, |message| message.length);
            let first = self.unfinished == 0 && taken == 0;
            if !first && self.unfinished + taken + length > self.most_unfinished {
                return;
            }
            taken += length;
            state.virtual_time = state.virtual_time.max(self.virtual_time);
            self.active.insert((state.virtual_time, stream));
            self.parked.pop_front();
        }
    }

    fn drop_front(&mut self, stream: u16) {
        let state = self.streams.get_mut(&stream).expect("the caller saw it");
        if let Some(message) = state.messages.pop_front() {
            state.buffered -= message.rest.len();
            self.buffered -= message.rest.len();
            self.waiting -= 1;
            if message.sequence.is_some() {
                self.unfinished -= message.length;
            }
            if !state.fell {
                state.fell = true;
                self.fell.push(stream);
            }
        }
        if self.begun == Some(stream) {
            self.begun = None;
        }
        if state.messages.is_empty() {
            self.active.remove((state.virtual_time, stream));
        }
        self.unpark();
    }
}

/// How much of `rest` bytes goes into `room`, or nothing if it had better wait for a packet of its own (which holds `whole`).
fn cut(rest: usize, room: usize, whole: usize) -> Option<usize> {
    if rest <= room {
        return Some(rest);
    }
    // Fragments but the last are a multiple of four, so that packets stay of one size.
    let length = room & !3;
    let worth_it = rest > whole && length >= SMALLEST_FRAGMENT.min(whole);
    worth_it.then_some(length)
}
